"""What the vault says no with: codes, statuses and texts as the service was seen to answer them.

The shape is `KeyVaultError` of the REST reference; "Azure Key Vault REST API error codes" lists the statuses. Where no
real text is known the words are ours. Seen at the service itself: the recordings of @azure/keyvault-secrets' tests
(azure-sdk-for-js, before 2023, in the tree), azure-sdk-for-python#28595 (a version that is not known),
terraform-provider-azurerm#10454 (being deleted), azure-sdk-for-net#31581 (being recovered) and #51761 (two writers),
AzureSignTool#219 (429).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_RECOVERY_HELP = "https://go.microsoft.com/fwlink/?linkid=2125182"
_POLICY_HELP = "https://go.microsoft.com/fwlink/?linkid=2125287"


class ServiceError(Exception):
    """An error answer. `headers` go out with it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        inner: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.inner = inner
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.inner is not None:
            error["innererror"] = {"code": self.inner}
        return {"error": error}


def bad_parameter(message: str) -> ServiceError:
    """A request that can't be understood (400)."""
    return ServiceError(400, "BadParameter", message)


def invalid_name(name: str) -> ServiceError:
    """A secret's name with other characters than letters, digits and hyphens (400)."""
    return bad_parameter(f"The request URI contains an invalid name: {name}")


def unknown_api_version(given: str, latest: str) -> ServiceError:
    """An api-version that the service does not know, such as a later one (400)."""
    return bad_parameter(
        f"The specified version ({given}) is not recognized. Consider using the latest supported version ({latest})."
    )


def malformed_backup() -> ServiceError:
    """What is to be restored is no backup, or one of another place (400). The code has spaces, in the service too."""
    return ServiceError(400, "Malformed backup blob", "Backup blob contains invalid or corrupt version.")


def not_found(identifier: str) -> ServiceError:
    """`identifier` is the secret's name, or name/version."""
    return ServiceError(
        404,
        "SecretNotFound",
        f"A secret with (name/id) {identifier} was not found in this key vault. If you recently deleted this secret"
        " you may be able to recover it using the correct recovery command. For help resolving this issue,"
        f" please see {_RECOVERY_HELP}",
    )


def deleted_not_found(name: str) -> ServiceError:
    """No such secret among the deleted ones (404)."""
    return ServiceError(404, "SecretNotFound", f"Deleted Secret not found: {name}")


def disabled() -> ServiceError:
    """The version is disabled, so its value is not given out (403)."""
    return ServiceError(403, "Forbidden", "Operation get is not allowed on a disabled secret.", inner="SecretDisabled")


def deleted_but_recoverable(name: str) -> ServiceError:
    """The name belongs to a soft-deleted secret (409)."""
    return ServiceError(
        409,
        "Conflict",
        f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state,"
        " the secret can only be recovered or purged.",
        inner="ObjectIsDeletedButRecoverable",
    )


def being_deleted() -> ServiceError:
    """The name belongs to a secret whose deletion or purge is not done yet (409)."""
    return ServiceError(409, "Conflict", "Secret is currently being deleted.", inner="ObjectIsBeingDeleted")


def being_recovered() -> ServiceError:
    """The name belongs to a secret whose recovery is not done yet (409)."""
    return ServiceError(409, "Conflict", "Secret is currently being recovered.", inner="ObjectIsBeingRecovered")


def another_writer(name: str) -> ServiceError:
    """Another call writes the same secret at this moment (409). Nothing but the status is known of the real answer."""
    return ServiceError(409, "Conflict", f"Secret {name} is being written by another call.")


def name_in_use(name: str) -> ServiceError:
    """A backup can't be restored over a secret that exists (409)."""
    return ServiceError(409, "Conflict", f"A secret with name {name} already exists in this key vault.")


def throttled(retry_after_s: int | None) -> ServiceError:
    """Too many calls (429); None: it does not say when to come back, as in the answer that AzureSignTool#219 shows."""
    return ServiceError(
        429,
        "Throttled",
        "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
        headers={} if retry_after_s is None else {"Retry-After": str(retry_after_s)},
    )


def unauthorized(message: str, challenge: str) -> ServiceError:
    """No token, or one that is not accepted (401); `challenge` says where to get one."""
    return ServiceError(401, "Unauthorized", message, headers={"WWW-Authenticate": challenge})


def forbidden_by_rbac(*, caller: str, action: str, resource: str, vault: str) -> ServiceError:
    """`caller` is `appid=...;oid=...;iss=...`; `resource` the ARM id of the vault or the secret."""
    propagation = (
        "If role assignments, deny assignments or role definitions were changed recently,"
        " please observe propagation time."
    )
    lines = (
        "Caller is not authorized to perform action on resource.",
        propagation,
        f"Caller: {caller}",
        f"Action: '{action}'",
        f"Resource: '{resource.lower()}'",
        "Assignment: (not found)",
        "DenyAssignmentId: null",
        "DecisionReason: 'DeniedWithNoValidRBAC' ",
        f"Vault: {vault};location=local",
        "",
    )
    return ServiceError(403, "Forbidden", "\r\n".join(lines), inner="ForbiddenByRbac")


def forbidden_by_policy(*, caller: str, right: str, vault: str) -> ServiceError:
    """A vault with access policies, of which none gives the caller `right`, as in `Operation.right`."""
    message = (
        f"The user, group or application '{caller}' does not have secrets {right} permission on key vault"
        f" '{vault};location=local'. For help resolving this issue, please see {_POLICY_HELP}"
    )
    return ServiceError(403, "Forbidden", message, inner="ForbiddenByPolicy")


def forbidden_by_firewall(*, caller: str, vault: str, address: str) -> ServiceError:
    """The vault is open to some networks only, and `address` is in none of them."""
    lines = (
        "Client address is not authorized and caller is not a trusted service.",
        f"Client address: {address}",
        f"Caller: {caller}",
        f"Vault: {vault};location=local",
    )
    return ServiceError(403, "Forbidden", "\r\n".join(lines), inner="ForbiddenByFirewall")


def forbidden_by_connection(*, caller: str, vault: str) -> ServiceError:
    """The vault takes no calls from public networks at all."""
    lines = (
        (
            "Connection is not an approved private link and caller was ignored because bypass is not set to"
            " 'AzureServices' and PublicNetworkAccess is set to 'Disabled'."
        ),
        f"Caller: {caller}",
        f"Vault: {vault};location=local",
    )
    return ServiceError(403, "Forbidden", "\r\n".join(lines), inner="ForbiddenByConnection")
