"""`aletheia data`: add, get, list and compare data sets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from aletheia_like.cli import completing
from aletheia_like.cli.deletion import delete_dataset, restore_dataset
from aletheia_like.cli.output import counted, print_json, print_table, say, store_options
from aletheia_like.connect import Metastore
from aletheia_like.metastore.datasets import DatasetVersion
from aletheia_like.model.quantities import shown_bytes


@click.group()
def data() -> None:
    """Add, get, list and compare data sets."""


data.add_command(delete_dataset)
data.add_command(restore_dataset)


@data.command()
@click.argument("name", shell_complete=completing.datasets)
@click.argument("location")
@click.option("--type", "kind", help="What kind of data it is.")
@click.option("--desc", help="Where it is from and what is in it.")
@click.option("--source", help="What it was made from.")
@click.option("--no-upload", is_flag=True, help="Record path, size and hash only.")
@store_options
def add(
    name: str,
    location: str,
    *,
    kind: str | None,
    desc: str | None,
    source: str | None,
    no_upload: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Add a file, directory or URL as the next version of a data set.

    Example: aletheia data add mnist ./mnist --desc "handwritten digits"
    """
    with Metastore(project, url=url) as ms:
        version = ms.add_dataset(
            name, location, type=kind, desc=desc, source=source, upload=not no_upload
        )
        if as_json:
            print_json(_row(version))
        else:
            say(f"{version}: {counted(version.record.files, 'file')}, {shown_bytes(version.size)}")
            click.echo(version.digest)


@data.command()
@click.argument("name", shell_complete=completing.datasets)
@click.argument("dest", required=False)
@click.option("--version", type=int, help="Which version; the newest by default.")
@click.option("--partition", help="Only this part.")
@click.option("--verify", is_flag=True, help="Hash local files anew.")
@store_options
def get(
    name: str,
    dest: str | None,
    *,
    version: int | None,
    partition: str | None,
    verify: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Download a data set and print where it is; copy it if DEST is given.

    A single file becomes the file DEST, or goes into DEST if that is a folder; a directory goes
    below DEST.

    Examples: cd "$(aletheia data get mnist)"; aletheia data get penguins penguins.csv
    """
    with Metastore(project, url=url) as ms:
        found = ms.get_dataset(name, version, download=True, partition=partition, verify=verify)
        path = found.local_path if dest is None else _copied(found, dest)
        if as_json:
            print_json({**_row(found), "local_path": path})
        else:
            click.echo(path)


@data.command("ls")
@click.argument("name", required=False, shell_complete=completing.datasets)
@store_options
def list_(name: str | None, *, project: str | None, url: str | None, as_json: bool) -> None:
    """List the data sets of a project, or the versions of one.

    Example: aletheia data ls mnist
    """
    with Metastore(project, url=url) as ms:
        found = ms.datasets() if name is None else ms.dataset_versions(name)
        rows = [_row(version) for version in found]
    if as_json:
        print_json(rows)
    elif rows:
        shown = [
            {**row, "size": shown_bytes(row["size"]), "digest": (row["digest"] or "")[:12]}
            for row in rows
        ]
        columns = {"name": "data set", "version": "version", "type": "type", "files": "files"}
        columns |= {"size": "size", "digest": "sha-256", "created_at": "added"}
        print_table(shown, columns | {"desc": "description"})
    else:
        say("no data sets yet: aletheia data add NAME LOCATION")


@data.command()
@click.argument("before", shell_complete=completing.datasets)
@click.argument("after", shell_complete=completing.datasets)
@store_options
def diff(before: str, after: str, *, project: str | None, url: str | None, as_json: bool) -> None:
    """Show which files were added, removed, changed or moved between two versions.

    Name a version as NAME@VERSION, the newest as NAME. Lines begin with +, -, ~ or >.

    Example: aletheia data diff mnist@3 mnist
    """
    with Metastore(project, url=url) as ms:
        found = _named(ms, before).diff(_named(ms, after))
    if as_json:
        print_json(found.to_dict())
    else:
        click.echo(str(found))


def _named(ms: Metastore, name: str) -> DatasetVersion:
    """Return the version that somebody typed."""
    stem, at, version = name.rpartition("@")
    is_numbered = bool(at and stem) and version.isdecimal()
    return ms.get_dataset(stem, int(version)) if is_numbered else ms.get_dataset(name)


def _copied(found: DatasetVersion, dest: str) -> Path:
    """Copy a data set where the user wants it, and return where that is."""
    is_folder = dest.endswith(os.sep) or Path(dest).is_dir()
    return found.download(dest) if found.is_dir or is_folder else found.download_as(dest)


def _row(version: DatasetVersion) -> dict[str, Any]:
    record = version.record
    return {
        "name": record.name,
        "version": record.version,
        "type": record.type,
        "kind": record.kind,
        "files": record.files,
        "size": record.size,
        "digest": record.digest,
        "created_at": record.created_at,
        "created_by": record.created_by,
        "location": record.location,
        "uploaded": record.uploaded,
        "desc": record.desc,
    }
