# SPDX-License-Identifier: Apache-2.0
"""An edge with two gateways before the same origin: requests are spread over both, and leave one that is killed or loses packets."""
import os
import re
import signal

import pytest
from lab.causeway import descendants
from lab.process import wait_until
from lab.servers import start_nginx
from road import HTTP, SITE, at
from two_channels import ORIGIN, TwoChannels, wait_for_both


@pytest.fixture
def two(lab, causeway_program, version):
    road = TwoChannels(lab, causeway_program, version)
    start_nginx(lab, road.origin, [(road.origin_at, road.origin_ports[0])], server=ORIGIN)
    return road


def check_all_were_answered(two, visitors):
    visitors.wait(60)
    text = visitors.output()
    print(text)
    total, succeeded = (int(number) for number in re.search(r"requests: (\d+) total.*?(\d+) succeeded", text).groups())
    assert succeeded > 500 and "0 failed, 0 errored, 0 timeout" in text
    visits = two.visits()
    assert len(visits) == succeeded <= total and {status for _, status, _ in visits} == {200}


def test_L2_a_gateway_that_is_killed_costs_no_request(two):
    two.start()
    visitors = two.start_visitors(4, 1000)
    wait_for_both(two)
    gateway = two.nodes["second"]
    assert visitors.is_running, "it is to be killed under load"
    for pid in [gateway.pid, *descendants(gateway.pid)]:
        os.kill(pid, signal.SIGKILL)
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


def test_T8_a_link_that_loses_packets_loses_its_requests(two):
    two.start()
    visitors = two.start_visitors(5)
    wait_for_both(two)
    two.second_wan.set(loss=5)
    wait_until(lambda: two.channels()["second"]["state"] == "degraded", 15, "the loss is seen", every=0.05)
    counts = []

    def has_left():
        counts.append(two.part("requests", "second"))
        return len(counts) > 1 and counts[-1] - counts[-2] < 10  # its share before was a hundred

    wait_until(has_left, 6, "requests have left it", every=0.4)
    assert two.channels()["second"]["share_permille"] == 0
    check_all_were_answered(two, visitors)
    assert two.part("requests", "second") - counts[-1] < 20, "what was on its way is all that still came"


def test_L4_what_is_too_much_waits_at_the_edge_and_rules_hear_of_it(lab, causeway_program, version, start_origin):
    two = TwoChannels(lab, causeway_program, version)
    start_origin(lab, two.origin, (two.origin_at, two.origin_ports[0]))
    two.start(site="""limits: {connections: 2, kept: 2}
    rules:
      - {match: {load_above: 90, path: [/busy]}, answer: {status: 503, body: "come back later"}}""")
    assert two.code("/busy") == 404, "nothing is known yet, or there is no load"
    visitors = lab.start("h2load", ["h2load", "--h1", "-c", "24", "-n", "480", "--connect-to", at(two.edge_at, HTTP),
                                    f"http://{SITE}/slow?ms=50"], namespace=two.client)
    wait_until(lambda: two.code("/busy") == 503, 20, "the load is known, and a rule keeps visitors away", every=0.1)
    visitors.wait(60)
    assert "480 succeeded, 0 failed, 0 errored, 0 timeout" in visitors.output()
    assert two.counter("causeway_edge_buffer_total") > 0, "some waited here"
    assert {name for name, row in two.channels().items() if row["tells_load"]} == {"gateway", "second"}
    wait_until(lambda: two.code("/busy") == 404, 20, "the load is gone", every=0.1)
