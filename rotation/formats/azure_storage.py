"""Connection strings of Azure Storage: DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…;EndpointSuffix=….

Sources: Microsoft Learn, "Configure Azure Storage connection strings"; the readers of azure-storage-blob (Python,
Node) and Azure.Storage.Blobs (.NET), which differ about repeated and unknown keywords.
"""

from __future__ import annotations

import re

from rotation.formats.value import Host, NotUnderstood, Span, Value
from rotation.model import SecretValue

SUFFIXES = ("core.windows.net", "core.usgovcloudapi.net", "core.chinacloudapi.cn", "core.cloudapi.de")
SERVICES = ("blob", "queue", "table", "file", "dfs", "web")

_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_KEY = re.compile(r"[A-Za-z0-9+/]{4,}={0,2}")
_ENDPOINT = re.compile(
    r"https?://(?P<account>[a-z0-9]{3,24})(?P<secondary>-secondary)?\.(?P<service>[a-z]+)\.(?P<suffix>[a-z.]+)/?"
)
_ENDPOINTS = {
    f"{service}{kind}endpoint": (service, bool(kind)) for service in SERVICES[:4] for kind in ("", "secondary")
}
_KNOWN = frozenset({"defaultendpointsprotocol", "accountname", "accountkey", "endpointsuffix", *_ENDPOINTS})


def _as_it_is(text: str) -> str:
    return text


def read(text: str, *, alone: bool = True) -> Value:  # noqa: ARG001  it has no meaning without its key
    """Read a connection string. Its host is that of the account's blob service; its user is the account.

    Raises:
        Unusable: it is none with an account's key, or leads elsewhere than to its own account in an Azure cloud.
    """
    found, places = _read(text)
    account, key = found.get("accountname", ""), found.get("accountkey", "")
    if _ACCOUNT.fullmatch(account) is None:
        raise NotUnderstood("AccountName is no name of a storage account: 3 to 24 small letters and digits")
    if _KEY.fullmatch(key) is None:
        raise NotUnderstood("AccountKey is no key of a storage account, which is base64 without quotes")
    if found.get("defaultendpointsprotocol", "https") not in {"https", "http"}:
        raise NotUnderstood("DefaultEndpointsProtocol is neither https nor http")
    suffix = found.get("endpointsuffix", SUFFIXES[0])
    if suffix not in SUFFIXES:
        raise NotUnderstood(f"EndpointSuffix is none of {', '.join(SUFFIXES)}")
    for name, endpoint in found.items():
        if name in _ENDPOINTS:
            _check_endpoint(name, endpoint, account, found)
    return Value(
        "azure-storage",
        SecretValue(text),
        SecretValue(key),
        user=account,
        hosts=(Host(_blob_host(found, account, suffix), None),),
        options={name: one for name, one in found.items() if name not in {"accountname", "accountkey"}},
        password_places=(places["accountkey"],),
        user_places=(places["accountname"],),
    )


def _read(text: str) -> tuple[dict[str, str], dict[str, Span]]:
    found: dict[str, str] = {}
    places: dict[str, Span] = {}
    position = 0
    for pair in text.removesuffix(";").split(";"):
        key, equals, value = pair.partition("=")
        name = key.lower()
        if not equals or not value or not pair.isascii() or any(mark.isspace() for mark in pair):
            raise NotUnderstood(
                "the storage connection string is not of the form Keyword=value;Keyword=value without blanks"
            )
        if name not in _KNOWN:
            raise NotUnderstood(
                "the storage connection string has a keyword besides an account, its key and its endpoints"
            )
        if name in found:
            raise NotUnderstood(f"the storage connection string has its {name} twice: take one out")
        start = position + len(key) + 1
        found[name], places[name] = value, Span(start, start + len(value), _as_it_is)
        position += len(pair) + 1
    return found, places


def _check_endpoint(name: str, endpoint: str, account: str, found: dict[str, str]) -> None:
    service, secondary = _ENDPOINTS[name]
    read_as = _ENDPOINT.fullmatch(endpoint)
    if (
        read_as is None
        or read_as["account"] != account
        or read_as["service"] != service
        or read_as["suffix"] not in SUFFIXES
        or bool(read_as["secondary"]) != secondary
    ):
        raise NotUnderstood(f"{name} leads to another place than the account's own {service} service in an Azure cloud")
    if secondary and f"{service}endpoint" not in found:
        raise NotUnderstood(f"{name} is there without the endpoint that it is the second of")


def _blob_host(found: dict[str, str], account: str, suffix: str) -> str:
    written = _ENDPOINT.fullmatch(found.get("blobendpoint", ""))
    return f"{account}.blob.{written['suffix'] if written else suffix}"
