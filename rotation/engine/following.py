"""What a run does for its secret's followers: it writes them under its own lease, from its own latest version.

First those that are behind, so that a message that comes again after a crash mends them; then, beside a change in
place, so that their readers wait for about one write; else right after the new version is published and recorded. What
can't be written goes into the outcome. It keeps the old slots alive, and a change in place from beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from rotation.engine.dependencies import EngineDependencies
from rotation.engine.followers import Followers
from rotation.engine.lead import ASK_AGAIN, Follower, Lead, held_up
from rotation.engine.managed_secret import ManagedSecret, operation_id
from rotation.engine.run import Run
from rotation.errors import LeaseLost, NotYet, RotationError, Throttled, Unusable
from rotation.formats import read
from rotation.ledger.records import AboutTo, Record
from rotation.model import Credential, Draft, Secret, SecretRef, SecretValue
from rotation.spec import format_of


class NotReady(NotYet):
    """A follower can't be written beside a change in place; nothing was changed. It becomes a deferral."""


class Following:
    """Its methods are called in the order of the steps; `Run.followed` has what one finds out."""

    def __init__(self, dependencies: EngineDependencies, followers: Followers) -> None:
        self._dependencies = dependencies
        self._followers = followers

    async def keep_up(self, run: Run, secret: Secret | None = None) -> None:
        """Write each follower whose login is another than that of the latest version that the ledger names.

        secret: the latest version, where it was read. Nothing is done twice for one version. What goes wrong goes into
        the outcome.

        Raises:
            LeaseLost.
        """
        known, named = run.followed.lead, next(iter(run.history.versions()), None)
        if not self._dependencies.policy.followers_of(run.request.ref) or (
            known is not None and known.version == named
        ):
            return
        try:
            with run.observer.step("follow"):
                latest = secret or await run.read()
                run.followed = await self._followers.look(latest, run.history, run.redactor)
            for one, why in run.followed.objections():
                _tell(run, one.ref, why)
            lead, behind = run.followed.lead, run.followed.behind()
            if lead is not None and behind:
                await run.announce(_about_to_write(run, behind, lead.version))
                await self._write(run, behind, lead)
        except LeaseLost:
            raise
        except RotationError as error:
            run.followed.failed = True
            run.remarks.append(run.redactor.scrub(f"its followers were not looked at: {error.message}"))

    async def ready(self, run: Run, managed: ManagedSecret, draft: Draft, *, in_place: bool) -> None:
        """Before `applying`: read them, unless this run did; in place, keep room for what will be written.

        Raises:
            NotReady: it has to.
        """
        if not managed.terms.followers:
            return
        followed, current = run.followed, managed.secret.value
        if followed.lead is None:
            followed.found = await self._followers.read(managed, run.redactor)
        objections: list[tuple[str, int | None]] = []
        late: list[Follower] = []
        try:
            lead = _lead(managed, draft.value or current, None)
        except Unusable as unusable:
            objections += [(held_up(one.ref, unusable.message), None) for one in followed.found]
        else:
            late = [one for one in followed.found if not one.has(lead)]
            found = [(one, one.unread or one.objection(lead)) for one in late]
            soon = round(ASK_AGAIN.total_seconds())
            objections += [(held_up(one.ref, why), soon if one.passes else None) for one, why in found if why]
        if in_place and objections and not followed.urgent:
            raise NotReady(objections[0][0], retry_after_s=objections[0][1])
        if in_place:
            followed.waiting = bool(late)
            await self._reserve(run, late)

    async def _reserve(self, run: Run, late: Sequence[Follower]) -> None:
        """Room for the next version of each: a write that waits for room keeps its readers out."""
        wanted = [one.ref for one in late if one.value is not None]
        for vault in dict.fromkeys(ref.vault for ref in wanted):
            refs = {ref for ref in wanted if ref.vault == vault}
            try:
                await self._dependencies.vaults[vault].reserve_writes(len(refs))
            except Throttled as full:
                if not run.followed.urgent:
                    why = held_up(min(refs), full.message)
                    raise NotReady(why, retry_after_s=full.retry_after_s) from None
            else:
                run.followed.room |= refs

    async def beside(
        self, run: Run, managed: ManagedSecret, credential: Credential, expires_on: datetime | None
    ) -> None:
        """Give them the new login: beside its publication, or after it. What goes wrong goes into the outcome.

        Raises:
            LeaseLost.
        """
        followed = run.followed
        if not followed.found:
            return
        try:
            lead = _lead(managed, credential.value, expires_on)
        except Unusable as unusable:
            for one in followed.found:
                _tell(run, one.ref, unusable.message)
            return
        followed.lead, followed.spare = lead, None
        for one, why in followed.objections():
            _tell(run, one.ref, why)
        await self._write(run, followed.behind(), lead)
        followed.waiting = bool(followed.behind())

    @staticmethod
    def published(run: Run, version: str) -> None:
        """The new version is recorded: it is the one that `beside` was about."""
        if run.followed.lead is not None:
            run.followed.lead = replace(run.followed.lead, version=version)

    async def _write(self, run: Run, behind: Sequence[Follower], lead: Lead) -> None:
        """Side by side, each inside the lease as any other write."""
        done = await asyncio.gather(*(self._write_one(run, one, lead) for one in behind), return_exceptions=True)
        for one, result in zip(behind, done, strict=True):
            if isinstance(result, Secret) and one.value is not None:
                value = read(result.value, format_of(result.tags))
                run.followed.found[run.followed.found.index(one)] = replace(one, secret=result, value=value)
                run.followed.written[str(one.ref)] = result.version
            elif isinstance(result, RotationError) and not isinstance(result, LeaseLost):
                _tell(run, one.ref, result.message)
            elif isinstance(result, BaseException):
                raise result

    async def _write_one(self, run: Run, follower: Follower, lead: Lead) -> Secret:
        """All but the login as it is: the rest of its value, its tags, its content type. It ends with its leader."""
        latest, ref, vault = follower.secret, follower.ref, self._dependencies.vaults[follower.ref.vault]
        assert latest is not None  # noqa: S101  only what was read is behind
        value = follower.with_login_of(lead)
        run.redactor.add(value)
        if ref not in run.followed.room:
            await vault.reserve_writes(1)
        run.followed.room.discard(ref)
        with run.observer.step("follow"):
            return await run.fence.vault_write(
                lambda: vault.set(
                    ref.name, value, tags=latest.tags, content_type=latest.content_type, expires_on=lead.expires_on
                )
            )


def _lead(managed: ManagedSecret, value: SecretValue, expires_on: datetime | None) -> Lead:
    """Of a version that is to be written; errors as `Lead.of`."""
    return Lead.of(value, managed.spec.format, managed.access, "", expires_on)


def _about_to_write(run: Run, behind: Sequence[Follower], version: str) -> Record:
    """Who reads one of them may have been asked to take `version` already: so the record says who is asked again.

    Each time it is another operation, since a receiver passes over an order that it has had.
    """
    replaced = versions_of(behind)
    operation = operation_id(run.request.ref, version, f"follow {' '.join(replaced.values())}")
    act = run.about_to(AboutTo.FOLLOW, operation, version=version)
    return replace(act, followers=replaced, refresh=list(run.followed.refresh) or None)


def versions_of(followers: Iterable[Follower]) -> dict[str, str]:
    """As records name them: the version of each now."""
    return {str(one.ref): one.secret.version for one in followers if one.secret is not None}


def _tell(run: Run, ref: SecretRef, why: str) -> None:
    told = run.redactor.scrub(f"its follower {ref} can't be written: {why}")
    if told not in run.remarks:
        run.remarks.append(told)
