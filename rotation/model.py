"""The nouns of Keyturn. Plain frozen data; no I/O, no clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from rotation.reasons import Adopt, Force, Reason, Refreshed
from rotation.terms import Admin, Endpoints, PasswordRules, SecretValue, Tls

__all__ = [
    "Admin",
    "Adopt",
    "Applied",
    "Credential",
    "Draft",
    "Endpoints",
    "Force",
    "Job",
    "Login",
    "LoginSource",
    "Outcome",
    "PasswordRules",
    "Proof",
    "Reason",
    "RequestedAccess",
    "Result",
    "RotationRequest",
    "Secret",
    "SecretItem",
    "SecretRef",
    "SecretValue",
    "Spec",
    "Tls",
    "Version",
    "Versions",
]


@dataclass(frozen=True, slots=True, order=True)
class SecretRef:
    """Which secret: `vault` is the vault's short name as in ROTATION_VAULTS, `name` the secret's."""

    vault: str
    name: str

    def __str__(self) -> str:
        return f"{self.vault}/{self.name}"


@dataclass(frozen=True, slots=True)
class Spec:
    """What a secret's tags ask for; parsed, not yet permitted. See `rotation.spec`."""

    rotator: str
    validity_days: int
    lead_days: int
    grace_hours: int
    target: str | None
    slots: tuple[str, ...]
    current_slot: str | None  # what the tag `slot` says; it is shown, and believed nowhere
    format: str | None


@dataclass(frozen=True, slots=True)
class RequestedAccess:
    """What a rotator would touch for a secret, read from its tags and value without any I/O.

    targets: `host:port` in lower case, or ARM resource ids, or an Entra application's object id: all of them.
    slots: the roles or keys that would be used, in the order of turn; empty where the provider assigns slots.
    current_slot: the slot that the value itself names (a connection string's user); None where it names none. A tag is
        never believed.
    form: the form in which the value is written, by the name that the tag `format` has for it.
    confidential: what must not be seen of the value, where that is not all of it: its password.
    listed: what a rule's `slots` must list to permit all of `slots`, where these are no names that an owner gives: the
        user, where `slots` are the places of its several passwords. Empty: a rule lists the slots themselves.
    """

    targets: tuple[str, ...]
    slots: tuple[str, ...]
    current_slot: str | None
    form: str | None = None
    confidential: tuple[SecretValue, ...] = ()
    listed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proof:
    """What a login said. slot: whose credential the value is, by the provider's word.

    realm: who the provider says it is, so that a slot means the same credential under every name of the provider: such
        as "postgresql:7321…" (a server's own identifier) or "storage:ordersprod". None: it owns nothing at a provider.
    at: the one of the targets where a change would be made; None where there is only one.
    """

    slot: str
    realm: str | None
    at: str | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """One version of a secret, with its value. Times are aware UTC."""

    ref: SecretRef
    version: str
    value: SecretValue
    tags: Mapping[str, str]
    content_type: str | None
    enabled: bool
    created_on: datetime
    expires_on: datetime | None
    read_at: datetime  # the vault's own clock: the Date header of the answer that brought this
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class SecretItem:
    """What a vault's listing tells of a secret's latest version; listings name no version and no value."""

    ref: SecretRef
    enabled: bool
    expires_on: datetime | None
    updated_on: datetime
    tags: Mapping[str, str]
    created_on: datetime | None = None  # None: the listing did not say


@dataclass(frozen=True, slots=True)
class Version:
    """One version in a secret's history, without its value."""

    version: str
    enabled: bool
    created_on: datetime
    expires_on: datetime | None
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Versions:
    """All versions of a secret, the latest first, and the vault's clock when they were read."""

    items: tuple[Version, ...]
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Credential:
    """What consumers read from the vault, and which of the provider's credentials it is.

    `value` is the whole text as it is in the vault (a connection string, say, not only its password).
    `slot` names a role, "key2", a key id; it is never secret.
    """

    value: SecretValue
    slot: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What a rotation is about to make. slot None: the provider assigns one. value None: the provider chooses it.

    since: when the value was staged, or the mark was left, by an earlier run; None: neither was.
    mark: what an earlier run of the operation left in `errors.UnderWay`.
    """

    slot: str | None
    value: SecretValue | None
    since: datetime | None = None
    mark: str | None = None


class LoginSource(StrEnum):
    """Where a login comes from, in the order in which they are tried."""

    STAGED = "staged"
    VERSION = "version"
    ADMIN_SECRET = "administrator's secret"  # noqa: S105  the name of a source
    ADMIN_IDENTITY = "administrator's identity"


@dataclass(frozen=True, slots=True)
class Login:
    """One credential to try. STAGED and VERSION hold a consumer's value of the secret's own format.

    ADMIN_SECRET holds the administrator's secret as it is in its vault; ADMIN_IDENTITY has no value: ask the
    token provider. `user` is the role where the value does not say it.
    """

    source: LoginSource
    value: SecretValue | None
    user: str | None


@dataclass(frozen=True, slots=True)
class Applied:
    """What a change came to. login: by which of the job's logins it was made.

    login None: none was needed, since the app's own identity made it, or an earlier run had; or an administrator made
    it since nobody else may, which says nothing about the password in the vault.
    remark: what the outcome must say besides, for a person.
    """

    credential: Credential
    login: Login | None = None
    remark: str | None = None


async def _no_logins(_slot: str) -> AsyncIterator[Login]:
    return
    yield


@dataclass(frozen=True, slots=True)
class Job:
    """All that a rotator may know of one operation. Everything in it was permitted by the policy.

    operation_id: derived from the secret and its current version; the same on every retry, another after success.
    current: the latest version's credential.
    resumed: an earlier run recorded `applying` for this operation, so the change may have been made already.
    logins: for a slot, the logins to try in order, read lazily. Take the next one only after a `Rejected`.
    standby: for `retire`, what the slot gets in place of its old password; staged and recorded (`ports.ParksPassword`).
    realm: of the provider that was proven to be ours. Before a change the rotator holds the provider's own word against
        it, and raises `MovedElsewhere` where they differ. None: nothing was proven yet.
    """

    operation_id: str
    ref: SecretRef
    spec: Spec
    access: RequestedAccess
    current: Credential
    password: PasswordRules = field(default_factory=PasswordRules)
    tls: Tls = Tls.VERIFY_FULL
    admin: Admin | None = None
    resumed: bool = False
    standby: Credential | None = None
    logins: Callable[[str], AsyncIterator[Login]] = _no_logins
    realm: str | None = None


@dataclass(frozen=True, slots=True)
class RotationRequest:
    """A request to look at a secret. `version` is the latest one when the wish was made; None: unknown.

    actor, actor_id: who asked ("event-grid", "sweep", a caller); a caller's object id in the directory, if known.
    early: a near-expiry event for this very version, which counts as due up to one day early.
    restore_tags: bring back the tags that a version written by hand lost.
    adopt, slots: how an operator gives this secret its credential, and which slots may be set anew for it.
    """

    ref: SecretRef
    version: str | None
    reason: Reason
    actor: str
    force: Force = Force.NO
    early: bool = False
    demanded: bool = False  # an operator asked for a rotation now, due or not
    restore_tags: bool = False
    adopt: Adopt = Adopt.NO
    slots: tuple[str, ...] = ()
    actor_id: str | None = None


class Result(StrEnum):
    """How a request ended. See docs/operations.md for what each means to an operator."""

    ROTATED = "rotated"
    RESUMED = "resumed"
    PLANNED = "planned"
    NOT_DUE = "not_due"
    SUPERSEDED = "superseded"
    DEFERRED = "deferred"
    REPAIRED = "repaired"
    RETIRED = "retired"
    UNMANAGED = "unmanaged"
    TAGS_LOST = "tags_lost"
    DENIED = "denied"
    BUSY = "busy"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request came to; safe to log and to answer with. `detail` is one sentence for a person."""

    result: Result
    ref: SecretRef
    detail: str
    version: str | None = None
    previous_version: str | None = None
    operation_id: str | None = None
    slot: str | None = None
    expires_on: datetime | None = None
    duration_ms: int | None = None
    retry_after_s: int | None = None
    code: str | None = None  # of the error, if it was one
    refreshed: tuple[Refreshed, ...] = ()  # which refresh targets were asked to take the latest version
