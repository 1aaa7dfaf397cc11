"""`aletheia cost`: what recording costs, as far as that can be estimated."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from aletheia_like.cli import completing
from aletheia_like.cli.browse import configured_project
from aletheia_like.cli.naming import Named, named
from aletheia_like.cli.output import counted, print_fields, print_json, print_table, store_options
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.costing import (
    SAMPLE,
    Recorded,
    experiment_recorded,
    project_recorded,
    projected,
    run_recorded,
)
from aletheia_like.model.quantities import shown_bytes, shown_seconds
from aletheia_like.ports.usage import Prices, UsageRecord

_PER = 100_000
_OPERATIONS = {
    "document_writes": "documents written",
    "document_reads": "documents read",
    "document_deletes": "documents deleted",
    "blob_writes": "blobs written",
    "blob_reads": "blobs read",
}


@click.command(short_help="Estimate what recording costs.")
@click.argument("name", required=False, shell_complete=completing.runs_or_experiments)
@click.option("--runs", type=click.IntRange(min=1), help="Project so many runs more.")
@click.option("--rows", type=click.IntRange(min=0), help="Rows that each of those logs.")
@click.option("--seconds", type=click.FloatRange(min=0), help="How long each of those takes.")
@click.option("--all", "every", is_flag=True, help=f"Read all runs, not just {SAMPLE} of each.")
@click.option("--price", multiple=True, metavar="WHAT=USD", help="Dollars for 100,000 operations.")
@store_options
def cost(
    name: str | None,
    *,
    runs: int | None,
    rows: int | None,
    seconds: float | None,
    every: bool,
    price: tuple[str, ...],
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Estimate what recording costs: of a run, experiment or project.

    Documents are counted, operations are estimated, storage and network are not in it. WHAT is
    document_writes, document_reads, document_deletes, blob_writes or blob_reads.

    Examples: aletheia cost sweep/1; aletheia cost --runs 1000 --rows 9000
    """
    prices = _prices(price)
    given = project or configured_project()
    wants_projection = any(one is not None for one in (runs, rows, seconds))
    if name is None and given is None and not wants_projection:
        message = "name what to estimate: EXPERIMENT, EXPERIMENT/RUN, -p PROJECT, or --runs"
        raise InvalidValueError(message)
    scope = named(name, project) if name is not None else None
    known, reads = Recorded(), 0
    if name is not None or given is not None:
        known, reads = _known(scope, str(given), url, every=every)
    title = name or given or "no project"
    parts = [] if known == Recorded() else [_told(title, known, known.estimate(), prices)]
    if wants_projection:
        one = projected(known, rows, seconds)
        more = one.times(runs or 1)
        usage = _times(one.estimate(), runs or 1)
        parts.append(_told(f"{counted(runs or 1, 'run')} more", more, usage, prices))
    if as_json:
        print_json({"estimates": parts, "prices": prices, "document_reads_now": reads})
    else:
        _print(parts, prices, reads)


def _known(
    scope: Named | None, project: str, url: str | None, *, every: bool
) -> tuple[Recorded, int]:
    """Return what was recorded, and how many documents were read to learn that."""
    sample = None if every else SAMPLE
    with Metastore(scope.project if scope else project, url=url, git="off") as ms:
        if scope is None:
            known = project_recorded(ms.session, sample=sample)
        else:
            path = ms.experiment(scope.experiment).path
            known = (
                experiment_recorded(ms.session, path, sample=sample)
                if scope.run is None
                else run_recorded(ms.session, path, scope.run)
            )
        return known, ms.usage.document_reads


def _prices(changes: tuple[str, ...]) -> Prices:
    prices = Prices()
    for text in changes:
        what, _, amount = text.partition("=")
        try:
            dollars = float(amount)
        except ValueError:
            dollars = -1.0
        if what not in _OPERATIONS or not 0 <= dollars < float("inf"):
            message = f"{text!r}: write WHAT=USD, where WHAT is {', '.join(_OPERATIONS)}"
            raise InvalidValueError(message)
        prices = Prices(**dataclasses.asdict(prices) | {what: dollars / _PER})
    if changes:
        prices = dataclasses.replace(prices, as_of=f"{prices.as_of}; changed by --price")
    return prices


def _times(usage: UsageRecord, count: int) -> UsageRecord:
    return UsageRecord(**{name: value * count for name, value in usage.to_dict().items()})


def _told(title: str, recorded: Recorded, usage: UsageRecord, prices: Prices) -> dict[str, Any]:
    return {
        "name": title,
        "documents": recorded.documents,
        "recorded": dataclasses.asdict(recorded),
        "operations": usage.to_dict(),
        "usd": usage.estimate(prices),
    }


def _print(parts: list[dict[str, Any]], prices: Prices, reads: int) -> None:
    for part in parts:
        print_fields(_fields(part), part["name"])
        click.echo()
        print_table(
            _operations(part, prices),
            {"what": "operations", "count": "about", "usd": "US dollars"},
        )
        click.echo()
    click.echo(f"estimate, without storage and network; prices: {prices.as_of}")
    if reads:
        click.echo(f"this look read {counted(reads, 'document')}", err=True)


def _fields(part: dict[str, Any]) -> dict[str, Any]:
    known = part["recorded"]
    runs = f"{known['runs']:,}"
    if 0 < known["sampled"] < known["runs"]:
        runs += f", estimated from {known['sampled']:,} of them"
    return {
        "runs": runs,
        "rows": f"{known['rows']:,} in {counted(known['chunks'], 'chunk')}, "
        f"{shown_bytes(known['row_bytes'])}",
        "documents": f"{part['documents']:,}",
        "files": f"{known['files'] + known['blobs']:,}, {shown_bytes(known['blob_bytes'])}",
        "time": shown_seconds(known["seconds"]),
    }


def _operations(part: dict[str, Any], prices: Prices) -> list[dict[str, str]]:
    """Return the operations with their prices, right-aligned."""
    counts = {name: part["operations"][name] for name in _OPERATIONS}
    rows = [
        (told, f"{counts[name]:,}", f"{counts[name] * getattr(prices, name):,.6f}")
        for name, told in _OPERATIONS.items()
        if counts[name]
    ]
    rows.append(("together", "", f"{part['usd']:,.6f}"))
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    return [
        {"what": what, "count": count.rjust(widths[1]), "usd": usd.rjust(widths[2])}
        for what, count, usd in rows
    ]
