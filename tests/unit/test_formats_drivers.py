"""Texts made at random out of what connection strings are made of, and the parsers of the drivers themselves.

Where Keyturn takes one, libpq, asyncpg and SQLAlchemy read the same in it, or refuse it. tests/drivers has the same for
drivers that are no Python packages, tests/vectors strings for those and others.
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

MOST = 500  # texts; what is found by more of them becomes a vector or a case of its own
MARKS = ["%41", "%", "%2F", "+", "\\'", "\\\\", ";", "#", "\n", "ä", "\u00a0", '"', *"@:/?&=,[]'\\ ap0"]
ODD = st.lists(st.sampled_from(MARKS), max_size=3).map("".join)


def mostly(*usual: str) -> st.SearchStrategy[str]:
    """Hypothesis takes equal branches of `one_of` for one, so that they can't be given weight there."""
    return st.tuples(st.integers(1, 20), st.sampled_from(usual), ODD).map(
        lambda all_: all_[2] if all_[0] == 20 else all_[1]
    )


HOST = mostly("db.example", "h", "[::1]", "10.0.0.1", "a:1,b:2", "h:5433", "", "h:5432")
PAIR = st.builds(
    "{}={}".format,
    mostly(
        "sslmode",
        "connect_timeout",
        "host",
        "port",
        "user",
        "password",
        "dbname",
        "hostaddr",
        "HOST",
        "application_name",
    ),
    mostly("require", "3", "db.example", "5433", "x%41"),
)
URIS = st.builds(
    "{}{}{}@{}{}{}".format,
    st.sampled_from(["postgresql://", "postgres://", "postgresql+asyncpg://", "POSTGRESQL://"]),
    mostly("app", "a%40b", "app+x", ""),
    mostly(":pw", ":p%2Fw", ":p:w;x", ":p+w"),
    HOST,
    mostly("/orders", "/", "", "/or%20ders"),
    st.lists(PAIR, max_size=2).map(lambda pairs: "?" + "&".join(pairs) if pairs else ""),
)
VALUE = st.one_of(mostly("pw", "'p w'", "'p\\'w'", "x=y", "'a\\\\'"), ODD.map("'{}'".format))
KEY_VALUES = st.builds(
    "{}host={}{}user={} password={}{}".format,
    mostly("", " ", "application_name=x ", "port=5433 "),
    mostly("h", "a,b", "::1", "'h'", "10.0.0.1"),
    mostly(" ", "\t", " dbname=orders ", " = "),
    VALUE,
    VALUE,
    mostly("", " ", " sslmode=require", " port=1,2", " port=5433"),
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


@settings(max_examples=MOST, deadline=None)
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


@settings(max_examples=MOST, deadline=None)
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


@settings(max_examples=MOST, deadline=None)
@given(URIS)
def test_sqlalchemy_reads_the_same(text: str) -> None:
    engine = pytest.importorskip("sqlalchemy.engine", reason="SQLAlchemy is not installed: see requirements-dev.txt")
    value = taken(text)
    if value is None or value.name != "uri":
        return
    try:
        url = engine.make_url(text)
        written = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
        # As its dialects hand it to a driver: what stands in the query wins.
        asked = {name: found for name, found in written.items() if found is not None} | dict(url.query)
    except ValueError:
        return
    assert (asked.get("user") or None) == value.user
    assert asked["password"] == value.password.reveal()
    if len(value.hosts) == 1:
        assert asked["host"] == value.hosts[0].name
        assert int(asked.get("port", 5432)) == (value.hosts[0].port or 5432)
