"""Documents in Firestore; the only module that knows its client.

The client's own repetitions are off: by default they block for minutes, and its bulk writer loses
data in silence. There are no transactions either: preconditions and commits of several writes do all
that is needed, and do not stall under contention.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from aletheia_like.adapters._clients import ForkGate, PerProcess
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
    Query,
    Update,
    Write,
    check_path,
    check_writes,
)

T = TypeVar("T")

_PAGE = 500
_GET_BATCH = 300
_OPERATORS = {"contains": "array_contains"}


class FirestoreDocumentStore:
    """Documents in one Firestore database, or in its emulator.

    Args:
        project: The Google Cloud project.
        database: The database in it.
        timeout: Seconds for one request.
    """

    def __init__(
        self, project: str, database: str = "(default)", *, timeout: float = 5.0
    ) -> None:
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
        # Ties are broken by id in the direction of the last field, which needs no index of its own.
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
        about = ", ".join(write.path for write in writes[:3])
        first_line = str(getattr(error, "message", error)).partition("\n")[0][:300]
        match error:
            case api.AlreadyExists():
                return AlreadyExistsError(f"one of these exists: {about}")
            case api.FailedPrecondition() if "index" in first_line:
                return SettingsError(f"{where} lacks an index; deploy emulator/firestore.indexes.json: {first_line}")
            case api.FailedPrecondition():
                return ConflictError(f"changed meanwhile: {about}")
            case api.NotFound() if any(getattr(one, "if_revision", None) for one in writes) and "database" not in first_line:
                return ConflictError(f"changed or deleted meanwhile: {about}")
            case api.NotFound() if writes and "database" not in first_line:
                return NotFoundError(f"nothing to update at one of these: {about}")
            case api.NotFound():
                return SettingsError(f"{where} does not exist: gcloud firestore databases create --project={self._project}: {first_line}")
            case api.Forbidden() | api.Unauthenticated():
                return AccessDeniedError(f"{where}: the credentials do not allow this (roles/datastore.user does): {first_line}")
            case api.ResourceExhausted() | api.TooManyRequests() if "larger than max" in first_line or "exceeds" in first_line:
                return InvalidValueError(f"too large for one request to {where}: {about}")
            case api.InvalidArgument():
                return InvalidValueError(f"{where} refuses {about or 'the query'}: {first_line}")
            case GoogleAuthError():
                return AccessDeniedError(f"{where}: the credentials are refused: {first_line}")
            case api.GoogleAPIError() | OSError():
                return UnavailableError(f"{where} cannot be reached: {first_line}")
        return error


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
