"""A repository: artifacts that outlive experiments, versioned, staged, and saved all at once."""

from __future__ import annotations

import datetime as dt
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import EllipsisType, TracebackType
from typing import Any, Literal, Self, TypeGuard, get_args

from aletheia_like.errors import InvalidValueError, NotFoundError, ReadOnlyError, RunStateError
from aletheia_like.metastore import labels
from aletheia_like.metastore.artifacts import ArtifactVersion
from aletheia_like.metastore.browsing import HoldsVersions
from aletheia_like.metastore.choosing import Version, moment_of
from aletheia_like.metastore.saving import MAX_SAVED, Place, Staged, generation_of, save
from aletheia_like.metastore.session import Session, new_token
from aletheia_like.metastore.snapshots import Snapshot
from aletheia_like.metastore.staging import stage
from aletheia_like.metastore.versiondeleting import delete_version, restore_version
from aletheia_like.model import paths
from aletheia_like.model.names import check_name, from_id
from aletheia_like.model.records import VersionRecord
from aletheia_like.ports.documents import Query

Mode = Literal["r", "a", "w", "w+"]


class Repository(HoldsVersions):
    """A named collection of versioned artifacts; `Metastore.repository` opens one.

    What is logged waits here until `save`, which publishes all of it or nothing. As a context
    manager it saves at the end of its block, unless an exception ends that.
    """

    def __init__(self, session: Session, place: Place, mode: Mode) -> None:
        self._session = session
        self._place = place
        self._mode: Mode = mode
        self._lock = threading.RLock()
        self._staged: list[Staged] = []
        self._tokens: list[str] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def name(self) -> str:
        """Unique within the project."""
        return self._place.name

    @property
    def mode(self) -> str:
        """`r` reads; `a` and `w+` read and add; `w` begins anew with the first save."""
        return self._mode

    @property
    def place(self) -> Place:
        """Where its documents are."""
        return self._place

    @property
    def session(self) -> Session:
        """The live parts; for promotion."""
        return self._session

    @property
    def generation(self) -> int:
        """How often the repository was begun anew before."""
        return self._place.generation

    @property
    def staged(self) -> tuple[str, ...]:
        """Names of what waits for the next save, in order."""
        with self._lock:
            return tuple(one.record.name for one in self._staged)

    def log_artifact(
        self,
        name: str,
        value: Any,
        handler: str | None = None,
        *,
        is_local: bool = True,
        aliases: Sequence[str] = (),
        expires_at: str | dt.date | None = None,
        **options: Any,
    ) -> None:
        """Stage the next version of an artifact: it is read and hashed now, published by `save`.

        Args:
            name: What to find it by.
            value: Path of a file or directory; a URI with `is_local=False`; or an object.
            handler: How to write an object, such as `json`.
            is_local: False only notes the URI.
            aliases: Movable names that the version takes.
            expires_at: From when on it is no longer the newest: a datetime or ISO text.
            **options: Passed to the handler.

        Raises:
            ReadOnlyError: The repository was opened for reading.
            NotFoundError: There is nothing at the path.
            InvalidValueError: The name or value cannot be stored, or too much is staged.
        """
        self._check_writable()
        checked = labels.given_aliases(aliases)
        staged = stage(
            self._session,
            self._scratch(),
            check_name(name, "artifact"),
            value,
            handler,
            options,
            is_local=is_local,
            expires_at=None if expires_at is None else moment_of(expires_at),
            aliases=checked,
        )
        self.add_staged(staged)

    def add_staged(self, staged: Staged) -> None:
        """Keep a version for the next save.

        Raises:
            ReadOnlyError: The repository was opened for reading.
            InvalidValueError: One save cannot take so much.
        """
        self._check_writable()
        with self._lock:
            writes = sum(one.writes for one in (*self._staged, staged))
            if writes > MAX_SAVED:
                message = (
                    f"repository {self.name!r} has {len(self._staged)} versions staged, and one "
                    f"save takes no more: save() before {staged.record.name!r}"
                )
                raise InvalidValueError(message)
            self._staged.append(staged)

    def remove_staged(self, staged: Staged) -> None:
        """Forget one version that is staged, if it still is."""
        with self._lock:
            self._staged = [one for one in self._staged if one is not staged]

    def last_staged(self, name: str) -> VersionRecord | None:
        """Return what was staged last under a name."""
        with self._lock:
            records = [one.record for one in self._staged if one.record.name == name]
        return records[-1] if records else None

    def save(self) -> list[ArtifactVersion]:
        """Publish everything that is staged, or nothing; return the new versions, in order.

        After an error it can be called again; what was published after all is not doubled.

        Raises:
            ReadOnlyError: The repository was opened for reading.
            AlreadyExistsError: A promoted version is not newer than the newest of its name.
            ConflictError: Somebody has begun the repository anew since it was opened.
            IntegrityError: A file changed since it was logged.
            UnavailableError: The store is away; everything stays staged.
        """
        self._check_writable()
        with self._lock:
            if not self._staged:
                return []
            self._tokens.append(new_token())
            saved = save(self._session, self._place, self._staged, self._tokens)
            found = [(one.record.name, saved[one.record.token]) for one in self._staged]
            self.discard()
        return [self._opened(name, one) for name, one in found]

    def discard(self) -> None:
        """Forget what is staged."""
        with self._lock:
            self._staged, self._tokens = [], []
            folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

    def artifact(
        self, name: str, version: Version = None, match: str = "exact"
    ) -> ArtifactVersion:
        """Return a saved version, without fetching its bytes; see `HoldsVersions.artifact`."""
        try:
            return super().artifact(check_name(name, "artifact"), version, match)
        except NotFoundError as error:
            if self.last_staged(name) is None:
                raise
            message = f"{error}; {name!r} is staged: save() publishes it"
            raise NotFoundError(message) from error

    def set_alias(
        self,
        name: str,
        alias: str,
        version: Version = None,
        *,
        expected: int | EllipsisType | None = ...,
    ) -> None:
        """Let an alias name a version from now on; the audit trail keeps who moved it, and when.

        Args:
            name: Of the artifact.
            alias: Such as `production`; no number and no date.
            version: Which it names; the newest by default.
            expected: Move it only if it names this version now, None for none.

        Raises:
            ReadOnlyError: The repository was opened for reading.
            NotFoundError: There is no such artifact or version.
            ConflictError: The alias names another version than `expected`.
            InvalidValueError: It cannot be an alias.
        """
        self._check_writable()
        number = self.artifact(name, version).version
        labels.move_alias(self._session, self._place, name, alias, number, expected)

    def remove_alias(self, name: str, alias: str) -> None:
        """Let an alias name nothing any more.

        Raises:
            ReadOnlyError: The repository was opened for reading.
            NotFoundError: There is no such artifact or alias.
        """
        self._check_writable()
        labels.move_alias(self._session, self._place, name, alias, None, ...)

    def set_expiry(
        self, name: str, version: Version = None, expires_at: str | dt.date | None = None
    ) -> None:
        """Let a version expire: then it is neither the newest nor found as of a date.

        Its number, aliases and exact date go on to find it. A later moment lets it live again.

        Args:
            name: Of the artifact.
            version: Which; the newest by default.
            expires_at: When, a datetime or ISO text; now by default.

        Raises:
            ReadOnlyError: The repository was opened for reading.
            NotFoundError: There is no such artifact or version.
        """
        self._check_writable()
        number = self.artifact(name, version).version
        moment = None if expires_at is None else moment_of(expires_at)
        labels.set_expiry(self._session, self._place, name, number, moment)

    def delete_artifact(self, name: str, version: int, *, dry_run: bool = False) -> None:
        """Delete a version of an artifact; `restore_artifact` brings it back.

        Args:
            name: Of the artifact.
            version: Which.
            dry_run: Only find out whether it can be deleted.

        Raises:
            ReadOnlyError: The repository was opened for reading.
            NotFoundError: There is no such version, or it was deleted already.
            RunStateError: An alias or a release leads to it.
        """
        self._check_writable()
        where, owner = f"artifact {name!r} of {self._called}", self._place.owner(name)
        delete_version(self._session, owner, version, where, place=self._place, dry_run=dry_run)

    def restore_artifact(self, name: str, version: int) -> bool:
        """Bring a deleted version back; return whether it had been deleted.

        Raises:
            ReadOnlyError: The repository was opened for reading.
            NotFoundError: There is no such version: it was deleted for ever, or never was.
        """
        self._check_writable()
        where, owner = f"artifact {name!r} of {self._called}", self._place.owner(name)
        return restore_version(self._session, owner, version, where, place=self._place)

    def release(self, tag: str) -> Snapshot:
        """Note which version of each artifact is the newest now; a tag is given once.

        Raises:
            ReadOnlyError: The repository was opened for reading.
            AlreadyExistsError: There is a release of this tag.
            RunStateError: Something is staged and not saved, or nothing was ever saved.
        """
        self._check_writable()
        if self._staged:
            message = f"repository {self.name!r} has staged {self.staged[0]!r}: save() first"
            raise RunStateError(message)
        labels.create_release(self._session, self._place, tag)
        return self.released(tag)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.discard()
        elif self._mode != "r":
            self.save()

    def __repr__(self) -> str:
        waiting = f", {len(self._staged)} staged" if self._staged else ""
        return f"<Repository {self.name!r} of {self._session.project!r}{waiting}>"

    def _opened(self, name: str, saved: VersionRecord | int) -> ArtifactVersion:
        if isinstance(saved, int):
            return self.artifact(name, saved)
        return self._version(saved)

    def _scratch(self) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="aletheia-staged-")
            return Path(self._folder.name)

    def _check_writable(self) -> None:
        if self._mode == "r":
            message = (
                f"repository {self.name!r} was opened for reading: open it by "
                f"repository({self.name!r}, 'a') to change it"
            )
            raise ReadOnlyError(message)


def open_repository(
    session: Session, name: str, mode: str, generation: int | None = None
) -> Repository:
    """Open a repository; see `Metastore.repository`."""
    if not _is_mode(mode):
        message = f"the mode of a repository is r, a, w or w+, not {mode!r}"
        raise InvalidValueError(message)
    path = paths.repository(session.project_path, name)
    current = generation_of(session.documents.get(path))
    if mode == "r" and current is None:
        message = (
            f"no repository {name!r} in project {session.project!r}: mode 'a' creates one "
            "with the first save"
        )
        raise NotFoundError(message)
    if generation is not None:
        _check_old(name, mode, generation, current)
        return Repository(session, Place(name, path, generation), "r")
    begun = 0 if current is None else current + (mode == "w")
    return Repository(session, Place(name, path, begun, anew=mode == "w"), mode)


def _is_mode(mode: str) -> TypeGuard[Mode]:
    return mode in get_args(Mode)


def _check_old(name: str, mode: str, generation: int, current: int | None) -> None:
    if mode != "r":
        message = f"an old generation of repository {name!r} can only be read: mode 'r'"
        raise InvalidValueError(message)
    if current is None or not 0 <= generation <= current:
        message = f"no generation {generation} of repository {name!r}: the last is {current}"
        raise NotFoundError(message)


def list_repositories(session: Session) -> list[str]:
    """Return the names of a project's repositories, sorted; one read each."""
    found = session.documents.query(Query(paths.repositories(session.project_path)))
    return [from_id(one.id) for one in found]
