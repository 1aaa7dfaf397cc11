"""What a data set was made from: the data sets and runs before it, and the code that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aletheia_like.capture.git import GitFailedError, find_repository, read_git_state
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.stored import StoredVersion
from aletheia_like.model.records import GitState, RunRecord, VersionRecord

PARENTS = "parents"


def with_source(session: Session, record: VersionRecord, source: Any) -> VersionRecord:
    """Return a record that says what it was made from.

    A name, a mapping, or whatever else is plain stays as it is. A version of a data set or an
    artifact, a run, or several of these become their names, versions and digests; the run, or the
    git repository around the program, is the code.
    """
    given = list(source) if isinstance(source, Sequence) and _is_list(source) else [source]
    if not any(_is_handle(one) for one in given):
        return replace(record, source=source)
    runs = [one.record for one in given if _is_run(one)]
    parents = [_parent(one) for one in given]
    for run in runs:
        parents += [
            {"dataset": use.name, "version": use.version, "digest": use.digest}
            for use in run.datasets.values()
        ]
    told: dict[str, Any] = {PARENTS: [one for one in parents if one is not None]}
    made = runs[0] if len(runs) == 1 else None
    code = _code(session, made.git if made is not None else None)
    if code:
        told["code"] = code
    commit = code.get("commit")
    if made is None:
        return replace(record, source=told, commit=commit)
    return replace(record, source=told, run=made.id, experiment=made.experiment, commit=commit)


def parents_of(record: VersionRecord) -> list[Mapping[str, Any]]:
    """Return the parents that a record names, as mappings with `dataset` and `version`."""
    source = record.source
    listed = source.get(PARENTS) if isinstance(source, Mapping) else None
    if not isinstance(listed, list | tuple):
        return []
    return [one for one in listed if isinstance(one, Mapping) and "dataset" in one]


def _parent(one: Any) -> dict[str, Any] | str | None:
    if _is_run(one):
        return None
    if not isinstance(one, StoredVersion):
        return str(one)
    record, kind = one.record, one.word
    told = {kind: record.name, "version": record.version, "digest": record.digest}
    part = getattr(one, "partition", None)
    return told if part is None else {**told, "partition": part}


def _code(session: Session, known: GitState | None) -> dict[str, Any]:
    """Return commit, remote, and whether files differ from the commit; nothing if unknown."""
    git = known
    if git is None and session.settings.git != "off":
        try:
            root = find_repository()
            git = None if root is None else read_git_state(root)
        except GitFailedError:
            return {}
    if git is None:
        return {}
    told = {"commit": git.commit, "remote": git.remote, "dirty": git.dirty or None}
    return {key: value for key, value in told.items() if value is not None}


def _is_handle(one: Any) -> bool:
    return isinstance(one, StoredVersion) or _is_run(one)


def _is_run(one: Any) -> bool:
    return isinstance(getattr(one, "record", None), RunRecord)


def _is_list(source: Sequence[Any]) -> bool:
    return not isinstance(source, str | bytes)
