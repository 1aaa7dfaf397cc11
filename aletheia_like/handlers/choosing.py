"""Finds handlers: the package's own, those of plug-ins, and subclasses that a program defines."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.handlers.arrays import Npy, Npz, Safetensors, Torch
from aletheia_like.handlers.frames import Csv, Parquet
from aletheia_like.handlers.handler import Handler
from aletheia_like.handlers.pickles import Cloudpickle, Joblib, Skops
from aletheia_like.handlers.pictures import Figure, Image, Plotly
from aletheia_like.handlers.texts import Bytes, Json, Text, Yaml

GROUP = "aletheia_like.handlers"
"""The group of entry points that names a distribution's handlers."""

_OWN: tuple[type[Handler], ...] = (
    Bytes,
    Npy,
    Npz,
    Torch,
    Parquet,
    Image,
    Figure,
    Plotly,
    Skops,
    Json,
    Yaml,
    Text,
    Csv,
    Safetensors,
    Joblib,
    Cloudpickle,
)
"""In the order in which they are asked whether they accept a value."""


@dataclass(frozen=True, slots=True)
class Found:
    """A handler, and where it is from.

    Attributes:
        distribution: What a plug-in is installed as; None for others.
    """

    handler: Handler
    distribution: str | None = None


def choose(value: Any, name: str | None) -> Found:
    """Return the handler of a name, or the one for a value if there is no name.

    Raises:
        InvalidValueError: There is no such handler, none for the value, or a plug-in is broken.
    """
    if name is not None:
        found = find(name)
        if found is None:
            message = f"there is no handler {name!r}: there are {', '.join(names())}"
            raise InvalidValueError(message)
        return found
    for found in _accepting():
        if found.handler.accepts(value):
            return found
    message = (
        f"no handler is for a {type(value).__module__}.{type(value).__qualname__}: name one "
        f"(handler=…: {', '.join(names())}; cloudpickle takes any object), "
        "or save it to a file and give its path"
    )
    raise InvalidValueError(message)


def find(name: str) -> Found | None:
    """Return the handler of a name, or None.

    Raises:
        InvalidValueError: The plug-in that should have it is broken.
    """
    for own in _OWN:
        if own.name == name:
            return Found(own())
    for one in _entry_points():
        if one.name == name:
            return _loaded(one)
    for subclass in reversed(list(_defined())):
        if subclass.name == name:
            return Found(subclass())
    return None


def names() -> list[str]:
    """Return the names of all handlers, sorted; no plug-in is imported for it."""
    defined = [*_OWN, *_defined()]
    return sorted({*(one.name for one in defined), *(one.name for one in _entry_points())})


def _accepting() -> Iterator[Found]:
    """Yield all handlers; a broken plug-in is warned of, and does not break the others."""
    yield from (Found(own()) for own in _OWN)
    for one in _entry_points():
        try:
            yield _loaded(one)
        except InvalidValueError as error:
            warnings.warn(str(error), stacklevel=2)
    # A plug-in's class is among these once it is imported; it was asked already.
    yield from (Found(one()) for one in reversed(list(_defined())))


def _defined() -> Iterator[type[Handler]]:
    """Yield the subclasses that programs have defined, the oldest first."""
    waiting = list(Handler.__subclasses__())
    while waiting:
        one = waiting.pop(0)
        waiting += one.__subclasses__()
        if one not in _OWN and not inspect.isabstract(one) and hasattr(one, "name"):
            yield one


def _entry_points() -> list[metadata.EntryPoint]:
    own = {one.name for one in _OWN}
    return [one for one in metadata.entry_points(group=GROUP) if one.name not in own]


def _loaded(entry: metadata.EntryPoint) -> Found:
    distribution = entry.dist.name if entry.dist is not None else entry.module
    plugin = f"the plug-in {distribution} (handler {entry.name!r} = {entry.value})"
    try:
        given = entry.load()
        handler = given() if isinstance(given, type) else given
    except Exception as error:
        message = f"{plugin} cannot be loaded: {type(error).__name__}: {error}"
        raise InvalidValueError(message) from error
    if not isinstance(handler, Handler):
        message = f"{plugin} is no subclass of aletheia_like.Handler"
        raise InvalidValueError(message)
    lacking = [one for one in ("name", "media_type", "suffix") if not hasattr(handler, one)]
    if lacking or handler.name != entry.name:
        what = f"has no {', '.join(lacking)}" if lacking else f"is called {handler.name!r}"
        message = f"{plugin} {what}: its name must be that of the entry point"
        raise InvalidValueError(message)
    return Found(handler, distribution)
