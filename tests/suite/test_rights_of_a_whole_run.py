"""A whole run of tests, over several workers, fails where a right of the table is unused or one is missing."""

from pathlib import Path

import pytest

from tests.suite.nested import run

pytestmark = pytest.mark.thorough

# Each call in a test of its own, so that workers share them; the tests stand in for a stack's two processes.
PLAYED = """
import pytest
from infra.rights.table import load
from local.rights import APP_OID, Right, Rights

TABLE = load()
ACTIONS = sorted({{action for role in TABLE.roles.values() for action in role.actions | role.data_actions}})
ACTIONS += [permission.name for permission in TABLE.graph]
UNUSED, REFUSED, SKIPS = {unused!r}, {refused!r}, {skips!r}

@pytest.mark.parametrize("action", ACTIONS)
def test_call(action):
    if action == SKIPS:
        pytest.skip("no server")
    rights = Rights([Right(one, "/here") for one in ACTIONS if (one, action) != (REFUSED, REFUSED)])
    if action != UNUSED:
        rights.permit({{"oid": APP_OID}}, action, "/here/below")

def test_call_of_somebody_else():
    assert Rights([]).permit({{"oid": "the owner"}}, "Microsoft.KeyVault/vaults/secrets/purge/action", "/here")
"""
UPDATE = "Microsoft.KeyVault/vaults/secrets/update/action"
READ = "Microsoft.KeyVault/vaults/secrets/getSecret/action"


def played(*, unused: str = "", refused: str = "", skips: str = "") -> str:
    return PLAYED.format(unused=unused, refused=refused, skips=skips)


@pytest.mark.parametrize("options", [("-n", "2"), ("-p", "no:cacheprovider")])
def test_a_run_that_uses_every_right_says_so_and_passes(options: tuple[str, ...], tmp_path: Path) -> None:
    ended = run(tmp_path, played(), *options)
    assert (ended.returncode, "that the app is granted were used, and no other" in ended.stdout) == (0, True), ended


def test_a_right_that_no_worker_used_and_a_call_that_was_refused_fail_a_run_whose_tests_passed(tmp_path: Path) -> None:
    ended = run(tmp_path, played(unused=UPDATE, refused=READ), "-n", "2")
    assert (ended.returncode, "failed" in ended.stdout) == (1, False), ended
    assert f"never called for: {UPDATE}" in ended.stdout
    assert f"missing: {READ} on /here/below" in ended.stdout


@pytest.mark.parametrize("part", ["chosen", "skipped"])
def test_a_run_of_a_part_is_not_judged(tmp_path: Path, part: str) -> None:
    chosen = part == "chosen"
    ended = run(tmp_path, played(skips="" if chosen else UPDATE), *(("-k", "secrets") if chosen else ()))
    assert (ended.returncode, "rights: not held against the table" in ended.stdout) == (0, True), ended


@pytest.mark.parametrize("unused", ["", UPDATE])
def test_two_runs_of_a_half_each_are_a_whole_one(tmp_path: Path, unused: str) -> None:
    source = played(unused=unused).replace("def test_call_of", "@pytest.mark.thorough\ndef test_call_of")
    halves = [("-m", "not thorough"), ("-m", "thorough")]
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    first, second = (
        run(folder, source, *half, f"--rights={tmp_path / 'rights'}")
        for folder, half in zip(folders, halves, strict=True)
    )
    assert (first.returncode, "rights: not held against the table" in first.stdout) == (0, True), first
    said = "never called for" if unused else "that the app is granted were used, and no other"
    assert (second.returncode, said in second.stdout) == (int(bool(unused)), True), (first, second)
