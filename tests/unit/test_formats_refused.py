"""What is left alone, each for a fault that was seen: a value replaced whole, read in another way, or led elsewhere."""

import pytest

from rotation.errors import Unusable
from rotation.formats import FORMATS, read
from rotation.model import SecretValue

URI = "postgresql://app:pw@db.example/orders"


def refusal(value: str, name: str | None = None) -> Unusable:
    with pytest.raises(Unusable) as refused:
        read(SecretValue(value), name)
    return refused.value


@pytest.mark.parametrize(
    "value",
    [
        "tab\tword", "p@ss:w0rd#1",
        "a=b", "a=b;c", "p=1;q=2", "see http://x", "password=1", "{not json", "{}", '{"a": 1}', " spaces ",
        "two words", "pä€", "p w", "(x)", "[x]", "<x>", "x{y}",
        "'x'", '"x"', "`x`", "x;y", "x,y", "x\\y",
        "==", "a==b", "a===", "pw\u00a0", "\u200bpw", "Bearer abc.def", "Basic YXBwOnB3", "a" * 513, "null", "%PW%",
        "DATABASE_URL=" + URI, "'" + URI + "'", "url: " + URI, "psql " + URI, "URL=" + URI + "\nX=1", "://x", "jdbc:x",
        "key: value", "app@db.example", "db.example:5432:orders:app:pw", "user:pw", "~/.pgpass/x",
        "db.example", "../x/y",
    ],
)  # fmt: skip
def test_what_may_be_something_else_than_a_bare_password_is_no_plain_value(value: str) -> None:
    refusal(value)
    if not value.endswith(("\n", "\r")):
        told = read(SecretValue(value), "plain")
        assert (told.name, told.password.reveal()) == ("plain", value)


@pytest.mark.parametrize("value", ["p@ss:w0rd#1", "pä€", "user:pw", "{not json", "a b", "x,y"])
def test_who_has_such_a_password_is_told_of_the_tag(value: str) -> None:
    if not value.startswith("{"):
        assert "set the tag format to plain" in refusal(value).message


@pytest.mark.parametrize("value", ["pw", "p#w0rd!1", "cGFzc3dvcmQ==", "-_x.y~z", "5432", "a/b+c=", "$ecret", "100%"])
def test_one_word_is_a_plain_value(value: str) -> None:
    assert read(SecretValue(value)).name == "plain"


def test_a_new_password_that_would_not_be_recognised_is_not_written() -> None:
    with pytest.raises(Unusable, match="set the tag format to plain"):
        read(SecretValue("just-a-password")).with_login(SecretValue("a:b,c"))
    told = read(SecretValue("just-a-password"), "plain").with_login(SecretValue("a:b,c"))
    assert told.reveal() == "a:b,c"


ONE_OF_EACH = {
    "plain": "just-a-password",
    "uri": URI,
    "key-value": "host=db user=app password=pw",
    "ado": "Host=db;Username=app;Password=pw",
    "odbc": "Driver={PostgreSQL Unicode};Server=db;Uid=app;Pwd=pw",
    "jdbc": "jdbc:postgresql://db/orders?user=app&password=pw",
    "json": '{"password": "pw"}',
    "azure-storage": "AccountName=acc;AccountKey=a2V5a2V5",
    "mysql-uri": "mysql://app:pw@db/orders",
    "mysql-jdbc": "jdbc:mysql://db/orders?user=app&password=pw",
    "mysql-ado": "Server=db;Uid=app;Pwd=pw;Allow User Variables=true",
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_tag_that_says_another_form_than_the_value_has_is_refused(name: str) -> None:
    for form, value in ONE_OF_EACH.items():
        if form == name:
            assert read(SecretValue(value), name).name == name
        else:
            assert refusal(value, name).field == "format"


@pytest.mark.parametrize("value", [*ONE_OF_EACH.values(), "two words"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_break_at_the_end_is_one_message_in_all_forms(value: str, end: str) -> None:
    for name in (None, *FORMATS):
        assert "ends with a line break" in refusal(value + end, name).message


@pytest.mark.parametrize(
    "value",
    [
        "Host=good;Server=evil;Username=app;Password=pw",
        "Host=good;Host=good;Username=app;Password=pw",
        "Host=a;Username=app;Uid=app;Password=pw",
        "Host=a;Username=app;Password=pw;PWD=pw",
        "Host=a;Port=5432;Port=5432;Username=app;Password=pw",
        "Host=a;Database=x;DB=y;Username=app;Password=pw",
        "Host=a:5432;Port=5433;Username=app;Password=pw",
        '{"host": "a", "server": "b", "password": "pw"}',
        '{"host": "a", "Host": "a", "password": "pw"}',
        "host=a host=b user=app password=pw",
        "host=a user=app password=pw password=pw",
        URI + "?host=other.example",
        URI + "?user=other",
        URI + "?password=other",
        URI + "?dbname=other",
        "postgresql://db/orders?user=app&password=pw&password=pw",
        "jdbc:postgresql://a/x?user=app&password=pw&password=pw",
        "Driver={PostgreSQL Unicode};Server=a;Servername=b;Uid=app;Pwd=pw",
        "AccountName=acc;AccountName=acc;AccountKey=a2V5a2V5",
        URI + "?sslmode=require&sslmode=disable",
    ],
)
def test_what_is_said_twice_is_refused(value: str) -> None:
    assert refusal(value).field == "value"


@pytest.mark.parametrize("path", ["", "/", "/?sslmode=require&"])
def test_a_database_among_a_uris_parameters_is_refused_since_node_postgres_looks_for_it_in_the_path_alone(
    path: str,
) -> None:
    """node-postgres 8.23, connection-parameters.js: it connects to the database of the user's name then."""
    text = f"postgresql://app:pw@db.example{path}{'' if '?' in path else '?'}dbname=orders"
    assert "write it in the path" in refusal(text).message


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://app:pw@a:1,,b:2/x", "postgresql://app:pw@,a:1/x", "postgresql://app:pw@a:1,/x",
        "postgresql://app:pw@:5432/x", "postgresql://app:pw@a:/x", "postgresql://app:pw@a/x?host=",
        "host=a,,b user=app password=pw", "host=a,b port=,5433 user=app password=pw", "host='' user=app password=pw",
        "Host=a,;Username=app;Password=pw", "Host=;Username=app;Password=pw", "Host=a;Username=;Password=pw",
        "jdbc:postgresql://a,/x?user=app&password=pw", "jdbc:postgresql:///x?user=app&password=pw",
        "host=a user=app password= dbname=x", "Host=a;Username=app;Password=", '{"password": ""}',
    ],
)  # fmt: skip
def test_an_empty_entry_is_refused(value: str) -> None:
    assert refusal(value).field == "value"


ELSEWHERE = ("hostaddr", "service", "servicefile", "passfile", "requirepeer", "sslfactory", "socketFactory", "dsn")


@pytest.mark.parametrize(
    "keyword", [*ELSEWHERE, "authenticationPluginClassName", "oauth_issuer", "scram_client_key", "HOSTADDR"]
)
def test_what_leads_elsewhere_or_loads_code_is_refused_in_each_form(keyword: str) -> None:
    for value in (
        f"{URI}?{keyword}=x",
        f"host=db user=app password=pw {keyword}=x",
        f"Host=db;Username=app;Password=pw;{keyword}=x",
        f"Driver={{PostgreSQL Unicode}};Server=db;Uid=app;Pwd=pw;{keyword}=x",
        f"jdbc:postgresql://db/orders?user=app&password=pw&{keyword}=x",
        f'{{"host": "db", "password": "pw", "{keyword}": "x"}}' if keyword != "dsn" else "a b",
    ):
        refusal(value)


@pytest.mark.parametrize("keyword", ["PGHOST", "PGPORT", "PGDBNAME", "host", "port", "dbname", "USER", "Password"])
def test_a_parameter_of_a_jdbc_url_that_says_the_place_or_is_not_known_is_refused(keyword: str) -> None:
    refusal(f"jdbc:postgresql://db/orders?user=app&password=pw&{keyword}=x")


def test_psqlodbcs_options_for_libpq_are_refused() -> None:
    refusal("Driver={PostgreSQL Unicode};Server=db;Uid=app;Pwd=pw;pqopt={hostaddr=203.0.113.9}")


@pytest.mark.parametrize(
    "option",
    ["dnsSrv", "propertiesTransform", "useConfigs", "socksProxyHost", "password1", "password3", "passwordSha1"],
)
def test_what_drivers_of_mysql_take_for_another_server_or_login_is_refused(option: str) -> None:
    """Connector/J's "Configuration Properties"; mysql2's connection options."""
    refusal(f"jdbc:mysql://db.example/orders?user=app&password=pw&{option}=x")
    refusal(f"mysql://app:pw@db.example/orders?{option}=x")


@pytest.mark.parametrize("option", ["auth", "auth_mechanism"])
def test_another_way_to_log_in_over_amqp_is_refused(option: str) -> None:
    """aiormq reads `auth`, kombu and pika other names for the same."""
    refusal(f"amqps://app:pw@mq.example/orders?{option}=EXTERNAL")


def test_a_semicolon_decides_before_anything_else() -> None:
    for value in ("username=app; password=pw; host=db", "host=db; username=app; password=pw"):
        assert read(SecretValue(value)).name == "ado"
    in_quotes = read(SecretValue("host=db user=app password='p;Host=evil'"))
    assert (in_quotes.name, in_quotes.password.reveal()) == ("key-value", "p;Host=evil")
    refusal("host=db user=app password=p;Host=evil")


def test_what_stands_in_quotes_says_nothing_about_the_form() -> None:
    for password in ("x;Driver=y", "x;Endpoint=y", "tcp:x:1433", "x:3306", "a=tcp:b"):
        value = read(SecretValue(f'Host=db;Username=app;Password="{password}"'))
        assert (value.name, value.password.reveal()) == ("ado", password)


@pytest.mark.parametrize("value", ["Host=db;User=app;Password=pw", "Host=db;dbname=x;Username=app;Password=pw"])
def test_a_keyword_that_npgsql_does_not_know_is_refused(value: str) -> None:
    refusal(value)


@pytest.mark.parametrize("password", ["p%41w", "p+w", "p%zzw", '"pw"', "{pw", "pw}", " pw", "pw "])
def test_a_password_of_odbc_that_is_read_otherwise_than_it_looks_is_refused(password: str) -> None:
    refusal(f"Driver={{PostgreSQL Unicode}};Server=db;Uid=app;Pwd={password};Database=x")


@pytest.mark.parametrize(
    "bad", [" ", "#", "?", "\n", "\t", "\r", "\u00a0", "\u2003", "\ufeff", "@", "/", "%", "[", "]"]
)
def test_what_stands_raw_in_a_password_of_a_uri_and_drivers_read_differently_is_refused(bad: str) -> None:
    told = refusal(f"postgresql://app:p{bad}w@db.example:5432/orders")
    assert told.field == "value"
    if bad in "@/?":
        assert "is a character of the password not encoded?" in told.message


@pytest.mark.parametrize("bad", ["uri", "no-such-format", ""])
def test_a_tag_that_names_no_form_is_told_so(bad: str) -> None:
    assert refusal("just-a-password", bad).field == "format"


@pytest.mark.parametrize(
    "value", ["a\0b", "", "x" * 25_601, "postgresql://u:p%00w@h", "postgresql://u:p%FFw@h", "[" * 3000]
)
def test_what_no_vault_or_driver_holds_is_refused(value: str) -> None:
    assert refusal(value).field == "value"


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://db/x?user=app&password=p+w",  # a blank to SQLAlchemy and pgx, a plus to libpq
        "host=db user=app password=p\\w",  # libpq takes the backslash away, pgx does not
        "host=db user=app password='p\\nw'",
        "host=db user=app password=pw\u00a0",
    ],
)
def test_what_two_drivers_of_one_form_read_differently_is_refused(value: str) -> None:
    assert refusal(value).field == "value"
