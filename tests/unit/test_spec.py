from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotation.errors import Malformed, Unusable
from rotation.model import SecretRef, Spec
from rotation.spec import (
    checked_name,
    checked_word,
    companion,
    companion_tags,
    due_at,
    effective_lead,
    format_of,
    is_companion,
    leader_of,
    next_tags,
    parse,
)

relaxed = settings(deadline=None, database=None)
NOW = datetime(2026, 11, 24, 3, 25, 17, 123456, tzinfo=UTC)


def parsed(**tags: str) -> Spec:
    spec = parse({"rotator": "postgres", **{name.replace("_", "-"): value for name, value in tags.items()}})
    assert spec is not None
    return spec


# what the tags ask


@pytest.mark.parametrize("tags", [{}, {"owner": "orders"}, {"rotator": ""}, {"rotator": " \t"}, {"validity-days": "x"}])
def test_a_secret_without_a_rotator_tag_is_not_managed(tags: dict[str, str]) -> None:
    assert parse(tags) is None


def test_a_rotator_tag_alone_is_enough_and_the_rest_has_defaults() -> None:
    assert parse({"rotator": "postgres"}) == Spec(
        rotator="postgres",
        validity_days=90,
        lead_days=30,
        grace_hours=72,
        target=None,
        slots=(),
        current_slot=None,
        format=None,
    )


def test_every_tag_is_read_whatever_its_case_and_spaces() -> None:
    tags = {
        " Rotator": " postgres-alternating ",
        "VALIDITY-DAYS": " 60 ",
        "lead-Days ": "0",
        "grace-hours": "8760",
        "Target": " db.example.com ",
        "slots": " orders_a , orders_b ",
        "Slot": "orders_a",
        "format": "jdbc",
        "team": "orders",
    }
    assert parse(tags) == Spec(
        rotator="postgres-alternating",
        validity_days=60,
        lead_days=0,
        grace_hours=8760,
        target="db.example.com",
        slots=("orders_a", "orders_b"),
        current_slot="orders_a",
        format="jdbc",
    )


def test_the_tags_of_microsofts_samples_are_understood_with_their_stray_spaces() -> None:
    spec = parse(
        {"rotator": "storage-key", "ValidityPeriodDays ": " 60", " CredentialId": "key1 ", "ProviderAddress": "/sub/x"}
    )
    assert spec is not None
    assert (spec.validity_days, spec.current_slot, spec.target) == (60, "key1", "/sub/x")


def test_our_own_tag_wins_over_the_samples() -> None:
    spec = parse(
        {
            "rotator": "storage-key",
            "ValidityPeriodDays": "60",
            "validity-days": "45",
            "CredentialId": "key1",
            "slot": "key2",
            "ProviderAddress": "theirs",
            "target": "ours",
        }
    )
    assert spec is not None
    assert (spec.validity_days, spec.current_slot, spec.target) == (45, "key2", "ours")


@pytest.mark.parametrize("tag", ["target", "slot", "format"])
def test_a_blank_text_tag_says_as_little_as_none(tag: str) -> None:
    assert parse({"rotator": "postgres", tag: "  "}) == parse({"rotator": "postgres"})


@pytest.mark.parametrize(
    ("tag", "least", "most"), [("validity-days", 1, 3650), ("lead-days", 0, 3650), ("grace-hours", 0, 8760)]
)
def test_numbers_are_taken_up_to_their_bounds_and_not_beyond(tag: str, least: int, most: int) -> None:
    for inside in (least, most):
        spec = parse({"rotator": "postgres", tag: str(inside)})
        assert spec is not None
        assert getattr(spec, tag.replace("-", "_")) == inside
    for outside in (least - 1, most + 1):
        with pytest.raises(Unusable) as raised:
            parse({"rotator": "postgres", tag: str(outside)})
        assert raised.value.field == tag
        assert f"{least} to {most}" in raised.value.message


@pytest.mark.parametrize(
    "value", ["", " ", "ninety", "90.0", "+90", "-1", "9e1", "1_0", "٩٠", "90 days", "9" * 5000, "90\n90"]
)
def test_what_is_no_whole_number_is_refused_in_one_line_that_names_the_tag(value: str) -> None:
    with pytest.raises(Unusable) as raised:
        parsed(validity_days=value)
    assert raised.value.field == "validity-days"
    assert "validity-days" in raised.value.message
    assert "\n" not in raised.value.message
    assert len(raised.value.message) < 200


def test_a_wrong_sample_tag_is_named_as_the_samples_spell_it() -> None:
    with pytest.raises(Unusable) as raised:
        parse({"rotator": "storage-key", "validityperioddays": "soon"})
    assert raised.value.field == "ValidityPeriodDays"


@pytest.mark.parametrize("value", ["", ",", "a,", ",a", "a,,b", "a, ,b", "a,a", "a, b, a"])
def test_slots_with_blanks_or_repetitions_are_refused(value: str) -> None:
    with pytest.raises(Unusable) as raised:
        parsed(slots=value)
    assert raised.value.field == "slots"


def test_slots_that_differ_in_case_are_two_roles() -> None:
    assert parsed(slots="orders_a,Orders_A").slots == ("orders_a", "Orders_A")


def test_one_tag_in_two_spellings_is_refused_since_nobody_knows_which_was_meant() -> None:
    with pytest.raises(Unusable) as raised:
        parse({"rotator": "postgres", "Rotator ": "postgres"})
    assert raised.value.field == "rotator"


@relaxed
@given(st.dictionaries(st.text(max_size=20) | st.sampled_from(["rotator", "slots", "lead-days"]), st.text(max_size=30)))
def test_any_tags_at_all_are_parsed_or_refused_with_a_field(tags: dict[str, str]) -> None:
    spec = refused = None
    try:
        spec = parse(tags)
    except Unusable as error:
        refused = error
    assert refused is None or (refused.field is not None and refused.message.isprintable())
    assert spec is None or spec.rotator


# when it is due


@pytest.mark.parametrize(
    ("validity", "lead", "days"),
    [("90", "30", 30), ("40", "30", 20), ("7", "30", 3.5), ("90", "0", 0), ("1", "1", 0.5)],
)
def test_the_lead_is_at_most_half_of_the_life(validity: str, lead: str, days: float) -> None:
    assert effective_lead(parsed(validity_days=validity, lead_days=lead)) == timedelta(days=days)


def test_a_version_is_due_the_lead_before_it_expires() -> None:
    expires = NOW + timedelta(days=50)
    assert due_at(parsed(), expires, NOW - timedelta(days=400)) == NOW + timedelta(days=20)


def test_a_version_without_expiry_is_due_as_if_it_had_got_its_life_when_it_was_made() -> None:
    assert due_at(parsed(validity_days="40"), None, NOW) == NOW + timedelta(days=20)


# the next version's tags


def test_the_next_version_keeps_unknown_tags_and_brings_ours_up_to_date() -> None:
    tags = {"rotator": "postgres", "Team ": "orders", "slot": "a", "rotated-at": "x", "rotated-from": "y"}
    before = dict(tags)
    assert next_tags(tags, slot="b", rotated_at=NOW, rotated_from="v1") == {
        "rotator": "postgres",
        "Team ": "orders",
        "slot": "b",
        "rotated-at": "2026-11-24T03:25:17Z",
        "rotated-from": "v1",
    }
    assert tags == before


def test_the_time_of_rotation_is_written_in_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert next_tags({}, slot="b", rotated_at=there, rotated_from="v1")["rotated-at"] == "2026-11-24T03:25:17Z"


def test_our_tags_in_another_spelling_are_replaced_not_doubled() -> None:
    result = next_tags({"rotator": "p", " Slot": "a", "ROTATED-AT": "x"}, slot="b", rotated_at=NOW, rotated_from="v1")
    assert set(result) == {"rotator", "slot", "rotated-at", "rotated-from"}
    spec = parse(result)
    assert spec is not None
    assert spec.current_slot == "b"


def test_credential_id_follows_the_slot_where_it_is_in_use_and_is_not_added_elsewhere() -> None:
    result = next_tags({"credentialid ": "key1"}, slot="key2", rotated_at=NOW, rotated_from="v1")
    assert result["credentialid "] == "key2"
    assert "CredentialId" not in next_tags({}, slot="key2", rotated_at=NOW, rotated_from="v1")


def test_fifteen_tags_fit_and_each_one_more_is_counted_and_named() -> None:
    twelve = {f"t{n}": "x" for n in range(11)} | {"rotator": "postgres"}
    assert len(next_tags(twelve, slot="b", rotated_at=NOW, rotated_from="v1")) == 15
    with pytest.raises(Unusable) as raised:
        next_tags(twelve | {"t11": "x", "t12": "x"}, slot="b", rotated_at=NOW, rotated_from="v1")
    assert raised.value.field == "tags"
    assert "17 tags" in raised.value.message
    assert "drop 2" in raised.value.message
    assert "'t11', 't12'" in raised.value.message
    assert "rotator" not in raised.value.message


def test_one_tag_too_many_is_too_many() -> None:
    with pytest.raises(Unusable, match=r"16 tags .* drop 1 "):
        next_tags({f"t{n}": "x" for n in range(13)}, slot="b", rotated_at=NOW, rotated_from="v1")


@pytest.mark.parametrize("name", ["", "a/b", "a" * 128, "orders.db", "orders\n"])
def test_what_can_be_no_secret_s_name_is_refused_by_its_field(name: str) -> None:
    with pytest.raises(Malformed) as raised:
        checked_name(name)
    assert raised.value.field == "name"


@pytest.mark.parametrize("text", ["", "a b", "a" * 128, "kv\n", "\x7f"])
def test_what_can_be_no_vault_and_no_version_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(Malformed) as raised:
        checked_word(text, "if_version")
    assert raised.value.field == "if_version"
    assert raised.value.message.startswith("if_version has 1 to 127 ")


def test_names_of_one_to_127_characters_are_taken_as_they_are() -> None:
    for name in ("a", "A-1", "z" * 127):
        assert checked_name(name) == name
    for word in ("!", "~", "9" * 127):
        assert checked_word(word, "vault") == word


def test_names_and_values_of_256_characters_fit_and_longer_ones_are_named() -> None:
    assert next_tags({"n" * 256: "v" * 256}, slot="s" * 256, rotated_at=NOW, rotated_from="v1")
    for tags, slot in [({"n" * 257: "v"}, "s"), ({"note": "v" * 257}, "s"), ({}, "s" * 257)]:
        with pytest.raises(Unusable) as raised:
            next_tags(tags, slot=slot, rotated_at=NOW, rotated_from="v1")
        assert raised.value.field == "tags"
        assert "256" in raised.value.message
        assert len(raised.value.message) < 200


@relaxed
@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=12))
def test_rotating_twice_adds_no_further_tags(tags: dict[str, str]) -> None:
    once = next_tags(tags, slot="a", rotated_at=NOW, rotated_from="v1")
    twice = next_tags(once, slot="b", rotated_at=NOW, rotated_from="v2")
    assert set(once) == set(twice)


# companions


def test_a_companion_is_named_after_its_secret() -> None:
    assert companion("orders-db") == "orders-db--staged"
    assert is_companion("orders-db--staged")
    assert is_companion("Orders-DB--STAGED")
    assert not is_companion("orders-db")


def test_a_name_that_leaves_no_room_for_its_companion_is_refused() -> None:
    assert len(companion("n" * 119)) == 127
    with pytest.raises(Unusable) as raised:
        companion("n" * 120)
    assert raised.value.field == "name"
    assert "at most 119" in raised.value.message


def test_a_companion_has_no_companion_so_staged_values_are_never_rotated_themselves() -> None:
    with pytest.raises(Unusable) as raised:
        companion("orders-db--Staged")
    assert raised.value.field == "name"


def test_a_staged_value_tells_for_what_it_stands() -> None:
    assert companion_tags("orders-db", operation_id="op", slot="b") == {
        "staged-for": "orders-db",
        "operation-id": "op",
        "slot": "b",
    }
    assert companion_tags("orders-db", operation_id="op", slot=None) == {
        "staged-for": "orders-db",
        "operation-id": "op",
    }


def test_a_secret_that_follows_another_is_not_managed_by_itself() -> None:
    tags = {"rotator": "postgres", " Follows ": " KV-a/Orders-DB "}
    assert parse(tags) is None
    assert leader_of(tags) == SecretRef("kv-a", "orders-db")
    assert parse({"rotator": "postgres", "follows": " "}) is not None
    assert leader_of({"follows": " "}) is None


@pytest.mark.parametrize(
    "text", ["orders-db", "kv/", "/db", "kv/db/x", "kv db", "kv/d\u212a", "https://kv.vault.azure.net/db"]
)
def test_a_leader_goes_by_vault_and_name(text: str) -> None:
    with pytest.raises(Unusable, match="make it VAULT/SECRET") as raised:
        leader_of({"follows": text})
    assert raised.value.field == "follows"


def test_the_form_of_a_secret_is_read_whether_it_is_managed_or_not() -> None:
    assert format_of({"Format": " plain "}) == format_of({"rotator": "postgres", "format": "plain"}) == "plain"
    assert format_of({"team": "orders"}) is None
