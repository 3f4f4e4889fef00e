"""`python -m local.azure`: the services as a process of their own. See the package's docstring."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from local.azure import LocalAzure
from local.azure.store import DataInUse
from local.tokens import TokenAuthority


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Exit code 2: it could not start, and one line said why."""
    options = _parser().parse_args(arguments)
    options.ready_file.unlink(missing_ok=True)  # a stale one would name the key of a process that is gone
    try:
        asyncio.run(_serve(options))
    except (DataInUse, OSError, ValueError) as error:
        print(f"azure: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.azure", description="Azure's planes on loopback.")
    add = parser.add_argument
    add("--data", required=True, type=Path, metavar="DIR", help="where the state is kept")
    add("--cert", required=True, type=_present, metavar="FILE", help="TLS certificate, PEM")
    add("--key", required=True, type=_present, metavar="FILE", help="its key, PEM")
    add("--signing-key", required=True, type=Path, metavar="FILE", help="checks access tokens; made where absent")
    add("--ready-file", required=True, type=Path, metavar="FILE", help="written once it serves")
    add("--port", type=int, default=0, metavar="N", help="0: a free one, last time's where it is free")
    return parser


def _present(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text} is not a file; local.certificates makes one")
    return path


async def _serve(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    azure = LocalAzure(
        data=options.data,
        cert=options.cert,
        key=options.key,
        authority=TokenAuthority.from_file(options.signing_key),
        port=options.port,
    )
    async with azure:
        _write_ready_file(options.ready_file, azure)
        print(f"azure: ready at {azure.plane.url}", flush=True)
        await stopped.wait()
    options.ready_file.unlink(missing_ok=True)


def _write_ready_file(path: Path, azure: LocalAzure) -> None:
    content = {
        "pid": os.getpid(),
        "endpoints": {"arm": azure.arm_url, "graph": azure.graph_url, "login": azure.login_url},
        "control": {"url": azure.control_url, "key": azure.control_key},
    }
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
        json.dump(content, file, indent=1)
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())
