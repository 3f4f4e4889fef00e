"""The local PostgreSQL server itself: what it keeps, how it ends, who may run it."""

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local import postgres_binaries
from local.postgres import LocalPostgres
from local.postgres_binaries import Account, bundled, reachable
from tests.integration.postgres_fixtures import Owner, folder

pytestmark = pytest.mark.thorough

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user's server")


@pytest.fixture
def data() -> Iterator[Path]:
    with folder() as path:
        yield path


def test_all_that_stood_in_it_stands_in_it_after_a_restart(data: Path) -> None:
    with LocalPostgres(data, durable=False) as server:
        Owner(server).sql("CREATE DATABASE kept")
        first = (server.port, server.admin_password)
    with LocalPostgres(data, durable=False) as again:
        assert (again.port, again.admin_password) == first
        assert Owner(again).sql("SELECT 1 FROM pg_database WHERE datname = 'kept'")


def test_what_a_killed_stack_left_running_is_replaced(data: Path) -> None:
    script = f"import pathlib, os, local.postgres as p; s = p.LocalPostgres(pathlib.Path({str(data)!r})); s.start(); "
    root = Path(__file__).parents[2]
    told = subprocess.run(
        [sys.executable, "-c", script + "print(s.pid, s.port, flush=True); os._exit(9)"],
        cwd=root, check=False, capture_output=True, text=True,
    )  # fmt: skip
    pid, port = map(int, told.stdout.split())
    os.kill(pid, 0)
    with LocalPostgres(data) as server:
        assert server.pid != pid
        assert server.port == port
    assert not Path(f"/proc/{pid}/cwd").exists()


def test_a_killed_server_starts_again_with_what_was_committed(data: Path) -> None:
    with LocalPostgres(data, durable=False) as server:
        Owner(server).sql("CREATE ROLE kept")
        port = server.port
        server.kill()
        with pytest.raises(RuntimeError, match="not running"):
            _ = server.pid
        server.start()
        assert server.port == port
        assert Owner(server).sql("SELECT 1 FROM pg_roles WHERE rolname = 'kept'")


def test_a_port_that_somebody_took_meanwhile_is_given_up(data: Path) -> None:
    with LocalPostgres(data, durable=False) as server:
        port = server.port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with LocalPostgres(data, durable=False) as server:
            assert server.port != port
            assert Owner(server).sql("SELECT 1") == [(1,)]


def test_a_cluster_that_was_never_finished_is_made_anew(data: Path) -> None:
    (data / "cluster").mkdir()
    (data / "cluster" / "PG_VERSION").write_text("16\n")
    with LocalPostgres(data, durable=False) as server:
        assert Owner(server).sql("SELECT 1") == [(1,)]


def test_nobody_gets_in_without_the_password(data: Path) -> None:
    with LocalPostgres(data, durable=False) as server:
        for password in ("", "wrong"):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(
                    host=server.host, port=server.port, user=server.admin_user, password=password, dbname="postgres"
                )
        url = server.url("postgres", server.admin_user, server.admin_password)
        psycopg.connect(url.reveal()).close()
        assert stat.S_IMODE((data / "admin-password").stat().st_mode) == 0o600
        assert server.admin_password.reveal() not in server.log_path.read_text()


def test_lines_of_pg_hba_count_when_they_are_loaded(data: Path) -> None:
    with LocalPostgres(data, durable=False) as server:
        owner = Owner(server)
        role = owner.role()
        assert owner.works(role.name, role.password)
        server.hba = (f"host all {role.name} all reject",)
        server.reload()
        while owner.works(role.name, role.password):
            pass


def test_the_callers_environment_does_not_get_in(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nonexistent")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    with LocalPostgres(data, durable=False) as server:
        monkeypatch.delenv("PGPORT")
        assert Owner(server).sql("SHOW port") == [(str(server.port),)]


def test_a_server_that_does_not_start_says_where_its_log_is(data: Path) -> None:
    server = LocalPostgres(data, durable=False, settings={"no_such_setting": "on"})
    with pytest.raises(RuntimeError, match=r"server\.log"):
        server.start()
    server.stop()


def test_a_version_that_there_is_none_of_is_told() -> None:
    with pytest.raises(RuntimeError, match="requirements-dev"):
        bundled(9)


def test_an_initdb_that_fails_is_told(data: Path) -> None:
    binaries = data / "bin"
    binaries.mkdir()
    for name, code in (("initdb", "echo no room >&2; exit 1"), ("postgres", "exit 0")):
        (binaries / name).write_text(f"#!/bin/sh\n{code}\n")
        (binaries / name).chmod(0o755)
    with pytest.raises(RuntimeError, match="no room"):
        LocalPostgres(data, binaries=binaries).start()


# as root


@AS_ROOT
def test_root_has_it_run_by_somebody_without_rights(data: Path) -> None:
    with LocalPostgres(data, durable=False) as server:
        status = Path(f"/proc/{server.pid}/status").read_text()
        [uids] = [line.split()[1:] for line in status.splitlines() if line.startswith("Uid:")]
        [groups] = [line.split()[1:] for line in status.splitlines() if line.startswith("Groups:")]
        assert "0" not in uids
        assert groups == []


@AS_ROOT
def test_in_a_folder_that_is_roots_alone_it_runs_all_the_same(data: Path) -> None:
    data.chmod(0o700)
    server = LocalPostgres(data / "mine", durable=False)
    try:
        with server:
            assert server.cluster.is_symlink()
            Owner(server).sql("CREATE ROLE kept")
        with LocalPostgres(data / "mine", durable=False) as again:
            assert Owner(again).sql("SELECT 1 FROM pg_roles WHERE rolname = 'kept'")
        shutil.rmtree(server.cluster.resolve())
        with LocalPostgres(data / "mine", durable=False) as anew:
            assert not Owner(anew).sql("SELECT 1 FROM pg_roles WHERE rolname = 'kept'")
    finally:
        shutil.rmtree(server.cluster.resolve())


@AS_ROOT
def test_a_cluster_whose_folder_is_gone_is_removed_when_the_next_is_made(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(data))  # where those clusters stand
    hidden = data / "hidden"
    hidden.mkdir(mode=0o700)
    clusters = []
    for name in ("gone", "kept"):
        with LocalPostgres(hidden / name, durable=False) as server:
            clusters.append(server.cluster.resolve())
    shutil.rmtree(hidden / "gone")
    with LocalPostgres(hidden / "new", durable=False):
        assert [one.exists() for one in clusters] == [False, True]
    with LocalPostgres(hidden / "kept", durable=False) as again:
        assert Owner(again).sql("SELECT 1") == [(1,)]


@AS_ROOT
def test_binaries_in_a_folder_that_is_roots_alone_are_copied_to_where_they_can_be_run(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(data))
    hidden = data / "hidden"
    tree = bundled(16).parent
    libraries = f"{tree.parent.name}.libs"
    binaries = hidden / tree.parent.name / tree.name / "bin"
    shutil.copytree(tree, binaries.parent, symlinks=True)
    shutil.copytree(tree.parent.with_name(libraries), hidden / libraries)
    hidden.chmod(0o700)
    with LocalPostgres(data / "server", binaries=binaries, durable=False) as server:
        assert server.binaries != binaries
        assert Owner(server).sql("SELECT 1") == [(1,)]
    account = Account.for_servers()
    assert reachable(binaries, account) == server.binaries
    server.binaries.parents[2].chmod(0o777)
    with pytest.raises(RuntimeError, match="not ours"):
        reachable(binaries, account)


@AS_ROOT
def test_a_machine_without_an_unprivileged_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_binaries, "_UNPRIVILEGED", ("no-such-user",))
    with pytest.raises(RuntimeError, match="as root"):
        Account.for_servers()
