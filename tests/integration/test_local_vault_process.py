"""The vault as a process: what it prints, what survives its death, how it stops."""

import asyncio
import json
import signal
import socket
import sqlite3
import stat
from pathlib import Path

import aiohttp
import pytest

from local.vault.database import DataInUse
from tests.integration.vault_fixtures import OTHER_VAULT, VAULT, NewRest, NewVaults, Rest, VaultProcess

pytestmark = pytest.mark.thorough


async def test_every_write_that_was_answered_is_there_after_a_kill(
    vault_process: VaultProcess, new_rest: NewRest
) -> None:
    await vault_process.start()
    rest = new_rest(vault_process.ready["vaults"][VAULT], vault_process.authority)
    answered: dict[str, str] = {}

    async def write(number: int) -> None:
        status, made, _ = await rest("PUT", f"/secrets/secret-{number}", json={"value": f"value-{number}"})
        assert status == 200
        answered[made["id"]] = f"value-{number}"
        if len(answered) == 100:
            await vault_process.end(signal.SIGKILL)

    results = await asyncio.gather(*(write(number) for number in range(200)), return_exceptions=True)

    lost = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(error, aiohttp.ClientError | OSError) for error in lost)
    assert 100 <= len(answered) < 200
    await vault_process.start()
    assert vault_process.ready["vaults"][VAULT] == rest.url
    for url, value in answered.items():
        status, found, _ = await rest("GET", url.removeprefix(rest.url))
        assert (status, found["value"]) == (200, value)


async def test_a_restart_keeps_addresses_and_keys(vault_process: VaultProcess) -> None:
    await vault_process.start()
    before = vault_process.ready
    await vault_process.end(signal.SIGKILL)
    await vault_process.start()

    assert {**vault_process.ready, "pid": 0} == {**before, "pid": 0}


async def test_the_clock_and_backups_outlive_the_process(vault_process: VaultProcess, new_rest: NewRest) -> None:
    await vault_process.start("--clock-offset", "1000", "--settling", "0")
    rest = new_rest(vault_process.ready["vaults"][VAULT], vault_process.authority)
    control = _control(vault_process, new_rest)
    await control("POST", "/clock", json={"shift_s": 500})
    await rest("PUT", "/secrets/db", json={"value": "x"})
    backup = (await rest("POST", "/secrets/db/backup"))[1]
    await rest("DELETE", "/secrets/db")
    await rest("DELETE", "/deletedsecrets/db")
    await vault_process.end(signal.SIGKILL)
    await vault_process.start()

    assert (await control("GET", "/clock"))[1]["offset_s"] == 1500
    assert (await rest("POST", "/secrets/restore", json=backup))[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it_cleanly_and_takes_the_ready_file_away(
    vault_process: VaultProcess, tmp_path: Path, number: signal.Signals
) -> None:
    await vault_process.start()
    mode = stat.S_IMODE((tmp_path / "ready.json").stat().st_mode)

    assert await vault_process.end(number) == (0, "", "")

    assert mode == 0o600
    assert not (tmp_path / "ready.json").exists()


async def test_what_it_prints_and_keeps_open_to_others_holds_no_value(
    vault_process: VaultProcess, new_rest: NewRest, tmp_path: Path
) -> None:
    await vault_process.start()
    rest = new_rest(vault_process.ready["vaults"][VAULT], vault_process.authority)
    await rest("PUT", "/secrets/db", json={"value": "hunter2-hunter2"})
    await rest("PUT", "/secrets/db", data=b'{"value": "hunter2-hunter2')
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}

    _, out, err = await vault_process.end(signal.SIGTERM)

    assert "hunter2" not in out + err
    assert {mode & 0o077 for mode in modes.values()} == {0}


async def test_faults_and_limits_can_be_set_from_the_start(vault_process: VaultProcess, new_rest: NewRest) -> None:
    fault = json.dumps({"kind": "status", "status": 503, "operation": "list", "times": 1})
    await vault_process.start("--fault", fault, "--limits")
    rest = new_rest(vault_process.ready["vaults"][VAULT], vault_process.authority)

    assert [(await rest("GET", "/secrets"))[0] for _ in range(2)] == [503, 200]
    statuses = [(await rest("PUT", "/secrets/db", json={"value": "x"}))[0] for _ in range(301)]
    assert statuses == [200] * 300 + [429]


async def test_a_second_process_on_the_same_data_is_refused(new_vaults: NewVaults) -> None:
    async with new_vaults():
        with pytest.raises(DataInUse, match="in use by another vault process"):
            await new_vaults().start()


async def test_a_taken_port_is_an_error_where_it_was_asked_for_and_replaced_where_it_was_not(
    new_vaults: NewVaults,
) -> None:
    async with new_vaults() as vaults:
        old = {name: int(url.rpartition(":")[2]) for name, url in vaults.urls.items()}
    with socket.create_server(("127.0.0.1", old[VAULT])):
        async with new_vaults() as vaults:
            assert vaults.urls[VAULT] != f"https://localhost:{old[VAULT]}"
            assert vaults.urls[OTHER_VAULT] == f"https://localhost:{old[OTHER_VAULT]}"
        insisting = new_vaults()
        insisting._ports[OTHER_VAULT] = old[VAULT]
        with pytest.raises(OSError, match="in use"):
            await insisting.start()


async def test_a_command_that_can_not_be_done_says_why_in_one_line(vault_process: VaultProcess) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"--fault.*nothing"):
        await vault_process.start("--fault", '{"kind": "nothing"}')
    with pytest.raises(pytest.fail.Exception, match="NAME=PORT"):
        await vault_process.start("--vault", "kv=http")
    with pytest.raises(pytest.fail.Exception, match=r"--cert.*missing.pem is not a file"):
        await vault_process.start("--cert", "missing.pem")


async def test_the_database_survives_its_own_checks_after_a_kill(
    vault_process: VaultProcess, new_rest: NewRest, tmp_path: Path
) -> None:
    await vault_process.start()
    rest = new_rest(vault_process.ready["vaults"][VAULT], vault_process.authority)
    await asyncio.gather(*(rest("PUT", "/secrets/db", json={"value": "x" * 20_000}) for _ in range(50)))
    await vault_process.end(signal.SIGKILL)

    connection = sqlite3.connect(tmp_path / "data" / "vault.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


def _control(process: VaultProcess, new_rest: NewRest) -> Rest:
    control = new_rest(process.ready["control"]["url"])
    control.headers = {"X-Control-Key": process.ready["control"]["key"]}
    return control
