"""What was moved, as counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields


@dataclass(slots=True)
class Tally:
    """What was not there before and is now.

    Attributes:
        experiments, runs, rows: How many.
        artifacts, datasets: How many versions.
        metadata: How many named mappings.
        collections: How many collections of series.
        revisions: How many revisions of these.
        blobs: How many contents.
        bytes: Of these blobs.
        changed: Documents that were there and have changed, such as those of runs that went on.
        renamed: New name of each run, artifact or data set version that had to get one.
        kept: Documents that differ in both places; what was there stayed.
    """

    experiments: int = 0
    runs: int = 0
    rows: int = 0
    artifacts: int = 0
    datasets: int = 0
    metadata: int = 0
    collections: int = 0
    revisions: int = 0
    blobs: int = 0
    bytes: int = 0
    changed: int = 0
    renamed: dict[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        numbers = {
            one.name: getattr(self, one.name) + getattr(other, one.name)
            for one in fields(self)
            if one.name != "renamed"
        }
        return Tally(**numbers, renamed=self.renamed | other.renamed)

    def document(self, path: str, *, is_new: bool) -> None:
        """Count a document by its path below the project."""
        if not is_new:
            self.changed += 1
            return
        match path.split("/"):
            case ["metadata", _]:
                self.metadata += 1
            case ["experiments", _]:
                self.experiments += 1
            case ["experiments", _, "runs", _]:
                self.runs += 1
            case ["experiments" | "repositories", *_, "artifacts", _, "versions", _]:
                self.artifacts += 1
            case ["datasets", _, "versions", _]:
                self.datasets += 1


@dataclass(frozen=True, slots=True)
class Left:
    """Something that was seen and not carried.

    Attributes:
        what: Its kind, such as `histogram`.
        count: How many there are.
        why: And what to do, if anything can be done.
        run: The run it belongs to, as its source calls it; empty if it is none's.
    """

    what: str
    count: int
    why: str
    run: str = ""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import brought, and what it left.

    Attributes:
        format: What was read.
        found: How many runs were seen in it, new or not; None for our own exports.
        left: What was not carried.

    The others are those of `Tally`.
    """

    format: str
    found: int | None = None
    left: tuple[Left, ...] = ()
    experiments: int = 0
    runs: int = 0
    rows: int = 0
    artifacts: int = 0
    datasets: int = 0
    metadata: int = 0
    collections: int = 0
    revisions: int = 0
    blobs: int = 0
    bytes: int = 0
    changed: int = 0
    renamed: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()


def report_of(
    tally: Tally, format_: str, found: int | None = None, left: Sequence[Left] = ()
) -> ImportReport:
    """Return what was moved as the report of an import; equal things that were left are summed."""
    counts = {one.name: getattr(tally, one.name) for one in fields(tally)}
    summed: dict[tuple[str, str, str], int] = {}
    for one in left:
        key = (one.what, one.why, one.run)
        summed[key] = summed.get(key, 0) + one.count
    listed = tuple(Left(what, count, why, run) for (what, why, run), count in summed.items())
    return ImportReport(format_, found, listed, **counts)
