"""Documents in Firestore; the only module that knows its client.

It is the generated client, on a channel of our own: the client's repetitions block for minutes by
default, its bulk writer loses data in silence, its transactions stall under contention, and after
an outage its channel waits for up to two minutes. Preconditions and commits of several writes do
all that is needed.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from aletheia_like.adapters._clients import ForkGate, PerProcess
from aletheia_like.adapters._firestoreerrors import Place, translated
from aletheia_like.adapters._firestorelistening import CollectionState, Streams, Wait
from aletheia_like.adapters._firestoremessages import (
    document,
    path_of,
    revision,
    set_listening,
    set_query,
    set_write,
)
from aletheia_like.errors import (
    AletheiaError,
    ConflictError,
    MissingExtraError,
    SettingsError,
    UnavailableError,
)
from aletheia_like.ports.documents import (
    Create,
    Delete,
    Document,
    DocumentStore,
    Query,
    Write,
    check_path,
    check_writes,
)
from aletheia_like.ports.listening import Listener, Listening, Wake
from aletheia_like.ports.patience import seconds_left

T = TypeVar("T")

_GET_DOCUMENTS = 300
_PAGE_DOCUMENTS = 500
_PAGE_BYTES = 8_000_000
_SLOWEST_BYTES_PER_SECOND = 200_000
_PATIENCE = 4
_LEAST_SECONDS = 1.0
_STREAM_SECONDS = 3_600.0
_REVISION = re.compile(r"\d{1,12}\.\d{9}")
_CHANNEL = {
    "grpc.max_receive_message_length": -1,
    "grpc.keepalive_time_ms": 30_000,
    # Else the first request of a child meets the connection that its parent had.
    "grpc.use_local_subchannel_pool": 1,
    # Found again soon after an outage; the default grows to two minutes.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2_000,
}


@dataclass(frozen=True, slots=True)
class _Connection:
    """One process's way to the server."""

    client: Any
    metadata: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Page:
    """A part of an answer.

    Attributes:
        found: The messages of the documents.
        read_time: When they were read.
        cut: Whether time or space ran out before it was complete.
    """

    found: list[Any]
    read_time: Any
    cut: Literal["no", "time", "space"] = "no"


class FirestoreDocumentStore:
    """Documents in one Firestore database, or in its emulator.

    Args:
        project: The Google Cloud project.
        database: The database in it.
        timeout: Seconds for one request; large ones, and a line that proved slow, get more.
    """

    def __init__(self, project: str, database: str = "(default)", *, timeout: float = 4.0) -> None:
        self._project = project
        self._database = database
        self._timeout = timeout
        self._name = f"projects/{project}/databases/{database}"
        self._prefix = f"{self._name}/documents/"
        self._gate = ForkGate()
        self._streams = Streams(self._gate)
        self._connections: PerProcess[_Connection] = PerProcess(self._connect)

    def get(self, path: str) -> Document | None:
        return self.get_many([path])[0]

    def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        left = list(dict.fromkeys(check_path(path) for path in paths))
        found: dict[str, Document | None] = {}
        read_time: Any = None
        timeout = seconds_left(self._timeout, _LEAST_SECONDS)
        while left:
            # Everything at the moment of the first answer.
            ask = partial(self._read, left[:_GET_DOCUMENTS], read_time, timeout)
            page = self._call(ask)
            if not page.found:
                message = f"{self._place()} gave no answer about {left[0]}"
                raise UnavailableError(message)
            read_time = page.read_time
            timeout = self._next_timeout(timeout, page)
            for answer in page.found:
                if answer.HasField("found"):
                    one = document(answer.found, answer.read_time)
                    found[one.path] = one
                else:
                    found[path_of(answer.missing)] = None
            left = [path for path in left if path not in found]
        return [found[path] for path in paths]

    def query(self, query: Query) -> Iterator[Document]:
        after: Any = None
        read_time: Any = None
        left = query.limit
        size = _PAGE_DOCUMENTS
        timeout = seconds_left(self._timeout, _LEAST_SECONDS)
        while left is None or left > 0:
            wanted = size if left is None else min(size, left)
            page = self._call(partial(self._page, query, wanted, after, read_time, timeout))
            for answer in page.found:
                yield document(answer.document, answer.read_time)
            if page.cut == "no" and len(page.found) < wanted:
                return
            after, read_time = page.found[-1].document, page.read_time
            left = None if left is None else left - len(page.found)
            size = min(2 * len(page.found), _PAGE_DOCUMENTS)
            timeout = self._next_timeout(timeout, page)

    def apply(self, writes: Sequence[Write]) -> list[str | None]:
        check_writes(writes)
        for write in writes:
            if not isinstance(write, Create):
                _check_revision(write.path, write.if_revision)
        return self._call(lambda: self._commit(writes), writes) if writes else []

    def listen(
        self, collection: str, known: Mapping[str, str], since: dt.datetime | None, wake: Wake
    ) -> Listener:
        check_path(collection, collection=True)
        ask = partial(self._stream, collection, since)
        return self._streams.start(ask, CollectionState(known, complete=since is None), wake)

    def close(self) -> None:
        self._streams.close()
        connection = self._connections.take()
        if connection is not None:
            connection.client.transport.close()

    def _call(self, request: Callable[[], T], writes: Sequence[Write] = ()) -> T:
        """Make a request, with errors in our words."""
        with self._gate.request():
            try:
                return request()
            except AletheiaError:
                raise
            except Exception as error:
                raise translated(error, self._place(), writes) from error

    def _place(self) -> Place:
        return Place(self._project, self._database, os.environ.get("FIRESTORE_EMULATOR_HOST"))

    def _next_timeout(self, timeout: float, page: _Page) -> float:
        """Return more time if the last page came late: the line is slow, and alive."""
        return min(2 * timeout, _PATIENCE * self._timeout) if page.cut == "time" else timeout

    def _read(self, paths: Sequence[str], read_time: Any, timeout: float) -> _Page:
        from google.cloud.firestore_v1.types import BatchGetDocumentsRequest as Request

        names = [f"{self._prefix}{path}" for path in paths]
        message = Request.pb()(database=self._name, documents=names, read_time=read_time)
        connection = self._connections.get()
        answers = connection.client.batch_get_documents(
            Request.wrap(message), retry=None, timeout=timeout, metadata=connection.metadata
        )
        return _received(answers, lambda answer: answer.WhichOneof("result") is not None)

    def _page(self, query: Query, size: int, after: Any, read_time: Any, timeout: float) -> _Page:
        from google.cloud.firestore_v1.types import RunQueryRequest as Request

        parent = f"{self._prefix}{query.collection}".rpartition("/")[0]
        message = Request.pb()(parent=parent, read_time=read_time)
        set_query(message.structured_query, query, size, after)
        connection = self._connections.get()
        answers = connection.client.run_query(
            Request.wrap(message), retry=None, timeout=timeout, metadata=connection.metadata
        )
        return _received(answers, lambda answer: answer.HasField("document"))

    def _commit(self, writes: Sequence[Write]) -> list[str | None]:
        from google.cloud.firestore_v1.types import CommitRequest as Request

        message = Request.pb()(database=self._name)
        for write in writes:
            set_write(message.writes.add(), write, self._prefix)
        connection = self._connections.get()
        answer = connection.client.commit(
            Request.wrap(message),
            retry=None,
            timeout=seconds_left(self._timeout, _LEAST_SECONDS)
            + message.ByteSize() / _SLOWEST_BYTES_PER_SECOND,
            metadata=connection.metadata,
        )
        results = type(answer).pb(answer).write_results
        return [
            None if isinstance(write, Delete) else revision(result.update_time)
            for write, result in zip(writes, results, strict=True)
        ]

    def _stream(self, collection: str, since: dt.datetime | None, over: Wait) -> Any:
        """Open a stream of what changes in a collection."""
        from google.cloud.firestore_v1.types import ListenRequest as Request

        message = Request.pb()(database=self._name)
        set_listening(message.add_target, f"{self._prefix}{collection}", since)

        def requests() -> Iterator[Any]:
            yield Request.wrap(message)
            # An end of the requests would end the stream too.
            over()

        connection = self._connections.get()
        # The client's own method would wait here for the first answer.
        return connection.client.transport.listen(
            requests(), timeout=_STREAM_SECONDS, metadata=connection.metadata
        )

    def _connect(self) -> _Connection:
        """Make this process's client; credentials are looked for here, not before."""
        try:
            from google.cloud.firestore_v1.services.firestore import FirestoreClient
            from google.cloud.firestore_v1.services.firestore.transports import (
                FirestoreGrpcTransport,
            )
        except ImportError as error:
            message = "Firestore needs a package: pip install google-cloud-firestore"
            raise MissingExtraError(message) from error
        emulator = os.environ.get("FIRESTORE_EMULATOR_HOST")
        metadata = [("google-cloud-resource-prefix", self._name)]
        if emulator:
            host, channel = emulator, _plain_channel(emulator)
            # What lets servers pass by the security rules.
            metadata.append(("authorization", "Bearer owner"))
        else:
            host, channel = self._secure_channel(FirestoreGrpcTransport)
        transport = FirestoreGrpcTransport(host=host, channel=channel)
        return _Connection(FirestoreClient(transport=transport), tuple(metadata))

    def _secure_channel(self, transport: Any) -> tuple[str, Any]:
        import google.auth
        from google.auth.exceptions import GoogleAuthError

        try:
            credentials, _ = google.auth.default(scopes=transport.AUTH_SCOPES)
        except (GoogleAuthError, OSError, ValueError) as error:
            message = (
                f"no usable credentials for Firestore project {self._project!r}: "
                f"{_reason(error)}; set GOOGLE_APPLICATION_CREDENTIALS to a key "
                "file, run `gcloud auth application-default login`, or set FIRESTORE_EMULATOR_HOST"
            )
            raise SettingsError(message) from error
        universe = getattr(credentials, "universe_domain", "googleapis.com")
        host = f"firestore.{universe}"
        options = list(_CHANNEL.items())
        return host, transport.create_channel(host, credentials=credentials, options=options)


def _reason(error: Exception) -> str:
    """Return the first sentence of an error, which may have further errors for arguments."""
    told = str(error.args[0] if error.args else error)
    return told.partition(". ")[0].rstrip(".")


def _plain_channel(host: str) -> Any:
    import grpc  # type: ignore[import-untyped,unused-ignore]

    if "/" in host:
        message = f"FIRESTORE_EMULATOR_HOST is host and port, 127.0.0.1:8080, not {host!r}"
        raise SettingsError(message)
    options = {**_CHANNEL, "grpc.enable_http_proxy": 0}
    return grpc.insecure_channel(host, options=list(options.items()))


def _received(answers: Any, is_found: Callable[[Any], bool]) -> _Page:
    """Collect what streams in, until it ends, is enough, or takes too long.

    What came before time ran out is kept, so that a slow line makes an answer late, not
    impossible.
    """
    from google.api_core.exceptions import DeadlineExceeded

    found: list[Any] = []
    read_time: Any = None
    size = 0
    try:
        for answer in answers:
            message = type(answer).pb(answer)
            read_time = message.read_time
            if is_found(message):
                found.append(message)
            size += message.ByteSize()
            if size > _PAGE_BYTES:
                answers.cancel()
                return _Page(found, read_time, "space")
    except DeadlineExceeded:
        if not found:
            raise
        return _Page(found, read_time, "time")
    return _Page(found, read_time)


def _check_revision(path: str, expected: str | None) -> None:
    if expected is not None and not _REVISION.fullmatch(expected):
        message = f"{expected!r:.80} was never a revision of {path}"
        raise ConflictError(message)


if TYPE_CHECKING:
    _documents: type[DocumentStore] = FirestoreDocumentStore
    _listening: type[Listening] = FirestoreDocumentStore
