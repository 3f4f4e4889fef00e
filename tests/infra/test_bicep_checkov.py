"""checkov finds nothing in what is deployed but what is explained here, and all that is explained is found.

It is asked about what Azure's compiler previews, as templates. The files themselves are beyond its parser,
pycep-parser, which knows neither arrays of one type nor shared types.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.infra.compiled import PREVIEWS
from tests.infra.preview import Preview
from tests.infra.scanner import scan

pytestmark = pytest.mark.thorough

PUBLIC = "small has no private network by intent: identities alone open it; the parameter network closes it"
NO_SITE = "taken for the app's own config, as every Microsoft.Web/sites/config is; authsettingsV2 has no such field"
HOST, LEDGER, APP, SIGN_IN = "storageAccounts.host", "storageAccounts.ledger", "sites", "config"
ALL = PREVIEWS[:3]
OPEN = ("small", "made")  # to choices that enterprise made
SMALL, PRIVATE, EACH = ("small",), ("enterprise", "made"), ("small", "enterprise", "made")

# (check, resource): in which examples, and why.
EXPLAINED: Mapping[tuple[str, str], tuple[tuple[str, ...], str]] = {
    ("CKV_AZURE_13", SIGN_IN): (EACH, "looks for fields of authsettings, the first version"),
    ("CKV_AZURE_17", APP): (EACH, "callers show a token of Entra; Event Grid has no certificate to show"),
    ("CKV_AZURE_35", HOST): (SMALL, PUBLIC),
    ("CKV_AZURE_35", LEDGER): (SMALL, PUBLIC),
    ("CKV_AZURE_36", LEDGER): (PRIVATE, "no service of Azure's has business there"),
    ("CKV_AZURE_59", HOST): (EACH, "Disabled would keep out Event Grid's dead letters; all else is denied"),
    ("CKV_AZURE_59", LEDGER): (SMALL, PUBLIC),
    ("CKV_AZURE_63", SIGN_IN): (EACH, NO_SITE),
    ("CKV_AZURE_65", SIGN_IN): (EACH, NO_SITE),
    ("CKV_AZURE_66", SIGN_IN): (EACH, NO_SITE),
    ("CKV_AZURE_78", APP): (EACH, "Flex Consumption has no FTP, and takes no ftpsState"),
    ("CKV_AZURE_80", SIGN_IN): (EACH, NO_SITE),
    ("CKV_AZURE_88", SIGN_IN): (EACH, NO_SITE),
    ("CKV_AZURE_193", "topics"): (SMALL, PUBLIC),
    ("CKV_AZURE_206", HOST): (EACH, "what its queue may lose, the next sweep asks for again"),
    ("CKV_AZURE_206", LEDGER): (OPEN, "three zones by default; ledgerStorageSku copies it to another region"),
    ("CKV_AZURE_212", APP): (EACH, "looks for numberOfWorkers; Flex Consumption has alwaysReady"),
    ("CKV_AZURE_213", APP): (EACH, "for plans that keep their instances; here they come and go, and alerts watch"),
    ("CKV_AZURE_222", APP): (EACH, "Event Grid knows no private way; enterprise lets in its service tag alone"),
    ("CKV_AZURE_222", SIGN_IN): (EACH, NO_SITE),
    ("CKV_AZURE_225", "serverfarms"): (OPEN, "zones are a choice: zoneRedundant"),
}  # fmt: skip


def test_checkov_finds_nothing_in_what_is_previewed_but_what_is_explained(tmp_path: Path) -> None:
    files = {tmp_path / f"{name.rpartition('/')[2]}.json": name for name in ALL}
    for file, name in files.items():
        file.write_text(json.dumps(template(Preview(name))))
    result = scan(list(files))
    found = {(check, short(resource), Path(file).stem) for check, file, resource in result.failed}
    explained = {(*finding, example) for finding, (examples, _) in EXPLAINED.items() for example in examples}
    assert (found - explained, explained - found) == (set(), set())
    assert (result.parsing_errors, result.crashed) == (0, frozenset())
    assert result.resources > 150
    assert result.passed > 100


def template(preview: Preview) -> dict[str, Any]:
    """All that it deploys, as one template."""
    resources = [{key: value for key, value in one.items() if key != "id"} for one in preview.resources]
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "resources": resources,
    }


def short(resource: str) -> str:
    """`Microsoft.Storage/storageAccounts.stlkeyturn…` -> `storageAccounts.ledger`: accounts by their names."""
    kind, _, name = resource.removeprefix("Microsoft.").partition(".")
    last = kind.rpartition("/")[2]
    if last != "storageAccounts":
        return last
    return f"{last}.{'ledger' if name.startswith('stl') else 'host'}"
