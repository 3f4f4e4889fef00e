"""Which rotators there are. A new kind of credential is one file or folder here, and one entry in this map.

Each is imported when it is built: a cold start does not pay for the drivers and SDKs of kinds that it does not use.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from rotation.addresses import MYSQL_SERVERS, POSTGRES_SERVERS, STORAGE_ACCOUNTS
from rotation.rotators.azure.rows import ROWS
from rotation.rotators.kind import APPLICATION, HOST, Kind

if TYPE_CHECKING:
    from rotation.ports import Rotator, RotatorDependencies

__all__ = ["APPLICATION", "HOST", "ROTATORS", "Kind"]

_IN_PLACE = "the password of one role, account or user of a server, in place"
_IN_TURN = "of two roles, accounts or users of a server, the one that is not in use"
_LOCKED_OUT = "can't log in any more after the change; the new version is in the vault a moment later"
_LIVES_ON = "goes on working until the grace period (72 hours) is over"
_LOGIN = "a login with it, at every server that the value names"
_STAND_IN = "a strict stand-in of the resource manager"


def _postgres(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.databases.in_place import InPlace  # noqa: PLC0415  imported when used
    from rotation.rotators.postgres.database import PostgresDatabase  # noqa: PLC0415  imported when used

    return InPlace(PostgresDatabase(services))


def _postgres_alternating(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.databases.alternating import Alternating  # noqa: PLC0415  imported when used
    from rotation.rotators.postgres.database import PostgresDatabase  # noqa: PLC0415  imported when used

    return Alternating(PostgresDatabase(services))


def _mysql(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.databases.in_place import InPlace  # noqa: PLC0415  imported when used
    from rotation.rotators.mysql.database import MySQLDatabase  # noqa: PLC0415  imported when used

    return InPlace(MySQLDatabase(services))


def _mysql_alternating(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.databases.alternating import Alternating  # noqa: PLC0415  imported when used
    from rotation.rotators.mysql.database import MySQLDatabase  # noqa: PLC0415  imported when used

    return Alternating(MySQLDatabase(services))


def _redis_user(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.redis.rotator import RedisUser  # noqa: PLC0415  imported when used

    return RedisUser(services)


def _rabbitmq(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.databases.in_place import InPlace  # noqa: PLC0415  imported when used
    from rotation.rotators.rabbitmq.broker import RabbitBroker  # noqa: PLC0415  imported when used

    return InPlace(RabbitBroker(services))


def _rabbitmq_alternating(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.databases.alternating import Alternating  # noqa: PLC0415  imported when used
    from rotation.rotators.rabbitmq.broker import RabbitBroker  # noqa: PLC0415  imported when used

    return Alternating(RabbitBroker(services))


def _storage_key(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.azure.storage_key import StorageKey  # noqa: PLC0415  imported when used

    return StorageKey(services)


def _arm_key(name: str) -> "Callable[[RotatorDependencies], Rotator]":
    def build(services: "RotatorDependencies") -> "Rotator":
        from rotation.rotators.azure.arm_key import ArmKey  # noqa: PLC0415  imported when used

        return ArmKey(ROWS[name], services)

    return build


def _entra_app_secret(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.azure.entra_app_secret import EntraAppSecret  # noqa: PLC0415  imported when used

    return EntraAppSecret(services)


def _generated(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.generated import Generated  # noqa: PLC0415  imported when used

    return Generated(services)


def _jwks(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.jwks import Jwks  # noqa: PLC0415  imported when used

    return Jwks(services)


_POSTGRES_PORTS = (5432, 6432)  # the server's own, and PgBouncer's
_MYSQL_PORTS = (3306,)
_RABBITMQ_PORTS = (15671, 5671, 5672)  # the management API's over TLS; what consumers speak, with TLS and without

ROTATORS: Mapping[str, Kind] = MappingProxyType(
    {
        "postgres": Kind(
            _postgres,
            changes=_IN_PLACE,
            holders=_LOCKED_OUT,
            targets=(HOST, POSTGRES_SERVERS),
            needs_slots=True,
            logs_in=True,
            ports=_POSTGRES_PORTS,
            proves=_LOGIN,
            ends="nothing: the slot stays in use",
            rights="none, or an administrator's (`admin`)",
            tested="real PostgreSQL 15 to 18",
        ),
        "postgres-alternating": Kind(
            _postgres_alternating,
            changes=_IN_TURN,
            holders=_LIVES_ON,
            targets=(HOST, POSTGRES_SERVERS),
            needs_slots=True,
            takes_turns=True,
            logs_in=True,
            ports=_POSTGRES_PORTS,
            proves=_LOGIN,
            ends="takes the old role's password away, or parks it",
            rights="none, or an administrator's (`admin`)",
            tested="real PostgreSQL 15 to 18",
        ),
        "mysql": Kind(
            _mysql,
            changes=_IN_PLACE,
            holders=_LOCKED_OUT,
            targets=(HOST, MYSQL_SERVERS),
            needs_slots=True,
            logs_in=True,
            ports=_MYSQL_PORTS,
            proves=_LOGIN,
            ends="nothing: the slot stays in use",
            rights="none, or an administrator's (`admin`)",
            tested="real MariaDB and MySQL",
        ),
        "mysql-alternating": Kind(
            _mysql_alternating,
            changes=_IN_TURN,
            holders=_LIVES_ON,
            targets=(HOST, MYSQL_SERVERS),
            needs_slots=True,
            takes_turns=True,
            logs_in=True,
            ports=_MYSQL_PORTS,
            proves=_LOGIN,
            ends="takes the old account's password away, or parks it",
            rights="none, or an administrator's (`admin`)",
            tested="real MariaDB and MySQL",
        ),
        "redis-user": Kind(
            _redis_user,
            changes="adds a password to a user (ACL) of Redis or Valkey",
            holders=_LIVES_ON,
            targets=(HOST,),
            needs_slots=True,
            logs_in=True,
            ports=(6379, 6380),  # the server's own, and the usual one of TLS
            proves=_LOGIN,
            ends="takes the old password from the user",
            rights="none, or an administrator's (`admin`)",
            tested="real Redis and Valkey",
        ),
        "rabbitmq": Kind(
            _rabbitmq,
            changes=_IN_PLACE,
            holders=_LOCKED_OUT,
            targets=(HOST,),
            needs_slots=True,
            logs_in=True,
            ports=_RABBITMQ_PORTS,
            proves="a login over AMQP, into the virtual host that the value names, and at the management API",
            ends="nothing: the slot stays in use",
            rights="an administrator's (`admin`), unless the user is one",
            tested="real RabbitMQ",
        ),
        "rabbitmq-alternating": Kind(
            _rabbitmq_alternating,
            changes=_IN_TURN,
            holders=_LIVES_ON,
            targets=(HOST,),
            needs_slots=True,
            takes_turns=True,
            logs_in=True,
            ports=_RABBITMQ_PORTS,
            proves="a login over AMQP, into the virtual host that the value names, and at the management API",
            ends="takes the old user's password away",
            rights="an administrator's (`admin`)",
            tested="real RabbitMQ",
        ),
        "storage-key": Kind(
            _storage_key,
            changes="of a storage account's two keys, the one that is not in use",
            holders=_LIVES_ON,
            targets=(STORAGE_ACCOUNTS,),
            needs_slots=False,
            proves="it is the key that Azure lists, and the blob service accepts it",
            ends="makes the old key anew",
            rights="the role Keyturn storage keys",
            tested="strict stand-ins of the resource manager and the blob service",
            tags=("key1", "key2"),
        ),
        **{
            name: Kind(
                _arm_key(name),
                changes=f"of the two keys of one {row.what}, the one that is not in use",
                holders=_LIVES_ON,
                targets=tuple(row.types),
                needs_slots=False,
                proves="it is the key that Azure lists" + (", and keys are not switched off" if row.switches else ""),
                ends="makes the old key anew",
                rights=row.role,
                tested=_STAND_IN,
                tags=row.both,
                row=True,
            )
            for name, row in ROWS.items()
        },
        "entra-app-secret": Kind(
            _entra_app_secret,
            changes="adds a client secret to an app registration",
            holders=_LIVES_ON,
            targets=(APPLICATION,),
            needs_slots=False,
            proves="a token is given for it",
            ends="removes the old client secret",
            rights="Graph's `Application.ReadWrite.OwnedBy`, as an owner",
            tested="strict stand-ins of Graph and the login",
        ),
        "generated": Kind(
            _generated,
            changes="an API key, hex, base64, a signing key or a key file, made here",
            holders="reads the new version at its next read",
            targets=(),
            needs_slots=False,
            proves="it has the form that the tag `format` names",
            ends="nothing: the old version is disabled",
            rights="none",
            tested="itself",
        ),
        "jwks": Kind(
            _jwks,
            changes="a JSON Web Key Set: the next key signs, a new next key is published",
            holders="goes on working: it knows the key that signs now, which was published one rotation before",
            targets=(),
            needs_slots=False,
            proves="it is a set as Keyturn makes them, and each private key fits its public half",
            ends="nothing: the old version is disabled, and the next rotation takes its key out of the set",
            rights="none",
            tested="PyJWT's own reader of key sets, and `cryptography`",
        ),
    }
)
