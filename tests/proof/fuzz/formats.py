"""What must hold of every text that may stand in a secret, whichever format it is taken for.

Either it is refused with one line that shows nothing of it, or another password can be written into it, unless a copy
of the old one would stay behind: then that is the password that is read again, and nothing else has changed.
"""

import time

from rotation.errors import Unusable
from rotation.formats import FORMATS, Value, read
from rotation.model import SecretValue
from tests.proof.fuzz.said import told_well

NAMES = (None, *FORMATS)
NEW = "N3w'p:w\"{}\\/@ =&%?é"
UNQUOTED = "bmV3LWtleQ=="  # what a key of Azure Storage may be
LONGEST_S = 0.5  # of this process's own time: more would keep every other secret waiting


def check(text: str, name: str | None) -> bool:
    """Hold one text against the promises -> whether it was read.

    Raises:
        AssertionError: a promise is broken.
    """
    began = time.process_time()
    try:
        value = read(SecretValue(text), name)
    except Unusable as refusal:
        _told_well(refusal, text)
        return False
    finally:
        assert time.process_time() - began < LONGEST_S, f"reading takes {time.process_time() - began:.1f} s"
    assert name in {None, value.name}
    _takes_another_password(value, text)
    return True


def _told_well(refusal: Unusable, text: str) -> None:
    told_well(refusal)
    assert refusal.field in {"value", "format"}
    assert len(text) < len(NEW) or text not in refusal.message


def _takes_another_password(value: Value, text: str) -> None:
    changed = _written(value)
    if changed is None:
        return
    again = read(changed, value.name)
    assert again.user == value.user, "the user changed"
    assert again.hosts == value.hosts, "the hosts changed"
    assert again.dbname == value.dbname, "the database changed"
    assert again.options == value.options, "an option changed"
    places = [*value.password_places, *(one.place for one in value.nested)]
    first, last = min(place.start for place in places), max(place.end for place in places)
    assert changed.reveal().startswith(text[:first]), "what stands before the password changed"
    assert changed.reveal().endswith(text[last:]), "what stands after the password changed"


def _written(value: Value) -> SecretValue | None:
    for new in (NEW, UNQUOTED):
        try:
            changed = value.with_login(SecretValue(new))
        except Unusable as refusal:
            if "another part of the value" in refusal.message:  # a copy, which nobody can rewrite
                told_well(refusal)
                return None
            continue  # a key that no quotes can stand around
        assert read(changed, value.name).password.reveal() == new, "another password is read than was written"
        return changed
    raise AssertionError("no password can be written into it")
