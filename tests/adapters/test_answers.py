"""Answers as servers may give them, read by the short way or by `http.client`: the same bytes."""

from __future__ import annotations

import socket
import threading
from http.client import HTTPException

import pytest
from urllib3 import HTTPConnectionPool

from aletheia_like.adapters._answers import hear, send

BODY = b"ten bytes."
ASKED = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
LINE = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def served():
    """Return what serves these pieces, each of them after a further request or a moment."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve(pieces):
            with listening.accept()[0] as line:
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for answer in pieces:
                    if answer[0] is not None:
                        line.recv(1_000)
                    line.sendall(answer[1])

        def start(*pieces):
            thread = threading.Thread(target=serve, args=(pieces,), daemon=True)
            thread.start()
            return HTTPConnectionPool("127.0.0.1", listening.getsockname()[1])._get_conn()

        yield start


def answered(connection):
    send(connection, ASKED, None, (5, 5))
    return hear(connection, "GET")


@pytest.mark.parametrize(
    "answer",
    [
        LINE + b"Content-Length: 10\r\n\r\n" + BODY,
        LINE + b"content-length:10 \r\nX-Other: a\r\n\r\n" + BODY,
        LINE + b"Transfer-Encoding: chunked\r\n\r\n4\r\nten \r\n6\r\nbytes.\r\n0\r\n\r\n",
        LINE + b"X-Long: begins\r\n and goes on\r\nContent-Length: 10\r\n\r\n" + BODY,
        LINE + b"\r\n" + BODY,
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\nConnection: close\r\n\r\n" + BODY,
        b"HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\n" + BODY,
        b"HTTP/1.1 100 Continue\r\n\r\n" + LINE + b"Content-Length: 10\r\n\r\n" + BODY,
    ],
)
def test_a_body_is_read_whatever_its_form(served, answer):
    heard = answered(served(("asked", answer)))

    assert heard.status in (200, 206)
    assert heard.body.read(1_000) + heard.body.read(1_000) == BODY
    assert heard.body.isclosed()


def test_a_head_may_come_in_pieces(served):
    whole = LINE + b"Content-Length: 10\r\n\r\n" + BODY
    pieces = [("asked", whole[:9]), (None, whole[9:30]), (None, whole[30:])]

    assert answered(served(*pieces)).body.read() == BODY


def test_a_connection_serves_one_answer_after_the_other(served):
    plain = LINE + b"Content-Length: 10\r\n\r\n" + BODY
    refusal = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nRetry-After: 1\r\n\r\nbusy"
    connection = served(("asked", plain), ("asked", refusal), ("asked", plain))

    for status, body in ((200, BODY), (503, b"busy"), (200, BODY)):
        heard = answered(connection)
        assert (heard.status, heard.body.read(), heard.is_last) == (status, body, False)


def test_the_last_answer_of_a_connection_is_known(served):
    answer = LINE + b"Connection: close\r\nContent-Length: 10\r\n\r\n" + BODY

    assert answered(served(("asked", answer))).is_last


def test_a_header_that_comes_twice_is_one(served):
    answer = LINE + b"X-Goog-Hash: crc32c=a\r\nx-goog-hash: md5=b\r\nContent-Length: 0\r\n\r\n"

    assert answered(served(("asked", answer))).headers["x-goog-hash"] == "crc32c=a, md5=b"


def test_a_body_that_breaks_off_is_not_whole(served):
    heard = answered(served(("asked", LINE + b"Content-Length: 10\r\n\r\nten")))

    assert heard.body.read() == b"ten"
    assert not heard.body.isclosed()


@pytest.mark.parametrize("answer", [b"", b"what?\r\n\r\n"])
def test_what_is_no_answer_is_an_error(served, answer):
    with pytest.raises((HTTPException, OSError)):
        answered(served(("asked", answer)))
