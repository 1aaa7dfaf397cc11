"""The least that a content-addressed store does: hash each file, copy it under its hash.

It remembers for each file the state in which it was hashed, as `stat` tells it, and copies by the
kernel. It stores no documents, checks nothing and is not safe beside another process.
"""

import hashlib
import os
from pathlib import Path

from driving import Driver, main

SMALL = 1 << 20


class RawAddressed(Driver):
    """One file for each content, in 256 folders."""

    def open(self, run, params):
        self._hashes = {}
        self._blobs = self.folder / "blobs"
        for number in range(256):
            (self._blobs / f"{number:02x}").mkdir(parents=True)

    def add(self, path, name):
        for one in os.scandir(path) if path.is_dir() else [path]:
            status = one.stat()
            key = (os.fspath(one), status.st_size, status.st_mtime_ns, status.st_ino)
            if key not in self._hashes:
                self._hashes[key] = self._store(key[0], status.st_size)

    def close(self):
        pass

    def _store(self, path, size):
        with Path(path).open("rb") as source:
            if size <= SMALL:
                content = source.read()
                digest = hashlib.sha256(content).hexdigest()
                with self._created(digest) as target:
                    target.write(content)
            else:
                digest = hashlib.file_digest(source, "sha256").hexdigest()
                source.seek(0)
                with self._created(digest) as target:
                    while os.copy_file_range(source.fileno(), target.fileno(), size):
                        pass
        return digest

    def _created(self, digest):
        return (self._blobs / digest[:2] / digest).open("xb", buffering=0)


if __name__ == "__main__":
    main(RawAddressed)
