"""Logging in over PyMySQL.

Nothing of a vault's value reaches it but host, port, database, user and password. It opens no socket, reads no file of
options, and answers only the ways of logging in that are named here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from typing import Any

from rotation.errors import Refused, Rejected, Unreachable
from rotation.model import Tls
from rotation.rotators.databases.database import Account, AsksOtherwise, Endpoint
from rotation.rotators.mysql.connection import ANSWER_S, Connection, hang_up, in_thread
from rotation.rotators.mysql.refusals import login_error

CONNECT_S = 5.0  # to one address, TLS and login included
_CLEAR = "mysql_clear_password"
# These show the server the password itself, or so little hashing that it is the same. `sha256_password` does so too, as
# `caching_sha2_password` may, yet over TLS alone or encrypted: MySQL asks for it at random where it knows no such user.
_NEVER = ("dialog", "mysql_old_password", "authentication_ldap_simple_client")
_FIRST = frozenset({"caching_sha2_password", "mysql_native_password"})  # what a greeting may ask for at once


async def connect(endpoint: Endpoint, account: Account, tls: Tls) -> Connection:
    """Log in.

    Raises:
        Rejected: the server knows no such account and password, or the account may not log in.
        AsksOtherwise: the server would have the password in a way that is not answered.
        Refused: the password was not looked at, or is not what is wrong. Unreachable: nobody can tell.
    """
    if account.by_token and tls is not Tls.VERIFY_FULL:
        raise Refused(f'a token goes to {endpoint} over verified TLS alone: set tls = "verify-full" in its rule')
    for text in (account.user, account.password.reveal(), account.dbname):
        if "\0" in text:
            raise Rejected(f"a user, password or database for {endpoint} holds a NUL, which MySQL takes for its end")
    if not account.password.reveal():
        raise Rejected(f"there is no password of account {account.user!a} for {endpoint}")
    last = Unreachable(f"the host name of {endpoint} has no address")
    for address in await _addresses(endpoint):
        try:
            async with asyncio.timeout(CONNECT_S):
                return await _log_in(address, endpoint, account, tls)
        except TimeoutError:
            last = Unreachable(f"{endpoint} did not answer within {CONNECT_S:.0f} s")
        except Unreachable as unreachable:
            last = unreachable
    raise last


async def _addresses(endpoint: Endpoint) -> list[Any]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_S):
            found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        raise Unreachable(f"the host name of {endpoint} can't be resolved") from None
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


async def _log_in(address: Any, endpoint: Endpoint, account: Account, tls: Tls) -> Connection:
    from pymysql.err import Error  # noqa: PLC0415  imported when used

    line = await _dialled(address, endpoint)
    try:
        raw = _client(endpoint, account, tls)
        await in_thread(lambda: raw.connect(line.dup()), line)
    except (Refused, Unreachable):
        hang_up(line)
        raise
    except Error as error:
        failed = login_error(error, str(endpoint), account.user)
    except (OSError, ValueError, LookupError, RuntimeError, AssertionError):
        failed = Unreachable(f"{endpoint} does not answer a login as MySQL does")
    except BaseException:
        hang_up(line)
        raise
    else:
        return Connection(raw, line, endpoint, account, tls)
    hang_up(line)
    raise failed


async def _dialled(address: Any, endpoint: Endpoint) -> socket.socket:
    family, where = address
    line = socket.socket(family, socket.SOCK_STREAM)
    try:
        line.settimeout(0)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(line, where)
    except OSError:
        line.close()
        raise Unreachable(f"no connection to {endpoint}: look whether it runs and lets this app's network in") from None
    except BaseException:
        line.close()
        raise
    return line


def _client(endpoint: Endpoint, account: Account, tls: Tls) -> Any:
    from pymysql.connections import Connection as Client  # noqa: PLC0415  imported when used

    class OurClient(Client):  # type: ignore[misc]  # it has no type information
        """A greeting decides by which way the first answer goes. Others than ours have to be asked for, and are not."""

        def _get_server_information(self) -> None:
            super()._get_server_information()
            if self._auth_plugin_name not in _FIRST:  # type: ignore[has-type]
                self._auth_plugin_name = "mysql_native_password"

    answered: dict[str, Any] = dict.fromkeys(_NEVER, _Unanswered)
    answered[_CLEAR] = _Token if account.by_token else _Unanswered
    secured: dict[str, Any] = {"ssl_disabled": True} if tls is Tls.DISABLE else {"ssl": _context()}
    return OurClient(
        host=endpoint.host,  # whose certificate is looked at
        port=endpoint.port,
        user=account.user,
        password=account.password.reveal().encode(),
        database=account.dbname or None,
        charset="utf8mb4",
        autocommit=None,
        local_infile=False,
        read_timeout=ANSWER_S,
        write_timeout=ANSWER_S,
        program_name="keyturn",
        auth_plugin_map=answered,
        defer_connect=True,
        **secured,
    )


class _Unanswered:
    """A way of logging in that shows the password to the server."""

    def __init__(self, _client: object) -> None:
        pass

    def authenticate(self, _packet: object) -> object:
        raise AsksOtherwise(
            "the server asks for the password itself, which is not answered: let the account use "
            "caching_sha2_password, mysql_native_password or MariaDB's ed25519"
        )


class _Token:
    """A token of Entra is read in clear by Azure's own servers, over TLS that was verified."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def authenticate(self, _packet: object) -> object:
        self._client.write_packet(self._client.password + b"\0")
        return self._client._read_packet()  # noqa: SLF001  as PyMySQL's own ways do


def _context() -> ssl.SSLContext:
    """Trusts SSL_CERT_FILE, else the system's authorities, else those that come with the app."""
    import certifi  # noqa: PLC0415  imported when used

    trusted = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile or certifi.where()
    with contextlib.suppress(OSError):
        return ssl.create_default_context(cafile=trusted)
    raise Refused("the authorities that SSL_CERT_FILE names can't be read")
