"""What Azure resources with two access keys have in common: two keys that the resource manager lists and regenerates.

Such a resource is data here, a `Keyed`; its rotator adds how its value is read, and how a consumer's login is proven.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import ClientSession

from rotation.addresses import names_in, outermost
from rotation.errors import MovedElsewhere, NotYet, Refused, Unreachable, Unusable
from rotation.model import Job, SecretValue, Spec
from rotation.rotators.azure.picking import pick
from rotation.rotators.azure.rest import ACCEPTED, CREATED, FORBIDDEN, NOT_FOUND, PRECONDITION, ApiClient, ApiResponse
from rotation.rotators.azure.table import Keyed, Slot

ASK_AGAIN_S = 15


@dataclass(frozen=True, slots=True)
class Key:
    """created: None where the resource does not tell. id: likewise, and blank."""

    value: SecretValue
    created: datetime | None
    id: str = ""


class TwoKeys:
    """The keys of resources of one type, over the resource manager."""

    def __init__(self, keyed: Keyed, arm: ApiClient) -> None:
        self._keyed = keyed
        self._arm = arm

    def target(self, spec: Spec) -> tuple[str, tuple[str, ...]]:
        """The resource that the tags name: its id in lower case, and the names in it. No I/O.

        Raises:
            Unusable: the tag `target` names none, or `slots` names other keys than it has.
        """
        what, slots = self._keyed.what, self._keyed.both
        if spec.target is None:
            raise Unusable(f"set the tag target to the ARM id of the {what}", field="target")
        found = (names_in(spec.target, kind, names) for kind, names in self._keyed.types.items())
        names = next((names for names in found if names is not None), None)
        if names is None:
            raise Unusable(f"the tag target is not the ARM id of a {what}", field="target")
        if spec.slots and set(spec.slots) != set(slots):
            both = f"{slots[0]},{slots[1]} or {slots[1]},{slots[0]}"
            raise Unusable(f"the tag slots is not {both}; leave it out", field="slots")
        return spec.target.lower(), names

    def other_slot(self, job: Job) -> str:
        """The slot that is not in use. No I/O.

        Raises:
            Unusable: with neither known to be in use, either might be.
        """
        if job.current.slot not in job.access.slots:
            raise Unusable(f"nothing proved yet which key of {self.called(job)} the value is: ask again", field="value")
        return next(slot for slot in job.access.slots if slot != job.current.slot)

    async def listed(self, over: ClientSession, job: Job) -> Mapping[str, Key]:
        """The keys as the resource manager lists them, by slot; the list may lag behind a change."""
        return self._parse(await self._call(over, job, self._keyed.list_method, self._keyed.list_action, {}), job)

    def slot_of(self, key: SecretValue, listed: Mapping[str, Key], job: Job) -> str | None:
        """Which of the listed keys it is; None: neither.

        Raises:
            Unusable: both are the same.
        """
        slots = [slot for slot in self._keyed.both if slot in listed and listed[slot].value == key]
        if len(slots) > 1:
            raise Unusable(f"both keys of {self.called(job)} are the same: regenerate the one that nobody uses")
        return slots[0] if slots else None

    async def regenerate(
        self, over: ClientSession, job: Job, slot: str, *, chosen: SecretValue | None = None, id_of: str = ""
    ) -> Key | None:
        """Make a key anew; the one that it replaces dies at once. -> None: the answer does not hold it, or not yet.

        chosen: what it shall be, where the resource lets its caller say. id_of: what the list calls the key.

        Raises:
            Refused: it is in use, or no key of the resource's; or the resource manager said no.
        """
        if slot not in self._keyed.both or slot == job.current.slot:
            raise Refused(f"{slot!a:.40} of {self.called(job)} is in use, or no key; it is not regenerated")
        keyed, sent = self._keyed, {"slot": self._keyed.slot(slot).sent, "id": id_of}
        body = {name: text.format(**sent) for name, text in keyed.body.items()}
        if keyed.chosen is not None and chosen is not None:
            body[keyed.chosen] = chosen.reveal()
        path = f"{job.access.targets[0]}/{keyed.regenerate.format(**sent)}"
        response = await self._arm.post(over, path, body, **{"api-version": keyed.api_version})
        answer = self._judge(response, job)
        # 201 and 202: it is made while nobody waits, though SignalR shows the new key with it already.
        if response.status in {CREATED, ACCEPTED} or not keyed.answers or not answer:
            return None
        if keyed.one_key:
            return Key(self._one(answer, job, slot), None, str(answer.get("id") or id_of))
        key = self._parse(answer, job).get(slot)
        if key is None:
            raise Refused(f"{self.called(job)} did not return its new {slot}; look at its keys")
        return key

    async def properties(self, over: ClientSession, job: Job, *, of_outermost: bool = False) -> Mapping[str, Any]:
        """What the resource manager tells of the resource itself, or of the one that it is within."""
        target = outermost(job.access.targets[0]) if of_outermost else job.access.targets[0]
        answer = await self._arm.get(over, target, **{"api-version": self._keyed.api_version})
        properties = self._judge(answer, job).get("properties")
        return properties if isinstance(properties, dict) else {}

    def realm(self, job: Job) -> str:
        """A name that is its own in all of Azure says who it is, whatever group its id names; else the id does."""
        target = job.access.targets[0]
        if self._keyed.realm is None:
            return f"{self._keyed.name}:{target}"
        return f"{self._keyed.realm}:{'/'.join(target.split('/')[8:])}"

    def check_realm(self, job: Job) -> None:
        """Before a change.

        Raises:
            MovedElsewhere: another resource was proven.
        """
        if job.realm not in {None, self.realm(job)}:
            raise MovedElsewhere(
                f"the tag target names {self.called(job)} now, and another {self._keyed.what} was proven: ask again"
            )

    def not_listed(self, job: Job) -> NotYet:
        return NotYet(
            f"Azure Resource Manager does not list the new key of {self.called(job)} yet",
            retry_after_s=ASK_AGAIN_S,
        )

    def called(self, job: Job) -> str:
        """The resource in messages, such as "storage account stordersprod"."""
        return f"{self._keyed.what} {'/'.join(job.access.targets[0].split('/')[8::2])}"

    def _one(self, body: Mapping[str, Any], job: Job, slot: str) -> SecretValue:
        found = body.get(self._keyed.one_key)
        if not isinstance(found, str) or not found:
            raise Refused(f"{self.called(job)} did not return its new {slot}; look at its keys")
        return SecretValue(found)

    async def _call(
        self, over: ClientSession, job: Job, method: str, action: str, body: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        path, query = f"{job.access.targets[0]}/{action}", {"api-version": self._keyed.api_version}
        if method == "GET":
            return self._judge(await self._arm.get(over, path, **query), job)
        return self._judge(await self._arm.post(over, path, body, **query), job)

    def _parse(self, body: Mapping[str, Any], job: Job) -> Mapping[str, Key]:
        try:
            found = {slot.name: key for slot in self._keyed.slots if (key := _key(slot, body)) is not None}
        except (KeyError, TypeError, ValueError):
            found = {}
        if not found:
            raise Refused(f"the list of keys of {self.called(job)} can't be understood")
        return found

    def _judge(self, answer: ApiResponse, job: Job) -> Mapping[str, Any]:
        if answer.ok:
            return answer.body
        if answer.status == FORBIDDEN:
            raise Refused(f"this app may not manage {self.called(job)} ({answer.summary}): give it {self._keyed.role}")
        if answer.status == NOT_FOUND:
            raise Refused(f"there is no {self.called(job)} at the tag target", field="target")
        if answer.status == PRECONDITION:  # Cosmos DB, while another operation holds its lock
            raise Unreachable(
                f"{self.called(job)} is being changed by another request ({answer.summary}); it is asked again later"
            )
        raise Refused(f"Azure Resource Manager answered {answer.summary} for {self.called(job)}")


def name_of(job: Job) -> str:
    """The resource's own name."""
    return job.access.targets[0].rsplit("/", 1)[1]


def _key(slot: Slot, body: Mapping[str, Any]) -> Key | None:
    """None: it is not there. ValueError: what is there is no key."""
    value = pick(body, slot.listed)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise ValueError
    created = pick(body, slot.created) if slot.created else None
    named = pick(body, slot.id) if slot.id else ""
    return Key(SecretValue(value), datetime.fromisoformat(created) if created else None, str(named or ""))
