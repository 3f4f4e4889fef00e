"""`python -m local.vault`: the vaults as a process of their own. See the package's docstring."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from local.process import stop_asked, write_ready_file
from local.rights import Rights
from local.tokens import TokenAuthority
from local.vault import LocalVaults
from local.vault.database import DataInUse
from local.vault.faults import Fault, parse_fault
from local.vault.limits import Rates
from local.vault.settling import TAKES_S


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Exit code 2: it could not start, and one line said why."""
    options = _parser().parse_args(arguments)
    options.ready_file.unlink(missing_ok=True)  # a stale one would name keys of a process that is gone
    try:
        asyncio.run(_serve(options))
    except (DataInUse, OSError, ValueError) as error:
        print(f"vault: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.vault", description="A Key Vault stand-in on loopback.")
    add = parser.add_argument
    add("--vault", action="append", required=True, type=_vault, metavar="NAME=PORT", help="repeatable; 0: a free port")
    add("--data", required=True, type=Path, metavar="DIR", help="where the state is kept")
    add("--cert", required=True, type=_present, metavar="FILE", help="TLS certificate, PEM")
    add("--key", required=True, type=_present, metavar="FILE", help="its key, PEM")
    add("--signing-key", required=True, type=Path, metavar="FILE", help="signs access tokens; made where absent")
    add("--ready-file", required=True, type=Path, metavar="FILE", help="written once it serves")
    add("--event-endpoint", metavar="URL", help="where events are posted; a control call can set it later")
    add("--clock-offset", type=float, metavar="SECONDS", help="how far the clock is put forward")
    add("--new-version-events", action="store_true", help="raise SecretNewVersionCreated too")
    add("--limits", action="store_true", help="throttle as the service does")
    add("--no-retry-after", action="store_true", help="with --limits: a 429 does not say when to come back")
    add(
        "--settling",
        type=float,
        default=TAKES_S,
        metavar="SECONDS",
        help="deleting, recovering and purging take so long",
    )
    add("--fault", action="append", default=[], type=_fault, metavar="JSON", help="a fault, as in POST /control/faults")
    add("--rights", type=_present, metavar="FILE", help="what the app's identity may do; default: everything")
    add("--with-stdin", action="store_true", help="stop at the end of standard input too")
    return parser


def _vault(text: str) -> tuple[str, int]:
    name, _, port = text.partition("=")
    if not name or not (port or "0").isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PORT")
    return name, int(port or 0)


def _present(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text} is not a file")
    return path


def _fault(text: str) -> Fault:
    try:
        return parse_fault(json.loads(text))
    except (ValueError, TypeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


async def _serve(options: argparse.Namespace) -> None:
    stopped = stop_asked(with_stdin=options.with_stdin)
    vaults = LocalVaults(
        dict(options.vault),
        data=options.data,
        cert=options.cert,
        key=options.key,
        authority=TokenAuthority.from_file(options.signing_key),
        event_endpoint=options.event_endpoint,
        clock_offset_s=options.clock_offset,
        new_version_events=options.new_version_events,
        rights=Rights.from_file(options.rights) if options.rights else None,
        settling_s=options.settling,
    )
    for fault in options.fault:
        vaults.faults.add(fault)
    if options.limits:
        vaults.limits.set(Rates(retry_after=not options.no_retry_after))
    async with vaults:
        write_ready_file(options.ready_file, _ready(vaults))
        print("vault: ready at " + ", ".join(f"{name} {url}" for name, url in vaults.urls.items()), flush=True)
        await stopped.wait()
    options.ready_file.unlink(missing_ok=True)


def _ready(vaults: LocalVaults) -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "vaults": vaults.urls,
        "env": vaults.env,
        "control": {"url": vaults.control_url, "key": vaults.control_key},
    }


if __name__ == "__main__":
    sys.exit(main())
