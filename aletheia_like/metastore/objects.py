"""Objects become files before they are stored, and objects again when they are loaded.

A handler writes into a folder of the cache, which is gone afterwards, however that ends: so
nothing of an object that cannot be written reaches the store. A process that is killed leaves its
folder there; it is removed a day later.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aletheia_like.errors import (
    AletheiaError,
    InvalidValueError,
    MissingExtraError,
    NotFoundError,
    UnavailableError,
    UntrustedArtifactError,
)
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.versions import normalised
from aletheia_like.model.names import with_article
from aletheia_like.model.records import VersionRecord
from aletheia_like.model.values import decode, encode

if TYPE_CHECKING:
    from aletheia_like.handlers.choosing import Found
    from aletheia_like.handlers.handler import Handler

_LEFT_SECONDS = 24 * 3600.0
_NAME_BYTES = 200
_SHOWN = 10
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@dataclass(frozen=True, slots=True)
class Written:
    """How an object became a file; the fields of a `VersionRecord` that say so."""

    handler: str
    media_type: str
    options: Mapping[str, Any] = field(default_factory=dict)
    load_options: Mapping[str, Any] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """What an artifact is made of.

    Attributes:
        value: A path of this machine, or a URI.
        location: Where it was; None if it was an object.
        written: How the object became a file.
    """

    value: str | Path
    location: str | None
    written: Written | None = None


@contextlib.contextmanager
def as_content(
    session: Session,
    name: str,
    value: Any,
    handler: str | None,
    options: Mapping[str, Any],
    *,
    is_local: bool = True,
    is_dir: bool | None = None,
    upload_file: bool = True,
) -> Iterator[Content]:
    """Give what an artifact is made of; an object is a file only inside of the block.

    Raises:
        NotFoundError: There is nothing at the path.
        InvalidValueError: No handler takes the value, or it fails.
        MissingExtraError: The handler needs something that is not installed.
        UnavailableError: This machine has no room for the file.
    """
    if not is_local:
        yield _uri(name, value, handler, options)
        return
    if isinstance(value, Path) or (isinstance(value, str) and handler is None):
        yield _path(name, value, handler, options)
        return
    from aletheia_like.handlers.choosing import choose

    found = choose(value, handler)
    if is_dir or not upload_file:
        what = "is_dir=True" if is_dir else "upload_file=False"
        message = f"artifact {name!r} is {with_article(type(value).__name__)}: {what} is for paths"
        raise InvalidValueError(message)
    with making_folder(session) as folder:
        yield _dumped(session, folder, name, value, found, options)


def load_object(
    record: VersionRecord,
    what: str,
    fetch: Callable[[], Path],
    warn: Callable[[str], None],
    *,
    trust: bool,
    validate: bool,
    handler: str | None,
    options: Mapping[str, Any],
) -> Any:
    """Return the object of a version; see `ArtifactVersion.load`."""
    from aletheia_like.handlers.choosing import find
    from aletheia_like.handlers.surroundings import check_surroundings

    name = handler or record.handler
    if name is None or record.kind != "file":
        message = f"{what} was added as it was: download() or open() it" + (
            "" if record.kind != "file" else ", or say what it is, such as load(handler='csv')"
        )
        raise InvalidValueError(message)
    what = f"{what} (handler {name!r})"
    found = find(name)
    runs_code = found is not None and not found.handler.trusted
    libraries = record.libraries if name == record.handler else {}
    if validate:
        for warning in check_surroundings(what, libraries, runs_code=runs_code):
            warn(warning)
    if found is None:
        message = (
            f"{what}: there is no handler of this name here: install its plug-in, or import the "
            f"module that defines it{_listed('; it was written with', libraries)}"
        )
        raise MissingExtraError(message)
    path = fetch()
    kept = record.load_options if name == record.handler else {}
    with _explained(f"{what} cannot be loaded"):
        given = {**kept, **options}
        if not trust:
            _refuse_risks(what, found.handler.risks(path, given))
        return found.handler.load(path, **given)


def _refuse_risks(what: str, risks: tuple[str, ...]) -> None:
    if risks:
        shown = ", ".join(risks[:_SHOWN]) + (", …" if len(risks) > _SHOWN else "")
        message = (
            f"loading {what} would run code: {shown}; if you know who made it, load(trust=True)"
        )
        raise UntrustedArtifactError(message)


def _uri(name: str, value: Any, handler: str | None, options: Mapping[str, Any]) -> Content:
    _refuse_options(name, options, "a URI")
    if handler is not None or not isinstance(value, str) or "://" not in value:
        message = (
            f"artifact {name!r} with is_local=False needs a URI such as gs://bucket/file and no "
            f"handler, not {value!r:.80}"
        )
        raise InvalidValueError(message)
    return Content(value, value)


def _path(
    name: str, value: str | Path, handler: str | None, options: Mapping[str, Any]
) -> Content:
    _refuse_options(name, options, "a path")
    if value == "":
        message = f"the path of the artifact {name!r} is empty: '.' is the current folder"
        raise InvalidValueError(message)
    path = normalised(value)
    if isinstance(value, str) and not os.path.lexists(path):
        message = (
            f"nothing at {value!r:.200} for the artifact {name!r}: a text is a path unless "
            "handler='text' says that it is the value"
        )
        raise NotFoundError(message)
    if handler is None:
        return Content(path, str(path))
    from aletheia_like.handlers.choosing import choose

    chosen = choose(None, handler).handler
    return Content(path, str(path), Written(handler, chosen.media_type))


def _refuse_options(name: str, options: Mapping[str, Any], what: str) -> None:
    if options:
        message = f"artifact {name!r} is {what}: {', '.join(options)} are options of handlers"
        raise InvalidValueError(message)


def _dumped(
    session: Session,
    folder: Path,
    name: str,
    value: Any,
    found: Found,
    options: Mapping[str, Any],
) -> Content:
    """Write an object to a file of the folder."""
    from aletheia_like.handlers.surroundings import versions_of

    handler = found.handler
    noted = _noted(handler, options)
    if handler.output_only:
        session.warn_once(f"what handler {handler.name!r} writes cannot be loaded again")
    with _explained(
        f"artifact {name!r}: handler {handler.name!r} cannot write "
        f"{with_article(type(value).__name__)}; nothing was stored"
    ):
        suffix, media_type = handler.form(options)
        # Some formats hold the name of their file: equal objects make equal bytes.
        path = folder / f"value{suffix}"
        load_options = handler.dump(value, path, **options) or {}
        if not path.is_file():
            made = "a folder" if path.is_dir() else "nothing"
            message = f"it wrote {made} where its file should be"
            raise InvalidValueError(message)
        target = path.rename(folder / _filename(name, suffix))
        plugin = [found.distribution] if found.distribution else []
        libraries = versions_of([*handler.libraries(value), *plugin])
    written = Written(handler.name, media_type, noted, dict(load_options), libraries)
    return Content(target, None, written)


def _noted(handler: Handler, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as they are recorded."""
    try:
        encoded = encode(options, (f"options of handler {handler.name!r}",))
        json.dumps(encoded)
    except (InvalidValueError, TypeError) as error:
        message = f"{error}; options are recorded, so they are plain values"
        raise InvalidValueError(message) from error
    return dict(decode(encoded))


def _filename(name: str, suffix: str) -> str:
    safe = re.sub(r"[^\w.+-]+", "_", name.removesuffix(suffix)).lstrip(".")
    return (safe.encode()[:_NAME_BYTES].decode(errors="ignore") or "value") + suffix


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Translate whatever a handler raises."""
    try:
        yield
    except UnavailableError:
        raise
    except (InvalidValueError, MissingExtraError) as error:
        message = f"{what}: {error}"
        raise type(error)(message) from error
    except (AletheiaError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            message = f"{what}: {error.strerror}: free some space"
            raise UnavailableError(message) from error
        message = f"{what}: {type(error).__name__}: {error}"
        raise InvalidValueError(message) from error


@contextlib.contextmanager
def making_folder(session: Session) -> Iterator[Path]:
    """Give a folder that is gone after the block; in the cache, where there is room, if it may."""
    above = session.cache.root / "making"
    try:
        folder = _made_below(above)
    except OSError as error:
        message = f"{above} cannot be written: {error.strerror or error}: free some space"
        raise UnavailableError(message) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _made_below(above: Path) -> Path:
    """Make a folder of a new name, elsewhere if the cache is somebody else's or cannot change."""
    try:
        above.mkdir(parents=True, exist_ok=True)
        _remove_left(above)
        return Path(tempfile.mkdtemp(dir=above))
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        return Path(tempfile.mkdtemp(prefix="aletheia-"))


def _remove_left(above: Path) -> None:
    """Remove what killed processes left."""
    oldest = time.time() - _LEFT_SECONDS
    for one in above.iterdir():
        with contextlib.suppress(OSError):
            if one.stat().st_mtime < oldest:
                shutil.rmtree(one, ignore_errors=True)


def _listed(words: str, libraries: Mapping[str, str]) -> str:
    listed = ", ".join(f"{name} {version}" for name, version in libraries.items())
    return f"{words} {listed}" if listed else ""
