"""Starting child processes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

from .._gv import ffi, lib

Text = Union[str, bytes, 'os.PathLike[str]', 'os.PathLike[bytes]']


def spawn_process(
    file: Text,
    arguments: Sequence[Text],
    fds: Sequence[int],
    *,
    folder: Optional[Text] = None,
    variables: Optional[Mapping[Any, Any]] = None,
    user: int = -1,
    group: int = -1,
    detached: bool = False,
) -> int:
    """Start *file*, and return the pid of the child, or a negative code of libuv.

    Its descriptors from 0 on are *fds* of ours; for one of -1, of 0 to 2, it gets /dev/null.

    :raises ValueError: a text has a NUL in it.
    :raises TypeError: something is no text.
    """
    kept: list[Any] = []  # what C looks at must stay until it returns

    def text(value: Text) -> Any:
        raw = os.fsencode(value)
        if b'\0' in raw:
            raise ValueError(f'there is a NUL in {value!r}')
        kept.append(ffi.new('char[]', raw))
        return kept[-1]

    def array(values: Sequence[Text]) -> Any:
        kept.append(ffi.new('char *[]', [*map(text, values), ffi.NULL]))
        return kept[-1]

    options = ffi.new('gv_process *')
    options.file = text(file)
    options.arguments = array(arguments)
    if variables is not None:
        options.variables = array([_assignment(*pair) for pair in variables.items()])
    if folder is not None:
        options.folder = text(folder)
    kept.append(ffi.new('int[]', list(fds)))
    options.fds = kept[-1]
    options.fd_count = len(fds)
    options.user = user
    options.group = group
    options.detached = detached
    return int(lib.gv_process_spawn(options))


def _assignment(name: Text, value: Text) -> bytes:
    raw = os.fsencode(name)
    if not raw or b'=' in raw:
        raise ValueError(f'{name!r} cannot be the name of an environment variable')
    return raw + b'=' + os.fsencode(value)
