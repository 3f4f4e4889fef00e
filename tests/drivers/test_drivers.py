"""Where Keyturn takes a URI, node-postgres and pgJDBC read the same in it, or refuse it.

The texts are made at random out of what connection strings are made of; those of tests/vectors stand beside them.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.npm import Missing
from rotation.errors import Unusable
from rotation.formats import read
from rotation.model import SecretValue
from tests.drivers import Driver, node_postgres, pgjdbc
from tests.unit.test_formats_drivers import HOST, ODD, URIS, mostly
from tests.vectors import vectors
from tests.vectors.judge import compare, drivers_of

MOST = 1_500
pytestmark = pytest.mark.thorough

_PAIR = st.one_of(
    st.just(""),
    st.sampled_from(
        ["&sslmode=require", "&connectTimeout=3", "&ApplicationName=a+b", "&currentSchema=x%41", "&options="]
    ),
    st.builds(
        "&{}{}{}".format,
        mostly(
            "host", "port", "user", "password", "dbname", "PGHOST", "PGPORT", "PGDBNAME", "USER", "service", "sslmode"
        ),
        mostly("=", ""),
        mostly("db.example", "5433", "x%41", "x+y", ""),
    ),
)
JDBC_URLS = st.builds(
    "{}{}{}?user={}&password={}{}{}".format,
    mostly("jdbc:postgresql://", "jdbc:postgresql://", "jdbc:postgresql:"),
    st.one_of(HOST, st.lists(HOST, max_size=3).map(",".join)),
    mostly("/orders", "/", "/or%20ders", "/or+ders"),
    mostly("app", "a%40b", "app+x"),
    mostly("pw", "p%2Fw", "p:w;x", "p+w"),
    _PAIR,
    st.one_of(_PAIR, ODD.map("&x={}".format)),
)


@pytest.fixture(scope="module", params=["node-postgres", "pgjdbc"])
def driver(request: pytest.FixtureRequest) -> Iterator[tuple[str, Driver]]:
    try:
        started = {"node-postgres": node_postgres, "pgjdbc": pgjdbc}[request.param]()
    except Missing as missing:
        pytest.skip(str(missing))
    with started:
        yield request.param, started


def taken_and_read_otherwise(name: str, driver: Driver, text: str) -> tuple[bool, list[str]]:
    """Whether Keyturn takes a text that this driver takes too, and what they read differently."""
    try:
        value = read(SecretValue(text))
    except Unusable:
        return False, []
    reading = driver.read(text) if name in drivers_of(value) else None
    return reading is not None, [] if reading is None else compare(value, reading)


def test_it_reads_the_same(driver: tuple[str, Driver]) -> None:
    name, asked = driver
    both: list[str] = []

    @settings(max_examples=MOST, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(JDBC_URLS if name == "pgjdbc" else URIS)
    def same(text: str) -> None:
        taken, otherwise = taken_and_read_otherwise(name, asked, text)
        assert otherwise == [], text
        both.append(text) if taken else None

    same()
    assert len(both) > MOST / 10


def test_it_reads_the_same_in_the_vectors(driver: tuple[str, Driver]) -> None:
    name, asked = driver
    both = 0
    for vector in vectors():
        taken, otherwise = taken_and_read_otherwise(name, asked, vector.text)
        assert otherwise == [], vector.id
        both += taken
    assert both > 20


def test_another_reading_would_be_noticed(driver: tuple[str, Driver]) -> None:
    name, asked = driver
    text = "jdbc:postgresql://h/d?user=app&password=p" if name == "pgjdbc" else "postgresql://app:p@h/d"
    reading = asked.read(text.replace("@h", "@other").replace("//h", "//other"))
    assert reading is not None
    [difference] = compare(read(SecretValue(text)), reading)
    assert difference.startswith("hosts")
