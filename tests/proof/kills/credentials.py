"""Credentials of every kind on a stack: how each comes to be, and whether a value works, asked as a consumer asks."""

import base64
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urljoin

import aiohttp
from azure.core.exceptions import ClientAuthenticationError
from azure.storage.blob.aio import BlobServiceClient

from local.demo_cases import ACCOUNT_ID
from local.tokens import TENANT
from rotation.model import SecretValue
from tests.e2e.deployment import Deployment, logs_in

KEY_BYTES = 32


class Works(Protocol):
    """Whether a value is accepted by what it is for."""

    async def __call__(self, value: SecretValue) -> bool: ...


@dataclass(frozen=True, slots=True)
class Managed:
    """A secret that the app looks after. earlier: a version from before, for who takes credentials in turn."""

    name: str
    tags: Mapping[str, str]
    value: SecretValue
    works: Works
    earlier: SecretValue | None = None


async def every_kind(app: Deployment, each: int) -> AsyncIterator[Managed]:
    """Make `each` secrets of each kind; of client secrets two."""
    for number in range(each):
        for suffix in ("", "-by-admin"):
            role = f"r{number}{suffix}"
            yield Managed(f"in-place-{role}", {"rotator": "postgres"}, await app.role(role), logs_in)
            two = (f"a{number}{suffix}", f"b{number}{suffix}")
            tags = {"rotator": "postgres-alternating", "slots": ",".join(two), "grace-hours": "1"}
            first, second = await app.role(two[0]), await app.role(two[1])
            yield Managed(f"in-turn-{role}", tags, first, logs_in, earlier=second)
        yield storage_key(app, number)
        yield signing_key(f"signing-key-{number}")
    for number in (1, 2):
        yield client_secret(app, number)


def signing_key(name: str) -> Managed:
    """A key that is made here, so that only its form can be wrong."""
    text = base64.b64encode(uuid.uuid4().bytes * 2).decode()
    return Managed(name, {"rotator": "generated", "format": "signing-key-256"}, SecretValue(text), _is_a_key)


async def _is_a_key(value: SecretValue) -> bool:
    return len(base64.b64decode(value.reveal(), validate=True)) == KEY_BYTES


def storage_key(app: Deployment, number: int) -> Managed:
    """A key of an account of its own."""
    name = f"st{number}number"
    resource = ACCOUNT_ID.rpartition("/")[0] + f"/{name}"
    keys = app.stack.azure_control.post("accounts", {"id": resource})["keys"]

    async def signs(value: SecretValue) -> bool:
        url = urljoin(app.stack.planes["arm"], f"/blob/{name}")
        credential = {"account_name": name, "account_key": value.reveal()}
        ca = app.stack.ready["env"]["SSL_CERT_FILE"]
        async with BlobServiceClient(url, credential=credential, connection_verify=ca) as client:
            try:
                await client.get_service_properties()
            except ClientAuthenticationError:
                return False
        return True

    tags = {"rotator": "storage-key", "target": resource, "slot": "key1", "grace-hours": "1"}
    return Managed(f"storage-{number}", tags, SecretValue(keys["key1"]), signs)


def application_id(number: int) -> str:
    """The object id of an application; the policy has to name it."""
    return f"00000000-0000-0000-0000-a{number:011}"


def client_id(number: int) -> str:
    """By which it logs in."""
    return f"00000000-0000-0000-0000-c{number:011}"


def client_secret(app: Deployment, number: int) -> Managed:
    """A secret of an application of its own."""
    application, client = application_id(number), client_id(number)
    app.stack.azure_control.post("applications", {"object_id": application, "app_id": client})
    added = app.stack.azure_control.post(f"applications/{application}/secrets", {})

    async def gets_a_token(value: SecretValue) -> bool:
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": value.reveal()}
        tls = ssl.create_default_context(cafile=app.stack.ready["env"]["SSL_CERT_FILE"])
        url = f"{app.stack.planes['login']}/{TENANT}/oauth2/v2.0/token"
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
            session.post(url, data=form | {"scope": "https://vault.azure.net/.default"}) as answer,
        ):
            return answer.status == 200

    tags = {"rotator": "entra-app-secret", "target": application, "slot": str(added["keyId"]), "grace-hours": "1"}
    return Managed(f"client-secret-{number}", tags, SecretValue(str(added["secretText"])), gets_a_token)
