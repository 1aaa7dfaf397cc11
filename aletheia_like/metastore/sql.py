"""SQL over a metastore: DuckDB asks, what the query names is fetched, nothing is changed."""

from __future__ import annotations

import difflib
import json
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.sqlparsing import (
    Asked,
    Node,
    Parameters,
    nodes,
    parse,
    shortened,
    table_names,
)
from aletheia_like.metastore.sqltables import COLUMNS, empty_table, fetch_tables

_CONFIGURATION = {
    # No variable of a program, no file, no server and no extension of theirs is a table.
    "python_enable_replacements": False,
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "temp_directory": "",
}
_LOCKS = ("SET GLOBAL TimeZone = 'UTC'", "SET GLOBAL lock_configuration = true")
_MISSING = (
    re.compile(r'^Referenced column "(.*?)" not found'),
    re.compile(r'^(?:Table|Values list) ".*?" does not have a column named "(.*?)"'),
    re.compile(r'^Column "(.*?)" does not exist on (?:left|right) side of join'),
)
_NEEDS_CAST = re.compile(r"VARCHAR.*explicit (?:type )?cast|Could not convert string")
_NO_TABLE = re.compile(r"^Table with name (.*?) does not exist")
_NO_PREFIX = re.compile(r'^Referenced table "(.*?)" not found')
_NEAR = 5
_NEARNESS = 0.5


class Engine:
    """A DuckDB of its own, without any tables between two queries; safe for threads."""

    def __init__(self) -> None:
        self._database: Any = None
        self._pid = os.getpid()
        self._inherited: Any = None

    def answer(
        self,
        session: Session,
        query: str,
        parameters: Parameters = None,
        experiment: str | None = None,
    ) -> Any:
        """Return the answer to a query as a pandas DataFrame; see `Metastore.sql`."""
        with self._connection() as connection:
            asked = parse(connection, query, parameters, list(COLUMNS))
            tables = fetch_tables(session, asked, experiment)
            shown = tables if tables or not _looks_around(asked) else _empty_tables()
            for name, table in shown.items():
                connection.register(name, table)
            return _answer(connection, query, asked, parameters, tables)

    def __reduce__(self) -> tuple[type[Engine], tuple[()]]:
        return type(self), ()

    def close(self) -> None:
        """Free memory and threads; the next query begins anew."""
        self._leave_inherited()
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def _connection(self) -> Any:
        """Return a new connection, whose tables no other one sees."""
        self._leave_inherited()
        if self._database is None:
            database = duckdb.connect(config=_CONFIGURATION)
            for statement in _LOCKS:
                database.execute(statement).fetchall()
            self._database = database
        return self._database.cursor()

    def _leave_inherited(self) -> None:
        """Leave alone what a parent opened: its threads do not live on in the child of a fork."""
        if self._pid != os.getpid():
            # Kept, for closing it would wait for these threads.
            self._inherited, self._database = self._database, None
            self._pid = os.getpid()


def _looks_around(asked: Asked) -> bool:
    """Whether a query that names no table of ours may ask which there are."""
    sources = ("SHOW_REF", "BASE_TABLE", "TABLE_FUNCTION")
    return any(str(one.get("type")) in sources for one in nodes(asked.tree))


def _empty_tables() -> dict[str, Any]:
    return {name: empty_table(name) for name in COLUMNS}


def _answer(
    connection: Any, query: str, asked: Asked, parameters: Parameters, tables: dict[str, Any]
) -> Any:
    while True:
        text = _rewritten(connection, query, asked, tables)
        try:
            with warnings.catch_warnings():
                # How DuckDB uses pandas is not its user's matter.
                warnings.simplefilter("ignore")
                return connection.execute(text, parameters).df()
        except duckdb.BinderException as error:
            widened = _widened(tables, _missing_column(error, asked))
            if not widened:
                raise InvalidValueError(_told(error, asked, tables)) from error
            for name, table in widened.items():
                tables[name] = table
                connection.register(name, table)
        except duckdb.Error as error:
            raise InvalidValueError(_told(error, asked, tables)) from error


def _widened(tables: Mapping[str, Any], column: str | None) -> dict[str, Any]:
    """Return the tables that have no rows, with one more column: no row tells which they have.

    A run that has just begun has no rows, and asking for its loss is no mistake.
    """
    if column is None:
        return {}
    return {
        name: table.append_column(column, pa.nulls(0))
        for name, table in tables.items()
        if not table.num_rows and column not in table.column_names
    }


def _missing_column(error: Exception, asked: Asked) -> str | None:
    """Return the column that one of DuckDB's messages says is missing."""
    text = shortened(error)
    found = next((one for pattern in _MISSING if (one := pattern.search(text))), None)
    if found is not None:
        return found[1]
    table = _NO_PREFIX.search(text)
    references = (one for one in nodes(asked.tree) if one.get("class") == "COLUMN_REF")
    names = (one["column_names"] for one in references)
    return next((".".join(one) for one in names if table and one[0] == table[1]), None)


def _rewritten(connection: Any, query: str, asked: Asked, tables: Mapping[str, Any]) -> str:
    """Return the query with names such as `metrics.acc` as one name, where it is that of a column.

    To SQL the part before the dot is a table, and there is none of that name.
    """
    if asked.tree is None:
        return query
    columns = {name.lower(): name for table in tables.values() for name in table.column_names}
    known = table_names(asked.tree)
    changed = [_join_names(one, columns, known) for one in nodes(asked.tree)]
    if not any(changed):
        return query
    answer = connection.execute("SELECT json_deserialize_sql(?)", [json.dumps(asked.tree)])
    return f"{asked.prefix}{answer.fetchall()[0][0]}"


def _join_names(node: Node, columns: Mapping[str, str], tables: Iterable[str]) -> bool:
    if node.get("class") != "COLUMN_REF":
        return False
    parts = node["column_names"]
    begin = 1 if parts[0].lower() in tables else 0
    name = columns.get(".".join(parts[begin:]).lower())
    if name is None or len(parts) - begin <= 1:
        return False
    node["column_names"] = [*parts[:begin], name]
    return True


def _told(error: Exception, asked: Asked, tables: Mapping[str, Any]) -> str:
    """Return what went wrong, with the names that may have been meant."""
    text = shortened(error)
    if isinstance(error, duckdb.CatalogException) and (table := _NO_TABLE.search(text)):
        return f"there is no table {table[1]!r}: there are {', '.join(COLUMNS)}"
    column = _missing_column(error, asked)
    if column is None:
        advice = "; a column that mixes types is text: TRY_CAST(name AS DOUBLE) has its numbers"
        return text + (advice if _NEEDS_CAST.search(text) else "")
    names = dict.fromkeys(name for table in tables.values() for name in table.column_names)
    folded = {name.lower(): name for name in names}
    wanted = column.lower()
    near = [one for one in folded if one.endswith((f".{wanted}", f".{wanted.split('.')[-1]}"))]
    near += difflib.get_close_matches(wanted, folded, _NEAR, _NEARNESS)
    advice = f"did you mean {', '.join(_quoted(folded[one]) for one in dict.fromkeys(near))}?"
    if not near:
        advice = f"there are {', '.join(map(_quoted, names)) or 'none'}"
    return f"there is no column {column!r} in {', '.join(tables)}: {advice}"


def _quoted(name: str) -> str:
    """Return a name as SQL takes it."""
    if re.fullmatch(r"[A-Za-z_]\w*", name):
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
