"""A process that sweeps at each line on standard input, and tells on standard output what that took."""

import asyncio
import json
import logging
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from app.bootstrap import load_policy
from app.settings import from_environment
from app.wiring import build
from handlers.sweep import sweep
from rotation.errors import NotFound
from tests.proof.load.machine import highest_memory_mib, memory_mib


async def main() -> None:
    """Until the end of standard input."""
    logging.disable(logging.INFO)
    settings = from_environment(os.environ, Path.cwd())
    app = await build(settings, load_policy(settings))
    # The first call loads the SDK and gets a token; that is no matter of how many secrets there are.
    for vault in app.vaults.values():
        with suppress(NotFound):
            await vault.get("nothing")
    before = memory_mib(os.getpid())
    while True:
        print("ready", flush=True)  # noqa: T201  to whoever started this
        if not await asyncio.to_thread(sys.stdin.readline):
            logging.disable()  # the process ends with its session open, as an instance does
            return
        began, cpu = time.monotonic(), time.process_time()
        kept = await sweep(app)
        told = {
            "seconds": time.monotonic() - began,
            "cpu_s": time.process_time() - cpu,
            "kept": len(kept),
            "growth_mib": highest_memory_mib(os.getpid()) - before,
        }
        print(json.dumps(told), flush=True)  # noqa: T201  as above


if __name__ == "__main__":
    asyncio.run(main())
