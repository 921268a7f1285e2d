"""Addresses: as text, and looking up names."""

from __future__ import annotations

import socket
from typing import Any, NamedTuple, Union

from . import limits
from .errors import Error, ResolverError, check_timeout
from .hostnames import ascii_name
from .hub import switchpoint
from .lookups import Question
from .resolver import get_lookups

# The name of a Unix socket (abstract with a leading NUL), or (host, port[, flow, scope]).
Address = Union[str, bytes, tuple[Any, ...]]


class AddressInfo(NamedTuple):
    """One result of ``getaddrinfo()``."""

    family: int
    socktype: int
    proto: int
    canonname: str
    sockaddr: tuple[Any, ...]


def saddr(address: Address) -> str:
    """Return *address* as text: a Unix name as it is, ``host:port`` or ``[host]:port``.

    :raises TypeError: it is no address.
    """
    if isinstance(address, bytes):
        return address.decode('utf-8', 'surrogateescape')
    if isinstance(address, str):
        return address
    if not isinstance(address, tuple) or len(address) not in (2, 4):
        raise TypeError(f'need a name or (host, port), not {address!r}')
    host, port = address[:2]
    return f'[{host}]:{port}' if host and ':' in str(host) else f'{host}:{port}'


def paddr(text: str) -> Union[str, tuple[str, int]]:
    """Return the address that *text* means; the inverse of ``saddr()``.

    What begins with a slash or a NUL is the name of a Unix socket, and so is what has no colon.

    :raises TypeError: *text* is no string.
    :raises ValueError: the port is no number, or a bracket is not closed.
    """
    if not isinstance(text, str):
        raise TypeError(f'need a string, not {type(text).__name__}')
    if text.startswith(('/', '\0')):
        return text
    if text.startswith('['):
        host, found, port = text[1:].partition(']:')
        if not found:
            raise ValueError(f"no ']:' in {text!r}")
    elif ':' in text:
        host, _, port = text.partition(':')
    else:
        return text
    if not (port.isascii() and port.isdigit()):
        raise ValueError(f'the port in {text!r} is no number')
    return host, int(port)


def check_ip(address: tuple[Any, ...]) -> None:
    """Raise TypeError unless *address* is ``(host, port)``, or one of IPv6 with flow and scope."""
    if not isinstance(address, tuple) or len(address) not in (2, 4):
        raise TypeError(f'need (host, port), not {address!r}')
    host, *numbers = address
    if not (host is None or isinstance(host, (str, bytes))):
        raise TypeError(f'need a host that is a string, not {host!r}')
    for number in numbers:
        _check_port(number)


def _check_port(port: Any) -> None:
    if isinstance(port, bool) or not (port is None or isinstance(port, (int, str, bytes))):
        raise TypeError(f'need a port that is a number or a name, not {port!r}')


@switchpoint
def getaddrinfo(
    node: str | bytes | None,
    service: str | bytes | int | None = 0,
    family: int = 0,
    socktype: int = 0,
    protocol: int = 0,
    flags: int = 0,
    timeout: float | None = limits.RESOLVER_TIMEOUT,
    max_age: float | None = None,
) -> list[AddressInfo]:
    """Look up *node* and *service*, as the system's getaddrinfo(3) does.

    Numeric hosts and ports need no resolver, and are there at once. The service may be a name or a
    number. Returns at least one result, which may be *max_age* seconds old, by default
    ``limits.RESOLVER_MAX_AGE``; who asks what is being asked already waits for the same answer.
    Errors are not kept.

    :raises ResolverError: there is no such name or service.
    :raises Timeout: there was no answer within *timeout* seconds.
    :raises ValueError: *service* is a number, but no port.
    """
    node = _encoded(node)
    _check_port(service)
    number = int(service or 0) if isinstance(service, int) or _is_number(service) else 0
    if not 0 <= number <= 65535:
        # The system would take it modulo 65536.
        raise ValueError(f'need a port of 0 to 65535, not {number}')
    rest = (family, socktype, protocol)
    found: Any
    try:
        numeric = flags | socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        found = socket.getaddrinfo(node, service, *rest, numeric)
    except (OSError, ValueError, OverflowError):
        question = ('getaddrinfo', node, service, *rest, flags)
        doing = f'look up {_show(node, service)}'
        found = _ask(question, doing, timeout, max_age)
        if not found:
            raise ResolverError(f'could not {doing}: there is no address') from None
    return [AddressInfo(*entry) for entry in found]


@switchpoint
def getnameinfo(
    sockaddr: tuple[Any, ...],
    flags: int = 0,
    timeout: float | None = limits.RESOLVER_TIMEOUT,
    max_age: float | None = None,
) -> tuple[str, str]:
    """Return the name of the host and of the service at *sockaddr*, as getnameinfo(3) does.

    The answer may be *max_age* seconds old, as that of ``getaddrinfo()``.

    :raises ResolverError: there is none, or *sockaddr* is no address.
    :raises Timeout: there was no answer within *timeout* seconds.
    """
    doing = f'look up the name of {saddr(sockaddr)}'
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    if flags & numeric != numeric:
        host, service = _ask(('getnameinfo', sockaddr, flags), doing, timeout, max_age)
        return host, service
    try:
        return socket.getnameinfo(sockaddr, flags)
    except OSError as error:
        raise ResolverError.from_gaierror(error, doing) from None


def forget_address(
    node: str | bytes | None,
    service: str | bytes | int | None,
    family: int = 0,
    socktype: int = 0,
    protocol: int = 0,
    flags: int = 0,
) -> None:
    """Have ``getaddrinfo()`` ask again: what it has returned for the same is of no use."""
    get_lookups().forget(
        ('getaddrinfo', _encoded(node), service, family, socktype, protocol, flags)
    )


def _encoded(node: str | bytes | None) -> str | bytes | None:
    """Return *node* in ASCII, as the same name is asked for by TLS.

    :raises ResolverError: it is no name.
    """
    try:
        return ascii_name(node) if isinstance(node, str) else node
    except ValueError as error:
        raise ResolverError(f'could not look up {node!r}: {error}') from None


def _is_number(service: str | bytes | None) -> bool:
    return service is not None and service.isdigit() and service.isascii()


def _show(node: str | bytes | None, service: str | bytes | int | None) -> str:
    if node is None:
        return f'service {service!r}'
    return f'{node!r}' if service in (0, None) else f'{node!r} with service {service!r}'


def _ask(
    question: Question, doing: str, timeout: float | None, max_age: float | None
) -> tuple[Any, ...]:
    check_timeout(timeout)
    age = limits.RESOLVER_MAX_AGE if max_age is None else max_age
    try:
        return get_lookups().ask(question, doing, timeout, age)
    except Error:
        raise  # it says what it could not do
    except OSError as error:
        raise ResolverError.from_gaierror(error, doing) from None
