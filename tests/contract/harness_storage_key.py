"""Storage keys, at the stand-in that checks signatures. Whether a key works is asked in a request signed here."""

import base64
import contextlib
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial

import aiohttp
import pytest

from rotation.model import Admin, Credential, Login, Secret, SecretValue, Spec, Tls
from rotation.ports import Rotator
from rotation.rotators import ROTATORS
from tests.contract.harness import Harness, Traits, Variant
from tests.contract.secrets_at_hand import make_secret, make_spec
from tests.local_azure import ACCOUNT, Place, opened

NAME = ACCOUNT.rsplit("/", 1)[1]


async def key_works(url: str, name: str, key: str) -> bool:
    """Get Blob Service Properties, signed as "Authorize with Shared Key" says."""
    date = format_datetime(datetime.now(UTC), usegmt=True)
    path = f"/blob/{name}/"
    lines = ["GET", *[""] * 11, f"x-ms-date:{date}", "x-ms-version:2024-08-04", f"/{name}{path}"]
    text = "\n".join([*lines, "comp:properties", "restype:service"])
    signature = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
    headers = {
        "x-ms-date": date,
        "x-ms-version": "2024-08-04",
        "Authorization": f"SharedKey {name}:{signature}",
    }
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(f"{url}{path}?restype=service&comp=properties", headers=headers) as answer,
    ):
        return answer.status == 200


def plain(key: str) -> str:
    return key


def connection_string(key: str) -> str:
    return f"DefaultEndpointsProtocol=https;AccountName={NAME};AccountKey={key};EndpointSuffix=core.windows.net"


def key_in(value: SecretValue) -> str:
    text = value.reveal()
    return text.partition("AccountKey=")[2].partition(";")[0] if ";" in text else text


class StorageKeyHarness:
    traits = Traits(chooses_values=True)
    tls = Tls.VERIFY_FULL
    admin: Admin | None = None
    admin_login: Login | None = None
    earlier: Sequence[Credential] = ()

    def __init__(self, place: Place, write: Callable[[str], str]) -> None:
        self.rotator: Rotator = ROTATORS["storage-key"].build(place.services)
        self.outage = place.outage
        self._place = place
        self._write = write

    async def fresh(self) -> tuple[Spec, Secret]:
        key = self._place.azure.arm.keys(ACCOUNT)["key1"]
        return make_spec("storage-key", target=ACCOUNT), make_secret(self._write(key))

    async def works(self, value: SecretValue, slot: str) -> bool:
        key = key_in(value)
        is_slots = self._place.azure.arm.keys(ACCOUNT)[slot] == key
        return is_slots and await key_works(self._place.azure.plane.url, NAME, key)

    def wrong(self, value: SecretValue) -> SecretValue:
        key = key_in(value)
        return SecretValue(value.reveal().replace(key, key.swapcase()))

    async def wrong_slot(self, slot: str) -> str:
        return {"key1": "key2", "key2": "key1"}[slot]

    async def state(self) -> str:
        return repr(self._place.azure.arm.keys(ACCOUNT))

    async def settle(self) -> None:
        pass

    def confidential(self, value: SecretValue) -> Iterable[str]:
        return {key_in(value), *self._place.tokens.given}


@contextlib.asynccontextmanager
async def _opened(write: Callable[[str], str], request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    data, certificates, patch = (request.getfixturevalue(name) for name in ("tmp_path", "certificates", "monkeypatch"))
    async with opened(data, certificates, patch) as place:
        yield StorageKeyHarness(place, write)


HARNESSES: Mapping[str, Variant] = {
    "storage-key": Variant(StorageKeyHarness.traits, partial(_opened, plain)),
    "storage-key-connection-string": Variant(StorageKeyHarness.traits, partial(_opened, connection_string)),
}
