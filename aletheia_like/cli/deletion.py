"""`aletheia delete` and `restore`, of runs, experiments, and versions of artifacts and data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote
from typing import Any

import click

from aletheia_like.cli import completing
from aletheia_like.cli.asking import confirm, yes_option
from aletheia_like.cli.naming import named
from aletheia_like.cli.output import counted, print_json, say, store_options
from aletheia_like.cli.shelves import shelf_options, where_is
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore import deleting
from aletheia_like.metastore.experiment import Experiment
from aletheia_like.metastore.repository import Repository


@click.command()
@click.argument("name", metavar="RUN|EXPERIMENT", shell_complete=completing.runs_or_experiments)
@click.option("--force", is_flag=True, help="Delete it even if it, or a run of it, is running.")
@click.option("--forever", is_flag=True, help="Delete its documents now: no restoring.")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted.")
@yes_option
@store_options
def delete(
    name: str,
    *,
    force: bool,
    forever: bool,
    dry_run: bool,
    yes: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Delete a run, or an experiment with all it holds.

    `aletheia restore` brings it back.

    `aletheia gc` deletes it for ever after 30 days, and then the bytes that nothing else refers
    to. A number of a run is not used again.

    Examples: aletheia delete sweep/1; aletheia delete -p penguins sweep
    """
    which = named(name, project)
    with Metastore(which.project, url=url, git="off") as ms:
        if which.run is None:
            plan = _of_experiment(ms, which.experiment, force=force, forever=forever)
        else:
            plan = _of_run(ms, which.experiment, which.run, force=force, forever=forever)
        if not dry_run:
            confirm(f"Delete the {plan.told}{' for ever' if forever else ''}?", yes=yes)
            plan.act()
    if as_json:
        print_json({**plan.facts, "forever": forever, "dry_run": dry_run})
    else:
        say(f"{'would delete' if dry_run else 'deleted'} the {plan.told}")
        if not (dry_run or forever):
            say(f"aletheia restore {quote(name)} brings it back")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be deleted, in words and as facts."""

    told: str
    facts: dict[str, Any]
    act: Callable[[], None]


def _of_run(ms: Metastore, experiment: str, id_: str, *, force: bool, forever: bool) -> _Plan:
    session = ms.session
    opened = ms.experiment(experiment)
    plan = deleting.plan_deletion(session, opened, id_, force=force, forever=forever)
    return _Plan(
        f"{plan.status} run {experiment}/{id_} with {counted(plan.rows, 'row')}",
        {
            "run": plan.run_path,
            "status": plan.status,
            "rows": plan.rows,
            "documents": len(plan.chunks) + 1,
        },
        lambda: deleting.carry_out(session, plan),
    )


def _of_experiment(ms: Metastore, name: str, *, force: bool, forever: bool) -> _Plan:
    session = ms.session
    plan = deleting.plan_experiment_deletion(session, name, force=force, forever=forever)
    return _Plan(
        f"experiment {name} with {counted(plan.runs, 'run')}",
        {"experiment": plan.path, "runs": plan.runs, "running": list(plan.running)},
        lambda: deleting.carry_out_experiment(session, plan),
    )


@click.command()
@click.argument("name", metavar="RUN|EXPERIMENT", shell_complete=completing.runs_or_experiments)
@click.option("--dry-run", is_flag=True, help="Say whether it would be restored.")
@store_options
def restore(
    name: str, *, dry_run: bool, project: str | None, url: str | None, as_json: bool
) -> None:
    """Bring back a run or an experiment that was deleted, as it was.

    Example: aletheia restore sweep/1
    """
    which = named(name, project)
    with Metastore(which.project, url=url, git="off") as ms:
        if which.run is None:
            found = {one.name: one.record for one in ms.experiments(debug=True, deleted=True)}
            known = found.get(which.experiment)
            is_deleted = known is not None and known.deleted_at is not None
            if not dry_run or known is None:
                is_deleted = ms.restore_experiment(which.experiment)
        else:
            experiment = _opened(ms, which.experiment)
            is_deleted = experiment.run(which.run, deleted=True).record.deleted_at is not None
            if not dry_run:
                is_deleted = experiment.restore_run(which.run)
    _tell_restored(name, is_deleted=is_deleted, dry_run=dry_run, as_json=as_json)


def _tell_restored(what: str, *, is_deleted: bool, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({"restored": is_deleted, "dry_run": dry_run})
    elif not is_deleted:
        say(f"{what} was not deleted")
    else:
        say(f"{'would restore' if dry_run else 'restored'} {what}")


_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be deleted.")
_version = click.option("--version", type=click.IntRange(min=0), required=True, help="Which one.")


@click.command("delete")
@click.argument("name", shell_complete=completing.artifacts)
@_version
@_dry_run
@yes_option
@shelf_options
@store_options
def delete_artifact(
    name: str,
    *,
    version: int,
    dry_run: bool,
    yes: bool,
    repo: str | None,
    experiment: str | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Delete a version of an artifact; `aletheia artifact restore` brings it back.

    Example: aletheia artifact delete features --version 3 --repo models
    """
    with Metastore(project, url=url, git="off") as ms:
        shelf = _shelf(ms, repo, experiment, name)
        shelf.delete_artifact(name, version, dry_run=True)
        if not dry_run:
            confirm(f"Delete {name}@{version}?", yes=yes)
            shelf.delete_artifact(name, version)
    _tell_deleted(name, version, dry_run=dry_run, as_json=as_json)
    if not (dry_run or as_json):
        where = f"--repo {quote(repo)}" if repo else f"--experiment {quote(str(experiment))}"
        back = f"aletheia artifact restore {quote(name)} --version {version} {where}"
        say(f"{back} brings it back")


@click.command("restore")
@click.argument("name", shell_complete=completing.artifacts)
@_version
@shelf_options
@store_options
def restore_artifact(
    name: str,
    *,
    version: int,
    repo: str | None,
    experiment: str | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Bring back a version of an artifact that was deleted.

    Example: aletheia artifact restore features --version 3 --repo models
    """
    with Metastore(project, url=url, git="off") as ms:
        restored = _shelf(ms, repo, experiment, name).restore_artifact(name, version)
    what = f"{name}@{version}"
    _tell_restored(what, is_deleted=restored, dry_run=False, as_json=as_json)


def _opened(ms: Metastore, name: str) -> Experiment:
    """Open an experiment that is there, to change it."""
    ms.experiment(name)
    return ms.exper(name)


def _shelf(
    ms: Metastore, repo: str | None, experiment: str | None, name: str
) -> Repository | Experiment:
    if repo is not None and experiment is not None:
        message = "give --repo or --experiment, not both"
        raise InvalidValueError(message)
    if repo is not None:
        return ms.repository(repo)
    if experiment is None:
        raise InvalidValueError(where_is(name))
    return _opened(ms, experiment)


@click.command("delete")
@click.argument("name", shell_complete=completing.datasets)
@_version
@_dry_run
@yes_option
@store_options
def delete_dataset(
    name: str,
    *,
    version: int,
    dry_run: bool,
    yes: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Delete a version of a data set; `aletheia data restore` brings it back.

    Example: aletheia data delete mnist --version 0
    """
    with Metastore(project, url=url, git="off") as ms:
        ms.get_dataset(name, version)
        if not dry_run:
            confirm(f"Delete {name}@{version}?", yes=yes)
            ms.delete_dataset(name, version)
    _tell_deleted(name, version, dry_run=dry_run, as_json=as_json)


@click.command("restore")
@click.argument("name", shell_complete=completing.datasets)
@_version
@store_options
def restore_dataset(
    name: str, *, version: int, project: str | None, url: str | None, as_json: bool
) -> None:
    """Bring back a version of a data set that was deleted.

    Example: aletheia data restore mnist --version 0
    """
    with Metastore(project, url=url, git="off") as ms:
        restored = ms.restore_dataset(name, version)
    what = f"{name}@{version}"
    _tell_restored(what, is_deleted=restored, dry_run=False, as_json=as_json)


def _tell_deleted(name: str, version: int, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "version": version, "dry_run": dry_run})
    else:
        say(f"{'would delete' if dry_run else 'deleted'} {name}@{version}")
