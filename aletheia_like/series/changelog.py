"""The changelog of one collection in a store: known revisions, and how new ones are added.

The collection's document counts arrivals. Whoever adds revisions raises that number in the same
`apply`, so a reader that knows the number knows that nothing is new; else it asks for what arrived
since. Revisions come in one document each; when there are many they are packed together.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from aletheia_like.errors import AlreadyExistsError, ConflictError, IntegrityError, NotFoundError
from aletheia_like.metastore.session import Session, author
from aletheia_like.model.digests import digest_bytes
from aletheia_like.model.values import FieldPath, Value
from aletheia_like.ports.documents import (
    MAX_WRITES,
    Create,
    Delete,
    Document,
    Filter,
    Order,
    Query,
    Removal,
    Update,
    Write,
)
from aletheia_like.series import columnstore
from aletheia_like.series.clock import next_stamp
from aletheia_like.series.documents import (
    INLINE_BYTES,
    Stored,
    blobs_of,
    check_size,
    pack_fields,
    pack_size,
    payload_of,
    revision_fields,
    revisions_of,
    schema_of,
)
from aletheia_like.series.history import History, State
from aletheia_like.series.knowing import Known
from aletheia_like.series.packing import LEVEL_PACKS, PACK_BYTES, PACKED, packable
from aletheia_like.series.revisions import Op, Revision, revision
from aletheia_like.series.schema import Schema

_PART = 200
_FIELDS_BYTES = 2_000


@dataclass(slots=True)
class Draft:
    """What a writer wants to do.

    Attributes:
        ops: The operations.
        columns: Blobs that these mention, by digest.
    """

    ops: list[Op] = field(default_factory=list)
    columns: dict[str, bytes] = field(default_factory=dict)


Intent = Callable[[State], Draft | None]
"""What a writer wants to do in view of what is shown."""


class Changelog:
    """What is known of a collection; safe for threads.

    Args:
        session: Where it is.
        path: Of the collection's document.
        label: Its name.
    """

    def __init__(self, session: Session, path: str, label: str) -> None:
        self.session = session
        self.path = path
        self.label = label
        self._lock = threading.RLock()
        self._head: Document | None = None
        self._is_current = False
        self._known = Known("series")
        self._offset = dt.timedelta()
        self.batches: dict[int, list[Intent]] = {}

    def __reduce__(self) -> tuple[type[Changelog], tuple[Session, str, str]]:
        return Changelog, (self.session, self.path, self.label)

    @property
    def collection(self) -> str:
        """Path of the collection of revisions."""
        return f"{self.path}/revisions"

    @property
    def history(self) -> History:
        """The revisions that are known."""
        return self._known.history

    @property
    def schema(self) -> Schema:
        """The schema; reads the collection's document once."""
        with self._lock:
            if self._head is None:
                self._read_head()
            return self._schema

    def refresh(self) -> Changelog:
        """Learn what arrived since; one read if nothing did.

        Raises:
            NotFoundError: There is no such collection.
            IntegrityError: A revision cannot be read, or is of something else.
        """
        with self._lock:
            self._is_current = False
            arrivals = self._read_head()
            known = self._known
            if arrivals > known.arrivals and known.lacks_parents(self._read_new(arrivals)):
                # Somebody packed documents while they were read: whole reads cannot miss them.
                known.arrivals = 0
                self._read_new(arrivals)
            self._is_current = True
        return self

    def _read_head(self) -> int:
        document = self.session.documents.get(self.path)
        if document is None:
            message = (
                f"no collection {self.label!r} in project {self.session.project!r}: "
                "create_collection makes one"
            )
            raise NotFoundError(message)
        known = self._head
        if known is None or any(
            known.fields.get(word) != document.fields.get(word) for word in ("token", "epoch")
        ):
            self._schema = schema_of(document)
            self._known = Known(self._schema.kind)
        self._head = document
        self._offset = document.read_at - self.session.clock()
        return int(document.fields.get("arrivals", 0))

    def _read_new(self, arrivals: int) -> list[Revision]:
        query = Query(
            self.collection,
            (Filter(("arrival",), ">", self._known.arrivals),),
            (Order(("arrival",)),),
        )
        new: list[Revision] = []
        for document in self.session.documents.query(query):
            found = self._stored(document)
            self._known.take(found)
            new += found.revisions
        self._known.arrivals = max(self._known.arrivals, arrivals)
        return new

    def _stored(self, document: Document) -> Stored:
        fields = document.fields
        payload = fields.get("payload")
        body = None
        if isinstance(payload, str):
            body = columnstore.fetch(self.session, payload, f"revision {document.path}")
        revisions = revisions_of(document.path, fields, self._schema, body)
        size = sum(one.size for one in revisions)
        arrival = int(fields.get("arrival", 0))
        return Stored(document.id, int(fields.get("level", 0)), arrival, revisions, size)

    def now(self) -> dt.datetime:
        """Return the time by the store's clock, as far as it is known."""
        return self.session.clock() + self._offset

    def state(self) -> State:
        """Return what the newest head shows, as far as it is known."""
        with self._lock:
            return self._known.state()

    def labels(self) -> list[str]:
        """Return the names of the series that exist, sorted, as far as it is known."""
        with self._lock:
            return self._known.labels()

    def state_before(self, id_: str) -> State:
        """Return what was shown before the revision of an id, as far as it is known."""
        with self._lock:
            return self._known.state_before(id_)

    def commit(self, decide: Intent) -> Revision | None:
        """Add a revision on top of the newest head; decide anew if others were faster.

        Args:
            decide: Returns what to do in view of what is shown now; None or no operations for
                nothing. Its columns are stored before the revision.

        Returns:
            The revision, or None if there was nothing to do.
        """
        tried: list[Revision] = []

        def attempt() -> Revision | None:
            is_fresh = not self._is_current or bool(tried)
            if is_fresh:
                self.refresh()
            for one in tried:
                # Its answer was lost, or another form of it came back.
                if one.id in self.history.revisions:
                    return one
            draft = decide(self.state())
            if not is_fresh and (draft is None or not draft.ops):
                # Nothing to do by what was known; others may have changed that.
                self.refresh()
                draft = decide(self.state())
            if draft is None or not draft.ops:
                return None
            columnstore.store(self.session, draft.columns)
            newest = self.history.newest
            parents = (newest,) if newest else ()
            one = self._stamped(parents, draft.ops)
            check_size(one)
            tried.append(one)
            self.add([one])
            return one

        with self._lock:
            made = self.session.retry(attempt, AlreadyExistsError)
            if made is not None:
                self._pack()
            return made

    def _stamped(self, parents: Sequence[str], ops: Iterable[Op]) -> Revision:
        stamp = next_stamp(self.now(), self._known.last_stamp)
        return revision(stamp, parents, ops, author())

    def add(self, revisions: Sequence[Revision], *, epoch: bool = False) -> None:
        """Store revisions whose columns are stored, in one `apply`.

        Args:
            revisions: Which; one document each.
            epoch: Let every reader forget what it knows.

        Raises:
            ConflictError: Others added something since `refresh`.
        """
        with self._lock:
            arrivals = self._known.arrivals
            writes: list[Write] = []
            stored: list[Stored] = []
            for one in revisions:
                arrivals += 1
                payload = payload_of(one)
                digest = None
                if payload is not None:
                    digest = digest_bytes(payload)
                    columnstore.store(self.session, {digest: payload})
                name = f"{one.id}-{arrivals}" if one.is_folded or epoch else one.id
                fields = revision_fields(one, self._schema, arrivals, digest)
                writes.append(Create(f"{self.collection}/{name}", fields))
                stored.append(Stored(name, 0, arrivals, (one,), one.size))
            self._apply(arrivals, writes, epoch=epoch)
            for kept in stored:
                self._known.take(kept)

    def add_many(self, revisions: Sequence[Revision]) -> None:
        """Store revisions whose columns are stored, the small ones many in a document.

        Interrupted, it has stored a part that is whole: parents come first.

        Raises:
            ConflictError: Others added something since `refresh`.
        """
        part: list[Revision] = []
        size = 0
        for one in revisions:
            if one.size > INLINE_BYTES or one.is_folded:
                self._add_part(part)
                self.add([one])
                part, size = [], 0
                continue
            part.append(one)
            size += one.size
            if size > PACK_BYTES // 2 or len(part) == LEVEL_PACKS * PACKED:
                self._add_part(part)
                part, size = [], 0
        self._add_part(part)

    def _add_part(self, part: Sequence[Revision]) -> None:
        if len(part) < LEVEL_PACKS:
            if part:
                self.add(part)
            return
        with self._lock:
            arrivals = self._known.arrivals + len(part)
            fields = pack_fields(part, self._schema, arrivals, 1)
            name = f"{part[-1].id}-pack1-{arrivals}"
            self._apply(arrivals, [Create(f"{self.collection}/{name}", fields)])
            self._known.take(Stored(name, 1, arrivals, tuple(part), pack_size(fields)))

    def _apply(self, arrivals: int, writes: Sequence[Write], *, epoch: bool = False) -> None:
        """Write, and count it in the collection's document.

        Raises:
            ConflictError: Others changed the collection.
        """
        head = self._head
        if head is None:
            message = f"{self.path} was not read yet"
            raise ConflictError(message)
        created = [one.fields for one in writes if isinstance(one, Create)]
        columnstore.renew(self.session, [one for doc in created for one in blobs_of(doc)])
        fields = dict(head.fields)
        fields["arrivals"] = arrivals
        fields["changes"] = int(fields.get("changes", 0)) + 1
        if epoch:
            fields["epoch"] = int(fields.get("epoch", 0)) + 1
        changes: dict[FieldPath, Value | Removal] = {
            (key,): fields[key] for key in ("arrivals", "changes", "epoch")
        }
        revisions = self.session.documents.apply(
            [Update(self.path, changes, head.revision), *writes]
        )
        self._head = Document(head.path, fields, revisions[0] or "", head.updated_at, head.read_at)
        self._known.arrivals = arrivals

    def _pack(self) -> None:
        """Put many small documents together, if there are many."""
        level = 0
        while True:
            batch = packable(self._known.stored.values(), level)
            if not batch:
                return
            try:
                self._replace(batch, level + 1)
            except ConflictError:
                # Somebody else is at it, or writes: the next commit tries again.
                self._is_current = False
                return
            except AlreadyExistsError:
                # Somebody packed these before it was seen here: all is read anew.
                self._head, self._is_current = None, False
                return
            level += 1

    def _replace(self, batch: Sequence[Stored], level: int) -> None:
        revisions = [one for stored in batch for one in stored.revisions]
        arrival = max(one.arrival for one in batch)
        fields = pack_fields(revisions, self._schema, arrival, level)
        name = f"{revisions[-1].id}-pack{level}-{arrival}"
        writes: list[Write] = [Create(f"{self.collection}/{name}", fields)]
        writes += [Delete(f"{self.collection}/{one.id}") for one in batch]
        self._apply(self._known.arrivals, writes)
        pack = Stored(name, level, arrival, tuple(revisions), pack_size(fields))
        self._known.replace(batch, pack)

    def rewrite(self, keep: Sequence[Revision]) -> None:
        """Make these the whole changelog: first they are stored, then the others go.

        Raises:
            ConflictError: Others changed the collection meanwhile.
        """
        with self._lock:
            gone, new = self._known.beyond(keep)
            self._store_in_parts(new)
            for start in range(0, len(gone), MAX_WRITES):
                names = gone[start : start + MAX_WRITES]
                self.session.documents.apply(
                    [Delete(f"{self.collection}/{name}") for name in names]
                )
            self._head = None
            self.refresh()

    def _store_in_parts(self, new: Sequence[Revision]) -> None:
        part: list[Revision] = []
        size = 0
        for one in new:
            part.append(one)
            size += min(one.size, INLINE_BYTES) + _FIELDS_BYTES
            if len(part) == _PART or size > PACK_BYTES:
                self.add(part, epoch=True)
                part, size = [], 0
        self.add(part, epoch=True)

    def check_whole(self) -> None:
        """Refuse a changelog that lacks revisions that others were made on top of.

        Raises:
            IntegrityError: It does.
        """
        missing = self.history.missing_parents()
        if missing:
            message = (
                f"the changelog of {self.label!r} lacks revision {missing[0]}"
                f"{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}: pull the "
                "collection again from a store that has it"
            )
            raise IntegrityError(message)
