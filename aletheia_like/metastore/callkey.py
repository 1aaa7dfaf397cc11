"""Names a call by the content of its function and arguments, the same in every process.

A value's content is what `pickle` would need to build it again: its type and the state it gives
away, so two values of one content are as alike as a value and its unpickled copy. Maps and sets
count whatever their order. What gives no such state away (a lock, a socket), may be used up (an
iterator) or is only itself (`object()`) has no content.

A function is its module, name, bytecode, defaults, and the constants it closes over. The functions
it calls and the globals it reads are not followed.
"""

from __future__ import annotations

import dis
import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

_FORMAT = "aletheia-call-1"
_MAX_VALUES = 5_000_000
_CONSTANTS = (bool, int, float, complex, str, bytes, type(None), FunctionType, type)

Write = Callable[[bytes], object]


class NoContentError(Exception):
    """A value has no content to name it by.

    Attributes:
        kind: Name of its type.
    """

    def __init__(self, value: object) -> None:
        kind = type(value)
        self.kind = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
        super().__init__(f"a {self.kind} has no content that outlives its process")


def call_key(
    function: Callable[..., Any], arguments: Mapping[str, Any], params: Mapping[str, Any]
) -> str:
    """Return the sha-256 that names a call.

    Args:
        function: What is called.
        arguments: With what, by name.
        params: What else makes calls different.

    Raises:
        NoContentError: The function or a value cannot be named by content.
    """
    sha = hashlib.sha256()
    call = (_FORMAT, function, dict(arguments), dict(params))
    try:
        _Content().feed(sha.update, call, ())
    except RecursionError as error:
        raise NoContentError(arguments) from error
    return sha.hexdigest()


class _Content:
    """Writes values, each with its kind and length so that no two look alike."""

    def __init__(self) -> None:
        self._left = _MAX_VALUES

    def feed(self, write: Write, value: Any, above: tuple[int, ...]) -> None:
        self._left -= 1
        if self._left < 0:
            raise NoContentError(value)
        kind = type(value)
        leaf = _leaf(kind, value)
        if leaf is not None:
            write(b"%b %d:" % (kind.__name__.encode(), len(leaf)))
            write(leaf)
        elif id(value) in above:
            write(b"above %d:" % (len(above) - above.index(id(value))))
        else:
            self._feed_inner(write, kind, value, (*above, id(value)))

    def _feed_inner(self, write: Write, kind: type, value: Any, above: tuple[int, ...]) -> None:
        if kind in (list, tuple):
            self._feed_list(write, kind.__name__, value, above)
        elif kind is dict:
            pairs = [self._digest(pair, above) for pair in value.items()]
            self._feed_list(write, "dict", sorted(pairs), above)
        elif kind in (set, frozenset):
            items = [self._digest(item, above) for item in value]
            self._feed_list(write, kind.__name__, sorted(items), above)
        elif kind is CodeType:
            self._feed_list(write, "code", _code_parts(value), above)
        elif kind is FunctionType:
            self._feed_list(write, "function", _function_parts(value), above)
        elif kind is MethodType:
            self._feed_list(write, "method", (value.__func__, value.__self__), above)
        elif isinstance(value, type):
            self._feed_list(write, "type", _name_parts(value), above)
        elif _is_array(value):
            parts = (value.dtype.str, value.shape, value.tobytes())
            self._feed_list(write, "array", parts, above)
        else:
            self._feed_object(write, value, above)

    def _feed_list(self, write: Write, kind: str, values: Any, above: tuple[int, ...]) -> None:
        write(b"%b %d[" % (kind.encode(), len(values)))
        for value in values:
            self.feed(write, value, above)

    def _feed_object(self, write: Write, value: Any, above: tuple[int, ...]) -> None:
        """Write what pickle would: how the value is made, from what, and its state."""
        if type(value) is object or isinstance(value, Iterator):
            raise NoContentError(value)
        try:
            made = value.__reduce_ex__(4)
        except Exception as error:
            raise NoContentError(value) from error
        if isinstance(made, str):
            name = (getattr(value, "__module__", None) or type(value).__module__, made)
            self._feed_list(write, "global", name, above)
            return
        maker, args, state, items, pairs = (*made, None, None, None)[:5]
        parts = (args, state, list(items or ()), list(pairs or ()))
        self._feed_list(write, "object", (*_name_parts(maker), *parts), above)

    def _digest(self, value: Any, above: tuple[int, ...]) -> bytes:
        sha = hashlib.sha256()
        self.feed(sha.update, value, above)
        return sha.digest()


def _leaf(kind: type, value: Any) -> bytes | None:
    """Return the bytes of a value that contains no others; None for one that does."""
    if kind is str:
        return bytes(value.encode(errors="surrogatepass"))
    if kind is float:
        return struct.pack("<d", value)
    if kind is int:
        return b"%x" % value
    if kind is bool or value is None or value is ...:
        return repr(value).encode()
    if kind is complex:
        return struct.pack("<dd", value.real, value.imag)
    if kind in (bytes, bytearray):
        return bytes(value)
    return None


def _is_array(value: Any) -> bool:
    """Whether it is a numpy array of plain numbers or texts, not of objects or records."""
    kind = type(value)
    return (
        kind.__name__ == "ndarray"
        and kind.__module__ == "numpy"
        and value.dtype.kind not in ("O", "V")
    )


def _name_parts(value: Any) -> tuple[str, str]:
    module = getattr(value, "__module__", None)
    name = getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        raise NoContentError(value)
    return module, name


def _function_parts(function: FunctionType) -> tuple[Any, ...]:
    code = function.__code__
    rebound = _rebound(code) if code.co_freevars else frozenset()
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    constants = [
        (name, content)
        for name, cell in cells
        if name not in rebound and _is_constant(content := _content_of(cell))
    ]
    return (
        *_name_parts(function),
        _script(function),
        code,
        function.__defaults__,
        function.__kwdefaults__,
        constants,
    )


def _rebound(code: CodeType) -> frozenset[str]:
    """Return the names a function closes over and sets anew, such as a counter of its calls."""
    steps = dis.get_instructions(code)
    return frozenset(step.argval for step in steps if step.opname == "STORE_DEREF")


def _content_of(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        # A name that is bound later, for example below the function.
        return None


def _is_constant(value: Any) -> bool:
    """Whether a value a function closes over is a constant, and no place where things gather."""
    if type(value) in (tuple, frozenset):
        return all(map(_is_constant, value))
    return isinstance(value, _CONSTANTS)


def _script(function: FunctionType) -> str | None:
    """Return the file of a program: every program calls itself `__main__`."""
    file = Path(function.__code__.co_filename)
    # A notebook's cells have a file name of their own in every process, and no file.
    return str(file.resolve()) if function.__module__ == "__main__" and file.exists() else None


def _code_parts(code: CodeType) -> tuple[Any, ...]:
    return (
        code.co_code,
        code.co_consts,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_argcount,
        code.co_kwonlyargcount,
        code.co_flags,
    )
