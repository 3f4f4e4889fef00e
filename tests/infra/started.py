"""`python -I -S -B started.py WORKER APP`: indexes an unpacked package and asks for its health.

Nothing of this machine is in reach but Python itself. WORKER holds what Azure's own image brings: the worker library
and its messages. All else must be in the package. Prints as JSON what it found, and how long it took.
"""

import asyncio
import json
import sys
import time
from importlib import import_module
from pathlib import Path

# What only the first rotation loads must be there as well.
LATE = (
    "azure.identity.aio",
    "handlers.sweep",
    "app.wiring",
    "rotation.stores.blob_ledger",
    "rotation.stores.keyvault",
)


def main() -> int:
    worker_folder, app = Path(sys.argv[1]), Path(sys.argv[2])
    # As the worker's start does: the app's packages first, so that they win over the worker's.
    sys.path[:0] = [str(app / ".python_packages/lib/site-packages"), str(worker_folder)]
    from local.host.worker import Worker  # noqa: PLC0415  from WORKER

    started = time.perf_counter()
    worker = Worker(lambda _queue, _bodies: None)
    with asyncio.Runner() as runner:
        runner.run(worker.index(app))
        took = time.perf_counter() - started
        ask = worker.http(method="GET", url="https://localhost/api/health")
        health = runner.run(worker.run(worker.functions["health"], {"req": ask})).http.body
    for late in LATE:
        import_module(late)
    from psycopg import pq  # noqa: PLC0415

    from rotation.rotators import ROTATORS  # noqa: PLC0415

    places = {
        name: str(getattr(module, "__file__", "") or "") for name, module in sys.modules.items() if name != "__main__"
    }
    outside = (str(app), str(worker_folder), sys.base_prefix)
    print(  # noqa: T201  how it answers
        json.dumps(
            {
                "functions": [{"name": one.name, "bindings": list(one.bindings)} for one in worker.functions.values()],
                "health": json.loads(health.bytes or health.string),
                "rotators": sorted(ROTATORS),
                "libpq": pq.__impl__,
                "foreign": sorted(place for place in places.values() if place and not place.startswith(outside)),
                "seconds": round(took, 2),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
