"""An application with 32 clients that log in through the library without pause, as a process of its own.

`python -m tests.proof.consumers.application threads REFERENCE…`, also `asyncio`, and `once`: the bug on purpose, which
reads a refused secret once more and takes what it finds. It prints a line once it knows each value, ends with its
standard input, and prints what it saw.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg
from azure.identity import ManagedIdentityCredential
from azure.identity.aio import ManagedIdentityCredential as AsyncManagedIdentityCredential

from keyturn import AsyncRotatingSecret, RotatingSecret
from keyturn.held import Version
from keyturn.logins import refused_by_postgres
from keyturn.psycopg import async_connection_class, connection_class
from keyturn.reference import parse
from keyturn.vault import AsyncSdkReader, SdkReader

CLIENTS = 32
PAUSES_S = (1.0, 3.0)  # between two logins of a client; so that the machine has time for the rotations


@dataclass(slots=True)
class Seen:
    """Of one application. failed: how often, by what was raised. longest_s: of an operation. reads: of the vault."""

    operations: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    reads: int = 0

    def note(self, took_s: float, error: Exception | None) -> None:
        self.operations += 1
        self.longest_s = max(self.longest_s, took_s)
        if error is not None:
            self.failed[f"{type(error).__name__}: {error}"] += 1


class CountingReader(SdkReader):
    """Counts the reads of values; the challenge before the first one is no read."""

    seen: Seen

    def latest(self) -> Version:
        self.seen.reads += 1
        return super().latest()


class AsyncCountingReader(AsyncSdkReader):
    """As `CountingReader`."""

    seen: Seen

    async def latest(self) -> Version:
        self.seen.reads += 1
        return await super().latest()


def by_threads(references: Sequence[str], seen: Seen, make: Callable[[RotatingSecret], Callable[[], object]]) -> None:
    """Until the standard input ends. make: how one logs in and runs a statement, of a secret."""
    with ManagedIdentityCredential() as credential:

        def secret(reference: str) -> RotatingSecret:
            def reader() -> SdkReader:
                made = CountingReader(parse(reference), credential)
                made.seen = seen
                return made

            return RotatingSecret(reference, reader=reader)

        secrets = [secret(reference) for reference in references]
        operations = [make(one) for one in secrets]
        over, lock = threading.Event(), threading.Lock()

        def go_on(number: int) -> None:
            rng = random.Random(number)
            while not over.wait(rng.uniform(*PAUSES_S)):
                began, failed = time.monotonic(), None
                try:
                    rng.choice(operations)()
                except Exception as error:  # noqa: BLE001  whatever it is, it is what an application would notice
                    failed = error
                with lock:
                    seen.note(time.monotonic() - began, failed)

        threads = [threading.Thread(target=go_on, args=[number]) for number in range(CLIENTS)]
        for one in secrets:
            _ = one.value
        _ready()
        for thread in threads:
            thread.start()
        sys.stdin.read()
        over.set()
        for thread in threads:
            thread.join()
        for one in secrets:
            one.close()


def through_the_library(secret: RotatingSecret) -> Callable[[], object]:
    kind = connection_class(secret)

    def operation() -> None:
        with kind.connect(connect_timeout=10) as connection:
            connection.execute("SELECT 1")

    return operation


def refreshing_once(secret: RotatingSecret) -> Callable[[], object]:
    """What many applications do. The lock gives it single flight, so that it differs by the waiting alone."""
    lock, known = threading.Lock(), [secret.value]

    def connect(value: str) -> None:
        with psycopg.connect(value, connect_timeout=10) as connection:
            connection.execute("SELECT 1")

    def operation() -> None:
        value = known[0]
        try:
            connect(value)
        except psycopg.OperationalError as error:
            if not refused_by_postgres(error):
                raise
        else:
            return
        with lock:
            if known[0] == value:
                known[0] = secret._read().value.reveal()
        connect(known[0])

    return operation


async def by_tasks(references: Sequence[str], seen: Seen) -> None:
    """Until the standard input ends."""
    async with AsyncManagedIdentityCredential() as credential:

        def secret(reference: str) -> AsyncRotatingSecret:
            def reader() -> AsyncSdkReader:
                made = AsyncCountingReader(parse(reference), credential)
                made.seen = seen
                return made

            return AsyncRotatingSecret(reference, reader=reader)

        secrets = [secret(reference) for reference in references]
        kinds = [async_connection_class(one) for one in secrets]

        async def go_on(number: int) -> None:
            rng = random.Random(number)
            while not over.done():
                await asyncio.sleep(rng.uniform(*PAUSES_S))
                began, failed = time.monotonic(), None
                try:
                    async with await rng.choice(kinds).connect(connect_timeout=10) as connection:
                        await connection.execute("SELECT 1")
                except Exception as error:  # noqa: BLE001  as above
                    failed = error
                seen.note(time.monotonic() - began, failed)

        for one in secrets:
            await one.value
        _ready()
        over = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
        await asyncio.gather(*(go_on(number) for number in range(CLIENTS)))
        for one in secrets:
            await one.close()


def _ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def main(kind: str, references: Sequence[str]) -> None:
    seen = Seen()
    if kind == "asyncio":
        asyncio.run(by_tasks(references, seen))
    else:
        by_threads(references, seen, {"threads": through_the_library, "once": refreshing_once}[kind])
    told = {"operations": seen.operations, "failed": seen.failed, "longest_s": seen.longest_s, "reads": seen.reads}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
