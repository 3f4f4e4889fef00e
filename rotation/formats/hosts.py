"""Hosts and ports as they may stand in a value: what every driver takes for the same server, or nothing."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address
from typing import TypeVar

from rotation.addresses import MAX_PORT, ipv6, is_host, port_number
from rotation.formats.value import Host, NotUnderstood

_One = TypeVar("_One")

MAX_HOSTS = 16
DEFAULT_PORT = 5432


def port_of(text: str) -> int | None:
    """A port as written, or None where there is none.

    Raises:
        Unusable: it is no number that a port can be. Signs, blanks, zeros before it: drivers differ about them.
    """
    if not text:
        return None
    port = port_number(text)
    if port is None:
        raise NotUnderstood(f"a port in the value is no number between 1 and {MAX_PORT}")
    return port


def name_of(text: str) -> str:
    """A host's name, or its address (IPv6 without brackets), as it is written.

    Raises:
        Unusable: it is none.
    """
    if not is_host(text) and not is_ipv6(text):
        raise NotUnderstood(
            "the value names a host that is no host name or address (a socket's folder is none: write localhost)"
        )
    return text


def is_ipv6(text: str) -> bool:
    """Without a zone, and without an IPv4 address in it (which some drivers write in another way)."""
    return "." not in text and ipv6(text) is not None


def written_hosts(text: str, *, port: str = "", bare_six: bool = False) -> tuple[Host, ...]:
    """Comma-separated `name`, `name:port`, `[address]` or `[address]:port`.

    `port` counts for those that have none. bare_six: an IPv6 address may stand without brackets (and then has no port).

    Raises:
        Unusable: one is empty, or can't be read; or there are too many.
    """
    if not text:
        return ()
    return _few(_written_host(one, port, bare_six=bare_six) for one in _distinct(text.split(",")))


def _written_host(text: str, port: str, *, bare_six: bool) -> Host:
    if bare_six and is_ipv6(text):
        return Host(text, port_of(port))
    if text.startswith("["):
        name, closed, rest = text[1:].partition("]")
        if not closed or not is_ipv6(name) or (rest and not rest.startswith(":")):
            raise NotUnderstood("an address in brackets in the value can't be read")
        own, has_own = rest[1:], bool(rest)
    else:
        name, colon, own = text.partition(":")
        has_own = bool(colon)
        if ":" in own:
            raise NotUnderstood("a host of the value has two ports, or is an IPv6 address without [brackets]")
        name_of(name)
    if has_own and not own:
        raise NotUnderstood("a host of the value is followed by : and no port")
    if has_own and port:
        raise NotUnderstood("the value says a host's port twice: once after the host, once by itself; take one out")
    return Host(name, port_of(own or port))


def listed_hosts(names: str, ports: str = "") -> tuple[Host, ...]:
    """Comma-separated hosts with their comma-separated ports; one port serves all hosts, as in libpq.

    Raises:
        Unusable: there are neither as many ports as hosts, nor one; or one is empty or can't be read.
    """
    if not names:
        if ports:
            raise NotUnderstood("the value has a port and no host")
        return ()
    listed, given = names.split(","), ports.split(",")
    if len(given) == 1:
        given = given * len(listed)
    elif "" in given:
        raise NotUnderstood("a port in the list of the value's ports is empty: write each, or one for all")
    if len(given) != len(listed):
        raise NotUnderstood("the value has another number of ports than of hosts")
    pairs = _distinct(list(zip(listed, given, strict=True)))
    return _few(Host(name_of(name), port_of(port)) for name, port in pairs)


def same_servers(ours: Iterable[Host], theirs: Iterable[Host]) -> bool:
    """Whether both name the same servers and ports, in any order."""
    return {_key(one) for one in ours} == {_key(one) for one in theirs}


def server_of(host: Host) -> str:
    """`host:port` in one spelling, as targets have it."""
    name, port = _key(host)
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _distinct(found: list[_One]) -> list[_One]:
    kept = list({str(one).lower(): one for one in reversed(found)}.values())[::-1]
    if len(kept) > MAX_HOSTS:  # before each is looked at, which takes its time
        raise NotUnderstood(f"the value names more than {MAX_HOSTS} hosts")
    return kept


def _few(hosts: Iterable[Host]) -> tuple[Host, ...]:
    kept: dict[tuple[str, int], Host] = {}
    for host in hosts:
        kept.setdefault(_key(host), host)
    return tuple(kept.values())


def _key(host: Host) -> tuple[str, int]:
    name = str(IPv6Address(host.name)) if ":" in host.name else host.name.lower()
    return name, host.port or DEFAULT_PORT
