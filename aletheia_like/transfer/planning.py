"""Compares a source with the project it is to be moved into, and decides; nothing is written.

What the target has stays as it is. A run is the same in both places if its random token is; if the
source's has lived longer, the target's catches up. Another run of the same id, or another version
of the same number, is a conflict, unless new names may be given. These are made of what they
name, so that repeating it gives the same names.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aletheia_like.model.names import from_id, to_id
from aletheia_like.model.values import equal
from aletheia_like.transfer.source import Entry, Source

_MOMENTS = ("started_at", "resumed_at", "heartbeat_at", "ended_at")
_TOKEN_DIGITS = 6
_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class VersionMove:
    """A version of an artifact or data set that the target lacks.

    Attributes:
        source: Where it is, below the project.
        owner: Document of the name that it is a version of, as the source has it.
        number: Which version it becomes.
        fields: Its document, as the target will have it.
    """

    source: str
    owner: Entry
    number: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunMove:
    """A run whose rows, at least, have to be looked at.

    Attributes:
        source: Where it is, below the project.
        path: Where it goes.
        fields: Its document, as the target will have it.
        result: Its line in the leaderboard, if there is one.
        known: Whether the target has it.
        further: Whether it has lived longer in the source.
        differs: Whether the target has it with another summary.
    """

    source: str
    path: str
    fields: dict[str, Any]
    result: dict[str, Any] | None
    known: bool
    further: bool
    differs: bool


@dataclass(slots=True)
class Plan:
    """What is to be done.

    Attributes:
        new: Documents that the target lacks, and that nothing lies below.
        counters: The least number that the next run of an experiment may have, by its path.
        generations: How often a repository was begun anew at least, by its path.
        aliases: Numbers of versions by the ids of aliases that the target lacks, by the path of
            the name.
        versions: What to publish.
        runs: What to bring up to date.
        renamed: New names of runs and versions, by their old ones.
        kept: Documents that differ.
        conflicts: What cannot be moved under its name.
    """

    new: list[Entry] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    aliases: dict[str, dict[str, int]] = field(default_factory=dict)
    versions: list[VersionMove] = field(default_factory=list)
    runs: list[RunMove] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def plan_move(source: Source, target: Source, *, rename: bool) -> Plan:
    """Return what has to be done so that the target has what the source has.

    Args:
        source: Where from.
        target: Where to; a read for each of its runs and versions.
        rename: Give new names to what is there under its name and is something else.
    """
    return _Planner(source, target, rename=rename).plan()


class _Planner:
    def __init__(self, source: Source, target: Source, *, rename: bool) -> None:
        self._source = source
        self._target = target
        self._rename = rename
        self._plan = Plan()
        self._numbers: dict[tuple[str, int], int] = {}
        self._names: dict[str, Mapping[str, str]] = {}

    def plan(self) -> Plan:
        project = self._source.get("")
        if project is not None and self._target.get("") is None:
            self._plan.new.append(project)
        for entry in self._source.collection("metadata"):
            self._add_or_keep(entry, ("updated_at",))
        for owner in self._source.collection("datasets"):
            self._versions(owner)
        for experiment in self._source.collection("experiments"):
            self._experiment(experiment)
        for repository in self._source.collection("repositories"):
            self._repository(repository)
        return self._plan

    def _add_or_keep(self, entry: Entry, ignored: Sequence[str]) -> bool:
        """Plan a document if the target lacks it; return whether it does."""
        there = self._target.get(entry.path)
        if there is None:
            self._plan.new.append(entry)
            return True
        left, right = (_without(one.fields, ignored) for one in (entry, there))
        if not equal(left, right):
            self._plan.kept.append(_shown(entry.path))
        return False

    def _experiment(self, experiment: Entry) -> None:
        is_new = self._add_or_keep(experiment, ("next_run_number",))
        counted = experiment.fields.get("next_run_number")
        if isinstance(counted, int):
            self._plan.counters[experiment.path] = counted
        path = f"{experiment.path}/runs"
        there = {} if is_new else {one.path: one for one in self._target.collection(path)}
        by_token = {one.fields["token"]: one for one in there.values() if one.fields.get("token")}
        runs = list(self._source.collection(path))
        found = {run.path: self._place(run, there, by_token) for run in runs}
        names = {
            from_id(run.id): from_id(found[run.path][0].rpartition("/")[2])
            for run in runs
            if found[run.path][0] != run.path
        }
        self._names[experiment.id] = names
        for owner in self._source.collection(f"{experiment.path}/artifacts"):
            self._versions(owner)
            self._aliases(owner)
        results = {one.id: one for one in self._source.collection(f"{experiment.path}/results")}
        for run in runs:
            place, known = found[run.path]
            result = results.get(run.id)
            self._run(run, place, known, None if result is None else result.fields, names)

    def _place(
        self, run: Entry, there: Mapping[str, Entry], by_token: Mapping[Any, Entry]
    ) -> tuple[str, Entry | None]:
        """Return where a run is or goes in the target, and what is there if it is the same."""
        token = run.fields.get("token")
        if token and token in by_token:
            return by_token[token].path, by_token[token]
        other = there.get(run.path)
        if other is None:
            return run.path, None
        if not token and other.fields.get("started_at") == run.fields.get("started_at"):
            return run.path, other
        if not self._rename or not token:
            self._plan.conflicts.append(f"run {_shown(run.path)}")
            return run.path, None
        path = f"{run.path}-{str(token)[:_TOKEN_DIGITS]}"
        self._plan.renamed[_shown(run.path)] = _shown(path)
        return path, None

    def _run(
        self,
        run: Entry,
        place: str,
        known: Entry | None,
        result: dict[str, Any] | None,
        names: Mapping[str, str],
    ) -> None:
        fields = dict(run.fields)
        for word, below in (("artifacts", run.path.partition("/runs/")[0]), ("datasets", "")):
            if isinstance(fields.get(word), dict):
                fields[word] = self._renumbered(fields[word], f"{below}/{word}".lstrip("/"))
        if fields.get("parent") in names:
            fields["parent"] = names[fields["parent"]]
        if place != run.path:
            # The number is another run's here.
            fields.pop("number", None)
            if result is not None:
                result = {
                    **_without(result, ("number",)),
                    "run": from_id(place.rpartition("/")[2]),
                }
        further = known is not None and (
            _life(fields) > _life(known.fields) or _is_told_anew(fields, known.fields)
        )
        differs = known is not None and not equal(_summary(fields), _summary(known.fields))
        move = RunMove(run.path, place, fields, result, known is not None, further, differs)
        self._plan.runs.append(move)

    def _renumbered(self, uses: Mapping[str, Any], collection: str) -> dict[str, Any]:
        """Return what a run says about versions it made or used, by their numbers here."""
        changed = dict(uses)
        for key, use in uses.items():
            if isinstance(use, dict) and isinstance(use.get("name"), str):
                owner = f"{collection}/{to_id(use['name'], 'name')}"
                number = self._numbers.get((owner, use.get("version", -1)))
                if number is not None:
                    changed[key] = {**use, "version": number}
        return changed

    def _repository(self, repository: Entry) -> None:
        """Plan a repository: its versions are told apart as those of experiments are."""
        self._add_or_keep(repository, tuple(repository.fields))
        generation = repository.fields.get("generation")
        if isinstance(generation, int):
            self._plan.generations[repository.path] = generation
        self._shelves(repository.path)
        for begun in self._source.collection(f"{repository.path}/generations"):
            self._add_or_keep(begun, tuple(begun.fields))
            self._shelves(begun.path)
        path = f"{repository.path}/audit"
        there = {one.id for one in self._target.collection(path)}
        self._plan.new += [one for one in self._source.collection(path) if one.id not in there]

    def _shelves(self, path: str) -> None:
        """Plan the artifacts and releases of one generation of a repository."""
        for owner in self._source.collection(f"{path}/artifacts"):
            self._versions(owner)
            self._aliases(owner)
        for release in self._source.collection(f"{path}/releases"):
            fields = dict(release.fields)
            versions = fields.get("versions")
            if isinstance(versions, dict):
                fields["versions"] = {
                    name: self._numbers.get((f"{path}/artifacts/{name}", number), number)
                    for name, number in versions.items()
                }
            self._add_or_keep(replace(release, fields=fields), ("token",))

    def _aliases(self, owner: Entry) -> None:
        """Plan the aliases of a name that the target lacks; those it has stay where they are."""
        there, given = self._target.get(owner.path), owner.fields.get("aliases")
        known = there.fields.get("aliases") if there is not None else None
        if there is None or not isinstance(given, dict):
            return
        lacking = given.keys() - (known.keys() if isinstance(known, dict) else ())
        if lacking:
            numbers = {one: int(given[one] or 0) for one in lacking}
            self._plan.aliases[owner.path] = {
                one: self._numbers.get((owner.path, number), number)
                for one, number in numbers.items()
            }

    def _from_here(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return a version's fields with the run, artifact and data sets as they are named here.

        A version in a repository tells what it was promoted from.
        """
        experiment, run = fields.get("experiment"), fields.get("run")
        if not isinstance(experiment, str):
            return fields
        place = to_id(experiment, "experiment")
        changed = dict(fields)
        if isinstance(run, str):
            changed["run"] = self._names.get(place, {}).get(run, run)
        origin, inputs = fields.get("promoted_from"), fields.get("inputs")
        if isinstance(origin, dict):
            below = f"experiments/{place}/artifacts"
            changed["promoted_from"] = self._renumbered({"": origin}, below)[""]
        if isinstance(inputs, dict):
            changed["inputs"] = self._renumbered(inputs, "datasets")
        return changed

    def _versions(self, owner: Entry) -> None:
        """Plan the versions of a name that the target lacks."""
        versions = sorted(
            self._source.collection(f"{owner.path}/versions"), key=lambda one: int(one.id)
        )
        there = {int(one.id): one for one in self._target.collection(f"{owner.path}/versions")}
        owners = [one for one in (owner, self._target.get(owner.path)) if one is not None]
        counted = [one.fields.get("next_version", 0) for one in owners]
        free = max([*counted, *(number + 1 for number in there)])
        for version in versions:
            number = int(version.id)
            fields = self._from_here(version.fields)
            same = _same(fields, number, there)
            if same is not None:
                if int(same.id) != number:
                    self._numbers[owner.path, number] = int(same.id)
                continue
            if number in there:
                if not self._rename:
                    self._plan.conflicts.append(_shown_version(version.path))
                    continue
                self._numbers[owner.path, number] = free
                self._plan.renamed[_shown_version(version.path)] = f"@{free}"
                number, free = free, free + 1
                fields = {**fields, "version": number}
            self._plan.versions.append(VersionMove(version.path, owner, number, fields))


def _same(fields: Mapping[str, Any], number: int, there: Mapping[int, Entry]) -> Entry | None:
    """Return the version that is the same: published as one, or of one number and content."""
    token = fields.get("token")
    for one in there.values():
        if token and one.fields.get("token") == token:
            return one
    other = there.get(number)
    if other is None or fields.get("digest") is None:
        return None
    words = ("digest", "kind", "run", "partitions", "uploaded")
    return other if all(equal(fields.get(one), other.fields.get(one)) for one in words) else None


def _life(fields: Mapping[str, Any]) -> tuple[dt.datetime, bool]:
    """Return a run's last sign of life, and whether it has ended."""
    moments = [fields[word] for word in _MOMENTS if isinstance(fields.get(word), dt.datetime)]
    return max(moments, default=_LONG_AGO), fields.get("status") != "running"


def _is_told_anew(fields: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Whether a run was imported from another tracker, later than here, and it told more."""
    now, before = _imported_at(fields), _imported_at(known)
    return now is not None and before is not None and now > before


def _imported_at(fields: Mapping[str, Any]) -> dt.datetime | None:
    imported = fields.get("imported")
    found = imported.get("at") if isinstance(imported, dict) else None
    return found if isinstance(found, dt.datetime) else None


def _summary(fields: Mapping[str, Any]) -> Any:
    return fields.get("summary", {})


def _without(fields: Mapping[str, Any], words: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key not in words}


def _shown(path: str) -> str:
    r"""Return how people call a document: `which\/one/3`."""
    names = [from_id(part).replace("/", "\\/") for part in path.split("/")[1::2]]
    return "/".join(names)


def _shown_version(path: str) -> str:
    names = _shown(path).rpartition("/")
    kinds = {"datasets": "data set", "repositories": "repository version"}
    what = kinds.get(path.partition("/")[0], "artifact")
    return f"{what} {names[0]}@{names[2]}"
