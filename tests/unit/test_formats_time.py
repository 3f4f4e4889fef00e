"""No value takes long, whoever made it: each reader looks at each character a few times."""

import time

import pytest

from rotation.errors import Unusable
from rotation.formats import FORMATS, read
from rotation.model import SecretValue

MAX_BYTES = 25_600
LONGEST_S = 0.25  # of this process's own time; 0.05 on a machine that is not busy, and it took 27 once
BEGINNINGS = (
    "", "postgresql://", "postgresql://app:pw@", "postgresql://app:pw@h/d?", "host=h user=u password=",
    "host=h user=u password='", "host=", "Host=h;Username=u;Password=pw;", 'Host=h;Username=u;Password="', "Host=",
    "Driver={PostgreSQL Unicode};Server=h;Uid=u;Pwd={", "jdbc:postgresql://", "jdbc:postgresql://h/d?user=u&password=",
    '{"password":"', '{"password":"pw","a":"', '{"password":"pw",', "AccountName=app;AccountKey=", "eyJ", "A=",
)  # fmt: skip
REPEATED = (
    " ", "\t", "=", ";", "; ", ";=", "x;=a", "a=b;", "a=b ", "a=b&", "1", ",", "h:1,", "[::1],", "/", "%", "@", ":",
    "{", "}", '"', "'", "\\", "\\'", ".", "a.", "AccountName=a;", "password=a ", "Password=a;", '"a":"b",', "\u00a0",
    "[", "host:1,password=", "= ", "=tcp",
)  # fmt: skip
ENDINGS = ("", "x", '"}', "=")


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_value_of_many_like_characters_is_read_or_refused_at_once(beginning: str) -> None:
    for repeated in REPEATED:
        for ending in ENDINGS:
            text = beginning + repeated * (MAX_BYTES // len(repeated.encode()))
            taken = time_of(text.encode()[: MAX_BYTES - len(ending)].decode(errors="ignore") + ending, None)
            assert taken < LONGEST_S, (beginning, repeated, ending)


@pytest.mark.parametrize("name", FORMATS)
def test_a_tag_makes_it_no_slower(name: str) -> None:
    for text in (" " * 3500 + "x;=a", "AccountName=a;" * 1800, "a" * MAX_BYTES, "x;=a" * 6400):
        assert time_of(text, name) < LONGEST_S


@pytest.mark.parametrize("one", ['"k%d":"Host=h;Password=p",', '"k%d":"x;=a",', '"k%d":1,'])
def test_a_json_object_of_thousands_of_fields_is_refused_before_each_is_looked_at(one: str) -> None:
    text = '{"password":"p",' + "".join(one % number for number in range(800)) + '"host":"h"}'
    with pytest.raises(Unusable, match="more than 200 fields"):
        read(SecretValue(text))


def time_of(text: str, name: str | None) -> float:
    began = time.process_time()
    try:
        value = read(SecretValue(text), name)
        value.with_login(SecretValue("New-password_1"))
    except Unusable:
        pass
    return time.process_time() - began
