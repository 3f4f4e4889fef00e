"""A new type of resource with two keys is a row, a row of rights and a rule: no code.

They are added to a copy of the tree, with a row of the stand-in for the tests. There the commands and suites of every
kind run over it.
"""

import filecmp
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.toy.test_toy_kind import GROUP, ROOT, files, passing, ran

pytestmark = pytest.mark.thorough

RULE = f"""
[[rule]]
vaults = ["kv-toys"]
secrets = ["*"]
rotators = ["toy-chest-key"]
targets = ["{GROUP}/providers/Contoso.Toys/chests/red", "{GROUP}x/*"]
"""
ROW = """    Keyed(
        name="toy-chest-key",
        what="toy chest",
        types={"contoso.toys/chests": (CHILD,)},
        api_version="2026-01-01",
        role="the role Keyturn toy chests",
        slots=(Slot("left", "keys.left", "Left"), Slot("right", "keys.right", "Right")),
        regenerate="renew/{slot}",
        switches=(Switch("locked"),),
    ),
"""
KNOWN = """    Row(
        types=("Contoso.Toys/chests",), versions=("2026-01-01",), keys=("Left", "Right"),
        shown=lambda keys: {"keys": {"left": keys["Left"]["value"], "right": keys["Right"]["value"]}},
        anew={"renew/Left": "Left", "renew/Right": "Right"}, off={"locked": True},
    ),
"""
KIND = "Contoso.Toys/chests"
ROLE = {
    "roleName": "Keyturn toy chests",
    "description": "Lists and renews the keys of toy chests. Nothing else on them.",
    "actions": [f"{KIND}/listKeys/action", f"{KIND}/read", f"{KIND}/renew/Left/action", f"{KIND}/renew/Right/action"],
    "dataActions": [],
}
GRANT = {
    "key": "toy-chests", "purpose": "the keys of the toy chests that the policy names", "scope": "target",
    "roleName": "Keyturn toy chests", "roleId": None, "customRole": "toy-chests", "resourceType": KIND,
    "rotators": ["toy-chest-key"],
}  # fmt: skip
OWN = {"rotation/rotators/azure/rows_apps.py", "infra/roles.json", "local/azure/key_rows.py"}
WRITTEN_BY_A_COMMAND = {"README.md", "docs/rights.md", "docs/rotators.md"}  # python -m tests.docs.kinds


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    """The copy, with the row."""
    with TemporaryDirectory(prefix="keyturn-row-") as folder:
        yield _with_the_row(Path(folder) / "tree")


def _with_the_row(copy: Path) -> Path:
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "node_modules"))
    shutil.copy(ROOT / ".gitignore", copy)  # a test of the pages reads it
    _append(copy / "rotation/rotators/azure/rows_apps.py", ROW)
    _append(copy / "local/azure/key_rows.py", KNOWN)
    roles = copy / "infra/roles.json"
    table = json.loads(roles.read_text())
    table["customRoles"]["toy-chests"] = ROLE
    table["grants"].append(GRANT)
    roles.write_text(json.dumps(table, indent=2) + "\n")
    done = ran(copy, "-m", "tests.docs.kinds")
    assert done.returncode == 0, done.stderr
    return copy


def _append(module: Path, row: str) -> None:
    """As the last of the module's rows, which its last parenthesis ends."""
    head, end, tail = module.read_text().rpartition("\n)")
    module.write_text(f"{head}\n{row.rstrip()}{end}{tail}")


def test_nothing_is_touched_outside_its_rows(tree: Path) -> None:
    there = {path.relative_to(tree).as_posix() for path in files(tree)}
    ours = {path.relative_to(ROOT).as_posix() for path in files(ROOT)}
    changed = {name for name in there & ours if not filecmp.cmp(tree / name, ROOT / name, shallow=False)}
    assert changed | there ^ ours == OWN | WRITTEN_BY_A_COMMAND


def test_the_policy_may_name_it_and_its_rights_are_derived(tree: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(RULE)
    done = ran(tree, "-m", "rotation.policy", "check", str(policy))
    assert done.returncode == 0, done.stderr
    done = ran(tree, "-m", "infra.rights", "derive", str(policy))
    assert done.returncode == 0, done.stderr
    derived = json.loads(done.stdout)
    assert derived["grants"] == [
        {"grant": "toy-chests", "scope": f"{GROUP}/providers/contoso.toys/chests/red"},
        {"grant": "toy-chests", "scope": f"{GROUP}x"},
    ]
    assert derived["customRoles"] == ["ledger", "secrets", "toy-chests"]


def test_it_is_listed(tree: Path) -> None:
    told = json.loads(ran(tree, "-m", "rotation.rotators", "--json").stdout)
    [chest] = [one for one in told if one["name"] == "toy-chest-key"]
    assert (chest["slots"], chest["rights"]) == (["left", "right"], "the role Keyturn toy chests")


def test_the_contract_and_the_crash_suite_run_over_it(tree: Path) -> None:
    passing(tree, "tests/contract/test_rotators.py", "-k", "toy-chest-key")
    passing(tree, "tests/integration/test_arm_key.py", "-k", "toy-chest-key or every_row")


def test_whatever_lists_kinds_knows_it(tree: Path) -> None:
    pages = ("tests/docs/test_kinds.py", "tests/docs/test_troubleshooting.py")
    passing(tree, *pages, "tests/infra/test_rights.py", "tests/unit/test_house.py", "tests/unit/test_policy_check.py")
    assert "and 20 [others like them]" in (tree / "README.md").read_text()


def test_the_contract_can_fail_for_it(tree: Path) -> None:
    broken = tree.parent / "broken"
    shutil.copytree(tree, broken)
    module = broken / "rotation/rotators/azure/rows_apps.py"
    module.write_text(module.read_text().replace('"keys.right", "Right"', '"keys.right", "Left"'))
    done = ran(
        broken, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract/test_rotators.py", "-k", "toy-chest-key"
    )
    assert done.returncode == 1
    assert "passed" in done.stdout
