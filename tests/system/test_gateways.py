# SPDX-License-Identifier: Apache-2.0
"""An edge with two gateways: a request that one cannot carry out goes to the other, once."""
import pytest
from lab.process import wait_until
from road import find
from two_channels import SecondGateway


class TwoGateways(SecondGateway):
    """The second one is close to the edge and hence preferred, and has no way to any origin."""

    def __init__(self, lab, program, version):
        super().__init__(lab, program, version, {"rate": "0", "rtt": "40ms", "queue": "100ms"})
        self.second_link = lab.connect(self.edge, self.second).b(version)

    def wait_for_link(self, timeout=20):
        super().wait_for_link(timeout)
        wait_until(lambda: 0 < self.srtt_us("second") < self.srtt_us("gateway"), timeout, "both are measured", every=0.1)

    def srtt_us(self, peer):
        return next(link["srtt_us"] for link in find(self.nodes["edge"].status(), "links") if link["peer"] == peer)


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
