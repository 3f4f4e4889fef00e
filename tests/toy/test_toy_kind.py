"""A new kind of rotator is a folder of its own, an entry in the map, a harness and a row of rights, and nothing else.

It is added to a copy of the tree as its author would add it; there the commands and suites of every kind run over it.
"""

import filecmp
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
TOY = Path(__file__).parent
GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/rg-toys"
RULE = f"""
[[rule]]
vaults = ["kv-toys"]
secrets = ["*"]
rotators = ["box-key"]
targets = ["{GROUP}/providers/Contoso.Toys/boxes/red", "{GROUP}x/*"]
"""
BUILD = """def _box_key(services: "RotatorDependencies") -> "Rotator":
    from rotation.rotators.boxes import BoxKey  # noqa: PLC0415  imported when used

    return BoxKey(services)


"""
ENTRY = """        "box-key": Kind(
            _box_key,
            changes="of a toy box's two keys, the one that is not in use",
            holders=_LIVES_ON,
            targets=("contoso.toys/boxes",),
            needs_slots=False,
            proves="it is the key that the box lists",
            ends="makes the old key anew",
            rights="the role Keyturn toy boxes",
            tested="a toy",
        ),
    }
)
"""
ROLE = {
    "roleName": "Keyturn toy boxes",
    "description": "Lists and regenerates the keys of toy boxes. Nothing else on them.",
    "actions": ["Contoso.Toys/boxes/listKeys/action", "Contoso.Toys/boxes/regenerateKey/action"],
    "dataActions": [],
}
GRANT = {
    "key": "toy-boxes", "purpose": "the keys of the toy boxes that the policy names", "scope": "target",
    "roleName": "Keyturn toy boxes", "roleId": None, "customRole": "toy-boxes",
    "resourceType": "Contoso.Toys/boxes", "rotators": ["box-key"],
}  # fmt: skip
OWN = {
    "rotation/rotators/__init__.py",
    "rotation/rotators/boxes/__init__.py",
    "rotation/rotators/boxes/troubleshooting.md",
    "tests/contract/harness_boxes.py",
    "infra/roles.json",
}
WRITTEN_BY_A_COMMAND = {"README.md", "docs/rights.md", "docs/rotators.md"}  # python -m tests.docs.kinds


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    """The copy, with the toy. Not among what tests write, where values are looked for: it holds what sources say."""
    with TemporaryDirectory(prefix="keyturn-toy-") as folder:
        yield _with_the_toy(Path(folder) / "tree")


def _with_the_toy(copy: Path) -> Path:
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "node_modules"))
    shutil.copy(ROOT / ".gitignore", copy)  # a test of the pages reads it
    shutil.copytree(TOY / "boxes", copy / "rotation/rotators/boxes", ignore=shutil.ignore_patterns("__pycache__"))
    harness = (TOY / "harness_boxes.py").read_text().replace("tests.toy.boxes", "rotation.rotators.boxes")
    (copy / "tests/contract/harness_boxes.py").write_text(harness)
    kinds = copy / "rotation/rotators/__init__.py"
    text = kinds.read_text()
    head, tail = text.split("_POSTGRES_PORTS = ")
    kinds.write_text(head + BUILD + "_POSTGRES_PORTS = " + tail.removesuffix("    }\n)\n") + ENTRY)
    roles = copy / "infra/roles.json"
    table = json.loads(roles.read_text())
    table["customRoles"]["toy-boxes"] = ROLE
    table["grants"].append(GRANT)
    roles.write_text(json.dumps(table, indent=2) + "\n")
    (copy / "tests/toy").rename(copy.parent / "toy")  # or it would be added once more
    done = ran(copy, "-m", "tests.docs.kinds")
    assert done.returncode == 0, done.stderr
    return copy


def ran(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command in a copy of the tree."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    return subprocess.run(
        [sys.executable, *command], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )


def passing(tree: Path, *chosen: str) -> None:
    """Tests of the copy pass there."""
    done = ran(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *chosen)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_nothing_is_touched_outside_its_own(tree: Path) -> None:
    there = {path.relative_to(tree).as_posix() for path in files(tree)}
    ours = {path.relative_to(ROOT).as_posix() for path in files(ROOT) if TOY not in path.parents}
    changed = {name for name in there & ours if not filecmp.cmp(tree / name, ROOT / name, shallow=False)}
    assert changed | there ^ ours == OWN | WRITTEN_BY_A_COMMAND


def files(root: Path) -> Iterator[Path]:
    """All that is the tree's own."""
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in parts):
            yield path


def test_the_policy_may_name_it(tree: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(RULE)
    done = ran(tree, "-m", "rotation.policy", "check", str(policy))
    assert done.returncode == 0, done.stderr
    policy.write_text(RULE.replace("targets", "# targets"))
    done = ran(tree, "-m", "rotation.policy", "check", str(policy))
    assert done.returncode == 2
    assert "box-key needs `targets`" in done.stdout + done.stderr


def test_its_rights_are_derived(tree: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(RULE)
    done = ran(tree, "-m", "infra.rights", "derive", str(policy))
    assert done.returncode == 0, done.stderr
    derived = json.loads(done.stdout)
    assert derived["grants"] == [
        {"grant": "toy-boxes", "scope": f"{GROUP}/providers/contoso.toys/boxes/red"},
        {"grant": "toy-boxes", "scope": f"{GROUP}x"},
    ]
    assert derived["customRoles"] == ["ledger", "secrets", "toy-boxes"]


def test_the_contract_and_the_crash_suite_run_over_it(tree: Path) -> None:
    passing(tree, "tests/contract/test_rotators.py", "-k", "box-key or left_out")


def test_whatever_lists_kinds_knows_it(tree: Path) -> None:
    docs = ("tests/docs/test_kinds.py", "tests/docs/test_troubleshooting.py", "tests/docs/test_docs.py")
    passing(tree, *docs, "tests/infra/test_rights.py", "tests/unit/test_house.py", "tests/unit/test_policy_check.py")


def test_the_contract_can_fail_for_it(tree: Path) -> None:
    broken = tree.parent / "broken"
    shutil.copytree(tree, broken)
    module = broken / "rotation/rotators/boxes/__init__.py"
    module.write_text(module.read_text().replace("box.keys[slot] = secrets.token_hex(16)\n", "pass\n"))
    done = ran(
        broken, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract/test_rotators.py", "-k", "box-key"
    )
    assert done.returncode == 1
    assert "passed" in done.stdout
