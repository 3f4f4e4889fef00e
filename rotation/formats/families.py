"""Of which form a value is, by what it begins with and by its keywords; whether it can be read is seen afterwards.

Recognised is a form by its own marks only. What has none, and is no bare password by its shape, is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rotation.errors import Unusable
from rotation.formats import key_value, plain
from rotation.formats.copies import plain_name
from rotation.formats.pairs import pairs
from rotation.formats.value import NotUnderstood

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+._-]*+):")
_KEYWORD = re.compile(r"(?:^|;)[ \t\r\n]*+([A-Za-z][A-Za-z0-9_ .-]{0,60}+)(?==)")
_FIRST_KEYWORD = re.compile(r"[ \t\r\n\f\v]*+([A-Za-z_][A-Za-z0-9_]*+)[ \t\r\n\f\v]*+=")
_LINE = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*+)[ \t]*+[=:]")
_OF_SCHEMES = (
    (re.compile(r"mysqlx?\b|mariadb\b|aurora|tidb"), "MySQL"),
    (re.compile(r"mssql|sqlserver|jtds"), "SQL Server"),
    (re.compile(r"rediss?\b|valkey"), "Redis through sentinels, a socket or another scheme"),
    (re.compile(r"mongodb"), "MongoDB"),
    (re.compile(r"amqps?\b"), "RabbitMQ (AMQP) with another scheme"),
    (re.compile(r"sb\b"), "Azure Service Bus"),
)
_BROKERS = {
    "redis": "redis", "rediss": "redis", "valkey": "redis", "valkeys": "redis", "amqp": "amqp", "amqps": "amqp",
}  # fmt: skip
_OF_KEYWORDS = (
    ({"accountendpoint"}, "Azure Cosmos DB"),
    ({"hostname", "sharedaccesskey"}, "Azure IoT Hub"),
    ({"hostname", "sharedaccesskeyname"}, "Azure IoT Hub"),
    ({"hostname", "deviceid"}, "Azure IoT Hub"),
    ({"endpoint", "sharedaccesskey"}, "Azure Service Bus or Event Hubs"),
    ({"endpoint", "sharedaccesskeyname"}, "Azure Service Bus or Event Hubs"),
    ({"endpoint", "sharedaccesssignature"}, "Azure Service Bus or Event Hubs"),
    ({"endpoint", "accesskey"}, "Azure SignalR or Web PubSub"),
    ({"endpoint", "secret"}, "Azure App Configuration"),
    ({"endpoint"}, "an Azure service"),
    ({"instrumentationkey"}, "Application Insights"),
)
_SQL_SERVER = frozenset(
    {
        "datasource", "initialcatalog", "trustedconnection", "integratedsecurity", "encrypt", "failoverpartner",
        "multisubnetfailover", "applicationintent", "networklibrary", "networkaddress", "serverspn", "workstationid",
        "provider", "providerconnectionstring", "attachdbfilename", "authentication",
    }
)  # fmt: skip
_OF_SQL_SERVER = re.compile(r"(?i)(?:tcp|np|lpc|admin):|.*:1433\b", re.DOTALL)
_ADO = frozenset({"host", "server", "username", "userid", "uid", "user", "password", "pwd", "psw"})
# What tells a string of Npgsql's with Server= from those of SQL Server and MySQL, which have the same keywords.
_OF_POSTGRESQL = re.compile(r"(?i):5432(?:\Z|[,:])|\.postgres(?:\.cosmos)?\.")
_OF_MYSQL = re.compile(r"(?i):3306(?:\Z|[,:])|\.mysql\.")
_MYSQL = frozenset(
    {
        "allowuservariables", "allowpublickeyretrieval", "convertzerodatetime", "guidformat", "sslca", "pipe",
        "protocol", "certificatefile", "addr", "address", "connectionprotocol", "treattinyasboolean",
    }
)  # fmt: skip
_STORAGE = frozenset({"accountname", "accountkey", "blobendpoint", "defaultendpointsprotocol", "usedevelopmentstorage"})
_LIBPQ = frozenset(
    {
        "host", "hostaddr", "port", "dbname", "user", "password", "service", "sslmode", "application_name", "options",
        "connect_timeout", "target_session_attrs", "sslrootcert", "sslcert", "sslkey", "passfile", "channel_binding",
        "client_encoding", "gssencmode", "require_auth", "load_balance_hosts", "keepalives", "requirepeer",
    }
)  # fmt: skip
_REDIS = re.compile(r"[^\s=]*,[ \t]*(?:password|user|ssl|abortConnect|abortconnect)[ \t]*=")

_TAG = "or set the tag format to plain if all of it is the password"


def form_of(text: str, tag: str | None = None) -> str:
    """The name of its form, such as "uri". tag: what the tag `format` says, where a value may be one of two.

    Raises:
        Unusable: it is of a form that nobody here reads, or of none that is known; the message says what to do.
    """
    if text.startswith("\ufeff"):
        raise NotUnderstood("the value begins with a byte order mark, which no driver skips: write it without")
    begun = text.lstrip(" \t\r\n")
    if begun.startswith("{"):
        return "json"
    if begun.startswith("["):
        raise NotUnderstood(f"the value is a list or a section of a file, which is no form that Keyturn reads, {_TAG}")
    scheme = _SCHEME.match(text)
    if scheme is not None:
        found = _of_scheme(scheme[1].lower(), text[scheme.end() :])
        if found is not None:
            return found
    if "=" in text:
        found = _of_keywords(text, tag)
        if found is not None:
            return found
    if plain.recognises(text):
        return "plain"
    raise _unknown(text)


def _of_scheme(scheme: str, rest: str) -> str | None:
    if scheme in {"jdbc", "r2dbc"}:
        kind = rest.partition(":")[0].lower()
        if scheme == "jdbc" and kind in {"postgresql", "postgres"}:
            return "jdbc"
        if scheme == "jdbc" and kind in {"mysql", "mariadb"}:
            return "mysql-jdbc"
        raise _of_others(kind, f"{scheme.upper()} for another database or through another driver")
    if not rest.startswith("//"):
        return None
    if scheme.partition("+")[0] in {"postgres", "postgresql"}:
        return "uri"
    if scheme.partition("+")[0] in {"mysql", "mariadb"}:
        return "mysql-uri"
    if scheme in _BROKERS:
        return _BROKERS[scheme]
    raise _of_others(scheme, "a URL that is not postgresql:// or mysql://")


def _of_others(scheme: str, otherwise: str) -> NotUnderstood:
    return _unread(next((name for pattern, name in _OF_SCHEMES if pattern.match(scheme)), otherwise))


def _unread(what: str) -> NotUnderstood:
    return NotUnderstood(
        f"the value looks like a connection string of {what}, which this kind of rotator does not read: take the kind "
        "that does (docs/rotators.md), or leave it to people"
    )


def _of_keywords(text: str, tag: str | None) -> str | None:
    """A ";" outside of libpq's quotes decides before anything else: then it is one of the forms with pairs."""
    if _REDIS.match(text):
        return "stackexchange-redis"
    first = _FIRST_KEYWORD.match(text)
    known = first is not None and first[1].lower() in _LIBPQ
    if ";" not in text or (known and _reads_as_key_value(text)):
        return "key-value" if known and not _is_one_pair(text) else _of_one_pair(text)
    return _of_pairs(text, _pairs_of(text), tag)


def _pairs_of(text: str) -> dict[str, str]:
    """Keywords with what is written behind them; where quotes and braces are mixed up, the keywords alone."""
    try:
        return {plain_name(key): value for key, value, *_ in pairs(text)}
    except Unusable:
        return {plain_name(one[1]): "" for one in _KEYWORD.finditer(text)}


def _of_pairs(text: str, found: Mapping[str, str], tag: str | None) -> str | None:
    keywords = found.keys()
    if keywords & {"driver", "dsn", "filedsn"}:
        return _of_odbc(text)
    for wanted, name in _OF_KEYWORDS:
        if wanted <= keywords:
            raise _unread(name)
    if keywords & _STORAGE:
        return "azure-storage"
    server = f"{found.get('host') or found.get('server', '')}:{found.get('port', '')}"
    if tag == "mysql-ado" and keywords & _ADO and "host" not in keywords:  # which is Npgsql's word
        return "mysql-ado"
    if keywords & _SQL_SERVER or (tag != "ado" and _OF_SQL_SERVER.match(server)):
        raise _unread("SQL Server")
    if keywords & _MYSQL or (tag != "ado" and _OF_MYSQL.search(server)):
        return "mysql-ado"
    if not keywords & _ADO:
        return None
    if "host" not in keywords and tag != "ado" and not _OF_POSTGRESQL.search(server):
        raise NotUnderstood(
            "the value may be a connection string of SQL Server, of MySQL or of Npgsql: where it is Npgsql's, write "
            "Host= for Server=, or set the tag format to ado; where it is MySQL's, set it to mysql-ado"
        )
    return "ado"


def _of_odbc(text: str) -> str:
    driver = re.search(r"(?i)(?:^|;)driver=([^;]*)", text)
    if driver is not None and "postgres" not in driver[1].lower():
        named = next((name for name in ("MySQL", "SQL Server", "MariaDB") if name.lower() in driver[1].lower()), None)
        raise _unread(named or "ODBC for another database")
    return "odbc"


def _of_one_pair(text: str) -> str | None:
    keyword = _FIRST_KEYWORD.match(text)
    if keyword is not None and keyword[1].lower() in {"usedevelopmentstorage", "accountname", "accountkey"}:
        return "azure-storage"
    return None


def _reads_as_key_value(text: str) -> bool:
    try:
        return sum(1 for _ in key_value.pairs(text)) > 1
    except Unusable:
        return False


def _is_one_pair(text: str) -> bool:
    """As `password=pw`: a password may look so, and a connection string never does."""
    return len(text.split()) == 1 and "'" not in text


def _unknown(text: str) -> NotUnderstood:
    line = _LINE.match(text)
    if "-----BEGIN" in text:
        return NotUnderstood(
            f"the value is a key or a certificate (PEM), which Keyturn does not rotate: leave it to people, {_TAG}"
        )
    if line is not None and ("://" in text or line[1].lower().endswith(("url", "uri", "dsn", "string", "password"))):
        return NotUnderstood(f"the value is a line KEY=VALUE of a file: write the part behind the = alone, {_TAG}")
    if text[:1] in "\"'":
        return NotUnderstood(f"the value is in quotes: write it without them, {_TAG}")
    return NotUnderstood(f"the value is of no form that Keyturn reads: write one that docs/using.md lists, {_TAG}")
