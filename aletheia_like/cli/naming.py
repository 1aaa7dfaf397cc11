"""What people type: names of runs and experiments, columns, and assignments."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aletheia_like.cli.browse import check_one_project, configured_project, no_project
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore.rows import Rows
from aletheia_like.model.names import split_reference

_FORMS = "EXPERIMENT, EXPERIMENT/RUN or PROJECT/EXPERIMENT/RUN"
_PARTS_OF_A_RUN = 3


@dataclass(frozen=True, slots=True)
class Named:
    """An experiment, or one of its runs."""

    project: str
    experiment: str
    run: str | None = None


def named(name: str, project: str | None) -> Named:
    """Return what a name means.

    Args:
        name: `EXPERIMENT`, `EXPERIMENT/RUN` or `PROJECT/EXPERIMENT/RUN`; without any project to
            assume, two parts are `PROJECT/EXPERIMENT`.
        project: The project, if it is given apart.

    Raises:
        InvalidValueError: It has too many parts, no project, or another than the one given apart.
    """
    parts = split_reference(name)
    if len(parts) == _PARTS_OF_A_RUN and all(parts):
        check_one_project(parts, project)
        return Named(*parts)
    given = project or configured_project()
    if given is not None:
        parts = [given, *parts]
    if len(parts) in (2, _PARTS_OF_A_RUN) and all(parts):
        return Named(*parts)
    if given is None and all(parts):
        raise InvalidValueError(no_project(name))
    message = f"{name!r}: name it as {_FORMS}, the project may be given by -p"
    raise InvalidValueError(message)


def named_run(name: str, project: str | None) -> tuple[Named, str]:
    """Return what the name of a run means, and its id.

    Raises:
        InvalidValueError: It names no run.
    """
    found = named(name, project)
    if found.run is None:
        if project is None and configured_project() is None:
            raise InvalidValueError(no_project(name))
        message = f"{name!r} names no run: EXPERIMENT/RUN or PROJECT/EXPERIMENT/RUN"
        raise InvalidValueError(message)
    return found, found.run


def read_rows(ms: Metastore, name: Named) -> Rows:
    """Return the rows of a run, or of all runs of an experiment by time.

    Raises:
        NotFoundError: There is no such experiment or run.
    """
    experiment = ms.experiment(name.experiment)
    if name.run is not None:
        return experiment.run(name.run).rows()
    return ms.rows(experiment=experiment.name)


def split_columns(given: Sequence[str]) -> list[str]:
    r"""Return the columns that options name, with commas between; one in a name is written `\,`.

    Examples:
        >>> split_columns(["loss,acc", "a\\,b"])
        ['loss', 'acc', 'a,b']
    """
    parts = [part for text in given for part in re.split(r"(?<!\\),", text)]
    return [part.replace("\\,", ",") for part in parts if part]


def check_known(columns: Sequence[str], rows: Rows) -> None:
    """Refuse columns that no row has.

    Raises:
        NotFoundError: There is no such column.
    """
    for name in columns:
        if name not in rows:
            message = f"no column {name!r}: there are {', '.join(rows.columns) or 'none'}"
            raise NotFoundError(message)


def assigned(text: str) -> tuple[str, Any]:
    """Return the name and value of `NAME=VALUE`; the value is JSON if it can be, else text.

    Examples:
        >>> assigned("acc=0.8"), assigned("note=try again")
        (('acc', 0.8), ('note', 'try again'))

    Raises:
        InvalidValueError: There is no name, or no `=`.
    """
    name, found, value = text.partition("=")
    if not name or not found:
        message = f"{text!r}: write NAME=VALUE"
        raise InvalidValueError(message)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
