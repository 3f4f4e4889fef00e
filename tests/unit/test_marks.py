"""A provider that goes on with a change after the run that asked for it: no run waits, and none asks twice."""

from typing import Any

from rotation.errors import NotYet, UnderWay
from rotation.ledger.records import Step
from rotation.model import Applied, Credential, Draft, Job
from tests.previous_release.history import History as PreviousHistory
from tests.previous_release.records import Record as PreviousRecord
from tests.world import NAME, REF, World

MARK = "5b1f0c"


class Slow:
    """A rotator of two keys whose changes are through once `through` says so; `began` are the drafts it saw."""

    def __init__(self, rotator: Any) -> None:
        self._rotator = rotator
        self.through = False
        self.remark: str | None = None
        self.marks: list[str | None] = [MARK]
        self.began: list[Draft] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rotator, name)

    async def apply(self, job: Job, draft: Draft) -> Applied:
        self.began.append(draft)
        if not self.through:
            raise UnderWay("the key is being made", retry_after_s=60, mark=self.marks[-1])
        made: Applied = await self._rotator.apply(job, draft)
        return Applied(made.credential, remark=self.remark)

    async def retire(self, job: Job, slot: str) -> None:
        if not self.through:
            raise NotYet("the old key is being ended")
        await self._rotator.retire(job, slot)

    async def verify(self, job: Job, credential: Credential) -> None:
        await self._rotator.verify(job, credential)


async def slow_world() -> tuple[World, Slow]:
    world = World("two-keys")
    slow: Any = Slow(world.rotator)
    world.rotator = slow
    return await world.start(), slow


async def test_the_mark_is_recorded_once_and_handed_to_each_later_run() -> None:
    world, slow = await slow_world()
    first = world.vault.latest(NAME).version
    for _ in range(3):
        outcome = await world.ask()
        assert (outcome.result.value, outcome.retry_after_s) == ("deferred", 60)
        world.time.ahead(seconds=90)
    marked = [record for record in world.ledger.records(REF) if record.mark]
    assert [(record.step, record.slot, record.mark) for record in marked] == [(Step.APPLYING, "key2", MARK)]
    assert [draft.mark for draft in slow.began] == [None, MARK, MARK]
    assert [draft.since for draft in slow.began[1:]] == [marked[0].at] * 2
    assert world.vault.latest(NAME).version == first
    slow.through, slow.remark = True, "compared with a list"
    done = await world.ask()
    assert done.result.value == "resumed"
    assert "compared with a list" in done.detail


async def test_another_mark_is_another_change_and_begins_anew() -> None:
    world, slow = await slow_world()
    await world.ask()
    slow.marks.append("77aa01")
    world.time.ahead(hours=1)
    await world.ask()
    await world.ask()
    assert [draft.mark for draft in slow.began] == [None, MARK, "77aa01"]
    assert slow.began[2].since == world.time.now()


async def test_no_mark_is_no_record() -> None:
    world, slow = await slow_world()
    slow.marks.append(None)
    await world.ask()
    await world.ask()
    assert not any(record.mark for record in world.ledger.records(REF))
    assert [draft.mark for draft in slow.began] == [None, None]


async def test_the_mark_of_one_operation_is_none_of_the_next() -> None:
    world, slow = await slow_world()
    await world.ask()
    slow.through = True
    await world.ask()
    world.time.ahead(days=10)
    await world.ask("sweep")
    world.time.ahead(days=60)
    slow.through = False
    await world.ask()
    assert slow.began[-1].mark is None


async def test_a_slot_that_is_not_ended_yet_waits_for_the_next_look() -> None:
    world, slow = await slow_world()
    slow.through = True
    assert (await world.ask()).result.value == "rotated"
    slow.through = False
    world.time.ahead(days=4)
    outcome = await world.ask("sweep")
    assert outcome.result.value != "retired"
    assert "the old key is being ended" in outcome.detail
    steps = [record.step for record in world.ledger.records(REF)]
    assert Step.RETIRED not in steps
    assert all(version.enabled for version in world.vault.all(NAME))
    slow.through = True
    assert (await world.ask("sweep")).result.value == "retired"


async def test_the_release_before_reads_a_history_with_a_mark() -> None:
    world, _ = await slow_world()
    await world.ask()
    read = [PreviousRecord.from_line(record.to_line()) for record in world.ledger.records(REF)]
    begun = PreviousHistory(read).open_operation()
    assert begun is not None
    assert (begun.slot, begun.base_version) == ("key2", world.vault.latest(NAME).version)
