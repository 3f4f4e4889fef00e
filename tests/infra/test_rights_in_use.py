"""The rights derived from a policy are what the app calls for while it rotates every kind of secret by that policy."""

import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from local.rights import LOG_SETTING
from local.stack import Stack
from tests.contract.harness_jwks import P256
from tests.e2e.deployment import Deployment, opened
from tests.rights_used import ledger_calls, read

POLICY = Path(__file__).parent / "whole.toml"
PROVIDERS = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-local/providers"
ACCOUNT = f"{PROVIDERS}/Microsoft.Storage/storageAccounts/stdemo"
SERVER = f"{PROVIDERS}/Microsoft.DBforPostgreSQL/flexibleServers/orders"
MYSQL_SERVER = SERVER.replace("DBforPostgreSQL", "DBforMySQL")
SITE, CONTAINER_APP = f"{PROVIDERS}/Microsoft.Web/sites/shop", f"{PROVIDERS}/Microsoft.App/containerApps/shop-api"
CLUSTER = f"{PROVIDERS}/Microsoft.ContainerService/managedClusters/aks-shop"
APPLICATION, CLIENT = "00000000-0000-0000-0000-0000000000a1", "00000000-0000-0000-0000-0000000000c1"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this stack alone notes rights; what it noted counts for the whole run too."""
    whole, own = os.environ[LOG_SETTING], tmp_path / "rights"
    own.mkdir()
    monkeypatch.setenv(LOG_SETTING, str(own))
    yield own
    shutil.copytree(own, whole, dirs_exist_ok=True)


@pytest.fixture
async def app(tmp_path: Path, log: Path) -> AsyncIterator[Deployment]:
    with Stack(tmp_path / "stack", policy=POLICY) as stack:
        async with opened(stack, []) as deployment:
            yield deployment


def read_text(path: str) -> str:
    return Path(path).read_text()


async def rotate_all(app: Deployment) -> None:
    """Each kind, once by the steps of a first rotation and once more, so that what is old is retired."""
    control = app.stack.azure_control
    for site in (SITE, f"{SITE}/slots/next"):
        control.post("refresh-targets", {"kind": "site", "site_id": site})
    control.post("refresh-targets", {"kind": "container-app", "app_id": CONTAINER_APP, "revision": "shop-api--abc12"})
    trusted = read_text(app.stack.ready["env"]["SSL_CERT_FILE"])
    control.post("refresh-targets", {"kind": "cluster", "cluster_id": CLUSTER, "ca": trusted, "deployment": "shop/web"})
    await app.put("place-1", await app.role("place_app"), {"rotator": "postgres"})
    await app.put("turns-1", await app.role("turns_b"), life=None)
    tags = {"rotator": "postgres-alternating", "slots": "turns_a,turns_b"}
    await app.put("turns-1", await app.role("turns_a"), tags)
    keys = app.stack.azure_control.post("accounts", {"id": ACCOUNT})["keys"]
    await app.put("key-1", keys["key1"], {"rotator": "storage-key", "target": ACCOUNT, "slot": "key1"})
    app.stack.azure_control.post("applications", {"object_id": APPLICATION, "app_id": CLIENT, "display_name": "orders"})
    first = app.stack.azure_control.post(f"applications/{APPLICATION}/secrets", {"display_name": "by hand"})
    tags = {"rotator": "entra-app-secret", "target": APPLICATION, "slot": first["keyId"]}
    await app.put("app-1", first["secretText"], tags)
    await app.put("made-1", "0" * 64, {"rotator": "generated", "format": "hex"})
    await app.put("made-2", json.dumps({"keys": [P256]}), {"rotator": "jwks"})
    for name in ("place-1", "turns-1", "key-1", "app-1", "made-1", "made-2"):
        for query in ({}, {"force": "grace"}):
            answer = await app.rotate(name, **query)
            assert answer.json["outcome"] == "rotated", answer.text
    await app.sweep()


async def ask_for_a_server(app: Deployment) -> None:
    """A flexible server that is not up is told apart by asking Azure, before anybody connects."""
    app.stack.azure_control.post("servers", {"id": SERVER, "fqdn": "localhost", "state": "Starting"})
    await app.put("server-1", await app.role("server_app"), {"rotator": "postgres", "target": SERVER})
    app.stack.azure_control.post("servers", {"id": MYSQL_SERVER, "fqdn": "localhost", "state": "Starting"})
    await app.put("mysql-1", "mysql://mysql_app:Zk4-not-tried@localhost/", {"rotator": "mysql", "target": MYSQL_SERVER})
    for name in ("server-1", "mysql-1"):
        answer = await app.rotate(name)
        assert (answer.status, "Starting" in answer.text) == (503, True), answer.text


async def test_every_right_is_used_and_none_is_missing(app: Deployment, log: Path) -> None:
    await rotate_all(app)
    await ask_for_a_server(app)
    used = read(log)
    assert [*used.missing(), *used.unused()] == []
    # On the vault, the account, the two servers, the application; and on the site, its slot, the container app, the
    # cluster.
    assert len(used.granted) == 4 + 3 + 2 + 1 + 1 + 1 + 2 + 1


def test_what_is_missing_and_what_is_unused_is_told(tmp_path: Path) -> None:
    noted = [("granted", "a", "/x"), ("granted", "b", "/x"), ("called", "a", "/x/y"), ("called", "a", "/xy")]
    noted += [("called", "a", "/x/z"), ("refused", "a", "/x/z")]  # by another stand-in, which had not granted it
    lines = [json.dumps({"what": what, "action": f"{action}/read", "scope": scope}) for what, action, scope in noted]
    (tmp_path / "1.jsonl").write_text("\n".join(lines))
    used = read(tmp_path)
    assert list(used.missing()) == ["missing: a/read on /x/z", "missing: a/read on /xy"]
    assert list(used.unused()) == ["unused: b/read on /x"]


def test_the_ledgers_calls_are_told_by_its_signature(tmp_path: Path) -> None:
    log = tmp_path / "azurite.log"
    log.write_text(
        '127.0.0.1 - - [x] "PUT /st/ledger?restype=container HTTP/1.1" 201 -\n'
        '127.0.0.1 - - [x] "PUT /st/ledger/kv/a.jsonl?comp=lease&sp=rwl&sig=x HTTP/1.1" 201 -\n'
        '127.0.0.1 - - [x] "GET /st/ledger?restype=container&comp=list&sig=x HTTP/1.1" 200 -\n'
        '127.0.0.1 - - [x] "DELETE /st/ledger/kv/a.jsonl?sig=x HTTP/1.1" 403 -\n'
        '127.0.0.1 - - [x] "PUT /st/ledger?restype=container&sig=x HTTP/1.1" 403 -\n'
    )
    blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
    assert ledger_calls(log) == ["DELETE blob", f"{blobs}/read", f"{blobs}/write", "PUT container"]
