"""When a cron schedule fires. Pure.

The API server has let only schedules in that can be read. Steps in absolute time, so that an hour
that the clock leaves out does not fire and one that it repeats fires twice.
Upstream: robfig/cron v3 (parser.go, spec.go, constantdelay.go).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

MONTHS: Final = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS: Final = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
YEARS_MAX: Final = 5  # A schedule that does not fire so long never does; spec.go Next.
UNIT_SECONDS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
# Windows to look for the last firing in: frequent schedules are found in the first.
_WINDOWS: Final = tuple(timedelta(hours=h) for h in (1, 24, 24 * 32, 24 * 367))
MISSED_MAX: Final = 100  # More missed firings than this are worth a warning.


class Field(NamedTuple):
    values: frozenset[int]
    is_star: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    minutes: Field
    hours: Field
    days: Field
    months: Field
    weekdays: Field
    zone: tzinfo = UTC

    def next(self, after: datetime) -> datetime | None:
        """The first firing after a moment, in UTC."""
        moment = after.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        limit = moment + timedelta(days=366 * YEARS_MAX)
        while moment < limit:
            local = moment.astimezone(self.zone)
            if local.month not in self.months.values:
                moment = _midnight(local.replace(day=1) + timedelta(days=32), first=True)
            elif not self._is_day(local):
                moment = _midnight(local + timedelta(days=1))
            elif local.hour not in self.hours.values:
                moment += timedelta(minutes=60 - local.minute)
            elif local.minute not in self.minutes.values:
                moment += timedelta(minutes=1)
            else:
                return moment
        return None

    def _is_day(self, local: datetime) -> bool:
        """Day of month and of week: both where one is a star, else either."""
        by_month = local.day in self.days.values
        by_week = local.isoweekday() % 7 in self.weekdays.values
        if self.days.is_star or self.weekdays.is_star:
            return by_month and by_week
        return by_month or by_week


@dataclass(frozen=True, slots=True)
class Every:
    """`@every 1h30m`, at least a second."""

    delay: timedelta

    def next(self, after: datetime) -> datetime | None:
        return (after + self.delay).replace(microsecond=0)


def _midnight(local: datetime, *, first: bool = False) -> datetime:
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return (day.replace(day=1) if first else day).astimezone(UTC)


def parse(text: str, zone: tzinfo = UTC) -> Schedule | Every:
    """Raises ValueError."""
    text = text.strip()
    if text.startswith("@every "):
        return Every(timedelta(seconds=max(int(_duration(text.removeprefix("@every "))), 1)))
    words = DESCRIPTORS.get(text, text).split()
    if len(words) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(words)}: [{' '.join(words)}]")
    minute, hour, day, month, weekday = words
    return Schedule(
        _field(minute, 0, 59),
        _field(hour, 0, 23),
        _field(day, 1, 31),
        _field(month, 1, 12, MONTHS),
        _field(weekday, 0, 6, DAYS),
        zone,
    )


def _duration(text: str) -> float:
    parts = re.findall(r"(\d+\.?\d*|\.\d+)([a-zµμ]+)", text.lstrip("+"))
    if not parts or any(unit not in UNIT_SECONDS for _, unit in parts):
        raise ValueError(f"failed to parse duration @every {text}")
    return sum(float(number) * UNIT_SECONDS[unit] for number, unit in parts)


def _field(text: str, low: int, high: int, names: list[str] | None = None) -> Field:
    values: set[int] = set()
    star = False
    for part in text.split(","):
        span, _, step_text = part.partition("/")
        step = int(step_text or 1)
        first, _, last = span.partition("-")
        if first in ("*", "?"):
            begin, end = low, high
            star = star or step == 1
        else:
            begin = _number(first, low, names)
            end = _number(last, low, names) if last else high if step_text else begin
        values.update(range(begin, end + 1, step))
    return Field(frozenset(values), star)


def _number(text: str, low: int, names: list[str] | None) -> int:
    if names is not None and text.lower() in names:
        return names.index(text.lower()) + low
    return int(text)


class Due(NamedTuple):
    at: datetime | None  # The last firing, None when there was none.
    missed: int  # Firings up to now; more than MISSED_MAX are not counted on.


def last_firing(schedule: Schedule | Every, since: datetime, now: datetime) -> Due:
    """The last firing after `since`, not after `now`. Source: mostRecentScheduleTime."""
    found, missed = _walk(schedule, since, now, MISSED_MAX + 1)
    if missed <= MISSED_MAX:
        return Due(found, missed)
    if isinstance(schedule, Every):
        return Due(since + (now - since) // schedule.delay * schedule.delay, missed)
    for window in _WINDOWS:
        latest, _ = _walk(schedule, max(now - window, since), now, None)
        if latest is not None:
            return Due(latest, missed)
    return Due(found, missed)


def _walk(
    schedule: Schedule | Every, since: datetime, now: datetime, most: int | None
) -> tuple[datetime | None, int]:
    found, count = None, 0
    moment = schedule.next(since)
    while moment is not None and moment <= now:
        found, count = moment, count + 1
        if count == most:
            break
        moment = schedule.next(moment)
    return found, count
