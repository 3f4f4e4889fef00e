"""The identity endpoint, the tokens and the certificates of one machine."""

import asyncio
import os
import ssl
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError, ManagedIdentityCredential
from azure.identity.aio import ManagedIdentityCredential as AioManagedIdentityCredential
from cryptography import x509

from local.certificates import Certificates, ensure
from local.identity import object_id
from local.tokens import SYSTEM_ASSIGNED_OID, TENANT, Flaw, TokenAuthority, TokenRefused
from local.vault import LocalVaults
from tests.integration.vault_fixtures import VAULT

VAULT_SCOPE = "https://vault.azure.net/.default"
ARM_SCOPE = "https://management.azure.com/.default"


def sync_token(scope: str, **options: Any) -> Any:
    with ManagedIdentityCredential(**options) as credential:
        return credential.get_token(scope)


async def test_both_credentials_get_a_token_for_any_resource(identity: None, authority: TokenAuthority) -> None:
    for scope in (VAULT_SCOPE, ARM_SCOPE, "https://graph.microsoft.com/.default"):
        audience = scope.removesuffix("/.default")
        sync = await asyncio.to_thread(sync_token, scope)
        async with AioManagedIdentityCredential() as credential:
            asynchronous = await credential.get_token(scope)
        for token in (sync, asynchronous):
            claims = authority.verify(token.token, audience)
            assert (claims["aud"], claims["oid"], claims["tid"]) == (audience, SYSTEM_ASSIGNED_OID, TENANT)
            assert claims["exp"] == pytest.approx(token.expires_on, abs=2)
            assert token.expires_on > time.time() + 23 * 3600


async def test_a_user_assigned_identity_gets_tokens_of_its_own(identity: None, authority: TokenAuthority) -> None:
    token = await asyncio.to_thread(sync_token, VAULT_SCOPE, client_id="my-client")
    async with AioManagedIdentityCredential(client_id="my-client") as credential:
        same = await credential.get_token(VAULT_SCOPE)

    for one in (token, same):
        claims = authority.verify(one.token, "https://vault.azure.net")
        assert (claims["appid"], claims["oid"]) == ("my-client", object_id("my-client"))


@pytest.mark.parametrize(
    ("parameter", "oid"), [("principal_id", "an-oid"), ("object_id", "an-oid"), ("mi_res_id", object_id("an-oid"))]
)
async def test_an_identity_is_named_by_object_or_resource_id_too(
    vaults: LocalVaults, authority: TokenAuthority, parameter: str, oid: str
) -> None:
    params = {"api-version": "2019-08-01", "resource": "r", parameter: "an-oid"}
    headers = {"X-IDENTITY-HEADER": vaults.env["IDENTITY_HEADER"]}
    async with (
        aiohttp.ClientSession() as http,
        http.get(vaults.env["IDENTITY_ENDPOINT"], params=params, headers=headers) as answer,
    ):
        body = await answer.json()

    assert authority.verify(body["access_token"], "r")["oid"] == oid
    assert body["resource"] == "r"
    assert body["token_type"] == "Bearer"


@pytest.mark.parametrize(
    ("header", "params", "status"),
    [
        ("wrong", {"api-version": "2019-08-01", "resource": "r"}, 401),
        (None, {"api-version": "2019-08-01", "resource": "r"}, 401),
        ("right", {"api-version": "2017-09-01", "resource": "r"}, 400),
        ("right", {"api-version": "2019-08-01"}, 400),
    ],
)
async def test_a_wrong_request_is_refused_in_the_endpoints_form(
    vaults: LocalVaults, header: str | None, params: dict[str, str], status: int
) -> None:
    right = {"right": vaults.env["IDENTITY_HEADER"]}
    headers = {} if header is None else {"X-IDENTITY-HEADER": right.get(header, header)}
    async with (
        aiohttp.ClientSession() as http,
        http.get(vaults.env["IDENTITY_ENDPOINT"], params=params, headers=headers) as answer,
    ):
        body = await answer.json()

    assert answer.status == body["statusCode"] == status
    assert body["message"]
    assert body["correlationId"]


async def test_credentials_with_a_wrong_header_fail_to_authenticate(
    identity: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")

    with pytest.raises(CredentialUnavailableError, match="401"):
        await asyncio.to_thread(sync_token, VAULT_SCOPE)
    async with AioManagedIdentityCredential() as credential:
        with pytest.raises(ClientAuthenticationError):
            await credential.get_token(VAULT_SCOPE)


@pytest.mark.parametrize(
    ("spoil", "flaw"),
    [
        (lambda authority: authority.issue("a", lifetime=-1), Flaw.EXPIRED),
        (lambda authority: authority.issue("b"), Flaw.AUDIENCE),
        (lambda authority: authority.issue("a", {"iss": "x"}), Flaw.ISSUER),
        (lambda _: TokenAuthority(b"y" * 32).issue("a"), Flaw.SIGNATURE),
        (lambda authority: authority.issue("a", {"oid": None}), Flaw.MALFORMED),
        (lambda _: "rubbish", Flaw.MALFORMED),
    ],
)
def test_a_token_is_refused_for_its_flaw(spoil: Callable[[TokenAuthority], str], flaw: Flaw) -> None:
    authority = TokenAuthority(b"x" * 32)
    token = spoil(authority)

    with pytest.raises(TokenRefused) as refused:
        authority.verify(token, "a")

    assert refused.value.flaw is flaw
    assert token not in str(refused.value)


def test_a_token_serves_one_of_several_audiences_with_a_slash_or_without() -> None:
    authority = TokenAuthority(b"x" * 32)

    claims = authority.verify(authority.issue("https://a/", {"roles": ["Rotation.Operator"]}), ("https://a", "app-id"))

    assert claims["roles"] == ["Rotation.Operator"]


def test_a_short_key_is_no_key() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        TokenAuthority(b"short")


def test_authorities_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "signing.key"
    with ThreadPoolExecutor(8) as pool:
        authorities = list(pool.map(lambda _: TokenAuthority.from_file(path), range(8)))

    token = authorities[0].issue("a")

    assert all(authority.verify(token, "a") for authority in authorities)
    assert [one.name for one in path.parent.iterdir()] == ["signing.key"]
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_default_context_that_is_told_to_be_strict_trusts_the_vault(
    vaults: LocalVaults, certificates: Certificates, host: str
) -> None:
    tls = ssl.create_default_context(cafile=certificates.ca)
    tls.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from 3.13 on
    port = vaults.urls[VAULT].rpartition(":")[2]

    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as http,
        http.get(f"https://{host}:{port}/secrets") as answer,
    ):
        assert answer.status == 401


async def test_the_authority_is_trusted_by_a_process_with_ssl_cert_file(
    vaults: LocalVaults, certificates: Certificates
) -> None:
    program = "import ssl, urllib.request as u, sys\ntry: u.urlopen(sys.argv[1])\nexcept Exception as e: print(e)"
    printed = {}
    for name, file in (("ours", str(certificates.ca)), ("none", os.devnull)):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, vaults.urls[VAULT] + "/secrets"),
            env={**os.environ, "SSL_CERT_FILE": file, "SSL_CERT_DIR": os.devnull},
            stdout=asyncio.subprocess.PIPE,
        )
        printed[name] = (await process.communicate())[0].decode()

    assert "401" in printed["ours"]
    assert "CERTIFICATE_VERIFY_FAILED" in printed["none"]


def test_the_authority_vouches_for_loopback_alone_and_its_key_is_kept_nowhere(certificates: Certificates) -> None:
    ca = x509.load_pem_x509_certificate(certificates.ca.read_bytes())
    constraints = ca.extensions.get_extension_for_class(x509.NameConstraints)

    assert constraints.critical
    allowed = {str(name.value) for name in constraints.value.permitted_subtrees or ()}
    assert allowed == {"localhost", "127.0.0.1/32", "::1/128"}
    assert {one.name for one in certificates.ca.parent.iterdir()} == {".lock", "ca.pem", "cert.pem", "key.pem"}
    assert certificates.key.stat().st_mode & 0o077 == 0


def test_certificates_are_used_again_while_they_are_sound(tmp_path: Path) -> None:
    first = ensure(tmp_path)
    content = first.cert.read_bytes()

    assert ensure(tmp_path) == first
    assert first.cert.read_bytes() == content


@pytest.mark.parametrize("spoiled", ["ca", "cert", "key"])
def test_certificates_that_do_not_belong_together_are_made_anew(tmp_path: Path, spoiled: str) -> None:
    ours, foreign = ensure(tmp_path / "ours"), ensure(tmp_path / "foreign")
    getattr(ours, spoiled).write_bytes(getattr(foreign, spoiled).read_bytes())

    again = ensure(tmp_path / "ours")

    context = ssl.create_default_context(cafile=again.ca)
    context.load_cert_chain(again.cert, again.key)
    ca, cert = (x509.load_pem_x509_certificate(path.read_bytes()) for path in (again.ca, again.cert))
    cert.verify_directly_issued_by(ca)


def test_certificates_about_to_run_out_are_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = ensure(tmp_path).cert.read_bytes()
    monkeypatch.setattr("local.certificates.RENEW_BEFORE", timedelta(days=900))

    assert ensure(tmp_path).cert.read_bytes() != content
