"""One run under the lease: the primitives that the engine puts into order. Each may be repeated without harm."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from rotation.engine.fence import Fence, Limits, within
from rotation.engine.lead import Followed
from rotation.engine.managed_secret import ManagedSecret
from rotation.engine.observer import NoObserver, Observer
from rotation.engine.reminders import AT_MOST, UNFINISHED, NoReminders, OneReminder, Reminders
from rotation.errors import Disabled, NotFound, Redactor, Refused
from rotation.ledger.asked import Asked
from rotation.ledger.bindings import Bindings
from rotation.ledger.history import History, Staged
from rotation.ledger.records import AboutTo, Record, Step
from rotation.model import (
    Draft,
    RotationRequest,
    Secret,
    SecretRef,
    SecretValue,
    Versions,
)
from rotation.ports import Clock, Lease, Vault
from rotation.spec import companion, companion_tags

MAX_TRIES = 20  # of each kind of login, so that the administrator is reached before the call's time is up


class Run:
    """Holds one request's lease, history and fence. `remarks` collects what the outcome must say besides."""

    def __init__(
        self,
        request: RotationRequest,
        vault: Vault,
        lease: Lease,
        clock: Clock,
        limits: Limits,
        redactor: Redactor,
        observer: Observer | None = None,
        reminders: Reminders | None = None,
    ) -> None:
        self.request = request
        self.vault = vault
        self.clock = clock
        self.redactor = redactor
        self.observer = observer or NoObserver()
        self.history = History(lease.records)
        self.fence = Fence(lease, limits)
        self.bound: Mapping[str, Bindings] = {}  # of what was proven last, as read in this run
        self.bound_realm: str | None = None
        self.remarks: list[str] = []
        self.followed = Followed()
        self._lease = lease
        self._reminder = OneReminder(reminders or NoReminders())
        self._started = clock.monotonic()
        self._reserved = 0  # versions that the vault reserves
        self._may_read: set[str] = set()  # staged versions whose reading was announced

    def ours(self) -> frozenset[str]:
        """The slots that are bound to this secret."""
        owner = SecretRef(self.request.ref.vault.lower(), self.request.ref.name.lower())
        return frozenset(slot for slot, bindings in self.bound.items() if bindings.owner == owner)

    @property
    def elapsed_ms(self) -> int:
        """Since the lease was taken."""
        return round((self.clock.monotonic() - self._started) * 1000)

    def note(
        self,
        step: Step,
        operation: str,
        *,
        version: str | None = None,
        previous_version: str | None = None,
        staged_version: str | None = None,
        slot: str | None = None,
        detail: str | None = None,
        tags: Mapping[str, str] | None = None,
        asked: Asked | None = None,
        grace_hours: int | None = None,
        given_up: bool | None = None,
        unstages: str | None = None,
        followers: Mapping[str, str] | None = None,
    ) -> Record:
        """A record of now, ready for `append`. unstages: the staged version that will be disabled after it."""
        return Record(
            at=self.clock.now(),
            step=step,
            operation_id=operation,
            reason=str(self.request.reason),
            actor=self.request.actor,
            actor_id=self.request.actor_id,
            version=version,
            previous_version=previous_version,
            staged_version=staged_version or unstages,
            slot=slot,
            duration_ms=self.elapsed_ms,
            detail=detail,
            tags=tags,
            asked=None if asked is None else asked.to_record(),
            grace_hours=grace_hours,
            given_up=given_up,
            about_to=None if unstages is None else AboutTo.UNSTAGE,
            followers=followers or None,
        )

    def about_to(
        self,
        act: AboutTo,
        operation: str,
        *,
        version: str | None = None,
        previous_version: str | None = None,
        slot: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Record:
        """A record of what will be done, for `announce` or beside others in `append`."""
        note = self.note(
            Step.STAGED, operation, version=version, previous_version=previous_version, slot=slot, tags=tags
        )
        return replace(note, about_to=act)

    async def announce(self, *acts: Record) -> None:
        """Write down what is about to be done, unless that is there already: killed, the next run does it."""
        new = [act for act in acts if not self.history.announced(act)]
        if new:
            await self.append(*new)

    async def append(self, *records: Record) -> None:
        """Write records, under the lease."""
        with self.observer.step("record"):
            await self._lease.append(*records)
        self._look_if_over()

    async def give_up(self, secret: Secret, operation: str, slot: str | None, why: str) -> None:
        """Record that an operation will not be finished."""
        detail = self.redactor.scrub(f"what was begun is given up: {why}")
        self.remarks.append(detail)
        version = secret.version
        await self.append(
            self.note(Step.FAILED, operation, previous_version=version, slot=slot, detail=detail, given_up=True)
        )

    # what outlives the run

    def remind(self, version: str) -> None:
        """Begin to leave a reminder, for a change in place: asked for again what is begun now on `version`."""
        begun = self.history.open_operation()
        if begun is None or begun.base_version != version or begun.tries < AT_MOST:
            ref, actor = self.request.ref, self.request.actor
            self._reminder.send(RotationRequest(ref, version, UNFINISHED, actor), self._lease.remaining())

    async def reminded(self) -> None:
        """Before the change: the reminder is there, if one was begun, or can't be left."""
        await self._reminder.sent()

    async def end(self) -> None:
        """Let the lease go. The reminder is called off, unless what was begun is still to be finished."""
        self._look_if_over()
        with self.observer.step("release"):
            await asyncio.gather(self._lease.release(), self._reminder.called_off())

    def _look_if_over(self) -> None:
        over = self.history.open_operation() is None and not self.followed.waiting
        if self._reminder.begun and over:
            self._reminder.over()

    async def read(self, version: str | None = None, *, name: str | None = None) -> Secret:
        """One version of the secret (or of `name`); its value is known to the redactor from here on."""
        call = self.vault.get(name or self.request.ref.name, version)
        with self.observer.step("read", version):
            secret = await within(self.fence.limits.vault_call, "the vault", call)
        self.redactor.add(secret.value)
        return secret

    async def older_value(self, version: str) -> SecretValue | None:
        """The value of an older version; None where it is disabled or gone."""
        try:
            return (await self.read(version)).value
        except (Disabled, NotFound):
            return None

    async def versions(self, name: str) -> Versions:
        """The versions of the secret, or of its companion."""
        with self.observer.step("list"):
            return await within(self.fence.limits.vault_call, "the vault", self.vault.versions(name))

    # new versions, reserved

    async def reserve_writes(self, versions: int) -> None:
        """Wait until the vault takes them; 0: until it takes any. To be done before what can't wait any more.

        Raises:
            Throttled: not soon; nothing was done.
        """
        await self.vault.reserve_writes(versions)
        self._reserved += versions

    async def _use_reserved(self) -> None:
        if self._reserved == 0:
            await self.reserve_writes(1)
        self._reserved -= 1

    # staging

    async def stage(self, operation: str, draft: Draft) -> Record:
        """Write the draft's value to the companion secret; the record that names it is the caller's to append.

        Only staged versions that the ledger names are ever used, so a value planted in the companion is never tried.
        """
        assert draft.value is not None  # noqa: S101  callers stage only what has a value
        value = draft.value
        self.redactor.add(value)
        name = self.request.ref.name
        await self._refuse_foreign_companion(name)
        tags = companion_tags(name, operation_id=operation, slot=draft.slot)
        await self._use_reserved()
        with self.observer.step("stage"):
            kept = await self.fence.vault_write(lambda: self.vault.set(companion(name), value, tags=tags))
        return self.note(Step.STAGED, operation, staged_version=kept.version, slot=draft.slot)

    async def _refuse_foreign_companion(self, name: str) -> None:
        """What a value was staged into before is ours; else it must be free, or say that it is meant for this."""
        if self.history.staged():
            return
        found = (await self.versions(companion(name))).items
        if found and found[0].tags.get("staged-for", "").lower() != name.lower():
            raise Refused(
                f"{companion(name)} is a secret of somebody else's (it has no tag staged-for = {name}), and new values "
                "are staged under that name: rename it, or this secret",
                field="name",
            )

    def about_to_read(self, slot: str | None, operation: str) -> list[Record]:
        """What to append before another's staged values of a slot are tried as logins: they may be disabled."""
        staged = [
            s for s in self.history.staged() if s.slot == slot and s.operation_id != operation and not s.superseded
        ]
        self._may_read.update(one.version for one in staged[:MAX_TRIES])
        return [self._reading(one) for one in staged[:MAX_TRIES]]

    def _reading(self, staged: Staged) -> Record:
        return self.about_to(AboutTo.READ_STAGED, staged.operation_id, version=staged.version, slot=staged.slot)

    async def staged_value(self, staged: Staged) -> SecretValue | None:
        """What was staged, even if disabled since (it is enabled to be read, then disabled again). None: it is gone."""
        name = companion(self.request.ref.name)
        try:
            return (await self.read(staged.version, name=name)).value
        except Disabled:
            pass
        except NotFound:
            return None
        if staged.version not in self._may_read:
            await self.announce(self._reading(staged))
        with self.observer.step("enable", staged.version):
            await self.fence.vault_write(lambda: self.vault.set_enabled(name, staged.version, enabled=True))
        try:
            return (await self.read(staged.version, name=name)).value
        finally:
            await self.unstage(staged.version)

    async def unstage(self, staged_version: str) -> None:
        """Disable a staged value, as a record announced; never deleted, since soft delete would take its name."""
        await self.disable(companion(self.request.ref.name), staged_version)

    async def disable(self, name: str, version: str) -> None:
        """Disable one version of the secret or of its companion, as a record announced."""
        with self.observer.step("disable", version):
            await self.fence.vault_write(lambda: self.vault.set_enabled(name, version, enabled=False))

    # publishing

    async def publish(
        self, managed: ManagedSecret, value: SecretValue, tags: Mapping[str, str], expires_on: datetime
    ) -> Secret:
        """A new version for consumers to read."""
        latest = managed.secret
        await self._use_reserved()
        with self.observer.step("publish"):
            return await self.fence.vault_write(
                lambda: self.vault.set(
                    latest.ref.name, value, tags=tags, content_type=latest.content_type, expires_on=expires_on
                )
            )
