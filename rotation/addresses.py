"""What names a place: host names and IP addresses, ports, GUIDs, ids of Azure resources. Once, for all that read them.

All here take a text as it is and say what it is; none folds its case but where it says so, and none asks anybody.
"""

import re
from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address, IPv6Address

MAX_PORT = 65535
LONGEST_HOST = 253  # RFC 1035, 2.3.4: the longest name
STORAGE_ACCOUNTS = "microsoft.storage/storageaccounts"
SITES, SLOTS = "microsoft.web/sites", "microsoft.web/sites/slots"
CONTAINER_APPS = "microsoft.app/containerapps"
AKS_CLUSTERS = "microsoft.containerservice/managedclusters"
POSTGRES_SERVERS = "microsoft.dbforpostgresql/flexibleservers"
MYSQL_SERVERS = "microsoft.dbformysql/flexibleservers"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# By the host of a cloud's resource manager, what the names of its servers end in: "Endpoints" of Azure, of Azure
# Government and of Azure operated by 21Vianet, in Microsoft's documentation of those clouds.
POSTGRES_SUFFIXES = {
    "management.azure.com": ".postgres.database.azure.com",
    "management.usgovcloudapi.net": ".postgres.database.usgovcloudapi.net",
    "management.chinacloudapi.cn": ".postgres.database.chinacloudapi.cn",
}
MYSQL_SUFFIXES = {host: suffix.replace("postgres", "mysql") for host, suffix in POSTGRES_SUFFIXES.items()}

# Likewise, of clusters' own APIs: "Outbound network and FQDN rules for AKS clusters" in the documentation of AKS.
AKS_SUFFIXES = {
    "management.azure.com": ".azmk8s.io",
    "management.usgovcloudapi.net": ".cx.aks.containerservice.azure.us",
    "management.chinacloudapi.cn": ".cx.prod.service.azk8s.cn",
}

# Texts, not compiled: a start, which reads the policy, compiles those alone that this policy needs.
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_SIX = r"[0-9A-Fa-f:.]{2,45}"
_GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_GUID_LENGTH = 36
# Each character can be matched in one way only, so that no id, however long, keeps the matching busy.
_ARM = r"(?:/[a-z0-9_.()-]+)+"
# "Resource naming rules": groups have no dot at their end. Nothing in an id may lead elsewhere: no "..", no encoding.
_IN_GROUP = rf"/subscriptions/{_GUID}/resourcegroups/(?!\.)(?:[a-z0-9_()-]|\.(?![./])){{1,90}}"


def port_number(text: str) -> int | None:
    """A port as it is written; None where it is no number from 1 to 65535. No sign, blank or zero before it."""
    well_formed = text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= len(str(MAX_PORT))
    return int(text) if well_formed and int(text) <= MAX_PORT else None


def is_host(text: str) -> bool:
    """Whether it is a DNS name or an IPv4 address that all resolvers take for the same."""
    if len(text) > LONGEST_HOST or not re.fullmatch(_HOST, text):
        return False
    return not ends_in_number(text) or is_ipv4(text)


def ends_in_number(text: str) -> bool:
    """Whether resolvers may take a host for an address: 127.1 and 0x7f.1 are names to some (URL Standard, the same)."""
    last = text.rpartition(".")[2].lower()
    if last.startswith("0x"):
        return not last[2:].strip("0123456789abcdef")
    return last.isascii() and last.isdigit()


def is_ipv4(text: str) -> bool:
    """Whether it is four numbers with dots, and none with a zero before it."""
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def ipv6(text: str) -> IPv6Address | None:
    """An address without brackets; None where it is none, or has a zone, which makes it another server elsewhere."""
    if not re.fullmatch(_SIX, text):
        return None
    try:
        return IPv6Address(text)
    except AddressValueError:
        return None


def is_guid(text: str) -> bool:
    """Whether it is one, in lower case."""
    return len(text) == _GUID_LENGTH and re.fullmatch(_GUID, text) is not None


def is_arm_id(text: str) -> bool:
    """Whether it is written as ids of Azure are, in lower case, with nothing in it that climbs out of a scope."""
    return ".." not in text and "." not in text.split("/") and re.fullmatch(_ARM, text) is not None


def resource_of(text: str, kind: str, name: str) -> str | None:
    """The name of a resource whose id this is; None where it is no such id.

    kind: its type, such as `STORAGE_ACCOUNTS`. name: a pattern. The id in any case, but in ASCII: the Kelvin sign and
    its like become ordinary letters in lower case.
    """
    found = names_in(text, kind, (name,))
    return found[0] if found else None


def names_in(text: str, kind: str, names: Sequence[str]) -> tuple[str, ...] | None:
    """As `resource_of`, of a resource that may be within others: the names of all of them, the outermost first.

    kind: its type, such as "microsoft.servicebus/namespaces/queues". names: a pattern, without groups, for each.
    """
    if not text.isascii():
        return None
    provider, *types = kind.split("/")
    path = "".join(f"/{re.escape(one)}/({name})" for one, name in zip(types, names, strict=True))
    found = re.fullmatch(rf"{_IN_GROUP}/providers/{re.escape(provider)}{path}", text.lower())
    return found.groups() if found and ".." not in text else None


def outermost(resource_id: str) -> str:
    """The id of the resource that a resource is within, or its own."""
    return "/".join(resource_id.split("/")[:9])


def type_of(resource_id: str) -> str:
    """Such as "microsoft.storage/storageaccounts", of an id in lower case; of what is within one, the path of types."""
    provider, *path = resource_id.split("/")[6:] or [""]
    return "/".join([provider, *path[::2]])


def group_of(resource_id: str) -> str:
    """The id of the resource group that a resource or a scope is in."""
    return "/".join(resource_id.split("/")[:5])


def may_hold(scope: str, kind: str) -> bool:
    """Whether resources of a type can be below a scope, which may go on below its resource group."""
    below = scope.removeprefix(group_of(scope)).removeprefix("/providers").strip("/")
    return f"{kind}/".startswith(f"{below}/" if below else "")
