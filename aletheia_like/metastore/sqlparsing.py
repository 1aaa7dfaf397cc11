"""What a query asks for: its tables, the columns it names, and which runs it can see at most.

DuckDB's own parser reads the query. What cannot be told for sure is taken as everything, so a
filter that is not understood costs reads, never rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.names import with_article
from aletheia_like.model.rows import RUN_ID

EXPERIMENT = "experiment"

Parameters = Sequence[Any] | Mapping[str, Any] | None
"""Values for `?` and `$1`, or by name for `$name`."""

Node = dict[str, Any]
"""A part of DuckDB's tree of a query."""

_EXPLAIN = re.compile(r"\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?", re.IGNORECASE)
_FILTERED = frozenset({EXPERIMENT, RUN_ID})
_PLAIN_JOINS = frozenset({"REGULAR", "NATURAL", "CROSS"})
_OPAQUE = frozenset({"STAR", "PIVOT", "SHOW_REF", "TABLE_FUNCTION", "COLUMN_DATA"})
_NAMING = frozenset({"query", "query_table"})
_OWN_SCHEMAS = frozenset({"", "main", "temp", None})


@dataclass(frozen=True, slots=True)
class Scope:
    """The runs that one place of a query can see at most; None stands for all.

    Attributes:
        experiments: Names.
        runs: Ids.
    """

    experiments: frozenset[str] | None = None
    runs: frozenset[str] | None = None

    def narrowed(self, column: str, values: frozenset[str]) -> Scope:
        """Return what is left when a column has one of these values."""
        if column == EXPERIMENT:
            return Scope(_both(self.experiments, values), self.runs)
        return Scope(self.experiments, _both(self.runs, values))

    def covers(self, experiment: str, run: str) -> bool:
        """Whether a run may be seen."""
        known = self.experiments is None or experiment in self.experiments
        return known and (self.runs is None or run in self.runs)


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query asks for.

    Attributes:
        tables: The scopes in which it uses each of our tables, by name.
        columns: Every name that may be that of a column, in lower case; None if it may be any.
        tree: The query as DuckDB understands it; None where that cannot be told.
        prefix: What stands before the query of the tree, such as `EXPLAIN`.
    """

    tables: Mapping[str, tuple[Scope, ...]]
    columns: frozenset[str] | None = None
    tree: Node | None = None
    prefix: str = ""


def parse(connection: Any, query: str, parameters: Parameters, known: Sequence[str]) -> Asked:
    """Return what a query asks for.

    Args:
        connection: To DuckDB.
        query: One query that changes nothing.
        parameters: Its parameters.
        known: Names of the tables there are.

    Raises:
        InvalidValueError: It is no query, several, or one that is to change something.
    """
    _check_text(query)
    _check_statement(connection, query)
    explained = _EXPLAIN.match(query)
    prefix = explained[0] if explained else ""
    text = query[len(prefix) :]
    ((answer,),) = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchall()
    tree = json.loads(answer)
    if tree.get("error") or any(one.get("function_name") in _NAMING for one in nodes(tree)):
        # Not to be told: whatever the text names may be meant.
        words = set(re.findall(r"\w+", query.lower()))
        return Asked({name: (EVERYTHING,) for name in known if name in words}, None, None, prefix)
    return Asked(_mentions(tree, known, parameters), _columns(tree), tree, prefix)


def _check_text(query: object) -> None:
    if not isinstance(query, str):
        message = f"a query is a text, not {with_article(type(query).__name__)}: {query!r:.80}"
        raise InvalidValueError(message)


def nodes(tree: Any) -> Iterator[Node]:
    """Yield every node of a tree."""
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def table_names(tree: Any) -> set[str]:
    """Return every name by which a query may mean a table, in lower case."""
    found = {str(one["key"]).lower() for one in nodes(tree) if "key" in one and "value" in one}
    for one in nodes(tree):
        found |= {str(one[key]).lower() for key in ("alias", "table_name") if one.get(key)}
    return found


def _check_statement(connection: Any, query: str) -> None:
    import duckdb

    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        message = f"this is no SQL that DuckDB understands: {shortened(error)}"
        raise InvalidValueError(message) from error
    if not statements:
        message = "there is no query: begin with SELECT, WITH, FROM, DESCRIBE or EXPLAIN"
        raise InvalidValueError(message)
    if len(statements) > 1:
        message = f"one query is asked at a time, not {len(statements)}"
        raise InvalidValueError(message)
    kind = statements[0].type.name
    if kind == "MULTI":
        message = (
            "DuckDB would need a table of its own for this: name the values, PIVOT … ON x IN (…)"
        )
        raise InvalidValueError(message)
    if kind not in ("SELECT", "EXPLAIN"):
        message = (
            f"a metastore is only read by SQL, and {kind.replace('_', ' ')} is no query: "
            "begin with SELECT, WITH, FROM, DESCRIBE or EXPLAIN"
        )
        raise InvalidValueError(message)


def shortened(error: Exception) -> str:
    """Return what one of DuckDB's messages says first, without its kind and the candidates."""
    text = str(error).partition("\n\n")[0].partition("Error: ")
    lines = [line.strip() for line in (text[2] or text[0]).splitlines()]
    end = next((n for n, line in enumerate(lines) if line.startswith("Candidate")), len(lines))
    return "; ".join(line.rstrip("!;") for line in lines[:end] if line)


def _mentions(
    tree: Any, known: Sequence[str], parameters: Parameters = None
) -> dict[str, tuple[Scope, ...]]:
    """Return the scopes of each of our tables that a tree mentions."""
    narrowed: dict[int, Scope] = {}
    for one in nodes(tree):
        if one.get("type") == "SELECT_NODE":
            narrowed |= _Select(one, parameters).scopes()
    found: dict[str, tuple[Scope, ...]] = {}
    for one in nodes(tree):
        name = _table_name(one)
        if name is not None and name in known:
            found[name] = (*found.get(name, ()), narrowed.get(id(one), EVERYTHING))
    return found


def _table_name(node: Node) -> str | None:
    if node.get("type") == "SHOW_REF":
        return str(node.get("table_name")).strip('"').lower()
    if node.get("type") != "BASE_TABLE" or node.get("schema_name") not in _OWN_SCHEMAS:
        return None
    return str(node.get("table_name")).lower()


def _columns(tree: Any) -> frozenset[str] | None:
    names: set[str] = set()
    tables = table_names(tree)
    for one in nodes(tree):
        if one.get("class") == "STAR" or str(one.get("type")) in _OPAQUE:
            return None
        if one.get("ref_type") == "NATURAL":
            return None
        if one.get("class") == "COLUMN_REF":
            parts = [str(part).lower() for part in one["column_names"]]
            if parts[-1] in tables:
                return None
            names |= {*parts, ".".join(parts), ".".join(parts[1:])}
        names |= {str(name).lower() for name in one.get("using_columns") or ()}
    return frozenset(names)


@dataclass(slots=True)
class _Select:
    """One SELECT: the tables beside each other in its FROM, and what its WHERE demands."""

    node: Node
    parameters: Parameters
    _tables: list[Node] = field(default_factory=list)
    _equal: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    _plain: bool = True

    def scopes(self) -> dict[int, Scope]:
        """Return the scope of each table, by the identity of its node."""
        self._collect(self.node.get("from_table"))
        if not self._plain:
            return {}
        found = {id(one): EVERYTHING for one in self._tables}
        for qualifier, column, values in self._conditions(self.node.get("where_clause")):
            meant = self._meant(qualifier, column)
            for one in self._tables:
                if meant is None or _called(one) in meant:
                    found[id(one)] = found[id(one)].narrowed(column, values)
        return found

    def _collect(self, source: Any) -> list[Node]:
        """Note the tables of a FROM, and which of their columns are equal; return the tables."""
        if not isinstance(source, dict) or source.get("sample"):
            self._plain = self._plain and not isinstance(source, dict)
            return []
        if source.get("type") == "BASE_TABLE":
            self._tables.append(source)
            return [source]
        if source.get("type") != "JOIN":
            return []
        self._plain = self._plain and source.get("ref_type") in _PLAIN_JOINS
        left, right = self._collect(source["left"]), self._collect(source["right"])
        shared = [str(name).lower() for name in source.get("using_columns") or ()]
        if source.get("ref_type") == "NATURAL":
            shared = [EXPERIMENT, RUN_ID]
        for column in shared:
            pairs = [(_called(one), _called(other)) for one in left for other in right]
            self._equal.setdefault(column, []).extend(pairs)
        for one in _conjuncts(source.get("condition")):
            self._note_equality(one)
        return [*left, *right]

    def _note_equality(self, node: Node) -> None:
        if node.get("type") != "COMPARE_EQUAL":
            return
        sides = [_reference(node.get("left")), _reference(node.get("right"))]
        (one, column), (other, same) = sides
        if one and other and column and column == same:
            self._equal.setdefault(column, []).append((one, other))

    def _meant(self, qualifier: str | None, column: str) -> set[str] | None:
        """Return the tables whose column has the value too; None for all."""
        if qualifier is None:
            return None
        meant = {qualifier}
        while True:
            more = {
                name
                for pair in self._equal.get(column, ())
                if meant.intersection(pair)
                for name in pair
            }
            if more <= meant:
                return meant
            meant |= more

    def _conditions(self, where: Any) -> Iterator[tuple[str | None, str, frozenset[str]]]:
        for node in _conjuncts(where):
            if node.get("type") == "COMPARE_EQUAL":
                left, right = node.get("left"), node.get("right")
                yield from self._condition(left, [right])
                yield from self._condition(right, [left])
            elif node.get("type") == "COMPARE_IN":
                first, *rest = node.get("children") or [None]
                yield from self._condition(first, rest)

    def _condition(
        self, side: Any, values: Sequence[Any]
    ) -> Iterator[tuple[str | None, str, frozenset[str]]]:
        qualifier, column = _reference(side)
        texts = [_text(one, self.parameters) for one in values]
        if column and texts and None not in texts:
            yield qualifier, column, frozenset(one for one in texts if one is not None)


def _conjuncts(condition: Any) -> Iterator[Node]:
    """Yield the conditions that must all hold."""
    if not isinstance(condition, dict):
        return
    if condition.get("type") != "CONJUNCTION_AND":
        yield condition
        return
    for one in condition.get("children") or ():
        yield from _conjuncts(one)


def _called(table: Node) -> str:
    return str(table.get("alias") or table.get("table_name")).lower()


def _reference(node: Any) -> tuple[str | None, str | None]:
    """Return the table and the column of a reference; no column if it is none that filters."""
    if not isinstance(node, dict) or node.get("class") != "COLUMN_REF":
        return None, None
    *table, column = (str(part).lower() for part in node["column_names"])
    if column not in _FILTERED or len(table) > 1:
        return None, None
    return table[0] if table else None, column


def _text(node: Any, parameters: Parameters) -> str | None:
    """Return a constant text, or None for everything else."""
    if not isinstance(node, dict):
        return None
    value: Any = None
    if node.get("class") == "PARAMETER":
        value = _parameter(str(node.get("identifier")), parameters)
    elif node.get("class") == "CONSTANT" and "literal" in node:
        literal = node["literal"]
        value = literal.get("text") if literal.get("kind") == "STRING" else None
    elif node.get("class") == "CONSTANT":
        constant = node.get("value") or {}
        is_text = (constant.get("type") or {}).get("id") == "VARCHAR"
        value = constant.get("value") if is_text else None
    return value if isinstance(value, str) else None


def _parameter(name: str, parameters: Parameters) -> Any:
    if isinstance(parameters, Mapping):
        return parameters.get(name)
    place = int(name) - 1 if name.isdecimal() else -1
    if parameters is None or not 0 <= place < len(parameters):
        return None
    return parameters[place]


def _both(known: frozenset[str] | None, values: frozenset[str]) -> frozenset[str]:
    return values if known is None else known & values
