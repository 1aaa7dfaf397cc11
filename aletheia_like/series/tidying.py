"""Makes a changelog shorter, or its segments fewer, and changes nothing that is shown."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from aletheia_like.errors import AlreadyExistsError, InvalidValueError, NotFoundError
from aletheia_like.series import columnstore
from aletheia_like.series.changelog import Changelog
from aletheia_like.series.frame import Frame
from aletheia_like.series.history import Logged, State
from aletheia_like.series.intervals import Bound, Interval
from aletheia_like.series.reading import Reader, Slice, joined
from aletheia_like.series.revisions import Op, Revision, folded, form_of
from aletheia_like.series.schema import Schema
from aletheia_like.series.series import before_id
from aletheia_like.series.writing import CHUNK_ROWS, encode_columns, index_row


def trim(changelog: Changelog, before: Any = None) -> int:
    """Forget the history before a revision or moment; see `Collection.trim`."""

    def attempt() -> int:
        changelog.refresh().check_whole()
        history = changelog.history
        kept, gone = to_forget(changelog, before)
        if not gone:
            return 0
        lost = set(gone)
        bases = {one for one in kept if lost.intersection(history.revisions[one].parents)}
        keep = [
            _base(changelog, one) if one in bases else history.revisions[one]
            for one in sorted(kept)
        ]
        keep += [one for one in history.folds if one.id in kept and one.id not in bases]
        changelog.rewrite(_unique(keep))
        return len(gone)

    return changelog.session.retry(attempt, AlreadyExistsError)


def to_forget(changelog: Changelog, before: Any) -> tuple[set[str], list[str]]:
    """Return which revisions `trim` keeps, and which not."""
    history = changelog.history
    kept = set(history.heads)
    if before is not None:
        first = before_id(changelog, before)
        kept |= {one for one in history.ids if one >= first}
    return kept, [one for one in history.ids if one not in kept]


def _base(changelog: Changelog, id_: str) -> Revision:
    """Return a revision with all that is needed of what was before it."""
    one = changelog.history.revisions[id_]
    state = State(changelog.schema.kind, changelog.history.operations(id_))
    return folded(one, one.parents, state.needed(), is_base=True, covers=one.covers)


def _unique(revisions: list[Revision]) -> list[Revision]:
    return list({form_of(one): one for one in revisions}.values())


def drop(changelog: Changelog, revision: Any) -> None:
    """Take one past revision out of the history; see `Collection.drop`."""
    id_ = revision.id if isinstance(revision, Revision | Logged) else str(revision)

    def attempt() -> None:
        changelog.refresh().check_whole()
        history = changelog.history
        if id_ not in history.revisions:
            message = f"no revision {id_} in collection {changelog.label!r}"
            raise NotFoundError(message)
        if id_ in history.heads:
            message = (
                f"revision {id_} is a head, which is what is read: write again to change that, "
                "then drop it"
            )
            raise InvalidValueError(message)
        gone = history.revisions[id_]
        keep = [
            _adopting(one, gone) if id_ in one.parents else one
            for one in history.revisions.values()
            if one.id != id_
        ]
        keep += [one for one in history.folds if one.id != id_ and id_ not in one.parents]
        changelog.rewrite(_unique(keep))

    changelog.session.retry(attempt, AlreadyExistsError)


def _adopting(one: Revision, gone: Revision) -> Revision:
    """Return a revision that has taken over what one before it did."""
    parents = [parent for parent in one.parents if parent != gone.id]
    parents += [parent for parent in gone.parents if parent not in parents]
    ops = sorted((*gone.ops, *one.ops), key=lambda op: (op.origin, op.place, op.where.lo))
    covers = (*one.covers, *gone.covers, gone.id)
    is_base = one.is_base or gone.is_base
    return folded(one, parents, ops, is_base=is_base, covers=covers)


def defrag(changelog: Changelog) -> int:
    """Put small segments together; see `Collection.defrag`."""

    def attempt() -> int:
        changelog.refresh()
        history, schema = changelog.history, changelog.schema
        newest = history.newest
        if newest is None:
            return 0
        state = changelog.state()
        reader = Reader(changelog.session, schema)
        waiting: dict[str, bytes] = {}
        ops: list[Op] = []
        count = 0
        kept = {(op.series, op.origin, op.place) for one in history.folds for op in one.ops}
        for label in state.labels():
            found = _defragged(reader, schema, state, label, waiting)
            if found is not None:
                count += 1
                ops += found
            else:
                mine = state.ops(label)
                ops += [op for op in mine if (op.series, op.origin, op.place) in kept]
        if count == 0:
            return 0
        columnstore.store(changelog.session, waiting)
        one = history.revisions[newest]
        keep = [*history.revisions.values()]
        if one.is_base:
            base = State(schema.kind, [*history.operations(newest)]).needed()
            rewritten = {(op.origin, op.place) for op in ops}
            ops += [op for op in base if (op.origin, op.place) not in rewritten]
            ops.sort(key=lambda op: (op.origin, op.place, op.where.lo))
            keep.remove(one)
        keep.append(folded(one, one.parents, ops, is_base=one.is_base, covers=one.covers))
        changelog.rewrite(_unique(keep))
        return count

    return changelog.session.retry(attempt, AlreadyExistsError)


def _defragged(
    reader: Reader, schema: Schema, state: State, label: str, waiting: dict[str, bytes]
) -> list[Op] | None:
    """Return the pieces of a series in as few columns as possible, or None if they are few."""
    if schema.kind == "kv":
        return _defragged_keys(reader, schema, state, label, waiting)
    slices = reader.slices(state, label)
    total = sum(map(len, slices))
    if len(joined(slices)) <= -(-total // CHUNK_ROWS):
        return None
    frame = reader.rows(slices, schema.names)
    place = {id(op): number for number, op in enumerate(state.ops(label))}
    ops = [
        Op("delete", op.series, piece, origin=op.origin, place=op.place)
        for piece, op in state.layers(label)
        if id(op) in place and op.kind == "write" and not _has_rows(slices, op, piece)
    ]
    return ops + list(_pieces(schema, frame, slices, waiting))


def _has_rows(slices: list[Slice], op: Op, piece: Interval) -> bool:
    return any(one.op is op and one.where == piece for one in slices)


def _pieces(
    schema: Schema, frame: Frame, slices: list[Slice], waiting: dict[str, bytes]
) -> Iterator[Op]:
    """Yield each slice as a piece of common columns, cut where a chunk ends."""
    total = len(frame)
    columns = {name: frame[name] for name in schema.names}
    arrays = [columns[one.name] for one in schema.index]
    tables = {
        start: columnstore.refs(
            encode_columns(schema, columns, start, start + CHUNK_ROWS), waiting
        )
        for start in range(0, total, CHUNK_ROWS)
    }
    row = 0
    for one in slices:
        end = row + len(one)
        cuts = [row, *(cut for cut in tables if row < cut < end), end]
        for first, last in itertools.pairwise(cuts):
            begin = first // CHUNK_ROWS * CHUNK_ROWS
            lo: Bound = one.where.lo if first == row else (0, index_row(arrays, first), 0)
            hi: Bound = one.where.hi if last == end else (0, index_row(arrays, last), 0)
            yield Op(
                "write",
                one.op.series,
                Interval(lo, hi),
                last - first,
                tables[begin],
                first - begin,
                origin=one.op.origin,
                place=one.op.place,
            )
        row = end


def _defragged_keys(
    reader: Reader, schema: Schema, state: State, label: str, waiting: dict[str, bytes]
) -> list[Op] | None:
    columns, writers = reader.keyed(state, label)
    if len({id(op.columns) for op in writers}) <= 1:
        return None
    by = columns.pop("")
    count = len(by)
    arrays = [columns[one.name] for one in schema.index]
    table = columnstore.refs(encode_columns(schema, columns, 0, count), waiting)
    edges = [0, *(np.flatnonzero(by[1:] != by[:-1]) + 1).tolist(), count]
    found = []
    for first, last in itertools.pairwise(edges):
        if first == last:
            continue
        op = writers[int(by[first])]
        where = Interval((0, index_row(arrays, first), 0), (0, index_row(arrays, last - 1), 1))
        found.append(
            Op(
                "write",
                op.series,
                where,
                last - first,
                table,
                first,
                origin=op.origin,
                place=op.place,
            )
        )
    return found
