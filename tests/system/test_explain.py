# SPDX-License-Identifier: Apache-2.0
"""Every answer can be explained, and asked what it would be if (R6): `causeway explain` beside dig."""
import json
import re

import pytest

from lab import wait_until
from test_dns import ADDRESSES, EDGES, Network


@pytest.fixture
def network(local_lab, causeway_program):
    return Network(local_lab, causeway_program, reports=False)


def explain(network, *words, client="127.0.1.1", check=True):
    result = network.node.run("explain", "www.shop.example", "--client", client, *words, "--json", check=check)
    return json.loads(result.stdout)


def edges_of(addresses):
    return [name for address in addresses for name in EDGES if ADDRESSES[name][0] == address]


@pytest.mark.parametrize("client,region", [("127.0.1.1", "europe"), ("127.0.2.1", "asia")])
def test_R6_the_explanation_is_the_answer(network, client, region):
    told = explain(network, client=client)
    assert told["answered"] == edges_of(network.addresses(client)) and len(told["answered"]) == 2
    assert told["region"] == region and told["network"] == client.rpartition(".")[0] + ".0/24" and told["ttl_s"] == 20
    assert [candidate["edge"] for candidate in told["candidates"]][:2] == told["answered"]
    assert {candidate["edge"] for candidate in told["candidates"]} == set(EDGES)
    assert [candidate["fate"] for candidate in told["candidates"]] == ["answered", "answered", "behind"]
    for candidate in told["candidates"]:
        latency = candidate["values"]["latency"]
        assert latency["from"] in ("map", "learned") and latency["penalty_ms"] >= 0 and candidate["state"] == "up"
    near = [candidate for candidate in told["candidates"] if (candidate["edge"] == "nrt") == (region == "asia")]
    far = [candidate for candidate in told["candidates"] if candidate not in near]
    assert max(c["score"] for c in near) < min(c["score"] for c in far)


def test_R6_what_if_answers_and_changes_nothing(network):
    before = network.addresses()
    first, second = explain(network)["answered"]
    told = explain(network, "--what-if", f"edge={first}:down")
    assert told["answered"] == [second, "nrt"]
    assert next(c for c in told["candidates"] if c["edge"] == first)["fate"] == "down"
    told = explain(network, "--what-if", f"edge={first}:dead,edge={second}:load=1000")
    assert told["answered"][0] == "nrt"
    told = explain(network, "--policy", "filter distance > 10 | sum latency")  # the far ones alone
    assert told["policy"] == "filter distance > 10 | sum latency" and told["answered"][0] == "nrt"
    assert {c["fate"] for c in told["candidates"] if c["edge"] != "nrt"} <= {"filtered", "answered"}
    assert network.addresses() == before and explain(network)["answered"] == [first, second]
    # What was supposed is what happens.
    network.node.run("edge", "down", first)
    wait_until(lambda: edges_of(network.addresses()) == [second, "nrt"], what="the answer that was foretold", every=0.1)


def test_R6_people_can_read_it(network):
    text = network.node.run("explain", "alias.shop.example", "--client", "127.0.1.1", check=False)
    assert text.returncode == 1 and "alias.shop.example is no host of a site" in text.stderr
    text = network.node.run("explain", "WWW.shop.example", "--client", "127.0.1.1").stdout
    assert re.search(r"^WWW\.shop\.example for 127\.0\.1\.1: (fra, par|par, fra)$", text, re.M)
    assert "for 20 s" in text.replace("for       20 s", "for 20 s") and "region    europe" in text and re.search(r"^ +3 nrt +behind", text, re.M)
    for words, complaint in ((("--what-if", "edge=nowhere:down"), "there is no edge 'nowhere'"), (("--what-if", "edge=fra:asleep"), "'asleep': of an edge"),
                             (("--what-if", "fra"), "can be supposed"), (("--policy", "sum latenzy"), "latenzy"), ((), None)):
        result = network.node.run("explain", "www.shop.example", *words, *(["--client", "127.0.1.1"] if complaint else []), check=False)
        assert result.returncode == (1 if complaint else 2) and (complaint or "whose answer? --client ADDRESS") in result.stderr, words


def test_R11_a_replay_tells_what_would_have_changed(local_lab, causeway_program):
    log = local_lab.path("decisions.log")

    class Logged(Network):
        def config(self, *words, **more):
            return super().config(*words, **more).replace("      timeouts:", f"      decisions: {{path: {log}, every: 1}}\n      timeouts:")

    network = Logged(local_lab, causeway_program, reports=False)
    clients = ["127.0.1.1"] * 3 + ["127.0.2.1"] * 2
    answers = [edges_of(network.addresses(client)) for client in clients]
    lines = wait_until(lambda: (found := open(log, encoding="utf-8").read().splitlines()) and len(found) == 5 and found, what="five decisions", every=0.1)
    for line, client, answer in zip(map(json.loads, lines), clients, answers):
        assert (line["name"], line["client"]) == ("www.shop.example", client) and edges_of(line["answered"]) == answer
    node, first = network.node, answers[0][0]
    told = json.loads(node.run("replay", log, "--what-if", f"edge={first}:down", "--json").stdout)
    assert (told["queries"], told["different"], told["first_changed"], told["unknown"]) == (5, 2, 3, 0)
    assert told["moves"] == {f"{first} -> {answers[0][1]}": 3}
    told = json.loads(node.run("replay", log, "--policy", "sum latency", "--json").stdout)
    assert told["queries"] == 5 and told["first_changed"] in (0, 3)
    with open(log, "a", encoding="utf-8") as file:
        file.write('nonsense\n{"name": "nowhere.example", "client": "127.0.1.1"}\n')
    text = node.run("replay", log, "--what-if", "edge=nrt:down").stdout
    assert "5 queries, 3 different; 1 lines that are none, 1 for names unknown here" in text and "another first edge  2 (40.0 %)" in text
    for words, complaint in (((log,), "what is supposed?"), (("/nonexistent", "--policy", "sum latency"), "/nonexistent: No such file"),
                             ((log, "--policy", "sum latenzy"), "latenzy")):
        result = node.run("replay", *words, check=False)
        assert result.returncode and complaint in result.stderr
