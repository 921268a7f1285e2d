"""Every limit and its default: change one here, or pass another where it is used."""

from __future__ import annotations

# The loop: what one turn may bring.
RING_RECORDS = 4096  # records
ARENA_BYTES = 2 * 1024 * 1024  # bytes all handles together may read in one turn
READ_LIMIT = 256 * 1024  # bytes one handle may read in one turn

# The hub.
IDLE_CARRIERS = 1024  # greenlets kept for the next fibers, or as many as there are live fibers
FREED_CARRIERS = 64  # of those that are too many, in each turn
SCATTERED_FIBERS = 16_384  # beside more live ones, greenlets are freed in whole blocks
POLL_EVERY = 64  # fibers that the hub runs, as long as more are ready, before it looks for I/O
HURRIED_FIBERS = 1024  # fibers that may begin in the turn in which they are started, before a poll
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

# TLS.
TLS_HANDSHAKE_TIMEOUT = 10.0  # seconds for a handshake
TLS_HANDSHAKES = 1000  # of a server that may be under way; more wait to be accepted
TLS_LINGER = 1.0  # seconds that close() gives a peer to say close_notify
TLS_SESSIONS = 256  # of a client's context that are kept, to resume with

# HTTP: what a peer may send.
HTTP_LINE = 8192  # bytes of a request line
HTTP_HEAD = 32768  # bytes of a whole head, its trailers included
HTTP_FIELDS = 100
HTTP_CHUNK_LINE = 4096  # bytes
HTTP_CHUNK_EXTENSIONS = 16384  # bytes, of a message
HTTP_RESPONSE_HEAD = 65536  # bytes
HTTP_RESPONSE_FIELDS = 256
HTTP_INTERIM = 16  # 1xx responses to one request
HTTP_PIPELINE = 16  # requests that may wait for their turn on a connection
HTTP_CONNECTIONS = 10_000  # of a server; more wait to be accepted
HTTP_KNOWN_HEADS = 500  # first lines that are remembered, and as many fields, and both
HTTP_KNOWN_HEAD = 2048  # bytes of such a head at most
HTTP_DRAIN = 64 * 1024  # bytes of a body that nobody read, to be dropped instead of closing
PROXY_HEADER = 4096  # bytes of a PROXY header
HTTP_CODINGS = 4  # Content-Encodings on top of each other
HTTP_DECODED_RATIO = 100  # bytes that a byte of a compressed body may become
HTTP_DECODED_FREE = 1024 * 1024  # bytes of a body that may come from any number
HTTP_CONTENT = 256 * 1024 * 1024  # bytes of a response that are taken into memory; of a stream: any

# HTTP: what a session does.
HTTP_REDIRECTS = 10  # that are followed for one request
HTTP_POOL_ORIGIN = 100  # connections to one origin
HTTP_POOL = 1000  # connections in all
HTTP_POOL_IDLE = 60.0  # seconds that one is kept; servers often close after 75
HTTP_POOL_CHECK = 1.0  # seconds after which the loop has to look before one is used again
HTTP_CONNECT_TIMEOUT = 30.0  # seconds, names and proxies included
HTTP_READ_TIMEOUT = 60.0  # seconds for the head of a response, and between two reads of its body

# HTTP: how long it may take, in seconds.
HTTP_HEADER_TIMEOUT = 10.0  # for a whole head, from its first byte
HTTP_KEEPALIVE_TIMEOUT = 75.0  # between two requests, and before the first
HTTP_BODY_TIMEOUT = 30.0  # between two reads of a body
HTTP_BODY_RATE = 500  # bytes a second of a body at least, over each such time
HTTP_WRITE_TIMEOUT = 60.0  # in which nothing of what waits to be sent has left
HTTP_GRACE = 2.0  # in which a client may use a connection once more, when the server stops
HTTP_LINGER = 2.0  # for a peer to stop sending what will not be read
