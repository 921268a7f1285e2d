"""One HTTP client: ``python -m benchmarks.http_client_worker NAME URL CONNECTIONS SECONDS``.

Asks for URL over so many connections at once, each keeping its own, and prints as JSON how many
responses were read to their end, how long that took, and the CPU time it needed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

WARM = 0.2  # of the time, before it counts


class Counter:
    """Counts responses while the time runs; ``going`` is false when it is over."""

    def __init__(self, seconds: float) -> None:
        self.count = 0
        self._began = time.perf_counter()
        self._cpu = 0.0
        self._from = self._began + WARM * seconds
        self._until = self._from + seconds
        self._counting = False
        self.going = True

    def read(self, size: int) -> None:
        """Note that a response was read, of *size* bytes."""
        assert size > 0
        now = time.perf_counter()
        self.count += 1
        if now >= self._until:
            self.going = False
        elif not self._counting and now >= self._from:
            self._counting = True
            self.count, self._began, self._cpu = 0, now, time.process_time()

    def result(self) -> dict[str, float]:
        return {
            'responses': self.count,
            'seconds': time.perf_counter() - self._began,
            'cpu_seconds': time.process_time() - self._cpu,
        }


def gruvi_client(url: str, connections: int, counter: Counter) -> None:
    from gruvi_cffi import FiberGroup
    from gruvi_cffi.http import HttpClient

    parts = urlsplit(url)

    def ask() -> None:
        client = HttpClient()
        client.connect((parts.hostname, parts.port))
        while counter.going:
            client.request('GET', parts.path)
            counter.read(len(client.getresponse().body.read()))
        client.close()

    with FiberGroup() as group:
        for _ in range(connections):
            group.spawn(ask)


def gruvi(url: str, connections: int, counter: Counter) -> None:
    from gruvi_cffi import FiberGroup
    from gruvi_cffi.http import HttpSession

    with HttpSession() as session:

        def ask() -> None:
            while counter.going:
                counter.read(len(session.get(url).content))

        with FiberGroup() as group:
            for _ in range(connections):
                group.spawn(ask)


def aiohttp(url: str, connections: int, counter: Counter) -> None:
    import asyncio

    import aiohttp as theirs

    async def ask(session: Any) -> None:
        while counter.going:
            async with session.get(url) as response:
                counter.read(len(await response.read()))

    async def main() -> None:
        async with theirs.ClientSession() as session:
            await asyncio.gather(*(ask(session) for _ in range(connections)))

    asyncio.run(main())


def httpx(url: str, connections: int, counter: Counter) -> None:
    import asyncio

    import httpx as theirs

    async def ask(client: Any) -> None:
        while counter.going:
            counter.read(len((await client.get(url)).content))

    async def main() -> None:
        async with theirs.AsyncClient() as client:
            await asyncio.gather(*(ask(client) for _ in range(connections)))

    asyncio.run(main())


def geventhttpclient(url: str, connections: int, counter: Counter) -> None:
    import gevent
    import geventhttpclient as theirs

    parts = urlsplit(url)

    def ask() -> None:
        client = theirs.HTTPClient(str(parts.hostname), parts.port)
        while counter.going:
            counter.read(len(client.get(parts.path).read()))
        client.close()

    gevent.joinall([gevent.spawn(ask) for _ in range(connections)], raise_error=True)


def in_threads(connections: int, ask: Callable[[], None]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(connections) as pool:
        for future in [pool.submit(ask) for _ in range(connections)]:
            future.result()


def requests(url: str, connections: int, counter: Counter) -> None:
    import requests as theirs

    def ask() -> None:
        with theirs.Session() as session:
            while counter.going:
                counter.read(len(session.get(url).content))

    in_threads(connections, ask)


def urllib3(url: str, connections: int, counter: Counter) -> None:
    import urllib3 as theirs

    with theirs.PoolManager(maxsize=connections) as pool:

        def ask() -> None:
            while counter.going:
                counter.read(len(pool.request('GET', url).data))

        in_threads(connections, ask)


def http_client(url: str, connections: int, counter: Counter) -> None:
    from http.client import HTTPConnection

    parts = urlsplit(url)

    def ask() -> None:
        connection = HTTPConnection(str(parts.hostname), parts.port)
        while counter.going:
            connection.request('GET', parts.path)
            counter.read(len(connection.getresponse().read()))
        connection.close()

    in_threads(connections, ask)


CLIENTS: dict[str, Callable[[str, int, Counter], None]] = {
    'HttpSession': gruvi,
    'HttpClient': gruvi_client,
    'aiohttp': aiohttp,
    'httpx': httpx,
    'geventhttpclient': geventhttpclient,
    'requests': requests,
    'urllib3': urllib3,
    'http.client': http_client,
}


def main() -> None:
    name, url, connections, seconds = sys.argv[1:]
    counter = Counter(float(seconds))
    CLIENTS[name](url, int(connections), counter)
    print(json.dumps(counter.result()))


if __name__ == '__main__':
    main()
