"""A fresh environment with recorded packages; the index is a folder, so no network is needed."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest

from aletheia_like.reproduce.packages import fresh_environment
from aletheia_like.reproduce.planning import CannotError


@pytest.fixture
def index(tmp_path, monkeypatch):
    """The only place where pip looks: a folder with one package."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    below = "tiny-1.2.dist-info"
    with zipfile.ZipFile(folder / "tiny-1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "SIZE = 12\n")
        wheel.writestr(f"{below}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.2\n")
        wheel.writestr(f"{below}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{below}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PYTHONPATH", raising=False)


def test_a_fresh_environment_has_what_was_recorded_and_nothing_else(index, tmp_path):
    version = f"{sys.version_info[0]}.{sys.version_info[1]}.0"
    program = (
        "import importlib.metadata as m, tiny\n"
        "print(tiny.SIZE, *sorted(one.name for one in m.distributions()))"
    )

    python = fresh_environment(tmp_path / "venv", version, ["tiny==1.2"])

    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["12", "tiny"]


def test_a_package_that_is_nowhere_is_told(index, tmp_path):
    with pytest.raises(CannotError, match=r"cannot be installed.*tiny==9"):
        fresh_environment(tmp_path / "venv", None, ["tiny==9"])


def test_a_python_that_is_not_here_is_told(tmp_path):
    with pytest.raises(CannotError, match=r"python2\.2"):
        fresh_environment(tmp_path / "venv", "2.2.1", [])
