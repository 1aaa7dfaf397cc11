"""Which run uses what is loaded without naming a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aletheia_like.model.records import ENDED

if TYPE_CHECKING:
    from aletheia_like.metastore.artifacts import ArtifactVersion
    from aletheia_like.metastore.run import Run
    from aletheia_like.metastore.session import Session


def note_use(session: Session, version: ArtifactVersion) -> None:
    """Note a version as used by the run that this metastore is recording, if it is one.

    A run that records children leaves it to them; of several runs side by side none is meant.
    """
    live = _live(session)
    parents = {one.parent for one in live}
    inner = [one for one in live if one.id not in parents]
    if len(inner) == 1:
        inner[0].use_artifact(version)


def _live(session: Session) -> list[Run]:
    from aletheia_like.metastore.run import Run

    return [
        one
        for one in session.live_runs.runs()
        if isinstance(one, Run) and one.is_recorded_here and one.status not in ENDED
    ]
