"""Which servers a secret of PostgreSQL is about: those its value names, and the one its tag `target` names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rotation.addresses import MAX_PORT, POSTGRES_SERVERS, ipv6, is_host, resource_of
from rotation.errors import Unusable
from rotation.formats import Value, read
from rotation.model import Job, SecretValue, Spec
from rotation.ports import RotatorDependencies
from rotation.rotators.postgres.session import Endpoint

DEFAULT_PORT = 5432

_TARGET = re.compile(r"(?P<host>\[[^\[\]/]*\]|[^:/\[\]]+)(?::(?P<port>[1-9][0-9]{0,4}))?(?:/(?P<dbname>[^/]+))?")
_NAME = "[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"  # "Resource naming rules", of a flexible server


@dataclass(frozen=True, slots=True)
class Servers:
    """consumers: where the value leads. changes: where the password is changed, and an administrator logs in.

    resource: the id, in lower case, of the flexible server where it is changed; then `changes` is empty.
    told: the tag `target` names where to change it, so that a pooler there is meant.
    """

    consumers: tuple[Endpoint, ...]
    changes: tuple[Endpoint, ...]
    resource: str | None
    dbname: str | None
    told: bool

    @property
    def targets(self) -> tuple[str, ...]:
        """As a policy permits them."""
        named = (*self.consumers, *self.changes, *([self.resource] if self.resource else []))
        return tuple(dict.fromkeys(str(one) for one in named))


def servers_of(spec: Spec, value: SecretValue) -> Servers:
    """Read from tags and value.

    Raises:
        Unusable: of what field, and why.
    """
    form = read_login(value, spec)
    consumers = tuple(_endpoint(host.name, host.port, "value") for host in form.hosts)
    if spec.target is None:
        if not consumers:
            raise Unusable(
                "the value names no host: set the tag target to HOST, HOST:PORT or a server's id", field="target"
            )
        return Servers(consumers, consumers, None, form.dbname, told=False)
    if spec.target.startswith("/"):
        return Servers(consumers, (), _resource(spec.target), form.dbname, told=True)
    found = _TARGET.fullmatch(spec.target)
    if found is None:
        raise Unusable(
            "the tag target is not HOST, HOST:PORT, HOST:PORT/DATABASE or a flexible server's id", field="target"
        )
    change = _endpoint(found["host"], int(found["port"]) if found["port"] else None, "target")
    return Servers(consumers, (change,), None, form.dbname or found["dbname"], told=True)


def read_login(value: SecretValue, spec: Spec) -> Value:
    """A value that a client of PostgreSQL can read.

    Raises:
        Unusable: it can't be read, leads elsewhere than it says, or is another service's.
    """
    form = read(value, spec.format)
    if form.name == "azure-storage":
        raise Unusable("the value is a connection string of Azure Storage, and none of PostgreSQL's", field="value")
    return form


async def change_endpoints(servers: Servers, services: RotatorDependencies) -> tuple[Endpoint, ...]:
    """Where to change the password; asks Azure where the tag names a flexible server's id."""
    if servers.resource is None:
        return servers.changes
    from rotation.rotators.postgres.flexible_server import resolve  # noqa: PLC0415  the SDK is imported when used

    server = await resolve(servers.resource, services)
    return (Endpoint(server.host, DEFAULT_PORT),)


def permitted_servers(job: Job, value: SecretValue) -> Servers | None:
    """The place of one of the secret's values; None where it leads to a server that this job did not ask for."""
    servers = servers_of(job.spec, value)
    return servers if set(servers.targets) <= set(job.access.targets) else None


def _endpoint(host: str, port: int | None, field: str) -> Endpoint:
    name = _canonical(host)
    if name is None:
        raise Unusable(
            f"{'the tag target' if field == 'target' else 'the value'} names a host that is no host name or address "
            "(a socket's folder is none: write localhost)",
            field=field,
        )
    if port is not None and not 0 < port <= MAX_PORT:
        raise Unusable(f"a port is between 1 and {MAX_PORT}", field=field)
    return Endpoint(name, port or DEFAULT_PORT)


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


def _resource(target: str) -> str:
    if resource_of(target, POSTGRES_SERVERS, _NAME) is None:
        raise Unusable(
            "the tag target is no id of a flexible server: /subscriptions/ID/resourceGroups/GROUP"
            "/providers/Microsoft.DBforPostgreSQL/flexibleServers/NAME",
            field="target",
        )
    return target.lower()
