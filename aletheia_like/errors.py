"""Every error a user of this package can meet, grouped by what its caller would do.

    AletheiaError
    ├── NotFoundError         (LookupError)      no such project, run, dataset, blob
    ├── AlreadyExistsError                       that name is taken
    ├── ConflictError                            changed meanwhile: read again and try again
    ├── InvalidValueError     (ValueError)       a name, value or query that no store can hold
    ├── RunStateError         (RuntimeError)     not possible in the run's present state
    │   └── ReadOnlyError                        opened for reading
    ├── DirtyTreeError        (RuntimeError)     the git tree is not what a commit says
    ├── IntegrityError                           bytes do not match their digest
    ├── UnavailableError      (ConnectionError)  network, quota, server down; alone is retried
    ├── AccessDeniedError     (PermissionError)  credentials do not allow it
    ├── SettingsError         (ValueError)       url, credentials, configuration file
    ├── UntrustedArtifactError                   loading would run code
    └── MissingExtraError     (ImportError)      names the `pip install` line

A message says what failed, on what, and what to do next. Builtin parents let plain handlers work.
"""

from __future__ import annotations

from collections.abc import Sequence


class AletheiaError(Exception):
    """The parent of every error raised on purpose by this package."""


class NotFoundError(AletheiaError, LookupError):
    """There is no project, experiment, run, dataset, artifact or blob of that name."""


class AlreadyExistsError(AletheiaError):
    """Something of that name exists and was asked not to."""


class ConflictError(AletheiaError):
    """A document changed between reading and writing it."""


class InvalidValueError(AletheiaError, ValueError):
    """A name, value, write or query that no store can hold."""


class RunStateError(AletheiaError, RuntimeError):
    """The run's present state does not allow it, for example after it has ended."""


class ReadOnlyError(RunStateError, AttributeError):
    """A change to something that was opened for reading, or to an attribute that is not set."""


class DirtyTreeError(AletheiaError, RuntimeError):
    """The working tree differs from its commit, so the run could not be done again.

    Attributes:
        files: The paths that differ, relative to the repository's root.
    """

    def __init__(self, message: str, files: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.files = tuple(files)

    def __reduce__(self) -> tuple[type[DirtyTreeError], tuple[str, tuple[str, ...]]]:
        return type(self), (str(self), self.files)


class IntegrityError(AletheiaError):
    """Bytes do not have the digest, size or checksum they were stored under."""


class UnavailableError(AletheiaError, ConnectionError):
    """The store cannot be reached now: network, quota, or a server that is down."""


class AccessDeniedError(AletheiaError, PermissionError):
    """The store was reached and the credentials do not allow the operation."""


class SettingsError(AletheiaError, ValueError):
    """A url, credential or configuration file is missing or cannot be understood."""


class UntrustedArtifactError(AletheiaError):
    """Loading the artifact could run code, and that was not allowed."""


class MissingExtraError(AletheiaError, ImportError):
    """An optional package is not installed; the message names the `pip install` line."""
