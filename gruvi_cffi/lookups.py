"""Questions to a resolver: one query for all who ask the same, whose answer serves for a while.

    ask() --> an answer that is young enough
          --> or the fiber that asks already, or a new one --> resolver

The query has a fiber of its own, so that it goes on when one of those who wait for it gives up, and
ends when the last has. They may be in other threads than it is.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit

from . import limits, threads
from .errors import Cancelled, ResolverError, Timeout
from .fibers import Fiber
from .hub import get_hub, switchpoint

if TYPE_CHECKING:
    from .resolver import Resolver

_PATIENCE = 1.0  # seconds that PyPy waits before it looks whether a thread has ended

Question = tuple[Any, ...]  # the method of the resolver, and its arguments


class _Query(Fiber):
    """A question that was put to the resolver."""

    __slots__ = ('answer', 'waiters')

    def __init__(self, resolver: Resolver, question: Question) -> None:
        method, *args = question
        super().__init__(self._ask, (getattr(resolver, method), args), name=f'Resolver.{method}')
        self.answer: tuple[Any, ...] = ()
        self.waiters = 0

    def _ask(self, method: Callable[..., Iterable[Any]], args: list[Any]) -> None:
        self.answer = tuple(method(*args))

    @property
    def useful(self) -> bool:
        """False if it was cut short: by the end of the hub that it ran in."""
        return not isinstance(self.exception, (Cancelled, GreenletExit)) and not (
            self.alive and self.hub.gone
        )


class Lookups:
    """What *resolver* is asked and has answered. For all threads."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self._lock = threading.Lock()  # nobody switches who holds it
        self._queries: dict[Question, _Query] = {}
        self._answers: dict[Question, tuple[float, tuple[Any, ...]]] = {}  # the oldest first

    @switchpoint
    def ask(
        self, question: Question, doing: str, timeout: float | None, max_age: float
    ) -> tuple[Any, ...]:
        """Return what the resolver answers, or has answered *max_age* seconds ago or less.

        *doing* completes the sentence "could not ...".

        :raises Timeout: there was no answer within *timeout* seconds.
        """
        until = None if timeout is None else monotonic() + timeout
        while True:
            with self._lock:
                answered, answer = self._answers.get(question, (0.0, ()))
                if answer and monotonic() - answered < max_age:
                    return answer
            query = self._join(question)
            try:
                _wait_for(query, until)
            except Timeout:
                raise Timeout(f'could not {doing} within {timeout} seconds') from None
            finally:
                self._leave(question, query)
            if query.useful:
                query.result()  # raises what the resolver has raised
                return query.answer
            if query.hub is get_hub():
                raise ResolverError(f'could not {doing}: the query was cancelled')

    def forget(self, question: Question) -> None:
        """Ask again next time."""
        with self._lock:
            self._answers.pop(question, None)

    def _join(self, question: Question) -> _Query:
        new = None
        with self._lock:
            query = self._queries.get(question)
            if query is None or not query.useful:
                query = new = self._queries[question] = _Query(self.resolver, question)
            query.waiters += 1
        if new is not None:
            new.add_done_callback(self._ended, question, new)
            new.start()
        return query

    def _leave(self, question: Question, query: _Query) -> None:
        with self._lock:
            query.waiters -= 1
            if query.waiters or not query.alive:
                return
            if self._queries.get(question) is query:
                del self._queries[question]
        with contextlib.suppress(RuntimeError):  # its hub is closed
            query.cancel()

    def _ended(self, question: Question, query: _Query) -> None:
        with self._lock:
            if self._queries.get(question) is query:
                del self._queries[question]
            if query.answer:
                self._answers.pop(question, None)  # the dictionary is in order of age
                self._answers[question] = monotonic(), query.answer
            while len(self._answers) > limits.RESOLVER_ENTRIES:
                del self._answers[next(iter(self._answers))]


def _wait_for(query: _Query, until: float | None) -> None:
    while True:
        left = None if until is None else max(0.0, until - monotonic())
        if sys.implementation.name == 'cpython' or query.hub is get_hub():
            return query.join(left)
        # Where threads end silently, so do their fibers.
        patience = _PATIENCE if left is None else min(left, _PATIENCE)
        try:
            return query.join(patience)
        except Timeout:
            threads.abandon_orphans()
            if not query.useful:
                return
            if patience == left:
                raise
