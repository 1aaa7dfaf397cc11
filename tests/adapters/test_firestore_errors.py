"""What production and the emulator say, in our words."""

from __future__ import annotations

import pytest
from google.api_core import exceptions as api
from google.auth.exceptions import RefreshError, TransportError

from aletheia_like.adapters._firestoreerrors import Place, translated
from aletheia_like.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    ConflictError,
    InvalidValueError,
    NotFoundError,
    SettingsError,
    UnavailableError,
)
from aletheia_like.ports.documents import Create, Delete, Update

PLACE = Place("my-project", "(default)")
NAME = "projects/my-project/databases/(default)/documents/"


def refusal(error, *writes):
    return translated(error, PLACE, writes)


@pytest.mark.parametrize(
    "error",
    [
        api.ServiceUnavailable("failed to connect to all addresses"),
        api.DeadlineExceeded("Deadline Exceeded"),
        api.Aborted("Too much contention on these documents. Please try again."),
        api.InternalServerError("internal"),
        api.Cancelled("Closed on fork"),
        api.Unknown("stream terminated"),
        api.DataLoss("lost"),
        api.ResourceExhausted("Quota exceeded."),
        TransportError("no way to the token server"),
        ConnectionResetError("reset"),
        ValueError("Cannot invoke RPC on closed channel!"),
    ],
)
def test_what_may_pass_is_unavailable(error):
    assert isinstance(refusal(error, Create("c/d", {})), UnavailableError)


@pytest.mark.parametrize(
    "told",
    [
        "gRPC message exceeds maximum size 4194304: 5000417",
        "Sent message larger than max (11000000 vs. 10485760)",
        "Transaction too big. Decrease transaction size.",
    ],
)
def test_a_message_that_is_too_large_is_not_sent_again(told):
    assert isinstance(refusal(api.ResourceExhausted(told), Create("c/d", {})), InvalidValueError)


@pytest.mark.parametrize(
    "error",
    [
        api.PermissionDenied("Missing or insufficient permissions."),
        api.Unauthenticated("Request had invalid authentication credentials."),
        RefreshError("('invalid_grant: Invalid JWT Signature.')"),
        api.ServiceUnavailable(
            "Getting metadata from plugin failed with error: ('invalid_grant: Bad Request')"
        ),
    ],
)
def test_credentials_that_do_not_allow_it(error):
    refused = refusal(error)

    assert isinstance(refused, AccessDeniedError)
    assert "my-project" in str(refused)


def test_a_missing_database_says_what_to_type():
    told = "The database (default) does not exist for project my-project Please visit https://x"

    for writes in ((), (Update("c/d", {("a",): 1}),), (Create("c/d", {}),)):
        refused = refusal(api.NotFound(told), *writes)
        assert isinstance(refused, SettingsError)
        assert "gcloud firestore databases create --project=my-project" in str(refused)


def test_a_missing_index_gives_the_link():
    told = "The query requires an index. You can create it here: https://console/create"

    refused = refusal(api.FailedPrecondition(told))

    assert isinstance(refused, SettingsError)
    assert "https://console/create" in str(refused)


def test_a_missing_document_is_no_missing_database():
    error = api.NotFound(f"No document to update: {NAME}database/does not exist")

    refused = refusal(error, Update("database/does not exist", {("a",): 1}), Delete("c/e"))

    assert isinstance(refused, NotFoundError)
    assert str(refused) == "no document to update: database/does not exist"


def test_a_missing_document_that_was_seen_is_a_conflict():
    error = api.NotFound(f"No document to update: {NAME}c/seen")
    writes = (Update("c/seen", {("a",): 1}, "1.000000000"), Update("c/blind", {("a",): 1}))

    assert isinstance(refusal(error, *writes), ConflictError)
    assert isinstance(
        refusal(api.NotFound(f"No document to update: {NAME}c/blind"), *writes), NotFoundError
    )


def test_a_revision_that_does_not_hold_is_a_conflict():
    told = "the stored version (2) does not match the required base version (1)"
    writes = (Create("index/a", {}), Delete("index/d", "1.000000000"))

    refused = refusal(api.FailedPrecondition(told), *writes)

    assert isinstance(refused, ConflictError)
    assert "index/d" in str(refused)
    assert "index/a" not in str(refused)


def test_a_taken_path_is_named():
    error = api.AlreadyExists(f"Document already exists: {NAME}c/taken")

    refused = refusal(error, Create("c/take", {}), Create("c/taken", {}))

    assert isinstance(refused, AlreadyExistsError)
    assert str(refused) == "there is a document already: c/taken"


def test_many_paths_are_not_all_named():
    error = api.AlreadyExists("entity already exists")

    refused = refusal(error, *(Create(f"c/{number}", {}) for number in range(9)))

    assert str(refused) == "there is a document already: c/0 or c/1 or c/2 and 6 more"


def test_a_database_of_another_kind_is_told():
    told = "The Cloud Firestore API is not available for Firestore in Datastore Mode database."

    assert isinstance(refusal(api.FailedPrecondition(told), Create("c/d", {})), SettingsError)
    assert isinstance(refusal(api.FailedPrecondition(told)), SettingsError)


def test_our_own_mistakes_stay_what_they_are():
    error = TypeError("a mistake")

    assert refusal(error) is error
