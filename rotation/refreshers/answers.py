"""What the answers of those who are asked mean, and the resource manager to ask some of them by."""

from __future__ import annotations

from rotation.errors import Refused
from rotation.ports import RotatorDependencies
from rotation.rotators.azure.rest import ApiClient, ApiResponse


def arm(services: RotatorDependencies) -> ApiClient:
    """The resource manager, called with this app's own token."""
    return ApiClient("Azure Resource Manager", services.endpoints.arm, services.tokens)


def expect(answer: ApiResponse, whom: str, remedy: str) -> None:
    """Raise Refused unless the answer is a success. What can be asked again was raised before, by the client."""
    if not answer.ok:
        raise Refused(f"{whom} answered {answer.summary} and did nothing: {remedy}")
