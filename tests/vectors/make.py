"""Makes strings.json.gz of a folder with corpus.json and readings-DRIVER.json: `python -m tests.vectors.make FOLDER`.

Only the drivers that a form is compared with are taken, and of what they read only hosts, user, password and database.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

from tests.vectors import FILE
from tests.vectors.judge import DRIVERS


def main(folder: Path) -> None:
    """Write the file anew; the same folder gives the same bytes."""
    readings = {
        name: json.loads((folder / f"readings-{name}.json").read_text())["readings"] for name in sorted(DRIVERS)
    }
    strings = [
        {"id": one["id"], "parts": _parts(one), "readings": _known(one["id"], readings)}
        for one in json.loads((folder / "corpus.json").read_text())["strings"]
    ]
    text = json.dumps({"strings": strings}, ensure_ascii=True, separators=(",", ":"))
    FILE.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def _parts(one: Any) -> list[Any]:
    return [[one["text"], 1]] if "text" in one else one["parts"]


def _known(name: str, readings: dict[str, Any]) -> dict[str, Any]:
    return {driver: _reading(of[name]) for driver, of in readings.items() if name in of}


def _reading(raw: Any) -> list[Any] | None:
    if not raw["ok"]:
        return None
    hosts = raw["hosts"]
    # Five thousand times the same host: what is compared is the set of them.
    few = [list(pair) for pair in dict.fromkeys((name, port) for name, port in hosts)]
    return [few, raw["user"], raw["password"], raw["database"]]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
