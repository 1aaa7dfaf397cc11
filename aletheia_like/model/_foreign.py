"""Values of numpy, pandas, torch and jax as Python's own, by their protocols, without importing.

What Python's own types cannot hold exactly is refused, never rounded: they know microseconds,
these libraries nanoseconds.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

_CONVERSIONS = ("to_pydatetime", "tolist")


def plain_value(value: Any) -> Any:
    """Return scalars and arrays as Python's own, and every other value itself.

    Raises:
        ValueError: There is no exact form; the message says why.
    """
    if type(value).__module__ == "builtins" or isinstance(value, type):
        return value
    if getattr(getattr(value, "dtype", None), "kind", "") in ("m", "M"):
        value = _in_microseconds(value)
    # Many a class has a method `item` of another meaning; arrays and scalars have a dtype.
    names = ("to_pydatetime", "tolist", "item") if hasattr(value, "dtype") else _CONVERSIONS
    for name in names:
        convert = getattr(value, name, None)
        if callable(convert):
            plain = convert()
            return plain if type(plain) is not type(value) else value
    return value


def check_microseconds(value: dt.datetime | dt.timedelta) -> None:
    """Refuse pandas' moments and durations that a whole number of microseconds cannot hold.

    Raises:
        ValueError: It has nanoseconds, or is no time at all.
    """
    nanoseconds = getattr(value, "nanosecond", None) or getattr(value, "nanoseconds", None)
    if nanoseconds or str(value) == "NaT":
        message = f"{value!r:.80} is not a whole number of microseconds: round it"
        raise ValueError(message)


def _in_microseconds(value: Any) -> Any:
    """Convert numpy's times; from nanoseconds its `tolist` would give bare integers."""
    if type(value).__module__ != "numpy":
        return value
    name = "datetime64" if value.dtype.kind == "M" else "timedelta64"
    converted = value.astype(f"{name}[us]")
    # A missing time is unlike itself, and stays missing.
    if ((converted.astype(value.dtype) != value) & (value == value)).any():  # noqa: PLR0124
        message = f"{value!r:.80} is not in whole microseconds: round it"
        raise ValueError(message)
    return converted
