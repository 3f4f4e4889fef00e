"""When a rule lets rotations happen: "Sat,Sun 01:00-05:00 Europe/Berlin".

A window is open when the clock on the wall of its zone shows a time within it. So it is exact across changes of the
clocks: an hour that comes twice counts twice, one that is left out not at all. A window that lies wholly in the hour
left out does not open that night. `deferral_of` in `rotation.engine.decision` holds a rotation back.
"""

import os
import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from rotation.frozen import Frozen

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = timedelta(days=1)
# Today's may be over, and a weekly window can fall into an hour (in Samoa 2011, a day) that is left out, but not in two
# weeks running: so it opens in two weeks at the latest.
LOOK_AHEAD_DAYS = 15
SYSTEM_ZONES = "/usr/share/zoneinfo"
ZONE_BEGINS = b"TZif"  # RFC 8536, 3.1

_FORM = (
    r"(?:(?P<days>[a-z]{3}(?:[,-][a-z]{3})*)\s+)?"
    r"(?P<opens>[0-9]{2}:[0-9]{2})-(?P<closes>[0-9]{2}:[0-9]{2})\s+(?P<zone>[a-z0-9_+/-]+)"
)


class Window(Frozen):
    """Days 0 (Monday) to 6 on which it opens; opening and closing in minutes after midnight on the zone's clock.

    It closes on the next day where `closes` is not later than `opens`. 1440 is the midnight that ends the day.
    """

    days: frozenset[int]
    opens: int
    closes: int
    zone_name: str

    @property
    def zone(self) -> tzinfo:
        """Loaded when somebody asks for the time, which a start does not."""
        return _zone(self.zone_name)

    def contains(self, moment: datetime) -> bool:
        """Whether it is open at `moment` (aware)."""
        local = moment.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        if self.opens < self.closes:
            return local.weekday() in self.days and self.opens <= minute < self.closes
        yesterday = (local.weekday() - 1) % 7
        return (local.weekday() in self.days and minute >= self.opens) or (
            yesterday in self.days and minute < self.closes
        )

    def next_open(self, moment: datetime) -> datetime:
        """The first moment, from `moment` (aware) on, at which it is open; in UTC."""
        if self.contains(moment):
            return moment.astimezone(UTC)
        # It can only open when the clock reaches its opening time, or jumps over it when the clocks are changed.
        first = moment.astimezone(self.zone).replace(second=0, microsecond=0)
        openings = []
        for day in range(LOOK_AHEAD_DAYS):
            local = first + day * DAY
            opening = local.replace(hour=self.opens // 60, minute=self.opens % 60)
            openings += [opening.astimezone(UTC), opening.replace(fold=1).astimezone(UTC)]
            openings += self._changes(local.astimezone(UTC), (local + DAY).astimezone(UTC))
        return min(opening for opening in openings if opening >= moment and self.contains(opening))

    def _changes(self, start: datetime, end: datetime) -> list[datetime]:
        """The moment between two (at most a day apart) at which the zone's clocks are changed, where they are."""

        def offset(at: datetime) -> timedelta | None:
            return at.astimezone(self.zone).utcoffset()

        before = offset(start)
        if before == offset(end):
            return []
        while end - start > timedelta(seconds=1):
            middle = start + timedelta(seconds=(end - start) // timedelta(seconds=2))
            start, end = (middle, end) if offset(middle) == before else (start, middle)
        return [end]


def parse_window(text: str) -> Window:
    """A window from its text: optional days (`Mon-Fri`, `Sat,Sun`; none: every day), times, a zone.

    Raises:
        ValueError: its one line says what is wrong and how to write it.
    """
    form = re.fullmatch(_FORM, text.strip(), re.IGNORECASE | re.ASCII)
    if form is None:
        raise ValueError('a window reads "Sat,Sun 01:00-05:00 Europe/Berlin" or "22:00-04:00 UTC"')
    opens, closes = _minute(form["opens"]), _minute(form["closes"])
    if opens == 24 * 60:
        raise ValueError("a window can't open at 24:00; write 00:00 and the day after")
    if opens == closes:
        raise ValueError("a window that closes when it opens is never open; write 00:00-24:00 for the whole day")
    return Window(_days(form["days"]), opens, closes, _known_zone(form["zone"]))


def _minute(text: str) -> int:
    hour, minute = int(text[:2]), int(text[3:])
    if minute > 59 or hour * 60 + minute > 24 * 60:  # noqa: PLR2004  a clock face
        raise ValueError(f"{text} is no time of day; write 00:00 to 24:00")
    return hour * 60 + minute


def _days(text: str | None) -> frozenset[int]:
    if text is None:
        return frozenset(range(7))
    days: set[int] = set()
    for part in text.lower().split(","):
        names = part.split("-")
        if len(names) > 2 or not set(DAYS).issuperset(names):  # noqa: PLR2004  a range has two ends
            raise ValueError(
                f"{part} is no day and no range of days; write Mon, Tue, Wed, Thu, Fri, Sat, Sun or Mon-Fri"
            )
        first, last = DAYS.index(names[0]), DAYS.index(names[-1])
        days |= {(first + n) % 7 for n in range((last - first) % 7 + 1)}  # Fri-Mon goes round the weekend
    return frozenset(days)


def _known_zone(name: str) -> str:
    """The name, where there is such a zone. Most often a look at the system's own file tells it without the library."""
    if _has_file(name):
        return name
    try:
        _zone(name)
    except (KeyError, ValueError, OSError):  # not there; not a name; a folder of zones such as "Europe"
        raise ValueError(f'there is no time zone {name}; write one such as "Europe/Berlin", or UTC') from None
    return name


def _has_file(name: str) -> bool:
    """Whether the library would read this zone from the system: there, by its plain name, and a zone's file."""
    if "PYTHONTZPATH" in os.environ or name.startswith("/") or "//" in name:
        return False
    try:
        with open(f"{SYSTEM_ZONES}/{name}", "rb") as file:  # noqa: PTH123  as in the policy's reading
            return file.read(len(ZONE_BEGINS)) == ZONE_BEGINS
    except OSError:
        return False


@lru_cache
def _zone(name: str) -> tzinfo:
    if name.upper() == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415  5 ms, which a start does not need

    return ZoneInfo(name)
