"""Which blobs documents and rows mention, and what each should be called as a file."""

from __future__ import annotations

import contextlib
import json
import mimetypes
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from aletheia_like.model.rows import unpack_stored

MANIFEST = "manifest.jsonl"

_KNOWN = {
    "@text": "text.txt",
    "@json": "value.json",
    "manifest": MANIFEST,
    "snapshot": "snapshot.tar",
    "packages": "packages.json",
    "console": "console.txt",
}
MENTIONING = frozenset({MANIFEST, _KNOWN["@json"]})
"""Names of blobs that mention other blobs."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_QUOTED = re.compile(r'"([0-9a-f]{64})"')
_UNSAFE = re.compile(r'[\x00-\x1f/\\:*?"<>|]')
_NAME_BYTES = 120

Names = dict[str, str]
"""What a file with a blob's bytes should be called, by digest."""


def of_fields(fields: Any) -> Names:
    """Return the blobs that a document mentions."""
    names: Names = {}
    merge(names, _walked(fields, "", None))
    return names


def of_rows(columns: str, count: int) -> Names:
    """Return the blobs that a chunk of rows mentions; looks closer only if there are any."""
    if _QUOTED.search(columns) is None:
        return {}
    names: Names = {}
    for column, cells in unpack_stored(columns, count).cells.items():
        merge(names, _walked(cells, column, None))
    return names


def inside(path: Path, name: str) -> Names:
    """Return the blobs that a blob's own content mentions, if it is of a kind that does.

    Args:
        path: A file with its bytes.
        name: What mentions call it.
    """
    if name not in MENTIONING:
        return {}
    found: Names = {}
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if _QUOTED.search(line) is not None:
                with contextlib.suppress(ValueError):
                    merge(found, _walked(json.loads(line), "value", None))
    return found


def merge(names: Names, more: Iterable[tuple[str, str]]) -> None:
    """Add digests and names; of several names of a digest the first by the alphabet stays.

    That of what mentions other blobs wins over all.
    """
    for digest, name in more:
        known = names.get(digest, name)
        names[digest] = min(known, name, key=lambda one: (one not in MENTIONING, one))


def safe_name(name: str, media_type: str | None = None) -> str:
    """Return a name that every file system takes, with a suffix if one is known."""
    clean = _UNSAFE.sub("_", name).strip(". ") or "blob"
    stem, dot, suffix = clean.rpartition(".")
    if not dot:
        guessed = mimetypes.guess_extension(media_type) if media_type else None
        stem, suffix = clean, (guessed or "").removeprefix(".")
    suffix = suffix[:20]
    room = _NAME_BYTES - len(suffix.encode()) - 1
    short = stem.encode()[:room].decode(errors="ignore").rstrip(". ") or "blob"
    return f"{short}.{suffix}" if suffix else short


def _walked(value: Any, key: str, around: Any) -> Iterator[tuple[str, str]]:
    """Yield digests and names inside a value that stands under a key of a map."""
    if isinstance(value, str):
        if len(value) == 64 and _DIGEST.fullmatch(value):  # noqa: PLR2004 - of a sha-256
            yield value, _name(value, key, around)
    elif isinstance(value, dict):
        for inner_key in sorted(value):
            inner = value[inner_key]
            if type(inner) is str or type(inner) is dict or type(inner) is list:
                yield from _walked(inner, _column(inner_key, key), value)
    elif isinstance(value, list):
        for item in value:
            if type(item) is str or type(item) is dict or type(item) is list:
                yield from _walked(item, key, around)


def _column(inner: str, outer: str) -> str:
    return outer if inner in ("digest", "all", "values", "key", "value", "@list") else inner


def _name(digest: str, key: str, around: Any) -> str:
    if key in _KNOWN:
        return _KNOWN[key]
    if isinstance(around, dict):
        if around.get("manifest") == digest or around.get("kind") == "directory":
            return MANIFEST
        for word in ("filename", "name", "path"):
            name = around.get(word)
            if isinstance(name, str) and name:
                return name.rpartition("/")[2]
    return f"{key}.cloudpickle" if key and not key.startswith("@") else "blob"
