"""Joins diverged heads: the result depends on nothing but the heads."""

from __future__ import annotations

from aletheia_like.errors import AlreadyExistsError
from aletheia_like.series.changelog import Changelog
from aletheia_like.series.history import Logged
from aletheia_like.series.revisions import revision


def merge(changelog: Changelog) -> list[Logged]:
    """Join all heads of a changelog; see `Collection.merge`.

    The revision is stamped just after the latest head and names nobody, so that two stores that
    join the same heads make the same one, and later pulls find it there already.
    """

    def attempt() -> list[Logged]:
        changelog.refresh().check_whole()
        heads = changelog.history.heads
        if len(heads) <= 1:
            return []
        stamp = max(changelog.history.revisions[one].stamp for one in heads) + 1
        joined = revision(stamp, heads, ())
        changelog.add([joined])
        return [Logged(joined, head, is_head=True) for head in heads]

    return changelog.session.retry(attempt, AlreadyExistsError)
