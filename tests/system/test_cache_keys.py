# SPDX-License-Identifier: Apache-2.0
"""What rules say of stored answers: parameters that make no difference, and what makes one besides the URL."""
import pytest
from cache_site import CacheSite

RULES = """    rules:
      - {match: {path: /img/*}, cache: {ignore_query: [utm_*, fbclid]}}
      - {match: {path: /prices}, cache: {key: [cookie:currency, header:X-Kind]}}
      - {match: {path: /old/*}, rewrite: '/new/$1', cache: {key: cookie:currency}}
      - {match: {path: /kept}, cache: {ttl: 1h}}
"""


def answer(request):
    if request.command == "POST":
        return 204, {}, b""
    return 200, {"Cache-Control": "max-age=1, stale-while-revalidate=60" if "soon" in request.path else "max-age=3600",
                 "ETag": '"1"'}, f"{request.number} {request.path} {request.headers.get('Cookie')}".encode()


@pytest.fixture
def site(local_lab, causeway_program):
    made = CacheSite(local_lab, causeway_program, answer, site=RULES)
    yield made
    made.stop()


def test_C2_parameters_that_make_no_difference(site):
    first = site.get("/img/a.png?w=1&utm_source=mail")[2]
    assert "?w=1&utm_source=mail" in first, "the origin gets them all the same"
    for same in ("?w=1", "?utm_a=b&w=1", "?w=1&fbclid=x", "?w=1&utm%5Fmedium=x"):
        assert site.get(f"/img/a.png{same}")[2] == first, same
    for other in ("?w=2", "", "?w=1&x=y"):
        assert site.get(f"/img/a.png{other}")[2] != first, other
    assert site.code("/img/a.png?utm_b=c&w=1", "-d", "x") == 204
    assert site.get("/img/a.png?w=1")[2] != first, "what an unsafe request changes is what its rules say"


def test_C2_what_makes_a_difference_besides_the_url(site):
    def price(*words):
        return site.get("/prices", *words)[2]

    euro, yen = price("-b", "currency=euro"), price("-b", "currency=yen")
    none, kind = price(), price("-b", "currency=euro", "-H", "X-Kind: b")
    assert len({euro, yen, none, kind}) == 4
    assert price("-b", "a=b; currency=euro") == euro and price("-b", "currency=yen") == yen and price("-b", "a=b") == none
    assert site.code("/prices", "-d", "x") == 204
    again = {price("-b", "currency=euro"), price("-b", "currency=yen"), price(), price("-b", "currency=euro", "-H", "X-Kind: b")}
    assert not again & {euro, yen, none, kind}, "an unsafe request makes all of them invalid"


def test_C2_a_refresh_has_the_key_of_the_request_that_it_repeats(site):
    import time

    from lab import wait_until
    first = site.get("/old/soon", "-b", "currency=euro")[2]
    assert " /new/soon currency=euro" in first
    time.sleep(2.1)
    assert site.get("/old/soon", "-b", "currency=euro")[2] == first
    wait_until(lambda: "hit" in (status := site.get("/old/soon", "-b", "currency=euro")[1]["cache-status"]) and "ttl=-" not in status,
               10, "it is fresh again", every=0.1)
    assert set(site.origin.paths()) - {"/"} == {"/new/soon"}, "the rules were not asked a second time"
