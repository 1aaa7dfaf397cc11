"""The systems that are compared, and how a task is run in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.benchmarks.installing import interpreter
from tests.benchmarks.options import Options

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = Path(__file__).parent / "peers"
PROJECT = "aletheia_like"
ON_FIRESTORE = "aletheia_like on Firestore"
LIMIT = "raw JSON lines"
SETTLE_SECONDS = 1.5

_QUIET = {
    "DO_NOT_TRACK": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    # Whoever still wants to talk to the world finds nobody there.
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "no_proxy": "127.0.0.1,localhost",
}


Found = dict[str, Any]
T = TypeVar("T")


class FailedError(Exception):
    """A measured process failed.

    Args:
        name: The system.
        errors: What it wrote to stderr, if that was kept.
    """

    def __init__(self, name: str, errors: str | None) -> None:
        super().__init__(f"{name} failed: {(errors or 'see above').strip()[-2_000:]}")


@dataclass(frozen=True, slots=True)
class System:
    """A program that records runs.

    Attributes:
        name: As it stands in the tables.
        script: The driver, below `peers/`.
        variant: How the driver is to use it.
        module: What its users import; empty for none.
        peer: The environment that it needs, if it is somebody else's.
        environment: Variables that its processes need.
        slow: Whether a row takes so long that large stores are out of reach.
        answers: Whether it can be asked for tables on this machine.
    """

    name: str
    script: str
    variant: str = ""
    module: str = ""
    peer: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    slow: bool = False
    answers: bool = True


OURS = System(PROJECT, "aletheia.py", "embedded", PROJECT)
LIMITS = (
    System(LIMIT, "raw_lines.py"),
    System("raw SQLite, commit a row", "raw_sqlite.py"),
    System("raw SQLite, one commit", "raw_sqlite.py", "once"),
    System("KVA's method", "kva_method.py"),
)
PEERS = (
    System("Trackio", "trackio_runs.py", "", "trackio", "trackio"),
    System("W&B offline", "wandb_runs.py", "", "wandb", "wandb", answers=False),
    System("xetrack", "xetrack_runs.py", "rows", "xetrack", "xetrack", slow=True),
    System("xetrack, batches of 100", "xetrack_runs.py", "batches", "xetrack", "xetrack"),
    System("MLflow file", "mlflow_runs.py", "file", "mlflow", "mlflow", slow=True),
    System("MLflow SQLite", "mlflow_runs.py", "sqlite", "mlflow", "mlflow", slow=True),
)


@contextlib.contextmanager
def chosen(options: Options) -> Iterator[list[System]]:
    """Yield the systems to measure; emulators run meanwhile if Firestore is one of them."""
    systems = [*LIMITS, OURS]
    with contextlib.ExitStack() as stack:
        if options.firestore:
            systems.append(stack.enter_context(_on_firestore()))
        if options.peers is not None:
            systems += [one for one in PEERS if _is_installed(one, options.peers)]
        if options.systems:
            systems = [one for one in systems if one.name in options.systems]
        yield systems


@contextlib.contextmanager
def _on_firestore() -> Iterator[System]:
    from aletheia_like.testing.emulators import running_emulators

    with running_emulators() as environment:
        yield System(ON_FIRESTORE, "aletheia.py", "firestore", PROJECT, environment=environment)


def _is_installed(system: System, peers: Path) -> bool:
    if interpreter(peers, system.peer or "").exists():
        return True
    print(f"{system.name} is left out: it is not installed in {peers}", file=sys.stderr)
    return False


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Yield an empty folder whose name may also name a database."""
    path = Path(tempfile.gettempdir()) / f"bench-{secrets.token_hex(6)}"
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def size_mb(path: Path) -> float:
    """Return the bytes of all files below a folder, in MB."""
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file()) / 1e6


def start(
    system: System, options: Options, task: str, place: Path, **arguments: Any
) -> subprocess.Popen[str]:
    """Start a task; what it prints can be read from the process."""
    script = SCRIPTS / system.script
    command = [_python(system, options), script, task, place, system.variant]
    return subprocess.Popen(
        [*map(str, command), json.dumps(arguments)],
        cwd=place,
        env=_environment(system, place),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if options.quiet else None,
        text=True,
    )


def execute(system: System, options: Options, place: Path) -> None:
    """Import what its users import, in a process that does nothing else."""
    command = [str(_python(system, options)), "-c", f"import {system.module}"]
    subprocess.run(command, cwd=place, env=_environment(system, place), check=True)


def _python(system: System, options: Options) -> Path:
    if system.peer and options.peers:
        return interpreter(options.peers, system.peer)
    return Path(sys.executable)


def await_ready(process: subprocess.Popen[str]) -> None:
    """Wait until a process says that it is ready, or ends."""
    while process.stdout is not None:
        line = process.stdout.readline()
        if line in ("ready\n", ""):
            return


def send(process: subprocess.Popen[str], line: str) -> None:
    """Say a line to a process."""
    if process.stdin is not None:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()


def settle(system: System) -> None:
    """Let a peer's helper processes end that outlive a killed process."""
    if system.peer:
        time.sleep(SETTLE_SECONDS)


def result(system: System, process: subprocess.Popen[str]) -> Found:
    """Wait for a task and return what it found.

    Raises:
        FailedError: It failed.
    """
    output, errors = process.communicate()
    if process.returncode != 0:
        raise FailedError(system.name, errors)
    answer = json.loads(output.splitlines()[-1])
    return dict(answer)


def run(system: System, options: Options, task: str, place: Path, **arguments: Any) -> Found:
    """Run a task in a process of its own and return what it found."""
    return result(system, start(system, options, task, place, **arguments))


def each(systems: Iterable[System], measure: Callable[[System], T]) -> dict[str, T]:
    """Measure each system; one that fails is named on stderr and left out."""
    found = {}
    for system in systems:
        try:
            found[system.name] = measure(system)
        except FailedError as error:
            print(error, file=sys.stderr)
    return found


def interleaved(
    systems: Sequence[System], options: Options, measure: Callable[[System], T]
) -> dict[str, list[T]]:
    """Measure the systems in turn, round after round; one that fails is left out."""
    rounds: dict[str, list[T]] = {}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        alive = [one for one in systems if number == 0 or one.name in rounds]
        found = each(alive, measure)
        rounds = {name: [*rounds.get(name, []), one] for name, one in found.items()}
    return rounds


def _environment(system: System, place: Path) -> dict[str, str]:
    home = place / "home"
    home.mkdir(exist_ok=True)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "ALETHEIA_URL")
    }
    environment |= {"HOME": str(home), "ALETHEIA_HOME": str(home / "aletheia")}
    environment |= {f"XDG_{kind}_HOME": str(home / kind) for kind in ("CONFIG", "DATA", "CACHE")}
    environment |= system.environment
    return environment | (_QUIET if system.peer else {"PYTHONPATH": str(ROOT)})
