"""Objects as artifacts: what is recorded, what is refused, and that nothing is half stored."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import pickle
import subprocess
import sys
from importlib.metadata import version as version_of
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import FunctionTransformer

import aletheia_like as al


def making(ms):
    """Return what handlers have left in the cache."""
    folder = ms.session.cache.root / "making"
    return list(folder.iterdir()) if folder.exists() else []


def test_an_option_is_seen_in_the_file_and_the_value_comes_back(run):  # V9, seed 004
    version = run.add_artifact("features", [0, 1, 2], handler="json", indent=4)

    assert version.open().read() == b"[\n    0,\n    1,\n    2\n]"
    assert version.load() == run.load_artifact("features") == [0, 1, 2]
    assert dict(version.record.options) == {"indent": 4}


def test_a_version_tells_what_wrote_it(ms, run):
    version = run.add_artifact("weights/first", np.arange(3))
    run.finish()

    record = version.record
    assert (record.handler, record.media_type) == ("npy", "application/x-npy")
    assert (record.filename, record.location) == ("weights_first.npy", None)
    assert record.libraries["numpy"] == np.__version__
    assert record.libraries["python"].count(".") == 2
    index = ms.session.documents.get(f"files/{version.digest}")
    assert index.fields["media_type"] == "application/x-npy"
    assert ms.experiment("e").run(run.id).load_artifact("weights/first").tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("value", "handler"),
    [
        (b"x", "bytes"),
        ({"a": [1, None]}, "json"),
        (0.5, "json"),
        (np.zeros(2), "npy"),
        ({"a": np.zeros(2)}, "npz"),
        ({}, "json"),
        (pd.DataFrame({"a": [1]}), "parquet"),
        (Image.new("L", (2, 2)), "image"),
        (LinearRegression(), "skops"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_type_of_a_value_chooses_its_handler(run, value, handler):
    version = run.add_artifact("a", value)

    assert version.record.handler == handler
    assert type(version.load()) is type(value)


def test_a_number_of_numpy_needs_no_handler_named(run):
    assert run.add_artifact("a", np.int64(3)).load() == 3


def test_equal_values_are_one_version_and_one_upload(ms):  # O2
    run = ms.exper("e")
    first = run.add_artifact("a", {"x": np.arange(1000)})
    before = ms.usage

    again = run.add_artifact("a", {"x": np.arange(1000)})
    other = run.add_artifact("other name", {"x": np.arange(1000)})

    assert (again.version, other.version) == (0, 0)
    assert first.digest == again.digest == other.digest
    assert (ms.usage - before).bytes_up == 0


def test_equal_bytes_of_another_handler_are_another_version(run):
    run.add_artifact("a", "[1]", handler="text")

    version = run.add_artifact("a", [1], handler="json")

    assert (version.version, version.load()) == (1, [1])
    assert run.load_artifact("a", version=0) == "[1]"


def test_a_run_loads_what_it_made_itself(ms):
    first, second = ms.exper("e").start_run(), ms.exper("e").start_run()
    first.add_artifact("a", 1)
    second.add_artifact("a", 2)
    third = ms.exper("e").start_run()

    assert (first.load_artifact("a"), second.load_artifact("a")) == (1, 2)
    assert (third.load_artifact("a"), ms.exper("e").load_artifact("a")) == (2, 2)
    assert first.load_artifact("a", 1) == 2
    with pytest.raises(al.NotFoundError, match="no version 7"):
        first.load_artifact("a", 7)
    with pytest.raises(al.NotFoundError, match="no artifact 'b'"):
        first.load_artifact("b")


def test_an_experiment_keeps_objects_too(ms):
    version = ms.exper("e").add_artifact("notes", "text", handler="text")

    assert (version.run, version.load()) == (None, "text")


def test_a_text_is_a_path_unless_a_handler_is_named(run):
    with pytest.raises(al.NotFoundError, match=r"nothing at 'some text'.*handler='text'"):
        run.add_artifact("a", "some text")
    with pytest.raises(al.NotFoundError, match="nothing at"):
        run.add_artifact("a", "long\0" + "x" * 10_000)

    assert run.add_artifact("a", "some text", handler="text").load() == "some text"


def test_a_path_with_a_handler_is_a_file_that_it_loads(run, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a,b\n1,x\n")

    version = run.add_artifact("data", path, handler="csv")

    assert version.open().read() == b"a,b\n1,x\n"
    assert version.load().to_dict("list") == {"a": [1], "b": ["x"]}
    assert run.add_artifact("plain", path).load(handler="text") == "a,b\n1,x\n"


def test_what_is_no_object_is_not_loaded(run, tmp_path):
    (tmp_path / "f").write_text("x")
    for version in (
        run.add_artifact("file", tmp_path / "f"),
        run.add_artifact("folder", tmp_path),
        run.add_artifact("remote", "gs://b/f", is_local=False),
    ):
        with pytest.raises(al.InvalidValueError, match="download"):
            version.load()


class Opened:
    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def an_attack(path):
    one = Opened()
    one.path = str(path)
    return one


@pytest.mark.parametrize("handler", ["joblib", "cloudpickle"])
def test_a_pickle_asks_for_trust_before_it_runs(run, tmp_path, handler):
    version = run.add_artifact("a", an_attack(tmp_path / "hit"), handler=handler)

    with pytest.raises(al.UntrustedArtifactError, match=r"would run code.*trust=True") as caught:
        run.load_artifact("a")
    assert not (tmp_path / "hit").exists()
    assert handler == "joblib" or "pathlib.Path" in str(caught.value)
    version.load(trust=True)
    assert (tmp_path / "hit").exists()


class Model(LinearRegression):
    pass


def test_skops_shows_the_types_that_it_does_not_know(run):
    known = run.add_artifact("known", LinearRegression().fit([[1], [2]], [1, 2]))
    version = run.add_artifact("own", Model().fit([[1], [2]], [1, 2]))

    assert known.load().coef_ == pytest.approx([1])
    with pytest.raises(al.UntrustedArtifactError, match=r"Model.*trust=True"):
        version.load()
    assert version.load(trust=True).coef_ == pytest.approx([1])


def test_a_handler_that_reads_data_does_not_unpickle(run, tmp_path):
    evil = pickle.dumps(an_attack(tmp_path / "hit"))
    (tmp_path / "x.bin").write_bytes(evil)
    np.save(tmp_path / "x.npy", np.array([an_attack(tmp_path / "hit")]), allow_pickle=True)

    for name, path in (("npy", "x.bin"), ("npy", "x.npy"), ("npz", "x.bin"), ("yaml", "x.bin")):
        version = run.add_artifact("a", tmp_path / path, handler=name)
        with pytest.raises(al.InvalidValueError, match="cannot be loaded"):
            version.load(trust=True)
    (tmp_path / "x.yaml").write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(al.InvalidValueError, match="cannot be loaded"):
        run.add_artifact("a", tmp_path / "x.yaml", handler="yaml").load(trust=True)
    assert not (tmp_path / "hit").exists()


LOOP = []
LOOP.append(LOOP)

REFUSED = {
    "a handler that is not there": (1, {"handler": "jsno"}, r"no handler 'jsno'.*json"),
    "a type without one": (object(), {}, "no handler is for a builtins.object"),
    "keys that are no text": ({"a": {1: 2}}, {}, "key 1.*yaml"),
    "a set in json": ({"a": {1}}, {}, "builtins.set is no plain value"),
    "a loop": (LOOP, {}, "contains itself"),
    "NaN, if asked": (float("nan"), {"allow_nan": False}, "NaN|Out of range"),
    "an option that is not known": (1, {"handler": "json", "indnet": 2}, "indnet"),
    "an option that is code": (1, {"handler": "json", "default": str}, "options are recorded"),
    "an option that no document shows": (1, {"handler": "json", "indent": b" "}, "recorded"),
    "options of a path": (".", {"indent": 2}, "options of handlers"),
    "objects in an array": (np.array([object()]), {}, "Python objects"),
    "a mask": (np.ma.masked_array([1, 2], [True, False]), {}, "mask would be lost"),
    "an array in text": (np.zeros(1), {"handler": "text"}, "is no text"),
    "a list as a table": ([1], {"handler": "parquet"}, "no DataFrame"),
    "a table of several files": (
        pd.DataFrame({"a": [1], "b": [2]}),
        {"partition_cols": ["b"]},
        "wrote a folder where its file should be",
    ),
    "a model with a function that has no name": (
        FunctionTransformer(lambda value: value),
        {},
        "cloudpickle takes it",
    ),
    "a mixed column": (pd.DataFrame({"a": [1, "x"]}), {}, "cannot write a DataFrame"),
    "an unknown format": (Image.new("L", (2, 2)), {"format": "eps"}, "png, jpeg"),
    "a mode without a form": (Image.new("CMYK", (2, 2)), {}, "CMYK"),
    "lone surrogates": ("\ud800", {"handler": "text"}, "surrogates"),
    "what cannot be pickled": ((one for one in "ab"), {"handler": "joblib"}, "pickle"),
    "an object in place": (1, {"upload_file": False}, "is for paths"),
    "an object as a folder": (1, {"is_dir": True}, "is for paths"),
    "an object elsewhere": (1, {"is_local": False}, "URI"),
}


@pytest.mark.parametrize(("value", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_nothing_is_stored_of_what_is_refused(ms, value, options, message):
    exper = ms.exper("e")
    before = ms.usage

    with pytest.raises(al.InvalidValueError, match=message):
        exper.add_artifact("a", value, **options)

    used = ms.usage - before
    assert (used.document_writes, used.blob_writes) == (0, 0)
    assert making(ms) == []


class Failing(al.Handler):
    """Writes half a file, then raises what it is given."""

    name = "failing"
    media_type = "text/plain"
    suffix = ".txt"

    def dump(self, value, path):
        path.write_text("half")
        raise value

    def load(self, path):
        return path.read_text()


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (RuntimeError("boom"), al.InvalidValueError),
        (OSError(errno.ENOSPC, "No space left on device"), al.UnavailableError),
        (MemoryError(), MemoryError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_handler_that_fails_half_way_leaves_nothing(ms, raised, seen):
    exper = ms.exper("e")
    before = ms.usage

    with pytest.raises(seen) as caught:
        exper.add_artifact("a", raised, handler="failing")

    if isinstance(caught.value, al.AletheiaError):
        assert "failing" in str(caught.value)
    used = ms.usage - before
    assert (used.document_writes, used.blob_writes) == (0, 0)
    assert making(ms) == []


def test_what_a_killed_process_left_is_removed_a_day_later(ms, run):
    left = ms.session.cache.root / "making" / "left"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))

    run.add_artifact("a", 1)

    assert making(ms) == []


def test_a_picture_of_a_figure_is_for_people(run):  # V10
    figure = Figure()
    figure.subplots().plot([1, 2])

    with pytest.warns(UserWarning, match="'figure' writes cannot be loaded again"):
        version = run.add_artifact("curve", figure, format="svg")

    assert (version.record.filename, version.record.media_type) == ("curve.svg", "image/svg+xml")
    with pytest.raises(al.InvalidValueError, match="download"):
        version.load()


@pytest.mark.parametrize("name", ["a/b", "..", "../../x", "ünï", "a b.npy", "x" * 300, ".hidden"])
def test_an_object_may_have_an_odd_name(run, tmp_path, name):
    version = run.add_artifact(name, np.arange(2))

    assert run.load_artifact(name).tolist() == [0, 1]
    assert version.download(tmp_path / "out").parent == tmp_path / "out"


def test_an_array_may_stay_in_its_file_but_not_change_it(run):
    version = run.add_artifact("a", np.arange(3))

    assert version.load(mmap_mode="r").filename is not None
    with pytest.raises(al.InvalidValueError, match="would change the file"):
        version.load(mmap_mode="r+")
    copied = version.load(mmap_mode="c")
    copied[0] = 7
    assert version.load().tolist() == [0, 1, 2]


def test_numbers_of_numpy_are_numbers_of_json(run):
    value = {"a": np.float32(0.1), "b": [np.int64(3), np.float64(0.5), np.bool_(True)]}

    assert run.add_artifact("a", value).load() == value


@pytest.fixture
def written(ms, run):
    """Return a function: a version as an environment with other libraries would write it."""

    def add(value, handler, **libraries):
        record = run.add_artifact("a", value, handler=handler).record
        changed = dataclasses.replace(record, libraries={**record.libraries, **libraries})
        return al.ArtifactVersion(ms.session, changed)

    return add


def with_minor(version, change):
    major, minor, *rest = version.split(".")
    return ".".join([major, str(int(minor) + change), *rest])


def test_data_loads_in_any_python_and_warns_of_another_major_version(written, recwarn):
    version = written(np.zeros(2), "npy", python="3.1.0", numpy=with_minor(np.__version__, 1))
    assert version.load().tolist() == [0, 0]
    assert not [one for one in recwarn if "was written with" in str(one.message)]

    old = written(np.ones(2), "npy", numpy="1.2.3")
    with pytest.warns(UserWarning, match=r"was written with numpy 1\.2\.3, this is 2"):
        assert old.load().tolist() == [1, 1]


def test_code_is_refused_by_another_python(written):  # V20
    version = written({1}, "cloudpickle", python="3.1.0")

    with pytest.raises(al.InvalidValueError, match=r"written with python 3\.1\.0.*validate=False"):
        version.load(trust=True)
    assert version.load(trust=True, validate=False) == {1}


def test_code_warns_of_another_minor_version_and_refuses_another_major(written):
    other = with_minor(version_of("scikit-learn"), 1)
    minor = written(LinearRegression(), "joblib", **{"scikit-learn": other})
    with pytest.warns(UserWarning, match="was written with scikit-learn"):
        minor.load(trust=True)

    major = written(LinearRegression(), "joblib", **{"scikit-learn": "0.9"})
    with pytest.raises(al.InvalidValueError, match=r"scikit-learn 0\.9"):
        major.load(trust=True)


def test_a_library_that_is_gone_is_named_with_its_pip_line(written):
    version = written([1], "joblib", **{"no-such-library": "1.2"})

    with pytest.raises(al.MissingExtraError, match=r"pip install 'no-such-library==1\.2'"):
        version.load(trust=True)


@pytest.mark.parametrize(
    ("module", "handler", "line"),
    [
        ("yaml", "yaml", "aletheia-like[handlers]"),
        ("joblib", "joblib", "aletheia-like[handlers]"),
        ("torch", "torch", "pip install torch"),
    ],
)
def test_a_missing_package_is_named_with_its_pip_line(ms, run, monkeypatch, module, handler, line):
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(al.MissingExtraError) as caught:
        run.add_artifact("a", {}, handler=handler)

    assert line in str(caught.value)
    assert making(ms) == []


def test_an_object_waits_while_the_store_is_away(tmp_path):
    options = {"url": (tmp_path / "s").as_uri(), "cache_dir": tmp_path / "c", "git": "off"}
    program = (
        "import sys, json, aletheia_like as al\n"
        "from aletheia_like.errors import UnavailableError\n"
        "options = json.loads(sys.argv[1])\n"
        "ms = al.Metastore('p', **options)\n"
        "run = ms.exper('e').start_run()\n"
        "apply, away = ms.session.documents.apply, [True]\n"
        "def applied(writes):\n"
        "    if away[0] and any('/artifacts/' in one.path for one in writes):\n"
        "        raise UnavailableError('away')\n"
        "    return apply(writes)\n"
        "ms.session.documents.apply = applied\n"
        "waiting = run.add_artifact('a', {'x': 1}, indent=2)\n"
        "read = lambda: (waiting.load(), waiting.open().read(), waiting.download().name)\n"
        "before = read()\n"
        "away[0] = False\n"
        "run.finish()\n"
        "assert read() == before == ({'x': 1}, b'{\\n  \"x\": 1\\n}', 'a.json'), before\n"
        "print(waiting.version)\n"
    )
    given = json.dumps({key: str(value) for key, value in options.items()})
    done = subprocess.run(
        [sys.executable, "-c", program, given], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout.strip()) == (0, "-1"), done.stderr
    with al.Metastore("p", **options) as ms:
        version = ms.experiment("e").run(1).artifact("a")
        assert version.load() == {"x": 1}
        assert dict(version.record.options) == {"indent": 2}
        assert (version.record.location, version.version) == (None, 0)


@pytest.mark.parametrize("suffix", [".parquet", ".sqlite", "-jsonl"])
def test_an_object_moves_with_all_that_loads_it(ms, run, tmp_path, suffix):
    run.add_artifact("frame", pd.DataFrame({"a": [1]}, index=[5]), handler="csv", sep=",")
    run.finish()
    ms.export(tmp_path / f"out{suffix}", **({"format": "jsonl"} if suffix == "-jsonl" else {}))

    options = {"cache_dir": tmp_path / "other", "git": "off"}
    with al.Metastore("p", url=(tmp_path / "s").as_uri(), **options) as other:
        other.import_(tmp_path / f"out{suffix}")

        assert other.experiment("e").run(run.id).load_artifact("frame").index.tolist() == [5]
