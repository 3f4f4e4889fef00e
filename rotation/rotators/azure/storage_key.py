"""The two access keys of a storage account, in turn, over the resource manager.

The other key is regenerated and published; the one in use lives on until it is retired, by being regenerated too.
"Storage Accounts - Regenerate Key", "- List Keys" and "- Get Properties" in the Storage Resource Provider REST
reference describe the calls. "Manage storage account access keys" recommends exactly this order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from aiohttp import ClientSession

from rotation.addresses import STORAGE_ACCOUNTS
from rotation.errors import NotYet, Refused, Rejected, RotationError, Throttled, Unreachable
from rotation.formats import Value
from rotation.model import Applied, Credential, Draft, Job, Proof, RequestedAccess, Secret, SecretValue, Spec
from rotation.ports import RotatorDependencies
from rotation.rotators.azure.rest import (
    BUSY_S,
    CONNECT_S,
    SERVER_ERRORS,
    THROTTLED,
    ApiClient,
    session,
)
from rotation.rotators.azure.storage_value import read_key
from rotation.rotators.azure.table import Keyed, Slot
from rotation.rotators.azure.two_keys import ASK_AGAIN_S, Key, TwoKeys, name_of

API_VERSION = "2023-05-01"
SETTLES_AFTER = timedelta(minutes=10)  # what is refused, or not listed, and older than this is so for good
READ_S = 8


ACCOUNT = Keyed(
    name="storage-key",
    what="storage account",
    types={STORAGE_ACCOUNTS: ("[a-z0-9]{3,24}",)},  # "Resource naming rules"
    realm="storage",
    api_version=API_VERSION,
    role="Storage Account Key Operator Service Role and Reader",
    slots=(
        Slot("key1", "keys[keyName=key1].value", "key1", created="keys[keyName=key1].creationTime"),
        Slot("key2", "keys[keyName=key2].value", "key2", created="keys[keyName=key2].creationTime"),
    ),
    body={"keyName": "{slot}"},
)


class StorageKey:
    """Slots are `key1` and `key2`. Needs the roles that `ACCOUNT` names, on the account."""

    def __init__(self, services: RotatorDependencies) -> None:
        self._services = services
        self._two = TwoKeys(ACCOUNT, ApiClient("Azure Resource Manager", services.endpoints.arm, services.tokens))

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        target, [name] = self._two.target(spec)
        value = read_key(secret.value, spec, name)
        return RequestedAccess(
            (target,), spec.slots or ACCOUNT.both, current_slot=None, form=value.name, confidential=(value.password,)
        )

    def draft(self, job: Job) -> Draft:
        return Draft(self._two.other_slot(job), None)

    async def apply(self, job: Job, draft: Draft) -> Applied:
        """Regenerates the key that is not in use.

        A repetition regenerates it once more, which harms nobody: a key that was never published has no consumers.
        Whether an earlier try did it, nobody can tell: the account knows when a key was made, but not by whom.
        A staged one is waited for while the list may lag: regenerated each time, it would never be listed in time.
        """
        self._two.check_realm(job)
        slot = draft.slot or self.draft(job).slot or ""
        async with session() as over:
            if draft.value is not None:
                listed = (await self._two.listed(over, job)).get(slot)
                if listed is not None and listed.value == _read(draft.value, job).password:
                    return Applied(Credential(draft.value, slot))
                if draft.since is not None and self._services.now() - draft.since < SETTLES_AFTER:
                    raise self._two.not_listed(job)
            key = await self._two.regenerate(over, job, slot)
        if key is None:
            raise Refused(f"{_name(job)} did not return its new {slot}; look at its keys")
        return Applied(Credential(_read(job.current.value, job).with_login(key.value), slot))

    async def prove(self, job: Job) -> Proof:
        """The account lists the value as one of its keys, and its blob service accepts it."""
        key = _read(job.current.value, job).password
        async with session() as over:
            listed = await self._two.listed(over, job)
            slot = self._two.slot_of(key, listed, job)
            if slot is None:
                if await self._opens(over, job, key):
                    raise self._two.not_listed(job)
                raise Rejected(f"the value is none of the keys of {_name(job)}")
            endpoint = await self._blob_endpoint(over, job)
            await self._log_in(over, job, endpoint, listed[slot])
        return Proof(slot, self._two.realm(job))

    async def realm(self, job: Job, slot: str) -> str | None:  # noqa: ARG002  the port's signature
        return self._two.realm(job)

    async def verify(self, job: Job, credential: Credential) -> None:
        key = _read(credential.value, job).password
        async with session() as over:
            keys = await self._two.listed(over, job)
            listed = keys.get(credential.slot)
            if listed is None or listed.value != key:
                if await self._may_be_new(over, job, credential, keys):
                    raise self._two.not_listed(job)
                raise Rejected(f"the value is not {credential.slot!a:.40} of {_name(job)}")
            endpoint = await self._blob_endpoint(over, job)
            await self._log_in(over, job, endpoint, listed)

    async def retire(self, job: Job, slot: str) -> None:
        """Regenerates the old key, so that nobody knows it. Again, where it was done already: to no harm."""
        self._two.check_realm(job)
        async with session() as over:
            await self._two.regenerate(over, job, slot)

    async def _may_be_new(
        self, over: ClientSession, job: Job, credential: Credential, listed: Mapping[str, Key]
    ) -> bool:
        key = _read(credential.value, job).password
        if any(one.value == key for one in listed.values()):
            return False  # it is the other one
        made_just_now = credential.slot != job.current.slot and credential.value != job.current.value
        return made_just_now or await self._opens(over, job, key)

    async def _opens(self, over: ClientSession, job: Job, key: SecretValue) -> bool:
        """Whether the blob service accepts a key that is not listed, since the list lags behind."""
        try:
            await self._log_in(over, job, await self._blob_endpoint(over, job), Key(key, None))
        except Refused:
            return False
        return True

    async def _blob_endpoint(self, over: ClientSession, job: Job) -> str:
        properties = await self._two.properties(over, job)
        if properties.get("allowSharedKeyAccess") is False:
            raise _keys_not_allowed(job)
        endpoint = properties.get("primaryEndpoints", {}).get("blob")
        if not isinstance(endpoint, str) or not endpoint.startswith("https://"):
            raise Refused(f"{_name(job)} has no blob service over https, by which a key could be proven")
        return endpoint

    async def _log_in(self, over: ClientSession, job: Job, endpoint: str, key: Key) -> None:
        """A request signed with the key, to the account's own blob service as the resource manager names it."""
        # Imported when used: 600 ms that other kinds of rotators do not pay for.
        from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError  # noqa: PLC0415
        from azure.core.pipeline.transport import AioHttpTransport  # noqa: PLC0415
        from azure.storage.blob.aio import BlobServiceClient  # noqa: PLC0415

        client = BlobServiceClient(
            endpoint,
            credential={"account_name": name_of(job), "account_key": key.value.reveal()},
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

    def _refusal(self, job: Job, key: Key, status: int, code: str | None) -> RotationError:
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
    return read_key(value, job.spec, name_of(job))


def _keys_not_allowed(job: Job) -> Refused:
    return Refused(
        f"{_name(job)} does not allow access by key (allowSharedKeyAccess is false): "
        "let its consumers use Entra, or allow it again"
    )


def _name(job: Job) -> str:
    return f"{ACCOUNT.what} {name_of(job)}"
