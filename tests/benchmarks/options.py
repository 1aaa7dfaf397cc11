"""What a benchmark is asked for on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure.

    Attributes:
        small: As few and small as shows that it runs.
        rounds: How often each system is measured, in turn.
        peers: Folder of the peers' environments; None leaves them out.
        firestore: Measure the project on the Firestore emulator as well.
        systems: Names of the systems to measure; empty means all.
        moments: How often a process is killed.
        most: Rows of the largest store.
        seed: What random moments are drawn from.
        quiet: Hide what the processes say, unless they fail.
    """

    small: bool = False
    rounds: int = 5
    peers: Path | None = None
    firestore: bool = False
    systems: tuple[str, ...] = ()
    moments: int = 50
    most: int = 1_000_000
    seed: int = 1
    quiet: bool = True
