"""What followers get of their leader, and what they hold. Pure. See `rotation.engine.followers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rotation.engine.decision import Deferral, Looked
from rotation.errors import Unusable
from rotation.formats import FORMATS, Value, read
from rotation.formats.places import place_of, places_of
from rotation.model import RequestedAccess, Secret, SecretRef, SecretValue
from rotation.policy import Policy
from rotation.spec import leader_of

# Where it may pass that a follower can't be read. So long that the sweep asks: a message put back would come for ever.
ASK_AGAIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Lead:
    """The login that followers get.

    version: of the leader, that holds it. user: None where neither value nor slots name one.
    takes_turns: the next login may be another user's. places: where the leader leads, as `places_of` has them.
    expires_on: when the leader's version ends, and so theirs.
    """

    version: str
    password: SecretValue
    user: str | None
    takes_turns: bool
    places: frozenset[str]
    expires_on: datetime | None

    @classmethod
    def of(
        cls, value: SecretValue, form: str | None, access: RequestedAccess, version: str, expires_on: datetime | None
    ) -> Lead:
        """form: the leader's tag `format`. Words that only its rotator knows are of values that are a key alone.

        Raises:
            Unusable: its value is of no form in which the login can be found.
        """
        found = read(value, form if form is None or form in FORMATS else "plain")
        only = access.slots[0] if len(access.slots) == 1 else None
        places = places_of(found) | {place_of(target) for target in access.targets}
        turns = len(access.slots) > 1 and found.user in access.slots
        return cls(version, found.password, found.user or only, turns, places, expires_on)


@dataclass(frozen=True, slots=True)
class Follower:
    """A secret that says it follows, and that the policy names.

    secret, value: its latest version. unread: why there is none, or why it can't be understood, in words; `passes`:
    whether that may pass by itself.
    """

    ref: SecretRef
    secret: Secret | None = None
    value: Value | None = None
    unread: str | None = None
    passes: bool = False

    def has(self, lead: Lead) -> bool:
        """Whether its login is the leader's."""
        value = self.value
        if value is None or value.password != lead.password:
            return False
        return value.user is None or lead.user is None or value.user == lead.user

    def with_login_of(self, lead: Lead) -> SecretValue:
        """Its own value with the leader's login in it, and all else as it is.

        Raises:
            Unusable: it can't be written so, or may not.
        """
        if self.value is None or not places_of(self.value) <= lead.places:
            raise Unusable(self.unread or "it leads to a host that its leader does not ask for", field="value")
        if lead.takes_turns and self.value.user is None:
            raise Unusable(
                "its value names no user, and two roles take turns: make it a connection string", field="value"
            )
        return self.value.with_login(lead.password, None if self.value.user is None else lead.user)

    def objection(self, lead: Lead) -> str | None:
        """Why it can't have the leader's login; None: it can, or has it."""
        try:
            self.with_login_of(lead)
        except Unusable as unusable:
            return unusable.message
        return None

    def is_past(self, lead: Lead, grace: timedelta) -> bool:
        """Whether no reader of it needs an older login than the leader's any more, by the vault's own clock."""
        if self.secret is None or not self.has(lead):
            return False
        return self.secret.read_at >= self.secret.created_on + grace


@dataclass(slots=True)
class Followed:
    """What a run knows of its secret's followers.

    lead: what they were held against last; None: nothing yet, or no login was found in its value: `unread`.
    failed: they could not be looked at.
    spare: the login of a latest version that the ledger does not name yet; who has it already keeps it.
    urgent: the change can't wait for them: it was begun, somebody is locked out, or an operator wants it all the same.
    waiting: they wait for a change in place to be published to them.
    room: those for whose next version there is room in the vault. written: versions of this run's rotation.
    refresh: names of those who are asked to take a new version, by the leader's rule.
    """

    lead: Lead | None = None
    spare: Lead | None = None
    unread: str | None = None
    failed: bool = False
    found: list[Follower] = field(default_factory=list)
    urgent: bool = False
    waiting: bool = False
    room: set[SecretRef] = field(default_factory=set)
    written: dict[str, str] = field(default_factory=dict)
    refresh: tuple[str, ...] = ()

    def behind(self) -> list[Follower]:
        """Those that can have the leader's login, and have not got it."""
        lead, spare = self.lead, self.spare
        if lead is None:
            return []
        late = [one for one in self.found if not one.has(lead) and one.objection(lead) is None]
        return [one for one in late if spare is None or not one.has(spare)]

    def waits(self, replaced: Mapping[str, str]) -> bool:
        """Whether none of the versions that were to be replaced is, and they are to be replaced still.

        replaced: by "vault/secret", as records name them. Who is gone waits for nothing; if nobody could look, all do.
        """
        if not self.found:
            return self.failed
        found = {str(one.ref): one for one in self.found}
        return all(name in found and self._is_still(found[name], version) for name, version in replaced.items())

    def _is_still(self, follower: Follower, version: str) -> bool:
        """One that can't be read can't be written either; what it holds is looked at once it can."""
        if follower.secret is None:
            return True
        return follower.secret.version == version and not (self.lead is not None and follower.has(self.lead))

    def seen(self, looked: Looked, grace: timedelta, now: datetime) -> Looked:
        """What was looked at, with what they hold back. grace: of any slot that the leader's versions hold."""
        objections = self.objections()
        slow = [one for one in self.found if self.lead is None or not one.is_past(self.lead, grace)]
        late = tuple(str(one.ref) for one in self.found if one in slow or one in [each for each, _ in objections])
        blocked = None
        if objections:
            one, why = objections[0]
            blocked = Deferral(held_up(one.ref, why), now + ASK_AGAIN if one.passes else None, due=True)
        return replace(looked, not_past=late, blocked=blocked)

    def objections(self) -> list[tuple[Follower, str]]:
        """Those that can't be written, and why."""
        found = [(one, one.unread or (one.objection(self.lead) if self.lead else self.unread)) for one in self.found]
        return [(one, why) for one, why in found if why is not None]


def follows(secret: Secret, leader: SecretRef, policy: Policy) -> bool:
    """Whether a secret repeats what another has, by its tag and by the policy: then that one's runs write it."""
    try:
        named = leader_of(secret.tags)
    except Unusable:
        return False
    return named is not None and str(named) == str(leader).lower() and policy.lets_follow(secret.ref, leader)


def held_up(ref: SecretRef, why: str) -> str:
    """Why a change in place waits for a follower."""
    return f"its follower {ref} can't be written: {why}; a change in place would lock its readers out"
