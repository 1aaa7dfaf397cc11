"""What a project holds and what recording it costs: counted, and estimated from how it is kept."""

from __future__ import annotations

import dataclasses
from typing import Any

from starlette.responses import Response

from aletheia_like.metastore.costing import SAMPLE, Recorded, experiment_recorded, project_recorded
from aletheia_like.model.quantities import shown_bytes, shown_seconds
from aletheia_like.ports.usage import Prices
from aletheia_like.ui.asking import Asked, Page
from aletheia_like.ui.links import link
from aletheia_like.ui.overview import project_trail
from aletheia_like.ui.tables import Cell, grid_of

_COLUMNS = {
    "name": "Experiment", "runs": "Runs", "rows": "Rows", "row_bytes": "Bytes of rows",
    "documents": "Documents", "files": "Files", "blob_bytes": "Bytes of files",
    "seconds": "Time", "reads": "Reads", "writes": "Writes", "usd": "US dollars",
}  # fmt: skip


def cost(asked: Asked) -> Response:
    """Show what a project holds; only when asked, since that reads every run."""
    name, project = asked.name("project"), asked.project
    rows: list[dict[str, Any]] = []
    is_asked = bool(asked.given("read") or asked.given("format"))
    before = project.usage.document_reads
    if is_asked:
        parts = {
            one.name: experiment_recorded(project.session, one.path, sample=SAMPLE)
            for one in project.experiments(debug=True)
        }
        rows = [_row(title, part) for title, part in parts.items()]
        rows.append(_row("together, with data sets", project_recorded(project.session)))
    answer = asked.file(list(_COLUMNS), lambda: rows)
    if answer is not None:
        return answer
    return asked.page(
        "cost.html",
        title="Storage and cost",
        is_asked=is_asked,
        grid=grid_of("Storage and estimated cost", _COLUMNS, map(_shown, rows)),
        prices=Prices().as_of,
        sample=SAMPLE,
        reads=project.usage.document_reads - before,
        trail=project_trail(name),
        live=link("projects", name, "live"),
    )


def _row(name: str, known: Recorded) -> dict[str, Any]:
    usage = known.estimate()
    return {
        **dataclasses.asdict(known),
        "name": name,
        "documents": known.documents,
        "files": known.files + known.blobs,
        "reads": usage.document_reads,
        "writes": usage.document_writes,
        "usd": usage.estimate(),
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    counts = ("runs", "rows", "documents", "files", "reads", "writes")
    return {
        "name": row["name"],
        **{name: Cell(f"{row[name]:,}", kind="number") for name in counts},
        "row_bytes": Cell(shown_bytes(row["row_bytes"]), kind="number"),
        "blob_bytes": Cell(shown_bytes(row["blob_bytes"]), kind="number"),
        "seconds": Cell(shown_seconds(row["seconds"]), kind="number"),
        "usd": Cell(f"{row['usd']:.6f}", kind="number"),
    }


routes = (Page("/projects/{project}/cost", cost),)
