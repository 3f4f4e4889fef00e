"""What owners, strangers and operators do to two secrets that live side by side, in the middle of it all."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from rotation.model import Adopt, Reason, RotationRequest, Secret, SecretRef, SecretValue
from rotation.spec import companion
from tests.proof.simulation.owned import Owned
from tests.proof.simulation.planes import Directory, StorageAccount
from tests.proof.simulation.providers import Database, in_another_form, is_uri
from tests.proof.simulation.setting import REF
from tests.proof.simulation.street import Street

OF_ROLES = frozenset(
    {"move", "retag", "rename", "back", "restore", "lie-slots", "half", "copy-both", "other-form", "broken-other-form"}
)  # which only a database's secrets can do
Ask = Callable[[RotationRequest], Awaitable[object]]


@dataclass
class Deeds:
    """Each is named by what it is called with. did: all of them. lied: secrets whose tags can't be believed."""

    world: Street
    owned: Owned
    rng: random.Random
    ask: Ask
    did: list[str] = field(default_factory=list)

    def draw(self) -> str:
        """One that this provider knows."""
        ways = [
            *("broken", "copy", "lying-copy", "own", "own"),
            *("unmanage", "manage", "older", "lie-grace", "lie-slot", "delete"),
            *("takeover-other", "takeover", "reset-other", "reset-unnamed", "plant", "squat"),
        ]
        if isinstance(self.world.provider, Database):
            ways += ["move", "move", "rename", "rename", "back", "restore", "lie-slots", "mistake", "half", "half"]
        return self.rng.choice(ways)

    async def do(self, deed: str) -> None:
        """Errors are whoever's who does it."""
        self.did.append(deed)
        await self._all()[deed]()

    def _all(self) -> dict[str, Callable[[], Awaitable[None]]]:
        world, other = self.world, self.world.other
        latest, first, older = world.latest, world.versions[0], world.versions[-2:][0]
        return {
            "broken": lambda: self._write(other, self._guessed(), world.tags),
            "copy": lambda: self._write(other, latest.value, latest.tags),
            "lying-copy": lambda: self._write(other, latest.value, {**latest.tags, **self._lies()}),
            "half": lambda: self._write_half(other),
            "own": lambda: self._write_own(other),
            "unmanage": lambda: self._tag(REF, {"team": "orders"}),
            "manage": lambda: self._tag(REF, self._tags_for(latest)),
            "older": lambda: self._write(REF, first.value, self._tags_for(first)),
            "mistake": lambda: self._write(REF, self._guessed(), latest.tags),
            "lie-grace": lambda: self._tag(REF, {**latest.tags, "grace-hours": "0"}),
            "lie-slot": lambda: self._tag(REF, {**latest.tags, "slot": self._another_slot()}),
            "lie-slots": lambda: self._tag(REF, {**latest.tags, "slots": "c,d"}),
            "delete": self._delete,
            "anew": lambda: self._write_anew(first),
            "retag": lambda: self._tag(REF, self._tags_for(latest, _moved(latest))),
            "short-lived": lambda: self._write(REF, latest.value, {**latest.tags, "grace-hours": self._few_hours()}),
            "other-form": lambda: self._write(REF, in_another_form(latest.value), latest.tags),
            "broken-other-form": lambda: self._write(REF, in_another_form(self._guessed()), latest.tags),
            "working-again": self._write_working,
            "copy-both": self._copy_as_pair,
            "copy-older": lambda: self._write(other, older.value, older.tags),
            "move": lambda: self._write(REF, latest.value, self._tags_for(latest, _moved(latest))),
            "rename": lambda: self._write_role(REF, "c"),
            "back": lambda: self._write_role(REF, "a"),
            "restore": self._restore,
            "plant": lambda: self._plant({"slot": "a", "operation-id": "x"}),
            "squat": lambda: self._plant(None),
            "takeover": lambda: self._operate(REF, Adopt.TAKEOVER),
            "takeover-other": lambda: self._operate(other, Adopt.TAKEOVER),
            "reset-other": lambda: self._operate(other, Adopt.RESET, named=True),
            "reset-unnamed": lambda: self._operate(other, Adopt.RESET),
        }

    async def _delete(self) -> None:
        self._touch(REF)
        self.world.vaults[REF.vault].delete(REF.name)

    async def _write_anew(self, first: Secret) -> None:
        """Deleted, and written by somebody who kept what stood in it long ago."""
        await self._delete()
        await self._write(REF, first.value, self._tags_for(first))

    async def _restore(self) -> None:
        """The server is put back from a copy: who it says it is changes, and nothing else."""
        assert isinstance(self.world.provider, Database)
        self.world.provider.realm += "0"
        self.owned.restored = True

    async def _operate(self, ref: SecretRef, adopt: Adopt, *, named: bool = False) -> None:
        if not self.world.exists(ref):
            return
        slots: tuple[str, ...] = ()
        if named:
            slots = self.owned.wanted(self.world.all(ref)[-1])
        request = RotationRequest(
            ref, None, Reason.OPERATOR, f"operator ({adopt})", demanded=True, adopt=adopt, slots=slots
        )
        await self.ask(request)

    async def _plant(self, tags: dict[str, str] | None) -> None:
        """A version of a companion, by somebody who may write secrets; without tags it is a secret of his own."""
        ref = self.rng.choice(self.world.refs)
        told = {} if tags is None else {**tags, "staged-for": ref.name}
        vault = self.world.vaults[ref.vault]
        self.owned.foreign.append(await vault.set(companion(ref.name), self._guessed(), tags=told))

    async def _write_own(self, ref: SecretRef) -> None:
        """A working credential that the other secret does not name."""
        provider = self.world.provider
        if isinstance(provider, Database):
            await self._write_role(ref, "c")
        elif isinstance(provider, StorageAccount):
            await self._write(ref, SecretValue(provider._keys["key2"]), self.world.tags)
        elif isinstance(provider, Directory):
            assert provider._others is not None
            made = provider._passwords.get(provider._others)
            if made is not None:
                await self._write(ref, SecretValue(made.text), self.world.tags)

    async def _write_working(self) -> None:
        """What the owner finds out that works, in the form of his last version."""
        latest, provider = self.world.latest, self.world.provider
        assert isinstance(provider, Database)
        if provider.passwords[provider.slot(latest)] is not None:
            working = self.world.of_role(provider.slot(latest))
            await self._write(REF, working if is_uri(latest.value) else in_another_form(working), latest.tags)

    async def _copy_as_pair(self) -> None:
        """The same login, and tags that ask for its pair, whatever the first secret asks for."""
        latest = self.world.latest
        tags = self._tags_of_role(self.world.provider.slot(latest), "postgres-alternating")
        await self._write(self.world.other, latest.value, tags)

    async def _write_half(self, ref: SecretRef) -> None:
        """The role that the first secret does not use at the moment, for oneself."""
        provider = self.world.provider
        role = {"a": "b", "b": "a", "c": "d", "d": "c"}[provider.slot(self.world.latest)]
        await self._write(ref, self.world.of_role(role), self._tags_of_role(role, "postgres"))

    async def _write_role(self, ref: SecretRef, role: str) -> None:
        """Both roles of a pair, so that either can be changed without anybody."""
        provider = self.world.provider
        assert isinstance(provider, Database)
        rotator = self.world.latest.tags.get("rotator", self.world.rotator) if self.world.exists(REF) else ""
        pair = {"a": ("b", "a"), "c": ("d", "c")}[role]
        for one in pair if rotator != "postgres" else pair[1:]:
            if provider.passwords[one] is not None:
                new = self.world.of_role(one)
                await self._write(ref, new, self._tags_of_role(one, rotator or self.world.rotator))

    # what is written

    async def _write(self, ref: SecretRef, new: SecretValue, tags: object) -> None:
        self._touch(ref)
        await self.world.write_to(ref, new, dict(tags))  # type: ignore[call-overload]
        self._touch(ref)

    async def _tag(self, ref: SecretRef, tags: dict[str, str]) -> None:
        if self.world.exists(ref):
            self._touch(ref)
            vault = self.world.vaults[ref.vault]
            await vault.set_tags(ref.name, vault.latest(ref.name).version, tags)
            self._touch(ref)

    def _touch(self, ref: SecretRef) -> None:
        self.owned.touched[ref] = self.world.now

    def _guessed(self) -> SecretValue:
        return self.world.provider.mistaken(self.world.latest)

    def _another_slot(self) -> str:
        slot = self.world.provider.slot(self.world.latest)
        return next((one for one in self.world.provider.slots or ("key1", "key2") if one != slot), slot)

    def _few_hours(self) -> str:
        return self.rng.choice(("0", "1", "24"))

    def _lies(self) -> dict[str, str]:
        lies = [{"slot": self._another_slot()}, {"grace-hours": "0"}, {"slots": "b,a"}, {"slots": "c,d"}]
        return self.rng.choice(lies if isinstance(self.world.provider, Database) else lies[:2])

    def _tags_for(self, secret: Secret, rotator: str | None = None) -> dict[str, str]:
        if not isinstance(self.world.provider, Database):
            return self.world.tags
        role = self.world.provider.slot(secret)
        return self._tags_of_role(role, rotator or secret.tags.get("rotator", self.world.rotator))

    def _tags_of_role(self, role: str, rotator: str) -> dict[str, str]:
        slots = role if rotator == "postgres" else {"a": "a,b", "b": "a,b", "c": "c,d", "d": "c,d"}[role]
        return {**self.world.tags, "rotator": rotator, "slots": slots}


def _moved(secret: Secret) -> str:
    turn = {"postgres": "postgres-alternating", "postgres-alternating": "postgres"}
    return turn[secret.tags.get("rotator", "postgres")]
