"""Turns whatever holds a researcher's parameters into a plain mapping."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.names import with_article

_MAX_DEPTH = 100
LEAVES = frozenset({bool, int, float, str, bytes, dt.datetime, type(None)})
"""Types that are surely no mapping: asking about every number of a table takes time."""


def to_mapping(parameters: object) -> dict[Any, Any]:
    """Return parameters as nested dictionaries.

    Args:
        parameters: A mapping, dataclass, pydantic model, argparse namespace, attrs object or
            OmegaConf container; mappings and objects inside it are turned too.

    Raises:
        InvalidValueError: It is none of these.
    """
    plain = _plain(parameters)
    if not isinstance(plain, dict):
        message = (
            f"hyper parameters must be a mapping, dataclass, pydantic model, argparse namespace "
            f"or OmegaConf, not {with_article(type(parameters).__name__)}: {parameters!r:.80}"
        )
        raise InvalidValueError(message)
    return plain


def flatten(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield `(dotted.name, value)` for every leaf of nested mappings.

    Examples:
        >>> dict(flatten({"lr": 0.1, "opt": {"name": "adam"}}, "hyper_params."))
        {'hyper_params.lr': 0.1, 'hyper_params.opt.name': 'adam'}
    """
    for key, value in values.items():
        if type(value) not in LEAVES and isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def flattened(values: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return what `flatten` yields; the quick way for maps without maps in them."""
    if LEAVES.issuperset(map(type, values.values())):
        return {f"{prefix}{key}": value for key, value in values.items()}
    return dict(flatten(values, prefix))


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        # It may contain itself; whoever encodes it says so, and where.
        return value
    if isinstance(value, Mapping):
        return {key: _plain(inner, depth + 1) for key, inner in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (one.name for one in dataclasses.fields(value))
        return {name: _plain(getattr(value, name), depth + 1) for name in names}
    if isinstance(value, argparse.Namespace):
        return {key: _plain(inner, depth + 1) for key, inner in vars(value).items()}
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return _plain(dump(), depth + 1)
    if hasattr(type(value), "__attrs_attrs__"):
        names = (one.name for one in value.__attrs_attrs__)
        return {name: _plain(getattr(value, name), depth + 1) for name in names}
    omegaconf = sys.modules.get("omegaconf")
    if omegaconf is not None and omegaconf.OmegaConf.is_config(value):
        return omegaconf.OmegaConf.to_container(value, resolve=True)
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return [_plain(item, depth + 1) for item in value]
    return value
