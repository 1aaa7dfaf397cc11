"""A line does what its name says: passes, breaks, holds, and is whole again."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading

import pytest

from aletheia_like.testing.lines import Line


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for sent in self.rfile:
            self.wfile.write(sent)


@pytest.fixture
def line():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        with Line(f"127.0.0.1:{server.server_address[1]}") as whole:
            yield whole
        server.shutdown()


def connect(line):
    host, _, port = line.host.rpartition(":")
    end = socket.create_connection((host, int(port)), timeout=5)
    return end, end.makefile("rwb", buffering=0)


def test_a_whole_line_passes_everything_both_ways(line):
    end, stream = connect(line)
    text = b"a" * 500_000 + b"\n"
    threading.Thread(target=end.sendall, args=(text,)).start()

    assert end.makefile("rb").readline() == text
    stream.close()


def test_a_cut_line_breaks_and_refuses_until_it_is_mended(line):
    _, stream = connect(line)
    stream.write(b"a\n")
    assert stream.readline() == b"a\n"
    line.cut()

    with contextlib.suppress(ConnectionResetError):
        assert stream.readline() == b""
    with pytest.raises(ConnectionRefusedError):
        connect(line)
    line.mend()
    _, stream = connect(line)
    stream.write(b"b\n")
    assert stream.readline() == b"b\n"


def test_a_held_line_passes_what_it_held_when_it_is_mended(line):
    end, stream = connect(line)
    stream.write(b"a\n")
    assert stream.readline() == b"a\n"
    line.hold()
    stream.write(b"b\n")
    end.settimeout(0.3)
    with pytest.raises(TimeoutError):
        stream.readline()
    end.settimeout(5)
    line.mend()

    assert end.recv(2) == b"b\n"
