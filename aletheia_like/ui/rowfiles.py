"""Files in rows, as a page shows them."""

from __future__ import annotations

from dataclasses import dataclass

from aletheia_like.metastore.assets import File, LogFile
from aletheia_like.ui.contents import FileKind, file_link, kind_of, preview_link


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file of a row.

    Attributes:
        name: What it is called.
        kind: How it is shown.
        size: Bytes.
        address: Where its bytes are; None while it grows.
        part: Where a part of a page shows how it begins.
    """

    name: str
    kind: FileKind
    size: int | None
    address: str | None
    part: str | None


def seen(project: str, file: File) -> SeenFile:
    """Return a file as a page shows it.

    Args:
        project: Any of its store.
        file: As rows hold it.
    """
    digest = None if isinstance(file, LogFile) else file.digest
    if digest is None:
        return SeenFile(file.name, "other", None, None, None)
    address, part = (to(project, digest, file.name) for to in (file_link, preview_link))
    return SeenFile(file.name, kind_of(file.name), file.size, address, part)
