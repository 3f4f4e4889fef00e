"""The examples of docs/consumers.md are run, each at what it is for."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import psycopg
import pytest
import yaml

import keyturn
from keyturn import RotatingSecret
from local.azurite import LocalAzurite
from rotation.rotators.key_set import read
from rotation.rotators.signing_keys import new_key
from tests.integration.postgres_fixtures import Owner, running
from tests.keyturn.played import PlayedVault, Time
from tests.keyturn.redis_server import Cache
from tests.keyturn.storage_emulator import key, string
from tests.keyturn.turning import Turning

DOC = Path(__file__).parents[2] / "docs" / "consumers.md"
EXAMPLES: list[str] = re.findall(r"```python\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)


def run(sign: str, **known: Any) -> dict[str, Any]:
    """The one example that has this sign in it, with what earlier ones of the page made."""
    [text] = [example for example in EXAMPLES if sign in example]
    exec(text, known)  # noqa: S102  our own page
    return known


@pytest.fixture(scope="module")
def owner() -> Iterator[Owner]:
    with running() as owner:
        yield owner


def test_the_first_example_makes_a_secret_and_reads_nothing_yet() -> None:
    secret = run("orders_db = RotatingSecret(")["orders_db"]
    assert secret.reference == "https://kv-orders-prod.vault.azure.net/secrets/orders-db"


def test_a_pool_of_psycopg_logs_in_after_a_rotation(owner: Owner) -> None:
    turning = Turning(owner)
    pool = run("ConnectionPool(", orders_db=turning.secret)["pool"]
    with pool:
        turning.rotate()
        pool.drain()
        with pool.connection() as connection:
            assert connection.execute("SELECT current_user").fetchone() == (turning.role.name,)


def test_an_engine_of_sqlalchemy_logs_in_after_a_rotation(owner: Owner) -> None:
    turning = Turning(owner)
    space = run("create_engine(", orders_db=turning.secret)
    turning.rotate()
    space["engine"].dispose()
    with space["engine"].connect() as connection:
        assert connection.execute(space["text"]("SELECT current_user")).scalar_one() == turning.role.name
    space["engine"].dispose()


def test_redis_logs_in_after_a_rotation(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    import redis  # noqa: PLC0415  the module that the example imports

    known = redis.Redis
    monkeypatch.setattr(redis, "Redis", lambda host, _port, **more: known(host, cache.port, **more))
    vault = PlayedVault(Time(), f"redis://orders:{cache.password}@cache")
    with run("redis.Redis(", cache_password=secret_of(vault))["client"] as client:
        assert client.execute_command("ACL", "WHOAMI") == b"orders"


def test_storage_and_service_bus_take_the_newest_key(azurite: LocalAzurite) -> None:
    bus = "Endpoint=sb://orders.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey="
    space = run(
        "storage_client(",
        orders_storage=secret_of(PlayedVault(Time(), string(azurite))),
        orders_bus=secret_of(PlayedVault(Time(), f"{bus}{key()}")),
    )
    with space["bus"], space["blobs"] as blobs:
        assert list(blobs.list_containers()) == []


@pytest.mark.parametrize("refused", ["password authentication failed for user", "the server is starting up"])
def test_in_the_recipe_a_refused_login_is_tried_again_and_nothing_else_is(
    refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time()
    vault = PlayedVault(time, "the-old-password")
    secret = RotatingSecret(
        "https://kv.vault.azure.net/secrets/x", reader=lambda: vault, monotonic=time.monotonic, sleep=time.sleep
    )
    assert secret.value == "the-old-password"
    time.at(0.05, lambda: vault.write("the-new-password"))
    asked = []

    def connect(conninfo: str) -> str:
        asked.append(conninfo)
        if conninfo == "the-old-password":
            raise psycopg.OperationalError(refused)
        return "connected"

    monkeypatch.setattr(psycopg, "connect", connect)
    if refused.startswith("password"):
        assert run("orders_db.log_in(", orders_db=secret)["connection"] == "connected"
        assert asked == ["the-old-password", "the-new-password"]
    else:
        with pytest.raises(psycopg.OperationalError):
            run("orders_db.log_in(", orders_db=secret)
        assert asked == ["the-old-password"]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_tokens_are_signed_with_the_key_that_signs_and_the_public_half_has_nothing_else_of_it(algorithm: str) -> None:
    source = random.Random(4)
    keys = read(json.dumps({"keys": [dict(new_key(algorithm, source))]})).following(algorithm, source)
    page = run("def public_half(")
    token = page["sign"]({"sub": "orders"}, keys.text())
    served = page["public_half"](keys.text())
    assert not [text for text in keys.private_texts() if text in json.dumps(served)]
    assert len(jwt.PyJWKSet.from_dict(served).keys) == 2
    after = page["public_half"](keys.following(algorithm, source).text())
    for known in (served, after):
        key = jwt.PyJWKSet.from_dict(known)[jwt.get_unverified_header(token)["kid"]]
        assert jwt.decode(token, key, [algorithm]) == {"sub": "orders"}
    symmetric = read(json.dumps({"keys": [dict(new_key("HS256", source))]}))
    assert page["public_half"](symmetric.text()) == {"keys": []}


def test_the_example_for_the_start_names_what_the_library_has(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[tuple[str, ...], str]] = []
    monkeypatch.setattr(keyturn, "require", lambda *names, vault: asked.append((names, vault)))
    run("require(")
    assert asked == [(("orders-db", "api-key"), "https://kv-orders-prod.vault.azure.net")]


def test_the_manifests_for_aks_fit_together() -> None:
    [text] = [
        one for one in re.findall(r"```yaml\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL) if "SecretProviderC" in one
    ]
    driver, external, deployment = yaml.safe_load_all(text)
    [synced] = driver["spec"]["secretObjects"]
    [listed] = [yaml.safe_load(one) for one in yaml.safe_load(driver["spec"]["parameters"]["objects"])["array"]]
    [key] = external["spec"]["data"]
    # Either makes the same Kubernetes Secret of the same secret, so that one may replace the other.
    assert synced["secretName"] == external["spec"]["target"]["name"]
    assert synced["data"] == [{"objectName": key["remoteRef"]["key"], "key": key["secretKey"]}]
    assert listed == {"objectName": key["remoteRef"]["key"], "objectType": "secret"}
    assert driver["spec"]["parameters"]["keyvaultName"] == external["spec"]["secretStoreRef"]["name"]
    assert len({one["metadata"]["namespace"] for one in (driver, external, deployment)}) == 1


def test_no_example_is_left_out() -> None:
    assert len(EXAMPLES) == 8


def secret_of(vault: PlayedVault) -> RotatingSecret:
    return RotatingSecret("https://kv.vault.azure.net/secrets/x", reader=lambda: vault)
