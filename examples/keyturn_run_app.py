"""A worker in any language, here Python: it gets its connection string as a file, and SIGHUP when that is new.

keyturn run --file orders-db=kv-orders-prod/orders-db --signal SIGHUP -- python examples/keyturn_run_app.py
"""

import os
import signal
import sys
import threading
from pathlib import Path

import psycopg

CONNINFO = Path(os.environ["KEYTURN_FILES"], "orders-db")
EVERY_S = float(os.environ.get("EVERY_S", "1"))

wake = threading.Event()
ends = threading.Event()


def end(_number: int, _frame: object) -> None:
    """SIGTERM: after the query that runs now."""
    ends.set()
    wake.set()


def main() -> None:
    """Log in, work until there is a new version or an end, and so on."""
    signal.signal(signal.SIGHUP, lambda _number, _frame: wake.set())
    signal.signal(signal.SIGTERM, end)
    while not ends.is_set():
        wake.clear()
        # A refused login ends this program. `keyturn run` starts it again if the vault has a newer version.
        with psycopg.connect(CONNINFO.read_text(), autocommit=True) as connection:
            sys.stdout.write(f"logged in as {connection.info.user}\n")
            sys.stdout.flush()
            while not wake.wait(EVERY_S):
                connection.execute("SELECT 1")


if __name__ == "__main__":
    main()
