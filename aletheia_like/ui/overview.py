"""The first pages: projects, and the experiments of one."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from aletheia_like.errors import NotFoundError
from aletheia_like.ui.asking import Asked, Page
from aletheia_like.ui.links import link
from aletheia_like.ui.tables import grid_of

_PROJECT = {"name": "Project", "created_at": "Created", "created_by": "By"}
_EXPERIMENT = {
    "name": "Experiment",
    "runs": "Runs",
    "created_at": "Created",
    "tags": "Tags",
    "desc": "Description",
}


def start(asked: Asked) -> Response:
    """Lead to the projects, or to the runs as a view shows them, if there is one."""
    return RedirectResponse("/view" if "view" in asked.site.extra else "/projects", 303)


def projects(asked: Asked) -> Response:
    """Show every project of the store."""
    records = asked.site.metastore.projects()
    rows = [{name: getattr(one, name) for name in _PROJECT} for one in records]
    answer = asked.file(list(_PROJECT), lambda: rows)
    if answer is not None:
        return answer
    grid = grid_of(
        "Projects",
        _PROJECT,
        rows,
        links={"name": lambda row: link("projects", row["name"])},
        empty="No projects yet: `aletheia demo` records some runs.",
    )
    return asked.page("overview.html", title="Projects", grid=grid, trail=[], live=None)


def project(asked: Asked) -> Response:
    """Show the experiments of a project."""
    name = asked.name("project")
    debug = bool(asked.given("debug"))
    ms = asked.project
    found = ms.experiments(debug=debug)
    if not found and ms.session.documents.get(ms.session.project_path) is None:
        message = f"no project {name!r} in this store"
        raise NotFoundError(message)
    rows = [
        {
            "name": one.name,
            "runs": one.record.next_run_number - 1,
            "created_at": one.record.created_at,
            "tags": list(one.tags),
            "desc": one.desc,
        }
        for one in found
    ]
    answer = asked.file(list(_EXPERIMENT), lambda: rows)
    if answer is not None:
        return answer
    grid = grid_of(
        f"Experiments of {name}",
        _EXPERIMENT,
        rows,
        links={"name": lambda row: link("projects", name, "experiments", row["name"])},
        empty="No experiments yet.",
    )
    return asked.page(
        "project.html",
        title=name,
        grid=grid,
        debug=debug,
        trail=project_trail(),
        live=link("projects", name, "live"),
    )


def project_trail(*names: str) -> list[tuple[str, str]]:
    """Return titles and addresses of the pages above one below a project, an experiment, a run.

    Args:
        *names: Of the project, the experiment and the run that it is below of.
    """
    trail = [("Projects", link("projects"))]
    words = ("projects", "experiments", "runs")
    way: list[str] = []
    for word, name in zip(words, names, strict=False):
        way += [word, name]
        trail.append((name, link(*way)))
    return trail


routes = (
    Page("/", start),
    Page("/projects", projects),
    Page("/projects/{project}", project),
)
