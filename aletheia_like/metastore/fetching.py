"""Copying what a dataset is made from out of any place that fsspec knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aletheia_like.errors import (
    AccessDeniedError,
    AletheiaError,
    InvalidValueError,
    MissingExtraError,
    NotFoundError,
    UnavailableError,
)

_REFUSED = (401, 403)
_ABSENT = (404, 410)
_CLIENTS = ("aiohttp", "botocore", "gcsfs")


def fetch_url(url: str, folder: Path) -> Path:
    """Copy one file or folder into a folder and return where it is.

    Raises:
        NotFoundError: There is nothing at the address.
        UnavailableError: Whoever has it cannot be reached.
        AccessDeniedError: The credentials do not allow it.
        MissingExtraError: A package for such addresses is missing.
        InvalidValueError: It is no address.
    """
    with _translated(url):
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url)
        target = folder / (Path(path.rstrip("/")).name or "data")
        # `exists` says no of a server that is away, too.
        info = filesystem.info(path)
        filesystem.get(path, str(target), recursive=info["type"] == "directory")
    return target


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except AletheiaError:
        raise
    except ImportError as error:
        scheme = url.partition("://")[0]
        extra = {"s3": "s3", "http": "http", "https": "http"}.get(scheme, "all")
        message = f"reading {scheme}:// needs a package: pip install 'aletheia-like[{extra}]'"
        raise MissingExtraError(message) from error
    except ValueError as error:
        message = f"cannot read {url}: {error}"
        raise InvalidValueError(message) from error
    except Exception as error:
        translated = _told(error, url)
        if translated is None:
            raise
        raise translated from error


def _told(error: Exception, url: str) -> AletheiaError | None:
    """Return our error for one of a file system's."""
    # For fsspec a file is not found, whatever a web server answers, or if there is none.
    is_absent = isinstance(error, FileNotFoundError)
    cause = error.__cause__ if is_absent and error.__cause__ is not None else error
    status = getattr(cause, "status", None)
    if isinstance(cause, PermissionError) or status in _REFUSED:
        return AccessDeniedError(f"{url}: the credentials do not allow this: {cause}")
    if isinstance(cause, FileNotFoundError) or status in _ABSENT:
        return NotFoundError(f"nothing at {url}: check the address and the credentials for it")
    is_client = type(cause).__module__.partition(".")[0] in _CLIENTS
    if isinstance(cause, OSError | TimeoutError) or is_client:
        return UnavailableError(
            f"{url} cannot be reached: {cause}; check the network and the host"
        )
    return None
