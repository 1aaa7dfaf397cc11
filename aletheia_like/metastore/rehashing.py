"""Whether the stored bytes of a version are what its digest says; nothing local is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from aletheia_like.errors import IntegrityError, NotFoundError
from aletheia_like.metastore.session import Session
from aletheia_like.model.digests import Manifest, digest_stream
from aletheia_like.model.records import VersionRecord

Verdict = Literal["intact", "wrong", "missing", "not stored"]


@dataclass(frozen=True, slots=True)
class Rehashed:
    """What re-hashing a version found.

    Attributes:
        verdict: `intact`; `wrong` or `missing` bytes; or `not stored`: there never were any.
        bad: Files whose bytes are wrong or missing.
    """

    verdict: Verdict
    bad: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"verdict": self.verdict, "bad": list(self.bad)}


def verify_version(session: Session, record: VersionRecord) -> Rehashed:
    """Read every byte of a version from the store and compare it with its sha-256.

    Raises:
        UnavailableError: The store is away.
    """
    if not record.uploaded or record.digest is None:
        return Rehashed("not stored")
    if record.kind != "directory":
        return _verdict({record.filename or record.name: _look(session, record.digest)})
    listing = str(record.manifest)
    verdict = _look(session, listing)
    if verdict != "intact":
        return Rehashed(verdict, ("manifest.jsonl",))
    with session.blobs.open(listing) as stream:
        manifest = Manifest.from_text(stream.read().decode())
    if manifest.digest != record.digest:
        return Rehashed("wrong", ("manifest.jsonl",))
    return _verdict({one.path: _look(session, one.digest) for one in manifest})


def _look(session: Session, digest: str) -> Verdict:
    try:
        with session.blobs.open(digest) as stream:
            return "intact" if digest_stream(stream) == digest else "wrong"
    except NotFoundError:
        return "missing"
    except IntegrityError:
        return "wrong"


def _verdict(looks: dict[str, Verdict]) -> Rehashed:
    bad = tuple(path for path, verdict in looks.items() if verdict != "intact")
    if not bad:
        return Rehashed("intact")
    return Rehashed("wrong" if "wrong" in looks.values() else "missing", bad)
