"""After a rotation no part of a value holds the old login: it is rewritten where it is understood, else refused."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from rotation.errors import Unusable
from rotation.formats import Host, read
from rotation.model import SecretValue

OLD, NEW = "0ld p@ss/wörd", "N3w:p@ss\\'\"/{}"
ENCODED = quote(OLD, safe="")


def rotated(role: str | None = None, /, **fields: Any) -> dict[str, Any]:
    text = json.dumps({"password": OLD, **fields})
    changed = read(SecretValue(text)).with_login(SecretValue(NEW), role).reveal()
    for shown in (OLD, ENCODED, OLD.replace("/", "\\/")):
        assert shown not in changed
    return dict(json.loads(changed))


def test_cloud_native_pgs_secret_is_written_anew_in_all_its_parts() -> None:
    after = rotated(
        "orders_b",
        username="orders_a",
        user="orders_a",
        host="db",
        port="5432",
        dbname="orders",
        uri=f"postgresql://orders_a:{ENCODED}@db:5432/orders",
        **{"jdbc-uri": f"jdbc:postgresql://db:5432/orders?password={ENCODED}&user=orders_a"},
        pgpass=f"db:5432:orders:orders_a:{OLD}\n",
    )
    new = quote(NEW, safe="")
    assert after["uri"] == f"postgresql://orders_b:{new}@db:5432/orders"
    assert after["jdbc-uri"] == f"jdbc:postgresql://db:5432/orders?password={new}&user=orders_b"
    escaped = NEW.replace("\\", "\\\\").replace(":", "\\:")
    assert after["pgpass"] == f"db:5432:orders:orders_b:{escaped}\n"
    assert (after["username"], after["user"], after["password"]) == ("orders_b", "orders_b", NEW)


@pytest.mark.parametrize(
    "connection",
    [
        f"host=db user=app password='{OLD}'",
        f'Host=db;Username=app;Password="{OLD}"',
        f"Driver={{PostgreSQL Unicode}};Server=db;Uid=app;Pwd={{{OLD}}}",
        f"postgresql+asyncpg://app:{ENCODED}@db/orders",
    ],
)
def test_a_connection_string_in_a_field_is_read_by_its_own_reader(connection: str) -> None:
    after = rotated(username="app", host="db", connectionString=connection)
    assert read(SecretValue(after["connectionString"])).password.reveal() == NEW
    assert read(SecretValue(json.dumps({"password": OLD, "connectionString": connection}))).hosts == (Host("db", None),)


def test_a_percent_encoded_copy_is_written_anew() -> None:
    assert rotated(username="app", password_urlencoded=ENCODED)["password_urlencoded"] == quote(NEW, safe="")
    with pytest.raises(Unusable, match="percent-encoded"):
        rotated(username="app", password_urlencoded="another")


def test_a_url_without_a_login_says_where_and_stays() -> None:
    url = "jdbc:postgresql://db.example:5433/orders?sslmode=require"
    assert rotated(username="app", url=url)["url"] == url
    value = read(SecretValue(json.dumps({"password": OLD, "username": "app", "url": url})))
    assert (value.hosts, value.dbname) == ((Host("db.example", 5433),), "orders")


@pytest.mark.parametrize(
    "fields",
    [
        {"url": f"postgresql://app:{ENCODED}@other/"},
        {"url": f"postgresql://app:{ENCODED}@db:5433/"},
        {"url": f"postgresql://other:{ENCODED}@db/"},
        {"url": "postgresql://app:other@db/"},
        {"url": f"postgresql://app:{ENCODED}@db/?service=x"},
        {"url": "JDBC:postgresql://db/orders"},
        {"pgpass": "db:5432"},
        {"pgpass": f"other:5432:*:app:{OLD}"},
        {"user": "other"},
        {"pwd": "other"},
    ],
)
def test_parts_that_contradict_each_other_are_refused(fields: dict[str, str]) -> None:
    with pytest.raises(Unusable):
        read(SecretValue(json.dumps({"host": "db", "username": "app", "password": OLD, **fields})))


@pytest.mark.parametrize(
    "copy",
    [
        OLD,
        f"the password is {OLD}!",
        ENCODED,
        ENCODED.lower(),
        quote(ENCODED, safe=""),
        json.dumps({"password": OLD}),
        base64.b64encode(OLD.encode()).decode(),
        "Basic " + base64.b64encode(f"app:{OLD}".encode()).decode(),
        OLD.encode().hex(),
        f"redis://:{ENCODED}@cache/0",
    ],
)
def test_a_copy_in_a_field_that_is_not_understood_is_refused(copy: str) -> None:
    with pytest.raises(Unusable, match="another part of the value"):
        rotated(username="app", host="db", note=copy)


def test_a_short_password_is_sought_as_a_word_and_what_is_known_not_at_all() -> None:
    fields = {"username": "app", "password": "db", "host": "db", "dbname": "db", "note": "dbx and xdb"}
    read(SecretValue(json.dumps(fields))).with_login(SecretValue("new"))
    with pytest.raises(Unusable, match="another part of the value"):
        read(SecretValue(json.dumps({**fields, "note": "the db"}))).with_login(SecretValue("new"))


def test_a_weak_password_that_is_the_users_name_too_can_be_rotated_away() -> None:
    text = json.dumps({"username": "postgres", "password": "postgres", "dbname": "postgres", "engine": "postgres"})
    assert json.loads(read(SecretValue(text)).with_login(SecretValue("new")).reveal())["password"] == "new"


def test_a_role_that_stands_elsewhere_is_refused_where_the_role_changes() -> None:
    value = read(
        SecretValue('{"username": "orders_a", "password": "secret1", "owner": "orders_a", "schema": "orders_a"}')
    )
    value.with_login(SecretValue("new"))
    with pytest.raises(Unusable, match="the user is in another part"):
        value.with_login(SecretValue("new"), "orders_b")


def test_a_copy_among_the_options_of_a_uri_is_refused() -> None:
    value = read(SecretValue("postgresql://app:secret1@db/x?sslpassword=secret1"))
    with pytest.raises(Unusable, match="another part of the value"):
        value.with_login(SecretValue("new"))


def test_null_is_not_there() -> None:
    value = read(
        SecretValue('{"username": null, "password": "pw", "host": null, "port": null, "dbname": null, "x": null}')
    )
    assert (value.user, value.hosts, value.dbname, dict(value.options)) == (None, (), None, {})
    with pytest.raises(Unusable, match='no "password"'):
        read(SecretValue('{"password": null, "username": "app"}'))


@pytest.mark.parametrize("name", ["clientSecret", "client_secret", "AZURE_CLIENT_SECRET", "ARM_CLIENT_SECRET"])
def test_client_secrets_are_known_by_their_fields(name: str) -> None:
    value = read(SecretValue(json.dumps({name: "a~b.c", "clientId": "x", "tenantId": "t"})))
    assert (value.password.reveal(), value.user) == ("a~b.c", "x")


@pytest.mark.parametrize(
    "text",
    [
        '{"apiKey": "k", "endpoint": "https://x.example"}', '{"token": "x"}', '{"value": "x"}', '{"key": "x"}',
        '{"secret": "x"}', '{"azure": {"clientSecret": "x"}}', '{"password": ["x"]}', '{"password": 5}',
        '{"password": "x", "engine": "oracle"}', '{"password": "x", "host": {"a": 1}}',
        '{"password": "x", "port": 5432}',
    ],
)  # fmt: skip
def test_other_objects_are_left_alone(text: str) -> None:
    with pytest.raises(Unusable):
        read(SecretValue(text))
