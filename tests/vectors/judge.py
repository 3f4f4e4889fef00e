"""Holds what Keyturn reads in a string against what the drivers of its form read.

Where Keyturn takes a string, each driver that takes it too must be led to the same hosts and ports, as the same user,
by the same password; and one driver at least must take it. A default that a driver fills in is the same as nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from rotation.errors import Unusable
from rotation.formats import Host, Value, read
from rotation.model import SecretValue
from tests.vectors import Reading, Vector

URI = ("libpq-connect", "asyncpg", "pgx-v5", "node-postgres", "sqlalchemy-connect")
OF_FORM: Mapping[str, tuple[str, ...]] = {
    "uri": URI,
    "sqlalchemy": ("sqlalchemy-connect",),
    "key-value": ("libpq-connect", "pgx-v5"),
    "ado": ("npgsql",),
    "odbc": ("psqlodbc",),
    "jdbc": ("pgjdbc",),
    "azure-storage": ("azure-storage-blob", "azure-storage-blob-node", "azure-storage-blobs-dotnet"),
    "mysql-uri": ("mysql2", "sqlalchemy-connect"),
    "mysql-sqlalchemy": ("sqlalchemy-connect",),
    "mysql-jdbc": ("mariadb-jdbc",),
    "mysql-ado": ("mysqlconnector",),
    "redis": ("redis-py", "node-redis", "ioredis"),
    "stackexchange-redis": ("stackexchange-redis",),
    "amqp": ("pika", "aio-pika", "kombu", "amqplib", "rabbitmq-dotnet"),
    "valkey": (),  # of valkey-py there are no readings: its own reader is asked in tests/unit/test_broker_uri.py
    "json": (),
    "plain": (),
}
DRIVERS = frozenset(name for names in OF_FORM.values() for name in names)
_PORT, _MYSQL_PORT = 5432, 3306
_NO_HOST = frozenset({None, "", "localhost"})
_SOCKETS = ("/run", "/var/run", "/private", "/tmp")  # noqa: S108  the names of folders, as drivers list them
_NEW = ("N3w'p:w\"{}\\/@ =&%?é", "bmV3LWtleQ==", "New-password_1")


@dataclass(frozen=True)
class Verdict:
    """form: None where Keyturn refuses the string, for `refusal`. wrong: what a driver reads in another way."""

    form: str | None
    refusal: str | None
    wrong: tuple[str, ...]


def judge(vector: Vector) -> Verdict:
    """Read it without a tag, and compare."""
    try:
        value = read(SecretValue(vector.text))
    except Unusable as refusal:
        return Verdict(None, refusal.message, ())
    return Verdict(value.name, None, (*_differences(value, vector), *_rewritten(value)))


def drivers_of(value: Value) -> tuple[str, ...]:
    """Those that a value is written for."""
    scheme = value.text.reveal().partition("://")[0]
    if "+" in scheme and value.name in {"uri", "mysql-uri"}:
        return OF_FORM["sqlalchemy" if value.name == "uri" else "mysql-sqlalchemy"]
    if value.name == "redis" and scheme.startswith("valkey"):
        return OF_FORM["valkey"]
    return OF_FORM[value.name]


def _differences(value: Value, vector: Vector) -> list[str]:
    wrong: list[str] = []
    drivers = drivers_of(value)
    read_by = {name: vector.readings.get(name) for name in drivers}
    if drivers and not any(read_by.values()):
        wrong.append(f"no driver reads it, of {', '.join(drivers)}")
    for name, reading in read_by.items():
        if reading is not None:
            wrong += [f"{name}: {what}" for what in compare(value, reading)]
    return wrong


def compare(value: Value, reading: Reading) -> list[str]:
    """What differs."""
    checks = {
        "hosts": (_ours(value.hosts), _theirs(reading, value)),
        "user": (value.user, (reading.user or None) if reading.user != "osuser" else None),
        "password": (value.password.reveal(), reading.password),
    }
    if value.user_is_database:
        defaults = {None, "", value.user, "osuser"}
        checks["database"] = (value.dbname, None if reading.database in defaults else reading.database)
        if value.dbname in defaults:
            checks["database"] = (None, None if reading.database in defaults else reading.database)
    return [f"{what}: {ours!r} and {theirs!r}" for what, (ours, theirs) in checks.items() if ours != theirs]


def _ours(hosts: tuple[Host, ...]) -> list[tuple[str, int]]:
    return sorted((_folded(host.name), host.port or _PORT) for host in hosts)


def _theirs(reading: Reading, value: Value) -> list[tuple[str, int | str]]:
    if value.name == "azure-storage":
        return sorted((str(name).partition("://")[2].rstrip("/"), _PORT) for name, _ in reading.hosts)
    hosts = {(name, port) for name, port in reading.hosts if not _is_default(name, value)}
    return sorted((_folded(str(name)), port or _default_port(value)) for name, port in hosts)


def _default_port(value: Value) -> int:
    """What a driver takes where the string says none; the brokers' own readers say it."""
    if value.name == "amqp":
        return 5671 if value.text.reveal().lower().startswith("amqps") else 5672
    if value.name == "stackexchange-redis":
        return 6380 if value.options.get("ssl", "").lower() == "true" else 6379
    if value.name == "redis":
        return 6379
    return _MYSQL_PORT if value.name.startswith("mysql-") else _PORT


def _is_default(name: str | None, value: Value) -> bool:
    return not value.hosts and (name in _NO_HOST or str(name).startswith(_SOCKETS))


def _folded(name: str) -> str:
    bare = name.removeprefix("[").removesuffix("]")
    try:
        return str(ip_address(bare))
    except ValueError:
        return name.lower()


def _rewritten(value: Value) -> list[str]:
    """Another password, and nothing else, after it is written."""
    wrong: list[str] = []
    taken = 0
    for new in _NEW:
        try:
            changed = value.with_login(SecretValue(new))
            again = read(changed)
        except Unusable:
            continue
        taken += 1
        before = (value.name, value.hosts, value.user, value.dbname, value.options)
        if (again.name, again.hosts, again.user, again.dbname, again.options) != before:
            wrong.append("another password changed something else")
        if again.password.reveal() != new:
            wrong.append("another password is read than was written")
    return wrong if taken else [*wrong, "no password can be written into it"]
