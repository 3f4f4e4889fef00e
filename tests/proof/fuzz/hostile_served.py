"""Hostile values in a vault, and the whole app over it: an operator has each rotated, planned and read, and a sweep
comes. Each has a twin, the same form with other words in it, so that what is said of both can be compared.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from local.resources import GROUP
from local.stack import Stack
from rotation.ledger.records import Step
from rotation.policy import Policy, Rule, RuleTerms
from rotation.policy.targets import parse_target
from rotation.rotators import ROTATORS
from tests.e2e.contract import Contract
from tests.e2e.deployment import VAULT, Answer, opened
from tests.e2e.leaks import LONGEST, leaks, places, values_of
from tests.proof.fuzz import inputs
from tests.proof.fuzz.explore import Tally
from tests.proof.fuzz.held import tells
from tests.proof.fuzz.hostile import COUNT, Hostile, made, size
from tests.proof.fuzz.readers import PLANNED, Readers
from tests.proof.fuzz.served import state

PAIRS = 1_000
AT_ONCE = 8
LEAST_BYTES = 200  # a shorter one could stand in a log by chance
LONGEST_LINE = 600
SETTLES_WITHIN_S = 600.0
DISTINCT = 6  # signs, in what is looked for
NAME = "a-secret"
LOCAL = "127.0.0.1"  # the only server that is permitted: a value that names another is denied
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/storders"
CALLED = "connection received"  # in PostgreSQL's log
DATABASES = ("postgres", "postgres-alternating")
OTHERS = ("storage-key", "entra-app-secret", "generated", "jwks")
SERVED = frozenset((*DATABASES, *OTHERS))  # the local stack has no server of the other kinds: no rule permits them
_HALF = re.compile(r"[\ud800-\udfff]").search
POLICY = f"""
[[rule]]
vaults = ["{VAULT}"]
secrets = ["hostile-*"]
rotators = {json.dumps(DATABASES)}
targets = ["{LOCAL}"]
slots = ["*"]
min-interval-hours = 0
tls = "disable"

[[rule]]
vaults = ["{VAULT}"]
secrets = ["hostile-*"]
rotators = {json.dumps(OTHERS)}
targets = ["{ACCOUNT}", "{inputs.APPLICATION}"]
min-interval-hours = 0
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A value as it is in the vault. taken: its rotator reads it and a rule permits it, so its provider is asked."""

    name: str
    hostile: Hostile
    taken: bool
    version: str = ""


def run(seed: int, share: float = 1.0) -> Tally:
    """Start a stack, write the values, have them looked at by every door, and see that all is as it was."""
    chosen = list(_chosen(seed, max(1, int(PAIRS * share))))
    answers: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        policy = data / "hostile.toml"
        policy.write_text(POLICY)
        stack = Stack(data / "stack", policy=policy, log_statement="all")
        stack.postgres.settings["log_connections"] = "on"
        with stack:
            tally = asyncio.run(_Trial(stack, chosen, answers).run())
        texts = [(path.name, path.read_bytes()) for path in places(data / "stack")]
        texts += [(answer[:60], answer.encode()) for answer in answers]
        tally.broken += leaks(_ends(values_of(data / "stack")), texts)
    return tally


def _chosen(seed: int, pairs: int) -> Iterator[tuple[Kept, Kept]]:
    targets = tuple(parse_target(one) for one in (LOCAL, inputs.ACCOUNT, inputs.APPLICATION))
    policy = Policy((Rule((inputs.VAULT,), ("*",), tuple(ROTATORS), RuleTerms(rule=1, slots=("*",)), targets),))
    with asyncio.Runner() as runner:
        readers = Readers(runner, policy)
        left = pairs
        for number in Random(f"served {seed}").sample(range(COUNT), COUNT):
            both = made(seed, number), made(seed, number, twin=True)
            # One without words is its own twin, and one with half a character can't be written into the local vault.
            if both[0].text == both[1].text or any(size(one.text) < LEAST_BYTES or _HALF(one.text) for one in both):
                continue
            first, second = (
                Kept(f"hostile-{number}-{name}", one, one.rotator in SERVED and readers.look(_at(one, LOCAL)).taken)
                for name, one in zip("ab", both, strict=True)
            )
            # A key alone is rightly made anew.
            if both[0].rotator == "generated" and (first.taken or second.taken):
                continue
            yield first, second
            left -= 1
            if not left:
                return


def _at(hostile: Hostile, target: str) -> Hostile:
    """The same value, where its tags name a server: this one."""
    tags = hostile.reading.tags
    if tags.get("target") != inputs.HOST:
        return hostile
    return replace(hostile, reading=replace(hostile.reading, tags={**tags, "target": target}))


def _ends(values: Iterable[str]) -> Iterator[str]:
    """What is looked for. Of one sign in a row a log or a database has enough of its own: NULs, blanks, hyphens."""
    for value in values:
        yield from (end for end in {value[:LONGEST], value[-LONGEST:]} if len(set(end)) >= DISTINCT)


class _Trial:
    def __init__(self, stack: Stack, chosen: list[tuple[Kept, Kept]], answers: list[str]) -> None:
        self._stack = stack
        self._chosen = chosen
        self._answers = answers
        self._contract = Contract.of_file()
        self._broken: list[str] = []
        self._said: dict[str, tuple[str, ...]] = {}

    async def run(self) -> Tally:
        async with opened(self._stack, self._answers) as app:
            self._app = app
            await app.role("app")
            self._stack.azure_control.post("accounts", {"id": ACCOUNT})
            application = {"object_id": inputs.APPLICATION, "app_id": inputs.APPLICATION, "display_name": "orders"}
            self._stack.azure_control.post("applications", application)
            kept = await _side_by_side(self._put, (one for pair in self._chosen for one in pair))
            before = await state(app)

            # Whoever asks for the token or the keys of anything now is told to come again, and this is seen.
            self._stack.azure_control.post("faults", {"kind": "status", "status": 503})
            calls = self._connections()
            refused = [one for one in kept if not one.taken]
            await _side_by_side(self._ask, refused)
            if self._connections() != calls:
                self._broken.append("PostgreSQL was asked about a value that is refused")
            self._stack.azure_control.delete("faults")
            await _side_by_side(self._ask, [one for one in kept if one.taken])
            await self._sweep()
            await _side_by_side(self._look_at_history, kept)

            after = await state(app)
            self._broken += [f"it was {line:.120}" for line in before - after]
            self._broken += [f"it is now {line:.120}" for line in after - before]
            self._compare_twins()
        return Tally(len(kept), len(kept) - len(refused), self._broken)

    async def _put(self, one: Kept) -> Kept:
        told = dict(_at(one.hostile, f"{LOCAL}:{self._stack.postgres.port}").reading.tags)
        if told.get("target") == inputs.ACCOUNT:
            told["target"] = ACCOUNT
        version = await self._app.put(one.name, one.hostile.text, told | {"rotator": one.hostile.rotator})
        return replace(one, version=version)

    async def _ask(self, one: Kept) -> None:
        answers = [await self._rotate(one)]
        if one.hostile.number % PLANNED == 0:
            answers.append(await self._app.rotate(one.name, dry_run="true"))
        told = [self._clear(one, answer) for answer in answers]
        self._said[one.name] = tuple(said.replace(one.name, NAME).replace(one.version, "") for said in told)

    async def _rotate(self, one: Kept) -> Answer:
        return await self._app.rotate(one.name)

    def _clear(self, one: Kept, answer: Answer) -> str:
        """-> what is said, in one clear line."""
        wrong = ""
        path = f"/api/vaults/{VAULT}/secrets/{one.name}/rotate"
        detail = answer.json.get("detail")
        expected = {200, 409, 502} if one.taken else {403, 422}
        if answer.status not in expected or answer.json.get("outcome") not in {"failed", "denied", "planned"}:
            wrong = f"answered {answer.status} {answer.json.get('outcome')} ({answer.json.get('type')})"
        elif not isinstance(detail, str) or not detail.isprintable() or not 0 < len(detail) <= LONGEST_LINE:
            wrong = "answered no one clear line"
        else:
            wrong = self._contract.objection("POST", path, answer.status, answer.headers, answer.text) or ""
        if wrong:
            self._broken.append(f"value {one.hostile.seed} {one.hostile.number}: {wrong:.300}")
        return str(detail)

    async def _look_at_history(self, one: Kept) -> None:
        told = await self._app.read(one.name)
        steps = {record["step"] for record in told["history"]}
        if told["version"] != one.version or steps - {Step.FAILED}:
            what = f"another version is the latest, or a step was taken: {sorted(steps)}"
            self._broken.append(f"value {one.hostile.seed} {one.hostile.number}: {what}")

    async def _sweep(self) -> None:
        """It reads all of them, and asks for more than the machine may do in the time that other tests allow."""
        await self._app.call("POST", "/admin/functions/sweep", json={})
        async with asyncio.timeout(SETTLES_WITHIN_S):
            while (told := await self._app.queue())["count"] != told["delayed"]:  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.5)

    def _compare_twins(self) -> None:
        for pair in self._chosen:
            for one, other in (pair, pair[::-1]):
                if tells(one.hostile.text, self._said[one.name], self._said[other.name]):
                    self._broken.append(f"value {one.hostile.seed} {one.hostile.number}: a part of it is told")

    def _connections(self) -> int:
        return self._stack.postgres.log_path.read_text(errors="replace").count(CALLED)


async def _side_by_side(work: Callable[[Kept], Awaitable[Any]], values: Iterable[Kept]) -> list[Any]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(value: Kept) -> Any:
        async with gate:
            return await work(value)

    return await asyncio.gather(*(one(value) for value in values))
