"""Signing keys of an issuer of tokens, as a JSON Web Key Set: see `rotation.rotators.key_set` for what it holds.

Each rotation moves the keys on by one place: verifiers know a key for a whole rotation before it signs, and for another
after. The public half is the consumer's to serve (docs/adr/0056): it may lag behind, and nothing breaks.
"""

from __future__ import annotations

from rotation.errors import Rejected, Unusable
from rotation.model import Credential, Job, RequestedAccess, Secret, SecretValue, Spec
from rotation.rotators.key_set import read
from rotation.rotators.made_here import MadeHere
from rotation.rotators.signing_keys import ALGORITHMS


class Jwks(MadeHere):
    """The tag `format` names the algorithm of new keys; without it, it is that of the key that signs."""

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        if spec.format is not None and spec.format not in ALGORITHMS:
            raise Unusable(
                f"the tag format is {spec.format!a:.40}: make it one of {', '.join(ALGORITHMS)}, or leave it out",
                field="format",
            )
        keys = read(secret.value.reveal())
        return RequestedAccess(
            targets=(),
            slots=(),
            current_slot=secret.version,  # as with every value that is made here, it has no name of its own
            form=spec.format or keys.algorithm,
            confidential=tuple(map(SecretValue, keys.private_texts())),
        )

    def new_value(self, job: Job) -> str:
        keys = read(job.current.value.reveal())
        keys.check_whole()  # what is carried over is carried over unchanged, so it must be sound
        return keys.following(job.spec.format or keys.algorithm, self._services.random).text()

    async def verify(self, job: Job, credential: Credential) -> None:  # noqa: ARG002  the port's signature
        """Whether an issuer could sign with it."""
        try:
            read(credential.value.reveal()).check_whole()
        except Unusable as unusable:
            raise Rejected(unusable.message) from None
