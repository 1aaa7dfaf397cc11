"""What came from what: sources, data sets, runs, artifacts, and versions in repositories."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from aletheia_like.metastore.depending import DEPENDENCIES
from aletheia_like.metastore.derivation import parents_of
from aletheia_like.metastore.finding import with_aliases
from aletheia_like.metastore.keeping import USED, use_key
from aletheia_like.metastore.marks import kept
from aletheia_like.metastore.saving import INPUTS, ORIGIN, generation_of
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.model.codec import run_record, version_record
from aletheia_like.model.names import from_id
from aletheia_like.model.quantities import shown_bytes
from aletheia_like.model.records import DatasetUse, RunRecord, VersionRecord
from aletheia_like.ports.documents import Document, Filter, Query

if TYPE_CHECKING:
    from aletheia_like.metastore.run import Run

Kind = Literal["source", "data set", "experiment", "run", "artifact", "repository version"]
_MOST_ANCESTORS = 20


@dataclass(frozen=True, slots=True)
class Node:
    """A thing, what it came from, and what came from it.

    Attributes:
        kind: What it is.
        name: How people call it: `which species/1`, `weights@0`, `models/weights@2`.
        details: What else is worth showing: status, digest, commit, aliases.
        up: What it came from.
        down: What came from it.
    """

    kind: Kind
    name: str
    details: Mapping[str, Any] = field(default_factory=dict)
    up: tuple[Node, ...] = ()
    down: tuple[Node, ...] = ()

    def words(self) -> list[str]:
        """Return what is worth knowing of it beside its name, shortened for people."""
        told = self.details
        words = [str(told["status"])] if "status" in told else []
        if told.get("commit"):
            words.append(str(told["commit"])[:8] + (" with changes" if "dirty" in told else ""))
        if "partition" in told:
            words.append(f"part {told['partition']}")
        if "aliases" in told:
            words.append("is " + ", ".join(told["aliases"]))
        if "size" in told:
            words.append(shown_bytes(told["size"]))
        if told.get("digest"):
            words.append(str(told["digest"])[:12])
        return words

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        told: dict[str, Any] = {"kind": self.kind, "name": self.name, **self.details}
        if self.up:
            told["up"] = [one.to_dict() for one in self.up]
        if self.down:
            told["down"] = [one.to_dict() for one in self.down]
        return told


def lineage_of_run(run: Run) -> Node:
    """Return what a run used, and what came of it, as far as to repositories.

    A read for each of its data sets, artifacts and children, for each run that it came from, for
    each run of its experiment that used an artifact, and for each artifact of each repository.
    """
    session, experiment = run.session, run.experiment.path
    made = [
        version
        for name in run.artifacts
        for version in _versions_of_run(session, paths.artifact(experiment, name), run.record)
    ]
    promoted = list(_promoted(session, run.record)) if made else []
    down = [
        Node(
            "artifact",
            f"{one.name}@{one.version}",
            _file(one),
            down=(*_copies(one, promoted), *_users(session, [experiment], one)),
        )
        for one in made
    ]
    children = session.documents.query(
        Query(paths.runs(experiment), (Filter(("parent",), "==", run.id),))
    )
    down += [_run_node(_record(one)) for one in kept(children)]
    return _run_node(run.record, status=run.status, up=_of_run(session, run.record), down=down)


def lineage_of_version(
    session: Session, record: VersionRecord, repository: str | None = None
) -> Node:
    """Return what a version of a repository or an experiment came from, and which runs used it.

    A query for each experiment of the project.
    """
    origin = record.extra.get(ORIGIN)
    kind: Kind = "repository version" if isinstance(origin, Mapping) else "artifact"
    up = _of_version(session, record)
    if isinstance(origin, Mapping):
        name = f"{origin.get('name')}@{origin.get('version')}"
        up = (Node("artifact", name, {"digest": record.digest}, up=up),)
    experiments = session.documents.query(Query(paths.experiments(session.project_path)))
    used = _users(session, [one.path for one in kept(experiments)], record, repository)
    return Node(kind, f"{record.name}@{record.version}", _file(record), up=up, down=tuple(used))


def _users(
    session: Session,
    experiments: Sequence[str],
    record: VersionRecord,
    repository: str | None = None,
) -> Iterator[Node]:
    """Yield the runs of experiments that used a version, and the run that made it is not one."""
    for path in experiments:
        is_own = repository is None and from_id(path.rpartition("/")[2]) == record.experiment
        key = use_key(record, None if is_own else repository or record.experiment)
        query = Query(paths.runs(path), (Filter((USED, key, "version"), "==", record.version),))
        for document in kept(session.documents.query(query)):
            use = document.fields[USED][key]
            if is_own or use.get("repository") == repository:
                yield _run_node(_record(document))


def _of_version(session: Session, record: VersionRecord) -> tuple[Node, ...]:
    if record.run is None or record.experiment is None or record.project is None:
        return ()
    experiment = paths.experiment(paths.project(record.project), record.experiment)
    document = session.documents.get(paths.run(experiment, record.run))
    if document is None:
        details = {"commit": record.commit, "status": "deleted"}
        up = tuple(_noted_inputs(session, record.project, record))
        return (Node("run", f"{record.experiment}/{record.run}", details, up),)
    run = _record(document)
    return (_run_node(run, up=_of_run(session, run)),)


def _noted_inputs(session: Session, project: str, record: VersionRecord) -> Iterator[Node]:
    """Yield the data sets that a promoted version remembers of a run that is gone."""
    noted = record.extra.get(INPUTS)
    for one in noted.values() if isinstance(noted, Mapping) else ():
        if isinstance(one, Mapping) and "name" in one:
            yield _dataset_node(session, project, _use({**one, "dataset": one["name"]}))


def _of_run(
    session: Session, run: RunRecord, depth: int = 0, drawn: set[str] | None = None
) -> tuple[Node, ...]:
    """Return what a run came from: data sets, artifacts, and the run that started it.

    Args:
        session: The metastore.
        run: Which.
        depth: How many runs came from it on the way here.
        drawn: Runs whose own origins are told elsewhere already; they are not told twice.
    """
    experiment = paths.experiment(paths.project(run.project), run.experiment)
    drawn = {paths.run(experiment, run.id)} if drawn is None else drawn
    used = tuple(_dataset_node(session, run.project, use) for use in run.datasets.values())
    used += tuple(_used_artifacts(session, run, depth, drawn))
    used += tuple(_dependency_nodes(run))
    if run.parent is None:
        return used
    who = (run.project, run.experiment, run.parent)
    return (*used, _ancestor(session, who, depth, drawn))


def _ancestor(session: Session, who: tuple[str, str, str], depth: int, drawn: set[str]) -> Node:
    """Return a run that another came from, with what it came from itself."""
    project, experiment, id_ = who
    name = f"{experiment}/{id_}"
    path = paths.run(paths.experiment(paths.project(project), experiment), id_)
    if path in drawn or depth == _MOST_ANCESTORS:
        return Node("run", name)
    drawn.add(path)
    document = session.documents.get(path)
    if document is None:
        return Node("run", name, {"status": "deleted"})
    record = _record(document)
    return _run_node(record, up=_of_run(session, record, depth + 1, drawn))


def _used_artifacts(
    session: Session, run: RunRecord, depth: int, drawn: set[str]
) -> Iterator[Node]:
    """Yield the artifacts of other runs, and of repositories, that a run used."""
    noted = run.extra.get(USED)
    for use in noted.values() if isinstance(noted, Mapping) else ():
        if isinstance(use, Mapping):
            maker, place = use.get("run"), use.get("repository")
            project = use.get("project") or run.project
            who = str(project), str(use.get("experiment") or run.experiment), str(maker)
            up = () if maker is None else (_ancestor(session, who, depth, drawn),)
            name = f"{use.get('name')}@{use.get('version')}"
            kind: Kind = "artifact" if place is None else "repository version"
            shown = name if place is None else f"{place}/{name}"
            yield Node(kind, shown, _told({"digest": use.get("digest")}), up=up)


def _dependency_nodes(run: RunRecord) -> Iterator[Node]:
    """Yield the runs and experiments that a run says it builds on."""
    noted = run.extra.get(DEPENDENCIES)
    for told in noted.values() if isinstance(noted, Mapping) else ():
        if isinstance(told, Mapping):
            parts = [told.get("experiment")] + ([told["run"]] if told.get("run") else [])
            other = told.get("project")
            parts = parts if other == run.project else [other, *parts]
            yield Node("run" if told.get("run") else "experiment", "/".join(map(str, parts)))


def lineage_of_dataset(session: Session, record: VersionRecord) -> Node:
    """Return what a version of a data set was made from, back to its first sources."""
    return _made_from(session, session.project, record, _told({"digest": record.digest}), 0)


def _dataset_node(session: Session, project: str, use: DatasetUse, depth: int = 0) -> Node:
    path = paths.version(paths.dataset(paths.project(project), use.name), use.version)
    document = session.documents.get(path)
    details = _told({"digest": use.digest, "partition": use.partition})
    if document is None:
        return Node("data set", f"{use.name}@{use.version}", details)
    record = version_record(document.path, document.fields)
    return _made_from(session, project, record, details, depth)


def _made_from(
    session: Session, project: str, record: VersionRecord, details: dict[str, Any], depth: int
) -> Node:
    """Return the node of a data set; what it was made from is above it."""
    parents = parents_of(record) if depth < _MOST_ANCESTORS else []
    up: tuple[Node, ...] = tuple(
        _dataset_node(session, project, _use(one), depth + 1) for one in parents
    )
    if parents and record.commit:
        details = {**details, "commit": record.commit}
    if parents and record.run is not None:
        up = (Node("run", f"{record.experiment}/{record.run}"), *up)
    source = None if parents else record.source or record.location
    if source is not None:
        up = (*up, Node("source", str(source)))
    return Node("data set", f"{record.name}@{record.version}", details, up=up)


def _use(parent: Mapping[str, Any]) -> DatasetUse:
    version = parent.get("version")
    return DatasetUse(
        str(parent["dataset"]),
        version if isinstance(version, int) else 0,
        str(parent.get("digest") or ""),
        parent.get("partition"),
    )


def _run_node(
    run: RunRecord,
    *,
    status: str | None = None,
    up: tuple[Node, ...] = (),
    down: Any = (),
) -> Node:
    git = run.git
    details = {
        "status": "deleted" if run.deleted_at else status or run.status,
        "commit": git.commit if git else None,
        "dirty": git.dirty or None if git else None,
        "metrics": dict(run.metrics) or None,
    }
    return Node("run", f"{run.experiment}/{run.id}", _told(details), up, tuple(down))


def _versions_of_run(session: Session, owner_path: str, run: RunRecord) -> list[VersionRecord]:
    """Return the versions of a name that a run made, oldest first."""
    query = Query(paths.versions(owner_path), (Filter(("run",), "==", run.id),))
    documents = kept(session.documents.query(query))
    found = [version_record(one.path, one.fields) for one in documents]
    mine = [one for one in found if (one.project, one.experiment) == (run.project, run.experiment)]
    return sorted(mine, key=lambda one: one.version)


def _promoted(session: Session, run: RunRecord) -> Iterator[tuple[str, VersionRecord]]:
    """Yield versions that came from a run, each after the name of its repository."""
    for repository in session.documents.query(Query(paths.repositories(session.project_path))):
        for owner in _owners(session, repository):
            for record in _versions_of_run(session, owner.path, run):
                yield from_id(repository.id), with_aliases(record, owner)


def _owners(session: Session, repository: Document) -> Iterator[Document]:
    for generation in range((generation_of(repository) or 0) + 1):
        below = paths.generation(repository.path, generation)
        yield from session.documents.query(Query(paths.artifacts(below)))


def _copies(version: VersionRecord, promoted: list[tuple[str, VersionRecord]]) -> tuple[Node, ...]:
    nodes = []
    for repository, record in promoted:
        origin = record.extra.get(ORIGIN)
        known = (origin.get("name"), origin.get("version")) if isinstance(origin, Mapping) else ()
        if known == (version.name, version.version):
            name = f"{repository}/{record.name}@{record.version}"
            nodes.append(Node("repository version", name, _file(record)))
    return tuple(nodes)


def _file(record: VersionRecord) -> dict[str, Any]:
    created: dt.datetime | None = record.created_at
    return _told(
        {
            "digest": record.digest,
            "size": record.size,
            "aliases": list(record.aliases) or None,
            "created_at": created,
            "created_by": record.created_by,
        }
    )


def _told(details: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in details.items() if value is not None}


def _record(document: Document) -> RunRecord:
    return run_record(document.path, document.fields, document.updated_at)
