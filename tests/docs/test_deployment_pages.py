"""What deploy.md and rights.md promise of Azure is what templates, the table of az and Azure's roles say.

Without a test is what nothing here can show: that Conditional Access or Privileged Identity Management
does as rights.md says. No stand-in of ours speaks for these products of Microsoft.
"""

import json
import re
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

import pytest

from tests.docs.az import TABLE
from tests.docs.commands import of
from tests.docs.said import ROOT
from tests.infra.compiled import PREVIEWS
from tests.infra.preview import Preview
from tests.infra.test_place import judged

DEPLOY, RIGHTS = ((ROOT / "docs" / name).read_text() for name in ("deploy.md", "rights.md"))
# Microsoft Learn, "Azure built-in roles for Security"; actions without "Microsoft.KeyVault/vaults/".
ROLES: dict[str, Any] = json.loads((ROOT / "tests" / "docs" / "key_vault_roles.json").read_text())
CREATE = "eventgrid system-topic event-subscription create"
WRITES = "secrets/setSecret/action"


def section(page: str, heading: str) -> str:
    """The text below a heading, up to the next of any rank."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def may(role: str, action: str) -> bool:
    return any(fnmatchcase(action, permitted) for permitted in ROLES[role]["dataActions"])


def readers() -> dict[str, list[str]]:
    """Who needs it -> the built-in roles of the row, from the page's table."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", section(RIGHTS, "Who else needs what"), re.MULTILINE)
    return {who: re.findall(r"\*(Key Vault [^*]+)\*", roles) for who, roles in rows if "*" in roles}


def test_the_events_by_hand_ask_for_no_dead_letters_since_az_has_no_identity_for_them() -> None:
    known = json.loads(TABLE.read_text())["commands"]
    assert "--deadletter-endpoint" in known[CREATE]["options"]
    assert "--deadletter-identity" not in known[CREATE]["options"], "az can do it by now: show it in deploy.md"
    shown = [words for words in of("az", ["deploy.md"]) if " ".join(words).startswith(f"az {CREATE}")]
    assert shown
    assert not any(word.startswith("--deadletter") for words in shown for word in words)
    assert "--deadletter-endpoint" in section(DEPLOY, "The events by hand"), "it says why not"


@pytest.mark.parametrize("name", PREVIEWS[:3])
def test_the_account_of_the_dead_letters_takes_no_shared_key_and_the_topics_identities_may_write_there(
    name: str,
) -> None:
    preview = Preview(name)
    (container,) = [
        one["id"]
        for one in preview.every("Storage/storageAccounts/blobServices/containers")
        if one["id"].endswith("/dead-letters")
    ]
    account = preview.one("Storage/storageAccounts", container.partition("/blobServices/")[0])
    assert account["properties"]["allowSharedKeyAccess"] is False
    writers = {right.who for right in preview.rights() if right.scope == container}
    topics = {one["id"] for one in preview.every("EventGrid/systemTopics")}
    assert topics, "each vault has one"
    assert topics <= writers


def test_the_environments_that_the_page_names_are_those_that_are_warned_of() -> None:
    """Step 3's own words, for each two environments that the page names; of one alone nothing is said."""
    text = section(DEPLOY, "Vaults")
    (listed,) = re.findall(r"more than one of ((?:\w+, )+\w+ and \w+)", text)
    names = re.split(r", | and ", listed)
    for first, second in pairwise(names):
        asked = [{"name": f"kv-orders-{name}", "resourceGroup": "rg"} for name in (first, second)]
        (warning,) = judged(*asked).warnings
        assert "one identity would reach more than one environment" in warning
        assert "Make a deployment for each: docs/deploy.md" in warning
        assert all(f"{name} (kv-orders-{name})" in warning for name in (first, second))
        assert judged(asked[0]).warnings == []
    assert "**One deployment for each environment.**" in text, "what the warning leads to"


def test_the_roles_that_the_page_names_are_azures_own_and_each_reader_gets_what_it_reads_and_writes_nothing() -> None:
    needs = {
        "an application that reads its secret": {"secrets/getSecret/action"},
        "an application that reads a certificate with its key": {"certificates/read", "secrets/getSecret/action"},
        "an application that signs or decrypts by a key": {"keys/sign/action", "keys/decrypt/action"},
    }
    table = readers()
    for who, actions in needs.items():
        (role,) = table.pop(who)
        assert all(may(role, action) for action in actions), who
        assert not may(role, WRITES), who
    ((_, roles),) = table.items()
    assert roles == ["Key Vault Secrets Officer"]
    assert may(roles[0], WRITES), "a person puts a secret under rotation"


def test_no_page_names_a_role_on_a_vaults_data_that_azure_does_not_have() -> None:
    pages = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
    named = {
        role
        for page in pages
        for role in re.findall(r"Key Vault (?:\w+ )?(?:User|Officer|Administrator)\b", page.read_text())
    }
    assert named == set(ROLES)


def test_a_deployment_gives_nobody_a_role_that_writes_secrets_but_the_apps_own() -> None:
    """Nobody needs Officer or Administrator all the time: neither do we."""
    standing = {ROLES[role]["id"] for role in ROLES if may(role, WRITES)}
    assert len(standing) == 2
    for name in PREVIEWS[:3]:
        given = {right.role for right in Preview(name).rights()}
        assert given
        assert not given & standing
    for path in sorted((ROOT / "infra").rglob("*")):
        if path.suffix in {".bicep", ".json", ".sh", ".py"}:
            assert not any(one in path.read_text() for one in standing), path
    assert "PIM" in section(RIGHTS, "Who else needs what")
