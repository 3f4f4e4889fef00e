"""Values made here: API keys and signing keys that no provider knows. Consumers of both sides read them from the vault.

Nothing outside is changed. A new version is the new credential; the old one ends when the engine disables the versions
that hold its slot, after the grace period in which verifiers accept both.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from rotation.errors import Rejected, Unusable
from rotation.model import Applied, Credential, Draft, Job, Proof, RequestedAccess, Secret, SecretValue, Spec
from rotation.ports import RotatorDependencies
from rotation.rotators.bare import has_the_shape_of_a_key, other_thing

KEY_BYTES = 32  # 256 bits, in every form but the longest
LONG_KEY_BYTES = 64  # the key of HMAC-SHA-512, as long as its hash (RFC 7518, section 3.2)
SLOT_LENGTH = 12

_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_HEX_KEY = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class _Form:
    """make: a new value. usable: whether a consumer who expects this form can read a value."""

    make: Callable[[Random], str]
    usable: Callable[[str], bool]


def generate_base64(length: int) -> Callable[[Random], str]:
    """Makes the base64 of `length` random bytes."""
    return lambda random: base64.b64encode(random.randbytes(length)).decode()


def decoded_length(text: str) -> int:
    """Of how many bytes a text is the base64; 0 where it is none."""
    try:
        return len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return 0


FORMS = {
    # 43 characters that need no escaping in a URL or a header
    "api-key": _Form(
        lambda random: base64.urlsafe_b64encode(random.randbytes(KEY_BYTES)).decode().rstrip("="),
        lambda text: text.isascii() and text.isprintable() and " " not in text,
    ),
    "hex": _Form(lambda random: random.randbytes(KEY_BYTES).hex(), lambda text: _HEX.fullmatch(text) is not None),
    "base64": _Form(generate_base64(KEY_BYTES), lambda text: decoded_length(text) > 0),
    "signing-key-256": _Form(generate_base64(KEY_BYTES), lambda text: decoded_length(text) >= KEY_BYTES),
    "signing-key-512": _Form(generate_base64(LONG_KEY_BYTES), lambda text: decoded_length(text) >= LONG_KEY_BYTES),
}


class Generated:
    """Each version is a slot of its own, named after the operation that made it."""

    def __init__(self, services: RotatorDependencies) -> None:
        self._services = services

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        if spec.format is not None and spec.format not in FORMS:
            raise Unusable(
                f"the tag format is {spec.format!a:.40}: make it one of {', '.join(FORMS)}, or leave it out",
                field="format",
            )
        # A value from before is known by its version: it has no name of its own.
        form = _form_of(secret.value.reveal(), spec)
        return RequestedAccess(targets=(), slots=(), current_slot=secret.version, form=form)

    def draft(self, job: Job) -> Draft:
        form = FORMS[_form_of(job.current.value.reveal(), job.spec)]
        slot = hashlib.sha256(f"slot {job.operation_id}".encode()).hexdigest()[:SLOT_LENGTH]
        return Draft(slot, SecretValue(form.make(self._services.random)))

    async def apply(self, job: Job, draft: Draft) -> Applied:  # noqa: ARG002  the port's signature
        assert draft.value is not None  # noqa: S101  every draft of ours has both
        assert draft.slot is not None  # noqa: S101
        return Applied(Credential(draft.value, draft.slot))

    async def prove(self, job: Job) -> Proof:
        """Nobody but the vault knows the value, so it is whatever the vault has it for."""
        await self.verify(job, job.current)
        return Proof(job.current.slot, None)

    async def realm(self, job: Job, slot: str) -> str | None:  # noqa: ARG002  the port's signature
        """Nobody holds it but the vault."""
        return None

    async def verify(self, job: Job, credential: Credential) -> None:
        """A value of the form that the tag names, or any that is not blank: nobody else can say what is right.

        A weak value that a person once wrote is accepted, else it could not be rotated away in an orderly manner.
        """
        text = credential.value.reveal()
        if not text.strip():
            raise Rejected("the value is blank")
        if job.spec.format is not None and not FORMS[job.spec.format].usable(text):
            raise Rejected(f"the value is no {job.spec.format}, as the tag format says")

    async def retire(self, job: Job, slot: str) -> None:
        """No provider holds it; the engine disables the versions."""


def _form_of(text: str, spec: Spec) -> str:
    """The form of a value that is a key alone: only such a one may be replaced whole.

    Raises:
        Unusable: it is something else.
    """
    other = other_thing(text)
    if spec.format is not None:
        if other is not None or not FORMS[spec.format].usable(text):
            raise Unusable(
                f"the value is {other or 'another thing'} and no {spec.format}, which the tag format says it is, and "
                "would be replaced whole: correct the tag, or keep the value in another secret",
                field="value",
            )
        return spec.format
    if other is not None or not has_the_shape_of_a_key(text):
        raise Unusable(
            f"the value is {other or 'of no known form'} and would be replaced whole: set the tag format to one of "
            f"{', '.join(FORMS)} if it is a key alone, or keep it in another secret",
            field="value",
        )
    return _recognised(text)


def _recognised(text: str) -> str:
    """The form of a key that has no `format` tag."""
    if _HEX_KEY.fullmatch(text):
        return "hex"
    if len(text) % 4 == 0:
        length = decoded_length(text)
        if length == KEY_BYTES:
            return "base64"
        if length == LONG_KEY_BYTES:
            return "signing-key-512"
    return "api-key"
