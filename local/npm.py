"""Packages of npm, as a `package-lock.json` pins them, set up below `.cache` once."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache"


class Missing(Exception):
    """They can't be had here; the message says how to have them."""


def set_up(what: str, pinned: Path, name: str) -> Path:
    """The folder whose `node_modules` holds them; fetched where they are not there yet.

    what: as a message names it. pinned: the folder with package.json and package-lock.json. name: of the folder.

    Raises:
        Missing: no node or npm, or npm can't fetch them.
    """
    if not shutil.which("node") or not shutil.which("npm"):
        raise Missing(f"{what} needs node 20 and npm; on Debian: apt-get install nodejs npm")
    place = CACHE / name
    place.mkdir(parents=True, exist_ok=True)
    with (place / ".lock").open("w") as lock:  # several test processes may come at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (pinned / "package-lock.json").read_bytes()
        done = place / "set-up.json"
        if not done.exists() or done.read_bytes() != wanted:
            for file in ("package.json", "package-lock.json"):
                shutil.copy(pinned / file, place / file)
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
            if subprocess.run(command, cwd=place, stdin=subprocess.DEVNULL, check=False).returncode:
                raise Missing(
                    f"npm could not fetch what {what} needs: see that npm reaches its registry, and try again"
                )
            done.write_bytes(wanted)
    return place
