"""`az keyvault secret`, of the unmodified Azure CLI: it logs in with the local identity and finds the vault by name.

How az is told of a cloud of its own: Microsoft Learn, "az cloud register". A managed identity is the login that needs
neither a browser nor an authority whose name MSAL knows.
"""

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from azure.keyvault.secrets import SecretClient

from local.tokens import TENANT
from tests.environments import python_of
from tests.foreign_clients.given import Given
from tests.foreign_clients.place import NAMED, Place
from tests.foreign_clients.steps import tried
from tests.foreign_clients.told import Told
from tests.local_azure import CLIENT_ID

REQUIREMENTS = Path(__file__).parent / "requirements-az.txt"
WITHIN_S = 120
NAME = "az-case"
SEVERAL = 30  # more than one page
TRIES = 20
FIRST, SECOND = "one value", "another\nvalue"  # the second one is handed over in a file


class Refused(Exception):
    """az ended with an error; `told` is what it printed."""

    def __init__(self, told: str) -> None:
        super().__init__(told)
        self.told = told


class Az:
    """The program, in a folder of its own for what it keeps."""

    def __init__(self, python: Path, place: Place, folder: Path) -> None:
        self._python = python
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AZURE_CONFIG_DIR": str(folder / "azure"),
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "AZURE_CORE_ONLY_SHOW_ERRORS": "yes",
            "AZURE_CORE_INSTANCE_DISCOVERY": "no",  # else it asks Microsoft whose authority this is
            **place.led,
        }

    def __call__(self, words: str, **options: object) -> Any:
        """`az("keyvault secret show", name="db")` -> its JSON; None where it prints none.

        Raises:
            Refused: it says no.
        """
        given = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", *_words(value))]
        ran = subprocess.run(
            [str(self._python), "-m", "azure.cli", *words.split(), *given, "--output", "json"],
            env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WITHIN_S,
            check=False,
        )  # fmt: skip
        if ran.returncode:
            raise Refused(ran.stderr)
        return json.loads(ran.stdout) if ran.stdout.strip() else None


def _words(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def run(place: Place) -> Told:
    """Raises `RuntimeError` where pip can't fetch it."""
    python = python_of(REQUIREMENTS, "--no-deps", "--no-compile")
    with tempfile.TemporaryDirectory() as folder:
        return tried("az", Case(Az(python, place, Path(folder)), place, Path(folder)).steps())


def _refused(act: Callable[[], object], code: str) -> bool:
    """Whether the vault says no with this code."""
    return _refused_with(act, f"({code})") or _refused_with(act, f"Code: {code}")


def _refused_with(act: Callable[[], object], words: str) -> bool:
    """Whether az says no with these words."""
    try:
        act()
    except Refused as refused:
        return words in refused.told
    return False


def _settled(act: Callable[[], Any], *codes: str) -> Any:
    """What az answers once it is no longer refused with these codes: what was begun goes on after its answer."""
    for _ in range(TRIES):
        try:
            return act()
        except Refused as refused:
            if not any(code in refused.told for code in codes):
                raise
    return act()


@contextlib.contextmanager
def _client(place: Place, url: str, **options: Any) -> Iterator[SecretClient]:
    """A quicker client, for what az shall find. It gives the credential itself, since it has no environment."""
    token = place.authority.issue("https://vault.azure.net")
    with SecretClient(url, Given(token), connection_verify=str(place.ca), **options) as client:
        yield client


class Case:
    """One secret's life, command by command; `kept` is what az told of it."""

    def __init__(self, az: Az, place: Place, folder: Path) -> None:
        self._az, self._place = az, place
        self._vault = {"vault_name": NAMED}
        self._one = {**self._vault, "name": NAME}
        self._value, self._got, self._backup = folder / "value.txt", folder / "got.txt", folder / "backup.blob"
        self._value.write_text(SECOND)
        self.kept: dict[str, Any] = {}

    def steps(self) -> dict[str, Callable[[], object]]:
        """All of them, in their order."""
        return {**self._login(), **self._life(), **self._death(), **self._by_id(), **self._by_secret()}

    def _secret(self, command: str, **options: object) -> Any:
        return self._az(f"keyvault secret {command}", **options)

    def _login(self) -> dict[str, Callable[[], object]]:
        az, azure = self._az, self._place.azure
        return {
            "cloud register": lambda: az(
                "cloud register --skip-endpoint-discovery", name="local", endpoint_resource_manager=azure.arm_url,
                endpoint_active_directory=azure.login_url, suffix_keyvault_dns=".vault.azure.net",
                endpoint_active_directory_resource_id="https://management.azure.com/",
            ),
            "cloud set": lambda: az("cloud set", name="local"),
            "login --identity": lambda: az("login --identity")[0]["state"] == "Enabled",
            "account show": lambda: az("account show")["environmentName"] == "local",
            "account get-access-token": lambda: bool(
                az("account get-access-token", resource="https://vault.azure.net")["accessToken"]
            ),
        }  # fmt: skip

    def _life(self) -> dict[str, Callable[[], object]]:
        secret, one, vault = self._secret, self._one, self._vault
        return {
            "secret set": self._set_first,
            "secret set --file": self._set_second,
            "secret show": lambda: secret("show", **one)["value"] == SECOND,
            "secret show --version": lambda: secret("show", **one, version=self._first())["value"] == FIRST,
            "secret show: no such secret": lambda: _refused(
                lambda: secret("show", **vault, name="none"), "SecretNotFound"
            ),
            "secret list, over several pages": self._listed,
            "secret list --maxresults": lambda: len(secret("list", **vault, maxresults=3)) == 3,
            "secret list-versions": lambda: (
                {item["id"] for item in secret("list-versions", **one)} == {told["id"] for told in self.kept.values()}
            ),
            "secret set-attributes": lambda: (
                secret("set-attributes", **one, version=self._first(), tags=["c=d"], enabled="false")["attributes"][
                    "enabled"
                ]
                is False
            ),
            "secret show: a disabled version": lambda: _refused(
                lambda: secret("show", **one, version=self._first()), "Forbidden"
            ),
            "secret set-attributes --expires": lambda: (
                secret("set-attributes", **one, expires="2041-01-02T03:04:05Z", content_type="text/html")["contentType"]
                == "text/html"
            ),
            "secret download": self._downloaded,
            "secret backup": lambda: secret("backup", **one, file=self._backup) or self._backup.stat().st_size > 0,
        }

    def _death(self) -> dict[str, Callable[[], object]]:
        secret, one, vault = self._secret, self._one, self._vault
        return {
            "secret restore: over one that is there": lambda: _refused(
                lambda: secret("restore", **vault, file=self._backup), "Conflict"
            ),
            "secret delete": lambda: (
                secret("delete", **one)["recoveryId"] == f"{self._place.named}/deletedsecrets/{NAME}"
            ),
            "secret show-deleted": lambda: (
                _settled(lambda: secret("show-deleted", **one), "SecretNotFound")["name"] == NAME
            ),
            "secret list-deleted": lambda: NAME in {item["name"] for item in secret("list-deleted", **vault)},
            "secret set: a deleted name": lambda: _refused(lambda: secret("set", **one, value=FIRST), "Conflict"),
            "secret recover": lambda: secret("recover", **one)["name"] == NAME,
            "secret show: recovered": lambda: (
                _settled(lambda: secret("show", **one), "SecretNotFound")["value"] == SECOND
            ),
            "secret delete: recovered": lambda: _settled(lambda: secret("delete", **one), "Conflict")["name"] == NAME,
            "secret purge": lambda: _settled(lambda: secret("purge", **one), "SecretNotFound", "Conflict") is None,
            "secret restore": lambda: (
                _settled(lambda: secret("restore", **vault, file=self._backup), "Conflict")["id"]
                == self.kept["second"]["id"]
            ),
        }

    def _by_id(self) -> dict[str, Callable[[], object]]:
        """What az finds by a whole address may be anywhere: here it is at a loopback address."""
        secret, identifier = self._secret, f"{self._place.near}/secrets/{NAME}"

        def shown() -> bool:
            with _client(self._place, self._place.near, verify_challenge_resource=False) as client:
                client.set_secret(NAME, FIRST)
            return str(secret("show", id=identifier)["value"]) == FIRST

        return {
            "secret show --id": shown,
            "secret set-attributes --id": lambda: (
                secret("set-attributes", id=identifier, tags=["c=d"])["tags"] == {"c": "d"}
            ),
            "secret list-versions --id": lambda: len(secret("list-versions", id=identifier)) == 1,
        }

    def _by_secret(self) -> dict[str, Callable[[], object]]:
        """The same program as an application with a client secret, by MSAL, at the local authority."""
        az, secret, place = self._az, self._secret, self._place

        def logged_in(text: str) -> Any:
            return az("login --service-principal", username=CLIENT_ID, password=text, tenant=TENANT)

        return {
            "account clear": lambda: az("account clear") is None,
            "secret show: nobody is logged in": lambda: _refused_with(
                lambda: secret("show", **self._one), "Please run 'az login'"
            ),
            "login --service-principal: a wrong secret": lambda: _refused_with(
                lambda: logged_in("none of its secrets"), "AADSTS7000215"
            ),
            "login --service-principal": lambda: logged_in(place.client_secret)[0]["user"]["name"] == CLIENT_ID,
            "secret show: as an application": lambda: secret("show", **self._one)["value"] == SECOND,
            "logout": lambda: az("logout") is None,
        }

    def _first(self) -> str:
        return str(self.kept["first"]["id"].rpartition("/")[2])

    def _set_first(self) -> bool:
        told = self._secret("set", **self._one, value=FIRST, tags=["a=b"], expires="2040-01-02T03:04:05Z")
        self.kept["first"] = told
        return told["value"] == FIRST and told["tags"]["a"] == "b" and "2040" in told["attributes"]["expires"]

    def _set_second(self) -> bool:
        self.kept["second"] = self._secret("set", **self._one, file=self._value, content_type="text/plain")
        return str(self.kept["second"]["value"]) == SECOND

    def _downloaded(self) -> bool:
        self._secret("download", **self._one, file=self._got)
        return self._got.read_text() == SECOND

    def _listed(self) -> bool:
        with _client(self._place, self._place.named, proxies={"https": self._place.proxy.url}) as client:
            for number in range(SEVERAL):
                client.set_secret(f"az-page-{number}", FIRST)
        names = {item["name"] for item in self._secret("list", **self._vault)}
        return {NAME, *(f"az-page-{number}" for number in range(SEVERAL))} <= names
