# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 floods, frames written by hand, against an edge that serves others: the connection ends, for the right reason, with its last words;
a parallel client over HTTP/1.1 and one over HTTP/2 never notice."""
import re
import struct
import threading
import time

import pytest
from lab.process import wait_until
from road import HTTP, ORIGIN, SITE, Road, memory_kb

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION, PRIORITY_UPDATE = 0, 1, 2, 3, 4, 6, 7, 8, 9, 16
END_STREAM, END_HEADERS = 1, 4
CALM = 11  # ENHANCE_YOUR_CALM
UNHARMED_S = 1.5  # a request of the others, on a machine that does much else
ROUNDS = 20000


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def block(method="GET", path="/bytes/10", *more):
    fields = [(":method", method), (":scheme", "http"), (":authority", SITE), (":path", path), *more]
    return b"".join(literal(*field) for field in fields)


def request(stream, flags=END_STREAM, *words):
    return frame(HEADERS, flags | END_HEADERS, stream, block(*words))


def u32(value):
    return struct.pack(">I", value)


START = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS)

# cause, what goes first, what goes in each round
FLOODS = [
    ("RESETS", b"", lambda n: request(2 * n + 1) + frame(RST_STREAM, 0, 2 * n + 1, u32(8))),
    ("STREAM_ERRORS", b"", lambda n: request(2 * n + 1, END_STREAM, "GET", "/", ("Upper", "1"))),
    ("STREAM_ERRORS", b"", lambda n: request(2 * n + 1, 0, "POST", "/echo") + frame(WINDOW_UPDATE, 0, 2 * n + 1, u32(0x7fffffff))),
    ("SETTINGS_FLOOD", b"", lambda n: frame(SETTINGS, 0, 0, struct.pack(">HI", 4, n))),
    ("PING_FLOOD", b"", lambda n: frame(PING, 0, 0, b"12345678")),
    ("EMPTY_DATA", request(1, 0, "POST", "/echo"), lambda n: frame(DATA, 0, 1)),
    ("WINDOW_FLOOD", b"", lambda n: frame(WINDOW_UPDATE, 0, 0, u32(1))),
    ("PRIORITY_FLOOD", b"", lambda n: frame(PRIORITY, 0, 2 * n + 1, u32(0) + b"\1")),
    ("PRIORITY_FLOOD", b"", lambda n: frame(PRIORITY_UPDATE, 0, 0, u32(2 * n + 1) + b"u=0")),
    ("UNKNOWN_FLOOD", b"", lambda n: frame(0x20 + n % 100, 0, 0, b"grease")),
    ("CONTINUATIONS", frame(HEADERS, END_STREAM, 1, block()), lambda n: frame(CONTINUATION, 0, 1, literal("x", "y"))),
    # 1 byte each for a field of 4000
    ("HEAD_BOMB", b"", lambda n: frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1,
                                       block() + b"\x40\1x\x7f\xa1\x1e" + b"a" * 4000 + b"\xbe" * 8000)),
]


class Quiet(threading.Thread):
    """Asks again and again, and remembers the longest time that an answer took."""

    def __init__(self, road, *words):
        super().__init__(daemon=True)
        self.road, self.words = road, words
        self.done, self.count, self.longest, self.failed = False, 0, 0.0, None

    def run(self):
        try:
            while not self.done:
                began = time.monotonic()
                assert self.road.curl("/bytes/10", *self.words, "-o", "/dev/null", "-w", "%{http_code} %{time_total}",
                                      timeout=20).stdout.startswith("200 ")
                self.longest = max(self.longest, time.monotonic() - began)
                self.count += 1
        except Exception as error:  # pylint: disable=broad-except
            self.failed = error

    def stop(self):
        self.done = True
        self.join(30)
        assert self.failed is None and self.count, self.failed


@pytest.fixture
def road(lab, causeway_program, version, start_origin):
    made = Road(lab, causeway_program, version)
    start_origin(lab, made.origin, (made.origin_at, ORIGIN))
    return made.start()


def ended(road):
    """How many connections were ended, by cause."""
    metrics = road.edge.run("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
    return {cause: int(count) for cause, count in re.findall(r'causeway_edge_h2_ended_total\{cause="(\w+)"\} (\d+)', metrics)}


def goaway_codes(data):
    codes = []
    while len(data) >= 9:
        length = int.from_bytes(data[:3], "big")
        if data[3] == GOAWAY and len(data) >= 17:
            codes.append(int.from_bytes(data[13:17], "big"))
        data = data[9 + length:]
    return codes


def flood(road, first, each):
    """Sends until the edge ends it; what the edge sent."""
    got = bytearray()
    connection = road.client.connect(road.edge_at, HTTP, 20)
    try:
        connection.sendall(START + first)
        for n in range(0, ROUNDS, 50):
            connection.sendall(b"".join(each(n + i) for i in range(50)))
            connection.settimeout(0.001)
            try:
                data = connection.recv(1 << 20)
                if not data:
                    return got
                got += data
            except (TimeoutError, BlockingIOError):
                pass
            connection.settimeout(20)
        raise AssertionError(f"{ROUNDS} rounds were taken")
    except (ConnectionResetError, BrokenPipeError):
        return got
    finally:
        connection.close()


def test_floods_end_their_connection_and_harm_nobody(road):
    road.curl("/bytes/10", "--http2-prior-knowledge")
    others = [Quiet(road), Quiet(road, "--http2-prior-knowledge")]
    for other in others:
        other.start()
    before = memory_kb(road.nodes["edge"])
    for cause, first, each in FLOODS:
        counted = ended(road).get(cause, 0)
        got = flood(road, first, each)
        wait_until(lambda: ended(road).get(cause, 0) == counted + 1, 10, f"the end is counted as {cause}")  # pylint: disable=cell-var-from-loop
        # Its last words may be lost to a reset: bytes that it had sent were still unread.
        assert goaway_codes(got)[-1:] in ([], [CALM]), (cause, goaway_codes(got))
    for other in others:
        other.stop()
    assert max(other.longest for other in others) < UNHARMED_S
    assert memory_kb(road.nodes["edge"]) < before + 32 * 1024
    wait_until(lambda: road.link()["streams_open"] == 0, 30, "nothing is left of them")


def test_clients_that_never_read_hold_little(road):
    """Large answers asked for by connections that read nothing: what each holds is bounded, others are served."""
    road.curl("/bytes/10", "--http2-prior-knowledge")
    before = memory_kb(road.nodes["edge"])
    hungry = []
    wide = frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0x7fffffff)) + frame(WINDOW_UPDATE, 0, 0, u32(0x7fff0000))
    for _ in range(8):
        connection = road.client.connect(road.edge_at, HTTP, 20)
        connection.sendall(START + wide + b"".join(request(2 * n + 1, END_STREAM, "GET", f"/bytes/{100 << 20}") for n in range(16)))
        hungry.append(connection)
    other = Quiet(road, "--http2-prior-knowledge")
    other.start()
    wait_until(lambda: other.count >= 30 or not other.is_alive(), 60, "the other was served for a while")
    other.stop()
    assert other.longest < UNHARMED_S
    # 1 MiB and 16 KiB for each of 16 streams, what the socket and the link's windows hold, for each of 8
    assert memory_kb(road.nodes["edge"]) < before + 8 * 16 * 1024
    for connection in hungry:
        connection.close()
    wait_until(lambda: road.link()["streams_open"] == 0, 30, "their streams are gone")
