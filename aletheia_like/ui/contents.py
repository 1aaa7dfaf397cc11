"""Bytes of files, so that nothing in them can act: as media, as a preview, or to keep.

A file that somebody logged may be a page with a script. It is sent as what it is only if that is a
picture, a sound or a film; all else is sent as plain text or to be kept, always in a sandbox.
"""

from __future__ import annotations

import csv
import io
import json
import mimetypes
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import quote

from starlette.responses import FileResponse, HTMLResponse, Response

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore.session import Session
from aletheia_like.model.digests import check_digest
from aletheia_like.ui.asking import Asked, Page
from aletheia_like.ui.links import link

FileKind = Literal["image", "audio", "video", "table", "json", "text", "other"]

_MEDIA: dict[str, str] = {
    **dict.fromkeys(("image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"), "image"),
    **dict.fromkeys(("image/svg+xml", "image/avif"), "image"),
    **dict.fromkeys(
        ("audio/x-wav", "audio/wav", "audio/mpeg", "audio/ogg", "audio/flac", "audio/x-flac"),
        "audio",
    ),
    **dict.fromkeys(("video/mp4", "video/webm", "video/ogg", "video/quicktime"), "video"),
}
_TEXTS = frozenset(
    "txt log md rst py r jl sh c h cc cpp hpp rs go js ts java toml ini cfg yaml yml xml html htm "
    "css sql tex bib diff patch lock out err jsonl ndjson".split()
)
_TABLES = {"csv": ",", "tsv": "\t"}
_SANDBOX = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
)
_MOST_BYTES = 64 * 1024
_MOST_ROWS = 50


def kind_of(name: str) -> FileKind:
    """Return how a file of this name is shown."""
    suffix = PurePosixPath(name.lower()).suffix.removeprefix(".")
    if suffix in _TABLES:
        return "table"
    if suffix == "json":
        return "json"
    if suffix in _TEXTS:
        return "text"
    return _MEDIA.get(mimetypes.guess_type(name)[0] or "", "other")  # type: ignore[return-value]


def file_link(project: str, digest: str, name: str) -> str:
    """Return the address of the bytes of a file."""
    return link("projects", project, "files", digest, PurePosixPath(name).name or "file")


def preview_link(project: str, digest: str, name: str) -> str:
    """Return the address of a part of a page that shows how a file begins."""
    return link("projects", project, "previews", digest, PurePosixPath(name).name or "file")


def bytes_of(asked: Asked) -> Response:
    """Send a file; ranges of it, too, as players of films ask."""
    name = asked.name("name")
    digest = _digest(asked)
    path = asked.project.session.cache.fetch(digest)
    kind = mimetypes.guess_type(name)[0] or ""
    is_media = kind in _MEDIA and not asked.given("download")
    how = "inline" if is_media else "attachment"
    headers = {
        "content-security-policy": _SANDBOX,
        "content-disposition": f"{how}; filename*=UTF-8''{quote(name, safe='')}",
        "cache-control": "private, max-age=31536000, immutable",
    }
    media_type = kind if is_media else "application/octet-stream"
    return FileResponse(path, media_type=media_type, headers=headers)


def preview(asked: Asked) -> Response:
    """Show how a file begins, as a part of a page."""
    name = asked.name("name")
    head, is_whole = _head(asked.project.session, _digest(asked))
    kind = kind_of(name)
    rows: Sequence[Sequence[str]] = ()
    text = head.decode("utf-8", errors="replace")
    if kind == "table":
        suffix = PurePosixPath(name.lower()).suffix.removeprefix(".")
        rows, is_whole = _table(text, _TABLES[suffix], is_whole=is_whole)
    elif kind == "json" and is_whole:
        text = _indented(text)
    shown = asked.site.templates.get_template("preview.html").render(
        name=name, kind=kind, rows=rows, text=text, is_whole=is_whole
    )
    return HTMLResponse(shown)


def _digest(asked: Asked) -> str:
    given = asked.name("digest")
    try:
        return check_digest(given)
    except InvalidValueError as error:
        message = f"no file {given!r:.80}"
        raise NotFoundError(message) from error


def _head(session: Session, digest: str) -> tuple[bytes, bool]:
    """Return how a blob begins, and whether that is all of it; nothing is kept of it here."""
    local = session.cache.path(digest)
    with session.blobs.open(digest) if local is None else local.open("rb") as stream:
        head = stream.read(_MOST_BYTES + 1)
    return head[:_MOST_BYTES], len(head) <= _MOST_BYTES


def _table(text: str, delimiter: str, *, is_whole: bool) -> tuple[list[list[str]], bool]:
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    # The last line may have been cut.
    rows = rows if is_whole or len(rows) < 2 else rows[:-1]  # noqa: PLR2004
    return rows[: _MOST_ROWS + 1], is_whole and len(rows) <= _MOST_ROWS + 1


def _indented(text: str) -> str:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return text
    return json.dumps(value, indent=2, ensure_ascii=False)


routes = (
    Page("/projects/{project}/files/{digest}/{name}", bytes_of),
    Page("/projects/{project}/previews/{digest}/{name}", preview),
)
