"""Every secret value of a whole test run, looked for wherever none may stand.

Known are the values that a `SecretValue` was made of in this process, and those that the local vaults beneath pytest's
folder held: those of the app's own process too. Looked at are all log records down to DEBUG, what tests printed, and
of the files each log, ledger and queue.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rotation.terms import SecretValue
from tests.e2e.leaks import SHORTEST, standing, values_in

VAULTS = "vault.db"  # a local vault's state, where values do stand
LOGS = frozenset({".log", ".jsonl"})
FOLDERS = frozenset({"ledger", "host", "__blobstorage__", "__queuestorage__"})  # the last two are Azurite's
# These make values out of the app's own words, such as "rotated-from", which stand everywhere, or many thousands of
# them in memory alone; they look for theirs themselves, in what each of them led to. So do the readers' tests, whose
# values are what anybody writes, down to a lone "postgresql://".
BY_THEMSELVES = (
    "tests/proof/fuzz/", "tests/proof/simulation/",
    "tests/unit/test_formats", "tests/unit/test_storage_value", "tests/unit/test_entra_value",
    "tests/unit/test_generated_values", "tests/drivers/",
)  # fmt: skip
FEWEST_CHARACTERS = 5  # of a value with fewer different ones, such as "000000000000", nobody can say where it came from


class Canaries:
    """Of one process. values: each with the test that made it first. printed: by place, what was logged or printed."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.printed: dict[str, list[str]] = {}

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Notes each value that is made."""
        original = SecretValue.__init__

        def note(value: SecretValue, text: str) -> None:
            original(value, text)
            test = running_test()
            if not test.startswith(BY_THEMSELVES):
                self.values.setdefault(text, test)

        SecretValue.__init__ = note  # type: ignore[assignment, method-assign]
        try:
            yield
        finally:
            SecretValue.__init__ = original  # type: ignore[method-assign]

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Notes each log record, however unimportant."""
        handler, root = _Noting(self), logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.setLevel(level)
            root.removeHandler(handler)

    def print(self, place: str, text: str) -> None:
        """Notes what stands somewhere."""
        self.printed.setdefault(place, []).append(text)

    def leaks(self, folder: Path) -> list[str]:
        """Where a value stands and which test made it; never the value."""
        files = [
            path for parent, _, names in os.walk(folder) for name in names if (path := Path(parent, name)).is_file()
        ]
        held = {value: str(path) for path in files if path.name == VAULTS for value in values_in(path)}
        values = {value: made for value, made in (held | self.values).items() if _can_be_told(value)}
        places = {place: "\n".join(texts).encode(errors="replace") for place, texts in self.printed.items()}
        for path in files:
            within = path.relative_to(folder)
            if path.suffix in LOGS or (FOLDERS & set(within.parts[:-1]) and path.name != VAULTS):
                places[str(within)] = path.read_bytes()
        return [
            f"{place}: {'a token' if value is None else f'a value, made by {values[value]}'}"
            for place, value in standing(values, places.items())
        ]


class _Noting(logging.Handler):
    def __init__(self, canaries: Canaries) -> None:
        super().__init__(logging.NOTSET)
        self._canaries = canaries

    def emit(self, record: logging.LogRecord) -> None:
        self._canaries.print(f"{running_test()}, logged by {record.name}", self.format(record))


def running_test() -> str:
    """As pytest names it."""
    return os.environ.get("PYTEST_CURRENT_TEST", "no test").rpartition(" (")[0]


def _can_be_told(value: str) -> bool:
    return len(value) >= SHORTEST and len(set(value)) >= FEWEST_CHARACTERS
