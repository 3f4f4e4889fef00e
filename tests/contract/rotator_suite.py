"""What every rotator promises, whatever its kind: `rotation.ports.Rotator`, clause by clause."""

import base64
import logging
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import quote, quote_plus

import pytest

from rotation.capabilities import ParksPassword
from rotation.errors import SHORTEST_SCRUBBED, Rejected, RotationError, Unreachable
from rotation.model import Credential, Draft, Login, SecretValue
from tests.contract.harness import Harness
from tests.contract.played_engine import PlayedEngine

_connections: list[str] = []
sys.addaudithook(lambda event, _: _connections.append(event) if event.startswith("socket.") else None)


@contextmanager
def no_io() -> Iterator[None]:
    """Nothing in the block opens a connection or looks up a name."""
    _connections.clear()
    yield
    assert not _connections


class RotatorSuite:
    """Inherited by a test class with a fixture `harness`."""

    @pytest.fixture(autouse=True)
    async def engine(self, harness: Harness, caplog: pytest.LogCaptureFixture) -> PlayedEngine:
        caplog.set_level(logging.DEBUG)
        return await PlayedEngine.onboard(harness)

    # claim and draft

    async def test_claim_names_what_would_be_touched_without_asking_anybody(
        self, harness: Harness, engine: PlayedEngine
    ) -> None:
        async with harness.outage():
            with no_io():
                access = engine.requested_access()
        assert bool(access.targets) is harness.traits.has_provider
        assert all(target == target.lower() for target in access.targets)
        assert bool(access.slots) is not harness.traits.assigns_slots or not harness.traits.has_provider
        assert not access.slots or access.current_slot in {None, *access.slots}

    async def test_draft_decides_without_asking_anybody(self, harness: Harness, engine: PlayedEngine) -> None:
        job = engine.job()
        async with harness.outage():
            with no_io():
                draft = engine.rotator.draft(job)
        assert (draft.slot is None) is harness.traits.assigns_slots
        assert (draft.value is None) is harness.traits.chooses_values
        if draft.slot is not None:
            assert (draft.slot == engine.current.slot) is harness.traits.in_place
            assert not job.access.slots or draft.slot in job.access.slots

    async def test_a_drafted_value_is_a_new_one_each_time(self, engine: PlayedEngine) -> None:
        values = [engine.rotator.draft(engine.job()).value for _ in range(3)]
        texts = {value.reveal() for value in values if value is not None}
        assert len(texts) in {0, 3}
        assert engine.current.value.reveal() not in texts

    async def test_the_same_operation_drafts_the_same_slot(self, engine: PlayedEngine) -> None:
        assert len({engine.rotator.draft(engine.job()).slot for _ in range(3)}) == 1

    # apply

    async def test_apply_makes_the_drafted_credential_work(self, harness: Harness, engine: PlayedEngine) -> None:
        job = engine.job()
        draft = engine.draft(job)
        new = await engine.apply(job, draft)
        assert await harness.works(new.value, new.slot)
        assert draft.slot in {None, new.slot}
        assert draft.value in {None, new.value}
        assert new.value != engine.current.value

    async def test_the_old_credential_lives_on_unless_it_was_changed_in_place(
        self, harness: Harness, engine: PlayedEngine
    ) -> None:
        old, new = await engine.rotate()
        assert (old.slot == new.slot) is harness.traits.in_place
        assert await harness.works(old.value, old.slot) is not harness.traits.in_place

    async def test_apply_may_be_repeated_for_the_same_operation(self, harness: Harness, engine: PlayedEngine) -> None:
        job = engine.job()
        draft = engine.draft(job)
        first = await engine.apply(job, draft)
        after_first = await harness.state()
        second = await engine.apply(replace(job, resumed=True), draft)
        assert await harness.works(second.value, second.slot)
        if draft.value is not None:
            assert second == first
            assert await harness.state() == after_first, "what already holds is not changed again"
        if not harness.traits.in_place:
            assert await harness.works(engine.current.value, engine.current.slot)

    async def test_apply_returns_a_staged_credential_that_already_works_as_it_is(
        self, harness: Harness, engine: PlayedEngine
    ) -> None:
        job = engine.job()
        new = await engine.apply(job, engine.draft(job))
        engine.stage(new)
        before = await harness.state()
        assert await engine.apply(replace(job, resumed=True), Draft(new.slot, new.value)) == new
        assert await harness.state() == before

    async def test_apply_tells_by_which_login_it_changed_the_provider(
        self, harness: Harness, engine: PlayedEngine
    ) -> None:
        job = engine.job()
        draft = engine.draft(job)
        offered: list[Login] = []

        async def logins(slot: str) -> AsyncIterator[Login]:
            async for login in engine.job().logins(slot):
                offered.append(login)
                yield login

        job = replace(job, logins=logins)
        new = await engine.apply(job, draft)
        told = offered[-1] if offered and harness.traits.changes_itself else None
        assert engine.login == told, "the next one is asked for once one was rejected"
        if engine.login is not None:
            engine.stage(new)
            await engine.apply(replace(job, resumed=True), draft)
            assert engine.login is None, "nothing was left to change"

    async def test_a_standby_password_is_decided_without_asking_anybody_and_is_a_new_one_each_time(
        self, harness: Harness, engine: PlayedEngine
    ) -> None:
        old, _ = await engine.rotate()
        if not isinstance(engine.rotator, ParksPassword):
            return
        async with harness.outage():
            with no_io():
                values = [engine.rotator.standby(engine.job(), old.slot) for _ in range(3)]
        texts = {value.reveal() for value in values if value is not None}
        assert len(texts) == (3 if values[0] is not None else 0)
        assert not texts & {version.value.reveal() for version in engine.versions}

    async def test_rotations_go_on_and_on(self, harness: Harness, engine: PlayedEngine) -> None:
        for _ in range(4):
            old, new = await engine.rotate()
            assert await harness.works(new.value, new.slot)
            if not harness.traits.in_place:
                await engine.retire(old.slot)
                assert await harness.works(new.value, new.slot)

    # verify

    async def test_verify_accepts_what_works_and_changes_nothing(self, harness: Harness, engine: PlayedEngine) -> None:
        before = await harness.state()
        await engine.rotator.verify(engine.job(), engine.current)
        assert await harness.state() == before
        assert await harness.works(engine.current.value, engine.current.slot)

    async def test_verify_rejects_a_wrong_value(self, harness: Harness, engine: PlayedEngine) -> None:
        wrong = harness.wrong(engine.current.value)
        with pytest.raises(Rejected):
            await engine.rotator.verify(engine.job(), Credential(wrong, engine.current.slot))

    @pytest.mark.where(proves_slots=True)  # nobody but the vault knows the slots of what is made here
    async def test_verify_rejects_a_right_value_under_a_wrong_slot(
        self, harness: Harness, engine: PlayedEngine
    ) -> None:
        other = await harness.wrong_slot(engine.current.slot)
        with pytest.raises(Rejected):
            await engine.rotator.verify(engine.job(), Credential(engine.current.value, other))

    @pytest.mark.where(has_provider=True)  # what is made here has no provider that could be out
    async def test_in_an_outage_nothing_is_told_to_be_wrong(self, harness: Harness, engine: PlayedEngine) -> None:
        old, _ = await engine.rotate()
        if not harness.traits.in_place:
            async with harness.outage():
                with pytest.raises(Unreachable):
                    await engine.retire(old.slot)
            await engine.retire(old.slot)
        job = engine.job()
        draft = engine.draft(job)
        async with harness.outage():
            with pytest.raises(Unreachable):
                await engine.rotator.verify(job, engine.current)
            with pytest.raises(Unreachable):
                await engine.rotator.apply(job, draft)
        await engine.rotator.verify(job, engine.current)
        new = await engine.apply(replace(job, resumed=True), draft)
        await engine.rotator.verify(job, new)

    # retire

    @pytest.mark.where(in_place=False)  # a slot that is changed in place stays current
    async def test_retire_ends_the_old_credential_and_no_other(self, harness: Harness, engine: PlayedEngine) -> None:
        old, new = await engine.rotate()
        await engine.retire(old.slot)
        assert await harness.works(old.value, old.slot) is not harness.traits.has_provider
        assert await harness.works(new.value, new.slot)
        await engine.rotator.verify(engine.job(), new)

    @pytest.mark.where(in_place=False)  # a slot that is changed in place stays current
    async def test_retire_of_what_is_gone_is_a_success(self, harness: Harness, engine: PlayedEngine) -> None:
        old, new = await engine.rotate()
        await engine.retire(old.slot)
        await engine.retire(old.slot)
        assert await harness.works(new.value, new.slot)

    @pytest.mark.where(in_place=False)  # a slot that is changed in place stays current
    async def test_a_retired_slot_can_be_used_again(self, harness: Harness, engine: PlayedEngine) -> None:
        old, _ = await engine.rotate()
        await engine.retire(old.slot)
        before, after = await engine.rotate()
        assert await harness.works(after.value, after.slot)
        assert await harness.works(before.value, before.slot)
        if not harness.traits.assigns_slots and harness.traits.has_provider:
            assert after.slot == old.slot

    # errors

    async def test_no_error_and_no_log_line_shows_a_value(
        self, harness: Harness, engine: PlayedEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        wrong = harness.wrong(engine.current.value)
        told = await _provoke_errors(harness, engine, wrong)
        told += [record.getMessage() for record in caplog.records]
        told += [repr(engine.current), repr(engine.job()), repr(engine.requested_access()), repr(engine.rotator)]
        for value in {*engine.seen, wrong}:
            for needle in {value.reveal(), *harness.confidential(value)}:
                for form in _encodings(needle):
                    assert not [text for text in told if form in text]


async def _provoke_errors(harness: Harness, engine: PlayedEngine, wrong: SecretValue) -> list[str]:
    """The texts of the errors that wrong values, wrong slots and an outage bring about; all of them are ours."""
    errors: list[RotationError] = []

    @contextmanager
    def listening() -> Iterator[None]:
        try:
            yield
        except RotationError as error:
            errors.append(error)

    rotator, slot = engine.rotator, engine.current.slot
    old, _ = await engine.rotate()
    with listening():
        await rotator.verify(engine.job(), Credential(wrong, slot))
    with listening():
        await rotator.verify(engine.job(), Credential(engine.current.value, await harness.wrong_slot(slot)))
    async with harness.outage():
        with listening():
            await rotator.verify(engine.job(), engine.current)
        with listening():
            await engine.apply(engine.job(), engine.draft(engine.job()))
        with listening():
            if not harness.traits.in_place:
                await engine.retire(old.slot)
    with listening():
        locked_out = PlayedEngine(harness, engine.spec, replace(engine.secret, value=wrong), engine.current.slot)
        locked_out.seen = engine.seen
        await locked_out.apply(locked_out.job(), locked_out.draft(locked_out.job()))
    assert errors
    assert all(error.__cause__ is None and "\n" not in error.message for error in errors)
    return [text for error in errors for text in (error.message, repr(error), *traceback.format_exception(error))]


def _encodings(text: str) -> set[str]:
    """The forms in which a text stands in URLs, headers and logs; none for what is too short to search for."""
    if len(text) < SHORTEST_SCRUBBED:
        return set()
    raw = text.encode()
    return {
        text,
        quote(text, safe=""),
        quote_plus(text),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
    }
