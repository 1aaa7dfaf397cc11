"""How revisions become documents: new ones one each, older ones many together."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aletheia_like.errors import IntegrityError, InvalidValueError
from aletheia_like.model.codec import SCHEMA_VERSION
from aletheia_like.model.values import Value
from aletheia_like.ports.documents import Document
from aletheia_like.series.revisions import Revision, check, pack, unpack
from aletheia_like.series.schema import Schema

INLINE_BYTES = 24_576
"""A revision with more text and tail than this leaves them in a blob."""

_SHOWN = 20
_NAME_BYTES = 70
_MOST_BLOBS = 10_000


@dataclass(frozen=True, slots=True)
class Stored:
    """A document of the changelog.

    Attributes:
        id: Its id.
        level: 0 for one revision; above, how often they were packed together.
        arrival: Number of the last change of the collection that it holds.
        revisions: What it holds.
        size: Bytes of these.
    """

    id: str
    level: int
    arrival: int
    revisions: tuple[Revision, ...]
    size: int


def collection_fields(label: str, schema: Schema, token: str) -> dict[str, Value]:
    """Return the fields of a new collection's document."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": label,
        "schema": schema.text,
        "kind": schema.kind,
        "token": token,
        "arrivals": 0,
        "epoch": 0,
    }


def schema_of(document: Document) -> Schema:
    """Return the schema of a collection.

    Raises:
        IntegrityError: Its document tells none.
    """
    text, kind = document.fields.get("schema"), document.fields.get("kind")
    if not isinstance(text, str):
        message = f"{document.path} has no schema: it is no collection of series"
        raise IntegrityError(message)
    return Schema.from_text(text, str(kind))


def payload_of(one: Revision) -> bytes | None:
    """Return what of a revision has to go into a blob, or None if its document can hold it."""
    if one.size <= INLINE_BYTES:
        return None
    text = zlib.compress(one.text, 1)
    return len(text).to_bytes(8, "little") + text + one.tail


def revision_fields(
    one: Revision, schema: Schema, arrival: int, payload: str | None
) -> dict[str, Value]:
    """Return the fields of a document that holds one revision.

    Args:
        one: The revision.
        schema: That of its collection.
        arrival: Number of the change that brings it.
        payload: Digest of the blob that holds its text and tail, if they are not in here.
    """
    labels = sorted({op.series for op in one.ops})
    fields: dict[str, Value] = {
        "schema_version": SCHEMA_VERSION,
        "id": one.id,
        "level": 0,
        "arrival": arrival,
        "schema": schema.digest,
        "parents": list(one.parents),
        "at": one.at,
        "author": one.author,
        "series": labels[:_SHOWN],
        "series_count": len(labels),
        "rows": sum(op.rows for op in one.ops),
    }
    blobs = one.digests()
    if payload is None:
        fields |= {"ops": one.text.decode(), "data": one.tail}
    else:
        fields["payload"] = payload
    if blobs:
        fields["blobs"] = list(blobs)
    if one.is_folded:
        fields |= {"folded": True, "base": one.is_base, "covers": list(one.covers)}
    return fields


def pack_fields(
    revisions: Sequence[Revision], schema: Schema, arrival: int, level: int
) -> dict[str, Value]:
    """Return the fields of a document that holds many revisions."""
    fields: dict[str, Value] = {
        "schema_version": SCHEMA_VERSION,
        "level": level,
        "arrival": arrival,
        "schema": schema.digest,
        "count": len(revisions),
        "first": revisions[0].id,
        "last": revisions[-1].id,
        "pack": pack(revisions),
    }
    blobs = sorted({digest for one in revisions for digest in one.digests()})
    if blobs:
        fields["blobs"] = list(blobs)
    return fields


def pack_size(fields: Any) -> int:
    """Return about how many bytes a pack's document takes."""
    return len(fields["pack"]) + _NAME_BYTES * len(fields.get("blobs", ()))


def check_size(one: Revision) -> None:
    """Refuse a revision that no document can hold.

    Raises:
        InvalidValueError: It mentions too many blobs.
    """
    count = len(one.digests())
    if count > _MOST_BLOBS:
        message = (
            f"a revision of {count:,} long columns; {_MOST_BLOBS:,} are possible: "
            "divide the block of multi()"
        )
        raise InvalidValueError(message)


def blobs_of(fields: Any) -> list[str]:
    """Return the blobs that a document of the changelog mentions."""
    payload = fields.get("payload")
    return [*fields.get("blobs", ()), *([payload] if payload else ())]


def revisions_of(
    path: str, fields: Any, schema: Schema, payload: bytes | None
) -> tuple[Revision, ...]:
    """Return what a document of the changelog holds.

    Args:
        path: Where it is, for messages.
        fields: What it says.
        schema: That of its collection.
        payload: The blob that it names, if it names one.

    Raises:
        IntegrityError: It cannot be read, was changed, or is of another schema.
    """
    if fields.get("schema") != schema.digest:
        message = (
            f"{path} is no revision of this collection: it was made for another schema; "
            "take the document away"
        )
        raise IntegrityError(message)
    if "pack" in fields:
        return tuple(check(one) for one in unpack(fields["pack"]))
    try:
        text, tail = fields.get("ops"), fields.get("data", b"")
        if payload is not None:
            size = int.from_bytes(payload[:8], "little")
            written, tail = zlib.decompress(payload[8 : 8 + size]), payload[8 + size :]
        else:
            written = text.encode()
        one = Revision(
            fields["id"],
            tuple(fields["parents"]),
            written,
            tail,
            fields.get("author"),
            bool(fields.get("folded")),
            bool(fields.get("base")),
            tuple(fields.get("covers", ())),
        )
    except (KeyError, TypeError, AttributeError, zlib.error) as error:
        message = f"{path} is no revision that can be read: {error!r}"
        raise IntegrityError(message) from error
    return (check(one),)
