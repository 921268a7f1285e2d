"""Every limit and its default: change one here, or pass another where it is used."""

from __future__ import annotations

# The loop: what one turn may bring.
RING_RECORDS = 4096  # records
ARENA_BYTES = 2 * 1024 * 1024  # bytes all handles together may read in one turn
READ_LIMIT = 256 * 1024  # bytes one handle may read in one turn

# The hub.
IDLE_CARRIERS = 1024  # greenlets kept for the next fibers, or as many as there are live fibers
POLL_EVERY = 64  # fibers that the hub runs, as long as more are ready, before it looks for I/O
CLOSE_SECONDS = 5.0  # seconds that it gives threads to end what they do for files
CLOSE_TURNS = 100  # turns that Hub.close() gives a cancelled fiber to end

# Signals.
SIGNAL_TIMEOUT = 5.0  # seconds that another thread waits for the main one's hub to catch a signal

# Files.
FILE_CHANGES = 10_000  # that wait to be taken from a watch, before it says 'overflow'
FILE_SIZE = 1024 * 1024 * 1024  # bytes that read_bytes() and read_text() take into memory

# Pools.
IO_THREADS = 20  # of the pool that blocking() uses
MAP_AHEAD = 1000  # jobs that map() of a pool submits before it wants their results

# Transports.
WRITE_HIGH = 64 * 1024  # bytes queued above which a protocol is paused; asyncio's choice too
FILE_CHUNK = 64 * 1024  # bytes of a file that one call in a thread reads
DATAGRAM_QUEUE = 1024 * 1024  # bytes above which datagrams are dropped instead of queued
FLUSH_TIMEOUT = 30.0  # seconds without progress that close() gives a peer to take what is queued
PASSED_FDS = 64  # descriptors that one connection was passed, and nobody has taken yet
BACKLOG = 4096  # connections the kernel keeps for us; it cuts this to its own limit (somaxconn)

# Streams.
STREAM_HIGH = 64 * 1024  # bytes read ahead above which a stream stops reading
LINE_LIMIT = 1024 * 1024  # bytes in which readline() and readuntil() must find the delimiter

# Names and connections.
RESOLVER_THREADS = 8
RESOLVER_QUEUE = 10_000  # lookups that may wait for a thread
RESOLVER_TIMEOUT = 30.0  # seconds
RESOLVER_MAX_AGE = 10.0  # seconds that an answer may be used again; 0: always ask. As aiohttp does
RESOLVER_ENTRIES = 1000  # answers that are kept
POLL_RECHECK = 1.0  # seconds until a fiber that waits for a descriptor sees that it was closed
SOCKET_CALLS = 64  # calls of one socket that need not wait before the other fibers get a turn
ATTEMPT_DELAY = 0.25  # seconds between connection attempts (RFC 8305, section 5)
