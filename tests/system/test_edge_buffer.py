# SPDX-License-Identifier: Apache-2.0
"""Where the origin of two gateways has no room, requests wait at the edge, and rules hear of the load."""
from lab.process import wait_until
from road import HTTP, SITE, at
from two_channels import TwoChannels


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
