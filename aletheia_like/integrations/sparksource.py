"""The data source that Spark calls: it answers in the processes that Spark starts for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from aletheia_like.integrations.spark import FORMAT
from aletheia_like.integrations.sparkoptions import Options, parse_options
from aletheia_like.integrations.sparkreading import NARROWED_BY, divide, infer, read
from aletheia_like.integrations.sparktypes import Column, from_struct, to_struct
from aletheia_like.metastore.sqlparsing import EVERYTHING


class AletheiaDataSource(DataSource):  # type: ignore[misc] # it has no types here
    """One table of one project."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return FORMAT

    def schema(self) -> Any:
        """Return the columns that there are, if the user gave none."""
        return to_struct(infer(parse_options(self.options)))

    def reader(self, schema: Any) -> AletheiaReader:
        """Return what plans and reads."""
        return AletheiaReader(parse_options(self.options), from_struct(schema))


class FilteredDataSource(AletheiaDataSource):
    """The same for sessions that push filters down."""

    def reader(self, schema: Any) -> FilteredReader:
        """Return what plans and reads."""
        return FilteredReader(parse_options(self.options), from_struct(schema))


class AletheiaReader(DataSourceReader):  # type: ignore[misc] # it has no types here
    """Divides a table into parts and reads them; goes from process to process.

    Args:
        options: What to read.
        columns: What Spark expects of each part.
    """

    def __init__(self, options: Options, columns: Sequence[Column]) -> None:
        self._options = options
        self._columns = columns
        self._scope = EVERYTHING

    def partitions(self) -> Sequence[Any]:
        """Return what each task is to read."""
        return [InputPartition(part) for part in divide(self._options, self._scope)]

    def read(self, partition: Any) -> Iterator[Any]:
        """Yield the batches of one part."""
        # Where there are no parts Spark asks for one without a value.
        return iter(()) if partition.value is None else read(partition.value, self._columns)


class FilteredReader(AletheiaReader):
    """Reads only what filters on keys let through."""

    def pushFilters(self, filters: list[Any]) -> Iterable[Any]:  # noqa: N802 - Spark's name
        """Take the filters that say which experiments and runs to read; return all others."""
        return [one for one in filters if not self._takes(one)]

    def _takes(self, condition: Any) -> bool:
        # By name: releases before 4.1 have no classes of filters.
        kind = type(condition).__name__
        if kind not in ("EqualTo", "EqualNullSafe", "In") or len(condition.attribute) != 1:
            return False
        values = condition.value if kind == "In" else (condition.value,)
        name = self._key(condition.attribute[0])
        if name is None or not all(isinstance(one, str) for one in values):
            return False
        self._scope = self._scope.narrowed(name, frozenset(values))
        return True

    def _key(self, name: str) -> str | None:
        """Return the key that a column is, if there is less to read where its values are known."""
        is_own = any(one.name == name and one.is_renamed for one in self._columns)
        known = NARROWED_BY.get(self._options.table, ())
        return name.lower() if not is_own and name.lower() in known else None
