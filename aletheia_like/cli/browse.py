"""`aletheia ls` and `aletheia show`: from projects to one run."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from typing import Any

import click

from aletheia_like.cli import completing
from aletheia_like.cli.lineage import print_lineage
from aletheia_like.cli.output import print_fields, print_json, print_table, say, store_options
from aletheia_like.connect import Metastore
from aletheia_like.errors import (
    InvalidValueError,
    NotFoundError,
    SettingsError,
    UnavailableError,
)
from aletheia_like.metastore.run import Run
from aletheia_like.metastore.runcolumns import run_row
from aletheia_like.metastore.session import Session
from aletheia_like.model.names import split_reference
from aletheia_like.model.quantities import shown_bytes, shown_seconds
from aletheia_like.model.records import RunRecord
from aletheia_like.settings import EmbeddedUrl, FirestoreUrl, load_settings, parse_url

UNNAMED = "unnamed"
"""Stands for a project where none is needed."""

_METRICS_SHOWN = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs are to be listed.

    Attributes:
        where: A condition.
        order_by: A column, perhaps with `-` before it.
        limit: At most so many.
        debug: Show those for trials too.
        deleted: Show what can be restored, too.
    """

    where: str | None
    order_by: str | None
    limit: int | None
    debug: bool
    deleted: bool

    @property
    def names_runs(self) -> bool:
        """Whether it is about runs, not about experiments."""
        return any(one is not None for one in (self.where, self.order_by, self.limit))


@click.command(short_help="List projects, experiments or runs.")
@click.argument("name", required=False, shell_complete=completing.experiments)
@click.option("--debug", is_flag=True, help="Show experiments and runs for trials too.")
@click.option("--deleted", is_flag=True, help="Show what can be restored, too.")
@click.option("--where", help='Only runs for which this holds, such as "metrics.acc > 0.9".')
@click.option("--order-by", help="A column such as metrics.acc; -metrics.acc, greatest first.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many runs.")
@store_options
def ls(
    name: str | None,
    *,
    debug: bool,
    deleted: bool,
    where: str | None,
    order_by: str | None,
    limit: int | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """List projects, the experiments of a project, or the runs of an experiment.

    With --where or --limit, the runs of all experiments of a project.

    Examples: aletheia ls; aletheia ls -p penguins; aletheia ls "penguins/which species";
    aletheia ls "penguins/which species" --where "metrics.acc > 0.9 and tags contains 'base'"
    """
    given = project or configured_project()
    parts = [] if name is None else split_reference(name)
    wanted = Wanted(where, order_by, limit, debug, deleted)
    if not parts and given is None:
        if wanted.names_runs:
            message = "--where, --order-by and --limit are about runs: name a project by -p"
            raise InvalidValueError(message)
        _list_projects(url, as_json=as_json)
    elif not parts or (len(parts) == 1 and project is None and given is None):
        is_named = bool(parts) or project is not None
        chosen = parts[0] if parts else str(given)
        if wanted.names_runs:
            _list_runs(chosen, None, url, wanted, as_json=as_json)
        else:
            _list_experiments(chosen, url, wanted, as_json=as_json, must_exist=is_named)
    else:
        chosen, experiment = project_and_rest(parts, project, 1)
        _list_runs(chosen, experiment[0], url, wanted, as_json=as_json)


@click.command(short_help="Show one run, with all that is known of it.")
@click.argument("run", shell_complete=completing.runs)
@click.option("--lineage", is_flag=True, help="Draw what it came from, and what came of it.")
@store_options
def show(run: str, *, lineage: bool, project: str | None, url: str | None, as_json: bool) -> None:
    """Show one run: parameters, metrics, artifacts, data sets, code and environment.

    With --lineage: its data sets and their sources, its artifacts, and their versions in
    repositories.

    Example: aletheia show "penguins/which species/1"
    """
    chosen, (experiment, run_id) = project_and_rest(split_reference(run), project, 2)
    with Metastore(chosen, url=url, git="off") as ms:
        opened = ms.experiment(experiment).run(run_id)
        if lineage:
            found = opened.lineage()
            print_json(found.to_dict()) if as_json else print_lineage(found)
        elif as_json:
            record = dataclasses.asdict(opened.record)
            print_json(record | {"status": opened.status, "hyper_params": opened.hyper_params})
        else:
            print_fields(_run_fields(ms.session, opened), repr(opened).strip("<>"))


def configured_project() -> str | None:
    """Return the project that the settings name, if they name one."""
    try:
        return load_settings().project
    except SettingsError as error:
        if "no project is named" in str(error):
            return None
        raise


def project_and_rest(parts: list[str], apart: str | None, wanted: int) -> tuple[str, list[str]]:
    """Return the project and the other names of a reference.

    Args:
        parts: What was named.
        apart: The project, if it was given apart.
        wanted: How many names there are beside the project's.

    Raises:
        InvalidValueError: There are more or less, no project, or another than the one apart.
    """
    if len(parts) == wanted + 1:
        check_one_project(parts, apart)
        return parts[0], parts[1:]
    given = apart or configured_project()
    if len(parts) == wanted and given is not None:
        return given, parts
    if len(parts) == wanted:
        raise InvalidValueError(no_project("/".join(parts)))
    forms = {1: "EXPERIMENT or PROJECT/EXPERIMENT", 2: "EXPERIMENT/RUN or PROJECT/EXPERIMENT/RUN"}
    message = f"{'/'.join(parts)!r}: name it as {forms[wanted]}, the project may be given by -p"
    raise InvalidValueError(message)


def check_one_project(parts: list[str], apart: str | None) -> None:
    """Refuse a name that starts with another project than the one that was given apart.

    Raises:
        InvalidValueError: It does.
    """
    if apart and parts[0] != apart:
        message = (
            f"{'/'.join(parts)!r} names project {parts[0]!r}, -p says {apart!r}: leave one out; "
            "a slash inside a name is written \\/"
        )
        raise InvalidValueError(message)


def no_project(name: str) -> str:
    """Return what to tell somebody who named something, but not its project."""
    return (
        f"no project is named: write PROJECT/{name}, give -p PROJECT, or set ALETHEIA_PROJECT "
        "or project = 'name' in aletheia.toml"
    )


def open_without_project(project: str | None, url: str | None) -> Metastore:
    """Open a store whatever the project, if its address does not depend on that.

    Raises:
        SettingsError: The Google Cloud project is called like the project, and none is named.
    """
    if project is None and configured_project() is None:
        settings = load_settings(project=UNNAMED, url=url)
        place = parse_url(settings.url)
        if isinstance(place, FirestoreUrl) and place.project == UNNAMED:
            message = (
                f"{settings.origin('url')}, but no Google Cloud project is named: set "
                "GOOGLE_CLOUD_PROJECT, give --url firestore://GCP-PROJECT, or name a project by -p"
            )
            raise SettingsError(message)
    return Metastore(project or configured_project() or UNNAMED, url=url, git="off")


def check_folder(ms: Metastore) -> None:
    """Make sure that a store in which nothing was found is empty, not out of reach.

    Raises:
        UnavailableError: Its folder cannot be read, or is not there and cannot be made.
    """
    place = parse_url(ms.url)
    if not isinstance(place, EmbeddedUrl):
        return
    folder = place.path
    try:
        if folder.exists():
            next(folder.iterdir(), None)
            return
        parent = next(one for one in folder.parents if one.exists())
        with tempfile.TemporaryDirectory(dir=parent):
            return
    except OSError as error:
        message = f"{ms.url} cannot be read or made: {error.strerror}: {error.filename}"
        raise UnavailableError(message) from error


def _list_projects(url: str | None, *, as_json: bool) -> None:
    with open_without_project(None, url) as ms:
        rows = [dataclasses.asdict(record) for record in ms.projects()]
        if not rows:
            check_folder(ms)
    if as_json:
        print_json(rows)
    elif rows:
        print_table(rows, {"name": "project", "created_at": "created", "created_by": "by"})
    else:
        say("no projects yet: `aletheia demo` records some runs")


def check_project(ms: Metastore) -> None:
    """Refuse a project in which nothing was recorded.

    Raises:
        NotFoundError: There is no such project.
        UnavailableError: The store is out of reach.
    """
    check_folder(ms)
    if ms.session.documents.get(ms.session.project_path) is None:
        known = ", ".join(repr(one.name) for one in ms.projects())
        message = f"no project {ms.project!r} in {ms.url}: there are {known or 'none yet'}"
        raise NotFoundError(message)


def _list_experiments(
    project: str, url: str | None, wanted: Wanted, *, as_json: bool, must_exist: bool
) -> None:
    with Metastore(project, url=url, git="off") as ms:
        found = ms.experiments(debug=wanted.debug, deleted=wanted.deleted)
        if must_exist and not found:
            check_project(ms)
        rows = [
            {**dataclasses.asdict(one.record), "runs": one.record.next_run_number - 1}
            for one in found
        ]
    if as_json:
        print_json(rows)
    elif rows:
        columns = {"name": "experiment", "runs": "runs", "created_at": "created"}
        if wanted.deleted:
            columns["deleted_at"] = "deleted"
        print_table(rows, columns | {"tags": "tags", "desc": "description"})
    else:
        say(f"no experiments in project {project!r} yet")


def _list_runs(
    project: str, experiment: str | None, url: str | None, wanted: Wanted, *, as_json: bool
) -> None:
    with Metastore(project, url=url, git="off") as ms:
        chosen = wanted.where, wanted.order_by, wanted.limit
        if experiment is None:
            found = ms.runs(*chosen, debug=wanted.debug, deleted=wanted.deleted)
            if not len(found):
                check_project(ms)
        else:
            debug = wanted.debug or None
            opened = ms.experiment(experiment)
            found = opened.runs(*chosen, debug=debug, deleted=wanted.deleted)
    if as_json:
        print_json([run_row(record) for record in found])
        return
    if not len(found):
        place = f"project {project!r}" if experiment is None else f"experiment {experiment!r}"
        such = "such runs" if wanted.where else "runs"
        say(f"no {such} in {place}{'' if wanted.where else ' yet'}")
        return
    rows = [_shown_row(record) for record in found]
    metrics = [name for name in found.columns if name.startswith("metrics.")][:_METRICS_SHOWN]
    columns = {"experiment": "experiment"} if experiment is None else {}
    columns |= {"id": "run", "name": "name", "status": "status"}
    columns |= {"fold": "fold"} if any(row["fold"] is not None for row in rows) else {}
    columns |= {name: name.removeprefix("metrics.") for name in metrics}
    columns |= {"deleted_at": "deleted"} if "deleted_at" in found.columns else {}
    print_table(rows, columns | {"took": "took", "started_at": "started", "commit": "commit"})


def _shown_row(record: RunRecord) -> dict[str, Any]:
    row = run_row(record)
    return {**row, "took": shown_seconds(row["seconds"]), "commit": (row["commit"] or "")[:8]}


def _packages(session: Session, digest: str | None) -> str | None:
    """Return how many packages were installed, if that is known here, and how to see them."""
    if digest is None:
        return None
    how = f"`aletheia get {digest[:12]} packages.json` has them"
    local = session.cache.path(digest)
    if local is None and session.blobs_url.startswith("file:"):
        local = session.cache.fetch(digest)
    return how if local is None else f"{len(json.loads(local.read_bytes()))}, {how}"


def _run_fields(session: Session, run: Run) -> dict[str, Any]:
    record = run.record
    duration = record.duration
    git, environment = record.git, record.environment
    packages = _packages(session, environment.packages) if environment else None
    return {
        "name": record.name,
        "description": run.desc,
        "tags": run.tags,
        "fold": record.fold,
        "model": dataclasses.asdict(record.model) if record.model else None,
        "does again": record.reproduces,
        "started": record.started_at,
        "ended": record.ended_at,
        "took": shown_seconds(duration.total_seconds() if duration else None),
        "error": f"{run.error.type}: {run.error.message}" if run.error else None,
        "metrics": dict(record.metrics),
        "hyper parameters": run.hyper_params,
        "data sets": {
            name: f"version {use.version}, {use.digest[:12]}"
            for name, use in record.datasets.items()
        },
        "artifacts": {
            name: f"version {use.version}, {shown_bytes(use.size)}, {(use.digest or '')[:12]}"
            for name, use in record.artifacts.items()
        },
        "code": {
            "commit": f"{git.commit or 'none yet,'}{' with changes' if git.dirty else ''}",
            "branch": git.branch,
            "remote": git.remote,
            "changed files": git.files,
            "snapshot": git.snapshot,
        }
        if git
        else None,
        "environment": {
            "command": " ".join(environment.command),
            "host": f"{environment.user}@{environment.host}",
            "python": environment.python,
            "system": environment.os,
            "processor": f"{environment.cpu_count} x {environment.cpu}",
            "memory": shown_bytes(environment.memory),
            "graphics": environment.gpus,
            "packages": packages,
        }
        if environment
        else None,
        "fields": dict(record.extra),
        "where": run.url,
    }
