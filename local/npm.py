"""Programs of node's: fetched below `.cache` the first time that they are used, as their `package-lock.json` says."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path


class Missing(Exception):
    """It can't be had here; the message says how to have it."""


def fetch(here: Path, place: Path, what: str) -> Path:
    """-> `place`, with the packages of the `package.json` and `package-lock.json` that stand in `here`.

    Raises:
        Missing: no node or npm, or npm can't fetch it.
    """
    if not shutil.which("node") or not shutil.which("npm"):
        raise Missing(f"{what} needs node 20 and npm; on Debian: apt-get install nodejs npm")
    place.mkdir(parents=True, exist_ok=True)
    with (place / ".lock").open("w") as lock:  # several test processes may come at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (here / "package-lock.json").read_bytes()
        done = place / "set-up.json"
        if not done.exists() or done.read_bytes() != wanted:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(here / name, place / name)
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
            if subprocess.run(command, cwd=place, stdin=subprocess.DEVNULL, check=False).returncode:
                raise Missing(f"npm could not fetch {what}: see that npm reaches its registry, and try again")
            done.write_bytes(wanted)
    return place
