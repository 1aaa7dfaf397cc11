"""What a revision is: what it writes to which series, and how documents hold it.

A revision never changes. Its text names every operation, its tail holds small columns, and its id
ends in the digest of both and of its parents, so that it is the same in every store. A folded
revision also carries operations of revisions before it, each with the id that it came from.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import orjson

from aletheia_like.errors import IntegrityError
from aletheia_like.model.bulk import uncollected
from aletheia_like.model.digests import digest_bytes
from aletheia_like.series.clock import moment_of, revision_id, stamp_of
from aletheia_like.series.intervals import EVERYTHING, HIGHEST, LOWEST, Bound, Interval, Top

Ref = str | bytes
"""A column: the digest of a blob, or the bytes themselves."""

OpKind = Literal["write", "delete"]

_OPS: Final = b'],"ops":[{'
_DELETES: Final = b',"k":"delete"'
_NAME: Final = re.compile(rb'\{"s":("(?:[^"\\]|\\.)*")')
_NAMED: Final = re.compile(_NAME.pattern + rb'(,"k":"delete")?(,"i":)?')
"""The begin of an operation in a text; no JSON string holds a quote without a backslash."""


class Op(NamedTuple):
    """One thing that a revision does to one series.

    A tuple, because as many are made as there are points: that takes a third of the time.

    Attributes:
        kind: What.
        series: Name of the series.
        where: The interval that is replaced or deleted.
        rows: How many rows are written.
        columns: Where these are, by column.
        first: The first row of them in these columns.
        origin: Id of the revision that did it; "" until there is one.
        place: Its place among the operations of that.
    """

    kind: OpKind
    series: str
    where: Interval = EVERYTHING
    rows: int = 0
    columns: Mapping[str, Ref] = MappingProxyType({})
    first: int = 0
    origin: str = ""
    place: int = 0


@dataclass(frozen=True)
class Revision:
    """One entry of the changelog.

    Attributes:
        id: Stamp and digest.
        parents: What it was made on top of; none for the first.
        text: Its operations as JSON.
        tail: Bytes of the small columns.
        author: Who made it.
        is_folded: Whether operations of earlier revisions are in it.
        is_base: Whether it has all that is left of what was before it.
        covers: Ids of revisions that were taken out of the history before it.
    """

    id: str
    parents: tuple[str, ...]
    text: bytes
    tail: bytes = b""
    author: str | None = None
    is_folded: bool = False
    is_base: bool = False
    covers: tuple[str, ...] = ()

    @property
    def stamp(self) -> int:
        """Its place in time."""
        return stamp_of(self.id)

    @property
    def at(self) -> dt.datetime:
        """When it was made."""
        return moment_of(self.stamp)

    @property
    def size(self) -> int:
        """Bytes of its text and tail."""
        return len(self.text) + len(self.tail)

    @property
    def rows(self) -> int:
        """How many rows it writes."""
        return sum(op.rows for op in self.ops)

    def __repr__(self) -> str:
        return f"<Revision {self.id}>"

    @functools.cached_property
    def ops(self) -> tuple[Op, ...]:
        """What it does, in order."""
        return _ops(self)

    def digests(self) -> list[str]:
        """Return the blobs that its columns are in."""
        found = {ref for op in self.ops for ref in op.columns.values() if isinstance(ref, str)}
        return sorted(found)


def follow(one: Revision, labels: set[str]) -> None:
    """Change which series exist as a revision does that is not folded.

    Only names are decoded, which takes a tenth of the time that operations take.
    """
    start = one.text.find(_OPS)
    if start < 0:
        done = [(op.series, op.kind == "write", op.where == EVERYTHING) for op in one.ops]
    elif one.text.find(_DELETES, start) < 0:
        labels.update(_texts(_NAME.findall(one.text, start)))
        return
    else:
        found = _NAMED.findall(one.text, start)
        names = _texts([name for name, _, _ in found])
        marks = [(not is_delete, not has_bounds) for _, is_delete, has_bounds in found]
        done = [(name, *mark) for name, mark in zip(names, marks, strict=True)]
    for label, is_write, is_whole in done:
        if is_write:
            labels.add(label)
        elif is_whole:
            labels.discard(label)


def _texts(found: list[bytes]) -> list[str]:
    texts: list[str] = orjson.loads(b"[" + b",".join(found) + b"]")
    return texts


def revision(
    stamp: int, parents: Sequence[str], ops: Iterable[Op], author: str | None = None
) -> Revision:
    """Return a new revision that does these things."""
    text, tail = _written(ops, own=True)
    id_ = revision_id(stamp, _digest(parents, text, tail))
    return Revision(id_, tuple(parents), text, tail, author)


def folded(
    of: Revision,
    parents: Sequence[str],
    ops: Iterable[Op],
    *,
    is_base: bool = False,
    covers: Sequence[str] = (),
) -> Revision:
    """Return a revision in another form: with operations of those before it."""
    text, tail = _written(ops, own=False)
    return Revision(of.id, tuple(parents), text, tail, of.author, True, is_base, tuple(covers))


def check(one: Revision) -> Revision:
    """Return a revision if its id and its content belong together.

    Raises:
        IntegrityError: They do not.
    """
    expected = revision_id(stamp_of(one.id), _digest(one.parents, one.text, one.tail))
    if not one.is_folded and expected != one.id:
        message = (
            f"revision {one.id} does not have the content that its id tells of: it was changed, "
            "or is of something else; pull it again from another store"
        )
        raise IntegrityError(message)
    return one


def form_of(one: Revision) -> tuple[str, bool, bool, bytes]:
    """Return what tells a form of a revision from its others."""
    return one.id, one.is_folded, one.is_base, one.text


def _digest(parents: Sequence[str], text: bytes, tail: bytes) -> str:
    return digest_bytes(b"\n".join([",".join(parents).encode(), text, tail]))


def _written(ops: Iterable[Op], *, own: bool) -> tuple[bytes, bytes]:
    """Return operations as JSON, and the bytes that follow."""
    tables: list[dict[str, Any]] = []
    places: dict[int, int] = {}
    kept: list[Mapping[str, Ref]] = []
    tail: list[bytes] = []
    length = 0
    written = []
    for op in ops:
        one: dict[str, Any] = {"s": op.series}
        if op.kind != "write":
            one["k"] = op.kind
        if op.where != EVERYTHING:
            one["i"] = [_bound_out(op.where.lo), _bound_out(op.where.hi)]
        if op.columns:
            if id(op.columns) not in places:
                places[id(op.columns)] = len(tables)
                kept.append(op.columns)
                table: dict[str, Any] = {}
                for name, ref in op.columns.items():
                    if isinstance(ref, bytes):
                        table[name] = [length, len(ref)]
                        tail.append(ref)
                        length += len(ref)
                    else:
                        table[name] = ref
                tables.append(table)
            one |= {"n": op.rows, "c": places[id(op.columns)]}
        if op.first:
            one["f"] = op.first
        if not own:
            one |= {"o": op.origin, "p": op.place}
        written.append(one)
    return orjson.dumps({"columns": tables, "ops": written}), b"".join(tail)


def _bound_out(bound: Bound) -> list[Any] | None:
    if bound in (LOWEST, HIGHEST):
        return None
    _, values, side = bound
    return [side, *(None if isinstance(one, Top) else one for one in values)]


def _bound_in(given: list[Any] | None, absent: Bound) -> Bound:
    if given is None:
        return absent
    if None in given:
        given = [Top() if one is None else one for one in given]
    return (0, tuple(given[1:]), given[0])


def _ops(one: Revision) -> tuple[Op, ...]:
    try:
        with uncollected():
            body = orjson.loads(one.text)
            tables = [
                {
                    name: ref if isinstance(ref, str) else one.tail[ref[0] : ref[0] + ref[1]]
                    for name, ref in table.items()
                }
                for table in body["columns"]
            ]
            given = enumerate(body["ops"])
            return tuple([_op(each, tables, one.id, place) for place, each in given])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        message = f"revision {one.id} cannot be read: {error}"
        raise IntegrityError(message) from error


def _op(given: dict[str, Any], tables: list[dict[str, Ref]], id_: str, place: int) -> Op:
    lo, hi = given.get("i", (None, None))
    return Op(
        given.get("k", "write"),
        given["s"],
        Interval(_bound_in(lo, LOWEST), _bound_in(hi, HIGHEST)),
        given.get("n", 0),
        tables[given["c"]] if "c" in given else {},
        given.get("f", 0),
        given.get("o", id_),
        given.get("p", place),
    )


def to_line(one: Revision) -> list[Any]:
    """Return a revision as JSON that `from_line` reads back."""
    line: list[Any] = [one.id, list(one.parents), one.text.decode()]
    line.append(base64.b64encode(one.tail).decode())
    line += [one.author, [int(one.is_folded), int(one.is_base), list(one.covers)]]
    return line if one.is_folded or one.covers else line[:5]


def from_line(line: Sequence[Any]) -> Revision:
    """Return the revision that `to_line` wrote."""
    id_, parents, text, tail, author, *rest = line
    is_folded, is_base, covers = rest[0] if rest else (0, 0, ())
    return Revision(
        id_,
        tuple(parents),
        text.encode(),
        base64.b64decode(tail),
        author,
        bool(is_folded),
        bool(is_base),
        tuple(covers),
    )


def pack(revisions: Sequence[Revision]) -> bytes:
    """Return revisions as bytes: what they have in common takes little room."""
    tails = b"".join(one.tail for one in revisions)
    lines = []
    for one in revisions:
        line = to_line(one)
        line[3] = len(one.tail)
        lines.append(line)
    text = orjson.dumps(lines)
    return zlib.compress(len(text).to_bytes(8, "little") + text + tails, 6)


def unpack(data: bytes) -> list[Revision]:
    """Return the revisions that were packed.

    Raises:
        IntegrityError: They cannot be read.
    """
    try:
        plain = zlib.decompress(data)
        size = int.from_bytes(plain[:8], "little")
        place = 8 + size
        found = []
        for line in orjson.loads(plain[8:place]):
            length = line[3]
            line[3] = ""
            one = from_line(line)
            tail = plain[place : place + length]
            place += length
            found.append(
                Revision(
                    one.id,
                    one.parents,
                    one.text,
                    tail,
                    one.author,
                    one.is_folded,
                    one.is_base,
                    one.covers,
                )
            )
    except (ValueError, zlib.error, TypeError, IndexError) as error:
        message = f"a pack of revisions cannot be read: {error}"
        raise IntegrityError(message) from error
    return found
