"""Schedules, and what the timer trigger's own code makes of each; see README.md beside this file.

`python -m tests.vectors.schedules FILE` makes schedules.json.gz anew of a file like the one that README.md describes.
"""

import gzip
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

FILE = Path(__file__).with_name("schedules.json.gz")


@dataclass(frozen=True)
class Judged:
    """One schedule. kind: "cron", "timespan", or None: it is refused. next: after each moment, the next five times."""

    id: str
    topic: str
    text: str
    kind: str | None
    next: Sequence[tuple[datetime, Sequence[datetime]]]


@dataclass(frozen=True)
class Schedules:
    """settings: what %NAME% stood for."""

    settings: Mapping[str, str]
    judged: Sequence[Judged]


def schedules() -> Schedules:
    """All of them, in the order of their ids."""
    raw = json.loads(gzip.decompress(FILE.read_bytes()))
    after = [datetime.fromisoformat(one) for one in raw["after"]]
    judged = [
        Judged(
            one["id"],
            one["topic"],
            "".join(text * times for text, times in one.get("parts") or [(one["text"], 1)]),
            one.get("kind"),
            [
                (moment, [datetime.fromisoformat(time) for time in times])
                for moment, times in zip(after, one.get("next") or (), strict=False)
            ],
        )
        for one in raw["schedules"]
    ]
    return Schedules(raw["settings"], judged)


def main(file: Path) -> None:
    """Write the vectors anew; the same file gives the same bytes."""
    raw = json.loads(file.read_text())
    kept = {name: raw[name] for name in ("judge", "after", "settings", "schedules")}
    text = json.dumps(kept, ensure_ascii=True, separators=(",", ":"))
    FILE.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
