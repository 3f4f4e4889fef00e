"""The value of a secret that holds a storage account's key: the key alone, or what names the account beside it.

A consumer believes the value, so what is beside the key must be the account's own: `AccountName=app@evil.example/`
leads a Blob client to evil.example. And what is no key must not be taken for one: it would be replaced whole.
"Configure Azure Storage connection strings" and "Storage account overview" on Microsoft Learn name the settings and the
endpoints; the clients split a string at each ";" and a setting at its first "=", and know no quotes.
"""

from __future__ import annotations

import re

from rotation.errors import Unusable
from rotation.formats import Value, read, read_for_azure
from rotation.model import SecretValue, Spec
from rotation.rotators.leaves import leaves, plain_name, readings

_KEY = re.compile(r"[A-Za-z0-9+/]{86}==")  # 512 bits: "Manage storage account access keys"
_PROBE = "A" * 86 + "=="
_SUFFIXES = ("core.windows.net", "core.usgovcloudapi.net", "core.chinacloudapi.cn")
_ENDPOINT = re.compile(
    r"https?://(?P<account>[a-z0-9]+)(?:-(?:secondary|internetrouting|microsoftrouting))?"
    r"\.(?:privatelink\.|z\d{1,2}\.)?(?:blob|queue|table|file|dfs|web)"
    rf"\.(?:{'|'.join(map(re.escape, (*_SUFFIXES, 'storage.azure.net')))})(?::443|:80)?/*",
    re.IGNORECASE | re.ASCII,
)
_ADDRESS = re.compile(
    r"\w*endpoint|(?:azure)?(?:storage|account|service|primary|secondary|blob|queue|table|file|dfs)\w*(?:url|uri)"
)
_ACCOUNT = frozenset(
    {"accountname", "storageaccount", "storageaccountname", "azurestorageaccount", "azurestorageaccountname"}
)
_PROTOCOL = frozenset({"defaultendpointsprotocol", "endpointsprotocol"})
_HOST = frozenset({"host", "hostname", "server", "fqdn"})
_EMULATOR = frozenset({"usedevelopmentstorage", "developmentstorageproxyuri"})
_SIGNED = re.compile(r"(?:^|[?&;])sig=", re.IGNORECASE)


def read_key(value: SecretValue, spec: Spec, account: str) -> Value:
    """The value of a secret for `account`'s key, which is its password.

    Raises:
        Unusable: it holds no key, another one beside it, or something that is not the account's own.
    """
    text = value.reveal()
    if spec.format in {None, "plain"} and _KEY.fullmatch(text):
        return read(value, "plain")
    found = read_for_azure(value, spec.format)
    if found.name == "plain" or _KEY.fullmatch(found.password.reveal()) is None:
        raise Unusable(
            "the value is no storage key (86 characters of base64 and ==), nor a connection string or JSON with one: "
            "write one of these",
            field="value",
        )
    if found.user is not None and found.user != account:
        raise _not_the_account()
    for name, leaf in leaves(text):
        _check(name, leaf, account)
    for _, leaf in leaves(found.with_login(SecretValue(_PROBE)).reveal()):
        if any(key != _PROBE for reading in readings(leaf) for key in _KEY.findall(reading)):
            raise Unusable(
                "the value holds a second storage key, or a second copy, that would stay as it is: leave one",
                field="value",
            )
    return found


def _check(name: str, leaf: str, account: str) -> None:
    """One string of the value: by itself, and, where it is a connection string, by its settings."""
    if _SIGNED.search(leaf):
        raise _signed()
    settings = _settings(leaf)
    if settings is None:
        _check_setting(name, leaf, account)
        return
    names = [setting for setting, _ in settings]
    if "sharedaccesssignature" in names:
        raise _signed()
    if not (leaf.isascii() and leaf.strip().isprintable()):
        raise Unusable("the value's connection string holds a line break or a foreign sign: take it out", field="value")
    if len(set(names)) != len(names):
        raise Unusable("a setting is twice in the value's connection string: leave one", field="value")
    if "accountkey" in names and "accountname" not in names:
        raise _not_the_account()
    for setting, text in settings:
        _check_setting(setting, text, account)


def _settings(leaf: str) -> list[tuple[str, str]] | None:
    """Of a connection string of storage, as its clients read it; None where it is none."""
    pairs = [part.partition("=") for part in leaf.split(";") if part.strip()]
    named = [(plain_name(name), text.strip()) for name, equals, text in pairs if equals]
    if not {"accountname", "accountkey", "sharedaccesssignature", *_EMULATOR} & {name for name, _ in named}:
        return None
    return named


def _check_setting(name: str, text: str, account: str) -> None:
    if name in _EMULATOR:
        raise Unusable("the value is for the storage emulator: write one for the account", field="value")
    if name in _ACCOUNT and text != account:
        raise _not_the_account()
    if name in _PROTOCOL and text.lower() not in {"http", "https"}:
        raise _leads_elsewhere()
    if name == "endpointsuffix" and text.lower() not in _SUFFIXES:
        raise _leads_elsewhere()
    if name in _HOST and not _is_owned(f"https://{text}", account):
        raise _leads_elsewhere()
    if _ADDRESS.fullmatch(name) and not _is_owned(text, account):
        raise _leads_elsewhere()


def _is_owned(address: str, account: str) -> bool:
    endpoint = _ENDPOINT.fullmatch(address)
    return endpoint is not None and endpoint["account"].lower() == account


def _not_the_account() -> Unusable:
    return Unusable("the value's AccountName is not the account of the tag target", field="value")


def _leads_elsewhere() -> Unusable:
    return Unusable(
        "an endpoint in the value is not one of the account's own, so a consumer would send its requests elsewhere: "
        "correct it",
        field="value",
    )


def _signed() -> Unusable:
    return Unusable(
        "the value holds a shared access signature, which ends with the key that signed it: keep it in another secret",
        field="value",
    )
