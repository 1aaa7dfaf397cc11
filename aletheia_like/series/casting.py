"""What people give becomes columns of the schema's types, or is refused with the place named."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from aletheia_like.errors import InvalidValueError
from aletheia_like.extras import import_extra
from aletheia_like.model.values import is_missing
from aletheia_like.series.encoding import DTYPES, Array
from aletheia_like.series.given import columns_of
from aletheia_like.series.schema import Column, Schema

Columns = dict[str, Array]

_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0"})
_NAT = np.datetime64("NaT", "ns")
_EARLIEST, _LATEST = np.datetime64("1677-09-22", "D"), np.datetime64("2262-04-11", "D")
_MICROSECONDS = len("2020-01-02T03:04:05.123456")


def cast(schema: Schema, data: Any, wanted: Iterable[str] | None = None) -> Columns:
    """Return the columns of a schema; others that the data has are left out.

    Args:
        schema: What is wanted.
        data: What people give.
        wanted: Names of the columns that are needed; all by default. One that may lack values may
            lack as a whole.

    Raises:
        InvalidValueError: A column is missing or longer than others, or a value is of another
            type.
    """
    given = columns_of(data)
    names = schema.names if wanted is None else list(wanted)
    missing = [one for one in names if one not in given and not schema[one].is_nullable]
    if missing:
        message = (
            f"no column {', '.join(map(repr, missing))}: there are "
            f"{', '.join(map(repr, given)) or 'none'}"
        )
        raise InvalidValueError(message)
    found = {one: cast_column(schema[one], given[one]) for one in names if one in given}
    lengths = {name: len(column) for name, column in found.items()}
    if len(set(lengths.values())) > 1:
        message = "columns of unequal lengths: " + ", ".join(
            f"{name} has {length:,}" for name, length in lengths.items()
        )
        raise InvalidValueError(message)
    count = next(iter(lengths.values()))
    return {one: found[one] if one in found else absent(schema[one], count) for one in names}


def absent(column: Column, count: int) -> Array:
    """Return values that say that there is none; 0 or "" where the type cannot."""
    if column.base == "str":
        return np.full(count, None if column.is_nullable else "", object)
    if column.base == "timestamp":
        return np.full(count, _NAT)
    if column.base == "float":
        return np.full(count, math.nan)
    zeros: Array = np.zeros(count, DTYPES[column.base])
    return np.ma.MaskedArray(zeros, np.ones(count, bool)) if column.is_nullable else zeros


def cast_column(column: Column, given: Any) -> Array:
    """Return values in the type of a column.

    Raises:
        InvalidValueError: One is not possible.
    """
    if isinstance(given, str | bytes | Mapping) or not hasattr(given, "__len__"):
        if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping):
            given = list(given)
        else:
            message = f"column {column.name!r} is {given!r:.60}, not a list of values"
            raise InvalidValueError(message)
    if len(given) == 0:
        given = []
    if isinstance(given, range):
        given = np.arange(given.start, given.stop, given.step)
    match column.base:
        case "timestamp":
            values = _timestamps(column, given)
        case "float":
            values = _floats(column, given)
        case "int":
            values = _whole(column, given)
        case "bool":
            values = _bools(column, given)
        case _:
            values = _texts(column, given)
    if column.is_index:
        _check_index(column, values)
    return values


def cast_value(column: Column, given: Any) -> Any:
    """Return one value of the index as bounds have it: a number or a text.

    Raises:
        InvalidValueError: It is of another type.
    """
    try:
        return as_bound(cast_column(column, [given])[0])
    except InvalidValueError as error:
        hint = _HINT if column.base == "timestamp" else ""
        what = f"{column.name!r}, which is of type {column.type}{hint}"
        message = f"{given!r:.80} is no value of the index {what}"
        raise InvalidValueError(message) from error


def as_bound(value: Any) -> Any:
    """Return a value of an array as bounds have it."""
    if isinstance(value, np.datetime64):
        return int(value.astype("<i8"))
    return value.item() if isinstance(value, np.generic) else value


def from_bound(column: Column, value: Any) -> Any:
    """Return a bound's value as it stands in arrays."""
    return np.datetime64(value, "ns") if column.base == "timestamp" else value


def check_sorted(schema: Schema, columns: Columns) -> None:
    """Refuse rows that are not in order, or that come twice.

    Raises:
        InvalidValueError: They are or do.
    """
    arrays = [columns[one.name] for one in schema.index]
    if len(arrays) == 1 and bool(np.asarray(arrays[0][1:] > arrays[0][:-1]).all()):
        return
    count = len(arrays[0])
    later = np.zeros(max(0, count - 1), bool)
    equal = np.ones(max(0, count - 1), bool)
    for array in arrays:
        here, following = array[:-1], array[1:]
        later |= equal & np.asarray(following > here, bool)
        equal &= np.asarray(following == here, bool)
    if bool(later.all()):
        return
    row = int(np.argmin(later))
    shown = ", ".join(str(array[row + 1]).removesuffix(".000000000") for array in arrays)
    names = ", ".join(one.name for one in schema.index)
    if bool(equal[row]):
        message = f"row {row + 1} has the same {names} as the one before it, {shown}: drop one"
    else:
        message = f"row {row + 1} comes before the one above it, {names} {shown}: sort the rows"
    raise InvalidValueError(message)


def sort_keys(schema: Schema, columns: Columns) -> Columns:
    """Return rows ordered by the index; of rows of equal index the last one stays."""
    arrays = [columns[one.name] for one in schema.index]
    count = len(arrays[0])
    order = _order(arrays, count)
    last = np.ones(count, bool)
    if count > 1:
        same = np.ones(count - 1, bool)
        for array in arrays:
            same &= np.asarray(array[order[1:]] == array[order[:-1]], bool)
        last[:-1] = ~same
    kept = order[last]
    return {name: column[kept] for name, column in columns.items()}


def join(parts: Sequence[Array]) -> Array:
    """Return columns of one type after each other."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[-1], np.ma.MaskedArray):
        joiner: Any = np.ma.concatenate
        whole: Array = joiner(parts)
        return whole
    return np.concatenate(parts)


def _order(arrays: Sequence[Array], count: int) -> Array:
    """Return the stable order of rows by several columns, text too."""
    order = np.arange(count)
    for array in reversed(arrays):
        taken = array[order]
        order = order[np.argsort(taken, kind="stable")]
    return order


def _check_index(column: Column, values: Array) -> None:
    if isinstance(values, np.ma.MaskedArray):
        values = values.filled(0)
    wrong: Array
    if column.base == "timestamp":
        wrong = np.isnat(values)
    elif column.base == "float":
        wrong = ~np.isfinite(values)
    else:
        return
    if bool(wrong.any()):
        message = f"row {int(np.argmax(wrong))} has no {column.name}: the index needs every value"
        raise InvalidValueError(message)


def _refuse(column: Column, row: int, value: object, why: str = "") -> InvalidValueError:
    what = {"timestamp": "a timestamp", "float": "a number", "int": "a whole number"}
    noun = what.get(column.base, "true or false" if column.base == "bool" else "a text")
    message = f"column {column.name!r}, row {row}: {value!r:.80} is not {noun}{why}"
    return InvalidValueError(message)


def _listed(given: Any) -> list[Any]:
    if isinstance(given, np.ma.MaskedArray):
        return [None if value is np.ma.masked else value for value in given]
    found = given.tolist() if hasattr(given, "tolist") else list(given)
    return found if isinstance(found, list) else [found]


def _is_absent(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    return is_missing(value)


def _array(given: Any) -> Array | None:
    """Return an array of numbers, moments or booleans, if that is what is given."""
    values = getattr(given, "values", None) if not isinstance(given, np.ndarray) else given
    if isinstance(values, np.ma.MaskedArray):
        return None
    return values if isinstance(values, np.ndarray) and values.dtype != object else None


def _floats(column: Column, given: Any) -> Array:
    array = _array(given)
    if array is not None and array.dtype.kind in "fiu":
        values: Array = np.ascontiguousarray(array, "<f8")
        if array.dtype.kind in "iu" and bool((values.astype(array.dtype) != array).any()):
            row = int(np.argmax(values.astype(array.dtype) != array))
            raise _refuse(column, row, array[row], " that a float holds exactly")
        return values.ravel()
    return np.fromiter(
        (_float(column, row, value) for row, value in enumerate(_listed(given))), "<f8"
    )


def _float(column: Column, row: int, value: Any) -> float:
    if _is_absent(value) or (isinstance(value, str) and not value.strip()):
        return math.nan
    if isinstance(value, bool | np.bool_ | dt.date):
        raise _refuse(column, row, value)
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _refuse(column, row, value) from error


def _whole(column: Column, given: Any) -> Array:
    array = _array(given)
    if array is not None and array.dtype.kind == "i":
        return np.ascontiguousarray(array, "<i8")
    listed = _listed(given)
    values: Array = np.zeros(len(listed), "<i8")
    mask = np.zeros(len(listed), bool)
    for row, value in enumerate(listed):
        if _is_absent(value) or (isinstance(value, str) and not value.strip()):
            mask[row] = True
        else:
            values[row] = _int(column, row, value)
    return _masked(column, values, mask)


def _int(column: Column, row: int, value: Any) -> int:
    if isinstance(value, bool | np.bool_ | dt.date):
        raise _refuse(column, row, value)
    try:
        number = int(value)
        is_exact = isinstance(value, str) or number == value
    except (TypeError, ValueError, OverflowError) as error:
        raise _refuse(column, row, value) from error
    if not is_exact or not -(2**63) <= number < 2**63:
        raise _refuse(column, row, value, " of 64 bits")
    return number


def _bools(column: Column, given: Any) -> Array:
    listed = _listed(given)
    values = np.zeros(len(listed), bool)
    mask = np.zeros(len(listed), bool)
    for row, value in enumerate(listed):
        if isinstance(value, bool | np.bool_):
            values[row] = value
        elif _is_absent(value) or value == "":
            mask[row] = True
        elif isinstance(value, str) and value.lower() in _TRUE | _FALSE:
            values[row] = value.lower() in _TRUE
        else:
            raise _refuse(column, row, value)
    return _masked(column, values, mask)


def _masked(column: Column, values: Array, mask: Array) -> Array:
    if column.is_nullable:
        return np.ma.MaskedArray(values, mask)
    if bool(mask.any()):
        row = int(np.argmax(mask))
        raise _refuse(column, row, None, f"; write its type as {column.type}? to allow that")
    return values


def _texts(column: Column, given: Any) -> Array:
    listed = _listed(given)
    out: Array = np.empty(len(listed), object)
    for row, value in enumerate(listed):
        if isinstance(value, str):
            if not value.isascii():
                _check_encodable(column, row, value)
            out[row] = str(value)
        elif not (_is_absent(value) and column.is_nullable):
            raise _refuse(column, row, value)
    return out


def _check_encodable(column: Column, row: int, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _refuse(column, row, value, " that can be written as UTF-8") from error


def _timestamps(column: Column, given: Any) -> Array:
    if _is_aware(given):
        index = import_extra("pandas", None).DatetimeIndex(given)
        return _nanoseconds(column, index.tz_convert("UTC").tz_localize(None).to_numpy())
    array = _array(given)
    if array is not None and array.dtype.kind == "M":
        if column.zone is None:
            return _nanoseconds(column, array)
        given = array
    elif array is not None:
        raise _refuse(column, 0, array[0] if len(array) else array.dtype, _HINT)
    return _parsed(column, given)


_ISO = re.compile(
    r"\d{4}(?:([-/]?)\d\d?(?:\1\d\d?(?:[T ]\d\d?(?::?\d\d(?::?\d\d(?:[.,]\d+)?)?)?"
    r"\s*(?:Z|UTC|[+-]\d\d(?::?\d\d)?)?)?)?)?",
    re.IGNORECASE,
)
_HINT = ": write text in ISO 8601, datetimes or numpy.datetime64, from 1678 to 2262"


def _is_aware(given: Any) -> bool:
    return getattr(getattr(given, "dtype", None), "tz", None) is not None


def _nanoseconds(column: Column, array: Array) -> Array:
    if array.dtype != DTYPES["timestamp"]:
        least, greatest = (np.fmin.reduce(array), np.fmax.reduce(array)) if len(array) else (0, 0)
        if len(array) and (least < _EARLIEST or greatest > _LATEST):
            row = int(np.argmax((array < _EARLIEST) | (array > _LATEST)))
            raise _refuse(column, row, array[row], " between the years 1678 and 2262")
    return np.ascontiguousarray(array.astype(DTYPES["timestamp"]))


def _parsed(column: Column, given: Any) -> Array:
    """Return moments as UTC; naive ones are in the column's zone, or UTC if it has none."""
    quick = _quickly_parsed(column, given)
    if quick is not None:
        return quick
    pandas = import_extra("pandas", None)
    listed = list(given) if isinstance(given, np.ndarray) else _listed(given)
    values: Array = np.empty(len(listed), "M8[ns]")
    for row, value in enumerate(listed):
        if (
            _is_absent(value)
            or value == ""
            or (isinstance(value, np.datetime64) and np.isnat(value))
        ):
            values[row] = _NAT
            continue
        is_text = isinstance(value, str)
        if isinstance(value, bool | int | float | np.number) or (
            is_text and _ISO.fullmatch(value.strip()) is None
        ):
            raise _refuse(column, row, value, _HINT)
        try:
            moment = pandas.Timestamp(value).as_unit("ns", round_ok=False)
            if moment.tzinfo is None and column.zone is not None:
                moment = moment.tz_localize(column.zone)
            if moment.tzinfo is not None:
                moment = moment.tz_convert("UTC").tz_localize(None)
            values[row] = moment.to_datetime64()
        except (ValueError, TypeError, OverflowError, KeyError) as error:
            raise _refuse(column, row, value, _HINT) from error
    return values


def _quickly_parsed(column: Column, given: Any) -> Array | None:
    """Return moments if all are texts without a zone that numpy reads, else None."""
    listed = _listed(given) if not isinstance(given, np.ndarray) else given.tolist()
    if column.zone is not None or not all(
        isinstance(one, str)
        and len(one) <= _MICROSECONDS
        and one[:1].isdigit()
        and one[-1].isdigit()
        and "+" not in one
        and one.count("-") == _DASHES
        for one in listed
    ):
        return None
    try:
        return _nanoseconds(column, np.array(listed, "M8[us]"))
    except (ValueError, TypeError):
        return None


_DASHES = 2
