"""`keyturn run` as a process, against a vault that speaks TLS."""

from __future__ import annotations

import asyncio
import functools
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from azure.keyvault.secrets.aio import SecretClient

from keyturn.command.files import SHARED_MEMORY
from local.certificates import Certificates
from local.vault import LocalVaults
from tests.integration.vault_fixtures import VAULT
from tests.keyturn.running import ROOT, Run, children_of, gone, is_keyturn, is_there, mode_of, state_of

OLD, NEW, OTHER = "Qx7-before-vTq", "Qx8-after-wRm", "Zk3-of-another-jPd"
QUICK = ("--poll", "1", "--jitter", "0", "--restart-every", "0")
AT_TERM = "ends-at-SIGTERM=0"


@pytest.fixture
def at(vaults: LocalVaults) -> str:
    return f"{vaults.urls[VAULT]}/secrets"


@pytest.fixture
async def run(
    vaults: LocalVaults, certificates: Certificates, client: SecretClient, tmp_path: Path
) -> AsyncIterator[Run]:
    await client.set_secret("db", OLD)
    await client.set_secret("other", OTHER)
    pipelines = {"TF_BUILD", "GITHUB_ACTIONS", "KEYTURN_FILES"}
    kept = {name: value for name, value in os.environ.items() if name not in pipelines}
    environ = {**kept, **vaults.env, "REQUESTS_CA_BUNDLE": str(certificates.ca), "OLD": OLD}
    one = Run(tmp_path / "report.txt", environ)
    yield one
    one.clean_up()


async def test_the_first_values_are_there_at_the_start_and_the_exit_code_is_passed_on(run: Run, at: str) -> None:
    await run.start(
        "--env", f"VALUE={at}/db", "--env", f"OTHER={at}/db", "--file", f"certs/key={at}/other", "--", "ends-at-once=7"
    )
    assert (await run.ends())[0] == 7
    [start] = run.of("start")
    assert (start["value"], start["other"], start["files"]) == (OLD, OLD, {"certs/key": OTHER})


async def test_a_program_finds_no_signal_ignored_because_python_ignores_it(run: Run, at: str) -> None:
    await run.start("--env", f"VALUE={at}/db", program=("grep", "SigIgn", "/proc/self/status"))
    ignored = int((await run.ends())[1].split()[1], 16)
    assert not [number for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTTOU) if ignored >> (number - 1) & 1]


async def test_nothing_is_printed_outside_of_a_pipeline(run: Run, at: str) -> None:
    await run.start("--env", f"VALUE={at}/db", "--", "ends-at-once=0")
    assert await run.ends() == (0, "", "")


async def test_files_are_for_their_owner_alone_in_memory_and_gone_at_the_end(run: Run, at: str, tmp_path: Path) -> None:
    absolute = tmp_path / "password"
    await run.start("--file", f"password={at}/db", "--file", f"{absolute}={at}/other", "--", AT_TERM)
    directory = Path((await run.started())["directory"])
    assert directory.parent == SHARED_MEMORY
    assert mode_of(directory) == 0o700
    assert mode_of(directory / "password") == 0o600
    assert mode_of(absolute) == 0o600
    assert absolute.read_text() == OTHER
    assert (await run.stop())[0] == 0
    assert mode_of(directory) is mode_of(absolute) is None


async def test_a_new_version_restarts_the_program_with_it(run: Run, at: str, client: SecretClient) -> None:
    await run.start("--env", f"VALUE={at}/db", "--file", f"db={at}/db", *QUICK, "--", AT_TERM)
    first = await run.started()
    await client.set_secret("db", NEW)
    second = await run.started(2)
    assert (first["value"], second["value"], second["files"]) == (OLD, NEW, {"db": NEW})
    assert [note["pid"] for note in run.of("SIGTERM")] == [first["pid"]]
    code, out, err = await run.stop()
    assert (code, out) == (0, "")
    assert err == "keyturn run: a new version of --env VALUE, --file db: restart in 0.0 s\n"


async def test_what_does_not_end_is_killed_with_all_that_it_started(run: Run, at: str, client: SecretClient) -> None:
    await run.start("--env", f"VALUE={at}/db", *QUICK, "--stop-within", "0.3", "--", "has-child")
    first = await run.started()
    await run.until(lambda: bool(run.of("child")))
    await client.set_secret("db", NEW)
    second = await run.started(2)
    assert second["value"] == NEW
    assert run.of("SIGTERM"), "asked first"
    assert not is_there(first["pid"])
    assert not is_there(run.of("child")[0]["pid"])


async def test_with_a_signal_the_files_are_new_before_it_comes(run: Run, at: str, client: SecretClient) -> None:
    await run.start("--file", f"db={at}/db", "--signal", "hup", *QUICK, "--", AT_TERM)
    first = await run.started()
    await client.set_secret("db", NEW)
    await run.until(lambda: bool(run.of("SIGHUP")))
    [got] = run.of("SIGHUP")
    assert (got["pid"], got["files"]) == (first["pid"], {"db": NEW})
    await run.stop()
    assert len(run.of("start")) == 1


async def test_a_signal_that_nohup_has_ignored_reaches_the_program_if_it_was_asked_for(
    run: Run, at: str, client: SecretClient
) -> None:
    # A shell can't trap a signal that it finds ignored.
    shell = (
        "sh",
        "-c",
        """trap 'kill $!; exit 0' HUP; sleep 99 & echo '{"event": "start", "pid": '$$'}' > "$REPORT"; wait""",
    )
    options = ("--file", f"db={at}/db", "--signal", "hup", *QUICK)
    await run.start(*options, program=shell, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    await run.started()
    await client.set_secret("db", NEW)
    assert await asyncio.wait_for(run.process.wait(), 60) == 0


async def test_with_a_signal_a_new_version_in_the_environment_is_a_restart(
    run: Run, at: str, client: SecretClient
) -> None:
    options = ("--env", f"VALUE={at}/db", "--file", f"other={at}/other", "--signal", "SIGHUP")
    await run.start(*options, *QUICK, "--", AT_TERM)
    await run.started()
    await client.set_secret("db", NEW)
    assert (await run.started(2))["value"] == NEW
    assert not run.of("SIGHUP")


async def test_restarts_keep_their_distance(run: Run, at: str, client: SecretClient) -> None:
    options = ("--env", f"VALUE={at}/db", "--poll", "1", "--jitter", "0", "--restart-every", "4")
    await run.start(*options, "--", AT_TERM)
    await run.started()
    await client.set_secret("db", NEW)
    await run.started(2)
    await client.set_secret("db", OTHER)
    assert (await run.started(3))["value"] == OTHER
    first, second, third = (note["at"] for note in run.of("start"))
    assert min(second - first, third - second) > 3.5


async def test_once_is_once(run: Run, at: str, vaults: LocalVaults) -> None:
    await run.start("--env", f"VALUE={at}/db", "--once", "--poll", "1", "--", "ends-at-once=3")
    assert (await run.ends())[0] == 3
    assert len([call for call in vaults.calls.records() if call.operation == "get" and call.status == 200]) == 1


@pytest.mark.parametrize("rotated", [True, False])
async def test_a_failure_with_an_old_value_is_tried_again_with_the_new_one_and_no_other_failure_is(
    rotated: bool, run: Run, at: str, client: SecretClient
) -> None:
    """The password died, the program with it, and the next look at the vault is minutes away."""
    environ = {"AFTER_S": "2"}
    await run.start("--env", f"VALUE={at}/db", "--poll", "300", "--", "ends-with-old=5", AT_TERM, environ=environ)
    await run.started()
    if rotated:
        await client.set_secret("db", NEW)
        assert (await run.started(2))["value"] == NEW
        assert "it is started again" in (await run.stop())[2]
    else:
        assert (await run.ends())[0] == 5
        assert len(run.of("start")) == 1


async def test_signals_are_passed_on_once_each(run: Run, at: str) -> None:
    names = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH"]
    await run.start("--env", f"VALUE={at}/db")
    await run.started()
    for name in names:
        run.process.send_signal(getattr(signal, name))
        await run.until(functools.partial(run.of, name))
    await asyncio.sleep(0.3)
    assert [note["event"] for note in run.notes] == ["start", *names]
    run.process.send_signal(signal.SIGALRM)
    assert (await run.ends())[0] == 128 + signal.SIGALRM


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV"])
async def test_an_end_by_a_signal_is_128_and_its_number(name: str, run: Run, at: str) -> None:
    await run.start("--env", f"VALUE={at}/db", "--", f"by-itself={name}")
    assert (await run.ends())[0] == 128 + getattr(signal, name)


async def test_a_signal_to_the_group_reaches_the_program_once(run: Run, at: str) -> None:
    """As a shell's Ctrl-C without a terminal of ours, or a pipeline's agent, sends it."""
    await run.start("--env", f"VALUE={at}/db", "--", "ends-at-SIGUSR1=0", start_new_session=True)
    start = await run.started()
    assert start["group"] == start["pid"], "two signals that come together are noted as one: this can't be"
    os.killpg(run.process.pid, signal.SIGINT)
    await run.until(lambda: bool(run.of("SIGINT")))
    await asyncio.sleep(0.3)
    assert len(run.of("SIGINT")) == 1
    run.process.send_signal(signal.SIGUSR1)
    assert (await run.ends())[0] == 0


async def test_ctrl_c_at_a_terminal_reaches_the_program_once_and_ctrl_z_stops_both(run: Run, at: str) -> None:
    ours, theirs = pty.openpty()
    # A session of its own whose terminal this is, as a terminal's window starts a shell.
    takes_it = (
        "import os, sys, fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    )
    login = (sys.executable, "-c", takes_it)
    await run.start(
        "--env", f"VALUE={at}/db", "--", "ends-at-SIGQUIT=4",
        prefix=login, stdin=theirs, stdout=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    start = await run.started()
    await run.until(lambda: os.tcgetpgrp(ours) == start["group"] == start["pid"])
    os.write(ours, b"\x03")
    await run.until(lambda: bool(run.of("SIGINT")))
    await asyncio.sleep(0.3)
    assert len(run.of("SIGINT")) == 1

    os.write(ours, b"\x1a")  # Ctrl-Z: both stop, so that a shell sees it, and both go on
    await run.until(lambda: state_of(run.process.pid) == state_of(start["pid"]) == "T")
    assert os.tcgetpgrp(ours) == run.process.pid
    run.process.send_signal(signal.SIGCONT)
    await run.until(lambda: "T" not in {state_of(run.process.pid), state_of(start["pid"])})
    await run.until(lambda: os.tcgetpgrp(ours) == start["group"])
    os.write(ours, b"\x1c")
    assert (await run.ends())[0] == 4
    os.close(ours)


async def test_after_sigterm_nothing_is_started_again(run: Run, at: str, client: SecretClient) -> None:
    """While it drains its connections, a new version is no reason to begin anew."""
    await run.start("--env", f"VALUE={at}/db", *QUICK, "--", "ends-at-SIGUSR1=9")
    await run.started()
    run.process.send_signal(signal.SIGTERM)
    await run.until(lambda: bool(run.of("SIGTERM")))
    await client.set_secret("db", NEW)
    await asyncio.sleep(2)
    run.process.send_signal(signal.SIGUSR1)
    assert (await run.ends())[0] == 9
    assert (len(run.of("start")), len(run.of("SIGTERM"))) == (1, 1)


async def test_killed_outright_it_leaves_files_that_the_next_one_removes(run: Run, at: str) -> None:
    nobody = asyncio.subprocess.DEVNULL  # else the program's pipes would keep the end of `keyturn run` from being seen
    await run.start("--file", f"db={at}/db", "--", AT_TERM, stdout=nobody, stderr=nobody)
    start = await run.started()
    directory = Path(start["directory"])
    run.process.kill()
    await run.ends()
    await run.start("--file", f"db={at}/db", "--", "ends-at-once=0")
    await run.ends()
    assert (directory / "db").read_text() == OLD, "the program lives, and reads it"
    os.kill(start["pid"], signal.SIGTERM)
    await gone(start["pid"])
    await run.start("--file", f"db={at}/db", "--", "ends-at-once=0")
    await run.ends()
    assert mode_of(directory) is None


@pytest.fixture
def container() -> tuple[str, ...]:
    """What starts a command as process 1 of a namespace of its own."""
    command = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child")
    if (
        shutil.which(command[0]) is None
        or subprocess.run([*command, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("unshare can't make a process namespace here")
    return command


async def test_as_process_1_it_passes_signals_on_and_leaves_no_zombie(
    run: Run, at: str, container: tuple[str, ...]
) -> None:
    await run.start("--env", f"VALUE={at}/db", "--", "leaves-orphan", "ends-at-SIGTERM=6", prefix=container)
    await run.started()
    await run.until(lambda: bool(run.of("orphan")))
    [first] = children_of(run.process.pid)
    assert is_keyturn(first)
    await run.until(lambda: len(children_of(first)) == 1)
    os.kill(first, signal.SIGTERM)
    assert (await run.ends())[0] == 6


async def test_no_descriptor_is_needed_and_the_program_has_the_usual_ones(run: Run, at: str) -> None:
    closing = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    looking = ("sh", "-c", "for n in 0 1 2; do test -e /proc/$$/fd/$n || exit 9; done; exit 3")
    await run.start("--env", f"VALUE={at}/db", program=looking, prefix=closing)
    assert (await run.ends())[0] == 3


async def test_a_reader_that_went_away_changes_nothing(run: Run, at: str) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    azure = {"TF_BUILD": "True"}
    await run.start("--env", f"VALUE={at}/db", "--", "ends-at-once=3", stdout=writes, stderr=writes, environ=azure)
    os.close(writes)
    assert (await run.ends())[0] == 3


@pytest.mark.parametrize(
    ("name", "told"), [("TF_BUILD", "##vso[task.setsecret]{}\n"), ("GITHUB_ACTIONS", "::add-mask::{}\n")]
)
async def test_a_pipeline_gets_masks_before_the_program_gets_the_values(
    name: str, told: str, run: Run, at: str, client: SecretClient
) -> None:
    await run.start("--env", f"VALUE={at}/db", *QUICK, "--", AT_TERM, environ={name: "true"})
    await run.started()
    assert run.process.stdout is not None
    assert (await run.process.stdout.readline()).decode() == told.format(OLD)
    await client.set_secret("db", NEW)
    await run.started(2)
    assert (await run.stop())[1] == told.format(NEW)


async def test_no_masks_if_somebody_else_reads_the_output(run: Run, at: str) -> None:
    options = ("--env", f"VALUE={at}/db", "--no-masks")
    await run.start(*options, "--", "ends-at-once=0", environ={"TF_BUILD": "True"})
    assert await run.ends() == (0, "", "")


async def test_a_secret_that_cannot_be_read_is_named_and_nothing_is_started(
    run: Run, at: str, client: SecretClient
) -> None:
    await client.update_secret_properties("other", enabled=False)
    await run.start("--env", f"VALUE={at}/db", "--env", f"KEY={at}/none", "--file", f"x={at}/other")
    code, out, err = await run.ends()
    assert (code, out, err.count("\n")) == (125, "", 1)
    assert f"--env KEY: {at}/none: there is no such secret" in err
    assert f"--file x: {at}/other: its latest version is disabled" in err
    assert "VALUE" not in err
    assert not run.notes


async def test_without_a_login_one_line_says_so(run: Run, at: str) -> None:
    nobody = {"IDENTITY_ENDPOINT": "", "IDENTITY_HEADER": "", "AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:9",
              "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential"}  # fmt: skip
    await run.start("--env", f"VALUE={at}/db", environ=nobody)
    code, _, err = await run.ends()
    assert (code, err.count("\n")) == (125, 1)
    assert "no token could be had" in err


async def test_a_program_that_cannot_be_started_is_126_or_127(run: Run, at: str, tmp_path: Path) -> None:
    await run.start("--file", f"x={at}/db", program=("no-such-program-at-all",))
    code, _, err = await run.ends()
    assert (code, err.count("\n")) == (127, 1)
    assert "no-such-program-at-all: there is no such program" in err
    await run.start("--file", f"x={at}/db", program=(str(tmp_path),))
    code, _, err = await run.ends()
    assert (code, err.count("\n")) == (126, 1)


async def test_a_value_that_no_variable_can_have_is_refused_without_showing_it(
    run: Run, at: str, client: SecretClient
) -> None:
    await client.set_secret("db", f"{NEW}\0")
    await run.start("--env", f"VALUE={at}/db")
    code, out, err = await run.ends()
    assert (code, out, err.count("\n")) == (125, "", 1)
    assert "use --file" in err
    assert NEW not in err


def test_the_example_of_the_help_is_understood() -> None:
    """No value and no login: it fails where the vault would be asked, and not before."""
    told = subprocess.run(
        [sys.executable, "-m", "keyturn", "run", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "keyturn run --env DATABASE_URL=kv-orders/orders-db -- node server.js" in told
    assert "125  " in told
