"""TLS above a handle, in Python: what a StreamHandle does in C with a TlsEngine.

    transport <--- on_data ---- [ engine ] <--- feed --- handle below
              ---- put -------> [        ] ---- take --> (a stream's, or another PipedHandle)

It is for contexts of the standard library, and for TLS within TLS.
"""

from __future__ import annotations

from typing import Any, Callable

from .._native.stream import DEADLINE_TOTAL, discard
from .._native.tls import ASKED, DONE, ENDED, FAILED, HELLO, SECURED, TICKETS
from ..errors import TlsError, TransportError

_PIECE = 65536  # bytes of a large write that are copied and encrypted at a time
_ANSWERS = 65536  # bytes that reading may write, such as to key updates, while nothing leaves
_EAGAIN = -1  # any negative result of put() makes the transport call write()


class PipedHandle:
    """Looks like a StreamHandle whose TLS is *engine*'s, and sends through the handle *below*."""

    has_tls = True
    reads_into = False  # what was decrypted is copied

    def __init__(self, below: Any, engine: Any, owner: Any, linger: float) -> None:
        self.below = below
        self.engine = engine
        self.owner = owner
        self.loop = below.loop
        self.id = 0
        self.on_data: Callable[[bytes], object] = discard
        self.closed = False
        self._linger = linger
        self._waiting: list[bytes] = []  # to be encrypted, once the engine can
        self._waiting_size = 0
        self._answered = 0
        self._low = self._high = 2**62
        self._secured = self._asked = self._failed = False
        self._reading = True
        self._peer_ended = self._ended = self._shutting = False
        self._below_ended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)  # names, descriptors and options are those of below

    def begin(self, received: bytes = b'') -> None:
        """Begin the handshake; *received* was read already."""
        self.below.owner = self
        self.below.on_data = self._received
        if received:
            self.engine.feed(received)
        self.below.read_start()
        self._advance()

    def continue_tls(self) -> None:
        self._asked = False
        self._advance()

    # Towards the program.

    def _received(self, data: bytes) -> None:
        self.engine.feed(data)
        self._advance()

    def _advance(self) -> None:
        try:
            if self._secured or self._shake_hands():
                starved = self._deliver()
                if self._waiting or (self._shutting and not self._ended):
                    self._send_waiting()
            else:
                starved = not self._asked
            if starved and self._below_ended:
                self.engine.feed_eof()
        except TlsError as error:
            self._fail(error)

    def _shake_hands(self) -> bool:
        if self._asked or self._failed:
            return False
        try:
            result = self.engine.handshake()
        finally:
            self._send()  # also an alert
        if result == ASKED:
            self._asked = True
            self.owner.handle_tls(HELLO)
        if result != DONE:
            return False
        self._secured = True
        self.owner.handle_tls(SECURED)
        if not self._failed:
            self._send_waiting()
        return not self._failed

    def _deliver(self) -> bool:
        """Return whether the engine wants more; it is not asked while reading is paused."""
        data: bytes | None = b''
        # What comes while it closes is for nobody, and behind the peer's end nothing comes.
        while data is not None and (self._reading or self.closed) and not self._peer_ended:
            try:
                data = self.engine.read()
            finally:
                self._answer()  # also an alert
            if data:
                self.on_data(data)
            elif data is not None:
                self._end_reached()
        return data is None

    def _answer(self) -> None:
        """Send what reading has made the engine say, unless that only piles up."""
        data = self.engine.take()
        if not data or self.below.closed:
            return
        if not self.below.write_queue_size:
            self._answered = 0
        self._answered += len(data)
        if self._answered > _ANSWERS:
            self.handle_error(TlsError('too many messages whose answers are not taken'))
        else:
            self.below.write(data)

    def _end_reached(self) -> None:
        self._peer_ended = True
        if self.closed:
            self.below.close()
            return
        self.below.read_stop()
        self.owner.handle_eof()
        if self._ended and not self.closed:
            self.owner.handle_tls(ENDED)

    def read_start(self) -> None:
        self._reading = True
        if not self._peer_ended and not self._failed:
            self.below.read_start()
            if self._secured:
                self.loop.defer(self.below, self._advance)

    def read_stop(self) -> None:
        self._reading = False
        if not self._peer_ended:
            self.below.read_stop()

    # Towards the peer.

    def put(self, _: int, data: bytes, size: int) -> int:
        """Queue *data*; a negative result means that ``write()`` will say why it cannot."""
        return self._write(data) if self._can_write() else _EAGAIN

    def write(self, data: Any) -> int:
        """Queue *data*; return the size of the queue in bytes."""
        if not self._can_write():
            raise TlsError('could not write: TLS has failed, or was ended')
        return self._write(data if type(data) is bytes else bytes(data))

    def _can_write(self) -> bool:
        return not (self._failed or self._ended or self._shutting or self.closed)

    def _write(self, data: bytes) -> int:
        done = 0
        if self._secured and not self._waiting:
            done = self._encrypt(data)
        if done < len(data):
            self._waiting.append(data[done:])
            self._waiting_size += len(data) - done
        return self.write_queue_size

    def _encrypt(self, data: bytes) -> int:
        """Return how much: not all if a message of the peer's has come in part, and goes first."""
        done, piece = 0, b''
        try:
            while done < len(data):
                if not piece:
                    piece = data[done : done + _PIECE]
                size = self.engine.write(piece)
                if not size:
                    break
                piece, done = piece[size:], done + size
        except TlsError as error:
            self._fail(error)
            done = len(data)
        self._send()
        return done

    def _send(self) -> None:
        data = self.engine.take()
        if data and not self.below.closed:
            self.below.write(data)

    def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        was_high, self._waiting_size = self._waiting_size > self._high, 0
        for data in waiting:
            self._write(data)
        if was_high and self.write_queue_size <= self._low:
            self.owner.handle_drain()
        if self._shutting:
            self.shutdown_tls()

    @property
    def write_queue_size(self) -> int:
        return self._waiting_size + int(self.below.write_queue_size)

    def set_watermarks(self, high: int, low: int) -> None:
        self._high, self._low = high, low
        self.below.set_watermarks(high, low)

    def write_eof(self) -> None:
        raise TransportError('could not write EOF: TLS has no half-closed connections')

    # The end.

    def shutdown_tls(self) -> None:
        """Say close_notify behind what is queued."""
        self._shutting = True
        if not self._secured or self._failed or self._ended or self._waiting:
            return
        try:
            self._ended = self.engine.shutdown()
        except TlsError as error:
            self._ended = True
            self._fail(error)
        self._send()
        if self._ended and self._peer_ended and not self.closed:
            self.owner.handle_tls(ENDED)

    def stop_tls(self) -> None:
        """Give the handle below back to the owner."""
        self.below.owner = self.owner
        self.below.set_watermarks(self._high, self._low)

    def close(self) -> None:
        """Close behind what is queued, and the peer's close_notify."""
        if self.closed:
            return
        self.closed = True
        self.on_data = discard
        if self._secured and not self._failed:
            self.owner.handle_tls(TICKETS)
            self.shutdown_tls()
        if not self._secured or self._failed or self._peer_ended or not self._linger:
            self.below.close()
            return
        self.below.set_deadline(DEADLINE_TOTAL, self._linger)
        self.below.read_start()
        self.loop.defer(self.below, self._advance)

    def abort(self) -> None:
        self.closed = True
        self.on_data = discard
        self.below.abort()

    def _fail(self, error: TlsError) -> None:
        if self._failed:
            return
        self._failed = True
        self._waiting.clear()
        if self.closed:
            self.below.close()
        else:
            self.owner.handle_tls(FAILED)

    # What the handle below reports.

    def handle_eof(self) -> None:
        self._below_ended = True
        if self.closed:
            self.below.close()
        elif not self._peer_ended:
            self._advance()

    def handle_tls(self, events: int) -> None:
        if events & FAILED:
            self.handle_error(self.below.engine.error())

    def handle_timeout(self, which: int) -> None:
        if self.closed and which == DEADLINE_TOTAL:
            self.below.close()
        else:
            self.owner.handle_timeout(which)

    def handle_error(self, error: Exception) -> None:
        if self.closed:
            self.below.abort()
        else:
            self.owner.handle_error(error)

    def handle_drain(self) -> None:
        self.owner.handle_drain()

    def handle_exception(self, error: BaseException) -> None:
        self.owner.handle_exception(error)

    def handle_closed(self) -> None:
        self.closed = True
        owner, self.owner = self.owner, None
        owner.handle_closed()
