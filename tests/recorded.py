"""Before each write to the vault or to a provider, the history says that it is coming."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from rotation.ledger.records import AboutTo, Record, Step
from rotation.spec import companion

ENDS_A_SLOT = frozenset({AboutTo.RETIRE, AboutTo.REMOVE})


@dataclass
class Recorded:
    """Told of each write at the moment at which it takes effect; `missing` lists those that no record announced.

    A value that is staged is none of them: what no record names is never used. Nor is what a person writes.
    followers: names of secrets that are written for `name`.
    """

    name: str
    records: Callable[[], Sequence[Record]]
    missing: list[str] = field(default_factory=list)
    followers: Collection[str] = ()

    def written(self, call: str, name: str, version: str) -> None:
        """For `InMemoryVault.on_write`."""
        if name in self.followers and call == "set":
            self._want(
                "a follower", (any(one.endswith(f"/{name}") for one in r.followers or ()) for r in self.records())
            )
        if name == self.name and call == "set" and version:
            self._want("a version", (r.previous_version == version and _publishes(r) for r in self.records()))
        elif name == self.name and call in {"set_tags", "disable"}:
            acts = {"set_tags": AboutTo.SET_TAGS, "disable": AboutTo.DISABLE}
            self._want(call, (r.about_to == acts[call] and r.version == version for r in self.records()))
        elif name == companion(self.name) and call == "enable":
            self._want(call, (r.about_to == AboutTo.READ_STAGED and r.version == version for r in self.records()))
        elif name == companion(self.name) and call == "disable":
            self._want("a staged value", (_disables_staged(r, version) for r in self.records()))

    def changed(self, slot: str) -> None:
        """For the provider: what it does to a slot was begun and has not ended."""
        records = self.records()
        ended = (at for at, r in enumerate(records) if r.slot == slot and r.step in {Step.ROTATED, Step.RETIRED})
        self._want(f"a change of {slot}", (_changes(r, slot) for r in records[max(ended, default=-1) + 1 :]))

    def _want(self, what: str, said: Iterable[bool]) -> None:
        if not any(said):
            self.missing.append(what)


def _publishes(record: Record) -> bool:
    return record.step is Step.APPLYING or record.about_to == AboutTo.PUBLISH


def _disables_staged(record: Record, version: str) -> bool:
    told = record.about_to in {AboutTo.UNSTAGE, AboutTo.READ_STAGED}
    return told and version in {record.staged_version, record.version if record.announces else None}


def _changes(record: Record, slot: str) -> bool:
    if record.step is Step.APPLYING:
        return record.slot in {None, slot}
    return record.about_to in ENDS_A_SLOT and record.slot == slot
