"""In what two versions differ: line by line, value by value, cell by cell, or file by file."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal, Self

from aletheia_like.errors import InvalidValueError
from aletheia_like.extras import import_extra
from aletheia_like.metastore.stored import StoredVersion
from aletheia_like.model.values import equal

Kind = Literal["text", "json", "table", "directory", "reference"]

_SHOWN = 200
_TABLES = {".csv": ",", ".tsv": "\t"}
_NUL_SEARCHED = 8_000
_HEADER = 2


@dataclass(frozen=True, slots=True)
class Change:
    """One place in which two versions differ.

    Attributes:
        where: A path in JSON, a row and column of a table, a file of a directory.
        what: `added`, `removed` or `changed`.
        before: What was there; None if it was added.
        after: What is there; None if it was removed.
    """

    where: str
    what: Literal["added", "removed", "changed"]
    before: Any = None
    after: Any = None


class ArtifactDiff(str):
    """A difference as people read it; empty if there is none.

    Attributes:
        kind: How the versions were compared.
        before: The first version, such as `features@0`.
        after: The second version.
        changes: What differs, except line by line.
    """

    kind: Kind
    before: str
    after: str
    changes: tuple[Change, ...]
    __slots__ = ("after", "before", "changes", "kind")

    def __new__(
        cls, text: str, kind: Kind, before: str, after: str, changes: Sequence[Change] = ()
    ) -> Self:
        """Create one; its text and the attributes."""
        diff = super().__new__(cls, text)
        diff.kind, diff.before, diff.after, diff.changes = kind, before, after, tuple(changes)
        return diff

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values: lines of a text, else the changes."""
        told: dict[str, Any] = {"kind": self.kind, "before": self.before, "after": self.after}
        told["same"] = not self
        if self.kind == "text":
            # Not `splitlines`: it breaks at more than ends of lines.
            return told | {"lines": self.split("\n") if self else []}
        changes = [
            {"where": one.where, "what": one.what, "before": one.before, "after": one.after}
            for one in self.changes
        ]
        return told | {"changes": changes}


def compare_versions(before: StoredVersion, after: StoredVersion) -> ArtifactDiff:
    """Return in what two versions differ.

    Raises:
        InvalidValueError: They hold neither text, JSON nor a table, or one is a directory.
        NotFoundError: Their bytes are not in the store.
        MissingExtraError: Parquet needs pyarrow.
    """
    titles = str(before), str(after)
    if before.digest is None and after.digest is None:
        return _of_references(before, after)
    if before.is_dir != after.is_dir:
        which = before if before.is_dir else after
        message = f"{before} and {after} cannot be compared: only {which} is a directory"
        raise InvalidValueError(message)
    if before.is_dir:
        changes = list(_file_changes(before, after))
        return ArtifactDiff(_shown(titles, changes), "directory", *titles, changes)
    if before.digest == after.digest:
        return ArtifactDiff("", _kind(before), *titles)
    return _of_files(before, after)


def _of_references(before: StoredVersion, after: StoredVersion) -> ArtifactDiff:
    titles = str(before), str(after)
    left, right = before.record.location, after.record.location
    changes = [Change("location", "changed", left, right)] if left != right else []
    return ArtifactDiff(_shown(titles, changes), "reference", *titles, changes)


def _file_changes(before: StoredVersion, after: StoredVersion) -> Iterator[Change]:
    left = {one.path: one.digest for one in before.files()}
    right = {one.path: one.digest for one in after.files()}
    for path in sorted(left.keys() | right.keys()):
        if path not in right:
            yield Change(path, "removed", left[path])
        elif path not in left:
            yield Change(path, "added", None, right[path])
        elif left[path] != right[path]:
            yield Change(path, "changed", left[path], right[path])


def _of_files(before: StoredVersion, after: StoredVersion) -> ArtifactDiff:
    titles = str(before), str(after)
    kinds = _kind(before), _kind(after)
    kind: Kind = kinds[0] if kinds[0] == kinds[1] else "text"
    compare: Mapping[Kind, Callable[[StoredVersion, StoredVersion], Sequence[Change]]] = {
        "json": _json_changes,
        "table": _table_changes,
    }
    if kind in compare:
        try:
            changes = compare[kind](before, after)
        except ValueError as error:
            if isinstance(error, InvalidValueError):
                raise
        else:
            return ArtifactDiff(_shown(titles, changes), kind, *titles, changes)
    found = _line_changes(_text(before), _text(after), titles)
    return ArtifactDiff("\n".join(found), "text", *titles)


def _line_changes(before: str, after: str, titles: tuple[str, str]) -> Iterator[str]:
    """Yield the lines of a unified difference, as Git shows them.

    A last line without an end is told; a carriage return is `^M` if only some lines have one.
    """
    old, new = (list(io.StringIO(text, newline="\n")) for text in (before, after))
    ends = {line.endswith("\r\n") for line in (*old, *new) if line.endswith("\n")}
    told = "^M" if len(ends) > 1 else ""
    for at, line in enumerate(difflib.unified_diff(old, new, *titles, lineterm="")):
        if at < _HEADER or line.startswith("@@"):
            yield line
            continue
        bare = line.removesuffix("\n")
        yield bare.removesuffix("\r") + told if bare.endswith("\r") else bare
        if bare == line:
            yield "\\ No newline at end of file"


def _kind(version: StoredVersion) -> Kind:
    suffix = _suffix(version)
    if suffix in _TABLES or suffix == ".parquet":
        return "table"
    return "json" if suffix == ".json" else "text"


def _suffix(version: StoredVersion) -> str:
    return PurePosixPath(version.record.filename or version.name).suffix.lower()


def _bytes(version: StoredVersion) -> bytes:
    with version.open() as stream:
        return stream.read()


def _text(version: StoredVersion) -> str:
    data = _bytes(version)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text[:_NUL_SEARCHED]:
        message = (
            f"{version} ({version.record.filename}) is neither text, JSON nor a table: "
            "load() both versions and compare them yourself"
        )
        raise InvalidValueError(message)
    return text


def _json_changes(before: StoredVersion, after: StoredVersion) -> Sequence[Change]:
    left, right = (json.loads(_bytes(one)) for one in (before, after))
    return list(_value_changes("", left, right))


def _value_changes(where: str, left: Any, right: Any) -> Iterator[Change]:
    if isinstance(left, dict) and isinstance(right, dict):
        keys = [*left, *(key for key in right if key not in left)]
        pairs = [
            (f"{where}.{key}".lstrip("."), _part(left, key), _part(right, key)) for key in keys
        ]
    elif isinstance(left, list) and isinstance(right, list):
        count = max(len(left), len(right))
        pairs = [(f"{where}[{at}]", left[at : at + 1], right[at : at + 1]) for at in range(count)]
    else:
        if not equal(left, right):
            yield Change(where or "value", "changed", left, right)
        return
    for place, one, other in pairs:
        if not one:
            yield Change(place, "added", None, other[0])
        elif not other:
            yield Change(place, "removed", one[0])
        else:
            yield from _value_changes(place, one[0], other[0])


def _part(mapping: dict[str, Any], key: str) -> list[Any]:
    """Return a value in a list, an empty one if there is none."""
    return [mapping[key]] if key in mapping else []


@dataclass(frozen=True, slots=True)
class _Frame:
    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    types: Mapping[str, str] = field(default_factory=dict)


def _table_changes(before: StoredVersion, after: StoredVersion) -> Sequence[Change]:
    left, right = _frame(before), _frame(after)
    changes = [
        Change(f"column {one}", "removed") for one in left.columns if one not in right.columns
    ]
    changes += [
        Change(f"column {one}", "added") for one in right.columns if one not in left.columns
    ]
    both = [one for one in left.columns if one in right.columns]
    for one in both:
        was, now = left.types.get(one), right.types.get(one)
        if was != now:
            changes.append(Change(f"column {one}", "changed", was, now))
    rows = [[[row.get(one) for one in both] for row in frame.rows] for frame in (left, right)]
    return [*changes, *_row_changes(both, rows[0], rows[1])]


def _frame(version: StoredVersion) -> _Frame:
    suffix = _suffix(version)
    if suffix == ".parquet":
        import_extra("pyarrow", "sql")
        from pyarrow import parquet

        table = parquet.read_table(io.BytesIO(_bytes(version)))
        types = {one.name: str(one.type) for one in table.schema}
        return _Frame(table.column_names, table.to_pylist(), types)
    reader = csv.DictReader(io.StringIO(_text(version), newline=""), delimiter=_TABLES[suffix])
    rows = list(reader)
    return _Frame(list(reader.fieldnames or ()), rows)


def _row_changes(
    columns: Sequence[str], left: Sequence[Sequence[Any]], right: Sequence[Sequence[Any]]
) -> Iterator[Change]:
    """Yield cells that differ where rows still stand side by side, else whole rows.

    Rows are counted from 0; what is equal at both ends is put aside first, so that this takes
    time in proportion to the rows.
    """
    start = 0
    while start < min(len(left), len(right)) and equal(left[start], right[start]):
        start += 1
    end = 0
    most = min(len(left), len(right)) - start
    while end < most and equal(left[len(left) - 1 - end], right[len(right) - 1 - end]):
        end += 1
    old, new = left[start : len(left) - end], right[start : len(right) - end]
    if len(old) == len(new):
        for at, (one, other) in enumerate(zip(old, new, strict=True), start):
            for column, was, now in zip(columns, one, other, strict=True):
                if not equal(was, now):
                    yield Change(f"row {at}, {column}", "changed", was, now)
        return
    gone = Counter(map(repr, old))
    come = Counter(map(repr, new))
    yield from _whole_rows("removed", columns, old, start, gone - come)
    yield from _whole_rows("added", columns, new, start, come - gone)


def _whole_rows(
    what: Literal["added", "removed"],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    start: int,
    left: Counter[str],
) -> Iterator[Change]:
    for at, row in enumerate(rows, start):
        if left[repr(row)] > 0:
            left[repr(row)] -= 1
            shown = dict(zip(columns, row, strict=True))
            values = (shown, None) if what == "removed" else (None, shown)
            yield Change(f"row {at}", what, *values)


def _shown(titles: tuple[str, str], changes: Sequence[Change]) -> str:
    """Return changes as lines with `-` and `+`, at most some hundreds."""
    if not changes:
        return ""
    lines = [f"--- {titles[0]}", f"+++ {titles[1]}"]
    for one in changes[:_SHOWN]:
        was, now = _line(one.where, one.before), _line(one.where, one.after)
        if was == now and one.what == "changed":
            was, now = f"{one.where}: {one.before!r}", f"{one.where}: {one.after!r}"
        if one.what != "added":
            lines.append(f"- {was}")
        if one.what != "removed":
            lines.append(f"+ {now}")
    if len(changes) > _SHOWN:
        lines.append(f"… and {len(changes) - _SHOWN:,} more")
    return "\n".join(lines)


def _line(where: str, value: Any) -> str:
    if value is None:
        return where if where.startswith("column ") else f"{where}: null"
    return f"{where}: {value if isinstance(value, str) else json.dumps(value, default=str)}"
