"""For every test: a skip may be a failure, no value may be shown, and a whole run uses every right of the app."""

import contextlib
import logging
import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from local.rights import LOG_SETTING
from tests.canaries import Canaries
from tests.rights_used import read

TOLD = pytest.StashKey[list[str]]()
CANARIES = pytest.StashKey[Canaries]()
_HALVES = ("thorough", "not thorough")


# No test is judged by its time: a busy machine would fail it.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a test that would be skipped fails")
    parser.addoption("--rights", type=Path, help="note rights in this folder: two runs of a half each are a whole one")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.config.getoption("--no-skips"):
        report.outcome = "failed"
    for title, text in report.sections:
        item.config.stash[CANARIES].printed[f"{item.nodeid}, {title}"] = [text]
    return report


def pytest_configure(config: pytest.Config) -> None:
    """The stand-ins note rights in one folder, those of other workers too."""
    if not hasattr(config, "workerinput"):
        kept: Path | None = config.getoption("rights")
        if kept is None:
            folder = tempfile.TemporaryDirectory(prefix="keyturn-rights-")
            config.add_cleanup(folder.cleanup)
            kept = Path(folder.name)
        kept.mkdir(parents=True, exist_ok=True)
        os.environ[LOG_SETTING] = str(kept.resolve())
    canaries = config.stash[CANARIES] = Canaries()
    stack = contextlib.ExitStack()
    stack.enter_context(canaries.noting())
    config.add_cleanup(stack.close)


@pytest.fixture(autouse=True)
def sdks_are_heard() -> Iterator[None]:
    """An app that was started in this process has switched off what SDKs log; the next test hears them again."""
    yield
    logging.getLogger("azure").setLevel(logging.NOTSET)


@pytest.fixture
def refused_on_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that calls for what the app has no right to: stand-ins that it opens note no rights."""
    monkeypatch.delenv(LOG_SETTING)


@pytest.fixture(scope="session", autouse=True)
def no_value_is_shown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Set up before all others, so it looks when all have ended, at all but what is printed at the very end."""
    canaries = request.config.stash[CANARIES]
    with canaries.listening():
        yield
    if found := canaries.leaks(tmp_path_factory.getbasetemp()):
        pytest.fail("\n".join(found), pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Once all tests passed, the rights that were used are held against those that a deployment grants.

    One that is missing fails any run. That none is unused, only a whole run can say.
    """
    if hasattr(session.config, "workerinput") or exitstatus != pytest.ExitCode.OK:
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = bool(reporter and reporter.stats.get("skipped"))
    noted = Path(os.environ[LOG_SETTING])
    used = read(noted)
    different = list(used.missing())
    whole = _is_whole(session.config, noted) and not skipped
    if whole:
        different += used.differences_from_the_table()
    elif not different:
        session.config.stash[TOLD] = ["rights: not held against the table, which takes a whole run without skips"]
        return
    called = len({call.action for call in used.called})
    session.config.stash[TOLD] = different or [f"rights: all {called} that the app is granted were used, and no other"]
    if different:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(TOLD, []):
        terminalreporter.write_line(line)


def _is_whole(config: pytest.Config, noted: Path) -> bool:
    """Whether nothing was left out: not by this run, or the run before, in the same folder, was of the other half."""
    narrowing = ("keyword", "lf", "deselect", "ignore", "ignore_glob")
    chosen = any(config.getoption(name, default=None) for name in narrowing)  # a plug-in, with its option, may be off
    paths = [str(Path(argument).resolve()) for argument in config.args]
    if chosen or paths != [str(config.rootpath / one) for one in config.getini("testpaths")]:
        return False
    half = config.getoption("markexpr")
    if half not in _HALVES:
        return not half
    (noted / half).touch()
    return all((noted / one).exists() for one in _HALVES)
