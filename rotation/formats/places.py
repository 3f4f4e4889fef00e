"""Where values lead, written as targets are, so that the one can be held against the other."""

from __future__ import annotations

from rotation.addresses import STORAGE_ACCOUNTS, resource_of
from rotation.formats.hosts import server_of
from rotation.formats.value import Value

_ACCOUNT = "[a-z0-9]{3,24}"


def places_of(value: Value) -> frozenset[str]:
    """Every server of a value, nested ones included, as `host:port`; or its storage account, wherever that answers."""
    if value.name == "azure-storage":
        return frozenset({f"{STORAGE_ACCOUNTS}/{value.user}"})
    hosts = {server_of(host) for host in value.hosts}
    return frozenset(hosts).union(*(places_of(one.value) for one in value.nested))


def place_of(target: str) -> str:
    """A requested target (`model.RequestedAccess`) as `places_of` has it."""
    account = resource_of(target, STORAGE_ACCOUNTS, _ACCOUNT)
    return f"{STORAGE_ACCOUNTS}/{account}" if account is not None else target.lower()
