# SPDX-License-Identifier: Apache-2.0
"""What is fetched ahead of demand (C1, S10): popular answers before they expire, lists of URLs, what another edge is asked for most."""
import pathlib
import time

import pytest
from cache_site import HOST, CacheSite
from lab import wait_until


def answer(request):
    life = 4 if "brief" in request.path else 3600
    fields = {"Cache-Control": f"max-age={life}", "ETag": '"1"'}
    if request.headers.get("If-None-Match") == '"1"':
        return 304, fields, b""
    return 200, fields, f"{request.path} {request.headers.get('User-Agent')}".encode()


@pytest.fixture
def make(local_lab, causeway_program):
    made = []

    def start(**words):
        made.append(CacheSite(local_lab, causeway_program, answer, **words))
        return made[-1]
    yield start
    for site in made:
        site.stop()


def test_C1_what_is_popular_never_expires(make):
    site = make(cache="on: true, refresh: 5")
    told = []
    until = time.monotonic() + 9
    while time.monotonic() < until:
        told.append(site.get("/brief")[1]["cache-status"])
        time.sleep(0.05)
    assert all("hit" in status and "ttl=-" not in status for status in told[1:]), [status for status in told[1:] if "hit" not in status]
    asked = site.origin.requests("/brief")
    assert 3 <= len(asked) <= 6 and all(request.headers["If-None-Match"] == '"1"' for request in asked[1:]), len(asked)


def test_C1_what_is_not_popular_expires(make):
    site = make(cache="on: true, refresh: 1000")
    for _ in range(3):
        site.get("/brief")
    time.sleep(5)
    assert len(site.origin.requests("/brief")) == 1
    assert "fwd=stale" in site.get("/brief")[1]["cache-status"]


def test_C1_lists_are_fetched_at_the_start_and_kept_fresh(make, local_lab):
    path = pathlib.Path(local_lab.path("urls.txt"))
    path.write_text(f"# a remark\n\nhttp://{HOST}/from/file?a=b\r\nhttp://stranger.example/\n")
    site = make(cache=f'on: true, prefetch: [/listed, "http://{HOST}/brief"]', edge="")
    wait_until(lambda: len(site.origin.requests("/listed")) == 1 and site.origin.requests("/brief"), 20, "the site's list was fetched", every=0.1)
    assert site.origin.requests("/listed")[0].headers["User-Agent"] == "causeway (prefetch)"
    told = site.get("/listed", "-H", "Accept-Encoding: gzip, deflate, br, zstd")[1]["cache-status"]
    assert "hit" in told
    text = pathlib.Path(site.node.file).read_text()
    site.node.reload(text.replace("cache: {memory: 64M}", f"cache: {{memory: 64M, prefetch: {path}}}"))
    wait_until(lambda: site.origin.requests("/from/file?a=b"), 30, "the node's list was fetched", every=0.1)
    assert "hit" in site.get("/from/file?a=b", "-H", "Accept-Encoding: gzip, deflate, br, zstd")[1]["cache-status"]
    wait_until(lambda: len(site.origin.requests("/brief")) >= 2, 30, "what expires is fetched again in the next round", every=0.1)
    assert len(site.origin.requests("/listed")) == 1, "what is fresh is not"
    path.write_text("http://good.example/\nnonsense\n")
    site.node.reload(text.replace("cache: {memory: 64M}", f"cache: {{memory: 32M, prefetch: {path}}}"))
    site.node.wait_for_log("is not a URL like")


def test_S10_what_one_edge_is_asked_for_most_is_fetched_by_another(make, local_lab, causeway_program):
    site = make()
    for path, times in (("/often", 9), ("/seldom", 2), ("/now-and-then", 5)):
        for _ in range(times):
            site.get(path)
    told = site.here.run(causeway_program, "hot", "shop", "--count", "2", "--run-dir", local_lab.path("run")).stdout
    assert told == f"http://{HOST}/often\nhttp://{HOST}/now-and-then\n"
    assert "no such site" in site.here.run(causeway_program, "hot", "shoop", "--run-dir", local_lab.path("run"), check=False).stderr
