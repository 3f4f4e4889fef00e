"""URLs and configuration strings of Redis, Valkey and RabbitMQ; tests/vectors has what their drivers read in 180."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import pika
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.connection import parse_url as redis_parse
from valkey.connection import parse_url as valkey_parse

from rotation.errors import Unusable
from rotation.formats import Host, Value, read, read_of
from rotation.model import SecretValue, Spec
from rotation.rotators.azure.entra_value import read_secret
from rotation.rotators.azure.storage_value import read_key
from tests.contract.secrets_at_hand import make_spec

ODD = ["%41", "%", "%2F", "+", ";", "#", "ä", '"', *"@:/?&=,[]'\\ ap0"]
PART = st.lists(st.sampled_from(ODD), max_size=4).map("".join)
USUAL = st.one_of(st.sampled_from(["app", "pw-1", "a%40b", ""]), PART)
LIST = "stackexchange-redis"
HOSTS = st.sampled_from(["db.example", "db.example:6390", "[::1]", "[2001:db8::1]:7000", "10.0.0.1", "", "a,b"])


def understood(text: str, product: str) -> Value | None:
    try:
        return read_of(product, SecretValue(text))
    except Unusable:
        return None


def urls(*schemes: str) -> st.SearchStrategy[str]:
    path = st.sampled_from(["", "/", "/0", "/15", "/a%2Fb", "/orders"])
    query = st.sampled_from(["", "?protocol=3", "?host=evil.example", "?username=x", "?path=/x", "?heartbeat=10"])
    return st.builds("{}://{}:{}@{}{}{}".format, st.sampled_from(schemes), USUAL, USUAL, HOSTS, path, query)


@settings(max_examples=400, deadline=None)
@given(urls("redis", "rediss"))
def test_redis_py_reads_what_is_read_here(text: str) -> None:
    value = understood(text, "Redis")
    if value is not None:
        same_as(value, redis_parse(text), 6379)  # type: ignore[no-untyped-call]


@settings(max_examples=400, deadline=None)
@given(urls("valkey", "valkeys"))
def test_valkey_py_reads_what_is_read_here(text: str) -> None:
    value = understood(text, "Redis")
    if value is not None:
        same_as(value, valkey_parse(text), 6379)


def same_as(value: Value, theirs: Any, port: int) -> None:
    [host] = value.hosts
    assert (host.name, host.port) == (theirs["host"], theirs.get("port", port))
    assert (value.user, value.password.reveal()) == (theirs.get("username"), theirs.get("password"))


@settings(max_examples=400, deadline=None)
@given(urls("amqp", "amqps"))
def test_pika_reads_what_is_read_here(text: str) -> None:
    value = understood(text, "RabbitMQ")
    if value is not None:
        try:
            theirs = pika.URLParameters(text)
        except ValueError as refused:
            assert str(refused).startswith("Unknown URL parameter")
            return
        [host] = value.hosts
        assert (host.name, host.port) == (theirs.host, theirs.port)
        assert (value.user, value.password.reveal()) == (theirs.credentials.username, theirs.credentials.password)
        assert value.dbname == theirs.virtual_host


@pytest.mark.parametrize(
    ("text", "form", "login"),
    [
        ("valkeys://app:p%40w@h", "redis", ("app", "p@w", Host("h", 6379))),
        ("redis://:pw@h:7000/3", "redis", (None, "pw", Host("h", 7000))),
        ("a.example:7, user = app, password= pw , ssl=true", LIST, ("app", "pw", Host("a.example", 7))),
        ("a.example,password=p=w,ssl=true", LIST, (None, "p=w", Host("a.example", 6380))),
        ("amqps://app:pw@mq.example/a%2Fb", "amqp", ("app", "pw", Host("mq.example", 5671))),
    ],
)  # fmt: skip
def test_the_login_is_found_and_nothing_else_is_written_anew(
    text: str, form: str, login: tuple[str | None, str, Host]
) -> None:
    value = read(SecretValue(text))
    assert (value.name, value.user, value.password.reveal(), value.hosts[0]) == (form, *login)
    changed = value.with_login(SecretValue("New-pw_1")).reveal()
    written = re.sub(r"(?<=[:=]).{0,1}(?:p%40w|pw|p=w)(?=[@ ,]|$)", "§", text)
    assert re.sub(r"(?<=[:=]).{0,1}New-pw_1(?=[@ ,]|$)", "§", changed) == written


def test_a_password_that_stackexchange_redis_would_cut_off_is_not_written() -> None:
    value = read(SecretValue("a.example,password=pw"))
    for cut in ("p,w", " pw", "pw "):
        with pytest.raises(Unusable):
            value.with_login(SecretValue(cut))


@pytest.mark.parametrize(
    "text",
    [
        "redis://app:pw@h/x", "redis://app@h/0", "REDIS://app:pw@h", "redis://app:p@w@h", "redis://app:pw@a,b",
        "redis://app:pw@h?db=1", "redis://app:pw@/0", "redis+socket://app:pw@h", "amqp://:pw@h", "amqp://app:pw@h/a/b",
        "amqp://app:p%C3%A4@h", "amqp://app:pw@a,b/v", "amqp://app:pw@h?auth_mechanism=external",
        "a.example,password=p,w", "a.example,password=pw,tunnel=http:evil.example:80", "a.example,password=",
        "a.example,password=pw,password=px", "a.example,password=pw,unknown=1", "a.example,user=app,ssl=True",
    ],
)  # fmt: skip
def test_what_drivers_read_differently_is_left_alone(text: str) -> None:
    with pytest.raises(Unusable):
        read(SecretValue(text))


@pytest.mark.parametrize(
    ("text", "product"),
    [
        ("redis://app:pw@h", "PostgreSQL"), ("amqp://app:pw@h", "Redis"), ("redis://app:pw@h", "RabbitMQ"),
        ("postgresql://app:pw@h", "Redis"), ("h,password=pw,ssl=True", "PostgreSQL"),
    ],
)  # fmt: skip
def test_another_products_value_is_refused_by_its_name(text: str, product: str) -> None:
    with pytest.raises(Unusable, match=f"none of {product}'s"):
        read_of(product, SecretValue(text))


KEY = f"{'A' * 86}=="
CLIENT_SECRET = "aB3~" + "x9Kd" * 9


@pytest.mark.parametrize("text", ["redis://:{}@h", "amqp://app:{}@h", "h,password={},ssl=True"])
@pytest.mark.parametrize(
    ("reader", "secret"), [(partial(read_key, account="storders"), KEY), (read_secret, CLIENT_SECRET)]
)
def test_a_brokers_password_is_taken_for_no_secret_that_azure_makes(
    text: str, reader: Callable[[SecretValue, Spec], Value], secret: str
) -> None:
    written = text.format(secret if "," in text else quote(secret, safe=""))
    with pytest.raises(Unusable, match="none of Azure's"):
        reader(SecretValue(written), make_spec("any"))
