"""Requests for files, which run in libuv's thread pool."""

from __future__ import annotations

import os
from typing import Any, NamedTuple, Union

from .._gv import ffi, lib
from .errors import check
from .loop import DISPATCH, Handle, Loop

Path = Union[str, bytes, 'os.PathLike[str]', 'os.PathLike[bytes]']

OPEN: int = lib.GV_FS_OPEN
CLOSE: int = lib.GV_FS_CLOSE
READ: int = lib.GV_FS_READ
WRITE: int = lib.GV_FS_WRITE
READ_FILE: int = lib.GV_FS_READ_FILE
WRITE_FILE: int = lib.GV_FS_WRITE_FILE
STAT: int = lib.GV_FS_STAT
LSTAT: int = lib.GV_FS_LSTAT
FSTAT: int = lib.GV_FS_FSTAT
SCANDIR: int = lib.GV_FS_SCANDIR
MKDIR: int = lib.GV_FS_MKDIR
RMDIR: int = lib.GV_FS_RMDIR
RENAME: int = lib.GV_FS_RENAME
UNLINK: int = lib.GV_FS_UNLINK
SYMLINK: int = lib.GV_FS_SYMLINK
LINK: int = lib.GV_FS_LINK
READLINK: int = lib.GV_FS_READLINK
REALPATH: int = lib.GV_FS_REALPATH
CHMOD: int = lib.GV_FS_CHMOD
CHOWN: int = lib.GV_FS_CHOWN
UTIME: int = lib.GV_FS_UTIME
ACCESS: int = lib.GV_FS_ACCESS
FSYNC: int = lib.GV_FS_FSYNC
FDATASYNC: int = lib.GV_FS_FDATASYNC
TRUNCATE: int = lib.GV_FS_TRUNCATE
COPY: int = lib.GV_FS_COPY
MKDTEMP: int = lib.GV_FS_MKDTEMP
MKSTEMP: int = lib.GV_FS_MKSTEMP

_OPENS = (OPEN, MKSTEMP)


class FsCall(NamedTuple):
    """What is to be done; see csrc/fs.h for what each kind uses."""

    kind: int
    path: Path | None = None
    other: Path | None = None
    data: bytes | None = None
    fd: int = -1
    length: int = 0
    offset: int = -1
    a: int = 0
    b: int = 0
    accessed: float = 0
    modified: float = 0


class FsRequest(Handle):
    """An operation that is under way; ``owner.handle_done(result)`` is called at its end.

    Then it has to be freed. One that nobody wants any more is given up: ``abort()``.

    :raises TransportError: there is no memory for it.
    :raises ValueError: there is a NUL in a path.
    """

    __slots__ = ('_kind', 'given_up')

    def __init__(self, loop: Loop, call: FsCall) -> None:
        kept = [_text(call.path), _text(call.other)]
        made = ffi.new('gv_fs_call *')
        made.kind = call.kind
        made.path, made.other = kept
        if call.data is not None:
            kept.append(ffi.from_buffer(call.data))
            made.data = kept[-1]
        made.fd, made.length, made.offset, made.a, made.b = (
            call.fd, call.length, call.offset, call.a, call.b
        )  # fmt: skip
        made.accessed, made.modified = call.accessed, call.modified
        self._attach(loop, check(lib.gv_fs_begin(loop._ptr, made), 'use a file'))
        self._kind = call.kind
        self.given_up = False

    def abort(self) -> None:
        """Have nothing of it: what it opens is closed. Doing so again does nothing.

        What closes a descriptor goes on: nobody else would.
        """
        if not self.given_up:
            self.given_up = True
            if self._kind != CLOSE:
                lib.gv_fs_cancel(self._ptr, self.id)

    def discard(self, result: int) -> None:
        """Forget it once it has ended with *result*; what it has opened is closed."""
        self.free()
        if result >= 0 and self._kind in _OPENS:
            os.close(result)

    def free(self) -> None:
        """Forget it."""
        del self.loop.handles[self.id]
        self.closed = True
        check(lib.gv_fs_free(self._ptr, self.id), 'forget a request')

    def take_bytes(self, size: int) -> bytes:
        """Return the bytes that it has read."""
        return bytes(ffi.buffer(lib.gv_fs_data(self._ptr, self.id), size))

    def take_path(self) -> str:
        """Return the path that is its result."""
        return os.fsdecode(ffi.string(lib.gv_fs_data(self._ptr, self.id)))

    def take_status(self) -> dict[str, int]:
        """Return what is known about the file, by the names in gv_fs_status."""
        status = ffi.new('gv_fs_status *')
        check(lib.gv_fs_get_status(self._ptr, self.id, status), 'look at a file')
        return {name: getattr(status, name) for name in _STATUS}

    def take_entries(self) -> list[tuple[str, int]]:
        """Return the names in a folder, and their types as libuv numbers them."""
        kind = ffi.new('int *')
        entries: list[tuple[str, int]] = []
        while True:
            name = lib.gv_fs_next(self._ptr, self.id, kind)
            if name == ffi.NULL:
                return entries
            entries.append((os.fsdecode(ffi.string(name)), kind[0]))


class FsEventHandle(Handle):
    """Tells ``owner.handle_change(kind, name)`` what changes in a folder, or a file.

    What went missing, or ended it, is told to ``owner.handle_refused(exc)``.

    :raises TransportError: there is nothing of that name, or the system watches enough already.
    """

    __slots__ = ()

    def __init__(self, loop: Loop, path: Path, recursive: bool) -> None:
        rc = lib.gv_fs_watch(loop._ptr, _text(path), recursive)
        self._attach(loop, check(rc, f'watch {os.fsdecode(path)}'))

    def on_data(self, data: bytes) -> None:
        """Take one change."""
        if not self.closed:
            kind = 'renamed' if data[0] & lib.GV_FS_RENAMED else 'changed'
            self.owner.handle_change(kind, os.fsdecode(data[1:]) or None)


_STATUS = [name for name, _ in ffi.typeof('gv_fs_status').fields]


def _text(path: Path | None) -> Any:
    if path is None:
        return ffi.NULL
    raw = os.fsencode(path)
    if b'\0' in raw:
        raise ValueError(f'there is a NUL in {path!r}')
    return ffi.new('char[]', raw)


def _done(request: FsRequest, result: int) -> None:
    if request.given_up:
        request.discard(result)
    else:
        request.owner.handle_done(result)


DISPATCH[lib.GV_DONE] = _done
