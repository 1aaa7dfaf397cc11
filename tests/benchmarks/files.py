"""W6: adding, adding again and fetching files."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from tests.benchmarks.options import Options
from tests.benchmarks.reporting import report, timed


def files(options: Options) -> None:
    """Measure one large file and many small ones, against the copy and hash they need."""
    import aletheia_like as al

    folder = Path(tempfile.mkdtemp())
    ms = al.Metastore("b", url=(folder / "store").as_uri(), cache_dir=folder / "cache", git="off")
    large = folder / "large.bin"
    size = (2 if options.small else 1024) << 20
    with large.open("wb") as stream:
        for _ in range(size >> 20):
            stream.write(os.urandom(1 << 20))
    many = folder / "many"
    many.mkdir()
    for number in range(10 if options.small else 10_000):
        (many / f"{number:05}").write_bytes(os.urandom(10_240))

    def hash_and_copy() -> None:
        with large.open("rb") as stream:
            hashlib.file_digest(stream, "sha256")
        shutil.copyfile(large, folder / "copy.bin")

    limit = timed(hash_and_copy)
    tree_limit = timed(lambda: shutil.copytree(many, folder / "tree-copy"))
    rows = [
        (f"hash, then kernel copy, {size >> 20} MiB", limit, None),
        ("add it", timed(lambda: ms.add_dataset("large", large)), limit),
        ("add it again", timed(lambda: ms.add_dataset("large", large)), limit),
        ("fetch it", timed(lambda: ms.get_dataset("large", download=True)), limit),
        ("fetch it, warm", timed(lambda: ms.get_dataset("large", download=True)), None),
        ("cp -r of many small files", tree_limit, None),
        ("add them", timed(lambda: ms.add_dataset("many", many)), tree_limit),
        ("add them again", timed(lambda: ms.add_dataset("many", many)), tree_limit),
        ("fetch them", timed(lambda: ms.get_dataset("many", download=True)), tree_limit),
        ("fetch them, warm", timed(lambda: ms.get_dataset("many", download=True)), None),
    ]
    report("files", rows)
    shutil.rmtree(folder)
