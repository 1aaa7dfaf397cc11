"""A hybrid logical clock: as late as the store's clock says, and later than all that was seen.

A stamp is milliseconds since 1970 times 65,536 plus a counter. An id of a revision begins with
its stamp, so ids in order of the alphabet are revisions in order of time; equal stamps of two
writers are told apart by their content, the same way everywhere.
"""

from __future__ import annotations

import datetime as dt
import re

_COUNTER = 1 << 16
_ID = re.compile(r"([0-9a-f]{15})-([0-9a-f]{12})")
ROOT = f"{0:015x}-{0:012x}"
"""What the first revision names as its parent."""


def next_stamp(now: dt.datetime, last: int) -> int:
    """Return a stamp for now that is later than `last`."""
    return max(int(now.timestamp() * 1000) * _COUNTER, last + 1)


def stamp_at(moment: dt.datetime) -> int:
    """Return the first stamp of a moment."""
    return int(moment.timestamp() * 1000) * _COUNTER


def moment_of(stamp: int) -> dt.datetime:
    """Return when a stamp was taken, to the millisecond."""
    return dt.datetime.fromtimestamp(stamp // _COUNTER / 1000, dt.UTC)


def revision_id(stamp: int, digest: str) -> str:
    """Return the id of a revision taken at a stamp, with this content."""
    return f"{stamp:015x}-{digest[:12]}"


def stamp_of(id_: str) -> int:
    """Return the stamp that an id begins with."""
    return int(id_[:15], 16)


def is_id(text: object) -> bool:
    """Whether this is the id of a revision."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None
