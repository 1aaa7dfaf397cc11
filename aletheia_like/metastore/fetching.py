"""What file systems of fsspec raise, in our words; and trying again what may pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from aletheia_like.errors import (
    AccessDeniedError,
    AletheiaError,
    InvalidValueError,
    MissingExtraError,
    NotFoundError,
    UnavailableError,
)
from aletheia_like.ports.patience import seconds_left

T = TypeVar("T")

_REFUSED = (401, 403)
_ABSENT = (404, 410)
_CLIENTS = ("aiohttp", "botocore", "gcsfs", "google")
_EXTRAS = {"s3": "s3", "s3a": "s3", "http": "http", "https": "http", "gs": "gcs", "gcs": "gcs"}
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.5


def persistently(
    url: str, action: Callable[[], T], deadline: float, moved_at: Callable[[], float] | None = None
) -> T:
    """Return `action()`, done again with growing, jittered pauses while its place is away.

    Args:
        url: The place, for errors.
        action: May be done again from its start.
        deadline: Seconds for all attempts, or since the last progress if that is told.
        moved_at: Tells when a transfer last came further than ever, by `time.monotonic`.

    Raises:
        NotFoundError: There is nothing at the address.
        UnavailableError: Whoever has it cannot be reached.
        AccessDeniedError: The credentials do not allow it.
        MissingExtraError: A package for such addresses is missing.
        InvalidValueError: It is no address.
    """
    import tenacity

    begun = time.monotonic()

    def attempt() -> T:
        with translated(url):
            return action()

    def is_over(state: tenacity.RetryCallState) -> bool:
        since = max(begun, moved_at() if moved_at is not None else begun)
        return time.monotonic() + state.upcoming_sleep - since >= seconds_left(deadline)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(UnavailableError),
        wait=tenacity.wait_random_exponential(multiplier=_FIRST_PAUSE, max=_LONGEST_PAUSE),
        stop=is_over,
        reraise=True,
    )
    return retrying(attempt)


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn what a file system raises inside the block into errors of ours about `url`."""
    try:
        yield
    except AletheiaError:
        raise
    except ImportError as error:
        scheme = url.partition("://")[0]
        extra = _EXTRAS.get(scheme, "all")
        message = f"reading {scheme}:// needs a package: pip install 'aletheia-like[{extra}]'"
        raise MissingExtraError(message) from error
    except ValueError as error:
        message = f"cannot read {url}: {error}"
        raise InvalidValueError(message) from error
    except Exception as error:
        told = _told(error, url)
        if told is None:
            raise
        raise told from error


def _told(error: Exception, url: str) -> AletheiaError | None:
    """Return our error for one of a file system's."""
    # For fsspec a file is not found, whatever a web server answers, or if there is none.
    is_absent = isinstance(error, FileNotFoundError)
    cause = error.__cause__ if is_absent and error.__cause__ is not None else error
    status = getattr(cause, "status", None) or getattr(cause, "code", None)
    if isinstance(cause, PermissionError) or status in _REFUSED:
        return AccessDeniedError(f"{url}: the credentials do not allow this: {cause}")
    if isinstance(cause, FileNotFoundError) or status in _ABSENT:
        return NotFoundError(f"nothing at {url}: check the address and the credentials for it")
    if type(cause).__name__ == "NoCredentialsError":
        return AccessDeniedError(f"{url}: there are no credentials: {cause}")
    is_client = type(cause).__module__.partition(".")[0] in _CLIENTS
    if isinstance(cause, OSError | TimeoutError) or is_client:
        return UnavailableError(
            f"{url} cannot be reached: {cause}; check the network and the host"
        )
    return None
