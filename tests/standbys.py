"""A real standby of a server: a copy of it, which then follows it."""

import shutil
import subprocess
import time
from pathlib import Path

import psycopg

from local.postgres import ENVIRONMENT, LocalPostgres
from local.postgres_binaries import Account

FOLLOWS_WITHIN_S = 30.0


def standby_of(primary: LocalPostgres, data: Path) -> LocalPostgres:
    """Copy a running server into `data`, where nothing is yet -> the copy, not started."""
    account, place = Account.for_servers(), data / "cluster"
    source = f"host={primary.host} port={primary.port} user={primary.admin_user}"
    env = {**ENVIRONMENT, "PGPASSWORD": primary.admin_password.reveal()}
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o711)
    place.mkdir(mode=0o700)
    account.own(place)
    subprocess.run(
        [str(primary.binaries / "pg_basebackup"), "-D", str(place), "-R", "-c", "fast", "-d", source],
        check=True, env=env, cwd=place, user=account.user, group=account.group, extra_groups=account.groups,
    )  # fmt: skip
    shutil.copy(primary.data / "admin-password", data / "admin-password")
    return LocalPostgres(data, binaries=primary.binaries, durable=False)


def asked(server: LocalPostgres, statement: str) -> object:
    """The first column of the first row, as its administrator is told; None where there is no row."""
    url = server.url("postgres", server.admin_user, server.admin_password).reveal()
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def wait_until_followed(primary: LocalPostgres, standby: LocalPostgres) -> None:
    """Return when the standby has replayed all that the primary has written by now."""
    written = asked(primary, "SELECT pg_current_wal_lsn()::text")
    until = time.monotonic() + FOLLOWS_WITHIN_S
    while asked(standby, f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn") is not True:
        if time.monotonic() > until:
            raise TimeoutError("the standby does not follow")
        time.sleep(0.02)
