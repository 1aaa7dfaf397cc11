"""Files of foreign runs as versions of artifacts, and the blobs behind them."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aletheia_like.capture.files import read_manifest
from aletheia_like.errors import AletheiaError
from aletheia_like.model import paths
from aletheia_like.model.codec import SCHEMA_VERSION, to_fields
from aletheia_like.model.digests import Manifest, ManifestEntry, check_relative, digest_bytes
from aletheia_like.model.names import to_id
from aletheia_like.model.records import ArtifactUse, VersionRecord
from aletheia_like.transfer.filesource import FileSource
from aletheia_like.transfer.foreign.records import Files, ForeignRun
from aletheia_like.transfer.report import Left
from aletheia_like.transfer.source import Blob, Source

_TOKEN_DIGITS = 16


@dataclass(slots=True)
class BlobKeeper:
    """Blobs that are files elsewhere, or bytes in memory.

    Attributes:
        known: What is known of each, by digest.
        files: Where its bytes are.
        data: Its bytes.
    """

    known: dict[str, Blob] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    data: dict[str, bytes] = field(default_factory=dict)

    def keep(self, data: bytes, media_type: str) -> str:
        """Keep bytes and return their digest."""
        digest = digest_bytes(data)
        self.data[digest] = data
        self.known[digest] = Blob(digest, len(data), media_type)
        return digest

    def keep_file(self, path: Path) -> ManifestEntry:
        """Hash a file that stays where it is."""
        (entry,) = read_manifest(path).manifest
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        self.files[entry.digest] = path
        self.known[entry.digest] = Blob(entry.digest, entry.size, media_type)
        return entry


class KeptSource(FileSource):
    """A source whose blobs are with a keeper."""

    def __init__(
        self,
        path: Path,
        project: str,
        documents: Mapping[str, dict[str, Any]],
        keeper: BlobKeeper,
    ) -> None:
        self._kept = keeper
        super().__init__(path, project, documents, keeper.known)

    def download(self, digest: str, path: Path) -> None:
        if digest in self._kept.data:
            path.write_bytes(self._kept.data[digest])
        else:
            super().download(digest, path)

    def _blob_path(self, digest: str) -> Path | None:
        return self._kept.files.get(digest)


class ArtifactBuilder:
    """Gives the files of an experiment's runs numbers, those they have already if they are known.

    Args:
        path: Of the experiment.
        experiment: Its name.
        keeper: Takes the blobs.
        target: The project that may know some; None if it has no such experiment.

    Attributes:
        documents: Fields of every document made, by path.
    """

    def __init__(
        self, path: str, experiment: str, keeper: BlobKeeper, target: Source | None
    ) -> None:
        self._path = path
        self._experiment = experiment
        self._keeper = keeper
        self._target = target
        self._numbers: dict[str, dict[str, int]] = {}
        self._next: dict[str, int] = {}
        self.documents: dict[str, dict[str, Any]] = {}

    def add(self, run: ForeignRun, token: str) -> tuple[dict[str, ArtifactUse], dict[str, str]]:
        """Add the files of a run; return what its document says of them, and their digests."""
        uses: dict[str, ArtifactUse] = {}
        digests: dict[str, str] = {}
        for one in run.files:
            use = self._version(one, run, token)
            uses[to_id(one.name, "artifact")] = use
            digests[f"{one.name}\0{use.digest}"] = str(use.digest)
        return uses, digests

    def _version(self, one: Files, run: ForeignRun, token: str) -> ArtifactUse:
        entries = []
        for below, path in one.paths.items():
            hashed = self._keeper.keep_file(path)
            entries.append(ManifestEntry(below, hashed.digest, hashed.size))
        manifest = Manifest.of(entries)
        digest, listed = manifest.entries[0].digest, None
        if one.is_folder:
            digest = manifest.digest
            listed = self._keeper.keep(manifest.to_text().encode(), "application/x-ndjson")
        owner = f"{self._path}/artifacts/{to_id(one.name, 'artifact')}"
        own_token = digest_bytes(f"{token}\0{one.name}\0{digest}".encode())[:_TOKEN_DIGITS]
        number = self._number(owner, own_token)
        record = VersionRecord(
            name=one.name,
            version=number,
            kind="directory" if one.is_folder else "file",
            digest=digest,
            size=manifest.size,
            files=len(manifest),
            filename=one.name.rpartition("/")[2],
            manifest=listed,
            token=own_token,
            experiment=self._experiment,
            run=run.id,
            created_at=run.ended_at or run.started_at,
            created_by=run.created_by,
        )
        fields = to_fields(record)
        version = f"{owner}/versions/{number}"
        self.documents[owner] = {
            "schema_version": SCHEMA_VERSION,
            "name": one.name,
            "next_version": self._next[owner],
        }
        self.documents[version] = fields
        for entry in manifest:
            file = paths.version_file(version, entry.path)
            self.documents[file] = {
                "path": entry.path,
                "sha256": entry.digest,
                "size": entry.size,
            }
        return ArtifactUse(one.name, number, digest, manifest.size, record.kind)

    def _number(self, owner: str, token: str) -> int:
        if owner not in self._numbers:
            there = [] if self._target is None else self._target.collection(f"{owner}/versions")
            self._numbers[owner] = {str(one.fields.get("token")): int(one.id) for one in there}
            known = None if self._target is None else self._target.get(owner)
            counted = 0 if known is None else known.fields.get("next_version", 0)
            highest = max(self._numbers[owner].values(), default=-1)
            self._next[owner] = max(int(counted), highest + 1)
        numbers = self._numbers[owner]
        if token not in numbers:
            numbers[token] = self._next[owner]
            self._next[owner] += 1
        return numbers[token]


def files_below(folder: Path, roots: Sequence[Path], run: str) -> tuple[list[Files], list[Left]]:
    """Return what lies in a run's folder, an artifact for each file or folder in it.

    Args:
        folder: The run's.
        roots: What no link may lead out of; the first is the run's.
        run: Named in what is told.
    """
    found: list[Files] = []
    left: list[Left] = []
    if not folder.is_dir():
        return found, left
    inside = [root.resolve() for root in roots]
    for top in sorted(folder.iterdir()):
        kept: dict[str, Path] = {}
        for path in _walk(top):
            below = path.relative_to(top).as_posix() if top.is_dir() else path.name
            why = _refusal(path, below, inside)
            if why is None:
                kept[below] = path
            else:
                left.append(Left("file", 1, f"{path.relative_to(folder)}: {why}", run))
        if kept and _is_name(top.name):
            found.append(Files(top.name, kept, top.is_dir() and not top.is_symlink()))
        elif kept:
            left.append(Left("file", len(kept), f"no artifact can be called {top.name!r}", run))
    return found, left


def _walk(top: Path) -> Iterator[Path]:
    if top.is_symlink() or not top.is_dir():
        yield top
        return
    for folder, names, files in os.walk(top):
        names.sort()
        links = [one for one in names if (Path(folder) / one).is_symlink()]
        for name in sorted([*files, *links]):
            yield Path(folder) / name


def _refusal(path: Path, below: str, inside: Sequence[Path]) -> str | None:
    """Return why a file is not carried; None if it is."""
    try:
        check_relative(below)
        target = path.resolve(strict=True)
    except (AletheiaError, OSError, RuntimeError) as error:
        return str(error)
    if not any(target.is_relative_to(root) for root in inside):
        return f"it is a link out of {inside[0]}: give the folder of {target} as `artifacts`"
    return None if target.is_file() else "it is no regular file, or a link to a folder"


def _is_name(name: str) -> bool:
    try:
        to_id(name, "artifact")
    except AletheiaError:
        return False
    return True
