"""What must hold where two secrets live side by side: each credential has one owner, who alone may change it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rotation.ledger.bindings import Binding
from rotation.ledger.history import History
from rotation.ledger.records import Record, Step
from rotation.model import Adopt, Secret, SecretRef
from tests.proof.simulation.promises import Facts, Promise, Violation
from tests.proof.simulation.providers import Database, is_uri, parts
from tests.proof.simulation.street import Street, asking

NAMES_A_VERSION = frozenset({Step.PUBLISHED, Step.ADOPTED, Step.REPAIRED})
SURELY_SEEN = timedelta(seconds=130)  # a look at another's vault is never older than this when a binding is written


@dataclass
class Owned:
    """Each `check_…` raises Violation.

    touched: when a person wrote a secret last. handed: slots that an operator gave from one to another, or set anew.
    foreign: versions of companions that somebody else wrote. disowned: secrets whose credential went elsewhere.
    """

    world: Street
    facts: Facts
    touched: dict[SecretRef, datetime] = field(default_factory=dict)
    handed: set[str] = field(default_factory=set)
    foreign: list[Secret] = field(default_factory=list)
    restored: bool = False
    _recorded: dict[SecretRef, int] = field(default_factory=dict)

    # when a run changes a credential

    def changing(self, slot: str) -> None:
        """A run is about to change it, or to take it away."""
        who = asking.get()
        if who is None:
            return
        self.facts.changed.append(slot)
        owner = self.world.owner(slot)
        if owner is None and slot not in self.world.provider.slots and self._was_assigned_to(who.ref, slot):
            return  # killed before its binding, and now cleared away by who had asked for it
        if owner != who.ref:
            told = f"{who.ref} changes {slot}, which belongs to {owner or 'nobody'}"
            raise Violation(Promise.OWNED, told)
        for ref in self.world.refs:
            self._check_consumers(ref, slot, theirs=ref != who.ref)

    def _was_assigned_to(self, ref: SecretRef, slot: str) -> bool:
        if not self.world.rotator.startswith("entra"):
            return False
        name = self.world.provider._passwords[slot].name  # type: ignore[attr-defined]  # a directory's
        return any(operation in name for operation in History(self.world.ledger.records(ref)).operations())

    def _check_consumers(self, ref: SecretRef, slot: str, *, theirs: bool) -> None:
        versions = self.world.all(ref)
        records = {r.version: r for r in self.world.ledger.records(ref) if r.step in NAMES_A_VERSION}
        now = self.world.vault._clock.now()
        provider = self.world.provider
        for place, one in enumerate(versions):
            record = records.get(one.version)
            if record is None or record.grace_hours is None:
                continue  # none, or of the package before, which promised nothing
            if provider.slot(one) != slot or not one.enabled or not self.world.works(one):
                continue
            if theirs and (slot in self.handed or self.restored):
                continue  # by an operator; or who comes first to a server that is another since
            if not theirs and self._asked_slots(ref) == (slot,):
                continue  # in place the old credential dies with the change
            superseded = versions[place + 1].created_on if place + 1 < len(versions) else now
            if now < superseded + self._promised(one, record) or place + 1 == len(versions):
                whose = f"{'another' if theirs else 'its own'} secret's run: version {place + 1} of {len(versions)}"
                raise Violation(Promise.CONSUMERS, f"a consumer of {ref} is locked out by {whose}")

    def _promised(self, version: Secret, record: Record) -> timedelta:
        """By what its tags said when it was written, and by the record."""
        tags = version.tags if record.tags is None else record.tags
        told = int(tags.get("grace-hours", "72")) if record.step is Step.PUBLISHED and "rotator" in tags else 0
        return timedelta(hours=max(told, record.grace_hours or 0))

    def _asked_slots(self, ref: SecretRef) -> tuple[str, ...]:
        asked = History(self.world.ledger.records(ref)).asked()
        return asked.slots if asked is not None else ()

    # at any time

    def check_always(self) -> None:
        """After each step of anybody."""
        if self.world.provider.repeated:
            raise Violation(Promise.ONCE, "a password that held already was set again")
        for ref in self.world.refs:
            records = self.world.ledger.records(ref)
            for record in records[self._recorded.get(ref, 0) :]:
                self._check_record(ref, record)
            self._recorded[ref] = len(records)
        for one in self.foreign:
            kept = [each for each in self.world.vaults[one.ref.vault].all(one.ref.name) if each.version == one.version]
            if kept and kept[0] != one:
                raise Violation(Promise.OTHERS, "a version of somebody else's was changed")

    def binding(self, binding: Binding, old: SecretRef | None) -> None:
        """It was given by a login, or by an operator; and with the lease of who had it."""
        ref, who = binding.owner, asking.get()
        if who is None or who.ref != ref:
            raise Violation(Promise.PROVEN, f"{ref} got {binding.slot} by another's run")
        if binding.how == "reset":
            named = binding.slot in who.request.slots or self.world.rotator.startswith("entra")
            if who.request.adopt is not Adopt.RESET or not (named or self._is_proven(binding.slot, who.proven)):
                raise Violation(Promise.PROVEN, f"{binding.slot} was reset, and nobody named it")
        elif binding.how != "made" and not self._is_proven(binding.slot, who.proven):
            raise Violation(Promise.PROVEN, f"{ref} got {binding.slot} without a proof")
        if old is None or old == ref:
            return
        if self.world.ledger.records(old) and self.world.ledger.holder(old) is not who:
            raise Violation(Promise.OWNED, f"{ref} got {binding.slot} without the lease of {old}")
        seen = ref not in self.touched or self.touched[ref] < who.began
        if binding.how in {"proof", "takeover"} and seen and not self._has_a_login(ref):
            raise Violation(Promise.PROVEN, f"{ref} got {binding.slot}, for which its value is no login any more")
        if who.request.adopt is Adopt.TAKEOVER:
            self.handed.add(binding.slot)
            return
        why = self.relies(old, binding.slot)
        recent = self.world.now - self.touched.get(old, self.world.now - 2 * SURELY_SEEN) < SURELY_SEEN
        if why is not None and not (recent and why in {"asks", "names"}):
            raise Violation(Promise.OWNED, f"{ref} got {binding.slot}, on which {old} relies: it {why} it")

    def _is_proven(self, slot: str, let_in: set[str]) -> bool:
        if isinstance(self.world.provider, Database):
            together = next(({*pair} for pair in self.world.pairs_of() if slot in pair), {slot})
            return bool(let_in & together)
        return slot in let_in

    def _has_a_login(self, ref: SecretRef) -> bool:
        """Whether its latest value logs in, or what the package before had staged to follow it.

        That package bound nothing: an operation of its is finished by whichever of the two values works, and where the
        new one was applied and the old one is dead since, the new one alone says whose the credential is.
        """
        if self.world.works(self.world.all(ref)[-1]):
            return True
        history = History(self.world.ledger.records(ref))
        begun = history.open_operation()
        staged = history.staged_for(begun.operation_id) if begun is not None and begun.asked is None else None
        return staged is not None and any(
            one.version == staged.version and self.world.works(one) for one in self.world.all_staged(ref)
        )

    def _check_record(self, ref: SecretRef, record: Record) -> None:
        """What is recorded as this secret's own is bound to it by then; what is staged or published is in its place."""
        if record.step is Step.STAGED:
            self._check_staged(ref, record)
        if record.step is Step.PUBLISHED:
            self._check_published(ref, record)
        if record.step in {Step.PUBLISHED, Step.REPAIRED}:
            self._check_form(ref, record)
        if record.step not in {Step.ADOPTED, Step.APPLYING} or record.asked is None:
            return
        realm = record.asked.get("realm")
        if realm is None:
            return
        slots = tuple(record.asked["slots"]) or ((record.slot,) if record.step is Step.ADOPTED else ())
        for slot in slots:
            found = [one for one in self.world.ledger.in_order() if (one.realm, one.slot) == (realm, slot)]
            if not found or found[-1].owner != ref:
                raise Violation(Promise.OWNED, f"{record.step} of {slot} is recorded for {ref}, which it does not own")

    def _check_staged(self, ref: SecretRef, record: Record) -> None:
        """Not into a secret of somebody else's, who made it well before."""
        first = next(one for one in self.world.ledger.records(ref) if one.step is Step.STAGED)
        staged = [one.version for one in self.world.all_staged(ref)]
        if record is not first or record.staged_version not in staged:
            return
        at = staged.index(record.staged_version)
        versions = self.world.all_staged(ref)
        if at and not versions[at - 1].tags and versions[at].created_on - versions[at - 1].created_on > SURELY_SEEN:
            raise Violation(Promise.OTHERS, "a value was staged into a secret of somebody else's")

    def _check_published(self, ref: SecretRef, record: Record) -> None:
        """Not what was no longer asked for when the run began; but in place, where the old credential is dead."""
        history = History(self.world.ledger.records(ref))
        # Who wrote it may have been killed before the record, which is another's then, and knew what it had read.
        who = self.world.written_by.get(record.version or "") or self.world.ledger.holder(ref) or asking.get()
        begun = [one for one in history._records if one.step is Step.APPLYING]
        begun = [one for one in begun if one.operation_id == record.operation_id]
        asked = begun[-1].asked if begun else None
        base = next((one for one in self.world.all(ref) if one.version == record.previous_version), None)
        if base is None or asked is None or who is None or not self.world.provider.slots:
            return
        in_place = asked["slots"] == [record.slot] or history.versions().get(base.version) == record.slot
        if in_place or who.ref != ref or (ref in self.touched and self.touched[ref] >= who.began):
            return
        if "rotator" not in base.tags or record.slot not in self.wanted(base):
            raise Violation(Promise.ASKED, f"{record.slot} was published, and it is no longer asked for")

    def _check_form(self, ref: SecretRef, record: Record) -> None:
        """Whoever reads a secret in one form reads its next version, too."""
        versions = {one.version: one for one in self.world.all(ref)}
        old, new = versions.get(record.previous_version or ""), versions.get(record.version or "")
        if old is not None and new is not None and is_uri(old.value) != is_uri(new.value):
            raise Violation(Promise.CONSUMERS, f"{ref} was written in another form than its readers know")

    def relies(self, ref: SecretRef, slot: str) -> str | None:
        """Why a secret needs a slot, by what is really so; None: it does not."""
        versions = self.world.all(ref)
        if not versions:
            return None
        latest, history = versions[-1], History(self.world.ledger.records(ref))
        tags = latest.tags
        names = self.world.provider.slot(latest) == slot
        if names:
            return "names"
        if "rotator" in tags and slot in self.wanted(latest):
            return "asks"
        unfinished = history.open_operation()
        if unfinished is not None and unfinished.slot == slot:
            return "is changing"
        records = {r.version: r for r in history._records if r.step in NAMES_A_VERSION}
        retired = [r.slot for r in history._records if r.step is Step.RETIRED]
        now = self.world.vault._clock.now()
        for place, one in enumerate(versions[:-1]):
            record = records.get(one.version)
            if record is None or record.slot != slot or slot in retired or record.grace_hours is None:
                continue
            if now < versions[place + 1].created_on + timedelta(hours=record.grace_hours):
                return "promised its readers"
        return None

    def wanted(self, secret: Secret) -> tuple[str, ...]:
        """The slots that a version asks for."""
        if not isinstance(self.world.provider, Database):
            slot = self.world.provider.slot(secret)
            return ("key1", "key2") if self.world.rotator == "storage-key" else (slot,)
        if secret.tags.get("rotator") == "postgres":
            return (self.world.provider.slot(secret),)
        return tuple(one for one in secret.tags.get("slots", "").split(",") if one)

    # in the end

    def check_secrecy(self) -> None:
        """No value in what was told."""
        world = self.world
        said = "\n".join((*self.facts.told, *(repr(r) for ref in world.refs for r in world.ledger.records(ref))))
        for one in [each for ref in world.refs for each in (*world.all(ref), *world.all_staged(ref))]:
            password = parts(one.value)[1]
            if one.value.reveal() in said or (len(password) > len("byhand-and-more") and password in said):
                raise Violation(Promise.SECRET, "a value stands in what was told")

    def check_unmanaged(self, ref: SecretRef) -> None:
        """A secret that is no longer managed was left in order."""
        latest = self.world.all(ref)[-1]
        known = History(self.world.ledger.records(ref)).versions()
        slot = self.world.provider.slot(latest)
        if latest.version in known and self.world.owner(slot) == ref and not self.world.works(latest):
            raise Violation(Promise.WORKS, f"{ref} is unmanaged since, and was left with a value that does not work")

    def check_tidy(self, ref: SecretRef) -> None:
        """Of a secret that is looked after: nothing staged stays readable."""
        records = self.world.ledger.records(ref)
        if History(records).open_operation() is not None:
            return  # it is looked after
        named = {record.staged_version for record in records}
        if any(one.enabled and one.version in named for one in self.world.all_staged(ref)):
            raise Violation(Promise.TIDY, f"a staged value of {ref} stays readable")
