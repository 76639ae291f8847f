# SPDX-License-Identifier: Apache-2.0
"""Content encodings (C3) of a running edge: nginx and an origin of the test's own behind it, decoders that are not ours before it."""
import getpass
import http.client
import itertools
import os
import pathlib
import random
import re
import socket
import threading
import time
import zlib

import brotli
import pytest
import zstandard
from lab import Lab, wait_until
from lab.causeway import Causeway
from lab.servers import start_nginx

from conftest import no_sanitizer_reports

HOST = "www.shop.example"
BROWSER = "gzip, deflate, br, zstd"
WORDS = random.Random(5)
PAGE = "".join(f"<li>{WORDS.choice(['edge', 'gateway', 'origin'])} {WORDS.randrange(10000)}</li>\n" for _ in range(8000)).encode()
SERVER = """
location / { }
location /fresh/ { add_header Cache-Control max-age=3600; }
location = /page.json { default_type application/json; alias ROOT/page.html; types { } }
location = /kept.html { add_header Cache-Control no-transform; alias ROOT/page.html; }
location = /signed.html { add_header Repr-Digest 'sha-256=:AA==:'; alias ROOT/page.html; }
location = /session.html { add_header Set-Cookie id=7; alias ROOT/page.html; }
location = /private.html { add_header Cache-Control private; alias ROOT/page.html; }
location = /events { default_type text/event-stream; alias ROOT/page.html; types { } }
location = /varied.html { add_header Vary Cookie; alias ROOT/page.html; }
location = /asked { default_type text/plain; return 200 "$http_accept_encoding|$http_if_none_match|$http_if_match"; }
location = /zipped.html { gzip on; gzip_proxied any; alias ROOT/page.html; }
"""


class Odd:
    """An origin that does what nginx would not: answers bit by bit, and with trailers."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.go = threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n"
                               b"Connection: close\r\n\r\n" + chunk(PAGE[:3000]))
            self.go.wait(30)
            connection.sendall(chunk(PAGE[3000:]) + b"0\r\nX-Sum: 42\r\n\r\n")


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


class Site:
    def __init__(self, lab, program):
        self.here, self.lab, self.program = lab.here(), lab, program
        self.http, self.origin, self.admin = (self.here.free_port("127.0.0.1") for _ in range(3))
        self.odd = Odd()
        self.root = pathlib.Path(lab.path("www"))
        for folder in ("fresh", "files"):
            (self.root / folder).mkdir(parents=True)
            (self.root / folder / "page.html").write_bytes(PAGE)
        (self.root / "page.html").write_bytes(PAGE)
        (self.root / "short.html").write_bytes(PAGE[:400])
        (self.root / "page.png").write_bytes(PAGE)
        for folder in (".", "fresh"):
            (self.root / folder / "noise.txt").write_bytes(os.urandom(200_000))
        self.nginx = start_nginx(lab, self.here, [("127.0.0.1", self.origin)], root=str(self.root),
                                 server=SERVER.replace("ROOT", str(self.root)))

    def start(self, encode="on: true", site="cache: {on: true}", limits="", cache=""):
        self.node = Causeway(self.lab, self.program, f"""
nodes:
  all:
    run_dir: {self.lab.path('run')}
    user: {getpass.getuser()}
    workers: 1
    edge: {{listen: ["127.0.0.1:{self.http}"], limits: {{{limits}}}, cache: {{{cache}}}}}
    gateway: {{allow_local: true, purges: {{folder: {self.lab.path('purges')}}}, allow: [{{edges: [all], sites: [shop, odd]}}]}}
    admin: {{listen: ["127.0.0.1:{self.admin}"]}}
sites:
  shop:
    hosts: [{HOST}]
    origins: ["http://127.0.0.1:{self.origin}"]
    encode: {{{encode}}}
    {site}
    rules:
      - match: {{path: /left/*}}
        encode: false
        rewrite: /$1
      - match: {{path: /files/*}}
        files: {{root: {self.root}/files, strip: /files}}
  odd:
    hosts: [odd.example]
    origins: ["http://127.0.0.1:{self.odd.port}"]
    encode: {{{encode}}}
""")
        wait_until(lambda: self.get("/short.html")[0] == 200, what="the site is served")
        return self

    def ask(self, path, accept=None, method="GET", host=HOST, **fields):
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=30)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        for name, value in {"Host": host, **({} if accept is None else {"Accept-Encoding": accept}), **named}.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection, connection.getresponse()

    def get(self, path, accept=None, method="GET", **fields):
        """Status, fields in lower case, body as it came."""
        connection, response = self.ask(path, accept, method, **fields)
        with connection.sock or connection:
            body = response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, body

    def counts(self):
        return self.node.status()["edge"]["encode"] if "edge" in self.node.status() else find(self.node.status(), "encode")


def find(value, name):
    if isinstance(value, dict):
        if name in value:
            return value[name]
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        found = find(inner, name)
        if found is not None:
            return found
    return None


@pytest.fixture
def site(local_lab, causeway_program):
    return Site(local_lab, causeway_program)


@pytest.fixture(scope="module")
def usual(wan_program, causeway_program):
    """With the usual settings, for tests that leave it as it is."""
    with Lab(wan_program) as laboratory:
        yield Site(laboratory, causeway_program).start()
        no_sanitizer_reports(laboratory)


def decoded(fields, body):
    coding = fields.get("content-encoding", "identity")
    if coding == "gzip":
        return zlib.decompress(body, 31)
    if coding == "br":
        return brotli.decompress(body)
    if coding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return body


def plain(fields):
    return fields["etag"].replace(f"+{fields.get('content-encoding', '')}\"", '"')


def test_C3_each_client_gets_what_it_prefers(usual):
    site = usual
    for accept, coding in ((BROWSER, "zstd"), ("gzip, deflate, br", "br"), ("gzip", "gzip"), ("br;q=0.5, gzip;q=0.8", "gzip"),
                           ("zstd;q=0, *", "br"), (None, None), ("", None), ("identity", None), ("gzip;q=0", None),
                           ("identity;q=0", None), ("deflate", None)):
        for path in ("/page.html", "/fresh/page.html", "/page.json"):
            status, fields, body = site.get(path, accept)
            assert (status, fields.get("content-encoding")) == (200, coding), (path, accept, fields)
            assert decoded(fields, body) == PAGE and "Accept-Encoding" in fields["vary"], (path, accept)
            if coding:
                assert len(body) < len(PAGE) / 3 and "accept-ranges" not in fields
                assert fields["etag"].endswith(f'+{coding}"') and not fields["etag"].startswith("W/")
    etags = {plain(site.get("/page.html", accept)[1]) for accept in (None, "gzip", "br", "zstd")}
    assert len(etags) == 1, "they differ in nothing but the suffix"
    for coding in ("gzip", "br", "zstd"):
        result = site.here.run("curl", "-sS", "--compressed", "-H", f"Host: {HOST}", "-H", f"Accept-Encoding: {coding}", "--http2-prior-knowledge",
                               f"http://127.0.0.1:{site.http}/page.html", "-D", "/dev/stderr")
        assert result.stdout.encode() == PAGE and f"content-encoding: {coding}" in result.stderr, coding
    assert site.get("/asked", BROWSER)[2] == b"identity||"
    assert site.get("/varied.html", "gzip")[1]["vary"] == "Accept-Encoding, Cookie"


def test_C3_what_is_left_as_it_is(usual):
    site = usual
    for path, varies in (("/page.png", False), ("/short.html", False), ("/kept.html", False), ("/signed.html", False), ("/events", False),
                         ("/left/page.html", False), ("/session.html", True), ("/private.html", True)):
        status, fields, body = site.get(path, BROWSER)
        assert (status, "content-encoding" in fields, "vary" in fields) == (200, varies, varies), (path, fields)
        assert decoded(fields, body) == (site.root / path.rsplit("/", 1)[1]).read_bytes() if "short" in path else PAGE, path
    status, fields, body = site.get("/fresh/page.html", BROWSER, Range="bytes=100-199")
    assert (status, body, "content-encoding" in fields) == (206, PAGE[100:200], False) and "Accept-Encoding" in fields["vary"]
    image = site.get("/page.png", BROWSER)[1]
    status, fields, _ = site.get("/page.png", BROWSER, If_None_Match=image["etag"])
    assert (status, fields["etag"], "vary" in fields) == (304, image["etag"], False)
    status, fields, body = site.get("/noise.txt", BROWSER)
    assert decoded(fields, body) == (site.root / "noise.txt").read_bytes()
    assert site.get("/left/asked", BROWSER)[2].startswith(BROWSER.encode())
    left = site.counts()["left"]
    assert left["TYPE"] >= 2 and left["SMALL"] >= 1 and left["FORBIDDEN"] == 1 and left["DIGEST"] == 1 and left["PART"] >= 1, left
    metrics = site.here.run("curl", "-sS", f"http://127.0.0.1:{site.admin}/metrics").stdout
    assert re.search(r'causeway_edge_encode_plain_bytes_total\{encoding="zstd"\} [1-9]', metrics)
    assert 'causeway_edge_encode_left_total{reason="DIGEST"} 1' in metrics


def test_C3_settings_of_the_site(site):
    site.start(encode="on: true, encodings: [gzip, br], types: [image/png, 'text/*'], least: 100, answers: public, origin: client")
    assert site.get("/page.png", BROWSER)[1]["content-encoding"] == "gzip"
    assert site.get("/short.html", BROWSER)[1]["content-encoding"] == "gzip"
    assert "content-encoding" not in site.get("/page.json", BROWSER)[1]
    assert "content-encoding" not in site.get("/page.html", "zstd")[1]
    for path, fields in (("/session.html", {}), ("/private.html", {}), ("/page.html", {"Cookie": "a=b"}),
                         ("/page.html", {"Authorization": "Basic eDp5"})):
        assert "content-encoding" not in site.get(path, BROWSER, **fields)[1], (path, fields)
    assert site.get("/asked", "br, x")[2].startswith(b"br, x|")
    status, fields, body = site.get("/zipped.html", "gzip")
    assert fields["content-encoding"] == "gzip" and decoded(fields, body) == PAGE and fields["etag"].startswith("W/"), "the origin's own"


def test_C3_conditions_by_the_tag_of_any_encoding(usual):
    site = usual
    for path, coding in itertools.product(("/page.html", "/fresh/page.html", "/files/page.html"), ("gzip", "br", "zstd")):
        tag = site.get(path, coding)[1]["etag"]
        status, fields, body = site.get(path, coding, If_None_Match=tag)
        assert (status, body, fields["etag"]) == (304, b"", tag) and "Accept-Encoding" in fields["vary"], (path, coding)
        status, fields, body = site.get(path, BROWSER, If_None_Match=f'"x", W/{tag}')
        assert (status, fields["etag"]) == (304, tag), "it may keep what it has"
        assert site.get(path, "deflate", If_None_Match=tag)[0] == 200, "it could not have been given that"
        assert site.get(path, coding, If_Match=tag)[0] == 200
        assert site.get(path, coding, If_Match='"x"')[0] == 412, path
        status, fields, body = site.get(path, coding, Range="bytes=0-9", If_Range=tag)
        assert (status, body) == (200, PAGE), "parts of what is encoded are not served"
        identity = plain({"etag": tag, "content-encoding": coding})
        assert site.get(path, coding, Range="bytes=0-9", If_Range=identity)[2] == PAGE[:10]
        status, fields, _ = site.get(path, coding, If_None_Match=identity)
        assert (status, fields["etag"]) == (304, identity)
    path = "/page.html"
    get, head = site.get(path, "br")[1], site.get(path, "br", method="HEAD")
    assert head[0] == 200 and not head[2]
    assert {name: head[1].get(name) for name in ("etag", "content-encoding", "vary", "content-type")} == \
        {name: get.get(name) for name in ("etag", "content-encoding", "vary", "content-type")}


def test_C3_popular_answers_are_encoded_once_for_all(usual):
    site, path = usual, "/fresh/popular.html"
    file = site.root / "fresh" / "popular.html"
    file.write_bytes(PAGE)
    before = site.counts()
    first = [site.get(path, BROWSER) for _ in range(5)]
    assert {fields["content-encoding"] for _, fields, _ in first} <= {"zstd", "br"}
    wait_until(lambda: "content-length" in site.get(path, BROWSER)[1], what="it is kept")
    status, fields, body = site.get(path, BROWSER)
    assert (fields["content-encoding"], fields["content-length"]) == ("br", str(len(body))) and decoded(fields, body) == PAGE
    assert "hit" in fields["cache-status"] and len(body) < min(len(body) for _, _, body in first), "and smaller"
    tag, counts = fields["etag"], site.counts()
    assert counts["br"]["stored"] > before["br"]["stored"]
    assert site.get(path, "br", If_None_Match=tag)[0] == 304
    assert site.get(path, None)[2] == PAGE
    file.write_bytes(PAGE[::-1])
    os.utime(file, (0, 1e9))  # nginx tells versions apart by their seconds
    assert site.get(path, BROWSER)[1]["etag"] == tag, "fresh for an hour"
    assert site.get(path, method="POST")[0] == 405  # invalidates nothing: an error
    status, fields, body = site.get(path, BROWSER, Cache_Control="no-cache")
    assert decoded(fields, body) == PAGE[::-1] and fields["etag"] != tag, "what was made of the old one is not used"
    assert decoded(*site.get(path, BROWSER)[1:]) == PAGE[::-1]
    wait_until(lambda: site.get(path, BROWSER)[1]["content-encoding"] == "br", what="that is popular, too")
    file.write_bytes(PAGE)
    os.utime(file, (0, 1.1e9))
    site.node.run("purge", "shop", "--url", HOST + path)
    status, fields, body = site.get(path, BROWSER)
    assert decoded(fields, body) == PAGE and "fwd" in fields["cache-status"], "nor what was made of a purged one"
    for _ in range(5):
        site.get("/fresh/noise.txt", BROWSER)
    wait_until(lambda: site.counts()["useless"] > before["useless"], what="it was tried")
    assert site.counts()["kept"] >= before["kept"] + 2
    assert site.get("/fresh/noise.txt", BROWSER)[1]["content-encoding"] == "zstd"


def test_C3_what_was_encoded_survives_a_restart(site):
    site.start(cache=f"disk: {{path: {site.lab.path('disk')}, size: 64M}}")
    for kept in (1, 0):
        for _ in range(5):
            site.get("/fresh/page.html", BROWSER)
        wait_until(lambda: site.get("/fresh/page.html", BROWSER)[1]["content-encoding"] == "br", what="it is encoded")
        assert decoded(*site.get("/fresh/page.html", BROWSER)[1:]) == PAGE
        assert site.counts()["kept"] == kept
        if kept:
            site.node.stop()
            site.node.start()


def test_C3_files_that_their_owner_encoded(usual):
    site = usual
    file = site.root / "files" / "page.html"
    path = "/files/page.html"
    assert site.get(path, "br")[1].get("content-length") is None, "on the fly"
    for suffix, coder in (("br", brotli.compress), ("gz", lambda data: zlib.compress(data, wbits=31))):
        (file.parent / f"page.html.{suffix}").write_bytes(coder(b"as " + suffix.encode() + b" " + PAGE))
    for accept, start in (("br", b"as br "), ("gzip", b"as gz "), (BROWSER, b"as br "), ("zstd", b""), (None, b"")):
        status, fields, body = site.get(path, accept)
        assert decoded(fields, body) == start + PAGE, accept
        assert not start or fields["content-length"] == str(len(body)) == site.get(path, accept, method="HEAD")[1]["content-length"]
        assert fields["content-type"].startswith("text/html") and "Accept-Encoding" in fields["vary"]
        assert "accept-ranges" not in fields or not start
    assert site.get(path, "br", Range="bytes=5-9")[2] == PAGE[5:10]
    os.utime(file, (time.time() + 10, time.time() + 10))
    assert decoded(*site.get(path, "br")[1:]) == PAGE, "an older one is of another file"
    assert site.counts()["br"]["files"] >= 2


def test_C3_an_answer_that_trickles_is_not_held_back(usual):
    site = usual
    for coding in ("gzip", "identity"):
        site.odd.go.clear()
        connection, response = site.ask("/", coding, host="odd.example")
        with connection.sock or connection:
            assert response.headers.get("Content-Encoding", "identity") == coding
            decoder = zlib.decompressobj(31) if coding == "gzip" else None
            got = b""
            while len(got) < 3000:  # what the origin has sent so far, while it waits
                piece = response.read1(65536)
                assert piece
                got += decoder.decompress(piece) if decoder else piece
            assert got == PAGE[:3000]
            site.odd.go.set()
            while piece := response.read1(65536):
                got += decoder.decompress(piece) if decoder else piece
            assert got == PAGE and (not decoder or decoder.eof)
    raw = socket.create_connection(("127.0.0.1", site.http), 30)
    with raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: odd.example\r\nAccept-Encoding: br\r\nTE: trailers\r\nConnection: close\r\n\r\n")
        whole = b""
        while piece := raw.recv(65536):
            whole += piece
    assert whole.lower().endswith(b"0\r\nx-sum: 42\r\n\r\n"), "trailers are kept"


def test_C3_no_more_encoders_run_than_may(site):
    site.start(limits="encoders: 1", encode="on: true, encodings: [gzip]")
    site.odd.go.clear()
    held, response = site.ask("/", "gzip", host="odd.example")
    with held.sock or held:
        assert response.headers["Content-Encoding"] == "gzip"
        status, fields, body = site.get("/page.html", "gzip")
        assert (status, body, "content-encoding" in fields) == (200, PAGE, False) and "Accept-Encoding" in fields["vary"]
        assert site.counts()["left"]["LIMIT"] >= 1 and site.counts()["running"] == 1
        site.odd.go.set()
        assert zlib.decompress(response.read(), 31) == PAGE
    assert site.get("/page.html", "gzip")[1]["content-encoding"] == "gzip"
    wait_until(lambda: site.counts()["running"] == 0, what="none runs")


def test_C3_large_answers_and_slow_or_leaving_clients(usual):
    site, large = usual, PAGE * 60
    (site.root / "fresh" / "large.html").write_bytes(large)
    for coding in ("zstd", "br", "gzip"):
        for _ in range(2):  # as it comes, and from the store
            status, fields, body = site.get("/fresh/large.html", coding)
            assert fields["content-encoding"] == coding and decoded(fields, body) == large
    (site.root / "fresh" / "noise.html").write_bytes(os.urandom(6 << 20))
    assert len(site.get("/fresh/noise.html")[2]) == 6 << 20
    for _ in range(3):
        connection, response = site.ask("/fresh/noise.html", "gzip")
        response.read(1000)
        connection.sock.close() if connection.sock else response.close()
    connection, response = site.ask("/fresh/noise.html", "gzip")
    decoder, size = zlib.decompressobj(31), 0
    while piece := response.read1(1 << 20):
        size += len(decoder.decompress(piece))
        time.sleep(0.02 if size < 1 << 18 else 0)
    assert size == 6 << 20 and decoder.eof
    wait_until(lambda: site.counts()["running"] == 0, what="none runs")
