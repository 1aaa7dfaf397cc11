"""Numbers of bytes and of seconds as people read them."""

from __future__ import annotations

_UNIT = 1024
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def shown_bytes(count: int | None) -> str:
    """Return a number of bytes with a unit.

    Examples:
        >>> shown_bytes(512), shown_bytes(1536), shown_bytes(5 * 1024**3)
        ('512 B', '1.5 KiB', '5.0 GiB')
    """
    if count is None:
        return ""
    size = float(count)
    for unit in _UNITS[:-1]:
        if size < _UNIT:
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= _UNIT
    return f"{size:.1f} {_UNITS[-1]}"


def shown_seconds(seconds: float | None) -> str:
    """Return a duration, coarser the longer it is.

    Examples:
        >>> shown_seconds(0.25), shown_seconds(75), shown_seconds(7260)
        ('0.25 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds is None:
        return ""
    if seconds < _MINUTE:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.0f} s"
    whole = int(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"
