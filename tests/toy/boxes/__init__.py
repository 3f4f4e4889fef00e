"""The two keys of a toy box, in turn. Boxes are a type of Azure resource that nothing else here knows."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from rotation.addresses import resource_of
from rotation.errors import MovedElsewhere, Refused, Rejected, Unreachable, Unusable
from rotation.model import Applied, Credential, Draft, Job, Proof, RequestedAccess, Secret, SecretValue, Spec
from rotation.ports import RotatorDependencies

KEYS = ("key1", "key2")
BOXES: dict[str, Box] = {}  # the provider, by ids


@dataclass(slots=True)
class Box:
    """A box with its keys. away: it does not answer."""

    keys: dict[str, str] = field(default_factory=lambda: {slot: secrets.token_hex(16) for slot in KEYS})
    away: bool = False


class BoxKey:
    """Slots are `key1` and `key2`, as the box calls them."""

    def __init__(self, services: RotatorDependencies) -> None:
        self._services = services

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        if resource_of(spec.target or "", "contoso.toys/boxes", "[a-z0-9]+") is None:
            raise Unusable("the tag target is not the ARM id of a toy box", field="target")
        target = (spec.target or "").lower()
        return RequestedAccess((target,), KEYS, current_slot=None, form="plain", confidential=(secret.value,))

    def draft(self, job: Job) -> Draft:
        return Draft(next(slot for slot in KEYS if slot != job.current.slot), None)

    async def apply(self, job: Job, draft: Draft) -> Applied:
        _check_realm(job)
        if draft.value is not None and draft.slot is not None:
            return Applied(Credential(draft.value, draft.slot))
        return Applied(self._regenerate(job, draft.slot or ""))

    async def prove(self, job: Job) -> Proof:
        for slot, key in _box(job).keys.items():
            if key == job.current.value.reveal():
                return Proof(slot, _realm(job))
        raise Rejected("the value is none of the keys of the toy box")

    async def realm(self, job: Job, slot: str) -> str | None:
        return _realm(job)

    async def verify(self, job: Job, credential: Credential) -> None:
        if _box(job).keys.get(credential.slot) != credential.value.reveal():
            raise Rejected("the value is none of the keys of the toy box")

    async def retire(self, job: Job, slot: str) -> None:
        _check_realm(job)
        self._regenerate(job, slot)

    def _regenerate(self, job: Job, slot: str) -> Credential:
        box = _box(job)
        if slot not in KEYS or slot == job.current.slot:
            raise Refused("this key of the toy box is in use, or none; it is not regenerated")
        box.keys[slot] = secrets.token_hex(16)
        return Credential(SecretValue(box.keys[slot]), slot)


def _box(job: Job) -> Box:
    box = BOXES[job.access.targets[0]]
    if box.away:
        raise Unreachable("the toy box does not answer; it is asked again later")
    return box


def _realm(job: Job) -> str:
    return f"box:{job.access.targets[0]}"


def _check_realm(job: Job) -> None:
    if job.realm not in {None, _realm(job)}:
        raise MovedElsewhere("the tag target names another toy box now than was proven: ask again")
