"""`refresh` in a rule: what is read, and one line for what is wrong."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from app.bootstrap import load_policy
from app.settings import from_environment
from rotation.errors import Misconfigured
from rotation.model import SecretRef
from rotation.policy import Policy
from rotation.policy.file import check
from rotation.policy.known import known_names
from rotation.policy.refreshes import _FORMS, MAX_ENTRIES
from rotation.policy.self_protection import OwnResources, protect
from rotation.refreshers import REFRESHERS
from rotation.terms import PASSWORD, WHOLE, Refresh

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-Shop"
SITE = f"{GROUP}/providers/Microsoft.Web/sites/Shop-Web"
APP = f"{GROUP}/providers/Microsoft.App/containerApps/shop-api"

GUID = "5e47a0d8-c745-44f8-8f93-784f18ff31c4"
CLUSTER = f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/aks-Shop"


def policy(*entries: str, more: str = "", secrets: str = '"shop-db"', vaults: str = '"kv-a"') -> str:
    listed = ",\n  ".join(entries)
    return (
        f'[[rule]]\nvaults = [{vaults}]\nsecrets = [{secrets}]\nrotators = ["postgres"]\ntargets = ["db.example.com"]\n'
        f'slots = ["app"]\n{more}refresh = [\n  {listed}\n]\n'
    )


def read(*entries: str) -> Sequence[Refresh]:
    found, findings = check(policy(*entries), known_names())
    assert findings == []
    return found.rules[0].terms.refresh


def wrong(*entries: str, more: str = "") -> list[tuple[int, str]]:
    _, findings = check(policy(*entries, more=more), known_names())
    return [(one.line, one.message) for one in findings]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (f'{{ app-settings = "{SITE}" }}', Refresh("app-settings", SITE.lower())),
        (f'{{ app-settings = "{SITE}/slots/Next" }}', Refresh("app-settings", f"{SITE}/slots/next".lower())),
        (f'{{ container-app = "{APP}" }}', Refresh("container-app", APP.lower())),
        (
            f'{{ aks = "{CLUSTER}", deployment = "shop/web" }}',
            Refresh("aks", CLUSTER.lower(), (("deployment", "shop/web"),)),
        ),
        (
            '{ azure-devops = "https://dev.azure.com/shop/Big Shop", pipeline = 12, branch = "release/1" }',
            Refresh("azure-devops", "shop/Big Shop", (("pipeline", "12"), ("branch", "release/1"))),
        ),
        (
            '{ github = "shop/web.app", workflow = "refresh.yml", ref = "main", token = "KV-a/GitHub" }',
            Refresh("github", "shop/web.app", (("workflow", "refresh.yml"), ("ref", "main")), ("kv-a", "github")),
        ),
        (
            '{ github-secret = "shop/web", secret = "db_url", token = "KV-a/GitHub" }',
            Refresh("github-secret", "shop/web", (("secret", "DB_URL"),), ("kv-a", "github"), WHOLE),
        ),
        (
            (
                '{ github-secret = "shop/web", secret = "DB", environment = "prod/eu west", token = "kv-a/t", '
                'part = "password" }'
            ),
            Refresh(
                "github-secret",
                "shop/web",
                (("secret", "DB"), ("environment", "prod/eu west")),
                ("kv-a", "t"),
                PASSWORD,
            ),
        ),
        (
            '{ github-secret = "shop", secret = "DB", token = "kv-a/t" }',
            Refresh("github-secret", "shop", (("secret", "DB"),), ("kv-a", "t"), WHOLE),
        ),
        (
            f'{{ azure-devops-connection = "https://dev.azure.com/shop/Big Shop", connection = "{GUID.upper()}" }}',
            Refresh("azure-devops-connection", "shop/Big Shop", (("connection", GUID),), None, WHOLE),
        ),
        (
            '{ webhook = "https://Hooks.Example.com:8443/a/b", key = "kv-a/hook" }',
            Refresh("webhook", "https://hooks.example.com:8443/a/b", (), ("kv-a", "hook")),
        ),
        (
            '{ webhook = "https://hooks.example.com", key = "kv-a/hook" }',
            Refresh("webhook", "https://hooks.example.com/", (), ("kv-a", "hook")),
        ),
    ],
)
def test_each_kind_is_read(entry: str, expected: Refresh) -> None:
    assert read(entry) == (expected,)


def test_a_name_says_what_is_asked_and_not_by_which_secret() -> None:
    (one,) = read('{ github = "shop/web", workflow = "r.yml", ref = "main", token = "kv-a/github" }')
    assert one.name == "github shop/web workflow=r.yml ref=main"


def test_every_form_says_how_its_own_kind_is_written_and_there_is_one_for_each_kind() -> None:
    assert _FORMS.keys() == REFRESHERS.keys()
    for kind, form in _FORMS.items():
        shown = form.such_as.replace("/ID/", "/00000000-0000-0000-0000-000000000000/").replace("HOST", "h.example")
        if kind == "container-app":
            shown = shown.replace("containerApps/NAME", "containerApps/shop")
        assert read(shown)[0].kind == kind


DEVOPS = '{{ azure-devops = "https://dev.azure.com/{}", pipeline = {}, branch = "{}" }}'
GITHUB = '{{ github = "{}", workflow = "{}", ref = "{}", token = "{}" }}'
GITHUB_SECRET = '{{ github-secret = "{}", secret = "{}", token = "kv-a/t"{} }}'
CONNECTION = '{{ azure-devops-connection = "{}", connection = "{}"{} }}'
PROJECT = "https://dev.azure.com/shop/web"
HOOK = '{{ webhook = "{}", key = "{}" }}'


@pytest.mark.parametrize("number", [1, 2**31 - 1])
def test_a_pipelines_number_is_one_of_azure_devops(number: int) -> None:
    assert read(DEVOPS.format("shop/web", number, "main"))[0].options[0] == ("pipeline", str(number))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ('"/subscriptions/x"', "write one table for each"),
        ("{}", "write one table for each"),
        ('{ restart = "x" }', "write one table for each, with one of app-settings"),
        (f'{{ app-settings = "{SITE}", container-app = "{APP}" }}', "write one table for each"),
        (f'{{ app-settings = "{SITE}", slot = "next" }}', "`'slot'` means nothing to app-settings"),
        (f'{{ app-settings = "{GROUP}/*" }}', "not the resource id of an App Service"),
        (f'{{ app-settings = "{SITE}/*" }}', "not the resource id of an App Service"),
        (f'{{ app-settings = "{SITE}/config/web" }}', "not the resource id of an App Service"),
        (f'{{ app-settings = "{APP}" }}', "not the resource id of an App Service"),
        ("{ app-settings = 1 }", "must be text in quotes"),
        ('{ app-settings = "\\u212A" }', "must be text in quotes"),
        (f'{{ aks = "{SITE}", deployment = "shop/web" }}', "not the resource id of an AKS cluster"),
        (f'{{ aks = "{CLUSTER}" }}', "`deployment` is missing"),
        (f'{{ aks = "{CLUSTER}", deployment = "web" }}', "is not a deployment"),
        (f'{{ aks = "{CLUSTER}", deployment = 5 }}', "is not a deployment"),
        (f'{{ aks = "{CLUSTER}", deployment = "shop/../web" }}', "is not a deployment"),
        (f'{{ aks = "{CLUSTER}", deployment = "Shop/web" }}', "is not a deployment"),
        (f'{{ aks = "{CLUSTER}", deployment = "shop/web/scale" }}', "is not a deployment"),
        (f'{{ container-app = "{SITE}" }}', "not the resource id of a container app"),
        (DEVOPS.format("shop", 12, "main"), "not the address of a project"),
        (DEVOPS.format("shop/../x", 12, "main"), "not the address of a project"),
        (DEVOPS.format("shop/web/_apis", 12, "main"), "not the address of a project"),
        (DEVOPS.format("shop/web", 0, "main"), "is the number of the pipeline"),
        (DEVOPS.format("shop/web", 2**31, "main"), "is the number of the pipeline"),
        (DEVOPS.format("shop/web", '"12"', "main"), "is the number of the pipeline"),
        (DEVOPS.format("shop/web", "true", "main"), "is the number of the pipeline"),
        (DEVOPS.format("shop/web", 12, "../main"), "is not a branch"),
        (DEVOPS.format("shop/web", 12, "a b"), "is not a branch"),
        ('{ azure-devops = "https://dev.azure.com/shop/web", pipeline = 12 }', "`branch` is missing"),
        ('{ azure-devops = "https://evil.example/shop/web", pipeline = 12, branch = "main" }', "not the address"),
        (GITHUB.format("shop", "r.yml", "main", "kv-a/t"), "not a repository"),
        (GITHUB.format("shop/..", "r.yml", "main", "kv-a/t"), "not a repository"),
        (GITHUB.format("shop/web/x", "r.yml", "main", "kv-a/t"), "not a repository"),
        (GITHUB.format("shop/web", "../r.yml", "main", "kv-a/t"), "not the file name of a workflow"),
        (GITHUB.format("shop/web", "r.sh", "main", "kv-a/t"), "not the file name of a workflow"),
        (GITHUB.format("shop/web", "r.yml", "v1.lock", "kv-a/t"), "is not a branch or a tag"),
        (GITHUB.format("shop/web", "r.yml", "main", "t"), "names a secret"),
        (GITHUB_SECRET.format("shop/..", "DB", ""), "not a repository, OWNER/NAME, nor an organization"),
        (GITHUB_SECRET.format("shop/*", "DB", ""), "not a repository, OWNER/NAME, nor an organization"),
        (GITHUB_SECRET.format("-shop", "DB", ""), "not a repository, OWNER/NAME, nor an organization"),
        (GITHUB_SECRET.format("shop/web", "1DB", ""), "no name of a secret there"),
        (GITHUB_SECRET.format("shop/web", "D-B", ""), "no name of a secret there"),
        (GITHUB_SECRET.format("shop/web", "GitHub_DB", ""), "no name of a secret there"),
        (GITHUB_SECRET.format("shop/web", "../DB", ""), "no name of a secret there"),
        (GITHUB_SECRET.format("shop/web", "DB", ', environment = ".."'), "is not an environment"),
        (GITHUB_SECRET.format("shop/web", "DB", ", environment = 1"), "is not an environment"),
        (GITHUB_SECRET.format("shop", "DB", ', environment = "prod"'), "`environment` is one of a repository"),
        (GITHUB_SECRET.format("shop/web", "DB", ', part = "user"'), '`part` is "password", or is left out'),
        (GITHUB_SECRET.format("shop/web", "DB", ", part = false"), '`part` is "password", or is left out'),
        (GITHUB_SECRET.format("shop/web", "DB", ', part = ["password"]'), '`part` is "password", or is left out'),
        (GITHUB_SECRET.format("shop/web", "DB", ', key = "kv-a/k"'), "`'key'` means nothing to github-secret"),
        ('{ github-secret = "shop/web", secret = "DB" }', "`token` is missing"),
        ('{ github-secret = "shop/web", secret = 5, token = "kv-a/t" }', "is no name of a secret there"),
        (f'{{ azure-devops-connection = "{PROJECT}", connection = 5 }}', "`connection` is the id of the service"),
        ('{ github-secret = "shop/web", token = "kv-a/t" }', "`secret` is missing"),
        (CONNECTION.format(PROJECT, "12", ""), "`connection` is the id of the service connection"),
        (CONNECTION.format(PROJECT, f"{GUID}/x", ""), "`connection` is the id of the service connection"),
        (CONNECTION.format("https://dev.azure.com/shop", GUID, ""), "not the address of a project"),
        (CONNECTION.format("https://evil.example/shop/web", GUID, ""), "not the address of a project"),
        (CONNECTION.format(PROJECT, GUID, ', token = "kv-a/t"'), "`'token'` means nothing to azure-devops-connection"),
        (CONNECTION.format(PROJECT, GUID, ', part = ""'), '`part` is "password", or is left out'),
        (GITHUB.format("shop/web", "r.yml", "main", 'kv-a/t", part = "password'), "`'part'` means nothing to github"),
        (HOOK.format("http://hooks.example.com/", "kv-a/hook"), "an address is https://"),
        (HOOK.format("https://u:p@hooks.example.com/", "kv-a/hook"), "an address is https://"),
        (HOOK.format("https://*.example.com/", "kv-a/hook"), "an address is https://"),
        (HOOK.format("https://127.1/", "kv-a/hook"), "an address is https://"),
        (HOOK.format("https://hooks.example.com:0/", "kv-a/hook"), "an address is https://"),
        (HOOK.format("https://hooks.example.com/?a=b", "kv-a/hook"), "an address is https://"),
        (HOOK.format("https://hooks.example.com/?", "kv-a/hook"), "an address is https://"),
        (HOOK.format("https://hooks.example.com/#", "kv-a/hook"), "an address is https://"),
        (HOOK.format("https://hooks.example.com/#a", "kv-a/hook"), "an address is https://"),
        (HOOK.format("https://hooks.example.com/a b", "kv-a/hook"), "an address is https://"),
        (HOOK.format("https://hooks.example.com/a/../b", "kv-a/hook"), "no `.` or `..`"),
        (HOOK.format("https://hooks.example.com/a/./b", "kv-a/hook"), "no `.` or `..`"),
        (HOOK.format("https://hooks.example.com/", "whsec_c29tZXRoaW5n"), "names a secret"),
        ('{ webhook = "https://hooks.example.com/" }', "`key` is missing"),
    ],
)
def test_what_is_wrong_is_one_line_that_says_how_to_write_it(entry: str, says: str) -> None:
    ((line, message),) = wrong(entry)
    assert line == 8
    assert says in message
    assert "\n" not in message
    assert re.search(r"write ", message)


def test_a_value_in_place_of_a_secrets_name_is_not_a_secret_that_is_read() -> None:
    _, findings = check(policy(HOOK.format("https://hooks.example.com/", "whsec_c29tZXRoaW5n")), known_names())
    assert "its value is never written here" in findings[0].message


def test_the_same_twice_is_told_at_the_second() -> None:
    one = f'{{ app-settings = "{SITE}" }}'
    ((line, message),) = wrong(one, one.lower())
    assert line == 9
    assert "is asked already" in message


@pytest.mark.parametrize("text", ["refresh = []", 'refresh = "x"', "refresh = 5", "refresh = {}"])
def test_what_is_no_list_or_an_empty_one_is_one_mistake(text: str) -> None:
    _, findings = check(policy("{}").partition("refresh")[0] + text, known_names())
    assert [one.line for one in findings] == [7]
    assert f"must be a list of 1 to {MAX_ENTRIES} tables" in findings[0].message


def test_there_is_a_limit_to_how_many() -> None:
    many = [f'{{ app-settings = "{SITE}-{number}" }}' for number in range(MAX_ENTRIES + 1)]
    assert len(read(*many[:-1])) == MAX_ENTRIES
    ((line, message),) = wrong(*many)
    assert line == 7
    assert "1 to 20 tables" in message


def test_an_administrators_secret_signs_for_nobody() -> None:
    ((line, message),) = wrong(HOOK.format("https://h.example/", "KV-A/pg-admin"), more='admin = "secret:pg-admin"\n')
    assert (line, message) == (9, "`refresh` names the administrator's kv-a/pg-admin; name another secret")


WRITTEN = (GITHUB_SECRET.format("shop/web", "DB", ""), CONNECTION.format(PROJECT, GUID, ""))


@pytest.mark.parametrize("entry", WRITTEN)
@pytest.mark.parametrize(
    "covers",
    [
        {"secrets": '"shop-*"'},
        {"secrets": '"shop-db", "shop-cache"'},
        {"secrets": '"*"'},
        {"vaults": '"kv-a", "kv-b"'},
    ],
    ids=repr,
)
def test_of_several_secrets_none_is_written_to_the_one_place(entry: str, covers: Mapping[str, str]) -> None:
    _, findings = check(policy(entry, **covers), known_names())
    ((line, message),) = [(one.line, one.message) for one in findings]
    assert line == 8
    assert message.endswith("give that secret a rule of its own, with one vault and one exact name")


def test_nor_where_an_entry_before_it_is_only_asked() -> None:
    _, findings = check(policy(f'{{ app-settings = "{SITE}" }}', WRITTEN[0], secrets='"shop-*"'), known_names())
    assert [one.line for one in findings] == [9]


@pytest.mark.parametrize("entry", WRITTEN)
def test_two_secrets_are_not_written_to_one_place_by_two_rules(entry: str) -> None:
    again = entry.replace("shop/web", "Shop/Web")
    _, findings = check(policy(entry) + policy(again, secrets='"shop-cache"'), known_names())
    ((line, message),) = [(one.line, one.message) for one in findings]
    assert line == 17
    assert message.endswith("is where kv-a/shop-db is written already; name another place")
    _, findings = check(policy(entry) + policy(again), known_names())
    assert findings == [], "two rules about one secret add up"


@pytest.mark.parametrize(
    "entry",
    [
        GITHUB_SECRET.format("shop/web", "db", "").replace("kv-a/t", "kv-a/t--staged"),
        HOOK.format("https://shop.example/hook", "kv-a/Hook--Staged"),
    ],
)
def test_no_staged_value_is_a_token_or_a_key(entry: str) -> None:
    ((line, message),) = wrong(entry)
    assert (line, "staged values are kept under such a name" in message) == (8, True)


def test_two_rules_do_not_write_two_parts_of_one_secret_to_one_place() -> None:
    whole, part = (
        GITHUB_SECRET.format("shop/web", "db", ""),
        GITHUB_SECRET.format("shop/web", "db", ', part = "password"'),
    )
    _, findings = check(policy(whole) + policy(part), known_names())
    ((line, message),) = [(one.line, one.message) for one in findings]
    assert (line, message.endswith("is written twice, and not in the same way; leave one of the two")) == (17, True)


def test_a_service_connection_that_projects_share_is_one_place() -> None:
    entry = WRITTEN[1]
    _, findings = check(policy(entry) + policy(entry.replace("/web", "/other"), secrets='"shop-cache"'), known_names())
    ((line, message),) = [(one.line, one.message) for one in findings]
    assert (line, message.endswith("is where kv-a/shop-db is written already; name another place")) == (17, True)


def test_a_place_has_one_entry_whatever_part_of_the_value_it_gets() -> None:
    ((line, message),) = wrong(WRITTEN[0], GITHUB_SECRET.format("shop/web", "db", ', part = "password"'))
    assert line == 9
    assert "is asked already" in message


def test_a_rule_without_it_asks_nobody_and_rules_about_one_secret_add_up() -> None:
    one, two = f'{{ app-settings = "{SITE}" }}', f'{{ container-app = "{APP}" }}'
    found, _ = check(policy(one) + policy(two), known_names())
    assert set(found.refreshes(SecretRef("kv-a", "shop-db"))) == {
        f"app-settings {SITE.lower()}",
        f"container-app {APP.lower()}",
    }
    assert found.refreshes(SecretRef("kv-b", "shop-db")) == {}


def test_the_apps_own_site_can_not_be_refreshed() -> None:
    """It would restart the app in the middle of what it does."""
    found, _ = check(policy(f'{{ app-settings = "{SITE}/slots/next" }}'), known_names())
    assert isinstance(protect(found, OwnResources(site="other")), Policy)
    assert isinstance(protect(found, OwnResources(site=None)), Policy)
    with pytest.raises(Misconfigured, match=r"rule 1 .* this app itself") as refused:
        protect(found, OwnResources(site="SHOP-web"))
    assert refused.value.field == "ROTATION_POLICY"


@pytest.mark.parametrize(
    ("entry", "environment", "says"),
    [
        (f'{{ app-settings = "{SITE}" }}', {"WEBSITE_SITE_NAME": "Shop-Web"}, "this app itself"),
        (HOOK.format("https://h.example/", "kv-b/hook"), {}, "vault 'kv-b', which is not in ROTATION_VAULTS"),
    ],
)
def test_the_app_does_not_start_with_a_refresh_target_that_it_can_not_ask(
    tmp_path: Path, entry: str, environment: Mapping[str, str], says: str
) -> None:
    (tmp_path / "policy.toml").write_text(policy(entry))
    given = {"ROTATION_VAULTS": "https://kv-a.vault.azure.net", "ROTATION_LEDGER": "file:ledger"}
    with pytest.raises(Misconfigured, match=re.escape(says)):
        load_policy(from_environment({**given, **environment}, tmp_path))
