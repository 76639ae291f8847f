# SPDX-License-Identifier: Apache-2.0
"""Which origin gets a request: sessions that stay, policies, original and mirrors. One node with two workers, three origins of the
tests' own; every request comes on a connection of its own."""
import getpass
import os
import re
import signal
import time

import pytest
from cache_site import Origin
from lab import wait_until
from lab.causeway import TAKEN, Causeway

HOST = "www.shop.example"


class Farm:
    """`rows`: what is said of each origin besides its URL; `balance`: the site's section. Each answer says whose it is."""

    def __init__(self, lab, program, rows, balance, answer=None):
        self.lab, self.here, self.balance, self.rows = lab, lab.here(), balance, rows
        self.answer = answer or (lambda name, request: (200, {}, b""))
        self.dead = set()
        self.origins = [Origin(self.speaker(name)) for name in "abc"[:len(rows)]]
        self.http, self.admin = (self.here.free_port("127.0.0.1") for _ in range(2))
        self.node = Causeway(lab, program, self.text())
        wait_until(lambda: self.ask() != "", what="the site is served")

    def speaker(self, name):
        def speak(request):
            if name in self.dead:
                raise ConnectionError
            status, fields, body = self.answer(name, request)
            return status, {"X-Origin": name, "X-Cookie": request.headers.get("Cookie", "none"), **fields}, body
        return speak

    def text(self):
        origins = "\n".join(f'      - {{url: "http://127.0.0.1:{origin.port}"{", " if row else ""}{row}}}'
                            for origin, row in zip(self.origins, self.rows))
        return f"""
nodes:
  all:
    run_dir: {self.lab.path('run')}
    user: {getpass.getuser()}
    workers: 2
    capacity: {{cpu: 0}}
    edge: {{listen: ["127.0.0.1:{self.http}"]}}
    gateway: {{allow_local: true, allow: [{{edges: [all], sites: [shop]}}]}}
    admin: {{listen: ["127.0.0.1:{self.admin}"]}}
sites:
  shop:
    hosts: [{HOST}]
    origins:
{origins}
    balance: {{{self.balance}}}
"""

    def get(self, path="/", *words):
        """Status and fields, in lower case."""
        head = self.here.run("curl", "-sS", "--max-time", "20", "-D", "-", "-o", "/dev/null", "-H", f"Host: {HOST}", *words,
                             f"http://127.0.0.1:{self.http}{path}", check=False).stdout
        lines = head.splitlines() or ["HTTP/1.1 000"]
        fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        return int(lines[0].split()[1]), {name.lower(): value for name, value in fields.items()}

    def ask(self, path="/", *words):
        """Whose the answer is; "" where there was none."""
        return self.get(path, *words)[1].get("x-origin", "")

    def configure(self, rows=None, balance=None):
        self.rows, self.balance = rows or self.rows, balance or self.balance
        taken = self.node.process.output().count(TAKEN)
        self.node.reload(self.text())
        wait_until(lambda: self.node.process.output().count(TAKEN) > taken, what="the configuration is taken")

    def kill(self, name):
        """Its kept connections end, and new ones are refused."""
        self.dead.add(name)
        self.origins["abc".index(name)].stop()

    def stop(self):
        for origin in self.origins:
            origin.stop()


@pytest.fixture
def farms(local_lab, causeway_program):
    made = []

    def make(rows, balance, answer=None):
        made.append(Farm(local_lab, causeway_program, rows, balance, answer))
        return made[-1]

    yield make
    for farm in made:
        farm.stop()


def cookie_of(fields):
    return re.match(r"([^=]+=[^;]+); Path=/; HttpOnly; SameSite=Lax$", fields["set-cookie"])[1]


def test_L9_a_cookie_keeps_a_session_over_reload_and_restart(farms):
    farm = farms(["", "", ""], "policy: round_robin, session: {by: cookie, name: sid}")
    homes = {}
    for _ in range(6):
        _, fields = farm.get()
        homes[cookie_of(fields)] = fields["x-origin"]
    assert sorted(homes.values()) == ["a", "b", "c"], "one cookie for each server"

    def stay(what):
        for cookie, home in homes.items():
            for _ in range(3):
                _, fields = farm.get("/", "-b", f"x=1; {cookie}")
                assert fields["x-origin"] == home, what
                assert fields["x-cookie"] == "x=1" and "set-cookie" not in fields

    stay("at once")
    farm.configure(rows=["weight: 100", "", ""], balance="policy: least_pending, session: {by: cookie, name: sid}")
    stay("after a reload")
    assert farm.node.stop() == 0
    farm.node.start()
    wait_until(lambda: farm.ask() != "", what="the site is served again")
    stay("after a restart")


def test_L9_a_session_moves_only_when_its_server_drains_or_dies(farms):
    farm = farms(["", "", ""], "session: {by: cookie, name: sid}")
    cookies = {}
    while len(cookies) < 3:
        _, fields = farm.get()
        cookies[fields["x-origin"]] = cookie_of(fields)
    farm.configure(rows=["weight: 0", "", ""])
    _, fields = farm.get("/", "-b", cookies["a"])
    moved = fields["x-origin"]
    assert moved in "bc" and cookie_of(fields) == cookies[moved]
    for home in "bc":
        assert {farm.ask("/", "-b", cookies[home]) for _ in range(4)} == {home}
    farm.kill("b")
    status, fields = farm.get("/", "-b", cookies["b"])
    assert (status, fields["x-origin"], cookie_of(fields)) == (200, "c", cookies["c"])
    assert {farm.ask("/", "-b", cookies["c"]) for _ in range(4)} == {"c"}


def test_L9_a_signed_cookie_cannot_be_made(farms, local_lab):
    secret = local_lab.write("session.secret", "a secret of ours, 1\n")
    os.chmod(secret, 0o600)
    farm = farms(["", "", ""], f"session: {{by: cookie, name: sid, secret: {secret}}}")
    _, fields = farm.get()
    cookie, home = cookie_of(fields), fields["x-origin"]
    assert {farm.ask("/", "-b", cookie) for _ in range(5)} == {home}
    forged = cookie[:-1] + ("0" if cookie[-1] != "0" else "1")
    _, fields = farm.get("/", "-b", forged)
    assert "set-cookie" in fields, "it names nobody, and the client gets another one"
    with open(secret, "w", encoding="ascii") as file:
        file.write("a secret of ours, 2\na secret of ours, 1\n")
    farm.configure()
    assert {farm.ask("/", "-b", cookie) for _ in range(5)} == {home}, "an old secret is still good"


def test_L9_sessions_that_the_gateway_remembers(farms):
    def request_of(user):
        return (f"/page;sid={user}?x=1",)

    farm = farms(["", "", ""], "policy: round_robin, session: {by: parameter, name: sid}")
    homes = {user: farm.ask(*request_of(user)) for user in range(12)}
    assert len(set(homes.values())) > 1
    farm.configure(balance="policy: least_pending, session: {by: parameter, name: sid}")
    for _ in range(2):
        assert {user: farm.ask(*request_of(user)) for user in homes} == homes
    farm.node.process.signal(signal.SIGHUP)
    assert {user: farm.ask(*request_of(user)) for user in homes} == homes
    farm.configure(rows=["", "weight: 0", ""])
    after = {user: farm.ask(*request_of(user)) for user in homes}
    assert all(after[user] == home if home != "b" else after[user] in "ac" for user, home in homes.items())
    farm.configure(rows=["", "", ""])
    assert {user: farm.ask(*request_of(user)) for user in homes} == after, "nobody moves back"


def test_L1_policies_of_the_file_are_those_that_are_used(farms):
    farm = farms(["", "", "weight: 0"], "policy: round_robin")
    seen = [farm.ask() for _ in range(8)]
    assert all(one != other for one, other in zip(seen, seen[1:])) and set(seen) == {"a", "b"}
    farm.configure(rows=["", "", ""], balance="policy: first")
    assert {farm.ask() for _ in range(6)} == {"a"}
    farm.configure(balance="policy: round_robin, session: {by: client}")
    assert len({farm.ask() for _ in range(9)}) == 1, "one network"
    farm.configure(balance="policy: hash")
    homes = {path: farm.ask(path) for path in (f"/{number}" for number in range(12))}
    assert {path: farm.ask(f"{path}?again") for path in homes} == homes and len(set(homes.values())) > 1
    farm.configure(rows=["weight: 1", "weight: 1", "weight: 98"], balance="policy: weighted")
    assert [farm.ask() for _ in range(10)].count("c") >= 8


def test_L8_the_original_first_then_mirrors_and_who_wrote_reads_there(farms):
    rows = ["role: original, limit: 1", "role: mirror, behind: 10m", "role: mirror, behind: 1m"]
    farm = farms(rows, "session: {by: cookie, name: sid}, mirrors: {after_write: 60s}",
                 lambda name, request: (500 if request.command == "POST" and name != "a" else 200, {}, b""))
    assert {farm.ask() for _ in range(5)} == {"a"}
    farm.kill("a")
    status, fields = farm.get()
    assert (status, fields["x-origin"]) == (200, "c"), "the fresher mirror"
    mirror = cookie_of(fields)
    begun = time.monotonic()
    for _ in range(8):
        status, _ = farm.get("/", "-d", "x=1")
        assert status == 502, "nothing is changed at a mirror"
    assert time.monotonic() - begun < 20, "none waits in a queue until the original may be tried again, 5 s"
    assert farm.ask("/", "-b", mirror) == "c"


def test_L8_a_session_that_wrote_reads_what_it_wrote(farms):
    farm = farms(["role: original", "role: mirror"], "session: {by: cookie, name: sid}, mirrors: {after_write: 60s}")
    farm.configure(rows=["role: original, weight: 0", "role: mirror"])
    _, fields = farm.get()
    assert fields["x-origin"] == "b"
    mirror = cookie_of(fields)
    farm.configure(rows=["role: original", "role: mirror"])
    assert farm.ask("/", "-b", mirror) == "b"
    _, fields = farm.get("/", "-b", mirror, "-d", "x=1")
    assert fields["x-origin"] == "a"
    wrote = cookie_of(fields)
    assert wrote.startswith(mirror + "."), "its server is the same; until when it sees the original is new"
    assert farm.ask("/", "-b", wrote) == "a" and farm.ask("/", "-b", mirror) == "b"


def test_L8_how_far_a_mirror_is_behind_is_learnt(farms):
    versions = {"a": 1, "b": 1, "c": 1}
    farm = farms(["role: original, limit: 1", "role: mirror", "role: mirror"], "policy: round_robin, mirrors: {behind: 1s}",
                 lambda name, request: (200, {"ETag": f'"{versions[name]}"'}, b""))
    assert farm.ask("/page") == "a"
    versions["a"] = versions["c"] = 2
    assert farm.ask("/page") == "a"
    farm.configure(rows=["role: original, weight: 0", "role: mirror", "role: mirror"])
    time.sleep(1.2)  # so old is the change
    seen = [farm.ask("/page") for _ in range(4)]
    assert "b" in seen[:2] and "b" not in seen[2:], "its first stale answer shows it"
    assert set(seen[2:]) == {"c"}
