"""GitHub: the secrets of Actions, of a repository, an environment or an organization.

"REST API endpoints for GitHub Actions Secrets" in GitHub's REST reference, "Secrets reference" (names, 48 KB). A value
arrives in a sealed box, which PyNaCl's own `SealedBox` opens here. What is sealed with a key of before, or is no sealed
box, is answered 422. A token that is of another place sees nothing: 404.
"""

from __future__ import annotations

import base64
import hmac
import re
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

from local.azure.pipelines import github_error, github_token, json_body
from local.azure.plane import Plane

PLACES = (
    "/repos/{owner}/{name}/actions/secrets",
    "/repos/{owner}/{name}/environments/{environment}/secrets",
    "/orgs/{owner}/actions/secrets",
)
LARGEST = 48 * 1024
_NAME = re.compile(r"(?!GITHUB_)[A-Z_][A-Z0-9_]*")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_VISIBILITIES = ("all", "private", "selected")


class GitHubSecrets:
    """asked: (place, name) of each secret that was written, the newest last.

    keys_turn: how often the key of a place is still replaced as soon as it was read. A place is "OWNER/NAME",
    "OWNER/NAME/ENVIRONMENT" or "ORGANIZATION".
    """

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self.asked: list[tuple[str, str]] = []
        self.keys_turn = 0

    def add_place(self, place: str, token: str) -> None:
        """A place whose secrets the token may read and write."""
        self._plane.store.put("github-place", place, {"token": token, **_new_key(1)})

    def add_organizations(self, organization: str, name: str, visibility: str, repositories: list[int]) -> None:
        """A secret of an organization that is there already. repositories: ids of those that may use it."""
        body = {"value": None, "visibility": visibility, "repositories": repositories}
        self._plane.store.put("github-secret", f"{organization}/{name}", body)

    def written(self, place: str, name: str) -> dict[str, Any]:
        """What is there: `value`, of an organization's also `visibility` and `repositories`."""
        return self._plane.store.get("github-secret", f"{place}/{name}") or {}

    def routes(self) -> dict[tuple[str, str], Handler]:
        """By method and path; of two that fit, the first counts."""
        found: dict[tuple[str, str], Handler] = {}
        for path in PLACES:
            found["GET", f"{path}/public-key"] = self._public_key
            found["PUT", f"{path}/{{secret}}"] = self._put
        found["GET", f"{PLACES[-1]}/{{secret}}"] = self._get
        found["GET", f"{PLACES[-1]}/{{secret}}/repositories"] = self._repositories
        return found

    def _place(self, request: web.Request) -> tuple[str, dict[str, Any]]:
        match = request.match_info
        place = "/".join(match[part] for part in ("owner", "name", "environment") if part in match)
        token = github_token(request)
        found = self._plane.store.get("github-place", place)
        if not any(hmac.compare_digest(token, one["token"]) for one in self._plane.store.all("github-place")):
            raise github_error(401, "Bad credentials")
        if found is None or not hmac.compare_digest(token, found["token"]):
            raise github_error(404, "Not Found")
        return place, found

    async def _public_key(self, request: web.Request) -> web.Response:
        place, found = self._place(request)
        if self.keys_turn > 0:
            self.keys_turn -= 1
            newer = _new_key(int(found["key_id"]) + 1)
            self._plane.store.put("github-place", place, {"token": found["token"], **newer})
        public = PrivateKey(bytes.fromhex(found["private"])).public_key
        return web.json_response({"key_id": found["key_id"], "key": base64.b64encode(bytes(public)).decode()})

    async def _put(self, request: web.Request) -> web.Response:
        place, found = self._place(request)
        name, body = request.match_info["secret"].upper(), await json_body(request)
        needed = {"encrypted_value", "key_id"}
        of_organization = "/" not in place
        if not needed <= set(body) or set(body) - needed - (
            {"visibility", "selected_repository_ids"} if of_organization else set()
        ):
            raise github_error(422, "Invalid request.")
        if not _NAME.fullmatch(name):
            raise github_error(422, "Secret names can only contain alphanumeric characters or underscores.")
        if body["key_id"] != found["key_id"]:
            raise github_error(422, "Bad request - the key is not the public key of now.")
        value = _opened(str(body["encrypted_value"]), found["private"])
        old = self.written(place, name)
        new = {"value": value, **(_shared_with(body) if of_organization else {})}
        self._plane.store.put("github-secret", f"{place}/{name}", new)
        self.asked.append((place, name))
        return web.Response(status=204) if old else web.json_response({}, status=201)

    async def _get(self, request: web.Request) -> web.Response:
        secret = self._organizations(request)
        return web.json_response({"name": request.match_info["secret"].upper(), "visibility": secret["visibility"]})

    async def _repositories(self, request: web.Request) -> web.Response:
        ids = self._organizations(request)["repositories"]
        size, page = int(request.query.get("per_page", "30")), int(request.query.get("page", "1"))
        if not 1 <= size <= 100:  # noqa: PLR2004  the most that a page has
            raise github_error(422, "Invalid request.")
        some = ids[size * (page - 1) : size * page]
        return web.json_response({"total_count": len(ids), "repositories": [{"id": one} for one in some]})

    def _organizations(self, request: web.Request) -> dict[str, Any]:
        place, _ = self._place(request)
        found = self.written(place, request.match_info["secret"])
        if not found:
            raise github_error(404, "Not Found")
        return found


def _shared_with(body: dict[str, Any]) -> dict[str, Any]:
    """What is not said again is lost: who may use it is that of the last write."""
    visibility, ids = body.get("visibility"), body.get("selected_repository_ids")
    if visibility not in _VISIBILITIES or (ids is not None and visibility != "selected"):
        raise github_error(422, "Invalid request.")
    return {"visibility": visibility, "repositories": ids or []}


def _opened(text: str, private: str) -> str:
    """The value in a sealed box."""
    if not _BASE64.fullmatch(text):
        raise github_error(422, "Invalid request.")
    try:
        value = SealedBox(PrivateKey(bytes.fromhex(private))).decrypt(base64.b64decode(text))
    except (CryptoError, ValueError):
        message = "Bad request - validation failed due to an improperly encrypted secret"
        raise github_error(422, message) from None
    if not 0 < len(value) <= LARGEST:
        raise github_error(422, "Secrets are limited to 48 KB in size.")
    return value.decode()


def _new_key(number: int) -> dict[str, str]:
    return {"private": bytes(PrivateKey.generate()).hex(), "key_id": str(number)}
