"""Azure DevOps and GitHub: what starts a pipeline's run, and nothing else of them.

"Runs - Run Pipeline" in the Azure DevOps Services REST reference (7.1), "Create a workflow dispatch event" in GitHub's
REST reference. Their errors have shapes of their own. A token that Azure DevOps does not know is answered 203 with a
page to sign in.
"""

from __future__ import annotations

import hmac
import json
from typing import Any

from aiohttp import web

from local.azure.plane import Answer, Plane

DEVOPS = "499b84ac-1321-427f-aa17-267ca6975798"  # Azure DevOps' application id, in every tenant
API_VERSION = "7.1"
GITHUB_VERSIONS = ("2022-11-28",)


class Pipelines:
    """Serves both. asked: (where, what, ref) of each run that was started, the newest last."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self.asked: list[tuple[str, str, str]] = []

    def add_pipeline(self, project: str, pipeline: str, branch: str) -> None:
        """A pipeline of an Azure DevOps project, "ORGANIZATION/PROJECT"."""
        self._plane.store.put("pipeline", f"{project}/{pipeline}", {"branch": branch})

    def add_workflow(self, repository: str, workflow: str, ref: str, token: str) -> None:
        """A workflow of a GitHub repository that can be started by hand, and the token that may."""
        self._plane.store.put("workflow", f"{repository}/{workflow}", {"ref": ref, "token": token})

    async def devops(self, request: web.Request) -> web.Response:
        """One call on a pipeline."""
        if (page := sign_in(self._plane, request)) is not None:
            return page
        project = f"{request.match_info['organization']}/{request.match_info['project']}"
        number = request.match_info["pipeline"]
        found = self._plane.store.get("pipeline", f"{project}/{number}")
        if found is None:
            raise devops_error(404, "PipelineNotFoundException", f"The pipeline {number} does not exist.")
        body = await json_body(request)
        ref = _at(body, "resources", "repositories", "self", "refName")
        if set(body) != {"resources"} or ref != f"refs/heads/{found['branch']}":
            raise devops_error(
                400, "PipelineValidationException", "Unable to resolve the reference to a specific version."
            )
        self.asked.append((project, number, ref))
        run = {"id": len(self.asked), "name": f"20261001.{len(self.asked)}", "state": "inProgress"}
        return web.json_response({**run, "pipeline": {"id": int(number)}})

    async def github(self, request: web.Request) -> web.Response:
        """One call on a workflow."""
        repository = f"{request.match_info['owner']}/{request.match_info['name']}"
        workflow = request.match_info["workflow"]
        token = github_token(request)
        found = self._plane.store.get("workflow", f"{repository}/{workflow}")
        if found and not hmac.compare_digest(token, found["token"]):
            raise github_error(401, "Bad credentials")
        if found is None:
            raise github_error(404, "Not Found")
        body = await json_body(request)
        if set(body) != {"ref"}:
            raise github_error(422, "Invalid request.")
        if body["ref"] != found["ref"]:
            raise github_error(422, f"No ref found for: {body['ref']}")
        self.asked.append((repository, workflow, body["ref"]))
        return web.Response(status=204)


def sign_in(plane: Plane, request: web.Request) -> web.Response | None:
    """Azure DevOps' page for a caller whose token it does not know; None: it does, and the version is the right one."""
    try:
        plane.check_token(request, DEVOPS)
    except Answer:
        return web.Response(status=203, text="<html>Sign in</html>", content_type="text/html")
    if request.query.get("api-version") != API_VERSION:
        raise devops_error(400, "VssVersionNotSpecifiedException", "No api-version was supplied for the request.")
    return None


def github_token(request: web.Request) -> str:
    """The token of a call to GitHub, whose other headers are as it wants them."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if request.headers.get("X-GitHub-Api-Version") not in GITHUB_VERSIONS or not request.headers.get("User-Agent"):
        raise github_error(400, "The API version is not supported.")
    if scheme != "Bearer":
        raise github_error(401, "Bad credentials")
    return token


async def json_body(request: web.Request) -> dict[str, Any]:
    """The object in a body that says it is JSON."""
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if request.content_type != "application/json" or not isinstance(body, dict):
        raise github_error(400, "Problems parsing JSON")
    return body


def _at(body: Any, *path: str) -> object:
    for key in path:
        body = body.get(key) if isinstance(body, dict) else None
    return body


def devops_error(status: int, kind: str, message: str) -> web.HTTPException:
    """In the shape of Azure DevOps."""
    body = {"$id": "1", "innerException": None, "message": message, "typeKey": kind, "errorCode": 0, "eventId": 3000}
    return _Plain(status, body)


def github_error(status: int, message: str) -> web.HTTPException:
    """In GitHub's shape."""
    return _Plain(
        status, {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    )


class _Plain(web.HTTPException):
    """An error with a body of its own."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status_code = status
        super().__init__(text=json.dumps(body), content_type="application/json")
