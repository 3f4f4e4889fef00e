"""Which managed secrets share a credential: one of them alone will keep it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from rotation.errors import RotationError
from rotation.model import SecretRef
from rotation.policy import Policy
from rotation.ports import Rotator, Vault
from rotation.side_by_side import side_by_side
from rotation.spec import parse

MAX_CONCURRENT = 8  # values read side by side


@dataclass(frozen=True, slots=True)
class Shared:
    """One credential that several secrets ask for. target, slot: as the policy lists them."""

    target: str
    slot: str
    secrets: tuple[SecretRef, ...]


async def shared(
    refs: Sequence[SecretRef],
    vaults: Mapping[str, Vault],
    policy: Policy,
    rotator: Callable[[str], Rotator],
    enough: Callable[[], bool] = lambda: False,
) -> list[Shared]:
    """Of these secrets. What can't be read or is not permitted is passed over: its own run says why.

    enough: whether no more are to be read; then of those that were.
    """
    asking: dict[tuple[str, str], list[SecretRef]] = {}
    wanted = takewhile(lambda _ref: not enough(), refs)
    async for ref, credentials in side_by_side(
        lambda ref: _asked(ref, vaults, policy, rotator), wanted, MAX_CONCURRENT
    ):
        for credential in credentials:
            asking.setdefault(credential, []).append(ref)
    return [Shared(target, slot, tuple(them)) for (target, slot), them in asking.items() if len(them) > 1]


async def _asked(
    ref: SecretRef, vaults: Mapping[str, Vault], policy: Policy, rotator: Callable[[str], Rotator]
) -> Iterable[tuple[str, str]]:
    if not policy.covers(ref):
        return ()
    try:
        secret = await vaults[ref.vault].get(ref.name)
        spec = parse(secret.tags)
        if spec is None:
            return ()
        access = rotator(spec.rotator).requested_access(spec, secret)
        policy.terms_for(ref, spec, access)
    except RotationError:
        return ()
    return [(target, slot) for target in access.targets for slot in access.slots]
