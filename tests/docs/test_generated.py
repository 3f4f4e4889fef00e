"""docs/using.md lists what `generated` makes, as it makes it."""

import base64
import re
from random import Random

from rotation.rotators.generated import FORMS
from tests.docs.said import ROOT

SECTION = (ROOT / "docs" / "using.md").read_text().partition("## What `generated` makes")[2].partition("\n## ")[0]
ROWS = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", SECTION, re.MULTILINE))


def test_each_format_has_its_row_and_no_other() -> None:
    assert list(ROWS) == list(FORMS)


def test_a_new_value_is_as_long_and_of_the_characters_that_its_row_says() -> None:
    for name, row in ROWS.items():
        value = FORMS[name].make(Random(1))
        (count,) = re.findall(r"(\d+) random bytes", row)
        if "hexadecimal" in row:
            assert len(bytes.fromhex(value)) == int(count)
        elif "for URLs" in row:
            assert len(base64.urlsafe_b64decode(value + "=")) == int(count)
        else:
            assert len(base64.b64decode(value, validate=True)) == int(count)
        for said in re.findall(r"^(\d+) (?:characters|hexadecimal)", row):
            assert len(value) == int(said)
