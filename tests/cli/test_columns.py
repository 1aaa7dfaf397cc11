"""`aletheia columns`, as people and scripts call it."""

from __future__ import annotations

import doctest

import aletheia_like as al
from aletheia_like.cli import columns

NOT_FOUND = 3


def recorded(tmp_path):
    with al.Metastore("p", url=(tmp_path / "home" / "store").as_uri(), git="off") as ms:
        with ms.exper("e").start_run() as run:
            run.log_batch([{"lr": 0.1, "opt": "adam"}, {"lr": 1, "opt": "adam"}, {"opt": "sgd"}])
        return ["--url", ms.session.settings.url]


def test_columns_have_types_and_distinct_values(aletheia, tmp_path):  # C7
    url = recorded(tmp_path)
    told = {one.pop("column"): one for one in aletheia("columns", "p/e/1", "--json", *url).json}

    assert told["opt"] == {"type": "str", "cells": 3, "distinct": 2}
    assert told["lr"] == {"type": "float, int", "cells": 2, "distinct": 2}
    assert "float, int" in aletheia("columns", "p/e/1", *url).out


def test_the_values_of_a_column_are_counted(aletheia, tmp_path):  # C7
    url = recorded(tmp_path)

    values = aletheia("columns", "e", "-p", "p", "--unique", "opt", "--json", *url).json
    assert values == [{"value": "adam", "rows": 2}, {"value": "sgd", "rows": 1}]
    assert aletheia("columns", "p/e/1", "--unique", "optimizer", *url).code == NOT_FOUND


def test_the_examples_hold():
    assert doctest.testmod(columns).failed == 0
