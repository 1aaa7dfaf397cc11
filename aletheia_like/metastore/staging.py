"""What a repository keeps for its next save: values are written and hashed when they are given."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from aletheia_like.metastore.objects import Written, as_content
from aletheia_like.metastore.saving import Staged
from aletheia_like.metastore.session import Session, new_token
from aletheia_like.metastore.storing import LocalFile
from aletheia_like.metastore.versions import local_files, read_local
from aletheia_like.model.digests import digest_bytes
from aletheia_like.model.records import VersionRecord


def stage(
    session: Session,
    folder: Path,
    name: str,
    value: Any,
    handler: str | None,
    options: Mapping[str, Any],
    *,
    is_local: bool,
    expires_at: dt.datetime | None,
    aliases: tuple[str, ...],
) -> Staged:
    """Return a value ready to be saved.

    Args:
        session: The metastore.
        folder: Takes what has to be written until then.
        name: Of the artifact.
        value: Path of a file or directory, a URI, or an object.
        handler: How to write an object.
        options: Passed to the handler.
        is_local: False takes `value` for a URI that is only noted.
        expires_at: When it expires.
        aliases: Movable names that the version takes.

    Raises:
        NotFoundError: There is nothing at the path.
        InvalidValueError: The value cannot be stored.
    """
    with as_content(session, name, value, handler, options, is_local=is_local) as content:
        record = VersionRecord(
            name=name,
            version=-1,
            kind="reference",
            digest=None,
            size=None,
            location=content.location,
            uploaded=False,
            token=new_token(),
            aliases=aliases,
            project=session.project,
            expires_at=expires_at,
        )
        if not is_local:
            return Staged(record)
        path = Path(content.value)
        if content.written is not None:
            told = {one.name: getattr(content.written, one.name) for one in fields(Written)}
            record = replace(record, **told)
            if content.location is None:
                # The file of an object is gone after this block.
                path = Path(shutil.move(path, _made(folder, record.token)))
        return _staged_path(session, record, path, folder)


def _made(folder: Path, token: str) -> Path:
    below = folder / token
    below.mkdir(parents=True, exist_ok=True)
    return below


def _staged_path(session: Session, record: VersionRecord, path: Path, folder: Path) -> Staged:
    tree = read_local(session, path)
    files = local_files(tree, record.media_type)
    manifest = None
    if tree.kind == "directory":
        data = tree.manifest.to_text().encode()
        manifest = digest_bytes(data)
        listing = _made(folder, record.token) / "manifest.jsonl"
        listing.write_bytes(data)
        files.append(LocalFile(manifest, len(data), listing))
    stored = replace(
        record,
        kind=tree.kind,
        digest=tree.digest,
        size=tree.size,
        files=tree.count,
        filename=path.name,
        manifest=manifest,
        uploaded=True,
    )
    return Staged(stored, tuple(files))
