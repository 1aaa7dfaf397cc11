"""Data sets as a file system of fsspec: `aletheia://project/dataset@3/file.parquet`, to read.

Whatever takes an address of fsspec - pandas, Polars, Arrow, DuckDB, Dask - opens files of data
sets by it. Files come through the local cache: verified, and only those that are opened.
"""

from __future__ import annotations

import threading
from typing import Any, ClassVar
from urllib.parse import quote, unquote

import fsspec
from fsspec.spec import AbstractFileSystem

from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError, NotFoundError, ReadOnlyError
from aletheia_like.metastore.datasets import DatasetVersion
from aletheia_like.model.records import FileRecord

_PARTS = 3


class AletheiaFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Files of data sets; `/` in a name is written `%2F`, and without `@3` the newest is meant.

    Args:
        metastore_url: Address of the store; else from the settings.
        cache_dir: Folder for local copies; else from the settings.
        **options: Of fsspec's own.
    """

    protocol: ClassVar[str] = "aletheia"
    root_marker: ClassVar[str] = ""

    def __init__(
        self, metastore_url: str | None = None, cache_dir: str | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self._metastore_url = metastore_url
        self._cache_dir = cache_dir
        self._opening = threading.Lock()
        self._metastores: dict[str, Metastore] = {}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT002 - fsspec's
        """List data sets of a project, or files and folders of a data set."""
        project, dataset, inside = self._parts(path)
        if dataset is None:
            found = [
                _folder(f"{quote(project, safe='')}/{quote(one.name, safe='')}@{one.version}")
                for one in self._metastore(project).datasets()
            ]
        else:
            found = self._below(project, dataset, inside)
        return found if detail else [one["name"] for one in found]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return what is at a path; of a file also its sha-256 as `ETag`."""
        stripped = self._strip_protocol(path)
        project, dataset, inside = self._parts(path)
        if dataset is None:
            return _folder(stripped)
        files = self._files(project, dataset)
        for file in files:
            if file.path == inside:
                return _file(stripped, file)
        if inside and not any(file.path.startswith(f"{inside}/") for file in files):
            raise FileNotFoundError(self.unstrip_protocol(stripped))
        return _folder(stripped)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        if mode != "rb":
            self._refuse(path)
        project, dataset, inside = self._parts(path)
        if dataset is None:
            raise IsADirectoryError(self.unstrip_protocol(path))
        if not inside:
            self._check_single(path, self._files(project, dataset))
        try:
            return self._version(project, dataset).open(inside or None)
        except NotFoundError as error:
            raise FileNotFoundError(str(error)) from error

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        """Return the bytes of a file, or some of them."""
        with self._open(path) as stream:
            size = self.info(path).get("size", 0)
            first, last = (
                (bound + size if bound is not None and bound < 0 else bound)
                for bound in (start, end)
            )
            stream.seek(first or 0)
            return bytes(stream.read(-1 if last is None else max(0, last - (first or 0))))

    def checksum(self, path: str) -> str:
        """Return the sha-256 of a file."""
        return str(self.info(path).get("sha256"))

    def _below(self, project: str, dataset: str, inside: str) -> list[dict[str, Any]]:
        """Return what is directly below a folder of a data set, or the file itself."""
        root = f"{quote(project, safe='')}/{dataset}"
        prefix = f"{inside}/" if inside else ""
        found: dict[str, dict[str, Any]] = {}
        for file in self._files(project, dataset):
            if file.path == inside:
                return [_file(f"{root}/{file.path}", file)]
            if file.path.startswith(prefix):
                first, more, _ = file.path.removeprefix(prefix).partition("/")
                name = f"{root}/{prefix}{first}"
                found.setdefault(name, _folder(name) if more else _file(name, file))
        if not found:
            raise FileNotFoundError(self.unstrip_protocol(f"{root}/{inside}"))
        return [found[name] for name in sorted(found)]

    def _files(self, project: str, dataset: str) -> list[FileRecord]:
        try:
            return self._version(project, dataset).files()
        except NotFoundError as error:
            raise FileNotFoundError(str(error)) from error

    def _version(self, project: str, dataset: str) -> DatasetVersion:
        name, at, number = dataset.rpartition("@")
        ms = self._metastore(project)
        if at and number.isdecimal():
            return ms.get_dataset(unquote(name), int(number))
        return ms.get_dataset(unquote(dataset))

    def _metastore(self, project: str) -> Metastore:
        with self._opening:
            if project not in self._metastores:
                self._metastores[project] = Metastore(
                    project, url=self._metastore_url, cache_dir=self._cache_dir
                )
            return self._metastores[project]

    def _parts(self, path: str) -> tuple[str, str | None, str]:
        """Return project, data set as it was written, and the path inside of it."""
        parts = self._strip_protocol(path).strip("/").split("/", _PARTS - 1)
        if not parts[0]:
            message = "name a project: aletheia://project/dataset@3/file"
            raise InvalidValueError(message)
        dataset = parts[1] if len(parts) > 1 else None
        return unquote(parts[0]), dataset, parts[2] if len(parts) == _PARTS else ""

    def _check_single(self, path: str, files: list[FileRecord]) -> None:
        if len(files) != 1:
            message = f"{self.unstrip_protocol(path)} has {len(files)} files: name one"
            raise IsADirectoryError(message)

    def _refuse(self, path: str) -> None:
        message = f"{self.unstrip_protocol(path)} can only be read: Metastore.add_dataset adds"
        raise ReadOnlyError(message)


def register() -> None:
    """Make `aletheia://` known to fsspec; an installed package is known without."""
    fsspec.register_implementation("aletheia", AletheiaFileSystem, clobber=True)


def _folder(name: str) -> dict[str, Any]:
    return {"name": name, "type": "directory", "size": 0}


def _file(name: str, file: FileRecord) -> dict[str, Any]:
    return {
        "name": name,
        "type": "file",
        "size": file.size,
        "sha256": file.digest,
        "ETag": file.digest,
    }
