# SPDX-License-Identifier: Apache-2.0
"""How the link is divided, and origins' time among classes: shown, configured, and changed while it runs (T2, T3, T4, L10)."""
import json

import pytest
from lab.process import wait_until
from road import ORIGIN, Road, find


@pytest.fixture
def road(lab, causeway_program, start_origin):
    made = Road(lab, causeway_program, 4)
    start_origin(lab, made.origin, (made.origin_at, ORIGIN))
    return made.start()


def weights_of_site(road, node, name="shop"):
    sites = road.link(node)["sites"]
    return [site["weight"] for site in sites if site.get("site") == name]


def test_T2_T3_T4_weights_are_shown_and_change_while_running(road):
    assert road.code("/bytes/300000?seed=1") == 200
    wait_until(lambda: weights_of_site(road, "gateway") == [16], what="the gateway counts the site", every=0.2)
    link = road.link("gateway")
    assert link["weights"] == [16, 8, 4, 2, 1]
    site = next(site for site in link["sites"] if site.get("site") == "shop")
    assert site["sent_bytes"] >= 300000
    assert sum(ring["sent_bytes"] for ring in link["rings"]) >= 300000
    metrics = road.gateway.run("curl", "-s", "http://127.0.0.1:9180/metrics").stdout
    assert 'causeway_link_ring_sent_bytes_total{ring="2"}' in metrics and 'causeway_link_ring_ready{ring="4"} 0' in metrics

    gateway, edge = road.nodes["gateway"], road.nodes["edge"]
    assert "hold until" in gateway.run("weights", "site", "shop", "40").stdout
    assert "hold until" in gateway.run("weights", "peer", "edge", "60", "50", "4", "2", "1").stdout
    wait_until(lambda: weights_of_site(road, "gateway") == [40], what="the site's weight is the new one", every=0.2)
    assert road.link("gateway")["weights"] == [60, 50, 4, 2, 1] and road.link("edge")["weights"] == [16, 8, 4, 2, 1]
    for words in (("site", "nobody", "4"), ("peer", "nobody", "5", "4", "3", "2", "1"), ("site", "shop", "0"), ("peer", "edge", "1"),
                  ("ring", "a", "b")):
        assert edge.run("weights", *words, check=False).returncode
    # A reload brings back what the file says; what is under way goes on.
    text = road.text(site="weight: 99").replace("link: {listen:", "link: {weights: [9, 8, 7, 6, 5], listen:")
    for node in (gateway, edge):
        node.reload(text)
    wait_until(lambda: weights_of_site(road, "gateway") == [99], what="the site's weight is the file's", every=0.2)
    wait_until(lambda: road.link("edge")["weights"] == [9, 8, 7, 6, 5], what="so are the peer's", every=0.2)
    assert road.link("gateway")["weights"] == [16, 8, 4, 2, 1], "what is sent to the edge"
    assert find(gateway.status(), "sessions") == 1
    assert road.code("/bytes/1000?seed=1") == 200


def test_L10_shares_of_classes_change_while_running(road):
    """At the gateway's queue; at the edge the same verb is for its own buffer."""
    gateway, edge = road.nodes["gateway"], road.nodes["edge"]

    def shares():
        assert road.code("/bytes/1") == 200
        queues = json.loads(gateway.run("queue", "shop", "--json").stdout)
        return queues and [row["share"] for row in queues[0]["classes"]]

    wait_until(lambda: shares() == [0, 10, 8, 5, 2], 10, "the queue tells the file's shares", every=0.1)
    for node in (gateway, edge):
        assert "shares of site shop hold until" in node.run("weights", "shares", "shop", "0", "50", "30", "10", "0").stdout
    wait_until(lambda: shares() == [0, 50, 30, 10, 0], 10, "the shares are those told", every=0.1)
    for words in (("shop", "0", "50", "30", "10", "11"), ("shop", "1"), ("nobody", "0", "1", "1", "1", "1"), ("shop", "0", "-1", "0", "0", "0")):
        assert gateway.run("weights", "shares", *words, check=False).returncode
    assert "101 percent together" in gateway.run("weights", "shares", "shop", "0", "50", "30", "10", "11", check=False).stderr
    gateway.reload(road.text())
    wait_until(lambda: shares() == [0, 10, 8, 5, 2], 10, "they are the file's again", every=0.1)
