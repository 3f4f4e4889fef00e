"""What was tried against the rules of who owns a credential, and must not work."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rotation.errors import BoundElsewhere, MovedElsewhere, NotYet, Rejected, RotationError, Unproven, Unusable
from rotation.ledger.records import AboutTo
from rotation.model import (
    Adopt,
    Applied,
    Credential,
    Draft,
    Job,
    Reason,
    RequestedAccess,
    Result,
    RotationRequest,
    Secret,
    SecretRef,
    SecretValue,
    Spec,
)
from rotation.policy import Policy, Rule
from rotation.policy.targets import parse_target
from tests.fakes import TARGET, FakeRotator, value
from tests.unit.test_ownership import (
    OTHER,
    Stop,
    ask,
    forget_what_is_new,
    killed_after_the_change,
    owned,
    parts_of,
    write,
)
from tests.world import NAME, REF, World


async def quiet(_when: str, _call: str, _name: str) -> None:
    return


class ByItsValue(FakeRotator):
    """Drafts the role that the value names, as the rotator for PostgreSQL does."""

    def draft(self, job: Job) -> Draft:
        current = Credential(job.current.value, job.access.slots[0])
        return super().draft(replace(job, current=current))


# repairs


async def test_a_repair_that_was_killed_is_not_finished_in_the_role_that_a_wrong_value_names() -> None:
    world = await World("in-place+admin").start()
    world.rotator = ByItsValue(world.server, "in-place")
    world.allow(slots=("app", "victim"))
    world.server.passwords["victim"] = "theirs"
    await ask(world)
    await write(world, REF, value("victim", "guess"))
    world.server.passwords["app"] = "by hand"
    await killed_after_the_change(world)
    await ask(world, reason="sweep")
    assert world.server.passwords["victim"] == "theirs"
    assert world.works(world.latest)
    assert parts_of(world) == "app"


async def test_a_repair_does_not_set_the_other_role_anew_once_another_secret_owns_it() -> None:
    world = await World("alternating+admin").start()
    world.allow(slots=("a", "b", "c"), pairs=(("a", "b"), ("b", "c")))
    world.server.passwords["c"] = "see"
    await ask(world)
    world.time.ahead(hours=80)
    await ask(world, reason="sweep")
    await ask(world)
    world.time.ahead(hours=80)
    await ask(world, reason="sweep")
    assert parts_of(world) == "a"
    world.server.passwords["b"] = "bee"
    await write(world, OTHER, value("b", "bee"), world.tags | {"slots": "b,c"})
    await ask(world, OTHER, adopt=Adopt.TAKEOVER)
    assert world.ledger.owners() == {"a": str(REF), "b": str(OTHER), "c": str(OTHER)}
    world.server.passwords["a"] = "by hand"
    before = world.server.passwords["b"]
    with pytest.raises(RotationError):
        await ask(world, reason="sweep")
    assert world.server.passwords["b"] == before


OLD, NEW = "old.example:5432", "new.example:5432"


class OnTwoServers(FakeRotator):
    """A value of which `#` stands behind leads to the new server; the same password may hold at both."""

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        access = super().requested_access(spec, secret)
        return replace(access, targets=(NEW if spec.target == NEW else OLD,))


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_repair_does_not_send_consumers_back_to_the_server_that_they_were_moved_from(*, deleted: bool) -> None:
    world = await World("in-place+admin").start()
    world.rotator = OnTwoServers(world.server, "in-place")
    rule = world.policy.rules[0]
    both = Rule(rule.vaults, rule.secrets, rule.rotators, rule.terms, (parse_target(OLD), parse_target(NEW)))
    engine = type(world.engine)(replace(world.engine._dependencies, policy=Policy((both,))))

    async def sweep() -> Result:
        request = RotationRequest(REF, world.latest.version, Reason.SWEEP, "test")
        return (await engine.handle(request)).result

    await sweep()
    at_the_old_one = world.latest.value
    world.server.realm = "server:2"
    world.server.passwords["app"] = "moved"
    world.tags["target"] = NEW
    await write(world, REF, value("app", "moved"))
    await sweep()
    if deleted:
        world.vault.delete(NAME)
    await write(world, REF, value("app", "typo"))
    # The old server still lets the value in that it had, and at the new one nobody knows the password any more.
    world.server.passwords["app"] = at_the_old_one.reveal().partition(":")[2]
    assert await sweep() is Result.REPAIRED
    assert world.latest.tags["target"] == NEW
    assert world.latest.value != at_the_old_one


async def test_a_repair_leaves_a_secret_managed_though_the_value_that_works_was_written_while_it_was_not() -> None:
    world = await World("in-place").start()
    await killed_after_the_change(world)
    await world.vault.set_tags(NAME, world.latest.version, {"team": "x"})
    await ask(world)
    await write(world, REF, value("app", "typo"))
    assert (await ask(world, reason="sweep")).result is Result.REPAIRED
    assert world.latest.tags["rotator"] == "in-place"


# open operations


class NamesNothing(FakeRotator):
    """Its values name no slot, as an Entra secret and a storage key don't."""

    confirmed = False

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        return replace(super().requested_access(spec, secret), current_slot=None)

    async def verify(self, job: Job, credential: Credential) -> None:
        await super().verify(job, credential)
        if not self.confirmed:
            raise NotYet("not accepted everywhere yet", retry_after_s=30)


@pytest.mark.parametrize("kind", ["overlapping", "two-keys"])
@pytest.mark.parametrize("killed", [False, True])
async def test_a_reset_is_finished_though_nothing_says_which_slot_the_broken_value_was(
    kind: str, *, killed: bool
) -> None:
    world = await World(kind).start()
    rotator = world.rotator = NamesNothing(world.server, kind)
    await write(world, REF, value("typo", "typo"))
    if killed:
        world.server.hook = stop_after_the_change
        with pytest.raises(Stop):
            await ask(world, adopt=Adopt.RESET, slots=("key1", "key2"))
        world.server.hook = quiet
        world.time.ahead(seconds=61)
    else:
        assert (await ask(world, adopt=Adopt.RESET, slots=("key1", "key2"))).result is Result.DEFERRED
    rotator.confirmed = True
    assert (await ask(world, reason="sweep")).result is Result.RESUMED
    assert world.works(world.latest)


async def rotated_late(world: World) -> SecretValue:
    """Its new credential was not accepted at once, so that it was staged; the old one is retired. -> the new one."""
    rotator = world.rotator if isinstance(world.rotator, NamesNothing) else NamesNothing(world.server, world.kind)
    world.rotator, rotator.confirmed = rotator, False
    assert (await ask(world)).result is Result.DEFERRED
    rotator.confirmed = True
    assert (await ask(world, reason="sweep")).result is Result.RESUMED
    world.time.ahead(hours=80)
    assert (await ask(world, reason="sweep")).result is Result.RETIRED
    return world.latest.value


async def test_what_still_works_is_published_though_its_version_was_deleted_with_the_secret() -> None:
    world = await World("overlapping").start()
    first = world.latest.value
    working = await rotated_late(world)
    world.vault.delete(NAME)
    await write(world, REF, first)
    recorded = world.watch_records()
    assert (await ask(world, reason="sweep")).result is Result.REPAIRED
    assert world.latest.value == working
    assert world.staged_enabled() == []
    assert recorded.missing == []


async def test_where_no_copy_is_left_a_new_credential_is_made_and_the_old_one_has_its_grace() -> None:
    world = await World("overlapping").start()
    first = world.latest.value
    await ask(world)
    working = world.latest
    world.time.ahead(hours=80)
    await ask(world, reason="sweep")
    world.vault.delete(NAME)
    await write(world, REF, first)
    assert (await ask(world, reason="sweep")).result is Result.REPAIRED
    assert world.works(world.latest)
    world.time.ahead(hours=70)
    await ask(world, reason="sweep")
    assert world.works(working)
    world.time.ahead(hours=10)
    await ask(world, reason="sweep")
    assert not world.works(working)
    assert world.works(world.latest)


async def test_what_its_owner_disabled_is_not_published_from_its_staged_copy() -> None:
    world = await World("overlapping").start()
    first = world.latest.value
    disabled = await rotated_late(world)
    version = world.latest.version
    await write(world, REF, first)
    await world.vault.set_enabled(NAME, version, enabled=False)
    assert (await ask(world, reason="sweep")).result is Result.REPAIRED
    assert disabled not in [one.value for one in world.vault.all(NAME) if one.enabled]


async def test_a_staged_copy_of_what_was_retired_is_not_even_read() -> None:
    world = await World("overlapping").start()
    first = world.latest.value
    await rotated_late(world)
    await rotated_late(world)
    world.server.passwords["k2"] = "by hand"
    world.vault.delete(NAME)
    await write(world, REF, first)
    await ask(world, reason="sweep")
    assert {one.slot for one in world.ledger.records(REF) if one.about_to is AboutTo.READ_STAGED} == {"k2"}


async def test_a_staged_copy_is_not_published_once_its_role_is_another_secrets() -> None:
    world = await World("alternating+admin").start()
    world.allow(slots=("a", "b", "c"), pairs=(("a", "b"), ("b", "c")))
    world.server.passwords["c"] = "see"
    await ask(world)
    at_b = world.latest.value
    world.time.ahead(hours=80)
    await ask(world, reason="sweep")
    await ask(world)
    assert parts_of(world) == "a"
    await write(world, OTHER, at_b, world.tags | {"slots": "b,c"})
    await ask(world, OTHER, adopt=Adopt.TAKEOVER)
    assert world.ledger.owners() == {"a": str(REF), "b": str(OTHER), "c": str(OTHER)}
    world.server.passwords["a"] = "by hand"
    world.vault.delete(NAME)
    await write(world, REF, value("a", "typo"))
    with pytest.raises(RotationError):
        await ask(world, reason="sweep")
    assert parts_of(world) == "a"


async def stop_after_the_change(when: str, call: str, _name: str) -> None:
    if (when, call) == ("after", "change"):
        raise Stop


async def test_an_open_operation_gives_no_right_to_what_other_tags_ask_for_since() -> None:
    world = await World("overlapping").start()
    await ask(world)
    world.time.ahead(hours=80)
    await ask(world, reason="sweep")
    world.server.hook = stop_after_the_change
    with pytest.raises(Stop):
        await ask(world)
    world.server.hook = quiet
    world.time.ahead(seconds=61)
    world.server.passwords["victim"] = "theirs"

    class Other(FakeRotator):
        """As any rotator whose realm is of another kind, and which therefore can't hold it against its own."""

        def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
            return replace(super().requested_access(spec, secret), slots=("victim",), current_slot="victim")

        def draft(self, job: Job) -> Draft:
            return Draft("victim", value("victim", "stolen"))

        async def apply(self, job: Job, draft: Draft) -> Applied:
            await self.server.change("victim", "stolen")
            return Applied(Credential(value("victim", "stolen"), "victim"))

        async def prove(self, job: Job) -> object:  # type: ignore[override]
            raise Rejected("not victim's password")

    rule = world.policy.rules[0]
    wide = Rule(rule.vaults, rule.secrets, (*rule.rotators, "other"), rule.terms, rule.targets)
    other = Other(world.server, "in-place")
    parts = world.engine._dependencies
    parts = replace(parts, policy=Policy((wide,)), rotator=lambda name: other if name == "other" else world.rotator)
    await world.vault.set_tags(NAME, world.latest.version, dict(world.latest.tags) | {"rotator": "other"})
    with pytest.raises(RotationError):
        await type(world.engine)(parts).handle(RotationRequest(REF, world.latest.version, Reason.SWEEP, "test"))
    assert world.server.passwords["victim"] == "theirs"


async def test_what_the_package_before_began_and_nothing_proves_can_be_reset() -> None:
    world = await World("in-place+admin").start()
    await killed_after_the_change(world)
    await forget_what_is_new(world)
    world.server.passwords["app"] = "by hand"
    with pytest.raises(Unproven):
        await ask(world, reason="sweep")
    assert (await ask(world, adopt=Adopt.RESET, slots=("app",))).result is Result.REPAIRED
    assert world.works(world.latest)


# another server behind the name


async def test_a_retirement_at_another_server_has_the_credential_proven_anew() -> None:
    world = await World("alternating").start()
    await ask(world)
    world.time.ahead(hours=80)
    world.server.realm = "server:2"
    with pytest.raises(MovedElsewhere):
        await ask(world, reason="sweep")
    assert (await ask(world, reason="sweep")).result is Result.RETIRED


COPY = "copy.example:5432"


class Copied(FakeRotator):
    """Secrets whose target is the copy; both say to be server:1."""

    asked: int = 0

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        access = super().requested_access(spec, secret)
        slots = spec.slots or access.slots
        return replace(access, slots=slots, targets=(spec.target or TARGET,))

    async def same_provider(self, job: Job, target: str) -> bool:
        self.asked += 1
        return job.access.targets == (target,)


async def test_what_is_owned_at_a_copy_stays_so_when_the_original_and_its_owner_are_gone() -> None:
    world = await owned()
    world.rotator = Copied(world.server, "in-place")
    at_copy = {**world.tags, "target": COPY}
    third = SecretRef("kv", "orders-third")
    await write(world, OTHER, world.latest.value, at_copy)
    parts = world.engine._dependencies
    rule = world.policy.rules[0]

    def engine(*targets: str) -> object:
        allowed = Rule(rule.vaults, rule.secrets, rule.rotators, rule.terms, tuple(map(parse_target, targets)))
        return type(world.engine)(replace(parts, policy=Policy((allowed,)), rotator=lambda _: world.rotator))

    request = RotationRequest(OTHER, None, Reason.OPERATOR, "test", demanded=True)
    assert (await engine(TARGET, COPY).handle(request)).result is Result.ROTATED  # type: ignore[attr-defined]
    await write(world, third, world.vault.latest(OTHER.name).value, at_copy)
    del world.vault._secrets[NAME]
    before = world.server.passwords["app"]
    with pytest.raises(BoundElsewhere, match=str(OTHER)):
        await engine(COPY).handle(replace(request, ref=third))  # type: ignore[attr-defined]
    assert world.server.passwords["app"] == before


async def test_of_a_pair_at_a_copy_nothing_is_taken_while_one_of_the_two_is_owned_there() -> None:
    world = await World("in-place+admin").start()
    world.allow(slots=("a", "b"))
    world.server.passwords |= {"a": "aa", "b": "bb"}
    world.rotator = Copied(world.server, "in-place")
    rule = world.policy.rules[0]
    both = Rule(rule.vaults, rule.secrets, rule.rotators, rule.terms, (parse_target(TARGET), parse_target(COPY)))
    engine = type(world.engine)(replace(world.engine._dependencies, policy=Policy((both,))))
    pair, at_copy, at_original = (SecretRef("kv", f"orders-{n}") for n in (1, 2, 3))
    await write(world, at_copy, value("a", "aa"), {**world.tags, "target": COPY})
    await write(world, at_original, value("b", "bb"))
    for ref in (at_copy, at_original):
        await engine.handle(RotationRequest(ref, None, Reason.SWEEP, "test"))
    await write(world, pair, world.vault.latest(at_copy.name).value, {**world.tags, "target": COPY, "slots": "a,b"})
    changes = list(world.server.changes)
    with pytest.raises(BoundElsewhere, match=str(at_copy)):
        await engine.handle(RotationRequest(pair, None, Reason.OPERATOR, "test", demanded=True))
    assert world.server.changes == changes


# another's credential


async def test_readers_of_an_owner_that_was_moved_by_hand_keep_their_grace_before_its_next_run() -> None:
    world = await World("in-place+admin").start()
    world.allow(slots=("app", "new"))
    world.server.passwords["new"] = "own"
    await ask(world)
    world.time.ahead(hours=80)
    await write(world, OTHER, world.latest.value)
    await write(world, REF, value("new", "own"))
    with pytest.raises(BoundElsewhere, match="grace"):
        await ask(world, OTHER)
    world.time.ahead(hours=74)
    assert (await ask(world, OTHER)).result is Result.ROTATED


async def test_no_binding_is_written_once_the_owners_lease_has_run_out() -> None:
    world = await owned()
    del world.vault._secrets[NAME]

    class Slow(FakeRotator):
        proofs = 0

        async def prove(self, job: Job) -> object:  # type: ignore[override]
            self.proofs += 1
            if self.proofs == 2:
                world.time.ahead(seconds=25)
                # the owner's lease was broken meanwhile, and its next run began
                world.ledger._histories[REF].holder = None
                assert await world.ledger.acquire(REF, create=False) is not None
                world.time.ahead(seconds=20)
            return await super().prove(job)

    world.rotator = Slow(world.server, "in-place")
    with pytest.raises(RotationError):
        await ask(world, OTHER)
    assert world.ledger.owners() == {"app": str(REF)}


async def test_of_two_that_ask_for_one_pair_in_two_orders_one_gets_it() -> None:
    world = await World("alternating").start()
    order: list[str] = []

    async def note(when: str, call: str, name: str) -> None:
        if (when, call) == ("before", "bind"):
            order.append(name)

    world.ledger.hook = note
    await ask(world, reason="sweep")
    first, world.ledger.hook = list(order), quiet
    other = await World("alternating").start()
    order.clear()
    other.ledger.hook = note
    await other.vault.set_tags(NAME, other.latest.version, dict(other.latest.tags) | {"slots": "b,a"})
    await ask(other, reason="sweep")
    assert order == first


# what is told, and how often


async def test_a_failure_that_comes_again_is_written_down_once_a_day() -> None:
    world = await World("in-place").start()
    await write(world, REF, value("app", "typo"))
    for _ in range(30):
        with pytest.raises(Unproven):
            await ask(world, reason="sweep")
        world.time.ahead(hours=1)
    assert len(world.ledger.records(REF)) == 2


async def test_what_the_package_before_left_to_retire_and_nothing_proves_is_told_and_not_asked_for_hourly() -> None:
    world = await World("overlapping").start()
    await ask(world)
    await forget_what_is_new(world)
    world.time.ahead(hours=80)
    assert "k0" in (await ask(world, reason="sweep")).detail
    assert world.server.passwords["k0"] is not None
    from rotation.engine.sweep import Sweeper  # noqa: PLC0415

    world.vault._secrets[NAME][-1] = replace(world.latest, expires_on=world.now + timedelta(days=80))
    world.time.ahead(hours=1)
    sweeper = Sweeper(world.ledger, world.policy)
    assert [one async for one in sweeper.requests(world.vault, world.now) if one.ref == REF] == []


async def test_an_unmanaged_owner_whose_value_is_of_another_form_relies_on_what_it_names() -> None:
    world = await owned()
    world.time.ahead(hours=80)

    class ByForm(FakeRotator):
        """A value is read by the form that the tag names, as those of connection strings are."""

        def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
            if spec.format == "marked" and not secret.value.reveal().endswith("!"):
                raise Unusable("this is not of the form that the tag format names", field="format")
            return super().requested_access(spec, secret)

    world.rotator = ByForm(world.server, "in-place")
    world.server.passwords["app"] = "same!"
    await write(world, OTHER, value("app", "same!"), world.tags | {"format": "marked"})
    await write(world, REF, value("app", "same"), tags={"team": "x"})
    world.time.ahead(hours=80)
    with pytest.raises(BoundElsewhere, match="names it"):
        await ask(world, OTHER)


@pytest.mark.parametrize("kind", ["made-here", "overlapping", "alternating", "alternating+admin", "two-keys"])
async def test_versions_of_a_retired_slot_are_disabled_though_the_run_was_killed_before(kind: str) -> None:
    world = await World(kind).start()
    first = world.latest
    await ask(world)
    world.time.ahead(hours=80)

    async def kill(when: str, call: str, _name: str) -> None:
        if (when, call) == ("before", "set_enabled"):
            raise Stop

    world.vault.hook = kill
    with pytest.raises(Stop):
        await ask(world, reason="sweep")
    world.vault.hook = quiet
    world.time.ahead(seconds=61)
    await ask(world, reason="sweep")
    assert not next(one for one in world.vault.all(NAME) if one.version == first.version).enabled


async def test_what_was_staged_for_one_role_is_not_set_once_two_take_turns() -> None:
    world = await World("in-place+admin").start()
    await ask(world, reason="sweep")
    world.server.realm = "server:2"
    with pytest.raises(MovedElsewhere):
        await ask(world)
    world.kind = "alternating"
    world.rotator = FakeRotator(world.server, "alternating")
    world.server.passwords["app2"] = "two"
    world.allow(slots=("app", "app2"))
    tags = {**world.latest.tags, "rotator": "alternating", "slots": "app,app2"}
    first = world.latest
    await world.vault.set_tags(NAME, first.version, tags)
    await ask(world)
    assert parts_of(world) == "app2"
    assert world.works(first)
