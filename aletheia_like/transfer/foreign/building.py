"""Makes documents, rows and blobs of what a reader found, as a source that can be moved.

A run is known again by a token made of its key, and says in its field `imported` how many entries
it brought and what they were. So a source that has grown adds rows, and one whose earlier entries
have changed is noticed: what is here then stays.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.leaderboard import result_fields
from aletheia_like.metastore.summary import summarised
from aletheia_like.model.checking import check_fields
from aletheia_like.model.codec import SCHEMA_VERSION, to_fields
from aletheia_like.model.digests import digest_bytes
from aletheia_like.model.names import check_name, to_id
from aletheia_like.model.records import ENDED, ExperimentRecord, RunRecord
from aletheia_like.model.sizes import document_size
from aletheia_like.model.values import MAX_DOCUMENT_BYTES, Value
from aletheia_like.transfer.foreign.artifacts import ArtifactBuilder, BlobKeeper, KeptSource
from aletheia_like.transfer.foreign.entries import (
    digest_of,
    last_of,
    lines_of,
    shortened,
    writer_of,
)
from aletheia_like.transfer.foreign.records import Entry, Foreign, ForeignRun, moment_of
from aletheia_like.transfer.packing import FileRows
from aletheia_like.transfer.report import Left
from aletheia_like.transfer.source import Extent, Source

_TOKEN_DIGITS = 16
_ROOM = 20_000


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is known of a run's entries, and of the rows that they become.

    Attributes:
        ends: How many entries there were after each import.
        counts: How many rows each import brought.
        summary: Of all rows.
    """

    ends: tuple[int, ...]
    counts: tuple[int, ...]
    digest: str
    summary: Mapping[str, Any]


class ForeignSource(KeptSource):
    """What another tracker recorded, as a project of ours.

    Args:
        foreign: What a reader found.
        project: The project that it goes into.
        target: That project, which may know some of the runs.
        now: The moment of this import.

    Attributes:
        left: What is not carried.

    Raises:
        InvalidValueError: Something in it cannot be stored; nothing was changed.
    """

    def __init__(self, foreign: Foreign, project: str, target: Source, now: dt.datetime) -> None:
        self._now = now
        self.left: list[Left] = list(foreign.left)
        self._foreign = foreign
        self._target = target
        self._keeper = BlobKeeper()
        self._runs: dict[str, tuple[ForeignRun, _Rows]] = {}
        documents: dict[str, dict[str, Any]] = {}
        by_experiment: dict[str, list[ForeignRun]] = {}
        seen: dict[tuple[str, str], str] = {}
        for run in foreign.runs:
            name = self._usable(run.experiment, "experiment")
            first = seen.setdefault((name, run.key), run.id)
            if first != run.id:
                why = f"it is a copy of run {first}: import it alone, into another experiment"
                self.left.append(Left("run", 1, why, run.id))
                continue
            usable = replace(run, experiment=name, id=self._usable(run.id, "run"))
            by_experiment.setdefault(name, []).append(usable)
        for name, runs in by_experiment.items():
            documents |= self._experiment(name, runs)
        for path, fields in documents.items():
            _check(path, fields, foreign)
        super().__init__(foreign.path, project, documents, self._keeper)

    def rows(self, run_path: str) -> Mapping[str, FileRows]:
        run, rows = self._runs[run_path]
        return lines_of(run.entries(), rows.ends, self._keeper.keep, joins=run.joins)

    def extent(self, run_path: str) -> Extent | None:
        _, rows = self._runs[run_path]
        return {
            writer_of(number): (count, count) for number, count in enumerate(rows.counts) if count
        }

    def _usable(self, name: str, what: str) -> str:
        """Return a name that can be one here."""
        try:
            return check_name(name, what)
        except InvalidValueError:
            clean = "".join(one if one.isprintable() else "_" for one in name).strip().lstrip("@")
            usable = clean[:300] or f"unnamed-{digest_bytes(name.encode(errors='replace'))[:6]}"
            self.left.append(Left("name", 1, f"{name!r:.80} cannot be the name of a {what} here"))
            return check_name(usable, what)

    def _experiment(self, name: str, runs: Sequence[ForeignRun]) -> dict[str, dict[str, Any]]:
        path = f"experiments/{to_id(name, 'experiment')}"
        there = self._target.get(path)
        known = {
            str(one.fields["token"]): one.fields
            for one in (self._target.collection(f"{path}/runs") if there is not None else ())
            if one.fields.get("token")
        }
        starts = [run.started_at for run in runs if run.started_at is not None]
        record = ExperimentRecord(name, created_at=min(starts, default=None))
        documents = {path: to_fields(record) if there is None else there.fields}
        target = self._target if there is not None else None
        artifacts = ArtifactBuilder(path, name, self._keeper, target)
        ids = {run.id for run in runs}
        if len(ids) < len(runs):
            twice = next(one for one in sorted(ids) if [run.id for run in runs].count(one) > 1)
            message = (
                f"{self._foreign.path} has two runs {twice!r} for experiment {name!r}: "
                "import their folders one by one, into an experiment each"
            )
            raise InvalidValueError(message)
        for run in runs:
            token = digest_bytes(f"{self._foreign.tracker}\0{run.key}".encode())[:_TOKEN_DIGITS]
            documents |= self._run(path, run, token, known.get(token, {}), artifacts, ids)
        return documents | artifacts.documents

    def _run(
        self,
        path: str,
        run: ForeignRun,
        token: str,
        known: Mapping[str, Any],
        artifacts: ArtifactBuilder,
        ids: set[str],
    ) -> dict[str, dict[str, Any]]:
        run_path = f"{path}/runs/{to_id(run.id, 'run')}"
        entries = run.entries()
        told = known.get("imported")
        earlier = told if isinstance(told, dict) else {}
        rows = self._rows_of(run, entries, earlier, known)
        self._runs[run_path] = (run, rows)
        last = max((one.at for one in entries), default=None)
        seen_at = run.started_at if last is None else moment_of(last, f"run {run.id}")
        moment_of(min((one.at for one in entries), default=0.0), f"run {run.id}")
        uses, sources = artifacts.add(run, token)
        record = RunRecord(
            project="",
            experiment=run.experiment,
            id=run.id,
            token=token,
            name=run.name,
            status=run.status,
            hyper_params=dict(run.params),
            metrics=last_of(entries) if run.measures else dict(run.metrics),
            summary=rows.summary,
            artifacts=uses,
            git=run.git,
            notes=run.notes,
            tags=run.tags,
            parent=self._parent(run, ids),
            created_by=run.created_by,
            started_at=run.started_at,
            ended_at=run.ended_at if run.status in ENDED else None,
            heartbeat_at=seen_at if run.status not in ENDED else None,
            error=run.error,
            extra={"imported": self._imported(run, rows, sources, earlier)},
        )
        fields = {
            key: value if key == "summary" else self._with_short_texts(value)
            for key, value in to_fields(record).items()
        }
        documents = {run_path: fields}
        if record.status in ENDED:
            result = f"{path}/results/{to_id(run.id, 'run')}"
            documents[result] = {"schema_version": SCHEMA_VERSION, **result_fields(record)}
        return documents

    def _with_short_texts(self, value: Value) -> Value:
        if isinstance(value, dict):
            return {key: self._with_short_texts(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._with_short_texts(inner) for inner in value]
        return shortened(value, self._keeper.keep)

    def _parent(self, run: ForeignRun, ids: set[str]) -> str | None:
        if run.parent is None or run.parent in ids:
            return run.parent
        self.left.append(Left("parent", 1, f"run {run.parent} is not in this experiment", run.id))
        return None

    def _imported(
        self,
        run: ForeignRun,
        rows: _Rows,
        sources: Mapping[str, Any],
        earlier: Mapping[str, Any],
    ) -> dict[str, Any]:
        # Whatever else may change later changes this, so that it is noticed.
        told = [repr(one) for one in (replace(run, entries=list, files=()), sorted(sources))]
        about = {
            **run.facts,
            "from": self._foreign.tracker,
            "id": run.id,
            "entries": list(rows.ends),
            "rows": list(rows.counts),
            "digest": rows.digest,
            "state": digest_bytes("\n".join(told).encode(errors="replace"))[:_TOKEN_DIGITS],
        }
        words = ("entries", "digest", "state")
        is_known = all(earlier.get(word) == about[word] for word in words)
        return {**about, "at": earlier["at"] if is_known and "at" in earlier else self._now}

    def _rows_of(
        self,
        run: ForeignRun,
        entries: Sequence[Entry],
        earlier: Mapping[str, Any],
        known: Mapping[str, Any],
    ) -> _Rows:
        """Return which of the entries are to be here, in parts as they came."""
        before = _told(earlier, known)
        count = before.ends[-1] if before is not None else 0
        if before is not None and digest_of(entries[:count]) != before.digest:
            why = f"what was imported of it before has changed in {self._foreign.path}"
            self.left.append(Left("row", max(0, len(entries) - count), why, run.id))
            return before
        if before is not None and len(entries) == count:
            return before
        ends = (*(() if before is None else before.ends), len(entries))
        found = lines_of(entries, ends, self._keeper.keep, joins=run.joins)
        counts = tuple(len(found.get(writer_of(number), ())) for number in range(len(ends)))
        summary = summarised([line for rows in found.values() for line in rows.lines()])
        return _Rows(ends, counts, digest_of(entries), summary)


def _told(earlier: Mapping[str, Any], known: Mapping[str, Any]) -> _Rows | None:
    """Return what a run says of the entries that were imported; None if that was edited away."""
    ends, counts, digest = (earlier.get(word) for word in ("entries", "rows", "digest"))
    if not (isinstance(ends, list) and isinstance(counts, list) and ends):
        return None
    return _Rows(tuple(ends), tuple(counts), str(digest), known.get("summary", {}))


def _check(path: str, fields: Mapping[str, Any], foreign: Foreign) -> None:
    """Refuse a document that no store takes, before anything is written."""
    try:
        check_fields(fields)
    except InvalidValueError as error:
        message = f"{foreign.path}: {path} cannot be stored: {error}"
        raise InvalidValueError(message) from error
    if document_size(path, fields) > MAX_DOCUMENT_BYTES - _ROOM:
        message = f"{foreign.path}: {path} would be over a megabyte: it has too many parameters"
        raise InvalidValueError(message)
