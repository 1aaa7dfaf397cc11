"""The verdict on two records."""

from __future__ import annotations

import math

import pytest

from aletheia_like.model.records import ArtifactUse, RunRecord
from aletheia_like.reproduce.comparing import (
    Tolerance,
    choose_run,
    compare_records,
    verdict_of,
)


def record(id_="1", **fields):
    return RunRecord("p", "e", id_, status="finished", **fields)


def verdict(first, again, ignore=(), **tolerance):
    return verdict_of(compare_records(first, again, Tolerance(**tolerance), ignore))


@pytest.mark.parametrize(
    ("first", "again", "expected"),
    [
        (0.5, 0.5, "same"),
        (1, 1.0, "same"),
        (math.nan, math.nan, "same"),
        (0.5, 0.5000000001, "within tolerance"),
        (0.5, 0.6, "differs"),
        (0.5, math.nan, "differs"),
        (math.inf, 1e308, "differs"),
        ("a", "b", "differs"),
        (True, 1, "differs"),
        ([1.0, 2.0], [1.0, 2.0000000001], "within tolerance"),
        ([1.0], [1.0, 2.0], "differs"),
    ],
)
def test_numbers_may_be_near_and_everything_else_is_equal_or_not(first, again, expected):
    assert verdict(record(metrics={"a": first}), record(metrics={"a": again})) == expected


def test_tolerances_may_be_for_some_names_only():
    first, again = record(metrics={"a": 1.0, "b": 1.0}), record(metrics={"a": 1.1, "b": 1.0})

    assert verdict(first, again, rtol={"a": 0.2}) == "within tolerance"
    assert verdict(first, again, atol={"metrics.*": 0.2}) == "within tolerance"
    assert verdict(first, again, rtol={"b": 0.2}) == "differs"


def test_artifacts_are_equal_by_content_whatever_their_version():
    made = [ArtifactUse("m", number, digest) for number, digest in ((0, "a"), (1, "a"), (2, "b"))]
    runs = [record(artifacts={"m": one}) for one in made]

    assert verdict(runs[0], runs[1]) == "same"
    assert verdict(runs[0], runs[2], rtol=1) == "differs"
    assert verdict(runs[0], record()) == "differs"


def test_what_is_ignored_does_not_count():
    first = record(metrics={"a": 1, "seconds": 2.0}, summary={"loss": {"last": 1.0}})
    again = record(metrics={"a": 1, "seconds": 3.0}, summary={"loss": {"last": 1.0}})

    assert verdict(first, again) == "differs"
    assert verdict(first, again, ["metrics.seconds"]) == "same"
    assert verdict(first, again, ["metrics.*", "rows.*"]) == "cannot"


def test_runs_without_results_cannot_be_compared():
    assert verdict(record(hyper_params={"a": 1}), record(hyper_params={"a": 1})) == "cannot"


def test_the_run_that_is_meant_is_found_by_fold_parameters_and_place():
    found = [record(str(n), fold=n % 2, hyper_params={"lr": n // 2}) for n in range(4)]

    assert choose_run(record(fold=1, hyper_params={"lr": 1}), 0, found).id == "3"
    assert choose_run(record(fold=7, hyper_params={"lr": 7}), 2, found).id == "2"
    assert choose_run(record(), 9, found, "1").id == "1"
    assert choose_run(RunRecord("p", "other", "1"), 0, found) is None
