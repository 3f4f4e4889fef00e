"""What the app makes of its settings, beyond the mistakes that the start refuses."""

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.bootstrap import check_library, load_policy, started
from app.settings import HttpAuth, Settings, from_environment
from rotation.errors import Misconfigured
from rotation.terms import Endpoints

ENOUGH = {"ROTATION_VAULTS": "https://kv-a.vault.azure.net", "ROTATION_LEDGER": "file:l", "ROTATION_HTTP_AUTH": "key"}
GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-app"


def settings(more: Mapping[str, str], root: Path = Path()) -> Settings:
    return from_environment(ENOUGH | dict(more), root)


@pytest.mark.parametrize(
    ("more", "account"),
    [
        ({}, None),
        ({"AzureWebJobsStorage__accountName": "stapp"}, "stapp"),
        ({"AzureWebJobsStorage__blobServiceUri": "https://stapp.blob.core.windows.net"}, "stapp"),
        ({"AzureWebJobsStorage__queueServiceUri": "https://stapp.queue.core.chinacloudapi.cn/"}, "stapp"),
        ({"AzureWebJobsStorage__queueServiceUri": "https://localhost:10001/devstoreaccount1"}, None),
        ({"AzureWebJobsStorage__blobServiceUri": "https://blobs.example.com"}, None),  # a name of its own, by a proxy
    ],
)
def test_the_app_knows_its_own_storage_account_by_a_name_or_by_an_address(
    more: Mapping[str, str], account: str | None
) -> None:
    assert settings(more).storage_account == account


def test_a_policy_that_covers_the_account_of_an_address_is_refused(tmp_path: Path) -> None:
    account = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stapp"
    (tmp_path / "policy.toml").write_text(
        '[[rule]]\nvaults = ["kv-a"]\nsecrets = ["*"]\nrotators = ["storage-key"]\n'
        f'targets = ["{account}"]\nslots = ["key1", "key2"]\n'
    )
    own = {"AzureWebJobsStorage__blobServiceUri": "https://stapp.blob.core.windows.net"}
    with pytest.raises(Misconfigured, match="its own storage"):
        load_policy(settings(own, tmp_path))


ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stapp"


@pytest.mark.parametrize(
    ("text", "accounts"),
    [
        ("", ()),
        (" , ", ()),
        (ACCOUNT, (ACCOUNT,)),
        (f" {ACCOUNT},\n{ACCOUNT.upper()}2 ,", (ACCOUNT, f"{ACCOUNT.upper()}2")),
    ],
)
def test_the_accounts_that_the_app_lives_on_are_read_by_their_ids(text: str, accounts: tuple[str, ...]) -> None:
    assert settings({}).own_accounts == ()
    assert settings({"ROTATION_OWN_ACCOUNTS": text}).own_accounts == accounts


@pytest.mark.parametrize(
    "text",
    [
        "stapp",
        f"{ACCOUNT}/",
        f"x{ACCOUNT}",
        f"{ACCOUNT}/blobServices/default",
        ACCOUNT.removeprefix("/"),
        ACCOUNT.replace("rg-app", ""),
        ACCOUNT.replace("storageAccounts", "accounts"),
        ACCOUNT.replace("Microsoft.Storage", "Microsoft.Web"),
        ACCOUNT.replace("resourceGroups", "groups"),
        ACCOUNT.removesuffix("stapp"),
        f"{ACCOUNT};{ACCOUNT}",
        f"{ACCOUNT};stledger",
        f"{ACCOUNT} stledger",
        f"{ACCOUNT},stledger",
        f"https://management.azure.com{ACCOUNT}",
    ],
)
def test_an_account_that_is_no_id_stops_the_start(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"^ROTATION_OWN_ACCOUNTS: each storage account is written as its") as told:
        settings({"ROTATION_OWN_ACCOUNTS": text})
    assert told.value.field == "ROTATION_OWN_ACCOUNTS"
    assert "\n" not in told.value.message


def test_a_policy_with_a_scope_over_the_apps_own_accounts_is_refused_where_their_ids_are_known(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(
        '[[rule]]\nvaults = ["kv-a"]\nsecrets = ["*"]\nrotators = ["storage-key"]\n'
        f'targets = ["{GROUP}/*"]\nslots = ["key1", "key2"]\n'
    )
    own = {"AzureWebJobsStorage__accountName": "StApp", "ROTATION_LEDGER": "https://stledger.blob.core.windows.net/l"}
    assert load_policy(settings(own, tmp_path)).own_accounts == {"stapp", "stledger"}
    with pytest.raises(Misconfigured, match="its own storage"):
        load_policy(settings(own | {"ROTATION_OWN_ACCOUNTS": ACCOUNT}, tmp_path))
    with pytest.raises(Misconfigured, match="its ledger"):
        load_policy(settings(own | {"ROTATION_OWN_ACCOUNTS": ACCOUNT.replace("stapp", "stledger")}, tmp_path))


def test_the_start_asks_for_pairs_where_a_rotator_takes_turns(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(
        '[[rule]]\nvaults = ["kv-a"]\nsecrets = ["x"]\nrotators = ["postgres-alternating"]\n'
        'targets = ["db.example.com"]\nslots = ["a", "b", "c"]\n'
    )
    with pytest.raises(Misconfigured, match=r"policy\.toml:6: postgres-alternating takes two of the `slots` in turn"):
        load_policy(settings({}, tmp_path))


@pytest.mark.parametrize("text", ["1", "true", "True", "TRUE", "tRuE"])
def test_the_platform_says_in_any_of_these_words_that_authentication_stands_in_front(text: str) -> None:
    """It is "injected into a Windows or Linux app to indicate whether App Service authentication is enabled".

    So Microsoft Learn, "Environment variables and app settings in Azure App Service"; in which words, it does not say.
    """
    fronted = {"ROTATION_HTTP_AUTH": "entra", "WEBSITE_AUTH_ENABLED": text}
    assert settings(fronted).http_auth is HttpAuth.ENTRA


@pytest.mark.parametrize(
    "text", [None, "", "0", "false", "False", "yes", "on", "2", "truee", " true", "true ", "tru\u0435"]
)
def test_without_that_word_the_app_starts_and_closes_http_alone(text: str | None) -> None:
    said = {} if text is None else {"WEBSITE_AUTH_ENABLED": text}
    for auth in ("entra", ""):
        assert settings({"ROTATION_HTTP_AUTH": auth, **said}).http_auth is HttpAuth.CLOSED
    assert settings({"ROTATION_HTTP_AUTH": "key", **said}).http_auth is HttpAuth.KEY


@pytest.mark.parametrize("text", ["closed", "CLOSED", "none", "Entra", "entra "])
def test_what_stands_in_front_is_said_in_two_words(text: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        settings({"ROTATION_HTTP_AUTH": text, "WEBSITE_AUTH_ENABLED": "true"})
    assert refused.value.field == "ROTATION_HTTP_AUTH"


@pytest.mark.parametrize("version", ["1.24.0", "1.9", "0.99.0", "1.24.99", "unknown", "", "v1.26.0"])
def test_a_library_that_takes_the_type_out_of_events_stops_the_start_with_one_line(version: str) -> None:
    """eventgrid.py of azure-functions 1.24.0 reads `eventType` alone; that of 1.25.0 reads CloudEvents too."""
    with pytest.raises(Misconfigured) as refused:
        check_library(version)
    assert refused.value.field == "azure-functions"
    assert "1.25" in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("version", ["1.25", "1.25.0", "1.26.0", "2.0.0b1", "2.3.0", "10.0.0"])
def test_a_library_that_knows_both_schemas_is_taken(version: str) -> None:
    check_library(version)


@pytest.mark.parametrize(
    ("library", "wrong"),
    [
        ("1.24.0", {}),
        ("2.3.0", {"ROTATION_VAULTS": ""}),
        ("2.3.0", {"ROTATION_SWEEP_SCHEDULE": "0 0 3 * * 7"}),
        ("2.3.0", {"ROTATION_POLICY": "nowhere.toml"}),
    ],
)
def test_whatever_stops_the_start_is_told_where_the_functions_host_logs_it(
    library: str, wrong: Mapping[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It logs a line of a worker's standard error as an error where "error" stands in it.

    See ParseErrorMessageAndLog in WorkerProcess.cs of Azure/azure-functions-host. The exception of a failed start
    stands nowhere above the host's level Debug.
    """
    (tmp_path / "policy.toml").write_text("")
    with pytest.raises(Misconfigured) as refused:
        started(library, ENOUGH | dict(wrong), tmp_path)
    told = capsys.readouterr()
    assert told.err == f"error: the app does not start: {refused.value.message}\n"
    assert told.out == ""


def test_a_start_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "policy.toml").write_text("")
    assert started("2.3.0", ENOUGH, tmp_path).settings.vaults == {"kv-a": "https://kv-a.vault.azure.net"}
    assert capsys.readouterr() == ("", "")


def test_the_sdks_say_nothing_of_each_request(tmp_path: Path) -> None:
    """On the real host all that is logged comes as the running function's, whatever host.json says of azure.core."""
    (tmp_path / "policy.toml").write_text("")
    log = logging.getLogger("azure")
    before = log.level
    try:
        log.setLevel(logging.DEBUG)
        started("2.3.0", ENOUGH, tmp_path)
        assert not logging.getLogger("azure.core.pipeline.policies.http_logging_policy").isEnabledFor(logging.INFO)
        assert log.isEnabledFor(logging.WARNING)
    finally:
        log.setLevel(before)


WORKSPACE = "99999999-AAAA-4bbb-8ccc-dddddddddddd"
US = "https://api.loganalytics.us"


@pytest.mark.parametrize(("text", "id_"), [("", None), (WORKSPACE, WORKSPACE.lower())])
def test_a_workspace_is_asked_only_where_its_id_is_given(text: str, id_: str | None) -> None:
    assert settings({"ROTATION_AUDIT_WORKSPACE": text}).audit_workspace == id_
    assert settings({}).audit_workspace is None


@pytest.mark.parametrize("text", ["log-prod", f"/subscriptions/{WORKSPACE}", f"{WORKSPACE} ", "/"])
def test_a_workspace_is_named_by_its_guid(text: str) -> None:
    with pytest.raises(Misconfigured, match="a GUID: az monitor log-analytics workspace show") as told:
        settings({"ROTATION_AUDIT_WORKSPACE": text})
    assert told.value.field == "ROTATION_AUDIT_WORKSPACE"


def test_the_query_api_is_that_of_the_cloud() -> None:
    assert settings({}).endpoints.logs == "https://api.loganalytics.io"
    assert settings({"ROTATION_LOGS_ENDPOINT": f"{US}/"}).endpoints.logs == US
    with pytest.raises(Misconfigured, match="ROTATION_LOGS_ENDPOINT"):
        settings({"ROTATION_LOGS_ENDPOINT": "http://api.loganalytics.io"})


@pytest.mark.parametrize(
    "text",
    [
        "https://",
        "https://u:p@h.example",
        "https://h.example?x=1",
        "https://h.example/#x",
        "https://[",
        "https://h example",
    ],
)
@pytest.mark.parametrize("name", ["ROTATION_GITHUB_ENDPOINT", "ROTATION_OUTCOME_TOPIC", "ROTATION_ARM_ENDPOINT"])
def test_an_address_in_a_setting_says_where_to_go_and_nothing_else(name: str, text: str) -> None:
    with pytest.raises(Misconfigured, match=f"{name} must be an address alone") as refused:
        settings({name: text})
    assert refused.value.field == name
    assert settings({name: "https://h.example/api/events"})


KV = "https://kv-a.vault.azure.net"


@pytest.mark.parametrize(
    ("text", "vaults"),
    [
        (f"{KV}/", {"kv-a": KV}),
        (f" {KV} ,,\nhttps://KV-B.vault.azure.cn/ ,", {"kv-a": KV, "kv-b": "https://KV-B.vault.azure.cn"}),
        ("KV-Demo=https://localhost:8443/", {"kv-demo": "https://localhost:8443"}),
        (f"{KV},kv-c=https://127.0.0.1:1", {"kv-a": KV, "kv-c": "https://127.0.0.1:1"}),
    ],
)
def test_a_vault_is_known_by_its_hosts_first_word_or_by_a_name_before_it(text: str, vaults: Mapping[str, str]) -> None:
    assert settings({"ROTATION_VAULTS": text}).vaults == vaults


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is missing"),
        (" , ", "is missing"),
        ("kv-a", "is written as"),
        ("http://kv-a.vault.azure.net", "is written as"),
        ("https://", "is written as"),
        ("https:///secrets", "is written as"),
        (f"{KV}/secrets", "is written as"),
        (f"{KV}?api-version=7.4", "is written as"),
        (f"{KV},kv-b", "is written as"),
        ("https://[", "is written as"),
        ("kv-a=https://u:p-zQ8k@kv-a.vault.azure.net", "is written as"),
        (f"{KV}#x", "is written as"),
    ],
)
def test_what_names_no_vault_stops_the_start(text: str, says: str) -> None:
    with pytest.raises(Misconfigured, match=r"^ROTATION_VAULTS") as refused:
        settings({"ROTATION_VAULTS": text})
    assert says in refused.value.message
    assert refused.value.field == "ROTATION_VAULTS"


@pytest.mark.parametrize(
    ("text", "ledger"),
    [
        ("file:l/x", Path("/app/l/x")),
        ("file:/data", Path("/data")),
        ("https://st.blob.core.windows.net/ledger/", "https://st.blob.core.windows.net/ledger"),
    ],
)
def test_a_ledger_is_a_container_or_a_folder_below_the_apps(text: str, ledger: str | Path) -> None:
    assert settings({"ROTATION_LEDGER": text}, Path("/app")).ledger == ledger


@pytest.mark.parametrize(
    "text",
    [
        "",
        "file:",
        "l",
        "/data",
        "http://st.blob.core.windows.net/l",
        "https://st.blob.core.windows.net/",
        "https://[/l",
        "https://u:p-zQ8k@st.blob.core.windows.net/l",
        "https://st.blob.core.windows.net/l?sig=zQ8k",
    ],
)
def test_what_is_neither_stops_the_start(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"^ROTATION_LEDGER is missing or wrong") as refused:
        settings({"ROTATION_LEDGER": text})
    assert refused.value.field == "ROTATION_LEDGER"


def test_what_is_not_set_has_its_usual_value() -> None:
    usual = settings({}, Path("/app"))
    assert usual.policy == Path("/app/policy.toml")
    assert usual.sweep_schedule == "0 0 * * * *"
    assert usual.endpoints == Endpoints()
    assert (usual.outcome_topic, usual.client_id, usual.site, usual.queue_service) == (None, None, None, None)
    assert settings({"ROTATION_HTTP_AUTH": "", "WEBSITE_AUTH_ENABLED": "1"}).http_auth is HttpAuth.ENTRA
    names = (
        "ROTATION_SWEEP_SCHEDULE", "ROTATION_OUTCOME_TOPIC", "AZURE_CLIENT_ID", "WEBSITE_SITE_NAME",
        "ROTATION_VAULT_CREATIONS", "ROTATION_POSTGRES_SCOPE", "ROTATION_ARM_ENDPOINT",
    )  # fmt: skip
    assert settings(dict.fromkeys(names, ""), Path("/app")) == usual, "one that is empty is not set"


def test_what_is_set_is_taken() -> None:
    taken = settings(
        {
            "ROTATION_POLICY": "mine.toml", "ROTATION_SWEEP_SCHEDULE": "0 30 * * * *", "AZURE_CLIENT_ID": "id",
            "WEBSITE_SITE_NAME": "func-keyturn", "ROTATION_OUTCOME_TOPIC": "https://t.example/api/events",
        },
        Path("/app"),
    )  # fmt: skip
    assert (taken.policy, taken.sweep_schedule) == (Path("/app/mine.toml"), "0 30 * * * *")
    assert (taken.client_id, taken.site, taken.outcome_topic) == ("id", "func-keyturn", "https://t.example/api/events")


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("ROTATION_ARM_ENDPOINT", "arm"),
        ("ROTATION_GRAPH_ENDPOINT", "graph"),
        ("AZURE_AUTHORITY_HOST", "login"),
        ("ROTATION_DEVOPS_ENDPOINT", "devops"),
        ("ROTATION_GITHUB_ENDPOINT", "github"),
        ("ROTATION_LOGS_ENDPOINT", "logs"),
    ],
)
def test_each_of_azures_planes_may_be_elsewhere(name: str, field: str) -> None:
    where = settings({name: "https://plane.example/v3/"}).endpoints
    assert where == Endpoints(**{field: "https://plane.example/v3"})
    with pytest.raises(Misconfigured, match=f"^{name} must begin with https://") as refused:
        settings({name: "http://plane.example"})
    assert refused.value.field == name


def test_the_scope_of_a_clouds_databases_may_be_another() -> None:
    where = settings({"ROTATION_POSTGRES_SCOPE": "https://db.example/.default"}).endpoints
    assert where == Endpoints(postgres_scope="https://db.example/.default")


@pytest.mark.parametrize("name", ["PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY", "PYTHON_ENABLE_OPENTELEMETRY"])
@pytest.mark.parametrize(("text", "on"), [("true", True), (" Y ", True), ("1", True), ("false", False), ("", False)])
def test_telemetry_is_on_where_the_worker_has_loaded_it(name: str, text: str, on: bool) -> None:
    assert settings({name: text}).telemetry is on
    assert settings({}).telemetry is False


@pytest.mark.parametrize(
    ("more", "service"),
    [
        ({}, None),
        ({"AzureWebJobsStorage__accountName": "stapp"}, "https://stapp.queue.core.windows.net"),
        (
            {"AzureWebJobsStorage__accountName": "stapp", "AzureWebJobsStorage__queueServiceUri": "https://q"},
            "https://q",
        ),
    ],
)
def test_the_queue_is_where_the_hosts_own_storage_is(more: Mapping[str, str], service: str | None) -> None:
    assert settings(more).queue_service == service


def test_the_ledger_and_the_hosts_account_are_known_by_name_where_they_are_in_azure(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("")
    azure = {"ROTATION_LEDGER": "https://stledger.blob.core.windows.net/l"}
    assert load_policy(settings(azure, tmp_path)).own_accounts == {"stledger"}
    assert load_policy(settings({}, tmp_path)).own_accounts == set()
