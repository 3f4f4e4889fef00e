"""A secret together with what it asks for and what the policy permits it; and the names of what is done to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from rotation.model import RequestedAccess, Secret, SecretRef, Spec
from rotation.policy import RuleTerms
from rotation.ports import Rotator


def operation_id(ref: SecretRef, version: str, purpose: str = "rotate") -> str:
    """The name of what is done to `version`: the same on every retry, another once there is a new version."""
    return hashlib.sha256(f"{ref.vault}/{ref.name}/{version}/{purpose}".lower().encode()).hexdigest()[:24]


def promise_h(spec: Spec, terms: RuleTerms) -> int:
    """For how many hours what is published now lives on once it is superseded, at least."""
    return max(spec.grace_hours, terms.min_grace_hours)


@dataclass(frozen=True, slots=True)
class ManagedSecret:
    """A secret together with what it asks for and what the policy permits it."""

    secret: Secret
    spec: Spec
    access: RequestedAccess
    terms: RuleTerms
    rotator: Rotator

    @property
    def ref(self) -> SecretRef:
        return self.secret.ref

    @property
    def promise_h(self) -> int:
        """As `promise_h`."""
        return promise_h(self.spec, self.terms)
