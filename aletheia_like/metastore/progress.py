"""Progress of long transfers: a bar on a terminal, nothing anywhere else."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aletheia_like.ports.blobs import Progress

_LONG_BYTES = 16 << 20
_MANY_FILES = 500


def _nothing(_: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a transfer tells about itself; any number of threads may.

    Attributes:
        add: To be called with each number of bytes that went through.
        finished: To be called with each number of files that are complete.
    """

    add: Progress = _nothing
    finished: Callable[[int], None] = _nothing

    def finish(self) -> None:
        """Tell that one file is complete."""
        self.finished(1)


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
    with transferring(what, size=size, files=files, show=show) as transfer:
        yield transfer.add


@contextmanager
def transferring(
    what: str, *, size: int, files: int, show: bool | None = None
) -> Iterator[Transfer]:
    """Yield whom to tell of bytes and of files; draw a bar with rate and time left meanwhile.

    Args:
        what: The line beside the bar, such as `uploading mnist`.
        size: Bytes in all; 0 if that is not known.
        files: Files in all; their count is shown if they are counted, too.
        show: Always or never; None draws on a terminal if the transfer is long.
    """
    is_long = size >= _LONG_BYTES or files >= _MANY_FILES
    if not (show if show is not None else is_long and sys.stderr.isatty()):
        yield Transfer()
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
        TextColumn("{task.fields[done]}"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    lock = threading.Lock()
    done = 0
    console = Console(stderr=True, force_terminal=show)
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=size or None, done="")

        def advance(count: int) -> None:
            with lock:
                bar.advance(task, count)

        def finish(count: int) -> None:
            nonlocal done
            with lock:
                done += count
                if files > 1:
                    bar.update(task, done=f"{done:,}/{files:,} files")

        yield Transfer(advance, finish)
