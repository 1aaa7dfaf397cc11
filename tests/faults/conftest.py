"""Real faults: programs that acknowledge what they logged, and are killed, cut off or starved."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import aletheia_like as al
from aletheia_like.testing.lines import Line
from tests.cli.calling import call

HEAD = """
import asyncio, itertools, multiprocessing, os, random, signal, sys, threading, time
import aletheia_like as al

def ack(*words):
    os.write(1, (" ".join(map(str, words)) + chr(10)).encode())

def opened(**options):
    options = {"url": os.environ["STORE"], "git": "off", **options}
    return al.Metastore("p", **options)

"""


@dataclass
class Child:
    """A program under test, and what it acknowledged so far."""

    process: subprocess.Popen[str]
    acks: list[list[str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    readers: list[threading.Thread] = field(default_factory=list)

    def wait_for(self, word: str, seconds: float = 30.0) -> list[str]:
        """Return the first acknowledgement that begins with `word`, once it is there."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = next((one for one in self.acks if one[0] == word), None)
            if found is not None:
                return found
            if self.process.poll() is not None and not self.readers[0].is_alive():
                break
            time.sleep(0.005)
        self.process.kill()
        pytest.fail(f"no {word!r} from the program: {self.errors[-20:]}")

    def kill(self) -> None:
        """kill -9"""
        self.process.kill()
        self.wait()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 60.0) -> int:
        """Return its exit code, once all that it said is read."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            # Its last words, and its children's, are where each of their threads was.
            os.killpg(self.process.pid, signal.SIGABRT)
            self.process.wait()
            self.readers[1].join(10)
            pytest.fail(f"the program hangs: {self.acks[-3:]}\n{self.warnings[:20_000]}")
        for reader in self.readers:
            reader.join(10)
        return code

    def numbers(self, word: str = "row") -> list[int]:
        """Return the numbers that were acknowledged after `word`."""
        return [int(one[1]) for one in self.acks if one[0] == word]

    @property
    def warnings(self) -> str:
        return "".join(self.errors)


@dataclass(frozen=True)
class Place:
    """A store, and a home whose journals belong to it."""

    url: str
    home: Path
    variables: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key[:9] != "ALETHEIA_"}
        return {
            **kept,
            "STORE": self.url,
            "ALETHEIA_HOME": str(self.home),
            "ALETHEIA_CACHE_DIR": str(self.home / "cache"),
            "PYTHONFAULTHANDLER": "1",
            "PYTHONPATH": str(Path(al.__file__).parents[1]),
            **self.variables,
        }

    def at(self, home: Path) -> Place:
        """The same store, as another machine sees it."""
        return Place(self.url, home, self.variables)

    def through(self, **variables: str) -> Place:
        return Place(self.url, self.home, {**self.variables, **variables})

    def journals(self) -> list[Path]:
        """What the programs left, and `aletheia sync` has yet to send."""
        return sorted((self.home / "journal").rglob("*.journal"))

    def journal_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.journals())

    def open(self) -> al.Metastore:
        return al.Metastore(
            "p",
            url=self.url,
            blobs=self.variables.get("ALETHEIA_BLOBS"),
            cache_dir=self.home / "cache",
            git="off",
        )

    def read(self, run: str | int = 1, experiment: str = "e") -> al.Run:
        with self.open() as ms:
            return ms.experiment(experiment).run(run)

    def column(self, name: str, run: str | int = 1, experiment: str = "e") -> list[object]:
        return list(self.read(run, experiment).rows()[name])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of one machine's journals."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def embedded(home: Path, tmp_path: Path) -> Place:
    url = (tmp_path / "store").as_uri()
    return Place(url, home, {})


@pytest.fixture
def firestore(firestore_emulator: str, home: Path, tmp_path: Path) -> Place:
    url = f"firestore://demo-{secrets.token_hex(6)}/(default)"
    blobs = (tmp_path / "blobs").as_uri()
    variables = {"FIRESTORE_EMULATOR_HOST": firestore_emulator, "ALETHEIA_BLOBS": blobs}
    return Place(url, home, variables)


@pytest.fixture(params=["embedded", "firestore"])
def place(request: pytest.FixtureRequest) -> Place:
    """An empty store that other processes can open, and a home for journals."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def line(firestore_emulator: str) -> Iterator[Line]:
    """A way to the Firestore emulator that can be cut, held and mended."""
    with Line(firestore_emulator) as opened:
        yield opened


@pytest.fixture
def start() -> Iterator[Callable[..., Child]]:
    """Start a program at a place; what still runs at the end is killed."""
    started: list[Child] = []

    def begin(place: Place, body: str, *arguments: object, **variables: str) -> Child:
        process = subprocess.Popen(
            [sys.executable, "-c", HEAD + body, *map(str, arguments)],
            env={**place.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        child = Child(process)
        child.readers = [
            threading.Thread(target=lambda: child.acks.extend(_words(process.stdout))),
            threading.Thread(target=lambda: child.errors.extend(process.stderr)),
        ]
        for reader in child.readers:
            reader.start()
        started.append(child)
        return child

    yield begin
    for child in started:
        if child.process.poll() is None:
            child.process.kill()
        # Its own children too, if it left any.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.process.pid, signal.SIGKILL)
        child.wait()
        child.process.stdout.close()
        child.process.stderr.close()


@pytest.fixture
def sync() -> Callable[..., str]:
    """Call `aletheia sync` at a place, in this process; return what it printed."""

    def run(place: Place, *arguments: str, code: int = 0) -> str:
        done = call(["sync", *arguments], place.environment, Path.cwd())
        assert "Traceback" not in done.err, done.err
        assert done.code == code, done.out + done.err
        return done.out + done.err

    return run


def _words(stream: Iterator[str]) -> Iterator[list[str]]:
    return (line.split() for line in stream)
