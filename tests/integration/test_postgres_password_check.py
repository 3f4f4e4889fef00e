"""Servers with a check of new passwords that takes none hashed beforehand, which is all that the rotators send."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.postgres_binaries import installed
from rotation.errors import Refused, Rejected
from rotation.model import Admin
from rotation.rotators.databases.in_place import InPlace
from rotation.rotators.postgres.database import PostgresDatabase
from tests.integration.postgres_fixtures import Owner, by_admin, folder, job_of, make_services, running

SOURCE = Path(__file__).parent / "password_check" / "password_check.c"
ADMIN = Admin("secret", "pg-admin")


@pytest.fixture(scope="module")
def library() -> Iterator[Path]:
    """The check, made for the system's own PostgreSQL."""
    binaries = installed()
    version = "" if binaries is None else binaries.parent.name
    headers = Path(f"/usr/include/postgresql/{version}/server")
    if binaries is None or not (headers / "postgres.h").exists():
        pytest.skip(f"no headers of PostgreSQL's: apt-get install gcc postgresql-server-dev-{version or 'all'}")
    with folder() as place:
        built = place / "password_check.so"
        command = ["gcc", "-shared", "-fPIC", "-O1", "-I", str(headers), "-o", str(built), str(SOURCE)]
        subprocess.run(command, check=True)
        yield built


@pytest.fixture(params=["internal", "raised", "login", "wordless"])
def owner(request: pytest.FixtureRequest, library: Path) -> Iterator[Owner]:
    settings = {
        "shared_preload_libraries": str(library),
        "password_check.manner": request.param,
        "password_check.spared": "postgres",
    }
    with running(binaries=installed(), settings=settings) as running_owner:
        yield running_owner


async def test_a_check_that_takes_no_hashed_password_is_told_with_the_ways_out_and_for_good(
    owner: Owner, request: pytest.FixtureRequest
) -> None:
    rotator, role = InPlace(PostgresDatabase(make_services())), owner.role()
    before = owner.kept(role)
    job = job_of(rotator, owner.value(role))
    wordless = "wordless" in request.node.name
    told = "settings say whom it spares" if wordless else r"hashed.*credcheck\.encrypted_password_allowed.*exempt"
    with pytest.raises(Refused, match=told) as raised:
        await rotator.apply(job, rotator.draft(job))
    assert not raised.value.transient
    assert not isinstance(raised.value, Rejected)
    assert not any(words in raised.value.message for words in ("already hashed", "computer says no"))
    assert owner.kept(role) == before

    spared = job_of(rotator, owner.value(role), logins=[by_admin(owner)], admin=ADMIN)
    await rotator.verify(spared, (await rotator.apply(spared, rotator.draft(spared))).credential)
