"""What a shell offers when somebody presses Tab: names of what is in the store.

A completion never prints an error and waits for a store a few seconds at most.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    add_completion_class,
)

if TYPE_CHECKING:
    from aletheia_like.connect import Metastore

VARIABLE = "_ALETHEIA_COMPLETE"
"""Set by the code that `aletheia completion` prints."""

_SECONDS = "3"
_MOST_RUNS = 100
_PLAIN_IN_BASH = re.compile(r"([^\w@%+,./-])")
_NAMES_OF_A_RUN = 2

_BASH = r"""%(complete_func)s() {
    local response type value
    local IFS=$'\n'
    response=$(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
    COMPREPLY=()
    while IFS=',' read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                [[ $value == */ ]] && compopt -o nospace
                COMPREPLY+=("$value")
                ;;
        esac
    done <<< "$response"
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class Bash(BashComplete):
    """Completion that keeps spaces and other signs of names as they are."""

    source_template = _BASH

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return one line of the answer."""
        words = os.environ.get("COMP_WORDS", "").split("\n")
        place = int(os.environ.get("COMP_CWORD", "0"))
        is_quoted = place < len(words) and words[place][:1] in ("'", '"')
        value = str(item.value)
        if item.type == "plain" and not is_quoted:
            value = _PLAIN_IN_BASH.sub(r"\\\1", value)
        return f"{item.type},{value}"


class Fish(FishComplete):
    """Completion without what fish would cut at a comma."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        """Return what can stand in an answer."""
        found = super().get_completions(args, incomplete)
        return [one for one in found if "," not in str(one.value)]


def install() -> None:
    """Prepare this process for completions: quick and silent ones."""
    add_completion_class(Bash, "bash")
    add_completion_class(Fish, "fish")
    if os.environ.get(VARIABLE, "").endswith("_complete"):
        os.environ.setdefault("ALETHEIA_TIMEOUT", _SECONDS)
        os.environ["ALETHEIA_PROGRESS"] = "false"
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for good


Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


def _silently(find: Callable[[click.Context, str], Iterable[str]]) -> Completer:
    """Return a completer that offers nothing where anything goes wrong."""

    def complete(
        context: click.Context, _: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        try:
            found = [one for one in find(context, incomplete) if one.startswith(incomplete)]
        except Exception:  # noqa: BLE001 - whoever presses Tab wants no traceback
            return []
        return [CompletionItem(one) for one in found]

    return complete


def _opened(context: click.Context, project: str | None = None) -> Metastore:
    from aletheia_like.cli.browse import open_without_project

    given = project or context.params.get("project")
    return open_without_project(given, context.params.get("url"))


def _projects(context: click.Context, _: str) -> list[str]:
    with _opened(context) as ms:
        return [one.name for one in ms.projects()]


def _plain_experiments(context: click.Context, _: str) -> list[str]:
    with _opened(context) as ms:
        return [one.name for one in ms.experiments(debug=True)]


def _repositories(context: click.Context, _: str) -> list[str]:
    with _opened(context) as ms:
        return ms.repositories()


def _datasets(context: click.Context, _: str) -> list[str]:
    with _opened(context) as ms:
        return [one.name for one in ms.datasets()]


def _collections(context: click.Context, incomplete: str) -> list[str]:
    """Return collections, or the series of the one that is named."""
    label, slash, _ = incomplete.rpartition("/")
    with _opened(context) as ms:
        if slash:
            return [f"{label}/{one}" for one in ms.collection(label).ls()]
        return [str(one) for one in ms.collections()]


def _artifacts(context: click.Context, _: str) -> list[str]:
    from aletheia_like.cli.shelves import open_shelf

    repo, experiment = context.params.get("repo"), context.params.get("experiment")
    with _opened(context) as ms:
        return [one.name for one in open_shelf(ms, repo, experiment, "").newest()]


def _runs(context: click.Context, incomplete: str) -> list[str]:
    return _named(context, incomplete, runs=True)


def _runs_or_experiments(context: click.Context, incomplete: str) -> list[str]:
    return _named(context, incomplete, runs=False)


def _experiments(context: click.Context, incomplete: str) -> list[str]:
    found = _named(context, incomplete, runs=False)
    return [one for one in found if one.endswith("/") or one.count("/") == incomplete.count("/")]


def _named(context: click.Context, incomplete: str, *, runs: bool) -> list[str]:
    """Return names as `naming.named` reads them, as far as the last part that was begun.

    Args:
        context: What is known of the command line.
        incomplete: What was typed.
        runs: Whether only a run will do.
    """
    from aletheia_like.cli.browse import configured_project
    from aletheia_like.model.names import split_reference

    *heads, _ = split_reference(incomplete)
    given = context.params.get("project") or configured_project()
    if given is None and not heads:
        return [f"{_escaped(one)}/" for one in _projects(context, "")]
    prefix, project = "", given
    if given is None or len(heads) == _NAMES_OF_A_RUN:
        project, *heads = heads
        prefix = f"{_escaped(project)}/"
    with _opened(context, project) as ms:
        if heads:
            return _runs_of(ms, prefix, heads[0])
        names = [one.name for one in ms.experiments(debug=True)]
        begun = [one for one in names if f"{prefix}{_escaped(one)}".startswith(incomplete)]
        if runs and len(begun) == 1:
            return _runs_of(ms, prefix, begun[0])
        return [f"{prefix}{_escaped(one)}{'/' if runs else ''}" for one in begun]


def _runs_of(ms: Metastore, prefix: str, experiment: str) -> list[str]:
    """Return the newest runs of an experiment."""
    found = ms.experiment(experiment).runs(order_by="-started_at", limit=_MOST_RUNS, debug=True)
    return [f"{prefix}{_escaped(experiment)}/{_escaped(one)}" for one in found.ids]


def _escaped(name: str) -> str:
    return name.replace("/", "\\/")


projects = _silently(_projects)
plain_experiments = _silently(_plain_experiments)
experiments = _silently(_experiments)
runs = _silently(_runs)
runs_or_experiments = _silently(_runs_or_experiments)
repositories = _silently(_repositories)
datasets = _silently(_datasets)
artifacts = _silently(_artifacts)
collections = _silently(_collections)
