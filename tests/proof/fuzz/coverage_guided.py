r"""Atheris drives the formats by coverage; a process of its own, since libFuzzer ends the one that it runs in.

`python -m tests.proof.fuzz.coverage_guided --runs 50000 --seed 1`. It prints a failing input; `--replay HEX` runs it.
"""

import argparse
import importlib
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from tests.proof.fuzz.said import PLANTED

MAX_BYTES = 2048
# What the formats are made of; libFuzzer puts these together.
WORDS = (
    "postgresql://", "jdbc:postgresql://", "Driver={PostgreSQL Unicode};", "postgresql+asyncpg://",
    "user:pw@host", ":5432", "/db", "?a=b",
    "&password=", "&user=", "password=", "user=", "host=", "port=", "dbname=", "Pwd=", "Server=tcp:", "AccountKey=",
    "AccountName=", '{"password": "', '"host": "', '"port": 5432', "'", "\\'", "''", "==", "}}", "{", "%25", "%00",
    "[::1]", ";", ",", " " * 64, "\\ud800", "\\u0000", "1e999", "é", PLANTED,
)  # fmt: skip
# One of each, so that libFuzzer need not find out by itself how a connection string begins.
SEEDS = (
    "postgresql://app:PLANTED@db.example:5432,[::1]:5433/orders?sslmode=verify-full",
    "host=db user=app password='PLANTED\\'w' dbname=orders",
    'Host=db,[::1]:5433;Username=app;Password="PLANTED;w";Database=orders',
    "DefaultEndpointsProtocol=https;AccountName=storders;AccountKey=UExBTlRFRA==;EndpointSuffix=core.windows.net",
    "jdbc:postgresql://db:5432/orders?user=app&password=PLANTED%20w",
    "Driver={PostgreSQL Unicode};Server=db;Uid=app;Pwd={PLANTED}}w};Database=orders",
    '{"username": "app", "password": "PLANTED\\u00e9w", "host": "db", "port": 5432, "a": null, "url": "jdbc:postgresql://db/"}',
)


def one(data: bytes, instrumented: AbstractContextManager[Any] | None = None) -> None:
    """The first byte chooses the format; what follows is the text."""
    formats = _formats(instrumented)
    if data:
        formats.check(data[1:].decode("utf-8", errors="ignore"), formats.NAMES[data[0] % len(formats.NAMES)])


def _formats(instrumented: AbstractContextManager[Any] | None = None) -> Any:
    """Loaded late, so that it is loaded with its branches counted."""
    with instrumented or nullcontext():
        return importlib.import_module("tests.proof.fuzz.formats")


def main() -> int:
    """0 where every input held; libFuzzer's own code where one did not."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.fuzz.coverage_guided")
    parser.add_argument("--runs", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replay", metavar="HEX")
    options = parser.parse_args()
    if options.replay is not None:
        one(bytes.fromhex(options.replay))
        return 0
    import atheris  # noqa: PLC0415  there is no wheel of it for every machine

    _formats(atheris.instrument_imports(include=["rotation.formats"]))
    with tempfile.TemporaryDirectory() as folder:
        _fuzz(atheris, Path(folder), one, options.runs, options.seed)
    return 0


def _fuzz(atheris: Any, folder: Path, target: Callable[[bytes], None], runs: int, seed: int) -> None:
    """Ends the process."""
    words = folder / "words"
    lines = ('"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"' for word in WORDS)
    words.write_text("\n".join(lines) + "\n")
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, text in enumerate(SEEDS):
        for name in range(9):
            (corpus / f"{number}-{name}").write_bytes(bytes([name]) + text.replace("PLANTED", PLANTED).encode())
    libfuzzer = [
        f"-runs={runs}", f"-seed={seed}", f"-max_len={MAX_BYTES}", f"-dict={words}", f"-artifact_prefix={folder}/",
        "-timeout=10", "-print_final_stats=1", "-len_control=0",
    ]  # fmt: skip

    def told(data: bytes) -> None:
        try:
            target(data)
        except BaseException:
            sys.stdout.write(
                f"a failing input; again: python -m tests.proof.fuzz.coverage_guided --replay {data.hex()}\n"
            )
            sys.stdout.flush()
            raise

    atheris.Setup([sys.argv[0], *libfuzzer, str(corpus)], told)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
