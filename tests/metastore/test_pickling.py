"""What may travel to another process does; what may not says what to send instead."""

from __future__ import annotations

import multiprocessing
import pickle

import pytest

import aletheia_like as al


def log_in_child(exper, run_id, number):
    with exper.start_run(id=run_id, resume="allow") as run:
        run.log(number=number)


def test_metastores_experiments_and_rows_travel(ms):  # B10
    exper = ms.exper("e")
    with exper.start_run() as run:
        run.log(a=1)
    ms.flush()

    assert pickle.loads(pickle.dumps(ms)).experiment("e").run(1).status == "finished"
    assert pickle.loads(pickle.dumps(exper)).run(1).rows()["a"] == [1]
    assert pickle.loads(pickle.dumps(run.rows())).to_dicts() == run.rows().to_dicts()
    assert pickle.loads(pickle.dumps(exper.run(1))).rows()["a"] == [1]


def test_workers_that_get_the_experiment_join_the_run(open_ms):
    ms = open_ms()
    exper = ms.exper("e")
    with exper.start_run(id="shared") as run:
        context = multiprocessing.get_context("spawn")
        workers = [
            context.Process(target=log_in_child, args=(exper, "shared", number))
            for number in range(2)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        run.log(number=2)

    assert sorted(ms.exper("e").run("shared").rows()["number"]) == [0, 1, 2]


def test_a_live_run_says_how_to_share_it(ms):
    run = ms.exper("e").start_run()
    with pytest.raises(TypeError, match="resume='allow'"):
        pickle.dumps(run)
    run.finish()


def test_a_store_in_memory_stays_where_it_is():
    with pytest.raises(TypeError, match="file:///"):
        pickle.dumps(al.Metastore("p", url="memory://"))
