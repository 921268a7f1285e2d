"""Header fields as a mapping, whose names have no case (RFC 9110, 5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Optional, Union

Fields = Union[Mapping[str, str], Iterable[tuple[str, str]], None]


class Headers(MutableMapping[str, str]):
    """The fields of a message, from a mapping or from pairs, in their order.

    A name may be there several times: as a mapping those are one, joined by commas (RFC 9110, 5.2);
    ``get_list()`` has them apart.
    """

    __slots__ = ('pairs',)

    def __init__(self, fields: Fields = None) -> None:
        if type(fields) is list:
            pairs = fields
        elif isinstance(fields, Headers):
            pairs = fields.pairs
        elif isinstance(fields, Mapping):
            pairs = list(fields.items())
        else:
            pairs = list(fields or ())
        self.pairs: list[tuple[str, str]] = pairs[:]

    def get_list(self, name: str) -> list[str]:
        """Return the values of all fields with this name."""
        lower = name.lower()
        return [value for each, value in self.pairs if each.lower() == lower]

    def first(self, name: str) -> Optional[str]:
        """Return the value of the first field with this name, or None."""
        lower = name.lower()
        for each, value in self.pairs:
            if each.lower() == lower:
                return value
        return None

    def __getitem__(self, name: str) -> str:
        values = self.get_list(name)
        if not values:
            raise KeyError(name)
        return ', '.join(values)

    def __setitem__(self, name: str, value: str) -> None:
        """Replace all fields with this name by one, where the first was."""
        lower = name.lower()
        kept = [pair for pair in self.pairs if pair[0].lower() != lower]
        at = next((i for i, pair in enumerate(self.pairs) if pair[0].lower() == lower), len(kept))
        kept.insert(at, (name, value))
        self.pairs = kept

    def __delitem__(self, name: str) -> None:
        lower = name.lower()
        kept = [pair for pair in self.pairs if pair[0].lower() != lower]
        if len(kept) == len(self.pairs):
            raise KeyError(name)
        self.pairs = kept

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.first(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter({name.lower(): name for name, _ in reversed(self.pairs)}.values())

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self.pairs})

    def __repr__(self) -> str:
        return f'Headers({self.pairs!r})'
