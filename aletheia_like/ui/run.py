"""One run: what went in, what came out, and where it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.responses import Response

from aletheia_like.errors import AletheiaError
from aletheia_like.metastore.artifacts import ArtifactVersion
from aletheia_like.metastore.run import Run
from aletheia_like.metastore.runcolumns import run_row
from aletheia_like.model import paths
from aletheia_like.model.codec import version_record
from aletheia_like.model.parameters import flattened
from aletheia_like.model.quantities import shown_bytes
from aletheia_like.model.records import ArtifactUse, FileRecord
from aletheia_like.ui.asking import Asked, Page
from aletheia_like.ui.contents import file_link, kind_of, preview_link
from aletheia_like.ui.links import link
from aletheia_like.ui.overview import project_trail
from aletheia_like.ui.tables import Grid, grid_of

_TAIL = 8_000
_MOST_FILES = 200
_PREVIEW_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A file as a page shows it.

    Attributes:
        name: What it is called; of a directory's file the way to it.
        kind: How it is shown; `other` if it is too large for that.
        link: Where its bytes are; empty if they are not in the store.
        preview: Where a part of a page is that shows how it begins.
        size: Bytes, for people.
    """

    name: str
    kind: str
    link: str
    preview: str
    size: str


@dataclass(frozen=True, slots=True)
class ShownArtifact:
    """An artifact as a page shows it.

    Attributes:
        use: What the run's document says of it.
        files: What is in it.
        problem: Why it has none.
        size: Bytes, for people.
    """

    use: ArtifactUse
    files: Sequence[ShownFile]
    problem: str
    size: str


def run_page(asked: Asked) -> Response:
    """Show a run."""
    run = asked.run
    record = run.record
    if asked.given("format"):
        return asked.json(record)
    project, experiment = asked.name("project"), asked.name("experiment")
    here = ("projects", project, "experiments", experiment, "runs", run.id)
    numeric = sorted(name for name in run.summary if name != "step")
    return asked.page(
        "run.html",
        title=f"{experiment}/{run.id}",
        run=run,
        record=record,
        duration=run_row(record)["seconds"],
        parameters=_values("Parameters", run.hyper_params),
        metrics=_values("Metrics", run.metrics),
        summary=_summary(run.summary),
        fields=_values("Fields", dict(record.extra)),
        numeric=numeric,
        console=_console(run),
        artifacts=list(_artifacts(run, project)),
        here=partial(link, *here),
        sibling=partial(link, *here[:-1]),
        curves=link(*here, "curves"),
        trail=project_trail(project, experiment),
        live=link(*here, "live"),
    )


def lineage(asked: Asked) -> Response:
    """Show what a run came from, and what came of it."""
    run = asked.run
    node = run.lineage()
    if asked.given("format"):
        return asked.json(node.to_dict())
    return asked.page(
        "lineage.html",
        title=f"Lineage of {asked.name('experiment')}/{run.id}",
        node=node,
        trail=project_trail(asked.name("project"), asked.name("experiment"), run.id),
        live=None,
    )


def shown_file(project: str, name: str, digest: str | None, size: int | None) -> ShownFile:
    """Return a file as a page shows it."""
    if digest is None:
        return ShownFile(name, "other", "", "", shown_bytes(size))
    is_small = (size or 0) <= _PREVIEW_BYTES
    kind = kind_of(name)
    return ShownFile(
        name,
        kind if is_small or kind in ("audio", "video") else "other",
        file_link(project, digest, name),
        preview_link(project, digest, name),
        shown_bytes(size),
    )


def _values(caption: str, values: Mapping[Any, Any]) -> Grid:
    flat = flattened({str(key): value for key, value in values.items()}, "")
    rows = [{"name": name, "value": value} for name, value in flat.items()]
    return grid_of(caption, {"name": "Name", "value": "Value"}, rows, empty="None.")


def _summary(summary: Mapping[str, Any]) -> Grid:
    rows = [{"name": name, **told} for name, told in summary.items() if isinstance(told, Mapping)]
    columns = {"name": "Column", "last": "Last", "min": "Least", "max": "Greatest", "step": "Step"}
    return grid_of("Summary of columns", columns, rows, empty="No numbers were logged.")


def _console(run: Run) -> str:
    console = run.console or {}
    tail = console.get("tail")
    return str(tail)[-_TAIL:] if tail else ""


def _artifacts(run: Run, project: str) -> Iterator[ShownArtifact]:
    uses = list(run.record.artifacts.values())
    owners = [paths.artifact(run.experiment.path, use.name) for use in uses]
    versions = [paths.version(owner, use.version) for owner, use in zip(owners, uses, strict=True)]
    documents = run.session.documents.get_many(versions) if versions else []
    for use, document in zip(uses, documents, strict=True):
        files: list[FileRecord] = []
        problem = "" if document is not None else "This version was deleted for ever."
        if document is not None:
            record = version_record(document.path, document.fields)
            try:
                files = ArtifactVersion(run.session, record).files()
            except AletheiaError as error:
                problem = str(error)
        shown = [shown_file(project, one.path, one.digest, one.size) for one in files]
        left_out = len(shown) - _MOST_FILES
        if left_out > 0:
            problem = f"{left_out:,} more files are not shown."
        yield ShownArtifact(use, shown[:_MOST_FILES], problem, shown_bytes(use.size))


_PATH = "/projects/{project}/experiments/{experiment}/runs/{run}"

routes = (
    Page(_PATH, run_page),
    Page(f"{_PATH}/lineage", lineage),
)
