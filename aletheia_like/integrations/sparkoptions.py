"""What a reader of Spark was told by `.option(…)`, and the metastore that this names."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.sqltables import COLUMNS

DEFAULT_PARTITIONS = 32

_MAX_PARTITIONS = 10_000


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one read.

    Attributes:
        table: One of the tables that SQL has too.
        url: The store; None for what the settings name, as for all that follows.
        experiment: Only what belongs to it.
        run_id: Only the runs of these ids; None for all.
        columns: Only these, in this order; None for all.
        partitions: At most so many parts.
    """

    table: str
    url: str | None = None
    project: str | None = None
    blobs: str | None = None
    cache_dir: str | None = None
    experiment: str | None = None
    run_id: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    partitions: int = DEFAULT_PARTITIONS

    def open(self) -> Metastore:
        """Return the metastore; reads nothing."""
        return Metastore(
            self.project, url=self.url, blobs=self.blobs, cache_dir=self.cache_dir or None
        )

    def settled(self, metastore: Metastore) -> Options:
        """Return these with what the settings here say, which may say nothing elsewhere.

        Raises:
            InvalidValueError: The store is in the memory of one process.
        """
        if metastore.url.startswith("memory:"):
            message = (
                "Spark reads in processes of its own, which do not see memory://: "
                "set the option 'url' to a file:// or firestore:// store"
            )
            raise InvalidValueError(message)
        settings = metastore.session.settings
        return dataclasses.replace(
            self, url=metastore.url, project=metastore.project, blobs=settings.blobs
        )


def parse_options(given: Mapping[str, str]) -> Options:
    """Return options by their names, in which neither capitals nor underscores matter.

    Raises:
        InvalidValueError: A name or a value is not possible.
    """
    known = {one.name.replace("_", ""): one.name for one in dataclasses.fields(Options)}
    texts: dict[str, Any] = {}
    for name, value in given.items():
        folded = name.lower().replace("_", "")
        if folded not in known:
            near = difflib.get_close_matches(folded, known, 1)
            advice = f"did you mean {known[near[0]]!r}?" if near else _listed(known.values())
            message = f"the format 'aletheia' has no option {name!r}: {advice}"
            raise InvalidValueError(message)
        texts[known[folded]] = value
    readers: Mapping[str, Callable[[str, str], Any]] = {
        "run_id": _names,
        "columns": _names,
        "partitions": _partitions,
    }
    values = {
        name: readers[name](name, text) if name in readers else text
        for name, text in texts.items()
    }
    return Options(**{**values, "table": _table(values.get("table"))})


def _table(name: str | None) -> str:
    if name is None:
        message = f"the option 'table' is missing: {_listed(COLUMNS)}"
        raise InvalidValueError(message)
    if name.lower() not in COLUMNS:
        message = f"there is no table {name!r} to set the option 'table' to: {_listed(COLUMNS)}"
        raise InvalidValueError(message)
    return name.lower()


def _names(option: str, text: str) -> tuple[str, ...]:
    """Return names that are separated by commas, or a list in JSON for names that have some."""
    names = [one.strip() for one in text.split(",")]
    if text.lstrip().startswith("["):
        try:
            names = json.loads(text)
        except ValueError:
            names = []
    if not names or not all(isinstance(one, str) and one for one in names):
        message = f"the option {option!r} takes names such as 'a,b' or [\"a,b\"], not {text!r}"
        raise InvalidValueError(message)
    return tuple(names)


def _partitions(option: str, text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= _MAX_PARTITIONS:
        message = f"the option {option!r} takes 1 to {_MAX_PARTITIONS}, not {text!r}"
        raise InvalidValueError(message)
    return number


def _listed(names: Iterable[str]) -> str:
    return f"there are {', '.join(names)}"
