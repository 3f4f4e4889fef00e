"""GitHub Actions: the new version's value is written into a secret of a repository, an environment or an organization.

"REST API endpoints for GitHub Actions Secrets" in GitHub's REST reference: "Get a repository public key" and "Create or
update a repository secret", and the same of environments and organizations. A value is sealed with the place's own
public key, "Encrypting secrets for the REST API": so neither GitHub's API nor anybody on the way sees it in the clear.

An organization's secret says which repositories may use it, and a write without that would be refused, or would change
it ("Create or update an organization secret", `visibility`). So that is read, and written back as it was; such a secret
must be there already.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp
from nacl.encoding import Base64Encoder
from nacl.public import PublicKey, SealedBox

from rotation.errors import Refused
from rotation.model import SecretValue
from rotation.ports import RotatorDependencies
from rotation.refresh_targets import RefreshOrder
from rotation.refreshers.answers import written
from rotation.refreshers.github import expect_of_github, headers_of
from rotation.rotators.azure.rest import ApiClient, ApiResponse, session

REMEDY = (
    "see that the repository, the environment or the organization exists under that name, and that the token has "
    "Secrets: read and write there (of an environment, Environments: read and write)"
)
OF_AN_ORGANIZATION = (
    "make the secret in the organization first, so that you decide which repositories may use it, and see that the "
    "token has the organization's permission Secrets: read and write"
)
A_PAGE, MOST_PAGES = 100, 10  # repositories that may use one secret of an organization
_UNPROCESSABLE = 422  # what it answers, besides other things, to a value that is sealed with a key of before
_VISIBILITIES = frozenset({"all", "private", "selected"})


@dataclass(frozen=True, slots=True)
class _Key:
    """A public key in base64, and the name that GitHub knows it by."""

    key_id: str
    key: str


@dataclass(frozen=True, slots=True)
class _Secrets:
    """The secrets of one place. headers: hidden, for the token is in them."""

    over: aiohttp.ClientSession
    api: ApiClient
    path: str
    headers: Mapping[str, str] = field(repr=False)

    async def read(self, what: str, remedy: str) -> Mapping[str, Any]:
        """The answer's fields."""
        answer = await self.api.get_as_it_is(self.over, f"{self.path}/{what}", self.headers)
        expect_of_github(answer, remedy)
        return answer.body

    async def key(self) -> _Key:
        """What a value is sealed with now."""
        found = await self.read("public-key", REMEDY)
        key_id, key = found.get("key_id"), found.get("key")
        if not isinstance(key_id, str) or not isinstance(key, str):
            raise _no_key()
        return _Key(key_id, key)

    async def write(self, name: str, value: SecretValue, more: Mapping[str, Any]) -> None:
        """Seal and send; once more where the key was changed in between."""
        key = await self.key()
        answer = await self._put(name, value, key, more)
        if answer.status == _UNPROCESSABLE and (newer := await self.key()) != key:
            answer = await self._put(name, value, newer, more)
        expect_of_github(answer, REMEDY)

    async def _put(self, name: str, value: SecretValue, key: _Key, more: Mapping[str, Any]) -> ApiResponse:
        body = {"encrypted_value": sealed(value, key.key), "key_id": key.key_id, **more}
        content = json.dumps(body).encode()
        return await self.api.send_as_it_is(self.over, "PUT", f"{self.path}/{name}", content, self.headers)


class GitHubSecret:
    """Signs in with the token in the secret that the policy names."""

    def __init__(self, services: RotatorDependencies) -> None:
        self._api = ApiClient("GitHub", services.endpoints.github)

    async def refresh(self, order: RefreshOrder) -> None:
        refresh, value, headers = order.refresh, written(order), headers_of(order)
        name, environment = refresh.option("secret"), dict(refresh.options).get("environment")
        async with session() as over:
            secrets = _Secrets(over, self._api, _path(refresh.target, environment), headers)
            of_repository = "/" in refresh.target
            await secrets.write(name, value, {} if of_repository else await _shared_with(secrets, name))


def _path(target: str, environment: str | None) -> str:
    """Where the secrets of a repository, of one of its environments, or of an organization are."""
    if "/" not in target:
        return f"/orgs/{target}/actions/secrets"
    if environment is None:
        return f"/repos/{target}/actions/secrets"
    return f"/repos/{target}/environments/{quote(environment, safe='')}/secrets"


async def _shared_with(secrets: _Secrets, name: str) -> dict[str, Any]:
    """Which repositories may use a secret of an organization, as a write says it."""
    visibility = (await secrets.read(name, OF_AN_ORGANIZATION)).get("visibility")
    if not isinstance(visibility, str) or visibility not in _VISIBILITIES:
        raise Refused("GitHub did not say which repositories may use the organization's secret: write it by a workflow")
    if visibility != "selected":
        return {"visibility": visibility}
    selected: list[int] = []
    for page in range(1, MOST_PAGES + 1):
        found = await secrets.read(f"{name}/repositories?per_page={A_PAGE}&page={page}", OF_AN_ORGANIZATION)
        some, total = found.get("repositories"), found.get("total_count")
        ids = [one.get("id") for one in some if isinstance(one, dict)] if isinstance(some, list) else []
        selected += [one for one in ids if isinstance(one, int)]
        if len(selected) == total:
            return {"visibility": visibility, "selected_repository_ids": selected}
        if not ids:
            break
    raise Refused(
        "GitHub did not list each repository that may use the organization's secret, and a write would take it from "
        "the others: see that the token may read them all"
    )


def sealed(value: SecretValue, key: str) -> str:
    """The value as only the owner of the key can read it, in base64. key: of 32 bytes, in base64.

    Raises:
        Refused: that is no key.
    """
    try:
        box = SealedBox(PublicKey(key.encode(), Base64Encoder))
    except ValueError:  # no base64, or of another length
        raise _no_key() from None
    return base64.b64encode(box.encrypt(value.reveal().encode())).decode()


def _no_key() -> Refused:
    return Refused("GitHub gave no public key that a value can be sealed with: see that its API is what answers there")
