"""`aletheia ls` and `aletheia show`: from projects to one run."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from aletheia_like.cli.output import (
    print_fields,
    print_json,
    print_table,
    say,
    shown_bytes,
    shown_seconds,
    store_options,
)
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError, SettingsError
from aletheia_like.metastore.run import Run
from aletheia_like.metastore.tables import run_row
from aletheia_like.model.names import split_reference
from aletheia_like.settings import load_settings

_METRICS_SHOWN = 4


@click.command()
@click.argument("name", required=False)
@click.option("--debug", is_flag=True, help="Show experiments and runs for trials too.")
@click.option("--order-by", help="A column such as metrics.acc; -metrics.acc, greatest first.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many runs.")
@store_options
def ls(
    name: str | None,
    *,
    debug: bool,
    order_by: str | None,
    limit: int | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """List projects, the experiments of a project, or the runs of an experiment.

    Examples: aletheia ls; aletheia ls -p penguins; aletheia ls "penguins/which species"
    """
    given = project or configured_project()
    parts = [] if name is None else split_reference(name)
    if not parts and given is None:
        _list_projects(url, as_json=as_json)
    elif not parts or (len(parts) == 1 and project is None and given is None):
        _list_experiments(parts[0] if parts else str(given), url, debug=debug, as_json=as_json)
    else:
        chosen, experiment = project_and_rest(parts, given, 1)
        _list_runs(chosen, experiment[0], url, (order_by, limit), debug=debug, as_json=as_json)


@click.command()
@click.argument("run")
@store_options
def show(run: str, *, project: str | None, url: str | None, as_json: bool) -> None:
    """Show one run: parameters, metrics, artifacts, data sets, code and environment.

    Example: aletheia show "penguins/which species/1"
    """
    given = project or configured_project()
    chosen, (experiment, run_id) = project_and_rest(split_reference(run), given, 2)
    with Metastore(chosen, url=url, git="off") as ms:
        opened = ms.experiment(experiment).run(run_id)
        if as_json:
            record = dataclasses.asdict(opened.record)
            print_json(record | {"status": opened.status, "hyper_params": opened.hyper_params})
        else:
            print_fields(_run_fields(opened), repr(opened).strip("<>"))


def configured_project() -> str | None:
    """Return the project that the settings name, if they name one."""
    try:
        return load_settings().project
    except SettingsError as error:
        if "no project is named" in str(error):
            return None
        raise


def project_and_rest(parts: list[str], given: str | None, wanted: int) -> tuple[str, list[str]]:
    """Return the project and the other names of a reference."""
    if len(parts) == wanted + 1:
        return parts[0], parts[1:]
    if len(parts) == wanted and given is not None:
        return given, parts
    forms = {1: "EXPERIMENT or PROJECT/EXPERIMENT", 2: "EXPERIMENT/RUN or PROJECT/EXPERIMENT/RUN"}
    message = f"{'/'.join(parts)!r}: name it as {forms[wanted]}, the project may be given by -p"
    raise InvalidValueError(message)


def _list_projects(url: str | None, *, as_json: bool) -> None:
    with Metastore("unnamed", url=url, git="off") as ms:
        rows = [dataclasses.asdict(record) for record in ms.projects()]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(rows, {"name": "project", "created_at": "created", "created_by": "by"})
    else:
        say("no projects yet: `aletheia demo` records some runs")


def _list_experiments(project: str, url: str | None, *, debug: bool, as_json: bool) -> None:
    with Metastore(project, url=url, git="off") as ms:
        found = ms.experiments(debug=debug)
        rows = [
            {**dataclasses.asdict(one.record), "runs": one.record.next_run_number - 1}
            for one in found
        ]
    if as_json:
        print_json(rows)
    elif rows:
        columns = {"name": "experiment", "runs": "runs", "created_at": "created"}
        print_table(rows, columns | {"tags": "tags", "desc": "description"})
    else:
        say(f"no experiments in project {project!r} yet")


def _list_runs(
    project: str,
    experiment: str,
    url: str | None,
    selection: tuple[str | None, int | None],
    *,
    debug: bool,
    as_json: bool,
) -> None:
    order_by, limit = selection
    with Metastore(project, url=url, git="off") as ms:
        opened = ms.experiment(experiment)
        found = opened.runs(order_by=order_by, limit=limit, debug=debug or None)
    if as_json:
        print_json([run_row(record) for record in found])
        return
    if not len(found):
        say(f"no runs in experiment {experiment!r} yet")
        return
    rows = [
        {
            **run_row(record),
            "took": shown_seconds(run_row(record)["seconds"]),
            "commit": (run_row(record)["commit"] or "")[:8],
        }
        for record in found
    ]
    metrics = [name for name in found.columns if name.startswith("metrics.")][:_METRICS_SHOWN]
    columns = {"id": "run", "name": "name", "status": "status"}
    columns |= {"fold": "fold"} if any(row["fold"] is not None for row in rows) else {}
    columns |= {name: name.removeprefix("metrics.") for name in metrics}
    print_table(rows, columns | {"took": "took", "started_at": "started", "commit": "commit"})


def _run_fields(run: Run) -> dict[str, Any]:
    record = run.record
    duration = record.duration
    git, environment = record.git, record.environment
    return {
        "name": record.name,
        "description": run.desc,
        "tags": run.tags,
        "fold": record.fold,
        "model": dataclasses.asdict(record.model) if record.model else None,
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
            "commit": f"{git.commit}{' with changes' if git.dirty else ''}",
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
            "packages": environment.packages,
        }
        if environment
        else None,
        "fields": dict(record.extra),
        "where": run.url,
    }
