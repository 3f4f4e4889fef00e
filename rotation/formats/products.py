"""Whose login a value is: a rotator of one database leaves another one's values alone."""

from __future__ import annotations

from rotation.formats.value import Value

POSTGRESQL, MYSQL, REDIS, RABBITMQ = "PostgreSQL", "MySQL", "Redis", "RabbitMQ"
BROKERS = frozenset({REDIS, RABBITMQ})
_OF_FORM = {
    **dict.fromkeys(("uri", "key-value", "ado", "odbc", "jdbc", "pgpass"), POSTGRESQL),
    **dict.fromkeys(("mysql-uri", "mysql-jdbc", "mysql-ado"), MYSQL),
    **dict.fromkeys(("redis", "stackexchange-redis"), REDIS),
    "amqp": RABBITMQ,
    "azure-storage": "Azure Storage",
}


def products_of(value: Value) -> frozenset[str]:
    """By its form, its nested forms, and what a JSON object says; none where it could be any (a bare password)."""
    own = value.product or _OF_FORM.get(value.name)
    return frozenset({own} if own else ()).union(*(products_of(one.value) for one in value.nested))
