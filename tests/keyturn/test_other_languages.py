"""The snippets of docs/consumers.md for Node and Java are run, each through a change of its password."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from azure.keyvault.secrets.aio import SecretClient
from psycopg import sql

from local.certificates import Certificates
from local.npm import Missing, set_up
from local.vault import LocalVaults
from rotation.model import SecretValue
from tests.drivers import PGJDBC
from tests.integration.postgres_fixtures import Owner, Role, running
from tests.integration.vault_fixtures import VAULT

pytestmark = pytest.mark.thorough

TESTS = Path(__file__).parents[1]
DOC = (TESTS.parent / "docs" / "consumers.md").read_text("utf-8")
GAP_S = 0.5  # the old password is dead, and the vault still shows it
WITHIN_S = 60

NODE_CREDENTIAL = """
exports.DefaultAzureCredential = class {
  async getToken(scopes) {
    const resource = encodeURIComponent([scopes].flat()[0].replace(/\\/\\.default$/, ""));
    const asked = `${process.env.IDENTITY_ENDPOINT}?api-version=2019-08-01&resource=${resource}`;
    const answer = await fetch(asked, { headers: { "X-IDENTITY-HEADER": process.env.IDENTITY_HEADER } });
    const token = await answer.json();
    return { token: token.access_token, expiresOnTimestamp: Number(token.expires_on) * 1000 };
  }
};
"""
NODE_MAIN = """
require("node:readline").createInterface({ input: process.stdin }).on("line", async () => {
  const client = await connected();
  const { rows } = await client.query("SELECT current_user AS name");
  client.release(true); // so that the next one logs in
  console.log(rows[0].name);
});
"""
JAVA_MAIN = """
import java.nio.file.Files;
import java.nio.file.Path;

public class Main {
    private static String read(Path secret) {
        try {
            return Files.readString(secret);
        } catch (java.io.IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }

    public static void main(String[] arguments) throws Exception {
        var source = new RotatingDataSource(() -> read(Path.of(arguments[0])));
        var lines = new java.io.BufferedReader(new java.io.InputStreamReader(System.in));
        while (lines.readLine() != null) {
            try (var connection = source.getConnection();
                    var rows = connection.createStatement().executeQuery("SELECT current_user")) {
                rows.next();
                System.out.println(rows.getString(1));
            }
        }
    }
}
"""


def snippet(language: str, sign: str) -> str:
    """The one of this language that has the sign in it."""
    [found] = [text for text in re.findall(rf"```{language}\n(.*?)```", DOC, re.DOTALL) if sign in text]
    return str(found)


def put(text: str, places: Mapping[str, str]) -> str:
    """The snippet with what is on this machine, each place once."""
    for there, here in places.items():
        assert text.count(there) == 1, there
        text = text.replace(there, here)
    return text


@pytest.fixture(scope="module")
def owner() -> Iterator[Owner]:
    with running() as owner:
        yield owner


def changed(owner: Owner, role: Role) -> Role:
    """The role with a new password; the old one is dead."""
    new = Role(role.name, SecretValue(f"{role.password.reveal()}-2"))
    owner.sql(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role.name), sql.Literal(new.password.reveal()))
    )
    return new


@contextlib.asynccontextmanager
async def started(
    command: Sequence[str | Path], environment: Mapping[str, str], folder: Path
) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env={"PATH": os.environ["PATH"], **environment}, stdin=PIPE, stdout=PIPE
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def logged_in_as(process: Process) -> str:
    """Ask it for one login -> as whom it was let in; nothing if it ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    await process.stdin.drain()
    return (await asyncio.wait_for(process.stdout.readline(), WITHIN_S)).decode().strip()


async def test_node_logs_in_through_a_rotation_in_place(
    vaults: LocalVaults, client: SecretClient, certificates: Certificates, owner: Owner, tmp_path: Path
) -> None:
    try:
        places = [
            set_up("Key Vault's SDK for JavaScript", TESTS / "foreign_clients" / "javascript", "foreign-javascript"),
            set_up("node-postgres", TESTS / "drivers" / "node", "node-postgres"),
        ]
    except Missing as missing:
        pytest.skip(str(missing))
    identity = tmp_path / "modules" / "@azure" / "identity"
    identity.mkdir(parents=True)
    (identity / "index.js").write_text(NODE_CREDENTIAL)
    role = owner.role()
    here = f'host: "{owner.server.host}", port: {owner.server.port}, user: "{role.name}", database: "postgres", '
    text = put(
        snippet("js", "new pg.Pool("),
        {
            "https://kv-orders-prod.vault.azure.net": vaults.urls[VAULT],
            "new DefaultAzureCredential())": (
                "new DefaultAzureCredential(), { disableChallengeResourceVerification: true })"
            ),
            'host: "orders.postgres.database.azure.com", user: "app", database: "orders", ssl: true, ': here,
        },
    )
    (tmp_path / "app.js").write_text(text + NODE_MAIN)
    modules = ":".join(map(str, [tmp_path / "modules", *(place / "node_modules" for place in places)]))
    environment = {"NODE_PATH": modules, "NODE_EXTRA_CA_CERTS": str(certificates.ca), **vaults.env}
    await client.set_secret("orders-db-password", role.password.reveal())
    async with started(["node", "app.js"], environment, tmp_path) as process:
        assert await logged_in_as(process) == role.name
        role = changed(owner, role)
        asking = asyncio.create_task(logged_in_as(process))
        await asyncio.sleep(GAP_S)
        await client.set_secret("orders-db-password", role.password.reveal())
        assert await asking == role.name


async def test_java_logs_in_through_a_change_of_role_and_password(owner: Owner, tmp_path: Path) -> None:
    if not PGJDBC.exists() or shutil.which("javac") is None:
        pytest.skip("pgJDBC is not here; on Debian: apt-get install libpostgresql-jdbc-java default-jdk-headless")
    (tmp_path / "RotatingDataSource.java").write_text(snippet("java", "class RotatingDataSource"))
    (tmp_path / "Main.java").write_text(JAVA_MAIN)
    path = f"{PGJDBC}:{tmp_path}"
    compiled = await asyncio.create_subprocess_exec(
        "javac", "-Xlint:all,-serial", "-Werror", "-cp", path, "Main.java", "RotatingDataSource.java", cwd=tmp_path
    )
    assert await compiled.wait() == 0
    secret = tmp_path / "orders-db"

    def publish(role: Role) -> None:
        where = f"{owner.server.host}:{owner.server.port}/postgres"
        (tmp_path / "next").write_text(f"jdbc:postgresql://{where}?user={role.name}&password={role.password.reveal()}")
        (tmp_path / "next").rename(secret)

    first, second = owner.role(), owner.role()
    publish(first)
    async with started(["java", "-cp", path, "Main", secret], {}, tmp_path) as process:
        assert await logged_in_as(process) == first.name
        changed(owner, first)
        asking = asyncio.create_task(logged_in_as(process))
        await asyncio.sleep(GAP_S)
        publish(second)
        assert await asking == second.name
