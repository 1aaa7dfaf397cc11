"""What Firestore refuses or fails to do, in our words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aletheia_like.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    ConflictError,
    InvalidValueError,
    NotFoundError,
    SettingsError,
    UnavailableError,
)
from aletheia_like.ports.documents import Create, Update, Write

_NAMED = 3
_TOLD = 400
_NO_DATABASE = re.compile(r"\bdatabase\b.*\bdoes not exist\b", re.IGNORECASE | re.DOTALL)
_CLOSED = re.compile("closed channel|channel closed", re.IGNORECASE)
_OVERSIZE = re.compile(r"exceeds maximum|larger than max|too (big|large)", re.IGNORECASE)
# A token that cannot be had reaches us as an outage of the transport.
_NO_TOKEN = re.compile(r"invalid_grant|RefreshError|reauthenticat|unauthorized_client")


@dataclass(frozen=True, slots=True)
class Place:
    """Which database, and where.

    Attributes:
        project: The Google Cloud project.
        database: The database in it.
        emulator: Host and port, if it is an emulator.
    """

    project: str
    database: str
    emulator: str | None = None

    def __str__(self) -> str:
        at = f" at the emulator {self.emulator}" if self.emulator else ""
        return f"Firestore project {self.project!r}, database {self.database!r}{at}"


def translated(error: Exception, where: Place, writes: Sequence[Write] = ()) -> Exception:
    """Return our error for one of the client's, or the error itself if it is none of these.

    Args:
        error: What was raised by a request.
        where: Whom the request was for.
        writes: What the request was to do, if it was to write.
    """
    told = str(getattr(error, "message", error))[:_TOLD].strip()
    match _code(error):
        case "":
            return error
        case "ALREADY_EXISTS":
            creates = [write for write in writes if isinstance(write, Create)]
            return AlreadyExistsError(f"there is a document already: {_which(creates, told)}")
        case "NOT_FOUND" | "FAILED_PRECONDITION" as code:
            return _refused(code, told, where, writes)
        case "PERMISSION_DENIED" | "UNAUTHENTICATED":
            needed = "roles/datastore.user allows it"
            return AccessDeniedError(
                f"{where}: the credentials do not allow this: {told}; {needed}"
            )
        case "RESOURCE_EXHAUSTED" if _OVERSIZE.search(told):
            return InvalidValueError(f"too large for one request to {where}: {told}")
        case "UNIMPLEMENTED":
            return SettingsError(f"{where}: this is no Firestore, or cannot do this: {told}")
        case "INVALID_ARGUMENT" | "OUT_OF_RANGE":
            return InvalidValueError(f"{where} refuses {_which(writes, told)}: {told}")
        case "UNAVAILABLE" | "INTERNAL" | "UNKNOWN" if _NO_TOKEN.search(told):
            login = "gcloud auth application-default login"
            return AccessDeniedError(f"{where}: the credentials give no token: {told}; {login}")
    remedy = "is it running?" if where.emulator else "check the network, then try again"
    return UnavailableError(f"{where} cannot be reached: {told}; {remedy}")


def _code(error: Exception) -> str:
    """Return the status of an answer, `""` for an error that is none."""
    status = getattr(error, "grpc_status_code", None)
    if status is not None:
        return str(status.name)
    if type(error).__module__.startswith("google.auth"):
        return "UNAVAILABLE" if type(error).__name__ == "TransportError" else "UNAUTHENTICATED"
    lost = isinstance(error, OSError) or type(error).__module__.startswith(("google.", "grpc"))
    # What the channel raises when another thread has closed it, in two versions of grpc.
    return "UNAVAILABLE" if lost or _CLOSED.search(str(error)) else ""


def _refused(code: str, told: str, where: Place, writes: Sequence[Write]) -> Exception:
    """Return what it means that something is missing, or not as it was expected."""
    about = [write for write in writes if f"/documents/{write.path}" in told]
    if code == "NOT_FOUND" and not about and (not writes or _NO_DATABASE.search(told)):
        create = f"gcloud firestore databases create --project={where.project}"
        return SettingsError(f"{where} does not exist: {told}; {create}")
    if not writes and "index" in told:
        deploy = "deploy emulator/firestore.indexes.json, or open the link"
        return SettingsError(f"{where} lacks an index: {told}; {deploy}")
    if not writes and "too old" in told:
        return UnavailableError(f"{where}: reading took too long: {told}; read again")
    expecting = [write for write in about or writes if not isinstance(write, Create)]
    expecting = [write for write in expecting if write.if_revision]
    missing = [write for write in about or writes if isinstance(write, Update)]
    missing = [write for write in missing if not write.if_revision]
    if code == "NOT_FOUND" and missing:
        return NotFoundError(f"no document to update: {_which(missing, told)}")
    if expecting:
        found = _which(expecting, told)
        return ConflictError(f"changed or deleted meanwhile: {found}: read it again and repeat")
    return SettingsError(f"{where} refuses this: {told}")


def _which(writes: Sequence[Write], told: str) -> str:
    """Return the path that the answer names, or those that come into question."""
    paths = [write.path for write in writes]
    named = [path for path in paths if re.search(rf"/{re.escape(path)}(?![^\s\"',}}])", told)]
    shown = named or paths
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return (" or ".join(shown[:_NAMED]) or "the query") + more
