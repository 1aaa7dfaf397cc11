"""The part of the suite about writing documents and reading them one by one."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from aletheia_like.errors import (
    AlreadyExistsError,
    ConflictError,
    IntegrityError,
    NotFoundError,
)
from aletheia_like.ports.documents import (
    REMOVE,
    Create,
    Delete,
    Document,
    DocumentStore,
    Update,
    Write,
)
from aletheia_like.testing._document_hooks import DocumentStoreHooks

ODD_KEYS = (
    "train.loss",
    "train/loss",
    "größe",
    "\N{GRINNING FACE}",
    "`quoted`",
    'a "b"',
    "back\\slash",
    "at the end\\",
    "`\\",
    "two words",
    "0",
    "line\nbreak",
    "~*[]",
    "_",
    "__half",
    "@tag",
    "$ref",
    "\x01",
)


def there(store: DocumentStore, path: str) -> Document:
    """Return the document, which must be there."""
    document = store.get(path)
    assert document is not None, path
    return document


class WriteSuite(DocumentStoreHooks):
    """Creates, updates, deletions, their preconditions, and what they return."""

    def test_what_does_not_exist_is_none(self, store: DocumentStore, base: str) -> None:
        assert store.get(base) is None

    def test_create_stores_the_fields(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"a": 1, "m": {"b": "x"}})])

        document = there(store, base)
        assert document.fields == {"a": 1, "m": {"b": "x"}}
        assert document.path == base
        assert document.id == base.rpartition("/")[2]

    def test_create_stores_a_document_without_fields(
        self, store: DocumentStore, base: str
    ) -> None:
        store.apply([Create(base, {})])

        assert there(store, base).fields == {}

    def test_create_refuses_an_existing_path(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"a": 1})])

        with pytest.raises(AlreadyExistsError):
            store.apply([Create(base, {"a": 2})])

        assert there(store, base).fields == {"a": 1}

    def test_a_document_needs_no_parent(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(f"{base}/runs/r", {"a": 1})])

        assert store.get(base) is None
        assert there(store, f"{base}/runs/r").fields == {"a": 1}

    def test_update_leaves_other_fields_alone(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"a": 1, "m": {"x": 1, "y": {"z": 1}}, "l": [1]})])

        store.apply([Update(base, {("a",): "new", ("m", "y", "w"): 2, ("n", "o"): None})])

        assert there(store, base).fields == {
            "a": "new",
            "m": {"x": 1, "y": {"z": 1, "w": 2}},
            "l": [1],
            "n": {"o": None},
        }

    def test_update_replaces_a_whole_map(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"m": {"x": 1, "y": 2}, "n": {"x": 1}})])

        store.apply([Update(base, {("m",): {"z": 3}, ("n",): {}})])

        assert there(store, base).fields == {"m": {"z": 3}, "n": {}}

    @pytest.mark.parametrize("former", [5, None, "text", [1], [{"k": 1}]])
    def test_update_through_what_is_no_map_replaces_it(
        self, store: DocumentStore, base: str, former: object
    ) -> None:
        store.apply([Create(base, {"m": former, "other": 1})])

        store.apply([Update(base, {("m", "k", "l"): 2})])

        assert there(store, base).fields == {"m": {"k": {"l": 2}}, "other": 1}

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_keys_may_hold_any_character(self, store: DocumentStore, base: str, key: str) -> None:
        store.apply([Create(base, {key: {key: 1, "old": 1}, "a": 1})])

        store.apply([Update(base, {(key, key): 2, (key, "old"): REMOVE, ("m", key): 3})])

        assert there(store, base).fields == {key: {key: 2}, "a": 1, "m": {key: 3}}

    def test_update_removes_fields(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"a": 1, "b": 2, "m": {"x": 1, "y": 2}, "n": {"x": 1}})])

        store.apply(
            [Update(base, {("a",): REMOVE, ("m", "x"): REMOVE, ("n", "x"): REMOVE, ("c",): 3})]
        )

        assert there(store, base).fields == {"b": 2, "c": 3, "m": {"y": 2}, "n": {}}

    def test_removing_what_is_not_there_changes_nothing(
        self, store: DocumentStore, base: str
    ) -> None:
        store.apply([Create(base, {"a": 1, "l": [1]})])

        changes = {("b",): REMOVE, ("a", "x"): REMOVE, ("l", "x"): REMOVE, ("m", "x"): REMOVE}
        store.apply([Update(base, changes)])

        assert there(store, base).fields == {"a": 1, "l": [1]}

    def test_update_of_a_missing_document_is_refused(
        self, store: DocumentStore, base: str
    ) -> None:
        with pytest.raises(NotFoundError):
            store.apply([Update(base, {("a",): 1})])

        assert store.get(base) is None

    def test_update_in_the_expected_revision(self, store: DocumentStore, base: str) -> None:
        (revision,) = store.apply([Create(base, {"a": 1})])

        (later,) = store.apply([Update(base, {("a",): 2}, if_revision=revision)])
        store.apply([Update(base, {("a",): 3}, if_revision=later)])

        assert there(store, base).fields == {"a": 3}

    def test_update_in_another_revision_is_a_conflict(
        self, store: DocumentStore, base: str
    ) -> None:
        (stale,) = store.apply([Create(base, {"a": 1})])
        store.apply([Update(base, {("a",): 2})])

        with pytest.raises(ConflictError):
            store.apply([Update(base, {("a",): 3}, if_revision=stale)])

        assert there(store, base).fields == {"a": 2}

    def test_update_of_a_deleted_revision_is_a_conflict(
        self, store: DocumentStore, base: str
    ) -> None:
        (revision,) = store.apply([Create(base, {"a": 1})])
        store.apply([Delete(base)])

        with pytest.raises(ConflictError):
            store.apply([Update(base, {("a",): 3}, if_revision=revision)])

        assert store.get(base) is None

    def test_delete_takes_a_document_away(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"a": 1})])

        store.apply([Delete(base)])

        assert store.get(base) is None

    def test_delete_of_a_missing_document_does_nothing(
        self, store: DocumentStore, base: str
    ) -> None:
        assert store.apply([Delete(base)]) == [None]

    def test_delete_leaves_what_is_below(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"a": 1}), Create(f"{base}/runs/r", {"a": 2})])

        store.apply([Delete(base)])

        assert there(store, f"{base}/runs/r").fields == {"a": 2}

    def test_delete_in_the_expected_revision(self, store: DocumentStore, base: str) -> None:
        (revision,) = store.apply([Create(base, {"a": 1})])

        store.apply([Delete(base, if_revision=revision)])

        assert store.get(base) is None

    def test_delete_in_another_revision_is_a_conflict(
        self, store: DocumentStore, base: str
    ) -> None:
        (stale,) = store.apply([Create(base, {"a": 1})])
        store.apply([Update(base, {("a",): 2})])

        with pytest.raises(ConflictError):
            store.apply([Delete(base, if_revision=stale)])

        assert there(store, base).fields == {"a": 2}

    def test_delete_of_a_deleted_revision_is_a_conflict(
        self, store: DocumentStore, base: str
    ) -> None:
        (revision,) = store.apply([Create(base, {"a": 1})])
        store.apply([Delete(base)])

        with pytest.raises(ConflictError):
            store.apply([Delete(base, if_revision=revision)])

    def test_apply_returns_each_new_revision(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(f"{base}/c/1", {}), Create(f"{base}/c/2", {"a": 1})])

        revisions = store.apply(
            [
                Delete(f"{base}/c/1"),
                Update(f"{base}/c/2", {("a",): 2}),
                Create(f"{base}/c/3", {"a": 3}),
            ]
        )

        assert revisions == [
            None,
            there(store, f"{base}/c/2").revision,
            there(store, f"{base}/c/3").revision,
        ]

    def test_apply_of_nothing_does_nothing(self, store: DocumentStore) -> None:
        assert store.apply([]) == []

    @pytest.mark.parametrize("kind", ["create", "update", "stale update", "stale delete"])
    def test_apply_writes_nothing_if_one_write_fails(
        self, store: DocumentStore, base: str, kind: str
    ) -> None:
        first, second = f"{base}/c/1", f"{base}/c/2"
        (stale,) = store.apply([Create(first, {"a": 1})])
        store.apply([Update(first, {("a",): 2}), Create(second, {"a": 1})])
        writes: dict[str, Write] = {
            "create": Create(first, {}),
            "update": Update(f"{base}/c/missing", {("a",): 9}),
            "stale update": Update(first, {("a",): 9}, if_revision=stale),
            "stale delete": Delete(first, if_revision=stale),
        }

        with pytest.raises((AlreadyExistsError, NotFoundError, ConflictError)):
            store.apply([Create(f"{base}/c/3", {}), Update(second, {("a",): 9}), writes[kind]])

        found = store.get_many([first, second, f"{base}/c/3"])
        assert [None if one is None else one.fields for one in found] == [
            {"a": 2},
            {"a": 1},
            None,
        ]

    def test_a_revision_stays_while_nothing_changes(self, store: DocumentStore, base: str) -> None:
        (revision,) = store.apply([Create(base, {"a": 1})])

        assert {there(store, base).revision for _ in range(3)} == {revision}

    def test_a_revision_never_comes_back(self, store: DocumentStore, base: str) -> None:
        writes: list[Write] = [
            Create(base, {"a": 1}),
            Update(base, {("a",): 2}),
            Update(base, {("a",): 1}),
            Delete(base),
            Create(base, {"a": 1}),
        ]

        revisions = [store.apply([write])[0] for write in writes]

        assert revisions[3] is None
        assert len(set(revisions)) == len(writes)

    @pytest.mark.parametrize(
        ("before", "after"), [(1, 1.0), (0.0, -0.0), (1, True), ("1", 1), ([], {}), (None, 0)]
    )
    def test_a_change_of_kind_is_a_change(
        self, store: DocumentStore, base: str, before: object, after: object
    ) -> None:
        (revision,) = store.apply([Create(base, {"a": before})])

        store.apply([Update(base, {("a",): after})])

        document = there(store, base)
        assert repr(document.fields["a"]) == repr(after)
        assert document.revision != revision

    def test_times_are_in_order(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"a": 1})])
        first = there(store, base)
        store.apply([Update(base, {("a",): 2})])
        second = there(store, base)

        times = [first.updated_at, first.read_at, second.updated_at, second.read_at]
        assert times == sorted(times)
        assert {time.utcoffset() for time in times} == {dt.timedelta(0)}
        assert abs(second.read_at - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=10)

    def test_what_is_given_stays_the_callers(self, store: DocumentStore, base: str) -> None:
        fields: dict[str, Any] = {"m": {"x": 1}, "l": [1]}
        store.apply([Create(base, fields)])

        fields["m"]["x"] = 2
        fields["l"].append(2)

        assert there(store, base).fields == {"m": {"x": 1}, "l": [1]}

    def test_what_is_returned_is_the_callers(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"m": {"x": 1}, "l": [{"y": 1}]})])

        mine = there(store, base).fields
        mine["m"]["x"] = 2
        mine["l"][0]["y"] = 2

        assert there(store, base).fields == {"m": {"x": 1}, "l": [{"y": 1}]}

    def test_get_many_answers_in_order(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(f"{base}/c/{name}", {"name": name}) for name in "zab"])

        paths = [f"{base}/c/{name}" for name in ("a", "missing", "z", "a", "b")]
        found = store.get_many(paths)

        assert [one and one.fields["name"] for one in found] == ["a", None, "z", "a", "b"]
        assert [one and one.path for one in found] == [paths[0], None, *paths[2:]]

    def test_get_many_of_nothing_is_nothing(self, store: DocumentStore) -> None:
        assert store.get_many([]) == []

    def test_get_many_takes_a_thousand_paths(self, store: DocumentStore, base: str) -> None:
        paths = [f"{base}/c/{number}" for number in range(1_000)]
        for start in (0, 500):
            store.apply([Create(path, {"path": path}) for path in paths[start : start + 500]])

        found = store.get_many(paths[::-1])

        assert [one and one.fields["path"] for one in found] == paths[::-1]

    def test_a_closed_store_opens_again(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"a": 1})])

        store.close()
        store.close()

        assert there(store, base).fields == {"a": 1}
        store.apply([Update(base, {("a",): 2})])
        assert there(store, base).fields == {"a": 2}

    def test_what_another_program_wrote_is_found(self, store: DocumentStore, base: str) -> None:
        self.put_raw(store, base, {"a": 1, "m": {"b": [True, None]}})

        assert there(store, base).fields == {"a": 1, "m": {"b": [True, None]}}

    def test_another_program_finds_what_is_stored(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"a": 1, "m": {"b": [True, None]}})])

        assert self.read_raw(store, base) == {"a": 1, "m": {"b": [True, None]}}

    def test_damage_is_told(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"a": 1})])

        self.damage(store, base)

        with pytest.raises(IntegrityError):
            store.get(base)
