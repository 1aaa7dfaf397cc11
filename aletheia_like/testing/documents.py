"""The contract of `DocumentStore` as tests; an adapter passes by subclassing one class.

    class TestMyStore(DocumentStoreSuite):
        @pytest.fixture
        def store(self, tmp_path):
            store = MyDocumentStore(tmp_path)
            yield store
            store.close()

Every test works below a path of its own, so the stores of several tests may share one place.
"""

from __future__ import annotations

from aletheia_like.testing._document_queries import QuerySuite
from aletheia_like.testing._document_sharing import SharingSuite, in_child, increment
from aletheia_like.testing._document_values import ValueSuite
from aletheia_like.testing._document_writes import WriteSuite

__all__ = ["DocumentStoreSuite", "in_child", "increment"]


class DocumentStoreSuite(WriteSuite, ValueSuite, QuerySuite, SharingSuite):
    """All that a document store promises; see `ports.documents`."""
