"""What the columns of a series are: names, types, and which of them are the index.

A type is one word: `timestamp`, `timestamp[Europe/Brussels]`, `float`, `int`, `bool` or `str`.
`*` after it marks a column of the index, `?` one that may lack values.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.digests import digest_bytes
from aletheia_like.model.names import check_name

Base = Literal["timestamp", "float", "int", "bool", "str"]
Kind = Literal["series", "kv"]

_SYNONYMS: Final[Mapping[str, Base]] = {
    "timestamp": "timestamp",
    "datetime": "timestamp",
    "float": "float",
    "f8": "float",
    "float64": "float",
    "int": "int",
    "i8": "int",
    "int64": "int",
    "bool": "bool",
    "str": "str",
    "text": "str",
    "string": "str",
}
_TYPE = re.compile(r"([A-Za-z0-9]+)(?:\[([^\]]+)\])?([*?]?)")
_BUILTIN: Final[Mapping[Any, str]] = {float: "float", int: "int", bool: "bool", str: "str"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Unique within the schema.
        base: The type without its marks.
        zone: Name of the time zone in which timestamps are read; None for naive ones.
        is_index: Whether rows are ordered and found by it.
        is_nullable: Whether a value may be absent.
    """

    name: str
    base: Base
    zone: str | None = None
    is_index: bool = False
    is_nullable: bool = False

    @property
    def type(self) -> str:
        """The type as it is written in a schema."""
        zone = f"[{self.zone}]" if self.zone else ""
        return f"{self.base}{zone}{'*' if self.is_index else '?' if self.is_nullable else ''}"


class Schema:
    r"""The columns of a collection's series.

    Examples:
        >>> Schema(timestamp="timestamp*", value="float")
        Schema(timestamp='timestamp*', value='float')
        >>> Schema("timestamp timestamp*\nvalue float") == Schema({"timestamp": "timestamp*",
        ...     "value": "float"})
        True

    Args:
        columns: A mapping of names to types, or a text with a name and its type on each line.
        named: Or the types by name.

    Raises:
        InvalidValueError: A type is unknown, a name comes twice, or no column has a `*`.
    """

    __slots__ = ("_columns", "_kind")

    def __init__(self, columns: Mapping[str, Any] | str | None = None, /, **named: Any) -> None:
        self._kind: Kind = "series"
        pairs = [*_pairs(columns), *named.items()]
        parsed = tuple(_column(name, type_) for name, type_ in pairs)
        names = [one.name for one in parsed]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            message = f"a schema names {', '.join(map(repr, twice))} twice"
            raise InvalidValueError(message)
        if not any(one.is_index for one in parsed):
            message = (
                "a schema needs a column to order rows by: mark its type with a star, "
                "such as timestamp='timestamp*'"
            )
            raise InvalidValueError(message)
        self._columns = tuple(sorted(parsed, key=lambda one: not one.is_index))

    @classmethod
    def kv(cls, columns: Mapping[str, Any] | str | None = None, /, **named: Any) -> Schema:
        """Return a schema whose index columns are keys: a write replaces rows of equal keys."""
        schema = cls(columns, **named)
        schema._kind = "kv"
        return schema

    @classmethod
    def from_text(cls, text: str, kind: str = "series") -> Schema:
        """Return the schema that `text` and `kind` were taken from."""
        return cls.kv(text) if kind == "kv" else cls(text)

    @property
    def columns(self) -> tuple[Column, ...]:
        """Every column, those of the index first."""
        return self._columns

    @property
    def index(self) -> tuple[Column, ...]:
        """The columns by which rows are ordered."""
        return tuple(one for one in self._columns if one.is_index)

    @property
    def names(self) -> list[str]:
        """Names of all columns."""
        return [one.name for one in self._columns]

    @property
    def kind(self) -> Kind:
        """`kv` if the index is a key, else `series`."""
        return self._kind

    @property
    def text(self) -> str:
        """The schema as lines of a name and a type."""
        return "\n".join(f"{one.name} {one.type}" for one in self._columns)

    @property
    def digest(self) -> str:
        """What tells this schema from others, in 12 characters."""
        return digest_bytes(f"{self._kind}\n{self.text}".encode())[:12]

    def __getitem__(self, name: str) -> Column:
        for one in self._columns:
            if one.name == name:
                return one
        message = f"no column {name!r}: the schema has {', '.join(self.names)}"
        raise InvalidValueError(message)

    def __contains__(self, name: object) -> bool:
        return any(one.name == name for one in self._columns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schema):
            return NotImplemented
        return self._columns == other._columns and self._kind == other._kind

    def __hash__(self) -> int:
        return hash((self._columns, self._kind))

    def __repr__(self) -> str:
        named = ", ".join(f"{one.name}={one.type!r}" for one in self._columns)
        return f"Schema{'.kv' if self._kind == 'kv' else ''}({named})"

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return Schema.from_text, (self.text, self._kind)


def _pairs(columns: Any) -> Iterable[tuple[str, Any]]:
    if columns is None:
        return ()
    if isinstance(columns, Mapping):
        return columns.items()
    if not isinstance(columns, str):
        message = f"a schema is made of a mapping or a text, not of {type(columns).__name__}"
        raise InvalidValueError(message)
    pairs = []
    for line in columns.strip().splitlines():
        if line.strip():
            name, _, type_ = line.strip().rpartition(" ")
            pairs.append((name.strip(), type_))
    return pairs


def _column(name: str, given: Any) -> Column:
    check_name(name, "column")
    if any(character.isspace() for character in name):
        message = f"the name of a column has no spaces: {name!r}"
        raise InvalidValueError(message)
    text = _BUILTIN.get(given, given) if isinstance(given, type) else given
    found = _TYPE.fullmatch(text.strip()) if isinstance(text, str) else None
    base = _SYNONYMS.get(found[1]) if found else None
    if found is None or base is None or (found[2] and base != "timestamp"):
        message = (
            f"column {name!r} has no type {given!r}: there are timestamp, timestamp[ZONE], float, "
            "int, bool and str, with * for the index or ? where values may be absent"
        )
        raise InvalidValueError(message)
    if found[2]:
        _check_zone(name, found[2])
    return Column(name, base, found[2], found[3] == "*", found[3] == "?")


def _check_zone(name: str, zone: str) -> None:
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"column {name!r}: no time zone {zone!r}: write it as in Europe/Brussels"
        raise InvalidValueError(message) from error
