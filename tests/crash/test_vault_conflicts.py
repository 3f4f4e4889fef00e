"""A 409 that passes, at any write to the vault of any kind: azure-sdk-for-net#51761 (two writers of one secret).

By the real adapter at the local vault the run waits it out. Where it lasts longer than the adapter waits, the next look
goes on from there, as after a kill; what was refused was not written.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

import aiohttp
import pytest
from azure.identity.aio import ManagedIdentityCredential

from local.certificates import Certificates
from local.identity import APP_CLIENT_ID
from local.rights import deployed
from local.tokens import TokenAuthority
from local.vault import LocalVaults
from local.vault.errors import ServiceError
from local.vault.faults import Code, Fault, Kind
from local.vault.operations import Operation
from local.vault.store import Version as Stored
from rotation.errors import Conflict
from rotation.model import Result, Secret, SecretRef, SecretValue, Versions
from rotation.policy import Policy
from rotation.stores.keyvault import KeyVaultStore
from tests.fakes import InMemoryVault
from tests.integration.vault_fixtures import authority, certificates, session
from tests.world import KINDS, NAME, World

__all__ = ["authority", "certificates", "session"]

WRITES = (Operation.SET, Operation.UPDATE)
PASSING = (Code.ANOTHER_WRITER, Code.BEING_DELETED, Code.BEING_RECOVERED)
MOST = 12  # writes to the vault of a rotation, and of a retirement
PLACES = {f"kv-{number}": 0 for number in range(MOST)}


class OnTheWire(InMemoryVault):
    """The world's vault is the real adapter at a local vault; what is seen behind the app's back is its database."""

    def __init__(self, world: World, store: KeyVaultStore, vaults: LocalVaults, place: str) -> None:
        super().__init__("kv", world.time)
        self._store = store
        self._held = vaults.stores[place]

    async def get(self, name: str, version: str | None = None) -> Secret:
        return await self._store.get(name, version)

    async def versions(self, name: str) -> Versions:
        return await self._store.versions(name)

    async def reserve_writes(self, creations: int) -> None:
        await self._store.reserve_writes(creations)

    async def set(
        self,
        name: str,
        value: SecretValue,
        *,
        tags: Mapping[str, str],
        content_type: str | None = None,
        expires_on: datetime | None = None,
    ) -> Secret:
        return await self._store.set(name, value, tags=tags, content_type=content_type, expires_on=expires_on)

    async def set_enabled(self, name: str, version: str, *, enabled: bool) -> None:
        await self._store.set_enabled(name, version, enabled=enabled)

    async def set_tags(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        await self._store.set_tags(name, version, tags)

    def latest(self, name: str) -> Secret:
        return self._seen(self._held.get(name))

    def all(self, name: str) -> list[Secret]:
        try:
            return [self._seen(one) for one in self._held.history(name)]
        except ServiceError:
            return []

    def _seen(self, one: Stored) -> Secret:
        at = datetime.fromtimestamp(one.created, UTC)
        ref = SecretRef(self.name, one.name)
        return Secret(ref, one.version, one.value, one.tags or {}, one.content_type, one.enabled, at, None, at)


@pytest.fixture
async def places(
    tmp_path_factory: pytest.TempPathFactory,
    certificates: Certificates,
    authority: TokenAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[LocalVaults]:
    data = tmp_path_factory.mktemp("vaults")
    async with LocalVaults(
        PLACES, data=data, cert=certificates.cert, key=certificates.key, authority=authority,
        rights=deployed(Policy(), tuple(PLACES)),
    ) as running:  # fmt: skip
        for name, value in running.env.items():
            monkeypatch.setenv(name, value)
        yield running


class Places:
    """Worlds whose vault is the next free place."""

    def __init__(
        self, vaults: LocalVaults, credential: ManagedIdentityCredential, session: aiohttp.ClientSession
    ) -> None:
        self.vaults = vaults
        self._free = iter(PLACES)
        self._credential = credential
        self._session = session

    async def world(self, variant: str) -> World:
        place = next(self._free)
        world = World(variant)
        world.time.moment = datetime.fromtimestamp(self.vaults.clock.now(), UTC)
        store = KeyVaultStore("kv", self.vaults.urls[place], self._credential, self._session)
        world.vault = OnTheWire(world, store, self.vaults, place)
        return await world.start()

    def ahead(self, world: World, hours: float) -> None:
        world.time.ahead(hours=hours)
        self.vaults.clock.shift(hours * 3600)

    def conflict(self, code: Code, at: int) -> int:
        """The n-th write from now on, counted from 0, is refused once."""
        return self.vaults.faults.add(Fault(Kind.REFUSE, WRITES, code=code, skip=at, times=1))


@pytest.mark.parametrize("code", PASSING)
@pytest.mark.parametrize("variant", KINDS)
async def test_one_conflict_at_any_write_of_a_rotation_is_waited_out_by_that_very_run(
    variant: str, code: Code, places: LocalVaults, session: aiohttp.ClientSession
) -> None:
    async with ManagedIdentityCredential(client_id=APP_CLIENT_ID) as credential:
        set_up = Places(places, credential, session)
        for at in range(MOST):
            world = await set_up.world(variant)
            first = world.latest
            fault = set_up.conflict(code, at)
            outcome = await world.ask()
            assert outcome.result is Result.ROTATED, f"at write {at}: {outcome}"
            assert world.latest.version == outcome.version != first.version
            assert world.works(world.latest), f"at write {at}"
            assert not world.staged_enabled()
            if places.faults.struck(fault) == 0:
                break
            places.faults.clear()
        assert at >= 1, "no write was refused"
        assert at < MOST - 1, "not every write had its turn"


@pytest.mark.parametrize("variant", KINDS)
async def test_one_conflict_at_any_write_of_a_retirement_is_waited_out_by_that_very_run(
    variant: str, places: LocalVaults, session: aiohttp.ClientSession
) -> None:
    async with ManagedIdentityCredential(client_id=APP_CLIENT_ID) as credential:
        set_up = Places(places, credential, session)
        for at in range(MOST):
            world = await set_up.world(variant)
            await world.ask()
            set_up.ahead(world, hours=73)
            fault = set_up.conflict(Code.ANOTHER_WRITER, at)
            await world.ask("sweep")
            assert world.works(world.latest), f"at write {at}"
            if places.faults.struck(fault) == 0:
                break
            places.faults.clear()
        assert at < MOST - 1, "not every write had its turn"


class Lasting:
    """Refuses the n-th write to the vault, as the adapter does once it has no more patience."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.seen = 0

    async def __call__(self, when: str, call: str, _name: str) -> None:
        if when == "before" and call.startswith("set"):
            self.seen += 1
            if self.seen == self.at:
                raise Conflict("somebody else writes the secret just now; nothing was written")


@pytest.mark.parametrize("variant", KINDS)
async def test_after_a_conflict_that_lasts_the_next_look_finishes(variant: str) -> None:
    """The message comes back after a minute (host.json's visibilityTimeout), since a conflict is transient."""
    for at in range(1, MOST):
        world = await World(variant).start()
        first = world.latest
        world.vault.hook = lasting = Lasting(at)
        try:
            outcome = await world.ask()
        except Conflict:
            outcome = None
        if lasting.seen < at:
            break
        assert outcome is None, f"at write {at}: swallowed"
        if world.kind != "in-place":
            assert world.works(world.latest), "consumers of another slot never notice"

        world.time.ahead(seconds=60)
        again = await world.ask(version=first.version if world.latest.version == first.version else "latest")

        assert again.result in {Result.ROTATED, Result.RESUMED, Result.NOT_DUE}, f"at write {at}: {again}"
        assert world.latest.version != first.version
        assert world.works(world.latest), f"at write {at}"
        await world.ask("sweep")
        assert not world.staged_enabled(), f"at write {at}"
        assert len([one for one in world.vault.all(NAME) if one.version != first.version]) == 1 + (
            world.kind == "alternating"
        ), f"at write {at}: nothing is published twice"
    else:
        pytest.fail("a rotation has no end")
