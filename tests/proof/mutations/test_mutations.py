"""The mutations themselves: that they change what they say, that their names last, and that a missing test is seen."""

import ast
from pathlib import Path

import pytest

from tests.proof.mutations.__main__ import drawn
from tests.proof.mutations.lab import NOTICED, SURVIVED, Bench, Sight
from tests.proof.mutations.listed import Survivors
from tests.proof.mutations.made import MODULES, ROOT, modules, mutations_of

pytestmark = pytest.mark.thorough

SOURCE = """
LIMIT: "int | None" = 3


def due(now: int, then: int | None, *, asked: bool) -> bool:
    if then is not None and now < then and not asked:
        return False
    return LIMIT in (now, 1)
"""


def changes(operator: str) -> list[str]:
    """The line as each mutation of that kind makes it."""
    made = [one for one in mutations_of("m.py", SOURCE) if one.operator == operator]
    return [one.applied(SOURCE).splitlines()[one.number - 1].strip() for one in made]


def test_a_condition_loses_each_of_its_terms() -> None:
    assert changes("DropTerm") == [
        "if now < then and not asked:",
        "if then is not None and not asked:",
        "if then is not None and now < then:",
    ]


def test_statements_limits_and_memberships_change_and_annotations_do_not() -> None:
    assert changes("DropStatement") == ["pass", "pass"]
    assert changes("NumberReplacer")[:2] == ['LIMIT: "int | None" = 4', 'LIMIT: "int | None" = 2']
    assert changes("TurnMembership") == ["return LIMIT not in (now, 1)"]
    assert changes("Lt_LtE") == ["if then is not None and now <= then and not asked:"]
    assert changes("BitOr_BitAnd") == []


def test_a_return_that_changes_nothing_is_left_alone() -> None:
    source = "def f(a):\n    if a:\n        return None\n    return None\n"
    assert [one.number for one in mutations_of("m.py", source) if one.operator == "DropStatement"] == [3]


def test_an_argument_by_name_is_dropped() -> None:
    source = "made = Permit(1, slots=(),\n    days=2,\n)\n"
    made = [one for one in mutations_of("m.py", source) if one.operator == "DropKeyword"]
    assert [ast.unparse(ast.parse(one.applied(source))) for one in made] == [
        "made = Permit(1, days=2)", "made = Permit(1, slots=())",
    ]  # fmt: skip


def test_a_name_outlives_edits_above_it() -> None:
    before = {one.name for one in mutations_of("m.py", SOURCE)}
    assert {one.name for one in mutations_of("m.py", "import re\n\n\n" + SOURCE)} == before
    assert len(before) == len(list(mutations_of("m.py", SOURCE)))


def test_every_concern_has_its_modules_and_one_that_went_away_is_told(tmp_path: Path) -> None:
    found = modules()
    assert "handlers/rotate.py" in found
    for path in found:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert modules(tmp_path) == found
    (tmp_path / next(path for path in found if path.endswith("/spec.py"))).unlink()
    assert "the tags" in MODULES
    with pytest.raises(LookupError, match="the tags"):
        modules(tmp_path)


def test_the_same_seed_draws_the_same_and_another_seed_others() -> None:
    made = list(mutations_of("m.py", SOURCE))
    assert drawn(made, 5, "a") == drawn(made[::-1], 5, "a")
    assert drawn(made, 5, "a") != drawn(made, 5, "b")
    assert len(drawn(made, 10_000, "a")) == len(made)


@pytest.mark.parametrize(
    "entry",
    ['{ operator = "DropTerm", line = "x" }', '{ operator = "DropTerm", line = "x", why = " " }',
     '{ operator = "DropTerm", why = "all of them" }', '{ operator = "DropTerm", lines = "x", line = "x", why = "y" }'],
)  # fmt: skip
def test_an_entry_without_a_place_or_a_reason_is_refused(entry: str, tmp_path: Path) -> None:
    file = tmp_path / "list.toml"
    file.write_text(f'[[module]]\npath = "m.py"\nsurvivors = [{entry}]\n')
    with pytest.raises(ValueError, match=r"m\.py"):
        Survivors(file)


def test_an_entry_covers_what_it_names_and_is_told_once_its_line_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "list.toml"
    line = "if then is not None and now < then and not asked:"
    entry = f'{{ function = "due", operator = "DropTerm", line = "{line}", nth = 2, why = "y" }}'
    file.write_text(f'[[module]]\npath = "m.py"\nsurvivors = [{entry}]\n')
    made = list(mutations_of("m.py", SOURCE))
    assert [(one.operator, one.nth) for one in made if Survivors(file).covers(one)] == [("DropTerm", 2)]
    assert Survivors(file).stale(made) == []
    changed = list(mutations_of("m.py", SOURCE.replace("now < then", "now < then + 1")))
    assert len(Survivors(file).stale(changed)) == 1


def test_the_list_is_sound() -> None:
    made = [one for path in modules() for one in mutations_of(path, (ROOT / path).read_text())]
    assert Survivors().stale(made) == []


@pytest.mark.thorough
def test_a_rule_that_a_test_sees_is_noticed_one_that_none_sees_survives_and_the_tree_stays_as_it_was(
    tmp_path: Path,
) -> None:
    path = "handlers/callers.py"
    source = (ROOT / path).read_text()
    bench = Bench(tmp_path)
    try:
        sight = Sight()
        sight.add(bench.look(["tests/unit/test_callers.py"], [path]))
        mutation = next(one for one in mutations_of(path, source) if one.operator == "AddNot")
        tests = sight.tests_for(mutation, source)
        assert tests
        assert bench.outcome(mutation, mutation.applied(source), tests, 100) == NOTICED
        assert bench.outcome(mutation, mutation.applied(source), ["tests/unit/test_frozen.py"], 100) == SURVIVED
        endless = f"while True:\n    pass\n{source}"
        assert bench.outcome(mutation, endless, tests, 3) == NOTICED
        with pytest.raises(RuntimeError, match="with nothing changed"):
            bench.look(["tests/unit/test_callers.py::test_that_is_not_there"], [path])
        assert (bench.root / path).read_text() == source
    finally:
        bench.close()
    assert (ROOT / path).read_text() == source
