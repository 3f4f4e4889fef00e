"""What must hold in every story: at any time, and once the dust has settled."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from rotation.ledger.records import Record, Step
from rotation.model import Secret, SecretValue
from tests.proof.simulation.providers import parts
from tests.proof.simulation.setting import NAME, Setting
from tests.recorded import Recorded

GRACE = timedelta(hours=72)
CHANGES_PASSWORD = frozenset({"password", "password-and-write"})
# After these a consumer may fail for a while, whatever we do: what the owner wrote may be what is being changed.
BREAKING = CHANGES_PASSWORD | {"mistake", "older"}
HARMLESS = frozenset({"plant", "credential-of-others"})


class Promise(StrEnum):
    """What is promised, as the table of the proof says it."""

    WORKS = "nobody is locked out: what works is in the vault, and what the vault says works"
    CONSUMERS = "no consumer of two credentials fails within the grace period"
    ONCE = "no update lost or done twice"
    ASKED = "no rotation that nobody asked for, and none left undone"
    PROVEN = "nothing is changed that a login did not prove to be the secret's own"
    OWNED = "of several secrets, the one that owns a credential alone changes it"
    GOES_ON = "nobody stays blocked where something works and no one else needs it"
    OTHERS = "nothing planted is believed, and nothing of others' taken away"
    TIDY = "nothing staged stays readable, nothing old stays alive"
    RECORDED = "nothing is done to the vault or a provider before a record says that it will be"
    TAKEN = "each refresh target is asked to take the latest version, at no price; nobody else is, and none for ever"
    UNREAD = "no old credential ends while a reader is known to hold it, and none waits for nobody"
    HISTORY = "the history is whole and in order"
    SECRET = "no value in an outcome, a history or a log"


class Violation(BaseException):
    """A promise was broken. The engine turns every `Exception` into an error of its own; this one gets out."""

    def __init__(self, promise: Promise, what: str) -> None:
        super().__init__(what)
        self.promise = promise


@dataclass
class Facts:
    """What happened so far.

    act: what the owner does by hand. demands: how often an operator asked. plant: what an attacker staged. first: the
    versions before the app came. changed: slots that runs changed at the provider. last: the last outcome's words.
    told: all of it, step by step.
    """

    told: list[str] = field(default_factory=list)
    act: str | None = None
    acted: bool = False
    demands: int = 0
    plant: SecretValue | None = None
    first: frozenset[str] = frozenset()
    changed: list[str] = field(default_factory=list)
    last: str = ""

    @property
    def disturbed(self) -> bool:
        """Whether the owner did what may break or change the secret itself."""
        return self.acted and self.act not in HARMLESS


@dataclass
class Promises:
    """Each `check_…` raises Violation."""

    world: Setting
    facts: Facts
    recorded: Recorded = field(init=False)

    def __post_init__(self) -> None:
        self.recorded = Recorded(NAME, self._records)

    # at any time

    def check_always(self) -> None:
        """After each step of anybody."""
        world, facts = self.world, self.facts
        if facts.plant is not None and any(one.value == facts.plant for one in world.versions):
            raise Violation(Promise.OTHERS, "a planted value was published")
        if facts.act == "credential-of-others" and facts.acted and world.provider.others_taken():
            raise Violation(Promise.OTHERS, "a credential that is not ours was taken away")
        if world.provider.repeated:
            raise Violation(Promise.ONCE, "a password that held already was set again")
        if not facts.disturbed:
            self._check_nothing_is_lost()
        if world.rotator != "postgres" and not (facts.act in BREAKING and facts.acted):
            self._check_consumers()
        if self.recorded.missing:
            raise Violation(Promise.RECORDED, f"no record announced {self.recorded.missing[0]}")

    def _check_nothing_is_lost(self) -> None:
        """What works can be read in the vault at any time, and nothing that we publish is published again."""
        if not any(self.world.works(one) for one in (*self.world.versions, *self.world.staged)):
            raise Violation(Promise.WORKS, "nothing in the vault works")
        values = [one.value.reveal() for one in self.world.versions if one.version not in self.facts.first]
        if len(set(values)) < len(values):
            raise Violation(Promise.ONCE, "a value was published twice")

    def _check_consumers(self) -> None:
        """Whoever read a version that is the latest, or was until less than the grace period ago, gets in."""
        versions = self.world.versions
        now = self.world.vault._clock.now()
        known = {record.version for record in self._records()} | {versions[-1].version}
        for place, one in enumerate(versions):
            superseded = versions[place + 1].created_on if place + 1 < len(versions) else now
            if one.version in known and now - superseded < GRACE and not self.world.works(one):
                told = f"a consumer of version {place + 1} of {len(versions)} is locked out"
                raise Violation(Promise.CONSUMERS, told)

    def check_unstaged(self, staged: Secret) -> None:
        """The last copy of what the provider accepts must stay readable."""
        in_the_vault = any(self.world.works(version) for version in self.world.versions)
        if not in_the_vault and self.world.works(staged):
            raise Violation(Promise.WORKS, "the only working value was made unreadable")

    def check_untouched(self) -> None:
        """Where the outcome says that nothing proves whose the credential is."""
        if self.facts.changed:
            raise Violation(Promise.PROVEN, f"unproven, and {self.facts.changed[0]} was changed")

    # once the dust has settled

    def check_settled(self) -> None:
        """A few hours after the last fault."""
        # A password that somebody changes at the server is seen by the daily check; all else within hours.
        seen_daily = self.facts.act in CHANGES_PASSWORD and self.facts.acted  # whose write may have failed
        if not (seen_daily or self._closed(self.slot) or self.world.works(self.world.latest)):
            raise Violation(Promise.WORKS, "hours later the latest version does not work")

    def check_end(self) -> None:
        """Days after it."""
        self._check_secrecy()
        if self._closed(self.slot):
            if "refused" not in self.facts.last:
                told = f"every way is closed, and the outcome does not say so: {self.facts.last}"
                raise Violation(Promise.WORKS, told)
            return
        if not self.world.works(self.world.latest):
            raise Violation(Promise.WORKS, "in the end the latest version does not work")
        self._check_asked()
        named = {record.staged_version for record in self._records()}  # no other was ever applied: it is no login
        if not self.blocked and any(one.enabled and one.version in named for one in self.world.staged):
            raise Violation(Promise.TIDY, "a staged value stays readable")
        self._check_history()
        self.check_retired()

    def _check_asked(self) -> None:
        """Rotated at most as often as asked, and not left due."""
        world, facts, latest = self.world, self.facts, self.world.latest
        lost_tags = "rotator" not in latest.tags
        if lost_tags and facts.act != "no-tags":
            raise Violation(Promise.ONCE, "the tags were lost")
        asked = 1 + facts.demands + (2 if facts.disturbed else 0)
        rotated = {record.version for record in self._records() if record.step is Step.ROTATED}
        if len(rotated) > asked:
            raise Violation(Promise.ASKED, f"{len(rotated)} rotations, and {asked} were asked for")
        waits = lost_tags or self.blocked or world.terms.window is not None or latest.expires_on is None
        if not waits and latest.expires_on is not None and latest.expires_on - world.now < timedelta(days=29):
            raise Violation(Promise.ASKED, "it is still due")

    def _check_history(self) -> None:
        records = self._records()
        if [record.at for record in records] != sorted(record.at for record in records):
            raise Violation(Promise.HISTORY, "the history is out of order")
        named = {record.version for record in records}
        if "rotator" in self.world.latest.tags and self.world.latest.version not in named:
            raise Violation(Promise.HISTORY, "the latest version is not in the history")
        begun = set()
        for record in records:
            if record.step is Step.APPLYING:
                begun.add(record.operation_id)
            if record.step is Step.ROTATED and record.operation_id not in begun:
                raise Violation(Promise.HISTORY, "a rotation ended that never began")

    def check_retired(self) -> None:
        """Once the grace period is long over, nothing old works."""
        if "rotator" not in self.world.latest.tags or self.facts.disturbed:
            return
        for one in self.world.versions:
            slot = self.world.provider.slot(one)
            if slot != self.slot and one.version not in self.facts.first and self.world.works(one):
                raise Violation(Promise.TIDY, f"slot {slot} lives on")

    def _check_secrecy(self) -> None:
        said = "\n".join((*self.facts.told, *(repr(record) for record in self._records())))
        for one in (*self.world.versions, *self.world.staged):
            password = parts(one.value)[1]
            if one.value.reveal() in said or (len(password) > len("byhand-and-more") and password in said):
                raise Violation(Promise.SECRET, "a value stands in what was told")

    # what is so

    @property
    def blocked(self) -> bool:
        """Whether every way to one of the slots is closed."""
        return any(self._closed(slot) for slot in self.world.provider.slots)

    @property
    def slot(self) -> str:
        """Of the latest version."""
        return self.world.provider.slot(self.world.latest)

    def _closed(self, slot: str) -> bool:
        """Whether every way to this slot is really closed: nothing that anybody knows logs in, and no administrator."""
        if not (self.facts.acted and self.facts.act in CHANGES_PASSWORD):
            return False  # nobody but us changed a password: then none may be lost
        if self.world.terms.admin is not None:
            return False
        named = {record.staged_version for record in self._records()}
        copies = [*self.world.versions, *(one for one in self.world.staged if one.version in named)]
        return not self.world.provider.known_by(slot, copies)

    def _records(self) -> list[Record]:
        histories = self.world.ledger._histories
        return [record for history in histories.values() for record in history.records]
