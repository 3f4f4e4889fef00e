"""Which rotators there are. A new kind of credential is one file or folder here, and one entry in this map.

Each is imported when it is built: a cold start does not pay for the drivers and SDKs of kinds that it does not use.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from rotation.addresses import POSTGRES_SERVERS, STORAGE_ACCOUNTS
from rotation.frozen import Frozen

if TYPE_CHECKING:
    from rotation.ports import Rotator, RotatorDependencies


HOST, APPLICATION = "host", "application"  # kinds of targets; all others are types of Azure resources
_LOCKED_OUT = "can't log in any more after the change; the new version is in the vault a moment later"
_LIVES_ON = "goes on working until the grace period (72 hours) is over"


class Kind(Frozen):
    """All that is to be known of a kind of rotator without importing it. A list of kinds is made from this.

    build: how it is made; the only place that imports it.
    changes, holders: README's words for what it changes, and for what becomes of those who hold the old value.
    targets: what a rule's `targets` may be for it: `HOST`, `APPLICATION`, or a type of Azure resource in lower case,
        such as "microsoft.storage/storageaccounts". A rule must list some; only what is made here has none.
    needs_slots: a rule must list the slots, since a secret's tags could name any (a database's superuser, say).
    takes_turns: a secret names two of the slots, so a rule that lists more must say which two (`pairs`).
    logs_in: it sets passwords at a server, so that a rule's `admin`, `password` and `tls` mean something.
    ports: those that a target without one permits; the first is what a value or a tag without one means.
    """

    build: "Callable[[RotatorDependencies], Rotator]"
    changes: str
    holders: str
    targets: tuple[str, ...]
    needs_slots: bool
    takes_turns: bool = False
    logs_in: bool = False
    ports: tuple[int, ...] = ()


def _postgres(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.databases.in_place import InPlace  # noqa: PLC0415  imported when used
    from rotation.rotators.postgres.database import PostgresDatabase  # noqa: PLC0415  imported when used

    return InPlace(PostgresDatabase(services))


def _postgres_alternating(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.databases.alternating import Alternating  # noqa: PLC0415  imported when used
    from rotation.rotators.postgres.database import PostgresDatabase  # noqa: PLC0415  imported when used

    return Alternating(PostgresDatabase(services))


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


def _entra_app_secret(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.azure.entra_app_secret import EntraAppSecret  # noqa: PLC0415  imported when used

    return EntraAppSecret(services)


def _generated(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.generated import Generated  # noqa: PLC0415  imported when used

    return Generated(services)


_POSTGRES_PORTS = (5432, 6432)  # the server's own, and PgBouncer's
_RABBITMQ_PORTS = (15671, 5671, 5672)  # the management API's over TLS; what consumers speak, with TLS and without

ROTATORS: Mapping[str, Kind] = MappingProxyType(
    {
        "postgres": Kind(
            _postgres,
            changes="the password of one role, in place",
            holders=_LOCKED_OUT,
            targets=(HOST, POSTGRES_SERVERS),
            needs_slots=True,
            logs_in=True,
            ports=_POSTGRES_PORTS,
        ),
        "postgres-alternating": Kind(
            _postgres_alternating,
            changes="of two roles, the one that is not in use",
            holders=_LIVES_ON,
            targets=(HOST, POSTGRES_SERVERS),
            needs_slots=True,
            takes_turns=True,
            logs_in=True,
            ports=_POSTGRES_PORTS,
        ),
        "redis-user": Kind(
            _redis_user,
            changes="adds a password to a user (ACL) of Redis or Valkey",
            holders=_LIVES_ON,
            targets=(HOST,),
            needs_slots=True,
            logs_in=True,
            ports=(6379, 6380),  # the server's own, and the usual one of TLS
        ),
        "rabbitmq": Kind(
            _rabbitmq,
            changes="the password of one user of RabbitMQ, in place",
            holders=_LOCKED_OUT,
            targets=(HOST,),
            needs_slots=True,
            logs_in=True,
            ports=_RABBITMQ_PORTS,
        ),
        "rabbitmq-alternating": Kind(
            _rabbitmq_alternating,
            changes="of two users of RabbitMQ, the one that is not in use",
            holders=_LIVES_ON,
            targets=(HOST,),
            needs_slots=True,
            takes_turns=True,
            logs_in=True,
            ports=_RABBITMQ_PORTS,
        ),
        "storage-key": Kind(
            _storage_key,
            changes="of a storage account's two keys, the one that is not in use",
            holders=_LIVES_ON,
            targets=(STORAGE_ACCOUNTS,),
            needs_slots=False,
        ),
        "entra-app-secret": Kind(
            _entra_app_secret,
            changes="adds a client secret to an app registration",
            holders=_LIVES_ON,
            targets=(APPLICATION,),
            needs_slots=False,
        ),
        "generated": Kind(
            _generated,
            changes="an API key, hex, base64 or a signing key, made here",
            holders="reads the new version at its next read",
            targets=(),
            needs_slots=False,
        ),
    }
)
