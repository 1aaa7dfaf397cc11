"""The bar of long moves."""

from __future__ import annotations

import pytest

from aletheia_like.transfer.bar import counting_bar


@pytest.mark.parametrize("count", [10, None])
def test_the_bar_is_drawn_on_stderr_if_that_is_asked_for(capfd, count):
    with counting_bar("moving p", count, show=True) as done:
        done(3)

    told = capfd.readouterr()
    assert "moving p" in told.err
    assert told.out == ""


def test_nothing_is_drawn_where_nobody_looks(capfd):
    with counting_bar("moving p", 1_000_000) as done:
        done(1)

    assert capfd.readouterr() == ("", "")
