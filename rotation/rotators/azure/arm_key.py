"""One of the two keys of an Azure resource, in turn, for every row of the table: `rotation.rotators.azure.rows`.

The other key is made anew and published; the one in use lives on until it is retired, by being made anew too. What a
key opens is not asked: it is compared with the one that Azure lists, which is where Azure's own services look. So what
is listed works, as far as the resource lets anybody in by a key, and that is asked before each change.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import timedelta

from aiohttp import ClientSession

from rotation.errors import Refused, Rejected, Unusable
from rotation.model import (
    Applied,
    Credential,
    Draft,
    Job,
    LoginSource,
    Proof,
    RequestedAccess,
    Secret,
    SecretValue,
    Spec,
)
from rotation.ports import RotatorDependencies
from rotation.rotators.azure.arm_making import Making
from rotation.rotators.azure.arm_value import ArmValue, read_value
from rotation.rotators.azure.picking import pick
from rotation.rotators.azure.rest import ApiClient, session
from rotation.rotators.azure.table import Keyed
from rotation.rotators.azure.two_keys import Key, TwoKeys

SETTLES_AFTER = timedelta(minutes=10)  # what is not listed, and older than this, is so for good
KEY_BYTES = 32  # of a key that we choose: "256-bit keys" of shared access policies
COMPARED = "compared with the key that Azure lists"


class ArmKey:
    """Slots and rights are those of the row."""

    def __init__(self, keyed: Keyed, services: RotatorDependencies) -> None:
        self._keyed = keyed
        self._services = services
        self._two = TwoKeys(keyed, ApiClient("Azure Resource Manager", services.endpoints.arm, services.tokens))
        self._making = Making(keyed, self._two, services.now)

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        target, names = self._two.target(spec)
        value = read_value(secret.value, spec, self._keyed, names)
        return RequestedAccess(
            (target,), spec.slots or self._keyed.both, current_slot=None, form=value.form, confidential=(value.key,)
        )

    def draft(self, job: Job) -> Draft:
        slot = self._two.other_slot(job)
        if self._keyed.chosen is None:
            return Draft(slot, None)
        key = base64.b64encode(self._services.random.randbytes(KEY_BYTES)).decode()
        return Draft(slot, self._read(job.current.value, job).with_key(Key(SecretValue(key), None)))

    async def apply(self, job: Job, draft: Draft) -> Applied:
        """Makes the key anew that is not in use.

        A key that we chose is sent again until it is listed: that changes nothing. One that Azure made and we staged is
        waited for while the list may lag. Else a repetition makes it once more, which harms nobody: a key that was
        never published has no consumers. What takes longer than a run is left to Azure, with a mark by which the next
        run sees that it is done.
        """
        self._two.check_realm(job)
        slot = draft.slot or self._two.other_slot(job)
        async with session() as over:
            listed = await self._look(over, job)
            before = listed.get(slot)
            if draft.value is not None:
                drafted = self._read(draft.value, job)
                if before is not None and drafted.holds(before):
                    return Applied(Credential(draft.value, slot), remark=COMPARED)
                if self._keyed.chosen is not None:
                    await self._send(over, job, slot, drafted)
                    return Applied(Credential(draft.value, slot), remark=COMPARED)
                if draft.since is not None and self._services.now() - draft.since < SETTLES_AFTER:
                    raise self._two.not_listed(job)
            made = await self._making.new(over, job, slot, before, draft)
        value = self._read(job.current.value, job).with_key(made)
        return Applied(Credential(value, slot), remark=COMPARED)

    async def prove(self, job: Job) -> Proof:
        """The resource manager lists the value as one of the keys, and the resource lets in by keys."""
        value = self._read(job.current.value, job)
        async with session() as over:
            listed = await self._look(over, job)
        slot = self._two.slot_of(value.key, listed, job)
        if slot is None:
            raise Rejected(f"the value is none of the keys of {self._two.called(job)}")
        if not value.holds(listed[slot]):
            raise Unusable(f"the value calls its key otherwise than {self._two.called(job)} does: correct it")
        return Proof(slot, self._two.realm(job))

    async def realm(self, job: Job, slot: str) -> str | None:  # noqa: ARG002  the port's signature
        return self._two.realm(job)

    async def verify(self, job: Job, credential: Credential) -> None:
        value = self._read(credential.value, job)
        async with session() as over:
            keys = await self._two.listed(over, job)
        listed = keys.get(credential.slot)
        if listed is not None and value.holds(listed):
            return
        is_other = any(value.holds(one) for one in keys.values())
        made_just_now = credential.slot != job.current.slot and credential.value != job.current.value
        if made_just_now and not is_other:
            raise self._two.not_listed(job)
        raise Rejected(f"the value is not {credential.slot!a:.40} of {self._two.called(job)}")

    async def retire(self, job: Job, slot: str) -> None:
        """Makes the old key anew, so that nobody knows it. Again, where it was done already: to no harm."""
        self._two.check_realm(job)
        async with session() as over:
            await self._making.end(over, job, slot, [value.key async for value in self._published(job, slot)])

    async def _send(self, over: ClientSession, job: Job, slot: str, drafted: ArmValue) -> None:
        """Set the key that we chose."""
        made = await self._two.regenerate(over, job, slot, chosen=drafted.key)
        if made is not None and not drafted.holds(made):
            raise Refused(f"{self._two.called(job)} made another key than it was given; look at its keys")

    async def _look(self, over: ClientSession, job: Job) -> Mapping[str, Key]:
        """The keys, of a resource that takes keys."""
        for switch in self._keyed.switches:
            properties = await self._two.properties(over, job, of_outermost=switch.outermost)
            if switch.is_off(pick(properties, switch.property)):
                raise Refused(
                    f"{self._two.called(job)} takes no keys ({switch.property} says so): let its consumers use Entra, "
                    "or allow keys again"
                )
        return await self._two.listed(over, job)

    async def _published(self, job: Job, slot: str) -> AsyncIterator[ArmValue]:
        async for login in job.logins(slot):
            if login.source is LoginSource.VERSION and login.value is not None:
                with suppress(Unusable):
                    yield self._read(login.value, job)

    def _read(self, value: SecretValue, job: Job) -> ArmValue:
        _, names = self._two.target(job.spec)
        return read_value(value, job.spec, self._keyed, names)
