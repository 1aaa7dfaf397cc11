"""Progress of long transfers: a bar on a terminal, nothing anywhere else."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aletheia_like.ports.blobs import Progress

_LONG_BYTES = 16 << 20
_MANY_FILES = 500


@contextmanager
def transfer_progress(
    what: str, *, size: int, files: int, show: bool | None = None
) -> Iterator[Progress]:
    """Yield what to call with each number of bytes that went through; draw a bar meanwhile.

    Args:
        what: The line beside the bar, such as `uploading mnist`.
        size: Bytes in all.
        files: Files in all.
        show: Always or never; None draws on a terminal if the transfer is long.
    """
    is_long = size >= _LONG_BYTES or files >= _MANY_FILES
    if not (show if show is not None else is_long and sys.stderr.isatty()):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import (
        Progress as Bar,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    lock = threading.Lock()
    console = Console(stderr=True, force_terminal=show)
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=size)

        def advance(count: int) -> None:
            with lock:
                bar.advance(task, count)

        yield advance
