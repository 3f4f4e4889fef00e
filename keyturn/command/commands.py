"""Which commands there are, and how each ends: one line on standard error for whatever went wrong."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Mapping, Sequence

import click

from keyturn.command.exit_codes import SIGNAL

# name: the module that has it as `command`, and its line in the help. The line is here so that --help imports none.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("keyturn.command.run", "Start a program with secrets, and hand it each new version."),
}


class _Lazy(click.Group):
    """A command's module is imported when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  as above
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


def _show_version(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:  # noqa: FBT001  click's signature
    if not asked:
        return
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  takes long, and is rarely asked for

    try:
        click.echo(f"keyturn {version('keyturn')}")
    except PackageNotFoundError:
        click.echo("keyturn, from a checkout")
    ctx.exit()


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="The version.")
def cli() -> None:
    """Secrets in Azure Key Vault that Keyturn rotates."""


def run_cli(arguments: Sequence[str] | None) -> int:
    """Run it -> the exit code. Errors are one line each; at a reader that went away click exits with 1."""
    _open_what_is_closed()
    try:
        code = cli.main(arguments, prog_name="keyturn", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        return _refused(error)
    except (click.Abort, KeyboardInterrupt):
        return SIGNAL + signal.SIGINT
    return code if isinstance(code, int) else 0


def _open_what_is_closed() -> None:
    """Else a connection to the vault could get the number of standard output, and be written to."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, and open for a program as well
            os.set_inheritable(descriptor, True)  # noqa: FBT003  its signature


def _refused(error: click.ClickException) -> int:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "keyturn"
    text = " ".join(error.format_message().split()).rstrip(".")
    more = f" (see {path} --help)" if isinstance(error, click.UsageError) else ""
    click.echo(f"{path}: {text}{more}", err=True)
    return error.exit_code
