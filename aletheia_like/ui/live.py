"""Streams of events: a page that is open learns that it is no longer up to date."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from aletheia_like.ui.asking import Asked, Page
from aletheia_like.ui.following import (
    Event,
    Source,
    follow_experiment,
    follow_place,
    follow_run,
)

_ALIVE_SECONDS = 15.0
_PAUSE_SECONDS = 0.2
"""Several changes within this time are told as one."""


def project_events(asked: Asked) -> Response:
    """Tell whether the store is there."""
    session = asked.project.session
    return _events(asked, follow_place(session.documents, session.project_path))


def experiment_events(asked: Asked) -> Response:
    """Tell of changes of an experiment's runs."""
    experiment = asked.experiment
    return _events(asked, follow_experiment(experiment, asked.project.session.documents))


def run_events(asked: Asked) -> Response:
    """Tell of changes of one run."""
    return _events(asked, follow_run(asked.run))


def _events(asked: Asked, source: Source) -> Response:
    return StreamingResponse(_stream(asked, source), media_type="text/event-stream")


async def _stream(asked: Asked, source: Source) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Event] = asyncio.Queue()

    def tell(event: Event) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(queue.put_nowait, event)

    with asked.site.followers.following(asked.raw_path, source, tell):
        yield "retry: 1000\n\n"
        while True:
            try:
                events = [await asyncio.wait_for(queue.get(), _ALIVE_SECONDS)]
            except TimeoutError:
                yield ": still here\n\n"
                continue
            await asyncio.sleep(_PAUSE_SECONDS if events == ["changed"] else 0)
            while not queue.empty():
                events.append(queue.get_nowait())
            for event in dict.fromkeys(events):
                yield f"event: {event}\ndata: {{}}\n\n"


routes = (
    Page("/projects/{project}/live", project_events),
    Page("/projects/{project}/experiments/{experiment}/live", experiment_events),
    Page("/projects/{project}/experiments/{experiment}/runs/{run}/live", run_events),
)
