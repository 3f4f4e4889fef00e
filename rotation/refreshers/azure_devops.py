"""Azure DevOps: a run of a pipeline is queued, such as the one that copies a value into an app's settings.

"Runs - Run Pipeline" in the Azure DevOps Services REST reference, 7.1. The app's identity is a user of the organization
("Use service principals and managed identities in Azure DevOps"), and the token is for Azure DevOps itself, whose
application id is the same in every tenant.
"""

from __future__ import annotations

from urllib.parse import quote

from rotation.errors import Refused
from rotation.model import SecretValue
from rotation.ports import RotatorDependencies, TokenProvider
from rotation.refresh_targets import RefreshOrder
from rotation.refreshers.answers import expect
from rotation.rotators.azure.rest import ApiClient, ApiResponse, session

NAME = "Azure DevOps"
API_VERSION = "7.1"
SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"
REMEDY = (
    "add this app's identity to the organization, with the permission to queue builds of this pipeline, and see that "
    "the pipeline and its branch exist"
)


_A_PAGE = 203  # what it answers to a token that it does not know, in place of 401


class _OfDevOps:
    """Tokens for Azure DevOps, whatever address it is called at."""

    def __init__(self, tokens: TokenProvider) -> None:
        self._tokens = tokens

    async def token(self, scope: str) -> SecretValue:  # noqa: ARG002  the port's signature
        return await self._tokens.token(SCOPE)


class AzureDevOps:
    """Needs no secret: it signs in as the app's identity."""

    def __init__(self, services: RotatorDependencies) -> None:
        self._api = devops(services)

    async def refresh(self, order: RefreshOrder) -> None:
        path = f"/{quote(order.refresh.target)}/_apis/pipelines/{order.refresh.option('pipeline')}/runs"
        branch = f"refs/heads/{order.refresh.option('branch')}"
        body = {"resources": {"repositories": {"self": {"refName": branch}}}}
        async with session() as over:
            answer = await self._api.post(over, path, body, **{"api-version": API_VERSION})
        expect_of_devops(answer, REMEDY)


def devops(services: RotatorDependencies) -> ApiClient:
    """Azure DevOps, called with this app's own token."""
    return ApiClient(NAME, services.endpoints.devops, _OfDevOps(services.tokens))


def expect_of_devops(answer: ApiResponse, remedy: str) -> None:
    """Raise Refused unless the answer is a success."""
    if answer.status == _A_PAGE:
        raise Refused(f"{NAME} answered with a page to sign in: {remedy}")
    expect(answer, NAME, remedy)
