"""The app's settings, read once. A missing or wrong one stops the start with one line that names it."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from rotation.addresses import is_guid
from rotation.errors import HttpClosed, Misconfigured
from rotation.frozen import Frozen
from rotation.terms import Endpoints

# What the intake fills and the engine drains.
QUEUE = "rotation-requests"
LONGEST_NUMBER = 9  # digits
DEFAULT_SCHEDULE = "0 0 * * * *"  # every hour

# Either makes the Functions worker load OpenTelemetry, with Azure Monitor's exporters or with the app's own.
_TELEMETRY = ("PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY", "PYTHON_ENABLE_OPENTELEMETRY")
_PLATFORMS_TRUE = frozenset({"1", "true"})
_WORKERS_TRUE = frozenset({"1", "true", "t", "yes", "y"})

# A storage account's resource id, by its parts; those that are empty are anybody's.
_ACCOUNT = ("", "subscriptions", "", "resourcegroups", "", "providers", "microsoft.storage", "storageaccounts", "")


class HttpAuth(StrEnum):
    """What is in front of the HTTP functions."""

    ENTRA = "entra"
    KEY = "key"
    CLOSED = "closed"  # entra is asked for, and nothing is there; no setting says this


class Settings(Frozen):
    """vaults: short name -> URL without a trailing slash. ledger: a container's URL, or a directory.

    telemetry: the worker has loaded OpenTelemetry.
    storage_account, own_accounts: what the app lives on; the host's account by its name, and all by their resource ids.
    site: the app's own name on App Service; None elsewhere.
    audit_workspace: the Log Analytics workspace that has the vaults' audit log, by its GUID; None: none is asked.
    vault_creations: of new versions in ten seconds, in each vault. server_connections: to each database server.
    """

    vaults: Mapping[str, str]
    policy: Path
    ledger: str | Path
    outcome_topic: str | None
    http_auth: HttpAuth
    client_id: str | None
    sweep_schedule: str
    storage_account: str | None
    site: str | None
    own_accounts: tuple[str, ...]
    queue_service: str | None
    endpoints: Endpoints
    telemetry: bool
    vault_creations: int
    server_connections: int
    audit_workspace: str | None = None


def from_environment(environment: Mapping[str, str], root: Path) -> Settings:
    """Settings from app settings; relative paths count from `root`, the app's folder.

    Raises:
        Misconfigured: `field` is the setting.
    """
    return Settings(
        vaults=_vaults(environment.get("ROTATION_VAULTS", "")),
        policy=root / environment.get("ROTATION_POLICY", "policy.toml"),
        ledger=_ledger(environment.get("ROTATION_LEDGER", ""), root),
        outcome_topic=_https(environment, "ROTATION_OUTCOME_TOPIC"),
        http_auth=_http_auth(environment),
        client_id=environment.get("AZURE_CLIENT_ID") or None,
        sweep_schedule=_schedule(environment.get("ROTATION_SWEEP_SCHEDULE") or DEFAULT_SCHEDULE),
        storage_account=_storage_account(environment),
        site=environment.get("WEBSITE_SITE_NAME") or None,
        own_accounts=_own_accounts(environment.get("ROTATION_OWN_ACCOUNTS", "")),
        queue_service=_queue_service(environment),
        endpoints=_endpoints(environment),
        telemetry=any(environment.get(name, "").lower().strip() in _WORKERS_TRUE for name in _TELEMETRY),
        vault_creations=_number(environment, "ROTATION_VAULT_CREATIONS", least=10, most=100_000, default=290),
        server_connections=_number(environment, "ROTATION_SERVER_CONNECTIONS", least=1, most=1_000, default=8),
        audit_workspace=_audit_workspace(environment.get("ROTATION_AUDIT_WORKSPACE", "")),
    )


def _vaults(text: str) -> Mapping[str, str]:
    """`https://NAME.vault.azure.net`, or `NAME=https://host:port` where the host does not begin with the name."""
    found: dict[str, str] = {}
    for one in (part.strip() for part in text.split(",")):
        if not one:
            continue
        name, equals, url = one.partition("=")
        url = (url if equals else one).rstrip("/")
        if not _is_address(url) or (parts := urlsplit(url)).scheme != "https" or parts.path:
            raise Misconfigured(
                "ROTATION_VAULTS: each vault is written as https://NAME.vault.azure.net, separated by commas",
                field="ROTATION_VAULTS",
            )
        found[(name if equals else (parts.hostname or "").partition(".")[0]).lower()] = url
    if not found:
        raise Misconfigured(
            "ROTATION_VAULTS is missing: set it to the vaults to look after, such as https://kv-orders.vault.azure.net",
            field="ROTATION_VAULTS",
        )
    return found


def _ledger(text: str, root: Path) -> str | Path:
    if text.startswith("file:") and len(text) > len("file:"):
        return root / text.removeprefix("file:")
    if text.startswith("https://") and _is_address(text) and urlsplit(text).path.strip("/"):
        return text.rstrip("/")
    raise Misconfigured(
        "ROTATION_LEDGER is missing or wrong: set it to https://ACCOUNT.blob.core.windows.net/CONTAINER or file:DIR",
        field="ROTATION_LEDGER",
    )


def _schedule(text: str) -> str:
    """Refused is what the Functions host would not take, or would read otherwise than it looks."""
    if text == DEFAULT_SCHEDULE:
        return text
    from app.schedule import checked  # noqa: PLC0415  a cold start with the default need not pay for it

    return checked(text)


def _https(environment: Mapping[str, str], name: str) -> str | None:
    text = environment.get(name) or None
    if text is not None and not text.startswith("https://"):
        raise Misconfigured(f"{name} must begin with https://", field=name)
    if text is not None and not _is_address(text):
        raise Misconfigured(
            f"{name} must be an address alone: a host and a path, no user, query or fragment", field=name
        )
    return text


def _is_address(text: str) -> bool:
    """Nothing in it but where to go: a password in it would get into logs, and paths are added to it."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.hostname) and "@" not in parts.netloc and not {"?", "#", " "} & set(text)


def _number(environment: Mapping[str, str], name: str, *, least: int, most: int, default: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER) or not least <= int(text) <= most:
        raise Misconfigured(f"{name} is a whole number, {least} to {most}", field=name)
    return int(text)


def _http_auth(environment: Mapping[str, str]) -> HttpAuth:
    text = environment.get("ROTATION_HTTP_AUTH") or HttpAuth.ENTRA.value
    if text not in {HttpAuth.ENTRA, HttpAuth.KEY}:
        raise Misconfigured('ROTATION_HTTP_AUTH is "entra" or "key"', field="ROTATION_HTTP_AUTH")
    # Without App Service authentication in front, anybody could send the header that names the caller.
    fronted = environment.get("WEBSITE_AUTH_ENABLED", "").lower() in _PLATFORMS_TRUE
    return HttpAuth.CLOSED if text == HttpAuth.ENTRA and not fronted else HttpAuth(text)


def _storage_account(environment: Mapping[str, str]) -> str | None:
    """The host's account, by its name or by an address of it; None where it is on this machine."""
    named = environment.get("AzureWebJobsStorage__accountName")
    if named:
        return named
    for service in ("blob", "queue"):
        host = urlsplit(environment.get(f"AzureWebJobsStorage__{service}ServiceUri", "")).hostname or ""
        account, _, rest = host.partition(".")
        if rest.startswith(f"{service}."):
            return account
    return None


def _own_accounts(text: str) -> tuple[str, ...]:
    """By their ids, so that a policy's scope over one of them is seen; by an account's name alone it is not."""
    found = tuple(one for one in (part.strip() for part in text.split(",")) if one)
    for one in found:
        parts = one.lower().split("/")
        like = (
            len(parts) == len(_ACCOUNT)
            and not parts[0]
            and all(part and part == (form or part) for part, form in zip(parts[1:], _ACCOUNT[1:], strict=True))
        )
        if not like or not parts[-1].isalnum():
            raise Misconfigured(
                "ROTATION_OWN_ACCOUNTS: each storage account is written as its resource id, "
                "/subscriptions/ID/resourceGroups/NAME/providers/Microsoft.Storage/storageAccounts/NAME, "
                "separated by commas",
                field="ROTATION_OWN_ACCOUNTS",
            )
    return found


def _audit_workspace(text: str) -> str | None:
    if text and not is_guid(text.lower()):
        raise Misconfigured(
            "ROTATION_AUDIT_WORKSPACE is the workspace's id, a GUID: az monitor log-analytics workspace show "
            "--query customerId",
            field="ROTATION_AUDIT_WORKSPACE",
        )
    return text.lower() or None


def _queue_service(environment: Mapping[str, str]) -> str | None:
    service = environment.get("AzureWebJobsStorage__queueServiceUri")
    account = environment.get("AzureWebJobsStorage__accountName")
    return service or (f"https://{account}.queue.core.windows.net" if account else None)


def _endpoints(environment: Mapping[str, str]) -> Endpoints:
    usual = Endpoints()
    return Endpoints(
        arm=(_https(environment, "ROTATION_ARM_ENDPOINT") or usual.arm).rstrip("/"),
        graph=(_https(environment, "ROTATION_GRAPH_ENDPOINT") or usual.graph).rstrip("/"),
        login=(_https(environment, "AZURE_AUTHORITY_HOST") or usual.login).rstrip("/"),
        devops=(_https(environment, "ROTATION_DEVOPS_ENDPOINT") or usual.devops).rstrip("/"),
        github=(_https(environment, "ROTATION_GITHUB_ENDPOINT") or usual.github).rstrip("/"),
        logs=(_https(environment, "ROTATION_LOGS_ENDPOINT") or usual.logs).rstrip("/"),
        postgres_scope=environment.get("ROTATION_POSTGRES_SCOPE") or usual.postgres_scope,
    )


def http_closed() -> HttpClosed:
    """What every caller hears, and the log and health say as well."""
    return HttpClosed(
        "HTTP calls are refused: ROTATION_HTTP_AUTH is entra, and WEBSITE_AUTH_ENABLED, which the platform sets, does "
        "not say that App Service authentication is on: turn it on, or set ROTATION_HTTP_AUTH to key",
        field="WEBSITE_AUTH_ENABLED",
    )
