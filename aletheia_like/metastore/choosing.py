"""Which version is meant: the newest, a number, an alias, an exact date, or as of a date."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard, get_args

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.model.records import VersionRecord

Match = Literal["exact", "asof"]
Version = int | str | dt.date | None
"""A number, an alias, a date as ISO text, date or datetime; None is the newest."""

_BEGINS_AS_DATE = re.compile(r"\d")
_SHOWN = 10


class NoSuchLabelError(NotFoundError, InvalidValueError):
    """A text is neither an alias that was set nor a date, and nobody knows which was meant."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What can be chosen from.

    Attributes:
        what: How people call the name, for messages: `artifact 'features'`.
        records: Every version, in any order.
        aliases: Numbers of versions by their aliases.
    """

    what: str
    records: Sequence[VersionRecord]
    aliases: Mapping[str, int]


def check_match(version: Version, match: str) -> None:
    """Refuse what makes no sense whatever versions there are, before anything is read.

    Raises:
        InvalidValueError: `match` is unknown, or `asof` does not go with a date.
    """
    if match not in get_args(Match):
        message = f"match is 'exact' or 'asof', not {match!r}"
        raise InvalidValueError(message)
    if isinstance(version, bool) or not isinstance(version, int | str | dt.date | None):
        kind = type(version).__name__
        message = f"a version is a number, an alias or a date, not {kind}: {version!r:.80}"
        raise InvalidValueError(message)
    if match != "asof":
        return
    if version is None or isinstance(version, int):
        message = f"match='asof' goes with a date, not with version={version!r}"
        raise InvalidValueError(message)
    moment_of(version)


def moment_of(date: str | dt.date) -> dt.datetime:
    """Return a moment in UTC; without a zone, UTC is meant, and without a time, midnight.

    Raises:
        InvalidValueError: It is no date, or a text that is none in the form of ISO 8601.
    """
    if isinstance(date, str):
        try:
            date = dt.datetime.fromisoformat(date)
        except ValueError as error:
            message = f"{date!r} is no date: write it as 2026-01-31T12:30:00"
            raise InvalidValueError(message) from error
    given: object = date
    if not isinstance(given, dt.date):
        message = f"a date is a text, date or datetime, not {type(given).__name__}: {given!r:.80}"
        raise InvalidValueError(message)
    if not isinstance(date, dt.datetime):
        date = dt.datetime.combine(date, dt.time.min)
    return date.replace(tzinfo=dt.UTC) if date.tzinfo is None else date.astimezone(dt.UTC)


def check_number(number: int) -> int:
    """Return the number of a version.

    Raises:
        InvalidValueError: It is something else.
    """
    given: object = number
    if isinstance(given, bool) or not isinstance(given, int):
        kind = type(given).__name__
        message = f"the version is a whole number here, not {kind}: {given!r:.80}"
        raise InvalidValueError(message)
    return number


def choose(
    candidates: Candidates, version: Version, match: str, now: dt.datetime
) -> VersionRecord:
    """Return the version that is meant.

    Args:
        candidates: What there is.
        version: Number, alias or date; None for the newest.
        match: `asof` takes the newest of that date or before.
        now: Versions that have expired by then are not the newest, nor as of a date.

    Raises:
        NotFoundError: There is no such version, or all that could be meant have expired.
        InvalidValueError: It is no version, or `asof` does not go with it.
    """
    check_match(version, match)
    if match == "asof" and _is_date(version):
        return _as_of(candidates, moment_of(version), now)
    match version:
        case None:
            return _newest(candidates, now)
        case int():
            return _numbered(candidates, version)
        case str() if version in candidates.aliases:
            return _numbered(candidates, candidates.aliases[version])
        case str() if version.isdecimal():
            message = f"{version!r} is a text: the version of this number is {int(version)}"
            raise InvalidValueError(message)
        case str() if not _BEGINS_AS_DATE.match(version):
            known = ", ".join(map(repr, sorted(candidates.aliases))) or "none"
            message = (
                f"{version!r} is neither an alias of {candidates.what} nor a date: its aliases "
                f"are {known}, and a date is written as 2026-01-31T12:30:00"
            )
            raise NoSuchLabelError(message)
    return _dated(candidates, moment_of(version))


def _is_date(version: Version) -> TypeGuard[str | dt.date]:
    return isinstance(version, str | dt.date)


def is_live(record: VersionRecord, now: dt.datetime) -> bool:
    """Whether a version has not expired."""
    return record.expires_at is None or record.expires_at > now


def _newest(candidates: Candidates, now: dt.datetime) -> VersionRecord:
    live = [one for one in candidates.records if is_live(one, now)]
    if not live:
        message = (
            f"every version of {candidates.what} has expired: they are {_shown(candidates)}, "
            "and each can be had by its number"
        )
        raise NotFoundError(message)
    return max(live, key=lambda one: one.version)


def _numbered(candidates: Candidates, number: int) -> VersionRecord:
    for one in candidates.records:
        if one.version == number:
            return one
    message = f"no version {number} of {candidates.what}: there are {_shown(candidates)}"
    raise NotFoundError(message)


def _as_of(candidates: Candidates, moment: dt.datetime, now: dt.datetime) -> VersionRecord:
    before = [one for one in candidates.records if _created(one) <= moment and is_live(one, now)]
    if not before:
        first = min(map(_created, candidates.records), default=moment)
        message = (
            f"no version of {candidates.what} as of {moment.isoformat()}: "
            f"the first is of {first.isoformat()}"
        )
        raise NotFoundError(message)
    return max(before, key=_age)


def _dated(candidates: Candidates, moment: dt.datetime) -> VersionRecord:
    """Return the version of a moment; one in whole seconds stands for its second."""
    exact = [one for one in candidates.records if _created(one) == moment]
    if not exact and moment.microsecond == 0:
        exact = [
            one for one in candidates.records if _created(one).replace(microsecond=0) == moment
        ]
    if not exact:
        message = (
            f"no version of {candidates.what} is of {moment.isoformat()}: there are "
            f"{_shown(candidates)}; match='asof' takes the newest before"
        )
        raise NotFoundError(message)
    return max(exact, key=_age)


def _created(record: VersionRecord) -> dt.datetime:
    return record.created_at or dt.datetime.min.replace(tzinfo=dt.UTC)


def _age(record: VersionRecord) -> tuple[dt.datetime, int]:
    return _created(record), record.version


def _shown(candidates: Candidates) -> str:
    numbers = sorted(one.version for one in candidates.records)
    shown = ", ".join(map(str, numbers[-_SHOWN:]))
    return f"… {shown}" if len(numbers) > _SHOWN else shown or "none"
