"""API keys with a prefix and a checksum, as GitHub's tokens have: a scanner knows one for sure, wherever it leaks.

`PREFIX_`, 30 random letters and digits, and the CRC-32 of those 30 in 6 digits of base62, with zeros in front. See
https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/. The digits are in the order 0-9, A-Z,
a-z, and the checksum leaves the prefix out: so it is in GitHub's own tokens (a test has one).
"""

from __future__ import annotations

import re
import string
import zlib
from random import Random

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_LENGTH, CHECKSUM_LENGTH = 30, 6  # 178 bits of randomness; 62 to the 6th is more than 2 to the 32nd

_KEY = re.compile(r"(?P<prefix>[A-Za-z][0-9A-Za-z]*(?:_[0-9A-Za-z]+)*_)[0-9A-Za-z]+", re.ASCII)
LONGEST = 256


def is_prefixed_key(text: str) -> bool:
    """Whether it has a prefix. Its checksum may be wrong: the first one is written by a person."""
    return len(text) <= LONGEST and _KEY.fullmatch(text) is not None


def checksum(drawn: str) -> str:
    """Of the random part."""
    number, digits = zlib.crc32(drawn.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits


def like(present: str, random: Random) -> str:
    """A new key with the prefix of the present one, for which `is_prefixed_key` holds."""
    prefix = present[: present.rindex("_") + 1]
    drawn = "".join(random.choice(DIGITS) for _ in range(RANDOM_LENGTH))
    return prefix + drawn + checksum(drawn)
