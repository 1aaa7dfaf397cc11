"""Handlers of Python objects; loading what they wrote can run code."""

from __future__ import annotations

import functools
import json
import pickletools
import shutil
import sys
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.handlers.handler import Handler, Options, is_a, needed, unwritable

_SCHEMA = "schema.json"
_MOST_OPERATIONS = 100_000
_MOST_NAMES = 20


class Skops(Handler):
    """Models in the manner of scikit-learn; types that skops does not know ask for trust."""

    name = "skops"
    media_type = "application/x-skops"
    suffix = ".skops"
    trusted = False

    def accepts(self, value: Any) -> bool:
        return is_a(value, "sklearn", "BaseEstimator")

    def dump(self, value: Any, path: Path, **options: Any) -> None:
        library = needed("skops.io")
        whole = path.with_name("whole")
        library.dump(value, whole, **options)
        _renumber(whole, path)
        whole.unlink()
        nameless = [one for one in self.risks(path, {}) if "<" in one]
        if nameless:
            message = f"it holds {nameless[0]}, which no name leads to: cloudpickle takes it"
            raise InvalidValueError(message)

    def load(self, path: Path) -> Any:
        # Whoever trusts was shown these types.
        return needed("skops.io").load(path, trusted=list(self.risks(path, {})))

    def risks(self, path: Path, options: Options) -> tuple[str, ...]:
        return tuple(needed("skops.io").get_untrusted_types(file=path))

    def libraries(self, value: Any) -> tuple[str, ...]:
        return ("skops", *_distributions_of(value))


class Joblib(Handler):
    """Any object, as joblib pickles it: large arrays go to the file without a copy."""

    name = "joblib"
    media_type = "application/x-joblib"
    suffix = ".joblib"
    trusted = False

    def dump(self, value: Any, path: Path, **options: Any) -> None:
        needed("joblib").dump(value, path, **options)

    def load(self, path: Path, mmap_mode: str | None = None) -> Any:
        return needed("joblib").load(path, mmap_mode=unwritable(mmap_mode))

    def libraries(self, value: Any) -> tuple[str, ...]:
        return ("joblib", *_distributions_of(value))


class Cloudpickle(Handler):
    """Any object, with the code of functions and classes that are not in an installed module."""

    name = "cloudpickle"
    media_type = "application/x-cloudpickle"
    suffix = ".cloudpickle"
    trusted = False

    def dump(self, value: Any, path: Path, protocol: int | None = None) -> None:
        with path.open("wb") as stream:
            needed("cloudpickle").dump(value, stream, protocol)

    def load(self, path: Path) -> Any:
        with path.open("rb") as stream:
            return needed("cloudpickle").load(stream)

    def risks(self, path: Path, options: Options) -> tuple[str, ...]:
        return _names_in_pickle(path) or super().risks(path, options)

    def libraries(self, value: Any) -> tuple[str, ...]:
        return ("cloudpickle", *_distributions_of(value))


def _renumber(written: Path, path: Path) -> None:
    """Copy an archive of skops with numbers for the addresses in it, and without times.

    Addresses and times differ with every process, so equal models would never be stored once.
    """
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(path, "x") as target:
        names: dict[str, str] = {}
        schema = _numbered(json.loads(source.read(_SCHEMA)), {}, names)
        for member in source.infolist():
            new = zipfile.ZipInfo(names.get(member.filename, member.filename))
            new.compress_type = member.compress_type
            if member.filename == _SCHEMA:
                target.writestr(new, json.dumps(schema, indent=2))
                continue
            with source.open(member) as stream, target.open(new, "w", force_zip64=True) as copy:
                shutil.copyfileobj(stream, copy)


def _numbered(node: Any, numbers: dict[int, int], names: dict[str, str]) -> Any:
    """Return a part of a schema with other ids, and note what its files are called now."""
    if isinstance(node, list):
        return [_numbered(one, numbers, names) for one in node]
    if not isinstance(node, dict):
        return node
    changed = {key: _numbered(one, numbers, names) for key, one in node.items()}
    if type(node.get("__id__")) is int:
        changed["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
    file = node.get("file")
    if isinstance(file, str) and "__loader__" in node:
        changed["file"] = names.setdefault(file, f"{len(names) + 1}{Path(file).suffix}")
    return changed


def _distributions_of(value: Any) -> tuple[str, ...]:
    """Return the distribution whose package the class of a value is in."""
    package = type(value).__module__.partition(".")[0]
    if package in ("__main__", *sys.stdlib_module_names):
        return ()
    try:
        # Most are called like their package, and asking all of them takes a third of a second.
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return tuple(sorted(set(_distributions().get(package, ()))))
    return (package,)


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def _names_in_pickle(path: Path) -> tuple[str, ...]:
    """Return what a pickle imports, as far as its beginning tells; nothing of it is run."""
    found: dict[str, None] = {}
    texts: list[str] = []
    noted: dict[int, str] = {}
    with path.open("rb") as stream:
        try:
            for count, (operation, argument, _) in enumerate(pickletools.genops(stream)):
                name = operation.name
                if count > _MOST_OPERATIONS or len(found) == _MOST_NAMES:
                    break
                if name == "GLOBAL":
                    found[str(argument).replace(" ", ".")] = None
                elif name == "STACK_GLOBAL":
                    found[".".join(texts[-2:])] = None
                elif name == "MEMOIZE":
                    noted[len(noted)] = texts[-1] if texts else ""
                elif "GET" in name and isinstance(argument, int):
                    texts.append(noted.get(argument, ""))
                elif isinstance(argument, str):
                    texts.append(argument)
        except ValueError:
            # What cannot be read that way is not named; it asks for trust all the same.
            return tuple(found)
    return tuple(found)
