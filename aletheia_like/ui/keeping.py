"""What a project keeps beside its runs: data sets, repositories, and what was done to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from aletheia_like.metastore.artifacts import ArtifactVersion
from aletheia_like.metastore.datasets import DatasetVersion
from aletheia_like.metastore.repository import Repository
from aletheia_like.model.quantities import shown_bytes
from aletheia_like.model.records import VersionRecord
from aletheia_like.ui.asking import Asked, Page
from aletheia_like.ui.contents import file_link
from aletheia_like.ui.links import link
from aletheia_like.ui.overview import project_trail
from aletheia_like.ui.tables import Cell, grid_of

Row = Mapping[str, Any]
_DIGITS = 12
_MOST_FILES = 1_000
_FILE = {"path": "File", "size": "Size", "digest": "Digest"}
_DATASET = {
    "name": "Data set", "version": "Version", "kind": "Kind", "size": "Size", "digest": "Digest",
    "created_at": "Added", "desc": "Description",
}  # fmt: skip
_VERSION = {
    "version": "Version", "kind": "Kind", "size": "Size", "digest": "Digest",
    "created_at": "Added", "created_by": "By", "location": "From", "source": "Made from",
    "partitions": "Parts",
}  # fmt: skip
_ARTIFACT = {
    "name": "Artifact", "version": "Newest", "aliases": "Aliases", "size": "Size",
    "digest": "Digest", "created_at": "Saved", "run": "Run",
}  # fmt: skip
_SAVED = {
    "version": "Version", "aliases": "Aliases", "kind": "Kind", "size": "Size",
    "digest": "Digest", "created_at": "Saved", "created_by": "By", "run": "Run",
    "commit": "Commit", "handler": "Handler", "expires_at": "Expires",
}  # fmt: skip
_RELEASE = {"tag": "Release", "created_at": "When", "created_by": "By", "versions": "Versions"}
_AUDIT = {"at": "When", "by": "Who", "action": "What", "details": "Of what"}


def datasets(asked: Asked) -> Response:
    """Show the newest version of every data set."""
    rows = [_dataset_row(one) for one in asked.project.datasets()]
    return _tables(
        asked, "Data sets", [("datasets", "Data sets", _DATASET, rows, _to(asked, "datasets"))]
    )


def dataset(asked: Asked) -> Response:
    """Show the versions of a data set, the newest first."""
    name, project = asked.name("name"), asked.name("project")
    versions = asked.project.dataset_versions(name)
    rows = [_dataset_row(one) for one in reversed(versions)]
    above = [("Data sets", link("projects", project, "datasets"))]
    tables: list[Table] = [("versions", "Versions", _VERSION, rows, None)]
    if versions and versions[-1].record.uploaded:
        newest = versions[-1]
        files = [
            {
                "path": one.path,
                "size": one.size,
                "digest": one.digest,
                "_file": file_link(project, one.digest, one.path),
            }
            for one in newest.files()[:_MOST_FILES]
        ]
        tables.append(
            (
                "files",
                f"Files of version {newest.version}",
                _FILE,
                files,
                lambda row: str(row["_file"]),
            )
        )
    return _tables(asked, name, tables, above)


def repositories(asked: Asked) -> Response:
    """Show the repositories of a project."""
    rows = [{"name": name} for name in asked.project.repositories()]
    columns = {"name": "Repository"}
    table = ("repositories", "Repositories", columns, rows, _to(asked, "repositories"))
    return _tables(asked, "Repositories", [table])


def repository(asked: Asked) -> Response:
    """Show the artifacts of a repository, its releases, and what was done to it."""
    name = asked.name("name")
    opened = asked.project.repository(name, "r")
    artifacts = [_artifact_row(one, opened) for one in opened.artifacts()]
    releases = [
        {
            "tag": one.tag,
            "created_at": one.created_at,
            "created_by": one.created_by,
            "versions": dict(one.versions),
        }
        for one in opened.releases()
    ]
    audit = [
        {"at": one.at, "by": one.by, "action": one.action, "details": _done(one.details)}
        for one in reversed(opened.audit())
    ]
    to = _to(asked, "repositories", name)
    tables = [
        ("artifacts", "Artifacts", _ARTIFACT, artifacts, to),
        ("releases", "Releases", _RELEASE, releases, None),
        ("audit", "What was done", _AUDIT, audit, None),
    ]
    above = [("Repositories", link("projects", asked.name("project"), "repositories"))]
    return _tables(asked, name, tables, above)


def artifact(asked: Asked) -> Response:
    """Show the versions of an artifact in a repository, the newest first."""
    name, of = asked.name("artifact"), asked.name("name")
    opened = asked.project.repository(of, "r")
    rows = [_artifact_row(one, opened) for one in reversed(opened.versions(name))]
    here = ("projects", asked.name("project"), "repositories")
    above = [("Repositories", link(*here)), (of, link(*here, of))]
    return _tables(asked, name, [("versions", "Versions", _SAVED, rows, None)], above)


def _done(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was done, of saved versions only names and numbers."""
    told = dict(details)
    saved = told.get("versions")
    if isinstance(saved, list) and all(isinstance(one, Mapping) for one in saved):
        told["versions"] = [f"{one.get('name')} {one.get('version')}" for one in saved]
    return {key: value for key, value in told.items() if value is not None}


Table = tuple[str, str, Mapping[str, str], Sequence[Row], Callable[[Row], str] | None]
"""Its key in the address, its title, its columns, its rows, and where its first column leads."""


def _tables(
    asked: Asked, title: str, tables: Sequence[Table], above: Sequence[tuple[str, str]] = ()
) -> Response:
    """Return a page of tables; each can be had as a file by `table` and `format`."""
    wanted = asked.given("table") or tables[0][0]
    for key, _, columns, rows, _ in tables:
        if key == wanted:
            answer = asked.file(list(columns), lambda rows=rows: rows)  # type: ignore[misc]
            if answer is not None:
                return answer
    grids = []
    for key, heading, columns, rows, to in tables:
        first = next(iter(columns))
        links = {} if to is None else {first: to}
        grids.append((key, grid_of(heading, columns, map(_shown, rows), links=links)))
    trail = [*project_trail(asked.name("project")), *above]
    live = link("projects", asked.name("project"), "live")
    return asked.page("tables.html", title=title, grids=grids, trail=trail, live=live)


def _shown(row: Row) -> Row:
    """Return a row with what is long shortened for the page."""
    found = dict(row)
    for name in ("digest", "commit"):
        if row.get(name):
            leads = row.get("_file") if name == "digest" else None
            found[name] = Cell(str(row[name])[:_DIGITS], leads, title=str(row[name]))
    if "size" in row:
        found["size"] = Cell(shown_bytes(row["size"]), kind="number")
    if row.get("run") and row.get("_run_link"):
        found["run"] = Cell(str(row["run"]), row["_run_link"])
    return found


def _to(asked: Asked, *way: str) -> Callable[[Row], str]:
    project = asked.name("project")
    return lambda row: link("projects", project, *way, row["name"])


def _dataset_row(one: DatasetVersion) -> dict[str, Any]:
    record = one.record
    return {
        "_file": _file(record),
        "name": record.name,
        "version": record.version,
        "kind": record.type or record.kind,
        "size": record.size,
        "digest": record.digest,
        "created_at": record.created_at,
        "created_by": record.created_by,
        "desc": record.desc,
        "location": record.location,
        "source": record.source,
        "partitions": record.partitions,
    }


def _artifact_row(one: ArtifactVersion, repository: Repository) -> dict[str, Any]:
    record = one.record
    project = record.project or repository.session.project
    place = ("projects", project, "experiments", str(record.experiment), "runs", str(record.run))
    is_of_run = record.run is not None and record.experiment is not None
    return {
        "_file": _file(record),
        "name": record.name,
        "version": record.version,
        "aliases": list(one.aliases),
        "kind": record.kind,
        "size": record.size,
        "digest": record.digest,
        "created_at": record.created_at,
        "created_by": record.created_by,
        "run": f"{record.experiment}/{record.run}" if is_of_run else None,
        "_run_link": link(*place) if is_of_run else None,
        "commit": record.commit,
        "handler": record.handler,
        "expires_at": record.expires_at,
    }


def _file(record: VersionRecord) -> str | None:
    """Return where the bytes of a version are, if it is one file."""
    if record.kind != "file" or not record.uploaded or record.digest is None:
        return None
    return file_link(str(record.project), record.digest, record.filename or record.name)


routes = (
    Page("/projects/{project}/datasets", datasets),
    Page("/projects/{project}/datasets/{name}", dataset),
    Page("/projects/{project}/repositories", repositories),
    Page("/projects/{project}/repositories/{name}", repository),
    Page("/projects/{project}/repositories/{name}/{artifact}", artifact),
)
