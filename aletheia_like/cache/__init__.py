"""Local copies of blobs: complete and verified under their final name, or not there at all.

The layout is an interface that other programs may read; `docs/reference/cache.md` explains it.

    CACHEDIR.TAG                  backup programs skip the folder
    blobs/{digest[:2]}/{digest}   a blob, read-only, named by its sha-256
    trees/{digest}/...            a directory by its manifest's digest, or a file under its own
                                  name: hard links to blobs if possible, else copies
    records/...                   what `stat` said when a file was last verified
    pins/{digest}                 what is never pruned
    leases/                       what living processes were given
    rows/                         rows of runs that have ended, for SQL
    documents/                    what data sets and artifacts are opened by, for offline work
    locks/                        while something is downloaded, so that one process does it
    making/                       files of objects that are being stored
    hashed/                       what files elsewhere held when they were last added
    quarantine/                   files that no longer had their content, for a week
"""

from __future__ import annotations

from aletheia_like.cache.copies import Source
from aletheia_like.cache.local import CacheReport, LocalCache
from aletheia_like.cache.pruning import PruneReport
from aletheia_like.cache.taking_stock import CachedBlob, Holding

__all__ = ["CacheReport", "CachedBlob", "Holding", "LocalCache", "PruneReport", "Source"]
