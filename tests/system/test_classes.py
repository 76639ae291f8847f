# SPDX-License-Identifier: Apache-2.0
"""Classes end to end (L10): a client that changes its mind while it waits, and sessions that are about to buy."""
import concurrent.futures
import json
import os
import re
import struct
import time

from lab.process import wait_until
from road import ADMIN, HTTP, Road, at, find
from test_edge_h2 import Client
from test_slots import HeldOrigin, ThreeEdges, get, shown, wait_for_waiting

# No more wait at the gateway than the origin takes at a time: more would wait in the edge's own buffer.
MANY = 6
FOR_SHARED_CACHES = ("Causeway-Cache-Control", "CDN-Cache-Control", "Surrogate-Control")
IN_ORDER = "queue: {patience: 1m, shares: [0, 0, 0, 0, 0], reserve: 0}"


def let_go_one_by_one(origin, count):
    """Of so many that came and will come; as many as it takes are there."""
    for number in range(len(origin.seen) - MANY + 1, count + 1):
        origin.answer(number)
        wait_until(lambda wanted=min(number + MANY, count): len(origin.seen) == wanted, 30, "the next one is at the origin")


def change_mind(client, stream, value):
    frame = struct.pack(">I", stream) + value
    client.socket.sendall(len(frame).to_bytes(3, "big") + b"\x10\0" + struct.pack(">I", 0) + frame)


def test_L10_a_client_that_changes_its_mind_changes_its_place_at_the_gateway(lab, causeway_program, version):
    """PRIORITY_UPDATE (RFC 9218 section 7.1) moves a request that waits there already, both ways."""
    road = Road(lab, causeway_program, version)
    origin = HeldOrigin(road)
    road.start(site=f"limits: {{connections: {MANY}, kept: {MANY}}}\n    {IN_ORDER}")
    client = Client(road)
    late = ("priority", "u=7")

    first = [client.ask("/first") for _ in range(MANY)]
    wait_until(lambda: origin.seen == ["/first"] * MANY, 30, "the origin has enough to do")
    streams = {}
    for number, (path, fields) in enumerate([("/a", [late]), ("/b", []), ("/c", [late]), ("/d", [late])]):
        streams[path] = client.ask(path, fields=fields)
        wait_for_waiting(road, number + 1)
    change_mind(client, streams["/d"], b"u=3")
    change_mind(client, streams["/b"], b"u=7, i")
    change_mind(client, streams["/b"], b"u=5")
    wait_until(lambda: [row["waiting"] for row in shown(road)["classes"]] == [0, 0, 1, 1, 2], 30, "they stand in other classes", every=0.1)
    metrics = road.gateway.run("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
    assert re.search(r"causeway_gateway_queue_reclassed_total [23]\b", metrics)
    let_go_one_by_one(origin, MANY + 4)
    for stream in (*first, *streams.values()):
        assert client.status(stream) == 200
    assert origin.seen[MANY:] == ["/d", "/b", "/a", "/c"]


class Shared:
    """Visitors who ask for the same, one after the other, behind what an origin has to do; and a request in class 3 beside them."""

    STALL = 5  # seconds without a byte: then who waits for another's request sends his own (store.h)

    def __init__(self, road, origin):
        self.road, self.tries, self.first = road, 0, Client(road)
        self.asked = [(self.first, self.first.ask(f"/first/{number}")) for number in range(MANY)]
        wait_until(lambda: len(origin.seen) == MANY, 30, "the origin has enough to do")
        self.asked.append((self.first, self.first.ask("/other", fields=[("priority", "u=5")])))
        self.wait(0, 0, 0, 1, 0)

    def waiting(self):
        """In each class, at the gateway; none before the first request."""
        sites = json.loads(self.road.nodes["gateway"].run("queue", "shop", "--json").stdout)
        return sites and [row["waiting"] for row in sites[0]["classes"]]

    def wait(self, *wanted):
        wait_until(lambda: self.waiting() == list(wanted), 30, f"they stand as {wanted}", every=0.1)

    def is_so(self, steps):
        """Whether the request of a crawler and a visitor stands in these classes, one after the other: behind each step that the visitor takes."""
        self.tries += 1
        path, until = f"/shared/{self.tries}", time.monotonic() + self.STALL - 0.5
        crawler, visitor, is_right = self.first.ask(path, fields=[("priority", "u=7")]), Client(self.road), True
        for step, number in [(lambda *_: None, 4), *steps]:
            step(visitor, path)
            wanted = [0, 0, 0, 1, 0]
            wanted[number] += 1
            while is_right and self.waiting() != wanted:
                is_right = time.monotonic() < until
            is_right = is_right and time.monotonic() < until
        visitor.socket.close()
        self.first.state.reset_stream(crawler, 8)
        self.first.flush()
        self.wait(0, 0, 0, 1, 0)
        return is_right

    def wait_for(self, *steps):
        """Until it went so before the store let the visitor go: a machine may be slow."""
        wait_until(lambda: self.is_so(steps), 100, "its class is that of who waits for it")


def test_T3_what_many_wait_for_is_as_urgent_as_the_most_urgent_of_them(lab, causeway_program, version):
    """A collapsed fetch changes its place in the gateway's queue as visitors join it, leave and change their mind, whichever of the edge's workers they
    are at; it stays one request."""
    road = Road(lab, causeway_program, version)
    origin = HeldOrigin(road, "Cache-Control: max-age=600\r\n")
    road.start(site=f"cache: {{on: true}}\n    limits: {{connections: {MANY}, kept: {MANY}}}\n    {IN_ORDER}")
    shared = Shared(road, origin)

    def join(visitor, path):
        visitor.asked = visitor.ask(path)

    def leave(visitor, path):
        visitor.state.reset_stream(visitor.asked, 8)
        visitor.flush()

    for _ in range(3):
        shared.wait_for((join, 2), (leave, 4))
    shared.wait_for((join, 2), (lambda visitor, path: change_mind(visitor, visitor.asked, b"u=7"), 4),
                    (lambda visitor, path: change_mind(visitor, visitor.asked, b"u=3"), 2))
    metrics = road.edge.run("curl", "-sS", f"http://127.0.0.1:{ADMIN}/metrics").stdout
    assert int(re.search(r"causeway_edge_cache_reclassed_total (\d+)", metrics)[1]) >= 3 * 2 + 3
    origin.answer(MANY + 1)
    assert {client.status(stream) for client, stream in shared.asked} == {200}
    assert origin.seen[MANY:] == ["/other"], "who left is not asked for"


class TwoEdges(ThreeEdges):
    """The same, with an origin that is held."""

    def __init__(self, lab, program, version):
        super().__init__(lab, program, version, lambda *words, **more: None)
        secret = lab.path("class.secret")
        with open(secret, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write("0123456789abcdef\n")
        self.held = HeldOrigin(self, "X-Customer-Class: low; for=600\r\nX-Other: 1\r\n")
        self.start(site=f"""origins: ["http://{at(self.origin_at, self.origin_ports[0])}"]
    limits: {{connections: {MANY}, kept: {MANY}}}
    {IN_ORDER}
    session_class: {{secret: {secret}, header: X-Customer-Class}}
    rules:
      - {{match: {{path: "/cart"}}, session_class: {{priority: urgent, for: 5m}}, response: {{set: {{X-Rule: "1"}}}}}}""")

    def counted(self, node, port):
        page = self.edge.run("curl", "-sS", f"http://127.0.0.1:{port}/metrics").stdout
        found = re.findall(r'causeway_edge_session_class_total{event="(\w+)"} (\d+)', page)
        status = find(self.nodes[node].status(), "session_classes")
        assert status == {event: int(count) for event, count in found}, "status and metrics say the same"
        return status


def cookie_of(head):
    assert re.search(r"\r\nCache-Control: private(\r\n|$)", head), head
    return re.search(r"\r\nSet-Cookie: (causeway-class=[^;]+); Path=/; Max-Age=\d+; HttpOnly; SameSite=Lax(\r\n|$)", head)[1]


def test_L10_the_about_to_buy_customer_goes_first_at_every_edge(lab, causeway_program, version):
    road = TwoEdges(lab, causeway_program, version)
    origin = road.held
    origin.answer(2)
    origin.fields = ""
    status, head = get(road, "/cart")
    assert status == 200 and "X-Rule: 1" in head
    buyer = cookie_of(head)
    shared = "".join(f"{name}: max-age=60\r\n" for name in FOR_SHARED_CACHES)
    origin.fields = f"X-Customer-Class: low; for=600\r\nX-Other: 1\r\n{shared}"
    status, head = get(road, "/look")
    assert status == 200 and "X-Other: 1" in head and "X-Customer-Class" not in head
    assert not any(name in head for name in FOR_SHARED_CACHES), "no cache behind the edge takes it for everybody's"
    browser = cookie_of(head)
    assert road.counted("edge", ADMIN)["marked"] == 2

    second = HTTP + 1  # another edge, which has only the secret
    forged = buyer[:-1] + ("0" if buyer[-1] != "0" else "1")
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(get, road, "/first", second) for _ in range(MANY)]
        wait_until(lambda: origin.seen[2:] == ["/first"] * MANY, 30, "the origin has enough to do")
        for number, (path, cookie) in enumerate([("/low", browser), ("/forged", forged), ("/normal", "a=1"), ("/buys", f"a=1; {buyer}")]):
            answers.append(pool.submit(get, road, path, second, fields=f"Cookie: {cookie}\r\n"))
            wait_for_waiting(road, number + 1)
        let_go_one_by_one(origin, 2 + MANY + 4)
        assert [answer.result()[0] for answer in answers] == [200] * (MANY + 4)
    assert origin.seen[2 + MANY:] == ["/buys", "/forged", "/normal", "/low"]
    assert {**road.counted("edge2", ADMIN + 1), "marked": 0} == {"marked": 0, "used": 2, "expired": 0, "forged": 1}
