"""How an account logs in, as servers describe it; what they keep of a password."""

import random

import pytest

from rotation.errors import Refused, Unusable
from rotation.formats import read
from rotation.model import SecretValue
from rotation.rotators.databases.database import Endpoint
from rotation.rotators.mysql.account import Described, Unclear, Way, described
from rotation.rotators.mysql.database import MySQLDatabase
from rotation.rotators.mysql.hashes import _sha256_crypt, caching_sha2, ed25519, native
from rotation.rotators.mysql.statements import Name, quoted
from rotation.rotators.postgres.database import PostgresDatabase
from tests.contract.secrets_at_hand import make_spec
from tests.integration.postgres_fixtures import Tokens, make_services

SHA2, NATIVE, ED25519 = "caching_sha2_password", "mysql_native_password", "ed25519"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("CREATE USER `a`@`%`", Described((Way(NATIVE, None),))),
        ("CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '*AB'", Described((Way(NATIVE, "*AB"),))),
        ("CREATE USER `a`@`%` IDENTIFIED VIA ed25519 USING 'Ab+/' ACCOUNT LOCK PASSWORD EXPIRE",
         Described((Way(ED25519, "Ab+/"),), locked=True, expired=True)),
        (("CREATE USER `a`@`%` IDENTIFIED VIA unix_socket OR mysql_native_password USING '*AB' REQUIRE SSL WITH "
         "MAX_CONNECTIONS_PER_HOUR 9 MAX_USER_CONNECTIONS 3 PASSWORD EXPIRE INTERVAL 30 DAY"),
         Described((Way("unix_socket", None), Way(NATIVE, "*AB")), expires_days=30, per_hour=(9,))),
        (("CREATE USER `a`@`%` IDENTIFIED WITH 'caching_sha2_password' AS <secret> REQUIRE NONE "
         "PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK PASSWORD HISTORY DEFAULT PASSWORD REUSE INTERVAL 12 DAY "
         "PASSWORD REQUIRE CURRENT DEFAULT"),
         Described((Way(SHA2, None),))),
        (("CREATE USER `a`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x244124 REQUIRE NONE PASSWORD EXPIRE NEVER "
         "ACCOUNT UNLOCK FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 2"),
         Described((Way(SHA2, "$A$"),), expires_days=0, failures_lock=3)),
        (("CREATE USER `a`@`%` IDENTIFIED WITH 'caching_sha2_password' AS '$A$ IDENTIFIED VIA x '' ACCOUNT LOCK' "
         "REQUIRE ISSUER 'ACCOUNT LOCK' COMMENT 'PASSWORD EXPIRE'"),
         Described((Way(SHA2, "$A$ IDENTIFIED VIA x ' ACCOUNT LOCK"),))),
        ("CREATE USER `o'b``x @ y`@`10.0.0.%` IDENTIFIED WITH 'mysql_native_password'",
         Described((Way(NATIVE, None),))),
    ],
)  # fmt: skip
def test_what_a_server_says_of_an_account_is_understood(statement: str, expected: Described) -> None:
    assert described(statement) == expected


@pytest.mark.parametrize(
    "statement",
    [
        "", "CREATE ROLE `a`", "CREATE USER `a`", "CREATE USER `a`@`%` IDENTIFIED SOMEHOW 'x'",
        "CREATE USER `a`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 'x' AND IDENTIFIED WITH 'other'",
        "CREATE USER `a`@`%` IDENTIFIED WITH 'caching_sha2_password' AS other",
        "CREATE USER `a`@`%` IDENTIFIED BY 'x'", "CREATE USER `a`@`%` IDENTIFIED WITH 'x",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_said(statement: str) -> None:
    with pytest.raises((Unclear, IndexError)):
        described(statement)


def test_hashes_are_those_of_others() -> None:
    """MySQL's manual of `PASSWORD()`; MariaDB's page of ed25519; the test vector of "Unix crypt using SHA-256"."""
    assert native("mypass") == "*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4"
    assert ed25519("secret") == "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY"
    assert _sha256_crypt(b"Hello world!", b"saltstring", 5000) == "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"


def test_a_hash_is_salted_anew_each_time() -> None:
    dice = random.Random(7)
    first, second = caching_sha2("Qz-first-81", dice), caching_sha2("Qz-first-81", dice)
    assert first != second
    assert (first[:7], len(first)) == ("$A$005$", 70)


@pytest.mark.parametrize("user", ["app", "a@b", "o'brien", "back\\slash", ""])
def test_an_account_is_written_as_it_is(user: str) -> None:
    name = Name.of(f"{user}@10.0.0.%")
    assert (name.user, name.host) == (user, "10.0.0.%")
    assert str(name) == f"{quoted(user)}@'10.0.0.%'"
    assert quoted("o'b\\") == "'o''b\\\\'"


def postgres() -> PostgresDatabase:
    return PostgresDatabase(make_services())


def mysql() -> MySQLDatabase:
    return MySQLDatabase(make_services())


@pytest.mark.parametrize(
    "value",
    [
        "mysql://app:pw@db.example/orders", "jdbc:mariadb://db.example/orders?user=app&password=pw",
        "Server=db.example;Port=3306;Uid=app;Pwd=pw", '{"engine": "mysql", "username": "app", "password": "pw"}',
        '{"MARIADB_PASSWORD": "pw", "MARIADB_USER": "app"}',
        '{"username": "app", "password": "pw", "url": "mysql://app:pw@db.example/", "host": "db.example"}',
    ],
)  # fmt: skip
def test_a_value_of_one_database_is_refused_by_the_rotator_of_the_other(value: str) -> None:
    assert mysql().read_login(SecretValue(value), make_spec("mysql")).password.reveal() == "pw"
    with pytest.raises(Unusable, match="of MySQL, and none of PostgreSQL's") as refused:
        postgres().read_login(SecretValue(value), make_spec("postgres"))
    assert refused.value.field == "value"


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://app:pw@db.example/orders", "Host=db.example;Username=app;Password=pw",
        "host=db.example user=app password=pw", '{"engine": "postgres", "username": "app", "password": "pw"}',
    ],
)  # fmt: skip
def test_and_the_other_way_round(value: str) -> None:
    assert postgres().read_login(SecretValue(value), make_spec("postgres")).password.reveal() == "pw"
    with pytest.raises(Unusable, match="of PostgreSQL, and none of MySQL's"):
        mysql().read_login(SecretValue(value), make_spec("mysql"))


@pytest.mark.parametrize("value", ['{"username": "app", "password": "pw", "host": "db.example"}', "pw"])
def test_what_says_nothing_of_a_database_is_of_either(value: str) -> None:
    assert postgres().read_login(SecretValue(value), make_spec("postgres")) is not None
    assert mysql().read_login(SecretValue(value), make_spec("mysql")).login_dbname("app", "") == ""


def test_an_object_with_parts_of_two_databases_is_left_alone() -> None:
    with pytest.raises(Unusable, match="two databases"):
        read(SecretValue('{"engine": "postgres", "MYSQL_PASSWORD": "pw", "username": "app"}'))


async def test_a_token_is_shown_to_azures_servers_of_mysql_alone() -> None:
    database = MySQLDatabase(make_services(Tokens("the-token")))
    azures = Endpoint("orders.mysql.database.azure.com", 3306)
    account = await database.by_identity("keyturn", [azures])
    assert (account.user, account.by_token, account.password.reveal()) == ("keyturn", True, "the-token")
    for host in ("orders.postgres.database.azure.com", "mysql.database.azure.com.evil.example", "localhost"):
        with pytest.raises(Refused, match="not shown"):
            await database.by_identity("keyturn", [azures, Endpoint(host, 3306)])
    with pytest.raises(Refused, match="admin-user"):
        await database.by_identity(None, [azures])
