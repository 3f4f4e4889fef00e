"""Specs and secrets as the engine would read them from a vault."""

from datetime import UTC, datetime

from rotation.model import Credential, Job, Secret, SecretRef, SecretValue, Spec
from rotation.ports import Rotator

REF = SecretRef("kv-demo", "demo")


def make_spec(
    rotator: str,
    *,
    target: str | None = None,
    slots: tuple[str, ...] = (),
    current_slot: str | None = None,
    form: str | None = None,
) -> Spec:
    """The usual days and hours."""
    return Spec(
        rotator=rotator,
        validity_days=90,
        lead_days=30,
        grace_hours=72,
        target=target,
        slots=slots,
        current_slot=current_slot,
        format=form,
    )


def make_secret(value: str) -> Secret:
    """A first version, written by hand."""
    now = datetime.now(UTC)
    return Secret(
        ref=REF,
        version="0" * 32,
        value=SecretValue(value),
        tags={},
        content_type=None,
        enabled=True,
        created_on=now,
        expires_on=None,
        read_at=now,
    )


def make_job(rotator: Rotator, spec: Spec, secret: Secret, slot: str) -> Job:
    """To rotate the secret, whose value is `slot`'s."""
    return Job(
        operation_id="0123456789abcdef01234567",
        ref=secret.ref,
        spec=spec,
        access=rotator.requested_access(spec, secret),
        current=Credential(secret.value, slot),
    )
