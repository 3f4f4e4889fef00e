"""Copies of the tree, a process for each, and what the tests said about a mutation there."""

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import TypeVar

from tests.proof.mutations.made import ROOT, Mutation, modules

# Tests that need no server, and see nearly all of these modules.
QUICK = ("tests/unit/test_*.py",)
# Of these, those that run no line of the modules in question, and take long.
SEE_NOTHING = (
    "tests/unit/test_audit.py", "tests/suite/test_canaries.py", "tests/unit/test_entra_value.py",
    "tests/unit/test_formats*.py", "tests/unit/test_generated*.py", "tests/unit/test_house.py",
    "tests/unit/test_locks.py", "tests/unit/test_pace.py", "tests/unit/test_postgres_place.py",
    "tests/unit/test_storage_value.py", "tests/unit/test_tools_at_hand.py",
)  # fmt: skip
LEFT_OUT = shutil.ignore_patterns(
    ".git",
    ".venv",
    ".cache",
    "dist",
    "node_modules",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    ".tmp",
)
T = TypeVar("T")
NOTICED, SURVIVED = "noticed", "survived"


@dataclass(slots=True)
class Sight:
    """Which tests run which lines of which module (from the root), and how long each test takes, in seconds."""

    lines: dict[str, dict[int, set[str]]] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)

    def add(self, told: dict[str, dict[str, dict[str, list[str]]]]) -> None:
        for path, lines in told["lines"].items():
            mine = self.lines.setdefault(path, {})
            for number, tests in lines.items():
                mine.setdefault(int(number), set()).update(tests)
        self.took |= told["took"]  # type: ignore[arg-type]  # seconds, beside the lines

    def tests_for(self, mutation: Mutation, source: str) -> list[str]:
        """The quickest first. What runs when the module is loaded, such as a default, may be seen by any of them."""
        lines = self.lines.get(mutation.path, {})
        first, last = _statement(source, mutation.number)
        seeing: set[str] = set().union(*(lines.get(number, set()) for number in range(first, last + 1)))
        if not seeing:
            seeing = set(self.took)
        return sorted(seeing, key=lambda test: (self.took.get(test, 0.0), test))


def _statement(source: str, number: int) -> tuple[int, int]:
    """First and last line of the innermost statement there; of one that holds others, its head."""
    best = (number, number)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt):
            continue
        body = getattr(node, "body", None)
        last = max(node.lineno, body[0].lineno - 1) if isinstance(body, list) else (node.end_lineno or node.lineno)
        if node.lineno <= number <= last:
            best = (node.lineno, last)  # an inner one comes later
    return best


class Bench:
    """One copy of the tree with its process."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        shutil.copytree(ROOT, self.root, ignore=LEFT_OUT, symlinks=True)
        temporary = folder / "tmp"
        temporary.mkdir()
        self._log = folder / "pytest.log"
        # What is compiled is kept, so that no fork compiles everything again.
        environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.proof.mutations.worker"], cwd=self.root, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**environment, "TMPDIR": str(temporary)},
        )  # fmt: skip

    def close(self) -> None:
        self._process.communicate()

    def look(self, tests: Sequence[str], paths: Sequence[str]) -> dict[str, dict[str, dict[str, list[str]]]]:
        """Run these with nothing changed.

        Raises:
            RuntimeError: one of them fails, so no survivor would mean anything.
        """
        into = self._log.with_name("seen.json")
        into.unlink(missing_ok=True)
        code = self._asked({"tests": [*tests], "paths": [*paths], "into": str(into), "limit_s": 900})
        told: dict[str, dict[str, dict[str, list[str]]]] = json.loads(into.read_text()) if into.exists() else {}
        if code != 0 or not told or told["failed"]:
            raise RuntimeError(f"with nothing changed, tests fail:\n{self._log.read_text()[-4000:]}")
        return told

    def outcome(self, mutation: Mutation, text: str, tests: Sequence[str], limit_s: float) -> str:
        """A run that comes to no end was noticed as well."""
        order = {"path": mutation.path, "text": text, "tests": [*tests], "limit_s": limit_s}
        return SURVIVED if self._asked(order) == 0 else NOTICED

    def _asked(self, order: dict[str, object]) -> int | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**order, "log": str(self._log)}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process that runs tests has ended:\n{self._log.read_text()[-4000:]}")
        code: int | None = json.loads(answer)["code"]
        return code


class Lab:
    """As many copies as there are processors."""

    def __init__(self, benches: Sequence[Bench]) -> None:
        self._benches = benches
        self._free: Queue[Bench] = Queue()
        for bench in benches:
            self._free.put(bench)
        self._pool = ThreadPoolExecutor(len(benches))
        self._quick = quick_tests()
        self.sight = Sight()

    def look(self) -> None:
        """Learn which test runs which line. Raises RuntimeError where a test fails with nothing changed."""
        # By size, in turn: each copy gets about as much to do.
        files = sorted(self._quick, key=lambda path: -(ROOT / path).stat().st_size)
        parts = [files[start :: 2 * len(self._benches)] for start in range(2 * len(self._benches))]
        paths = modules()
        for told in self._pool.map(lambda part: self._on_a_bench(lambda bench: bench.look(part, paths)), parts):
            self.sight.add(told)

    def is_seen(self, mutation: Mutation) -> bool:
        """Whether any quick test runs the line, or it runs when the module is loaded."""
        lines = self.sight.lines.get(mutation.path, {})
        first, last = _statement((ROOT / mutation.path).read_text(), mutation.number)
        return any(number in lines for number in range(first, last + 1))

    def tried(self, mutations: Iterable[Mutation]) -> Iterator[tuple[Mutation, str]]:
        """Each with NOTICED or SURVIVED, in order."""
        yield from self._pool.map(lambda one: (one, self._outcome(one)), mutations)

    def _outcome(self, mutation: Mutation) -> str:
        source = (ROOT / mutation.path).read_text()
        tests = self.sight.tests_for(mutation, source)
        text = mutation.applied(source)
        limit_s = 30 + 5 * sum(self.sight.took.get(test, 0.0) for test in tests)
        return self._on_a_bench(lambda bench: bench.outcome(mutation, text, tests, limit_s))

    def _on_a_bench(self, work: Callable[[Bench], T]) -> T:
        bench = self._free.get()
        try:
            return work(bench)
        finally:
            self._free.put(bench)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        for bench in self._benches:
            bench.close()


def quick_tests() -> list[str]:
    """Their files, from the root."""
    quick = {path for glob in QUICK for path in ROOT.glob(glob)} - {
        path for glob in SEE_NOTHING for path in ROOT.glob(glob)
    }
    return sorted(path.relative_to(ROOT).as_posix() for path in quick)


@contextmanager
def lab() -> Iterator[Lab]:
    """Copies that are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="keyturn-mutations-") as folder:
        benches = []
        for number in range(os.cpu_count() or 1):
            (Path(folder) / str(number)).mkdir()
            benches.append(Bench(Path(folder) / str(number)))
        made = Lab(benches)
        try:
            yield made
        finally:
            made.close()
