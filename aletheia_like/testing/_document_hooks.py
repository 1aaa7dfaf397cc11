"""What a document store under test has to say about itself."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

import pytest

from aletheia_like.model.values import Fields
from aletheia_like.ports.documents import DocumentStore


class DocumentStoreHooks:
    """The fixtures and hooks that a binding of the suite overrides.

    Attributes:
        shared: Whether another process sees what this one stored.
    """

    shared: ClassVar[bool] = True

    @pytest.fixture
    def store(self) -> DocumentStore:
        """The store under test; it need not be empty."""
        message = f"{type(self).__name__} must define the fixture `store`"
        raise NotImplementedError(message)

    @pytest.fixture
    def base(self) -> str:
        """The path of a document below which nothing exists yet."""
        return f"projects/{uuid.uuid4().hex}"

    def put_raw(self, store: Any, path: str, fields: Fields) -> None:
        """Create a document as another program would, past the store."""
        del store, path, fields
        pytest.skip("this binding does not write past its store")

    def read_raw(self, store: Any, path: str) -> Fields:
        """Return a document's fields as another program finds them, past the store."""
        del store, path
        pytest.skip("this binding does not read past its store")

    def damage(self, store: Any, path: str) -> None:
        """Make what is stored of a document unreadable, past the store."""
        del store, path
        pytest.skip("this medium cannot be damaged from outside")
