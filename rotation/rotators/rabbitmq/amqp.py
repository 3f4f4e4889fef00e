"""A login as a consumer's: over AMQP 0-9-1, into the virtual host that the value names, and out again."""

from __future__ import annotations

import asyncio
import ssl

from rotation.errors import Refused, Rejected, Unreachable
from rotation.model import SecretValue, Tls
from rotation.rotators.databases.database import Account, Endpoint, Primary

CONNECT_S = 5.0  # TLS and login included


class AmqpSession:
    """See `rotation.rotators.databases.database.Session`: one that only shows that a login is let in."""

    def __init__(self, endpoint: Endpoint, account: Account) -> None:
        self._at = endpoint
        self._user = account.user

    @classmethod
    async def opened(cls, endpoint: Endpoint, account: Account, tls: Tls) -> AmqpSession:
        """Log in, and close the connection in order: RabbitMQ notes one that is merely dropped as a fault.

        Raises:
            Rejected: there is no such user with this password. Refused: the password is right, and the virtual host is
            not there or not the user's; or it is no AMQP. Unreachable: nobody can tell.
        """
        from aiormq import Connection, exceptions  # noqa: PLC0415  imported when used
        from yarl import URL  # noqa: PLC0415  imported when used

        if not account.password.reveal():
            raise Rejected(f"user {account.user!a} has no password for {endpoint}")
        url = URL.build(
            scheme="amqp" if tls is Tls.DISABLE else "amqps",
            user=account.user,
            password=account.password.reveal(),
            host=endpoint.host,
            port=endpoint.port,
            # `URL.build` encodes all but the "/", which aiormq reads as part of a name where it is encoded.
            path="/" if account.dbname == "/" else f"/{account.dbname.replace('/', '%2F')}",
            encoded=False,
        )
        connection = Connection(url, context=None if tls is Tls.DISABLE else ssl.create_default_context())
        try:
            async with asyncio.timeout(CONNECT_S):
                await connection.connect()
                await connection.close()
        except exceptions.ProbableAuthenticationError:
            raise Rejected(f"{endpoint} does not let user {account.user!a} in by this password") from None
        except exceptions.InvalidFrameError as error:
            if "limit" in str(error) or "INTERNAL_ERROR" in str(error):
                raise Unreachable(
                    f"{endpoint} lets nobody in now: a limit is reached, or the virtual host is down"
                ) from None
            if "OpenOk" in str(error):  # what the virtual host was answered with, after the login
                raise Refused(
                    f"{endpoint} lets user {account.user!a} in, and not into the virtual host that the value names: "
                    "correct the value, or give the user permissions there"
                ) from None
            raise Refused(f"{endpoint} does not answer as RabbitMQ does over AMQP") from None
        except (exceptions.IncompatibleProtocolError, exceptions.AuthenticationError):
            raise Refused(f"{endpoint} does not answer as RabbitMQ does over AMQP") from None
        except (exceptions.AMQPError, OSError, TimeoutError):
            raise Unreachable(f"{endpoint} did not answer a login, or not over TLS that can be verified") from None
        return cls(endpoint, account)

    def close(self) -> None:
        """It is closed already."""

    async def is_standby(self) -> bool:
        """No node lags behind another: users are the cluster's."""
        return False

    async def look(self, *, pooler_meant: bool) -> Primary:  # noqa: ARG002  the protocol's signature
        return Primary(self._at, self._user, None, "")

    async def check_lasts(self, user: str, days: int) -> None:
        raise self._elsewhere(user, days)

    async def set_password(self, user: str, password: SecretValue | None) -> None:
        raise self._elsewhere(user, password)

    def _elsewhere(self, *_given: object) -> Refused:
        return Refused(f"no password is changed at {self._at} over AMQP: set the tag target to the management API")
