"""What an application sees of a secret that is rotated under it: threads and asyncio alike."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import threading
import time as real_time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from keyturn import AsyncRotatingSecret, KeyturnError, NoOther, NotReadable, RotatingSecret, VaultAway
from keyturn.held import Held, Version
from keyturn.known import Known
from keyturn.logins import refused_by_postgres
from keyturn.reference import parse
from tests.keyturn.played import AsyncPlayedVault, PlayedVault, Time

ADDRESS = "https://kv-orders.vault.azure.net/secrets/orders-db"
OLD, NEW = "the-old-password", "the-new-password"


@dataclass
class Reading:
    """One of the two classes over a played vault, its answers always awaited."""

    vault: PlayedVault
    time: Time
    value: Callable[[], Awaitable[str]]
    other_than: Callable[[str], Awaitable[str]]
    accepted: Callable[[], Awaitable[tuple[str, ...]]]
    accepts: Callable[[str], Awaitable[bool]]
    settle: Callable[[], Awaitable[None]]
    log_in: Callable[[Callable[[str], str], Callable[[Exception], bool]], Awaitable[str]]
    shown: Any


@pytest.fixture(params=["threads", "asyncio"])
async def reading(request: pytest.FixtureRequest) -> Reading:
    time = Time()
    vault = PlayedVault(time, OLD)
    return _by_threads(vault, time) if request.param == "threads" else _by_tasks(vault, time)


def _by_threads(vault: PlayedVault, time: Time) -> Reading:
    secret = RotatingSecret(ADDRESS, reader=lambda: vault, monotonic=time.monotonic, sleep=time.sleep)

    async def value() -> str:
        return secret.value

    async def other_than(refused: str) -> str:
        return secret.other_than(refused)

    async def accepted() -> tuple[str, ...]:
        return secret.accepted

    async def accepts(presented: str) -> bool:
        return secret.accepts(presented)

    async def settle() -> None:
        for thread in threading.enumerate():
            if thread.name == "keyturn-refresh":
                thread.join(5)

    async def log_in(connect: Callable[[str], str], refused: Callable[[Exception], bool]) -> str:
        return secret.log_in(connect, refused)

    return Reading(vault, time, value, other_than, accepted, accepts, settle, log_in, secret)


def _by_tasks(vault: PlayedVault, time: Time) -> Reading:
    secret = AsyncRotatingSecret(
        ADDRESS, reader=lambda: AsyncPlayedVault(vault), monotonic=time.monotonic, sleep=time.asleep
    )

    async def value() -> str:
        return await secret.value

    async def accepted() -> tuple[str, ...]:
        return await secret.accepted

    async def settle() -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def log_in(connect: Callable[[str], str], refused: Callable[[Exception], bool]) -> str:
        async def connected(value: str) -> str:
            return connect(value)

        return await secret.log_in(connected, refused)

    return Reading(vault, time, value, secret.other_than, accepted, secret.accepts, settle, log_in, secret)


# value


async def test_it_is_read_once_however_often_it_is_asked_for(reading: Reading) -> None:
    assert {await reading.value() for _ in range(100)} == {OLD}
    assert len(reading.vault.reads) == 1


async def test_a_new_version_is_found_in_the_background_after_a_while(reading: Reading) -> None:
    assert await reading.value() == OLD
    reading.vault.write(NEW)
    reading.time.sleep(400)
    assert await reading.value() == OLD, "nobody waits for the vault"
    await reading.settle()
    assert await reading.value() == NEW
    assert len(reading.vault.reads) == 2


async def test_while_the_vault_is_away_what_is_known_serves_and_back_it_is_read_once(reading: Reading) -> None:
    await reading.value()
    reading.time.sleep(400)
    reading.vault.away()
    away_from = len(reading.vault.reads)
    for _ in range(600):  # ten minutes
        reading.time.sleep(1)
        assert await reading.value() == OLD
        await reading.settle()
    assert 600 / 18 - 1 <= len(reading.vault.reads) - away_from <= 600 / 12 + 1, "now and then, and no storm"
    reading.vault.fails = None
    reading.vault.write(NEW)
    before = len(reading.vault.reads)
    for _ in range(60):
        reading.time.sleep(1)
        await reading.value()
        await reading.settle()
    assert await reading.value() == NEW
    assert len(reading.vault.reads) - before == 1


async def test_a_first_read_that_fails_says_why_and_the_next_one_is_tried(reading: Reading) -> None:
    reading.vault.away()
    for _ in range(100):  # a program that tries again and again
        with pytest.raises(VaultAway, match="503"):
            await reading.value()
    assert len(reading.vault.reads) == 1
    reading.time.sleep(1.1)
    reading.vault.fails = NotReadable("it is disabled", "disabled")
    with pytest.raises(NotReadable, match="disabled"):
        await reading.value()
    reading.time.sleep(1.1)
    reading.vault.fails = None
    assert await reading.value() == OLD


# other_than


@pytest.mark.parametrize(("gap", "most"), [(0.0, 1), (0.02, 2), (0.08, 4), (2.0, 9)])
async def test_after_a_refused_login_another_version_is_waited_for(reading: Reading, gap: float, most: int) -> None:
    assert await reading.value() == OLD
    if gap:
        reading.time.at(gap, lambda: reading.vault.write(NEW))
    else:
        reading.vault.write(NEW)
    began, before = reading.time.now, len(reading.vault.reads)
    assert await reading.other_than(OLD) == NEW
    assert len(reading.vault.reads) - before <= most
    assert reading.time.now - began <= max(0.3, gap * 2)
    assert await reading.value() == NEW
    assert await reading.other_than(OLD) == NEW, "what was found is known: nobody reads again"
    assert len(reading.vault.reads) - before <= most


async def test_where_there_is_no_other_it_is_said_after_the_wait_and_soon_the_next_times(reading: Reading) -> None:
    await reading.value()
    began = reading.time.now
    with pytest.raises(NoOther, match="the vault has no other version"):
        await reading.other_than(OLD)
    assert 3.5 <= reading.time.now - began <= 5.0
    read = len(reading.vault.reads)
    for _ in range(100):  # a program that tries again and again
        with pytest.raises(NoOther):
            await reading.other_than(OLD)
    assert len(reading.vault.reads) == read
    reading.time.sleep(2)
    reading.vault.write(NEW)
    assert await reading.other_than(OLD) == NEW
    assert len(reading.vault.reads) == read + 1


async def test_a_vault_that_is_throttled_is_asked_when_it_says_and_not_before(reading: Reading) -> None:
    await reading.value()
    reading.vault.away(retry_after_s=2.0)
    reading.time.at(1.0, lambda: reading.vault.write(NEW))
    reading.time.at(1.9, lambda: setattr(reading.vault, "fails", None))
    before = len(reading.vault.reads)
    assert await reading.other_than(OLD) == NEW
    assert len(reading.vault.reads) - before == 2


async def test_a_vault_that_is_away_for_the_whole_wait_is_named(reading: Reading) -> None:
    await reading.value()
    reading.vault.away()
    with pytest.raises(VaultAway):
        await reading.other_than(OLD)


async def test_a_vault_that_asks_to_be_left_alone_is_left_alone_in_the_background_too(reading: Reading) -> None:
    await reading.value()
    reading.time.sleep(400)
    reading.vault.away(retry_after_s=120.0)
    for _ in range(119):
        await reading.value()
        await reading.settle()
        reading.time.sleep(1)
    assert len(reading.vault.reads) == 2


async def test_throttled_at_the_start_it_waits_as_long_as_the_vault_says_within_its_bound(reading: Reading) -> None:
    reading.vault.away(retry_after_s=1.0)
    began = reading.time.now
    with pytest.raises(VaultAway):
        await reading.value()
    assert reading.time.now - began <= 5.0
    assert len(reading.vault.reads) <= 5
    reading.time.sleep(1.3)
    reading.time.at(0.5, lambda: setattr(reading.vault, "fails", None))
    assert await reading.value() == OLD


# log_in


async def test_a_refused_login_is_tried_with_another_value_and_nothing_else_is_tried_again(reading: Reading) -> None:
    await reading.value()
    reading.time.at(0.05, lambda: reading.vault.write(NEW))
    asked: list[str] = []

    def connect(value: str) -> str:
        asked.append(value)
        if value == OLD:
            raise PermissionError
        return "connected"

    assert await reading.log_in(connect, lambda error: isinstance(error, PermissionError)) == "connected"
    assert asked == [OLD, NEW]
    asked.clear()

    def unreachable(value: str) -> str:
        asked.append(value)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await reading.log_in(unreachable, lambda error: isinstance(error, PermissionError))
    assert asked == [NEW]


async def test_a_second_rotation_while_the_first_is_waited_for_is_waited_for_too(reading: Reading) -> None:
    await reading.value()
    reading.time.at(0.05, lambda: reading.vault.write(NEW))
    reading.time.at(0.5, lambda: reading.vault.write("the-newest-password"))
    asked: list[str] = []

    def connect(value: str) -> str:
        asked.append(value)
        if value != "the-newest-password":
            raise PermissionError
        return "connected"

    assert await reading.log_in(connect, lambda _: True) == "connected"
    assert asked == [OLD, NEW, "the-newest-password"]


@pytest.mark.parametrize(("slow_s", "logins"), [(0.0, 20), (0.4, 13), (4.0, 3)])
async def test_a_login_that_is_always_too_late_is_tried_as_long_as_another_value_is_waited_for(
    reading: Reading, slow_s: float, logins: int
) -> None:
    await reading.value()
    asked: list[str] = []

    def connect(value: str) -> str:
        asked.append(value)
        reading.time.sleep(slow_s)
        reading.vault.write(f"{NEW}-{len(asked)}")
        raise PermissionError

    with pytest.raises(PermissionError):
        await reading.log_in(connect, lambda _: True)
    assert abs(len(asked) - logins) <= 1
    assert len(set(asked)) == len(asked)


async def test_where_there_is_no_other_the_drivers_own_error_is_raised_with_a_note(reading: Reading) -> None:
    await reading.value()

    def connect(_value: str) -> str:
        raise PermissionError("password authentication failed")

    with pytest.raises(PermissionError, match="password authentication failed") as refused:
        await reading.log_in(connect, lambda _: True)
    [note] = refused.value.__notes__
    assert "the vault has no other version" in note


class WithState(Exception):
    """As asyncpg raises them."""

    def __init__(self, sqlstate: str, words: str = "") -> None:
        super().__init__(words)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (OSError('FATAL:  password authentication failed for user "x"'), True),
        (OSError("FATAL:  SASL authentication failed"), True),
        (OSError("ERROR:  auth failed"), True),
        (OSError("FATAL:  no such user: x"), True),
        (OSError('FATAL:  role "x" is not permitted to log in'), True),
        (WithState("28P01", "Passwort-Authentifizierung für Benutzer fehlgeschlagen"), True),
        (WithState("28000", 'role "x" is not permitted to log in'), True),
        (WithState("28000", 'no pg_hba.conf entry for host "::1"'), False),
        (OSError("FATAL:  the database system is starting up"), False),
        (OSError('FATAL:  database "x" does not exist'), False),
        (OSError("FATAL:  sorry, too many clients already"), False),
        (OSError("connection refused"), False),
    ],
)
def test_what_says_that_a_login_was_refused(error: Exception, *, refused: bool) -> None:
    assert refused_by_postgres(error) is refused


# accepted


async def test_what_is_good_now_is_the_newest_and_what_is_in_its_grace_period(reading: Reading) -> None:
    reading.vault.write("second", **{"grace-hours": "1"})
    reading.time.sleep(7200)
    reading.vault.write("third", **{"grace-hours": "1"})
    reading.time.sleep(1800)
    assert await reading.accepted() == ("third", "second", OLD), "the first had no tag, which means 72 hours"
    assert (await reading.accepts("second"), await reading.accepts("never")) == (True, False)


async def test_a_disabled_version_is_good_no_longer(reading: Reading) -> None:
    reading.vault.write("second")
    listed, value = reading.vault.all[0]
    reading.vault.all[0] = (type(listed)(listed.id, enabled=False, created_on=listed.created_on), value)
    assert await reading.accepted() == ("second",)


async def test_a_key_that_is_newer_than_what_is_known_is_found_and_nobody_can_have_the_vault_asked_at_will(
    reading: Reading,
) -> None:
    assert await reading.accepted() == (OLD,)
    reading.vault.write(NEW)
    assert await reading.accepts(NEW)
    assert await reading.accepts(OLD), "its readers were promised a while"
    before = len(reading.vault.reads)
    assert not any([await reading.accepts(f"guess {number}") for number in range(50)])
    assert len(reading.vault.reads) - before <= 1


async def test_what_nobody_knows_is_not_accepted_while_the_vault_is_away(reading: Reading) -> None:
    assert await reading.accepted() == (OLD,)
    reading.vault.away()
    assert not await reading.accepts(NEW)
    assert await reading.accepts(OLD)


async def test_while_the_vault_is_away_what_was_good_stays_accepted(reading: Reading) -> None:
    reading.vault.write("second")
    assert await reading.accepted() == ("second", OLD)
    reading.vault.away()
    for _ in range(20):
        reading.time.sleep(400)
        assert await reading.accepted() == ("second", OLD)
        await reading.settle()


async def test_a_newest_value_is_accepted_beside_what_was_good_while_versions_can_not_be_listed(
    reading: Reading,
) -> None:
    assert await reading.accepted() == (OLD,)
    reading.vault.write(NEW)
    reading.vault.listing_fails = VaultAway("the vault answered 503")
    assert await reading.other_than(OLD) == NEW
    assert await reading.accepted() == (NEW, OLD)
    reading.vault.listing_fails = NotReadable("no right to list", "forbidden")
    with pytest.raises(NotReadable):
        await reading.accepted()


# nothing shows a value


async def test_no_text_shows_a_value(reading: Reading) -> None:
    await reading.value()
    told = [repr(reading.shown), str(reading.shown), f"{Held(OLD)} {Held(OLD)!r}"]
    reading.vault.fails = NotReadable("it is disabled", "disabled")
    with pytest.raises(KeyturnError) as failed:
        await reading.other_than(OLD)
    told += ["".join(traceback.TracebackException.from_exception(failed.value, capture_locals=True).format())]
    frames = [text for text in told[-1].split("  File ") if "/keyturn/secret" in text or "/keyturn/timing" in text]
    assert frames
    assert not [text for text in [*told[:-1], *frames] if OLD in text]
    with pytest.raises(TypeError):
        pickle.dumps(Held(OLD))


# many at once, and forks


def test_one_of_many_threads_reads() -> None:
    vault = PlayedVault(Time(), OLD)

    def slow() -> PlayedVault:
        real_time.sleep(0.1)
        return vault

    secret = RotatingSecret(ADDRESS, reader=slow)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(secret.value)) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (set(found), len(found), len(vault.reads)) == ({OLD}, 32, 1)
    threading.Timer(0.1, lambda: vault.write(NEW)).start()
    found.clear()
    threads = [threading.Thread(target=lambda: found.append(secret.other_than(OLD))) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (set(found), len(found)) == ({NEW}, 32)
    assert len(vault.reads) <= 1 + 5


def test_a_read_that_fails_fails_for_all_threads_that_wait_for_it() -> None:
    vault = PlayedVault(Time(), OLD)
    vault.away()

    def slow() -> PlayedVault:
        real_time.sleep(0.1)
        return vault

    secret = RotatingSecret(ADDRESS, reader=slow)
    failed: list[Exception] = []

    def ask() -> None:
        try:
            _ = secret.value
        except VaultAway as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(failed), len(vault.reads)) == (32, 1)


def test_an_interrupted_thread_leaves_the_reading_to_another_one() -> None:
    vault = PlayedVault(Time(), OLD)
    waits = threading.Event()
    interrupted: list[bool] = []

    def reader() -> PlayedVault:
        if not interrupted:
            interrupted.append(True)
            waits.wait(5)
            raise KeyboardInterrupt
        return vault

    secret = RotatingSecret(ADDRESS, reader=reader)

    def ask() -> None:
        with suppress(KeyboardInterrupt):
            _ = secret.value

    first = threading.Thread(target=ask)
    first.start()
    found: list[str] = []
    second = threading.Thread(target=lambda: found.append(secret.value), daemon=True)
    second.start()
    real_time.sleep(0.05)
    waits.set()
    first.join(5)
    second.join(5)
    assert found == [OLD]


def test_an_answer_that_was_slow_does_not_replace_a_later_one() -> None:
    known = Known(parse(ADDRESS), Time().monotonic)
    slow, quick = known.begin_read(), known.begin_read()
    assert known.took(quick, Version("v1", Held(NEW))).id == "v1"
    assert known.took(slow, Version("v0", Held(OLD))).id == "v1"


def test_a_fleet_does_not_look_again_at_once() -> None:
    time = Time()
    fleet = [Known(parse(ADDRESS), time.monotonic) for _ in range(100)]
    for known in fleet:
        known.took(known.begin_read(), Version("v0", Held(OLD)))
    looking = []
    for _ in range(130):
        time.sleep(1)
        looking.append(0)
    for _ in range(240):
        time.sleep(1)
        looking.append(sum(known.is_old for known in fleet))
    asks = [later - earlier for earlier, later in pairwise(looking)]
    assert (looking[100], looking[-1]) == (0, 100)
    assert max(asks) <= 10


async def test_one_of_many_tasks_reads_and_a_cancelled_one_takes_nobody_with_it() -> None:
    vault = PlayedVault(Time(), OLD)
    secret = AsyncRotatingSecret(ADDRESS, reader=lambda: AsyncPlayedVault(vault))
    assert set(await asyncio.gather(*(secret.value for _ in range(32)))) == {OLD}
    assert len(vault.reads) == 1
    first, *others = (asyncio.ensure_future(secret.other_than(OLD)) for _ in range(32))
    await asyncio.sleep(0.02)
    first.cancel()
    vault.write(NEW)
    assert set(await asyncio.gather(*others)) == {NEW}
    assert len(vault.reads) <= 1 + 5
    await secret.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_while_a_thread_reads_does_not_hang_in_the_child() -> None:
    program = f"""
import os, threading, time
from keyturn import RotatingSecret
from tests.keyturn.played import PlayedVault, Time
vault = PlayedVault(Time(), "old")
secret = RotatingSecret({ADDRESS!r}, reader=lambda: vault)
secret.value
threading.Thread(target=lambda: secret.other_than("old"), daemon=True).start()
time.sleep(0.2)
child = os.fork()
if child == 0:
    vault.write("new")
    os._exit(0 if secret.other_than("old") == "new" and secret.value == "new" else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.stdout, ended.returncode) == ("0\n", 0), ended.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_workers_of_one_parent_do_not_look_again_together() -> None:
    program = f"""
import os
from keyturn import RotatingSecret
from tests.keyturn.played import PlayedVault, Time
time = Time()  # one that does not go on: else workers differ by when they were made
secret = RotatingSecret({ADDRESS!r}, reader=lambda: PlayedVault(time, "old"), monotonic=time.monotonic)
secret.value
for _ in range(5):
    child = os.fork()
    if child == 0:
        print(secret._known._look_at, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert len(set(ended.stdout.split())) == 5
