"""The rows of many runs as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import Any

from aletheia_like.metastore.marks import kept
from aletheia_like.metastore.reading import read_columns
from aletheia_like.metastore.rows import Rows, joined_rows, rows_of
from aletheia_like.metastore.run import Run
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.model.names import from_id
from aletheia_like.model.rows import RUN_ID, TIMESTAMP
from aletheia_like.ports.documents import Query

EXPERIMENT = "experiment"
_THREADS = 8


def project_rows(session: Session, equal_to: Mapping[str, Any]) -> Rows:
    """Return the rows of a project's runs that have these values, in the order of their moments.

    The rows of a run stay in the order in which the run has them. `experiment` and `run_id` choose
    the runs that are read at all; each run costs a read for each of its chunks.
    """
    live = {run.path: run for run in session.live_runs.runs() if isinstance(run, Run)}
    found = [path for path in _run_paths(session, equal_to) if path not in live]
    found += [path for path in live if _is_wanted(path, equal_to)]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="aletheia-read") as pool:
        parts = list(pool.map(_reader(session, live), found))
    # Rows may have columns of these names of their own; the runs were chosen by theirs.
    chosen = {name for name in (EXPERIMENT, RUN_ID) if isinstance(equal_to.get(name), str)}
    left = {name: value for name, value in equal_to.items() if name not in chosen}
    full = [part for part in parts if len(part)]
    if len(full) == 1:
        return full[0].get(**left)
    rows = joined_rows(parts)
    moments = [one for part in parts if len(part) for one in accumulate(part[TIMESTAMP], max)]
    order = sorted(range(len(rows)), key=moments.__getitem__)
    return rows.chosen(order).get(**left)


def _reader(session: Session, live: Mapping[str, Run]) -> Callable[[str], Rows]:
    def read(path: str) -> Rows:
        if path in live:
            rows = live[path].rows()
        else:
            run_id = from_id(path.rpartition("/")[2])
            rows = rows_of(session, read_columns(session, path, {}), run_id)
        return rows.with_column(EXPERIMENT, from_id(path.split("/")[3]))

    return read


def _run_paths(session: Session, equal_to: Mapping[str, Any]) -> Iterator[str]:
    for experiment in _experiment_paths(session, equal_to):
        if isinstance(equal_to.get(RUN_ID), str):
            found = session.documents.get(paths.run(experiment, equal_to[RUN_ID]))
            yield from (one.path for one in kept([found] if found else []))
            continue
        for document in kept(session.documents.query(Query(paths.runs(experiment)))):
            yield document.path


def _experiment_paths(session: Session, equal_to: Mapping[str, Any]) -> Iterator[str]:
    named = equal_to.get(EXPERIMENT)
    if isinstance(named, str):
        found = session.documents.get(paths.experiment(session.project_path, named))
        yield from (one.path for one in kept([found] if found else []))
        return
    experiments = Query(paths.experiments(session.project_path))
    for document in kept(session.documents.query(experiments)):
        yield document.path


def _is_wanted(path: str, equal_to: Mapping[str, Any]) -> bool:
    parts = [from_id(part) for part in path.split("/")]
    return all(
        equal_to.get(column, parts[place]) == parts[place]
        for column, place in ((EXPERIMENT, 3), (RUN_ID, 5))
    )
