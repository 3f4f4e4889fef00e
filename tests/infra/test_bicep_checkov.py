"""checkov finds nothing in what is deployed but what is explained here, and each explanation is of something it finds.

It reads Bicep by pycep-parser, which it pins to a version that knows neither arrays of one type nor shared types. So it
is asked twice: for the files that it reads, and for what both examples deploy, as ARM templates (see `deployed`).
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.infra.bicep import INFRA, all_files
from tests.infra.deployed import deployed, template
from tests.infra.scanner import scan, unread

pytestmark = pytest.mark.thorough

PUBLIC = "small has no private network by intent: identities alone open it; the parameter network closes it"
NO_SITE = "taken for the app's own config, as every Microsoft.Web/sites/config is; authsettingsV2 has no such field"
HOST, LEDGER = "storageAccounts.hostStorage.account", "storageAccounts.ledgerStorage.account"
APP, SIGN_IN, VAULT = "sites.app.site", "config.app.signIn", "vaults.watchedVaults.vault.vault"
SMALL, BOTH = ("small",), ("small", "enterprise")

# (check, resource): in which examples, and why.
EXPLAINED: Mapping[tuple[str, str], tuple[tuple[str, ...], str]] = {
    ("CKV_AZURE_13", SIGN_IN): (BOTH, "looks for fields of authsettings, the first version"),
    ("CKV_AZURE_17", APP): (BOTH, "callers show a token of Entra; Event Grid has no certificate to show"),
    ("CKV_AZURE_35", HOST): (SMALL, PUBLIC),
    ("CKV_AZURE_35", LEDGER): (SMALL, PUBLIC),
    ("CKV_AZURE_36", LEDGER): (("enterprise",), "no service of Azure's has business there"),
    ("CKV_AZURE_43", HOST): (BOTH, "the name is worked out by Azure: 23 letters and digits at most"),
    ("CKV_AZURE_43", LEDGER): (BOTH, "the name is worked out by Azure: 24 letters and digits at most"),
    ("CKV_AZURE_59", HOST): (BOTH, "Disabled would keep out Event Grid's dead letters; all else is denied"),
    ("CKV_AZURE_59", LEDGER): (SMALL, PUBLIC),
    ("CKV_AZURE_63", SIGN_IN): (BOTH, NO_SITE),
    ("CKV_AZURE_65", SIGN_IN): (BOTH, NO_SITE),
    ("CKV_AZURE_66", SIGN_IN): (BOTH, NO_SITE),
    ("CKV_AZURE_78", APP): (BOTH, "Flex Consumption has no FTP, and takes no ftpsState"),
    ("CKV_AZURE_80", SIGN_IN): (BOTH, NO_SITE),
    ("CKV_AZURE_88", SIGN_IN): (BOTH, NO_SITE),
    ("CKV_AZURE_109", VAULT): (SMALL, PUBLIC),
    ("CKV_AZURE_189", VAULT): (SMALL, PUBLIC),
    ("CKV_AZURE_193", "topics.outcomes.topic"): (SMALL, PUBLIC),
    ("CKV_AZURE_206", HOST): (BOTH, "what its queue may lose, the next sweep asks for again"),
    ("CKV_AZURE_206", LEDGER): (SMALL, "three zones by default; ledgerStorageSku copies it to another region"),
    ("CKV_AZURE_212", APP): (BOTH, "looks for numberOfWorkers; Flex Consumption has alwaysReady"),
    ("CKV_AZURE_213", APP): (BOTH, "for plans that keep their instances; here they come and go, and alerts watch"),
    ("CKV_AZURE_222", APP): (BOTH, "Event Grid knows no private way; enterprise lets in its service tag alone"),
    ("CKV_AZURE_222", SIGN_IN): (BOTH, NO_SITE),
    ("CKV_AZURE_225", "serverfarms.app.plan"): (SMALL, "zones are a choice: zoneRedundant"),
}  # fmt: skip
# In the files themselves: what `closed ? … : …` will be, checkov does not work out. What the examples deploy tells.
UNDECIDED = {("CKV_AZURE_109", "vault.bicep", "vaults.vault"), ("CKV_AZURE_193", "outcome-topic.bicep", "topics.topic")}
CRASHES_ON_A_CHOICE = {("CKV_AZURE_189", "vault.bicep")}
# An array of one type, a shared type, a type of one's own.
NOT_IN_ITS_GRAMMAR = re.compile(r"^(?:import |@export\(\)|type |(?:param|output) \w+ \w+\[\])", re.MULTILINE)


def test_checkov_finds_nothing_in_what_the_examples_deploy_but_what_is_explained(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.json" for name in BOTH]
    for file in files:
        file.write_text(json.dumps(template(deployed(INFRA / f"{file.stem}.bicepparam"))))
    result = scan("arm", files)
    found = {(check, resource, Path(file).stem) for check, file, resource in result.failed}
    explained = {(*finding, example) for finding, (examples, _) in EXPLAINED.items() for example in examples}
    assert (found - explained, explained - found) == (set(), set())
    assert (result.parsing_errors, result.crashed) == (0, frozenset())
    assert result.resources > 70
    assert result.passed > 60


def test_checkov_finds_nothing_in_the_files_that_it_can_read_but_what_is_explained() -> None:
    files = [file.path for file in all_files()]
    beyond_it = unread(files)
    assert beyond_it == {path for path in files if NOT_IN_ITS_GRAMMAR.search(path.read_text())}
    result = scan("bicep", [path for path in files if path not in beyond_it])
    assert result.parsing_errors == 0
    assert result.failed == UNDECIDED
    assert result.crashed == CRASHES_ON_A_CHOICE
    assert result.passed > 0


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        (
            "small",
            ("actionGroups", "networkSecurityGroups", "privateDnsZones", "virtualNetworkLinks", "virtualNetworks"),
        ),
        ("enterprise", ("actionGroups", "workspaces")),
    ],
)
def test_what_checkov_is_shown_is_all_that_the_example_deploys(name: str, left_out: tuple[str, ...]) -> None:
    seen = {one.type for one in deployed(INFRA / f"{name}.bicepparam")}
    files = [file for file in all_files() if file.name != "modules/event-subscription.bicep"]  # comes with the code
    made = {one.type.partition("@")[0] for file in files for one in file.resources.values() if not one.existing}
    assert sorted(kind.rpartition("/")[2] for kind in made - seen) == sorted(left_out)
