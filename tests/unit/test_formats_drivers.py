"""Texts made at random out of what connection strings are made of, and the parsers of the drivers themselves.

Where Keyturn takes one, libpq, asyncpg and SQLAlchemy read the same in it, or refuse it. The strings of tests/vectors
are the same for the drivers that are no Python packages.
"""

import getpass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from rotation.errors import Unusable
from rotation.formats import Value, read
from rotation.model import SecretValue

PIECES = [
    "postgresql://", "postgres://", "postgresql+asyncpg://", "app", "pw", ":", "@", "/", "?", "&", "=", ",", "%41", "%", 
    "%2F",    "+", "db.example", "h", "[::1]", "[", "]", ":5432", ":1", "orders", "host=", "port=", "user=", "password=", 
    "dbname=",
    "sslmode=require", "hostaddr=",
    " ", "'", "\\", "\\'", "\\\\", ";", "#", "\n", "ä", "\u00a0", '"', "HOST=", "5432",
]  # fmt: skip
URI_BEGINS = [
    "postgresql://app:pw@",
    "postgresql://app:",
    "postgresql://",
    "postgresql:///orders?",
    "postgres://app@h/",
]
PARTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
URIS = st.builds("{}{}".format, st.sampled_from([*URI_BEGINS, "postgresql://app:pw@h/orders?"]), PARTS)
KEY_VALUES = st.builds(
    "{} {}{}".format, PARTS, st.sampled_from(["host=h user=app password=", "host=h password=pw user=", ""]), PARTS
)


def taken(text: str) -> Value | None:
    try:
        return read(SecretValue(text))
    except Unusable:
        return None


def joined(value: Value) -> tuple[str, str]:
    """Hosts and ports as libpq writes them."""
    ports = [str(host.port or "") for host in value.hosts]
    return ",".join(host.name for host in value.hosts), ",".join(ports) if any(ports) else ""


@settings(max_examples=1500, deadline=None)
@given(st.one_of(URIS, KEY_VALUES))
def test_libpq_reads_the_same(text: str) -> None:
    value = taken(text)
    if value is None or value.name not in {"uri", "key-value"} or text.startswith("postgresql+"):
        return
    try:
        libpq = conninfo_to_dict(text)
    except ProgrammingError:
        return
    hosts, ports = joined(value)
    assert (libpq.get("host", ""), value.user, value.password.reveal()) == (hosts, libpq.get("user"), libpq["password"])
    theirs = str(libpq.get("port", ""))
    assert theirs == ports or set(ports.split(",")) == {theirs}  # one for all
    assert (value.dbname or "") == libpq.get("dbname", "")


@settings(max_examples=1500, deadline=None)
@given(URIS)
def test_asyncpg_reads_the_same(text: str) -> None:
    utils = pytest.importorskip("asyncpg.connect_utils", reason="asyncpg is not installed: see requirements-dev.txt")
    value = taken(text)
    if value is None or value.name != "uri" or text.startswith("postgresql+"):
        return
    try:
        addresses, asked = asked_of_asyncpg(utils, text)
    except (ValueError, utils.exceptions.InterfaceError, utils.exceptions.InternalClientError):
        return
    if value.hosts:
        assert addresses == [(host.name, host.port or 5432) for host in value.hosts]
    assert asked.user == (value.user or getpass.getuser())
    assert asked.password == value.password.reveal()


def asked_of_asyncpg(utils: Any, text: str) -> Any:
    nothing = dict.fromkeys(
        ("host", "port", "user", "password", "passfile", "database", "ssl", "service", "servicefile", "direct_tls",
         "server_settings", "target_session_attrs", "krbsrvname", "gsslib")
    )  # fmt: skip
    return utils._parse_connect_dsn_and_args(dsn=text, **nothing)


@settings(max_examples=1500, deadline=None)
@given(URIS)
def test_sqlalchemy_reads_the_same(text: str) -> None:
    engine = pytest.importorskip("sqlalchemy.engine", reason="SQLAlchemy is not installed: see requirements-dev.txt")
    value = taken(text)
    if value is None or value.name != "uri":
        return
    try:
        url = engine.make_url(text)
        asked = dict(url.query) | {
            name: found
            for name, found in (
                ("host", url.host),
                ("port", url.port),
                ("user", url.username),
                ("password", url.password),
            )
            if found is not None
        }
    except ValueError:
        return
    assert asked.get("user") == value.user
    assert asked["password"] == value.password.reveal()
    if len(value.hosts) == 1:
        assert asked["host"] == value.hosts[0].name
        assert int(asked.get("port", 5432)) == (value.hosts[0].port or 5432)
