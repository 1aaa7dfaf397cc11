"""A repository of one's own, programs that record in it, and the metastore they record into."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

import aletheia_like as al

ROOT = Path(__file__).parents[2]


class Code:
    """A git repository, and the metastore that its programs record into."""

    def __init__(self, folder, url=None):
        self.root = folder / "code"
        self.root.mkdir()
        self.url = url or (folder / "store").as_uri()
        self.cache = folder / "cache"
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments):
        command = ["git", *arguments]
        done = subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, program, name="train.py"):
        (self.root / name).write_text("import aletheia_like as al\n" + program)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"Change {name}")

    def run(self, *arguments, code=0, **variables):
        """Run the program, as its user would."""
        settings = {"ALETHEIA_URL": self.url, "ALETHEIA_CACHE_DIR": str(self.cache)}
        done = subprocess.run(
            [sys.executable, *(arguments or ("train.py",))],
            cwd=self.root,
            env={**os.environ, **settings, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stderr

    def open(self):
        return al.Metastore("p", url=self.url, cache_dir=self.cache, git="off")


@pytest.fixture
def code(tmp_path, monkeypatch, request):
    """An empty repository; programs that run find this package."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("ALETHEIA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "ada@example.org")
    url = None
    if getattr(request, "param", None) == "firestore":
        request.getfixturevalue("firestore_emulator")
        request.getfixturevalue("gcs_emulator")
        url = f"firestore://demo-{secrets.token_hex(6)}/(default)?bucket=aletheia-emulator"
    return Code(tmp_path, url)
