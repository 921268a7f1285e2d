"""Send everything back: a protocol for each connection, and no fiber.

    python examples/echo_protocol.py [localhost:7007]

The transport calls the protocol, which must not wait. When the peer does not read as fast as it
writes, the protocol stops reading until it does.
"""

from __future__ import annotations

import sys

from gruvi_cffi import Protocol, Transport, create_server, paddr, saddr


class Echo(Protocol):
    def connection_made(self, transport: Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


def main(address: str = 'localhost:7007') -> None:
    server = create_server(Echo, paddr(address))
    print('listening on', *map(saddr, server.addresses), flush=True)
    server.run()
    server.close(timeout=5)


if __name__ == '__main__':
    main(*sys.argv[1:])
