"""What a process is told that does the command of an earlier run again.

`reproduce` names a file in `ALETHEIA_REPRODUCTION`. It says which run is done again and which
version of each data set that run read; every run that is started notes itself in a file beside.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from aletheia_like.errors import SettingsError

VARIABLE = "ALETHEIA_REPRODUCTION"

_STARTED = ".started"


@dataclass(frozen=True, slots=True)
class Repetition:
    """A command that is done again.

    Attributes:
        project: Project of the earlier run.
        run: The earlier run, as `EXPERIMENT/RUN`.
        datasets: Version of each data set that is read where none is named.
        mark: Tells ids of this repetition from those of the earlier run and of other repetitions.
    """

    project: str
    run: str
    datasets: Mapping[str, int]
    mark: str

    def own_id(self, id_: str) -> str:
        """Return the id of a run that a program names: the earlier run must not be reopened."""
        return f"{id_}-{self.mark}"

    def version(self, project: str, name: str) -> int | None:
        """Return the version of a data set that the earlier run read, None if it read none."""
        return self.datasets.get(name) if project == self.project else None


def read_repetition() -> Repetition | None:
    """Return what this process does again, or None; the usual case costs nothing.

    Raises:
        SettingsError: The file cannot be read.
    """
    place = os.environ.get(VARIABLE)
    if not place:
        return None
    try:
        return Repetition(**json.loads(Path(place).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        message = f"{VARIABLE} names {place}, which says no run to do again: unset it: {error}"
        raise SettingsError(message) from error


def write_repetition(path: Path, repetition: Repetition) -> None:
    """Write what another process is told."""
    path.write_text(json.dumps(asdict(repetition), ensure_ascii=False), encoding="utf-8")


def note_started(url: str, path: str) -> None:
    """Tell whoever does a command again that it has started a run."""
    place = os.environ.get(VARIABLE)
    if not place:
        return
    line = json.dumps({"url": url, "path": path}, ensure_ascii=False) + "\n"
    # One write to the end of the file, so that several processes do not mix their lines.
    descriptor = os.open(place + _STARTED, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def read_started(path: Path) -> list[tuple[str, str]]:
    """Return the store and the path of each run that was started, in their order."""
    try:
        text = Path(f"{path}{_STARTED}").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    lines = [json.loads(line) for line in text.splitlines()]
    return [(str(line["url"]), str(line["path"])) for line in lines]
