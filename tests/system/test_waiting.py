# SPDX-License-Identifier: Apache-2.0
"""Thousands of requests that wait at a gateway: what each costs it, and that they lose nothing by it (L3)."""
import json
import os
import re

import pytest
from lab.causeway import Causeway, Keys, descendants
from lab.process import wait_until
from lab.servers import at
from road import ORIGIN, find
from test_slots import HeldOrigin

LINK = 4500
AWAKE_MOST = 256  # of a worker: GATEWAY_AWAKE_MOST of src/gateway/private.h; both links end on the only one
FIRST, MORE = 1000, 6000  # requests; the first are not counted: whatever is made once is made for them
BYTES_MOST = 2000
IS_SANITIZED = "CAUSEWAY_SANITIZERS" in os.environ  # what a sanitizer puts around each piece, and keeps of what was freed, is not ours
EDGES = ("edge1", "edge2")


class Gateway:
    """A gateway whose origin answers when it is told to, and edges that only ask (bench/link_wait)."""

    def __init__(self, lab, program, version):
        self.lab, self.version = lab, version
        self.asker = os.path.join(os.path.dirname(program), "..", "..", "bench", "link_wait")
        self.origin = self.space = lab.namespace("here")
        self.origin_at, self.origin_ports = "::1" if version == 6 else "127.0.0.1", [ORIGIN]
        self.keys = Keys(lab, program, "gateway", *EDGES)
        self.held = HeldOrigin(self)
        self.node = Causeway(lab, program, self.text(), "gateway", self.space)

    def text(self):
        here = self.origin_at
        edges = "".join(f"""  {name}:
    public_key: "{self.keys.public[name]}"
    private_key: {self.keys.path(name)}
    addresses: ["{here}"]
    edge: {{listen: ["{at(here, 80)}"]}}
    admin: off
""" for name in EDGES)
        return f"""
nodes:
{edges}  gateway:
    public_key: "{self.keys.public["gateway"]}"
    private_key: {self.keys.path("gateway")}
    run_dir: {self.lab.path("run")}
    workers: 1
    link: {{listen: ["{at(here, LINK)}"]}}
    gateway: {{allow_local: true, allow: [{{edges: [{", ".join(EDGES)}], sites: [bench]}}]}}
    admin: off
sites:
  bench:
    hosts: [www.bench.example]
    origins: [{{url: "http://{at(here, ORIGIN)}", limit: 1}}]
    queue: {{patience: 10m}}
"""

    def ask(self, edge, count):
        """So many requests of a browser's size."""
        return self.lab.start(edge, [self.asker, self.node.file, edge, "bench", count], self.space)

    def counts(self):
        status = self.node.status()
        return [find(status, name) for name in ("waiting", "parked", "requests_open")]

    def wait_for_waiting(self, count):
        wait_until(lambda: self.counts()[0] == count, 60, f"{count} wait", every=0.1)

    def anonymous_bytes(self):
        """Of the process that serves: it has most of all."""
        return max(anonymous_bytes(pid) for pid in descendants(self.node.pid))


def anonymous_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        return int(re.search(r"^Anonymous:\s+(\d+)", rollup.read(), re.M)[1]) * 1024


@pytest.fixture
def gateway(lab, causeway_program, version):
    return Gateway(lab, causeway_program, version)


def tally(asker):
    """What became of its requests."""
    asker.stop()
    return json.loads(asker.output().splitlines()[-1])


def test_L3_a_request_that_waits_costs_less_than_2000_bytes_and_is_answered(gateway):
    first = gateway.ask("edge1", FIRST)
    gateway.wait_for_waiting(FIRST - 1)
    before = gateway.anonymous_bytes()
    more = gateway.ask("edge2", MORE)
    waiting = FIRST + MORE - 1
    gateway.wait_for_waiting(waiting)
    each = (gateway.anonymous_bytes() - before) / MORE
    print(f"{each:.0f} bytes for each")
    assert gateway.counts() == [waiting, waiting - AWAKE_MOST, waiting + 1]
    assert each < BYTES_MOST or IS_SANITIZED
    gateway.held.answer(waiting + 1)
    wait_until(lambda: gateway.counts() == [0, 0, 0], 60, "all are answered", every=0.1)
    assert len(gateway.held.seen) == waiting + 1
    assert tally(first) == {"answered": FIRST, "refused": 0}
    assert tally(more) == {"answered": MORE, "refused": 0}


def test_L3_edges_that_leave_take_what_waits_along(gateway):
    askers = [gateway.ask(edge, FIRST) for edge in EDGES]
    gateway.wait_for_waiting(2 * FIRST - 1)
    assert tally(askers[0]) == {"answered": 0, "refused": 0}
    wait_until(lambda: gateway.counts()[0] in (FIRST - 1, FIRST), 30, "those of one edge have left", every=0.1)
    askers[1].stop()
    wait_until(lambda: gateway.counts() == [0, 0, 0], 30, "and those of the other", every=0.1)
