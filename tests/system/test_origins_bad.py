# SPDX-License-Identifier: Apache-2.0
"""Origins that speak nonsense: 502 or a visible truncation, a counted cause for each, and their connection is never used again."""
import contextlib
import dataclasses
import os
import re
import socket

import pytest

from bad_origin import BadOrigin, Script
from lab import wait_until
from lab.causeway import Causeway

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH_5, CHUNKED = b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"

# The answer never begins: the client gets a 502.
REFUSED = [  # name, script, cause
    ("no_http", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n"], "status_line"),
    ("binary", [b"\x00\x01\x02\x03" * 64 + b"\r\n\r\n"], "status_line"),
    ("no_version", [b"200 OK\r\nContent-Length: 2\r\n\r\nok"], "status_line"),
    ("version_2", [b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"], "status_line"),
    ("short_status", [b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"], "status_line"),
    ("word_status", [b"HTTP/1.1 two OK\r\nContent-Length: 2\r\n\r\nok"], "status_line"),
    ("status_600", [b"HTTP/1.1 600 Odd\r\nContent-Length: 2\r\n\r\nok"], "status_line"),
    ("long_status_line", [b"HTTP/1.1 200 " + b"x" * 20000 + b"\r\nContent-Length: 2\r\n\r\nok"], "status_line"),
    ("endless_status_line", [b"HTTP/1.1 200 " + b"x" * 100000, Script.HANG], "status_line"),
    ("unasked_upgrade", [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: odd\r\nConnection: upgrade\r\n\r\n"], "status"),
    ("no_colon", [HEAD + b"Nonsense\r\nContent-Length: 2\r\n\r\nok"], "field"),
    ("space_before_colon", [HEAD + b"Content-Length : 2\r\n\r\nok"], "field"),
    ("space_in_name", [HEAD + b"Bad Name: x\r\nContent-Length: 2\r\n\r\nok"], "field"),
    ("folded", [HEAD + b"A: b\r\n c\r\nContent-Length: 2\r\n\r\nok"], "field"),
    ("nul_in_value", [HEAD + b"A: b\x00c\r\nContent-Length: 2\r\n\r\nok"], "field"),
    ("lone_cr", [HEAD + b"A: b\rc\r\nContent-Length: 2\r\n\r\nok"], "line_end"),
    ("bare_lf", [b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"], "line_end"),
    ("endless_head", [HEAD] + [b"X-%d: %s\r\n" % (i, b"x" * 500) for i in range(400)] + [Script.HANG], "head_long"),
    ("many_fields", [HEAD + b"".join(b"X-%d: x\r\n" % i for i in range(3000)) + b"\r\n"], "head_long"),
    ("long_name", [HEAD + b"x" * 5000 + b": x\r\n\r\n"], "head_long"),
    ("two_lengths", [HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"], "framing"),
    ("length_list", [HEAD + b"Content-Length: 5, 6\r\n\r\nhello!"], "framing"),
    ("negative_length", [HEAD + b"Content-Length: -5\r\n\r\nhello"], "framing"),
    ("plus_length", [HEAD + b"Content-Length: +5\r\n\r\nhello"], "framing"),
    ("hex_length", [HEAD + b"Content-Length: 0x5\r\n\r\nhello"], "framing"),
    ("huge_length", [HEAD + b"Content-Length: 99999999999999999999\r\n\r\nhello"], "framing"),
    ("length_and_chunked", [HEAD + LENGTH_5 + CHUNKED + b"\r\n0\r\n\r\n"], "framing"),
    ("chunked_and_length", [HEAD + CHUNKED + LENGTH_5 + b"\r\n5\r\nhello\r\n0\r\n\r\n"], "framing"),
    ("unknown_coding", [HEAD + b"Transfer-Encoding: rot13\r\n\r\nuryyb", Script.CLOSE], "framing"),
    ("chunked_twice", [HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"], "framing"),
    ("chunked_in_1_0", [b"HTTP/1.0 200 OK\r\n" + CHUNKED + b"\r\n0\r\n\r\n"], "framing"),
    ("chunked_204", [b"HTTP/1.1 204 No Content\r\n" + CHUNKED + b"\r\n0\r\n\r\n"], "framing"),
    ("flood_of_1xx", [EARLY_HINTS * 2000, Script.HANG], "informational"),
    ("long_1xx", [b"HTTP/1.1 103 Early Hints\r\n"] + [b"Link: <%s>\r\n" % (b"x" * 500)] * 400 + [Script.HANG], "head_long"),
    ("closed_in_status_line", [b"HTTP/1.1 2", Script.CLOSE], "truncated"),
    ("closed_in_head", [HEAD + b"Content-Le", Script.CLOSE], "truncated"),
    ("reset_in_status_line", [b"HTTP/1.1 2", Script.RESET], "truncated"),
    ("reset_in_head", [HEAD + b"Content-Le", Script.RESET], "truncated"),
    ("closed", [Script.CLOSE], "no_answer"),
    ("reset", [Script.RESET], "no_answer"),
]
# Hints are no answer yet: the client gets them, and a 502 behind them.
HINTED = [
    ("1xx_alone", [EARLY_HINTS, 0.1, Script.CLOSE], "truncated"),
    ("1xx_then_reset", [EARLY_HINTS, 0.1, Script.RESET], "truncated"),
    ("1xx_then_no_http", [EARLY_HINTS, 0.1, b"SSH-2.0-OpenSSH_9.2\r\n\r\n"], "status_line"),
    ("1xx_then_two_lengths", [EARLY_HINTS, 0.1, HEAD + LENGTH_5 + b"Content-Length: 6\r\n\r\nhello!"], "framing"),
    ("1xx_then_cut_head", [EARLY_HINTS, 0.1, HEAD + b"Content-Le", Script.CLOSE], "truncated"),
]
# The answer has begun: the client sees that it was cut short.
CUT = [
    ("short_body", [HEAD + LENGTH_5 + b"\r\nhel", Script.CLOSE], "truncated"),
    ("no_body", [HEAD + LENGTH_5 + b"\r\n", Script.CLOSE], "truncated"),
    ("reset_in_body", [HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * 40000, Script.RESET], "truncated"),
    ("cut_chunk", [HEAD + CHUNKED + b"\r\nff\r\nhalf", Script.CLOSE], "truncated"),
    ("reset_between_chunks", [HEAD + CHUNKED + b"\r\n4\r\nhalf\r\n", Script.RESET], "truncated"),
    ("no_last_chunk", [HEAD + CHUNKED + b"\r\n4\r\nhalf\r\n", Script.CLOSE], "truncated"),
    ("cut_trailer", [HEAD + CHUNKED + b"\r\n4\r\nhalf\r\n0\r\nX: ", Script.CLOSE], "truncated"),
    ("bad_chunk_size", [HEAD + CHUNKED + b"\r\nzz\r\nhello\r\n0\r\n\r\n"], "chunk"),
    ("negative_chunk", [HEAD + CHUNKED + b"\r\n-5\r\nhello\r\n0\r\n\r\n"], "chunk"),
    ("huge_chunk", [HEAD + CHUNKED + b"\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n"], "chunk"),
    ("long_chunk", [HEAD + CHUNKED + b"\r\n5\r\nhelloo\r\n0\r\n\r\n"], "chunk"),
    ("bare_lf_chunk", [HEAD + CHUNKED + b"\r\n5\nhello\n0\n\n"], "line_end"),
    ("endless_extension", [HEAD + CHUNKED + b"\r\n5;x=" + b"y" * 100000, Script.HANG], "chunk"),
    ("endless_trailer", [HEAD + CHUNKED + b"\r\n0\r\n"] + [b"X-%d: %s\r\n" % (i, b"x" * 500) for i in range(400)] + [Script.HANG],
     "trailer"),
    ("length_in_trailer", [HEAD + CHUNKED + b"\r\n0\r\nContent-Length: 5\r\n\r\n"], "trailer"),
]
# The answer is whole and good, and what follows it is nobody's.
EXTRA = [
    ("extra_byte", [OK + b"!"]),
    ("second_answer", [OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"]),
    ("body_of_204", [b"HTTP/1.1 204 No Content\r\n\r\nevil"]),
    ("body_of_304", [b"HTTP/1.1 304 Not Modified\r\n\r\nevil"]),
    ("behind_chunks", [HEAD + CHUNKED + b"\r\n2\r\nok\r\n0\r\n\r\nevil"]),
]
DRIPPING = [HEAD, b"X: "] + [0.1, b"x"] * 600
WORKING = [b"HTTP/1.1 102 Processing\r\n\r\n", 0.3] * 4 + [OK]
ALL = {name: script for name, script, _ in REFUSED + HINTED + CUT} | dict(EXTRA)


@dataclasses.dataclass
class Place:
    origin: BadOrigin
    node: Causeway
    port: int
    admin: int

    def ask(self, path, method="GET", host="www.shop.example"):
        """Everything that the edge answers until it closes, or resets."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), 20) as connection, contextlib.suppress(ConnectionResetError):
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            while piece := connection.recv(65536):
                received += piece
        return received

    def status(self, path, method="GET", **more):
        return int(self.ask(path, method, **more).split(b" ", 2)[1])

    def counted(self):
        """Bad answers by their cause."""
        with socket.create_connection(("127.0.0.1", self.admin), 20) as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            text = b""
            while piece := connection.recv(65536):
                text += piece
        rows = re.findall(r'^causeway_gateway_bad_answers_total\{cause="(\w+)"\} (\d+)', text.decode(), re.M)
        return {cause: int(count) for cause, count in rows}

    def is_counted(self, before, cause):
        """Once, and nothing else is."""
        after = self.counted()
        return {name: after[name] - before[name] for name in after if after[name] != before[name]} == {cause: 1}


@pytest.fixture(scope="module")
def place(wan_program, causeway_program):
    from lab import Lab
    with Lab(wan_program) as lab:
        here = lab.here()
        port, admin, origin_port, link = (here.free_port("127.0.0.1") for _ in range(4))
        scripts = {f"/{name}": script for name, script in ALL.items()} | {"/ok": [OK], "/dripping": DRIPPING, "/hinted": [EARLY_HINTS] + DRIPPING, "/working": WORKING}
        origin = BadOrigin.tcp(scripts, "127.0.0.1", origin_port)
        user = "user: root" if os.geteuid() == 0 else ""
        node = Causeway(lab, causeway_program, f"""
nodes:
  all:
    run_dir: {lab.path("run")}
    {user}
    workers: 1
    capacity: {{cpu: 0}}
    link: {{listen: ["127.0.0.1:{link}"]}}
    edge: {{listen: ["127.0.0.1:{port}"]}}
    gateway: {{allow_local: true, allow: [{{edges: [all], sites: [shop, hasty]}}]}}
    admin: {{listen: ["127.0.0.1:{admin}"]}}
sites:
  shop:
    hosts: [www.shop.example]
    origins: ["http://127.0.0.1:{origin_port}"]
    retries: 0
    timeouts: {{read: 60s}}
  hasty:
    hosts: [hasty.shop.example]
    origins: ["http://127.0.0.1:{origin_port}"]
    retries: 0
    timeouts: {{read: 500ms}}
""")
        made = Place(origin, node, port, admin)
        wait_until(lambda: made.status("/ok") == 200, what="the site is served")
        yield made
        origin.stop()
        node.stop()


@pytest.mark.parametrize("name, cause", [pytest.param(name, cause, id=name) for name, _, cause in REFUSED])
def test_L3_an_answer_that_is_none_is_a_502_with_a_counted_cause(place, name, cause):
    before = place.counted()
    assert place.status(f"/{name}") == 502
    wait_until(lambda: place.is_counted(before, cause), what=f"one bad answer for {cause}: {place.counted()}")
    assert place.ask("/ok").endswith(b"\r\n\r\nok")
    assert place.origin.connection_of("/ok") > place.origin.connection_of(f"/{name}")


@pytest.mark.parametrize("name, cause", [pytest.param(name, cause, id=name) for name, _, cause in HINTED])
def test_L3_behind_hints_a_bad_answer_is_a_502_too(place, name, cause):
    before = place.counted()
    hints, _, rest = place.ask(f"/{name}").partition(b"\r\n\r\n")
    assert hints.startswith(b"HTTP/1.1 103 ") and rest.startswith(b"HTTP/1.1 502 "), (hints, rest)
    wait_until(lambda: place.is_counted(before, cause), what=f"one bad answer for {cause}: {place.counted()}")
    assert place.ask("/ok").endswith(b"\r\n\r\nok")
    assert place.origin.connection_of("/ok") > place.origin.connection_of(f"/{name}")


@pytest.mark.parametrize("name, cause", [pytest.param(name, cause, id=name) for name, _, cause in CUT])
def test_L3_an_answer_that_is_cut_short_never_looks_complete(place, name, cause):
    before = place.counted()
    received = place.ask(f"/{name}")
    if not received.startswith(b"HTTP/1.1 502 "):  # unless nothing had been passed on yet
        head, _, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"^content-length: (\d+)", head, re.I | re.M)
        assert len(body) < int(length[1]) if length else not body.endswith(b"0\r\n\r\n"), received
    wait_until(lambda: place.is_counted(before, cause), what=f"one bad answer for {cause}: {place.counted()}")
    assert place.ask("/ok").endswith(b"\r\n\r\nok")
    assert place.origin.connection_of("/ok") > place.origin.connection_of(f"/{name}")


@pytest.mark.parametrize("name", [name for name, _ in EXTRA])
def test_L3_bytes_behind_an_answer_are_nobodys(place, name):
    before = place.counted()
    received = place.ask(f"/{name}")
    assert received.split(b" ", 2)[1] in (b"200", b"204", b"304") and b"evil" not in received
    wait_until(lambda: place.is_counted(before, "unasked"), what=f"unasked bytes: {place.counted()}")
    assert place.ask("/ok").endswith(b"\r\n\r\nok")
    assert place.origin.connection_of("/ok") > place.origin.connection_of(f"/{name}")


def test_L3_a_body_behind_the_answer_to_HEAD_is_nobodys(place):
    before = place.counted()
    received = place.ask("/ok", "HEAD")
    assert received.startswith(b"HTTP/1.1 200 ") and received.endswith(b"\r\n\r\n")
    wait_until(lambda: place.is_counted(before, "unasked"), what=f"unasked bytes: {place.counted()}")
    spoiled = place.origin.connections
    assert place.ask("/ok").endswith(b"\r\n\r\nok")
    assert place.origin.connection_of("/ok") > spoiled


def test_L3_who_speaks_before_it_is_asked_is_not_believed(place):
    """On a kept connection: it would be taken for the answer to the next request."""
    assert place.ask("/ok").endswith(b"\r\n\r\nok")
    before, spoiled = place.counted(), place.origin.connection_of("/ok")
    place.origin.open[spoiled - 1].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert place.ask("/ok").endswith(b"\r\n\r\nok")
    assert place.origin.connection_of("/ok") > spoiled
    wait_until(lambda: place.is_counted(before, "unasked"), what="unasked bytes are counted")


def test_L3_a_head_that_comes_drop_by_drop_is_a_504(place):
    """Each byte in time, and a minute for all of it."""
    assert place.status("/dripping", host="hasty.shop.example") == 504
    assert place.ask("/ok", host="hasty.shop.example").endswith(b"\r\n\r\nok")


def test_L3_nor_do_hints_buy_a_head_more_time(place):
    hints, _, rest = place.ask("/hinted", host="hasty.shop.example").partition(b"\r\n\r\n")
    assert hints.startswith(b"HTTP/1.1 103 ") and rest.startswith(b"HTTP/1.1 504 "), (hints, rest)


def test_L3_an_origin_that_says_that_it_works_on_it_has_time(place):
    """Longer in all than it may be silent; and no longer than so many hints take (http_limits)."""
    assert place.ask("/working", host="hasty.shop.example").endswith(b"\r\n\r\nok")


def test_L3_good_answers_are_no_faults_and_share_a_connection(place):
    assert place.status("/ok") == 200
    before, connections = place.counted(), place.origin.connections
    for _ in range(5):
        assert place.ask("/ok").endswith(b"\r\n\r\nok")
    assert place.counted() == before and place.origin.connections == connections
