"""What people give has columns: frames of any library, mappings, rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aletheia_like.errors import InvalidValueError


def columns_of(data: Any) -> dict[str, Any]:
    """Return the columns of a frame of any library, a mapping, or a list of rows.

    Raises:
        InvalidValueError: It is none of these.
    """
    if isinstance(data, Mapping):
        return dict(data)
    if isinstance(data, np.ndarray) and data.dtype.names:
        return {name: data[name] for name in data.dtype.names}
    module = type(data).__module__.partition(".")[0]
    if module == "pyarrow" and hasattr(data, "column_names"):
        return {name: data.column(name).to_pandas() for name in data.column_names}
    if module == "polars" and hasattr(data, "columns"):
        return {name: _polars_column(data[name]) for name in data.columns}
    if module == "pandas" and hasattr(data, "columns"):
        return {**_levels(data.index), **{str(name): data[name] for name in data.columns}}
    if hasattr(data, "zoned"):
        return {name: data.zoned(name) for name in data.names}
    if hasattr(data, "names") and hasattr(data, "__getitem__"):
        return {name: data[name] for name in data.names}
    if isinstance(data, Sequence) and all(isinstance(row, Mapping) for row in data):
        names = dict.fromkeys(name for row in data for name in row)
        return {name: [row.get(name) for row in data] for name in names}
    message = (
        f"{type(data).__name__} is no frame: give a mapping of columns, or a pandas, Polars or "
        "Arrow table"
    )
    raise InvalidValueError(message)


def _levels(index: Any) -> dict[str, Any]:
    """Return the levels of a pandas index that have names."""
    return {
        str(name): index.get_level_values(level)
        for level, name in enumerate(index.names)
        if name is not None
    }


def _polars_column(column: Any) -> Any:
    """Return a column as numpy has it, or as a list if it has text, zones or gaps."""
    is_plain = column.dtype.is_numeric() or column.dtype.is_temporal()
    zone = getattr(column.dtype, "time_zone", None)
    is_whole = column.null_count() == 0 and zone is None
    return column.to_numpy() if is_plain and is_whole else column.to_list()
