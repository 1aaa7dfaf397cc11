"""A series: rows ordered by an index, written and read by intervals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.series.changelog import Changelog, Draft
from aletheia_like.series.clock import is_id, revision_id, stamp_at
from aletheia_like.series.frame import Frame
from aletheia_like.series.history import Logged, State
from aletheia_like.series.intervals import EVERYTHING, Interval
from aletheia_like.series.reading import Reader, joined
from aletheia_like.series.revisions import Op, Ref, Revision
from aletheia_like.series.schema import Schema
from aletheia_like.series.writing import Rows, range_of, updated

if TYPE_CHECKING:
    from aletheia_like.series.collection import Collection

Before = str | dt.datetime | Revision | Logged


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows that lie together.

    Attributes:
        rows: How many.
        columns: Digest of the blob of each column, or its bytes if they are few.
    """

    rows: int
    columns: dict[str, Ref]


class Series:
    """One series of a collection; it exists once something is written to it.

    Args:
        collection: What it belongs to.
        label: Its name there.
    """

    def __init__(self, collection: Collection, label: str) -> None:
        self._collection = collection
        self._label = label

    @property
    def label(self) -> str:
        """Its name."""
        return self._label

    @property
    def collection(self) -> Collection:
        """What it belongs to."""
        return self._collection

    @property
    def schema(self) -> Schema:
        """Its columns."""
        return self._changelog.schema

    @property
    def _changelog(self) -> Changelog:
        return self._collection.changelog

    @property
    def _reader(self) -> Reader:
        return Reader(self._changelog.session, self.schema)

    def write(
        self, data: Any, start: Any = None, stop: Any = None, *, closed: str = "both"
    ) -> Revision | None:
        """Write rows, replacing all that is in the interval that they span.

        In a key-value series rows replace those of equal keys, and the others stay.

        Args:
            data: A mapping of columns, or a pandas, Polars or Arrow table; columns that the
                schema does not have are left out. Rows must be in order.
            start: Where the interval begins, if not at the first row.
            stop: Where it ends, if not at the last row.
            closed: Which ends belong to it: `both`, `left`, `right` or `neither`. Rows at an end
                that does not are left out, so that what is there stays.

        Returns:
            The revision; None if that is what is there already, or inside `multi`.

        Raises:
            InvalidValueError: Rows are out of order or double, columns of unequal lengths or
                missing, or a value is of another type; nothing was written.
            UnavailableError: The store is away.
        """
        rows = Rows(self.schema, data, start, stop, closed)
        reader, label = self._reader, self._label
        return self._collection.carry_out(lambda state: rows.draft(label, state, reader))

    def update(self, data: Any) -> Revision | None:
        """Replace some columns; the others keep their values.

        Rows before the first and after the last of the series get NaN, 0 or "" in the others.

        Args:
            data: The index and the columns to replace.

        Raises:
            InvalidValueError: The index is not that of the rows in its interval, or a column is
                unknown.
        """
        schema, reader, label = self.schema, self._reader, self._label
        where = Rows(_index_schema(schema), data).where

        def decide(state: State) -> Draft | None:
            shown = reader.read(state, label, where)
            return Rows(schema, updated(schema, shown, data)).draft(label, state, reader)

        return self._collection.carry_out(decide)

    def delete(
        self, start: Any = None, stop: Any = None, *, closed: str = "left"
    ) -> Revision | None:
        """Delete a range of rows, or without arguments the whole series.

        Args:
            start: The first value of the index; an absent one is unbounded.
            stop: The last one.
            closed: Which ends belong to the range.
        """
        where = range_of(self.schema, start, stop, closed)
        reader, label = self._reader, self._label

        def decide(state: State) -> Draft | None:
            if where == EVERYTHING:
                is_there = state.exists(label)
            else:
                is_there = reader.count(state, label, where) > 0
            return Draft([Op("delete", label, where)]) if is_there else None

        return self._collection.carry_out(decide)

    def rename(self, label: str) -> Revision | None:
        """Give the series another name; one that has that name is replaced.

        The rows are not copied: what they lie in is mentioned again.

        Raises:
            NotFoundError: There is no such series.
        """
        target, source = self._collection.series(label).label, self._label
        reader = self._reader

        def decide(state: State) -> Draft | None:
            if not state.exists(source):
                message = f"no series {source!r} in collection {self._collection.label!r}"
                raise NotFoundError(message)
            return Draft(reader.renamed(state, source, target))

        made = None if target == self._label else self._collection.carry_out(decide)
        self._label = target
        return made

    def frame(
        self,
        start: Any = None,
        stop: Any = None,
        *,
        closed: str = "left",
        before: Before | None = None,
        limit: int | None = None,
        offset: int | None = None,
        select: Sequence[str] | str | None = None,
    ) -> Frame:
        """Return rows as numpy arrays; none if there is no such series.

        Args:
            start: The first value of the index; an absent one is unbounded.
            stop: The last one.
            closed: Which ends belong to the range.
            before: Read what was shown before this revision or moment.
            limit: At most so many rows.
            offset: Leave so many out at the start.
            select: Columns, in this order.

        Raises:
            InvalidValueError: An argument makes no sense, or names no column.
            IntegrityError: A blob is gone, or has wrong bytes.
            UnavailableError: The store is away.
        """
        _check_count("limit", limit)
        _check_count("offset", offset)
        where = range_of(self.schema, start, stop, closed)
        return self._reader.read(
            self._state(before),
            self._label,
            where,
            limit=limit,
            offset=offset or 0,
            names=self._selected(select),
        )

    def df(self, start: Any = None, stop: Any = None, **options: Any) -> Any:
        """Return rows as a pandas DataFrame; see `frame`."""
        return self.frame(start, stop, **options).df()

    def __getitem__(self, where: slice) -> Range:
        """Return the rows from one value of the index until another, which is left out."""
        if not isinstance(where, slice) or where.step is not None:
            message = f"series[{where!r}]: write series[start:stop]"
            raise InvalidValueError(message)
        return Range(self, where.start, where.stop)

    def tail(self, n: int = 10, **options: Any) -> Frame:
        """Return the last rows; options as of `frame`, but for `limit` and `offset`.

        Raises:
            InvalidValueError: `n` is not positive.
        """
        _check_positive("tail", n)
        where, names, state = self._asked(**options)
        return self._reader.read(state, self._label, where, offset=-n, names=names)

    def paginate(
        self,
        n: int = 100_000,
        *,
        limit: int | None = None,
        offset: int | None = None,
        **options: Any,
    ) -> Iterator[Frame]:
        """Yield the rows in pages of `n`; options as of `frame`, all of one moment.

        `limit` and `offset` count rows, not pages.

        Raises:
            InvalidValueError: `n` is not positive.
        """
        _check_positive("paginate", n)
        _check_count("limit", limit)
        _check_count("offset", offset)
        first = offset or 0
        last = None if limit is None else first + limit
        return self._pages(self._asked(**options), n, first, last)

    def _asked(
        self,
        *,
        start: Any = None,
        stop: Any = None,
        closed: str = "left",
        before: Before | None = None,
        select: Sequence[str] | str | None = None,
    ) -> tuple[Interval, list[str] | None, State]:
        """Return where to read, which columns, and of which moment."""
        where = range_of(self.schema, start, stop, closed)
        return where, self._selected(select), self._state(before)

    def _pages(
        self,
        asked: tuple[Interval, list[str] | None, State],
        n: int,
        start: int,
        stop: int | None,
    ) -> Iterator[Frame]:
        where, names, state = asked
        while True:
            count = n if stop is None else min(n, stop - start)
            page = self._reader.read(
                state, self._label, where, limit=count, offset=start, names=names
            )
            if len(page) == 0:
                return
            yield page
            start += n

    def aggregate(
        self, period: str, columns: dict[str, Any] | None = None, /, **options: Any
    ) -> Any:
        """Return a number for each period as a pandas DataFrame; see `grouping.aggregate`.

        Args:
            period: `second`, `minute`, `hour`, `day`, `week`, `month`, `quarter` or `year`, or so
                many of them: `15 minutes`.
            columns: What is asked of each column: `min`, `max`, `sum`, `first`, `last`, `mean`,
                `median`, `std`, `count`, a quantile as `q90`, or a list of them.
            options: As of `frame`.
        """
        from aletheia_like.series.grouping import aggregate, needed

        asked = {} if columns is None else columns
        options["select"] = needed(self.schema, asked, options.get("select"))
        return aggregate(self.frame(**options), period, asked)

    def log(self) -> list[Revision]:
        """Return the revisions that changed this series, oldest first."""
        history = self._changelog.refresh().history
        return [
            history.revisions[one]
            for one in history.ids
            if any(self._label == op.series for op in history.revisions[one].ops)
        ]

    def segments(self) -> list[Segment]:
        """Return how the rows lie in the store; many small ones are what `defrag` joins."""
        state = self._state(None)
        found = joined(self._reader.slices(state, self._label))
        return [Segment(len(one), dict(one.op.columns)) for one in found]

    def to_dataset(self, name: str | None = None, **options: Any) -> Any:
        """Add the rows as a Parquet file to the project's data sets; see `promoting.to_dataset`.

        Args:
            name: Of the data set; the labels of collection and series by default.
            options: As of `frame`.

        Returns:
            The version; the existing one if the rows are the same.
        """
        from aletheia_like.series.promoting import to_dataset

        return to_dataset(self, name, options)

    def _selected(self, select: Any) -> list[str] | None:
        if select is None:
            return None
        if not isinstance(select, Iterable):
            message = f"select={select!r:.80}: it is a column, or a list of them"
            raise InvalidValueError(message)
        names = [select] if isinstance(select, str) else list(select)
        for name in names:
            self.schema[name]
        if not names:
            message = "select names no column"
            raise InvalidValueError(message)
        return names

    def _state(self, before: Before | None) -> State:
        changelog = self._changelog.refresh()
        if before is None:
            return changelog.state()
        return changelog.state_before(before_id(changelog, before))

    def __len__(self) -> int:
        return self._reader.count(self._state(None), self._label)

    def __bool__(self) -> bool:
        return self._state(None).exists(self._label)

    def __iter__(self) -> Iterator[Any]:
        message = "a series is no sequence: ask for its df(), frame() or paginate()"
        raise TypeError(message)

    def __repr__(self) -> str:
        return f"<Series {self._label!r} of {self._collection.label!r}>"


class Range:
    """Some rows of a series; nothing is read before it is asked for.

    Args:
        series: Of which.
        start: The first value of the index, or None.
        stop: The one after the last, or None.
    """

    def __init__(self, series: Series, start: Any, stop: Any) -> None:
        self._series = series
        self._start, self._stop = start, stop

    def frame(self, **options: Any) -> Frame:
        """Return the rows as numpy arrays; options as of `Series.frame`."""
        return self._series.frame(self._start, self._stop, **options)

    def df(self, **options: Any) -> Any:
        """Return the rows as a pandas DataFrame; options as of `Series.frame`."""
        return self.frame(**options).df()

    def to_polars(self, **options: Any) -> Any:
        """Return the rows as a Polars DataFrame."""
        return self.frame(**options).to_polars()

    def to_arrow(self, **options: Any) -> Any:
        """Return the rows as an Arrow table."""
        return self.frame(**options).to_arrow()

    def delete(self) -> Revision | None:
        """Delete these rows."""
        return self._series.delete(self._start, self._stop)

    def __len__(self) -> int:
        return len(self.frame(select=self._series.schema.names[:1]))

    def __repr__(self) -> str:
        return f"<{self._series!r} from {self._start} to {self._stop}>"


def _index_schema(schema: Schema) -> Schema:
    return Schema({one.name: one.type for one in schema.index})


def before_id(changelog: Changelog, before: Before) -> str:
    """Return the id that what is read comes before.

    Raises:
        NotFoundError: There is no such revision, or what was before it was trimmed.
        InvalidValueError: That is no revision and no moment.
    """
    if isinstance(before, Revision | Logged):
        before = before.id
    if is_id(before):
        found = str(before)
        if found not in changelog.history.revisions:
            message = f"no revision {found} in collection {changelog.label!r}"
            raise NotFoundError(message)
    else:
        found = revision_id(stamp_at(_moment(before)), "0" * 12)
    bases = [one for one in changelog.history.revisions.values() if one.is_base]
    if any(found <= one.id for one in bases):
        oldest = max(one.id for one in bases)
        message = (
            f"what collection {changelog.label!r} had before {before} is no longer in its "
            f"history, which begins at {oldest}"
        )
        raise NotFoundError(message)
    return found


def _moment(before: Any) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(before) if isinstance(before, str) else before
        return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    except (ValueError, AttributeError) as error:
        message = f"before={before!r:.80} is no revision, datetime or text in ISO 8601"
        raise InvalidValueError(message) from error


def _check_count(name: str, value: int | None) -> None:
    if value is not None and (not isinstance(value, int) or value < 0):
        message = f"{name}={value!r}: it is a number of rows, not below 0"
        raise InvalidValueError(message)


def _check_positive(name: str, value: int) -> None:
    if not isinstance(value, int) or value <= 0:
        message = f"{name}({value!r}): it is a number of rows above 0"
        raise InvalidValueError(message)
