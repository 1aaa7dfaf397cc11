"""Numbers of bytes as people write them."""

from __future__ import annotations

import re

from aletheia_like.errors import InvalidValueError

_TEXT = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?)b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def parse_size(given: object) -> int:
    """Return a number of bytes, given as one or as text such as `50 GB` or `20GiB`.

    Raises:
        InvalidValueError: It is neither, or below zero.

    Examples:
        >>> parse_size("1.5 kB"), parse_size("2GiB"), parse_size(10)
        (1500, 2147483648, 10)
    """
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given
    found = _TEXT.fullmatch(given.replace("_", "").strip()) if isinstance(given, str) else None
    if found is None:
        message = f"a size is a number of bytes, or text such as '50 GB' or '20GiB': not {given!r}"
        raise InvalidValueError(message)
    number, prefix, binary = found.groups()
    factor = (1024 if binary else 1000) ** _POWERS[prefix.lower()]
    return int(float(number) * factor) if "." in number else int(number) * factor
