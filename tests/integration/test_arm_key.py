"""Resources with two keys, where the contract does not reach: what takes its time, lags, is refused or switched off."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.azure.faults import Fault, Kind
from local.azure.key_rows import ROWS as KNOWN
from local.certificates import Certificates
from rotation.errors import MovedElsewhere, NotYet, Refused, RotationError, Throttled, UnderWay, Unreachable, Unusable
from rotation.ledger.records import Step
from rotation.model import Draft, Outcome, Reason
from rotation.rotators import ROTATORS
from rotation.rotators.azure.rows import ROWS
from tests.contract.crash_suite import REF, World
from tests.contract.harness_arm_keys import STRINGS, ArmKeyHarness, resource_id
from tests.contract.played_engine import PlayedEngine
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec
from tests.local_azure import SUBSCRIPTION, Place, opened

LONG = [name for name, row in ROWS.items() if row.long_running]
SWITCHED = [name for name, row in ROWS.items() if row.switches]


@pytest.fixture
async def place(tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with opened(tmp_path, certificates, monkeypatch) as running:
        yield running


def harness_of(place: Place, name: str) -> ArmKeyHarness:
    template = "{key}" if ROWS[name].bare else STRINGS[name]
    return ArmKeyHarness(place, name, next(iter(ROWS[name].types)), template)


class Later:
    """The world's clock and the stand-in's go on together."""

    def __init__(self, world: World, place: Place, patch: pytest.MonkeyPatch) -> None:
        self._world = world
        self._place = place
        patch.setattr(place.azure.plane, "now", lambda: datetime.now(UTC) + place.later)

    async def ask(self, hours: float = 0, reason: Reason = Reason.SWEEP) -> Outcome:
        self._place.later += timedelta(hours=hours)
        self._world.time.ahead(seconds=hours * 3600)
        return await self._world.ask(reason)


# what takes its time


@pytest.mark.parametrize("early", [False, True], ids=["listed late", "listed early"])
async def test_a_change_that_outlasts_the_run_is_deferred_and_asked_for_once(
    place: Place, monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    harness = harness_of(place, "cosmos-key")
    world = await World(harness).start()
    clock = Later(world, place, monkeypatch)
    keyed = place.azure.arm.keyed
    keyed.takes_s, keyed.shows_early = 5 * 3600, early
    first = world.latest
    begun = await clock.ask(reason=Reason.NEAR_EXPIRY)
    waits = [await clock.ask(hours=1) for _ in range(4)]
    assert {one.result.value for one in (begun, *waits)} == {"deferred"}
    assert "is not through; the old key goes on working" in begun.detail
    assert begun.retry_after_s == 300
    assert world.latest.version == first.version
    assert await harness.works(first.value, "primary")
    marks = {record.mark for record in world.ledger.records(REF) if record.mark}
    assert len(marks) == 1, "one call, whatever the number of looks"
    done = await clock.ask(hours=2)
    assert (done.result.value, done.slot) == ("resumed", "secondary")
    assert "compared with the key that Azure lists" in done.detail
    assert await harness.works(world.latest.value, "secondary")
    assert not any(key in str(world.ledger.records(REF)) for key in keyed.keys(harness.target).values())


@pytest.mark.parametrize("name", ["signalr-key", "web-pubsub-key"])
async def test_a_key_in_an_answer_that_says_not_yet_is_not_published(
    place: Place, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Their 202: "an async operation is executing in background to make the new key to take effect"."""
    harness = harness_of(place, name)
    world = await World(harness).start()
    clock = Later(world, place, monkeypatch)
    keyed = place.azure.arm.keyed
    keyed.takes_s, keyed.shows_early, keyed.answers_early = 600, True, True
    first = world.latest
    begun = await clock.ask(reason=Reason.NEAR_EXPIRY)
    assert (begun.result.value, world.latest.version) == ("deferred", first.version)
    done = await clock.ask(hours=1)
    assert (done.result.value, done.slot) == ("resumed", "secondary")
    assert await harness.works(world.latest.value, "secondary")


async def test_a_change_that_never_came_is_asked_for_once_more(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    harness = harness_of(place, "signalr-key")
    world = await World(harness).start()
    clock = Later(world, place, monkeypatch)
    keyed = place.azure.arm.keyed
    keyed.takes_s = 600
    assert (await clock.ask(reason=Reason.NEAR_EXPIRY)).result.value == "deferred"
    lost = place.azure.plane.store.get("keyed", harness.target)
    assert lost is not None
    place.azure.plane.store.put("keyed", harness.target, {**lost, "ends": {}})
    keyed.takes_s = 0
    assert (await clock.ask(hours=0.5)).result.value == "deferred"
    assert (await clock.ask(hours=1)).result.value == "resumed"


async def test_a_key_that_came_days_later_is_somebody_elses(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever made it may have given it to others, whom the end of its grace period would lock out."""
    harness = harness_of(place, "signalr-key")
    world = await World(harness).start()
    clock = Later(world, place, monkeypatch)
    keyed, store = place.azure.arm.keyed, place.azure.plane.store
    keyed.takes_s = 600
    assert (await clock.ask(reason=Reason.NEAR_EXPIRY)).result.value == "deferred"
    held = store.get("keyed", harness.target)
    assert held is not None
    sent, theirs = ROWS["signalr-key"].slot("secondary").sent, "T" * 43 + "="
    held["keys"][sent]["value"] = theirs
    store.put("keyed", harness.target, {**held, "ends": {}})
    assert (await clock.ask(hours=72)).result.value == "deferred"
    assert (await clock.ask(hours=1)).result.value == "resumed"
    assert theirs not in world.latest.value.reveal()


async def test_an_old_key_that_takes_its_time_to_end_is_not_taken_for_ended(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = harness_of(place, "cosmos-key")
    world = await World(harness).start()
    clock = Later(world, place, monkeypatch)
    keyed = place.azure.arm.keyed
    assert (await clock.ask(reason=Reason.NEAR_EXPIRY)).result.value == "rotated"
    old = keyed.keys(harness.target)["primary"]
    keyed.takes_s = 3 * 3600
    for _ in range(2):
        outcome = await clock.ask(hours=73 if keyed.keys(harness.target)["primary"] == old else 1)
        assert outcome.result.value != "retired"
        assert Step.RETIRED not in {record.step for record in world.ledger.records(REF)}
        if "is not through" in outcome.detail:
            break
    assert (await clock.ask(hours=4)).result.value == "retired"
    assert keyed.keys(harness.target)["primary"] != old


@pytest.mark.parametrize("name", LONG)
async def test_every_row_that_takes_its_time_says_so(place: Place, name: str) -> None:
    harness = harness_of(place, name)
    engine = await PlayedEngine.onboard(harness)
    place.azure.arm.keyed.takes_s = 60
    job = engine.job()
    with pytest.raises(UnderWay) as raised:
        await engine.rotator.apply(job, engine.rotator.draft(job))
    assert raised.value.mark
    with pytest.raises(NotYet, match="is being changed; its key is asked for once it is at rest"):
        await engine.rotator.apply(job, engine.rotator.draft(job))
    draft = Draft(engine.rotator.draft(job).slot, None, place.now(), raised.value.mark)
    with pytest.raises(UnderWay) as again:
        await engine.rotator.apply(job, draft)
    assert again.value.mark == raised.value.mark


# what is chosen here


async def test_a_key_of_our_own_that_was_applied_already_is_not_sent_again(place: Place) -> None:
    harness = harness_of(place, "service-bus-key")
    engine = await PlayedEngine.onboard(harness)
    job = engine.job()
    draft = engine.draft(job)
    lost = Fault(Kind.DROP_AFTER, path="regenerateKeys", times=1)
    with place.fault(lost), pytest.raises(Unreachable):
        await engine.apply(job, draft)
    sent = place.azure.faults.add(Fault(Kind.STATUS, path="regenerateKeys"))
    new = await engine.apply(job, draft)
    assert sent.struck == 0
    assert draft.value == new.value
    assert await harness.works(new.value, new.slot)


async def test_another_key_than_the_one_that_was_sent_is_no_success(place: Place) -> None:
    engine = await PlayedEngine.onboard(harness_of(place, "event-hubs-key"))
    place.azure.arm.keyed.ignores_chosen = True
    job = engine.job()
    with pytest.raises(Refused, match="made another key than it was given"):
        await engine.apply(job, engine.draft(job))


# bad days


def status(code: int, azure_code: str = "SomeCode", *, path: str = "/arm/", **more: Any) -> Fault:
    return Fault(Kind.STATUS, path=path, status=code, code=azure_code, **more)


BAD_ANSWERS: tuple[tuple[Fault, type[RotationError], str], ...] = (
    (status(403, "AuthorizationFailed"), Refused, "give it {role}"),
    (status(404, "ResourceNotFound"), Refused, "there is no {what} "),
    (status(409, "Conflict"), Unreachable, "being changed by another request"),
    (status(409, "ScopeLocked"), Refused, "has a lock"),
    (status(412, "PreconditionFailed"), Unreachable, "being changed by another request"),
    (status(429, "TooManyRequests", headers={"Retry-After": "17"}), Throttled, "too many calls"),
    (status(418), Refused, "answered 418"),
)


@pytest.mark.parametrize("name", ROWS)
async def test_each_bad_answer_is_one_clear_line(place: Place, name: str) -> None:
    harness = harness_of(place, name)
    spec, secret = await harness.fresh()
    job = make_job(harness.rotator, spec, secret, ROWS[name].both[0])
    draft, before = harness.rotator.draft(job), await harness.state()
    for fault, error, words in BAD_ANSWERS:
        with place.fault(fault), pytest.raises(error) as raised:
            await harness.rotator.apply(job, draft)
        assert words.format(what=ROWS[name].what, role=ROWS[name].role) in raised.value.message
        assert "\n" not in raised.value.message
    assert await harness.state() == before


@pytest.mark.parametrize("name", SWITCHED)
async def test_where_keys_are_switched_off_nothing_is_changed_and_the_property_is_named(
    place: Place, name: str
) -> None:
    harness = harness_of(place, name)
    engine = await PlayedEngine.onboard(harness)
    before = await harness.state()
    off = next(row.off for row in KNOWN if row.types[0].lower() == next(iter(ROWS[name].types)))
    place.azure.arm.keyed.add(harness.target, **off)
    job = engine.job()
    with pytest.raises(Refused, match=f"takes no keys \\({next(iter(off))} says so\\)"):
        await engine.apply(job, engine.draft(job))
    with pytest.raises(Refused, match="takes no keys"):
        await engine.rotator.prove(job)
    assert await harness.state() == before


def test_every_row_of_the_stand_in_that_can_switch_keys_off_is_asked() -> None:
    can = {row.types[0].lower() for row in KNOWN if row.off}
    assert can == {next(iter(ROWS[name].types)) for name in SWITCHED}


@pytest.mark.parametrize("name", ROWS)
def test_tags_that_name_another_type_or_another_key_are_refused(name: str, place: Place) -> None:
    kind = next(iter(ROWS[name].types))
    own, rotator = resource_id(kind), ROTATORS[name].build(place.services)
    value = make_secret("q7Xw" * 10 + "abc=")
    other = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/ktdemo1"
    for target in (None, "ktdemo1", f"https://management.azure.com{own}", f"{own}/more/things", f"{own}/../x", other):
        with pytest.raises(Unusable) as refused:
            rotator.requested_access(make_spec(name, target=target), value)
        assert refused.value.field == "target"
    with pytest.raises(Unusable) as refused:
        rotator.requested_access(make_spec(name, target=own, slots=("one", "other")), value)
    assert refused.value.field == "slots"


async def test_a_list_that_lags_is_waited_for_and_not_taken_for_a_wrong_key(place: Place) -> None:
    harness = harness_of(place, "maps-key")
    engine = await PlayedEngine.onboard(harness)
    job = engine.job()
    new = await engine.apply(job, engine.draft(job))
    lag = Fault(Kind.LAG, path="listKeys")
    with place.fault(lag), pytest.raises(RotationError) as raised:
        await engine.rotator.verify(job, new)
    assert raised.value.code == "not_yet"
    kept = Draft(new.slot, new.value, place.now())
    with place.fault(lag), pytest.raises(RotationError) as raised:
        await engine.rotator.apply(job, kept)
    assert raised.value.code == "not_yet"
    assert (await engine.rotator.apply(job, kept)).credential == new
    await engine.rotator.verify(job, new)


async def test_an_id_that_is_not_the_keys_is_refused(place: Place) -> None:
    harness = harness_of(place, "app-configuration-key")
    spec, secret = await harness.fresh()
    other = make_secret(secret.value.reveal().replace("Id=", "Id=x"))
    job = make_job(harness.rotator, spec, other, "")
    with pytest.raises(Unusable, match="calls its key otherwise"):
        await harness.rotator.prove(job)


async def test_nothing_is_changed_at_another_resource_than_the_one_that_was_proven(place: Place) -> None:
    harness = harness_of(place, "search-admin-key")
    engine = await PlayedEngine.onboard(harness)
    job = replace(engine.job(), realm="search:another")
    with pytest.raises(MovedElsewhere):
        await engine.rotator.apply(job, engine.draft(job))


def test_who_a_resource_is() -> None:
    """By its own name, where that is its own in all of Azure; a group may be another one day."""
    named = {name for name, row in ROWS.items() if row.realm is not None}
    assert {"service-bus-key", "cosmos-key", "redis-key", "signalr-key"} <= named
    assert not {"maps-key", "batch-key", "event-grid-topic-key", "automation-key"} & named
