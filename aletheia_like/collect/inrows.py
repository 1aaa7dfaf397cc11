"""Which objects and files the rows of a project hold."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aletheia_like.metastore.allrows import EXPERIMENT, project_rows
from aletheia_like.metastore.assets import FILE
from aletheia_like.metastore.renewing import SWEPT_BY
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.model.rows import RUN_ID

Kind = Literal["object", "file", "table"]

_DIGEST = re.compile(r"[0-9a-f]{64}")
_READ_BATCH = 300


@dataclass(frozen=True, slots=True)
class RowObject:
    """A blob that rows show: a pickled object by its hash, a file, or a table.

    Attributes:
        digest: Its sha-256.
        kind: What it is.
        name: What the file is called; of an object the first column that shows it.
        size: Bytes; None if it is not known here.
        columns: Where rows show it.
        runs: Which runs do, as `EXPERIMENT/RUN`.
        cells: How many cells do.
    """

    digest: str
    kind: Kind
    name: str
    size: int | None
    columns: tuple[str, ...]
    runs: tuple[str, ...]
    cells: int


@dataclass(slots=True)
class _Seen:
    """What is known of a digest while rows are read."""

    kind: Kind
    name: str
    size: int | None
    columns: dict[str, None] = field(default_factory=dict)
    runs: dict[str, None] = field(default_factory=dict)
    cells: int = 0


def objects_in_rows(session: Session, equal_to: Mapping[str, Any]) -> list[RowObject]:
    """Return what the rows of a project show, in the order of its first appearance.

    Args:
        session: The metastore.
        equal_to: The experiment, or experiment and run, whose rows are read.
    """
    seen: dict[str, _Seen] = {}
    rows = project_rows(session, equal_to)
    if not len(rows):
        return []
    runs = [f"{one}/{id_}" for one, id_ in zip(rows[EXPERIMENT], rows.stored(RUN_ID), strict=True)]
    for column in rows.columns:
        if column in (RUN_ID, EXPERIMENT):
            continue
        for run, cell in zip(runs, rows.stored(column), strict=True):
            for digest, found in _shown(column, cell):
                one = seen.setdefault(digest, found)
                one.columns[column] = one.runs[run] = None
                one.cells += 1
    sizes = _sizes(session, [one for one, found in seen.items() if found.size is None])
    return [
        RowObject(
            digest,
            found.kind,
            found.name,
            sizes.get(digest) if found.size is None else found.size,
            tuple(found.columns),
            tuple(found.runs),
            found.cells,
        )
        for digest, found in seen.items()
        if found.kind != "object" or digest in sizes
    ]


def _shown(column: str, cell: Any) -> Iterator[tuple[str, _Seen]]:
    """Yield the digests of a stored cell; a text that only looks like one is found out later."""
    if isinstance(cell, str):
        if _DIGEST.fullmatch(cell):
            yield cell, _Seen("object", column, None)
    elif isinstance(cell, list):
        for one in cell:
            yield from _shown(column, one)
    elif isinstance(cell, Mapping):
        fields = cell.get(FILE)
        if cell.keys() == {FILE} and isinstance(fields, Mapping):
            if "sha256" in fields:
                kind: Kind = "table" if fields.get("kind") == "table" else "file"
                yield (
                    str(fields["sha256"]),
                    _Seen(kind, str(fields.get("name") or column), fields.get("size")),
                )
            return
        for one in cell.values():
            yield from _shown(column, one)


def _sizes(session: Session, digests: list[str]) -> dict[str, int | None]:
    """Return the sizes of those digests that are blobs, waiting to be sent or stored."""
    found: dict[str, int | None] = {}
    for digest in digests:
        waiting = session.spool.path(digest)
        # It goes when it is sent, and then the store knows it.
        with contextlib.suppress(FileNotFoundError):
            if waiting is not None:
                found[digest] = waiting.stat().st_size
    asked = [one for one in digests if one not in found]
    for start in range(0, len(asked), _READ_BATCH):
        part = asked[start : start + _READ_BATCH]
        for digest, document in zip(
            part, session.documents.get_many(list(map(paths.file, part))), strict=True
        ):
            if document is not None and SWEPT_BY not in document.fields:
                size = document.fields.get("size")
                found[digest] = size if isinstance(size, int) else None
    return found
