"""W6: what asking again for a data set costs, and what verifying it costs.

In CPU time, the least of interleaved rounds: other programs share the cores.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.options import Options
from tests.benchmarks.reporting import report


def cache(options: Options) -> None:
    """Measure warm hits of a file and of a directory, and hashing, against bare calls."""
    import fsspec

    import aletheia_like as al

    folder = Path(tempfile.mkdtemp())
    count, size = (100, 1 << 20) if options.small else (10_000, 256 << 20)
    (folder / "many").mkdir()
    for number in range(count):
        (folder / "many" / f"{number:05}").write_bytes(b"%d" % number * 200)
    (folder / "one.bin").write_bytes(os.urandom(size))
    ms = al.Metastore("b", url=(folder / "store").as_uri(), cache_dir=folder / "cache", git="off")
    ms.add_dataset("many", folder / "many")
    ms.add_dataset("one", folder / "one.bin")
    names = [str(path) for path in _fetch(ms, "many").iterdir()]
    one = _fetch(ms, "one")
    files = fsspec.filesystem(
        "filecache", target_protocol="file", cache_storage=str(folder / "fsspec")
    )
    block = os.urandom(1 << 20)

    def hash_block() -> None:
        hasher = hashlib.sha256()
        for _ in range(size >> 20):
            hasher.update(block)

    def hash_file() -> None:
        with one.open("rb", buffering=0) as stream:
            hashlib.file_digest(stream, "sha256")

    found = _least(
        options.rounds,
        {
            "stat": lambda: [os.stat(name) for name in names],  # noqa: PTH116 - the bare call
            "directory": lambda: _fetch(ms, "many"),
            "hash": lambda: [hashlib.sha256(Path(name).read_bytes()) for name in names],
            "file": lambda: _fetch(ms, "one"),
            "fsspec": lambda: files.open(str(folder / "one.bin")).close(),
            "block": hash_block,
            "whole": hash_file,
            "verify": ms.cache.verify,
        },
    )
    rows = [
        (f"stat of {count} files", found["stat"], None),
        ("get_dataset of them, warm", found["directory"], found["stat"]),
        ("hash them, as pooch would", found["hash"], found["stat"]),
        ("get_dataset of one file, warm", found["file"], None),
        ("fsspec filecache, warm", found["fsspec"], None),
        (f"sha-256 of {size >> 20} MiB in memory", found["block"], None),
        ("sha-256 of the file, as the cache does", found["whole"], found["block"]),
        ("cache.verify of all", found["verify"], found["block"]),
    ]
    report("cache", rows)
    shutil.rmtree(folder)


def _fetch(ms: object, name: str) -> Path:
    path: Path = ms.get_dataset(name, download=True).local_path  # type: ignore[attr-defined]
    return path


def _least(rounds: int, actions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the least CPU seconds of each action."""
    found = dict.fromkeys(actions, float("inf"))
    for _ in range(rounds):
        for name, action in actions.items():
            start = time.process_time()
            action()
            found[name] = min(found[name], time.process_time() - start)
    return found
