"""The mark of what was deleted and can still be restored: a field of its document.

What bears it stays where it is, with its id, its rows and its bytes; every reader leaves it out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Final

from aletheia_like.errors import NotFoundError
from aletheia_like.metastore.session import Session, author
from aletheia_like.model.values import FieldPath, Fields, Value
from aletheia_like.ports.documents import REMOVE, Document, Removal

DELETED_AT = "deleted_at"
DELETED_BY = "deleted_by"
PURGED_AT = "purged_at"
"""Set before what lies below a document is deleted: then it cannot be restored any more."""

Marks = dict[FieldPath, Value | Removal]


def marks(session: Session) -> Marks:
    """Return the changes that delete a document so that it can be restored."""
    return {(DELETED_AT,): session.clock(), (DELETED_BY,): author()}


UNMARK: Final[Marks] = {(DELETED_AT,): REMOVE, (DELETED_BY,): REMOVE}
"""The changes that restore a document."""


def is_deleted(fields: Fields) -> bool:
    """Whether a document bears the mark."""
    return fields.get(DELETED_AT) is not None


def kept(documents: Iterable[Document], *, deleted: bool = False) -> Iterator[Document]:
    """Yield the documents that bear no mark; all if `deleted`."""
    return (one for one in documents if deleted or not is_deleted(one.fields))


def check_whole(document: Document, what: str) -> None:
    """Refuse to restore what is being deleted for ever.

    Raises:
        NotFoundError: It is.
    """
    if document.fields.get(PURGED_AT) is not None:
        message = f"{what} is being deleted for ever, part of it is gone: it cannot be restored"
        raise NotFoundError(message)


def check_kept(document: Document, what: str, restored_by: str) -> None:
    """Refuse a document that bears the mark.

    Args:
        document: What is asked for.
        what: What it is, for the message: `run e/1`.
        restored_by: How to get it back.

    Raises:
        NotFoundError: It was deleted.
    """
    if is_deleted(document.fields):
        message = f"{what} was deleted{_told(document.fields)}: {restored_by} brings it back"
        raise NotFoundError(message)


def _told(fields: Fields) -> str:
    moment, by = fields.get(DELETED_AT), fields.get(DELETED_BY)
    when = f" on {moment:%Y-%m-%d %H:%M} UTC" if isinstance(moment, dt.datetime) else ""
    return f"{when} by {by}" if isinstance(by, str) else when
