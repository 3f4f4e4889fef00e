"""`python -m local.azure`: the services as a process of their own. See the package's docstring."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from local.azure import LocalAzure
from local.azure.store import DataInUse
from local.process import stop_asked, write_ready_file
from local.rights import Rights
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
    add("--shown-port", type=int, default=0, metavar="N", help="named to clients where a proxy stands in front")
    add("--rights", type=_present, metavar="FILE", help="what the app's identity may do; default: everything")
    add("--with-stdin", action="store_true", help="stop at the end of standard input too")
    return parser


def _present(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text} is not a file")
    return path


async def _serve(options: argparse.Namespace) -> None:
    stopped = stop_asked(with_stdin=options.with_stdin)
    azure = LocalAzure(
        data=options.data,
        cert=options.cert,
        key=options.key,
        authority=TokenAuthority.from_file(options.signing_key),
        port=options.port,
        shown_port=options.shown_port,
        rights=Rights.from_file(options.rights) if options.rights else None,
    )
    async with azure:
        write_ready_file(options.ready_file, _ready(azure))
        print(f"azure: ready at {azure.plane.url}", flush=True)
        await stopped.wait()
    options.ready_file.unlink(missing_ok=True)


def _ready(azure: LocalAzure) -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "endpoints": {
            "arm": azure.arm_url,
            "graph": azure.graph_url,
            "login": azure.login_url,
            "devops": azure.devops_url,
            "github": azure.github_url,
            "hook": azure.hook_url,
        },
        "control": {"url": azure.control_url, "key": azure.control_key},
    }


if __name__ == "__main__":
    sys.exit(main())
