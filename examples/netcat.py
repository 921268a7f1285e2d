"""Copy the input to a server, and what it sends to the output.

    python examples/netcat.py localhost:7007

At the end of the input the connection is half closed: the server sees EOF and may still send.
Neither direction runs ahead of its reader, whatever the sizes.
"""

from __future__ import annotations

import sys

from gruvi_cffi import Error, FiberGroup, StreamClient, paddr


def copy(source: StreamClient, sink: StreamClient) -> None:
    while data := source.read1():
        sink.write(data)


def send(source: StreamClient, server: StreamClient) -> None:
    copy(source, server)
    server.write_eof()


def main(address: str) -> int:
    server, standard_input, standard_output = StreamClient(), StreamClient(), StreamClient()
    try:
        server.connect(paddr(address), timeout=10)
        standard_input.connect(0, mode='r')
        standard_output.connect(1, mode='w')
        with FiberGroup() as group:
            sender = group.spawn(send, standard_input, server)
            copy(server, standard_output)
            sender.cancel()
    except Error as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        for client in (server, standard_input, standard_output):
            client.close()
    return 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
