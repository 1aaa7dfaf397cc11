"""`aletheia artifact`: versions in repositories and experiments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from aletheia_like.cli import completing
from aletheia_like.cli.deletion import delete_artifact, restore_artifact
from aletheia_like.cli.lineage import print_lineage
from aletheia_like.cli.naming import named_run
from aletheia_like.cli.output import (
    counted,
    harmless,
    print_json,
    print_table,
    say,
    store_options,
)
from aletheia_like.cli.shelves import (
    asked_version,
    chosen,
    open_experiment,
    open_repository,
    open_shelf,
    shelf_options,
    version_options,
    where_is,
)
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.artifacts import ArtifactVersion
from aletheia_like.model.quantities import shown_bytes

_COLUMNS = {
    "name": "artifact",
    "version": "version",
    "aliases": "aliases",
    "size": "size",
    "digest": "sha-256",
    "run": "run",
    "created_at": "added",
    "created_by": "by",
}
_VERDICT = {"verdict": "verdict", "problems": "what is wrong"}
_FAILED = 6
_TITLES = 2
"""Lines of a difference that name its two versions."""


@click.group()
def artifact() -> None:
    """List, get, compare, promote and verify versions.

    --repo or --experiment says where they are.
    """


artifact.add_command(delete_artifact)
artifact.add_command(restore_artifact)


@artifact.command("ls")
@click.argument("name", required=False, shell_complete=completing.artifacts)
@click.option("--audit", is_flag=True, help="Show who changed what in the repository, and when.")
@shelf_options
@store_options
def list_(
    name: str | None,
    *,
    audit: bool,
    repo: str | None,
    experiment: str | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """List artifacts, or the versions of one; without --repo or --experiment, all of a project.

    Examples: aletheia artifact ls; aletheia artifact ls features --repo models
    """
    with Metastore(project, url=url, git="off") as ms:
        if audit:
            _print_audit(ms, repo, name, as_json=as_json)
            return
        if repo is None and experiment is None:
            if name is not None:
                raise InvalidValueError(where_is(name))
            shelves = [open_repository(ms, one) for one in ms.repositories()]
            shelves += [open_experiment(ms, one.name) for one in ms.experiments(debug=True)]
        else:
            shelves = [open_shelf(ms, repo, experiment, name)]
        rows = [
            {"in": shelf.name, **_row(version)}
            for shelf in shelves
            for version in (shelf.newest() if name is None else shelf.versions(name))
        ]
    if as_json:
        print_json(rows)
    elif rows:
        shown = [_shown(row) for row in rows]
        print_table(shown, {"in": "in", **_COLUMNS} if len(shelves) > 1 else _COLUMNS)
    else:
        say("no artifacts yet: run.add_artifact(NAME, VALUE)")


@artifact.command()
@click.argument("name", shell_complete=completing.artifacts)
@click.argument("dest", required=False)
@version_options
@shelf_options
@store_options
def get(
    name: str,
    dest: str | None,
    *,
    version: str | None,
    as_of: str | None,
    repo: str | None,
    experiment: str | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Download an artifact and print where it is; copy it if DEST is given.

    A single file becomes the file DEST, or goes into DEST if that is a folder; a directory goes
    below DEST.

    Example: aletheia artifact get features features.json --repo models --version production
    """
    with Metastore(project, url=url, git="off") as ms:
        found = chosen(open_shelf(ms, repo, experiment, name), name, version, as_of)
        if dest is None:
            path = found.download()
        else:
            is_folder = found.is_dir or dest.endswith(os.sep) or Path(dest).is_dir()
            path = found.download(dest) if is_folder else found.download_as(dest)
        if as_json:
            print_json({**_row(found), "local_path": path})
        else:
            click.echo(path)


@artifact.command()
@click.argument("name", shell_complete=completing.artifacts)
@version_options
@shelf_options
@store_options
def show(
    name: str,
    *,
    version: str | None,
    as_of: str | None,
    repo: str | None,
    experiment: str | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Draw what a version came from, its run, data sets, and sources, and which runs used it.

    Example: aletheia artifact show features --repo models --version production
    """
    from aletheia_like.metastore.lineage import lineage_of_version

    with Metastore(project, url=url, git="off") as ms:
        found = chosen(open_shelf(ms, repo, experiment, name), name, version, as_of)
        node = lineage_of_version(ms.session, found.record, repo)
    if as_json:
        print_json(node.to_dict())
    else:
        print_lineage(node)


@artifact.command()
@click.argument("name", shell_complete=completing.artifacts)
@click.argument("v1")
@click.argument("v2", required=False)
@shelf_options
@store_options
def diff(
    name: str,
    v1: str,
    v2: str | None,
    *,
    repo: str | None,
    experiment: str | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Show in what two versions differ: texts, JSON, tables, or the files of directories.

    V1 and V2 are numbers, aliases or dates; V2 is the newest by default.

    Example: aletheia artifact diff features 0 production --repo models
    """
    from aletheia_like.metastore.differing import compare_versions

    with Metastore(project, url=url, git="off") as ms:
        shelf = open_shelf(ms, repo, experiment, name)
        found = compare_versions(chosen(shelf, name, v1, None), chosen(shelf, name, v2, None))
    if as_json:
        print_json(found.to_dict())
    elif found:
        _print_diff(found)
    else:
        say(f"{found.before} and {found.after} are the same")


@artifact.command()
@click.argument("run", shell_complete=completing.runs)
@click.argument("name", shell_complete=completing.artifacts)
@click.argument("repo", shell_complete=completing.repositories)
@click.option("--version", type=int, help="Which version; the newest that the run made.")
@click.option("--alias", "aliases", multiple=True, help="An alias that the version takes.")
@click.option("--allow-older", is_flag=True, help="Even if the newest there is of a later date.")
@store_options
def promote(
    run: str,
    name: str,
    repo: str,
    *,
    version: int | None,
    aliases: tuple[str, ...],
    allow_older: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Make an artifact of a run the next version in a repository; no byte is copied.

    Example: aletheia artifact promote "which species/3" weights models --alias production
    """
    named, run_id = named_run(run, project)
    with Metastore(named.project, url=url, git="off") as ms:
        opened = ms.experiment(named.experiment).run(run_id)
        promoted = opened.promote_artifact(
            ms.repository(repo), name, version, aliases=aliases, allow_older=allow_older
        )
        if promoted is None:
            message = f"run {run} is still recorded here: save the repository"
            raise InvalidValueError(message)
        if as_json:
            print_json(_row(promoted))
        else:
            click.echo(f"{repo}/{promoted}")


@artifact.command()
@click.argument("name", shell_complete=completing.artifacts)
@click.argument("alias")
@click.argument("version", required=False)
@click.option(
    "-r",
    "--repo",
    required=True,
    shell_complete=completing.repositories,
    help="The repository it is in.",
)
@click.option("--remove", is_flag=True, help="Let the alias name nothing.")
@store_options
def alias(
    name: str,
    alias: str,
    version: str | None,
    *,
    repo: str,
    remove: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Let an alias name a version from now on, the newest by default.

    Example: aletheia artifact alias features production 3 --repo models
    """
    with Metastore(project, url=url, git="off") as ms:
        open_repository(ms, repo)
        opened = ms.repository(repo)
        if remove:
            opened.remove_alias(name, alias)
        else:
            opened.set_alias(name, alias, asked_version(version))
        found = opened.aliases(name)
    if as_json:
        print_json(found)
    else:
        click.echo(f"{alias}: nothing" if remove else f"{alias}: {name}@{found[alias]}")


@artifact.command()
@click.argument("name", shell_complete=completing.artifacts)
@version_options
@shelf_options
@store_options
def verify(
    name: str,
    *,
    version: str | None,
    as_of: str | None,
    repo: str | None,
    experiment: str | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Read the stored bytes of an artifact again and compare them with their sha-256.

    Without --version or --as-of, of every version. The exit code is 6 if any is wrong.

    Example: aletheia artifact verify features --repo models
    """
    with Metastore(project, url=url, git="off") as ms:
        shelf = open_shelf(ms, repo, experiment, name)
        one = version is not None or as_of is not None
        found = [chosen(shelf, name, version, as_of)] if one else shelf.versions(name)
        verified = [(each, each.verify()) for each in found]
    rows = [
        {**_row(each), "verdict": one.verdict, "problems": one.problems} for each, one in verified
    ]
    if as_json:
        print_json(rows)
    else:
        shown = [
            {**row, "problems": [f"{bad.what}: {bad.kind}" for bad in row["problems"]]}
            for row in rows
        ]
        print_table(
            shown, {"name": "artifact", "version": "version", "files": "files", **_VERDICT}
        )
    wrong = [one for _, one in verified if not one.ok]
    if wrong:
        say(f"{counted(len(wrong), 'version')} of {name!r} cannot be trusted")
        raise click.exceptions.Exit(_FAILED)


def _row(version: ArtifactVersion) -> dict[str, Any]:
    record = version.record
    run = f"{record.experiment}/{record.run}" if record.run else None
    return {
        "name": record.name,
        "version": record.version,
        "aliases": list(record.aliases),
        "kind": record.kind,
        "files": record.files,
        "size": record.size,
        "digest": record.digest,
        "handler": record.handler,
        "project": record.project,
        "run": run,
        "commit": record.commit,
        "created_at": record.created_at,
        "created_by": record.created_by,
        "expires_at": record.expires_at,
        "location": record.location,
        "uploaded": record.uploaded,
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "size": shown_bytes(row["size"]), "digest": (row["digest"] or "")[:12]}


def _print_audit(ms: Metastore, repo: str | None, name: str | None, *, as_json: bool) -> None:
    if repo is None:
        message = "--audit is kept for repositories: give --repo REPOSITORY"
        raise InvalidValueError(message)
    open_repository(ms, repo)
    entries = ms.repository(repo, "r").audit(name)
    rows = [{"at": one.at, "by": one.by, "action": one.action, **one.details} for one in entries]
    if as_json:
        print_json(rows)
        return
    shown = [{**row, "what": _told(row)} for row in rows]
    print_table(shown, {"at": "at", "by": "by", "action": "action", "what": "what"})


def _told(row: dict[str, Any]) -> str:
    match row["action"]:
        case "save":
            return ", ".join(f"{one['name']}@{one['version']}" for one in row["versions"])
        case "alias":
            old, new = ("nothing" if row[word] is None else row[word] for word in ("from", "to"))
            return f"{row['alias']} of {row['artifact']}: {old} -> {new}"
        case "release":
            versions = (f"{name}@{number}" for name, number in row["artifacts"].items())
            return f"{row['tag']}: {', '.join(versions)}"
        case "expiry":
            return f"{row['artifact']}@{row['version']} expires at {row['expires_at']}"
    return ""


def _print_diff(text: str) -> None:
    """Print a difference, coloured where that is seen."""
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for at, line in enumerate(text.split("\n")):
        is_title = at < _TITLES
        colour = None if is_title else colours.get(line[:1])
        click.echo(click.style(harmless(line), fg=colour, bold=is_title))
