"""What Azure resources with two access keys have in common: two keys that the resource manager lists and regenerates.

Such a resource is data here, a `Keyed`; its rotator adds how its value is read, and how a consumer's login is proven.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import ClientSession

from rotation.addresses import resource_of
from rotation.errors import MovedElsewhere, NotYet, Refused, Unusable
from rotation.model import Job, SecretValue, Spec
from rotation.rotators.azure.rest import FORBIDDEN, NOT_FOUND, ApiClient, ApiResponse

ASK_AGAIN_S = 15


@dataclass(frozen=True, slots=True)
class Key:
    """created: None where the resource does not tell."""

    value: SecretValue
    created: datetime | None


@dataclass(frozen=True, slots=True)
class Keyed:
    """A type of resource with two keys.

    what: as people call it, such as "storage account". kind: its type in lower case. name: a pattern of its names.
    realm: the word before a resource's name in what a proof says; names must be their own in all of Azure.
    slots: what the two keys are called. list_action, regenerate_action: the calls, below the resource's id.
    body: what names a slot to the second. keys: the keys, by slot, of an answer to either; ValueError, KeyError or
    TypeError where it can't be understood. roles: those that the app needs on it, in words.
    """

    what: str
    kind: str
    name: str
    realm: str
    api_version: str
    roles: str
    keys: Callable[[Mapping[str, Any]], Mapping[str, Key]]
    slots: tuple[str, str] = ("key1", "key2")
    list_action: str = "listKeys"
    regenerate_action: str = "regenerateKey"
    body: Callable[[str], Mapping[str, str]] = lambda slot: {"keyName": slot}

    def called(self, job: Job) -> str:
        """The resource in messages, such as "storage account stordersprod"."""
        return f"{self.what} {name_of(job)}"


class TwoKeys:
    """The keys of resources of one type, over the resource manager."""

    def __init__(self, keyed: Keyed, arm: ApiClient) -> None:
        self._keyed = keyed
        self._arm = arm

    def target(self, spec: Spec) -> tuple[str, str]:
        """The resource that the tags name: its id in lower case, and its name. No I/O.

        Raises:
            Unusable: the tag `target` names none, or `slots` names other keys than it has.
        """
        what, slots = self._keyed.what, self._keyed.slots
        if spec.target is None:
            raise Unusable(f"set the tag target to the ARM id of the {what}", field="target")
        name = resource_of(spec.target, self._keyed.kind, self._keyed.name)
        if name is None:
            raise Unusable(f"the tag target is not the ARM id of a {what}", field="target")
        if spec.slots and set(spec.slots) != set(slots):
            both = f"{slots[0]},{slots[1]} or {slots[1]},{slots[0]}"
            raise Unusable(f"the tag slots is not {both}; leave it out", field="slots")
        return spec.target.lower(), name

    def other_slot(self, job: Job) -> str:
        """The slot that is not in use. No I/O.

        Raises:
            Unusable: with neither known to be in use, either might be.
        """
        if job.current.slot not in job.access.slots:
            raise Unusable(f"nothing proved yet which key of {self._name(job)} the value is: ask again", field="value")
        return next(slot for slot in job.access.slots if slot != job.current.slot)

    async def listed(self, over: ClientSession, job: Job) -> Mapping[str, Key]:
        """The keys as the resource manager lists them, by slot; the list may lag behind a change."""
        return self._parse(await self._post(over, job, self._keyed.list_action, {}), job)

    def slot_of(self, key: SecretValue, listed: Mapping[str, Key], job: Job) -> str | None:
        """Which of the listed keys it is; None: neither.

        Raises:
            Unusable: both are the same.
        """
        slots = [slot for slot in self._keyed.slots if slot in listed and listed[slot].value == key]
        if len(slots) > 1:
            raise Unusable(f"both keys of {self._name(job)} are the same: regenerate the one that nobody uses")
        return slots[0] if slots else None

    async def regenerate(self, over: ClientSession, job: Job, slot: str) -> Key:
        """Make a key anew; the one that it replaces dies at once.

        Raises:
            Refused: it is in use, or no key of the resource's; or the resource manager said no.
        """
        if slot not in self._keyed.slots or slot == job.current.slot:
            raise Refused(f"{slot!a:.40} of {self._name(job)} is in use, or no key; it is not regenerated")
        body = await self._post(over, job, self._keyed.regenerate_action, self._keyed.body(slot))
        key = self._parse(body, job).get(slot)
        if key is None:
            raise Refused(f"{self._name(job)} did not return its new {slot}; look at its keys")
        return key

    async def properties(self, over: ClientSession, job: Job) -> Mapping[str, Any]:
        """What the resource manager tells of the resource itself."""
        answer = await self._arm.get(over, job.access.targets[0], **{"api-version": self._keyed.api_version})
        properties = self._judge(answer, job).get("properties")
        return properties if isinstance(properties, dict) else {}

    def realm(self, job: Job) -> str:
        """A name is its own in all of Azure, whatever group its id names, so nobody need be asked."""
        return f"{self._keyed.realm}:{name_of(job)}"

    def check_realm(self, job: Job) -> None:
        """Before a change.

        Raises:
            MovedElsewhere: another resource was proven.
        """
        if job.realm not in {None, self.realm(job)}:
            raise MovedElsewhere(
                f"the tag target names {self._name(job)} now, and another {self._keyed.what} was proven: ask again"
            )

    def not_listed(self, job: Job) -> NotYet:
        return NotYet(
            f"Azure Resource Manager does not list the new key of {self._name(job)} yet",
            retry_after_s=ASK_AGAIN_S,
        )

    def _name(self, job: Job) -> str:
        return self._keyed.called(job)

    async def _post(self, over: ClientSession, job: Job, action: str, body: Mapping[str, str]) -> Mapping[str, Any]:
        path = f"{job.access.targets[0]}/{action}"
        return self._judge(await self._arm.post(over, path, body, **{"api-version": self._keyed.api_version}), job)

    def _parse(self, body: Mapping[str, Any], job: Job) -> Mapping[str, Key]:
        try:
            return self._keyed.keys(body)
        except (KeyError, TypeError, ValueError):
            raise Refused(f"the list of keys of {self._name(job)} can't be understood") from None

    def _judge(self, answer: ApiResponse, job: Job) -> Mapping[str, Any]:
        if answer.ok:
            return answer.body
        if answer.status == FORBIDDEN:
            raise Refused(f"this app may not manage {self._name(job)} ({answer.summary}): give it {self._keyed.roles}")
        if answer.status == NOT_FOUND:
            raise Refused(f"there is no {self._name(job)} at the tag target", field="target")
        raise Refused(f"Azure Resource Manager answered {answer.summary} for {self._name(job)}")


def name_of(job: Job) -> str:
    """The resource's own name."""
    return job.access.targets[0].rsplit("/", 1)[1]
