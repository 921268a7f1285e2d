"""Send each line of the input to a server that answers with a line, and print the answers.

python examples/line_client.py localhost:7007
"""

from __future__ import annotations

import sys

from gruvi_cffi import Error, StreamClient, paddr


def main(address: str) -> int:
    client = StreamClient(timeout=10)
    try:
        client.connect(paddr(address))
        for line in sys.stdin.buffer:
            client.write(line)
            print(client.readline().decode().rstrip('\n'))
    except Error as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        client.close()
    return 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
