"""`python -m tests.proof.mutations.worker`, in a copy of the tree: runs tests in forks, all loaded before.

Orders come as lines of JSON on stdin, answers go as lines of JSON to stdout. Nothing of ours is loaded before the fork,
so each fork loads the module as it stands then.
"""

import importlib
import importlib.metadata
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

SLOW_TO_LOAD = (
    "aiohttp", "azure.core.pipeline", "azure.functions", "azure.identity.aio", "azure.keyvault.secrets.aio",
    "azure.storage.blob.aio", "azure.storage.queue.aio", "coverage", "hypothesis", "jsonschema", "psycopg",
    "unittest.mock",
)  # fmt: skip
# The same examples each time, else a mutation would be noticed on one day and not on the next.
OPTIONS = (
    "-q",
    "--no-header",
    "--tb=no",
    "-p",
    "no:cacheprovider",
    "--hypothesis-seed=0",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
)
MUTATED, LOG = "mutated.py", "pytest.log"


class Seen:
    """Which tests run which lines, and how long each takes. A test is known without its parameters."""

    def __init__(self, paths: list[str]) -> None:
        import coverage  # noqa: PLC0415  loaded before the fork

        self._paths = paths
        self._coverage = coverage.Coverage(
            data_file=None, config_file=False, include=[str(Path(path).resolve()) for path in paths]
        )
        self._coverage.start()
        self._took: dict[str, float] = {}
        self._failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._coverage.switch_context(item.nodeid.partition("[")[0])
        answer = yield
        self._coverage.switch_context("")
        return answer

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = report.nodeid.partition("[")[0]
        self._took[test] = self._took.get(test, 0.0) + report.duration
        if report.failed:
            self._failed.append(report.nodeid)

    def found(self) -> dict[str, Any]:
        self._coverage.stop()
        data = self._coverage.get_data()
        lines = {
            path: {number: [one for one in tests if one] for number, tests in contexts.items()}
            for path in self._paths
            if (contexts := data.contexts_by_lineno(str(Path(path).resolve())))
        }
        return {"lines": lines, "took": self._took, "failed": self._failed}


def _look(order: dict[str, Any]) -> int:
    seen = Seen(order["paths"])
    code = pytest.main([*OPTIONS, *order["tests"]], plugins=[seen])
    Path(order["into"]).write_text(json.dumps(seen.found()))
    return int(code)


def _try(order: dict[str, Any]) -> int:
    return int(pytest.main([*OPTIONS, "-x", *order["tests"]]))


def _forked(work: Callable[[dict[str, Any]], int], order: dict[str, Any]) -> int | None:
    """The exit code; None: it came to no end in time, and was ended with all that it had started."""
    child = os.fork()
    if child == 0:
        _be_the_child(work, order)
    until = time.monotonic() + order["limit_s"]
    code: int | None = None
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.01)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    if code is None:
        os.waitpid(child, 0)
    return code


def _be_the_child(work: Callable[[dict[str, Any]], int], order: dict[str, Any]) -> NoReturn:
    """What it says goes to a file: stdout is for answers."""
    os.setpgid(0, 0)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 1
    try:
        code = work(order)
    except BaseException:  # noqa: BLE001  the log says what it was
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _forget_compiled(path: Path) -> None:
    """Python knows a changed source by its size and second, which two mutations may share."""
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def _with(path: Path, text: str, order: dict[str, Any]) -> int | None:
    before = path.read_text()
    try:
        path.write_text(text)
        _forget_compiled(path)
        return _forked(_try, order)
    finally:
        path.write_text(before)
        _forget_compiled(path)


def main() -> None:
    for module in SLOW_TO_LOAD:
        with suppress(ImportError):
            importlib.import_module(module)
    for plugin in importlib.metadata.entry_points(group="pytest11"):
        plugin.load()
    for line in sys.stdin:
        order = json.loads(line)
        if "into" in order:
            code = _forked(_look, order)
        elif "path" in order:
            code = _with(Path(order["path"]), order["text"], order)
        else:
            code = _forked(_try, order)
        sys.stdout.write(json.dumps({"code": code}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
