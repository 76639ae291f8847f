# SPDX-License-Identifier: Apache-2.0
"""An edge with two gateways before the same origin: one of them is killed or upgraded under load, and no visitor notices."""
import pytest
from lab.process import wait_until
from two_channels import before_nginx, check_all_were_answered, wait_for_both


@pytest.fixture
def two(lab, causeway_program, version):
    return before_nginx(lab, causeway_program, version)


def test_L2_a_gateway_that_is_killed_costs_no_request(two):
    two.start()
    visitors = two.start_visitors(4, 1000)
    wait_for_both(two)
    assert visitors.is_running, "it is to be killed under load"
    two.nodes["second"].kill()
    check_all_were_answered(two, visitors)
    assert two.counter("causeway_edge_moved_total") > 0, "those that were there went elsewhere"
    assert two.channels()["second"]["state"] == "away"


def test_L5_a_gateway_that_is_upgraded_costs_no_request_and_tells_its_load_again(two):
    two.start()
    visitors = two.start_visitors(5)
    wait_for_both(two)
    gateway = two.nodes["second"]
    former = {child["name"]: child["pid"] for child in gateway.status()["children"]}
    assert "took over" in gateway.run("upgrade").stdout
    assert former["front"] not in [child["pid"] for child in gateway.status()["children"]]
    wait_until(lambda: two.part("requests", "second") > 20 and two.channels()["second"]["tells_load"], 20, "it is used and tells its load")
    check_all_were_answered(two, visitors)
