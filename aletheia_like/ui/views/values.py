"""What a page knows of a value: its text in an address, and whether it is a number."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any

from aletheia_like.model.rows import ABSENT


def address_text(value: Any) -> str:
    """Return the text that stands for a value in an address; equal ones have one page."""
    if isinstance(value, str):
        return value
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value, default=str, ensure_ascii=False, sort_keys=True)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:  # noqa: PLR2004
        # 1 and 1.0 are one group wherever rows are grouped.
        return str(int(value))
    return str(value)


def is_number(value: Any) -> bool:
    """Whether a value has a place on a scale, or would have one if it were finite."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def all_numbers(values: Iterable[Any]) -> bool:
    """Whether there are values, and all of them have a place on a scale."""
    kinds = set(map(type, values)) - {type(None), type(ABSENT)}
    return bool(kinds) and kinds <= {int, float}


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing."""
    return value is None or value is ABSENT
