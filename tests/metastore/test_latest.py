"""Last values by key are those that a plain loop over the rows finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aletheia_like.metastore.latest import deep_merged, last_by_key
from aletheia_like.model.rows import ABSENT

KEY = st.one_of(
    st.integers(0, 3), st.sampled_from(["a", "[1]", [1], [2], None, ABSENT, True, 1.0, 0.5])
)
CELL = st.one_of(
    st.integers(0, 9),
    st.just(None),
    st.just(ABSENT),
    st.dictionaries(st.sampled_from("xy"), st.integers(0, 3), max_size=2),
)


def missing(cell):
    return cell is None or cell is ABSENT


def by_a_loop(keys, columns, *, merge, keep):
    """Return for each key, as text, the last value of each column."""
    found = {}
    for row, key in enumerate(zip(*keys, strict=True)):
        if any(map(missing, key)):
            continue
        values = found.setdefault(repr(tuple(map(_same, key))), {})
        for name, cells in columns.items():
            cell = cells[row]
            if not missing(cell):
                values[name] = deep_merged(values.get(name), cell) if merge else cell
    return {key: values for key, values in found.items() if keep or values}


def _same(part):
    return int(part) if part in (0, 1) and not isinstance(part, list) else part


@given(st.data(), st.booleans(), st.booleans())
def test_the_last_values_are_those_that_a_loop_finds(data, merge, keep):  # Q9, Q10, Q11
    count = data.draw(st.integers(0, 8))
    cells = st.lists(CELL, min_size=count, max_size=count)
    keys = data.draw(
        st.lists(st.lists(KEY, min_size=count, max_size=count), min_size=1, max_size=2)
    )
    columns = data.draw(st.dictionaries(st.sampled_from(["u", "v"]), cells, max_size=2))

    found = last_by_key(keys, columns, merge=merge, keep=keep)

    shown = {
        repr(tuple(map(_same, key))): {
            name: column[row] for name, column in found.columns.items() if column[row] is not None
        }
        for row, key in enumerate(zip(*found.keys, strict=True))
    }
    assert shown == by_a_loop(keys, columns, merge=merge, keep=keep)


@given(st.lists(st.integers(-5, 5), max_size=10))
def test_keys_that_can_be_are_sorted(keys):  # Q9
    found = last_by_key([keys], {"row": list(range(len(keys)))}, merge=True, keep=False)

    assert found.keys == [sorted(set(keys))]
    assert [keys[row] for row in found.columns["row"]] == found.keys[0]
