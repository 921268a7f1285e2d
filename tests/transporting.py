"""What the tests of transports share: a loop without a hub, and a protocol that takes notes."""

from __future__ import annotations

import contextlib
import socket

from gruvi_cffi._native.loop import Loop
from gruvi_cffi._native.pipe import PipeHandle
from gruvi_cffi._native.tcp import TcpHandle
from gruvi_cffi.transports import Transport


class Recorder:
    """A protocol that derives from nothing, and notes what it is told."""

    def __init__(self, keep_open=False):
        self.calls = []
        self.keep_open = keep_open

    def connection_made(self, transport):
        self.transport = transport
        self.calls.append('made')

    def data_received(self, data):
        self.calls.append(data)

    def eof_received(self):
        self.calls.append('eof')
        return self.keep_open

    def connection_lost(self, exc):
        self.calls.append(('lost', exc))

    def pause_writing(self):
        self.calls.append('pause')

    def resume_writing(self):
        self.calls.append('resume')

    @property
    def received(self):
        return b''.join(call for call in self.calls if isinstance(call, bytes))

    @property
    def lost(self):
        return any(call[0] == 'lost' for call in self.calls if isinstance(call, tuple))

    @property
    def error(self):
        """Why the connection was lost."""
        (error,) = (call[1] for call in self.calls if isinstance(call, tuple))
        return error


class Ground:
    """A loop, and transports over sockets whose other end is a plain socket."""

    def __init__(self):
        self.loop = Loop()
        self._sockets = []

    def pair(self, kind='unix'):
        """Return a connected handle and the socket at its other end."""
        if kind == 'unix':
            ours, theirs = socket.socketpair()
            handle = PipeHandle(self.loop)
        else:
            with socket.create_server(('127.0.0.1', 0)) as listener:
                theirs = socket.create_connection(listener.getsockname())
                ours = listener.accept()[0]
            handle = TcpHandle(self.loop)
        handle.open(ours.detach())
        theirs.settimeout(30)
        self._sockets.append(theirs)
        return handle, theirs

    def start(self, protocol, kind='unix', mode='rw'):
        """Return a started transport and the socket at its other end."""
        handle, theirs = self.pair(kind)
        transport = Transport(handle, mode=mode)
        transport.start(protocol)
        return transport, theirs

    def turns(self, count=4):
        """Let what is under way happen."""
        for _ in range(count):
            self.loop.poll(0)

    def until(self, condition):
        """Run the loop until *condition* holds."""
        for _ in range(2000):
            if condition():
                return
            self.loop.poll(20)
        raise AssertionError('it did not happen')

    def receive(self, theirs, count):
        """Return *count* bytes that the transport sends, or fewer at EOF."""
        received = bytearray()
        theirs.setblocking(False)
        while len(received) < count:
            self.loop.poll(0)
            with contextlib.suppress(BlockingIOError):
                data = theirs.recv(1 << 20)
                if not data:
                    break
                received += data
        theirs.settimeout(30)
        return bytes(received)

    def close(self):
        for handle in list(self.loop.handles.values()):
            handle.abort()
        self.until(lambda: not self.loop.handles)
        self.loop.close()
        for theirs in self._sockets:
            theirs.close()
