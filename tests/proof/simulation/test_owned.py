"""A story holds a run to what that run could know, and no other."""

import contextlib

from rotation.ports import LEASE_S
from tests.fakes import no_hook
from tests.proof.simulation.bugs import BUGS
from tests.proof.simulation.neighbours import DAYS_H, Neighbours
from tests.proof.simulation.promises import Promise
from tests.proof.simulation.scheduler import Killed
from tests.proof.simulation.setting import NAME, REF
from tests.proof.simulation.street import asking
from tests.proof.simulation.trials import broken_by


class Unmanaged(Neighbours):
    """Before the change its owner takes the tags away. The run is killed, and the next one finds what it left."""

    killed_at = ("after", "set", NAME)

    def _kind(self) -> str:
        return "postgres-alternating"

    async def _play(self) -> None:
        await self._demand(REF, "at first")
        await self._days_pass(DAYS_H)
        self.world.listen(self._hook)
        with contextlib.suppress(Killed):
            await self._demand(REF, "killed")
        self.world.listen(no_hook)
        self.world.time.ahead(seconds=LEASE_S + 1)
        await self._sweep()

    async def _hook(self, when: str, call: str, name: str) -> None:
        if (when, call) == ("before", "change"):
            token = asking.set(None)
            await self.deeds.do("unmanage")
            asking.reset(token)
        if (when, call, name) == self.killed_at:
            raise Killed


class KilledBeforeTheChange(Unmanaged):
    """So that nothing is published yet."""

    killed_at = ("before", "change", "a")


def test_what_a_run_wrote_before_it_was_killed_is_not_held_against_the_one_that_records_it() -> None:
    story = Unmanaged(1)
    broken = broken_by(story, 1)
    assert broken is None, "\n".join((*story.facts.told, broken.what))
    assert any("an interrupted rotation was finished" in line for line in story.facts.told)


def test_a_run_that_writes_what_was_no_longer_asked_for_when_it_began_is_found() -> None:
    with BUGS["not given up in a slot that is no longer asked for"].switch():
        broken = broken_by(KilledBeforeTheChange(1), 1)
    assert broken is not None
    assert broken.promise is Promise.ASKED
