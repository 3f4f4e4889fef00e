"""All that reads a value: each form's reader, each rotator, and the engine around them, over parts in memory.

Nobody is asked who holds a credential: whatever would be sent to a provider is refused there, and counted.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

from rotation.engine.engine import Engine, EngineDependencies
from rotation.errors import Rejected, RotationError
from rotation.formats import FORMATS, read
from rotation.ledger.records import Step
from rotation.model import (
    Applied,
    Credential,
    Draft,
    Endpoints,
    Job,
    Login,
    LoginSource,
    Outcome,
    Proof,
    Reason,
    RequestedAccess,
    RotationRequest,
    Secret,
    SecretRef,
    SecretValue,
    Spec,
)
from rotation.policy import Policy, Rule, RuleTerms
from rotation.policy.targets import parse_target
from rotation.ports import Rotator, RotatorDependencies
from rotation.rotators import ROTATORS
from rotation.rotators.azure.entra_value import client_ids
from rotation.rotators.databases.database import Database
from rotation.rotators.databases.login import _administrator, consumer
from rotation.rotators.databases.servers import permitted_servers, servers_of
from rotation.rotators.postgres.database import PostgresDatabase
from rotation.spec import parse
from tests.fakes import FakeClock, InMemoryLedger, InMemoryVault
from tests.proof.fuzz import inputs
from tests.proof.fuzz.hostile import ADMINISTRATOR, OLDER, Hostile
from tests.proof.fuzz.said import told_well
from tests.proof.simulation.planes import Tokens
from tests.proof.simulation.setting import THURSDAY

REF = SecretRef(inputs.VAULT, inputs.SECRET)
# All that a hostile value could be permitted is, so that nothing but its reading stands in its way.
PERMIT = RuleTerms(rule=1, slots=inputs.PERMITTED_SLOTS)
POLICY = Policy(
    (Rule((inputs.VAULT,), ("*",), tuple(ROTATORS), PERMIT, tuple(parse_target(one) for one in inputs.PERMITTED)),)
)
NEW = SecretValue("New-password_1")
GIVEN_UP_S = 5.0  # of processor time
PLANNED = 4  # each fourth value
REQUEST = RotationRequest(REF, None, Reason.OPERATOR, "fuzz", demanded=True)


@dataclass(slots=True)
class Heard:
    """What came of a value.

    taken: its rotator could read it, and the policy permits what it asks for. said: each message, outcome and line of
    the history. longest_s: of processor time, that one reading took. faults: what must not be, without the value.
    """

    taken: bool = False
    said: list[str] = field(default_factory=list)
    longest_s: float = 0.0
    faults: list[str] = field(default_factory=list)

    def add(self, reading: Callable[[], object]) -> None:
        """Read, and keep what is said of it, and how long it took."""
        began = time.thread_time()
        try:
            with _given_up():
                done = reading()
        except RotationError as error:
            took = time.thread_time() - began
            try:
                self.said.append(told_well(error))
            except AssertionError as wrong:
                self.faults.append(str(wrong))
        except Exception as error:  # noqa: BLE001  only its type is told, since its text may hold the value
            took = time.thread_time() - began
            self.faults.append(f"a fault of ours: {type(error).__name__}")
        else:
            took = time.thread_time() - began
            self.said.append(getattr(done, "detail", ""))
        self.longest_s = max(self.longest_s, took)


@contextmanager
def _given_up() -> Iterator[None]:
    """What would take hours ends after `GIVEN_UP_S`, and is a fault; regular expressions look for signals, too."""

    def give_up(_signal: int, _frame: object) -> NoReturn:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, GIVEN_UP_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class Readers:
    """Everything that a process needs for any number of values. policy: what is permitted."""

    def __init__(self, runner: asyncio.Runner, policy: Policy = POLICY) -> None:
        self._runner = runner
        self._policy = policy
        self._clock = FakeClock()
        self._asked: list[str] = []
        services = RotatorDependencies(Tokens(), Endpoints(), self._clock.now, self._clock.sleep, random.Random(1))
        self._database = PostgresDatabase(services)
        self._rotators = {name: Watched(kind.build(services), self._asked) for name, kind in ROTATORS.items()}

    def look(self, hostile: Hostile) -> Heard:
        """Have everybody read one value."""
        heard = Heard()
        self._asked.clear()
        vault, ledger = InMemoryVault(inputs.VAULT, self._clock), InMemoryLedger(self._clock)
        tags = {**hostile.reading.tags, "rotator": hostile.rotator}
        ends = THURSDAY + timedelta(days=10)
        secret = self._runner.run(vault.set(inputs.SECRET, SecretValue(hostile.text), tags=tags, expires_on=ends))
        rotator = self._rotators[hostile.rotator]
        engine = Engine(
            EngineDependencies(
                {REF.vault: vault}, ledger, self._policy, lambda _name: rotator, self._clock.clock, random.Random(1)
            )
        )
        spec = parse(tags)
        assert spec is not None
        heard.add(_alone(hostile, secret, spec, rotator, self._database))
        # A plan reads as a rotation does, up to its lease: some of them are enough.
        for work in (engine.plan, engine.handle)[min(1, hostile.number % PLANNED) :]:
            heard.add(partial(self._run, work))
        with suppress(Exception):  # which was told above
            self._policy.terms_for(REF, spec, rotator.requested_access(spec, secret))
            heard.taken = True
        heard.said += [record.to_line() for record in ledger.records(REF)]
        heard.faults += self._changes(heard, vault, ledger, secret)
        return heard

    def _run(self, work: Callable[[RotationRequest], Coroutine[Any, Any, Outcome]]) -> Outcome:
        return self._runner.run(work(REQUEST))

    def _changes(self, heard: Heard, vault: InMemoryVault, ledger: InMemoryLedger, secret: Secret) -> Iterator[str]:
        """None may be: nothing proves a hostile value, which is all that it would take."""
        if vault.all(inputs.SECRET) != [secret] or [call for call, _ in vault.calls if call.startswith("set")] != [
            "set"
        ]:
            yield "something was written into the vault"
        if ledger.owners() or {record.step for record in ledger.records(REF)} - {Step.FAILED}:
            yield "the history tells of a change"
        if set(self._asked) - ({"prove"} if heard.taken else set()):
            yield f"a provider was asked: {', '.join(sorted(set(self._asked)))}"


def _alone(hostile: Hostile, secret: Secret, spec: Spec, rotator: Rotator, database: Database) -> Callable[[], object]:
    """A rotation's way through the readers, without the engine."""
    value = secret.value

    def administrator() -> None:
        _administrator(Login(LoginSource.ADMIN_SECRET, value, None), value, database)

    def older() -> None:
        job = _job(secret, spec, RequestedAccess((f"{inputs.HOST}:5432",), ("app",), "app"))
        permitted_servers(job, value, database)
        consumer(job, value, "app", servers_of(spec, value, database), database)

    def latest() -> None:
        access = rotator.requested_access(spec, secret)
        if ROTATORS[hostile.rotator].targets:  # what is made here has no form
            form = read(value, spec.format if spec.format in FORMATS else None)
            client_ids(form)
            form.with_login(NEW, "b" if form.user_places else None)
        rotator.draft(_job(secret, spec, access))

    return {ADMINISTRATOR: administrator, OLDER: older}.get(hostile.reading.reader, latest)


def _job(secret: Secret, spec: Spec, access: RequestedAccess) -> Job:
    slot = access.current_slot or next(iter(access.slots), "")
    return Job("operation", secret.ref, spec, access, Credential(secret.value, slot))


class Watched:
    """A rotator that reads, and whose provider refuses everything."""

    def __init__(self, inner: Rotator, asked: list[str]) -> None:
        self.requested_access = inner.requested_access
        self.draft = inner.draft
        self._asked = asked

    async def prove(self, job: Job) -> Proof:
        self._refuse("prove")

    async def apply(self, job: Job, draft: Draft) -> Applied:
        self._refuse("apply")

    async def verify(self, job: Job, credential: Credential) -> None:
        self._refuse("verify")

    async def realm(self, job: Job, slot: str) -> str | None:
        self._refuse("realm")

    async def retire(self, job: Job, slot: str) -> None:
        self._refuse("retire")

    def _refuse(self, what: str) -> NoReturn:
        self._asked.append(what)
        raise Rejected("the provider refused it")
