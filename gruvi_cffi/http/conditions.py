"""What a request makes conditional: whether it is to be answered at all (RFC 9110, section 13)."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from time import time
from typing import Optional

from .message import HttpMessage

_TAG = re.compile(r'(?:W/)?"[!#-~\x80-\xff]*"')

# Of a file that was changed in the second that still runs, the date may soon be that of another.
_DATE_IS_STRONG = 1  # second


class Conditions:
    """Those of *message*, about what has this *tag*, a strong one, and was *changed* then.

    *changed* is in whole seconds since the epoch.
    """

    def __init__(self, message: HttpMessage, tag: str, changed: int) -> None:
        self._message = message
        self._tag = tag
        self._changed = changed

    def status(self) -> int:
        """Return 200 if nothing is against it, 304 if the client has it already, or 412.

        Which field goes before which is said in section 13.2.2.
        """
        wanted = self._tags('if-match')
        if wanted is not None:
            if '*' not in wanted and self._tag not in wanted:
                return 412
        elif self._is_newer_than('if-unmodified-since') is True:
            return 412
        known = self._tags('if-none-match')
        if known is not None:
            return 304 if {'*', self._tag, f'W/{self._tag}'} & known else 200
        return 304 if self._is_newer_than('if-modified-since') is False else 200

    def wants_part(self) -> bool:
        """Return whether a range is to be sent, or rather all, because of If-Range."""
        value = self._message.get_header('if-range')
        if value is None or value == self._tag:
            return True
        is_strong = self._changed + _DATE_IS_STRONG <= time()
        return is_strong and _time_of(value) == self._changed

    def _tags(self, name: str) -> Optional[set[str]]:
        """Return the entity tags of a field, and '*' if that is there, or None without it."""
        values = [value for key, value in self._message.headers if key.lower() == name]
        if not values:
            return None
        found = set(_TAG.findall(','.join(values)))
        return found | {'*'} if '*' in (value.strip() for value in values) else found

    def _is_newer_than(self, name: str) -> Optional[bool]:
        """Return whether it was changed since the date of a field, or None without one."""
        since = _time_of(self._message.get_header(name))
        return None if since is None else self._changed > since


def _time_of(date: Optional[str]) -> Optional[int]:
    try:
        return None if date is None else int(parsedate_to_datetime(date).timestamp())
    except (ValueError, OverflowError, TypeError):
        return None
