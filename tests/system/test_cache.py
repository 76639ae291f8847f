# SPDX-License-Identifier: Apache-2.0
"""The edge's cache: nginx behind a gateway as the origin, curl before the edge."""
import os
import re
import time

import pytest
from lab.process import wait_until
from lab.servers import start_nginx
from road import ORIGIN, Road

HEADERS = {
    "fresh": {"Cache-Control": "max-age=3600"},
    "short": {"Cache-Control": "max-age=1"},
    "window": {"Cache-Control": "max-age=1, stale-while-revalidate=60"},
    "covered": {"Cache-Control": "max-age=1, stale-if-error=60"},
    "never": {"Cache-Control": "no-store"},
    "private": {"Cache-Control": "private, max-age=60"},
    "cookie": {"Cache-Control": "max-age=60", "Set-Cookie": "a=b"},
    "vary": {"Cache-Control": "max-age=3600", "Vary": "X-Kind", "X-Kind": "$http_x_kind"},
    "cdn": {"Cache-Control": "no-store", "CDN-Cache-Control": "max-age=3600"},
    "slow": {"Cache-Control": "max-age=3600"},
    "changed": {"Cache-Control": "max-age=3600"},
}
MORE = {"slow": "limit_rate 300k;", "changed": "if ($request_method = POST) { return 204; }"}


def server():
    """A location for each folder; X-Served tells the origin's requests apart."""
    return "\n".join(
        f"location /{folder} {{ add_header X-Served $request_id; "
        + "".join(f"add_header {name} '{value}'; " for name, value in fields.items()) + MORE.get(folder, "") + " }"
        for folder, fields in HEADERS.items())


@pytest.fixture
def road(lab, causeway_program, version):
    made = Road(lab, causeway_program, version)
    root = lab.path("www")
    for folder in HEADERS:
        os.makedirs(f"{root}/{folder}")
        with open(f"{root}/{folder}/a.txt", "w", encoding="ascii") as file:
            file.write("0123456789abcdefghij")
    with open(f"{root}/slow/large", "wb") as file:
        file.write(os.urandom(1 << 20))
    made.root = root
    made.nginx = start_nginx(lab, made.origin, [(made.origin_at, ORIGIN)], root=root, server=server())
    return made.start(site="cache: {on: true}")


def get(road, path, *words):
    """Status, fields and body of an answer."""
    head, body = re.split(r"\r?\n\r?\n", road.curl(path, "-i", *words).stdout, maxsplit=1)
    lines = head.splitlines()
    fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    return int(lines[0].split()[1]), {name.lower(): value for name, value in fields.items()}, body


def test_C1_a_fresh_answer_comes_from_the_store(road):
    _, first, body = get(road, "/fresh/a.txt")
    assert "fwd=" in first["cache-status"] and "stored" in first["cache-status"], first
    status, second, again = get(road, "/fresh/a.txt")
    assert (status, again) == (200, body)
    assert "hit" in second["cache-status"] and second["x-served"] == first["x-served"]
    assert int(second["age"]) >= 0 and second["date"] == first["date"] and "via" in second
    assert second["x-request-id"] != first["x-request-id"]
    _, head, nothing = get(road, "/fresh/a.txt", "-I")
    assert "hit" in head["cache-status"] and head["content-length"] == "20" and nothing.strip() == ""
    assert get(road, "/fresh/a.txt?other")[1]["x-served"] != first["x-served"]


def test_C1_conditions_and_ranges_are_answered_from_the_store(road):
    tag = get(road, "/fresh/a.txt")[1]["etag"]
    status, fields, body = get(road, "/fresh/a.txt", "-H", f"If-None-Match: {tag}")
    assert (status, body) == (304, "") and "hit" in fields["cache-status"] and fields["etag"] == tag
    status, fields, body = get(road, "/fresh/a.txt", "-r", "4-9")
    assert (status, body, fields["content-range"]) == (206, "456789", "bytes 4-9/20")
    status, fields, body = get(road, "/fresh/a.txt", "-r", "0-1,-3")
    assert status == 206 and fields["content-type"].startswith("multipart/byteranges")
    assert "01\n" in body.replace("\r", "") and "hij\n" in body.replace("\r", "") and int(fields["content-length"]) > 100
    status, fields, body = get(road, "/fresh/a.txt", "-r", "50-")
    assert (status, fields["content-range"]) == (416, "bytes */20")


def test_C1_a_stale_answer_is_validated(road):
    first = get(road, "/short/a.txt")[1]
    time.sleep(2.1)  # the origin's clock decides: whole seconds
    status, second, body = get(road, "/short/a.txt")
    assert (status, body) == (200, "0123456789abcdefghij")
    assert "fwd=stale" in second["cache-status"] and "fwd-status=304" in second["cache-status"], second
    assert second["x-served"] != first["x-served"], "fields of the 304 are in the answer"
    time.sleep(2.1)
    with open(f"{road.root}/short/a.txt", "w", encoding="ascii") as file:
        file.write("something new")
    status, third, body = get(road, "/short/a.txt")
    assert (status, body) == (200, "something new") and "stored" in third["cache-status"]


def test_C1_stale_while_revalidate_and_stale_if_error(road):
    first = get(road, "/window/a.txt")[1]
    get(road, "/covered/a.txt")
    time.sleep(2.1)
    stale = get(road, "/window/a.txt")[1]
    assert stale["x-served"] == first["x-served"] and "hit" in stale["cache-status"] and "ttl=-" in stale["cache-status"]
    wait_until(lambda: get(road, "/window/a.txt")[1]["x-served"] != first["x-served"], 10, "it was validated meanwhile", every=0.1)
    road.nginx.stop()
    status, fields, body = get(road, "/covered/a.txt")
    assert (status, body) == (200, "0123456789abcdefghij") and "fwd=stale" in fields["cache-status"]
    assert get(road, "/short/a.txt")[0] == 502
    assert get(road, "/never/a.txt", "-H", "Cache-Control: only-if-cached")[0] == 504


def test_C1_what_must_not_be_stored_is_not(road):
    for path in ("/never/a.txt", "/private/a.txt", "/cookie/a.txt"):
        first, second = get(road, path)[1], get(road, path)[1]
        assert first["x-served"] != second["x-served"], path
        assert "hit" not in second["cache-status"]
    first, second = get(road, "/cdn/a.txt")[1], get(road, "/cdn/a.txt")[1]
    assert first["x-served"] == second["x-served"], "RFC 9213: a targeted field counts instead"
    get(road, "/fresh/a.txt")
    assert "hit" not in get(road, "/fresh/a.txt", "-H", "Cache-Control: no-cache")[1]["cache-status"]


def test_C1_variants_are_kept_apart(road):
    kinds = {kind: get(road, "/vary/a.txt", "-H", f"X-Kind: {kind}")[1]["x-served"] for kind in ("one", "two")}
    for kind, served in kinds.items():
        again = get(road, "/vary/a.txt", "-H", f"X-Kind: {kind}")[1]
        assert again["x-served"] == served and again["x-kind"] == kind and "hit" in again["cache-status"]


def test_C1_an_unsafe_request_makes_the_stored_answer_invalid(road):
    first = get(road, "/changed/a.txt")[1]
    assert get(road, "/changed/a.txt")[1]["x-served"] == first["x-served"]
    assert road.code("/changed/a.txt", "-d", "x") == 204
    assert get(road, "/changed/a.txt")[1]["x-served"] != first["x-served"]


def test_C1_many_who_want_the_same_get_it_from_one_request(road, lab):
    with open(f"{road.root}/slow/large", "rb") as file:
        whole = file.read()
    clients = [lab.start(f"client{i}", ["curl", "-sS", "-D", lab.path(f"head{i}"), "-o", lab.path(f"body{i}"), "-H",
                                        "Host: www.shop.example", road.url("/slow/large")], road.client) for i in range(8)]
    served = set()
    for i, client in enumerate(clients):
        assert client.wait(60) == 0
        with open(lab.path(f"body{i}"), "rb") as file:
            assert file.read() == whole
        with open(lab.path(f"head{i}"), encoding="ascii") as file:
            served.add(re.search(r"(?i)x-served: (\S+)", file.read())[1])
    assert len(served) == 1, "one request went to the origin"
