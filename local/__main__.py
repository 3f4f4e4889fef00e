"""`python -m local up` and `python -m local demo`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from local.children import ROOT, DoesNotStart
from local.demo import demo
from local.stack import Stack
from local.up import up


def main(arguments: Sequence[str] | None = None) -> int:
    """0: as it should be. 1: it did not work, and one line says why. 2: the command line is wrong."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "demo":
            with tempfile.TemporaryDirectory(prefix="keyturn-demo-") as data:
                return demo(Stack(Path(data)))
        vaults = options.vault or ["kv-demo"]
        return up(Stack(options.data, policy=options.policy, vaults=vaults, port=options.port), options.ready_file)
    except DoesNotStart as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description="Keyturn on one machine, with no Azure.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="from 'expires soon' to 'rotated and proven', and an end")
    stays = commands.add_parser("up", help="the same stack, left running")
    add = stays.add_argument
    add(
        "--ready-file",
        type=Path,
        metavar="FILE",
        help="written as JSON once the stack serves; it holds keys. Default: ready.json in --data",
    )
    add("--data", type=Path, metavar="DIR", default=ROOT / ".cache" / "stack", help="keeps all state")
    add("--policy", type=_file, metavar="FILE", default=ROOT / "local" / "policy.toml")
    add("--vault", action="append", metavar="NAME", help="repeatable; default kv-demo")
    add("--port", type=int, metavar="N", default=7071, help="of the host; 0: a free one")
    return parser


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text} is not a file")
    return path


if __name__ == "__main__":
    sys.exit(main())
