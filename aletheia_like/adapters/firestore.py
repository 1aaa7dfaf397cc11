"""Documents in Firestore; the only module that knows its client.

The client's own repetitions are off: by default they block for minutes, and its bulk writer loses
data in silence. There are no transactions either: preconditions and commits of several writes do
all that is needed, and do not stall under contention.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from aletheia_like.adapters._clients import ForkGate, PerProcess
from aletheia_like.adapters._matching import compiled, ordered
from aletheia_like.errors import (
    AccessDeniedError,
    AletheiaError,
    AlreadyExistsError,
    ConflictError,
    InvalidValueError,
    MissingExtraError,
    NotFoundError,
    SettingsError,
    UnavailableError,
)
from aletheia_like.model.values import Value
from aletheia_like.ports.documents import (
    REMOVE,
    Create,
    Delete,
    Document,
    DocumentStore,
    Filter,
    Order,
    Query,
    Update,
    Write,
    check_path,
    check_writes,
)

T = TypeVar("T")

_PAGE = 500
_GET_BATCH = 300
_NAMED = 3
_OPERATORS = {"contains": "array_contains"}


class FirestoreDocumentStore:
    """Documents in one Firestore database, or in its emulator.

    Args:
        project: The Google Cloud project.
        database: The database in it.
        timeout: Seconds for one request.
    """

    def __init__(self, project: str, database: str = "(default)", *, timeout: float = 5.0) -> None:
        self._project = project
        self._database = database
        self._timeout = timeout
        self._gate = ForkGate()
        self._clients: PerProcess[Any] = PerProcess(self._build)

    def get(self, path: str) -> Document | None:
        return self.get_many([path])[0]

    def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        wanted = list(dict.fromkeys(check_path(path) for path in paths))
        found: dict[str, Document] = {}
        read_time: dt.datetime | None = None
        for start in range(0, len(wanted), _GET_BATCH):
            batch = wanted[start : start + _GET_BATCH]
            snapshots = self._call(lambda batch=batch, at=read_time: self._get_all(batch, at))
            for snapshot in snapshots:
                if snapshot.exists:
                    document = _document(snapshot)
                    found[document.path] = document
            if len(wanted) > _GET_BATCH and read_time is None:
                read_time = snapshots[0].read_time
        return [found.get(path) for path in paths]

    def query(self, query: Query) -> Iterator[Document]:
        if not all(map(_is_speakable, [*query.filters, *query.order_by])):
            everything = self.query(Query(query.collection))
            matches = compiled(query.filters)
            found = [document for document in everything if matches(document.fields)]
            yield from ordered(found, query.order_by)[: query.limit]
            return
        after: Any = None
        left = query.limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            page = self._call(lambda after=after, size=size: self._page(query, after, size))
            for snapshot in page:
                yield _document(snapshot)
            if len(page) < size:
                return
            after = page[-1]
            left = None if left is None else left - len(page)

    def apply(self, writes: Sequence[Write]) -> list[str | None]:
        check_writes(writes)
        if not writes:
            return []
        return self._call(lambda: self._commit(writes), writes)

    def close(self) -> None:
        client = self._clients.take()
        if client is not None:
            client.close()

    def _build(self) -> Any:
        """Make this process's client; credentials are looked for here, not before."""
        try:
            from google.auth.exceptions import DefaultCredentialsError
            from google.cloud import firestore
        except ImportError as error:
            message = "Firestore needs a package: pip install google-cloud-firestore"
            raise MissingExtraError(message) from error
        try:
            return firestore.Client(project=self._project, database=self._database)
        except (DefaultCredentialsError, OSError, ValueError) as error:
            message = (
                f"no usable credentials for Firestore project {self._project!r}: set "
                "GOOGLE_APPLICATION_CREDENTIALS to a key file, run `gcloud auth "
                "application-default login`, or set FIRESTORE_EMULATOR_HOST"
            )
            raise SettingsError(message) from error

    def _call(self, request: Callable[[], T], writes: Sequence[Write] = ()) -> T:
        """Make a request, with errors in our words."""
        client_errors: tuple[type[Exception], ...] = (Exception,)
        with self._gate.request():
            try:
                return request()
            except AletheiaError:
                raise
            except client_errors as error:
                raise self._translated(error, writes) from error

    def _get_all(self, paths: Sequence[str], read_time: dt.datetime | None) -> list[Any]:
        client = self._clients.get()
        references = [client.document(path) for path in paths]
        snapshots = client.get_all(
            references, retry=None, timeout=self._timeout, read_time=read_time
        )
        return list(snapshots)

    def _page(self, query: Query, after: Any, size: int) -> list[Any]:
        from google.cloud.firestore_v1.base_query import FieldFilter

        client = self._clients.get()
        asked = client.collection(query.collection)
        for one in query.filters:
            operator = _OPERATORS.get(one.operator, one.operator)
            asked = asked.where(filter=FieldFilter(_quoted(one.path), operator, one.value))
        for order in query.order_by:
            direction = "DESCENDING" if order.descending else "ASCENDING"
            asked = asked.order_by(_quoted(order.path), direction=direction)
        # Ties are broken by id in the direction of the last field: that needs no index.
        downwards = bool(query.order_by) and query.order_by[-1].descending
        asked = asked.order_by("__name__", direction="DESCENDING" if downwards else "ASCENDING")
        if after is not None:
            asked = asked.start_after(after)
        return list(asked.limit(size).stream(retry=None, timeout=self._timeout * 3))

    def _commit(self, writes: Sequence[Write]) -> list[str | None]:
        from google.cloud.firestore_v1 import DELETE_FIELD

        client = self._clients.get()
        batch = client.batch()
        for write in writes:
            reference = client.document(write.path)
            match write:
                case Create(_, fields):
                    batch.create(reference, dict(fields))
                case Update(_, changes, if_revision):
                    quoted = {
                        _quoted(path): DELETE_FIELD if value is REMOVE else value
                        for path, value in changes.items()
                    }
                    batch.update(reference, quoted, option=_option(client, if_revision))
                case Delete(_, if_revision):
                    batch.delete(reference, option=_option(client, if_revision))
        results = batch.commit(retry=None, timeout=self._timeout * 2)
        return [
            None if isinstance(write, Delete) else _revision(result.update_time)
            for write, result in zip(writes, results, strict=True)
        ]

    def _translated(self, error: Exception, writes: Sequence[Write]) -> Exception:
        """Return our error for one of the client's, or the error itself if it is none of these."""
        from google.api_core import exceptions as api
        from google.auth.exceptions import GoogleAuthError

        where = f"Firestore project {self._project!r}, database {self._database!r}"
        told = str(getattr(error, "message", error)).partition("\n")[0][:300]
        if isinstance(error, api.AlreadyExists | api.FailedPrecondition | api.NotFound):
            return self._translated_precondition(error, writes, where, told)
        match error:
            case api.Forbidden() | api.Unauthenticated():
                needed = "roles/datastore.user does"
                return AccessDeniedError(f"{where}: not allowed ({needed}): {told}")
            case api.ResourceExhausted() | api.TooManyRequests() if "larger than max" in told:
                return InvalidValueError(f"too large for one request to {where}: {_named(writes)}")
            case api.InvalidArgument():
                return InvalidValueError(f"{where} refuses {_named(writes)}: {told}")
            case GoogleAuthError():
                return AccessDeniedError(f"{where}: the credentials are refused: {told}")
            case api.GoogleAPIError() | OSError():
                return UnavailableError(f"{where} cannot be reached: {told}")
        return error

    def _translated_precondition(
        self, error: Exception, writes: Sequence[Write], where: str, told: str
    ) -> Exception:
        from google.api_core import exceptions as api

        about = _named(writes)
        if isinstance(error, api.AlreadyExists):
            return AlreadyExistsError(f"one of these exists: {about}")
        if isinstance(error, api.NotFound) and (not writes or "database" in told):
            create = f"gcloud firestore databases create --project={self._project}"
            return SettingsError(f"{where} does not exist: {create}: {told}")
        if "index" in told:
            deploy = "deploy emulator/firestore.indexes.json"
            return SettingsError(f"{where} lacks an index: {deploy}: {told}")
        if any(getattr(write, "if_revision", None) for write in writes):
            return ConflictError(f"changed or deleted meanwhile: {about}")
        return NotFoundError(f"nothing to update at one of these: {about}")


def _is_speakable(part: Filter | Order) -> bool:
    """Whether the client can parse the quoted field path; it stumbles over some escapes."""
    return not any("`" in key or "\\" in key for key in part.path)


def _named(writes: Sequence[Write]) -> str:
    more = f" and {len(writes) - _NAMED} more" if len(writes) > _NAMED else ""
    return (", ".join(write.path for write in writes[:_NAMED]) or "the query") + more


def _option(client: Any, revision: str | None) -> Any:
    if revision is None:
        return None
    return client.write_option(last_update_time=_timestamp(revision))


def _revision(moment: Any) -> str:
    """Return an update time with all its nanoseconds, as text."""
    return str(moment.rfc3339())


def _timestamp(revision: str) -> Any:
    from google.api_core.datetime_helpers import DatetimeWithNanoseconds

    try:
        return DatetimeWithNanoseconds.from_rfc3339(revision).timestamp_pb()
    except ValueError as error:
        message = f"{revision!r} is no revision of a Firestore document"
        raise ConflictError(message) from error


def _quoted(path: tuple[str, ...]) -> str:
    from google.cloud.firestore_v1.field_path import FieldPath

    return str(FieldPath(*path).to_api_repr())


def _document(snapshot: Any) -> Document:
    return Document(
        snapshot.reference.path,
        _plain(snapshot.to_dict()),
        _revision(snapshot.update_time),
        _moment(snapshot.update_time),
        _moment(snapshot.read_time),
    )


def _plain(value: Value) -> Any:
    """Return a value in Python's own types."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _moment(value) if isinstance(value, dt.datetime) else value


def _moment(value: Any) -> dt.datetime:
    return dt.datetime(
        value.year,
        value.month,
        value.day,
        value.hour,
        value.minute,
        value.second,
        value.microsecond,
        dt.UTC,
    )


if TYPE_CHECKING:
    _: type[DocumentStore] = FirestoreDocumentStore
