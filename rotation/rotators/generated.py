"""Keys made here: API keys and signing keys that no provider knows. See `rotation.rotators.made_here`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from rotation.errors import Rejected, Unusable
from rotation.model import Credential, Job, RequestedAccess, Secret, Spec
from rotation.rotators.bare import has_the_shape_of_a_key, other_thing
from rotation.rotators.checksummed_key import is_prefixed_key, like
from rotation.rotators.key_pairs import (
    PrivateKey,
    as_openssh,
    as_pkcs8,
    ed25519_key,
    is_openssh,
    is_pkcs8,
    p256_key,
    rsa_key,
)
from rotation.rotators.made_here import MadeHere

KEY_BYTES = 32  # 256 bits, in every form but the longest
LONG_KEY_BYTES = 64  # the key of HMAC-SHA-512, as long as its hash (RFC 7518, section 3.2)

_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_HEX_KEY = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class _Form:
    """make: a new value for the present one. usable: whether a consumer who expects this form can read a value.

    is_file: a value is a key file, and so looks like one.
    """

    make: Callable[[Random, str], str]
    usable: Callable[[str], bool]
    is_file: bool = False


def generate_base64(length: int) -> Callable[[Random, str], str]:
    """Makes the base64 of `length` random bytes."""
    return lambda random, _present: base64.b64encode(random.randbytes(length)).decode()


def decoded_length(text: str) -> int:
    """Of how many bytes a text is the base64; 0 where it is none."""
    try:
        return len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return 0


def _file(
    key: Callable[[Random], PrivateKey], form: Callable[[PrivateKey], str], is_one: Callable[[str], bool]
) -> _Form:
    return _Form(lambda random, _present: form(key(random)), is_one, is_file=True)


FORMS = {
    # 43 characters that need no escaping in a URL or a header
    "api-key": _Form(
        lambda random, _present: base64.urlsafe_b64encode(random.randbytes(KEY_BYTES)).decode().rstrip("="),
        lambda text: text.isascii() and text.isprintable() and " " not in text,
    ),
    "hex": _Form(
        lambda random, _present: random.randbytes(KEY_BYTES).hex(), lambda text: _HEX.fullmatch(text) is not None
    ),
    "base64": _Form(generate_base64(KEY_BYTES), lambda text: decoded_length(text) > 0),
    "signing-key-256": _Form(generate_base64(KEY_BYTES), lambda text: decoded_length(text) >= KEY_BYTES),
    "signing-key-512": _Form(generate_base64(LONG_KEY_BYTES), lambda text: decoded_length(text) >= LONG_KEY_BYTES),
    "api-key-crc32": _Form(lambda random, present: like(present, random), is_prefixed_key),
    "ssh-ed25519": _file(ed25519_key, as_openssh, is_openssh),
    "ssh-rsa": _file(rsa_key, as_openssh, is_openssh),
    "pem-ed25519": _file(ed25519_key, as_pkcs8, is_pkcs8),
    "pem-p256": _file(p256_key, as_pkcs8, is_pkcs8),
    "pem-rsa": _file(rsa_key, as_pkcs8, is_pkcs8),
}


class Generated(MadeHere):
    """A key alone."""

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        if spec.format is not None and spec.format not in FORMS:
            raise Unusable(
                f"the tag format is {spec.format!a:.40}: make it one of {', '.join(FORMS)}, or leave it out",
                field="format",
            )
        # A value from before is known by its version: it has no name of its own.
        form = _form_of(secret.value.reveal(), spec)
        return RequestedAccess(targets=(), slots=(), current_slot=secret.version, form=form)

    def new_value(self, job: Job) -> str:
        text = job.current.value.reveal()
        return FORMS[_form_of(text, job.spec)].make(self._services.random, text)

    async def verify(self, job: Job, credential: Credential) -> None:
        """A value of the form that the tag names, or any that is not blank: nobody else can say what is right.

        A weak value that a person once wrote is accepted, else it could not be rotated away in an orderly manner.
        """
        text = credential.value.reveal()
        if not text.strip():
            raise Rejected("the value is blank")
        if job.spec.format is not None and not FORMS[job.spec.format].usable(text):
            raise Rejected(f"the value is no {job.spec.format}, as the tag format says")


def _form_of(text: str, spec: Spec) -> str:
    """The form of a value that is a key alone: only such a one may be replaced whole.

    Raises:
        Unusable: it is something else.
    """
    other = other_thing(text)
    if spec.format is not None:
        form = FORMS[spec.format]
        if form.is_file:
            other = None  # which a file is, but for one whose form it is
        if other is not None or not form.usable(text):
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
