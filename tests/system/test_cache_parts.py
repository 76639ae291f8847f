# SPDX-License-Identifier: Apache-2.0
"""Partial content (RFC 9111 sections 3.3 and 3.4): parts that clients asked for, and representations that are fetched in slices."""
import hashlib
import random
import re
import subprocess
import threading
import time

import pytest
from cache_site import HOST, CacheSite
from lab import wait_until

SLICE = 65536
FILM = bytes(random.Random(1).randbytes(10 * SLICE + 1234))
SHORT = b"0123456789abcdefghij"


class Films:
    """Bodies by path, whose versions a test changes."""

    def __init__(self):
        self.version, self.no_ranges, self.delay_s = 1, False, 0

    def __call__(self, request):
        path = request.path
        body = {"/": b"here", "/short": SHORT}.get(path, FILM if self.version == 1 else FILM[::-1])
        fields = {"Cache-Control": "max-age=1" if "stale" in path else "max-age=3600", "Accept-Ranges": "bytes",
                  "ETag": f'{"W/" if "weak" in path else ""}"{self.version}"', "Content-Type": "video/mp4"}
        if "never" in path:
            fields["Cache-Control"] = "no-store"
        if "aging" in path and request.number < 4:
            fields["Cache-Control"] = "max-age=1"
        if request.headers.get("If-Range"):  # as RFC 9110 section 15.3.7 suggests
            del fields["Content-Type"]
        if path == "/broken":
            raise ConnectionAbortedError
        asked, tag = request.headers.get("Range"), fields["ETag"]
        time.sleep(self.delay_s)
        if request.headers.get("If-Match", tag) != tag:
            return 412, {}, b""
        if request.headers.get("If-None-Match") == tag:
            return 304, fields, b""
        if not asked or self.no_ranges:
            return 200, fields, body
        first, last = re.fullmatch(r"bytes=(\d*)-(\d*)", asked).groups()
        first, last = (int(first), min(int(last or len(body)), len(body) - 1)) if first else (len(body) - int(last), len(body) - 1)
        if first >= len(body):
            return 416, {"Content-Range": f"bytes */{len(body)}"}, b""
        return 206, dict(fields, **{"Content-Range": f"bytes {first}-{last}/{len(body)}"}), body[first:last + 1]


class Site(CacheSite):
    def ranges(self):
        """What of the film the origin was asked for, in order."""
        return [request.headers.get("Range") for request in self.origin.seen if request.path != "/"]

    def part(self, path, asked, *words):
        """Status, Cache-Status and the bytes of an answer."""
        command = ["curl", "-sS", "--max-time", "30", "-D", "-", "-H", f"Host: {HOST}", *words, f"http://127.0.0.1:{self.http}{path}"]
        if asked:
            command[1:1] = ["-r", asked]
        out = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
        head, body = out.split(b"\r\n\r\n", 1)
        fields = {name.lower(): value for name, value in re.findall(r"(?m)^([\w-]+): (.*?)\r?$", head.decode())}
        self.fields = fields
        return int(head.split()[1]), fields["cache-status"], body


@pytest.fixture
def films():
    return Films()


@pytest.fixture
def whole(local_lab, causeway_program, films):
    made = Site(local_lab, causeway_program, films)
    yield made
    made.stop()


@pytest.fixture
def sliced(local_lab, causeway_program, films):
    made = Site(local_lab, causeway_program, films, cache="on: true, slice: 64k")
    yield made
    made.stop()


def test_C1_rfc9111_3_3_a_stored_part_answers_what_it_covers(whole):
    status, told, body = whole.part("/short", "4-9")
    assert (status, body) == (206, SHORT[4:10]) and "stored" in told
    status, told, body = whole.part("/short", "5-8")
    assert (status, body) == (206, SHORT[5:9]) and "hit" in told and whole.fields["content-range"] == "bytes 5-8/20"
    assert whole.fields["age"] and whole.fields["content-type"] == "video/mp4"
    assert whole.part("/short", "5-8,4-4")[1].count("hit") == 1
    assert "fwd=partial" in whole.part("/short", "12-13")[1], "the origin has the rest"
    status, told, body = whole.part("/short", None)
    assert (status, body) == (200, SHORT) and "hit" not in told, "a part is never used for the whole"


def test_C1_rfc9111_3_4_parts_that_touch_become_one_and_in_the_end_the_whole(whole):
    for asked, is_hit in (("4-9", False), ("10-14", False), ("4-14", True), ("2-5", False), ("2-14", True), ("15-19", False),
                          ("0-1", False), ("0-19", True)):
        status, told, body = whole.part("/short", asked)
        first, last = map(int, asked.split("-"))
        assert (status, body) == (206, SHORT[first:last + 1]) and ("hit" in told) == is_hit, (asked, told)
    status, told, body = whole.part("/short", None)
    assert (status, body) == (200, SHORT) and "hit" in told and whole.fields["content-length"] == "20"
    assert whole.ranges() == ["bytes=4-9", "bytes=10-14", "bytes=2-5", "bytes=15-19", "bytes=0-1"]


def test_C1_rfc9111_3_4_parts_of_other_versions_are_not_combined(whole, films):
    whole.part("/film", "0-99")
    films.version = 2
    assert whole.part("/film", "100-199")[2] == FILM[::-1][100:200]
    status, told, body = whole.part("/film", "50-149")
    assert "hit" not in told and body == FILM[::-1][50:150]
    assert whole.part("/film", "60-189")[2] == FILM[::-1][60:190] and "hit" in whole.fields["cache-status"]
    whole.part("/weak", "0-99")
    whole.part("/weak", "100-199")
    assert "hit" not in whole.part("/weak", "50-149")[1], "a weak validator combines nothing"


def test_C1_rfc9110_15_3_7_what_may_lack_fields_is_only_added(whole):
    assert whole.part("/short", "4-9", "-H", 'If-Range: "1"')[2] == SHORT[4:10]
    assert "hit" not in whole.part("/short", "4-9")[1]
    assert whole.part("/short", "10-14", "-H", 'If-Range: "1"')[2] == SHORT[10:15]
    status, told, body = whole.part("/short", "6-12")
    assert (status, body) == (206, SHORT[6:13]) and "hit" in told and whole.fields["content-type"] == "video/mp4"


def test_C1_rfc9111_4_3_5_an_answer_to_HEAD_updates_the_stored_one(whole, films):
    whole.get("/aging")
    time.sleep(2.1)
    while len(whole.origin.seen) < 3:  # so that the next one gives it an hour
        whole.get("/never")
    assert "fwd=stale" in whole.get("/aging", "-I")[1]["cache-status"]
    assert "hit" in whole.get("/aging", "-o", "/dev/null", "-D", "-")[1]["cache-status"]
    films.version = 2
    assert "hit" in whole.get("/aging", "-I")[1]["cache-status"]


def test_C1_rfc9211_2_pages_of_the_edge_say_nothing_of_the_cache(whole):
    status, fields, _ = whole.get("/broken")
    assert status in (502, 504) and "cache-status" not in fields


def test_C1_a_film_is_fetched_in_slices(sliced):
    status, told, body = sliced.part("/film", f"{3 * SLICE + 5}-{3 * SLICE + 9}")
    assert (status, body) == (206, FILM[3 * SLICE + 5:3 * SLICE + 10]) and "fwd=miss" in told
    assert sliced.fields["content-range"] == f"bytes {3 * SLICE + 5}-{3 * SLICE + 9}/{len(FILM)}"
    assert sliced.ranges() == [f"bytes={3 * SLICE}-{4 * SLICE - 1}"]
    assert "hit" in sliced.part("/film", f"{3 * SLICE}-{4 * SLICE - 1}")[1]
    assert sliced.part("/film", f"{2 * SLICE - 10}-{5 * SLICE + 10}")[2] == FILM[2 * SLICE - 10:5 * SLICE + 11]
    asked = sliced.ranges()
    assert asked.count(f"bytes={3 * SLICE}-{4 * SLICE - 1}") == 1 and len(asked) == len(set(asked)) == 5, asked
    status, told, body = sliced.part("/film", None)
    assert (status, len(body)) == (200, len(FILM)) and body == FILM, "the whole of it too"
    assert len(sliced.ranges()) == 11 and len(set(sliced.ranges())) == 11, sliced.ranges()
    assert sliced.part("/film", "-1000")[2] == FILM[-1000:] and "hit" in sliced.fields["cache-status"]
    status, _, body = sliced.part("/film", f"0-1,{4 * SLICE - 1}-{4 * SLICE},2-3")
    assert status == 206 and FILM[4 * SLICE - 1:4 * SLICE + 1] in body and body.count(b"Content-Range") == 3
    assert sliced.part("/film", f"{len(FILM)}-")[0] == 416
    assert sliced.part("/film", None, "-H", 'If-None-Match: "1"')[0] == 304
    assert sliced.get("/film", "-I")[1]["content-length"] == str(len(FILM))
    assert len(sliced.ranges()) == 11


def test_C1_slices_survive_a_restart_on_disk(local_lab, causeway_program, films):
    made = Site(local_lab, causeway_program, films, cache="on: true, slice: 64k",
                store=f"memory: 64M, disk: {{path: {local_lab.path('disk')}, size: 256M}}")
    assert made.part("/film", f"10-{4 * SLICE}")[2] == FILM[10:4 * SLICE + 1]
    # The page that the site was waited for with may be older than the disk tier; what still waits is written before the end.
    wait_until(lambda: made.counts()["disk_writes"] >= 6, 20, "the index and five slices are on disk", every=0.1)
    before = len(made.ranges())
    made.node.stop()
    made.node.start()
    wait_until(lambda: made.code("/") == 200, 20, "it serves again", every=0.1)
    status, told, body = made.part("/film", f"{SLICE + 5}-{4 * SLICE}")
    assert status == 206 and body == FILM[SLICE + 5:4 * SLICE + 1]
    assert len(made.ranges()) == before, made.ranges()[before:]
    made.stop()


def test_C1_many_who_want_a_slice_get_it_from_one_request(sliced, films):
    films.delay_s = 0.3
    got, threads = [], []
    for i in range(8):
        threads.append(threading.Thread(target=lambda i=i: got.append((i, sliced.part("/film", f"{i * 1000}-{3 * SLICE}")[2]))))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert len(got) == 8 and all(body == FILM[i * 1000:3 * SLICE + 1] for i, body in got)
    assert len(sliced.ranges()) == len(set(sliced.ranges())) <= 5


def test_C2_a_film_that_changes_is_never_mixed(sliced, films):
    assert sliced.part("/film", "0-9")[2] == FILM[:10]
    wait_until(lambda: sliced.counts()["fills"] == 0, what="nothing is on its way")
    films.version = 2
    with pytest.raises(subprocess.CalledProcessError):
        sliced.part("/film", f"0-{4 * SLICE}")
    assert sliced.part("/film", "0-9")[2] == FILM[::-1][:10], "the old one is gone"
    assert hashlib.sha256(sliced.part("/film", None)[2]).digest() == hashlib.sha256(FILM[::-1]).digest()


def test_C1_a_stale_index_is_confirmed_or_replaced(sliced, films):
    sliced.part("/stale", "0-9")
    time.sleep(2.1)
    before = len(sliced.ranges())
    assert sliced.part("/stale", "5-9")[2] == FILM[5:10]
    assert sliced.ranges()[before:] == [None] and sliced.origin.seen[-1].headers["If-None-Match"] == '"1"'
    films.version = 2
    time.sleep(2.1)
    assert sliced.part("/stale", "5-9")[2] == FILM[::-1][5:10]


def test_C1_what_gives_no_slices_is_asked_for_as_it_is(sliced, films):
    for path in ("/never", "/weak"):
        for _ in range(3):
            assert sliced.part(path, "100-109")[2] == FILM[100:110]
    films.no_ranges = True
    assert sliced.part("/other", "100-109")[0] == 200
    assert sliced.part("/short", None)[0] == 200 and "hit" in sliced.part("/short", "0-3")[1]


def test_C2_an_unsafe_request_takes_all_slices_with_it(sliced):
    sliced.part("/film", f"0-{2 * SLICE}")
    wait_until(lambda: sliced.counts()["fills"] == 0, what="nothing is on its way")
    before = len(sliced.ranges())
    assert sliced.code("/film", "-X", "DELETE") == 200
    assert "hit" not in sliced.part("/film", "0-9")[1] and len(sliced.ranges()) > before + 1
