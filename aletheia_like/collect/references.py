"""What refers to blobs: every digest in every document, in rows, manifests and long values.

Whatever looks like a digest counts as one, also in a text that a user logged: that keeps a blob
too many now and then, never one too few. What lies elsewhere joins in by `Referring`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aletheia_like.errors import IntegrityError, NotFoundError
from aletheia_like.metastore.session import Session

_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_DIGEST_BYTES = re.compile(_DIGEST.pattern.encode())
_OPENED = re.compile(r'"@json"\s*:\s*\[\s*"([0-9a-f]{64})"')
_OPENING = ("manifest", "@json")
_THREADS = 8


@dataclass(slots=True)
class References:
    """Digests that something refers to.

    Attributes:
        found: All of them, as bytes.
        unread: Blobs whose content refers to others, and has not been read yet.
        broken: Such blobs that are gone or damaged.
    """

    found: set[bytes] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)

    def __contains__(self, digest: str) -> bool:
        return bytes.fromhex(digest) in self.found

    def __len__(self) -> int:
        return len(self.found)

    def add(self, digests: Iterable[str], *, opens: bool = False) -> None:
        """Take in digests.

        Args:
            digests: What is referred to.
            opens: Whether their content refers to others, as that of a manifest does.
        """
        for digest in digests:
            self.found.add(bytes.fromhex(digest))
            if opens:
                self.unread.add(digest)

    def add_text(self, text: str) -> None:
        """Take in whatever looks like a digest in a text, such as the columns of rows."""
        self.add(_DIGEST.findall(text))
        if _OPENING[1] in text:
            self.add(_OPENED.findall(text), opens=True)

    def add_value(self, value: Any) -> None:
        """Take in whatever looks like a digest in a stored value."""
        if isinstance(value, str):
            self.add_text(value)
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                self.add_text(key)
                if key in _OPENING:
                    named = inner[0] if isinstance(inner, list) and inner else inner
                    if isinstance(named, str) and _DIGEST.fullmatch(named):
                        self.add([named], opens=True)
                self.add_value(inner)
        elif isinstance(value, Sequence) and not isinstance(value, bytes):
            for item in value:
                self.add_value(item)

    def add_file(self, path: Path) -> None:
        """Take in whatever looks like a digest in a file of this machine; it may vanish."""
        try:
            with path.open("rb") as stream:
                for line in stream:
                    self.add(one.decode() for one in _DIGEST_BYTES.findall(line))
        except FileNotFoundError:
            return


Referring = Callable[[Session, References], None]
"""Adds what a part of the store refers to that lies in no collection of `transfer.source.KINDS`.

It is called once, for the whole store, after its documents were read. `CollectingMetastore` asks
`_referring` for all of them. It must add whatever was mentioned before it was called.
"""


def read_unread(session: Session, references: References) -> None:
    """Read the blobs whose content refers to others, and those that these refer to.

    Raises:
        UnavailableError: The store is away: nothing is known for sure.
    """
    read: set[str] = set()
    while todo := references.unread - read:
        read |= todo
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="aletheia-references") as pool:
            for digest, lines in pool.map(lambda one: (one, _lines(session, one)), sorted(todo)):
                if lines is None:
                    references.broken.append(digest)
                for line in lines or ():
                    _add_line(references, line)
    references.unread.clear()


def _lines(session: Session, digest: str) -> list[str] | None:
    """Return the text of a blob by lines; None if it is gone or damaged."""
    cached = session.cache.path(digest)
    try:
        stream = session.blobs.open(digest) if cached is None else cached.open("rb")
        with closing(stream):
            return stream.read().decode(errors="replace").splitlines()
    except (NotFoundError, FileNotFoundError, IntegrityError):
        return None


def _add_line(references: References, line: str) -> None:
    try:
        references.add_value(json.loads(line))
    except ValueError:
        references.add_text(line)


def on_this_machine(session: Session, references: References) -> Iterator[Path]:
    """Take in what waits on this machine to be sent, to whatever store; yield each file."""
    folders = {Path(session.settings.home) / "journal", session.journal_folder}
    for folder in sorted(folders):
        for path in folder.rglob("*") if folder.is_dir() else ():
            references.add_text(str(path.relative_to(folder)))
            if "blobs" not in path.parts[len(folder.parts) :] and path.is_file():
                references.add_file(path)
                yield path
