"""Results of functions on local disk, so that the same call is not computed twice.

    {folder}/{key[:2]}/{key}      a line of JSON that says where the result comes from and the
                                  sha-256 of what follows, then the pickled result

A pickle runs code when it is loaded. The folder is its user's own: an entry is loaded only if this
user owns it and nobody else may write it. A broken entry is as good as none; deleting entries, or
the whole folder, is always safe.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import pickle
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = "results"
"""Where in the local cache they are, if no other folder is named."""

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a result comes from: the run that computed it.

    Attributes:
        project: Its project.
        experiment: Its experiment.
        run: Its id.
        function: Name of the function.
        computed_at: When, in ISO format.
    """

    project: str
    experiment: str
    run: str
    function: str
    computed_at: str

    def __str__(self) -> str:
        return f"{self.experiment}/{self.run}"


@dataclass(frozen=True, slots=True)
class CachedResult:
    """A result that was computed before."""

    result: Any
    lineage: Lineage


class ResultCache:
    """Results by the key of their call; any number of processes may share a folder.

    Args:
        folder: Where entries are; made when the first is stored.
        warn: Told, in words for the user, what is not cached or not used and why.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._warn = warn

    @property
    def folder(self) -> Path:
        """Where the entries are."""
        return self._folder

    def load(self, key: str) -> CachedResult | None:
        """Return the result of a call, or None if there is none that can be used."""
        data = self._read(self._path(key))
        if data is None:
            return None
        line, _, pickled = data.partition(b"\n")
        header = _parse(line)
        if header is None or header[1] != hashlib.sha256(pickled).hexdigest():
            return None
        try:
            result = pickle.loads(pickled)  # noqa: S301 - written by this user, see `_read`
        except Exception:  # noqa: BLE001 - of a class that is gone or has changed: compute anew
            return None
        return CachedResult(result, header[0])

    def store(self, key: str, result: object, lineage: Lineage) -> None:
        """Keep the result of a call; one that cannot be pickled or written is told, not raised."""
        try:
            pickled = _pickled(result)
        except Exception as error:  # noqa: BLE001 - pickling foreign objects may raise anything
            kind = type(result).__qualname__
            self._warn(f"results of type {kind} are not cached, they cannot be pickled: {error}")
            return
        digest = hashlib.sha256(pickled).hexdigest()
        header = json.dumps({**asdict(lineage), "sha256": digest})
        try:
            _write(self._path(key), header.encode() + b"\n" + pickled)
        except OSError as error:
            self._warn(f"the result is not cached in {self._folder}: {error}")

    def lineages(self) -> Iterator[tuple[str, Lineage]]:
        """Yield the key and lineage of every entry, without loading results."""
        for path in sorted(self._folder.glob("??/" + "?" * 64)):
            with contextlib.suppress(OSError), path.open("rb") as stream:
                header = _parse(stream.readline())
                if header is not None:
                    yield path.name, header[0]

    def size(self, key: str) -> int:
        """Return the bytes of an entry; 0 if it is gone."""
        try:
            return self._path(key).stat().st_size
        except OSError:
            return 0

    def delete(self, key: str) -> None:
        """Forget the result of a call, if there is one."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _read(self, path: Path) -> bytes | None:
        """Return the bytes of an entry that this user alone can have written."""
        try:
            file = os.open(path, os.O_RDONLY | _NO_LINKS)
        except OSError:
            return None
        with os.fdopen(file, "rb") as stream:
            if _is_own(os.fstat(file)):
                return stream.read()
        self._warn(
            f"the cached result {path} is not used: another user owns it or may write it, and "
            "loading it could run their code; delete it, or choose another folder"
        )
        return None


def _is_own(status: os.stat_result) -> bool:
    if not stat.S_ISREG(status.st_mode):
        return False
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_MAY_WRITE


def _parse(line: bytes) -> tuple[Lineage, str] | None:
    """Return the lineage and digest of an entry's first line; None if it is broken."""
    try:
        header = json.loads(line)
        digest = header.pop("sha256")
        return Lineage(**header), digest
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _pickled(result: object) -> bytes:
    try:
        return pickle.dumps(result)
    except Exception:
        # Plain pickle first: it keeps classes by name, so that `isinstance` holds after loading.
        if importlib.util.find_spec("cloudpickle") is None:
            raise
        pickled: bytes = importlib.import_module("cloudpickle").dumps(result)
        return pickled


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file, name = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
