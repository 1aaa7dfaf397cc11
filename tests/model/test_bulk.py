"""The garbage collector is held back, and comes back."""

from __future__ import annotations

import gc

import pytest

from aletheia_like.model.bulk import uncollected


def test_the_collector_is_on_again_afterwards_even_after_an_error():
    with pytest.raises(KeyError), uncollected():
        assert not gc.isenabled()
        raise KeyError

    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with uncollected():
            pass

        assert not gc.isenabled()
    finally:
        gc.enable()
