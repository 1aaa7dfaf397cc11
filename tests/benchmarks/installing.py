"""Install each peer into a virtual environment of its own, at a pinned version."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

VERSIONS = Path(__file__).parent / "peers" / "versions.txt"


def pinned() -> dict[str, str]:
    """Return the requirement of each peer, by its name."""
    lines = (line.strip() for line in VERSIONS.read_text().splitlines())
    return {
        line.partition("==")[0].partition("[")[0]: line
        for line in lines
        if line and line[0] != "#"
    }


def interpreter(folder: Path, peer: str) -> Path:
    """Return the Python of a peer's environment, which need not exist."""
    return folder / peer / "bin" / "python"


def install(into: Path) -> None:
    """Create the environments that are missing or of another version, one after the other."""
    for peer, requirement in pinned().items():
        python = interpreter(into, peer)
        done = into / peer / "installed"
        if python.exists() and done.exists() and done.read_text() == requirement:
            continue
        print(f"installing {requirement} into {into / peer}", file=sys.stderr)
        venv.create(into / peer, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, requirement], check=True)
        done.write_text(requirement)
