"""Results on disk: named by content in every process, never wrong, never trusted from others."""

from __future__ import annotations

import argparse
import collections
import datetime as dt
import decimal
import enum
import functools
import hashlib
import json
import os
import pathlib
import pickle
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from aletheia_like.metastore.callkey import NoContentError, call_key
from aletheia_like.metastore.resultcache import Lineage, ResultCache

LINEAGE = Lineage("p", "e", "1", "f", "2026-01-01T00:00:00+00:00")
KEY = "ab" * 32


class Color(enum.Enum):
    RED = 1


@dataclass(frozen=True)
class Config:
    name: str = "adam"
    layers: tuple = (1, 2)
    tags: frozenset = frozenset({"a", "b", "c"})


@dataclass(slots=True)
class Slotted:
    values: list = field(default_factory=lambda: [1])


class Plain:
    def __init__(self, value):
        self.value = value


def f(x):
    return x


def key(*values, function=f, params=None):
    return call_key(function, {str(index): one for index, one in enumerate(values)}, params or {})


def cycle(value):
    inner = [value]
    inner.append(inner)
    return inner


# Each line holds values that differ from one another, made anew by every call of the lambda.
DIFFERENT = {
    "numbers": lambda: [1, 1.0, True, "1", b"1", 2, -1, 1j, None, ..., float("nan"), 2**100],
    "zeros": lambda: [0.0, -0.0, 0, False, "", b"", (), [], {}, set(), frozenset()],
    "texts": lambda: ["ab", ["a", "b"], ["ab"], "a\udcff", ("a", "b"), [["a"], "b"]],
    "maps": lambda: [{"a": 1}, {"a": 2}, {"b": 1}, {1: "a"}, [("a", 1)], {"a": {"a": 1}}],
    "sets": lambda: [{"a", "b", "c"}, {"a", "b"}, frozenset({"a", "b", "c"}), {"abc"}],
    "arrays": lambda: [
        np.arange(6),
        np.arange(6).reshape(2, 3),
        np.arange(6.0),
        np.arange(6, dtype="<i4"),
        np.array([1, None]),
        np.float64(1),
        np.float32(1),
        list(range(6)),
    ],
    "tables": lambda: [
        pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
        pd.DataFrame({"a": [1, 3], "b": ["x", "y"]}),
        pd.DataFrame({"a": [1, 2]}),
        pd.Series([1, 2]),
        pd.Series([1, 2], name="a"),
    ],
    "objects": lambda: [
        Config(),
        Config("sgd"),
        Slotted(),
        Slotted([2]),
        Plain(1),
        Plain([1]),
        argparse.Namespace(a=1),
        Color.RED,
    ],
    "library": lambda: [
        dt.datetime(2026, 1, 1),
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        dt.date(2026, 1, 1),
        decimal.Decimal("1.0"),
        decimal.Decimal("1.00"),
        uuid.UUID(int=1),
        pathlib.PurePosixPath("/a"),
        range(3),
        slice(3),
        collections.OrderedDict(a=1),
        collections.Counter("aab"),
        collections.defaultdict(list, a=[1]),
        collections.deque([1]),
    ],
    "functions": lambda: [
        f,
        len,
        functools.partial(f, 1),
        functools.partial(f, 2),
        "abc".upper,
        "abc".lower,
        Config,
        Plain,
        lambda x: x + 1,
        lambda x: x + 2,
    ],
    "cycles": lambda: [cycle(1), cycle(2), [cycle(1)]],
}


@pytest.mark.parametrize("values", DIFFERENT.values(), ids=DIFFERENT)
def test_different_values_have_different_keys_and_equal_ones_equal(values):  # F9, F10
    first, second = list(map(key, values())), list(map(key, values()))

    assert first == second
    assert len(set(first)) == len(first)


def test_maps_and_sets_count_whatever_their_order():  # F10
    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1})
    assert key({1, 2, 1000, "x"}) == key({"x", 1000, 2, 1})


def test_arrays_count_whatever_their_layout():  # F10
    array = np.arange(6).reshape(2, 3)

    assert key(array) == key(np.asfortranarray(array)) == key(np.repeat(array, 2, axis=1)[:, ::2])


def test_params_and_the_function_are_part_of_the_key():  # F9
    keys = [key(1), key(1, params={"model": "v1"}), key(1, params={"model": "v2"})]

    assert len({*keys, key(1, function=len), key(function=f), key(1, 2)}) == 6


def make(n, gather):
    def function(x):
        gather.append(x)
        return x * n

    return function


def make_counter():
    calls = 0

    def function(x):
        nonlocal calls
        calls += 1
        return x

    return function


def make_recursive():
    def function(x):
        return function(x - 1) if x else 0

    return function


def test_constants_a_function_closes_over_count_and_what_it_gathers_does_not():  # F9
    function = make(2, [])
    before = key(1, function=function)
    function(1)

    assert key(1, function=function) == before == key(1, function=make(2, []))
    assert key(1, function=make(3, [])) != before


def test_a_function_may_count_its_calls_or_call_itself():  # F9
    counter, recursive = make_counter(), make_recursive()
    before = key(1, function=counter)
    counter(1)

    assert key(1, function=counter) == before
    assert key(1, function=recursive) == key(1, function=make_recursive())


@pytest.mark.parametrize(
    "value",
    [threading.Lock(), object(), iter([1]), (x for x in [1]), sys.stdout, sys],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_content_is_refused_by_its_type(value):  # F10
    with pytest.raises(NoContentError) as raised:
        key([{"inside": value}])

    assert raised.value.kind.endswith(type(value).__name__)


def test_nesting_without_end_is_refused():
    value = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(NoContentError):
        key(value)


KEYS = """
import sys
sys.path.insert(0, sys.argv[1])
import test_resultcache as here
print([list(map(here.key, values())) for values in here.DIFFERENT.values()])
def main(x, y=frozenset({"a", "b", "c"})):
    return x in {"p", "q", "r", "s"}
print(here.key({"a", "b", "c"}, here.Config(), function=main))
"""


def test_keys_are_the_same_in_every_process():  # F9
    answers = set()
    for seed in ("0", "4711"):
        done = subprocess.run(
            [sys.executable, "-c", KEYS, str(pathlib.Path(__file__).parent)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        answers.add(done.stdout)

    assert len(answers) == 1


@pytest.fixture
def told():
    return []


@pytest.fixture
def cache(tmp_path, told):
    return ResultCache(tmp_path / "results", told.append)


def entry(tmp_path):
    return tmp_path / "results" / "ab" / KEY


def test_a_result_comes_back_with_its_lineage(cache, told):  # F9
    assert cache.load(KEY) is None
    cache.store(KEY, {"a": [1, None]}, LINEAGE)
    found = cache.load(KEY)

    assert (found.result, found.lineage) == ({"a": [1, None]}, LINEAGE)
    assert str(found.lineage) == "e/1"
    assert list(cache.lineages()) == [(KEY, LINEAGE)]
    assert told == []
    cache.delete(KEY)
    cache.delete(KEY)
    assert cache.load(KEY) is None


def test_none_is_a_result_too(cache):
    cache.store(KEY, None, LINEAGE)

    assert cache.load(KEY).result is None


def test_what_plain_pickle_cannot_keep_cloudpickle_does(cache):
    pytest.importorskip("cloudpickle")
    cache.store(KEY, lambda x: x + 1, LINEAGE)

    assert cache.load(KEY).result(1) == 2


def test_a_result_that_cannot_be_kept_is_told(cache, told):
    cache.store(KEY, threading.Lock(), LINEAGE)

    assert cache.load(KEY) is None
    assert "results of type lock are not cached" in told[0]


@pytest.mark.parametrize("size", [0, 1, 20, 200, -1])
def test_a_broken_entry_is_as_good_as_none(cache, tmp_path, size, told):
    cache.store(KEY, list(range(100)), LINEAGE)
    entry(tmp_path).write_bytes(entry(tmp_path).read_bytes()[:size])

    assert cache.load(KEY) is None
    cache.store(KEY, "anew", LINEAGE)
    assert cache.load(KEY).result == "anew"
    assert told == []


def test_a_changed_result_is_never_loaded(cache, tmp_path):
    cache.store(KEY, [1, 2, 3], LINEAGE)
    header, _, _ = entry(tmp_path).read_bytes().partition(b"\n")
    entry(tmp_path).write_bytes(header + b"\n" + pickle.dumps("changed"))

    assert cache.load(KEY) is None


@pytest.mark.parametrize("header", [b"{}", b"[]", b"null", b'{"sha256": 1}', b"\xff"])
def test_a_strange_header_is_as_good_as_none(cache, tmp_path, header):
    cache.store(KEY, 1, LINEAGE)
    entry(tmp_path).write_bytes(header + b"\n" + pickle.dumps(1))

    assert cache.load(KEY) is None
    assert list(cache.lineages()) == []


class Gone:
    pass


def test_a_result_of_a_class_that_is_gone_is_computed_anew(cache, tmp_path):
    cache.store(KEY, Gone(), LINEAGE)
    data = entry(tmp_path).read_bytes()
    header, _, pickled = data.partition(b"\n")
    changed = pickled.replace(b"Gone", b"Lost")
    fields = {**json.loads(header), "sha256": hashlib.sha256(changed).hexdigest()}
    entry(tmp_path).write_bytes(json.dumps(fields).encode() + b"\n" + changed)

    assert cache.load(KEY) is None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_an_entry_that_others_may_write_is_not_loaded(cache, tmp_path, told, mode):
    cache.store(KEY, 1, LINEAGE)
    assert entry(tmp_path).stat().st_mode & 0o777 == 0o600
    entry(tmp_path).chmod(mode)

    assert cache.load(KEY) is None
    assert "another user owns it or may write it" in told[0]


def test_an_entry_of_another_user_is_not_loaded(cache, tmp_path, told):
    cache.store(KEY, 1, LINEAGE)
    try:
        os.chown(entry(tmp_path), 12_345, -1)
    except PermissionError:
        pytest.skip("only root may give files away")

    assert cache.load(KEY) is None
    assert str(entry(tmp_path)) in told[0]


def test_a_link_is_not_followed(cache, tmp_path):
    cache.store(KEY, 1, LINEAGE)
    elsewhere = entry(tmp_path).rename(tmp_path / "elsewhere")
    entry(tmp_path).symlink_to(elsewhere)

    assert cache.load(KEY) is None


def test_a_folder_that_cannot_be_written_is_told(tmp_path, told):
    (tmp_path / "file").write_text("in the way")
    cache = ResultCache(tmp_path / "file" / "results", told.append)
    cache.store(KEY, 1, LINEAGE)

    assert cache.load(KEY) is None
    assert "is not cached" in told[0]


WRITER = """
import sys
from pathlib import Path
from aletheia_like.metastore.resultcache import Lineage, ResultCache
cache = ResultCache(Path(sys.argv[1]), print)
lineage = Lineage("p", "e", sys.argv[2], "f", "now")
for _ in range(200):
    cache.store("ab" * 32, [sys.argv[2]] * 2000, lineage)
    found = cache.load("ab" * 32)
    assert found is not None and found.result == [found.lineage.run] * 2000
"""


def test_many_processes_write_one_entry(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path / "results")]
    writers = [subprocess.Popen([*command, str(number)]) for number in range(4)]

    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert [path.name for path in (tmp_path / "results" / "ab").iterdir()] == [KEY]
