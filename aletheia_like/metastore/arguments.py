"""What a function was called with, as columns of a row: by name, bounded, configs taken apart."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from aletheia_like.model.values import encode

MAX_DEPTH = 10
MAX_ITEMS = 1_000
MAX_TEXT = 10_000

_SHORT_TEXT = 500
_SMALL_BITS = 64
_NO_CONFIGS = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict})
_AS_THEY_ARE = frozenset({type(None), bool, float, bytes})


def takes_self(function: Callable[..., Any]) -> bool:
    """Whether the first argument is the object or class that a plain function is a method of."""
    owner, _, _ = getattr(function, "__qualname__", "").rpartition(".")
    if not inspect.isfunction(function) or not owner or owner.endswith("<locals>"):
        return False
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return names[:1] in (("self",), ("cls",))


def named_arguments(
    signature: inspect.Signature | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return arguments by the names of their parameters, defaults among them.

    Arguments of `*many` are `many_0`, `many_1`, …; of a function that does not tell its
    parameters, or does not take these arguments, `arg_0`, `arg_1`, ….
    """
    bound = _bound(signature, args, kwargs) if signature is not None else None
    if signature is None or bound is None:
        return {f"arg_{index}": value for index, value in enumerate(args)} | dict(kwargs)
    bound.apply_defaults()
    named: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            named |= {f"{name}_{index}": one for index, one in enumerate(value)}
        elif kind is inspect.Parameter.VAR_KEYWORD:
            named |= value
        else:
            named[name] = value
    return named


def _bound(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> inspect.BoundArguments | None:
    try:
        return signature.bind(*args, **kwargs)
    except TypeError:
        return None


def config_columns(named: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield `(param_field, value)` for the fields of every argument that is a config.

    A config inside a config is taken apart too, `param_field_field`, down to 10 levels; one that
    contains itself is cut there.
    """
    for name, value in named:
        fields = config_fields(value)
        if fields is not None:
            yield from _unpacked(name, fields, (id(value),))


def config_fields(value: object) -> dict[str, Any] | None:
    """Return the fields of a dataclass, pydantic model, attrs object or argparse namespace."""
    kind: Any = type(value)
    if kind in _NO_CONFIGS:
        return None
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
    elif hasattr(kind, "__attrs_attrs__"):
        names = [field.name for field in kind.__attrs_attrs__]
    elif hasattr(kind, "model_dump") and isinstance(getattr(kind, "model_fields", None), dict):
        names = [*kind.model_fields, *(getattr(value, "__pydantic_extra__", None) or ())]
    elif isinstance(value, argparse.Namespace):
        names = list(vars(value))
    else:
        return None
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def describe(value: object, items: int = MAX_ITEMS) -> Any:
    """Return a value as a row can hold it: itself if it is JSON-like and small, else a short text.

    Args:
        value: Anything.
        items: How many values it may contain in all.
    """
    return _Description(items).of(value, ())


def short_text(value: object) -> str:
    """Return a bounded `repr`; one that fails is replaced by the name of the type."""
    shortener = reprlib.Repr()
    shortener.maxstring = shortener.maxother = _SHORT_TEXT
    try:
        return shortener.repr(value)
    except Exception:  # noqa: BLE001 - the repr of a foreign object may raise anything
        return f"<{type(value).__qualname__}>"


def _unpacked(
    prefix: str, fields: Mapping[str, Any], above: tuple[int, ...]
) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        column = f"{prefix}_{name}"
        inner = config_fields(value)
        if not inner:
            yield column, describe(value)
        elif id(value) in above:
            yield column, _above(value)
        elif len(above) >= MAX_DEPTH:
            yield column, short_text(value)
        else:
            yield from _unpacked(column, inner, (*above, id(value)))


def _above(value: object) -> str:
    return f"<the {type(value).__qualname__} above>"


class _Description:
    """Describes one value, and counts what it is made of."""

    def __init__(self, items: int) -> None:
        self._left = items

    def of(self, value: Any, above: tuple[int, ...]) -> Any:
        self._left -= 1
        kind = type(value)
        if kind in _AS_THEY_ARE:
            return value if kind is not bytes or len(value) <= MAX_TEXT else short_text(value)
        if kind is int and value.bit_length() < _SMALL_BITS:
            return value
        if kind is str and len(value) > MAX_TEXT:
            value = f"{value[:MAX_TEXT]}… ({len(value)} characters)"
        if kind is str and value.isascii():
            return value
        if id(value) in above:
            return _above(value)
        fields = config_fields(value)
        if fields is not None:
            return self._mapping(value, fields, (*above, id(value)))
        if isinstance(value, Mapping):
            return self._mapping(value, value, (*above, id(value)))
        if isinstance(value, list | tuple | AbstractSet):
            return self._list(value, (*above, id(value)))
        return self._leaf(value)

    def _mapping(self, value: Any, inner: Mapping[Any, Any], above: tuple[int, ...]) -> Any:
        if self._is_too_much(inner, above):
            return short_text(value)
        return {
            key if isinstance(key, str | int) else short_text(key): self.of(one, above)
            for key, one in inner.items()
        }

    def _list(self, value: Any, above: tuple[int, ...]) -> Any:
        if self._is_too_much(value, above):
            return f"{short_text(value)} ({len(value)} items)"
        return [self.of(one, above) for one in value]

    def _is_too_much(self, value: Any, above: tuple[int, ...]) -> bool:
        return len(value) > self._left or len(above) > MAX_DEPTH

    def _leaf(self, value: Any) -> Any:
        shape = getattr(value, "shape", None)
        if shape is not None and _size(shape) > self._left:
            kind = type(value)
            of = f" {value.dtype}" if hasattr(value, "dtype") else ""
            return f"<{kind.__module__}.{kind.__qualname__} {shape}{of}>"
        try:
            encode(value)
        except Exception:  # noqa: BLE001 - asks a foreign object, which may raise anything
            return short_text(value)
        return value


def _size(shape: Any) -> int:
    size = 1
    try:
        for length in shape:
            size *= int(length)
    except (TypeError, ValueError):
        return 1
    return size
