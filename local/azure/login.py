"""Token requests of applications: the client credentials grant of the Microsoft identity platform.

"OAuth 2.0 client credentials flow" describes request and answers, "Microsoft Entra authentication and authorization
error codes" the numbers. MSAL's clients ask for the authority's metadata first: "OpenID Connect on the Microsoft
identity platform", and the instance discovery that azure-sdk-for-js's recordings show.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from aiohttp import web
from yarl import URL

from local.azure.graph import digest
from local.azure.plane import Plane, moment
from local.tokens import TENANT

EXPIRES_IN_S = 3599
ANY_TENANT = ("common", "organizations", "consumers")

INVALID_SECRET = 7000215
EXPIRED_SECRET = 7000222
NO_APPLICATION = 700016
NO_PRINCIPAL = 7000229
NO_TENANT = 90002
MALFORMED = 900144


class Login:
    """Serves `/{tenant}/oauth2/v2.0/token`."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def handle(self, request: web.Request) -> web.Response:
        """One token request."""
        form = await request.post()
        client, secret, scope = (str(form.get(name, "")) for name in ("client_id", "client_secret", "scope"))
        if request.match_info["tenant"] != TENANT:
            return self._refused(400, "invalid_request", NO_TENANT, "Tenant was not found.")
        if form.get("grant_type") != "client_credentials" or not scope.endswith("/.default"):
            return self._refused(400, "invalid_request", MALFORMED, "The request body is not a client's request.")
        application = next((one for one in self._plane.store.all("application") if one["appId"] == client), None)
        if application is None:
            message = f"Application with identifier '{client}' was not found in the directory."
            return self._refused(400, "unauthorized_client", NO_APPLICATION, message)
        refusal = self._refusal(application, secret)
        if refusal is not None:
            return refusal
        token = self._plane.authority.issue(scope.removesuffix("/.default"), {"appid": client}, EXPIRES_IN_S)
        body = {"token_type": "Bearer", "expires_in": EXPIRES_IN_S, "ext_expires_in": EXPIRES_IN_S}
        return web.json_response({**body, "access_token": token})

    async def metadata(self, request: web.Request) -> web.Response:
        """The document `.well-known/openid-configuration` of a tenant, with and without `/v2.0`."""
        tenant = request.match_info["tenant"]
        if tenant not in {TENANT, *ANY_TENANT}:
            return self._refused(400, "invalid_tenant", NO_TENANT, "Tenant was not found.")
        here = str(request.rel_url).split(f"/{tenant}/", 1)[0]
        base = f"{self._plane.url}{here}/{tenant}"
        body = {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"https://login.microsoftonline.com/{TENANT}/v2.0",
            "request_uri_parameter_supported": False,
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
            "tenant_region_scope": "WW",
            "cloud_instance_name": "microsoftonline.com",
        }
        return web.json_response(body)

    async def instances(self, request: web.Request) -> web.Response:
        """Instance discovery: where a tenant's metadata is, and which hosts are one authority."""
        asked = URL(request.query.get("authorization_endpoint", ""))
        tenant = next((part for part in asked.parts if part in {TENANT, *ANY_TENANT}), None)
        if tenant is None:
            return self._refused(400, "invalid_instance", MALFORMED, "The authorization endpoint is none of a tenant.")
        here = str(request.rel_url).split("/common/discovery/", 1)[0]
        host = URL(self._plane.url).authority
        body = {
            "tenant_discovery_endpoint": f"{self._plane.url}{here}/{tenant}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }
        return web.json_response(body)

    async def keys(self, _request: web.Request) -> web.Response:
        """Tokens here are signed with a shared key, of which nobody is told."""
        return web.json_response({"keys": []})

    def _refusal(self, application: dict[str, Any], secret: str) -> web.Response | None:
        client = application["appId"]
        known = [one for one in application["passwords"] if self._is_known(one)]
        matching = [one for one in known if one["digest"] == digest(secret)]
        if not matching and known and all(self._has_expired(one) for one in known):
            matching = known  # so it was seen to be answered, whatever secret was sent
        if not matching:
            message = f"Invalid client secret provided. Use the secret's value, not its ID, for app '{client}'."
            return self._refused(401, "invalid_client", INVALID_SECRET, message)
        if self._has_expired(matching[0]):
            message = f"The provided client secret keys for app '{client}' are expired."
            return self._refused(401, "invalid_client", EXPIRED_SECRET, message)
        if not application["principal"]:
            message = f"The client application '{client}' is missing service principal in the tenant."
            return self._refused(400, "invalid_client", NO_PRINCIPAL, message)
        return None

    def _has_expired(self, password: dict[str, Any]) -> bool:
        return datetime.fromisoformat(password["endDateTime"]) <= self._plane.now()

    def _is_known(self, password: dict[str, Any]) -> bool:
        """Whether those who check logins know of it: not yet, or still, by the time that changes take to get about."""
        if not self._plane.propagated(password["made"]):
            return False
        return password["removed"] is None or not self._plane.propagated(password["removed"])

    def _refused(self, status: int, error: str, number: int, message: str) -> web.Response:
        trace = str(uuid.uuid4())
        body = {
            "error": error,
            "error_description": f"AADSTS{number}: {message} Trace ID: {trace}",
            "error_codes": [number],
            "timestamp": moment(self._plane.now()),
            "trace_id": trace,
            "correlation_id": str(uuid.uuid4()),
            "error_uri": f"https://login.microsoftonline.com/error?code={number}",
        }
        return web.json_response(body, status=status)
