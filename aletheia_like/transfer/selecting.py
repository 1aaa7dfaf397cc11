"""Chooses experiments and runs of a source, with all that belongs to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.model.names import from_id, split_reference, to_id
from aletheia_like.transfer.source import Blob, Entry, Extent, Source

Wanted = Mapping[str, frozenset[str] | None]
"""Ids of the runs that are wanted by the id of their experiment; None wants all of it."""

_PARTS_OF_A_RUN = 2


def select(
    source: Source, experiments: Sequence[str] | None, runs: Sequence[str] | None
) -> Source:
    r"""Return a source that shows nothing but what is asked for.

    A run brings its experiment's document, its artifacts, and the data sets it used.

    Args:
        source: Where from.
        experiments: Names of whole experiments.
        runs: `EXPERIMENT/RUN`, a slash inside a name as `\/`.

    Raises:
        NotFoundError: There is no such experiment or run.
        InvalidValueError: That is no name of a run.
    """
    if experiments is None and runs is None:
        return source
    wanted = _wanted(experiments or (), runs or ())
    _check(source, wanted)
    return _Selected(source, wanted)


def _wanted(experiments: Sequence[str], runs: Sequence[str]) -> Wanted:
    if isinstance(experiments, str) or isinstance(runs, str):
        message = "experiments and runs are lists of names: experiments=['a'], runs=['a/1']"
        raise InvalidValueError(message)
    wanted: dict[str, frozenset[str] | None] = {}
    for reference in runs:
        parts = split_reference(reference)
        if len(parts) != _PARTS_OF_A_RUN:
            message = f"{reference!r} names no run: EXPERIMENT/RUN, a slash in a name as \\/"
            raise InvalidValueError(message)
        experiment = to_id(parts[0], "experiment")
        earlier = wanted.get(experiment) or frozenset()
        wanted[experiment] = earlier | {to_id(parts[1], "run")}
    return wanted | {to_id(name, "experiment"): None for name in experiments}


def _check(source: Source, wanted: Wanted) -> None:
    for experiment, runs in wanted.items():
        if source.get(f"experiments/{experiment}") is None:
            message = f"no experiment {from_id(experiment)!r} in project {source.project!r}"
            raise NotFoundError(message)
        for run in sorted(runs or ()):
            if source.get(f"experiments/{experiment}/runs/{run}") is None:
                message = (
                    f"no run {from_id(run)!r} in experiment {from_id(experiment)!r} "
                    f"of {source.project!r}"
                )
                raise NotFoundError(message)


class _Selected:
    """A source that hides what is not wanted."""

    def __init__(self, source: Source, wanted: Wanted) -> None:
        self._source = source
        self._wanted = wanted
        self._used: dict[str, frozenset[int]] | None = None

    @property
    def project(self) -> str:
        return self._source.project

    def get(self, path: str) -> Entry | None:
        return self._source.get(path)

    def collection(self, path: str) -> Iterator[Entry]:
        parts = path.split("/")
        match parts:
            case ["metadata"] | ["repositories"] | ["collections"]:
                return
            case ["experiments"]:
                entries = (self._source.get(f"{path}/{one}") for one in sorted(self._wanted))
                yield from (entry for entry in entries if entry is not None)
            case ["experiments", experiment, "runs" | "results"]:
                yield from self._of_runs(path, self._wanted[experiment])
            case ["experiments", experiment, "artifacts"] if self._wanted[experiment] is not None:
                for owner in self._source.collection(path):
                    yield from self._owner(owner)
            case ["datasets"]:
                for name in sorted(self._datasets()):
                    dataset = self._source.get(f"{path}/{name}")
                    yield from () if dataset is None else self._owner(dataset)
            case [*_, "versions"]:
                yield from filter(self._is_wanted, self._source.collection(path))
            case _:
                yield from self._source.collection(path)

    def blobs(self, digests: Iterable[str]) -> dict[str, Blob]:
        return self._source.blobs(digests)

    def extent(self, run_path: str) -> Extent | None:
        return self._source.extent(run_path)

    def download(self, digest: str, path: Path) -> None:
        self._source.download(digest, path)

    def _of_runs(self, path: str, ids: frozenset[str] | None) -> Iterator[Entry]:
        if ids is None:
            yield from self._source.collection(path)
            return
        entries = (self._source.get(f"{path}/{one}") for one in sorted(ids))
        yield from (entry for entry in entries if entry is not None)

    def _owner(self, owner: Entry) -> Iterator[Entry]:
        """Yield the document of a name as if it had the wanted versions only."""
        versions = list(self.collection(f"{owner.path}/versions"))
        if versions:
            newest = max(versions, key=lambda entry: int(entry.id))
            fields = {**owner.fields, "latest": newest.fields}
            aliases, known = fields.get("aliases"), {int(one.id) for one in versions}
            if isinstance(aliases, dict):
                fields["aliases"] = {key: one for key, one in aliases.items() if one in known}
            yield replace(owner, fields=fields)

    def _is_wanted(self, version: Entry) -> bool:
        parts = version.path.split("/")
        if parts[0] == "datasets":
            return int(version.id) in self._datasets().get(parts[1], ())
        runs = self._wanted[parts[1]]
        run = version.fields.get("run")
        return runs is None or (isinstance(run, str) and to_id(run, "run") in runs)

    def _datasets(self) -> dict[str, frozenset[int]]:
        """Return the versions of data sets that the wanted runs used, by the id of the name."""
        if self._used is None:
            self._used = {}
            for experiment in self._wanted:
                for run in self.collection(f"experiments/{experiment}/runs"):
                    for use in _uses(run):
                        name = to_id(str(use["name"]), "dataset")
                        earlier = self._used.get(name, frozenset())
                        self._used[name] = earlier | {int(use["version"])}
        return self._used


def _uses(run: Entry) -> Iterator[Mapping[str, Any]]:
    used = run.fields.get("datasets")
    if isinstance(used, dict):
        yield from (use for use in used.values() if isinstance(use, dict) and "version" in use)


if TYPE_CHECKING:
    _: type[Source] = _Selected
