"""Blobs as files for people: `artifacts/{sha256}/{filename}`, each content once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from aletheia_like.metastore.progress import transfer_progress
from aletheia_like.transfer.mentions import Names, inside, merge, safe_name
from aletheia_like.transfer.source import Blob, Source

_THREADS = 16

FOLDER = "artifacts"


@dataclass(frozen=True, slots=True)
class NamedBlob:
    """A blob, and what its file is called."""

    blob: Blob
    name: str


@dataclass(slots=True)
class BlobFolder:
    """The folder of an export that holds its blobs.

    Attributes:
        root: The export's own folder.
        known: Blobs that are in it, by digest.
        absent: Digests that were mentioned and are no blobs of the source.
        show: Whether to draw a bar; None draws on a terminal.
    """

    root: Path
    known: dict[str, NamedBlob] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    show: bool | None = None

    def path(self, digest: str) -> Path | None:
        """Return the file with a blob's bytes, whatever it is called; None if there is none."""
        folder = self.root / FOLDER / digest
        return next(iter(sorted(_files(folder))), None)

    def add(self, source: Source, names: Mapping[str, str]) -> list[NamedBlob]:
        """Fetch what is mentioned and not here, and what that mentions; return what is new."""
        added: list[NamedBlob] = []
        wanted: Names = dict(names)
        while wanted:
            missing = [one for one in wanted if one not in self.known and one not in self.absent]
            found = source.blobs(missing) if missing else {}
            self.absent.update(one for one in missing if one not in found)
            fetched = [
                NamedBlob(blob, safe_name(wanted[digest], blob.media_type))
                for digest, blob in found.items()
            ]
            paths = self._fetch(source, fetched)
            self.known |= {one.blob.digest: one for one in fetched}
            added += fetched
            more: Names = {}
            for one, path in zip(fetched, paths, strict=True):
                merge(more, inside(path, wanted[one.blob.digest]).items())
            wanted = more
        return added

    def _fetch(self, source: Source, blobs: list[NamedBlob]) -> list[Path]:
        size = sum(one.blob.size for one in blobs)
        with (
            transfer_progress("fetching", size=size, files=len(blobs), show=self.show) as progress,
            ThreadPoolExecutor(_THREADS, thread_name_prefix="aletheia-export") as pool,
        ):

            def fetch(one: NamedBlob) -> Path:
                path = self.path(one.blob.digest)
                if path is None:
                    path = self.root / FOLDER / one.blob.digest / one.name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    source.download(one.blob.digest, path)
                progress(one.blob.size)
                return path

            return list(pool.map(fetch, blobs)) if len(blobs) > 1 else list(map(fetch, blobs))


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if not path.name.startswith("."))
