"""How verbs print: tables that fit the terminal, or JSON; data on stdout, chatter on stderr."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aletheia_like.cli import completing

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

F = TypeVar("F", bound=Callable[..., Any])

_WIDE = 10_000


def store_options(command: F) -> F:
    """Add the options that every verb takes: `--project`, `--url` and `--json`."""
    options = (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--url", help="The store; else from the settings."),
        click.option(
            "-p",
            "--project",
            shell_complete=completing.projects,
            help="The project; else from the settings.",
        ),
    )
    for option in options:
        command = option(command)
    return command


def say(text: str) -> None:
    """Tell a person something that is not the answer."""
    click.echo(text, err=True)


def print_json(value: Any) -> None:
    """Print valid JSON; infinities and NaN become text, moments ISO 8601."""
    click.echo(json.dumps(_jsonable(value), ensure_ascii=False, indent=2))


def print_json_line(value: Any) -> None:
    """Print valid JSON on a line of its own, at once, for a reader that follows."""
    click.echo(to_json(value))
    sys.stdout.flush()


def to_json(value: Any) -> str:
    """Return a value as valid JSON on one line."""
    return json.dumps(_jsonable(value), ensure_ascii=False)


def print_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Print rows as a table.

    Args:
        rows: What to print.
        columns: Heading of each column by its key, in their order.
    """
    console(width=None if _is_terminal() else _WIDE).print(table_of(rows, columns))


def print_markdown(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> None:
    """Print cells as a table of Markdown, which is aligned for people, too.

    Args:
        rows: Cells on one line each.
        columns: What stands above them.
    """
    from rich.cells import cell_len

    cells = [[harmless(one).replace("|", r"\|") for one in row] for row in (columns, *rows)]
    widths = [max(3, *map(cell_len, column)) for column in zip(*cells, strict=True)]
    head, *body = (
        [one + " " * (width - cell_len(one)) for one, width in zip(row, widths, strict=True)]
        for row in cells
    )
    for row in (head, ["-" * width for width in widths], *body):
        click.echo(f"| {' | '.join(row)} |")


def table_of(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> Table:
    """Return what `print_table` prints."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for key, heading in columns.items():
        numeric = any(isinstance(row.get(key), int | float) for row in rows)
        table.add_column(Text(heading), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(harmless(shown(row.get(key)))) for key in columns))
    return table


def console(**options: Any) -> Console:
    """Return what prints tables and trees; a reader that stops early is told as by `print`."""
    from rich.console import Console

    class Printer(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Printer(highlight=False, **options)


def harmless(text: str) -> str:
    """Return text without what would move the terminal's cursor or colour it."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else "·" for one in text)


def print_fields(fields: Mapping[str, Any], title: str | None = None) -> None:
    """Print names and values, one a line; nested mappings are indented."""
    if title:
        click.echo(harmless(title))
    for line in _lines(fields, 2 if title else 0):
        click.echo(harmless(line))


def shown(value: Any) -> str:
    """Return a value as people read it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case dt.datetime():
            return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        case list() | tuple():
            return ", ".join(map(shown, value))
        case Mapping():
            return ", ".join(f"{key}={shown(inner)}" for key, inner in value.items())
    return str(value)


def counted(count: int, noun: str) -> str:
    """Return a number of things.

    Examples:
        >>> counted(1, "row"), counted(1200, "row")
        ('1 row', '1,200 rows')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _lines(fields: Mapping[str, Any], indent: int) -> list[str]:
    width = max((len(str(key)) for key in fields), default=0)
    lines: list[str] = []
    for key, value in fields.items():
        label = " " * indent + str(key).ljust(width)
        if isinstance(value, Mapping) and value:
            lines += [label.rstrip(), *_lines(value, indent + 2)]
        elif value not in (None, "", [], (), {}):
            first, *rest = shown(value).split("\n")
            lines += [f"{label}  {first}", *(" " * (indent + width + 2) + line for line in rest)]
    return lines


def _jsonable(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case None | bool() | int() | float() | str():
            return value
        case dt.datetime():
            return value.isoformat()
        case Mapping():
            return {str(key): _jsonable(inner) for key, inner in value.items()}
        case Path():
            return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (one.name for one in dataclasses.fields(value))
        return {name: _jsonable(getattr(value, name)) for name in names}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(item) for item in value]
    return str(value)
