"""The verdict: in what a run that was done again differs from the first; nothing is read here."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.parameters import flatten
from aletheia_like.model.records import ArtifactUse, DatasetUse, RunRecord
from aletheia_like.model.values import equal

Verdict = Literal["same", "within tolerance", "differs", "cannot"]

Bound = float | Mapping[str, float]
"""One for all numbers, or one for each by its name: `{"metrics.loss": 0.1, "rows.*": 0.2}`."""

RTOL = 1e-6
ATOL = 0.0

_NUMBERS = (int, float)
_RESULTS = ("metrics.", "rows.", "artifacts.")
_OF_THE_CLOCK = frozenset({"function_time", "timestamp"})


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far numbers may be apart: by `atol + rtol * abs(first)`, like numpy's `isclose`."""

    rtol: Bound = RTOL
    atol: Bound = ATOL

    def allows(self, name: str, first: float, again: float) -> bool:
        """Whether a number of this name is near enough."""
        if first != first or again != again:  # noqa: PLR0124 - NaN is near NaN only
            return first != first and again != again  # noqa: PLR0124
        if first == again:
            return True
        bound = _bound(self.atol, name, ATOL) + _bound(self.rtol, name, RTOL) * abs(first)
        return bool(abs(first - again) <= bound < float("inf"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """One thing that both runs have, or one of them.

    Attributes:
        name: What it is, such as `metrics.loss`, `rows.loss` or `artifacts.model`.
        first: What it was; None if it was not.
        again: What it is now.
        verdict: `same`, `within tolerance` or `differs`; `ignored` by request.
    """

    name: str
    first: Any
    again: Any
    verdict: Literal["same", "within tolerance", "differs", "ignored"]


def check_bound(bound: Bound, word: str) -> Bound:
    """Return a bound.

    Raises:
        InvalidValueError: It is negative or no number.
    """
    for one in bound.values() if isinstance(bound, Mapping) else [bound]:
        if isinstance(one, bool) or not isinstance(one, _NUMBERS) or not one >= 0:
            message = f"{word} is a number that is not negative, or a map of such, not {one!r:.80}"
            raise InvalidValueError(message)
    return bound


def compare_records(
    first: RunRecord,
    again: RunRecord,
    tolerance: Tolerance,
    ignore: Sequence[str] = (),
    lasts: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {}),
) -> list[Outcome]:
    """Return everything by which one run is told from the other, in the order of importance.

    Args:
        first: The run that was recorded.
        again: The run that did it again.
        tolerance: How far metrics and the last values of rows may be apart.
        ignore: Names, with `*`, that do not count.
        lasts: Of either run the last values of the columns that are no numbers.
    """
    before, after = dict(_facts(first, lasts[0])), dict(_facts(again, lasts[1]))
    names = dict.fromkeys([*before, *after])
    return [_outcome(name, before, after, tolerance, ignore) for name in names]


def verdict_of(outcomes: Sequence[Outcome]) -> Verdict:
    """Return the verdict on all; nothing that came of the run to compare is `cannot`."""
    found = {one.verdict for one in outcomes}
    if not any(one.name.startswith(_RESULTS) for one in outcomes if one.verdict != "ignored"):
        return "cannot"
    if "differs" in found:
        return "differs"
    return "within tolerance" if "within tolerance" in found else "same"


def choose_run(
    first: RunRecord, place: int, found: Sequence[RunRecord], wanted_id: str | None = None
) -> RunRecord | None:
    """Return which of the runs that a command started is the one that was to be done again.

    Args:
        first: The run that was recorded.
        place: How many runs of its experiment its process had started before it.
        found: The runs that were started, in their order.
        wanted_id: The id it has if the program named it.
    """
    same = [
        one for one in found if (one.project, one.experiment) == (first.project, first.experiment)
    ]
    named = [one for one in same if one.id == wanted_id]
    if named:
        return named[0]
    alike = [one for one in same if _is_alike(first, one)] or same
    if place < len(same) and same[place] in alike:
        return same[place]
    return alike[0] if alike else None


def _is_alike(first: RunRecord, other: RunRecord) -> bool:
    return _same(first.fold, other.fold) and _same(
        dict(flatten(first.hyper_params)), dict(flatten(other.hyper_params))
    )


def _facts(record: RunRecord, lasts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "status", record.status
    if record.error is not None:
        yield "error", record.error.type
    yield from flatten(record.hyper_params, "hyper_params.")
    yield from (
        (f"datasets.{name}", _content(used)) for name, used in sorted(record.datasets.items())
    )
    yield from flatten(record.metrics, "metrics.")
    for name, entry in record.summary.items():
        if isinstance(entry, Mapping) and "last" in entry and name not in _OF_THE_CLOCK:
            yield f"rows.{name}", entry["last"]
    others = lasts.keys() - record.summary.keys() - _OF_THE_CLOCK
    yield from flatten({one: lasts[one] for one in lasts if one in others}, "rows.")
    yield from (
        (f"artifacts.{name}", _content(made))
        for name, made in sorted(record.artifacts.items())
        if made.digest is not None
    )


def _content(used: DatasetUse | ArtifactUse) -> Any:
    return used.digest


def _outcome(
    name: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    tolerance: Tolerance,
    ignore: Sequence[str],
) -> Outcome:
    first, again = before.get(name), after.get(name)
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in ignore):
        return Outcome(name, first, again, "ignored")
    if name in before and name in after:
        if _same(first, again):
            return Outcome(name, first, again, "same")
        if name.startswith(("metrics.", "rows.")) and _near(name, first, again, tolerance):
            return Outcome(name, first, again, "within tolerance")
    return Outcome(name, first, again, "differs")


def _same(first: Any, again: Any) -> bool:
    if type(first) in _NUMBERS and type(again) in _NUMBERS and first == again:
        return True
    return equal(first, again)


def _near(name: str, first: Any, again: Any, tolerance: Tolerance) -> bool:
    if type(first) in _NUMBERS and type(again) in _NUMBERS:
        return tolerance.allows(name, first, again)
    if isinstance(first, list) and isinstance(again, list) and len(first) == len(again):
        pairs = zip(first, again, strict=True)
        return all(_same(*pair) or _near(name, *pair, tolerance) for pair in pairs)
    return False


def _bound(bound: Bound, name: str, default: float) -> float:
    if not isinstance(bound, Mapping):
        return bound
    for pattern, value in bound.items():
        if any(fnmatch.fnmatchcase(one, pattern) for one in (name, name.partition(".")[2])):
            return value
    return default
