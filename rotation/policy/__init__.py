"""What tags ask for x what policy.toml permits: allowed or denied, and why.

Tags request, the policy permits, since anyone who may write a secret may write its tags (a confused deputy). Nothing is
permitted that no rule names. `rotation.policy.file` reads the file; `python -m rotation.policy check FILE` checks one.
"""

import re
from collections.abc import Iterable
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from rotation.addresses import STORAGE_ACCOUNTS
from rotation.errors import Denied
from rotation.frozen import Frozen
from rotation.policy.targets import Target, permitted
from rotation.rotators import ROTATORS
from rotation.terms import COMPANION_SUFFIX, Admin, PasswordRules, Refresh, Tls

if TYPE_CHECKING:
    from rotation.model import RequestedAccess, SecretRef, Spec
    from rotation.policy.windows import Window

ANY_SLOT = "*"  # in rules for this machine's own servers only
TWO = 2  # slots that take turns
# Where a rule says nothing; the other terms are those of a plain `RuleTerms`.
MAX_VALIDITY_DAYS, VERIFY_EVERY = 365, timedelta(hours=24)

_PRESENTABLE = r"[A-Za-z0-9_.:/()\[\]-]{1,250}"


class RuleTerms(Frozen):
    """The terms on which a rule lets a secret be rotated.

    rule: its number in the policy, from 1. slots: those it names; empty where the provider's slots need no naming,
    ("*",) where any will do. pairs: which of them take turns, where there are more than two. max_validity_days: None
    for no limit. min_grace_hours: an old slot lives on for so long at least. verify_every: None for never.
    jitter_percent: by how much of its life at most a version expires earlier, so that not all expire at once.
    followers: secrets that may repeat the credential, each as "vault/secret" in lower case.
    max_grace_hours: None: `retire = "after-grace"`. Else `retire = "when-unread"`: after its grace period an old slot
    lives on for as long as somebody is known to hold it, and for so many hours in all at most.
    refresh: who is asked to take each new version, once it is published.
    """

    rule: int
    slots: tuple[str, ...] = ()
    admin: Admin | None = None
    max_validity_days: int | None = MAX_VALIDITY_DAYS
    min_interval: timedelta = timedelta(hours=24)
    window: "Window | None" = None
    verify_every: timedelta | None = VERIFY_EVERY
    jitter_percent: int = 5
    password: PasswordRules = PasswordRules()
    tls: Tls = Tls.VERIFY_FULL
    pairs: tuple[tuple[str, str], ...] = ()
    min_grace_hours: int = 0
    followers: tuple[str, ...] = ()
    max_grace_hours: int | None = None
    refresh: tuple[Refresh, ...] = ()

    def allows(self, slot: str) -> bool:
        """Whether it is one of those named, or none need be."""
        return not self.slots or ANY_SLOT in self.slots or slot in self.slots

    def with_places(self, slots: tuple[str, ...]) -> "RuleTerms":
        """The terms where these slots are the places of what the rule lists (`RequestedAccess.listed`)."""
        named = {name: getattr(self, name) for name in self.__match_args__}
        return RuleTerms(**{**named, "slots": (*self.slots, *slots) if self.slots else ()})

    def permits_turn(self, slots: tuple[str, ...]) -> bool:
        """Whether these two take turns: they are one of `pairs`, or without any the only two that are named.

        Otherwise a secret could have the roles of two others take turns, and break both.
        """
        if not self.slots or ANY_SLOT in self.slots:
            return True
        turns = self.pairs or ((self.slots,) if len(set(self.slots)) == TWO else ())
        return set(slots) in [set(turn) for turn in turns]


class Rule(Frozen):
    """One rule: which secrets, by what, against which targets; and on what terms.

    vaults, secrets: in lower case, since Key Vault's names are case-insensitive. A vault is named exactly; a secret
    by a pattern in which `*` means any characters, and a pattern after `!` takes away what others cover.
    """

    vaults: tuple[str, ...]
    secrets: tuple[str, ...]
    rotators: tuple[str, ...]
    terms: RuleTerms
    targets: tuple[Target, ...] = ()

    def covers(self, ref: "SecretRef") -> bool:
        """Whether the rule is about this secret."""
        return self.names(ref.vault, ref.name)

    def names(self, vault: str, secret: str) -> bool:
        """Whether the rule is about the secret of that name in that vault."""
        if vault.lower() not in self.vaults:
            return False
        if not secret.isascii():  # in lower case the Kelvin sign and its like are ordinary letters
            return False
        covered = False
        for pattern in self.secrets:
            if fnmatchcase(secret.lower(), pattern.removeprefix("!")):
                if pattern.startswith("!"):
                    return False
                covered = True
        # What the rule names exactly as a follower is none of the leaders that its patterns mean.
        return covered and f"{vault}/{secret}".lower() not in self.terms.followers

    def excludes(self, ref: "SecretRef") -> bool:
        """Whether a pattern after `!` is about this name.

        One that takes out a secret and its companion alike, such as "!orders-*", leaves the secret to other rules, and
        is not about the companion.
        """
        name = ref.name.lower()
        whose = name.removesuffix(COMPANION_SUFFIX)
        return ref.vault.lower() in self.vaults and any(
            fnmatchcase(name, pattern[1:]) and (whose == name or not fnmatchcase(whose, pattern[1:]))
            for pattern in self.secrets
            if pattern.startswith("!")
        )

    def objection(self, spec: "Spec", access: "RequestedAccess", rules: "Iterable[Rule]" = ()) -> "Objection | None":
        """The first thing that is against it; None: the rule permits it. rules: what they list may be shown."""
        which = f"of the policy's rule {self.terms.rule}"
        if spec.rotator not in self.rotators:
            return Objection(0, "rotator", f"rotator {spec.rotator!a:.40} is not among the `rotators` {which}")
        for target in access.targets:
            if not permitted(self.targets, target):
                return Objection(
                    1, "target", f"target {_shown_target(target, spec, rules)} is not among the `targets` {which}"
                )
        for slot in access.listed or access.slots:
            if not self.terms.allows(slot):
                return Objection(2, "slots", f"slot {_shown_slot(slot, spec, rules)} is not among the `slots` {which}")
        if not access.listed and len(access.slots) == TWO and not self.terms.permits_turn(access.slots):
            two = " and ".join(_shown_slot(slot, spec, rules) for slot in access.slots)
            return Objection(3, "slots", f"slots {two} do not take turns: they are none of the `pairs` {which}")
        most = self.terms.max_validity_days
        if most is not None and spec.validity_days > most:
            message = f"validity-days {spec.validity_days} is above the `max-validity-days` {most} {which}"
            return Objection(4, "validity-days", message)
        return None


# A target or a slot may be read from the value, where a password may be in the wrong place: it is shown only where a
# rule lists the same, or a tag, which is no secret, says it.
_HIDDEN = "(not shown: no rule lists it)"


def _shown_target(target: str, spec: "Spec", rules: "Iterable[Rule]") -> str:
    tag = (spec.target or "").lower()
    # The port that a target has where the tag names none tells nothing.
    kind = ROTATORS.get(spec.rotator)
    by_tag = tag != "" and target in {tag, *(f"{tag}:{port}" for port in (kind.ports[:1] if kind else ()))}
    listed = by_tag or any(permitted(rule.targets, target) for rule in rules)
    return target if listed and re.fullmatch(_PRESENTABLE, target) else _HIDDEN


def _shown_slot(slot: str, spec: "Spec", rules: "Iterable[Rule]") -> str:
    listed = slot in spec.slots or any(slot in rule.terms.slots for rule in rules)
    return f"{slot!a:.80}" if listed else _HIDDEN


class Objection(Frozen):
    """Why a rule does not permit something. passed: how many of the rule's conditions held before; field: the tag."""

    passed: int
    field: str
    message: str


class Policy(Frozen):
    """All rules, in the order of the file. Without any, everything is denied.

    own_accounts: names, in lower case, of the storage accounts that the app lives on; see `self_protection`.
    """

    rules: tuple[Rule, ...] = ()
    own_accounts: frozenset[str] = frozenset()

    def covers(self, ref: "SecretRef") -> bool:
        """Whether any rule is about this secret; what it permits is another question."""
        return any(rule.covers(ref) for rule in self.rules)

    def excludes(self, ref: "SecretRef") -> bool:
        """Whether a rule takes this name out, so that nothing of the app's may be written there (a staged value)."""
        return any(rule.excludes(ref) for rule in self.rules)

    def followers_of(self, ref: "SecretRef") -> tuple[str, ...]:
        """The secrets, as "vault/secret" in lower case, that any rule about this one lets repeat its credential."""
        return tuple(dict.fromkeys(name for rule in self.rules if rule.covers(ref) for name in rule.terms.followers))

    def lets_follow(self, follower: "SecretRef", leader: "SecretRef") -> bool:
        """Whether a rule about `leader` names `follower`."""
        return str(follower).lower() in self.followers_of(leader)

    def not_a_follower(self, ref: "SecretRef") -> Denied:
        """What to say of a tag `follows` that no rule bears out: the same, whatever is true of the leader."""
        return Denied(
            f"no rule of the policy lets {str(ref)!a:.160} follow the secret in its tag follows: add it to the "
            "`followers` of the rule that covers that secret, or take the tag off",
            field="follows",
        )

    def refreshes(self, ref: "SecretRef") -> dict[str, Refresh]:
        """By name, everybody whom a rule about this secret lets be asked to take a new version."""
        return {one.name: one for rule in self.rules if rule.covers(ref) for one in rule.terms.refresh}

    def covered_by_none(self, ref: "SecretRef") -> Denied:
        """What to say where no rule is about this secret."""
        return Denied(f"no rule of the policy covers {str(ref)!a:.160}: add it to the `secrets` of a rule")

    def terms_for(self, ref: "SecretRef", spec: "Spec", access: "RequestedAccess") -> RuleTerms:
        """The terms of the first rule that permits all of it; they permit the slots that are asked for by `listed`.

        Raises:
            Denied: names what is missing from the rule that came closest, or that no rule covers the secret; or what
                no rule can permit.
        """
        self._spare_own_accounts(access)
        self._spare_administrators(access)
        closest: Objection | None = None
        for rule in self.rules:
            if not rule.covers(ref):
                continue
            objection = rule.objection(spec, access, self.rules)
            if objection is None:
                return rule.terms.with_places(access.slots) if access.listed else rule.terms
            if closest is None or objection.passed > closest.passed:
                closest = objection
        if closest is None:
            raise self.covered_by_none(ref)
        raise Denied(closest.message, field=closest.field)

    def _spare_own_accounts(self, access: "RequestedAccess") -> None:
        """By name, unique in the world: a scope does not say where an account is. For any rotator."""
        for target in access.targets:
            _, _, rest = target.lower().partition(f"/providers/{STORAGE_ACCOUNTS}/")
            name = rest.partition("/")[0]
            if name in self.own_accounts:
                raise Denied(
                    f"this app lives on the storage account {name!a:.80}, so no rule can permit its keys: "
                    "name another in the tag target",
                    field="target",
                )

    def _spare_administrators(self, access: "RequestedAccess") -> None:
        """A new password would lock the app out, and be in somebody's secret. Any rule may name it, or "*"."""
        for rule in self.rules:
            admin = rule.terms.admin
            if admin is None or admin.user not in (access.listed or access.slots):
                continue
            if any(permitted(rule.targets, target) for target in access.targets):
                raise Denied(
                    f"slot {admin.user!a:.80} is the administrator of the policy's rule {rule.terms.rule}, "
                    "so no rule can permit its password",
                    field="slots",
                )
