"""How people name series at the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.model.names import split_reference

if TYPE_CHECKING:
    from aletheia_like.series.series import Series


def one_name(name: str) -> str:
    """Return the name of a collection.

    Raises:
        InvalidValueError: It has several parts.
    """
    parts = split_reference(name)
    if len(parts) != 1:
        message = f"{name!r} names no collection: a slash inside a name is written \\/"
        raise InvalidValueError(message)
    return parts[0]


def named_series(ms: Metastore, name: str) -> Series:
    """Return the series of `COLLECTION/SERIES`.

    Raises:
        InvalidValueError: It has fewer or more parts.
        NotFoundError: There is no such collection.
    """
    collection, *labels = split_reference(name)
    if len(labels) != 1:
        message = f"{name!r} names no series: COLLECTION/SERIES, a slash inside a name is \\/"
        raise InvalidValueError(message)
    return ms.collection(collection).series(labels[0])


def there(series: Series) -> Series:
    """Return a series if it exists.

    Raises:
        NotFoundError: Nothing was written to it, or it was deleted.
    """
    if not series:
        known = ", ".join(series.collection.ls()[:10]) or "none"
        message = f"no series {series.label!r} in {series.collection.label!r}: there are {known}"
        raise NotFoundError(message)
    return series
