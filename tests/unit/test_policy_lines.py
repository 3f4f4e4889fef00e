from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotation.policy.toml_lines import Lines, Path

relaxed = settings(deadline=None, database=None)

TEXT = '''\
# [[rule]] in a comment is no rule
title = "[[rule]] # in a string"   # nor here
[[rule]]
vaults = ["kv-a"]
secrets = [
    "a-*",  # a comment, with commas, and ] brackets
    # "not-this"

    "b-*", "c-*",
]
note = """
[[rule]]
vaults = "a line inside \\""" a string"""""

  [[ rule ]]
  "vaults" = [ [ "x", "y" ], "z" ]
password.length = 40
tls = \'\'\'
[[rule]]\'\'\'
[rule.window]
opens = 1
[[rule.part]]
name = "first"
[[rule.part]]
'name' = { inner = [1, 2], other = 2 }
[other."quoted \\u006bey"]
last = 1'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("rule", 0), 3),
        (("rule", 0, "vaults"), 4),
        (("rule", 0, "vaults", 0), 4),
        (("rule", 0, "secrets"), 5),
        (("rule", 0, "secrets", 0), 6),
        (("rule", 0, "secrets", 1), 9),
        (("rule", 0, "secrets", 2), 9),
        (("rule", 0, "note"), 11),
        (("rule", 1), 15),
        (("rule", 1, "vaults"), 16),
        (("rule", 1, "vaults", 1), 16),
        (("rule", 1, "password", "length"), 17),
        (("rule", 1, "tls"), 18),
        (("rule", 1, "window"), 20),
        (("rule", 1, "window", "opens"), 21),
        (("rule", 1, "part", 0, "name"), 23),
        (("rule", 1, "part", 1), 24),
        (("rule", 1, "part", 1, "name"), 25),
        (("rule", 1, "part", 1, "name", "inner"), 25),
        (("other", "quoted key"), 26),
        (("other", "quoted key", "last"), 27),
    ],
)
def test_everything_is_found_on_its_line(path: Path, line: int) -> None:
    tomllib.loads(TEXT)
    assert Lines(TEXT).of(path) == line
    assert Lines(TEXT.replace("\n", "\r\n")).of(path) == line


def test_what_is_not_there_is_told_by_what_is_around_it() -> None:
    lines = Lines(TEXT)
    assert lines.of(("rule", 1, "slots", 3)) == 15
    assert lines.of(("rule", 0, "vaults", 7)) == 4
    assert lines.of(("nothing",)) == 1
    assert lines.of(()) == 1
    assert Lines("").of(("rule", 0)) == 1


def test_rules_written_as_one_array_are_found_by_their_elements() -> None:
    lines = Lines('rule = [\n  { vaults = ["a"], slots = [] },\n  { vaults = ["b"] },\n]\n')
    assert lines.of(("rule", 1, "vaults")) == 3


fillers = st.sampled_from(
    [
        "# [[rule]]\n",
        "\n",
        "  \t\n",
        'n{0} = """\n[[rule]]\n"""\n',
        "n{0} = '''\n[[rule]]\nmark = 1'''\n",
        'n{0} = "# \\" [[rule]]"\n',
        "n{0} = [\n  1, # ]\n  [2,\n  3], ']', \n]\n",
        "n{0} = {{ a = '[', b = [\"}}\"] }}\n",
        "n{0} = 1979-05-27T07:32:00Z # mark = 2\n",
        '\t"n\\t{0}" . b = ""\n',
        'n{0} = """""" # """\n',
        "n{0} = ''''a'''''\n",
        "n{0} = '''a'''' # it's [\n",
        'n{0} = """a"""" # say "[\n',
    ]
)


@relaxed
@given(st.lists(st.lists(fillers, max_size=6), min_size=1, max_size=4))
def test_no_string_comment_or_array_leads_the_search_astray(rules: list[list[str]]) -> None:
    text, number = "", 0
    expected: dict[Path, int] = {}
    for index, parts in enumerate(rules):
        expected[("rule", index)] = text.count("\n") + 1
        text += "[[rule]]\n"
        for part in parts:
            number += 1
            text += part.format(number)
        expected[("rule", index, "mark")] = text.count("\n") + 1
        text += "mark = true\n"
    assert len(tomllib.loads(text)["rule"]) == len(rules)
    lines = Lines(text)
    assert {path: lines.of(path) for path in expected} == expected
