"""`aletheia cost` counts, estimates, and says that it does."""

from __future__ import annotations

import pytest

from aletheia_like.ports.usage import Prices

USAGE, NOT_FOUND = 2, 3


def test_a_run_an_experiment_and_a_project_can_be_asked_for(aletheia, logged):
    run = aletheia("cost", "p/sweep/1", "--json").json["estimates"][0]
    assert (run["recorded"]["rows"], run["recorded"]["chunks"], run["documents"]) == (12, 1, 3)
    assert run["recorded"]["blob_bytes"] == 8
    experiment = aletheia("cost", "p/sweep", "--json").json["estimates"][0]
    assert (experiment["recorded"]["runs"], experiment["documents"]) == (2, 7)
    project = aletheia("cost", "-p", "p", "--json").json
    assert project["estimates"][0]["documents"] == 8
    assert project["document_reads_now"] > 0


def test_a_change_of_rows_is_no_row(aletheia, logged):
    aletheia("set", "checked=true", "p/sweep/1")
    run = aletheia("cost", "p/sweep/1", "--json").json["estimates"][0]
    assert (run["recorded"]["rows"], run["recorded"]["chunks"]) == (12, 2)


def test_it_is_always_called_an_estimate(aletheia, logged):
    shown = aletheia("cost", "p/sweep/1").out
    assert "rows       12 in 1 chunk" in shown
    assert f"estimate, without storage and network; prices: {Prices().as_of}" in shown


def test_prices_can_be_given(aletheia, logged):
    free = [f"--price={name}=0" for name in ("document_writes", "document_reads", "blob_writes")]
    found = aletheia("cost", "p/sweep/1", *free, "--json").json
    assert found["estimates"][0]["usd"] == 0
    assert "changed" in found["prices"]["as_of"]
    dear = aletheia("cost", "p/sweep/1", *free, "--price", "document_writes=100000", "--json").json
    writes = dear["estimates"][0]["operations"]["document_writes"]
    assert dear["estimates"][0]["usd"] == pytest.approx(writes)
    for wrong in ("document_writes", "document_writes=cheap", "writes=1", "blob_reads=-1"):
        assert aletheia("cost", "p/sweep/1", "--price", wrong).code == USAGE


def test_runs_can_be_projected_with_no_store_at_all(aletheia, tmp_path):
    found = aletheia("cost", "--runs", 1_000, "--rows", 3_600, "--seconds", 3_600, "--json").json
    (more,) = found["estimates"]
    assert (more["recorded"]["runs"], more["recorded"]["rows"]) == (1_000, 3_600_000)
    # A chunk and the run's document each second.
    assert more["operations"]["document_writes"] == pytest.approx(7_200_000, rel=0.01)
    assert more["usd"] == pytest.approx(13, rel=0.05)
    assert not (tmp_path / "home").exists()


def test_projected_runs_are_like_the_known_ones(aletheia, logged):
    now, more = aletheia("cost", "p/sweep", "--runs", 10, "--json").json["estimates"]
    assert more["recorded"]["rows"] == 10 * now["recorded"]["rows"] // 2
    assert aletheia("cost", "p/sweep", "--runs", 10).out.count("together") == 2


def test_looking_at_costs_writes_nothing(aletheia, logged, tmp_path):
    database = tmp_path / "home" / "metastore.sqlite"
    before = database.read_bytes()
    aletheia("cost", "-p", "p")

    assert database.read_bytes() == before


def test_what_is_not_there_has_no_price(aletheia, logged):
    assert aletheia("cost").code == USAGE
    assert aletheia("cost", "p/nothing").code == NOT_FOUND
    assert aletheia("cost", "p/sweep/99").code == NOT_FOUND
    assert aletheia("cost", "--runs", 0).code == USAGE
