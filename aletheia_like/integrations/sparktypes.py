"""Columns between Arrow and Spark: their types, their names, and tables that fit a schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import types as spark

from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.arrowcolumns import GIVEN_NAME, MOMENT, as_texts, given_name
from aletheia_like.metastore.sqlparsing import EXPERIMENT
from aletheia_like.model.rows import RUN_ID

KEYS = (EXPERIMENT, RUN_ID)
"""The columns that tell the run; a user's own of these names always have another."""

_TEXT = pa.string()
_ARROW: Mapping[str, Any] = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": _TEXT,
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": MOMENT,
    "timestamp_ntz": pa.timestamp("us"),
    "interval day to second": pa.duration("us"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column that Spark is to get.

    Attributes:
        name: What Spark calls it.
        type: Its type in Arrow.
        given: What it was recorded as; None if a user named it, who may not heed capitals.
        nullable: Whether Spark takes NULL.
    """

    name: str
    type: Any
    given: str | None = None
    nullable: bool = True

    @property
    def stored(self) -> str:
        """The name it was recorded under."""
        return self.name if self.given is None else self.given

    @property
    def is_renamed(self) -> bool:
        """Whether another column has the name it was recorded under."""
        return self.stored != self.name


def column_of(field: Any) -> Column:
    """Return the column for a field of one of our tables, in a type that Spark has too."""
    wanted = field.type if field.type in _ARROW.values() else _TEXT
    return Column(field.name, wanted, given_name(field) or field.name)


def to_struct(columns: Iterable[Column]) -> Any:
    """Return columns as a schema of Spark, in which the given names are metadata."""
    kinds: Mapping[Any, Any] = {
        pa.bool_(): spark.BooleanType(),
        pa.int64(): spark.LongType(),
        pa.float64(): spark.DoubleType(),
        _TEXT: spark.StringType(),
        pa.binary(): spark.BinaryType(),
        pa.date32(): spark.DateType(),
        MOMENT: spark.TimestampType(),
        pa.timestamp("us"): spark.TimestampNTZType(),
        pa.duration("us"): spark.DayTimeIntervalType(),
    }
    return spark.StructType(
        [
            spark.StructField(one.name, kinds[one.type], True, {GIVEN_NAME: one.stored})
            for one in columns
        ]
    )


def from_struct(struct: Any) -> tuple[Column, ...]:
    """Return the columns of a schema of Spark, inferred or written by a user.

    Raises:
        InvalidValueError: A column has a type that no value of ours has.
    """
    return tuple(
        Column(one.name, _arrow_type(one), (one.metadata or {}).get(GIVEN_NAME), one.nullable)
        for one in struct.fields
    )


def fitted(table: Any, columns: Sequence[Column], what: str) -> Any:
    """Return a table with these columns, and NULL where it lacks one.

    Args:
        table: One of ours.
        columns: What Spark expects.
        what: Names the table in messages.

    Raises:
        InvalidValueError: Values do not fit the type that is expected of their column.
    """
    places = _places(table.schema)
    arrays = []
    for one in columns:
        place = _place(places, one)
        found = pa.nulls(table.num_rows) if place is None else table.column(place)
        arrays.append(_cast(found, one, what))
    fields = [pa.field(one.name, one.type, one.nullable) for one in columns]
    return pa.table(arrays, schema=pa.schema(fields))


_Places = Mapping[tuple[str, bool], int]
"""Where columns are, by the name they were given and whether they are shown under another."""


def _places(schema: Any) -> _Places:
    names = [(given_name(field), field.name) for field in schema]
    return {
        (shown if given is None else given, given is not None): place
        for place, (given, shown) in enumerate(names)
    }


def _place(places: _Places, column: Column) -> int | None:
    """Return where a column is: which part of a table it is in decides what it is shown as."""
    found = places.get((column.stored, column.is_renamed))
    if found is None and not (column.is_renamed and column.stored in KEYS):
        found = places.get((column.stored, not column.is_renamed))
    if found is not None or column.given is not None:
        return found
    folded = column.name.lower()
    return next((at for (name, _), at in places.items() if name.lower() == folded), None)


def _arrow_type(field: Any) -> Any:
    name = field.dataType.simpleString()
    if name.startswith(("varchar", "char", "string")):
        return _TEXT
    if isinstance(field.dataType, spark.DecimalType):
        return pa.decimal128(field.dataType.precision, field.dataType.scale)
    if name not in _ARROW:
        message = (
            f"column {field.name!r} cannot be read as {name}: dictionaries and lists are JSON, "
            "so read it as string and use from_json"
        )
        raise InvalidValueError(message)
    return _ARROW[name]


def _cast(array: Any, column: Column, what: str) -> Any:
    try:
        found = _converted(array, column.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        message = (
            f"column {column.stored!r} of {what} does not fit {column.type}: {error}; read it as "
            "string, or load again if rows came since"
        )
        raise InvalidValueError(message) from error
    if not column.nullable and found.null_count:
        message = f"column {column.stored!r} of {what} has NULLs: let its field be nullable"
        raise InvalidValueError(message)
    return found


def _converted(array: Any, wanted: Any) -> Any:
    found = array.type
    if found == wanted:
        return array
    if pa.types.is_dictionary(found):
        return _converted(array.cast(found.value_type), wanted)
    if wanted == _TEXT and found != pa.null():
        return as_texts(array)
    # Whole numbers beside floats lose what a float cannot hold, as everywhere.
    is_widened = pa.types.is_integer(found) and pa.types.is_floating(wanted)
    return array.cast(wanted, safe=not is_widened)
