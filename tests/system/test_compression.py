# SPDX-License-Identifier: Apache-2.0
"""What is compressed on the link, and what is not."""
import hashlib
import json
import os
import random

import pytest
from lab.process import wait_until
from lab.servers import at, start_nginx
from road import ORIGIN, SECURE, SITE, Road

TEXT_BYTES = 500_000
BEATS = 2000  # bytes in 1.2 s, by which the gateway tells of its queues, at most


@pytest.fixture
def road(lab, causeway_program, version):
    made = Road(lab, causeway_program, version)
    www = lab.path("www")
    os.makedirs(www)
    words = random.Random(1)
    page = "".join(f"<tr><td>{words.choice(['edge', 'gateway', 'origin'])}</td><td>{words.randrange(100000)}</td></tr>\n" for _ in range(20000))
    for name, content in (("page.html", page[:TEXT_BYTES].encode()), ("picture.jpg", page[:TEXT_BYTES].encode()),
                          ("noise.html", os.urandom(TEXT_BYTES))):
        with open(f"{www}/{name}", "wb") as file:
            file.write(content)
    types = "types { text/html html; image/jpeg jpg; }"
    start_nginx(lab, made.origin, [(made.origin_at, ORIGIN), (made.origin_at, SECURE)], root=www,
                server=f"""location / {{ {types} }}
        location = /page.private {{ {types} alias {www}/page.html; default_type text/html; add_header Cache-Control private; }}
        location = /page.session {{ alias {www}/page.html; default_type text/html; add_header Set-Cookie id=7; }}""")
    return made


def carried(road):
    """Stream bytes that the gateway sent over its link; once they have come to rest, but for the beats that tell of its queues."""
    def read():
        return road.link("gateway")["stream_bytes_sent"]
    seen = [None]

    def rests():
        seen.append(read())
        return seen[-2] is not None and seen[-1] - seen[-2] < BEATS
    wait_until(rests, 20, "the counters rest", every=1.2)  # what a link tells is a second old
    return seen[-1]


def fetch(road, path, *words):
    """The share of the body's bytes that crossed the link."""
    name = path.split("?")[0].replace("/page.private", "/page.html").replace("/page.session", "/page.html")
    before = road.carried if hasattr(road, "carried") else carried(road)
    body = road.lab.path("body")
    road.curl(path, "-o", body, *words)
    with open(road.lab.path("www") + name, "rb") as expected, open(body, "rb") as got:
        assert hashlib.sha256(expected.read()).digest() == hashlib.sha256(got.read()).digest(), path
    road.carried = carried(road)
    return (road.carried - before) / TEXT_BYTES


def test_T9_text_is_compressed_and_arrives_byte_for_byte(road):
    road.start()
    assert fetch(road, "/page.html") < 0.4
    counts = road.part("compression", "gateway")
    assert counts["packed_plain_bytes"] >= 0.99 * TEXT_BYTES and counts["packed_carried_bytes"] < 0.4 * TEXT_BYTES and counts["pack_ns"] > 0
    assert road.part("compression", "edge")["unpacked_plain_bytes"] >= 0.99 * TEXT_BYTES
    metrics = road.gateway.run("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
    assert "causeway_compress_packed_plain_bytes_total" in metrics


def test_T9_what_may_leak_and_what_would_not_shrink_is_not_compressed(road):
    road.start()
    for path, words, counter in (("/picture.jpg", (), "skipped_type"),
                                 ("/page.html", ("-H", "Cookie: session=1"), "skipped_secret"),
                                 ("/page.html", ("-u", "user:password"), "skipped_secret"),
                                 ("/page.private", (), "skipped_secret"), ("/page.session", (), "skipped_secret"),
                                 ("/noise.html", (), "skipped_random_bytes")):
        before = road.part("compression", "gateway")
        assert fetch(road, path, *words) > 0.99, (path, words)
        after = road.part("compression", "gateway")
        assert after["packed_plain_bytes"] - before["packed_plain_bytes"] < 2000, (path, words)
        assert after[counter] > before[counter], (path, words)


def test_T9_a_secure_port_is_not_compressed(road):
    road.start()
    before = carried(road)
    body = road.lab.path("body")
    road.client.run("curl", "-sS", "-o", body, f"http://{at(road.edge_at, SECURE)}/page.html")
    assert os.path.getsize(body) == TEXT_BYTES
    assert carried(road) - before >= TEXT_BYTES
    assert road.part("compression", "gateway")["packed"] == 0


def test_T9_sites_and_link_say_what_is_compressed(road):
    road.start(site="compress: all")
    assert fetch(road, "/page.html", "-H", "Cookie: session=1") < 0.4
    text = road.text(site="compress: off")
    for node in road.nodes.values():
        node.reload(text)
    wait_until(lambda: fetch(road, "/page.html") > 0.99, 20, "the reload is felt")
    assert road.part("compression", "gateway")["skipped_off"] > 0


def test_T9_uploads_are_compressed_the_other_way(road, lab, start_origin):
    made = Road.__new__(Road)
    made.__dict__.update(road.__dict__)
    made.origin_ports = [ORIGIN + 1]
    start_origin(lab, made.origin, (made.origin_at, ORIGIN + 1))
    made.start()
    upload = lab.path("www/page.html")
    echo = json.loads(made.curl("/echo", "-T", upload, "-H", "Expect:", "-H", "Content-Type: text/plain").stdout)
    with open(upload, "rb") as file:
        assert (echo["length"], echo["sha256"]) == (TEXT_BYTES, hashlib.sha256(file.read()).hexdigest())
    counts = made.part("compression", "edge")
    assert counts["packed_plain_bytes"] >= TEXT_BYTES * 0.99 and counts["packed_carried_bytes"] < 0.4 * TEXT_BYTES
    assert SITE in made.curl("/echo", "-d", "x" * 5000, "-H", "Cookie: a=b").stdout
    assert made.part("compression", "edge")["skipped_secret"] > 0
