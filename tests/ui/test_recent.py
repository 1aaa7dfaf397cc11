"""What was read a moment ago is shared, and no longer."""

from __future__ import annotations

import threading

import pytest

from aletheia_like.ui import recent
from aletheia_like.ui.recent import Recent


def test_who_asks_at_the_same_time_shares_one_reading():
    shared, reads, barrier = Recent(), [], threading.Barrier(4)

    def ask():
        barrier.wait()
        found.append(shared.get("rows", lambda: reads.append(1) or object()))

    found = []
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert len(reads) == len(set(map(id, found))) == 1


def test_what_is_old_is_read_anew_and_forgotten(monkeypatch):
    monkeypatch.setattr(recent, "SECONDS", -1)
    shared, reads = Recent(), iter(range(9))

    assert [shared.get("rows", lambda: next(reads)) for _ in range(3)] == [0, 1, 2]


def test_an_error_is_not_kept():
    shared = Recent()

    with pytest.raises(ZeroDivisionError):
        shared.get("rows", lambda: 1 // 0)

    assert shared.get("rows", lambda: 2) == 2
