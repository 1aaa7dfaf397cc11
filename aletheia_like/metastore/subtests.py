"""Tests of a run on parts of its data: metrics, parameters and artifacts under one name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aletheia_like.metastore.keeping import KeepsArtifacts
from aletheia_like.model.names import check_name
from aletheia_like.model.parameters import to_mapping
from aletheia_like.model.values import check_key, decode, encode

TESTS = "tests"
"""Field of a run: its tests, by name."""


@dataclass(frozen=True, slots=True)
class RunTest:
    """A test that was stored.

    Attributes:
        name: Such as that of a part of the data.
        desc: What it is about.
        metrics: Its numbers.
        params: Its parameters.
        artifacts: Names in the run of its artifacts, by their names in the test.
    """

    name: str
    desc: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)


class OpenTest:
    """A test inside its block; `Run.log_test` opens one."""

    def __init__(self, name: str, desc: str | None) -> None:
        self._name = check_key(check_name(name, "test"))
        self._desc = desc
        self._metrics: dict[str, Any] = {}
        self._params: dict[Any, Any] = {}
        self._artifacts: dict[str, tuple[Any, dict[str, Any]]] = {}

    @property
    def name(self) -> str:
        """What it is called."""
        return self._name

    def add_metric(self, name: str, value: Any) -> None:
        """Set one of its numbers; the last value wins."""
        self.add_metrics({name: value})

    def add_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Set several numbers at once.

        Raises:
            InvalidValueError: A name or value cannot be stored.
        """
        for name, value in metrics.items():
            key = check_key(check_name(name, "metric"))
            self._metrics[key] = encode(value, (TESTS, self._name, key))

    def set_params(self, parameters: object) -> None:
        """Set parameters of the test beside those there are; takes what `set_hyper_params` takes.

        Raises:
            InvalidValueError: It is no mapping, or a value has no stored form.
        """
        self._params |= to_mapping(parameters)

    def add_artifact(self, name: str, value: Any, **options: Any) -> None:
        """Add an artifact, which is stored as `TEST/NAME` of the run when the block ends.

        Args:
            name: In the test.
            value: A path, or an object, which is written as it is at the end of the block.
            **options: Of `Run.add_artifact`.
        """
        self._artifacts[check_name(name, "artifact")] = (value, options)

    def _keep(self, keeper: KeepsArtifacts) -> dict[str, Any]:
        """Store the artifacts, and return what the run says of the test."""
        names = {}
        for name, (value, options) in self._artifacts.items():
            names[name] = f"{self._name}/{name}"
            keeper.add_artifact(names[name], value, **options)
        told = {"desc": self._desc, "metrics": decode(self._metrics), "params": self._params}
        return {key: one for key, one in (told | {"artifacts": names}).items() if one}


class HasTests(KeepsArtifacts):
    """A run that is tested on parts of its data."""

    @contextlib.contextmanager
    def log_test(self, name: str, desc: str | None = None) -> Iterator[OpenTest]:
        """Give a test to fill; it is stored at the end of the block, if nothing is raised in it.

        Args:
            name: Such as that of a part of the data; a later test of this name replaces it.
            desc: What it is about.

        Raises:
            ReadOnlyError: The run has ended or was opened for reading.
            InvalidValueError: The name cannot be stored.
        """
        self._change({})
        test = OpenTest(name, desc)
        yield test
        self._change({(TESTS, test.name): test._keep(self)})  # noqa: SLF001 - of this module

    @property
    def tests(self) -> dict[str, RunTest]:
        """The tests that were stored, by name."""
        noted = decode(self._fields.get(TESTS, {}))
        found = noted.items() if isinstance(noted, Mapping) else ()
        return {name: _read(name, told) for name, told in found if isinstance(told, Mapping)}


def _read(name: str, told: Mapping[str, Any]) -> RunTest:
    parts = {
        key: dict(told[key])
        for key in ("metrics", "params", "artifacts")
        if isinstance(told.get(key), Mapping)
    }
    desc = told.get("desc")
    return RunTest(name, None if desc is None else str(desc), **parts)
