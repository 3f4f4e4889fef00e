"""What the SDK raises, in our words: its own may quote a request. Each says what the reader can do.

The codes are those of the answer's `innererror` ("Azure Key Vault REST API error codes").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rotation.errors import Conflict, Disabled, NotFound, Refused, RotationError, Throttled, Unreachable

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _TOO_MANY, _SERVER = 401, 403, 404, 409, 429, 500
_UNAVAILABLE = 503


class LimitMet(Throttled):
    """The vault takes no more for now, since somebody used its limit up; a 503 is no such thing."""


@contextmanager
def translated(name: str) -> Iterator[None]:
    """The SDK's errors as ours; `name` is the secret's.

    Raises:
        RotationError: in place of any error of the SDK.
    """
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError  # noqa: PLC0415  lazy

    try:
        yield
    except HttpResponseError as error:
        refusal = _refusal(name, error)
    except ClientAuthenticationError:
        refusal = Refused("the app's identity gets no token for the vault: see that the identity is assigned")
    except AzureError:
        refusal = Unreachable("the vault does not answer; what was asked may have happened")
    else:
        return
    raise refusal


def _refusal(name: str, error: HttpResponseError) -> RotationError:
    status, code = error.status_code or 0, _inner_code(error)
    if status in {_TOO_MANY, _UNAVAILABLE}:
        wait = _retry_after(error)
        return (
            LimitMet("the vault says: too many calls", retry_after_s=wait)
            if status == _TOO_MANY
            else Throttled("the vault says: not now", retry_after_s=wait)
        )
    if status >= _SERVER or status == 0:
        return Unreachable("the vault failed; what was asked may have happened")
    if status == _CONFLICT:
        return _conflict(name, code)
    if status == _FORBIDDEN:
        return _forbidden(name, code)
    if status == _NOT_FOUND:
        return NotFound(f"there is no secret {name} here, or it is deleted: recover or write it", field="secret")
    return Refused(
        "the vault takes no token of this identity: see that both are of the same tenant"
        if status == _UNAUTHORIZED
        else f"the vault refuses the request (status {status})"
    )


def _forbidden(name: str, code: str | None) -> RotationError:
    """Each has a remedy of its own."""
    if code == "SecretDisabled":
        return Disabled(f"the secret {name} is disabled: enable its latest version", field="secret")
    if code == "AccessDenied":  # as it was called before
        code = "ForbiddenByPolicy"
    return Refused(
        {
            "ForbiddenByRbac": "the vault forbids it: the app's identity needs the role Key Vault Secrets Officer (or "
            "Keyturn's own) on this vault; a new one takes up to ten minutes",
            "ForbiddenByPolicy": "the vault works with access policies, and none gives the app's identity this right: "
            "give it one, or set the vault to Azure RBAC",
            "ForbiddenByFirewall": "the vault's firewall keeps the app out, whatever rights it has: let its subnet in",
            "ForbiddenByConnection": "the vault takes no calls from public networks: the app needs a private endpoint",
        }.get(code or "", "the vault forbids it, for a reason that is not known here: see the vault's audit log")
    )


def _conflict(name: str, code: str | None) -> RotationError:
    """One of them alone stays until somebody recovers or purges; all others pass, those that are not known here too."""
    match code:
        case "ObjectIsDeletedButRecoverable":
            return Refused(f"the name {name} is taken by a deleted secret: recover or purge it")
        case "ObjectIsBeingDeleted":
            return Conflict(f"the secret {name} is being deleted just now; nothing was written")
        case "ObjectIsBeingRecovered":
            return Conflict(f"the secret {name} is being recovered just now; nothing was written")
        case _:
            return Conflict(f"somebody else writes the secret {name} just now; nothing was written")


def _inner_code(error: HttpResponseError) -> str | None:
    inner = getattr(error.error, "innererror", None)
    return inner.get("code") if isinstance(inner, dict) else None


def _retry_after(error: HttpResponseError) -> int | None:
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    text = headers.get("Retry-After", "")
    return int(text) if text.isdigit() else None
