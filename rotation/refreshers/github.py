"""GitHub Actions: a workflow is started, such as the one that copies a value into an app's settings.

"Create a workflow dispatch event" in GitHub's REST reference. The workflow must have the trigger `workflow_dispatch`.
"""

from __future__ import annotations

import json

from rotation.errors import Refused
from rotation.ports import RotatorDependencies
from rotation.refresh_targets import RefreshOrder
from rotation.refreshers.answers import expect
from rotation.refreshers.signing import header_text
from rotation.rotators.azure.rest import UNAUTHORIZED, ApiClient, ApiResponse, session

API_VERSION = "2022-11-28"
REMEDY = (
    "see that the repository, the workflow with its trigger workflow_dispatch and the ref exist, and that the token "
    "has Actions: read and write on the repository"
)


class GitHub:
    """Signs in with the token in the secret that the policy names."""

    def __init__(self, services: RotatorDependencies) -> None:
        self._api = ApiClient("GitHub", services.endpoints.github)

    async def refresh(self, order: RefreshOrder) -> None:
        refresh = order.refresh
        path = f"/repos/{refresh.target}/actions/workflows/{refresh.option('workflow')}/dispatches"
        body = json.dumps({"ref": refresh.option("ref")}).encode()
        headers = headers_of(order)
        async with session() as over:
            answer = await self._api.send_as_it_is(over, "POST", path, body, headers)
        expect_of_github(answer, REMEDY)


def headers_of(order: RefreshOrder) -> dict[str, str]:
    """Of each call to GitHub's REST API, signed in with the order's token. Errors as `header_text`."""
    return {
        "Accept": "application/vnd.github+json",
        "Content-Type": "application/json",
        "X-GitHub-Api-Version": API_VERSION,
        "Authorization": f"Bearer {header_text(order)}",
    }


def expect_of_github(answer: ApiResponse, remedy: str) -> None:
    """Raise Refused unless the answer is a success."""
    if answer.status == UNAUTHORIZED:
        raise Refused("GitHub does not accept the token: write one that has not expired into its secret")
    expect(answer, "GitHub", remedy)
