"""`python -m tests.deputies.trials FOLDER`: every trial, in a process that an audit hook watches -> JSON, one a line.

The engine, the policy as a file, and the rotators are the app's own; the vault and the ledger are in memory, so that
every connection is a rotator's.
"""

import asyncio
import json
import random
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rotation.engine import Engine, Parts
from rotation.errors import RotationError, Unusable
from rotation.model import Endpoints, RotationRequest, SecretRef, SecretValue
from rotation.passwords import ALPHABETS
from rotation.policy import Policy
from rotation.policy_file import load
from rotation.ports import Rotator, Services
from rotation.rotators import ROTATORS
from rotation.spec import companion
from tests.deputies import vaults
from tests.deputies.listeners import Canaries, Heard, Permitted, listening
from tests.deputies.seen import Seen
from tests.deputies.table import Trial, denied, good, planted, policy
from tests.fakes import FakeClock, InMemoryLedger, InMemoryVault

NAME = "orders-db"
ADMINISTRATORS = {"nobody": "", "a secret": 'admin = "secret:pg-admin"', "identity": 'admin = "identity"'}
TOKEN = "the-identity's-token"


@dataclass
class Tokens:
    """Asked for a token, the identity has been used."""

    asked: int = 0

    async def token(self, scope: str) -> SecretValue:
        self.asked += 1
        return SecretValue(TOKEN)


class Court:
    """Tries secrets one by one, each in a world of its own."""

    def __init__(self, heard: Heard, permitted: Permitted, canaries: Canaries) -> None:
        self.heard = heard
        self.permitted = permitted
        self.canaries = canaries

    async def tried(self, kind: str, trial: Trial, rules: Policy) -> Seen:
        time, tokens = FakeClock(datetime.now(UTC)), Tokens()
        vault, ledger = InMemoryVault("kv", time), InMemoryLedger(time)
        await vault.set("pg-admin", SecretValue(f"postgresql://admin:pw@127.0.0.1:{self.permitted.port}/x"), tags={})
        for value in trial.older:
            await vault.set(NAME, SecretValue(value), tags=trial.tags)
            await vault.set(companion(NAME), SecretValue(value), tags={"staged-for": NAME, "operation-id": "0" * 32})
        ends = time.now() + timedelta(days=1)
        latest = await vault.set(NAME, SecretValue(trial.value), tags=trial.tags, expires_on=ends)
        here = f"https://127.0.0.1:{self.permitted.port}"
        services = Services(tokens, Endpoints(here, here, here), time.now, time.sleep, random.Random(1))
        engine = Engine(
            Parts({"kv": vault}, ledger, rules, lambda name: built(name, services), time.clock, random.Random(1))
        )
        self.look()
        try:
            outcome = await engine.handle(RotationRequest(SecretRef("kv", NAME), latest.version, "near-expiry", "test"))
            answer = outcome.result.value
        except RotationError as error:
            answer = error.code
        return Seen(kind, trial.rotator, trial.name, answer, tokens.asked, *self.look())

    def look(self) -> tuple[list[str], int, int]:
        return self.heard.take(), self.permitted.take(), self.canaries.take()


def built(name: str, services: Services) -> Rotator:
    """As in `handlers.wiring`."""
    if name not in ROTATORS:
        raise Unusable("there is no such rotator", field="rotator")
    return ROTATORS[name].build(services)


def rules(folder: Path, permitted: int, admin: str) -> Policy:
    path = folder / "policy.toml"
    path.write_text(policy(permitted, admin))
    return load(
        path,
        ROTATORS,
        needs_slots={name for name, kind in ROTATORS.items() if kind.needs_slots},
        needs_target={name for name, kind in ROTATORS.items() if kind.needs_target},
        alphabets=ALPHABETS,
    )


async def every(folder: Path) -> list[Seen]:
    """All trials, by each administrator."""
    seen: list[Seen] = []
    heard = Heard()
    with listening(folder) as (permitted, canaries):
        court = Court(heard, permitted, canaries)
        places = permitted.port, canaries.port, canaries.folder
        for line in ADMINISTRATORS.values():
            terms = rules(folder, permitted.port, line)
            seen += [await court.tried("denied", trial, terms) for trial in denied(*places)]
        plain = rules(folder, permitted.port, "")
        seen += [await court.tried("control", good(name, permitted.port), plain) for name in ROTATORS]
        seen += [await court.tried("planted", trial, plain) for trial in planted(*places)]
        seen += await vaults.every(folder, permitted.port, plain, court.look)
    return seen


def main(folder: Path) -> None:
    for one in asyncio.run(every(folder)):
        sys.stdout.write(json.dumps(asdict(one)) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
