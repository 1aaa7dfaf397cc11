"""A run as something that calls functions and logs what came of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from aletheia_like.metastore.closing import Closing

if TYPE_CHECKING:
    from aletheia_like.metastore.run import Run

F = TypeVar("F", bound=Callable[..., Any])


class Tracked(Closing):
    """A run whose functions are rows; see `metastore.tracking`."""

    def track(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function, log one row about the call, and return its result.

        The row has `function_name`, `args`, `kwargs`, `function_time` in seconds,
        `function_result` and `error`; a result that is a dictionary becomes columns instead.

        Args:
            function: What to call; a coroutine function gives a coroutine.
            *args: Its arguments.
            **kwargs: Its arguments, and the options of `wrap` where they are none of its own.

        Raises:
            ReadOnlyError: The run has ended; the function was not called.
            MissingExtraError: Figures were asked for and psutil is not installed.
        """
        from aletheia_like.metastore import tracking

        options, kwargs = tracking.split_options(function, kwargs)
        return tracking.track(cast("Run", self), function, args, kwargs, options)

    @overload
    def wrap(self, function: F, /) -> F: ...
    @overload
    def wrap(
        self,
        function: None = None,
        /,
        *,
        params: Mapping[str, Any] | None = ...,
        system_metrics: bool = ...,
        network_metrics: bool = ...,
        interval: float = ...,
        raise_on_error: bool = ...,
        cache: str | os.PathLike[str] | bool | None = ...,
        cache_force: bool = ...,
    ) -> Callable[[F], F]: ...
    def wrap(
        self,
        function: F | None = None,
        /,
        *,
        params: Mapping[str, Any] | None = None,
        system_metrics: bool = False,
        network_metrics: bool = False,
        interval: float = 1.0,
        raise_on_error: bool = True,
        cache: str | os.PathLike[str] | bool | None = None,
        cache_force: bool = False,
    ) -> F | Callable[[F], F]:
        """Return a decorator that tracks every call of a function; see `track`.

        Args:
            function: What to wrap at once: `@run.wrap` does as `@run.wrap()`.
            params: Columns for every row, and part of the cache's key.
            system_metrics: Average the load of processors, memory and disk over the call.
            network_metrics: Count the bytes sent and received during the call.
            interval: Seconds between two samples.
            raise_on_error: Raise what the function raises; else the call gives None.
            cache: Take results from a cache, and keep them there: a folder, or True for a folder
                beside the local cache.
            cache_force: Compute anew, and replace what is in the cache.
        """
        from aletheia_like.metastore import tracking

        options = tracking.TrackOptions(
            params=params or {},
            system_metrics=system_metrics,
            network_metrics=network_metrics,
            interval=interval,
            raise_on_error=raise_on_error,
            cache=cache,
            cache_force=cache_force,
        )
        return tracking.wrap(cast("Run", self), options, function)
