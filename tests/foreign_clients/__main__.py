"""`python -m tests.foreign_clients [CLIENT …]`: clients that others wrote, at the local stand-ins; a line for each."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.npm import Missing
from tests.foreign_clients import az, azure_planes, dotnet, javascript, python
from tests.foreign_clients.place import Place, opened
from tests.foreign_clients.told import Told


def of_dotnet(place: Place) -> Told | None:
    """None: it is not at hand, and may be missing."""
    program = dotnet.found()
    if program is not None:
        return dotnet.run(place, program)
    if dotnet.excused():
        return None
    return Told("dotnet", 0, 1, (dotnet.MISSING,))


AT_ONCE = 2
CLIENTS: dict[str, Callable[[Place], Told | None]] = {
    "python": lambda _place: python.run(),
    "javascript": javascript.run,
    "dotnet": of_dotnet,
    "az": az.run,
    "azure-mgmt-storage": azure_planes.arm,
    "msgraph": azure_planes.graph,
}


def asked(name: str, place: Place) -> Told | None:
    """One client's run; its time goes to standard error."""
    began = time.monotonic()
    try:
        return CLIENTS[name](place)
    except (LookupError, Missing, RuntimeError) as missing:
        return Told(name, 0, 1, (str(missing),))
    finally:
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def main() -> int:
    """0: each client did something, and all of it as on Azure."""
    parser = argparse.ArgumentParser(prog="python -m tests.foreign_clients")
    parser.add_argument("clients", nargs="*", choices=[[], *CLIENTS], metavar="CLIENT", help=f"of {', '.join(CLIENTS)}")
    wanted = parser.parse_args().clients or list(CLIENTS)
    failed = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        opened(Path(folder)) as place,
        ThreadPoolExecutor(AT_ONCE) as executor,  # most of them wait for a vault that takes its time
    ):
        for name, told in zip(wanted, executor.map(lambda name: asked(name, place), wanted), strict=True):
            if told is None:
                print(f"{name}: left out, {dotnet.MISSING}")
            else:
                failed = told.printed() or failed
    return failed


if __name__ == "__main__":
    sys.exit(main())
