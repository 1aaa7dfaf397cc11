"""Series made of what runs logged, and data sets made of series."""

from __future__ import annotations

import datetime as dt
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.series.schema import Schema

if TYPE_CHECKING:
    from aletheia_like.metastore.run import Run
    from aletheia_like.series.opening import SeriesMetastore
    from aletheia_like.series.series import Series

_INDEXES = {"step": "int*", "timestamp": "timestamp*"}


def promote(
    metastore: SeriesMetastore,
    run: Run,
    metrics: Sequence[str],
    *,
    to: str,
    label: str | None,
    index: str,
) -> Series:
    """Write metrics of a run into a series; see `SeriesMetastore.promote_metrics`."""
    if index not in _INDEXES:
        message = f"index={index!r}: metrics are ordered by 'step' or by 'timestamp'"
        raise InvalidValueError(message)
    if not metrics:
        message = (
            f"name the metrics of run {run.id} to promote: promote_metrics(run, 'loss', to=…)"
        )
        raise InvalidValueError(message)
    rows = run.rows()
    for name in (*metrics, *([index] if index == "step" else [])):
        if name not in rows:
            message = f"run {run.id} has no column {name!r}: there are {', '.join(rows.columns)}"
            raise NotFoundError(message)
    kept: dict[Any, dict[str, float]] = {}
    for row in rows.to_dicts():
        place = row.get(index)
        values = {name: row.get(name) for name in metrics}
        if place is not None and any(_is_number(value) for value in values.values()):
            earlier = kept.setdefault(_moment(place) if index == "timestamp" else place, {})
            for name, one in values.items():
                if one is not None and _is_number(one):
                    earlier[name] = float(one)
    schema = Schema({index: _INDEXES[index]} | dict.fromkeys(metrics, "float"))
    if not kept:
        message = f"run {run.id} has no number in {', '.join(metrics)} with a {index}"
        raise InvalidValueError(message)
    places = sorted(kept)
    data: dict[str, Any] = {index: places}
    data |= {name: [kept[one].get(name, math.nan) for one in places] for name in metrics}
    collection = metastore.create_collection(schema, to, exist_ok=True)
    series = collection.series(label or f"{run.experiment.name}-{run.id}")
    series.write(data)
    return series


def _moment(timestamp: Any) -> Any:
    if isinstance(timestamp, int | float):
        return dt.datetime.fromtimestamp(timestamp, dt.UTC)
    return timestamp


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def to_dataset(series: Series, name: str | None, options: dict[str, Any]) -> Any:
    """Add the rows of a series as a Parquet file to the project's data sets.

    Raises:
        NotFoundError: The series has no rows.
        MissingExtraError: pyarrow is not installed.
    """
    frame = series.frame(**options)
    if not len(frame):
        message = f"{series!r} has no rows: write some first"
        raise NotFoundError(message)
    collection = series.collection
    named = name if name is not None else f"{collection.label} {series.label}"
    with tempfile.TemporaryDirectory(prefix="aletheia-") as folder:
        path = Path(folder) / "series.parquet"
        frame.to_parquet(path)
        return collection.metastore.add_dataset(
            named,
            path,
            type="series",
            source={"collection": collection.label, "series": series.label},
        )
