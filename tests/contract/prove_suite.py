"""What every rotator promises of `prove`, by which alone a secret gets its credential."""

import traceback
from dataclasses import replace

import pytest

from rotation.errors import Rejected, RotationError, Unreachable
from rotation.model import Credential, Job, SecretValue
from tests.contract.harness import Harness
from tests.contract.played_engine import PlayedEngine


class ProveSuite:
    """Inherited by a test class with a fixture `harness`."""

    @pytest.fixture(autouse=True)
    async def engine(self, harness: Harness) -> PlayedEngine:
        return await PlayedEngine.onboard(harness)

    async def test_what_works_is_proven_with_its_slot_and_its_provider(
        self, harness: Harness, engine: PlayedEngine
    ) -> None:
        proof = await engine.rotator.prove(to_prove(engine, engine.current.value))
        assert (proof.realm is not None) is harness.traits.has_provider
        assert await harness.works(engine.current.value, proof.slot)
        if harness.traits.proves_slots:
            assert proof.slot == engine.current.slot

    async def test_to_prove_changes_nothing(self, harness: Harness, engine: PlayedEngine) -> None:
        before = await harness.state()
        first = await engine.rotator.prove(to_prove(engine, engine.current.value))
        assert await engine.rotator.prove(to_prove(engine, engine.current.value)) == first
        assert await harness.state() == before

    async def test_the_new_credential_is_proven_at_the_same_provider(
        self, harness: Harness, engine: PlayedEngine
    ) -> None:
        before = await engine.rotator.prove(to_prove(engine, engine.current.value))
        old, new = await engine.rotate()
        after = await engine.rotator.prove(to_prove(engine, new.value))
        assert after.realm == before.realm
        if harness.traits.proves_slots:
            assert (after.slot == before.slot) is harness.traits.in_place
            assert after.slot == new.slot
        if harness.traits.in_place:
            with pytest.raises(Rejected):
                await engine.rotator.prove(to_prove(engine, old.value))

    async def test_a_wrong_value_is_rejected(self, harness: Harness, engine: PlayedEngine) -> None:
        with pytest.raises(Rejected):
            await engine.rotator.prove(to_prove(engine, harness.wrong(engine.current.value)))

    @pytest.mark.where(has_provider=True)  # what is made here has no provider that could be out
    async def test_in_an_outage_nothing_is_proven_and_nothing_rejected(
        self, harness: Harness, engine: PlayedEngine
    ) -> None:
        async with harness.outage():
            for value in (engine.current.value, harness.wrong(engine.current.value)):
                with pytest.raises(Unreachable):
                    await engine.rotator.prove(to_prove(engine, value))
        await engine.rotator.prove(to_prove(engine, engine.current.value))

    @pytest.mark.where(has_provider=True)  # what is made here has nobody who could have moved
    async def test_a_change_goes_to_the_provider_that_was_proven(self, harness: Harness, engine: PlayedEngine) -> None:
        proof = await engine.rotator.prove(to_prove(engine, engine.current.value))
        job = replace(engine.job(), realm=proof.realm)
        new = await engine.apply(job, engine.draft(job))
        assert await harness.works(new.value, new.slot)

    async def test_no_proof_and_no_error_shows_a_value(self, harness: Harness, engine: PlayedEngine) -> None:
        wrong = harness.wrong(engine.current.value)
        told = [repr(await engine.rotator.prove(to_prove(engine, engine.current.value)))]
        with pytest.raises(RotationError) as raised:
            await engine.rotator.prove(to_prove(engine, wrong))
        assert raised.value.__cause__ is None
        assert "\n" not in raised.value.message
        told += [raised.value.message, *traceback.format_exception(raised.value)]
        for value in (engine.current.value, wrong):
            for needle in {value.reveal(), *harness.confidential(value)}:
                assert not [text for text in told if needle in text]


def to_prove(engine: PlayedEngine, value: SecretValue) -> Job:
    """As before anything is known: the slot is what the value itself names, or blank."""
    secret = replace(engine.secret, value=value)
    access = engine.rotator.requested_access(engine.spec, secret)
    return replace(engine.job(), access=access, current=Credential(value, access.current_slot or ""))
