"""Each alert fires for what the app really emits when the thing happens, and is silent when it does not."""

import ast
import re
from datetime import timedelta
from typing import Any

import pytest

from app.messages import to_text
from rotation.errors import Gone, Unreachable
from rotation.model import Reason, Result, RotationRequest
from rotation.terms import Refresh
from tests.queries.emitted import NOW, Emitter
from tests.queries.kusto import QUERIES, ROOT, Workspace, query
from tests.world import NAME, REF

HOUR = timedelta(hours=1)
SECRET = f"kv/{NAME}"
MESSAGE = to_text(RotationRequest(REF, "v1", Reason.SWEEP, "sweep"))


@pytest.fixture
async def app(workspace: Workspace) -> Emitter:
    emitter = Emitter(workspace)
    await emitter.start()
    return emitter


def fired(app: Emitter, name: str) -> list[dict[str, Any]]:
    return app.workspace.ask(query(name))


async def test_a_rotation_that_fails_alarms_until_one_passes(app: Emitter) -> None:
    app.server.down = True
    await app.message()
    await app.message(after=timedelta(minutes=5))
    [row] = fired(app, "failed-rotations")
    assert (row["Secret"], row["Failures"]) == (SECRET, 2)
    assert row["Message"].startswith(f"failed {SECRET}: ")
    app.server.down = False
    await app.message(after=timedelta(minutes=10))
    assert fired(app, "failed-rotations") == []
    [last] = fired(app, "last-word")
    assert (last["Secret"], last["Outcome"]) == (SECRET, "rotated")


async def test_a_secret_that_no_rule_permits_alarms(app: Emitter) -> None:
    app.permitted = False
    await app.message()
    [row] = fired(app, "denied-or-tags-lost")
    assert (row["Secret"], row["Outcome"]) == (SECRET, "denied")
    assert fired(app, "failed-rotations") == []


async def test_lost_tags_alarm(app: Emitter) -> None:
    await app.message()
    await app.write(app.latest.value, {})
    await app.message(after=HOUR)
    [row] = fired(app, "denied-or-tags-lost")
    assert (row["Secret"], row["Outcome"]) == (SECRET, "tags_lost")


async def test_what_rotates_alarms_nobody(app: Emitter) -> None:
    await app.message()
    await app.swept()
    for name in ("failed-rotations", "denied-or-tags-lost", "poison-messages", "expiring-unrotated", "no-sweep"):
        assert fired(app, name) == [], name


async def test_a_refresh_target_that_is_not_asked_again_alarms_and_one_that_is_does_not(app: Emitter) -> None:
    site = Refresh("app-settings", "/subscriptions/s/resourcegroups/g/providers/microsoft.web/sites/shop")
    app.allow(refresh=(site,))
    app.refresh_targets.wrong = Unreachable("the site does not answer")
    await app.message()
    assert fired(app, "refreshes-given-up") == []
    app.refresh_targets.wrong = Gone("410")
    app.time.ahead(minutes=1)
    await app.message(after=timedelta(minutes=1))
    [row] = fired(app, "refreshes-given-up")
    assert (row["Secret"], row["RefreshTarget"], row["Times"]) == (SECRET, site.name, 1)
    assert row["Message"].startswith(f"refresh_given_up {SECRET}: {site.name}: 410")
    assert fired(app, "failed-rotations") == []


async def test_messages_that_were_given_up_on_alarm(app: Emitter) -> None:
    await app.poison_found(MESSAGE, MESSAGE)
    [row] = fired(app, "poison-messages")
    assert SECRET in row["Message"]


async def test_a_message_that_is_no_request_alarms(app: Emitter) -> None:
    await app.message("not a request")
    [row] = fired(app, "poison-messages")
    assert row["Message"].startswith("a message is dropped: ")


async def test_the_hosts_own_line_about_a_poison_message_alarms_and_ours_about_an_unreadable_queue_does_not(
    app: Emitter,
) -> None:
    app.host_says("rotation-requests-poison could not be looked at (HttpResponseError)")
    assert fired(app, "poison-messages") == []
    app.host_says("Message has reached MaxDequeueCount of 5. Moving message to queue 'rotation-requests-poison'.")
    assert len(fired(app, "poison-messages")) == 1


async def test_a_secret_that_ends_soon_alarms_once_two_sweeps_said_so(app: Emitter) -> None:
    await app.swept()  # by the wall clock the world's secret has ended
    assert fired(app, "expiring-unrotated") == []
    await app.swept(after=HOUR)
    [row] = fired(app, "expiring-unrotated")
    assert row["Secret"] == SECRET
    assert row["Message"].startswith(f"expiring {SECRET}: ")


async def test_a_secret_that_was_rotated_after_the_last_sweep_does_not_alarm(app: Emitter) -> None:
    await app.swept()
    await app.swept(after=HOUR)
    await app.message(after=HOUR + timedelta(minutes=5))
    assert fired(app, "expiring-unrotated") == []


async def test_no_sweep_at_all_alarms_for_all_vaults(app: Emitter) -> None:
    await app.message()
    [row] = fired(app, "no-sweep")
    assert row["Vault"] == "all"


async def test_a_vault_that_no_sweep_reads_to_its_end_alarms_beside_one_that_is_read(app: Emitter) -> None:
    await app.swept("other")
    await app.swept("other", after=HOUR)
    [row] = fired(app, "no-sweep")
    assert row == {"Vault": "other", "Message": "the sweep of other stopped: the vault does not answer"}


async def test_a_rotations_story_has_its_steps_in_order_and_its_outcome_and_nothing_of_another(app: Emitter) -> None:
    await app.message()
    await app.write(app.latest.value)
    await app.message(after=HOUR)
    operations = [row["Operation"] for row in fired(app, "last-word")]
    told = app.workspace.ask(query("rotation-story", operation=operations[0]))
    what = [row["What"] for row in told]
    assert what[0] == "keyturn.rotation"
    assert what[-1] == "outcome"
    order = iter(what)
    wanted = ("lease", "read", "stage", "record", "apply", "publish", "release")
    assert all(f"keyturn.{step}" in order for step in wanted), what
    assert len({row["Run"] for row in told}) == 1
    assert app.workspace.ask(query("rotation-story")) == [], "nobody was asked for"


async def test_what_the_workbook_counts_is_what_the_app_counts(app: Emitter) -> None:
    await app.message()
    await app.message()  # the same hint once more
    told = {row["Outcome"]: row["Requests"] for row in fired(app, "outcomes")}
    assert told == {"rotated": 1, "not_due": 1}
    for point in app.recorded.points("keyturn.rotation.duration"):
        facts = dict(point.attributes)
        app.workspace.put(
            "AppMetrics",
            NOW,
            Name="keyturn.rotation.duration",
            Sum=0.5,
            Max=0.5,
            ItemCount=int(point.value),
            Properties=facts,
        )
    told = {row["Outcome"]: (row["Rotator"], row["Runs"], row["MeanS"]) for row in fired(app, "time-to-rotate")}
    assert told["rotated"] == ("in-place", 1, 0.5)


def _calls(name: str) -> list[ast.Call]:
    files = [path for folder in ("handlers", "app") for path in (ROOT / folder).glob("*.py")]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    calls = (node for node in nodes if isinstance(node, ast.Call))
    return [
        call for call in calls if isinstance(call.func, ast.Name | ast.Attribute) and name in ast.unparse(call.func)
    ]


def _first(calls: list[ast.Call]) -> set[str]:
    first = (call.args[0] for call in calls if call.args)
    return {str(one.value) for one in first if isinstance(one, ast.Constant)}


def test_every_name_in_a_query_is_one_that_the_app_writes() -> None:
    text = "\n".join(query(path.stem) for path in QUERIES.glob("*.kql"))
    lines = _calls("log_fields")
    events, metrics = _first(lines), _first(_calls("create_"))
    assert {"outcome", "poison", "swept"} <= events
    facts = {word.arg for call in lines for word in call.keywords} | {"event", "vault", "secret", "rotator"}
    names = set(re.findall(r'"(keyturn\.[\w.]+)"', text))
    assert names <= {f"keyturn.{fact}" for fact in facts} | metrics
    asked, outcomes = (
        set(re.findall(r'"(\w+)"', " ".join("".join(found) for found in re.findall(pattern, text))))
        for pattern in (
            r'(?:\bEvent|"keyturn\.event"\]) (?:== ("\w+")|in \(([^)]+)\))',
            r'\bOutcome (?:== ("\w+")|in \(([^)]+)\))',
        )
    )
    assert asked >= {"outcome", "swept", "sweep_failed", "poison", "dropped", "expiring"}
    assert asked <= events
    assert outcomes >= {"failed", "denied", "tags_lost", "rotated", "resumed"}
    assert outcomes <= {result.value for result in Result}
