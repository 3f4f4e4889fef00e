"""Values of MySQL and MariaDB: SQLAlchemy reads of a URL what is read here, after a new login is written too."""

import pytest
from sqlalchemy import make_url

from rotation.errors import Unusable
from rotation.formats import Host, Value, read
from rotation.model import SecretValue

URLS = (
    "mysql://app:first-Zx1@db.example/orders", "mariadb://app:first-Zx1@db.example:3307/", "mysql://app:first-Zx1@[2001:db8::1]:3306/o",
    "mysql+pymysql://app:p%40s%2Fs%3A%25@db.example:3306/orders?charset=utf8mb4", "mysql+asyncmy://o%27b%C3%A4:first-Zx1@db.example",
)  # fmt: skip
PASSWORDS = ("Plain_Zx2", "p@s/s:w?r#d", "100%", "a+b c", "\u00e4\u20ac", "'\"`\\")


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("password", [None, *PASSWORDS])
def test_sqlalchemy_reads_a_url_as_it_is_read_here(url: str, password: str | None) -> None:
    value = read(SecretValue(url))
    if password is not None:
        value = read(value.with_login(SecretValue(password), "other-user"))
        assert (value.user, value.password.reveal()) == ("other-user", password)
    theirs = make_url(value.text.reveal())
    assert (theirs.username, theirs.password) == (value.user, value.password.reveal())
    assert (Host(theirs.host or "", theirs.port or 3306),) == value.hosts
    assert (theirs.database or None) == value.dbname


def test_a_form_without_a_port_leads_to_mysqls_own() -> None:
    for text in (
        "jdbc:mysql://db.example/o?user=app&password=pw", "Server=db.example;Uid=app;Pwd=pw;Allow User Variables=true",
        '{"engine": "mariadb", "username": "app", "password": "pw", "host": "db.example"}',
    ):  # fmt: skip
        assert taken(text).hosts == (Host("db.example", 3306),)


def taken(text: str, name: str | None = None) -> Value:
    return read(SecretValue(text), name)


@pytest.mark.parametrize(
    "text",
    [
        "mysql://app:pw@db.example/orders?password=other", "mysql://app:pw@db.example/orders?user=other",
        "mysql://app:pw@db.example/orders?host=evil.example", "mysql://app:pw@db.example/orders?unix_socket=/x",
        "mysql://app:pw@db.example/orders?socketPath=/x", "mysql://app:pw@db.example/o?read_default_file=/x",
        "mysql://app:pw@db.example/orders?init_command=x", "mysql://app:pw@db.example/orders?auth_plugin=x",
        "mysql://app:pw@db.example/or%64ers", "mysql://app:pw@/orders", "mysql://db.example/orders",
        "MYSQL://app:pw@db.example/orders", "mysql+pyodbc://app:pw@db.example/orders",
        "jdbc:mysql://app:pw@db.example/o", "jdbc:mysql://db.example/o?user=app&password=p+w",
        "jdbc:mysql://address=(host=db.example)/o?user=app&password=pw", "jdbc:mysql://db.example?user=a&password=b",
        "jdbc:mysql://db.example/o?user=app&password=pw&user=evil", "jdbc:mariadb:loadbalance://a,b/o?user=a&password=b",
        "jdbc:mariadb://db.example/o?user=app&password=pw&localSocket=/x", "jdbc:mysql://db.example/o?user=app",
        "Server=db.example:3307;Port=3306;Uid=app;Pwd=pw", "Server=db.example;Port=3306;Uid=app;Pwd=pw;Pipe=x",
        "Server=db.example;Port=3306;Uid=app;Pwd=pw;Host=evil.example", "Server=db.example;Port=3306;Uid=app",
        "Server=db.example;Port=3306;Uid=app;Pwd=pw;Server Redirection Mode=Required",
        "Port=3306;Uid=app;Pwd=pw;SslCa=x",
    ],
)  # fmt: skip
def test_what_leads_elsewhere_or_is_read_differently_is_left_alone(text: str) -> None:
    with pytest.raises(Unusable):
        taken(text)
    with pytest.raises(Unusable):
        taken(text, "mysql-ado")


def test_a_password_that_jdbcs_drivers_would_read_differently_is_not_written() -> None:
    value = taken("jdbc:mariadb://db.example/o?user=app&password=pw")
    for password in ("p%40w", "p+w", "p&w", "p#w", "p w"):
        with pytest.raises(Unusable):
            value.with_login(SecretValue(password))
    assert value.with_login(SecretValue("Zx3_new-pw")).reveal().endswith("password=Zx3_new-pw")
