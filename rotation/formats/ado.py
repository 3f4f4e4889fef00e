"""Npgsql's connection strings, such as Host=db;Username=app;Password="…".

Source: NpgsqlConnectionStringBuilder.cs (10.0) and NpgsqlDataSourceBuilder: the last of a keyword's synonyms counts,
and a keyword that Npgsql does not know makes it refuse the string, whatever else is in it.
"""

from __future__ import annotations

from rotation.formats.hosts import written_hosts
from rotation.formats.keywords import check
from rotation.formats.npgsql_keywords import KEYWORDS
from rotation.formats.pairs import escape, pairs
from rotation.formats.parts import Parts
from rotation.formats.value import NotUnderstood, Value

_READ = {
    "host": "host",
    "server": "host",
    "port": "port",
    "database": "dbname",
    "db": "dbname",
    "username": "user",
    "user name": "user",
    "userid": "user",
    "user id": "user",
    "uid": "user",
    "password": "password",
    "psw": "password",
    "pwd": "password",
}
_ONLY_OF_SEVERAL = frozenset(
    {"target session attributes", "targetsessionattributes", "load balance hosts", "loadbalancehosts"}
)


def read(text: str, *, alone: bool = True) -> Value:
    """Read a connection string. alone: it has to have a password itself.

    Raises:
        Unusable: it is none, it has no password or no host, or Npgsql would refuse it.
    """
    parts = Parts()
    for key, value, start, end in pairs(text):
        if key in _READ:
            if not value:
                raise NotUnderstood(f"the value's {_READ[key]} is empty: write it, or take it out")
            parts.place(_READ[key], value, start, end, escape)
        elif key in KEYWORDS:
            check(key, "Npgsql's connection string")
            parts.option(key, value)
        else:
            check(key, "Npgsql's connection string")
            raise NotUnderstood(
                "the connection string has a keyword that Npgsql does not know: take it out, "
                "or leave another database's to people (no rotator reads it yet)"
            )
    found = parts.found
    if alone and "password" not in found:
        raise NotUnderstood("the value has no Password= among its keywords")
    if "host" not in found:
        raise NotUnderstood("the connection string has no Host, without which Npgsql refuses it")
    listed = found["host"].split(",")
    if len(listed) > 1:  # Npgsql takes the blanks away where there are several, and only there
        listed = [one.strip(" \t") for one in listed]
    elif _ONLY_OF_SEVERAL & parts.options.keys():
        raise NotUnderstood("the connection string has one host, and a choice among several, which Npgsql refuses")
    hosts = written_hosts(",".join(listed), port=found.get("port", ""), bare_six=True)
    return parts.value("ado", text, hosts, found.get("dbname"))
