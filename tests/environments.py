"""Virtual environments for Python packages whose pins are not ours, each made once, below `.cache`."""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache"


def python_of(requirements: Path, *options: str) -> Path:
    """The Python of `.cache/NAME`, which holds what `requirements-NAME.txt` or `.lock` names; made anew at a change.

    options: of `pip install`.

    Raises:
        RuntimeError: pip can't fetch it; the message is what it said.
    """
    name = requirements.stem.removeprefix("requirements-")
    home = CACHE / name
    python, made_of = home / "bin" / "python", home / "made-of.txt"
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / f"{name}.lock").open("w") as lock:  # several test processes may come at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = f"{sys.version}\n{requirements.read_text()}"
        if not made_of.is_file() or made_of.read_text() != wanted:
            shutil.rmtree(home, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            done = subprocess.run(
                [*pip, *options, "--requirement", str(requirements)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(f"pip could not fetch {requirements.name}:\n{done.stderr}")
            made_of.write_text(wanted)
    return python
