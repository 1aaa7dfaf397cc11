"""Calls of functions as rows: what went in, what came out, how long it took.

    function_name, args, kwargs      what was called; arguments as values, or as a short text
    function_time                    seconds; 0.0 for a result from the cache
    function_result                  a value or a short text; absent if it became columns
    error                            the exception's text, "" if there was none
    cache                            with `cache=`: EXPERIMENT/RUN that computed the result, or ""
    param_field                      the fields of arguments that are dataclasses and the like

Beside these go `params`, the figures of `capture.sampling` if asked for, and the entries of a
result that is a mapping. A name that is taken gets a prefix, and a warning is given once.
"""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast, overload

from aletheia_like.errors import InvalidValueError, NotFoundError, ReadOnlyError
from aletheia_like.metastore.arguments import (
    config_columns,
    describe,
    named_arguments,
    short_text,
    takes_self,
)
from aletheia_like.metastore.assets import File, Folder
from aletheia_like.metastore.callkey import NoContentError, call_key
from aletheia_like.metastore.resultcache import FOLDER, CachedResult, Lineage, ResultCache
from aletheia_like.model.rows import check_mapping

if TYPE_CHECKING:
    from aletheia_like.capture.sampling import Sampler
    from aletheia_like.metastore.run import Run

F = TypeVar("F", bound=Callable[..., Any])

RESERVED = frozenset(
    "function_name args kwargs function_time function_result error cache timestamp run_id".split()
)
"""Columns that no parameter, field or entry of a result may take."""

_SOURCES = {"param_": "parameters", "arg_": "arguments", "result_": "result"}
_MAX_RESULT_ITEMS = 10_000
_MAX_NAME = 400


@dataclass(frozen=True, slots=True)
class TrackOptions:
    """How calls are tracked.

    Attributes:
        params: Columns for every row, and part of the cache's key.
        system_metrics: Sample processors, memory and disk during the call.
        network_metrics: Count the bytes sent and received during the call.
        interval: Seconds between two samples.
        raise_on_error: Raise what the function raises; else the call gives None.
        cache: Take results from a cache, and keep them there: a folder, or True for the default.
        cache_force: Compute anew, and replace what is in the cache.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    system_metrics: bool = False
    network_metrics: bool = False
    interval: float = 1.0
    raise_on_error: bool = True
    cache: str | os.PathLike[str] | bool | None = None
    cache_force: bool = False

    def __post_init__(self) -> None:
        check_mapping(self.params, "params of a tracked function")


@dataclass(frozen=True, slots=True)
class _Subject:
    """A function, and what is known of it before it is called."""

    function: Callable[..., Any]
    name: str
    signature: inspect.Signature | None
    takes_self: bool
    is_async: bool


_NAMES = frozenset(one.name for one in fields(TrackOptions))


def split_options(
    function: Callable[..., Any], given: Mapping[str, Any]
) -> tuple[TrackOptions, dict[str, Any]]:
    """Return the options among keyword arguments, and the others, which are the function's.

    A name that the function has as a parameter is the function's; the option of that name can
    then be given with `wrap`.
    """
    signature = _signature(function)
    own = signature.parameters if signature is not None else ()
    options = {name: given[name] for name in given if name in _NAMES and name not in own}
    others = {name: value for name, value in given.items() if name not in options}
    if options.get("params", ...) is None:
        del options["params"]
    return TrackOptions(**options), others


def track(
    run: Run,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: TrackOptions,
) -> Any:
    """Call a function, log one row about the call, and return the result.

    The coroutine of an async function is returned, and the row logged when it was awaited.

    Raises:
        InvalidValueError: It is a generator function, whose work is done after the call.
        ReadOnlyError: The run has ended; the function was not called.
        MissingExtraError: Figures were asked for and psutil is not installed.
    """
    subject = _subject(function)
    call = _track_async if subject.is_async else _track
    return call(run, subject, args, kwargs, options)


@overload
def wrap(run: Run, options: TrackOptions, function: F) -> F: ...
@overload
def wrap(run: Run, options: TrackOptions, function: None = None) -> Callable[[F], F]: ...
def wrap(run: Run, options: TrackOptions, function: F | None = None) -> F | Callable[[F], F]:
    """Return a function that tracks every call, or without one a decorator that makes such.

    The function keeps its name and signature.
    """

    def decorate(function: F) -> F:
        subject = _subject(function)

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return await _track_async(run, subject, args, kwargs, options)

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            return _track(run, subject, args, kwargs, options)

        return cast("F", awaited if subject.is_async else called)

    return decorate if function is None else decorate(function)


def _track(
    run: Run,
    subject: _Subject,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: TrackOptions,
) -> Any:
    with _Call(run, subject, args, kwargs, options) as call:
        if call.hit is None:
            call.result = subject.function(*args, **kwargs)
    return call.result


async def _track_async(
    run: Run,
    subject: _Subject,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: TrackOptions,
) -> Any:
    with _Call(run, subject, args, kwargs, options) as call:
        if call.hit is None:
            call.result = await subject.function(*args, **kwargs)
    return call.result


class _Call:
    """One call of a function, from what is known before it to the row about it.

    Attributes:
        hit: Its result if that is in the cache, so that the function need not be called.
        result: What the function returned; None if it raised and that is not to go on.
    """

    def __init__(
        self,
        run: Run,
        subject: _Subject,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: TrackOptions,
    ) -> None:
        # Refused before the call: afterwards its result would be lost.
        reason = run._refuse()  # noqa: SLF001 - handles of one metastore
        if reason is not None:
            raise ReadOnlyError(reason)
        self._run = run
        self._session = run._session  # noqa: SLF001 - handles of one metastore
        self._options = options
        self._name = subject.name
        self._sampler = _sampler(options)
        self._pid = os.getpid()
        self._started = 0.0
        self.hit: CachedResult | None = None
        self.result: Any = None
        named = named_arguments(subject.signature, args, kwargs)
        # Told before the call, which may change what it was given.
        self._before = {
            "function_name": self._name,
            "args": describe(args[1:] if subject.takes_self else args),
            "kwargs": describe(kwargs),
        }
        apart = list(named.items())[1:] if subject.takes_self else named.items()
        self._configs = list(config_columns(apart))
        self._cache = self._open_cache()
        self._key = self._key_of(subject.function, named) if self._cache is not None else None

    def __enter__(self) -> Self:
        self.hit = self._find()
        if self.hit is not None:
            self.result = self.hit.result
            self._log(0.0, self.hit.result, cache=str(self.hit.lineage))
            return self
        if self._sampler is not None:
            self._sampler.start()
        self._started = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is not None:
            return not self._fail(error)
        if self.hit is None:
            self._succeed(self.result)
        return False

    def _succeed(self, result: object) -> None:
        """Log a call that returned, and keep its result."""
        seconds = time.perf_counter() - self._started
        figures = self._stop()
        self._log(seconds, result, figures=figures)
        if self._cache is not None and self._key is not None:
            self._cache.store(self._key, result, self._lineage())

    def _fail(self, error: BaseException) -> bool:
        """Log a call that raised; return whether to let the exception go on."""
        seconds = time.perf_counter() - self._started
        text = describe(str(error)) or type(error).__name__
        try:
            self._log(seconds, None, error=text, figures=self._stop())
        except Exception as failure:  # noqa: BLE001 - the function's own exception matters more
            error.add_note(f"and its row could not be logged: {failure}")
        return self._options.raise_on_error or not isinstance(error, Exception)

    def _stop(self) -> dict[str, float]:
        return self._sampler.stop() if self._sampler is not None else {}

    def _log(
        self,
        seconds: float,
        result: object,
        *,
        error: str = "",
        cache: str = "",
        figures: Mapping[str, float] | None = None,
    ) -> None:
        # A child that was forked inside the function is not the one that was tracked.
        if self._pid != os.getpid():
            return
        columns = result if isinstance(result, Mapping) and result else None
        row = {**self._before, "function_time": seconds}
        if columns is None:
            row["function_result"] = _shown(result)
        row["error"] = error
        if self._key is not None:
            row["cache"] = cache
        row |= figures or {}
        self._add(row, self._options.params.items(), "param_")
        self._add(row, self._configs, "arg_")
        plain = dict(row)
        self._add(row, (columns or {}).items(), "result_")
        try:
            self._run.log(row)
        except (InvalidValueError, NotFoundError):
            # A row of short texts is worth more than no row.
            self._run.log({**_described(row), **plain})

    def _add(self, row: dict[str, Any], columns: Iterable[tuple[Any, Any]], prefix: str) -> None:
        for key, value in columns:
            name = wanted = (key if isinstance(key, str) else str(key))[:_MAX_NAME]
            while not name or name in row or name in RESERVED:
                name = prefix + name
            if name != wanted:
                self._session.warn_once(
                    f"{self._name}: the column {wanted!r} is taken, so what the "
                    f"{_SOURCES[prefix]} has under that name is logged as {name!r}"
                )
            row[name] = value

    def _open_cache(self) -> ResultCache | None:
        cache = self._options.cache
        if cache is None or cache is False:
            return None
        default = Path(self._session.settings.cache_dir) / FOLDER
        return ResultCache(default if cache is True else Path(cache), self._session.warn_once)

    def _key_of(self, function: Callable[..., Any], named: Mapping[str, Any]) -> str | None:
        params = {"run": _run_params(self._run), "call": dict(self._options.params)}
        try:
            return call_key(function, named, params)
        except NoContentError as error:
            self._session.warn_once(
                f"calls with a {error.kind} are not cached, as it cannot be named by its content"
            )
            return None

    def _find(self) -> CachedResult | None:
        if self._cache is None or self._key is None or self._options.cache_force:
            return None
        return self._cache.load(self._key)

    def _lineage(self) -> Lineage:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")
        experiment = self._run.experiment.name
        return Lineage(self._session.project, experiment, self._run.id, self._name, now)


def _run_params(run: Run) -> dict[str, Any]:
    """Return what `set_params` adds to every row of the run."""
    writer = run._writer  # noqa: SLF001 - handles of one metastore
    return writer.params if writer is not None else {}


def _sampler(options: TrackOptions) -> Sampler | None:
    if not options.system_metrics and not options.network_metrics:
        return None
    from aletheia_like.capture.sampling import Sampler

    return Sampler(
        options.interval, system=options.system_metrics, network=options.network_metrics
    )


def _subject(function: Any) -> _Subject:
    """Return what is known of a function; refuse what cannot be timed by calling it."""
    if not callable(function):
        hint = ": put @classmethod above it" if isinstance(function, classmethod) else ""
        message = f"only functions can be tracked, not {short_text(function)}{hint}"
        raise InvalidValueError(message)
    # An object that can be called is what its class says; a partial what it calls.
    kinds = (function, getattr(function, "__call__", None))  # noqa: B004 - its kind is asked
    if any(inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one) for one in kinds):
        message = (
            f"{_name(function)} is a generator function, which does its work after the call: "
            "track a function that returns list(…) of it"
        )
        raise InvalidValueError(message)
    return _Subject(
        function,
        _name(function),
        _signature(function),
        takes_self(function),
        any(map(inspect.iscoroutinefunction, kinds)),
    )


def _name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _shown(result: object) -> Any:
    return result if isinstance(result, File | Folder) else describe(result, _MAX_RESULT_ITEMS)


def _described(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: describe(value, _MAX_RESULT_ITEMS) for name, value in row.items()}
