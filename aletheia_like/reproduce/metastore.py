"""What a metastore can do about runs being right: verify them, and do them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.metastore import OpenMetastore
from aletheia_like.metastore.run import Run
from aletheia_like.model.names import split_reference
from aletheia_like.reproduce.comparing import ATOL, RTOL, Bound

if TYPE_CHECKING:
    from aletheia_like.metastore.verifying import Verification
    from aletheia_like.reproduce.again import Reproduction


class ReproducingMetastore(OpenMetastore):
    """A metastore whose runs can be verified and done again; see `OpenMetastore`."""

    def verify(self, run: Run | str, *, workers: int = 8) -> Verification:
        r"""Hash everything a run refers to; see `Run.verify`.

        Args:
            run: The run, or its name as `EXPERIMENT/RUN`; a slash in a name is written `\/`.
            workers: How many blobs are read at once.
        """
        return self._opened(run).verify(workers=workers)

    def reproduce(
        self,
        run: Run | str,
        *,
        repo: str | Path | None = None,
        venv: bool = False,
        strict: bool = False,
        as_committed: bool = False,
        command: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
        rtol: Bound = RTOL,
        atol: Bound = ATOL,
        ignore: Sequence[str] = (),
        timeout: float | None = None,
        keep: bool = False,
        dry_run: bool = False,
        show: Callable[[bytes], None] | None = None,
    ) -> Reproduction:
        r"""Do a run again, from its commit, its inputs and its command, and compare.

        The command runs in a fresh working tree below the temporary folder; it records into this
        metastore, as a run whose `reproduces` names the first. It is the recorded one: look at it
        (`dry_run`) before you run what somebody else has recorded.

        Args:
            run: The run, or its name as `EXPERIMENT/RUN`; a slash in a name is written `\/`.
            repo: A repository with the commit; else the one around the current folder, or the one
                the run was started from.
            venv: Install the recorded packages into a fresh virtual environment.
            strict: Refuse if Python or a package is not as recorded.
            as_committed: Run the commit though the tree had differences that were not stored.
            command: What to run instead of the recorded command.
            variables: Environment variables beside the present and the recorded ones.
            rtol: How far numbers may be apart, relative to the first; one, or one for each name.
            atol: The same, absolute.
            ignore: Names of outcomes, with `*`, that do not count, such as `metrics.seconds`.
            timeout: Seconds that the command may take.
            keep: Leave the working tree; the answer says where.
            dry_run: Look whether everything is there, run nothing.
            show: Called with what the command prints, as it comes.

        Returns:
            The verdict and what it rests on; a run that cannot be done again is no error.

        Raises:
            NotFoundError: There is no such run.
            InvalidValueError: A tolerance or the timeout makes no sense.
            UnavailableError: The store cannot be reached.
        """
        from aletheia_like.reproduce.again import make_options, reproduce_run

        options = make_options(
            repo=repo,
            fresh=venv,
            strict=strict,
            as_committed=as_committed,
            command=tuple(command),
            variables=dict(variables or {}),
            rtol=rtol,
            atol=atol,
            ignore=ignore,
            timeout=timeout,
            keep=keep,
            dry_run=dry_run,
            show=show,
        )
        return reproduce_run(self._session, self._opened(run).path, options)

    def _opened(self, run: Run | str) -> Run:
        if isinstance(run, Run):
            return run
        parts = split_reference(run)
        if len(parts) != 2 or not all(parts):  # noqa: PLR2004 - experiment, run
            message = f"{run!r} names no run: write EXPERIMENT/RUN"
            raise InvalidValueError(message)
        return self.experiment(parts[0]).run(parts[1])
