"""Whatever is logged, no document passes its limit and memory stays bounded."""

from __future__ import annotations

import pytest

from aletheia_like.model import paths
from aletheia_like.model.sizes import document_size
from aletheia_like.ports.documents import Query

LIMIT = 1_048_576
MANY = """
import resource
ms = opened()
run = ms.exper("e").start_run(hyper_params={"prompt": "p" * 5_000_000})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for index in range(int(sys.argv[1])):
    run.log({f"m{n}": index + n / 10 for n in range(10)}, step=index)
run.log(step=-1, text="t" * 5_000_000, numbers=list(range(700_000)))
run.log(step=-1, nested={"a": [[1.5] * 9] * 60_000})
run.log(step=-2, **{f"c{n}": "x" * 8_000 for n in range(200)})
for index in range(3):
    run.log({f"{n}-{'n' * 1_400}": index for n in range(300)})
run.finish()
ack("grown", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(("store", "count"), [("embedded", 100_000), ("firestore", 5_000)])
def test_a_million_points_and_huge_cells_pass_no_limit(request, start, store, count):
    # ten numbers a row; M25, invariant 10
    place = request.getfixturevalue(store)
    child = start(place, MANY, count)
    assert child.wait(200) == 0, child.warnings

    with place.open() as ms:
        exper = ms.experiment("e")
        run = exper.run(1)
        rows = run.rows()
        assert len(rows) == count + 6
        assert rows["step"][:count] == list(range(count))
        assert rows["m9"][count - 1] == count - 1 + 0.9
        assert rows["text"][count] == "t" * 5_000_000
        assert rows["numbers"][count] == list(range(700_000))
        assert rows["nested"][count + 1] == {"a": [[1.5] * 9] * 60_000}
        assert rows["c199"][count + 2] == "x" * 8_000
        assert run.hyper_params == {"prompt": "p" * 5_000_000}
        assert run.summary["m0"]["max"] == count - 1
        documents = ms.session.documents
        stored = [
            documents.get(run.path),
            *documents.query(Query(paths.rows(run.path))),
            *documents.query(Query(paths.results(exper.path))),
        ]
        sizes = [document_size(one.path, one.fields) for one in stored]
        assert max(sizes) < LIMIT
        assert sizes[0] < 300_000
    # A hundred thousand rows are 20 MB of journal; what is sent is forgotten.
    assert child.numbers("grown")[0] < 400


def test_a_row_of_too_many_columns_is_refused_and_the_run_goes_on(embedded, start):
    body = """
with opened().exper("e").start_run() as run:
    run.log(i=0)
    try:
        run.log({f"column-{n}": n for n in range(100_000)})
    except al.InvalidValueError as error:
        ack("refused", 1)
    run.log(i=1)
"""
    child = start(embedded, body)
    assert child.wait() == 0, child.warnings

    assert child.numbers("refused") == [1]
    assert embedded.column("i") == [0, 1]
