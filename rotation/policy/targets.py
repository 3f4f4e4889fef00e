"""Where a rule lets credentials be sent: exact hosts, exact Azure resources, scopes of resources, Entra applications.

Never a glob over host names. `orders-*.postgres.database.azure.com` looks like "our servers", but it is a global name
space: anybody can own `orders-evil` in it and be handed a password over perfectly valid TLS.
"""

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

from rotation.addresses import (
    MYSQL_SUFFIXES,
    POSTGRES_SUFFIXES,
    ends_in_number,
    ipv6,
    is_arm_id,
    is_guid,
    is_host,
    is_ipv4,
    port_number,
)
from rotation.frozen import Frozen

POSTGRES_PORTS = frozenset({5432, 6432})  # the server's own, and PgBouncer's: what a bare host name permits

# Texts, not compiled: the start, which reads the policy, compiles those alone that this policy needs.
_WITH_PORT = r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}|\*))?"
_IN_GROUP = r"/subscriptions/[^/]+/resourcegroups/[^/]+(?:/.*)?"


class HostTarget(Frozen):
    """One exact host, and the ports on it; None: any port."""

    name: str
    ports: frozenset[int] | None

    @property
    def loopback(self) -> bool:
        """Whether this is the machine itself, where nobody else can answer."""
        if is_ipv4(self.name):
            return IPv4Address(self.name).is_loopback
        return self.name in {"localhost", "[::1]"}

    @property
    def azures(self) -> bool:
        """Whether only Azure's own servers of PostgreSQL or MySQL can answer to the name."""
        return self.name.endswith((*POSTGRES_SUFFIXES.values(), *MYSQL_SUFFIXES.values()))

    def permits(self, claimed: str) -> bool:
        form = re.fullmatch(_WITH_PORT, claimed)
        if form is None:
            return False
        port = port_number(form["port"] or "")
        return form["host"] == self.name and port is not None and (self.ports is None or port in self.ports)


class Resource(Frozen):
    """One Azure resource by its id."""

    id: str

    def permits(self, claimed: str) -> bool:
        return claimed == self.id


class Scope(Frozen):
    """Everything below an id, which is without the final `/*`; at least a resource group."""

    id: str

    def permits(self, claimed: str) -> bool:
        return is_arm_id(claimed) and claimed.startswith(self.id + "/")


class Application(Frozen):
    """An Entra application by its object id."""

    id: str

    def permits(self, claimed: str) -> bool:
        return claimed == self.id


Target = HostTarget | Resource | Scope | Application


def permitted(targets: tuple[Target, ...], claimed: str) -> bool:
    """Whether a claimed target (see `model.Claim`) is one of those listed. Case does not matter, all else does."""
    # Only ASCII is folded: the Kelvin sign and its like become ordinary letters in lower case.
    if not claimed.isascii():
        return False
    folded = _one_spelling(claimed.lower())
    return any(target.permits(folded) for target in targets)


def repeated(targets: Sequence[Target]) -> Iterator[tuple[int, str]]:
    """The index of each target that another before it says already, and by what name; only where that is certain.

    This machine's names (localhost, 127.0.0.1, [::1]) may be side by side, since the values of one machine write now
    one, now the other. So may a flexible server's id and its host name: a secret whose tag `target` is the id names its
    host as well, and must be permitted both.
    """
    seen: dict[Target | str, list[Target]] = {}
    for index, target in enumerate(targets):
        same = seen.setdefault(_server(target.name) if isinstance(target, HostTarget) else target, [])
        for other in same:
            if _share_a_port(_ports(target), _ports(other)):
                yield index, other.name if isinstance(other, HostTarget) else other.id
                break
        same.append(target)


def _ports(target: Target) -> frozenset[int] | None:
    """None: any, or no port tells one from another."""
    return target.ports if isinstance(target, HostTarget) else None


def _share_a_port(one: frozenset[int] | None, other: frozenset[int] | None) -> bool:
    return one is None or other is None or not one.isdisjoint(other)


def _server(host: str) -> str:
    """An IPv4 address written as IPv6 ("[::ffff:192.0.2.7]", RFC 4291, 2.5.5.2) is the same server."""
    mapped = IPv6Address(host[1:-1]).ipv4_mapped if host.startswith("[") else None
    return str(mapped or host)


def _one_spelling(claimed: str) -> str:
    """An IPv6 address has many spellings, all of them the same server; anything else is left as it is."""
    form = re.fullmatch(_WITH_PORT, claimed)
    if form is None or not form["host"].startswith("["):
        return claimed
    try:
        return f"{_exact_host(form['host'])}:{form['port']}"
    except ValueError:
        return claimed


def parse_target(text: str, ports: frozenset[int] = POSTGRES_PORTS) -> Target:
    """A target of a rule. ports: those that a host permits where it names none.

    Raises:
        ValueError: its one line says what is wrong and how to write it.
    """
    if not text.isascii() or not text.isprintable() or text != text.strip():
        raise ValueError("a target is plain ASCII without spaces; write an international name in its xn-- form")
    folded = text.lower()
    if folded.startswith("/"):
        return _parse_arm(folded)
    if is_guid(folded):
        return Application(folded)
    return _parse_host(folded, ports)


def _parse_arm(folded: str) -> Resource | Scope:
    scope = folded.endswith("/*")
    resource_id = folded.removesuffix("/*")
    if "*" in resource_id or folded == "/*":
        raise ValueError('`*` means only everything below a scope: end the id with "/*"')
    if not is_arm_id(resource_id):
        raise ValueError('this is no Azure resource id; copy it from "Resource ID" in the portal')
    if not re.fullmatch(_IN_GROUP, resource_id):
        raise ValueError("name a subscription and a resource group: /subscriptions/ID/resourceGroups/NAME/...")
    if scope:
        return Scope(resource_id)
    if "/providers/" not in resource_id:
        raise ValueError('this names a resource group, not a resource; end it with "/*" for everything in it')
    return Resource(resource_id)


def _parse_host(folded: str, ports: frozenset[int]) -> HostTarget:
    form = re.fullmatch(_WITH_PORT, folded)
    if form is None or (form["port"] not in {None, "*"} and port_number(form["port"]) is None):
        raise ValueError("write a target as host, host:port, [ipv6]:port or host:*")
    if "*" in form["host"] or "?" in form["host"]:
        raise ValueError(
            "host names take no glob: they are a global name space, in which anybody can own a name that matches; "
            "list each host"
        )
    name = _exact_host(form["host"])
    if form["port"] == "*":
        return HostTarget(name, None)
    if form["port"] is not None:
        return HostTarget(name, frozenset({int(form["port"])}))
    bare = HostTarget(name, None)  # on this machine nobody else can answer, whatever the port
    return bare if bare.loopback else HostTarget(name, ports)


def _exact_host(host: str) -> str:
    """A host as claims write it.

    Raises:
        ValueError: it is neither a DNS name nor an IP address.
    """
    if host.startswith("["):
        address = ipv6(host[1:-1])
        if address is not None:
            return f"[{address}]"
    elif is_ipv4(host):
        return host
    if host.startswith("[") or ends_in_number(host):
        raise ValueError("this is no IP address; write 192.0.2.7 or [2001:db8::7]:5432")
    if not is_host(host):
        raise ValueError("this is no host name; write it as db.example.com, without scheme, path or final dot")
    return host
