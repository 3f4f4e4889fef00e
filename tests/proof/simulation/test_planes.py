"""The stories' planes tell a rotator whose a value is, as Azure's do."""

import random
from collections.abc import Callable

import pytest

from rotation.errors import Rejected
from rotation.model import Secret, SecretValue
from rotation.ports import RotatorDependencies
from tests.contract.harness_generated import SERVICES
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec
from tests.proof.simulation import planes

Made = planes.StorageAccount | planes.Directory | planes.Nobody


def made(kind: Callable[[RotatorDependencies, random.Random], Made], seed: int) -> tuple[Made, Secret]:
    tokens = RotatorDependencies(planes.Tokens(), SERVICES.endpoints, SERVICES.now, SERVICES.sleep, SERVICES.random)
    plane = kind(tokens, random.Random(seed))
    return plane, make_secret(plane.first()[0].reveal())


async def proven(plane: Made, value: SecretValue) -> str:
    spec = make_spec(plane.tags["rotator"], target=plane.tags.get("target"), form=plane.tags.get("format"))
    with plane.simulated():
        return (await plane.rotator.prove(make_job(plane.rotator, spec, make_secret(value.reveal()), "its own"))).slot


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", [planes.StorageAccount, planes.Directory])
async def test_a_value_is_proven_to_be_whose_the_plane_has_it_for(
    kind: Callable[[RotatorDependencies, random.Random], Made], seed: int
) -> None:
    plane, secret = made(kind, seed)
    assert await proven(plane, secret.value) == plane.slot(secret)
    with pytest.raises(Rejected):
        await proven(plane, plane.mistaken(secret))
    with pytest.raises(Rejected):
        await proven(plane, plane.planted(secret))


@pytest.mark.parametrize("kind", [planes.Nobody, planes.KeySets])
async def test_a_value_that_nobody_made_is_the_slot_that_the_vault_has_it_for(
    kind: Callable[[RotatorDependencies, random.Random], Made],
) -> None:
    plane, secret = made(kind, 1)
    assert await proven(plane, secret.value) == "its own"
