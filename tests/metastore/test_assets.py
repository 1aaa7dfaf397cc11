"""Files, folders, tables and Python objects in rows: stored once, and given back."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import threading
import time
from typing import NamedTuple

import cloudpickle
import numpy as np
import pandas as pd
import pytest

import aletheia_like as al
from aletheia_like.metastore.spool import Spool


@pytest.fixture
def exper(ms):
    """An experiment whose process has stored its list of packages with an earlier run."""
    exper = ms.exper("e")
    exper.start_run().finish()
    yield exper
    for live in ms.session.live_runs.runs():
        live.finish()


@pytest.fixture
def run(exper):
    return exper.start_run(id="r")


@pytest.fixture
def local_ms():
    with al.Metastore("p", url="memory://", git="off") as metastore:
        yield metastore


@pytest.fixture
def local_run(local_ms):
    return local_ms.exper("e").start_run(id="r")


@pytest.fixture
def reopened(open_ms, tmp_path):
    """Open the finished run as another machine would, with nothing in its cache."""

    def open_it():
        other = open_ms(cache_dir=tmp_path / "another cache")
        return other.experiment("e").run("r")

    return open_it


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def blobs(ms):
    return set(ms.session.blobs.digests())


class Model:
    """Something that no store knows."""

    def __init__(self, weights):
        self.weights = weights

    def score(self, x):
        return sum(self.weights) * x


@dataclasses.dataclass
class Config:
    """Settings, with something inside that no store knows."""

    lr: float
    model: Model


class Pair(NamedTuple):
    """A tuple with names."""

    number: int
    model: Model


class Tensor:
    """What torch has: values behind `tolist` and `item`."""

    def __init__(self, values):
        self.values = values
        self.dtype = "float32"

    def tolist(self):
        return self.values


class Empty:
    """An object that is false."""

    def __bool__(self):
        return False


class Shelf:
    """A class whose `item` and `tolist` mean something else."""

    def item(self, key):
        return key


def test_a_file_is_stored_with_its_name_and_hash(run, reopened, tmp_path):  # K5
    path = write(tmp_path / "image.png", "pixels")
    stored = run.log(image=al.File(path), step=1)
    run.finish()
    path.unlink()

    file = reopened().rows()["image"][0]

    assert isinstance(stored["image"], al.File)
    assert stored["image"] == file
    assert (file.name, file.size, file.digest) == ("image.png", 6, sha256("pixels"))
    assert file.path is None
    assert file.local_path.name == "image.png"
    with file.open() as stream:
        assert stream.read() == b"pixels"


def test_files_may_lie_in_lists_and_dictionaries(run, reopened, tmp_path):  # K5, V3
    one, two = write(tmp_path / "1.txt", "one"), write(tmp_path / "2.txt", "two")
    run.log(samples=[{"file": al.File(one), "n": 1}, [al.File(two)]], step=1)
    run.finish()

    first, (second,) = reopened().rows()["samples"][0]

    assert (first["n"], first["file"].open().read()) == (1, b"one")
    assert second.open().read() == b"two"


def test_equal_content_is_stored_once(ms, run, tmp_path):  # K5, V3
    paths = [write(tmp_path / name, "same") for name in ("a.txt", "b.txt", "deep/a.txt")]
    run.flush()
    before = ms.usage

    for path in paths:
        run.log(file=al.File(path))
        run.flush()

    assert (ms.usage - before).blob_writes == 1
    files = run.rows()["file"]
    assert [file.name for file in files] == ["a.txt", "b.txt", "a.txt"]
    assert {file.digest for file in files} == {sha256("same")}


def test_a_file_that_was_read_can_be_logged_again(run, reopened, tmp_path):  # K5
    run.log(file=al.File(write(tmp_path / "a.txt", "x")))

    run.log(again=run.latest("file"))
    run.finish()

    assert reopened().latest("again").open().read() == b"x"


def test_the_blob_is_stored_before_the_row(ms, run, tmp_path):
    run.log(file=al.File(write(tmp_path / "a.txt", "x")))
    assert sha256("x") not in blobs(ms) or len(run.rows()) == 1

    run.flush()

    assert sha256("x") in blobs(ms)


def test_a_file_can_be_read_before_and_while_it_is_sent(run, tmp_path):
    run.log(file=al.File(write(tmp_path / "a.txt", "x")))

    path = run.latest("file").local_path
    run.finish()

    assert path.read_text() == "x"
    assert run.latest("file").local_path.read_text() == "x"


def test_a_file_that_is_written_to_meanwhile_is_stored_as_it_was_copied(
    local_ms, local_run, tmp_path
):
    path = write(tmp_path / "grows.txt", "x" * 3_000_000)
    done = threading.Event()

    def grow():
        with path.open("a") as stream:
            for _ in range(2_000):
                if not done.is_set():
                    stream.write("y" * 1_000)
                    time.sleep(0.0001)

    thread = threading.Thread(target=grow)
    thread.start()
    for _ in range(5):
        local_run.log(file=al.File(path))
    done.set()
    thread.join()
    local_run.finish()

    for file in local_run.rows()["file"]:
        data = file.local_path.read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.size, file.digest)


def test_what_is_not_there_is_refused_and_nothing_is_logged(local_run, tmp_path):
    for wrong in (al.File(tmp_path / "none"), al.File(tmp_path), al.Folder(tmp_path / "none")):
        with pytest.raises(al.NotFoundError, match="the row is not logged"):
            local_run.log(a=1, file=wrong)

    assert len(local_run.rows()) == 0


def test_log_artifact_uses_the_name_of_the_file_or_one_that_is_given(run, tmp_path):  # K15, V2
    path = write(tmp_path / "model.pt", "weights")

    run.log_artifact(path)
    run.log_artifact(str(path), "weights")

    assert run.latest("model.pt") == run.latest("weights")
    assert run.latest("weights").digest == sha256("weights")


def test_a_folder_is_a_map_of_names_to_files_and_folders(run, reopened, tmp_path):  # K26, V6
    write(tmp_path / "out" / "a.txt", "a")
    write(tmp_path / "out" / "deep" / "b.txt", "b")
    (tmp_path / "out" / "empty").mkdir()
    run.log(out=al.Folder(tmp_path / "out"))
    run.finish()

    tree = reopened().latest("out")

    assert list(tree) == ["a.txt", "deep", "empty"]
    assert tree["a.txt"].open().read() == b"a"
    assert tree["deep"]["b.txt"].open().read() == b"b"
    assert tree["empty"] == {}


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        (lambda path: path.symlink_to(".."), "a folder that contains it"),
        (lambda path: path.symlink_to("nowhere"), "a link to nothing"),
        (os.mkfifo, "pipe"),
        (lambda path: path.joinpath(*["deep"] * 25).mkdir(parents=True), "too deep"),
    ],
)
def test_a_folder_that_cannot_be_a_row_is_refused_whole(run, tmp_path, odd, told):  # V6
    write(tmp_path / "out" / "deep" / "a.txt", "a")
    odd(tmp_path / "out" / "deep" / "odd")

    with pytest.raises(al.AletheiaError, match=told):
        run.log(out=al.Folder(tmp_path / "out"))

    assert len(run.rows()) == 0
    assert run.session.spool.path(sha256("a")) is None


def test_the_latest_of_two_folders_is_both(run, tmp_path):  # K26
    write(tmp_path / "out" / "a.txt", "old")
    write(tmp_path / "out" / "deep" / "b.txt", "b")
    run.log(out=al.Folder(tmp_path / "out"))
    write(tmp_path / "new" / "a.txt", "new")
    write(tmp_path / "new" / "deep" / "c.txt", "c")
    run.log(out=al.Folder(tmp_path / "new"))

    latest = run.latest("out")

    assert latest["a.txt"].digest == sha256("new")
    assert sorted(latest["deep"]) == ["b.txt", "c.txt"]
    assert sorted(run.latest("out", deep_merge=False)["deep"]) == ["c.txt"]


def test_a_folder_of_many_files_passes_no_limit(local_run, tmp_path):  # M25
    for number in range(600):
        write(tmp_path / "many" / f"{number}.txt", str(number % 7))
    local_run.log(many=al.Folder(tmp_path / "many"))
    local_run.finish()

    many = local_run.latest("many")

    assert len(many) == 600
    assert many["599.txt"].open().read() == b"4"


def test_a_log_file_is_readable_while_it_grows_and_stored_at_the_end(  # G8, K25
    ms, run, reopened, tmp_path
):
    path = tmp_path / "train.log"
    run.log(log=al.LogFile(path))
    path.write_text("epoch 1\n")
    growing = run.latest("log")
    assert isinstance(growing, al.LogFile)
    assert growing.open().read() == b"epoch 1\n"
    path.write_text("epoch 1\nepoch 2\n")
    assert run.latest("log").open().read() == b"epoch 1\nepoch 2\n"

    run.finish()
    path.unlink()

    stored = reopened().latest("log")
    assert not isinstance(stored, al.LogFile)
    assert (stored.name, stored.digest) == ("train.log", sha256("epoch 1\nepoch 2\n"))
    assert stored.open().read() == b"epoch 1\nepoch 2\n"


def test_a_log_file_is_stored_if_the_run_fails_too(exper, tmp_path):  # G8
    path = write(tmp_path / "train.log", "it broke")

    with pytest.raises(ZeroDivisionError), exper.start_run(id="r") as run:
        run.log(log=al.LogFile(path))
        1 / 0  # noqa: B018

    assert run.latest("log").digest == sha256("it broke")


def test_log_files_keep_their_place(local_run, tmp_path):  # G8
    out, err = write(tmp_path / "out.log", "out"), write(tmp_path / "err.log", "err")
    local_run.log({"logs": {"out": al.LogFile(out), "err": al.LogFile(err)}, "@log": [1]})
    local_run.log({"@log": al.LogFile(out)})

    local_run.finish()

    logs = local_run.latest("logs")
    assert (logs["out"].digest, logs["err"].digest) == (sha256("out"), sha256("err"))
    assert local_run.latest("@log").digest == sha256("out")


def test_a_log_file_that_never_came_is_no_error(local_run, tmp_path):  # G8
    local_run.log(log=al.LogFile(tmp_path / "never.log"))

    local_run.finish()

    assert len(local_run.rows()) == 1


def test_a_data_frame_is_a_table_in_a_file(run, reopened):  # K27
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    run.log(table=frame)
    run.finish()

    file = reopened().latest("table")

    assert file.name == "table.csv"
    pd.testing.assert_frame_equal(file.as_df(), frame)


def test_frames_of_equal_values_and_other_names_are_two(run):  # K27, V7
    run.log(table=pd.DataFrame({"a": [1, 2]}))
    run.log(table=pd.DataFrame({"b": [1, 2]}))

    first, second = run.rows()["table"]

    assert first.digest != second.digest
    assert (list(first.as_df()), list(second.as_df())) == (["a"], ["b"])


def test_texts_of_a_frame_that_look_like_gaps_stay_texts(run):  # V7
    frame = pd.DataFrame({"country": ["NA", "None", None]})

    run.log(table=frame)

    pd.testing.assert_frame_equal(run.latest("table").as_df(), frame)


def test_a_frame_of_a_class_derived_from_pandas_is_a_table(run):  # V7
    class Derived(pd.DataFrame):
        pass

    run.log(table=Derived({"a": [1]}), nothing=pd.DataFrame())

    assert run.latest("table").as_df()["a"].tolist() == [1]
    assert run.latest("nothing").as_df().empty


def test_a_frame_that_no_file_can_hold_is_refused(run):  # V7
    frame = pd.DataFrame({"a": pd.Series(["\ud800", 2**70], dtype=object)})

    for value in (frame, al.Table(frame)):
        with pytest.raises(al.InvalidValueError):
            run.log(table=value)


def test_a_table_keeps_its_rows_without_columns(run):  # V7
    run.log(table=al.Table(pd.DataFrame(index=range(3))))

    assert len(run.latest("table").as_df()) == 3


def test_a_frame_keeps_an_index_that_says_something(local_run):  # K27
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="key"))

    local_run.log(table=frame)

    assert local_run.latest("table").as_df()["key"].tolist() == ["x", "y"]


def test_a_polars_frame_is_a_table_too(local_run):  # K27
    pl = pytest.importorskip("polars")

    local_run.log(table=pl.DataFrame({"a": [1, 2]}))

    assert local_run.latest("table").as_df()["a"].tolist() == [1, 2]


def test_an_object_leaves_its_hash_and_is_stored_once(open_ms, ms, run):  # K28, X15, O1 O2 O3 O8
    model = Model([1, 2])
    stored = run.log(model=model, accuracy=0.9)
    run.log(model=model)
    run.flush()
    before = ms.usage

    run.log(model=stored["model"])
    run.log(model=model)
    run.finish()

    digest = hashlib.sha256(cloudpickle.dumps(model)).hexdigest()
    assert run.rows()["model"] == [digest] * 4
    assert (ms.usage - before).blob_writes == 0
    other = open_ms().get_object(digest, trust=True)
    assert other.score(2) == 6


def test_an_object_that_counts_as_false_comes_back(local_ms, local_run):  # O9
    stored = local_run.log(shelf=Empty(), none=None, zero=0, text="")
    local_run.finish()

    assert isinstance(local_ms.get_object(stored["shelf"], trust=True), Empty)
    (row,) = local_run.rows()
    assert (row["none"], row["zero"], row["text"]) == (None, 0, "")


def test_an_object_is_read_only_if_it_is_trusted(ms, run):  # X17
    stored = run.log(model=Model([1]))

    with pytest.raises(al.UntrustedArtifactError, match="trust=True"):
        ms.get_object(stored["model"])
    with pytest.raises(al.NotFoundError):
        ms.get_object("0" * 64, trust=True)
    with pytest.raises(al.InvalidValueError):
        ms.get_object("../secret", trust=True)
    assert ms.get_object(stored["model"], trust=True).weights == [1]


def test_the_blob_of_an_object_is_what_cloudpickle_reads(ms, run, tmp_path):  # X18, O6
    stored = run.log(model=Model([1, 2]))
    run.finish()

    ms.session.blobs.download(stored["model"], tmp_path / "model.cloudpickle")

    loaded = cloudpickle.loads((tmp_path / "model.cloudpickle").read_bytes())
    assert loaded.score(1) == 3


def test_functions_and_objects_of_local_classes_are_objects(local_ms, local_run):  # K28
    class Local:
        value = 5

    stored = local_run.log(fn=lambda x: x + 1, local=Local(), kind=Local)

    assert local_ms.get_object(stored["fn"], trust=True)(1) == 2
    assert local_ms.get_object(stored["local"], trust=True).value == 5
    assert local_ms.get_object(stored["kind"], trust=True).value == 5


def test_an_object_inside_a_container_leaves_its_hash_there(local_ms, local_run):  # K28, O5
    model = Model([3])
    nested = {"models": [model, (1, model)], 5: "y"}

    stored = local_run.log(config=Config(0.1, model), nested=nested, pair=Pair(1, model))

    digest = stored["config"]["model"]
    assert stored["config"] == {"lr": 0.1, "model": digest}
    assert stored["nested"] == {"models": [digest, [1, digest]], 5: "y"}
    assert stored["pair"] == [1, digest]
    assert local_ms.get_object(digest, trust=True).weights == [3]
    (read,) = local_run.rows()
    assert read == stored


def test_numbers_of_libraries_stay_values(local_ms, local_run):  # K28, O4
    stored = local_run.log(
        a=np.float64(0.5),
        b=np.float32(0.5).reshape(()),
        c=np.array(7),
        d=Tensor([1.0, 2.0]),
        e=[Tensor([1.0])],
    )
    local_run.finish()

    assert [stored[name] for name in "abcde"] == [0.5, 0.5, 7, [1.0, 2.0], [[1.0]]]
    assert not any(name.endswith("cloudpickle") for name in stored)


def test_a_method_of_another_meaning_is_not_called(local_ms, local_run):  # K28
    stored = local_run.log(shelf=Shelf(), inner=[Shelf()])

    assert isinstance(local_ms.get_object(stored["shelf"], trust=True), Shelf)
    assert stored["inner"] == [stored["shelf"]]


def test_what_cannot_be_pickled_is_named(local_run):  # K28
    with pytest.raises(al.InvalidValueError, match=r"config\.lock: a _thread\.lock"):
        local_run.log(config={"lock": threading.Lock()})
    endless = [Model([1])]
    endless.append(endless)
    with pytest.raises(al.InvalidValueError):
        local_run.log(endless=endless)

    assert len(local_run.rows()) == 0


def test_a_large_array_moves_to_a_blob_and_comes_back(ms, run, reopened):  # M25
    array = np.arange(50_000) / 7
    run.log(array=array, step=1)
    run.finish()

    assert reopened().rows()["array"] == [array.tolist()]


def test_columns_with_blobs_are_read_only_when_they_are_wanted(run, reopened):
    for number in range(3):
        run.log(text=f"{number}" * 100_000, n=number)
    run.finish()
    other = reopened()
    rows = other.rows()
    session = other._session
    before = session.usage.snapshot()

    assert rows["n"] == [0, 1, 2]
    assert rows.tail(1)["n"] == [2]
    assert (session.usage.snapshot() - before).blob_reads == 0
    assert rows.latest("text") == "2" * 100_000
    assert rows.tail(1)["text"] == ["2" * 100_000]
    assert (session.usage.snapshot() - before).blob_reads == 1


def test_logging_a_file_does_not_wait_for_one_that_is_being_sent(local_ms, local_run, tmp_path):
    session = local_ms.session
    sending, may_go_on = threading.Event(), threading.Event()
    inner = session.blobs

    class Slow:
        def upload(self, digest, path, progress=None):
            sending.set()
            may_go_on.wait(20)
            return inner.upload(digest, path, progress)

        def __getattr__(self, name):
            return getattr(inner, name)

    session.blobs = Slow()
    local_run.log(file=al.File(write(tmp_path / "1.txt", "one")))
    assert sending.wait(10)
    begun = time.monotonic()

    local_run.log(file=al.File(write(tmp_path / "2.txt", "two")))
    local_run.log(text="x" * 100_000)
    file = local_run.rows()["file"][0]
    content = file.open().read()

    assert time.monotonic() - begun < 5
    assert content == b"one"
    may_go_on.set()
    local_run.finish()
    assert {sha256("one"), sha256("two")} <= blobs(local_ms)


def test_processes_share_a_spool(local_ms, tmp_path):
    one, other = Spool(tmp_path / "spool"), Spool(tmp_path / "spool")
    digest = one.put_bytes(b"x", "x.txt")

    assert other.put_bytes(b"x", "y.txt") == digest
    assert other.path(digest).read_bytes() == b"x"
    assert one.drain(local_ms.session) == 1
    assert other.drain(local_ms.session) == 0
    assert other.waiting() == []
    assert blobs(local_ms) == {digest}


def test_a_spool_that_others_empty_meanwhile_is_no_error(local_ms, tmp_path):
    spools = [Spool(tmp_path / "spool") for _ in range(4)]
    failed = []

    def work(spool, number):
        try:
            for n in range(60):
                spool.put_bytes(f"{n} {number % 2}".encode(), "n.txt")
                spool.drain(local_ms.session)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=one[::-1]) for one in enumerate(spools)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert len(blobs(local_ms)) == 120
    assert not [one for one in (tmp_path / "spool").iterdir() if one.name.endswith(".part")]
