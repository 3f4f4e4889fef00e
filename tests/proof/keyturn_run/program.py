"""A program that knows nothing of Keyturn: it logs in with what it was given, again and again, and notes each login.

It reads the file that it was given at its start and at SIGHUP; without a file, the variable CONNINFO. One JSON line
in $REPORT for each login: when it ended (`CLOCK_MONOTONIC`, seconds), as whom, and whether it was let in.
"""

import json
import os
import signal
import time
from pathlib import Path

import psycopg

PAUSE_S = 0.02


def conninfo() -> str:
    """What this program was given."""
    directory = os.environ.get("KEYTURN_FILES")
    return Path(directory, "conninfo").read_text() if directory else os.environ["CONNINFO"]


def logs_in(given: str) -> bool:
    """Whether the server lets it in."""
    try:
        with psycopg.connect(given, connect_timeout=30):
            return True
    except psycopg.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise
        return False


def main() -> None:
    """Until SIGTERM."""
    signals: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _frame: signals.append(number))
    with Path(os.environ["REPORT"]).open("a", buffering=1) as report:
        given = conninfo()
        while True:
            if signals:
                signals.clear()
                given = conninfo()
            let_in = logs_in(given)
            user = psycopg.conninfo.conninfo_to_dict(given)["user"]
            report.write(json.dumps({"at": time.monotonic(), "user": user, "let_in": let_in}) + "\n")
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
