"""Azure's planes as the stories know them: a storage account's two keys, an application's secrets; and what has no
provider at all. See `providers.Provider`."""

import base64
import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager as Context
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from rotation.errors import NotYet, Rejected, Unreachable
from rotation.model import Secret, SecretValue
from rotation.ports import Rotator, RotatorDependencies
from rotation.rotators import ROTATORS
from rotation.rotators.azure import entra_app_secret, storage_key
from rotation.rotators.azure.rest import ApiClient, ApiResponse
from rotation.rotators.signing_keys import new_key
from tests.fakes import Hook, no_hook
from tests.proof.simulation.providers import Watcher, Weather, no_watcher

TENANT = "00000000-0000-0000-0000-00000000000f"
APPLICATION = "00000000-0000-0000-0000-0000000000a1"
ACCOUNT = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourcegroups/rg"
    "/providers/microsoft.storage/storageaccounts/storders"
)
LENGTH = 40  # of a client secret
OK, NOT_FOUND, UNAUTHORIZED = 200, 404, 401
WRONG_SECRET = 7000215  # AADSTS, as Entra numbers what it refuses


class Tokens:
    """Of an identity in `TENANT`."""

    async def token(self, _scope: str) -> SecretValue:
        claims = base64.urlsafe_b64encode(json.dumps({"tid": TENANT}).encode()).decode().rstrip("=")
        return SecretValue(f"e30.{claims}.")


@asynccontextmanager
async def _no_session() -> AsyncIterator[None]:
    yield


class _Planes:
    """What both have in common: each call is a step, and nothing is answered while the plane is down."""

    def __init__(self) -> None:
        self.hook: Hook = no_hook
        self.on_change: Watcher = no_watcher
        self.on_login: Watcher = no_watcher
        self.weather = Weather.FAIR
        self.repeated: list[str] = []
        self.slots: tuple[str, ...] = ()

    def _answers(self) -> None:
        if self.weather is not Weather.FAIR:
            raise Unreachable("the plane does not answer; it is asked again later")

    def known_by(self, _slot: str, _copies: Sequence[Secret]) -> bool:
        return True  # whoever may manage it needs no key of it

    def add_others(self) -> None:
        """Nothing of others' is looked after here."""

    def others_taken(self) -> bool:
        return False


class StorageAccount(_Planes):
    """Two keys, by the app's rotator `storage-key`."""

    def __init__(self, services: RotatorDependencies, rng: random.Random) -> None:
        super().__init__()
        self.rotator: Rotator = ROTATORS["storage-key"].build(services)
        self.acts: Sequence[str] = ("mistake", "older", "password", "password-and-write", "no-tags", "plant")
        self.tags = {"rotator": "storage-key", "target": ACCOUNT}
        self.targets: Sequence[str] = (ACCOUNT,)
        self._now = services.now
        self._dice = rng
        self._lag = timedelta(seconds=rng.choice((0, 0, 5, 45)))
        self._slot_of: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        self._created: dict[str, datetime] = {}
        for slot in ("key1", "key2"):
            self._make(slot)
            self._created[slot] -= timedelta(days=1)

    def first(self) -> Sequence[SecretValue]:
        return [SecretValue(self._keys["key1"])]

    def works(self, secret: Secret) -> bool:
        return secret.value.reveal() in self._keys.values()

    def slot(self, secret: Secret) -> str:
        return self._slot_of.get(secret.value.reveal(), "")

    def mistaken(self, _secret: Secret) -> SecretValue:
        return SecretValue(self._random_key())

    def working(self) -> SecretValue:
        return SecretValue(self._keys["key1"])

    def changed(self, secret: Secret) -> SecretValue:
        return SecretValue(self._make(self.slot(secret) or "key1"))

    def planted(self, _secret: Secret) -> SecretValue:
        return SecretValue(self._random_key())

    @contextmanager
    def simulated(self) -> Iterator[None]:
        async def get(_plane: ApiClient, _over: None, _path: str, **_query: str) -> ApiResponse:
            return ApiResponse(OK, {"properties": {"primaryEndpoints": {"blob": "https://storders.blob.example/"}}})

        async def post(
            _plane: ApiClient, _over: None, path: str, body: Mapping[str, str], **_query: str
        ) -> ApiResponse:
            if path.endswith("/regenerateKey"):
                return await self._regenerate(body["keyName"])
            return await self._list()

        async def log_in(_rotator: Any, _over: None, _job: Any, _endpoint: str, key: Any) -> None:
            slot = self._slot_of.get(key.value.reveal(), "")
            if self._keys.get(slot) != key.value.reveal():
                raise Rejected("the blob service does not accept the key")
            if self._now() - self._created[slot] < self._lag:
                raise NotYet("the new key is not accepted everywhere yet", retry_after_s=15)

        with (
            patch.multiple(ApiClient, get=get, post=post),
            patch.object(storage_key, "session", _no_session),
            patch.object(storage_key.StorageKey, "_log_in", log_in),
        ):
            yield

    async def _regenerate(self, slot: str) -> ApiResponse:
        await self.hook("before", "change", slot)
        self._answers()
        self.on_change(slot)
        self._make(slot)
        answer = self._listed()
        await self.hook("after", "change", slot)
        return answer

    async def _list(self) -> ApiResponse:
        await self.hook("before", "login", "")
        self._answers()
        for slot in self._keys:  # by them the rotator proves a value
            self.on_login(slot)
        answer = self._listed()
        await self.hook("after", "login", "")
        return answer

    def _listed(self) -> ApiResponse:
        keys = [
            {"keyName": slot, "value": key, "creationTime": self._created[slot].isoformat()}
            for slot, key in self._keys.items()
        ]
        return ApiResponse(OK, {"keys": keys})

    def _make(self, slot: str) -> str:
        key = self._random_key()
        self._keys[slot], self._slot_of[key], self._created[slot] = key, slot, self._now()
        return key

    def _random_key(self) -> str:
        return base64.b64encode(self._dice.randbytes(64)).decode()


@dataclass
class _Password:
    name: str
    text: str
    start: datetime
    end: datetime


class Directory(_Planes):
    """An application's client secrets, by the app's rotator `entra-app-secret`. What is new is not known everywhere at
    once: neither to Graph's readers nor to the login service."""

    def __init__(self, services: RotatorDependencies, rng: random.Random) -> None:
        super().__init__()
        self.rotator: Rotator = ROTATORS["entra-app-secret"].build(services)
        self.acts: Sequence[str] = (
            "mistake",
            "older",
            "password",
            "password-and-write",
            "no-tags",
            "plant",
            "credential-of-others",
        )
        self.targets: Sequence[str] = (APPLICATION,)
        self._now = services.now
        self._dice = rng
        self._shown_after = timedelta(seconds=rng.choice((0, 0, 5, 45)))
        self._accepted_after = timedelta(seconds=rng.choice((0, 0, 5, 45)))
        self._slot_of: dict[str, str] = {}
        self._passwords: dict[str, _Password] = {}
        self._first = self._add("the owner's", self._now() + timedelta(days=700))
        self._passwords[self._first].start -= timedelta(days=1)
        self._others: str | None = None
        self.tags = {"rotator": "entra-app-secret", "target": APPLICATION}

    def first(self) -> Sequence[SecretValue]:
        return [SecretValue(self._passwords[self._first].text)]

    def works(self, secret: Secret) -> bool:
        return any(
            one.text == secret.value.reveal() and one.end > self._now() >= one.start + self._accepted_after
            for one in self._passwords.values()
        )

    def slot(self, secret: Secret) -> str:
        return self._slot_of.get(secret.value.reveal(), "")

    def mistaken(self, _secret: Secret) -> SecretValue:
        return SecretValue(("typo" + self._random_text())[:LENGTH])

    def working(self) -> SecretValue:
        ours = [one for key_id, one in self._passwords.items() if key_id != self._others]
        return SecretValue(ours[-1].text)

    def changed(self, secret: Secret) -> SecretValue:
        self._passwords.pop(self.slot(secret), None)
        made = self._passwords[self._add("by hand", self._now() + timedelta(days=700))]
        made.start -= timedelta(days=1)
        return SecretValue(made.text)

    def planted(self, _secret: Secret) -> SecretValue:
        return SecretValue(("planted" + self._random_text())[:LENGTH])

    def add_others(self) -> None:
        self._others = self._add("of another team", self._now() + timedelta(days=700))
        self._passwords[self._others].start -= timedelta(days=1)

    def others_taken(self) -> bool:
        return self._others is not None and self._others not in self._passwords

    @contextmanager
    def simulated(self) -> Iterator[None]:
        async def get(_plane: ApiClient, _over: None, _path: str, **_query: str) -> ApiResponse:
            return await self._read()

        async def post(
            _plane: ApiClient, _over: None, path: str, body: Mapping[str, Any], **_query: str
        ) -> ApiResponse:
            if path.endswith("/addPassword"):
                return await self._add_password(body["passwordCredential"])
            return await self._remove(body["keyId"])

        async def post_form(_plane: ApiClient, _over: None, _path: str, form: Mapping[str, str]) -> ApiResponse:
            return await self._log_in(form["client_secret"])

        with (
            patch.multiple(ApiClient, get=get, post=post, post_form=post_form),
            patch.object(entra_app_secret, "session", _no_session),
        ):
            yield

    async def _read(self) -> ApiResponse:
        await self.hook("before", "list", "secrets")
        self._answers()
        shown = [
            {
                "keyId": key_id, "displayName": one.name, "hint": one.text[:3],
                "startDateTime": one.start.isoformat(), "endDateTime": one.end.isoformat(),
            }
            for key_id, one in self._passwords.items()
            if self._now() >= one.start + self._shown_after
        ]  # fmt: skip
        return ApiResponse(OK, {"appId": APPLICATION, "passwordCredentials": shown})

    async def _add_password(self, asked: Mapping[str, str]) -> ApiResponse:
        await self.hook("before", "change", "add")
        self._answers()
        key_id = self._add(asked["displayName"], datetime.fromisoformat(asked["endDateTime"]))
        await self.hook("after", "change", "add")
        return ApiResponse(OK, {"keyId": key_id, "secretText": self._passwords[key_id].text})

    async def _remove(self, key_id: str) -> ApiResponse:
        await self.hook("before", "change", key_id)
        self._answers()
        self.on_change(key_id)
        gone = self._passwords.pop(key_id, None)
        await self.hook("after", "change", key_id)
        return ApiResponse(OK if gone else NOT_FOUND, {})

    async def _log_in(self, text: str) -> ApiResponse:
        await self.hook("before", "login", "")
        self._answers()
        accepted = any(
            one.text == text and self._now() >= one.start + self._accepted_after for one in self._passwords.values()
        )
        if accepted:
            self.on_login(self._slot_of[text])
        await self.hook("after", "login", "")
        return ApiResponse(OK, {}) if accepted else ApiResponse(UNAUTHORIZED, {"error_codes": [WRONG_SECRET]})

    def _add(self, name: str, end: datetime) -> str:
        key_id = f"{self._dice.getrandbits(128):032x}"
        key_id = "-".join((key_id[:8], key_id[8:12], key_id[12:16], key_id[16:20], key_id[20:]))
        self._passwords[key_id] = made = _Password(name, self._random_text(), self._now(), end)
        self._slot_of[made.text] = key_id
        return key_id

    def _random_text(self) -> str:
        # As varied at its beginning as Entra's: by that one is told from another.
        return (
            base64.urlsafe_b64encode(self._dice.getrandbits(160).to_bytes(20))
            .decode()
            .replace("=", "~")
            .ljust(LENGTH, ".")
        )


class Nobody(_Planes):
    """Values of the app's rotator `generated`: they work as long as consumers can read them."""

    def __init__(self, services: RotatorDependencies, rng: random.Random) -> None:
        super().__init__()
        self.rotator: Rotator = ROTATORS["generated"].build(services)
        # No mistake: what is no key is refused before anything is looked at, and any key is as good as another.
        self.acts: Sequence[str] = ("older", "no-tags", "plant")
        self.tags = {"rotator": "generated", "format": "hex"}
        self.targets: Sequence[str] = ()
        self._dice = rng

    def first(self) -> Sequence[SecretValue]:
        return [SecretValue(self._dice.randbytes(32).hex())]

    def works(self, secret: Secret) -> bool:
        return secret.enabled and "typo" not in secret.value.reveal()

    def slot(self, secret: Secret) -> str:
        return secret.value.reveal()

    def mistaken(self, _secret: Secret) -> SecretValue:
        return SecretValue("typo")

    def working(self) -> SecretValue:
        return self.first()[0]

    def changed(self, secret: Secret) -> SecretValue:
        raise Rejected(f"nobody else makes {secret.ref}")

    def planted(self, _secret: Secret) -> SecretValue:
        return SecretValue(self._dice.randbytes(32).hex())

    def simulated(self) -> Context[None]:
        return nullcontext()


class KeySets(Nobody):
    """Sets of signing keys of the app's rotator `jwks`: each is moved on by one place."""

    def __init__(self, services: RotatorDependencies, rng: random.Random) -> None:
        super().__init__(services, rng)
        self.rotator: Rotator = ROTATORS["jwks"].build(services)
        self.tags = {"rotator": "jwks"}

    def first(self) -> Sequence[SecretValue]:
        return [SecretValue(json.dumps({"keys": [dict(new_key("EdDSA", self._dice))]}))]

    def planted(self, _secret: Secret) -> SecretValue:
        return self.first()[0]
