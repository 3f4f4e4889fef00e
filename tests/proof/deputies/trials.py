"""`python -m tests.proof.deputies.trials FOLDER`: each trial, in a process that an audit hook watches -> JSON lines.

`--without WALL …`: the planted ones, with walls down that keep an older value from being tried elsewhere: "policy", or
"rotator", whose own look at a value is the second one, or both.

The engine, the policy as a file, and the rotators are the app's own; the vault and the ledger are in memory, so that
every connection is a rotator's.
"""

import asyncio
import json
import random
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from rotation import policy as targets_of_rules
from rotation.engine.engine import Engine, EngineDependencies
from rotation.errors import RotationError, Unusable
from rotation.ledger.asked import Asked
from rotation.ledger.bindings import Binding, credential_key
from rotation.ledger.records import Record, Step
from rotation.model import Admin, Endpoints, Reason, RotationRequest, Secret, SecretRef, SecretValue
from rotation.policy import Policy, Rule, RuleTerms
from rotation.policy.file import load
from rotation.policy.known import known_names
from rotation.ports import Ledger, Rotator, RotatorDependencies
from rotation.rotators import ROTATORS
from rotation.rotators.databases import everywhere
from rotation.rotators.databases.servers import servers_of
from rotation.spec import companion, parse
from tests.fakes import FakeClock, InMemoryLedger, InMemoryVault
from tests.proof.deputies import vaults
from tests.proof.deputies.listeners import Canaries, Heard, Permitted, listening
from tests.proof.deputies.seen import Seen
from tests.proof.deputies.table import ROLE, Trial, denied, good, planted, policy

NAME = "orders-db"
IDENTITY = 'admin = "identity"'
ADMINISTRATORS = {"nobody": "", "a secret": 'admin = "secret:pg-admin"', "identity": IDENTITY}
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
        here = f"https://127.0.0.1:{self.permitted.port}"
        services = RotatorDependencies(tokens, Endpoints(here, here, here), time.now, time.sleep, random.Random(1))
        for value in trial.older:
            older = await vault.set(NAME, SecretValue(value), tags=trial.tags)
            await known(ledger, older, owned(trial.rotator, older, f"127.0.0.1:{self.permitted.port}", services))
            await vault.set(companion(NAME), SecretValue(value), tags={"staged-for": NAME, "operation-id": "0" * 32})
        ends = time.now() + timedelta(days=1)
        latest = await vault.set(NAME, SecretValue(trial.value), tags=trial.tags, expires_on=ends)
        engine = Engine(
            EngineDependencies(
                {"kv": vault}, ledger, rules, lambda name: built(name, services), time.clock, random.Random(1)
            )
        )
        self.look()
        try:
            outcome = await engine.handle(
                RotationRequest(SecretRef("kv", NAME), latest.version, Reason.NEAR_EXPIRY, "test")
            )
            answer = outcome.result.value
        except RotationError as error:
            answer = error.code
        return Seen(kind, trial.rotator, trial.name, answer, tokens.asked, *self.look())

    def look(self) -> tuple[list[str], int, int]:
        return self.heard.take(), self.permitted.take(), self.canaries.take()


async def known(ledger: Ledger, older: Secret, asked: Asked) -> None:
    """The ledger names and binds it, as it may have been permitted once; what no ledger names is never tried."""
    lease = await ledger.acquire(older.ref, create=True)
    assert lease is not None
    at = older.created_on
    await lease.append(
        Record(
            at, Step.ADOPTED, "0" * 32, "near-expiry", "event-grid", version=older.version, slot=ROLE,
            tags=older.tags, asked=asked.to_record(),
        )
    )  # fmt: skip
    await lease.release()
    assert asked.realm is not None
    for slot in asked.slots:
        key = credential_key(asked.realm, slot)
        binding = Binding(at, older.ref, asked.realm, slot, asked.targets, "proof", "event-grid")
        await ledger.bind(key, (await ledger.bindings(key)).position, binding)


def owned(rotator: str, older: Secret, permitted: str, services: RotatorDependencies) -> Asked:
    """As if it had been proven at every server that the value names: so nothing but the walls keeps it from those."""
    spec = parse(older.tags)
    assert spec is not None
    targets: tuple[str, ...] = (permitted,)
    slots: tuple[str, ...] = (ROLE,)
    with suppress(RotationError):
        access = built(rotator, services).requested_access(spec, older)
        targets, slots = (permitted, *access.targets), access.slots
    return Asked(rotator, targets, slots, "postgresql:1", None)


def built(name: str, services: RotatorDependencies) -> Rotator:
    """As in `app.wiring`."""
    if name not in ROTATORS:
        raise Unusable("there is no such rotator", field="rotator")
    return ROTATORS[name].build(services)


def rules(folder: Path, permitted: int, admin: str) -> Policy:
    """The identity is for Azure's own servers; a file that says otherwise is refused, so it is put in behind it."""
    path = folder / "policy.toml"
    path.write_text(policy(permitted, "" if admin == IDENTITY else admin))
    read = load(path, known_names())
    if admin != IDENTITY:
        return read
    first, *others = read.rules
    terms = RuleTerms(1, first.terms.slots, Admin("identity"), tls=first.terms.tls)
    return Policy((Rule(first.vaults, first.secrets, first.rotators, terms, first.targets), *others))


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


async def without(walls: Sequence[str], folder: Path) -> list[Seen]:
    """Planted trials by an app that has these walls no longer.

    Without the policy's, one alone: it tries any value anywhere, and the others would wait as long for an answer.
    """
    heard = Heard()
    with ExitStack() as down, listening(folder) as (permitted, canaries):
        if "policy" in walls:
            down.enter_context(patch.object(targets_of_rules, "permitted", lambda _targets, _claimed: True))
        if "rotator" in walls:
            anywhere = lambda job, value, database: servers_of(job.spec, value, database)  # noqa: E731
            down.enter_context(patch.object(everywhere, "permitted_servers", anywhere))
        court = Court(heard, permitted, canaries)
        plain = rules(folder, permitted.port, "")
        trials = list(planted(permitted.port, canaries.port, canaries.folder))
        if "policy" in walls:
            del trials[1:]
        return [await court.tried("planted", trial, plain) for trial in trials]


def main(folder: Path, *options: str) -> None:
    for one in asyncio.run(without(options[1:], folder) if "--without" in options else every(folder)):
        sys.stdout.write(json.dumps(asdict(one)) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
