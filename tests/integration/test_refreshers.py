"""Each kind of refresh target, asked over the wire: what arrives there, and what each answer means."""

import asyncio
import base64
import contextlib
import logging
import os
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PrivateKey, SealedBox

from local.azure.faults import Fault, Kind
from local.certificates import Certificates, ensure
from rotation.errors import Gone, Refused, RotationError, Throttled, Unreachable, Unusable
from rotation.model import SecretRef, SecretValue
from rotation.refresh_targets import RefreshOrder
from rotation.refreshers import REFRESHERS
from rotation.refreshers.azure_devops_connection import with_secret
from rotation.refreshers.github_secret import sealed
from rotation.refreshers.webhook import message
from rotation.rotators.azure.rest import ApiClient, ApiResponse
from rotation.terms import WHOLE, Refresh
from tests.local_azure import CLUSTER, CONTAINER_APP, SITE, SLOT, Place, opened

VALUE = f"postgresql://app:{base64.b32encode(os.urandom(20)).decode()}@db.example/shop"
PUSH_TOKEN = f"ghp_{base64.b32encode(os.urandom(20)).decode()}"
TOKEN = f"ghp_{base64.b32encode(os.urandom(20)).decode()}"
KEY = os.urandom(32)
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
SECRETS = (TOKEN, SECRET, PUSH_TOKEN, VALUE)
PUBLISHED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DEVOPS = Refresh("azure-devops", "shop/Big Shop", (("pipeline", "12"), ("branch", "release/1")))
GITHUB = Refresh("github", "shop/web", (("workflow", "refresh.yml"), ("ref", "main")), ("kv-a", "github"))

ID = "5e47a0d8-c745-44f8-8f93-784f18ff31c4"
CONNECTION = Refresh("azure-devops-connection", "shop/Big Shop", (("connection", ID),), None, WHOLE)


def secret_of(target: str, name: str = "DB", **more: str) -> Refresh:
    options = (("secret", name), *more.items())
    return Refresh("github-secret", target, options, ("kv-a", "push"), WHOLE)


SECRET_OF = {
    "github-secret": secret_of("shop/web"),
    "github-environment": secret_of("shop/web", environment="prod/eu west"),
    "github-organization": secret_of("shop"),
}


def connection(parameters: dict[str, Any] | None = None, scheme: str = "UsernamePassword") -> dict[str, Any]:
    """As the reference shows one; `fromTomorrow` is what a caller can't know."""
    had = {"username": "shop", "password": "before"} if parameters is None else parameters
    return {
        "id": ID, "name": "registry", "type": "generic", "url": "https://registry.example/", "owner": "library",
        "isShared": True, "isReady": True, "description": "", "data": {"fromTomorrow": None, "a": "b"},
        "createdBy": {"displayName": "Chuck", "_links": {"avatar": {"href": "https://dev.azure.com/x"}}},
        "authorization": {"scheme": scheme, "parameters": had}, "operationStatus": None, "fromTomorrow": {"n": 1.5},
        "serviceEndpointProjectReferences": [
            {"projectReference": {"id": "c7e5f0b3", "name": "Big Shop"}, "name": "registry", "description": "x"},
            {"projectReference": {"id": "184fda7e", "name": "Other"}, "name": "their-registry"},
        ],
    }  # fmt: skip


@pytest.fixture
async def place(tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with opened(tmp_path, certificates, monkeypatch) as running:
        sites = running.azure.arm.sites
        sites.add_site(SITE)
        sites.add_site(SLOT)
        sites.add_container_app(CONTAINER_APP, "shop-api--abc12")
        running.azure.arm.clusters.add(CLUSTER, certificates.ca.read_text(), "shop/web")
        running.azure.pipelines.add_pipeline("shop/Big Shop", "12", "release/1")
        running.azure.pipelines.add_workflow("shop/web", "refresh.yml", "main", TOKEN)
        for where in ("shop/web", "shop/web/prod/eu west", "shop"):
            running.azure.github_secrets.add_place(where, PUSH_TOKEN)
        running.azure.github_secrets.add_organizations("shop", "DB", "selected", [7, 8])
        running.azure.connections.add("shop", connection())
        running.azure.hooks.expect("shop", KEY)
        yield running


def refresh_targets(place: Place) -> dict[str, Refresh]:
    """One of each kind, and a slot."""
    return {
        "app-settings": Refresh("app-settings", SITE),
        "slot": Refresh("app-settings", SLOT),
        "container-app": Refresh("container-app", CONTAINER_APP),
        "aks": Refresh("aks", CLUSTER, (("deployment", "shop/web"),)),
        "azure-devops": DEVOPS,
        "github": GITHUB,
        "webhook": Refresh("webhook", f"{place.azure.hook_url}/shop", (), ("kv-a", "hook")),
        "azure-devops-connection": CONNECTION,
        **SECRET_OF,
    }


WRITTEN = (*SECRET_OF, "azure-devops-connection")
NAMES = ("app-settings", "slot", "container-app", "aks", "azure-devops", "github", "webhook", *WRITTEN)
METHODS = {"aks": "PATCH", **dict.fromkeys(WRITTEN, "PUT")}  # of the call that does it; else POST


async def ask(place: Place, refresh: Refresh, secret: str | None = None) -> None:
    usual = {"github": TOKEN, "webhook": SECRET, "github-secret": PUSH_TOKEN}.get(refresh.kind)
    text = usual if secret is None else secret
    value = None if text is None else SecretValue(text)
    pushed = None if refresh.part is None else SecretValue(VALUE)
    order = RefreshOrder(refresh, SecretRef("kv-a", "shop-db"), "v2", "0123abcd", PUBLISHED, value, pushed)
    await REFRESHERS[refresh.kind].build(place.services).refresh(order)


def arrived(place: Place) -> list[tuple[str, ...]]:
    azure = place.azure
    hooks = [("hook", name) for name in azure.hooks.calls]
    pushed = (*azure.github_secrets.asked, *azure.connections.asked)
    return [*azure.arm.sites.asked, *azure.arm.clusters.asked, *azure.pipelines.asked, *pushed, *hooks]


EXPECTED = {
    "app-settings": ("refresh", SITE),
    "slot": ("refresh", SLOT),
    "container-app": ("restart", CONTAINER_APP),
    "aks": ("aks-shop", "shop/web", PUBLISHED.isoformat()),
    "azure-devops": ("shop/Big Shop", "12", "refs/heads/release/1"),
    "github": ("shop/web", "refresh.yml", "main"),
    "webhook": ("hook", "shop"),
    "github-secret": ("shop/web", "DB"),
    "github-environment": ("shop/web/prod/eu west", "DB"),
    "github-organization": ("shop", "DB"),
    "azure-devops-connection": ("shop", ID),
}


def test_every_kind_is_asked_here() -> None:
    assert {*NAMES} - {"slot", "github-environment", "github-organization"} == REFRESHERS.keys()


@pytest.mark.parametrize("name", NAMES)
async def test_one_call_arrives_as_the_refresh_target_wants_it(place: Place, name: str) -> None:
    await ask(place, refresh_targets(place)[name])
    assert arrived(place) == [EXPECTED[name]]


@pytest.mark.parametrize("name", NAMES)
async def test_a_refresh_target_that_is_down_can_be_asked_again(place: Place, name: str) -> None:
    async with place.outage():
        with pytest.raises(Unreachable):
            await ask(place, refresh_targets(place)[name])
    assert arrived(place) == []
    await ask(place, refresh_targets(place)[name])
    assert arrived(place) == [EXPECTED[name]]


@pytest.mark.parametrize("name", NAMES)
async def test_an_answer_that_is_lost_is_no_success(place: Place, name: str) -> None:
    """Asked again it arrives once more; at a cluster the second patch says the same, and begins no second rollout.

    A PUT is one that aiohttp itself repeats once where a connection breaks (RFC 9110, 9.2.2).
    """
    sent = 2 if METHODS.get(name) == "PUT" else 1
    with place.fault(Fault(Kind.DROP_AFTER, method=METHODS.get(name, "POST"), times=sent)), pytest.raises(Unreachable):
        await ask(place, refresh_targets(place)[name])
    assert arrived(place) == [EXPECTED[name]] * sent
    await ask(place, refresh_targets(place)[name])
    assert arrived(place) == [EXPECTED[name]] * (1 if name == "aks" else sent + 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("status", "expected"), [(429, Throttled), (503, Unreachable), (500, Unreachable)])
async def test_not_now_can_be_asked_again(place: Place, name: str, status: int, expected: type[RotationError]) -> None:
    method = METHODS.get(name, "POST") if name in WRITTEN else "POST"
    fault = Fault(Kind.STATUS, method=method, status=status, headers={"Retry-After": "7"})
    with place.fault(fault), pytest.raises(expected) as told:
        await ask(place, refresh_targets(place)[name])
    assert (told.value.transient, told.value.retry_after_s) == (True, 7)
    assert fault.struck == 1, "a call is sent once, and the queue asks again"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_no_says_what_to_mend_and_repeats_nothing_that_was_sent(place: Place, name: str, status: int) -> None:
    """The stand-in's text repeats what was sent, as real ones do."""
    with place.fault(Fault(Kind.STATUS, status=status)), pytest.raises(Refused) as told:
        await ask(place, refresh_targets(place)[name])
    assert str(status) in told.value.message
    assert ": " in told.value.message
    for sent in (*SECRETS, *place.tokens.given):
        assert sent not in told.value.message


@pytest.mark.usefixtures("refused_on_purpose")
@pytest.mark.parametrize("name", ["app-settings", "slot", "container-app", "aks"])
async def test_without_its_right_it_is_refused_and_the_role_is_named(place: Place, name: str) -> None:
    refresh = refresh_targets(place)[name]
    elsewhere = replace_target(refresh, refresh.target.replace("shop", "elsewhere"))  # no grant is on that one
    with pytest.raises(Refused, match=r"403 AuthorizationFailed.*the role Keyturn "):
        await ask(place, elsewhere)


def replace_target(refresh: Refresh, target: str) -> Refresh:
    return Refresh(refresh.kind, target, refresh.options, refresh.secret, refresh.part)


async def test_a_container_app_without_a_revision_that_is_ready_is_said_to_have_none(place: Place) -> None:
    place.azure.arm.sites.add_container_app(CONTAINER_APP, None)
    with pytest.raises(Refused, match="no revision that is ready"):
        await ask(place, refresh_targets(place)["container-app"])


async def test_a_deployment_that_no_role_in_the_cluster_names_is_refused(place: Place) -> None:
    with pytest.raises(Refused, match=r"the cluster answered 403 .*let a Role permit"):
        await ask(place, Refresh("aks", CLUSTER, (("deployment", "shop/other"),)))
    assert arrived(place) == []


@pytest.mark.parametrize(
    ("more", "says"),
    [({"local_accounts": True}, "disable them"), ({"server": "https://evil.example"}, "did not say where")],
)
async def test_a_cluster_with_local_accounts_or_elsewhere_is_sent_no_token(
    place: Place, certificates: Certificates, more: dict[str, Any], says: str
) -> None:
    place.azure.arm.clusters.add(CLUSTER, certificates.ca.read_text(), "shop/web", **more)
    with pytest.raises(Refused, match=says):
        await ask(place, refresh_targets(place)["aks"])
    assert (arrived(place), len(place.tokens.given)) == ([], 1)


async def test_only_the_clusters_own_authority_is_trusted(place: Place, tmp_path: Path) -> None:
    other = ensure(tmp_path / "other")
    place.azure.arm.clusters.add(CLUSTER, other.ca.read_text(), "shop/web")
    with pytest.raises(Unreachable, match="the cluster did not answer"):
        await ask(place, refresh_targets(place)["aks"])
    place.azure.arm.clusters.add(CLUSTER, "no certificate", "shop/web")
    with pytest.raises(Refused, match="certificate authority"):
        await ask(place, refresh_targets(place)["aks"])


async def test_an_identity_that_the_organization_does_not_know_is_told_so(place: Place) -> None:
    place.tokens.fixed = "not-a-token"
    with pytest.raises(Refused, match="page to sign in"):
        await ask(place, DEVOPS)


@pytest.mark.parametrize(
    ("refresh", "says"),
    [
        (Refresh("azure-devops", "shop/Big Shop", (("pipeline", "13"), ("branch", "main"))), "404"),
        (Refresh("azure-devops", "shop/Big Shop", (("pipeline", "12"), ("branch", "main"))), "400"),
        (Refresh("github", "shop/web", (("workflow", "other.yml"), ("ref", "main")), ("kv-a", "github")), "404"),
        (Refresh("github", "shop/web", (("workflow", "refresh.yml"), ("ref", "next")), ("kv-a", "github")), "422"),
    ],
)
async def test_a_pipeline_or_branch_that_is_not_there_is_told(place: Place, refresh: Refresh, says: str) -> None:
    with pytest.raises(Refused, match=says):
        await ask(place, refresh)
    assert arrived(place) == []


async def test_a_token_that_has_ended_is_told(place: Place) -> None:
    with pytest.raises(Refused, match="GitHub does not accept the token"):
        await ask(place, GITHUB, "ghp_another")


@pytest.mark.parametrize("secret", ["", " ", "two words", "line\nfeed: x", "x" * 5000, "caf\u00e9"])
async def test_what_is_no_token_goes_into_no_header(place: Place, secret: str) -> None:
    with pytest.raises(Unusable, match="kv-a/github is no token") as told:
        await ask(place, GITHUB, secret)
    assert told.value.field == "value"


# what is written on


def what_is_there(place: Place, name: str) -> object:
    if name == "azure-devops-connection":
        return place.azure.connections.written("shop", ID)["authorization"]["parameters"]["password"]
    return place.azure.github_secrets.written(*EXPECTED[name])["value"]


@pytest.mark.parametrize("name", WRITTEN)
async def test_the_value_is_there_afterwards_whole(place: Place, name: str) -> None:
    await ask(place, refresh_targets(place)[name])
    assert what_is_there(place, name) == VALUE


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("value", [None, SecretValue("")], ids=repr)
async def test_nothing_is_written_where_there_is_no_value(place: Place, name: str, value: SecretValue | None) -> None:
    refresh = refresh_targets(place)[name]
    order = RefreshOrder(
        refresh, SecretRef("kv-a", "shop-db"), "v2", "0123abcd", PUBLISHED, SecretValue(PUSH_TOKEN), value
    )
    with pytest.raises(Unusable, match="kv-a/shop-db has no value"):
        await REFRESHERS[refresh.kind].build(place.services).refresh(order)
    assert arrived(place) == []


@pytest.mark.parametrize("name", SECRET_OF)
async def test_a_key_that_is_changed_after_it_was_read_is_read_again(place: Place, name: str) -> None:
    place.azure.github_secrets.keys_turn = 1
    await ask(place, refresh_targets(place)[name])
    assert (arrived(place), what_is_there(place, name)) == ([EXPECTED[name]], VALUE)


async def test_a_key_that_stays_is_read_once(place: Place) -> None:
    with place.fault(Fault(Kind.LAG, path="public-key$")) as reads:
        await ask(place, SECRET_OF["github-secret"])
    assert reads.struck == 1


async def test_a_key_that_is_changed_each_time_is_given_up_after_the_second(place: Place) -> None:
    place.azure.github_secrets.keys_turn = 9
    with pytest.raises(Refused, match="GitHub answered 422"):
        await ask(place, SECRET_OF["github-secret"])
    assert (arrived(place), place.azure.github_secrets.keys_turn) == ([], 7)


async def test_what_is_refused_for_another_reason_is_sent_once(place: Place) -> None:
    fault = Fault(Kind.STATUS, method="PUT", status=422)
    with place.fault(fault), pytest.raises(Refused, match="GitHub answered 422"):
        await ask(place, SECRET_OF["github-secret"])
    assert fault.struck == 1


@pytest.mark.parametrize(
    ("visibility", "repositories"),
    [("all", []), ("private", []), ("selected", []), ("selected", [7, 8]), ("selected", list(range(250)))],
    ids=["all", "private", "none", "selected", "many"],
)
async def test_who_may_use_an_organizations_secret_stays_as_it_was(
    place: Place, visibility: str, repositories: list[int]
) -> None:
    place.azure.github_secrets.add_organizations("shop", "DB", visibility, repositories)
    await ask(place, SECRET_OF["github-organization"])
    expected = {"value": VALUE, "visibility": visibility, "repositories": repositories}
    assert place.azure.github_secrets.written("shop", "DB") == expected


async def test_an_organizations_secret_that_is_not_there_is_not_made(place: Place) -> None:
    """Keyturn would decide who may use it."""
    with pytest.raises(Refused, match=r"404 .*make the secret in the organization first"):
        await ask(place, secret_of("shop", "NEW"))
    assert arrived(place) == []


async def test_more_repositories_than_are_listed_are_not_cut_off(place: Place) -> None:
    place.azure.github_secrets.add_organizations("shop", "DB", "selected", list(range(1001)))
    with pytest.raises(Refused, match="did not list each repository"):
        await ask(place, SECRET_OF["github-organization"])
    assert arrived(place) == []


@pytest.mark.parametrize("visibility", ["everybody", None, ["all"]])
async def test_an_organizations_secret_of_an_unknown_sort_is_left_alone(place: Place, visibility: Any) -> None:
    place.azure.github_secrets.add_organizations("shop", "DB", visibility, [])
    with pytest.raises(Refused, match="did not say which repositories"):
        await ask(place, SECRET_OF["github-organization"])
    assert arrived(place) == []


@pytest.mark.parametrize("token", ["ghp_another", TOKEN], ids=["unknown", "without-the-right"])
@pytest.mark.parametrize("name", SECRET_OF)
async def test_a_token_that_may_not_write_it_is_told(place: Place, name: str, token: str) -> None:
    """GitHub hides a repository from a token that has no right on it."""
    place.azure.github_secrets.add_place("elsewhere/web", TOKEN)
    says = "404 .*Secrets: read and write" if token == TOKEN else "does not accept the token"
    with pytest.raises(Refused, match=says):
        await ask(place, refresh_targets(place)[name], token)
    assert arrived(place) == []


@pytest.mark.parametrize("key", ["", "no base64!", base64.b64encode(b"too short").decode(), "caf\u00e9"])
def test_what_is_no_key_seals_nothing(key: str) -> None:
    with pytest.raises(Refused, match="no public key that a value can be sealed with"):
        sealed(SecretValue(VALUE), key)


def test_a_value_is_sealed_anew_each_time() -> None:
    key = PrivateKey.generate()
    public = base64.b64encode(bytes(key.public_key)).decode()
    one, other = (
        sealed(SecretValue("p\u00e4ss-\U0001f511-Qx81"), public),
        sealed(SecretValue("p\u00e4ss-\U0001f511-Qx81"), public),
    )
    assert one != other
    assert SealedBox(key).decrypt(base64.b64decode(one)).decode() == "p\u00e4ss-\U0001f511-Qx81"


@pytest.mark.parametrize("parameters", [{}, None, {"key_id": "1"}, {"key_id": 1, "key": "a"}, {"key": "a"}])
async def test_an_answer_without_a_key_is_refused(
    place: Place, monkeypatch: pytest.MonkeyPatch, parameters: dict[str, Any] | None
) -> None:
    async def answers(_client: ApiClient, *_: object) -> ApiResponse:
        return ApiResponse(200, parameters or {})

    monkeypatch.setattr(ApiClient, "get_as_it_is", answers)
    with pytest.raises(Refused, match="no public key"):
        await ask(place, SECRET_OF["github-secret"])
    assert arrived(place) == []


@pytest.mark.parametrize(
    ("scheme", "parameters", "name"),
    [
        ("UsernamePassword", {"username": "shop", "password": "before"}, "password"),
        ("UsernamePassword", {"Username": "shop", "Password": "before"}, "Password"),
        ("UsernamePassword", {"username": "shop"}, "password"),
        ("Token", {"apitoken": "before"}, "apitoken"),
        ("Token", {"apiToken": "before", "url": "https://x"}, "apiToken"),
        ("token", {}, "apitoken"),
    ],
)
async def test_a_connection_is_written_back_as_it_was_but_for_its_secret(
    place: Place, scheme: str, parameters: dict[str, Any], name: str
) -> None:
    place.azure.connections.add("shop", connection(parameters, scheme))
    await ask(place, CONNECTION)
    expected = connection({**parameters, name: VALUE}, scheme)
    assert place.azure.connections.written("shop", ID) == expected


@pytest.mark.parametrize(
    ("scheme", "parameters", "says"),
    [
        ("WorkloadIdentityFederation", {"serviceprincipalid": "x"}, "so no secret is needed: take the entry out"),
        ("ManagedServiceIdentity", {"tenantid": "x"}, "so no secret is needed: take the entry out"),
        ("ServicePrincipal", {"serviceprincipalkey": "x"}, "convert one of Azure's to workload identity federation"),
        ("None", {"AzureAccessKey": "x"}, "only UsernamePassword and Token can be written"),
        ("UsernamePassword", {"username": None, "password": "x"}, "does not show, 'username', and that a write may"),
        ("Token", {"apitoken": "x", "serviceAccountCertificate": None}, "does not show, 'serviceAccountCertificate'"),
        ("Token", {"apitoken": "x", "apiToken": "y"}, "does not show, 'apiToken'"),
    ],
)
async def test_a_connection_that_can_not_be_written_without_a_loss_is_left_alone(
    place: Place, scheme: str, parameters: dict[str, Any], says: str
) -> None:
    place.azure.connections.add("shop", connection(parameters, scheme))
    with pytest.raises(Refused, match=says):
        await ask(place, CONNECTION)
    assert arrived(place) == []


@pytest.mark.parametrize(
    "authorization", [None, "x", {}, {"scheme": 1, "parameters": {}}, {"scheme": "Token", "parameters": []}]
)
def test_a_connection_that_does_not_say_how_it_signs_in_is_left_alone(authorization: object) -> None:
    with pytest.raises(Refused, match="did not say how the service connection signs in"):
        with_secret({"authorization": authorization}, SecretValue(VALUE))


async def test_a_connection_that_is_not_there_or_that_the_app_does_not_administer_is_told(place: Place) -> None:
    elsewhere = replace_target(CONNECTION, "shop/Third")
    with pytest.raises(Refused, match=r"no such service connection in that project: .*an Administrator of this"):
        await ask(place, elsewhere)
    place.azure.connections.add("shop", connection(), administers=False)
    with pytest.raises(Refused, match=r"403 .*an Administrator of this service connection"):
        await ask(place, CONNECTION)
    assert arrived(place) == []


async def test_a_connection_of_an_organization_that_does_not_know_the_identity_is_told_so(place: Place) -> None:
    place.tokens.fixed = "not-a-token"
    with pytest.raises(Refused, match=r"page to sign in: .*an Administrator of this service connection"):
        await ask(place, CONNECTION)


# webhooks


async def test_a_receiver_hears_of_the_version_and_of_no_value_and_counts_a_repetition_once(place: Place) -> None:
    hook = refresh_targets(place)["webhook"]
    await ask(place, hook)
    place.later = timedelta(seconds=90)
    await ask(place, hook)
    assert place.azure.hooks.calls == ["shop", "shop"]
    assert place.azure.hooks.received == {
        "shop": [
            {
                "type": "secret.rotated",
                "timestamp": "2026-01-02T03:04:05Z",
                "data": {"vault": "kv-a", "secret": "shop-db", "version": "v2"},
            }
        ]
    }


async def test_another_key_is_refused_there(place: Place) -> None:
    with pytest.raises(Refused, match="does not accept the signature"):
        await ask(place, refresh_targets(place)["webhook"], f"whsec_{base64.b64encode(os.urandom(32)).decode()}")


async def test_a_clock_that_is_wrong_is_refused_there(place: Place) -> None:
    place.later = timedelta(minutes=6)
    with pytest.raises(Refused, match="its clock is right"):
        await ask(place, refresh_targets(place)["webhook"])


@pytest.mark.parametrize(
    "secret",
    [
        "", "short", "whsec_", "whsec_!!", "whsec_c2hvcnQ=", "x" * 65,
        "a sentence of 24 signs or more", "kQ7-zW_9" * 4, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        "whsec_whsec_" + "QUJD" * 8, "whsec_" + "é" * 32,
    ],
)  # fmt: skip
async def test_what_is_no_key_signs_nothing(place: Place, secret: str) -> None:
    with pytest.raises(Unusable, match="kv-a/hook is no signing key"):
        await ask(place, refresh_targets(place)["webhook"], secret)
    assert place.azure.hooks.calls == []


async def test_410_ends_it(place: Place) -> None:
    with place.fault(Fault(Kind.STATUS, status=410)), pytest.raises(Gone, match="take it out of the policy"):
        await ask(place, refresh_targets(place)["webhook"])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(place: Place, status: int) -> None:
    place.azure.hooks.expect("other", KEY)
    away = {"Location": f"{place.azure.hook_url}/other"}
    fault = Fault(Kind.STATUS, path="/hook/shop$", status=status, headers=away)
    with place.fault(fault), pytest.raises(Refused, match="no redirect is followed"):
        await ask(place, refresh_targets(place)["webhook"])
    assert (fault.struck, place.azure.hooks.calls) == (1, [])


def test_a_message_is_the_same_at_each_try() -> None:
    order = RefreshOrder(
        Refresh("webhook", "https://h.example/"), SecretRef("kv-a", "shop-db"), "v2", "0123", PUBLISHED, None
    )
    assert message(order) == message(replace(order, secret=SecretValue("other")))


async def test_a_receiver_that_does_not_answer_is_given_up_in_time(
    place: Place, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rotation.rotators.azure.rest.CALL_S", 0.5)
    async with silent(certificates) as port:
        with pytest.raises(Unreachable, match="the webhook at localhost:"):
            await ask(place, Refresh("webhook", f"https://localhost:{port}/", (), ("kv-a", "hook")))


@contextlib.asynccontextmanager
async def silent(certificates: Certificates) -> AsyncIterator[int]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates.cert, certificates.key)
    done = asyncio.Event()

    async def never(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    async with await asyncio.start_server(never, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1]
        done.set()


# what is logged


@pytest.mark.parametrize("name", NAMES)
async def test_no_key_and_no_token_is_logged(place: Place, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await ask(place, refresh_targets(place)[name])
    with place.fault(Fault(Kind.STATUS, status=400)), contextlib.suppress(Refused):
        await ask(place, refresh_targets(place)[name])
    for sent in (*SECRETS, SECRET.removeprefix("whsec_"), *place.tokens.given):
        assert sent not in caplog.text


# the stand-ins are strict


STRICT: list[tuple[str, Callable[[pytest.MonkeyPatch], None]]] = [
    ("app-settings", lambda patch: patch.setattr("rotation.refreshers.app_settings.API_VERSION", "1999-01-01")),
    ("container-app", lambda patch: patch.setattr("rotation.refreshers.container_app.API_VERSION", "1999-01-01")),
    ("aks", lambda patch: patch.setattr("rotation.refreshers.aks.API_VERSION", "1999-01-01")),
    ("aks", lambda patch: patch.setattr("rotation.refreshers.aks.SCOPE", "https://management.azure.com/.default")),
    ("aks", lambda patch: patch.setattr("rotation.refreshers.aks.RESTARTED_AT", "kube.kubernetes.io/restartedAt")),
    ("azure-devops", lambda patch: patch.setattr("rotation.refreshers.azure_devops.API_VERSION", "7.0")),
    (
        "azure-devops",
        lambda patch: patch.setattr("rotation.refreshers.azure_devops.SCOPE", "https://management.azure.com/.default"),
    ),
    ("github", lambda patch: patch.setattr("rotation.refreshers.github.API_VERSION", "1999-01-01")),
    ("github-secret", lambda patch: patch.setattr("rotation.refreshers.github.API_VERSION", "1999-01-01")),
    (
        "github-secret",
        lambda patch: patch.setattr("rotation.refreshers.github_secret.sealed", lambda value, key: value.reveal()),
    ),
    (
        "azure-devops-connection",
        lambda patch: patch.setattr("rotation.refreshers.azure_devops_connection.API_VERSION", "7.0"),
    ),
    (
        "azure-devops-connection",
        lambda patch: patch.setattr("rotation.refreshers.azure_devops.SCOPE", "https://management.azure.com/.default"),
    ),
]


@pytest.mark.parametrize(("name", "patch"), STRICT)
async def test_a_stand_in_refuses_what_the_real_one_would(
    place: Place, monkeypatch: pytest.MonkeyPatch, name: str, patch: Callable[[pytest.MonkeyPatch], None]
) -> None:
    patch(monkeypatch)
    with pytest.raises(Refused):
        await ask(place, refresh_targets(place)[name])
    assert arrived(place) == []
