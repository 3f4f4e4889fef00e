"""`python -m local up` and `python -m local demo`, as somebody types them."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

from local.demo_cases import login
from rotation.model import SecretValue

ROOT = Path(__file__).parents[2]


class Up:
    """The command on one data folder; killed and started again at will."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: Process | None = None
        self.ready: dict[str, Any] = {}

    async def start(self, *options: str) -> None:
        ready = self._folder / "ready.json"
        ready.unlink(missing_ok=True)
        command = (
            sys.executable,
            "-m",
            "local",
            "up",
            "--ready-file",
            str(ready),
            "--data",
            str(self._folder / "data"),
        )
        self._process = await asyncio.create_subprocess_exec(*command, "--port", "0", *options, cwd=ROOT, stdout=PIPE)
        async with asyncio.timeout(60):
            while not ready.exists():
                assert self._process.returncode is None
                await asyncio.sleep(0.05)
        self.ready = json.loads(ready.read_text())

    async def kill(self, *names: str) -> None:
        """With SIGKILL: the named parts, and the command itself."""
        for name in names:
            os.kill(self.ready["pids"][name], signal.SIGKILL)
        await self.end(signal.SIGKILL)

    async def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(how)
        return await self._process.wait()

    async def rotate(self, name: str) -> dict[str, Any]:
        url = f"{self.ready['functions']}/api/vaults/kv-demo/secrets/{name}/rotate?force=grace"
        headers = {"x-functions-key": self.ready["function_key"]}
        async with aiohttp.ClientSession() as session, session.post(url, headers=headers) as answer:
            return dict(await answer.json(content_type=None))

    @contextlib.asynccontextmanager
    async def vault(self) -> AsyncIterator[SecretClient]:
        async with (
            ManagedIdentityCredential() as identity,
            SecretClient(
                self.ready["vaults"]["kv-demo"], identity, verify_challenge_resource=False,
                connection_verify=self.ready["env"]["SSL_CERT_FILE"],
            ) as client,
        ):  # fmt: skip
            yield client

    def url(self, user: str, password: str) -> str:
        server = self.ready["postgres"]
        return f"postgresql://{user}:{password}@{server['host']}:{server['port']}/{server['dbname']}"


# Unmodified clients, with nothing but the ready file's `env`: the SDK over requests, and node's own TLS.
SYNCHRONOUS = """
import sys
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
with SecretClient(sys.argv[1], ManagedIdentityCredential(), verify_challenge_resource=False) as client:
    print("trusted" if client.get_secret("key").value else "empty")
"""
JAVASCRIPT = """
fetch(process.argv[1] + "/secrets/key/?api-version=7.4")
  .then(answer => console.log(answer.status === 401 ? "trusted" : answer.status), error => console.log(error.cause))
"""


@pytest.fixture
async def up(tmp_path: Path) -> AsyncIterator[Up]:
    command = Up(tmp_path)
    yield command
    await command.end(signal.SIGTERM)


async def test_the_ready_file_is_what_was_promised_and_opens_everything(
    up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    await up.start("--vault", "kv-demo", "--vault", "kv-test")
    assert up.ready.keys() == {"functions", "function_key", "vaults", "postgres", "env", "pids"}
    assert up.ready["vaults"].keys() == {"kv-demo", "kv-test"}
    assert up.ready["postgres"].keys() == {"host", "port", "dbname", "admin_user", "admin_password"}
    trust = {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"}
    assert up.ready["env"].keys() == {*trust, "IDENTITY_ENDPOINT", "IDENTITY_HEADER"}
    assert up.ready["pids"].keys() == {"host", "vault", "postgres"}
    for name, text in up.ready["env"].items():
        monkeypatch.setenv(name, text)
    server = up.ready["postgres"]
    admin = SecretValue(up.url(server["admin_user"], server["admin_password"]))
    assert await login(admin) == server["admin_user"]
    async with up.vault() as vault:
        await vault.set_secret("key", "0" * 64, tags={"rotator": "generated", "format": "hex"})
        assert (await up.rotate("key"))["outcome"] == "rotated"
    for command in ([sys.executable, "-c", SYNCHRONOUS], ["node", "-e", JAVASCRIPT]):
        client = await asyncio.create_subprocess_exec(
            *command, up.ready["vaults"]["kv-demo"], env={"PATH": os.environ["PATH"], **up.ready["env"]},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        told, _ = await client.communicate()
        assert told.decode().split() == ["trusted"]


@pytest.mark.thorough
async def test_a_stack_that_was_killed_goes_on_where_it_stood(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    await up.start()
    for name, text in up.ready["env"].items():
        monkeypatch.setenv(name, text)
    async with up.vault() as vault:
        await vault.set_secret("key", "0" * 64, tags={"rotator": "generated", "format": "hex"})
    first = await up.rotate("key")
    key = up.ready["function_key"]
    await up.kill("host", "vault", "postgres")
    await up.start()
    assert up.ready["function_key"] == key
    for name, text in up.ready["env"].items():
        monkeypatch.setenv(name, text)
    async with up.vault() as vault:
        assert (await vault.get_secret("key")).properties.version == first["version"]
    second = await up.rotate("key")
    assert second["previous_version"] == first["version"]
    # Killed alone, the command takes the parts along, which would otherwise hold the folder.
    await up.kill()
    await up.start()
    assert (await up.rotate("key"))["vault"] == "kv-demo"


@pytest.mark.thorough
async def test_a_part_that_ends_by_itself_ends_the_stack_with_a_line(up: Up) -> None:
    await up.start()
    assert up._process is not None
    os.kill(up.ready["pids"]["host"], signal.SIGKILL)
    out, _ = await up._process.communicate()
    assert up._process.returncode == 1
    assert "the host ended with -9" in out.decode()


# What the page breaks on purpose: another secret, what is replaced in the page's program, and the answer.
BROKEN = (
    ("wrong-password", ("kT7-first-mZ4q", "kT7-other-mZ4q"), 502, "unproven"),
    ("wrong-format", ('{"rotator": "postgres"}', '{"rotator": "postgres", "format": "yaml"}'), 422, "unusable"),
    ("elsewhere", ("@{where}", "@db.example/orders"), 403, "denied"),
)


@pytest.mark.thorough
async def test_the_page_puts_a_secret_into_the_stack_rotates_it_and_breaks_others(tmp_path: Path) -> None:
    """docs/using.md, with nothing but the folder and the port replaced."""
    page = (
        (ROOT / "docs" / "using.md").read_text().partition("## On this machine, without Azure")[2].partition("\n## ")[0]
    )
    (program,) = re.findall(r"```python\n(.+?)```", page, re.DOTALL)
    commands = re.findall(r"```\n(APP=.+?)```", page, re.DOTALL)
    command = [sys.executable, "-m", "local", "up", "--data", str(tmp_path / "data"), "--port", "0"]
    stack = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE)
    try:
        assert stack.stdout is not None
        async with asyncio.timeout(60):
            while b"ready.json" not in (line := await stack.stdout.readline()):
                assert line
        ready = tmp_path / "data" / "ready.json"
        port = json.loads(ready.read_text())["functions"].rpartition(":")[2]

        def here(text: str) -> str:
            return text.replace(".cache/stack", str(tmp_path / "data")).replace(":7071", f":{port}")

        await done(sys.executable, "-c", here(program))
        said = await done("bash", "-e", "-c", "\n".join(here(one) for one in commands))
        planned, rotated, history = one_by_one(said)
        assert (planned["outcome"], rotated["outcome"]) == ("planned", "rotated")
        assert history["version"] == rotated["version"]
        shell = here(commands[0].partition("curl")[0])
        for name, (right, wrong), status, code in BROKEN:
            assert right in program
            written = re.sub(r"with psycopg.+\n.+\n", "", here(program)).replace("orders-db", name)
            await done(sys.executable, "-c", written.replace(right, wrong))
            call = f"curl -sS -X POST -d '' -H \"$AUTH\" $APP/api/vaults/kv-demo/secrets/{name}/rotate"
            answer = json.loads(await done("bash", "-e", "-c", shell + call))
            assert (answer["status"], answer["type"]) == (status, f"urn:keyturn:problem:{code}")
            assert f"| {status}, `{code}`" in page
    finally:
        stack.terminate()
        await stack.communicate()
    assert not ready.exists()


def one_by_one(text: str) -> Iterator[dict[str, Any]]:
    """The answers of several calls, with nothing between them."""
    while text:
        answer, end = json.JSONDecoder().raw_decode(text)
        yield answer
        text = text[end:].lstrip()


async def done(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def run(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "local", *arguments, cwd=ROOT, stdout=PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest.mark.thorough
async def test_the_demo_ends_well_and_tells_its_proofs() -> None:
    code, out = await run("demo")
    assert code == 0, out
    assert "PostgreSQL refuses the old password" in out
    assert "PROOF FAILED" not in out


@pytest.mark.thorough
async def test_a_policy_that_does_not_stand_is_told_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('[[rule]]\ntargets = ["*"]\n')
    code, out = await run("up", "--policy", str(file), "--data", str(tmp_path / "data"), "--port", "0")
    assert code == 1
    assert "up: host: the app does not start:" in out
    assert len([line for line in out.splitlines() if line.strip()]) == 1
