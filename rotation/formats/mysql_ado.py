"""MySqlConnector's connection strings, such as Server=db;User ID=app;Password="…".

Source: MySqlConnector, "Connection Options" and MySqlConnectionStringBuilder.cs (2.4): the last of a keyword's synonyms
counts, and a keyword that it does not know makes it refuse the string.
"""

from __future__ import annotations

from rotation.formats.hosts import listed_hosts
from rotation.formats.keywords import check
from rotation.formats.mysql_uri import with_port
from rotation.formats.pairs import escape, pairs
from rotation.formats.parts import Parts
from rotation.formats.value import NotUnderstood, Value

READ = {
    **dict.fromkeys(("server", "host", "data source", "datasource", "address", "addr", "network address"), "host"),
    "port": "port",
    **dict.fromkeys(("database", "initial catalog"), "dbname"),
    **dict.fromkeys(("user id", "userid", "username", "uid", "user name", "user"), "user"),
    **dict.fromkeys(("password", "pwd"), "password"),
}
_DISPLAYED = (
    "load balance", "ssl mode", "certificate file", "certificate password", "certificate store location",
    "certificate thumbprint", "ssl cert", "ssl key", "ssl ca", "tls version", "tls cipher suites", "pooling",
    "connection lifetime", "connection reset", "connection idle timeout", "minimum pool size", "maximum pool size",
    "dns check interval", "allow load local infile", "allow public key retrieval", "allow user variables",
    "allow zero datetime", "application name", "auto enlist", "cancellation timeout", "character set",
    "connection timeout", "convert zero datetime", "datetime kind", "default command timeout", "force synchronous",
    "guid format", "ignore command transaction", "ignore prepare", "interactive session", "keep alive",
    "no backslash escapes", "old guids", "persist security info", "pipelining", "treat tiny as boolean",
    "use affected rows", "use compression", "use xa transactions",
)  # fmt: skip
_OTHER_NAMES = ("connect timeout", "command timeout", "charset", "compress", "min pool size", "max pool size")
_KEYWORDS = frozenset({name.replace(" ", "") for name in (*_DISPLAYED, *_OTHER_NAMES)})


def read(text: str, *, alone: bool = True) -> Value:
    """Read a connection string. alone: it has to have a password itself.

    Raises:
        Unusable: it is none, it has no password or no host, or MySqlConnector would refuse it.
    """
    parts = Parts()
    for key, value, start, end in pairs(text):
        if key in READ:
            if not value:
                raise NotUnderstood(f"the value's {READ[key]} is empty: write it, or take it out")
            parts.place(READ[key], value, start, end, escape)
        elif key.replace(" ", "") in _KEYWORDS:
            parts.option(key.replace(" ", ""), value)
        else:
            check(key, "MySqlConnector's connection string")
            raise NotUnderstood(
                "the connection string has a keyword that MySqlConnector does not know, or that leads elsewhere: take "
                "it out"
            )
    found = parts.found
    if alone and "password" not in found:
        raise NotUnderstood("the value has no Password= among its keywords")
    if "host" not in found:
        raise NotUnderstood("the connection string has no Server: write it")
    hosts = with_port(listed_hosts(found["host"], found.get("port", "")))
    return parts.value("mysql-ado", text, hosts, found.get("dbname"), user_is_database=False)
