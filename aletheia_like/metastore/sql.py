"""SQL over a metastore: DuckDB asks, what the query names is fetched, nothing is changed."""

from __future__ import annotations

import difflib
import json
import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from aletheia_like.errors import InvalidValueError, UnavailableError
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
    # No variable of a program, no file and no server is a table.
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
}
_LOCKS = (
    "SET TimeZone = 'UTC'",
    "SET temp_directory = ''",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
_MISSING = re.compile(r'(?:column|table|key)(?: with name)? "?([^"!\s]+)"?', re.IGNORECASE)
_NEAR = 5


def query_frame(
    session: Session, query: str, parameters: Parameters = None, experiment: str | None = None
) -> Any:
    """Return the answer to a query as a pandas DataFrame; see `Metastore.sql`."""
    with duckdb.connect(config=_CONFIGURATION) as connection:
        asked = parse(connection, query, parameters, list(COLUMNS))
        tables = fetch_tables(session, asked, experiment)
        shown = tables if tables or not _lists_tables(asked) else _empty_tables()
        for name, table in shown.items():
            connection.register(name, table)
        for statement in _LOCKS:
            connection.execute(statement).fetchall()
        return _answer(
            connection, _rewritten(connection, query, asked, tables), parameters, tables
        )


def _answer(connection: Any, query: str, parameters: Parameters, tables: Mapping[str, Any]) -> Any:
    try:
        with warnings.catch_warnings():
            # DuckDB's own use of pandas is not its user's matter.
            warnings.simplefilter("ignore")
            return connection.execute(query, parameters).df()
    except duckdb.OutOfMemoryException as error:
        message = f"the query needs more memory than there is: {shortened(error)}"
        raise UnavailableError(message) from error
    except duckdb.Error as error:
        raise InvalidValueError(_told(error, tables)) from error


def _lists_tables(asked: Asked) -> bool:
    return any(one.get("show_type") == "SHOW_SPECIAL" for one in nodes(asked.tree))


def _empty_tables() -> dict[str, Any]:
    return {name: empty_table(name) for name in COLUMNS}


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


def _told(error: Exception, tables: Mapping[str, Any]) -> str:
    """Return what went wrong, with the names that may have been meant."""
    text = shortened(error)
    missing = _MISSING.search(text)
    is_unknown = any(one in text for one in ("not found", "does not exist", "not exist"))
    if missing is None or not is_unknown:
        return text
    if "able with name" in text:
        return f"there is no table {missing[1]!r}: there are {', '.join(COLUMNS)}"
    names = dict.fromkeys(name for table in tables.values() for name in table.column_names)
    folded = {name.lower(): name for name in names}
    near = difflib.get_close_matches(missing[1].lower(), folded, _NEAR, 0.5)
    near += [one for one in folded if one.endswith(f".{missing[1].lower()}") and one not in near]
    first = text.partition(";")[0].rstrip("!")
    if near:
        return f"{first}: did you mean {', '.join(map(_quoted, (folded[one] for one in near)))}?"
    empty = [name for name, table in tables.items() if not table.num_rows]
    what = f"; no rows match in {', '.join(empty)}" if empty else ""
    return f"{first}: there are {', '.join(map(_quoted, names)) or 'none'}{what}"


def _quoted(name: str) -> str:
    """Return a name as SQL takes it."""
    if re.fullmatch(r"[A-Za-z_]\w*", name):
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
