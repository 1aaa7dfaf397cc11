"""Reads the numbers and moments that stand beside a key in the JSON text of a document.

A key is given as `key_text` returns it, up to the value. Damaged values count as the least and
the greatest, so that whoever decodes their document says so.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import re
from collections.abc import Iterator

_EXTREMES = (dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC))


def numbers(key: str, text: str) -> Iterator[int | float]:
    """Yield the numbers beside a key, infinite ones too."""
    for plain, odd in _numbers_beside(key).findall(text):
        if odd:
            yield float(odd)
            continue
        try:
            # An integer as a float would lose digits beyond 2^53.
            yield int(plain) if plain.lstrip("-").isdigit() else float(plain)
        except ValueError:
            yield from (-math.inf, math.inf)


def moments(key: str, text: str) -> Iterator[dt.datetime]:
    """Yield the moments beside a key."""
    for found in _moments_beside(key).findall(text):
        try:
            moment = dt.datetime.fromisoformat(found)
        except ValueError:
            yield from _EXTREMES
        else:
            yield from _EXTREMES if moment.tzinfo is None else (moment,)


@functools.lru_cache
def _numbers_beside(key: str) -> re.Pattern[str]:
    return re.compile(rf'{re.escape(key)}(?:(-?\d[\d.eE+-]*)|\{{"__float__":"(-?inf)"\}})')


@functools.lru_cache
def _moments_beside(key: str) -> re.Pattern[str]:
    return re.compile(rf'{re.escape(key)}\{{"__datetime__":"([^"]*)"\}}')
