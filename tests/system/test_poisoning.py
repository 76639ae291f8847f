# SPDX-License-Identifier: Apache-2.0
"""What one visitor says must not change what others get, nor what the owner has set."""
import pytest
from cache_site import HOST, CacheSite

RULES = """    rules:
      - {match: {path: /static/*}, cache: {ttl: 1h}}
      - {match: {path: /priced}, cache: {key: [cookie:currency, header:X-Kind]}}
      - {match: {path: /campaign}, cache: {ignore_query: utm_*}}
      - {request: {set: {X-Edge-Secret: known}}}
"""
SEEN = ("Accept-Language", "X-Kind", "Cookie", "X-Edge-Secret", "X-Forwarded-Scheme", "X-Original-URL", "X-Forwarded-Host",
        "X-HTTP-Method-Override")


def answer(request):
    """Long stored, unless under /quiet, /static or /account; the body is what an origin may go by."""
    fields = {} if request.path.startswith(("/quiet", "/static", "/account")) else {"Cache-Control": "max-age=3600"}
    if request.path.startswith("/language"):
        fields["Vary"] = "Accept-Language"
    if request.path.startswith("/address"):
        fields["Vary"] = "X-Forwarded-For"
    if request.headers.get("X-HTTP-Method-Override"):
        return 200, fields, b""
    said = " ".join(f"{name}={request.headers.get_all(name)}" for name in SEEN if request.headers.get_all(name))
    return 200, fields, f"{request.number} {request.path} {said}".encode()


@pytest.fixture
def shop(local_lab, causeway_program):
    made = CacheSite(local_lab, causeway_program, answer, site=RULES)
    yield made
    made.stop()


def stored(shop, path, *words):
    """What everybody else gets after a request with these words."""
    first = shop.get(path, *words)[2]
    return first, shop.get(path)[2]


def test_C2_fields_that_the_client_takes_away_choose_no_answer(shop):
    german = shop.get("/language", "-H", "Accept-Language: de", "-H", "Connection: accept-language")[2]
    assert "Accept-Language" not in german
    assert "Accept-Language=['de']" in shop.get("/language", "-H", "Accept-Language: de")[2]


def test_S8_no_client_takes_away_what_the_owner_sets(shop):
    assert "X-Edge-Secret=['known']" in shop.get("/secret", "-H", "Connection: close, X-Edge-Secret")[2]
    assert "X-Edge-Secret=['known']" in shop.get("/secret/2", "-H", "X-Edge-Secret: guessed", "-H", "Connection: X-Edge-Secret")[2]


def test_C2_what_speaks_for_proxies_reaches_no_origin(shop):
    said = shop.get("/family", *(word for name in ("X-Forwarded-Scheme", "X-Original-URL", "X-Forwarded-Host", "X_Forwarded_Scheme", "x-rewrite-url")
                           for word in ("-H", f"{name}: http")))[2]
    assert "Scheme" not in said and "URL" not in said and f"X-Forwarded-Host=['{HOST}']" in said


def test_C2_methods_in_disguise_are_not_stored(shop):
    first, others = stored(shop, "/override", "-H", "X-HTTP-Method-Override: HEAD")
    assert first == "" and "/override" in others
    assert shop.get("/override", "-H", "X-HTTP-Method-Override: DELETE")[2] == "", "nor answered from the store"


def test_C2_what_is_said_twice_chooses_another_answer(shop):
    for path, words in (("/priced?1", ("-b", "currency=euro; currency=yen")), ("/priced?2", ("-H", "X-Kind: a", "-H", "X-Kind: b")),
                        ("/priced?3", ("-H", "X-Kind;"))):
        first, _ = stored(shop, path, *words)
        for plain in ((), ("-b", "currency=euro"), ("-H", "X-Kind: a")):
            assert shop.get(path, *plain)[2] != first, (path, plain)


def test_C2_parameters_that_hide_behind_ignored_ones_count(shop):
    assert shop.get("/campaign?utm_a=1;id=2")[2] != shop.get("/campaign")[2]
    assert shop.get("/campaign?utm_a=1")[2] == shop.get("/campaign")[2]


def test_C2_paths_with_dots_are_not_stored_by_rule(shop):
    assert shop.get("/static/a")[2] == shop.get("/static/a")[2]
    for path in ("/account/..%2fstatic/a", "/static/..%2faccount", "/account/%2e%2e/static/a"):
        assert shop.get(path, "--path-as-is")[2] != shop.get(path, "--path-as-is")[2], path


def test_C2_answers_for_an_address_are_nobody_elses(shop):
    assert shop.get("/address")[2] != shop.get("/address")[2]
