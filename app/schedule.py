"""When the sweep runs: a schedule that the timer trigger runs, and runs as it looks.

The Functions host reads it with NCrontab. What that refuses switches the sweep off with one line in the log, and some
of what it takes it reads otherwise than one would think: such a schedule is refused here, with the reason
(CrontabField.cs of atifaziz/NCrontab; TimerSchedule.cs of Azure/azure-webjobs-sdk-extensions).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rotation.errors import Misconfigured

SETTING = "ROTATION_SWEEP_SCHEDULE"
_MONTHS = "january february march april may june july august september october november december"
_DAYS = "sunday monday tuesday wednesday thursday friday saturday"
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # a leap year comes
_PART = re.compile(r"(\*|(?P<first>[0-9]{1,2}|[A-Za-z]+)(-(?P<last>[0-9]{1,2}|[A-Za-z]+))?)(/(?P<step>[0-9]{1,10}))?")


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("seconds", 0, 59),
    _Field("minutes", 0, 59),
    _Field("hours", 0, 23),
    _Field("days of the month", 1, 31),
    _Field("months", 1, 12, tuple(_MONTHS.split())),
    _Field("days of the week", 0, 6, tuple(_DAYS.split())),
)


def checked(text: str) -> str:
    """The schedule as it was given, if it has six fields that mean what they say.

    Raises:
        Misconfigured: of the field ROTATION_SWEEP_SCHEDULE.
    """
    written = [part for part in text.split(" ") if part]
    if len(written) != len(_FIELDS):
        raise Misconfigured(
            "ROTATION_SWEEP_SCHEDULE has six fields with blanks between, seconds first, "
            'such as "0 0 * * * *" for every hour',
            field=SETTING,
        )
    *_, days, months, weekdays = (_values(field, one) for field, one in zip(_FIELDS, written, strict=True))
    if len(days) < _FIELDS[3].most and len(weekdays) <= _FIELDS[5].most:
        raise Misconfigured(
            "ROTATION_SWEEP_SCHEDULE names days of the month and days of the week, and Azure runs it only "
            "where both fit: write * for one of them",
            field=SETTING,
        )
    if all(min(days) > _LONGEST[month - 1] for month in months):
        raise Misconfigured("ROTATION_SWEEP_SCHEDULE names a day that never comes: no such month has it", field=SETTING)
    return text


def _values(field: _Field, text: str) -> frozenset[int]:
    """Every value that a field means."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise _unreadable(field)
        first, last, step = match["first"], match["last"], match["step"]
        every = int(step or 1)
        if not 1 <= every <= field.most - field.least + 1:
            raise Misconfigured(
                f"ROTATION_SWEEP_SCHEDULE: a step in its {field.name} is 0 or goes past the field, "
                f"and Azure takes it for another: write 1 to {field.most - field.least + 1}",
                field=SETTING,
            )
        start = field.least if first is None else _value(field, first)
        # With a step a single value runs to the field's end.
        end = _value(field, last) if last is not None else start if first is not None and step is None else field.most
        if start > end:
            raise Misconfigured(
                f"ROTATION_SWEEP_SCHEDULE: a range in its {field.name} runs backwards, "
                "and Azure takes it the other way round: write two, as hours 22-23,0-2",
                field=SETTING,
            )
        found.update(range(start, end + 1, every))
    return frozenset(found)


def _value(field: _Field, text: str) -> int:
    if text.isdigit():
        if not field.least <= int(text) <= field.most:
            raise _unreadable(field)
        return int(text)
    name = text.lower()
    for number, whole in enumerate(field.names, start=field.least):
        if name in {whole, whole[:3]}:
            return number
    if any(whole.startswith(name) for whole in field.names):
        raise Misconfigured(
            f"ROTATION_SWEEP_SCHEDULE: a name in its {field.name} is a part of one, "
            "and Azure takes the first that begins so: write the whole name or its first three letters",
            field=SETTING,
        )
    raise _unreadable(field)


def _unreadable(field: _Field) -> Misconfigured:
    names = ", or English names" if field.names else ""
    return Misconfigured(
        f"ROTATION_SWEEP_SCHEDULE: its {field.name} are numbers from {field.least} to {field.most}{names}, "
        "written as *, 5, 1-5, 1,3 or */2",
        field=SETTING,
    )
