# SPDX-License-Identifier: Apache-2.0
"""`causeway link` and /links: a node that is its own gateway has a link to itself, seen from both ends."""
import json
import subprocess

import pytest
from lab import wait_until
from node import Node


@pytest.fixture
def node(local_lab, causeway_program):
    made = Node(local_lab, causeway_program)
    wait_until(lambda: all(link["heard_quality_ms"] for link in links(made)), timeout=20, what="quality both ways")
    return made


def links(node):
    return json.loads(node.get("/links")[2])["links"]


def verb(node, program, *words):
    return subprocess.run([program, "link", *words, "--run-dir", node.run_dir], capture_output=True, text=True, timeout=60)


def test_T8_links_tells_quality_both_ways_and_history(node):
    wait_until(lambda: len(links(node)[0]["history"]["seconds"]["rows"]) >= 3, timeout=20, what="three seconds of history")
    status, fields, _ = node.get("/links")
    assert status == 200 and fields["Content-Type"] == "application/json"
    edge, gateway = sorted(links(node), key=lambda link: link["end"])
    assert (edge["end"], gateway["end"], edge["state"], edge["peer"]) == ("edge", "gateway", "up", "all")
    for link, other in ((edge, gateway), (gateway, edge)):
        for name in ("loss_ppm_1s", "loss_ppm_10s", "srtt_us", "min_rtt_us", "rtt_variance_us", "queue_us", "delay_trend_us_per_s",
                     "delivery_bytes_per_s", "spare_window_bytes", "spurious", "hosted", "reconnects", "ecn"):
            assert name in link["out"] and name in link["in"], name
        assert link["in"]["min_rtt_us"] >= other["out"]["min_rtt_us"] > 0  # what it was told is not newer than what is
        assert link["out"]["ecn"] == link["in"]["ecn"] == "capable"  # loopback keeps the marks
        assert len(link["paths"]) == 1 and len(link["rings"]) == 5
        history = link["history"]
        assert history["columns"][:3] == ["age_s", "up_s", "reconnects"]
        rows = history["seconds"]["rows"]
        assert all(len(row) == len(history["columns"]) for row in rows)
        ages = [row[0] for row in rows]
        assert ages == sorted(ages, reverse=True) and ages[-1] <= 2


def test_T8_metrics_have_each_link_and_direction(node):
    body = node.get("/metrics")[2]
    for end in ("edge", "gateway"):
        for direction in ("out", "in"):
            assert f'causeway_link_rtt_microseconds{{peer="all",end="{end}",direction="{direction}"}}' in body


@pytest.mark.parametrize("host,expected", [("localhost", 200), ("evil.example", 403)])
def test_links_page_checks_the_host(node, host, expected):
    assert node.get("/links", host=host)[0] == expected


def test_the_verb_shows_all_and_one(node, causeway_program):
    done = verb(node, causeway_program)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "2 links, 0 of them with something wrong"
    heads = [line for line in lines if line.startswith("peer ")]
    rows = [line for line in lines if line.startswith("all ") and " up " in line]
    assert len(heads) == 1 and len(rows) == 2
    assert all(len(row) == len(heads[0]) for row in rows), "columns stand below their heads"
    done = verb(node, causeway_program, "all")
    assert done.returncode == 0 and done.stdout.startswith("link to all, our end the ")
    for word in ("nothing is wrong", "round trip, least", "delay grows", "spare window", "last hour, by minute", "ring ", "path "):
        assert word in done.stdout, word
    assert all(len(line) <= 132 for line in done.stdout.splitlines())
    everything = json.loads(verb(node, causeway_program, "--json").stdout)
    assert len(everything["links"]) == 2 and everything["links"][0]["history"]["tens"]["seconds"] == 10


def test_the_verb_names_what_is_near(node, causeway_program):
    done = verb(node, causeway_program, "al")
    assert done.returncode == 1 and done.stdout == ""
    assert "this node has no link to 'al'; did you mean 'all'?" in done.stderr


def test_a_trace_is_records_of_json(node, causeway_program, tmp_path):
    file = tmp_path / "link.qlog"
    tracing = subprocess.Popen([causeway_program, "link", "trace", "all", file, "--end", "edge", "--seconds", "3", "--run-dir", node.run_dir],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: file.exists() and "trace" in file.read_text() or tracing.poll() is not None, what="the trace has begun")
    for _ in range(20):
        node.ask_edge()
    out, errors = tracing.communicate(timeout=30)
    assert tracing.returncode == 0, errors
    records = [json.loads(record) for record in file.read_text().split("\x1e")[1:]]
    assert records[0]["trace"]["vantage_point"] == {"name": "all", "type": "client"}
    assert out.startswith(f"{len(records) - 1} records, ")
    events = records[1:]
    assert {"transport:packet_sent", "transport:packet_received", "recovery:packet_acked", "recovery:metrics_updated",
            "transport:stream_opened", "transport:stream_closed"} <= {event["name"] for event in events}
    times = [event["time"] for event in events]
    assert times == sorted(times)
    sent = [event["data"]["packet_number"] for event in events if event["name"] == "transport:packet_sent"]
    assert sent == list(range(sent[0], sent[0] + len(sent)))  # every packet is there, once
    done = verb(node, causeway_program, "trace", "all", file)
    assert done.returncode == 1 and "File exists" in done.stderr  # nothing is written over


@pytest.mark.parametrize("words,code,sentence", [
    (("trace", "al", "FILE"), 1, "this node has no link to 'al'; did you mean 'all'?"),
    (("trac", "all", "FILE"), 2, "did you mean 'trace'?"),
    (("trace", "all", "FILE", "--seconds", "soon"), 2, "--seconds is a whole number from 1 to 3600, not 'soon'"),
    (("trace", "all", "no/such/folder"), 1, "No such file or directory"),
])
def test_a_trace_that_cannot_be_is_refused(node, causeway_program, tmp_path, words, code, sentence):
    done = verb(node, causeway_program, *(str(tmp_path / word) if word == "FILE" else word for word in words))
    assert done.returncode == code and sentence in done.stderr
    assert not (tmp_path / "FILE").exists()


def test_a_live_link_is_measured_both_ways(node, causeway_program):
    done = verb(node, causeway_program, "test", "all", "--end", "edge", "--seconds", "1", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    for way in ("up", "down"):
        report = result[way]
        assert report["bytes"] > 1000000 and report["duration_us"] > 300000
        assert 0 < report["half_width_bytes_per_s"] < report["bytes_per_s"]
    assert result["packets"] > 100 and result["rtt_most_us"] >= result["rtt_mean_us"] > 0
    done = verb(node, causeway_program, "test", "all", "--end", "edge", "--seconds", "1")
    assert done.returncode == 0 and done.stdout.count(" Mbit/s  +/- ") == 2 and "loss to it" in done.stdout
    link = next(link for link in links(node) if link["end"] == "edge")
    # The first ring has what gateways and edges tell each other of queues.
    assert link["rings"][4]["sent_bytes"] > 1000000 and link["rings"][0]["sent_bytes"] < 100000


def test_one_measurement_at_a_time(node, causeway_program):
    both = [subprocess.Popen([causeway_program, "link", "test", "all", "--end", "edge", "--seconds", "2", "--run-dir", node.run_dir],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [one.communicate(timeout=30)[1] for one in both]
    assert sorted(one.returncode for one in both) == [0, 1]
    assert "this link is being measured already" in "".join(errors)


def test_a_peer_may_forbid_measurements(local_lab, causeway_program):
    made = Node(local_lab, causeway_program)
    made.causeway.reload(made.text() + "link: {test: false}\n")
    wait_until(lambda: links(made)[0]["state"] == "up", what="the link is up")
    done = verb(made, causeway_program, "test", "all", "--seconds", "1")
    assert done.returncode == 1 and "the peer does not allow it (link.test)" in done.stderr
