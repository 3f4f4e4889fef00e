"""The two access keys of a storage account, in turn, over the resource manager.

The other key is regenerated and published; the one in use lives on until it is retired, by being regenerated too.
"Storage Accounts - Regenerate Key", "- List Keys" and "- Get Properties" in the Storage Resource Provider REST
reference describe the calls. "Manage storage account access keys" recommends exactly this order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiohttp import ClientSession

from rotation.addresses import STORAGE_ACCOUNTS, resource_of
from rotation.errors import MovedElsewhere, NotYet, Refused, Rejected, RotationError, Throttled, Unreachable, Unusable
from rotation.formats import Value
from rotation.model import Claim, Credential, Draft, Job, Proof, Secret, SecretValue, Spec
from rotation.ports import Services
from rotation.rotators.azure_rest import (
    BUSY_S,
    CONNECT_S,
    FORBIDDEN,
    NOT_FOUND,
    SERVER_ERRORS,
    THROTTLED,
    Answer,
    Plane,
    session,
)
from rotation.rotators.storage_value import read_key

KEYS = ("key1", "key2")
API_VERSION = "2023-05-01"
SETTLES_AFTER = timedelta(minutes=10)  # what is refused, or not listed, and older than this is so for good
ASK_AGAIN_S = 15
READ_S = 8
ROLES = "Storage Account Key Operator Service Role and Reader"

_NAME = "[a-z0-9]{3,24}"  # "Resource naming rules"


@dataclass(frozen=True, slots=True)
class _Key:
    value: SecretValue
    created: datetime | None


class StorageKey:
    """Slots are `key1` and `key2`. Needs the roles that `ROLES` names, on the account."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._arm = Plane("Azure Resource Manager", services.endpoints.arm, services.tokens)

    def claim(self, spec: Spec, secret: Secret) -> Claim:
        if spec.target is None:
            raise Unusable("set the tag target to the ARM id of the storage account", field="target")
        target = spec.target.lower() if spec.target.isascii() else ""
        account = resource_of(target, STORAGE_ACCOUNTS, _NAME)
        if account is None:
            raise Unusable("the tag target is not the ARM id of a storage account", field="target")
        slots = spec.slots or KEYS
        if set(slots) != set(KEYS):
            raise Unusable("the tag slots is not key1,key2 or key2,key1; leave it out", field="slots")
        value = read_key(secret.value, spec, account)
        return Claim(
            targets=(target,), slots=tuple(slots), current_slot=None, form=value.name, confidential=(value.password,)
        )

    def draft(self, job: Job) -> Draft:
        if job.retiring is not None:
            return Draft(job.retiring, None)
        if job.current.slot not in job.claim.slots:
            # With neither known to be in use, either might be.
            raise Unusable(f"nothing proved yet which key of {_name(job)} the value is: ask again", field="value")
        other = next(slot for slot in job.claim.slots if slot != job.current.slot)
        return Draft(other, None)

    async def apply(self, job: Job, draft: Draft) -> Credential:
        """Regenerates the key that is not in use.

        A repetition regenerates it once more, which harms nobody: a key that was never published has no consumers.
        Whether an earlier try did it can't be told; the account knows when a key was made, but not by whom.
        A staged one is waited for while the list may lag: regenerated each time, it would never be listed in time.
        """
        _check_realm(job)
        slot = draft.slot or self.draft(job).slot or ""
        async with session() as over:
            if draft.value is not None:
                listed = (await self._keys(over, job)).get(slot)
                if listed is not None and listed.value == _read(draft.value, job).password:
                    return Credential(draft.value, slot)
                if draft.since is not None and self._services.now() - draft.since < SETTLES_AFTER:
                    raise _not_listed(job)
            key = await self._regenerate(over, job, slot)
        return Credential(_read(job.current.value, job).with_login(key.value), slot)

    async def prove(self, job: Job) -> Proof:
        """The account lists the value as one of its keys, and its blob service accepts it."""
        key = _read(job.current.value, job).password
        async with session() as over:
            listed = await self._keys(over, job)
            slots = [slot for slot in KEYS if slot in listed and listed[slot].value == key]
            if not slots:
                if await self._opens(over, job, key):
                    raise _not_listed(job)
                raise Rejected(f"the value is none of the keys of {_name(job)}")
            if len(slots) > 1:
                raise Unusable(f"both keys of {_name(job)} are the same: regenerate the one that nobody uses")
            endpoint = await self._blob_endpoint(over, job)
            await self._log_in(over, job, endpoint, listed[slots[0]])
        return Proof(slots[0], _realm(job))

    async def realm(self, job: Job, slot: str) -> str | None:  # noqa: ARG002  the port's signature
        """Account names are unique in the world, so nobody need be asked."""
        return _realm(job)

    async def verify(self, job: Job, credential: Credential) -> None:
        key = _read(credential.value, job).password
        async with session() as over:
            keys = await self._keys(over, job)
            listed = keys.get(credential.slot)
            if listed is None or listed.value != key:
                if await self._may_be_new(over, job, credential, keys):
                    raise _not_listed(job)
                raise Rejected(f"the value is not {credential.slot!a:.40} of {_name(job)}")
            endpoint = await self._blob_endpoint(over, job)
            await self._log_in(over, job, endpoint, listed)

    async def retire(self, job: Job, slot: str) -> None:
        """Regenerates the old key, so that nobody knows it. Again, where it was done already: to no harm."""
        _check_realm(job)
        async with session() as over:
            await self._regenerate(over, job, slot)

    async def _keys(self, over: ClientSession, job: Job) -> Mapping[str, _Key]:
        return _parse_keys(await self._post(over, job, "listKeys", {}), job)

    async def _may_be_new(
        self, over: ClientSession, job: Job, credential: Credential, listed: Mapping[str, _Key]
    ) -> bool:
        key = _read(credential.value, job).password
        if any(one.value == key for one in listed.values()):
            return False  # it is the other one
        made_just_now = credential.slot != job.current.slot and credential.value != job.current.value
        return made_just_now or await self._opens(over, job, key)

    async def _opens(self, over: ClientSession, job: Job, key: SecretValue) -> bool:
        """Whether the blob service accepts a key that is not listed, since the list lags behind."""
        try:
            await self._log_in(over, job, await self._blob_endpoint(over, job), _Key(key, None))
        except Refused:
            return False
        return True

    async def _regenerate(self, over: ClientSession, job: Job, slot: str) -> _Key:
        if slot not in KEYS or slot == job.current.slot:
            raise Refused(f"{slot!a:.40} of {_name(job)} is in use, or no key; it is not regenerated")
        body = await self._post(over, job, "regenerateKey", {"keyName": slot})
        key = _parse_keys(body, job).get(slot)
        if key is None:
            raise Refused(f"{_name(job)} did not tell its new {slot}; look at the account's keys")
        return key

    async def _post(self, over: ClientSession, job: Job, action: str, body: Mapping[str, str]) -> Mapping[str, Any]:
        path = f"{job.claim.targets[0]}/{action}"
        return _judge(await self._arm.post(over, path, body, **{"api-version": API_VERSION}), job)

    async def _blob_endpoint(self, over: ClientSession, job: Job) -> str:
        answer = await self._arm.get(over, job.claim.targets[0], **{"api-version": API_VERSION})
        properties = _judge(answer, job).get("properties", {})
        if properties.get("allowSharedKeyAccess") is False:
            raise _keys_not_allowed(job)
        endpoint = properties.get("primaryEndpoints", {}).get("blob")
        if not isinstance(endpoint, str) or not endpoint.startswith("https://"):
            raise Refused(f"{_name(job)} has no blob service over https, by which a key could be proven")
        return endpoint

    async def _log_in(self, over: ClientSession, job: Job, endpoint: str, key: _Key) -> None:
        """A request signed with the key, to the account's own blob service as the resource manager names it."""
        # Imported when used: 600 ms that other kinds of rotators do not pay for.
        from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError  # noqa: PLC0415
        from azure.core.pipeline.transport import AioHttpTransport  # noqa: PLC0415
        from azure.storage.blob.aio import BlobServiceClient  # noqa: PLC0415

        client = BlobServiceClient(
            endpoint,
            credential={"account_name": _account_name(job), "account_key": key.value.reveal()},
            transport=AioHttpTransport(session=over, session_owner=False),
            connection_timeout=CONNECT_S,
            read_timeout=READ_S,
            retry_total=0,
            permit_redirects=False,
        )
        try:
            await client.get_account_information()
        except HttpResponseError as error:
            status, code = error.status_code, getattr(error, "error_code", None)
        except (ServiceRequestError, ServiceResponseError):
            raise Unreachable(f"the blob service of {_name(job)} did not answer; it is asked again later") from None
        else:
            return
        raise self._refusal(job, key, status or 0, code)

    def _refusal(self, job: Job, key: _Key, status: int, code: str | None) -> RotationError:
        if status == THROTTLED:
            return Throttled(f"the blob service of {_name(job)} has too many calls", retry_after_s=BUSY_S)
        if status in SERVER_ERRORS:
            return Unreachable(f"the blob service of {_name(job)} answered {status}; it is asked again later")
        if code == "KeyBasedAuthenticationNotPermitted":
            return _keys_not_allowed(job)
        if code != "AuthenticationFailed":
            return Refused(
                f"the blob service of {_name(job)} answered {status} and did not look at the key: "
                "let this app's network through its firewall"
            )
        if key.created is not None and self._services.now() - key.created < SETTLES_AFTER:
            return NotYet(f"the new key of {_name(job)} is not accepted everywhere yet", retry_after_s=ASK_AGAIN_S)
        return Rejected(f"the blob service of {_name(job)} does not accept the key")


def _read(value: SecretValue, job: Job) -> Value:
    return read_key(value, job.spec, _account_name(job))


def _parse_keys(body: Mapping[str, Any], job: Job) -> dict[str, _Key]:
    try:
        return {
            key["keyName"]: _Key(SecretValue(key["value"]), _moment(key.get("creationTime"))) for key in body["keys"]
        }
    except (KeyError, TypeError, ValueError):
        raise Refused(f"the list of keys of {_name(job)} can't be understood") from None


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _judge(answer: Answer, job: Job) -> Mapping[str, Any]:
    if answer.ok:
        return answer.body
    if answer.status == FORBIDDEN:
        raise Refused(f"this app may not manage {_name(job)} ({answer.told}): give it {ROLES}")
    if answer.status == NOT_FOUND:
        raise Refused(f"there is no {_name(job)} at the tag target", field="target")
    raise Refused(f"Azure Resource Manager answered {answer.told} for {_name(job)}")


def _keys_not_allowed(job: Job) -> Refused:
    return Refused(
        f"{_name(job)} does not allow access by key (allowSharedKeyAccess is false): "
        "let its consumers use Entra, or allow it again"
    )


def _not_listed(job: Job) -> NotYet:
    return NotYet(f"Azure Resource Manager does not list the new key of {_name(job)} yet", retry_after_s=ASK_AGAIN_S)


def _account_name(job: Job) -> str:
    return job.claim.targets[0].rsplit("/", 1)[1]


def _realm(job: Job) -> str:
    """An account's name is its own in all of Azure ("Storage account overview"), whatever group its id names."""
    return f"storage:{_account_name(job)}"


def _check_realm(job: Job) -> None:
    if job.realm not in {None, _realm(job)}:
        raise MovedElsewhere(f"the tag target names {_name(job)} now, and another account was proven: ask again")


def _name(job: Job) -> str:
    return f"storage account {_account_name(job)}"
