"""A bar that counts things, for what takes long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_MANY = 200


@contextmanager
def counting_bar(
    what: str, count: int | None, *, show: bool | None = None
) -> Iterator[Callable[[int], None]]:
    """Yield what to call with each number of things that are done; draw a bar meanwhile.

    Args:
        what: The line beside the bar.
        count: How many things there are; None if nobody knows.
        show: Always or never; None draws on a terminal if there are many.
    """
    is_long = count is None or count >= _MANY
    if not (show if show is not None else is_long and sys.stderr.isatty()):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    lock = threading.Lock()
    console = Console(stderr=True, force_terminal=show)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=count)

        def advance(number: int) -> None:
            with lock:
                bar.advance(task, number)

        yield advance
