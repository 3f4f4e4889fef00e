"""Whatever the app says, docs/troubleshooting.md knows it; and it knows nothing that the app does not say."""

import re
from pathlib import Path

from tests.docs.said import BLANK, ROOT, SHORTEST, own, sentences, shown_as

PAGE = ROOT / "docs" / "troubleshooting.md"
# A kind of rotator may bring a page of its own, in its folder, for what it alone says.
OF_KINDS = tuple(sorted((ROOT / "rotation" / "rotators").rglob("troubleshooting.md")))
# Messages that are mostly somebody else's sentence: the page tells their form in words.
FORMS = {"…:…: ……"}


def rows(heading: str = "it says") -> list[list[str]]:
    """Cells of the tables whose first column is headed so."""
    found, inside = [], False
    for line in "\n\n".join(page.read_text() for page in (PAGE, *OF_KINDS)).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == heading:
            inside = True
        elif inside and not set(line) <= set("|-"):
            found.append(cells)
    return found


def quoted() -> list[str]:
    """The texts that the page says are ours."""
    first = " ".join(row[0] for row in rows())
    return [double.strip() or single for double, single in re.findall(r"``(.+?)``|`(.+?)`", first)]


def test_each_row_has_a_cause_and_a_cure() -> None:
    for heading in ("it says", "the vault says", "what you see"):
        found = rows(heading)
        assert found, heading
        for row in found:
            assert len(row) == 4, row
            assert row[1], row[0]
            assert row[2] or row[3] or "above" in row[1], row[0]


def test_the_page_knows_whatever_the_app_can_say() -> None:
    known = [shown_as(text) for text in quoted() if len(own(text)) >= SHORTEST]
    unknown = [
        f"{sentence.place}: {sentence.text}"
        for sentence in sentences()
        if sentence.text not in FORMS and not any(pattern.fullmatch(sentence.text) for pattern in known)
    ]
    assert unknown == []


def test_the_page_tells_of_nothing_that_the_app_does_not_say() -> None:
    said = [sentence.text for sentence in sentences()]
    outcomes = {"tags_lost", "unmanaged", "rotator", "…:…: …"}
    invented = [
        text for text in quoted() if text not in outcomes and not any(shown_as(text).fullmatch(one) for one in said)
    ]
    assert invented == []


def test_no_text_of_the_page_is_so_short_that_it_fits_anything() -> None:
    assert [text for text in quoted() if len(own(text)) < SHORTEST and text not in {"rotator", "…:…: …"}] == []


def test_all_kinds_of_errors_are_read_from_the_sources() -> None:
    said = {sentence.text for sentence in sentences()}
    assert len(said) > 150
    assert "there is no role … at …: CREATE ROLE ... LOGIN makes it" in said  # a class of one module
    assert any(text.startswith("the vault forbids it: ") for text in said)  # one of several, in a table
    assert any(text.startswith("validity-days …") for text in said)  # kept, and raised elsewhere
    assert BLANK not in own(BLANK)


def test_the_vaults_own_words_that_the_local_vault_speaks_are_there() -> None:
    page = PAGE.read_text()
    spoken = Path(ROOT / "local" / "vault" / "errors.py").read_text()
    for words in (
        "Caller is not authorized to perform action on resource.",
        "is currently in a deleted but recoverable",
        "Secret is currently being deleted.",
        "Secret is currently being recovered.",
        "Client address is not authorized and caller is not a trusted service",
        "Connection is not an approved private link",
        "ForbiddenByPolicy",
    ):
        assert words in spoken
        assert words.removeprefix("is ") in page


def test_each_row_has_one_message() -> None:
    for heading in ("it says", "the vault says"):
        for row in rows(heading):
            assert "<br>" not in row[0], row[0]
            texts = [double or single for double, single in re.findall(r"``(.+?)``|`(.+?)`", row[0])]
            assert len([text for text in texts if " " in text]) <= 1, row[0]
    assert [cell for line in PAGE.read_text().splitlines() for cell in line.split(" | ") if cell == "likewise"] == []
