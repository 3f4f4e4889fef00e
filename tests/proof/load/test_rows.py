"""The judge of the load trials is tried itself, and the table of processes and connections that it looks at."""

import os
import socket
from dataclasses import replace

import pytest

from local.vault.limits import Rates
from tests.proof.load.__main__ import limit_row, limit_that_binds, mass_rows, sweep_rows
from tests.proof.load.machine import connections_to, cpu_s, highest_memory_mib, memory_mib, processors_s
from tests.proof.load.rotations import Seen, Trial
from tests.proof.load.sweeps import Swept

MASS = Trial(secrets=100, vaults=4, databases=20)
FINE = Seen(
    rotated=100,
    seconds=10.0,
    busy=0.5,
    creations_a_second=110.0,
    allowed_a_second=120.0,
    calls=1_000,
    throttled=50,
    connections=8,
    cpu_s={"app": 5.0, "vault": 1.0, "postgres": 2.0},
    memory_mib=[60.0, 90.0, 90.0, 91.0],
)
SWEPT = Swept(seconds=[9.0], cpu_s=[8.0], calls=[{"list": 400, "get": 10}], asked=10, growth_mib=49.0)


def test_a_trial_that_keeps_every_promise_holds() -> None:
    assert all(row.holds for row in [*mass_rows(MASS, FINE), limit_row(MASS, FINE), *sweep_rows(SWEPT, 1_000)])


@pytest.mark.parametrize(
    "changes",
    [
        {"broken": ["kv/a was not rotated"]},
        {"throttled": 51},
        {"too_many_connections": 1},
        {"memory_mib": [60.0, 90.0, 90.0, 101.0]},
        {"creations_a_second": 100.0},
    ],
)
def test_each_broken_promise_is_one_red_row(changes: dict[str, object]) -> None:
    rows = mass_rows(MASS, replace(FINE, **changes))  # type: ignore[arg-type]
    assert sum(not row.holds for row in rows) == 1


@pytest.mark.parametrize("changes", [{"busy": 0.9}, {"cpu_s": {"app": 9.0}}])
def test_below_the_limit_only_a_machine_that_is_busy_is_an_excuse(changes: dict[str, object]) -> None:
    slow = replace(FINE, creations_a_second=60.0, **changes)  # type: ignore[arg-type]
    assert all(row.holds for row in mass_rows(MASS, slow))
    assert "50% of what the limits allow: 60 new versions a second of 120" in mass_rows(MASS, slow)[1].note


def test_the_limit_that_must_be_used_up_is_the_real_one_where_the_machine_can_do_it() -> None:
    assert limit_that_binds(FINE).rates == Rates(creates=300)
    assert limit_that_binds(replace(FINE, creations_a_second=20.0)).rates == Rates(creates=140)
    slow = replace(FINE, creations_a_second=107.0)
    assert not limit_row(MASS, slow).holds
    assert limit_row(MASS, replace(slow, busy=0.9)).holds, "something else took the processors"


@pytest.mark.parametrize("changes", [{"broken": ["11 values read"]}, {"growth_mib": 50.0}])
def test_a_sweep_that_reads_too_much_or_grows_is_one_red_row(changes: dict[str, object]) -> None:
    rows = sweep_rows(replace(SWEPT, **changes), 1_000)  # type: ignore[arg-type]
    assert sum(not row.holds for row in rows) == 1


def test_open_connections_are_counted_and_closed_ones_are_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        assert connections_to(port) == 3
        clients.pop().close()
        assert connections_to(port) == 2
        for client in clients:
            client.close()
        assert connections_to(port) == 0


def test_processor_time_and_memory_are_those_of_the_process() -> None:
    pid = os.getpid()
    assert 0 < memory_mib(pid) <= highest_memory_mib(pid) + 1
    assert 0 < cpu_s(pid) <= processors_s()[0] <= processors_s()[1]
