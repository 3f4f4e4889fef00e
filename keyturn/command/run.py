"""`keyturn run`: start a program with secrets, and hand it each new version."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keyturn import KeyturnError, RotatingSecret
from keyturn.command.bindings import PUBLIC_CLOUD, Binding, Target, WrongBinding, parse_binding, parse_suffix
from keyturn.command.exit_codes import NOT_STARTED
from keyturn.command.masks import mask_lines

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from keyturn.command.supervisor import Response

POLL_S = 10.0
RESTART_JITTER_S = 5.0
RESTART_EVERY_S = 30.0
STOP_S = 10.0
_OUTPUT = 1  # written without a buffer, which would be left over for a reader that went away

EPILOG = """\b
Example:
  keyturn run --env DATABASE_URL=kv-orders/orders-db -- node server.js
\b
Exit codes:
  that of the program, 128+N if signal N ended it; and without the program:
  2    the command line is wrong
  125  a secret can't be read, or not be handed over
  126  the program can't be executed
  127  there is no such program
"""


class _Signal(click.ParamType[signal.Signals]):
    """A signal by its name, with or without SIG."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> signal.Signals:
        text = str(value).upper()
        found = signal.Signals.__members__.get(text if text.startswith("SIG") else f"SIG{text}")
        if found is None or found in {signal.SIGKILL, signal.SIGSTOP}:
            self.fail(f"{value!r} is no signal that a program can answer: write one such as SIGHUP", param, ctx)
        return found


class _Seconds(click.FloatRange):
    name = "seconds"


@click.command(
    "run",
    epilog=EPILOG,
    context_settings={"allow_interspersed_args": False, "show_default": True},
    short_help="Start a program with secrets, and hand it each new version.",
)
@click.option("envs", "--env", multiple=True, metavar="NAME=VAULT/SECRET", help="A secret as an environment variable.")
@click.option(
    "paths", "--file", multiple=True, metavar="PATH=VAULT/SECRET",
    help="A secret as a file, mode 0600, below the private directory that the program finds in $KEYTURN_FILES; "
    "an absolute path is taken as it is. Removed at the end.",
)  # fmt: skip
@click.option(
    "number", "--signal", type=_Signal(), metavar="NAME",
    help="At a new version write the files anew and send the program this signal. A secret in the environment can't "
    "change while the program runs: its new version is a restart all the same.",
)  # fmt: skip
@click.option("restart", "--restart", is_flag=True, help="At a new version restart the program. This is the default.")
@click.option("once", "--once", is_flag=True, help="Read the secrets once and never look again: for jobs in pipelines.")
@click.option("poll_s", "--poll", type=_Seconds(min=1), default=POLL_S, metavar="SECONDS",
              help="How often the vault is read, for each secret.")  # fmt: skip
@click.option("jitter_s", "--jitter", type=_Seconds(min=0), metavar="SECONDS", show_default=False,
              help=f"Wait up to so long before what a new version leads to. [default: {RESTART_JITTER_S:g} for "
              "--restart, 0 for --signal]")  # fmt: skip
@click.option("every_s", "--restart-every", type=_Seconds(min=0), default=RESTART_EVERY_S, metavar="SECONDS",
              help="At most one restart in so long.")  # fmt: skip
@click.option("stop_s", "--stop-within", type=_Seconds(min=0), default=STOP_S, metavar="SECONDS",
              help="For a restart: from SIGTERM to SIGKILL.")  # fmt: skip
@click.option("--vault-suffix", default=PUBLIC_CLOUD, envvar="KEYTURN_VAULT_SUFFIX", metavar="DOMAIN",
              help="What VAULT's address ends in: vault.azure.cn, vault.usgovcloudapi.net. "
              "Or write https://VAULT/secrets/SECRET.")  # fmt: skip
@click.option("masks", "--masks/--no-masks", default=True, help="In a pipeline of Azure DevOps or GitHub, print the "
              "commands that have it hide the values in its logs.")  # fmt: skip
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="-- PROGRAM [ARGUMENT]...")
def command(
    *,
    envs: tuple[str, ...],
    paths: tuple[str, ...],
    number: signal.Signals | None,
    restart: bool,
    once: bool,
    poll_s: float,
    jitter_s: float | None,
    every_s: float,
    stop_s: float,
    vault_suffix: str,
    masks: bool,
    command: tuple[str, ...],
) -> int:
    """Start a program with secrets of Azure Key Vault, and hand it each new version.

    Signals and the exit code are passed on; no shell and no terminal is needed. A program that fails while the vault
    has a newer version than it was given is started once more with that.
    """
    bindings = _bindings(envs, paths, vault_suffix)
    if not command:
        raise click.UsageError("no program: write it after --, such as: keyturn run --env … -- node server.js")
    if sum((number is not None, restart, once)) > 1:
        raise click.UsageError("--signal, --restart and --once exclude each other: take one of them")
    if number is not None and not paths:
        raise click.UsageError(
            "--signal: a running program's environment can't be changed: hand the secret over by --file, or leave "
            "--signal out, so that the program is restarted"
        )
    if jitter_s is None:
        jitter_s = RESTART_JITTER_S if number is None else 0.0

    from keyturn.command.supervisor import Response  # noqa: PLC0415  not for the help

    response = Response(watches=not once, signal=number, jitter_s=jitter_s, restart_every_s=every_s, stop_s=stop_s)
    return _run(command, bindings, response, poll_s=poll_s, masks=masks)


def _bindings(envs: Sequence[str], paths: Sequence[str], suffix: str) -> list[Binding]:
    written = [*((Target.ENV, text) for text in envs), *((Target.FILE, text) for text in paths)]
    if not written:
        raise click.UsageError("no secret: name one by --env NAME=VAULT/SECRET or --file PATH=VAULT/SECRET")
    try:
        suffix = parse_suffix(suffix)
    except WrongBinding as wrong:
        raise click.UsageError(f"--vault-suffix: {wrong}") from None
    bindings: list[Binding] = []
    for target, text in written:
        try:
            made = parse_binding(target, text, suffix)
        except WrongBinding as wrong:
            raise click.UsageError(f"{target.value}: {wrong}") from None
        if any((made.target, made.name) == (other.target, other.name) for other in bindings):
            raise click.UsageError(f"{made}: it is there twice: leave one out")
        if target is Target.FILE and Path(made.name).is_absolute() and not Path(made.name).parent.is_dir():
            raise click.UsageError(f"{made}: there is no directory {Path(made.name).parent}: make it first")
        bindings.append(made)
    return bindings


def _run(command: Sequence[str], bindings: Sequence[Binding], response: Response, *, poll_s: float, masks: bool) -> int:
    if os.name != "posix":
        raise click.UsageError("Windows has no signals to pass on: use Linux, macOS or a container")
    from keyturn.command.child import CantStart  # noqa: PLC0415  as above
    from keyturn.command.files import CantWrite, Files  # noqa: PLC0415  as above
    from keyturn.command.inbox import leave_at_signals  # noqa: PLC0415  as above
    from keyturn.command.supervisor import Supervisor, say  # noqa: PLC0415  as above
    from keyturn.command.watched import LOOK_S, Unreadable, Watched  # noqa: PLC0415  as above

    leave_at_signals()
    names: dict[str, str] = {}
    for one in bindings:
        names[one.reference] = f"{names[one.reference]}, {one}" if one.reference in names else str(one)
    files = Files((one.name for one in bindings if one.target is Target.FILE), os.environ)
    try:
        credential = _credential()
        watched = Watched(
            names, lambda reference: RotatingSecret(reference, credential, wait_s=LOOK_S, refresh_s=poll_s)
        )
        values = watched.read()
        if not files.in_memory and any(one.target is Target.FILE for one in bindings):
            say(f"no file system in memory here: the files are below {files.directory}")
        supervisor = Supervisor(
            command, bindings, watched=watched, files=files, register=_registrar(masks=masks), response=response
        )
        return supervisor.run(values)
    except CantStart as error:
        say(str(error))
        return error.code
    except (KeyturnError, Unreadable, CantWrite) as error:
        say(str(error))
        return NOT_STARTED


def _credential() -> TokenCredential:
    # Their warnings have many lines; the one line that matters is in the error. (A handler keeps them off stderr.)
    for name in ("azure", "msal"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415  imported when used
    except ImportError:
        raise KeyturnError('azure-identity is not installed: pip install "keyturn[cli]"') from None
    return DefaultAzureCredential()


def _registrar(*, masks: bool) -> Callable[[Mapping[str, str]], None]:
    """Prints the masks of values -> a function that takes them."""

    def register(values: Mapping[str, str]) -> None:
        lines = mask_lines(values.values(), os.environ) if masks else []
        told = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")
        with suppress(OSError):  # nobody reads any more: no log either
            while told:
                told = told[os.write(_OUTPUT, told) :]

    return register
