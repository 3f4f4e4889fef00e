"""Who calls, and what they may do.

"Authentication, requests and responses" of Key Vault's documentation describes the challenge: a call without a
token, or with one that is not accepted, is answered 401 and told where to get one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from local.resources import vault_resource
from local.rights import Rights
from local.tokens import ISSUER, TENANT, Flaw, TokenAuthority, TokenRefused
from local.vault import errors
from local.vault.faults import Code
from local.vault.operations import RIGHTS, Operation

RESOURCE = "https://vault.azure.net"
APP_ID = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"  # Key Vault's own application, an audience too
CHALLENGE = f'Bearer authorization="https://login.microsoftonline.com/{TENANT}", resource="{RESOURCE}"'


class Access:
    """Checks tokens and rights. Everybody with a good token may do everything until a right is taken away.

    rights: of the one identity that has no more than it was granted, the app's.
    """

    def __init__(self, authority: TokenAuthority, rights: Rights) -> None:
        self._authority = authority
        self._rights = rights
        self._denied: dict[tuple[str | None, str | None], frozenset[str]] = {}

    def caller(self, authorization: str | None) -> dict[str, Any]:
        """The claims of the caller's token.

        Raises:
            ServiceError: 401, with the challenge.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise errors.unauthorized("AKV10000: Request is missing a Bearer or PoP token.", CHALLENGE)
        try:
            return self._authority.verify(token.strip(), (RESOURCE, APP_ID))
        except TokenRefused as refused:
            raise errors.unauthorized(_reason(refused), CHALLENGE) from None

    def deny(self, rights: Collection[str], *, vault: str | None = None, oid: str | None = None) -> None:
        """Take rights away, in one vault or all, from one identity or all; an empty collection gives them back.

        Raises:
            ValueError: a right that does not exist.
        """
        unknown = set(rights) - RIGHTS
        if unknown:
            raise ValueError(f"deny has {', '.join(sorted(unknown))}; the rights are {', '.join(sorted(RIGHTS))}")
        self._denied[vault, oid] = frozenset(rights)

    def clear(self) -> None:
        """Give all rights back."""
        self._denied.clear()

    def authorize(self, claims: dict[str, Any], vault: str, operation: Operation, name: str | None) -> None:
        """Let a call pass.

        Raises:
            ServiceError: 403, the caller lacks the right.
        """
        oid = str(claims["oid"])
        resource = _resource(vault, name)
        scopes = ((None, None), (vault, None), (None, oid), (vault, oid))
        permitted = self._rights.permit(claims, operation.data_action, resource)
        if permitted and not any(operation.right in self._denied.get(scope, ()) for scope in scopes):
            return
        raise self.refusal(Code.RBAC, claims, vault, operation, name)

    def refusal(
        self,
        code: Code,
        claims: dict[str, Any],
        vault: str,
        operation: Operation,
        name: str | None,
        address: str | None = None,
    ) -> errors.ServiceError:
        """What a call is refused with for one of the reasons that there are, in the service's words."""
        caller = f"appid={claims.get('appid', '')};oid={claims['oid']};iss={ISSUER}"
        resource = _resource(vault, name)
        return {
            Code.RBAC: errors.forbidden_by_rbac(
                caller=caller, action=operation.data_action, resource=resource, vault=vault
            ),
            Code.POLICY: errors.forbidden_by_policy(caller=caller, right=operation.right, vault=vault),
            Code.FIREWALL: errors.forbidden_by_firewall(caller=caller, vault=vault, address=address or ""),
            Code.CONNECTION: errors.forbidden_by_connection(caller=caller, vault=vault),
            Code.BEING_DELETED: errors.being_deleted(),
            Code.BEING_RECOVERED: errors.being_recovered(),
            Code.DELETED: errors.deleted_but_recoverable(name or ""),
            Code.ANOTHER_WRITER: errors.another_writer(name or ""),
        }[code]


def _resource(vault: str, name: str | None) -> str:
    return vault_resource(vault) + (f"/secrets/{name}" if name else "")


def _reason(refused: TokenRefused) -> str:
    match refused.flaw:
        case Flaw.EXPIRED:
            return "Error validating token: IDX10223"
        case Flaw.AUDIENCE:
            return f"AKV10022: Invalid audience. Expected {RESOURCE}, found: {refused.audience}."
        case Flaw.ISSUER:
            return f"AKV10032: Invalid issuer. Expected one of {ISSUER}."
        case Flaw.SIGNATURE:
            return "AKV10046: Unable to resolve the key used for signature validation."
        case Flaw.MALFORMED:
            return "AKV10000: Request is missing a Bearer or PoP token."
