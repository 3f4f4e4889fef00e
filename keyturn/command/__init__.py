"""The command line `keyturn`. A file for each command, imported when that command is called.

click comes with the extra `cli`. Azure's packages are imported inside the commands that read something.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line -> its exit code; `keyturn.command.exit_codes` has them all."""
    try:
        from keyturn.command.commands import run_cli  # noqa: PLC0415  the extra may be missing
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.stderr.write('keyturn: click is not installed: pip install "keyturn[cli]"\n')
        return 1
    return run_cli(arguments)
