# SPDX-License-Identifier: Apache-2.0
"""Slots of origins: what is pending at each is exact however many workers and edges ask, the rest waits in order, for as long as it may."""
import concurrent.futures
import contextlib
import json
import re
import socket
import struct
import threading

import pytest
from lab.causeway import TAKEN, Causeway, Keys
from lab.process import wait_until
from road import ADMIN, HTTP, SITE, Road, at

LIMIT = 3
EDGES = ("edge2", "edge3")


class ThreeEdges(Road):
    """Two origins in processes of their own; edges at three ports, whose links end on whichever of the gateway's workers."""

    def __init__(self, lab, program, version, start_origin):
        super().__init__(lab, program, version, origins=2)
        self.more = Keys(lab, program, *EDGES)
        for number, port in enumerate(self.origin_ports):
            start_origin(lab, self.origin, (self.origin_at, port), name=f"origin-{number}")

    def text(self, site="", **texts):
        edges = "".join(f"""  {name}:
    public_key: "{self.more.public[name]}"
    private_key: {self.more.path(name)}
    run_dir: {self.lab.path(f"run-{name}")}
    workers: 1
    edge: {{listen: ["{at(self.edge_at, HTTP + 1 + number)}"]}}
    admin: {{listen: ["127.0.0.1:{ADMIN + 1 + number}"]}}
""" for number, name in enumerate(EDGES))
        text = super().text(site=site or self.origins(100), **texts).replace("  gateway:\n", edges + "  gateway:\n", 1)
        text = text.replace("edges: [edge]", f"edges: [edge, {', '.join(EDGES)}]")
        return re.sub(r'    origins: \[".*"\]\n    (?=origins:)', "    ", text)

    def origins(self, weight):
        """The second one has that weight."""
        rows = [f'{{url: "http://{at(self.origin_at, port)}", limit: {LIMIT}, weight: {weight if number else 100}}}'
                for number, port in enumerate(self.origin_ports)]
        return f"origins: [{', '.join(rows)}]\n    balance: {{policy: least_pending}}"

    def start(self, **texts):
        text = self.text(**texts)
        self.nodes["gateway"] = Causeway(self.lab, self.program, text, "gateway", self.gateway)
        for name in ("edge", *EDGES):
            self.nodes[name] = Causeway(self.lab, self.program, text, name, self.edge)
        wait_until(lambda: all(self.link(name)["state"] == "up" for name in ("edge", *EDGES)), 20, "the links are up", every=0.1)
        return self

    def count(self, number):
        """What that origin says of itself."""
        return json.loads(self.origin.run("curl", "-sS", f"http://{at(self.origin_at, self.origin_ports[number])}/count").stdout)


def get(road, path, port=HTTP, timeout=60.0, fields=""):
    """Status and head of an answer. `fields` of the request: each with its line end."""
    connection = road.client.connect(road.edge_at, port, timeout)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {SITE}\r\n{fields}Connection: close\r\n\r\n".encode())
    received = b""
    with connection:
        while piece := connection.recv(65536):
            received += piece
    head = received.split(b"\r\n\r\n")[0].decode()
    return int(head.split()[1]), head


def shown(road):
    """What `causeway queue` tells of the site."""
    return json.loads(road.nodes["gateway"].run("queue", "shop", "--json").stdout)[0]


def test_L3_what_is_pending_is_exact_and_a_drained_origin_costs_nothing(lab, causeway_program, version, start_origin):
    road = ThreeEdges(lab, causeway_program, version, start_origin).start()
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        answers = [pool.submit(get, road, "/slow?ms=20", HTTP + number % 3) for number in range(240)]
        assert {answer.result()[0] for answer in answers} == {200}
    assert [road.count(number)["most"] for number in range(2)] == [LIMIT, LIMIT], "no more than the limit, and no less"
    wait_until(lambda: road.part("pending", "gateway") == 0 and road.part("waiting", "gateway") == 0, 20, "all slots are home")
    wait_until(lambda: shown(road)["pending"] == 0, 20, "the verb tells it within a tenth of a second")
    queue = shown(road)
    assert queue["finished"] >= 240 and queue["waiting"] == 0 and len(queue["classes"]) == 5
    assert [(server["slots"], server["found"], server["usable"]) for server in queue["servers"]] == [(LIMIT, False, True)] * 2
    assert f"pending of {2 * LIMIT} slots" in road.nodes["gateway"].run("queue").stdout
    assert "no such site" in road.nodes["gateway"].run("queue", "nowhere", check=False).stderr
    # The second one takes nothing new while requests are under way, and none of them fails.
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        answers = [pool.submit(get, road, "/slow?ms=20", HTTP + number % 3) for number in range(120)]
        road.nodes["gateway"].reload(road.text(site=road.origins(0)))
        road.nodes["gateway"].wait_for_log(TAKEN, 30)
        wait_until(lambda: all(answer.done() for answer in answers), 60, "they are answered")
        before = road.count(1)["requests"]
        answers += [pool.submit(get, road, "/slow?ms=20", HTTP + number % 3) for number in range(30)]
        assert {answer.result()[0] for answer in answers} == {200}
    assert road.count(1)["requests"] == before + 1, "only the question itself"
    assert road.count(0)["most"] == LIMIT


class HeldOrigin:
    """An origin that answers a request when the test lets it, and tells which came in what order. `fields`: of all answers."""

    def __init__(self, road, fields=""):
        self.seen, self.let, self.changed, self.fields = [], 0, threading.Condition(), fields
        with road.origin.entered():
            family = socket.AF_INET6 if road.version == 6 else socket.AF_INET
            self.listener = socket.create_server((road.origin_at, road.origin_ports[0]), family=family)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
            while line := lines.readline():
                while field := lines.readline().strip():
                    assert b"causeway-class" not in field, field
                with self.changed:
                    self.seen.append(line.split()[1].decode())
                    number = len(self.seen)
                    self.changed.wait_for(lambda place=number: self.let >= place, 60)
                connection.sendall(f"HTTP/1.1 200 OK\r\n{self.fields}Content-Length: 2\r\n\r\nok".encode())

    def answer(self, count):
        """So many of all that came or will come are answered by now."""
        with self.changed:
            self.let = count
            self.changed.notify_all()


@pytest.fixture
def held(lab, causeway_program, version):
    def start(site):
        road = Road(lab, causeway_program, version)
        origin = HeldOrigin(road)
        road.start(site=f"limits: {{connections: 1, kept: 1}}\n    {site}")
        return road, origin
    return start


def wait_for_waiting(road, count):
    wait_until(lambda: road.part("waiting", "gateway") == count, 30, f"{count} are waiting", every=0.05)


def test_L10_who_waits_goes_by_class_and_who_leaves_is_not_served(held):
    road, origin = held("""queue: {patience: 1m, shares: [0, 0, 0, 0, 0]}
    rules:
      - {match: {path: "/urgent"}, priority: urgent}
      - {match: {path: "/later/*"}, priority: background}
      - {server_timing: true}""")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(get, road, "/first")]
        wait_until(lambda: origin.seen == ["/first"], 30, "the origin has the first")
        leaves = road.client.connect(road.edge_at, HTTP)
        leaves.sendall(f"GET /gone HTTP/1.1\r\nHost: {SITE}\r\n\r\n".encode())
        wait_for_waiting(road, 1)
        answers += [pool.submit(get, road, f"/later/{number}") for number in range(3)]
        wait_for_waiting(road, 4)
        answers.append(pool.submit(get, road, "/urgent"))
        wait_for_waiting(road, 5)
        leaves.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)) # a mere end may be half of a connection
        leaves.close()
        wait_for_waiting(road, 4)
        assert road.part("cancelled", "gateway") == 1
        assert road.part("pending", "gateway") == 1 and origin.seen == ["/first"], "one at a time"
        origin.answer(5)
        heads = [answer.result() for answer in answers]
    assert [status for status, _ in heads] == [200] * 5
    assert origin.seen[:2] == ["/first", "/urgent"]
    assert sorted(origin.seen[2:]) == ["/later/0", "/later/1", "/later/2"]
    waited_ms = [float(re.search(r"queue;[^,]*dur=([0-9.]+)", head)[1]) for _, head in heads]
    assert waited_ms[0] < waited_ms[1], "the times tell who waited"


def test_L3_who_waits_too_long_hears_when_to_come_again(held):
    road, origin = held("queue: {patience: 200ms}")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(get, road, "/first")
        wait_until(lambda: origin.seen == ["/first"], 30, "the origin has the first")
        status, head = get(road, "/second")
        assert status == 503 and re.search(r"\r\nRetry-After: [1-9][0-9]*(\r\n|$)", head), head
        origin.answer(2)
        assert first.result()[0] == 200
    assert get(road, "/third")[0] == 200
    assert origin.seen == ["/first", "/third"]
