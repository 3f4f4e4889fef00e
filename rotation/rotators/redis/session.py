"""A login at one server, and what is asked there. Passwords go into AUTH alone; everything else has their hashes.

Sources: "ACL", "ACL SETUSER", "ACL GETUSER", "ACL SAVE" and "CONFIG REWRITE" in the commands of Redis and of Valkey.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rotation.errors import Refused, Rejected, Unreachable
from rotation.model import SecretValue, Tls
from rotation.ports import Connections
from rotation.rotators.databases.database import Endpoint

if TYPE_CHECKING:
    from redis.asyncio import Connection

CONNECT_S = 5.0  # TLS and login included
ANSWER_S = 5.0

_NO_ACL_FILE = "not configured to use an acl file"
_NOT_NOW = ("LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "MISCONF", "OOM")
_NOT_PERMITTED = "NOPERM"
NEEDS = "+acl|getuser +acl|setuser +acl|save, and +config|rewrite too where there is no ACL file"


class NotPermitted(Refused):
    """The login may not send the command."""


@dataclass(frozen=True, slots=True)
class AclUser:
    """What a server keeps of a user. hashes: of its passwords. flags: such as "on", "nopass"."""

    flags: frozenset[str]
    hashes: frozenset[str]


class Session:
    """Logged in at one server; its opener closes it."""

    def __init__(self, connection: Connection, endpoint: Endpoint) -> None:
        self._connection = connection
        self._at = endpoint

    async def user(self, name: str) -> AclUser | None:
        """None: there is no such user.

        Raises:
            NotPermitted, Refused, Unreachable.
        """
        answer = await self._run("ACL", "GETUSER", name)
        if not answer:
            return None
        pairs = dict(zip(answer[::2], answer[1::2], strict=True))
        return AclUser(frozenset(pairs.get("flags", ())), frozenset(pairs.get("passwords", ())))

    async def add(self, name: str, hashed: str) -> None:
        """Let a user log in by one more password. Only for a user that is there: it would be made.

        Raises:
            NotPermitted, Refused: nothing changed. Unreachable: it may have happened.
        """
        await self._run("ACL", "SETUSER", name, f"#{hashed}")

    async def remove(self, name: str, hashes: Sequence[str]) -> None:
        """Take passwords away, which the user has.

        Raises:
            As `add`.
        """
        await self._run("ACL", "SETUSER", name, *(f"!{hashed}" for hashed in hashes))

    async def save(self) -> None:
        """Write all users to where this server reads them when it starts: its ACL file, or its configuration file.

        Raises:
            Refused: it has neither, or may not write it, so that a restart would bring old passwords back.
            NotPermitted, Unreachable.
        """
        try:
            await self._run("ACL", "SAVE")
        except _NoAclFile:
            try:
                await self._run("CONFIG", "REWRITE")
            except NotPermitted:
                raise
            except Refused:
                raise Refused(
                    f"{self._at} keeps its users nowhere that outlasts a restart, so that the next one would undo a "
                    "rotation: set aclfile in its configuration, or start it with a configuration file that it may "
                    "write"
                ) from None

    async def _run(self, *command: str) -> Any:
        from redis import exceptions  # noqa: PLC0415  imported when used

        try:
            async with asyncio.timeout(ANSWER_S):
                await self._connection.send_command(*command)
                return await self._connection.read_response()
        except exceptions.ResponseError as error:
            raise self._refusal(str(error), f"{command[0]} {command[1]}") from None
        except (exceptions.RedisError, OSError, TimeoutError):
            raise Unreachable(f"{self._at} did not answer; what was asked may have happened") from None

    def _refusal(self, words: str, command: str) -> Refused | Unreachable:
        """The server's words are looked at, and never passed on. redis-py cuts the code off some of them."""
        if _NO_ACL_FILE in words.lower():
            return _NoAclFile(f"{self._at} has no ACL file")
        if words.startswith(_NOT_NOW):
            return Unreachable(f"{self._at} says that it can't do {command} now")
        if _NOT_PERMITTED in words or "has no permissions" in words:
            return NotPermitted(f"the login at {self._at} may not send {command}: give an administrator {NEEDS}")
        return Refused(
            f"{self._at} refuses {command}: it needs Redis 6 or Valkey, and a server whose users are its own"
        )


class _NoAclFile(Refused):
    """The server keeps its users in its configuration file, if anywhere."""


@asynccontextmanager
async def opened(
    endpoint: Endpoint, user: str, password: SecretValue, tls: Tls, connections: Connections
) -> AsyncIterator[Session]:
    """Log in: one of the few connections that this process may have there at a time.

    Raises:
        Rejected: there is no such user with this password, or it is off. Unreachable: nobody can tell.
        Refused: the login was not looked at.
    """
    if not password.reveal():
        raise Rejected(f"there is no password of user {user!a} for {endpoint}")
    async with connections.to(str(endpoint)):
        connection = _connection(endpoint, user, password, tls)
        try:
            await _connect(connection, endpoint, user)
            yield Session(connection, endpoint)
        finally:
            with contextlib.suppress(Exception):  # nothing is waited for any more
                await connection.disconnect(nowait=True)


def _connection(endpoint: Endpoint, user: str, password: SecretValue, tls: Tls) -> Connection:
    """RESP2, in which a login is one AUTH. Nothing else is sent by itself."""
    from redis.asyncio import Connection, SSLConnection  # noqa: PLC0415  imported when used

    usual: dict[str, Any] = {
        "host": endpoint.host, "port": endpoint.port, "username": user, "password": password.reveal(),
        "socket_connect_timeout": CONNECT_S, "socket_timeout": ANSWER_S, "protocol": 2, "driver_info": None,
        "decode_responses": True, "encoding_errors": "replace",
    }  # fmt: skip
    if tls is Tls.DISABLE:
        return Connection(**usual)
    # Its own context trusts whom Python trusts, SSL_CERT_FILE included.
    return SSLConnection(
        ssl_cert_reqs="required", ssl_check_hostname=True, ssl_min_version=ssl.TLSVersion.TLSv1_2, **usual
    )


async def _connect(connection: Connection, endpoint: Endpoint, user: str) -> None:
    from redis import exceptions  # noqa: PLC0415  imported when used

    try:
        async with asyncio.timeout(CONNECT_S):
            await connection.connect()  # type: ignore[no-untyped-call]  # redis-py has not typed it
    except exceptions.AuthenticationError:
        raise Rejected(f"{endpoint} does not let user {user!a} in by this password, or the user is off") from None
    except exceptions.ResponseError:
        raise Refused(f"{endpoint} answers a login otherwise than Redis 6 and Valkey do") from None
    except (exceptions.RedisError, OSError, TimeoutError, ssl.SSLError):
        raise Unreachable(f"{endpoint} did not answer a login, or not over TLS that can be verified") from None
