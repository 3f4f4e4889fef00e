"""What the answers of those who are asked mean, what is written to them, and the resource manager to ask some by."""

from __future__ import annotations

from rotation.errors import Refused, Unusable
from rotation.model import SecretValue
from rotation.ports import RotatorDependencies
from rotation.refresh_targets import RefreshOrder
from rotation.rotators.azure.rest import ApiClient, ApiResponse


def arm(services: RotatorDependencies) -> ApiClient:
    """The resource manager, called with this app's own token."""
    return ApiClient("Azure Resource Manager", services.endpoints.arm, services.tokens)


def expect(answer: ApiResponse, whom: str, remedy: str) -> None:
    """Raise Refused unless the answer is a success. What can be asked again was raised before, by the client."""
    if not answer.ok:
        raise Refused(f"{whom} answered {answer.summary} and did nothing: {remedy}")


def written(order: RefreshOrder) -> SecretValue:
    """What is to be written there.

    Raises:
        Unusable: there is nothing.
    """
    if order.value is None or not order.value.reveal():
        raise Unusable(f"{order.ref} has no value that could be written on", field="value")
    return order.value
