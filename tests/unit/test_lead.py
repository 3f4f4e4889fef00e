"""What a follower gets of its leader, for every form in which either may be written."""

from datetime import UTC, datetime, timedelta

import pytest

from handlers.rotate import SOON_S
from rotation.engine.decision import Looked
from rotation.engine.lead import Followed, Follower, Lead
from rotation.errors import Unusable
from rotation.formats import read
from rotation.model import RequestedAccess, Secret, SecretRef, SecretValue
from rotation.rotators.generated import FORMS as MADE_FORMS

REF = SecretRef("kv", "f")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOST = "db.example:5432"
ONE_ROLE = RequestedAccess((HOST,), ("app",), "app")
TWO_ROLES = RequestedAccess((HOST,), ("a", "b"), "a")
GROUP = "/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/rg"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/ordersprod"
TWO_KEYS = RequestedAccess((ACCOUNT,), ("key1", "key2"), None)
MADE = RequestedAccess((), (), None)
URI = "postgresql://app:pw1-long@db.example/orders"
STORAGE = (
    "DefaultEndpointsProtocol=https;AccountName=ordersprod;AccountKey=b2xkLWtleQ==;EndpointSuffix=core.windows.net"
)


def lead(value: str, access: RequestedAccess, form: str | None = None) -> Lead:
    return Lead.of(SecretValue(value), form, access, "v1", None)


def follower(value: str, age: timedelta = timedelta()) -> Follower:
    text = SecretValue(value)
    secret = Secret(REF, "f1", text, {}, None, True, NOW - age, None, NOW)
    return Follower(REF, secret, read(text))


def written(value: str, by: Lead) -> str:
    return follower(value).with_login_of(by).reveal()


@pytest.mark.parametrize(
    ("leads", "access", "old", "new"),
    [
        (URI, ONE_ROLE, "old-password", "pw1-long"),
        (URI, ONE_ROLE, "postgresql://x:y-long-one@db.example:5432/r", "postgresql://app:pw1-long@db.example:5432/r"),
        (URI, ONE_ROLE, "Host=DB.example;Username=app;Password=old", "Host=DB.example;Username=app;Password=pw1-long"),
        ("pw1-long", ONE_ROLE, "postgresql://x:y-long-one@db.example/r", "postgresql://app:pw1-long@db.example/r"),
        ("postgresql://a:pw1-long@db.example/o", TWO_ROLES, "postgresql://b:other-one@db.example/r",
         "postgresql://a:pw1-long@db.example/r"),
        ("bmV3LWtleQ==", TWO_KEYS, STORAGE, STORAGE.replace("b2xkLWtleQ==", "bmV3LWtleQ==")),
        (STORAGE, TWO_KEYS, "bmV3LWtleQ==", "b2xkLWtleQ=="),
        ("key-that-was-made", MADE, "key-of-before", "key-that-was-made"),
        ("abc~8Q.xyz-12", MADE, '{"clientId": "c", "clientSecret": "old~1.x"}',
         '{"clientId": "c", "clientSecret": "abc~8Q.xyz-12"}'),
    ],
)  # fmt: skip
def test_a_follower_gets_the_login_in_its_own_form(leads: str, access: RequestedAccess, old: str, new: str) -> None:
    by = lead(leads, access)
    assert written(old, by) == new
    assert not follower(old).has(by)
    assert follower(new).has(by)
    assert follower(new).objection(by) is None


@pytest.mark.parametrize("form", [*MADE_FORMS, None])
def test_what_is_made_here_leads_in_whichever_of_its_own_forms_the_tag_names(form: str | None) -> None:
    """The tag `format` of `generated` has words of its own, which mean nothing to those who read connection strings."""
    made = "ab" * 32
    by = lead(made, MADE, form)
    assert written("key-of-before", by) == made
    assert follower(made).has(by)


@pytest.mark.parametrize(
    ("leads", "access", "value", "why"),
    [
        (URI, ONE_ROLE, "postgresql://app:old@evil.example/orders", "leads to a host"),
        (URI, ONE_ROLE, "postgresql://app:old@db.example:5433/orders", "leads to a host"),
        (URI, ONE_ROLE, "postgresql://app:old@db.example:5432,evil.example:5432/orders", "leads to a host"),
        (URI, ONE_ROLE, '{"username": "app", "password": "s3cret", "url": "jdbc:postgresql://evil.example/orders"}',
         "leads to a host"),
        (URI, ONE_ROLE, STORAGE, "leads to a host"),
        ("bmV3LWtleQ==", TWO_KEYS, STORAGE.replace("ordersprod", "others"), "leads to a host"),
        ("key-that-was-made", MADE, URI, "leads to a host"),
        ("postgresql://a:pw1-long@db.example/o", TWO_ROLES, "other-one", "names no user, and two roles take turns"),
        (URI, ONE_ROLE, "postgresql://app:old-password@db.example/orders?sslkey=old-password", "another part"),
    ],
)  # fmt: skip
def test_what_can_not_or_may_not_be_written_is_left_alone(
    leads: str, access: RequestedAccess, value: str, why: str
) -> None:
    by = lead(leads, access)
    assert why in (follower(value).objection(by) or "")
    with pytest.raises(Unusable, match=why):
        written(value, by)
    assert Followed(by, found=[follower(value)]).behind() == []


def test_a_follower_of_another_user_with_the_same_password_is_behind() -> None:
    other = follower("postgresql://other:pw1-long@db.example/orders")
    assert Followed(lead(URI, ONE_ROLE), found=[other]).behind() == [other]


def test_a_leader_that_no_form_reads_gives_nothing() -> None:
    with pytest.raises(Unusable):
        lead("mongodb://app:pw@db.example/orders", ONE_ROLE)
    looked = Followed(unread="of no form", found=[follower("old-password")]).seen(Looked(), timedelta(), NOW)
    assert looked.not_past == ("kv/f",)
    assert looked.blocked is not None
    assert "of no form" in looked.blocked.detail


def test_a_follower_is_past_once_its_own_readers_had_their_grace() -> None:
    by, grace = lead(URI, ONE_ROLE), timedelta(hours=72)
    assert not follower(URI, grace - timedelta(seconds=1)).is_past(by, grace)
    assert follower(URI, grace).is_past(by, grace)
    assert not follower("old-password", grace).is_past(by, grace)
    assert not Follower(REF, unread="disabled").is_past(by, timedelta())


def test_whoever_has_the_login_of_a_latest_version_that_is_not_named_yet_is_not_behind() -> None:
    by, spare = lead(URI, ONE_ROLE), lead(URI.replace("pw1", "pw2"), ONE_ROLE)
    found = [follower("pw2-long"), follower("pw3-long"), follower("pw1-long")]
    assert [one.value.password.reveal() for one in Followed(by, spare, found=found).behind() if one.value] == [
        "pw3-long"
    ]


def test_what_may_pass_by_itself_is_left_to_the_sweep_and_not_to_a_message_that_comes_again_and_again() -> None:
    followed = Followed(lead(URI, ONE_ROLE), found=[Follower(REF, unread="no answer", passes=True)])
    blocked = followed.seen(Looked(), timedelta(), NOW).blocked
    assert blocked is not None
    assert blocked.due
    assert blocked.until is not None
    assert blocked.until > NOW + timedelta(seconds=SOON_S)


def test_what_was_to_be_replaced_waits_as_long_as_it_is_there_and_has_another_login() -> None:
    """Of a follower that can't be read nobody knows; where nobody could look, it is taken to wait."""
    behind = follower("postgresql://app:old-password@db.example/r")
    by, was, name = lead(URI, ONE_ROLE), {str(REF): "f1"}, str(REF)
    assert Followed(by, found=[behind]).waits(was)
    assert Followed(found=[behind]).waits(was)
    assert not Followed(by, found=[behind]).waits({name: "f0"})
    assert not Followed(by, found=[follower(URI)]).waits(was), "it needs no other login any more"
    assert not Followed(by, found=[behind]).waits({**was, "kv/gone": "g1"}), "one of two is gone"
    assert Followed(by, found=[Follower(REF, unread="disabled")]).waits(was)
    assert not Followed(by).waits(was)
    assert Followed(failed=True).waits(was)
