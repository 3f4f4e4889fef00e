"""All forms: what is read, and that nothing but the login is ever written anew."""

import json
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from rotation.errors import Unusable
from rotation.formats import FORMATS, Host, read
from rotation.model import SecretValue

NASTY = st.text(st.sampled_from(list("ab0;'\"=@:/?#%&\\ {}[],+äé漢\t\n")), min_size=1, max_size=12)
FIELD = st.text(st.sampled_from(list("ab0;'\"=@:/?#%&\\ {}é")), min_size=1, max_size=8)
HOSTS = st.sampled_from(["db.example", "10.0.0.1:5433", "[::1]", "[2001:db8::1]:6432", "a.example:1,b.example:5433"])
OPTIONS = st.sampled_from(["", "?sslmode=verify-full", "?application_name=", "?connect_timeout=3&sslmode=require"])


def encoded(text: str) -> str:
    return quote(text, safe="")


def rewritten(text: str, new: str, user: str | None = None, name: str | None = None) -> str:
    return read(SecretValue(text), name).with_login(SecretValue(new), user).reveal()


@given(user=FIELD, old=NASTY, new=NASTY, hosts=HOSTS, options=st.sampled_from(["", "?sslmode=verify-full"]))
def test_a_uri_is_read_as_libpq_reads_it_and_only_its_password_changes(
    user: str, old: str, new: str, hosts: str, options: str
) -> None:
    before, after = f"postgresql://{encoded(user)}:", f"@{hosts}/orders%20x{options}"
    text = rewritten(before + encoded(old) + after, new)
    assert text == before + encoded(new) + after
    ours, libpq = read(SecretValue(text)), conninfo_to_dict(text)
    assert (ours.user, ours.password.reveal(), ours.dbname) == (libpq["user"], libpq["password"], libpq["dbname"])
    assert ",".join(host.name for host in ours.hosts) == libpq["host"]


@given(user=FIELD, other=FIELD, old=NASTY, new=NASTY, options=OPTIONS)
def test_a_uri_takes_another_user(user: str, other: str, old: str, new: str, options: str) -> None:
    assume(user not in {"3", "require"})
    text = rewritten(f"postgres://{encoded(user)}:{encoded(old)}@h{options}", new, other)
    assert text == f"postgres://{encoded(other)}:{encoded(new)}@h{options}"


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@given(user=FIELD, old=NASTY, new=NASTY, space=st.sampled_from(["", " ", "\t "]))
def test_keyword_values_are_read_as_libpq_reads_them_and_only_the_password_changes(
    user: str, old: str, new: str, space: str
) -> None:
    before = f" host=::1,db port=5432,5433 user{space}={space}{quoted(user)}  password ="
    after = " dbname=orders  options='-c xyz=1'"
    text = rewritten(before + quoted(old) + after, new)
    assert text == before + quoted(new) + after
    ours, libpq = read(SecretValue(text)), conninfo_to_dict(text)
    assert (ours.user, ours.password.reveal()) == (libpq["user"], libpq["password"])
    assert ours.hosts == (Host("::1", 5432), Host("db", 5433))
    assert ours.options["options"] == "-c xyz=1"


@given(old=NASTY, new=NASTY, user=FIELD)
def test_a_connection_string_of_npgsql_keeps_all_but_the_password(old: str, new: str, user: str) -> None:
    def doubled(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    kept, after = f"Host = db ;Username={doubled(user)};;PWD=", " ; Search Path='x;y';Timezone=;"
    text = rewritten(kept + doubled(old) + after, new)
    assert text.startswith(kept)
    assert text.endswith(after)
    again = read(SecretValue(text))
    assert (again.password.reveal(), again.user, again.hosts) == (new, user, (Host("db", None),))
    assert again.options["search path"] == "x;y"


@given(old=NASTY, new=NASTY)
def test_an_odbc_connection_string_has_its_password_in_braces(old: str, new: str) -> None:
    def braced(text: str) -> str:
        return "{" + text.replace("}", "}}") + "}"

    before, after = "Driver={PostgreSQL Unicode};Server=db;Uid=app;Pwd=", ";Database=orders;ReadOnly=no"
    assert rewritten(before + braced(old) + after, new) == before + braced(new) + after
    assert read(SecretValue(before + braced(new) + after)).password.reveal() == new


@given(old=NASTY, new=NASTY, user=FIELD)
def test_a_jdbc_url_keeps_all_but_the_password(old: str, new: str, user: str) -> None:
    before = f"jdbc:postgresql://a:5432,[::1]:5433/orders?user={encoded(user)}&password="
    text = rewritten(before + encoded(old) + "&ssl=true&x=", new)
    assert text == before + encoded(new) + "&ssl=true&x="
    again = read(SecretValue(text))
    assert (again.user, again.password.reveal(), again.dbname) == (user, new, "orders")
    assert again.hosts == (Host("a", 5432), Host("::1", 5433))


@given(old=NASTY, new=NASTY, user=NASTY, other=NASTY)
def test_a_json_object_keeps_its_spacing_order_and_escapes(old: str, new: str, user: str, other: str) -> None:
    before, between, after = '{ "x" : true,\n "username":', ' , "Password" :', ', "n":\t1e3, "o": null }'
    text = before + json.dumps(user) + between + json.dumps(old) + after
    changed = rewritten(text, new, other)
    whole = json.dumps(other, ensure_ascii=False) + between + json.dumps(new, ensure_ascii=False)
    assert changed == before + whole + after or user == other
    assert json.loads(changed)["Password"] == new


@given(old=NASTY, new=NASTY)
def test_a_plain_value_is_the_password_with_its_blanks(old: str, new: str) -> None:
    assume(not any(text.isspace() or text.endswith("\n") for text in (old, new)))
    assert read(SecretValue(old), "plain").password.reveal() == old
    assert rewritten(old, new, name="plain") == new


def test_a_storage_connection_string_changes_its_key_without_quotes() -> None:
    text = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=b2xkb2xk==;EndpointSuffix=core.windows.net"
    assert rewritten(text, "bmV3bmV3==") == text.replace("b2xkb2xk==", "bmV3bmV3==")
    assert read(SecretValue(text)).user == "acc"
    with pytest.raises(Unusable):
        rewritten(text, "a;b")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_and_a_refusal_shows_nothing_of_it(text: str) -> None:
    canary = text + "Canary7Value"
    for name in (None, *FORMATS):
        try:
            read(SecretValue(canary), name)
        except Unusable as refusal:
            assert "Canary7Value" not in refusal.message
            assert refusal.field in {"value", "format"}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ('{"username": "app", "password": "pw\\ud800", "host": "db"}', "json"),  # as JSON writes half of an emoji
        ('{"username": "app", "password": "pw", "host": "db", "dbname": "\\udfff"}', "json"),
        ('{"username": "app", "password": "pw", "host": "db", "\\udfff": "x"}', "json"),
        ("pw://\ud800", "plain"),
        ("pw://\udfff", None),
    ],
)
def test_half_a_character_is_refused_since_no_driver_could_send_it(value: str, name: str | None) -> None:
    with pytest.raises(Unusable, match="half of a character"):
        read(SecretValue(value), name)


def test_a_whole_character_that_json_writes_in_two_halves_is_read() -> None:
    assert read(SecretValue('{"password": "\\ud83d\\ude00"}')).password.reveal() == "\U0001f600"


def test_a_value_without_a_user_takes_none() -> None:
    with pytest.raises(Unusable, match="names no user"):
        rewritten("just-a-password", "new", "somebody")


@pytest.mark.parametrize(
    ("value", "database"),
    [
        ("postgresql://app:pw@db/orders", "orders"),
        ("postgresql://app:pw@db", "app"),
        ("host=db user=app password=pw", "app"),
        ("Host=db;Username=app;Password=pw", "app"),
        ("Driver={PostgreSQL Unicode};Server=db;Uid=app;Pwd=pw", "app"),
        ("jdbc:postgresql://db/?user=app&password=pw", "app"),
        ('{"host": "db", "username": "app", "password": "pw"}', "postgres"),
        ("just-a-password", "postgres"),
    ],
)
def test_the_database_that_nobody_names_is_the_one_that_readers_of_the_form_take(value: str, database: str) -> None:
    assert read(SecretValue(value)).login_dbname("app") == database
