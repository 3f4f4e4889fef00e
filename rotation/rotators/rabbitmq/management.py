"""RabbitMQ's management API: whose password it is, and a new one.

Source: "HTTP API" of the management plugin (GET /api/whoami, GET and PUT /api/users/NAME) and "Passwords" (how a hash
is made, and that permissions and limits are kept elsewhere). That an answer 401 tells a right password without a tag
("Not management user") from a wrong one was seen on RabbitMQ 3.10; Ansible's module rabbitmq_user goes by it, too.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import ssl
from collections.abc import Callable, Mapping
from random import Random
from typing import Any
from urllib.parse import quote

import aiohttp

from rotation.errors import Refused, Rejected, Unreachable
from rotation.model import SecretValue, Tls
from rotation.rotators.databases.database import Account, Endpoint, NoSuchLogin, Primary

CALL_S = 8.0

_SALT_BYTES = 4  # "This is the algorithm", in "Passwords"
_HASHES: Mapping[str, Callable[[bytes], Any]] = {
    "rabbit_password_hashing_sha256": hashlib.sha256,
    "rabbit_password_hashing_sha512": hashlib.sha512,
}
_USUAL_HASH = "rabbit_password_hashing_sha256"
_KEPT = frozenset({"name", "password_hash", "hashing_algorithm", "tags", "limits"})
_RIGHT_PASSWORD = ("not management user", "not administrator user")
_WRONG_PASSWORD = ("login failed", "not_authorized")
_OK, _UNAUTHORIZED, _NOT_FOUND, _TOO_MANY, _FAULTS = range(200, 300), 401, 404, 429, range(500, 600)


class ManagementSession:
    """See `rotation.rotators.databases.database.Session`. Each call is a connection of its own."""

    def __init__(self, endpoint: Endpoint, account: Account, tls: Tls, random: Random) -> None:
        self._at = endpoint
        self._account = account
        self._tls = tls
        self._random = random

    @classmethod
    async def opened(cls, endpoint: Endpoint, account: Account, tls: Tls, random: Random) -> ManagementSession:
        """Ask who the login is.

        Raises:
            Rejected, Refused, Unreachable: as `Database.connect`.
        """
        session = cls(endpoint, account, tls, random)
        if not account.password.reveal() or ":" in account.user:
            raise Rejected(f"user {account.user!a} has no password for {endpoint}, or a : in its name")
        status, body = await session._call("GET", "/whoami")
        if status in _OK and body.get("name") == account.user:
            return session
        reason = str(body.get("reason", "")).lower()
        if status == _UNAUTHORIZED and reason.startswith(_RIGHT_PASSWORD):
            return session
        if status == _UNAUTHORIZED and reason.startswith(_WRONG_PASSWORD):
            raise Rejected(f"{endpoint} does not let user {account.user!a} in by this password")
        raise session._unclear(status)

    def close(self) -> None:
        """Nothing is open."""

    async def is_standby(self) -> bool:
        """No node lags behind another: users are the cluster's."""
        return False

    async def look(self, *, pooler_meant: bool) -> Primary:  # noqa: ARG002  the protocol's signature
        """A cluster has a name that anybody may give to another one, so its address says which one it is."""
        return Primary(self._at, self._account.user, None, "")

    async def check_lasts(self, user: str, days: int) -> None:  # noqa: ARG002  no user of RabbitMQ ends by itself
        await self._user(user)

    async def set_password(self, user: str, password: SecretValue | None) -> None:
        """By its hash, with the tags as they are: what is not sent with a user would be lost. Limits are kept."""
        found = await self._user(user)
        named = str(found.get("hashing_algorithm") or _USUAL_HASH)
        algorithm = named if named in _HASHES else _USUAL_HASH  # MD5 is there for users from before 3.6
        body = {
            "password_hash": "" if password is None else self._hashed(password, algorithm),
            "hashing_algorithm": algorithm,
            "tags": found["tags"],
        }
        status, _ = await self._call("PUT", f"/users/{quote(user, safe='')}", body)
        if status not in _OK:
            raise self._refusal(user, status)

    def _hashed(self, password: SecretValue, algorithm: str) -> str:
        salt = self._random.randbytes(_SALT_BYTES)
        return base64.b64encode(salt + _HASHES[algorithm](salt + password.reveal().encode()).digest()).decode()

    async def _user(self, user: str) -> Mapping[str, Any]:
        """What the broker keeps of a user, all of it understood.

        Raises:
            NoSuchLogin. Refused: the login may not see it, or it has what a change would not keep. Unreachable.
        """
        status, body = await self._call("GET", f"/users/{quote(user, safe='')}")
        if status == _NOT_FOUND:
            raise NoSuchLogin(
                f"there is no user {user!a} at {self._at}, or it is not RabbitMQ's own (LDAP): rabbitmqctl add_user "
                "makes one"
            )
        if status not in _OK:
            raise self._refusal(user, status)
        if body.get("name") != user or "tags" not in body or not set(body) <= _KEPT:
            raise Refused(
                f"{self._at} says of user {user!a} what this app does not know, and a change of its password might "
                "lose it: change it by hand (rabbitmqctl change_password)"
            )
        return body

    def _refusal(self, user: str, status: int) -> Refused | Unreachable:
        if status == _UNAUTHORIZED:
            return Refused(
                f"the login at {self._at} may not change user {user!a}: name an administrator in the rule, a user with "
                "the tag administrator"
            )
        return self._unclear(status)

    def _unclear(self, status: int) -> Refused | Unreachable:
        if status == _TOO_MANY or status in _FAULTS:
            return Unreachable(f"the management API at {self._at} answers {status}; it is asked again later")
        return Refused(
            f"{self._at} answers {status}, and not as RabbitMQ's management API does: is the tag target its address, "
            "and may this app come from here?"
        )

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, Mapping[str, Any]]:
        """-> status, and the object in the answer. Redirects are not followed: they could carry a password away."""
        verified = self._tls is not Tls.DISABLE
        base = f"http{'s' if verified else ''}://{self._at}/api"
        login = aiohttp.encode_basic_auth(self._account.user, self._account.password.reveal(), encoding="utf-8")
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context() if verified else False)
        try:
            async with (
                asyncio.timeout(CALL_S),
                aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.request(
                    method, _as_it_is(base + path), headers={"Authorization": login}, json=body, allow_redirects=False
                ) as answer,
            ):
                return answer.status, _object(await answer.read())
        except (aiohttp.ClientError, OSError, TimeoutError):
            raise Unreachable(
                f"the management API at {self._at} did not answer, or not over TLS that can be verified; what was "
                "asked may have happened"
            ) from None


def _as_it_is(url: str) -> Any:
    from yarl import URL  # noqa: PLC0415  aiohttp's, imported when used

    return URL(url, encoded=True)


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
