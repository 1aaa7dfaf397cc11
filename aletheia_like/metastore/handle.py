"""A live object whose attributes are the fields of one document."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from aletheia_like.errors import InvalidValueError, ReadOnlyError
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.storing import lengthen, shorten
from aletheia_like.model.measuring import FieldsMeter
from aletheia_like.model.names import check_name
from aletheia_like.model.rows import check_mapping
from aletheia_like.model.values import (
    FieldPath,
    Value,
    check_key,
    decode,
    encode,
)
from aletheia_like.ports.documents import REMOVE, Removal, changed_fields

MAX_HANDLE_BYTES = 256 * 1024
"""A document that people open and programs rewrite stays below this size."""


class DocumentHandle:
    """Reads and changes one document; unknown public attributes are its free fields.

    A change is seen here at once and stored within about a second, or by `flush`. Attributes that
    start with an underscore are the object's own and are never stored.
    """

    _session: Session
    _path: str
    _fields: dict[str, Value]
    _guard: tuple[int, threading.RLock]
    _meter: FieldsMeter
    _what: str = "document"
    _known_fields: frozenset[str] = frozenset()

    def _open(self, session: Session, path: str, fields: dict[str, Value]) -> None:
        object.__setattr__(self, "_guard", (os.getpid(), threading.RLock()))
        object.__setattr__(self, "_meter", FieldsMeter())
        object.__setattr__(self, "_session", session)
        object.__setattr__(self, "_path", path)
        object.__setattr__(self, "_fields", fields)

    @property
    def _lock(self) -> threading.RLock:
        """Serialises changes; a forked child has another, since a thread may have held this."""
        process, lock = self._guard
        if process != os.getpid():
            process, lock = os.getpid(), threading.RLock()
            object.__setattr__(self, "_guard", (process, lock))
        return lock

    def __getstate__(self) -> dict[str, Any]:
        own = ("_guard", "_meter")
        return {key: value for key, value in self.__dict__.items() if key not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        object.__setattr__(self, "_meter", FieldsMeter())
        object.__setattr__(self, "_guard", (os.getpid(), threading.RLock()))

    @property
    def desc(self) -> str | None:
        """What it is about, as markdown."""
        return self._text("desc")

    @desc.setter
    def desc(self, text: str | None) -> None:
        self._change({("desc",): REMOVE if text is None else str(text)})

    @property
    def notes(self) -> str | None:
        """What was seen and thought, as markdown."""
        return self._text("notes")

    @notes.setter
    def notes(self, text: str | None) -> None:
        self._change({("notes",): REMOVE if text is None else str(text)})

    @property
    def tags(self) -> tuple[str, ...]:
        """Labels to search by."""
        tags = self._fields.get("tags")
        return tuple(map(str, tags)) if isinstance(tags, list) else ()

    @tags.setter
    def tags(self, tags: Iterable[str]) -> None:
        self._change({("tags",): list(check_tags(tags))})

    def tag(self, *tags: str, overwrite: bool = False) -> None:
        """Add tags to those there are, or replace them."""
        checked = check_tags(tags)
        # Two threads that add one each would else both start from the same tags.
        with self._lock:
            kept = () if overwrite else self.tags
            self.tags = tuple(dict.fromkeys((*kept, *checked)))

    def add_metric(self, name: str, value: Any) -> None:
        """Set one of its headline numbers; the last value wins."""
        self.add_metrics({name: value})

    def add_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Set several headline numbers at once."""
        check_mapping(metrics, "metrics")
        checked = {check_key(check_name(name, "metric")): metrics[name] for name in metrics}
        if checked:
            self._change({("metrics", name): value for name, value in checked.items()})

    def flush(self, timeout: float = 60.0) -> None:
        """Return when everything that was changed so far is in the store.

        Raises:
            UnavailableError: The store stayed away for `timeout` seconds.
        """
        self._session.recorder.flush(self._path, self._session.patience(timeout))

    def _text(self, name: str) -> str | None:
        value = lengthen(self._session, decode(self._fields.get(name)))
        return None if value is None else str(value)

    def _refuse(self) -> str | None:
        """Return why this handle may not be changed, or None."""
        return None

    def _change(self, changes: Mapping[FieldPath, Any]) -> None:
        """Encode and note changes to fields, and see them here at once.

        Raises:
            ReadOnlyError: The handle was opened for reading.
            InvalidValueError: A value has no stored form, or the document would grow too large.
        """
        self._check_writes()
        if not changes:
            self._record_changes({})
            return
        encoded = {path: self._encoded(path, value) for path, value in changes.items()}
        with self._lock:
            # Another thread may have ended it meanwhile.
            self._check_writes()
            before = None
            while before is not self._fields:
                # Again if a signal handler has changed them meanwhile.
                before = self._fields
                fields = changed_fields(before, encoded)
                self._check(fields)
            object.__setattr__(self, "_fields", fields)
            self._record_changes(encoded)

    def _check_writes(self) -> None:
        reason = self._refuse()
        if reason is not None:
            raise ReadOnlyError(reason)

    def _record_changes(self, encoded: Mapping[FieldPath, Value | Removal]) -> None:
        self._session.recorder.set(self._path, encoded)

    def _encoded(self, path: FieldPath, value: Any) -> Value | Removal:
        if value is REMOVE:
            return REMOVE
        return shorten(self._session, encode(value, path))

    def _check(self, fields: dict[str, Value]) -> None:
        try:
            size = self._meter.measure(self._path, fields)
        except InvalidValueError as error:
            message = f"{self!r}: {error}"
            raise InvalidValueError(message) from error
        if size > MAX_HANDLE_BYTES:
            message = (
                f"{self!r} would grow to {size} bytes, the limit is {MAX_HANDLE_BYTES}: "
                "add large values as artifacts"
            )
            raise InvalidValueError(message)

    def __setattr__(self, name: str, value: Any) -> None:
        declared = getattr(type(self), name, None)
        if name.startswith("_") or (isinstance(declared, property) and declared.fset):
            object.__setattr__(self, name, value)
        elif declared is not None or name in self._known_fields:
            message = (
                f"{self._what}.{name} cannot be assigned: it is kept by the {self._what} itself"
            )
            raise ReadOnlyError(message)
        else:
            self._change({(check_name(name, "field"),): value})

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name not in self._known_fields:
            fields = self.__dict__.get("_fields", {})
            if name in fields:
                return lengthen(self._session, decode(fields[name]))
        message = f"{self._what} has no attribute or field {name!r}"
        raise AttributeError(message)

    def __delattr__(self, name: str) -> None:
        if name.startswith("_") or name in self._known_fields or name not in self._fields:
            message = f"{self._what} has no free field {name!r} to delete"
            raise ReadOnlyError(message)
        self._change({(name,): REMOVE})

    def __dir__(self) -> Iterable[str]:
        free = set(self._fields) - self._known_fields
        return sorted({*super().__dir__(), *free})


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags as a tuple.

    Raises:
        InvalidValueError: A bare text was given, or a tag is no text.
    """
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        example = [tags] if isinstance(tags, str) else []
        message = f"tags are several: give a list, such as {example!r}, not {tags!r:.80}"
        raise InvalidValueError(message)
    return tuple(check_name(tag, "tag") for tag in tags)
