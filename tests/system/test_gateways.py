# SPDX-License-Identifier: Apache-2.0
"""An edge with two gateways: a request that one cannot carry out goes to the other, once."""
import re

import pytest
from lab.causeway import Causeway
from lab.process import wait_until
from road import ADMIN, LINK, Road, at, find


class TwoGateways(Road):
    """A second gateway, close to the edge and hence preferred, that has no way to any origin."""

    def __init__(self, lab, program, version):
        super().__init__(lab, program, version, {"rate": "0", "rtt": "40ms", "queue": "100ms"})
        self.second = lab.namespace("gw2")
        self.second_link = lab.connect(self.edge, self.second).b(version)
        self.second_key = lab.path("second.key")
        self.second_public = self.edge.run(program, "keygen", "-o", self.second_key).stdout.split()[-1]

    def text(self, **texts):
        return super().text(**texts).replace("sites:\n", f"""  second:
    public_key: "{self.second_public}"
    private_key: {self.second_key}
    run_dir: {self.lab.path("run-second")}
    workers: 1
    link: {{listen: ["{at(self.second_link, LINK)}"]}}
    gateway: {{allow: [{{edges: [edge], sites: [shop]}}]}}
    admin: {{listen: ["127.0.0.1:{ADMIN}"]}}
sites:
""", 1)

    def start(self, **texts):
        self.nodes["second"] = Causeway(self.lab, self.program, self.text(**texts), "second", self.second)
        return super().start(**texts)

    def wait_for_link(self, timeout=20):
        wait_until(lambda: [link["state"] for link in find(self.nodes["edge"].status(), "links")] == ["up", "up"], timeout,
                   "both links are up", every=0.1)
        wait_until(lambda: 0 < self.srtt_us("second") < self.srtt_us("gateway"), timeout, "both are measured", every=0.1)

    def srtt_us(self, peer):
        return next(link["srtt_us"] for link in find(self.nodes["edge"].status(), "links") if link["peer"] == peer)

    def counter(self, name):
        text = self.edge.run("curl", "-sS", f"http://127.0.0.1:{ADMIN}/metrics").stdout
        return int(float(re.search(rf"^{name} (\S+)$", text, re.M)[1]))


@pytest.fixture
def two(lab, causeway_program, version, start_origin):
    road = TwoGateways(lab, causeway_program, version)
    start_origin(lab, road.origin, (road.origin_at, road.origin_ports[0]))
    return road.start()


def test_L3_another_gateway_answers_where_one_cannot_reach_the_origin(two):
    assert two.code("/") == 200
    assert two.code("/", "-I") == 200
    assert two.code("/echo", "-X", "POST") == 200, "no origin has seen it: any method may go to another gateway"
    assert two.part("unreachable", "second") == 3, "the nearer one was asked first"
    assert two.counter("causeway_edge_retries_total") == 3
    assert two.part("requests", "gateway") == 3
    assert two.code("/echo", "-d", "a body that is on its way already") == 502


def test_L3_a_gateway_that_leaves_hands_its_requests_over(two):
    two.nodes["gateway"].stop()
    wait_until(lambda: two.code("/") == 502, 20, "only the one without an origin is left")
    assert two.counter("causeway_edge_no_gateway_total") == 0, "there was one gateway at all times"
    two.nodes["gateway"].start()
    wait_until(lambda: two.code("/") == 200, 20, "the other one is back")
