"""Azure's SDKs: clients that live long and sign with the newest key. `pip install "keyturn[storage,servicebus]"`.

    ServiceBusClient("ns.servicebus.windows.net", RotatingNamedKey(orders_bus))
    BlobServiceClient("https://acc.blob.core.windows.net", RotatingSas(reports_sas))
    storage_client(BlobServiceClient, orders_storage)

These credentials are asked for each token or each request, so nobody has to call `update`: they do. The clients of
azure-storage copy an `AzureNamedKeyCredential` when they are made (`_format_shared_key_credential` in their
`_shared/base_client.py`) and never look at it again; `storage_client` makes one that signs anew.

A key that is rotated works on until its grace period is over, long after the secret is looked at again; so nothing is
refused, and nothing tried again. Both kinds of client, asyncio's too, take a `RotatingSecret`: its value is read first
where the client is made, and then in a thread of its own.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from azure.core.credentials import AzureNamedKey, AzureNamedKeyCredential, AzureSasCredential

from keyturn.held import Held
from keyturn.logins import not_usable
from keyturn.secret import RotatingSecret

C = TypeVar("C")
_SIGNED = re.compile(r"(?:^|[?&\s])sig=")
_KEY = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")


class RotatingNamedKey(AzureNamedKeyCredential):
    """For Service Bus, Event Hubs and Tables: a named key that is the newest one whenever it is used.

    The secret's value is a connection string (with `SharedAccessKeyName` or `AccountName`), or the key alone: then
    `name` is the key's name.

    Raises, also when it is used: NotUsable: the value is neither. NotReadable, VaultAway: no value is known.
    """

    def __init__(self, secret: RotatingSecret, name: str | None = None) -> None:
        self._secret, self._name = secret, name
        super().__init__(*_named_key(Held(secret.value), name, secret.reference))

    @property
    def named_key(self) -> AzureNamedKey:
        """Its name and key."""
        self.update(*_named_key(Held(self._secret.value), self._name, self._secret.reference))
        return super().named_key


class RotatingSas(AzureSasCredential):
    """For Storage, Service Bus and others: a shared access signature that is the newest one whenever it is used.

    The secret's value is the signature, or a connection string with one.

    Raises, also when it is used: NotUsable: the value is neither. NotReadable, VaultAway: no value is known.
    """

    def __init__(self, secret: RotatingSecret) -> None:
        self._secret = secret
        super().__init__(_signature(Held(secret.value), secret.reference))

    @property
    def signature(self) -> str:
        """The signature."""
        self.update(_signature(Held(self._secret.value), self._secret.reference))
        return super().signature


def storage_client(kind: type[C], secret: RotatingSecret, account_url: str | None = None, **options: Any) -> C:
    """A client of azure-storage-blob, -queue or -file-share that signs with the newest key.

    Args:
        kind: its class, such as `BlobServiceClient`; those of asyncio as well.
        secret: its value is a connection string with `AccountKey`, or the key alone.
        account_url: as `kind` takes it; not needed for a connection string.
        options: as `kind` takes them. Clients that it makes, such as of a container, sign as it does.

    Raises:
        NotUsable: the value is neither; also when it is used. NotReadable, VaultAway: no value is known.
    """
    held = Held(secret.value)
    key = _storage_key(held, secret.reference)
    before = options.pop("raw_request_hook", None)

    def sign_anew(request: Any) -> None:
        """Called before each request, and each retry of one, is signed; a documented option of these clients."""
        client.credential.account_key = _storage_key(Held(secret.value), secret.reference)
        if before is not None:
            before(request)

    make: Any = kind
    if account_url is not None:
        client = make(account_url, credential=key, raw_request_hook=sign_anew, **options)
    elif "accountname" in _settings(held):
        client = make.from_connection_string(held.reveal(), raw_request_hook=sign_anew, **options)
    else:
        raise not_usable(secret.reference, "azure-storage", "it is a key alone: then give the account_url")
    found: C = client
    return found


def _settings(value: Held) -> dict[str, str]:
    """Of a connection string, by lower-case names. Clients split at each ";", and at a setting's first "="."""
    pairs = (part.partition("=") for part in value.reveal().split(";"))
    return {name.strip().lower(): told.strip() for name, equals, told in pairs if equals}


def _named_key(value: Held, name: str | None, secret: str) -> tuple[str, str]:
    if name is not None and _KEY.fullmatch(value.reveal()):
        return name, value.reveal()
    found = _pair(value)
    if found is None:
        remedy = "write a connection string with a key and its name, or the key, and name it"
        raise not_usable(secret, "Azure's SDK", remedy)
    return found


def _pair(value: Held) -> tuple[str, str] | None:
    settings = _settings(value)
    for name, key in (("sharedaccesskeyname", "sharedaccesskey"), ("accountname", "accountkey")):
        if settings.get(name) and _KEY.fullmatch(settings.get(key, "")):
            return settings[name], settings[key]
    return None


def _storage_key(value: Held, secret: str) -> str:
    found = Held(value.reveal() if _KEY.fullmatch(value.reveal()) else _settings(value).get("accountkey", ""))
    if not _KEY.fullmatch(found.reveal()):
        raise not_usable(secret, "azure-storage", "write a connection string with AccountKey, or the key alone")
    return found.reveal()


def _signature(value: Held, secret: str) -> str:
    found = Held(_settings(value).get("sharedaccesssignature") or value.reveal())
    if not _SIGNED.search(found.reveal()):
        raise not_usable(secret, "Azure's SDK", "write a shared access signature, which has sig=")
    return found.reveal().removeprefix("?")
