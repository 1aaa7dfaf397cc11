"""Calls of functions as rows: everything is told, and the function does not notice."""

from __future__ import annotations

import argparse
import asyncio
import functools
import inspect
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil
import pytest

import aletheia_like as al
from aletheia_like.metastore.arguments import describe


@pytest.fixture
def open_run(tmp_path):
    opened = []

    def opener(experiment="e", **options):
        given = {"url": (tmp_path / "store").as_uri(), "cache_dir": tmp_path / "cache", **options}
        opened.append(al.Metastore("p", git="off", **given))
        return opened[-1].exper(experiment).start_run()

    yield opener
    for metastore in opened:
        metastore.close()


@pytest.fixture
def run(open_run):
    return open_run()


def rows(run):
    return run.rows().to_dicts()


def last(run):
    return rows(run)[-1]


def power(base, k=2):
    return base**k


def read(**entries):
    return entries


def boom(message="it broke"):
    raise ValueError(message)


def test_a_call_is_logged_and_its_result_returned(run):  # F1
    result = run.track(power, 2, k=3)

    assert result == 8
    row = last(run)
    assert row["function_name"] == "power"
    assert (row["args"], row["kwargs"]) == ([2], {"k": 3})
    assert (row["function_result"], row["error"]) == (8, "")
    assert 0 < row["function_time"] < 1
    assert "cache" not in row
    assert len(rows(run)) == 1


def test_the_time_is_in_seconds(run):  # F1
    run.track(time.sleep, 0.2)

    assert 0.2 <= last(run)["function_time"] < 5
    assert last(run)["function_name"] == "sleep"


def test_a_wrapped_function_logs_its_params(run):  # F2
    @run.wrap(params={"name": "foofoo"})
    def foo(a: int, b: str):
        """Add."""
        return a + len(b)

    assert foo(1, "hello") == 6
    row = last(run)
    assert (row["function_name"], row["name"]) == ("foo", "foofoo")
    assert (row["args"], row["kwargs"], row["function_result"]) == ([1, "hello"], {}, 6)
    assert (foo.__name__, foo.__doc__) == ("foo", "Add.")
    assert list(inspect.signature(foo).parameters) == ["a", "b"]


def test_a_function_can_be_wrapped_at_once(run):  # F2
    @run.wrap
    def double(x: int) -> int:
        return 2 * x

    assert (double(2), double.__name__) == (4, "double")
    assert run.latest("function_result") == 4
    with pytest.raises(al.InvalidValueError, match="only functions"):
        run.wrap({"name": "foo"})


def test_methods_are_wrapped_as_methods(run):  # F2
    class Model:
        @run.wrap()
        def fit(self, x):
            return x + 1

        @classmethod
        @run.wrap()
        def make(cls, x):
            return cls.__name__ + x

        @staticmethod
        @run.wrap()
        def twice(x):
            return 2 * x

    assert (Model().fit(1), Model.make("!"), Model.twice(4)) == (2, "Model!", 8)
    assert [row["args"] for row in rows(run)] == [[1], ["!"], [4]]
    assert run.track(Model().fit, 5) == 6


def test_partials_and_objects_that_can_be_called_have_a_name(run):
    class Loss:
        def __call__(self, x):
            return x

    run.track(functools.partial(power, k=3), 2)
    run.track(Loss(), 1)

    assert [row["function_name"] for row in rows(run)] == ["power", "Loss"]


def test_the_entries_of_a_mapping_become_columns(run):  # F3
    result = run.track(read, accuracy=0.9, config={"lr": 1})

    assert result == {"accuracy": 0.9, "config": {"lr": 1}}
    row = last(run)
    assert (row["accuracy"], row["config"]) == (0.9, {"lr": 1})
    assert "function_result" not in row


def test_an_entry_with_a_name_that_is_taken_gets_a_prefix_and_a_warning(run):  # F3
    @run.wrap(params={"name": "mine"})
    def result():
        names = ("error", "function_time", "timestamp", "name", "loss")
        return dict.fromkeys(names, 1)

    with pytest.warns(UserWarning, match="is taken") as told:
        result()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result()

    row = last(run)
    assert (row["error"], row["name"], row["loss"]) == ("", "mine", 1)
    prefixed = ("result_error", "result_function_time", "result_timestamp", "result_name")
    assert [row[name] for name in prefixed] == [1, 1, 1, 1]
    assert "'error' is taken" in str(told[0].message)
    assert "'result_error'" in str(told[0].message)
    assert len(told) == 4


def test_entries_of_any_key_become_columns(run):  # F3
    with pytest.warns(UserWarning, match="'result_'"):
        run.track(lambda: {1: "one", None: "none", "": "empty", (1, 2): "pair"})

    row = last(run)
    assert (row["1"], row["None"], row["result_"], row["(1, 2)"]) == (
        "one",
        "none",
        "empty",
        "pair",
    )


def test_an_exception_is_logged_and_goes_on(run):  # F4
    with pytest.raises(ValueError, match="it broke"):
        run.track(boom)

    row = last(run)
    assert (row["error"], row["function_name"], row["args"]) == ("it broke", "boom", [])
    assert row["function_time"] > 0


def test_an_exception_without_a_text_is_told_by_its_type(run):  # F4
    with pytest.raises(ValueError):
        run.track(boom, "")

    assert last(run)["error"] == "ValueError"


def test_an_exception_may_be_kept_back(run):  # F4
    assert run.track(boom, raise_on_error=False) is None
    assert run.wrap(raise_on_error=False)(boom)("again") is None

    assert [row["error"] for row in rows(run)] == ["it broke", "again"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_is_logged_and_never_kept_back(run, error):  # F4
    def ending():
        raise error

    with pytest.raises(error):
        run.track(ending, raise_on_error=False)

    assert last(run)["error"] == error.__name__


def test_the_machine_is_measured_during_a_call(run):  # F5
    def busy():
        end = time.perf_counter() + 1.2
        while time.perf_counter() < end:
            pass

    psutil.cpu_percent()
    run.track(busy, system_metrics=True, interval=0.1)
    expected = psutil.cpu_percent()

    row = last(run)
    assert row["cpu_percent"] == pytest.approx(expected, rel=0.2)
    assert row["process_cpu_percent"] > 10
    assert 0 < row["memory_percent"] <= 100
    assert 0 < row["disk_percent"] <= 100
    assert "bytes_sent" not in row


def test_the_network_is_measured_during_a_call(run):  # F6
    run.track(power, 2, network_metrics=True)

    row = last(run)
    assert row["bytes_sent"] >= 0
    assert row["bytes_recv"] >= 0
    assert "cpu_percent" not in row


def test_figures_of_a_call_that_failed_are_logged_too(run):  # F5
    run.track(boom, system_metrics=True, raise_on_error=False)

    assert last(run)["memory_percent"] > 0


def test_no_thread_and_no_process_is_left_by_a_call(run):  # F7
    run.log(first=1)
    before = {thread.name for thread in threading.enumerate()}
    children = psutil.Process().children()
    run.track(time.sleep, 0.05, system_metrics=True, network_metrics=True, interval=0.01)
    run.track(boom, system_metrics=True, interval=0.01, raise_on_error=False)

    assert {thread.name for thread in threading.enumerate()} <= before
    assert psutil.Process().children() == children


def track_in_worker(url, cache_dir, answers):
    with al.Metastore("p", url=url, cache_dir=cache_dir, git="off") as ms:
        with ms.exper("e").start_run() as run:
            run.track(time.sleep, 0.05, system_metrics=True, interval=0.01)
            row = last(run)
        left = [one.name for one in threading.enumerate() if one.name == "aletheia-sampler"]
        answers.put((row["function_name"], row["memory_percent"] > 0, left))


def test_a_call_is_tracked_in_a_daemonic_worker(tmp_path):  # F7
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    url, cache_dir = (tmp_path / "store").as_uri(), str(tmp_path / "cache")
    worker = context.Process(target=track_in_worker, args=(url, cache_dir, answers), daemon=True)
    worker.start()

    assert answers.get(timeout=60) == ("sleep", True, [])
    worker.join(60)


def test_a_child_forked_inside_a_call_logs_nothing(run):
    def forking():
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        return child

    result = run.track(forking, system_metrics=True, interval=0.001)
    if not result:
        os._exit(0)

    assert len(rows(run)) == 1


@dataclass
class Optimizer:
    name: str = "adam"
    lr: float = 0.1
    decay: float | None = None


@dataclass
class Training:
    optimizer: Optimizer = field(default_factory=Optimizer)
    layers: tuple = (1, 2)
    parent: Any = None


def train(config, seed=1, *others, extra=None, **more):
    return 0


def unpacked(run):
    fixed = "function_name args kwargs function_time function_result error timestamp run_id"
    return {name: last(run)[name] for name in last(run) if name not in fixed.split()}


def test_a_dataclass_is_taken_apart_into_columns(run):  # F8
    run.track(train, Training())

    assert unpacked(run) == {
        "config_optimizer_name": "adam",
        "config_optimizer_lr": 0.1,
        "config_optimizer_decay": None,
        "config_layers": [1, 2],
        "config_parent": None,
    }
    assert last(run)["args"][0]["optimizer"]["lr"] == 0.1


def test_configs_are_taken_apart_wherever_they_are_given(run):  # F8
    one = argparse.Namespace(a=1)
    run.track(train, one, 2, one, extra=one, more=one)

    assert unpacked(run) == {"config_a": 1, "others_0_a": 1, "extra_a": 1, "more_a": 1}


def test_pydantic_models_and_attrs_objects_are_taken_apart(run):  # F8
    pydantic = pytest.importorskip("pydantic")
    attrs = pytest.importorskip("attrs")

    class Model(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        lr: float = 0.5
        inner: Any = None

    @attrs.define
    class Old:
        depth: int = 3

    run.track(train, Model(inner=Old(), more="x"))

    assert unpacked(run) == {"config_lr": 0.5, "config_inner_depth": 3, "config_more": "x"}


def test_a_config_that_contains_itself_is_cut(run):  # F8
    config = Training()
    config.parent = config
    shared = Training(parent=config.optimizer, optimizer=config.optimizer)
    run.track(train, config)
    cut = unpacked(run)
    run.track(train, shared)

    assert cut["config_parent"] == "<the Training above>"
    assert unpacked(run)["config_parent_lr"] == 0.1


def test_a_deep_config_is_cut_at_ten_levels(run):  # F8
    config = Training()
    for _ in range(50):
        config = Training(parent=config)
    run.track(train, config)

    deepest = max(unpacked(run), key=lambda name: name.count("_parent"))
    assert deepest.count("_parent") == 10
    assert unpacked(run)[deepest].startswith("Training(")


def test_fields_that_meet_another_column_are_kept_under_a_prefix(run):  # F8
    def apply(function):
        return 1

    with pytest.warns(UserWarning, match="arg_function_name"):
        run.track(apply, Optimizer())

    assert (last(run)["function_name"], last(run)["arg_function_name"]) == ("apply", "adam")


def test_arguments_are_values_where_they_can_be_and_short_texts_else(run):
    lock = threading.Lock()
    run.track(train, [1, (2, None)], {"a": np.float64(0.5)}, lock, {3}, np.zeros((300, 300)))

    args = last(run)["args"]
    assert args[:2] == [[1, [2, None]], {"a": 0.5}]
    assert "lock" in args[2]
    assert args[3:] == [[3], "<numpy.ndarray (300, 300) float64>"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (list(range(10**6)), "[0, 1, 2, 3, 4, 5, ...] (1000000 items)"),
        ("x" * 20_000, "x" * 10_000 + "… (20000 characters)"),
        (np.arange(3), np.arange(3)),
        (np.int64(3), np.int64(3)),
        ([10**5000], ["<int>"]),
        ("a\udcff", "'a\\udcff'"),
    ],
)
def test_what_is_told_of_a_value_is_bounded(value, shown):
    assert np.array_equal(describe(value), shown)


def test_a_value_whose_repr_fails_is_told_by_its_type():
    class Bad:
        def __repr__(self):
            raise RuntimeError

    assert "Bad" in describe(Bad())


def test_a_list_that_contains_itself_is_cut():
    value = [1]
    value.append(value)

    assert describe(value) == [1, "<the list above>"]


def test_arguments_are_told_as_they_were_before_the_call(run):
    run.track(list.clear, [1, 2])

    assert last(run)["args"] == [[1, 2]]


def test_a_result_that_is_no_value_is_a_short_text(run):
    lock = threading.Lock()

    assert run.track(lambda: lock) is lock
    assert "lock" in last(run)["function_result"]


def test_entries_are_stored_as_in_any_other_row(run, tmp_path):
    (tmp_path / "out.txt").write_text("made")
    run.track(lambda: {"out": al.File(tmp_path / "out.txt"), "model": power})
    run.track(al.File, tmp_path / "out.txt")

    row, other = rows(run)
    assert row["out"].local_path.read_text() == "made"
    assert len(row["model"]) == 64
    assert other["function_result"].name == "out.txt"


@pytest.mark.parametrize(
    "entry", ["a\udcff", threading.Lock(), al.File("missing")], ids=["text", "lock", "file"]
)
def test_an_entry_that_cannot_be_stored_does_not_cost_the_row(run, entry):
    run.track(lambda: {"loss": 0.5, "entry": entry})

    assert last(run)["loss"] == 0.5
    assert isinstance(last(run)["entry"], str)


def test_an_async_function_is_timed_until_it_was_awaited(run):
    @run.wrap()
    async def wait(seconds):
        await asyncio.sleep(seconds)
        return "done"

    async def program():
        return await asyncio.gather(wait(0.2), run.track(asyncio.sleep, 0.1, "slept"))

    assert asyncio.run(program()) == ["done", "slept"]
    assert inspect.iscoroutinefunction(wait)
    slept, done = rows(run)
    assert (slept["function_result"], done["function_result"]) == ("slept", "done")
    assert done["function_time"] >= 0.2 > slept["function_time"] >= 0.1


def test_an_async_function_that_is_cancelled_is_logged(run):
    async def program():
        await asyncio.wait_for(run.track(asyncio.sleep, 10), 0.05)

    with pytest.raises(TimeoutError):
        asyncio.run(program())

    assert last(run)["error"] == "CancelledError"


async def agenerator():
    yield 1


@pytest.mark.parametrize("function", [lambda: (yield 1), agenerator])
def test_a_generator_function_is_refused(run, function):
    with pytest.raises(al.InvalidValueError, match="generator function"):
        run.track(function)
    with pytest.raises(al.InvalidValueError, match="generator function"):
        run.wrap()(function)

    assert rows(run) == []


def test_what_cannot_be_called_is_refused(run):
    with pytest.raises(al.InvalidValueError, match="only functions"):
        run.track(5)
    with pytest.raises(al.InvalidValueError, match="put @classmethod above"):
        run.wrap()(classmethod(power))


def test_a_call_after_the_end_of_the_run_is_refused_before_it_is_made(run):
    calls = []
    tracked = run.wrap()(calls.append)
    run.finish()

    with pytest.raises(al.RunStateError, match="has ended"):
        tracked(1)
    assert calls == []


def test_an_option_that_is_a_parameter_of_the_function_is_the_functions(run):
    def function(params, cache=None):
        return [params, cache]

    assert run.track(function, params=1, cache="mine") == [1, "mine"]
    assert "cache" not in last(run)


def test_threads_track_at_the_same_time(run):
    threads = [threading.Thread(target=run.track, args=(power, number)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(row["function_result"] for row in rows(run)) == [n**2 for n in range(20)]


def counted():
    calls = []

    def square(x, offset=0):
        calls.append(x)
        return {"squared": x[0] ** 2 + offset}

    return square, calls


def test_a_second_call_takes_the_result_from_the_cache(open_run, tmp_path):  # F9
    function, calls = counted()
    first, second = open_run("one"), open_run("two")
    cache = tmp_path / "results"
    results = [one.track(function, [3], cache=cache) for one in (first, first, second)]

    assert results == [{"squared": 9}] * 3
    assert calls == [[3]]
    computed, again = rows(first)
    other = last(second)
    assert computed.keys() == again.keys() == other.keys()
    assert (computed["cache"], again["cache"], other["cache"]) == ("", *[f"one/{first.id}"] * 2)
    assert computed["function_time"] > 0
    assert again["function_time"] == other["function_time"] == 0.0
    assert (other["squared"], other["error"], other["args"]) == (9, "", [[3]])


def test_equal_arguments_are_the_same_call_however_they_are_given(run):  # F9, F10
    function, calls = counted()
    tracked = run.wrap(cache=True)(function)
    tracked([3])
    tracked(x=[3], offset=0)
    tracked([3], 0)
    tracked([3], 1)

    assert calls == [[3], [3]]


def test_the_default_cache_is_with_the_others(run, tmp_path):  # F9
    run.track(power, 2, cache=True)

    assert len(list((tmp_path / "cache" / "results").glob("??/*"))) == 1


def test_params_of_the_call_and_of_the_run_are_part_of_the_call(open_run):  # F9
    function, calls = counted()
    run = open_run()
    for params in ({"model": "v1"}, {"model": "v2"}, {"model": "v1"}):
        run.track(function, [1], cache=True, params=params)
    assert len(calls) == 2
    run.set_params({"data": "mnist"})
    run.track(function, [1], cache=True, params={"model": "v1"})
    assert len(calls) == 3
    other = open_run()
    other.set_params({"data": "mnist"})
    other.track(function, [1], cache=True, params={"model": "v1"})

    assert len(calls) == 3


def test_exceptions_are_not_cached(run):  # F9
    calls = []

    @run.wrap(cache=True, raise_on_error=False)
    def fail(x):
        calls.append(x)
        raise ValueError

    assert (fail(1), fail(1)) == (None, None)
    assert calls == [1, 1]
    assert [row["cache"] for row in rows(run)] == ["", ""]


def test_force_computes_anew_and_replaces(open_run):  # F9
    function, calls = counted()
    first, second = open_run(), open_run()
    first.track(function, [1], cache=True)
    second.track(function, [1], cache=True, cache_force=True)
    first.track(function, [1], cache=True)

    assert len(calls) == 2
    assert [row["cache"] for row in rows(first)] == ["", f"e/{second.id}"]


PROGRAM = """
import json, sys
import aletheia_like as al
from dataclasses import dataclass
@dataclass(frozen=True)
class Config:
    name: str = "adam"
    tags: frozenset = frozenset({"a", "b", "c"})
def train(config, data, **more):
    print("computing")
    return {"config": config.name, "sum": sum(data["x"])}
ms = al.Metastore("p", url=sys.argv[1], cache_dir=sys.argv[2], git="off")
with ms.exper("e").start_run() as run:
    run.track(train, Config(), {"y": {"p", "q"}, "x": [1, 2]}, b=1, a=2, cache=True)
    row = run.rows().to_dicts()[-1]
print(json.dumps([run.id, row["cache"], row["sum"]]))
"""


def test_a_new_process_takes_the_result_from_the_cache(tmp_path):  # F9
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    answers = []
    for seed in ("1", "2"):
        command = [sys.executable, program, (tmp_path / "s").as_uri(), tmp_path / "cache"]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        answers.append(done.stdout.splitlines())

    (computing, first), (second,) = answers
    assert computing == "computing"
    assert json.loads(first)[1:] == ["", 3]
    assert json.loads(second)[1:] == [f"e/{json.loads(first)[0]}", 3]


def test_an_argument_without_content_is_computed_each_time_with_one_warning(run):  # F10
    calls = []

    @run.wrap(cache=True)
    def use(thing):
        calls.append(thing)
        return 1

    with pytest.warns(UserWarning, match=r"calls with a _thread\.lock are not cached"):
        use(threading.Lock())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        use(threading.Lock())
    with pytest.warns(UserWarning, match="calls with a list_iterator are not cached"):
        use(iter([]))

    assert len(calls) == 3
    assert all("cache" not in row for row in rows(run))


def test_a_broken_entry_is_computed_anew(run, tmp_path):  # F9
    function, calls = counted()
    run.track(function, [1], cache=tmp_path / "results")
    (entry,) = (tmp_path / "results").glob("??/*")
    entry.write_bytes(b"nonsense")
    run.track(function, [1], cache=tmp_path / "results")
    run.track(function, [1], cache=tmp_path / "results")

    assert len(calls) == 2


def test_async_results_are_cached_too(run):  # F9
    calls = []

    @run.wrap(cache=True)
    async def load(x):
        calls.append(x)
        return x + 1

    assert [asyncio.run(load(1)), asyncio.run(load(1))] == [2, 2]
    assert calls == [1]
