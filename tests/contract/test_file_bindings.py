"""Who owns a credential, in files: several processes, and disks that refuse."""

import asyncio
import fcntl
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from rotation.errors import Overtaken, Unreachable
from rotation.ledger.bindings import FOLDER
from rotation.stores.file_ledger import FileLedger
from tests.contract.owners import KEY, OTHER, bind, binding, owner

BINDS = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from rotation.errors import Overtaken
from rotation.stores.file_ledger import FileLedger
from tests.contract.ledgers import REF
from tests.contract.owners import KEY, binding
mine = binding(replace(REF, name=sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
try:
    asyncio.run(FileLedger(Path(sys.argv[1])).bind(KEY, 0, mine))
    print("bound")
except Overtaken:
    print("overtaken")
"""


async def test_of_many_processes_that_bind_at_once_one_does(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BINDS, str(tmp_path)]
    binds = [
        await asyncio.create_subprocess_exec(*command, f"s{number}", stdin=PIPE, stdout=PIPE) for number in range(4)
    ]
    await asyncio.gather(*(one.stdout.readline() for one in binds if one.stdout))  # all are ready
    said = [out.decode().strip() for out, _ in await asyncio.gather(*(one.communicate(b"\n") for one in binds))]
    assert sorted(said) == ["bound", "overtaken", "overtaken", "overtaken"]
    found = await FileLedger(tmp_path).bindings(KEY)
    assert [one.owner.name for one in found.records] == [f"s{said.index('bound')}"]


async def test_who_binds_waits_for_another_who_is_writing(tmp_path: Path) -> None:
    ledger, path = FileLedger(tmp_path), tmp_path / FOLDER / f"{KEY}.jsonl"
    path.parent.mkdir()
    with path.open("ab") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        waits = asyncio.create_task(ledger.bind(KEY, 0, binding()))
        await asyncio.sleep(0.2)
        assert not waits.done()
        writing.write(binding(OTHER).to_line().encode())
    with pytest.raises(Overtaken):
        await waits
    assert await owner(ledger) == OTHER


async def test_a_folder_that_can_not_be_used_is_told_and_never_read_as_free(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file where a folder should be")
    with pytest.raises(Unreachable, match="ROTATION_LEDGER"):
        await FileLedger(tmp_path).bindings(KEY)
    with pytest.raises(Unreachable, match="ROTATION_LEDGER"):
        await FileLedger(tmp_path).bind(KEY, 0, binding())


async def test_what_a_full_disk_took_of_a_line_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = FileLedger(tmp_path)
    await bind(ledger, binding(OTHER))
    before = await ledger.bindings(KEY)

    def full(_descriptor: int) -> None:
        raise OSError(28, "full")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(Unreachable):
            await ledger.bind(KEY, before.position, binding())
    assert await ledger.bindings(KEY) == before
