"""Each row of the table of forms in docs/using.md is true."""

from pathlib import Path

import pytest

from rotation.errors import Unusable
from rotation.formats import FORMATS, read
from rotation.model import SecretValue

PAGE = Path(__file__).parents[2] / "docs" / "using.md"
BY_THE_TAG = ", by the tag"


def rows() -> list[tuple[str, str, str]]:
    """-> value, what it is understood as ("" where it is refused), note."""
    table = PAGE.read_text().partition("| value | understood as |")[2].partition("\n\n")[0].splitlines()[2:]
    found = []
    for line in table:
        value, form, note = (cell.strip() for cell in line.strip().strip("|").split(" | "))
        text = value.strip("`").replace("⏎", "\n").replace("\\ufeff", "\ufeff")
        found.append((text, "" if form == "refused" else form.replace("`", ""), note))
    return found


ROWS = rows()


def test_the_table_is_long_and_has_each_form() -> None:
    assert len(ROWS) >= 60
    assert {form.removesuffix(BY_THE_TAG) for _, form, _ in ROWS if form} == set(FORMATS)


@pytest.mark.parametrize(("text", "form"), [(text, form) for text, form, _ in ROWS if form])
def test_what_the_table_says_is_understood_is(text: str, form: str) -> None:
    name = form.removesuffix(BY_THE_TAG)
    value = read(SecretValue(text), name if form.endswith(BY_THE_TAG) else None)
    assert value.name == name
    assert value.password.reveal() in text or value.password.reveal() in {"p@ss", 'p;w"x'}
    assert value.with_login(value.password).reveal()
    assert read(SecretValue(text), name) == value


@pytest.mark.parametrize(("text", "note"), [(text, note) for text, form, note in ROWS if not form])
def test_what_the_table_says_is_refused_is_with_a_remedy(text: str, note: str) -> None:
    with pytest.raises(Unusable) as refused:
        read(SecretValue(text))
    assert refused.value.field in {"value", "format"}
    assert "\n" not in refused.value.message
    assert note != "–"  # noqa: RUF001  the dash of an empty cell
    for secret in ("pw", "p@ss:w0rd#2", "s3cret", "b2xkLWtleQ==", "a2V5", "abc%3D"):
        assert secret not in refused.value.message.split()
