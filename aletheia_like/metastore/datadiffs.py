"""What one version of a data set has differently from another, file by file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aletheia_like.model.digests import Manifest


@dataclass(frozen=True, slots=True)
class DatasetDifference:
    """Files by their paths; `before` and `after` name the versions.

    Attributes:
        added: Only in `after`.
        removed: Only in `before`.
        changed: In both, with other content.
        moved: Pairs of paths, before and after, of one content.
        unchanged: How many files are the same in both.
        size: Bytes in `after` that no file of `before` has.
    """

    before: str
    after: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    unchanged: int = 0
    size: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.moved)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "before": self.before,
            "after": self.after,
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": list(self.changed),
            "moved": [list(pair) for pair in self.moved],
            "unchanged": self.unchanged,
            "size": self.size,
        }

    def __str__(self) -> str:
        counts = {"added": self.added, "removed": self.removed, "changed": self.changed}
        told = [f"{len(paths)} {word}" for word, paths in counts.items()]
        told += [f"{len(self.moved)} moved", f"{self.unchanged} unchanged"]
        lines = [f"{self.before} -> {self.after}: {', '.join(told)}"]
        lines += [f"+ {path}" for path in self.added]
        lines += [f"- {path}" for path in self.removed]
        lines += [f"~ {path}" for path in self.changed]
        lines += [f"> {old} -> {new}" for old, new in self.moved]
        return "\n".join(lines)


def compare_manifests(
    before: str, ours: Manifest, after: str, theirs: Manifest
) -> DatasetDifference:
    """Return what the second manifest has differently; `before` and `after` name them."""
    old = {one.path: one.digest for one in ours}
    new = {one.path: one.digest for one in theirs}
    added = [path for path in new if path not in old]
    gone: dict[str, list[str]] = {}
    for path in reversed(list(old)):
        if path not in new:
            gone.setdefault(old[path], []).append(path)
    moved = tuple((gone[new[path]].pop(), path) for path in added if gone.get(new[path]))
    arrived = {after for _, after in moved}
    known = set(old.values())
    fresh = {one.digest: one.size for one in theirs if one.digest not in known}
    return DatasetDifference(
        before,
        after,
        tuple(path for path in added if path not in arrived),
        tuple(sorted(path for left in gone.values() for path in left)),
        tuple(path for path in new if path in old and old[path] != new[path]),
        moved,
        sum(old.get(path) == new[path] for path in new),
        sum(fresh.values()),
    )
