"""`aletheia diff`: in what runs differ."""

from __future__ import annotations

from typing import Any

import click

from aletheia_like.cli import completing
from aletheia_like.cli.naming import named_run
from aletheia_like.cli.output import counted, print_json, print_table, say, store_options
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.comparing import Comparison


@click.command(short_help="Show in what runs differ.")
@click.argument("runs", nargs=-1, required=True, shell_complete=completing.runs)
@click.option("--all", "everything", is_flag=True, help="Show what does not differ too.")
@store_options
def diff(
    runs: tuple[str, ...],
    *,
    everything: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Show in what runs of one project differ: parameters, metrics, code, data sets, packages.

    Example: aletheia diff "penguins/which species/1" "penguins/which species/2"
    """
    names = [named_run(one, project) for one in runs]
    projects = {name.project for name, _ in names}
    if len(projects) > 1:
        message = f"compare runs of one project, not of {' and '.join(sorted(projects))}"
        raise InvalidValueError(message)
    with Metastore(projects.pop(), url=url, git="off") as ms:
        opened = [ms.experiment(name.experiment).run(id_) for name, id_ in names]
        found = ms.experiment(names[0][0].experiment).compare(*opened)
    if as_json:
        print_json(_told(found, everything=everything))
        return
    texts = found.to_texts(everything=everything)
    if texts:
        headings = {str(place): title for place, title in enumerate(("", *found.titles))}
        rows = [dict(zip(headings, row, strict=True)) for row in texts]
        print_table(rows, headings)
    same = len(found.everything) - len(found)
    say(f"{counted(len(found), 'difference')}; {same:,} more do not differ")


def _told(found: Comparison, *, everything: bool) -> dict[str, Any]:
    chosen = found.everything if everything else found.differences
    return {
        "runs": found.titles,
        "differences": len(found),
        "values": {one.name: one.values for one in chosen},
    }
