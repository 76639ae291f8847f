# SPDX-License-Identifier: Apache-2.0
"""What becomes of requests whose link breaks under them, or whose gateway ends: those that may not be repeated, and those that never left."""
import http.client
import json
import signal

import pytest
from lab.process import wait_until
from lab.servers import start_nginx
from road import HTTP, SITE, at
from two_channels import ORIGIN, TwoChannels, check_all_were_answered, wait_for_both


def ask_origin(two, path):
    with two.origin.entered():
        connection = http.client.HTTPConnection(two.origin_at.strip("[]"), two.origin_ports[0], timeout=20)
        connection.request("GET", path)
        return connection.getresponse().read()


def start_both(two, method, count=12):
    """So many requests that stay at the origin until /open is asked for; statuses() has their answers."""
    body = ["-d", two.lab.write("form", "a=1")] if method == "POST" else []
    return two.lab.start(method, ["h2load", "--h1", "-n", str(count), "-c", str(count), *body, "--log-file", two.lab.path(f"{method}.visits"),
                                  "--connect-to", at(two.edge_at, HTTP), f"http://{SITE}/gate"], two.client)


def statuses(two, visitors, method):
    visitors.wait(60)
    with open(two.lab.path(f"{method}.visits"), encoding="ascii") as log:
        return [int(line.split()[1]) for line in log]


def wait_at_the_gate(two, count):
    wait_until(lambda: json.loads(ask_origin(two, "/count"))["under_way"] > count, 20, "all are at the origin", every=0.1)


def test_L2_what_must_not_be_repeated_waits_for_its_link_only_for_a_time(lab, causeway_program, version, start_origin):
    two = TwoChannels(lab, causeway_program, version)
    start_origin(lab, two.origin, (two.origin_at, two.origin_ports[0]))
    two.start(site="channels: {broken_wait: 500ms}")
    gets, posts = start_both(two, "GET"), start_both(two, "POST")
    wait_at_the_gate(two, 24)
    two.second_wan.down()
    two.nodes["edge"].wait_for_log("out peer=second")
    ask_origin(two, "/open")
    answers = statuses(two, posts, "POST")
    lost = answers.count(502)
    assert 0 < lost < 12 and lost + answers.count(200) == 12, "those of the link that broke, and no others"
    assert set(statuses(two, gets, "GET")) == {200}
    assert two.counter("causeway_edge_unsafe_lost_total") == lost and two.counter("causeway_edge_moved_total") > 0
    assert "the link to second" in two.nodes["edge"].run("status").stdout, "silent, or given up by now"


def test_L2_a_link_that_comes_back_in_time_answers_what_waited(lab, causeway_program, version, start_origin):
    two = TwoChannels(lab, causeway_program, version)
    start_origin(lab, two.origin, (two.origin_at, two.origin_ports[0]))
    two.start(site="channels: {broken_wait: 25s}")
    posts = start_both(two, "POST")
    wait_at_the_gate(two, 12)
    two.second_wan.down()
    two.nodes["edge"].wait_for_log("out peer=second")
    ask_origin(two, "/open")
    two.second_wan.up()
    assert set(statuses(two, posts, "POST")) == {200}
    assert json.loads(ask_origin(two, "/count"))["most"] <= 13, "each was asked once"


@pytest.mark.parametrize("order", [signal.SIGTERM, signal.SIGUSR2], ids=["stopped", "upgraded"])
def test_L2_a_gateway_that_leaves_finishes_what_it_has_and_gets_nothing_more(lab, causeway_program, version, start_origin, order):
    two = TwoChannels(lab, causeway_program, version)
    start_origin(lab, two.origin, (two.origin_at, two.origin_ports[0]))
    two.start()
    posts = start_both(two, "POST")
    wait_at_the_gate(two, 12)
    visitors = two.start_visitors(8, 100)
    wait_for_both(two)
    leaving = two.nodes["second"]
    leaving.process.signal(order)
    wait_until(lambda: (two.channels()["second"]["state"], two.channels()["second"]["share_permille"]) == ("leaving", 0), 20,
               "the edge has heard of it", every=0.02)
    ask_origin(two, "/open")
    assert set(statuses(two, posts, "POST")) == {200}
    check_all_were_answered(two, visitors)
    if order == signal.SIGTERM:
        assert leaving.process.wait(20) == 0
    else:
        wait_until(lambda: leaving.status()["upgrades"] == 1, 20, "it was replaced", every=0.1)
    assert "not everything ended in time" not in leaving.process.output()


def test_L2_what_never_left_a_broken_link_goes_over_another(lab, causeway_program, version):
    """A network breaks, and before anybody knows more comes than the link's window holds: what it held may have arrived, the rest cannot."""
    two = TwoChannels(lab, causeway_program, version, rtt="200ms")
    log = lab.path("origin.access")
    start_nginx(lab, two.origin, [(two.origin_at, two.origin_ports[0])], server=f"access_log {log};" + ORIGIN)
    two.start(top="link: {hosted_cap: 1}", site="channels: {broken_wait: 0s}")
    wait_until(lambda: two.code("/") == 200 and two.channels()["second"]["share_permille"] > 300, 20, "both are used", every=0.1)
    two.second_wan.down()
    words = ["-c", "4", "-m", "60", "-n", "240", "-d", lab.write("form", "a" * 700), "--log-file", lab.path("visits")]
    two.client.run("h2load", *words, "--connect-to", at(two.edge_at, HTTP), f"http://{SITE}/", timeout=60)
    answers = [status for _, status, _ in two.visits()]
    assert len(answers) == 240 and set(answers) <= {200, 502}
    with open(log, encoding="ascii") as asked:
        assert sum('"POST' in line for line in asked) == answers.count(200), "nothing was asked twice"
    if not two.counter("causeway_edge_unsent_total"):
        pytest.skip("the link was known to be broken before the requests came: the machine is busy")
    assert two.counter("causeway_edge_unsafe_lost_total") == answers.count(502) > 0, "its window may have arrived"
