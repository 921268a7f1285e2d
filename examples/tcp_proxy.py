"""Pass connections on to another server.

    python examples/tcp_proxy.py localhost:7008 localhost:7007

Two fibers for each connection, one a direction. A slow reader on one side slows the writer on the
other: write() waits, so nothing is read, so the peer has to wait. A failure of one side
ends the other.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from gruvi_cffi import (
    FiberGroup,
    Stream,
    StreamClient,
    StreamServer,
    TransportError,
    paddr,
    saddr,
)


def copy(source: Any, sink: Any) -> None:
    while data := source.read1():
        sink.write(data)
    sink.write_eof()


def forward(target: Any, stream: Stream, transport: object, protocol: object) -> None:
    server = StreamClient()
    try:
        server.connect(target, timeout=10)
        with FiberGroup() as group:
            group.spawn(copy, stream, server)
            group.spawn(copy, server, stream)
    except TransportError as error:
        print(f'gave up a connection: {error}', file=sys.stderr)
    finally:
        server.close(timeout=10)


def main(address: str, target: str) -> None:
    proxy = StreamServer(partial(forward, paddr(target)))
    proxy.listen(paddr(address))
    print('listening on', *map(saddr, proxy.addresses), flush=True)
    proxy.run()
    proxy.close(timeout=5)


if __name__ == '__main__':
    main(*sys.argv[1:])
