# SPDX-License-Identifier: Apache-2.0
"""Origins that die, fail and are drained: clients notice nothing (L3, L6, L9)."""
import json
import os
import pathlib
import re
import signal
import sys
import urllib.parse
import urllib.request

import pytest
from lab.causeway import TAKEN, Causeway, Keys, descendants, is_alive
from lab.process import wait_until

HERE = pathlib.Path(__file__).parent
FAILING = [sys.executable, str(HERE / "failing.py")]
HOST = "www.shop.example"


class Shop:
    """One node, edge and gateway with two workers, before three origins."""

    def __init__(self, lab, program, more=""):
        here = lab.here()
        self.lab, self.http, self.link, self.admin = lab, here.free_port(), here.free_port(), here.free_port()
        self.places = [f"127.0.0.1:{here.free_port()}" for _ in range(3)]
        self.origins = [self.start_origin(number) for number in range(3)]
        self.node = Causeway(lab, program, self.text(more))
        self.node.wait_for_log(r"link: up peer=[\s\S]*link: up peer=")  # at both of its ends

    def text(self, more=""):
        origins = ", ".join(f'"http://{place}"' for place in self.places)
        return f"""
nodes:
  all:
    run_dir: {self.lab.path("run")}
    workers: 2
    capacity: {{cpu: 0}}
    link: {{listen: ["127.0.0.1:{self.link}"]}}
    edge: {{listen: ["127.0.0.1:{self.http}"]}}
    gateway: {{allow_local: true, allow: [{{edges: [all], sites: [shop]}}]}}
    admin: {{listen: ["127.0.0.1:{self.admin}"]}}
sites:
  shop:
    hosts: [{HOST}]
    origins: [{origins}]
    queue: {{patience: 2s}}
    balance: {{policy: least_pending}} # each of them shall get requests
    {more}
"""

    def start_origin(self, number):
        process = self.lab.start(f"origin-{number}", [*FAILING, "origin", self.places[number]])
        process.wait_for_output("ready")
        return process

    def kill_origin(self, number):
        self.origins[number].signal(signal.SIGKILL)
        self.origins[number].wait()

    def tell(self, number, **what):
        """Tells the origin itself how to behave, and hears how many requests came."""
        with urllib.request.urlopen(f"http://{self.places[number]}/set?{urllib.parse.urlencode(what)}", timeout=10) as answer:
            return json.load(answer)["count"]

    def visit(self, path="/?ms=5", rate=1000, connections=40):
        visitors = self.lab.start("visitors", [*FAILING, "visit", f"127.0.0.1:{self.http}", HOST, path, str(rate), str(connections)])
        visitors.wait_for_output("ready")
        return visitors

    def ask(self, path="/"):
        """The status of one answer, and what it says."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", headers={"Host": HOST})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.headers

    def show(self):
        """causeway origin show, by the origin's place."""
        rows = json.loads(self.node.run("origin", "show", "shop", "--json").stdout)["origins"]
        return {row["origin"].removeprefix("http://"): row for row in rows}

    def is_ejected(self, number):
        servers = self.show()[self.places[number]]["servers"]
        return servers and servers[0]["ejected"]  # none before the first report

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as answer:
            return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", answer.read().decode(), re.M))

    def status(self):
        """The gateway's part of `causeway status`."""
        return self.node.status()["roles"]["front"]["gateway"]

    def front(self):
        return front_of(self.node)


def front_of(node):
    for pid in descendants(node.pid):
        if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:3] == [b"child", b"front"]:
            return pid
    return None


def status_of(port):
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": HOST}), timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture
def shop(local_lab, causeway_program):
    return lambda more="": Shop(local_lab, causeway_program, more)


def finish(visitors):
    """What the visitors counted."""
    visitors.signal(signal.SIGTERM)
    visitors.wait(20)
    result = json.loads(visitors.output().strip().splitlines()[-1])
    print(json.dumps(result))
    return result


def expect_no_failure(result):
    assert result["failures"] == 0, result["first_failures"]
    assert set(result["statuses"]) == {"200"}, result["statuses"]


def test_L3_an_origin_that_is_killed_costs_no_request(shop):
    site = shop()
    visitors = site.visit()
    count = site.tell(0)
    site.kill_origin(1)
    wait_until(lambda: site.tell(0) > count + 500, 20, "the others go on")
    site.origins[1] = site.start_origin(1)
    wait_until(lambda: site.tell(1) > 10, 20, "it serves again when it is back")
    result = finish(visitors)
    expect_no_failure(result)
    assert len(result["origins"]) == 3


def test_L9_draining_costs_no_request_and_lasts(shop):
    site = shop()
    visitors = site.visit()
    drained = site.places[2]
    answer = site.node.run("origin", "drain", "shop", drained, "--wait", "20").stdout
    assert "is drained" in answer
    assert site.show()[drained]["pending"] == 0
    before = site.tell(2)
    count = site.tell(0)
    wait_until(lambda: site.tell(0) > count + 200, 20, "the others go on")
    assert site.tell(2) == before, "nothing new goes there"
    site.kill_origin(2)
    # A reload, and a death of the process that knows it.
    site.node.reload(site.text())
    site.node.wait_for_log(TAKEN)
    assert site.show()[drained]["state"] == "drained"
    expect_no_failure(finish(visitors))
    front = site.front()
    os.kill(front, signal.SIGKILL)
    wait_until(lambda: site.front() not in (None, front), 20, "it is started again")
    wait_until(lambda: site.ask()[0] == 200, 20, "it serves again")
    assert site.show()[drained]["state"] == "drained"
    # And an upgrade, by which all processes are others.
    front = site.front()
    assert "took over" in site.node.run("upgrade").stdout
    wait_until(lambda: site.front() != front and site.ask()[0] == 200, 20, "the new process serves")
    assert site.show()[drained]["state"] == "drained"
    assert [(row["name"], row["state"]) for row in site.status()["origins_out"]] == [(f"http://{drained}", "drained")]
    site.origins[2] = site.start_origin(2)
    for _ in range(20):
        assert site.ask()[1]["origin"] != drained
    site.node.run("origin", "return", "shop", drained)
    wait_until(lambda: site.ask()[1]["origin"] == drained, 20, "it gets requests again")


def test_L6_who_comes_while_an_edges_process_is_started_again_waits(local_lab, causeway_program):
    """Until its links are up; before, everybody was answered 503 for as long as that took."""
    lab = local_lab
    here = lab.here()
    port, link = here.free_port(), here.free_port()
    place = f"127.0.0.1:{here.free_port()}"
    lab.start("origin", [*FAILING, "origin", place]).wait_for_output("ready")
    keys = Keys(lab, causeway_program, "edge", "gw")

    def common(name):
        return f'public_key: "{keys.public[name]}", private_key: {keys.path(name)}, run_dir: {lab.path("run-" + name)}, workers: 2, admin: off'
    text = f'''
nodes:
  edge: {{{common("edge")}, edge: {{listen: ["127.0.0.1:{port}"]}}}}
  gw: {{{common("gw")}, link: {{listen: ["127.0.0.1:{link}"]}}, gateway: {{allow_local: true, allow: [{{edges: [edge], sites: [shop]}}]}}}}
sites:
  shop: {{hosts: [{HOST}], origins: ["http://{place}"]}}
'''
    Causeway(lab, causeway_program, text, "gw")
    edge = Causeway(lab, causeway_program, text, "edge")
    wait_until(lambda: status_of(port) == 200, 20, "the site answers")
    for _ in range(3):
        front = wait_until(lambda: front_of(edge), 20, "there is one")
        os.kill(front, signal.SIGKILL)
        wait_until(lambda pid=front: not is_alive(pid), 20, "it is dead")
        assert status_of(port) == 200
    assert edge.process.output().count("was killed by signal 9") == 3


def test_L9_orders_that_cannot_be_meant_are_refused(shop):
    site = shop()
    first, second, third = site.places

    def refusal(*words):
        answer = site.node.run("origin", *words, check=False)
        assert answer.returncode
        return answer.stderr

    assert "there is no site 'shap'" in refusal("drain", "shap", first)
    assert "has no origin '192.0.2.1'" in refusal("drain", "shop", "192.0.2.1")
    assert "has several origins '127.0.0.1'" in refusal("drain", "shop", "127.0.0.1")
    assert "did you mean drain" in refusal("drian", "shop", first)
    assert "which origin" in refusal("drain", "shop")
    site.node.run("origin", "maintain", "shop", first)
    site.node.run("origin", "drain", "shop", f"http://{second}")
    assert "the last origin in service" in refusal("drain", "shop", third)
    assert {site.ask()[1]["origin"] for _ in range(10)} == {third}
    site.node.run("origin", "drain", "shop", third, "--force")
    wait_until(lambda: site.ask()[0] in (502, 503, 504), 20, "there is none")
    site.node.run("origin", "return", "shop", third)
    wait_until(lambda: site.ask()[0] == 200, 20, "there is one")
    shown = site.node.run("origin", "show").stdout
    assert "in maintenance" in shown and "drained" in shown and "in service" in shown


def test_L6_an_origin_of_errors_is_ejected(shop):
    site = shop("failure: {ejection: {time: 60s}}")
    assert {site.ask()[0] for _ in range(12)} == {200}
    site.tell(1, status=500)
    visitors = site.visit(rate=300, connections=10)
    wait_until(lambda: site.is_ejected(1), 20, "it is ejected")
    before = site.tell(1)
    count = site.tell(0)
    wait_until(lambda: site.tell(0) > count + 100, 20, "the others go on")
    assert site.tell(1) == before, "it gets nothing"
    result = finish(visitors)
    assert result["statuses"]["500"] <= 5 + 10, "what was under way when the fifth one failed, too"
    assert site.show()[site.places[1]]["servers"][0]["condition"] == "failures in a row"
    assert site.metric("causeway_gateway_ejections_total") == 1
    assert site.metric("causeway_gateway_origins_ejected") == 1
    gateway = site.status()
    assert gateway["origins_ejected"] == 1
    assert gateway["origins_out"] == [
        {"name": f"http://{site.places[1]}", "site": "shop", "state": "in service", "ejected": "failures in a row", "down": None}]
    # Off by a reload: it is back, and fails again.
    site.node.reload(site.text("failure: {ejection: {on: false}}"))
    site.node.wait_for_log(TAKEN)
    wait_until(lambda: site.ask()[0] == 500, 20, "it is used again")


def test_L7_a_type_that_fails_everywhere_is_refused_and_others_are_not(shop):
    site = shop("types: {rows: [{name: database, match: {path: /report*}}]}\n"
                "    failure: {breaker: {on: true, requests: 10, time: 2s, probes: 1}, ejection: {on: false}}")
    for number in range(3):
        site.tell(number, status=500)
    assert {site.ask("/report")[0] for _ in range(10)} == {500}
    for number in range(3):
        site.tell(number, status=200)
    assert site.ask("/report")[0] == 503
    assert site.ask("/page")[0] == 200, "another type"
    assert site.metric("causeway_gateway_circuits_opened_total") == 1
    wait_until(lambda: site.ask("/report")[0] == 200, 20, "a probe closes it again")
    assert {site.ask("/report")[0] for _ in range(5)} == {200}


def test_L3_an_origin_that_cannot_now_is_passed_over(shop):
    site = shop("failure: {ejection: {on: false}}")
    site.tell(0, status=503)
    visitors = site.visit(rate=200, connections=10)
    wait_until(lambda: site.tell(0) > 50, 20, "it is asked")
    expect_no_failure(finish(visitors))
    assert site.metric("causeway_gateway_retries_total") > 50
    # Where all say so, the client is told so; and it is not hidden where that is not wanted.
    for number in (1, 2):
        site.tell(number, status=503)
    assert site.ask()[0] == 503
    site.tell(1, status=200)
    site.tell(2, status=200)
    site.node.reload(site.text("failure: {ejection: {on: false}, retries: {answers: false}}"))
    site.node.wait_for_log(TAKEN)
    wait_until(lambda: site.ask()[0] == 503, 20, "its own answer")


def test_L6_a_slow_answer_is_asked_for_elsewhere(shop):
    site = shop("failure: {hedging: {on: true, samples: 50, share: 50}}")
    visitors = site.visit(rate=200, connections=10)
    wait_until(lambda: site.tell(0) > 100, 20, "something is known of the type")
    site.tell(0, ms=3000)
    wait_until(lambda: site.metric("causeway_gateway_hedges_won_total") > 5, 20, "second ones answer first")
    result = finish(visitors)
    expect_no_failure(result)
    assert site.metric("causeway_gateway_hedges_total") >= site.metric("causeway_gateway_hedges_won_total")
    assert result["origins"][site.places[1]] and result["origins"][site.places[2]]
