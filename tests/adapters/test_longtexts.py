"""Long texts are stored compressed and come back as they were."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aletheia_like.adapters._longtexts import PLAIN_CHARACTERS, packed, unpacked
from aletheia_like.adapters.sqlite import SqliteDocumentStore
from aletheia_like.errors import IntegrityError
from aletheia_like.ports.documents import Create, Query

LONG = "0.123456789," * (PLAIN_CHARACTERS // 10)


@given(st.text(max_size=20), st.sampled_from([1, PLAIN_CHARACTERS, PLAIN_CHARACTERS * 3]))
def test_a_text_comes_back(text, times):
    text = (text * times)[: PLAIN_CHARACTERS * 2]

    stored = packed(text)

    assert unpacked(stored) == text
    assert isinstance(stored, str) == (len(text) <= PLAIN_CHARACTERS)


def test_a_long_text_takes_less():
    assert len(packed(LONG)) < len(LONG) / 2


def test_what_zlib_compressed_is_read():
    assert unpacked(zlib.compress(LONG.encode(), 1)) == LONG


def test_no_damage_is_taken_for_the_text_or_fills_the_memory():
    short = "0.123456789," * 6_000
    stored = packed(short)
    for place in range(len(stored)):
        for bit in range(8):
            damaged = bytearray(stored)
            damaged[place] ^= 1 << bit
            text = unpacked(bytes(damaged))
            # Two bits of the head mean nothing for such a text.
            assert text == short or not text.isascii()


@pytest.mark.parametrize("place", [0, 10, -3])
def test_a_damaged_text_is_told_with_its_document(tmp_path, place):  # B2
    path = tmp_path / "s.sqlite"
    store = SqliteDocumentStore(path)
    store.apply([Create("c/long", {"text": LONG}), Create("c/short", {"text": "a"})])
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        (stored,) = connection.execute("SELECT fields FROM documents WHERE id = 'long'").fetchone()
        damaged = bytearray(stored)
        damaged[place] ^= 0x10
        connection.execute("UPDATE documents SET fields = ? WHERE id = 'long'", (bytes(damaged),))
        connection.commit()

    with pytest.raises(IntegrityError, match=r"the fields of c/long in .* are damaged"):
        store.get("c/long")
    with pytest.raises(IntegrityError, match="c/long"):
        list(store.query(Query("c")))
    assert store.get("c/short").fields == {"text": "a"}
