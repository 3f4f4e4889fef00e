"""`python -m tests.real_host.answers [NAME …]`: asks the real host what `asked.py` has, and keeps the answers as JSON.

Where our host does otherwise, `DIFFERENCES` says why; a test holds it to all else, and this list to what still differs.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tests.real_host.asked import Asked, deliveries, late, messages, requests
from tests.real_host.host import VERSION, tool
from tests.real_host.player import Player
from tests.real_host.probes import OnOurs, OnTheRealHost

KEPT = Path(__file__).parent / "answers.json"
_PARSER = "aiohttp's parser refuses it before anything of ours sees it, and no client of the app sends it"
_NO_KEY = "on a developer's machine none is asked for, and the one key of `make up` opens all, as scripts rely on"
_WAITS = "a function that is run by hand is waited for, so that a script knows when it is done and how"
_JSON = "Json.NET takes more than JSON; Event Grid sends none of it"
DIFFERENCES = {
    "method get": _PARSER,
    "method NONSENSE": _PARSER,
    "delivery with two content types": _PARSER,
    "by hand, the timer without a key": _NO_KEY,
    "by hand, the timer with a function key": _NO_KEY,
    "the list of functions without a key": _NO_KEY,
    "delivery with the key none": _NO_KEY,
    "delivery with the key {function}": _NO_KEY,
    "by hand, the timer without a body": "scripts run the sweep so; the real host wants {}",
    "by hand, the event function without an event": _WAITS,
    "delivery of a comment in JSON": _JSON,
    "delivery of single quotes": _JSON,
}


def kept() -> dict[str, Any]:
    """What the real host did, by the name of what it was asked."""
    return dict(json.loads(KEPT.read_text(encoding="utf-8"))["answers"])


def asked() -> list[Asked]:
    """Every request and delivery, in its order."""
    return [*requests(), *deliveries(), *late()]


async def of_the_real_host(data: Path, executable: Path, names: Collection[str] = ()) -> dict[str, Any]:
    """Play everything to it, or what is named."""
    return await _played(await asyncio.to_thread(OnTheRealHost, data, executable), names)


async def of_ours(data: Path) -> dict[str, Any]:
    """Play everything to ours."""
    return await _played(await asyncio.to_thread(OnOurs, data))


async def _played(host: OnTheRealHost | OnOurs, names: Collection[str] = ()) -> dict[str, Any]:
    ones = [one for one in asked() if not names or one.name in names]
    try:
        return await Player(host).play(ones, [one for one in messages() if not names or one.name in names])
    finally:
        await asyncio.to_thread(host.close)


def main() -> int:
    """0: kept."""
    executable = tool()
    if executable is None:
        print("there is no Functions host here")
        return 1
    wanted = set(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="keyturn-answers-") as folder:
        found = asyncio.run(of_the_real_host(Path(folder), executable, wanted))
    if wanted:  # the others stay, but for those that nobody asks any more
        known = kept() | found
        names = [*(one.name for one in asked()), *(one.name for one in messages())]
        found = {name: known[name] for name in names if name in known}
    KEPT.write_text(
        json.dumps({"host": VERSION, "answers": found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    print(f"{len(found)} answers kept in {KEPT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
