"""Which servers a database's secret is about: those its value names, and the one its tag `target` names."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from rotation.addresses import MAX_PORT, ipv6, is_host
from rotation.errors import Unusable
from rotation.model import Job, SecretValue, Spec
from rotation.rotators.databases.database import Database, Endpoint

_TARGET = re.compile(r"(?P<host>\[[^\[\]/]*\]|[^:/\[\]]+)(?::(?P<port>[1-9][0-9]{0,4}))?(?:/(?P<dbname>[^/]+))?")


@dataclass(frozen=True, slots=True)
class Servers:
    """consumers: where the value leads. changes: where the password is changed, and an administrator logs in.

    resource: the id, in lower case, of the server in Azure where it is changed; then `changes` is empty.
    by_tag: the tag `target` names where to change it, so that a pooler there is meant.
    """

    consumers: tuple[Endpoint, ...]
    changes: tuple[Endpoint, ...]
    resource: str | None
    dbname: str | None
    by_tag: bool

    @property
    def targets(self) -> tuple[str, ...]:
        """As a policy permits them."""
        named = (*self.consumers, *self.changes, *([self.resource] if self.resource else []))
        return tuple(dict.fromkeys(str(one) for one in named))


def servers_of(spec: Spec, value: SecretValue, database: Database) -> Servers:
    """Read from tags and value.

    Raises:
        Unusable: of what field, and why.
    """
    form = database.read_login(value, spec)
    consumers = tuple(written_endpoint(host.name, host.port, "value", database.default_port) for host in form.hosts)
    if spec.target is None:
        if not consumers:
            raise Unusable(
                "the value names no host: set the tag target to HOST, HOST:PORT or a server's id", field="target"
            )
        return Servers(consumers, consumers, None, form.dbname, by_tag=False)
    if spec.target.startswith("/"):
        return Servers(consumers, (), database.resource(spec.target), form.dbname, by_tag=True)
    found = _TARGET.fullmatch(spec.target)
    if found is None:
        raise Unusable("the tag target is not HOST, HOST:PORT, HOST:PORT/DATABASE or a server's id", field="target")
    port = int(found["port"]) if found["port"] else None
    change = written_endpoint(found["host"], port, "target", database.default_port)
    change = replace(change, for_changes=True)
    return Servers(consumers, (change,), None, form.dbname or found["dbname"], by_tag=True)


def permitted_servers(job: Job, value: SecretValue, database: Database) -> Servers | None:
    """The servers of one of the secret's values; None where it leads to one that this job did not ask for."""
    servers = servers_of(job.spec, value, database)
    return servers if set(servers.targets) <= set(job.access.targets) else None


async def change_endpoints(servers: Servers, database: Database) -> tuple[Endpoint, ...]:
    """Where to change the password; asks Azure where the tag names a server's id."""
    return servers.changes if servers.resource is None else (await database.endpoint_of(servers.resource),)


def target_endpoint(text: str, default_port: int) -> Endpoint:
    """A tag `target` that is HOST or HOST:PORT.

    Raises:
        Unusable: it is neither.
    """
    found = _TARGET.fullmatch(text)
    if found is None or found["dbname"] is not None:
        raise Unusable("the tag target is not HOST or HOST:PORT", field="target")
    port = int(found["port"]) if found["port"] else None
    return written_endpoint(found["host"], port, "target", default_port)


def written_endpoint(host: str, port: int | None, field: str, default_port: int) -> Endpoint:
    """A server as it is connected to and permitted. field: where it is written, "value" or "target".

    Raises:
        Unusable: it is no host name or address, or no port.
    """
    name = _canonical(host)
    if name is None:
        raise Unusable(
            f"{'the tag target' if field == 'target' else 'the value'} names a host that is no host name or address "
            "(a socket's folder is none: write localhost)",
            field=field,
        )
    if port is not None and not 0 < port <= MAX_PORT:
        raise Unusable(f"a port is between 1 and {MAX_PORT}", field=field)
    return Endpoint(name, port or default_port)


def _canonical(host: str) -> str | None:
    """As it is connected to and permitted: lower case, and IPv6, which has many spellings, in its shortest one."""
    # Before anything is folded: the Kelvin sign and its like become ordinary letters in lower case.
    if not host.isascii():
        return None
    folded = host.lower().removeprefix("[").removesuffix("]")
    if ":" not in folded:
        return folded if is_host(folded) else None
    address = ipv6(folded)
    return str(address) if address is not None else None
