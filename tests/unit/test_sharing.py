"""After an upgrade from a package that knew no owners, shared credentials are named before one secret keeps each."""

import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from app.telemetry import Off
from handlers.sweep import sweep
from rotation.engine.sharing import Shared, shared
from rotation.engine.sweep import Sweeper
from rotation.ledger.records import Record, Step
from rotation.model import RotationRequest, SecretRef, SecretValue
from rotation.policy import Policy
from tests.fakes import TARGET, value
from tests.world import NAME, REF, World

OTHER, APART = SecretRef("kv", "orders-other"), SecretRef("kv", "orders-apart")


async def before() -> World:
    """Three secrets that the package before rotated; two of them name one role."""
    world = await World("in-place").start()
    world.server.passwords["apart"] = "x"
    world.allow(slots=("app", "apart"))
    for ref, new in ((REF, world.latest.value), (OTHER, world.latest.value), (APART, value("apart", "x"))):
        version = await world.vault.set(ref.name, new, tags=world.tags, expires_on=world.now + timedelta(days=80))
        lease = await world.ledger.acquire(ref, create=True)
        assert lease is not None
        slot = new.reveal().partition(":")[0]
        await lease.append(Record(world.now, Step.ADOPTED, "op", "sweep", "sweep", version=version.version, slot=slot))
        await lease.release()
    return world


async def test_the_sweep_after_an_upgrade_asks_for_what_is_not_bound_and_knows_what_shares() -> None:
    world = await before()
    sweeper = Sweeper(world.ledger, world.policy)
    asked: list[RotationRequest] = [one async for one in sweeper.requests(world.vault, world.now)]
    assert {one.ref for one in asked} == {REF, OTHER, APART}
    assert sweeper.unbound["kv"] == [REF, OTHER, APART]
    found = await shared(sweeper.unbound["kv"], {"kv": world.vault}, world.policy, world._rotator)
    assert found == [Shared(TARGET, "app", (REF, OTHER))]
    for one in asked:
        if one.ref != OTHER:
            await world.engine.handle(one)
    again = [one.ref async for one in sweeper.requests(world.vault, world.now + timedelta(minutes=1))]
    assert again == [OTHER]
    assert sweeper.unbound["kv"] == [], "it is told once for each history that is read"


async def test_what_can_not_be_read_or_is_not_permitted_shares_nothing() -> None:
    world = await before()
    await world.vault.set(OTHER.name, SecretValue("no slot"), tags=world.tags)
    assert await shared([REF, OTHER], {"kv": world.vault}, world.policy, world._rotator) == []
    assert await shared([REF, OTHER], {"kv": world.vault}, Policy(), world._rotator) == []


async def test_a_sweep_that_is_late_reads_no_more_to_compare_it() -> None:
    world = await before()
    world.vault.calls.clear()
    assert await shared([REF, OTHER], {"kv": world.vault}, world.policy, world._rotator, lambda: True) == []
    assert world.vault.calls == []


async def test_the_log_names_the_secrets_and_what_they_share(caplog: pytest.LogCaptureFixture) -> None:
    world = await before()

    async def quiet() -> None:
        return

    app: Any = SimpleNamespace(
        vaults={"kv": world.vault}, sweeper=Sweeper(world.ledger, world.policy), request_queue=None, telemetry=Off(),
        poison=SimpleNamespace(tell=quiet), policy=world.policy, rotator=world._rotator,
    )  # fmt: skip
    with caplog.at_level(logging.WARNING):
        await sweep(app)
    [said] = [one for one in caplog.records if getattr(one, "keyturn.event", "") == "shared"]
    assert (getattr(said, "keyturn.vault"), getattr(said, "keyturn.secret")) == (REF.vault, REF.name)
    line = said.getMessage()
    assert str(REF) in line
    assert str(OTHER) in line
    assert str(APART) not in line
    assert "only the first of them to run keeps it" in line
    assert NAME in line
