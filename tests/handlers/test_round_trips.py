"""What a handler writes comes back equal, and equal values make equal bytes."""

from __future__ import annotations

import datetime as dt
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
import matplotlib.figure
import numpy as np
import pandas as pd
import plotly.graph_objects
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import aletheia_like as al
from aletheia_like.handlers.choosing import find

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def there_and_back(name, value, **options):
    """Return what a handler makes of a value, and the bytes of two files of it."""
    handler = find(name).handler
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{count}{handler.form(options)[0]}" for count in (1, 2)]
        kept = [handler.dump(value, file, **options) or {} for file in files]
        return handler.load(files[0], **kept[0]), [file.read_bytes() for file in files]


def same(left, right):
    """Whether values are equal, tuples being lists and NaN itself."""
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and left == right


def nested(leaves, keys):
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.tuples(inner, inner)
            | st.dictionaries(keys, inner, max_size=4)
        ),
        max_leaves=12,
    )


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
any_text = st.text(st.characters(exclude_categories=[]))


@few
@given(nested(plain | any_text, any_text), st.sampled_from([{}, {"indent": 4}]))
def test_json_comes_back_equal(value, options):  # V9
    loaded, (one, other) = there_and_back("json", value, **options)

    assert same(value, loaded)
    assert one == other


@pytest.mark.parametrize(
    "value",
    [np.datetime64("2020-01-01", "ns"), np.timedelta64(5, "ns"), np.longdouble(1) / 3, 1j],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("name", ["json", "yaml"])
def test_what_would_become_another_number_is_refused(name, value):
    with pytest.raises(al.InvalidValueError, match="is no plain value"):
        there_and_back(name, [value])


@pytest.mark.parametrize("name", ["json", "yaml"])
def test_numbers_of_numpy_are_written_as_numbers(name):
    assert there_and_back(name, [np.int64(2), np.float32(0.5), np.True_])[0] == [2, 0.5, True]


def test_yaml_refuses_a_zone_that_it_could_not_read():
    moment = dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(seconds=30)))

    with pytest.raises(al.InvalidValueError, match="differs from UTC by seconds"):
        there_and_back("yaml", moment)


times = st.datetimes(timezones=st.none() | st.just(dt.UTC)) | st.dates()


@few
@given(nested(plain | times | st.binary(max_size=20), plain | times))
def test_yaml_comes_back_equal_or_is_refused(value):
    try:
        loaded, (one, other) = there_and_back("yaml", value)
    except al.InvalidValueError:
        return

    assert same(value, loaded)
    assert one == other


@few
@given(st.text())
def test_text_keeps_its_ends_of_lines(value):
    assert there_and_back("text", value)[0] == value


def test_text_in_another_encoding_comes_back():
    loaded, (data, _) = there_and_back("text", "nú\r\n", encoding="latin-1")

    assert (loaded, data) == ("nú\r\n", b"n\xfa\r\n")


@pytest.mark.parametrize("value", [b"\0\xff", bytearray(b"abc"), memoryview(b"abc")])
def test_bytes_come_back_equal(value):
    assert there_and_back("bytes", value)[0] == value


dtypes = hnp.scalar_dtypes() | hnp.array_dtypes() | hnp.unicode_string_dtypes(max_len=4)
arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))


@few
@given(arrays)
def test_an_array_comes_back_equal(value):
    loaded, (one, other) = there_and_back("npy", value)

    assert (loaded.dtype, loaded.shape) == (value.dtype, value.shape)
    assert loaded.tobytes() == value.tobytes()
    assert one == other


names = st.text(st.characters(exclude_characters="\0\\", exclude_categories=["Cs"]))


@few
@given(st.dictionaries(names, arrays, max_size=3), st.booleans())
def test_arrays_by_name_come_back_equal(value, compressed):
    loaded, (one, other) = there_and_back("npz", value, compressed=compressed)

    assert list(loaded) == list(value)
    for name, array in value.items():
        assert (loaded[name].dtype, loaded[name].tobytes()) == (array.dtype, array.tobytes())
    assert one == other


numbers = st.sampled_from(["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])


@few
@given(st.dictionaries(names, numbers.flatmap(lambda kind: hnp.arrays(kind, (2, 3))), max_size=4))
def test_tensors_come_back_equal(value):
    turned = {name: array.T for name, array in value.items()}

    loaded, (one, other) = there_and_back("safetensors", turned)

    assert set(loaded) == set(turned)
    for name, array in turned.items():
        assert (loaded[name].dtype, loaded[name].tobytes()) == (array.dtype, array.tobytes())
    assert one == other


def test_tensors_without_dimensions_come_back_without():
    assert there_and_back("safetensors", {"step": np.array(3)})[0]["step"].shape == ()


@pytest.mark.parametrize(
    "value",
    [{"a": np.ma.array([1, 2], mask=[0, 1])}, {"__metadata__": np.zeros(1)}, {1: np.zeros(1)}],
    ids=["masked", "metadata", "number"],
)
def test_tensors_that_could_not_be_read_are_refused(value):
    with pytest.raises(al.InvalidValueError):
        there_and_back("safetensors", value)


def test_npz_is_what_numpy_reads(tmp_path):
    find("npz").handler.dump({"a": np.arange(3)}, tmp_path / "x.npz")

    assert np.load(tmp_path / "x.npz")["a"].tolist() == [0, 1, 2]


def some_frame(index=None):
    return pd.DataFrame(
        {
            "whole": [1, 2, 3],
            "text": ["a", None, "ü,\n"],
            "moment": pd.to_datetime(
                ["2024-01-01 00:00:00.5", None, "2024-01-02 03:04:05.123456"], utc=True
            ),
            "kind": pd.Categorical(["x", "y", "x"]),
            "truth": pd.array([True, None, False], dtype="boolean"),
        },
        index=index,
    )


FRAMES = {
    "plain": some_frame(),
    "index": some_frame(pd.Index([3, 1, 2], name="key")),
    "levels": some_frame(pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)])),
    "empty": pd.DataFrame({"a": pd.Series([], dtype="float32")}),
    "numbered columns": pd.DataFrame([[1, 2]], columns=[0, 1]),
    "no columns": pd.DataFrame(index=pd.Index([0, 1, 2])),
    "levels of columns": pd.DataFrame(
        [[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])
    ),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_pandas_frame_comes_back_from_parquet(frame):  # V7
    loaded, (one, other) = there_and_back("parquet", frame)

    pd.testing.assert_frame_equal(loaded, frame)
    assert one == other


@pytest.mark.parametrize("name", ["parquet", "csv"])
def test_frames_of_polars_and_arrow_come_back_as_what_they_were(name):
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [0.5, None]})
    table = frame.to_arrow().cast(pa.schema({"a": "int64", "b": "string", "c": "float64"}))

    loaded, (one, other) = there_and_back(name, frame)
    again, (two, too) = there_and_back(name, table)

    assert loaded.equals(frame)
    assert again.equals(table)
    assert (one, two) == (other, too)


@pytest.mark.parametrize(
    "index", [None, pd.Index([3, 1], name="key"), pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])]
)
def test_a_simple_frame_comes_back_from_csv_with_its_index(index):
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "ü,\n"], "c": [0.1, None]}, index=index)

    pd.testing.assert_frame_equal(there_and_back("csv", frame)[0], frame)


def test_rows_are_not_lost_for_want_of_columns():
    assert len(there_and_back("parquet", pd.DataFrame(index=range(3)))[0]) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"sep": ";", "decimal": ","},
        {"encoding": "utf-16"},
        {"compression": "gzip"},
        {"quotechar": "'", "na_rep": "-"},
        {"index": True},
    ],
    ids=str,
)
def test_what_csv_is_written_with_it_is_read_with(options):  # V9
    frame = pd.DataFrame({"a": [0.5, None], "b": ["it's", "ü;,"]})

    pd.testing.assert_frame_equal(there_and_back("csv", frame, **options)[0], frame)


def test_what_polars_writes_csv_with_it_is_read_with():
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y;"]})
    options = {"separator": ";", "include_header": False, "null_value": "-"}

    loaded, _ = there_and_back("csv", frame, **options)

    assert loaded.rows() == frame.rows()


def test_texts_in_csv_that_look_like_gaps_stay_texts():
    frame = pd.DataFrame({"country": ["NA", "None", "nan", None], "name": ["Null", "a", "b", "c"]})

    pd.testing.assert_frame_equal(there_and_back("csv", frame)[0], frame)


def test_csv_without_a_header_loses_no_row():
    loaded, _ = there_and_back("csv", pd.DataFrame({"a": [1, 2]}), header=False)

    assert loaded.to_numpy().tolist() == [[1], [2]]


def test_csv_keeps_the_levels_of_columns_and_index():
    columns = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])
    frame = pd.DataFrame([[1, 2], [3, 4]], index=["p", "q"], columns=columns)

    pd.testing.assert_frame_equal(there_and_back("csv", frame)[0], frame)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("csv", pd.DataFrame(index=[1, 2])),
        ("csv", pl.DataFrame()),
        ("parquet", pa.table([[1], [2]], names=["a", "a"])),
    ],
    ids=["no columns", "nothing", "twice the same name"],
)
def test_tables_that_could_not_be_read_are_refused(name, value):
    with pytest.raises(al.InvalidValueError, match="column"):
        there_and_back(name, value)


def test_frames_that_differ_in_a_column_name_differ_in_their_bytes():  # V7
    one = there_and_back("parquet", pd.DataFrame({"a": [1]}))[1][0]
    other = there_and_back("parquet", pd.DataFrame({"b": [1]}))[1][0]

    assert one != other


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_an_image_comes_back_equal(mode):
    image = Image.radial_gradient("L").resize((9, 7)).convert("RGBA" if mode == "RGBA" else "L")
    image = Image.new(mode, (9, 7), 700) if mode == "I;16" else image.convert(mode)

    loaded, (one, other) = there_and_back("image", image)

    assert (loaded.mode, loaded.size, loaded.tobytes()) == (mode, (9, 7), image.tobytes())
    assert one == other


def test_an_array_is_an_image_if_it_is_called_one():
    pixels = np.arange(60, dtype="u1").reshape(4, 5, 3)

    assert np.array_equal(there_and_back("image", pixels)[0], pixels)


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_equal_figures_make_equal_bytes(form):
    written = []
    for _ in range(2):
        figure = matplotlib.figure.Figure()
        figure.subplots().plot([1, 2], label="a")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x"
            find("figure").handler.dump(figure, path, format=form)
            written.append(path.read_bytes())

    assert written[0] == written[1]


def test_a_plotly_figure_comes_back_equal():
    figure = plotly.graph_objects.Figure(plotly.graph_objects.Scatter(y=[1, 2.5, None]))
    figure.update_layout(title="ü")

    loaded, (one, other) = there_and_back("plotly", figure)

    assert loaded == figure
    assert one == other


def fitted():
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return model.fit(np.arange(12).reshape(6, 2), [0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("name", ["skops", "joblib", "cloudpickle"])
def test_a_model_predicts_the_same(name):
    model = fitted()

    loaded, (one, other) = there_and_back(name, model)

    assert one == other
    given = np.linspace(-5, 20, 20).reshape(10, 2)
    assert np.array_equal(loaded.predict_proba(given), model.predict_proba(given))


def test_joblib_takes_any_object():
    loaded, _ = there_and_back("joblib", {"a": np.arange(3), 1: {2}}, compress=3)

    assert loaded[1] == {2}
    assert loaded["a"].tolist() == [0, 1, 2]
    assert joblib.hash(loaded) == joblib.hash({"a": np.arange(3), 1: {2}})


def test_a_function_of_this_program_comes_back():
    factor = 3

    assert there_and_back("cloudpickle", lambda value: value * factor)[0](2) == 6


def test_equal_models_of_two_processes_are_equal_bytes(tmp_path):
    program = (
        "import pathlib, sys\n"
        "from sklearn.tree import DecisionTreeClassifier\n"
        "from aletheia_like.handlers.choosing import find\n"
        "model = DecisionTreeClassifier(random_state=0).fit([[1], [2], [3]], [0, 1, 1])\n"
        "find('skops').handler.dump(model, pathlib.Path(sys.argv[1]))\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "one"], check=True, timeout=200)
    model = DecisionTreeClassifier(random_state=0).fit([[1], [2], [3]], [0, 1, 1])
    find("skops").handler.dump(model, tmp_path / "other")

    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert find("skops").handler.load(tmp_path / "one").predict([[3]]).tolist() == [1]
