"""Fields that were seen before, and with them whole heads: they need not pass the engine again.

    first line ---> KnownLine ---+
                                 +--> HttpMessage
    fields -------> KnownFields -+

A client sends the same fields with each request of a connection. In a GET or HEAD of HTTP/1.1 for a
path, and without a body, the first line and the fields are right or wrong each for itself: no rule
of RFC 9112 speaks of both. So a line and fields that are good, though not from the same head, are a
good head.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Optional

from .. import limits
from .._native import http as engine
from .._native.http import HttpLimits
from .environ import add_fields, add_line

_PLAIN = engine.MINOR | engine.KEEP_ALIVE
_HEAD_FLAGS = _PLAIN | engine.HEAD_METHOD
_VERSION = b' HTTP/1.1'


class KnownLine:
    """A first line: *method*, *target* and the flags of a head that begins so."""

    __slots__ = ('environ', 'flags', 'method', 'target')

    def __init__(self, method: str, target: str) -> None:
        self.method = method
        self.target = target
        self.flags = _HEAD_FLAGS if method == 'HEAD' else _PLAIN
        self.environ = add_line({}, method, target, '1.1')


class KnownFields:
    """The fields behind it: names and values in turns."""

    __slots__ = ('environ', 'parts')

    def __init__(self, parts: list[str]) -> None:
        self.parts = parts
        self.environ = add_fields({}, iter(parts))


class Template:
    """What requests with the same head have in common. *made* is of whoever has use for it.

    A connection keeps that of its last head. So it lets go of what is forgotten: *head* is NO_HEAD
    then, or all that idle connections keep would be without a bound.
    """

    __slots__ = ('head', 'made')

    def __init__(self) -> None:
        self.head = NO_HEAD
        self.made: tuple[Any, Any] = None, None

    def forget(self) -> None:
        """Let go of all of it."""
        self.head = NO_HEAD
        self.made = None, None


# Both, and if they have come together before, what they were on the wire. It is made for many a
# request, so it is what costs the least.
KnownHead = tuple[bytes, KnownLine, KnownFields, Optional[Template]]

NO_HEAD: KnownHead = b'', KnownLine('', ''), KnownFields([]), None
NO_TEMPLATE = Template()


class KnownHeads:
    """Those that are within *limit*."""

    def __init__(self, limit: HttpLimits) -> None:
        self._longest = min(limits.HTTP_KNOWN_HEAD, limit.head)  # head, in bytes
        self._longest_line = min(limits.HTTP_KNOWN_HEAD, limit.line)
        self._heads: dict[bytes, Template] = {}  # whole ones, whose line has come before
        self._lines: dict[bytes, KnownLine] = {}
        self._fields: dict[bytes, KnownFields] = {}
        self._seen: set[bytes] = set()  # once; most of them will not come again

    def find(self, data: bytes) -> Optional[KnownHead]:
        """Return what *data* is made of, if it is a known head."""
        if len(data) > self._longest:
            return None
        text, _, rest = data.partition(b'\r\n')
        fields = self._fields.get(rest)
        if fields is None:
            return None
        line = self._lines.get(text)
        if line is None:
            line = self._look_at(text)
            return None if line is None else (b'', line, fields, None)
        template = self._heads.get(data)
        head = NO_HEAD if template is None else template.head  # another thread may forget it
        if not head[0]:
            if len(self._heads) >= limits.HTTP_KNOWN_HEADS:
                self._forget_heads()
            template = Template()
            template.head = head = data, line, fields, template
            self._heads[data] = template
        return head

    def _forget_heads(self) -> None:
        for template in list(self._heads.values()):
            template.forget()
        self._heads.clear()

    def _look_at(self, text: bytes) -> Optional[KnownLine]:
        method = engine.method_of_line(text) if len(text) <= self._longest_line else 0
        if not method:
            return None
        line = KnownLine(text[:method].decode(), text[method + 1 : -len(_VERSION)].decode())
        if len(self._lines) >= limits.HTTP_KNOWN_HEADS:
            self._lines.clear()
        self._lines[text] = line
        return line

    def learn(self, data: bytes, parts: list[str], flags: int) -> None:
        """Have seen a head without a body, which the engine has taken apart."""
        if flags & ~engine.HEAD_METHOD != _PLAIN or len(data) > self._longest:
            return
        text, _, rest = data.partition(b'\r\n')
        if not text.endswith(_VERSION):  # it may be one of the empty lines before a request
            return
        if rest not in self._seen:
            if len(self._seen) >= limits.HTTP_KNOWN_HEADS:
                self._seen.clear()
            self._seen.add(rest)
            return
        self._seen.discard(rest)
        if len(self._fields) >= limits.HTTP_KNOWN_HEADS:
            self._fields.clear()
        self._fields[rest] = KnownFields(parts[2:])


@lru_cache(maxsize=16)
def known_heads(limit: HttpLimits) -> KnownHeads:
    """Return what all connections with the same *limit* know together."""
    return KnownHeads(limit)
