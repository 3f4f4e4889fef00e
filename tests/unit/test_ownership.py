"""Every credential has one owner, and what is not proven is not changed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rotation.errors import (
    BoundElsewhere,
    Busy,
    Denied,
    MovedElsewhere,
    Refused,
    Rejected,
    Unproven,
    Unreachable,
    Unusable,
)
from rotation.ledger.records import Record, Step
from rotation.model import (
    Adopt,
    Force,
    Job,
    Outcome,
    Proof,
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
from rotation.policy.targets import Target, parse_target
from rotation.spec import companion
from tests.fakes import TARGET, FakeRotator, InMemoryVault, no_hook, value
from tests.world import NAME, REF, World

OTHER = SecretRef("kv", "orders-other")


async def write(world: World, ref: SecretRef, new: SecretValue, tags: dict[str, str] | None = None) -> None:
    """By hand, due in ten days."""
    world.time.ahead(seconds=2)
    told = world.tags if tags is None else tags
    await world.vault.set(ref.name, new, tags=told, expires_on=world.now + timedelta(days=10))


async def ask(world: World, ref: SecretRef = REF, reason: str = "operator", **more: object) -> Outcome:
    """As an operator does, for whatever is the latest."""
    version = world.vault.latest(ref.name).version
    request = RotationRequest(ref, version, Reason(reason), "test", demanded=reason == "operator")
    return await world.engine.handle(replace(request, **more))  # type: ignore[arg-type]


async def owned() -> World:
    """One secret that owns the role `app`, and another one that names it too."""
    world = await World("in-place+admin").start()
    await ask(world)
    await write(world, OTHER, world.latest.value)
    return world


# proof first


async def test_a_new_secret_whose_value_does_not_work_changes_nothing_though_an_administrator_could() -> None:
    world = await World("in-place+admin").start()
    await write(world, REF, value("app", "typo"))
    with pytest.raises(Unproven) as unproven:
        await ask(world)
    assert world.server.changes == []
    assert "adopt=reset&slots=app" in unproven.value.message
    assert "working value" in unproven.value.message
    assert world.ledger.owners() == {}


@pytest.mark.parametrize("force", [Force.YES, Force.GRACE])
async def test_force_is_no_proof(force: Force) -> None:
    world = await World("in-place+admin").start()
    await write(world, REF, value("app", "typo"))
    with pytest.raises(Unproven):
        await ask(world, force=force)
    assert world.server.changes == []


@pytest.mark.parametrize("kind", ["in-place", "alternating", "two-keys", "overlapping"])
async def test_the_first_run_binds_what_is_asked_for_and_later_ones_only_look(kind: str) -> None:
    world = await World(kind).start()
    await ask(world)
    expected = {
        "in-place": {"app"},
        "alternating": {"a", "b"},
        "two-keys": {"key1", "key2"},
        "overlapping": {"k0", "k1"},
    }
    assert world.ledger.owners() == dict.fromkeys(expected[kind], str(REF))
    calls: list[str] = []

    async def note(when: str, call: str, _name: str) -> None:
        if when == "before" and call in {"bindings", "bind"}:
            calls.append(call)

    world.time.ahead(days=80)
    await ask(world, reason="sweep", force=Force.YES)
    world.ledger.hook = note
    await ask(world, reason="sweep")
    assert "bind" not in calls
    assert len(calls) <= len(expected[kind])


async def test_what_is_made_here_has_no_owner() -> None:
    world = await World("made-here").start()
    await ask(world)
    assert world.ledger.owners() == {}


async def test_a_secret_that_no_rule_covers_is_never_read() -> None:
    world = await World("in-place").start()
    engine = world.engine
    engine._dependencies = replace(engine._dependencies, policy=Policy())
    world.vault.calls.clear()
    with pytest.raises(Denied, match="no rule"):
        await engine.handle(RotationRequest(REF, None, Reason.OPERATOR, "test", demanded=True))
    with pytest.raises(Denied, match="no rule"):
        await engine.plan(RotationRequest(REF, None, Reason.OPERATOR, "test", demanded=True))
    assert "get" not in {call for call, _ in world.vault.calls}
    await write(world, REF, world.latest.value, tags={})
    request = RotationRequest(REF, None, Reason.NEAR_EXPIRY, "test")
    assert (await engine.handle(request)).result is Result.UNMANAGED


# two secrets, one credential


async def test_of_two_secrets_that_name_one_role_the_first_to_run_keeps_it() -> None:
    world = await owned()
    with pytest.raises(BoundElsewhere) as bound:
        await ask(world, OTHER)
    assert str(REF) in bound.value.message
    assert "adopt=takeover" in bound.value.message
    assert world.server.changes == ["app"]
    assert world.ledger.owners() == {"app": str(REF)}
    assert (await ask(world)).result is Result.ROTATED, "the owner goes on"
    with pytest.raises(Unproven):
        await ask(world, OTHER)


async def test_a_deleted_owner_relies_on_nothing() -> None:
    world = await owned()
    del world.vault._secrets[NAME]
    assert (await ask(world, OTHER)).result is Result.ROTATED
    assert world.ledger.owners() == {"app": str(OTHER)}


async def test_an_owner_that_was_moved_elsewhere_gives_its_role_up_after_its_grace() -> None:
    world = await World("alternating+admin").start()
    world.allow(slots=("a", "b", "c", "d"), pairs=(("a", "b"), ("c", "d")))
    world.server.passwords |= {"c": "see", "d": "dee"}
    await ask(world)
    await write(world, OTHER, world.latest.value)
    await write(world, REF, value("c", "see"), world.tags | {"slots": "c,d"})
    await ask(world, reason="sweep")
    assert {slot for slot, owner in world.ledger.owners().items() if owner == str(REF)} == {"a", "b", "c", "d"}
    with pytest.raises(BoundElsewhere, match="grace"):
        await ask(world, OTHER)
    world.time.ahead(hours=74)
    assert (await ask(world, OTHER)).result in {Result.ROTATED, Result.RETIRED}
    assert world.ledger.owners() == {"a": str(OTHER), "b": str(OTHER), "c": str(REF), "d": str(REF)}


async def test_an_owner_that_is_no_longer_managed_still_relies_on_what_its_value_names() -> None:
    world = await owned()
    await write(world, REF, world.latest.value, tags={"team": "x"})
    with pytest.raises(BoundElsewhere, match="names it"):
        await ask(world, OTHER)


async def test_an_owner_that_can_not_be_understood_relies_on_it() -> None:
    world = await owned()
    await write(world, REF, value("app", "x"), tags=world.tags | {"validity-days": "soon"})
    with pytest.raises(BoundElsewhere):
        await ask(world, OTHER)


async def test_a_disabled_owner_relies_on_it() -> None:
    world = await owned()
    await world.vault.set_enabled(NAME, world.latest.version, enabled=False)
    with pytest.raises(BoundElsewhere, match="disabled"):
        await ask(world, OTHER)


async def test_an_owner_that_is_at_work_keeps_others_waiting_and_all_leases_are_let_go() -> None:
    world = await owned()
    lease = await world.ledger.acquire(REF, create=True)
    assert lease is not None
    with pytest.raises(Busy):
        await ask(world, OTHER)
    await lease.release()
    for ref in (REF, OTHER):
        again = await world.ledger.acquire(ref, create=True)
        assert again is not None
        await again.release()


async def test_an_operator_takes_a_credential_over_and_the_owner_before_is_told() -> None:
    world = await owned()
    assert (await ask(world, OTHER, adopt=Adopt.TAKEOVER)).result is Result.ROTATED
    assert world.ledger.owners() == {"app": str(OTHER)}
    changes = list(world.server.changes)
    with pytest.raises(BoundElsewhere, match=str(OTHER)):
        await ask(world)
    assert world.server.changes == changes


async def test_a_takeover_needs_the_proof_all_the_same() -> None:
    world = await owned()
    await write(world, OTHER, value("app", "typo"))
    with pytest.raises(Unproven):
        await ask(world, OTHER, adopt=Adopt.TAKEOVER)
    assert world.ledger.owners() == {"app": str(REF)}


async def test_an_owner_whose_vault_left_is_named_and_a_takeover_does_not_read_it() -> None:
    world = await owned()
    engine = world.engine
    elsewhere = SecretRef("kv-new", NAME)
    new = InMemoryVault("kv-new", world.time)
    await new.set(NAME, world.latest.value, tags=world.tags, expires_on=world.now + timedelta(days=10))
    rule = world.policy.rules[0]
    wide = Rule(("kv", "kv-new"), rule.secrets, rule.rotators, rule.terms, rule.targets)
    of_world = replace(engine._dependencies, vaults={"kv-new": new}, policy=Policy((wide,)))
    engine = type(engine)(of_world)
    request = RotationRequest(elsewhere, None, Reason.OPERATOR, "test", demanded=True)
    with pytest.raises(BoundElsewhere, match="ROTATION_VAULTS"):
        await engine.handle(request)
    done = await engine.handle(replace(request, adopt=Adopt.TAKEOVER))
    assert done.result is Result.ROTATED


async def test_an_owner_whose_vault_can_not_be_read_is_unreachable_and_named() -> None:
    world = await owned()

    async def gone(when: str, call: str, name: str) -> None:
        if (when, call, name) == ("before", "get", NAME):
            raise Unreachable("the vault does not answer")

    world.vault.hook = gone
    with pytest.raises(Unreachable, match=str(REF)):
        await ask(world, OTHER)
    assert (await ask(world, OTHER, adopt=Adopt.TAKEOVER)).result is Result.ROTATED


# set anew by an operator


async def test_a_reset_sets_anew_what_the_operator_named() -> None:
    world = await World("in-place+admin").start()
    await write(world, REF, value("app", "typo"))
    assert (await ask(world, adopt=Adopt.RESET, slots=("app",))).result is Result.REPAIRED
    assert world.works(world.latest)
    assert world.ledger.owners() == {"app": str(REF)}
    world.time.ahead(days=1)
    assert (await ask(world)).result is Result.ROTATED


@pytest.mark.parametrize("named", [(), ("other",)])
async def test_a_reset_of_what_was_not_named_is_refused(named: tuple[str, ...]) -> None:
    world = await World("in-place+admin").start()
    await write(world, REF, value("app", "typo"))
    with pytest.raises(Unusable, match="slots=app"):
        await ask(world, adopt=Adopt.RESET, slots=named)
    assert world.server.changes == []


async def test_a_reset_does_not_take_what_another_secret_relies_on() -> None:
    world = await owned()
    await write(world, OTHER, value("app", "typo"))
    with pytest.raises(BoundElsewhere):
        await ask(world, OTHER, adopt=Adopt.RESET, slots=("app",))
    assert world.server.changes == ["app"]


# repairs


async def test_a_repair_touches_only_what_is_bound_to_this_secret() -> None:
    world = await World("in-place+admin").start()
    world.allow(slots=("app", "victim"))
    world.server.passwords["victim"] = "theirs"
    await ask(world)
    await write(world, REF, value("victim", "guess"))
    world.server.passwords["app"] = "by hand"
    outcome = await ask(world, reason="sweep")
    assert world.server.passwords["victim"] == "theirs"
    assert outcome.result is Result.REPAIRED
    assert world.latest.value.reveal().startswith("app:"), "the newest slot that is its own, with that one's value"


async def test_tags_that_ask_for_a_place_where_the_value_does_not_log_in_repair_nothing() -> None:
    world = await World("alternating+admin").start()
    world.allow(slots=("a", "b", "c"), pairs=(("a", "b"), ("b", "c")))
    world.server.passwords["c"] = "see"
    await ask(world)
    latest = world.latest

    class Elsewhere(FakeRotator):
        async def prove(self, job: Job) -> Proof:
            if "c" in job.access.slots:
                raise Rejected("the new place does not know it")
            return await super().prove(job)

    world.rotator = Elsewhere(world.server, "alternating")
    await world.vault.set_tags(NAME, latest.version, dict(latest.tags) | {"slots": "b,c"})
    with pytest.raises(Unproven):
        await ask(world, reason="sweep")
    assert world.latest.version == latest.version


class Formed(FakeRotator):
    """Values that begin with a mark are of another form."""

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        text = secret.value.reveal()
        access = super().requested_access(spec, replace(secret, value=SecretValue(text.removeprefix("~"))))
        return replace(access, form="marked" if text.startswith("~") else "plain")


async def test_a_repair_writes_no_other_form_over_a_value() -> None:
    world = await World("alternating+admin").start()
    world.rotator = Formed(world.server, "alternating")
    await ask(world)
    await write(world, REF, SecretValue("~a:not it"))
    changes = list(world.server.changes)
    with pytest.raises(Refused):
        await ask(world, reason="sweep")
    assert world.latest.value.reveal().startswith("~")
    assert world.server.changes == changes


# moves


@pytest.mark.parametrize("force", [Force.NO, Force.YES])
async def test_a_secret_that_moves_to_two_roles_is_not_held_up_by_its_old_one(force: Force) -> None:
    world = await World("in-place+admin").start()
    await ask(world)
    world.kind = "alternating"
    world.rotator = FakeRotator(world.server, "alternating")
    world.server.passwords |= {"a": "aa", "b": "bb"}
    world.allow(slots=("a", "b"))
    await write(world, REF, value("a", "aa"), world.tags | {"rotator": "alternating", "slots": "a,b"})
    outcome = await ask(world, force=force)
    assert outcome.result is Result.ROTATED
    assert "app" in outcome.detail
    world.time.ahead(hours=80)
    assert (await ask(world, reason="sweep")).result is Result.RETIRED
    assert world.server.passwords["app"] is not None, "what is no longer asked for is never retired"
    again = await ask(world)
    assert again.result is Result.ROTATED
    assert "app" not in again.detail, "it is told once"


# grace


async def test_a_later_tag_does_not_shorten_a_grace_that_was_promised() -> None:
    world = await World("alternating").start()
    first = world.latest
    await ask(world)
    await world.vault.set_tags(NAME, world.latest.version, dict(world.latest.tags) | {"grace-hours": "0"})
    await ask(world, reason="sweep")
    assert world.works(first)
    assert (await ask(world)).result is Result.DEFERRED
    world.time.ahead(hours=73)
    await ask(world, reason="sweep")
    assert not world.works(first)


async def test_a_later_tag_lengthens_it() -> None:
    world = await World("alternating").start()
    first = world.latest
    await ask(world)
    await world.vault.set_tags(NAME, world.latest.version, dict(world.latest.tags) | {"grace-hours": "200"})
    world.time.ahead(hours=100)
    await ask(world, reason="sweep")
    assert world.works(first)


async def test_the_policy_keeps_an_old_slot_alive_longer_than_the_tag_asks() -> None:
    world = World("alternating")
    world.tags["grace-hours"] = "0"
    world.allow(min_grace_hours=24)
    await world.start()
    first = world.latest
    await ask(world)
    world.time.ahead(hours=23)
    await ask(world, reason="sweep")
    assert world.works(first)
    world.time.ahead(hours=2)
    await ask(world, reason="sweep")
    assert not world.works(first)


async def test_grace_is_over_when_it_is_for_every_version_that_held_the_slot() -> None:
    world = await World("alternating").start()
    world.tags["grace-hours"] = "300"
    await write(world, REF, world.latest.value)
    await ask(world, reason="sweep")
    long_promised = world.latest
    assert parts_of(world) == "b"
    del long_promised
    await world.vault.set_tags(NAME, world.latest.version, dict(world.latest.tags) | {"grace-hours": "1"})
    world.time.ahead(hours=100)
    await ask(world, reason="sweep")
    assert world.server.passwords["a"] == "first"


def parts_of(world: World) -> str:
    return world.latest.value.reveal().partition(":")[0]


# companions


async def test_nothing_is_staged_into_a_secret_of_somebody_elses() -> None:
    world = await World("in-place").start()
    await world.vault.set(companion(NAME), SecretValue("theirs"), tags={"team": "y"})
    with pytest.raises(Refused, match="staged-for"):
        await ask(world)
    assert world.server.changes == []
    assert len(world.vault.all(companion(NAME))) == 1


async def test_nothing_is_staged_where_a_rule_takes_the_companion_out() -> None:
    world = await World("in-place").start()
    rule = world.policy.rules[0]
    out = Rule(rule.vaults, ("*", f"!{companion(NAME)}"), rule.rotators, rule.terms, rule.targets)
    engine = type(world.engine)(replace(world.engine._dependencies, policy=Policy((out,))))
    with pytest.raises(Denied, match=companion(NAME)):
        await engine.handle(RotationRequest(REF, None, Reason.OPERATOR, "test", demanded=True))
    assert world.server.changes == []


async def test_a_version_of_the_companion_that_the_ledger_does_not_name_is_left_alone() -> None:
    world = await World("in-place").start()
    await ask(world)
    planted = await world.vault.set(companion(NAME), SecretValue("app:planted"), tags={"staged-for": NAME})
    world.time.ahead(days=2)
    await ask(world, reason="sweep")
    assert next(one for one in world.vault.all(companion(NAME)) if one.version == planted.version).enabled


# open operations


class Stop(BaseException):
    """As SIGKILL."""


async def killed_after_the_change(world: World) -> None:
    async def kill(when: str, call: str, name: str) -> None:
        if (when, call, name) == ("before", "set", NAME):
            raise Stop

    world.vault.hook = kill
    with pytest.raises(Stop):
        await ask(world)

    async def quiet(_when: str, _call: str, _name: str) -> None:
        return

    world.vault.hook = quiet
    world.time.ahead(seconds=61)


async def test_in_place_an_open_operation_is_finished_though_the_secret_is_unmanaged_since() -> None:
    world = await World("in-place").start()
    await killed_after_the_change(world)
    assert not world.works(world.latest)
    await world.vault.set_tags(NAME, world.latest.version, {"team": "x"})
    assert (await ask(world)).result is Result.RESUMED
    assert world.works(world.latest)
    assert "rotator" not in world.latest.tags, "it stays as its owner wants it"


async def test_in_another_slot_an_open_operation_is_given_up_when_its_slot_is_no_longer_asked_for() -> None:
    world = await World("alternating+admin").start()
    world.allow(slots=("a", "b", "c"), pairs=(("a", "b"), ("b", "c")))
    world.server.passwords["c"] = "see"
    await ask(world)
    world.time.ahead(hours=80)
    await ask(world, reason="sweep")
    await killed_after_the_change(world)
    tags = dict(world.latest.tags) | {"slots": "b,c"}
    await world.vault.set_tags(NAME, world.latest.version, tags)
    outcome = await ask(world)
    assert outcome.result is Result.ROTATED
    assert "given up" in outcome.detail
    assert parts_of(world) == "c"
    assert world.works(world.latest)


@pytest.mark.parametrize("variant", ["alternating", "alternating+admin"])
async def test_what_was_given_up_after_the_change_and_is_asked_for_again_is_not_changed_twice(variant: str) -> None:
    world = await World(variant).start()
    await killed_after_the_change(world)
    tags = dict(world.latest.tags)
    await world.vault.set_tags(NAME, world.latest.version, {"team": "x"})
    assert "given up" in (await ask(world, reason="sweep")).detail
    await world.vault.set_tags(NAME, world.latest.version, tags)
    assert (await ask(world)).result is Result.ROTATED, "the staged value is the only one that still logs in"
    assert world.server.changes == ["b"], "each change salts anew, and a pooler passes on what it learned of the last"
    assert world.works(world.latest)


async def test_an_open_operation_of_a_credential_that_was_taken_over_changes_nothing() -> None:
    world = await World("alternating+admin").start()
    await write(world, OTHER, world.latest.value)
    await killed_after_the_change(world)
    assert (await ask(world, OTHER, adopt=Adopt.TAKEOVER)).result is Result.ROTATED
    changes = list(world.server.changes)
    with pytest.raises(BoundElsewhere):
        await ask(world)
    assert world.server.changes == changes


# a ledger of the package before


async def forget_what_is_new(world: World) -> None:
    """As if the package before had written the history."""
    world.ledger._bindings.clear()
    for history in world.ledger._histories.values():
        old = [replace(record, asked=None, grace_hours=None, given_up=None) for record in history.records]
        tagless = [replace(r, tags=None) if r.step is Step.APPLYING else r for r in old]
        history.records[:] = tagless


@pytest.mark.parametrize("variant", ["in-place", "alternating", "two-keys", "overlapping", "made-here"])
async def test_a_history_of_the_package_before_is_bound_by_proof(variant: str) -> None:
    world = await World(variant).start()
    await ask(world)
    await forget_what_is_new(world)
    world.time.ahead(hours=80)
    await ask(world, reason="sweep")
    assert bool(world.ledger.owners()) is (variant != "made-here")
    assert (await ask(world)).result is Result.ROTATED
    assert world.works(world.latest)


@pytest.mark.parametrize("variant", ["in-place", "alternating", "in-place+admin"])
async def test_what_the_package_before_began_is_finished(variant: str) -> None:
    world = await World(variant).start()
    await killed_after_the_change(world)
    await forget_what_is_new(world)
    assert (await ask(world, reason="sweep")).result in {Result.RESUMED, Result.REPAIRED}
    assert world.works(world.latest)
    assert world.ledger.owners()


# another provider behind the name


async def test_behind_the_same_name_another_server_is_not_changed_before_it_is_proven_anew() -> None:
    world = await World("in-place+admin").start()
    await ask(world)
    world.server.realm = "server:2"
    with pytest.raises(MovedElsewhere):
        await ask(world)
    assert world.server.changes == ["app"]
    assert (await ask(world)).result is Result.ROTATED
    assert world.ledger.owners() == {"app": str(REF)}
    records: list[Record] = list(world.ledger.records(REF))
    assert sum(record.step is Step.ADOPTED for record in records) == 2


async def test_a_copy_of_a_server_is_told_from_it_by_a_look_at_both() -> None:
    world = await owned()
    copy = "copy.example:5432"

    class OnTheCopy(FakeRotator):
        def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
            access = super().requested_access(spec, secret)
            return replace(access, targets=(copy,)) if secret.ref == OTHER else access

        async def same_provider(self, job: Job, target: str) -> bool:
            assert target == TARGET
            return False

    rule = world.policy.rules[0]
    both = replace_targets(rule, (parse_target(TARGET), parse_target(copy)))
    world.rotator = OnTheCopy(world.server, "in-place")
    engine = type(world.engine)(replace(world.engine._dependencies, policy=Policy((both,))))
    request = RotationRequest(OTHER, None, Reason.OPERATOR, "test", demanded=True)
    assert (await engine.handle(request)).result is Result.ROTATED
    keys = {kept[-1].realm: str(kept[-1].owner) for kept in world.ledger._bindings.values()}
    assert keys == {"server:1": str(REF), f"server:1@{copy}": str(OTHER)}
    again = await engine.handle(request)
    assert again.result is Result.ROTATED


def replace_targets(rule: Rule, targets: tuple[Target, ...]) -> Rule:
    return Rule(rule.vaults, rule.secrets, rule.rotators, rule.terms, targets)


async def test_a_version_that_is_not_valid_yet_is_no_reason_to_rotate() -> None:
    world = await World("in-place").start()
    latest = world.vault._secrets[NAME][-1]
    world.vault._secrets[NAME][-1] = replace(latest, not_before=world.now + timedelta(days=3))
    outcome = await ask(world, reason="near-expiry")
    assert outcome.result is Result.NOT_DUE
    assert "not valid before" in outcome.detail
    assert world.server.changes == []


async def test_what_can_not_be_retired_since_the_server_is_another_by_now_is_proven_anew() -> None:
    world = await World("alternating").start()
    await ask(world)
    world.server.realm = "server:2"
    world.time.ahead(hours=80)
    with pytest.raises(MovedElsewhere):
        await ask(world, reason="sweep")
    assert (await ask(world, reason="sweep")).result is Result.RETIRED
    assert (await ask(world)).result is Result.ROTATED


async def test_what_an_operator_had_set_anew_is_finished_though_no_version_was_ever_proven() -> None:
    world = await World("two-keys").start()

    class Nameless(FakeRotator):
        def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
            return replace(super().requested_access(spec, secret), current_slot=None)

    world.rotator = Nameless(world.server, "two-keys")
    await write(world, REF, value("key1", "typo"))

    async def kill(when: str, call: str, name: str) -> None:
        if (when, call, name) == ("before", "set", NAME):
            raise Stop

    world.vault.hook = kill
    with pytest.raises(Stop):
        await ask(world, adopt=Adopt.RESET, slots=("key1", "key2"))
    world.vault.hook = no_hook
    world.time.ahead(seconds=61)
    assert (await ask(world, reason="sweep")).result is Result.RESUMED
    assert world.works(world.latest)


async def test_where_nothing_logs_in_and_the_server_is_another_nothing_is_changed_and_that_is_told() -> None:
    world = await World("in-place+admin").start()
    await ask(world)
    world.server.realm = "server:2"
    await write(world, REF, value("app", "typo"))
    world.server.passwords["app"] = "by hand"
    for _ in range(2):
        with pytest.raises(Unproven) as told:
            await ask(world, reason="sweep")
        assert told.value.message in (world.ledger.records(REF)[-1].detail or "")
    assert world.server.changes == ["app"]


async def test_grace_is_kept_too_where_the_owner_moved_a_moment_ago_and_has_not_run_since() -> None:
    world = await World("alternating+admin").start()
    world.allow(slots=("a", "b", "c", "d"), pairs=(("a", "b"), ("c", "d")))
    world.server.passwords |= {"c": "see", "d": "dee"}
    await ask(world)
    world.time.ahead(hours=80)
    await ask(world, reason="sweep")
    await write(world, OTHER, world.latest.value)
    await write(world, REF, value("c", "see"), world.tags | {"slots": "c,d"})
    with pytest.raises(BoundElsewhere, match="grace"):
        await ask(world, OTHER)


async def test_an_owner_whose_value_names_no_slot_relies_on_it_until_its_history_says_otherwise() -> None:
    world = await World("two-keys").start()

    class Nameless(FakeRotator):
        def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
            return replace(super().requested_access(spec, secret), current_slot=None)

    world.rotator = Nameless(world.server, "two-keys")
    await ask(world)
    await write(world, OTHER, world.latest.value)
    world.time.ahead(hours=80)
    await ask(world, reason="sweep")
    await write(world, REF, world.latest.value, tags={"team": "x"})
    world.time.ahead(hours=80)
    with pytest.raises(BoundElsewhere, match="may hold it"):
        await ask(world, OTHER)


async def test_the_owners_lease_outlives_each_binding_that_is_taken_from_it() -> None:
    world = await World("alternating+admin").start()
    await ask(world)
    await write(world, OTHER, world.latest.value)
    world.vault.delete(NAME)
    left: list[float] = []

    async def slow(when: str, call: str, _name: str) -> None:
        if (when, call) == ("before", "bind"):
            left.append(world.ledger._histories[REF].until - world.time.monotonic())
            world.time.ahead(seconds=45 if len(left) == 1 else 0)

    world.ledger.hook = slow
    await ask(world, OTHER)
    assert len(left) == 2
    assert min(left) > 20


async def test_an_open_operation_is_finished_as_it_was_begun_however_often_that_is_cut_short() -> None:
    world = await World("in-place").start()
    await killed_after_the_change(world)
    await world.vault.set_tags(NAME, world.latest.version, {"team": "x"})
    for _ in range(2):
        await killed_after_the_change(world)
    assert (await ask(world)).result is Result.RESUMED
    assert world.works(world.latest)
