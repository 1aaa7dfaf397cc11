"""How a run ends: by itself at the end of its block, by a call, or with its process."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from aletheia_like.errors import (
    AletheiaError,
    AlreadyExistsError,
    InvalidValueError,
    ReadOnlyError,
    UnavailableError,
)
from aletheia_like.feeds import Changes
from aletheia_like.metastore.leaderboard import result_write
from aletheia_like.metastore.recording import Recording
from aletheia_like.metastore.recovering import abandoned, recover
from aletheia_like.metastore.surroundings import wait_for_surroundings
from aletheia_like.model import codec
from aletheia_like.model.records import ENDED, ErrorInfo, Status
from aletheia_like.model.values import FieldPath
from aletheia_like.ports.documents import REMOVE, Write, changed_fields

_UNSEEN_SECONDS = 10.0
_log = logging.getLogger("aletheia")


class Closing(Recording):
    """A run as something that ends once, truthfully, whatever ends it."""

    _pid: int
    _resumed: bool
    _undelivered: bool
    _ending: dict[FieldPath, Any]

    def finish(self, status: Status = "finished", timeout: float = 60.0) -> None:
        """End the run: store everything recorded, its status, and its line in the leaderboard.

        Ending it again changes nothing. If the store stays away, everything stays in the journal,
        a warning says so, and `aletheia sync` sends it.

        Args:
            status: `finished`, `failed` or `killed`.
            timeout: Seconds to wait for a store that is away.

        Raises:
            UnavailableError: The store stayed away, and the setting `strict` is on.
        """
        if status not in ENDED:
            message = f"a run ends as finished, failed or killed, not {status!r}"
            raise InvalidValueError(message)
        if self._is_open():
            self._end(status, None, timeout)

    def fail(self, error: BaseException, timeout: float = 60.0) -> None:
        """End the run as failed, with the type, message and traceback of an exception."""
        if self._is_open():
            self._end("failed", error, timeout)

    @property
    def is_awaited(self) -> bool:
        """Whether it was ended, and the store was waited for in vain."""
        return self._undelivered

    def _is_open(self) -> bool:
        """Whether this process is to end the run; a forked child leaves that to its parent."""
        if self._writer is None:
            raise ReadOnlyError(str(self._refuse()))
        if self._pid != os.getpid():
            self._writer.depart()
            return False
        return self._undelivered or self._fields.get("status") not in ENDED

    def _end(self, status: Status, error: BaseException | None, timeout: float) -> None:
        if not self._undelivered:
            self._note_end(status, error)
        if self._writer is not None and self._writer.is_unseen:
            # The store was away all the time: waiting long for it now is in vain.
            timeout = min(timeout, _UNSEEN_SECONDS)
        try:
            wait_for_surroundings(self._session, self._path, timeout)
            self._deliver_end(0.0 if self._session.settings.offline else timeout)
        except UnavailableError as outage:
            told, self._undelivered = self._undelivered, True
            if told:
                return
            if self._session.settings.strict:
                raise
            rows = f"{self._writer.count:,} rows and " if self._writer else ""
            _log.warning(
                "%r ended, but the store is away (%s); its %schanges wait in the journal, "
                "as far as they were not sent: `aletheia sync` sends them",
                self,
                outage,
                rows,
            )
        except AletheiaError as refusal:
            self._undelivered = True
            if self._session.settings.strict:
                raise
            _log.warning("the end of %r is not stored, its journal stays: %s", self, refusal)
        except BaseException:
            # Ctrl-C while it waits: the end of the process tries again.
            self._undelivered = True
            raise
        else:
            self._undelivered = False
            self._session.live_runs.remove(self)

    def _note_end(self, status: Status, error: BaseException | None) -> None:
        """Write the end to the journal and see it here, before the store is asked."""
        self._store_log_files()
        companion, self._companion = self._companion, None
        changes: dict[FieldPath, Any] = {
            **(companion.close() if companion is not None else {}),
            ("status",): status,
            ("ended_at",): self._session.clock(),
            ("error",): REMOVE if error is None else codec.to_value(_error_info(error)),
        }
        with self._lock:
            encoded = {path: self._encoded(path, value) for path, value in changes.items()}
            self._fields = changed_fields(self._fields, encoded)
            self._ending = encoded
        if self._writer is not None:
            self._writer.close()
            self._writer.note(encoded)

    def _deliver_end(self, timeout: float) -> None:
        try:
            self._send_end(timeout)
        except AlreadyExistsError:
            # Somebody who joined the run has ended it before: its line is there.
            self._resumed = True
            self._send_end(timeout)
        if self._writer is not None:
            self._writer.finish()

    def _send_end(self, timeout: float) -> None:
        self._session.recorder.finish(
            self._path, self._ending, self._last_writes, timeout, self._writer
        )

    def _take_over(self) -> int:
        """Send what other writers of the run left on this machine, such as workers that died.

        Returns:
            How many of them there were.

        Raises:
            UnavailableError: The store is away; what they left stays.
        """
        count = 0
        for left in abandoned(self._session.journal_folder, self._path):
            try:
                recover(left, self._session)
                count += 1
            except UnavailableError:
                raise
            except AletheiaError as error:
                _log.warning("%s is left as it is: %s", left.paths[0], error)
        return count

    def _last_writes(self, changes: Changes) -> tuple[Changes, list[Write]]:
        """Return what must be stored together with the end, once all rows are."""
        self._take_over()
        summary: Changes = {
            ("summary", name): entry for name, entry in self._sure_summary().items()
        }
        if self._fields.get("status") != "finished":
            return summary, []
        fields = self._fields
        document = self._session.documents.get(self._path) if self._resumed else None
        if document is not None:
            # Other processes have told more of it.
            fields = changed_fields(document.fields, changes)
        record = codec.run_record(self._path, fields, self._updated_at)
        return summary, [result_write(self._session, record, resumed=self._resumed)]

    def __enter__(self) -> Self:
        reason = self._refuse()
        if reason is not None:
            raise ReadOnlyError(reason)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._undelivered:
            # It was ended, and waited for, inside the block.
            return
        if error is None:
            self.finish()
            return
        try:
            if isinstance(error, Exception):
                self.fail(error)
            else:
                self.finish("killed")
        except AletheiaError as outage:
            error.add_note(f"and the end of {self!r} could not be stored: {outage}")


def _error_info(error: BaseException) -> ErrorInfo:
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    return ErrorInfo(name, _as_text(str, error), _as_text(_traced, error))


def _as_text(show: Callable[[BaseException], str], error: BaseException) -> str:
    """Return a text that any store takes: the end of a run is not lost for how its error reads."""
    try:
        text = show(error)
    except Exception as failure:  # noqa: BLE001 - the text of a foreign error may raise anything
        return f"<its text failed: {type(failure).__qualname__}>"
    return text.encode(errors="backslashreplace").decode()


def _traced(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
