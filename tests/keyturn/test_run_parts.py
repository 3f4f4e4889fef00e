"""The parts of `keyturn run` that need no process, and what it says to a wrong command line."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from keyturn.command import main
from keyturn.command.bindings import Target, parse_binding
from keyturn.command.files import CantWrite, Files, remove_abandoned
from keyturn.command.masks import mask_lines
from tests.keyturn.running import ROOT

ENV = ("--env", "A=kv-orders/orders-db")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((*ENV,), "no program: write it after --"),
        (("--", "true"), "no secret: name one by --env NAME=VAULT/SECRET or --file PATH=VAULT/SECRET"),
        (("--env", "A", "--", "true"), "--env: write a name, = and the secret, such as DATABASE_URL=kv-orders/"),
        (("--env", "A-B=kv-orders/x", "--", "true"), "--env: a variable's name has letters, digits and _ alone"),
        (("--env", "A=kv-orders", "--", "true"), "--env: A: write VAULT/SECRET or https://VAULT/secrets/SECRET"),
        (("--env", "A=postgres://x:Vb5hTq@h/d", "--", "true"), "--env: A: write VAULT/SECRET or https://"),
        (("--env", "A=kv-orders/x y", "--", "true"), "--env: A: this names no secret"),
        (("--env", "A=kv-orders/x/0123", "--", "true"), "--env: A: this names one version"),
        (("--env", "A=http://kv.vault.azure.net/secrets/x", "--", "true"), "--env: A: write VAULT/SECRET or https"),
        ((*ENV, *ENV, "--", "true"), "--env A: it is there twice: leave one out"),
        (("--file", "../x=kv-orders/x", "--", "true"), "--file: write a file's path, without .. in it"),
        (("--file", "/no/such/x=kv-orders/x", "--", "true"), "--file /no/such/x: there is no directory /no/such: make"),
        ((*ENV, "--signal", "HUP", "--", "true"), "--signal: a running program's environment can't be changed: hand"),
        (("--file", "x=kv-orders/x", "--signal", "KILL", "--", "true"), "'--signal': 'KILL' is no signal that a progr"),
        (("--file", "x=kv-orders/x", "--signal", "HUP", "--restart", "--", "true"), "exclude each other: take one"),
        ((*ENV, "--once", "--restart", "--", "true"), "--signal, --restart and --once exclude each other"),
        ((*ENV, "--poll", "0.5", "--", "true"), "'--poll': 0.5 is not in the range"),
        ((*ENV, "--poll", "often", "--", "true"), "'--poll': 'often' is not"),
        ((*ENV, "--vault-suffix", "https://x", "--", "true"), "--vault-suffix: write what comes after the vault's"),
        ((*ENV, "--no-such-option", "--", "true"), "'--no-such-option'"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_names_the_option(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("keyturn run: ")
    assert told in err
    assert err.endswith("(see keyturn run --help)\n")
    assert "Vb5hTq" not in err, "what is right of the = may be a password"


def test_a_wrong_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rum"]) == 2
    assert capsys.readouterr().err.splitlines()[0].startswith("keyturn: No such command 'rum'")


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Start a program with secrets" in capsys.readouterr().err


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("keyturn")


def test_the_help_imports_no_command_and_nothing_of_azure() -> None:
    program = (
        "import sys; from keyturn.command import main; main(['--help']);"
        "print([name for name in sys.modules if name.split('.')[0] in {'azure', 'rich', 'requests', 'aiohttp'}"
        " or name == 'keyturn.command.run'])"
    )
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "[]"


def test_a_reader_of_the_help_that_goes_away_is_no_error() -> None:
    line = f"{sys.executable} -m keyturn run --help; echo $? >&2"
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(["sh", "-c", line], cwd=ROOT, stdout=writes, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writes)
    assert done.stderr == "1\n"


def test_without_click_one_line_says_what_to_install() -> None:
    program = "import sys; sys.modules['click'] = None; from keyturn.command import main; sys.exit(main(['run']))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, 'keyturn: click is not installed: pip install "keyturn[cli]"\n')


@pytest.mark.parametrize(
    ("where", "reference"),
    [
        ("kv-orders/orders-db", "https://kv-orders.vault.azure.cn/secrets/orders-db"),
        ("KV-Orders/orders-db", "https://kv-orders.vault.azure.cn/secrets/orders-db"),
        ("https://kv.vault.azure.net/secrets/orders-db", "https://kv.vault.azure.net/secrets/orders-db"),
    ],
)
def test_a_secret_is_vault_and_name_or_a_whole_address(where: str, reference: str) -> None:
    assert parse_binding(Target.ENV, f"A={where}", "vault.azure.cn").reference == reference


def test_masks_are_for_pipelines_alone() -> None:
    assert mask_lines(["Gk2-mask-me"], {}) == []
    assert mask_lines(["Gk2-mask-me", "Gk2-mask-me"], {"TF_BUILD": "True", "GITHUB_ACTIONS": "true"}) == [
        "##vso[task.setsecret]Gk2-mask-me",
        "::add-mask::Gk2-mask-me",
    ]


def test_a_value_of_several_lines_is_masked_line_by_line() -> None:
    value = "-----BEGIN\r\n\n  MIIEvQ==\n}\n-----END\n"
    assert mask_lines([value], {"GITHUB_ACTIONS": "true"}) == [
        "::add-mask::-----BEGIN", "::add-mask::  MIIEvQ==", "::add-mask::-----END",
    ]  # fmt: skip
    assert mask_lines(["x\n"], {"GITHUB_ACTIONS": "true"}) == ["::add-mask::x"], "the whole of a short value"


def test_masks_are_escaped_as_each_platform_reads_them() -> None:
    """As `ActionCommand.UnescapeData` and the agent's `CommandStringConvertor` undo it."""
    [github] = mask_lines(["a%0Ab%25"], {"GITHUB_ACTIONS": "true"})
    assert github == "::add-mask::a%250Ab%2525"
    plain, escaped = mask_lines(["p%40ss]w;rd", "p%3Bss%40"], {"TF_BUILD": "True"})
    assert plain == "##vso[task.setsecret]p%40ss]w;rd", "read alike whether or not the agent decodes percent signs"
    assert escaped == "##vso[task.setsecret]p%AZP253Bss%AZP2540"


def test_files_go_to_memory_or_else_to_where_temporary_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyturn.command.files.SHARED_MEMORY", tmp_path / "none")
    monkeypatch.setattr("keyturn.command.files._MOUNTS", tmp_path / "mounts")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    environ = {"XDG_RUNTIME_DIR": str(runtime)}
    assert not Files(["x"], environ).in_memory, "no list of mounts: not Linux"
    (tmp_path / "mounts").write_text(f"dev / ext4 rw 0 0\ntmpfs {runtime} tmpfs rw 0 0\n")
    with Files(["x"], environ) as files:
        assert files.in_memory
        assert files.directory.parent == runtime
        assert stat.S_IMODE(files.directory.stat().st_mode) == 0o700
    with Files(["x"], {}) as files:
        assert not files.in_memory
        assert files.directory.parent == tmp_path
    assert list(runtime.iterdir()) == []


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    with Files(["a/b"], {}) as files:
        files.write({"a/b": "Rt1-old"})
        reader = files.path("a/b").open()
        files.write({"a/b": "Rt2-new"})
        assert (reader.read(), files.path("a/b").read_text()) == ("Rt1-old", "Rt2-new")
        reader.close()
        assert [path.name for path in files.path("a").iterdir()] == ["b"]


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with Files([str(tmp_path)], {}) as files, pytest.raises(CantWrite, match=r"--file .*: can't be written: "):
        files.write({str(tmp_path): "Rt1-old"})
    assert list(tmp_path.parent.glob(f".{tmp_path.name}.*")) == []


def test_nothing_of_others_is_removed(tmp_path: Path) -> None:
    (tmp_path / "keyturn-run-held").mkdir()
    (tmp_path / "keyturn-run-left").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "keyturn-run-link").symlink_to(tmp_path / "elsewhere")
    import fcntl  # noqa: PLC0415  Unix alone

    held = os.open(tmp_path / "keyturn-run-held", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    remove_abandoned(tmp_path)
    os.close(held)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "keyturn-run-held", "keyturn-run-link"]
