"""Every package is locked by its hash, in the version that is pinned: `make lock` after requirements*.txt change."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APP, DEV, WORKER = "requirements.lock", "requirements-dev.lock", "requirements-worker.lock"
CHECKOV = "requirements-checkov.lock"
_PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[\w,]+\])?==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$")


def named(name: str) -> str:
    """PEP 503: one spelling."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(name: str) -> list[tuple[str, str]]:
    """(package, version) of a lock, each of which has hashes."""
    found: list[tuple[str, str]] = []
    hashes = 0
    for line in (ROOT / name).read_text().splitlines():
        if pin := _PIN.match(line):
            assert hashes or not found, f"{found[-1]} has no hash"
            found.append((named(pin[1]), pin[2]))
            hashes = 0
        else:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line), line
            hashes += 1
    assert hashes
    return found


def pinned(name: str) -> set[tuple[str, str]]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if re.match(r"[A-Za-z]", line)]
    pins = [_PIN.match(line) for line in lines]
    assert all(pins), "every one is pinned"
    return {(named(pin[1]), pin[2]) for pin in pins if pin}


@pytest.mark.parametrize(
    ("requirements", "lock"),
    [
        ("requirements-dev.txt", DEV),
        ("requirements.txt", DEV),
        ("requirements-worker.txt", WORKER),
        ("requirements-checkov.txt", CHECKOV),
    ],
)
def test_what_is_pinned_is_locked_in_that_version(requirements: str, lock: str) -> None:
    assert pinned(requirements) <= set(locked(lock)), "make lock"


def test_what_is_deployed_is_what_is_pinned_and_what_was_tested() -> None:
    """But for what another Python than that of Azure takes."""
    app = locked(APP)
    assert len(app) == len(dict(app))
    assert set(app) <= pinned("requirements.txt"), "every one is pinned by hand: requirements.txt says why it is there"
    assert {name for name, _ in pinned("requirements.txt")} == set(dict(app))
    assert set(app) <= set(locked(DEV))


def test_the_lock_of_what_is_deployed_is_for_one_platform() -> None:
    assert ";" not in (ROOT / APP).read_text()


def test_every_list_of_pins_has_its_lock_and_make_lock_writes_each() -> None:
    locks = {path.stem for path in ROOT.glob("requirements*.lock")}
    assert locks == {path.stem for path in ROOT.glob("requirements*.txt")}
    written = set(re.findall(r"-o (\S+)\.lock", (ROOT / "local" / "lock.sh").read_text()))
    assert written == locks


@pytest.mark.parametrize(
    ("place", "locks"),
    [
        ("local/setup.sh", {DEV, WORKER}),
        ("infra/package.py", {APP}),
        ("tests/infra/scanner.py", {CHECKOV}),
    ],
)
def test_what_installs_takes_a_lock_and_asks_pip_for_the_hashes(place: str, locks: set[str]) -> None:
    text = (ROOT / place).read_text()
    assert "--require-hashes" in text
    assert set(re.findall(r"requirements[\w-]*\.lock", text)) == locks
