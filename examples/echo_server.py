"""Send everything back: a fiber for each connection.

python examples/echo_server.py [localhost:7007]
"""

from __future__ import annotations

import sys

from gruvi_cffi import Stream, StreamServer, paddr, saddr


def echo(stream: Stream, transport: object, protocol: object) -> None:
    while data := stream.read1():
        stream.write(data)


def main(address: str = 'localhost:7007') -> None:
    server = StreamServer(echo)
    server.listen(paddr(address))
    print('listening on', *map(saddr, server.addresses), flush=True)
    server.run()
    server.close(timeout=5)


if __name__ == '__main__':
    main(*sys.argv[1:])
