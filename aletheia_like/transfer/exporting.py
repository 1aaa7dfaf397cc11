"""Chooses the format of an export by its path, and reads each back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore.session import Session
from aletheia_like.transfer.report import Tally
from aletheia_like.transfer.selecting import select
from aletheia_like.transfer.source import Source, StoreSource

Format = Literal["jsonl", "parquet", "sqlite"]

FORMATS: Sequence[Format] = get_args(Format)

_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
}
_FORMS = "NAME.parquet (a folder), NAME.sqlite or NAME.db (one file), NAME.jsonl (a folder)"


def export_project(
    session: Session,
    path: str | Path,
    *,
    experiments: Sequence[str] | None,
    runs: Sequence[str] | None,
    format_: str | None,
) -> Tally:
    """Write a project into files; see `Metastore.export`."""
    target = Path(path).expanduser().absolute()
    if target.is_symlink():
        # What is written aside takes the place of the file, not of the link to it.
        target = target.resolve()
    chosen = format_of(target, format_)
    session.recorder.flush()
    source = select(StoreSource(session), experiments, runs)
    if source.get("") is None:
        message = f"project {session.project!r} has nothing to export in {session.description}"
        raise NotFoundError(message)
    show = session.settings.progress
    whole = experiments is None and runs is None
    match chosen:
        case "jsonl":
            from aletheia_like.transfer.jsonlines import export_lines

            return export_lines(source, target, whole=whole, show=show)
        case "parquet":
            from aletheia_like.transfer.parquet import export_parquet

            return export_parquet(source, target, show=show)
        case "sqlite":
            from aletheia_like.transfer.sqlite import export_sqlite

            return export_sqlite(source, target, show=show)


def open_export(path: str | Path, format_: str | None = None) -> Source:
    """Return what an export holds, checked.

    Raises:
        NotFoundError: There is none.
        IntegrityError: It is half written or damaged.
        InvalidValueError: It is something else, or the suffix tells no format.
    """
    target = Path(path).expanduser().absolute()
    if format_ is None and not _has_format(target):
        message = (
            f"{target} is nothing that is known: give what `export` wrote, {_FORMS}; or a file or "
            "folder of MLflow, TensorBoard, W&B or CSV; or name the format (--from)"
        )
        raise InvalidValueError(message)
    chosen = format_of(target, format_)
    if not target.exists():
        message = f"nothing at {target}: give the path of an export"
        raise NotFoundError(message)
    match chosen:
        case "jsonl":
            from aletheia_like.transfer.jsonreading import JsonSource

            return JsonSource(target)
        case "parquet":
            from aletheia_like.transfer.parquetreading import ParquetSource

            return ParquetSource(target)
        case "sqlite":
            from aletheia_like.transfer.sqlitereading import SqliteSource

            return SqliteSource(target)


def _has_format(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES or (path / "data.jsonl").is_file()


def format_of(path: Path, given: str | None = None) -> Format:
    """Return the format that is given, or that a path's suffix means.

    Raises:
        InvalidValueError: There is no such format.
    """
    if given is not None:
        for one in FORMATS:
            if one == given:
                return one
        message = f"no format {given!r}: there are {', '.join(FORMATS)}"
        raise InvalidValueError(message)
    found = _SUFFIXES.get(path.suffix.lower())
    if found is None and (path / "data.jsonl").is_file():
        return "jsonl"
    if found is None:
        message = f"{path} has no suffix that tells the format: use {_FORMS}; or give it"
        raise InvalidValueError(message)
    return found
