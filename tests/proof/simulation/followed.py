"""One story of a secret and those that follow it: in its own vault and in another one, written by hand and by runs.

Each begins where one rule is about, as plots do; the seed chooses which, the kind of credential, where a run is cut
off, who comes next, and what people do meanwhile.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotation.engine.followers import Followers
from rotation.engine.sweep import Sweeper
from rotation.errors import Denied, RotationError, Transient, Unreachable
from rotation.formats import read
from rotation.ledger.history import History
from rotation.ledger.records import AboutTo, Step
from rotation.model import Force, Reason, Result, RotationRequest, Secret, SecretRef, SecretValue
from rotation.ports import LEASE_S, RotatorDependencies
from rotation.spec import companion, is_companion
from tests.proof.simulation.promises import GRACE, Promise, Violation
from tests.proof.simulation.providers import ADMIN, SERVER, in_another_form, parts, value
from tests.proof.simulation.pushed import Pushed
from tests.proof.simulation.scheduler import Plan, Scheduler, Stop
from tests.proof.simulation.setting import (
    ADMIN_SECRET,
    NAME,
    REF,
    THURSDAY,
    VAULT,
    Also,
    Setting,
    SkewedClock,
    WatchedVault,
)  # fmt: skip
from tests.proof.simulation.story import Story
from tests.proof.simulation.street import SECOND_VAULT, Asking, WatchedLedger, asking

OTHER_KINDS = ("storage-key", "generated")  # whose credentials name no server that could be another
OTHERS = 0.3  # of the stories that may be of one of these
KINDS = ("postgres", "postgres+admin", "postgres-alternating", "postgres-alternating+admin")
URL, ELSEWHERE, STRANGER = (
    SecretRef(VAULT, f"{NAME}-url"),
    SecretRef(SECOND_VAULT, NAME),
    SecretRef(SECOND_VAULT, "odd"),
)
TEAM = {"team": "reports"}
FOREIGN = "evil.example:5432"
STORAGE = "DefaultEndpointsProtocol=https;AccountName=storders;AccountKey={};EndpointSuffix=core.windows.net"
TYPO_KEY = f"{'Typo' * 21}AA=="
BETWEEN = (  # leader and followers, and a little before and after
    ("after", "change", None), ("before", "set", NAME), ("after", "set", NAME), ("before", "set", URL.name),
    ("after", "set", URL.name), ("after", "append", Step.PUBLISHED), ("before", "append", Step.PUBLISHED),
    ("before", "append", Step.ROTATED),
)  # fmt: skip
UNPUBLISHED = BETWEEN[:2]
SHARE = 0.4  # of the stories that have refresh targets
SOUND = frozenset({Result.ROTATED, Result.REPAIRED, Result.RESUMED})


class Yard(Setting):
    """leader: whose rule names the others as followers."""

    def _set_up(self, services: RotatorDependencies) -> None:
        super()._set_up(services)
        self.ledger: WatchedLedger = WatchedLedger(self.time)
        second = WatchedVault(SkewedClock(self.time, self.offset), self.rng.getrandbits(32), self.on_unstage)
        second.name = SECOND_VAULT
        self.second = second
        self.vaults = {VAULT: self.vault, SECOND_VAULT: second}

    async def start(self) -> None:
        await super().start()
        await self.second.set(ADMIN_SECRET, value(ADMIN, f"{ADMIN}password"), tags={})
        self.lead(REF)
        for ref in self.followers:
            await self.put(ref, self.latest.value)
        await self.put(STRANGER, self.latest.value)

    def lead(self, leader: SecretRef) -> None:
        """Another policy is deployed."""
        self.leader = leader
        self.followers = tuple(ref for ref in (REF, URL, ELSEWHERE) if ref != leader)
        rule = self.with_terms(self.policy.rules[0], followers=tuple(map(str, self.followers)))
        self.terms = rule.terms
        self.deploy(rule)

    async def put(self, ref: SecretRef, new: SecretValue) -> None:
        """By hand, in its own form."""
        tags = {**TEAM, "follows": str(self.leader)}
        await self.vaults[ref.vault].set(ref.name, self.like(ref, new), tags=tags)

    def like(self, ref: SecretRef, new: SecretValue) -> SecretValue:
        """A value in the form that a secret's readers know."""
        if ref != URL or self.rotator == "generated":
            return new
        if self.rotator == "storage-key":
            return SecretValue(STORAGE.format(self.login(new)[1]))
        return in_another_form(new) if "://" in new.reveal() else new

    def login(self, text: SecretValue) -> tuple[str, str]:
        """-> (role, password or key); no role where there is none."""
        return ("", read(text).password.reveal()) if self.rotator in OTHER_KINDS else parts(text)

    def typo(self) -> SecretValue:
        """What never was a login, in the leader's form."""
        if self.rotator in OTHER_KINDS:
            return SecretValue(TYPO_KEY if self.rotator == "storage-key" else TYPO_KEY.lower().replace("=", ""))
        return value(self.provider.slot(self.newest(self.leader)), "typo")

    def works(self, secret: Secret) -> bool:
        """What is made here works as long as its leader has a version of it that is enabled."""
        if self.rotator == "generated":
            return any(one.enabled and one.value == secret.value for one in self.all(self.leader))
        if self.rotator == "storage-key":
            return super().works(replace(secret, value=SecretValue(self.login(secret.value)[1])))
        return super().works(secret)

    def all(self, ref: SecretRef) -> list[Secret]:
        return self.vaults[ref.vault].all(ref.name)

    def newest(self, ref: SecretRef) -> Secret:
        return self.all(ref)[-1]

    @property
    def in_place(self) -> bool:
        return self.rotator == "postgres"


class Following(Story):
    """touched: when a person wrote a secret last. by_hand: versions of theirs."""

    world: Yard

    def _set_up(self) -> None:
        rng = self.random = random.Random(self.seed)
        self.offset = timedelta(hours=rng.choice((0, 0, 0, -3, 3)))
        kinds = PLOTS[self.seed % len(PLOTS)].kinds
        also = Also()
        self.pushed = Pushed.drawn(f"of a leader {self.seed}", SHARE, self.facts.told, THURSDAY)
        if self.pushed is not None:
            self.pushed.add_to(also)
        kind = kinds[self.seed // len(PLOTS) % len(kinds)]
        # By a generator of its own, so that stories of database roles stay as they are.
        another = random.Random(f"kind of a leader {self.seed}")
        others = PLOTS[self.seed % len(PLOTS)].others
        if others and another.random() < OTHERS:
            kind = another.choice(others)
        self.world = Yard(kind, rng, self.offset, None, lambda _staged: None, also)
        self.again = False
        self.touched: dict[SecretRef, datetime] = {}
        self.by_hand: set[str] = set()
        self.broken = False
        self.facts.told.append(f"seed {self.seed}: followers of {self.world.kind}, offset {self.offset}")

    async def _run(self) -> None:
        world = self.world
        await world.start()
        world.provider.on_change = self._changing_in_place
        if self.pushed is not None:
            await self.pushed.begin(world, lambda: world.leader)
        world.vault.on_written = world.second.on_written = self._written
        plot = PLOTS[self.seed % len(PLOTS)].play
        self.facts.told.append(f"plot: {plot.__name__.strip('_')}")
        await plot(self)
        await self._check_end()

    # the plots

    async def _anything(self) -> None:
        """Whatever comes."""
        if self.random.random() < 0.7:
            await self._demand()
            await self._hours((1, 25, 25, 25, 25))
        for _ in range(self.random.choice((1, 2))):
            rng = self.random
            self._stage_is_set(
                Plan(
                    kills=rng.choice((0, 1, 2)), refusals=rng.choice((0, 0, 1)), lost_answers=rng.choice((0, 0, 1, 2)),
                    stalls=rng.choice((0, 0, 1, 2)), outages=rng.choice((0, 0, 0, 1)),
                )
            )  # fmt: skip
            for number in range(rng.randint(1, 3)):
                self._add_run(number, rng.choice((0.0, 0.0, 2.0, 62.0)))
            if rng.random() < 0.6:
                self.scheduler.add("by hand", rng.uniform(0, 60), lambda: self._deed(*HARMLESS_DEEDS))
            await self.scheduler.run()
            await self._hours((0.1, 1, 1, 25, 25))

    async def _comes_again(self) -> None:
        """A run is killed between leader and follower; its message comes again, before any sweep."""
        if self.random.random() < 0.5:
            await self._demand()
            await self._hours((1, 25, 25, 25, 25))
        version = self.world.newest(self.world.leader).version
        request = RotationRequest(self.world.leader, version, Reason.OPERATOR, "comes again", Force.YES, demanded=True)
        await self._cut_off(request, BETWEEN)
        await self._ask(request)
        self._check_followers("by the message that came again")

    async def _written_wrongly(self) -> None:
        """Somebody writes another login into a follower; the run that mends it may stand still past its lease."""
        await self._demand()
        await self._hours((1, 25, 25, 25, 25))
        await self._deed("typo", "old-login")
        self.world.time.ahead(seconds=1)
        if self.random.random() < 0.5:
            self._stage_is_set(Plan())
            request = RotationRequest(self.world.leader, None, Reason.NEAR_EXPIRY, "stands still")
            stop = Stop("after", "append", Step.STAGED, self.random.choice((40.0, LEASE_S + 5.0, 4.0 * LEASE_S)))

            async def work() -> None:
                await self._ask(request)

            self.scheduler.add("stands still", 0.0, work, (stop,))
            self._add_run(1, LEASE_S + 1.0)
            await self.scheduler.run()
            self.world.time.ahead(seconds=LEASE_S + 1)
        if self.pushed is not None and self.pushed.rng.random() < 0.5:
            await self._refused_for_a_sweep()
        await self._hours((0.1,))
        self._check_followers("by the sweep")

    async def _refused_for_a_sweep(self) -> None:
        """No follower can be written for a while."""
        followers = {ref.name for ref in self.world.followers if ref != REF}

        async def refuses(when: str, call: str, name: str) -> None:
            if (when, call) == ("before", "set") and name in followers:
                raise Unreachable("the vault does not answer")

        vaults = (self.world.vault, self.world.second)
        hooks = [vault.hook for vault in vaults]
        for vault in vaults:
            vault.hook = refuses
        self.facts.told.append("followers can't be written")
        await self._hours((0.1,))
        for vault, hook in zip(vaults, hooks, strict=True):
            vault.hook = hook

    async def _held_back(self) -> None:
        """A follower can't be read while its leader is rotated, or would be; perhaps one is killed meanwhile."""
        await self._demand()
        await self._hours((1, 25, 25, 25, 25))
        if self.random.random() < 0.5:
            request = RotationRequest(self.world.leader, None, Reason.OPERATOR, "cut off", demanded=True)
            await self._cut_off(request, UNPUBLISHED)
        ref = self.random.choice(self.world.followers)
        await self._enable(ref, enabled=False)
        await self._demand()
        await self._hours(self.random.choice(((1,), (1, 25, 25, 25), (1, 25, 25, 25))))
        if self.world.in_place and not self.world.works(self.world.newest(self.world.leader)):
            raise Violation(Promise.WORKS, "what was begun waits for a follower, and everybody is locked out")
        await self._enable(ref, enabled=True)
        await self._hours((1, 1, 25, 25, 25, 25))

    async def _by_people(self) -> None:
        """The leader is written by hand, and its followers perhaps too; then somebody looks."""
        await self._demand()
        await self._hours((1, 25, 25, 25, 25))
        await self._deed(
            "mistake", "older", "password-and-write", "password-and-write-all", "foreign", "typo", "unmanage"
        )
        old = self.world.all(self.world.leader)[0].version
        pinned = RotationRequest(self.world.leader, old, Reason.NEAR_EXPIRY, "stale")
        await self._ask(pinned if self.random.random() < 0.5 else replace(pinned, version=None))
        if self.random.random() < 0.3:
            await self._demand()
        await self._hours((0.1, 1, 1))
        await self._deed("manage")
        if self.random.random() < 0.3:
            self.world.vaults[self.world.leader.vault].delete(self.world.leader.name)
            self.facts.told.append("by hand: the leader is deleted")
            before = [self.world.newest(ref) for ref in self.world.followers]
            await self._hours((1, 25))
            if before != [self.world.newest(ref) for ref in self.world.followers]:
                raise Violation(Promise.OTHERS, "a follower of what was deleted was written")
            await self._write(self.world.leader, self.world.provider.working(), self.world.tags)

    async def _turned(self) -> None:
        """A follower turns leader, and the leader its follower; and perhaps back."""
        await self._demand()
        for leader in (ELSEWHERE, REF)[: self.random.choice((1, 2))]:
            await self._hours((1, 25, 25, 25, 25))
            before = self.world.leader
            self.facts.told.append(f"by hand: {leader} leads")
            self.world.lead(leader)
            for ref in self.world.followers:
                await self._tag(ref, {**TEAM, "follows": str(leader)})
            await self._tag(leader, self.world.tags)
            await self._write(before, self.world.newest(leader).value, {**TEAM, "follows": str(leader)})
            await self._hours((1, 25, 25, 25, 25))
            await self._demand()

    # what they are made of

    def _add_run(self, number: int, starts_in_s: float) -> None:
        rng, world = self.random, self.world
        kind = rng.choice(("event", "of a follower", "of a follower", "sweep", "operator", "stranger"))

        async def work() -> None:
            if kind == "sweep":
                await self._sweep()
                return
            ref = world.leader if kind in {"event", "operator"} else rng.choice(world.followers)
            ref = STRANGER if kind == "stranger" else ref
            demanded = kind == "operator" or rng.random() < 0.3
            pinned = None if demanded else world.newest(ref).version
            reason = Reason.OPERATOR if demanded else Reason.NEAR_EXPIRY
            await self._deliver(RotationRequest(ref, pinned, reason, f"run-{number}", demanded=demanded))

        self.scheduler.add(f"run-{number} {kind}", starts_in_s, work)

    async def _cut_off(self, request: RotationRequest, moments: Sequence[tuple[str, str, str | None]]) -> None:
        when, call, name = self.random.choice(moments)
        self._stage_is_set(Plan())

        async def work() -> None:
            await self._ask(request)

        self.scheduler.add("cut off", 0.0, work, (Stop(when, call, name, None),))
        await self.scheduler.run()
        self.world.time.ahead(seconds=LEASE_S + 1)

    def _stage_is_set(self, plan: Plan) -> None:
        world = self.world
        self.scheduler = Scheduler(self.random, world.time, plan, self._check_always, self._outage, self.facts.told)
        world.listen(self.scheduler.hook)

    async def _deed(self, *ways: str) -> None:
        deed, ref = self.random.choice(ways), self.random.choice(self.world.followers)
        self.facts.told.append(f"{self.world.time.monotonic():.1f} by hand: {deed} {ref}")
        self.broken = self.broken or deed not in HARMLESS_DEEDS
        if deed in TO_FOLLOWERS:
            await self._to_follower(deed, ref)
        else:
            await self._to_leader(deed)

    async def _to_follower(self, deed: str, ref: SecretRef) -> None:
        world = self.world
        now, first = world.newest(ref).value, world.all(world.leader)[0].value
        writes = {
            "typo": world.like(ref, world.typo()),
            "old-login": world.like(ref, first),
            "same": now,
            "foreign": SecretValue(now.reveal().replace(SERVER, FOREIGN)),
        }
        await self._write(ref, writes[deed])

    async def _to_leader(self, deed: str) -> None:
        world, leader = self.world, self.world.leader
        latest = world.newest(leader)
        match deed:
            case "mistake":
                await self._write(leader, world.provider.mistaken(latest), latest.tags)
            case "older":
                await self._write(leader, world.all(leader)[0].value, latest.tags)
            case "password-and-write" | "password-and-write-all":
                new = world.provider.changed(latest)
                await self._write(leader, new, latest.tags)
                for one in world.followers if deed.endswith("all") else ():
                    await self._write(one, world.like(one, new))
            case "unmanage":
                await self._tag(leader, TEAM)
            case "manage":
                await self._tag(leader, {**latest.tags, **world.tags})

    async def _write(self, ref: SecretRef, new: SecretValue, tags: object = None) -> None:
        told = self.world.newest(ref).tags if tags is None else tags
        expires = self.world.now + timedelta(days=10) if ref == self.world.leader else None
        self.touched[ref] = self.world.now
        vault = self.world.vaults[ref.vault]
        await vault.set(ref.name, new, tags=told, expires_on=expires)  # type: ignore[arg-type]
        self.touched[ref] = self.world.now

    async def _tag(self, ref: SecretRef, tags: object) -> None:
        self.touched[ref] = self.world.now
        await self.world.vaults[ref.vault].set_tags(ref.name, self.world.newest(ref).version, tags)  # type: ignore[arg-type]

    async def _enable(self, ref: SecretRef, *, enabled: bool) -> None:
        self.facts.told.append(f"by hand: {ref} is {'enabled' if enabled else 'disabled'}")
        self.touched[ref] = self.world.now
        await self.world.vaults[ref.vault].set_enabled(ref.name, self.world.newest(ref).version, enabled=enabled)
        self.world.time.ahead(seconds=1)

    async def _sweep(self) -> None:
        sweeper = Sweeper(self.world.ledger, self.world.policy, followers=Followers(self.world.dependencies))
        for vault in self.world.vaults.values():
            try:
                requests = [request async for request in sweeper.requests(vault, self.world.now)]
            except RotationError as error:
                self.facts.told.append(f"the sweep stopped: {error.message}")
                continue
            for request in requests:
                await self._deliver(request)

    async def _ask(self, request: RotationRequest) -> Result | None:
        token = asking.set(Asking(request, self.world.now))
        told = self.facts.told
        told.append(f"{self.world.time.monotonic():.1f} {request.actor} asks for {request.ref} ({request.reason})")
        before = len(self.world.ledger.records(self.world.leader))
        try:
            outcome = await self.world.engine.handle(request)
        except RotationError as error:
            self.again = isinstance(error, Transient)
            told.append(f"{request.actor}: {type(error).__name__} {error.message}")
            if request.ref == STRANGER and not self.again and not isinstance(error, Denied):
                raise Violation(Promise.PROVEN, "a follower that nobody named learned of its leader") from None
            return None
        finally:
            asking.reset(token)
            self._check_always()
        if request.ref == STRANGER:
            raise Violation(Promise.PROVEN, "a follower that nobody named was listened to")
        if self.pushed is not None:
            self.pushed.heard(outcome, before)
        self.again = False
        told.append(f"{request.actor}: {outcome.result} {outcome.detail}")
        return outcome.result

    async def _demand(self) -> Result | None:
        ref = self.world.leader
        return await self._ask(RotationRequest(ref, None, Reason.OPERATOR, "owner", Force.YES, demanded=True))

    async def _demand_patiently(self) -> Result | None:
        """A new key is not accepted everywhere at once."""
        result = await self._demand()
        for _ in range(2 if self.world.rotator in OTHER_KINDS else 0):
            if result is Result.DEFERRED:
                self.world.time.ahead(seconds=50)
                result = await self._demand()
        return result

    async def _hours(self, between: Sequence[float]) -> None:
        for hours in between:
            self.world.time.ahead(hours=hours)
            for request in self.pushed.delivered() if self.pushed is not None else ():
                await self._ask(request)
            await self._sweep()
            self._check_always()

    # at any time

    def _written(self, secret: Secret) -> None:
        """A run wrote a version: of a follower, what its leader's ledger names, under its lease, after a record."""
        who, ref, world = asking.get(), secret.ref, self.world
        if who is None:
            self.by_hand.add(secret.version)
        if who is None or is_companion(ref.name) or ref == world.leader:
            return
        before = world.all(ref)[-2]
        if ref not in world.followers or before.tags.get("follows") != str(world.leader):
            raise Violation(Promise.OTHERS, f"{ref} was written, and it does not follow")
        if world.ledger.holder(world.leader) is not who:
            raise Violation(Promise.OWNED, f"{ref} was written without its leader's lease")
        self._check_value(before, secret)
        if self.pushed is not None:
            self.pushed.follower_written = world.now
        if ref not in self.touched or self.touched[ref] < who.began:
            self._check_step(before, secret)

    def _check_value(self, before: Secret, secret: Secret) -> None:
        world, ref = self.world, secret.ref
        if FOREIGN in secret.value.reveal():
            raise Violation(Promise.OTHERS, f"{ref} was written, and it leads to somebody else's server")
        records = world.ledger.records(world.leader)
        named = {record.version for record in records if record.version and record.slot}
        staged = {record.staged_version for record in records}
        logins = {world.login(one.value) for one in world.all(world.leader) if one.version in named}
        logins |= {world.login(one.value) for one in self._staged() if one.version in staged}
        if world.login(secret.value) not in logins:
            raise Violation(Promise.PROVEN, f"{ref} was written with a login that the ledger does not name")
        if secret.tags != before.tags or read(secret.value).others() != read(before.value).others():
            raise Violation(Promise.CONSUMERS, f"{ref} was written, and more than its login was changed")

    def _check_step(self, before: Secret, secret: Secret) -> None:
        """Nobody wrote it in the middle of the run."""
        world, ref = self.world, secret.ref
        if world.works(before) and not world.works(secret):
            raise Violation(Promise.CONSUMERS, f"{ref} had a login that worked, and got one that does not")
        records = world.ledger.records(world.leader)
        announced = [r.followers for r in records if r.step is Step.APPLYING or r.about_to == AboutTo.FOLLOW]
        if not any(one is not None and one.get(str(ref)) == before.version for one in announced):
            raise Violation(Promise.RECORDED, f"{ref} was written, and no record said so before")

    def _staged(self) -> list[Secret]:
        leader = self.world.leader
        return self.world.vaults[leader.vault].all(companion(leader.name))

    def _changing_in_place(self, _slot: str) -> None:
        """Unless it can't wait, a change in place begins only where each follower can be written."""
        who, world = asking.get(), self.world
        if who is None or not world.in_place or not world.works(world.newest(world.leader)):
            return
        begun = History(world.ledger.records(world.leader)).open_operation()
        for ref in world.followers:
            quiet = ref not in self.touched or self.touched[ref] < who.began
            if begun is not None and begun.tries == 1 and quiet and not world.newest(ref).enabled:
                raise Violation(Promise.CONSUMERS, f"{ref} can't be written, and its readers are locked out")

    def _check_always(self) -> None:
        """Two roles: whoever read a follower less than the grace period ago gets in."""
        world = self.world
        if world.in_place or self.broken:
            return
        now = world.vault._clock.now()
        for ref in world.followers:
            versions = world.all(ref)
            for place, one in enumerate(versions):
                superseded = versions[place + 1].created_on if place + 1 < len(versions) else now
                if one.version in self.by_hand or now - superseded >= GRACE or world.works(one):
                    continue
                raise Violation(Promise.CONSUMERS, f"a reader of {ref} is locked out: version {place + 1}")

    def _check_followers(self, by_whom: str) -> None:
        world = self.world
        latest = world.newest(world.leader)
        for ref in world.followers:
            if world.works(latest) and not world.works(world.newest(ref)):
                raise Violation(Promise.WORKS, f"{ref} is not mended {by_whom}")

    # in the end

    async def _check_end(self) -> None:
        world = self.world
        if self.pushed is not None:
            self.pushed.at_rest = True
        await self._hours((0.1, 1, 1))
        if not self.broken:
            self._check_followers("hours later")
            self._check_taken()
        await self._hours((25, 25, 25, 25))
        for ref in world.followers:
            if FOREIGN in world.newest(ref).value.reveal():
                await self._write(ref, SecretValue(world.newest(ref).value.reveal().replace(FOREIGN, SERVER)))
        await self._deed("manage")
        await self._hours((1, 1, 25, 25, 25, 25))
        await self._check_goes_on()

    def _is_closed(self) -> bool:
        """Whether a person changed a role's password, no copy of it is left, and no administrator is named."""
        world = self.world
        named = {record.staged_version for record in world.ledger.records(world.leader)}
        copies = [*world.all(world.leader), *(one for one in self._staged() if one.version in named)]
        known = all(world.provider.known_by(slot, copies) for slot in world.provider.slots)
        return self.broken and world.terms.admin is None and not known

    def _check_taken(self) -> None:
        if self.pushed is not None:
            self.pushed.check_end()

    async def _check_goes_on(self) -> None:
        """What is rotated now is rotated for all."""
        world = self.world
        result = await self._demand_patiently()
        for _ in range(6):  # what was rotated just now waits for its grace, and perhaps for a follower's
            if result not in SOUND:
                await self._hours((25,))
                result = await self._demand_patiently()
        latest = world.newest(world.leader)
        if result not in SOUND and self._is_closed():
            return
        if result not in SOUND or not world.works(latest):
            raise Violation(Promise.GOES_ON, f"a rotation in the end came to {result}")
        for ref in world.followers:
            if world.login(world.newest(ref).value) != world.login(latest.value):
                raise Violation(Promise.WORKS, f"{ref} has another login than its leader")
            if world.newest(ref).expires_on != latest.expires_on:
                raise Violation(Promise.ASKED, f"{ref} does not end with its leader")
            if any(world.ledger.records(one) for one in (URL, STRANGER)):
                raise Violation(Promise.HISTORY, "a follower has a history")
        self._check_taken()


HARMLESS_DEEDS = ("typo", "old-login", "same")
TO_FOLLOWERS = frozenset({*HARMLESS_DEEDS, "foreign"})


@dataclass(frozen=True, slots=True)
class _Plot:
    """others: of `OTHER_KINDS`, those that it may be of instead."""

    kinds: Sequence[str]
    play: Callable[[Following], Awaitable[None]]
    others: Sequence[str] = ()


PLOTS = (
    _Plot(KINDS, Following._anything, OTHER_KINDS),
    _Plot(KINDS, Following._comes_again, OTHER_KINDS),
    _Plot(KINDS, Following._held_back, OTHER_KINDS),
    _Plot(KINDS, Following._written_wrongly, OTHER_KINDS),
    _Plot(KINDS, Following._by_people, OTHER_KINDS[:1]),  # nobody but us makes the values of `generated`
    _Plot((*KINDS[:2], KINDS[3]), Following._turned),  # else the new leader does not know the other role's password
)
