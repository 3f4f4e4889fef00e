"""Client secrets, at the stand-in for Graph and the login service. Whether one works is asked without the rotator."""

import contextlib
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import aiohttp
import pytest

from local.tokens import TENANT
from rotation.model import Admin, Credential, Login, Secret, SecretValue, Spec, Tls
from rotation.ports import Rotator
from rotation.rotators import ROTATORS
from tests.contract.harness import Harness, Traits, Variant
from tests.contract.secrets_at_hand import make_secret, make_spec
from tests.local_azure import APPLICATION, CLIENT_ID, Place, opened


def plain(text: str) -> str:
    return text


def as_json(text: str) -> str:
    return json.dumps({"clientId": CLIENT_ID, "clientSecret": text, "authority": "common"}, indent=2)


def text_in(value: SecretValue) -> str:
    whole = value.reveal()
    return str(json.loads(whole)["clientSecret"]) if whole.startswith("{") else whole


async def gets_a_token(login_url: str, text: str) -> bool:
    """The client credentials grant."""
    form = {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": text,
        "scope": "https://vault.azure.net/.default",
    }
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(f"{login_url}/{TENANT}/oauth2/v2.0/token", data=form) as answer,
    ):
        return answer.status == 200


class EntraHarness:
    traits = Traits(assigns_slots=True, chooses_values=True)
    tls = Tls.VERIFY_FULL
    admin: Admin | None = None
    admin_login: Login | None = None
    earlier: Sequence[Credential] = ()

    def __init__(self, place: Place, write: Callable[[str], str]) -> None:
        self.rotator: Rotator = ROTATORS["entra-app-secret"].build(place.services)
        self.outage = place.outage
        self._place = place
        self._write = write

    async def fresh(self) -> tuple[Spec, Secret]:
        added = self._place.azure.graph.add_secret(APPLICATION, "made by hand")
        spec = make_spec("entra-app-secret", target=APPLICATION)
        return spec, make_secret(self._write(added["secretText"]))

    async def works(self, value: SecretValue, slot: str) -> bool:
        text = text_in(value)
        is_slots = any(one["keyId"] == slot and text.startswith(one["hint"]) for one in self._passwords())
        return is_slots and await gets_a_token(self._place.azure.login_url, text)

    def wrong(self, value: SecretValue) -> SecretValue:
        text = text_in(value)
        return SecretValue(value.reveal().replace(text, text[:3] + text[:2:-1]))

    async def wrong_slot(self, slot: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, slot))

    async def state(self) -> str:
        return repr(self._passwords())

    async def settle(self) -> None:
        pass

    def confidential(self, value: SecretValue) -> Iterable[str]:
        return {text_in(value), *self._place.tokens.given}

    def _passwords(self) -> list[dict[str, Any]]:
        application = self._place.azure.plane.store.get("application", APPLICATION) or {}
        return [one for one in application["passwords"] if not one["removed"]]


@contextlib.asynccontextmanager
async def _opened(write: Callable[[str], str], request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    data, certificates, patch = (request.getfixturevalue(name) for name in ("tmp_path", "certificates", "monkeypatch"))
    async with opened(data, certificates, patch) as place:
        place.later = timedelta(minutes=11)  # what is refused now is not merely too new to be known
        yield EntraHarness(place, write)


HARNESSES: Mapping[str, Variant] = {
    "entra-app-secret": Variant(EntraHarness.traits, partial(_opened, plain)),
    "entra-app-secret-json": Variant(EntraHarness.traits, partial(_opened, as_json)),
}
