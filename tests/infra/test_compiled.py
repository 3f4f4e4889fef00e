"""What Azure's own compiler says of infra/: nothing."""

import json
from pathlib import Path

import pytest

from tests.infra import compiled
from tests.infra.az.vaults import vault
from tests.infra.compiled import EXAMPLES, VERSION, Infra
from tests.infra.shell import POLICY, Shell, package


def test_it_compiles_lints_and_previews_without_an_error_or_a_warning() -> None:
    program = compiled.compiler()
    assert program is not None
    assert compiled.version(program) == VERSION, f"CI compiles with {VERSION}"
    assert Infra().findings() == []


def test_what_deploy_sh_passes_as_grants_is_of_the_type_that_is_asked_for(shell: Shell) -> None:
    account = f"{vault('kv-a')['id'].partition('/Microsoft.KeyVault')[0]}/Microsoft.Storage/storageAccounts/storders"
    rule = 'vaults = ["kv-orders-prod"]\nsecrets = ["keys-*"]\nrotators = ["storage-key"]'
    more = f'[[rule]]\n{rule}\ntargets = ["{account}"]\n'
    shell.package = package(shell.package, "aaaaaaaaaaaa", POLICY + more)
    shell.deployed()
    assert [one["scope"] for one in shell.passed("grants")] == [account.lower()]
    told = Infra().told(
        "build-params", "small.bicepparam", BICEP_PARAMETERS_OVERRIDES=json.dumps({"grants": shell.passed("grants")})
    )
    assert (told.code, told.findings) == (0, [])


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_preview_shows_the_same_as_a_run_of_the_compiler_and_its_outputs_in_order(name: str) -> None:
    outputs = list(Infra().snapshot(name)["outputs"])
    assert outputs == sorted(outputs)
    assert outputs == sorted(Infra().template()["outputs"])


def test_the_compiler_that_is_named_is_the_one_that_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "mine"
    named.write_text("#!/bin/sh\necho 'Bicep CLI version 0.1.2 (0)'\n")
    named.chmod(0o755)
    for cached in (compiled.compiler, compiled.version):
        cached.cache_clear()
    monkeypatch.setenv("BICEP", str(named))
    try:
        assert (compiled.compiler(), compiled.version(named)) == (named, "0.1.2")
    finally:
        compiled.compiler.cache_clear()


def test_a_name_of_no_program_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BICEP", "/nowhere/bicep")
    compiled.compiler.cache_clear()
    try:
        with pytest.raises(RuntimeError, match="BICEP is /nowhere/bicep"):
            compiled.compiler()
    finally:
        compiled.compiler.cache_clear()


def test_a_run_that_was_killed_is_no_answer_and_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dies = tmp_path / "dies"
    dies.write_text('#!/bin/sh\n[ "$1" = --version ] && exit 0\necho Terminated >&2\nexit 143\n')
    dies.chmod(0o755)
    monkeypatch.setattr(compiled, "compiler", lambda: dies)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="ended with 143: Terminated"):
            Infra().told("build", "main.bicep")
