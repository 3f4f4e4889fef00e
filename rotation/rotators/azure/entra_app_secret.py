"""Client secrets of an Entra application: a new one beside the old one, over Microsoft Graph.

"application: addPassword", "application: removePassword" and "passwordCredential resource type" in the Graph v1.0
reference describe the calls. Graph chooses the value and tells it once. New secrets were seen to be refused for some
seconds after Graph lists them, and Graph's own reads to lag behind its writes: hence `NotYet`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import ClientSession

from rotation.addresses import is_guid
from rotation.errors import MovedElsewhere, NotYet, Refused, Rejected, Unusable
from rotation.formats import Value
from rotation.model import Applied, Credential, Draft, Job, Proof, RequestedAccess, Secret, SecretRef, SecretValue, Spec
from rotation.ports import RotatorDependencies
from rotation.rotators.azure.entra_application import LONG_AGO, Application, Password, parse_application
from rotation.rotators.azure.entra_value import client_ids, read_secret
from rotation.rotators.azure.rest import BAD_REQUEST, FORBIDDEN, NOT_FOUND, ApiClient, ApiResponse, session
from rotation.rotators.token_claims import claims_of

SETTLES_AFTER = timedelta(minutes=10)  # a secret that is refused although Graph lists it, and older, is rejected
ASK_AGAIN_S = 30
PERMISSION = "Application.ReadWrite.OwnedBy"

# "Microsoft Entra authentication and authorization error codes". The second was seen for a moment after a new secret
# was added to an application whose old ones had all expired.
INVALID_SECRET, EXPIRED_SECRETS = 7000215, 7000222


class EntraAppSecret:
    """Slots are key ids, which Graph assigns. Needs the permission that `PERMISSION` names, and to own the application.

    Removes orphans: what a run that was killed added, and nobody knows the value of.
    """

    def __init__(self, services: RotatorDependencies) -> None:
        self._services = services
        self._graph = ApiClient("Microsoft Graph", services.endpoints.graph, services.tokens)
        self._login = ApiClient("the Entra login service", services.endpoints.login)

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        if spec.target is None:
            raise Unusable("set the tag target to the object id of the app registration", field="target")
        target = spec.target.lower() if spec.target.isascii() else ""
        if not is_guid(target):
            raise Unusable("the tag target is no object id of an app registration", field="target")
        value = read_secret(secret.value, spec)
        return RequestedAccess((target,), slots=(), current_slot=None, form=value.name, confidential=(value.password,))

    def draft(self, job: Job) -> Draft:  # noqa: ARG002  the port's signature
        return Draft(None, None)

    async def apply(self, job: Job, draft: Draft) -> Applied:
        """Adds a secret and drops none, not even one of an earlier try, since nobody can tell who uses it.

        A staged one is returned as long as Graph lists it, and waited for while it may not do so yet; what was lost
        in between comes up as an orphan.
        """
        _check_realm(job)
        async with session() as over:
            if draft.slot is not None and draft.value is not None:
                application = await self._application(over, job)
                if draft.slot in application.passwords:
                    return Applied(Credential(draft.value, draft.slot))
                if draft.since is not None and self._services.now() - draft.since < SETTLES_AFTER:
                    raise _not_shown(job)
            asked = {"displayName": _prefix(job.ref) + job.operation_id, "endDateTime": self._end(job.spec)}
            answer = await self._graph.post(over, _path(job, "/addPassword"), {"passwordCredential": asked})
        added = _judge(answer, job)
        key_id, text = added.get("keyId"), added.get("secretText")
        if not isinstance(key_id, str) or not isinstance(text, str):
            raise Refused(f"Microsoft Graph added a secret to {_name(job)} and did not return it; it is removed later")
        value = read_secret(job.current.value, job.spec).with_login(SecretValue(text))
        return Applied(Credential(value, key_id.lower()))

    async def prove(self, job: Job) -> Proof:
        """A token is given for the value, and one secret of the application alone begins like it."""
        value = read_secret(job.current.value, job.spec)
        text = value.password.reveal()
        async with session() as over:
            application = await self._application(over, job)
            _check_client_id(value, application, job)
            fitting = [one for one in application.passwords.values() if one.hint and text.startswith(one.hint)]
            alive = [one for one in fitting if one.end > self._services.now()]
            if fitting and not alive:
                raise _expired(fitting[0], job)
            # First whether it works at all: what is rejected is mended otherwise than what looks alike.
            await self._log_in(over, job, application, max((one.start for one in alive), default=LONG_AGO), text)
        if len(alive) != 1:
            raise Unusable(
                f"Entra accepts the value, and {len(alive)} of the secrets that Microsoft Graph shows of {_name(job)} "
                "begin like it: remove the others, or add a secret to the application by hand and write that",
                field="value",
            )
        return Proof(alive[0].key_id, _realm(job))

    async def realm(self, job: Job, slot: str) -> str | None:  # noqa: ARG002  the port's signature
        """Object ids are unique, so nobody need be asked."""
        return _realm(job)

    async def verify(self, job: Job, credential: Credential) -> None:
        """The key id's secret, by what Graph shows of it, and one that a token is given for.

        Entra does not say by which of an application's secrets a client came in; the first three characters do.
        """
        value = read_secret(credential.value, job.spec)
        text = value.password.reveal()
        async with session() as over:
            application = await self._application(over, job)
            _check_client_id(value, application, job)
            password = application.passwords.get(credential.slot.lower())
            if password is None:
                if credential.value != job.current.value:  # added a moment ago, and read from where it is not known yet
                    raise _not_shown(job)
                raise Rejected(f"{_name(job)} has no secret with the key id {credential.slot!a:.60}")
            if not text.startswith(password.hint):
                raise Rejected(f"the value is not the secret of {_name(job)} that the key id names")
            if password.end <= self._services.now():
                raise _expired(password, job)
            await self._log_in(over, job, application, password.start, text)

    async def retire(self, job: Job, slot: str) -> None:
        if slot.lower() == job.current.slot.lower():
            raise Refused(f"the secret {slot!a:.60} of {_name(job)} is in use; it is not removed")
        _check_realm(job)
        async with session() as over:
            answer = await self._graph.post(over, _path(job, "/removePassword"), {"keyId": slot})
            if answer.status in {BAD_REQUEST, NOT_FOUND}:
                application = await self._application(over, job)
                if slot.lower() not in application.passwords:
                    return
        _judge(answer, job)

    async def orphans(
        self, job: Job, known: frozenset[str], before: datetime, operations: frozenset[str]
    ) -> Sequence[str]:
        """Key ids of secrets that this secret's operations added; see `rotation.ports.RemovesOrphans`.

        Others' are left alone: those made for another secret in a vault and the same application, and those whose name
        says that they are ours and no operation of ours made, since a person who adds a secret may give it any name.
        """
        names = {_prefix(job.ref) + operation for operation in operations if operation}
        async with session() as over:
            application = await self._application(over, job)
        kept = {slot.lower() for slot in known} | {job.current.slot.lower()}
        return [
            password.key_id
            for password in application.passwords.values()
            if password.name in names and password.key_id not in kept and password.start < before
        ]

    async def _application(self, over: ClientSession, job: Job) -> Application:
        query = {"$select": "appId,passwordCredentials"}
        body = _judge(await self._graph.get(over, _path(job), **query), job)
        try:
            return parse_application(body)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Refused(f"what Microsoft Graph says of {_name(job)} can't be understood") from None

    async def _log_in(
        self, over: ClientSession, job: Job, application: Application, start: datetime, text: str
    ) -> None:
        """Ask for a token as a consumer does: the client credentials grant; the token is thrown away.

        start: since when the secret is there.
        """
        form = {
            "grant_type": "client_credentials",
            "client_id": application.client_id,
            "client_secret": text,
            "scope": f"{self._services.endpoints.graph}/.default",
        }
        answer = await self._login.post_form(over, f"/{await self._tenant()}/oauth2/v2.0/token", form)
        if answer.ok:
            return
        numbers = [number for number in answer.body.get("error_codes", []) if isinstance(number, int)]
        if not {INVALID_SECRET, EXPIRED_SECRETS} & set(numbers):
            codes = ", ".join(f"AADSTS{number}" for number in numbers) or answer.summary
            raise Refused(f"Entra gives {_name(job)} no token ({codes}): does it have a service principal, enabled?")
        if self._services.now() - start < SETTLES_AFTER:
            raise NotYet(f"the new secret of {_name(job)} is not accepted everywhere yet", retry_after_s=ASK_AGAIN_S)
        raise Rejected(f"Entra does not accept the secret of {_name(job)}")

    async def _tenant(self) -> str:
        """The tenant whose directory Graph shows us: that of our own token."""
        token = await self._services.tokens.token(f"{self._services.endpoints.graph}/.default")
        tenant = claims_of(token).get("tid")
        if not isinstance(tenant, str) or not is_guid(tenant.lower()):
            raise Refused("this app's token for Microsoft Graph names no tenant: check its managed identity")
        return tenant

    def _end(self, spec: Spec) -> str:
        """Later than the version's own expiry by the lead, so that a late rotation breaks nobody."""
        end = self._services.now() + timedelta(days=spec.validity_days + spec.lead_days)
        return end.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _check_client_id(value: Value, application: Application, job: Job) -> None:
    if client_ids(value) - {application.client_id.lower()}:
        raise Unusable(f"the client id in the value is not that of {_name(job)}", field="value")


def _not_shown(job: Job) -> NotYet:
    return NotYet(f"Microsoft Graph does not show the new secret of {_name(job)}", retry_after_s=ASK_AGAIN_S)


def _expired(password: Password, job: Job) -> Rejected:
    return Rejected(f"the secret of {_name(job)} expired on {password.end:%Y-%m-%d}")


def _realm(job: Job) -> str:
    """Object ids are unique in the world, as GUIDs are."""
    return f"entra:{job.access.targets[0]}"


def _check_realm(job: Job) -> None:
    if job.realm not in {None, _realm(job)}:
        raise MovedElsewhere(f"the tag target names {_name(job)} now, and another one was proven: ask again")


def _judge(answer: ApiResponse, job: Job) -> Mapping[str, Any]:
    if answer.ok:
        return answer.body
    if answer.status == FORBIDDEN:
        raise Refused(
            f"this app may not manage {_name(job)} ({answer.summary}): give it {PERMISSION} and make it an owner"
        )
    if answer.status == NOT_FOUND:
        raise Refused(f"there is no {_name(job)}: correct the tag target", field="target")
    raise Refused(
        f"Microsoft Graph answered {answer.summary} for {_name(job)}: look at its limits and the tenant's app policies"
    )


def _prefix(ref: SecretRef) -> str:
    """What the names of our secrets begin with: one secret in a vault must not remove what another one made."""
    return f"keyturn {hashlib.sha256(str(ref).lower().encode()).hexdigest()[:12]} "


def _path(job: Job, action: str = "") -> str:
    return f"/v1.0/applications/{job.access.targets[0]}{action}"


def _name(job: Job) -> str:
    return f"application {job.access.targets[0]}"
