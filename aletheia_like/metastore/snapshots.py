"""A repository as it was: of each artifact the one version that a release or a date means."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aletheia_like.errors import NotFoundError
from aletheia_like.metastore.artifacts import ArtifactVersion
from aletheia_like.metastore.choosing import choose
from aletheia_like.metastore.finding import read_candidates, with_aliases
from aletheia_like.metastore.labels import Release
from aletheia_like.metastore.noting import note_use
from aletheia_like.metastore.saving import Place
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.model.codec import version_record
from aletheia_like.model.names import to_id
from aletheia_like.ports.documents import Query

MANIFEST = "manifest.json"


class Snapshot(Mapping[str, ArtifactVersion]):
    """Versions by the names of their artifacts; nothing here can be changed.

    Args:
        title: What it is, for people.
        found: The versions.
    """

    def __init__(self, title: str, found: Mapping[str, ArtifactVersion]) -> None:
        self._title = title
        self._found = dict(sorted(found.items()))

    def __getitem__(self, name: str) -> ArtifactVersion:
        found = self._found.get(name)
        if found is None:
            known = ", ".join(map(repr, self._found)) or "nothing"
            message = f"no artifact {name!r} in {self._title}: it has {known}"
            raise NotFoundError(message)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def load_artifact(self, name: str, *, trust: bool = False, **options: Any) -> Any:
        """Return the object of an artifact; see `ArtifactVersion.load`."""
        found = self[name]
        note_use(found.session, found)
        return found.load(trust, **options)

    def download(self, dest: str | Path) -> Path:
        """Copy every version into a folder of its name below `dest`, and list them in a file.

        What is only referred to is listed, too. Repeating it fetches what is missing.

        Args:
            dest: Where to; made if need be. `manifest.json` in it tells what is what.

        Raises:
            AlreadyExistsError: Something else is in the way.
            NotFoundError: Bytes are gone from the store.
        """
        folder = Path(dest).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        listed = {}
        for name, version in self._found.items():
            stored = version.record.uploaded
            path = version.download(folder / _folder_of(name)) if stored else None
            record = version.record
            listed[name] = {
                "version": record.version,
                "digest": record.digest,
                "size": record.size,
                "created_at": None if record.created_at is None else record.created_at.isoformat(),
                "file": None if path is None else path.relative_to(folder).as_posix(),
                "location": record.location if path is None else None,
            }
        text = json.dumps(listed, indent=2, ensure_ascii=False) + "\n"
        (folder / MANIFEST).write_text(text, encoding="utf-8")
        return folder

    def __repr__(self) -> str:
        versions = ", ".join(map(str, self._found.values()))
        return f"<Snapshot {self._title}: {versions or 'nothing'}>"


def _folder_of(name: str) -> str:
    """Return a folder for each name, none of which leads elsewhere or is the list's."""
    folder = to_id(name, "artifact")
    return f"%{ord(folder[0]):02X}{folder[1:]}" if folder in (MANIFEST, ".", "..") else folder


def read_snapshot(session: Session, place: Place, of: Release | dt.datetime) -> Snapshot:
    """Return the versions that a release or a date means."""
    if isinstance(of, Release):
        title = f"release {of.tag!r} of repository {place.name!r}"
        return Snapshot(title, _released(session, place, of))
    title = f"repository {place.name!r} as of {of.isoformat()}"
    return Snapshot(title, _as_of(session, place, of))


def _released(session: Session, place: Place, release: Release) -> dict[str, ArtifactVersion]:
    names = list(release.versions)
    wanted = [paths.version(place.owner(name), release.versions[name]) for name in names]
    found = session.documents.get_many(wanted) if wanted else []
    return {
        name: ArtifactVersion(session, version_record(one.path, one.fields), place.name)
        for name, one in zip(names, found, strict=True)
        if one is not None
    }


def _as_of(session: Session, place: Place, moment: dt.datetime) -> dict[str, ArtifactVersion]:
    versions: dict[str, ArtifactVersion] = {}
    for owner in session.documents.query(Query(paths.artifacts(place.below))):
        candidates = read_candidates(session, owner)
        try:
            record = choose(candidates, moment, "asof", session.clock())
        except NotFoundError:
            continue
        versions[record.name] = ArtifactVersion(session, with_aliases(record, owner), place.name)
    return versions
