"""Runs side by side: in what they differ, from their parameters to the packages installed."""

from __future__ import annotations

import datetime as dt
import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aletheia_like.errors import AletheiaError, InvalidValueError
from aletheia_like.extras import import_extra
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.storing import local_blob
from aletheia_like.metastore.texttable import cell_text
from aletheia_like.model.parameters import flatten
from aletheia_like.model.records import ArtifactUse, DatasetUse, RunRecord
from aletheia_like.model.values import LongText, LongValue, equal

_LEAST = 2
_DIGITS = 12
_WIDTH = 40
_DETAILS = ("status", "fold", "desc", "notes", "tags", "parent", "created_by", "debug")
_CODE = ("branch", "remote", "dirty", "changed", "files", "subdirectory", "snapshot", "tag")
_SURROUNDINGS = (
    "command entry_point cwd host user os python executable cpu cpu_count memory gpus".split()
)


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing about runs that are compared.

    Attributes:
        name: What it is called, such as `hyper_params.lr` or `packages.numpy`.
        values: What it is in each of the runs; None where it is missing.
        differs: Whether it is not the same in all of them.
    """

    name: str
    values: tuple[Any, ...]
    differs: bool


class Comparison:
    """Runs side by side; iterates over that in which they differ.

    Args:
        titles: What each run is called.
        everything: All that was compared.
    """

    def __init__(self, titles: Sequence[str], everything: Sequence[Compared]) -> None:
        self._titles = tuple(titles)
        self._everything = tuple(everything)

    @property
    def titles(self) -> tuple[str, ...]:
        """What the runs are called."""
        return self._titles

    @property
    def everything(self) -> tuple[Compared, ...]:
        """All that was compared."""
        return self._everything

    @property
    def differences(self) -> tuple[Compared, ...]:
        """What is not the same in all runs."""
        return tuple(one for one in self._everything if one.differs)

    def to_dicts(self, *, everything: bool = False) -> list[dict[str, Any]]:
        """Return rows of a name and the value in each run.

        Args:
            everything: Whether what does not differ is among them.
        """
        chosen = self._everything if everything else self.differences
        return [
            {"name": one.name, **dict(zip(self._titles, one.values, strict=True))}
            for one in chosen
        ]

    def to_pandas(self, *, everything: bool = False) -> Any:
        """Return a pandas DataFrame with a column for each run, indexed by name."""
        rows = self.to_dicts(everything=everything)
        frame = import_extra("pandas", None).DataFrame
        return frame(rows, columns=["name", *self._titles], dtype=object).set_index("name")

    def __iter__(self) -> Iterator[Compared]:
        return iter(self.differences)

    def __len__(self) -> int:
        return len(self.differences)

    def __repr__(self) -> str:
        rows = [("", *self._titles), *self.to_texts()]
        widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
        lines = [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        same = len(self._everything) - len(self)
        head = f"<Comparison of {' and '.join(self._titles)}: {len(self)} differ, {same} do not>"
        return "\n".join([head, *(lines if len(self) else [])])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(title)}</th>" for title in ("", *self._titles))
        body = "".join(
            f"<tr>{''.join(f'<td>{html.escape(text)}</td>' for text in row)}</tr>"
            for row in self.to_texts()
        )
        same = len(self._everything) - len(self)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"{table}<p>{same} more do not differ</p>"

    def to_texts(self, *, everything: bool = False) -> list[tuple[str, ...]]:
        """Return what is printed: a name, and a short text for each run.

        Two values that differ have texts that differ, wherever in a long value that may be.

        Args:
            everything: Whether what does not differ is among them.
        """
        chosen = self._everything if everything else self.differences
        return [(one.name, *_told_apart(one.values)) for one in chosen]


def compare(session: Session, records: Sequence[RunRecord]) -> Comparison:
    """Return runs side by side.

    Args:
        session: The metastore, where the lists of packages are.
        records: The runs; two or more, each once.

    Raises:
        InvalidValueError: They are fewer, or one is named twice.
    """
    places = [(one.project, one.experiment, one.id) for one in records]
    if len(set(places)) < max(_LEAST, len(places)):
        message = "compare two runs or more, and each of them once"
        raise InvalidValueError(message)
    # What is the same of all, project and experiment, would only fill the heading.
    first = next(level for level in (2, 1, 0) if len({place[:level] for place in places}) == 1)
    titles = ["/".join(place[first:]) for place in places]
    found = [dict(_facts(record)) for record in records]
    for facts, packages in zip(found, _packages(session, records), strict=True):
        facts.update(packages)
    names = dict.fromkeys(name for facts in found for name in facts)
    return Comparison(titles, [_compared(name, found) for name in names])


@dataclass(frozen=True, slots=True)
class _Fact:
    """What is known about a run, and by what it is told from another's."""

    value: Any
    key: Any


def _compared(name: str, found: Sequence[Mapping[str, _Fact]]) -> Compared:
    facts = [one.get(name, _Fact(None, None)) for one in found]
    differs = any(not _is_same(facts[0].key, one.key) for one in facts[1:])
    return Compared(name, tuple(one.value for one in facts), differs)


def _is_same(left: Any, right: Any) -> bool:
    if type(left) in (int, float) and type(right) in (int, float) and left == right:
        return True
    return equal(left, right)


def _facts(record: RunRecord) -> Iterator[tuple[str, _Fact]]:
    """Yield what two runs of one experiment may have in common; times they have not."""
    values: dict[str, Any] = {"experiment": record.experiment}
    values |= {name: getattr(record, name) for name in _DETAILS}
    if record.model is not None:
        values |= {f"model.{name}": getattr(record.model, name) for name in ("name", "version")}
        values |= flatten(record.model.extra, "model.")
    values |= flatten(record.hyper_params, "hyper_params.")
    values |= flatten(record.metrics, "metrics.")
    values |= {
        f"summary.{name}.last": entry["last"]
        for name, entry in record.summary.items()
        if isinstance(entry, Mapping) and "last" in entry
    }
    values |= flatten(record.extra)
    yield from ((name, _Fact(value, value)) for name, value in values.items())
    yield from _used("datasets", record.datasets)
    yield from _used("artifacts", record.artifacts)
    yield from _code(record)
    if record.error is not None:
        text = f"{record.error.type}: {record.error.message}"
        yield "error", _Fact(text, text)


def _used(
    what: str, used: Mapping[str, DatasetUse] | Mapping[str, ArtifactUse]
) -> Iterator[tuple[str, _Fact]]:
    """Yield versions; of artifacts the number grows with every run, so the bytes tell."""
    for name, one in used.items():
        partition = one.partition if isinstance(one, DatasetUse) else None
        text = f"version {one.version}, {(one.digest or 'bytes unknown')[:_DIGITS]}"
        text += f", {partition}" if partition else ""
        yield f"{what}.{name}", _Fact(text, (one.digest or one.version, partition))


def _code(record: RunRecord) -> Iterator[tuple[str, _Fact]]:
    values: dict[str, Any] = {}
    if record.git is not None:
        values["commit"] = record.git.commit
        values |= {f"git.{name}": getattr(record.git, name) for name in _CODE}
    around = record.environment
    if around is not None:
        values |= {f"environment.{name}": getattr(around, name) for name in _SURROUNDINGS}
        values |= flatten(around.variables, "environment.variables.")
        values |= flatten(around.lock_files, "environment.lock_files.")
    yield from ((name, _Fact(value, value)) for name, value in values.items())


def _packages(session: Session, records: Sequence[RunRecord]) -> list[dict[str, _Fact]]:
    """Return the packages of each run; nothing is fetched if all have the same list."""
    lists = [one.environment.packages if one.environment else None for one in records]
    if len(set(lists)) == 1:
        return [{"packages": _Fact(one, one)} if one else {} for one in lists]
    return [{} if one is None else _listed(session, one) for one in lists]


def _listed(session: Session, digest: str) -> dict[str, _Fact]:
    try:
        listed = json.loads(local_blob(session, digest).read_text(encoding="utf-8"))
        texts = {name: _version(entry) for name, entry in listed.items()}
    except (AletheiaError, ValueError, AttributeError):
        # Other things can still be compared without the list.
        return {"packages": _Fact(digest, digest)}
    return {f"packages.{name}": _Fact(text, text) for name, text in texts.items()}


def _version(entry: Mapping[str, str]) -> str:
    origin = entry.get("from")
    return f"{entry.get('version', '')} from {origin}" if origin else entry.get("version", "")


def _told_apart(values: Sequence[Any]) -> list[str]:
    """Return a short line for each value; what differs looks different if room allows."""
    texts = [" ".join(cell_text(value).split()) for value in values]
    exact = [_exact(value, text) for value, text in zip(values, texts, strict=True)]
    if len(set(texts)) < len(set(exact)):
        texts = exact
    if len({_short(text) for text in texts}) == len(set(texts)):
        return [_short(text) for text in texts]
    long = [text for text in texts if len(text) > _WIDTH]
    begin = max(0, _common(min(long), max(long)) - _WIDTH // 2) if long else 0
    return [_short(f"…{text[begin:]}" if begin and len(text) > _WIDTH else text) for text in texts]


def _common(left: str, right: str) -> int:
    """Return how many characters two texts begin with in common."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(left), len(right)))


def _exact(value: Any, text: str) -> str:
    """Return a value as a program writes it, by which `0.1` is told from `'0.1'`."""
    if isinstance(value, dt.datetime):
        return cell_text(value, "microseconds")
    if isinstance(value, LongText | LongValue):
        return f"{value.size} bytes, {value.digest[:_DIGITS]}"
    return repr(value) if isinstance(value, str | float) else text


def _short(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
