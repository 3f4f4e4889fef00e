"""Who owns a credential: bindings in the ledger are the only authority over it.

One is given by a login in the same run, or by an operator who names the slots. Where another secret holds it, that
one's lease is taken first, so that it can't be in the middle of a change, and the two are looked at side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from rotation.capabilities import TellsProvidersApart
from rotation.engine.fence import within
from rotation.engine.jobs import job_of
from rotation.engine.lead import follows
from rotation.engine.managed_secret import ManagedSecret, operation_id
from rotation.engine.run import Run
from rotation.errors import (
    BoundElsewhere,
    Denied,
    Disabled,
    NotFound,
    Overtaken,
    Rejected,
    RotationError,
    Unproven,
    Unreachable,
)
from rotation.ledger.asked import Asked
from rotation.ledger.bindings import Binding, Bindings, credential_key, folded
from rotation.ledger.history import History
from rotation.model import Adopt, Credential, Proof, Secret, SecretRef
from rotation.policy import Policy
from rotation.ports import Lease, Ledger, Rotator, Vault
from rotation.spec import parse


async def read_bindings(ledger: Ledger, asked: Asked, slots: Iterable[str]) -> dict[str, Bindings]:
    """The bindings of some slots, side by side; empty where nothing at a provider is owned."""
    if asked.realm is None:
        return {}
    wanted = list(dict.fromkeys(slots))
    keys = [credential_key(asked.realm, slot) for slot in wanted]
    return dict(zip(wanted, await asyncio.gather(*map(ledger.bindings, keys)), strict=True))


@dataclass(frozen=True, slots=True)
class Owners:
    """Reads and writes bindings. `rotator` builds one by its name, and raises Unusable for a name it does not know."""

    vaults: Mapping[str, Vault]
    ledger: Ledger
    policy: Policy
    rotator: Callable[[str], Rotator]

    async def look_up(self, run: Run, asked: Asked | None) -> None:
        """Read who owns what was proven last, once for this run."""
        if asked is None or asked.realm is None:
            return
        latest = next(iter(run.history.versions().values()), None)
        slots = asked.slots or ([latest] if latest else [])
        run.bound, run.bound_realm = await read_bindings(self.ledger, asked, slots), asked.realm

    async def look_up_more(self, run: Run, asked: Asked, slots: Iterable[str]) -> None:
        """Of slots that the provider assigned: those of older versions."""
        run.bound = {
            **run.bound,
            **await read_bindings(self.ledger, asked, [slot for slot in slots if slot not in run.bound]),
        }

    async def take(
        self, run: Run, managed: ManagedSecret, proof: Proof, prove: Callable[[], Awaitable[Proof]]
    ) -> Asked:
        """Bind to this secret what it asks for, and what `proof` has shown to be its own.

        prove: shows it again, once nobody else can be in the middle of a change.

        Raises:
            BoundElsewhere: another secret relies on it; names it and what ends that. Busy: that one is at work.
            Overtaken: a binding was written since. Unreachable: the other one's vault can't be read.
        """
        targets = dict.fromkeys((*([proof.at] if proof.at else ()), *managed.access.targets))
        asked = Asked.of(managed.spec.rotator, replace(managed.access, targets=tuple(targets)), proof.realm)
        slots = managed.access.slots or (proof.slot,)
        found = await self._read_once(run, asked, slots)
        if isinstance(managed.rotator, TellsProvidersApart) and any(bindings.records for bindings in found.values()):
            apart = asked.apart(asked.targets[0])
            theirs = await self._read_once(run, apart, slots)
            # What was kept apart here before stays so, even if the one that it was kept apart from is gone.
            known = any(bindings.records for bindings in theirs.values())
            if known or await self._is_apart(run, managed, proof, found):
                _refuse_if_owned_here(managed, found)
                asked, found = apart, theirs
        mine = folded(managed.ref)
        others = sorted({b.owner for b in found.values() if b.owner is not None and b.owner != mine})
        async with self._leases(others) as leases:
            if run.request.adopt is not Adopt.TAKEOVER:
                for slot, bindings in found.items():
                    if bindings.owner in leases:
                        await self._refuse_if_relied_on(run, managed, slot, bindings, leases[bindings.owner])
            if others and await prove() != proof:
                raise Overtaken("the credential was changed in between; it is proven again")
            held = [lease for lease in leases.values() if lease is not None]
            # In one order, whatever the tags' is: of two that meet, the first to get one gets both.
            for slot, bindings in sorted(found.items()):
                if bindings.owner != mine:
                    found[slot] = await self._bind(run, managed, asked, slot, bindings, others=held)
        run.bound, run.bound_realm = found, asked.realm
        return asked

    async def made(self, run: Run, managed: ManagedSecret, asked: Asked, slot: str) -> None:
        """Bind a slot that the provider has just assigned, so that another secret that has it is not its owner."""
        if asked.realm is None or managed.access.slots or slot in run.bound:
            return
        [(_, found)] = (await read_bindings(self.ledger, asked, [slot])).items()
        if found.owner != folded(managed.ref):
            found = await self._bind(run, managed, asked, slot, found, how="made")
        run.bound = {**run.bound, slot: found}

    async def _read_once(self, run: Run, asked: Asked, slots: Iterable[str]) -> dict[str, Bindings]:
        """What this run has read already is not read again: an append says whether it is still so."""
        if asked.realm == run.bound_realm and set(slots) <= run.bound.keys():
            return {slot: run.bound[slot] for slot in slots}
        return await read_bindings(self.ledger, asked, slots)

    async def _bind(
        self,
        run: Run,
        managed: ManagedSecret,
        asked: Asked,
        slot: str,
        found: Bindings,
        how: str | None = None,
        others: Iterable[Lease] = (),
    ) -> Bindings:
        """others: the leases of the owners before, which have to outlive the call as ours has."""
        assert asked.realm is not None  # noqa: S101  callers bind only what a provider holds
        owner, actor = folded(managed.ref), run.request.actor
        by = how or _how(run)
        binding = Binding(run.clock.now(), owner, asked.realm, slot, asked.targets, by, actor)
        key = credential_key(asked.realm, slot)

        with run.observer.step("bind"):
            await run.fence.ledger_write(lambda: self.ledger.bind(key, found.position, binding), others)
        return Bindings((*found.records, binding), found.position)  # for reading only: nothing is appended after it

    async def _is_apart(self, run: Run, managed: ManagedSecret, proof: Proof, found: Mapping[str, Bindings]) -> bool:
        """Whether the owner's provider is another one that says to be the same: a restored backup, a copied disk.

        Only asked where the owner names it otherwise, and where the policy lets this secret log in at that name.
        """
        if not isinstance(managed.rotator, TellsProvidersApart):
            return False
        for bindings in found.values():
            last = bindings.records[-1] if bindings.records else None
            if last is None or last.owner == folded(managed.ref) or set(last.targets) & set(managed.access.targets):
                continue
            theirs = last.targets[0]
            try:
                self.policy.terms_for(managed.ref, managed.spec, replace(managed.access, targets=(theirs,)))
            except Denied:
                continue
            current = Credential(managed.secret.value, proof.slot)
            job = job_of(run, managed, current, operation_id(managed.ref, managed.secret.version), realm=proof.realm)
            with run.observer.step("compare"):
                same = managed.rotator.same_provider(job, theirs)
                if not await within(run.fence.limits.provider_call, "the provider", same):
                    return True
        return False

    def not_ours(self, run: Run, managed: ManagedSecret, rejected: Rejected) -> RotationError:
        """Why a value that does not log in is left as it is."""
        mine = folded(managed.ref)
        others = sorted({b.owner for b in run.bound.values() if b.owner is not None and b.owner != mine})
        if others:
            return BoundElsewhere(
                f"what it asks for belongs to {', '.join(map(str, others))} by now, and its own value does not log in "
                "any more: remove its tag rotator, or write a value of its own"
            )
        return unproven(managed, rejected)

    # another's

    @contextlib.asynccontextmanager
    async def _leases(self, others: Iterable[SecretRef]) -> AsyncIterator[dict[SecretRef, Lease | None]]:
        """Of each, if it has a history. Busy where one is held: then all are let go."""
        held: dict[SecretRef, Lease | None] = {}
        try:
            for other in others:
                held[other] = await self.ledger.acquire(other, create=False)
            yield held
        finally:
            for lease in held.values():
                if lease is not None:
                    await lease.release()

    async def _refuse_if_relied_on(
        self, run: Run, managed: ManagedSecret, slot: str, bindings: Bindings, lease: Lease | None
    ) -> None:
        owner = bindings.records[-1].owner
        why = await self._why_relied_on(
            run, managed, slot, bindings.records[-1], History(lease.records if lease else ())
        )
        if why is not None:
            raise BoundElsewhere(
                f"{slot!a:.80} at {', '.join(managed.access.targets)} belongs to {owner}, {why}. One secret owns a "
                f"credential, and others follow it: list this one in the `followers` of the rule that covers {owner}, "
                f"with the tag follows={owner}; or take it over by POST .../rotate?adopt=takeover"
            )

    async def _why_relied_on(
        self, run: Run, managed: ManagedSecret, slot: str, binding: Binding, history: History
    ) -> str | None:
        """Why the owner needs the slot. None: it does not."""
        owner = binding.owner
        vault = self.vaults.get(owner.vault)
        if vault is None:
            return "whose vault is not among ROTATION_VAULTS any more, so that nobody can see whether it is in use"
        try:
            theirs = await within(run.fence.limits.vault_call, "the vault", vault.get(owner.name))
        except NotFound:
            return None
        except Disabled:
            return "whose latest version is disabled and may be enabled again"
        except Unreachable:
            raise Unreachable(
                f"{slot!a:.80} belongs to {owner}, which can't be read now. If its vault is gone for good: "
                "POST .../rotate?adopt=takeover"
            ) from None
        run.redactor.add(theirs.value)
        unfinished, known = history.open_operation(), history.versions()
        written = follows(theirs, managed.ref, self.policy)
        reasons = {
            "which asks for it": self._asks_for(theirs, slot, binding, managed),
            "whose latest version names it": not written
            and (known.get(theirs.version) == slot or self._names(theirs, slot, binding, managed)),
            "whose latest version may hold it, since nothing says of which credential that is": not written
            and theirs.version not in known
            and self._names(theirs, None, binding, managed),
            "which is in the middle of changing it": unfinished is not None and unfinished.slot in {None, slot},
            "whose readers may still use it: the grace period that they were promised is not over": history.in_grace(
                slot, run.clock.now(), theirs
            ),
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    def _asks_for(self, theirs: Secret, slot: str, binding: Binding, managed: ManagedSecret) -> bool:
        """By its tags and value. What can't be read as asking for anything may ask for just this."""
        try:
            spec = parse(theirs.tags)
            if spec is None:
                return False
            access = self.rotator(spec.rotator).requested_access(spec, theirs)
        except RotationError:
            return True
        near = {*binding.targets, *managed.access.targets}
        wanted = access.slots or ((access.current_slot,) if access.current_slot else ())
        return bool(near & set(access.targets)) and (not wanted or slot in wanted)

    def _names(self, theirs: Secret, slot: str | None, binding: Binding, managed: ManagedSecret) -> bool:
        """Whether its value is a login of that slot, managed or not, read as ours is, or in a form of its own.

        slot: None: whether it names none, as a bare key does.
        """
        near = {*binding.targets, *managed.access.targets}
        for spec in (managed.spec, replace(managed.spec, format=None)):
            with contextlib.suppress(RotationError):
                access = managed.rotator.requested_access(spec, theirs)
                if access.current_slot == slot and near & set(access.targets):
                    return True
        return False


def _refuse_if_owned_here(managed: ManagedSecret, found: Mapping[str, Bindings]) -> None:
    """A pair of which one half is another's here, while the other half has to be kept apart from its like elsewhere."""
    for slot, bindings in found.items():
        last = bindings.records[-1] if bindings.records else None
        if last and last.owner != folded(managed.ref) and not set(last.targets).isdisjoint(managed.access.targets):
            raise BoundElsewhere(f"{slot!a:.80} at {', '.join(last.targets)} belongs to {last.owner}: ask for another")


def unproven(managed: ManagedSecret, rejected: Rejected) -> Unproven:
    """The value logs in nowhere, and nothing says that what it asks for is this secret's."""
    slots = ",".join(managed.access.slots)
    named = f"&slots={slots}" if slots else ""
    return Unproven(
        f"{rejected.message}; nothing was changed, since nothing proves that this secret owns it: write the working "
        f"value as a new version, or an operator sets it anew by POST .../rotate?adopt=reset{named}"
    )


def _how(run: Run) -> str:
    return "proof" if run.request.adopt is Adopt.NO else run.request.adopt.value
