"""The packages that a run had: what is different here, and a fresh environment that has them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

from aletheia_like.errors import AletheiaError
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.storing import local_blob
from aletheia_like.reproduce.planning import CannotError

Packages = Mapping[str, Mapping[str, str]]

OURSELVES = "aletheia-like"
_INSTALL_SECONDS = 1800.0
_TAIL_LINES = 5


def recorded_packages(session: Session, digest: str | None) -> Packages:
    """Return the recorded packages, name by name.

    Raises:
        CannotError: They were not recorded, or the list is gone or damaged.
    """
    if digest is None:
        message = "its packages were not recorded"
        raise CannotError(message)
    try:
        listed = json.loads(local_blob(session, digest).read_text(encoding="utf-8"))
        return {str(name): dict(entry) for name, entry in listed.items()}
    except (AletheiaError, ValueError, AttributeError, TypeError) as error:
        message = f"the list of its packages cannot be read: {error}"
        raise CannotError(message) from error


def fresh_environment(folder: Path, python: str | None, wanted: Sequence[str]) -> Path:
    """Make a virtual environment with exactly these packages; return its interpreter.

    Args:
        folder: Where; must not exist.
        python: The recorded version of Python, such as `3.11.9`; its first two parts count.
        wanted: Lines of requirements; nothing else is installed, whatever they depend on.

    Raises:
        CannotError: There is no such Python here, or pip cannot install them.
    """
    builder = _builder(python)
    try:
        if builder == sys.executable:
            venv.create(folder, symlinks=os.name != "nt", with_pip=not _has_pip())
        else:
            _run([builder, "-m", "venv", str(folder)])
    except OSError as error:
        message = f"no virtual environment can be made: {error}"
        raise CannotError(message) from error
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    made = scripts / Path("python.exe" if os.name == "nt" else "python")
    if wanted:
        lines = folder / "requirements.txt"
        lines.write_text("\n".join(wanted) + "\n", encoding="utf-8")
        borrowed = builder == sys.executable and _has_pip()
        pip = [sys.executable, "-m", "pip", "--python", str(made)]
        command = pip if borrowed else [str(made), "-m", "pip"]
        options = ["--no-deps", "--quiet", "--disable-pip-version-check", "--no-input"]
        _run([*command, "install", *options, "-r", str(lines)])
    return made


def own_source() -> Path | None:
    """Return where this package lies if it runs out of a source tree, None if it is installed."""
    folder = Path(__file__).resolve().parents[2]
    return None if folder.name in ("site-packages", "dist-packages") else folder


def _builder(python: str | None) -> str:
    wanted = ".".join((python or "").split(".")[:2])
    if wanted in ("", f"{sys.version_info[0]}.{sys.version_info[1]}"):
        return sys.executable
    found = shutil.which(f"python{wanted}")
    if found is None:
        message = f"it ran on Python {python}, and there is no python{wanted} on PATH"
        raise CannotError(message)
    return found


def _has_pip() -> bool:
    import importlib.util

    return importlib.util.find_spec("pip") is not None


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - its parts are ours
            command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"the recorded packages cannot be installed: {error}"
        raise CannotError(message) from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()][-_TAIL_LINES:]
        message = f"the recorded packages cannot be installed: {' '.join(lines)}"
        raise CannotError(message)
