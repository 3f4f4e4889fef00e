"""What a secret of PostgreSQL claims to touch, read from tags and value alone."""

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from rotation.capabilities import ParksPassword
from rotation.errors import Unusable
from rotation.model import Admin, Credential, Endpoints, PasswordRules, RequestedAccess, SecretValue
from rotation.policy.targets import parse_target
from rotation.ports import Rotator, RotatorDependencies
from rotation.rotators import ROTATORS
from rotation.rotators.databases.alternating import Alternating
from rotation.rotators.databases.in_place import InPlace
from rotation.rotators.postgres.database import PostgresDatabase
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec

ID = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-orders"
    "/providers/Microsoft.DBforPostgreSQL/flexibleServers/orders-prod"
)
TWO = ("orders_a", "orders_b")


class NoTokens:
    async def token(self, scope: str) -> SecretValue:
        pytest.fail(f"nobody is asked for a token for {scope}")


async def no_sleep(_seconds: float) -> None:
    pytest.fail("nothing is waited for")


SERVICES = RotatorDependencies(NoTokens(), Endpoints(), lambda: datetime.now(UTC), no_sleep, random.Random(7))
IN_PLACE, ALTERNATING = InPlace(PostgresDatabase(SERVICES)), Alternating(PostgresDatabase(SERVICES))


def access(value: str, *, rotator: Rotator = IN_PLACE, **tags: object) -> RequestedAccess:
    return rotator.requested_access(make_spec("postgres", **tags), make_secret(value))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "targets"),
    [
        ("postgresql://app:secret@db.example.com/orders", ("db.example.com:5432",)),
        ("postgresql://app:secret@DB.Example.com:6432/orders", ("db.example.com:6432",)),
        ("postgresql://app:secret@db1:5432,db2:5433/orders", ("db1:5432", "db2:5433")),
        ("postgresql://app:secret@[2001:DB8:0::7]:5433/orders", ("[2001:db8::7]:5433",)),
        ("postgresql://app:secret@192.0.2.7/orders", ("192.0.2.7:5432",)),
        ("host=db port=5433 user=app password=secret dbname=orders sslmode=disable", ("db:5433",)),
        ("Host=db;Port=5433;Username=app;Password=secret;Database=orders", ("db:5433",)),
        ("jdbc:postgresql://db:5433/orders?user=app&password=secret", ("db:5433",)),
        ('{"host": "db", "port": 5433, "username": "app", "password": "secret"}', ("db:5433",)),
    ],
)
def test_a_value_claims_every_server_that_it_names(value: str, targets: tuple[str, ...]) -> None:
    read = access(value)
    assert read == RequestedAccess(targets, ("app",), "app", read.form, confidential=(SecretValue("secret"),))


@pytest.mark.parametrize(
    ("target", "claimed"),
    [
        ("db", "db:5432"),
        ("DB.example.com:5433", "db.example.com:5433"),
        ("db:5433/orders", "db:5433"),
        ("db/orders", "db:5432"),
        ("[::1]:5433/orders", "[::1]:5433"),
        (ID, ID.lower()),
    ],
)
def test_for_a_bare_password_the_tags_say_it(target: str, claimed: str) -> None:
    assert access("secret", target=target, slots=("app",)) == RequestedAccess(
        (claimed,), ("app",), None, "plain", confidential=(SecretValue("secret"),)
    )
    assert parse_target(claimed).permits(claimed)


def test_the_tag_target_comes_on_top_of_the_values_own_servers() -> None:
    value = "postgresql://app:secret@pooler:6432/orders"
    assert access(value, target="db").targets == ("pooler:6432", "db:5432")
    assert access(value, target=ID).targets == ("pooler:6432", ID.lower())
    assert access(value, target="POOLER:6432").targets == ("pooler:6432",)


@pytest.mark.parametrize(
    "host",
    [
        "%2Fvar%2Frun%2Fpostgresql",
        "%40abstract",
        "d%C3%AB.example.com",
        "db.example%E2%84%AA.com",
        "[fe80::1%25eth0]",
        "[::1::]",
        "db..%20",
        "-db",
    ],
)
def test_a_host_that_is_none_is_told(host: str) -> None:
    with pytest.raises(Unusable) as raised:
        access(f"postgresql://app:secret@{host}/orders")
    assert raised.value.field == "value"


@pytest.mark.parametrize(
    "target",
    [
        "",
        "/var/run/postgresql",
        "postgresql://db",
        "db:0",
        "db:65536",
        "db:5432/",
        "db:5432/a/b",
        "a b",
        "::1",
        "[::1%eth0]",
        "d\N{KELVIN SIGN}",
        ID + "/databases/x",
        ID + "/",
        ID.replace("rg-orders", ".."),
        ID.replace("rg-orders", "a..b"),
        ID.replace("Microsoft.DBforPostgreSQL", "Microsoft.DBforMySQL"),
        ID.replace("orders-prod", "orders_prod"),
        ID.replace("orders-prod", "orders-prod.evil.example"),
        ID.replace("prod", "\N{KELVIN SIGN}prod"),
        ID + "\n",
    ],
)
def test_a_tag_target_that_is_none_is_told(target: str) -> None:
    with pytest.raises(Unusable) as raised:
        access("secret", target=target, slots=("app",))
    assert raised.value.field == "target"


@pytest.mark.parametrize(
    "keyword",
    ["hostaddr=192.0.2.1", "service=other_place", "passfile=/tmp/x", "requirepeer=somebody", "HOSTADDR=192.0.2.1"],
)
def test_what_leads_elsewhere_than_the_host_says_is_told_by_its_keyword(keyword: str) -> None:
    name, text = keyword.split("=")
    for value in (
        f"postgresql://app:secret@db/orders?{keyword}",
        f"host=db user=app password=secret {keyword}",
        f'{{"host": "db", "username": "app", "password": "secret", "{name}": "{text}"}}',
    ):
        with pytest.raises(Unusable, match=f"(?i){name}") as raised:
            access(value)
        assert raised.value.field == "value"
        assert text not in raised.value.message


@pytest.mark.parametrize("query", ["sslmode=disable", "options=-c%20search_path%3Dx", "application_name=x"])
def test_what_is_the_consumers_own_affair_is_left_to_them(query: str) -> None:
    assert access(f"postgresql://app:secret@db/orders?{query}").targets == ("db:5432",)


def test_a_value_without_a_host_asks_for_the_tag_target() -> None:
    for value in ("secret", "postgresql://app:secret@/orders"):
        with pytest.raises(Unusable, match="HOST") as raised:
            access(value, slots=("app",))
        assert raised.value.field == "target"


# roles


def test_the_values_own_role_goes_before_the_tags() -> None:
    value = "postgresql://app:secret@db/orders"
    assert access(value, slots=("other",), current_slot="other").slots == ("app",)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("postgresql://app:secret@db/orders", "uri"),
        ("host=db user=app password=secret", "key-value"),
        ("Host=db;Username=app;Password=secret", "ado"),
        ("jdbc:postgresql://db/orders?user=app&password=secret", "jdbc"),
        ('{"host": "db", "username": "app", "password": "secret"}', "json"),
    ],
)
def test_the_form_in_which_the_value_is_written_is_claimed_by_its_name(value: str, form: str) -> None:
    assert access(value).form == form


def test_a_bare_passwords_role_is_the_one_that_the_tag_slots_names() -> None:
    found = access("secret", target="db", slots=("app",))
    assert (found.slots, found.current_slot) == (("app",), None)
    for slots in ((), TWO):
        with pytest.raises(Unusable) as raised:
            access("secret", target="db", slots=slots, current_slot="orders_b")  # the tag `slot` is believed nowhere
        assert raised.value.field == "slots"


def test_two_roles_take_turns_and_the_value_says_whose_it_is() -> None:
    value = "postgresql://orders_b:secret@db/orders"
    found = access(value, rotator=ALTERNATING, slots=TWO)
    assert (found.targets, found.slots, found.current_slot, found.form) == (("db:5432",), TWO, "orders_b", "uri")


@pytest.mark.parametrize(
    ("value", "slots", "field"),
    [
        ("secret", TWO, "value"),
        ("postgresql://orders_a:secret@db/orders", (), "slots"),
        ("postgresql://orders_a:secret@db/orders", ("orders_a",), "slots"),
        ("postgresql://orders_a:secret@db/orders", ("orders_a", "orders_a"), "slots"),
        ("postgresql://orders_a:secret@db/orders", (*TWO, "orders_c"), "slots"),
        ("postgresql://orders_c:secret@db/orders", TWO, "slots"),
    ],
)
def test_what_does_not_name_two_roles_and_one_of_them_is_told(value: str, slots: tuple[str, ...], field: str) -> None:
    with pytest.raises(Unusable) as raised:
        access(value, rotator=ALTERNATING, target="db", slots=slots)
    assert raised.value.field == field


# drafts


def test_a_draft_changes_the_password_and_nothing_else() -> None:
    before = "postgresql://app:secret@DB.example.com:5432/orders?sslmode=require&application_name=a"
    job = make_job(IN_PLACE, make_spec("postgres"), make_secret(before), "app")
    job = replace(job, password=PasswordRules(length=50))
    draft = IN_PLACE.draft(job)
    assert draft.slot == "app"
    assert draft.value is not None
    password = draft.value.reveal().removeprefix("postgresql://app:").partition("@")[0]
    assert len(password) == 50
    assert draft.value.reveal() == before.replace("secret", password)


@pytest.mark.parametrize(("current", "other"), [TWO, TWO[::-1]])
def test_a_draft_of_two_roles_is_the_other_ones(current: str, other: str) -> None:
    spec = make_spec("postgres-alternating", slots=TWO)
    job = make_job(ALTERNATING, spec, make_secret(f"postgresql://{current}:secret@db/orders"), current)
    draft = ALTERNATING.draft(job)
    assert draft.slot == other
    assert draft.value is not None
    assert draft.value.reveal().startswith(f"postgresql://{other}:")


@pytest.mark.parametrize("admin", [None, Admin("identity")])
def test_of_two_roles_the_retired_one_gets_a_standby_password_where_nobody_else_could_change_it(
    admin: Admin | None,
) -> None:
    spec = make_spec("postgres-alternating", slots=TWO)
    job = make_job(ALTERNATING, spec, make_secret("postgresql://orders_a:secret@db/orders"), "orders_a")
    standby = ALTERNATING.standby(replace(job, admin=admin), "orders_b")
    assert (standby is None) is (admin is not None)
    if standby is not None:
        assert standby.reveal().startswith("postgresql://orders_b:")
        assert standby != ALTERNATING.standby(job, "orders_b")


def test_no_other_kind_of_credential_needs_a_standby_password() -> None:
    built = {name: kind.build(SERVICES) for name, kind in ROTATORS.items()}
    parks = {name for name, rotator in built.items() if isinstance(rotator, ParksPassword)}
    assert parks == {name for name, kind in ROTATORS.items() if kind.takes_turns}


def test_a_bare_passwords_draft_is_a_bare_password() -> None:
    spec = make_spec("postgres", target="db", slots=("app",))
    job = make_job(IN_PLACE, spec, make_secret("secret"), "app")
    draft = IN_PLACE.draft(job)
    assert draft.value is not None
    assert Credential(draft.value, "app").value.reveal().isascii()
    assert len(draft.value.reveal()) == PasswordRules().length


@pytest.mark.parametrize("target", ["127.1", "db.0x7f", "a..b", "-db", "10.0.0.256"])
def test_a_tags_host_is_read_as_strictly_as_a_values(target: str) -> None:
    with pytest.raises(Unusable, match="no host name or address"):
        access("postgresql://app:pw@db.example.com/orders", target=target)
