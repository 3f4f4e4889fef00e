"""Secrets that repeat another's credential: which there are, and what they hold.

A follower has no lease, no history and no run of its own. Here it is only read; `rotation.engine.following` writes.
A run, a plan, the sweep and a look over HTTP all ask here. See docs/adr/0047-followers.md.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import replace

from rotation.engine.dependencies import EngineDependencies, ManagedSecrets
from rotation.engine.fence import within
from rotation.engine.lead import Followed, Follower, Lead
from rotation.engine.managed_secret import ManagedSecret
from rotation.errors import Disabled, NotFound, Redactor, RotationError, Unusable
from rotation.formats import read
from rotation.ledger.history import History
from rotation.model import Outcome, Result, RotationRequest, Secret, SecretRef
from rotation.ports import Vault
from rotation.spec import companion, format_of, leader_of, parse


class Followers:
    """Reads them. Nothing is written, and no lease is needed."""

    def __init__(self, dependencies: EngineDependencies, managed_secrets: ManagedSecrets | None = None) -> None:
        self._dependencies = dependencies
        self._managed_secrets = managed_secrets or ManagedSecrets(dependencies)

    # whose request it is

    async def turned(self, vault: Vault, request: RotationRequest) -> RotationRequest | Outcome:
        """What to do for a secret that no rule covers: its leader's request, or an outcome.

        Its value is none of our business, so its tags alone are looked at. A pin is on its own version: where an
        operator's does not hold any more nothing is done; anybody else's leaves a wish to look.

        Raises:
            Denied: it asks to be rotated, or to follow, and the policy does not permit it; that tells nothing of the
                secret that it would follow. NotFound. Unusable: of the tag `follows`.
        """
        policy, ref = self._dependencies.policy, request.ref
        with self._dependencies.observer.step("list"):
            listed = await within(self._dependencies.limits.vault_call, "the vault", vault.versions(ref.name))
        if not listed.items:
            raise NotFound(f"there is no secret {ref.name} in {vault.name}, or it is deleted", field="secret")
        latest = listed.items[0]
        leader = leader_of(latest.tags)
        if leader is not None:
            if not policy.lets_follow(ref, leader):
                raise policy.not_a_follower(ref)
            wish = replace(request, ref=leader, version=None)
            if request.version in {None, latest.version}:
                return wish
            if request.demanded:
                detail = f"version {request.version} was asked for, and {latest.version} is the latest now"
                return Outcome(Result.SUPERSEDED, ref, detail, version=latest.version)
            return replace(wish, early=False)
        if parse(latest.tags) is None:
            return Outcome(Result.UNMANAGED, ref, "it has no `rotator` tag", version=latest.version)
        raise policy.covered_by_none(ref)

    def refuse(self, secret: Secret) -> None:
        """Raise Denied where a secret that a rule covers has the tag `follows`: no leader follows."""
        if leader_of(secret.tags) is not None:
            raise self._dependencies.policy.not_a_follower(secret.ref)

    # what they hold

    async def look(self, secret: Secret, history: History, redactor: Redactor) -> Followed:
        """Read a leader's followers. secret: its latest version.

        `lead` is of the latest version that the ledger names: of nothing else is it known that it works, and whose it
        is. While a change in place is open it is of what was staged for it, once that is the latest version; else
        there is none, since the login that is named may be dead by now, and the operation is finished first.

        Raises:
            RotationError: the leader can't be read, or the policy does not permit it any more.
        """
        if not self._dependencies.policy.followers_of(secret.ref):
            return Followed()
        source = await self._source(secret, history, redactor)
        if source is None:
            return Followed()
        tags = history.tags_of(source.version) or source.tags
        spec = parse(tags)
        if spec is None or leader_of(secret.tags) is not None:
            return Followed()
        managed = self._managed_secrets.of(replace(source, tags=tags), spec, redactor)
        found, refresh = await self.read(managed, redactor), tuple(one.name for one in managed.terms.refresh)
        followed = Followed(found=found, refresh=refresh)
        try:
            followed.lead = self.lead(managed)
        except Unusable as unusable:
            followed.unread = unusable.message
        if source.version != secret.version:
            with contextlib.suppress(Unusable):
                followed.spare = self.lead(replace(managed, secret=secret))
        return followed

    def lead(self, managed: ManagedSecret) -> Lead:
        """What followers get of this version; errors as `Lead.of`."""
        secret = managed.secret
        return Lead.of(secret.value, managed.spec.format, managed.access, secret.version, secret.expires_on)

    async def _source(self, secret: Secret, history: History, redactor: Redactor) -> Secret | None:
        begun = history.open_operation()
        if begun is not None and begun.in_place:
            staged = history.staged_for(begun.operation_id)
            if staged is None or secret.version == begun.base_version:
                return None
            kept = await self._version(secret.ref, companion(secret.ref.name), staged.version, redactor)
            return secret if kept is not None and kept.value == secret.value else None
        named = next(iter(history.versions()), None)
        if named is None or named == secret.version:
            return None if named is None else secret
        if parse(secret.tags) is None:
            return None  # people look after it by now, and perhaps after its followers
        return await self._version(secret.ref, secret.ref.name, named, redactor)

    async def _version(self, leader: SecretRef, name: str, version: str, redactor: Redactor) -> Secret | None:
        call = self._dependencies.vaults[leader.vault].get(name, version)
        try:
            found = await within(self._dependencies.limits.vault_call, "the vault", call)
        except (Disabled, NotFound):
            return None
        redactor.add(found.value)
        return found

    async def standing(
        self, secret: Secret, history: History, redactor: Redactor
    ) -> list[tuple[SecretRef, bool, str | None]]:
        """Of each follower: whether it has the leader's login, and what keeps it from that. Errors as `look`."""
        followed = await self.look(secret, history, redactor)
        lead, why = followed.lead, {one.ref: text for one, text in followed.objections()}
        found = followed.found or await self._read(
            self._dependencies.policy.followers_of(secret.ref), secret.ref, redactor
        )
        return [(one.ref, lead is not None and one.has(lead), why.get(one.ref, one.unread)) for one in found]

    async def read(self, managed: ManagedSecret, redactor: Redactor) -> list[Follower]:
        """Those of the rule's `followers` that say by their tag that they follow this secret, side by side.

        Of one that can't be read nobody knows; so it counts as one.
        """
        return await self._read(managed.terms.followers, managed.ref, redactor)

    async def _read(self, names: Iterable[str], ref: SecretRef, redactor: Redactor) -> list[Follower]:
        refs = [SecretRef(*name.split("/")) for name in names]
        leader = SecretRef(ref.vault.lower(), ref.name.lower())
        found: Iterable[Follower | None] = await asyncio.gather(
            *(self._follower(ref, leader, redactor) for ref in refs)
        )
        return [one for one in found if one is not None]

    async def _follower(self, ref: SecretRef, leader: SecretRef, redactor: Redactor) -> Follower | None:
        vault = self._dependencies.vaults.get(ref.vault)
        if vault is None:
            return Follower(ref, unread="its vault is not among ROTATION_VAULTS")
        try:
            try:
                secret = await within(self._dependencies.limits.vault_call, "the vault", vault.get(ref.name))
            except Disabled as disabled:
                follows = leader in await self._leaders(vault, ref)
                return Follower(ref, unread=disabled.message) if follows else None
            redactor.add(secret.value)
            if leader_of(secret.tags) != leader:
                # Tags belong to a version: one that is written by hand without any would silently follow no longer.
                lost = not secret.tags and leader in await self._leaders(vault, ref)
                why = "its latest version was written without tags: set follows again, or take it out of the policy"
                return Follower(ref, secret, unread=why) if lost else None
            value = read(secret.value, format_of(secret.tags))
        except NotFound:
            return None  # nobody can read it
        except RotationError as error:
            return Follower(ref, unread=error.message, passes=error.transient)
        redactor.add(value.password)
        return Follower(ref, secret, value)

    async def _leaders(self, vault: Vault, ref: SecretRef) -> list[SecretRef | None]:
        """Whom its newest two versions follow."""
        listed = await within(self._dependencies.limits.vault_call, "the vault", vault.versions(ref.name))
        return [leader_of(one.tags) for one in listed.items[:2]]
