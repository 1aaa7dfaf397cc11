"""`aletheia export`, `import`, `push`, `pull`, `copy`: projects move between stores and files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from aletheia_like.cli.output import counted, print_json, say, store_options
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.model.quantities import shown_bytes
from aletheia_like.settings import parse_url
from aletheia_like.transfer.exporting import FORMATS
from aletheia_like.transfer.importing import FOREIGN
from aletheia_like.transfer.report import ImportReport, Tally

F = TypeVar("F", bound=Callable[..., Any])

_RENAME = click.option(
    "--rename", is_flag=True, help="Give new names to what has another's name there."
)
_FORMAT = click.option(
    "--format", "format_", type=click.Choice(FORMATS), help="Whatever the suffix says."
)


def _choosing(command: F) -> F:
    """Add the options that choose experiments and runs."""
    runs = click.option(
        "--run", "runs", multiple=True, help="Only this EXPERIMENT/RUN; repeat it."
    )
    experiments = click.option(
        "--experiment", "experiments", multiple=True, help="Only this experiment; repeat it."
    )
    return experiments(runs(command))


@click.command()
@click.argument("path")
@_choosing
@_FORMAT
@store_options
def export(
    path: str,
    *,
    experiments: tuple[str, ...],
    runs: tuple[str, ...],
    format_: str | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Write a project into files that other programs read.

    NAME.parquet is a folder of tables, NAME.sqlite or NAME.db one file with the table `events`,
    NAME.jsonl a folder to which a later export only adds, so that Git keeps it well.

    Example: aletheia export results.db
    """
    with Metastore(project, url=url) as ms:
        tally = ms.export(path, experiments=experiments or None, runs=runs or None, format=format_)
    _tell(tally, f"written to {path}", as_json=as_json)


@click.command("import")
@click.argument("path")
@_RENAME
@click.option(
    "--from",
    "--format",
    "format_",
    type=click.Choice([*FORMATS, *FOREIGN]),
    help="What it is; recognised by default.",
)
@click.option("--experiment", help="What runs of another tracker become part of.")
@click.option("--artifacts", help="A folder from which files may be taken, too.")
@click.option("--run-column", help="Column of a CSV file that tells runs apart.")
@click.option("--time-column", help="Column of a CSV file with times.")
@store_options
def import_(
    path: str,
    *,
    rename: bool,
    format_: str | None,
    experiment: str | None,
    artifacts: str | None,
    run_column: str | None,
    time_column: str | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Bring an export, or another tracker's runs, into a project.

    PATH is what `aletheia export` wrote; MLflow's SQLite file or folder; a folder of TensorBoard's
    event files; W&B's folder `wandb`; a CSV file or a folder of some. What is there already stays,
    and importing again adds what is new. What is not carried is told.

    Example: aletheia import mlflow.db -p copies
    """
    with Metastore(project, url=url) as ms:
        report = ms.import_(
            path,
            rename=rename,
            format=format_,
            experiment=experiment,
            artifacts=artifacts,
            run_column=run_column,
            time_column=time_column,
        )
    _tell(report, f"imported from {path} ({report.format})", as_json=as_json)
    if not as_json:
        for one in report.left:
            whose = f" of run {one.run}" if one.run else ""
            say(f"not carried: {one.what}{whose} ({one.count:,}): {one.why}")


@click.command()
@click.argument("other")
@_choosing
@_RENAME
@store_options
def push(
    other: str,
    *,
    experiments: tuple[str, ...],
    runs: tuple[str, ...],
    rename: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Copy a project into another store: what is missing there.

    OTHER is the address of a store, or its folder.

    Example: aletheia push "firestore://my-project/(default)?bucket=my-bucket"
    """
    with Metastore(project, url=url) as ms:
        tally = ms.push(
            address(other), experiments=experiments or None, runs=runs or None, rename=rename
        )
    _tell(tally, f"copied to {other}", as_json=as_json)


@click.command()
@click.argument("other")
@_choosing
@_RENAME
@store_options
def pull(
    other: str,
    *,
    experiments: tuple[str, ...],
    runs: tuple[str, ...],
    rename: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Copy a project from another store: what is missing here.

    OTHER is the address of a store, or its folder.

    Example: aletheia pull /mnt/stick/metastore --experiment "which species"
    """
    with Metastore(project, url=url) as ms:
        tally = ms.pull(
            address(other), experiments=experiments or None, runs=runs or None, rename=rename
        )
    _tell(tally, f"copied from {other}", as_json=as_json)


@click.command()
@click.argument("source")
@click.argument("target")
@_RENAME
@click.option("-p", "--project", help="Only this project; all by default.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def copy(source: str, target: str, *, rename: bool, project: str | None, as_json: bool) -> None:
    """Copy the projects of a store into another; repeat it at will.

    SOURCE and TARGET are addresses of stores, or their folders. Only what is missing moves.

    Example: aletheia copy ./old ./merged
    """
    total = Tally()
    there = address(source)
    for name in [project] if project else _projects(there, source):
        with Metastore(name, url=there) as ms:
            total += ms.push(address(target), rename=rename)
    _tell(total, f"copied to {target}", as_json=as_json)


def address(place: str) -> str:
    """Return the address of a store that is given as one, or as its folder.

    Raises:
        NotFoundError: It is a file.
        SettingsError: It is no address.
    """
    if "://" in place:
        parse_url(place)
        return place
    folder = Path(place).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        message = f"{folder} is a file, no store: `aletheia import` reads exports"
        raise InvalidValueError(message)
    return folder.as_uri()


def _projects(url: str, given: str) -> list[str]:
    with Metastore("unnamed", url=url) as ms:
        found = [one.name for one in ms.projects()]
    if not found:
        message = f"no projects in {given}: is this the store?"
        raise NotFoundError(message)
    return found


def _tell(tally: Tally | ImportReport, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(tally)
        return
    parts = [
        counted(tally.rows, "row"),
        counted(tally.runs, "run"),
        counted(tally.artifacts, "artifact version"),
        counted(tally.datasets, "data set version"),
        f"{counted(tally.blobs, 'blob')} ({shown_bytes(tally.bytes)})",
    ]
    parts += [f"{counted(tally.changed, 'document')} brought up to date"] if tally.changed else []
    if tally.collections or tally.revisions:
        collections = counted(tally.collections, "collection")
        parts.append(f"{collections} and {counted(tally.revisions, 'revision')} of series")
    click.echo(", ".join(parts))
    if _is_nothing(tally):
        empty = isinstance(tally, ImportReport) and tally.found == 0
        say("there is no run in it" if empty else "nothing new: all of it was there already")
    say(what)
    for old, new in tally.renamed.items():
        say(f"renamed {old} to {new}")
    if tally.kept:
        say(f"kept what is there, though it differs: {', '.join(tally.kept[:10])}")


def _is_nothing(tally: Tally | ImportReport) -> bool:
    """Whether nothing was moved or changed."""
    counts = (getattr(tally, one.name) for one in dataclasses.fields(Tally))
    return not any(one for one in counts if isinstance(one, int)) and not tally.kept
