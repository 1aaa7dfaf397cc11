"""Files of a data set as a DataFrame of Spark: which format they have, and where Spark finds them.

Nothing here needs pyspark: whoever has a session has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from aletheia_like.errors import InvalidValueError

if TYPE_CHECKING:
    from aletheia_like.metastore.datasets import DatasetVersion

_BY_SUFFIX = {
    ".parquet": "parquet",
    ".orc": "orc",
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "json"),
    **dict.fromkeys((".txt", ".text", ".log", ".md"), "text"),
    **dict.fromkeys(".png .jpg .jpeg .gif .bmp .tif .tiff .webp".split(), "binaryFile"),
}
_SAME = {"jsonl": "json", "jsonlines": "json", "image": "binaryFile", "images": "binaryFile"}
_COMPRESSED = frozenset({".gz", ".bz2", ".zst"})
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {"csv": {"header": True, "inferSchema": True}}
_READ_BY_SPARK = frozenset("gs s3 s3a s3n hdfs viewfs abfs abfss wasb wasbs adl oss dbfs".split())
_WILD = re.compile(r"([][{}*?\\])")


def to_spark(
    dataset: DatasetVersion, spark: Any, wanted: str | None, options: Mapping[str, Any]
) -> Any:
    """Return the files of a data set as a DataFrame; see `DatasetVersion.to_spark`."""
    if not hasattr(spark, "read"):
        message = (
            f"{dataset} can be read by a SparkSession, not by {spark!r}: "
            "pip install 'aletheia-like[spark]', then SparkSession.builder.getOrCreate()"
        )
        raise InvalidValueError(message)
    url = _own_address(dataset)
    root, names = _fetched(dataset) if url is None else (url, _listed(dataset))
    given = None if wanted is None else _SAME.get(wanted, wanted)
    format_ = given or _format_of(dataset, names or [root])
    chosen = [one for one in names if given is None or _format(one) in (given, None)] or names
    places = [_escaped(f"{root}/{one}") for one in chosen] or [_escaped(root)]
    known = {**_DEFAULTS.get(format_, {}), **_separator(format_, chosen or [root])}
    if names:
        # So that folders such as `day=1` are columns.
        known["basePath"] = root
    return spark.read.format(format_).options(**{**known, **options}).load(places)


def _own_address(dataset: DatasetVersion) -> str | None:
    """Return the address from which Spark is to read, if that is not this machine."""
    scheme, separator, rest = (dataset.record.location or "").partition("://")
    if dataset.local_path is not None or not separator or scheme.lower() not in _READ_BY_SPARK:
        return None
    # The name of Hadoop's present client for S3.
    return f"{'s3a' if scheme.lower() in ('s3', 's3n') else scheme}://{rest.rstrip('/')}"


def _fetched(dataset: DatasetVersion) -> tuple[str, list[str]]:
    """Return where the verified files are, and the paths of those of a directory below it."""
    local = dataset.fetch().absolute()
    if not local.is_dir():
        return f"file://{local}", []
    names = sorted(one.relative_to(local).as_posix() for one in local.rglob("*") if one.is_file())
    shown = [one for one in names if not _is_hidden(one)]
    if not shown:
        message = f"{dataset} has no file that Spark would read: it skips names such as _a and .b"
        raise InvalidValueError(message)
    return f"file://{local}", shown


def _listed(dataset: DatasetVersion) -> list[str]:
    """Return the paths of a directory's files, as far as they are known without fetching any."""
    if not dataset.is_dir:
        return []
    return [one.path for one in dataset.files() if not _is_hidden(one.path)]


def _is_hidden(path: str) -> bool:
    """Whether Spark skips a file, as it does its own marks."""
    parts = PurePosixPath(path).parts
    return any(one.startswith(".") or (one.startswith("_") and "=" not in one) for one in parts)


def _format(name: str) -> str | None:
    suffixes = [one.lower() for one in Path(name).suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return _BY_SUFFIX.get(suffixes[-1]) if suffixes else None


def _format_of(dataset: DatasetVersion, names: Sequence[str]) -> str:
    found: dict[str | None, str] = {}
    for name in names:
        found.setdefault(_format(name), name)
    if len(found) == 1 and None not in found:
        return str(next(iter(found)))
    examples = ", ".join(PurePosixPath(one).name for one in found.values())
    what = "files of several formats" if len(found) > 1 else "no suffix that tells its format"
    message = (
        f"{dataset} has {what} ({examples}): name one, format='csv' for example, or "
        "'binaryFile' for the bytes"
    )
    raise InvalidValueError(message)


def _separator(format_: str, names: Sequence[str]) -> dict[str, str]:
    is_tabbed = format_ == "csv" and all(".tsv" in Path(one).suffixes for one in names)
    return {"sep": "\t"} if is_tabbed else {}


def _escaped(path: str) -> str:
    """Return a path in which Spark sees no patterns."""
    return _WILD.sub(r"\\\1", path)
