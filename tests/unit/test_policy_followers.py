"""Which secrets a rule lets repeat a credential; what `check` refuses of it."""

import pytest

from rotation.errors import Denied
from rotation.model import SecretRef
from rotation.policy import Policy
from rotation.policy.file import check
from rotation.policy.followers import AT_MOST
from rotation.policy.known import known_names

SOUND = """\
[[rule]]
vaults = ["kv-a"]
secrets = ["db"]
rotators = ["postgres"]
targets = ["db.example.com"]
slots = ["orders_a"]
followers = ["kv-a/db-url", "KV-B/DB"]
"""
OTHER = """\
[[rule]]
vaults = ["kv-b"]
secrets = ["other"]
rotators = ["postgres"]
targets = ["db.example.com"]
slots = ["orders_b"]
"""


def policy(text: str) -> Policy:
    found, wrong = check(text, known_names())
    assert wrong == []
    return found


def only(text: str) -> tuple[int, str]:
    (finding,) = check(text, known_names())[1]
    assert finding.message.isprintable()
    return finding.line, finding.message


def test_a_rules_followers_are_those_of_the_secrets_that_it_covers() -> None:
    found = policy(SOUND + OTHER)
    leader = SecretRef("kv-a", "DB")
    assert found.followers_of(leader) == ("kv-a/db-url", "kv-b/db")
    assert found.lets_follow(SecretRef("KV-B", "Db"), leader)
    assert not found.lets_follow(SecretRef("kv-b", "db-url"), leader)
    assert not found.lets_follow(SecretRef("kv-b", "db"), SecretRef("kv-b", "other"))
    assert found.followers_of(SecretRef("kv-b", "other")) == ()


def test_a_follower_is_none_of_the_leaders_that_the_rules_own_patterns_mean() -> None:
    found = policy(SOUND.replace('["db"]', '["db*"]'))
    assert found.covers(SecretRef("kv-a", "db-read"))
    assert not found.covers(SecretRef("kv-a", "DB-url"))


def test_what_is_said_of_a_tag_that_no_rule_bears_out_names_nothing_but_the_secret() -> None:
    told = policy(SOUND).not_a_follower(SecretRef("kv-c", "x"))
    assert isinstance(told, Denied)
    assert told.field == "follows"
    assert "kv-c/x" in told.message
    assert "kv-a" not in told.message


@pytest.mark.parametrize(
    "name", ["db-url", "kv-a/", "/db-url", "kv-a/db-*", "kv-a/db/url", "kv-a.vault.azure.net/db", ""]
)
def test_a_follower_goes_by_its_exact_name(name: str) -> None:
    line, told = only(SOUND.replace("KV-B/DB", name))
    assert (line, f"`followers` {name!a}: a follower goes by its exact name" in told) == (7, True), told


def test_a_list_of_followers_is_not_empty_names_each_once_and_not_too_many() -> None:
    assert "a list that is not empty" in only(SOUND.replace('"kv-a/db-url", "KV-B/DB"', ""))[1]
    assert "names kv-b/db twice" in only(SOUND.replace("kv-a/db-url", "kv-b/Db"))[1]
    many = [f'"kv-a/f{number}"' for number in range(20)]
    assert len(policy(SOUND.replace('"kv-a/db-url"', ", ".join(many[:-1]))).rules[0].terms.followers) == AT_MOST
    told = only(SOUND.replace('"kv-a/db-url"', ", ".join(many)))[1]
    assert told == "`followers` names 21 secrets, and 20 can be written beside one"


def test_no_secret_follows_itself() -> None:
    line, told = only(SOUND.replace("kv-a/db-url", "kv-a/db"))
    assert (line, told.startswith("`followers` 'kv-a/db': the rule's own `secrets` names it")) == (7, True), told


def test_a_follower_that_another_rule_covers_is_told_with_the_remedy() -> None:
    wide = OTHER.replace('"other"', '"d*"')
    line, told = only(SOUND + wide)
    assert (line, told) == (
        7, "`followers` 'kv-b/db': rule 2 covers it, and no follower is a leader; add \"!db\" to that rule's `secrets`"
    )  # fmt: skip
    policy(SOUND + OTHER.replace('"other"', '"d*", "!db"'))


def test_two_that_follow_each_other_are_one_clear_line_each() -> None:
    circle = SOUND + OTHER.replace('"other"', '"db"') + 'followers = ["kv-a/db"]\n'
    told = [finding.message for finding in check(circle, known_names())[1]]
    assert [one.partition(";")[0] for one in told] == [
        "`followers` 'kv-b/db': rule 2 covers it, and no follower is a leader",
        "`followers` 'kv-a/db': rule 1 covers it, and no follower is a leader",
    ]


def test_neither_an_administrators_secret_nor_one_of_staged_values_is_a_follower() -> None:
    told = only(SOUND.replace("kv-a/db-url", "kv-a/pg-admin") + 'admin = "secret:pg-admin"\n')[1]
    assert told.startswith("`followers` 'kv-a/pg-admin': an administrator logs in by this secret")
    assert "staged values are kept under such a name" in only(SOUND.replace("kv-a/db-url", "kv-a/db--staged"))[1]
