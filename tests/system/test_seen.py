# SPDX-License-Identifier: Apache-2.0
"""What people see of a request: its legs in the access log and in Server-Timing, the rules that decided, its trace (W3C)."""
import json
import re

import pytest
from lab.process import wait_until
from road import Road

TRACE = "12345678901234567890123456789012"
PARENT = f"00-{TRACE}-1234567890123456-01"
SITE = """cache: {on: true}
    trace: pass
    rules:
      - match: {path: /status/404}
        response: {set: {X-Rule: "1"}}
      - match: {path: [/slow, /bytes/*, /hang]}
        server_timing: true
        cache: {ttl: 1h}
      - match: {path: /no}
        block: 403
"""


@pytest.fixture
def road(lab, causeway_program, version):
    made = Road(lab, causeway_program, version, wan={"rate": "0", "rtt": "20ms", "queue": "100ms"})
    process = lab.start("origin", ["/usr/bin/python3", __file__.replace("test_seen", "origin"), f"{made.origin_at}:8080" if version == 4
                                   else f"[{made.origin_at}]:8080"], made.origin)
    process.wait_for_output("^ready$")
    return made.start(site=SITE)


def line_of(road, target, member="target"):
    """The last line of the access log for that target."""
    def find():
        with open(road.lab.path("access.log"), encoding="utf-8") as log:
            lines = [json.loads(line) for line in log if line.endswith("\n")]
        found = [line for line in lines if line.get(member) == target]
        return found[-1] if found else None
    wait_until(lambda: find() is not None, 10, f"a line for {target}")
    return find()


def fields_of(answer):
    lines = re.split(r"\r?\n\r?\n", answer)[0].splitlines()[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def test_S8_legs_are_told_apart(road):
    fields = fields_of(road.curl("/slow?ms=150", "-i").stdout)
    told = fields["server-timing"]
    durations = {entry.split(";")[0].strip(): float(entry.split("dur=")[1].split(";")[0]) for entry in told.split(",") if "dur=" in entry}
    assert {"head", "edge", "upstream", "link", "queue", "connect", "origin"} == set(durations), told
    assert durations["upstream"] >= durations["origin"] + 18 and 145 <= durations["origin"] and durations["link"] > 15
    assert 'cache;desc="fwd=miss;stored' in told
    line = line_of(road, fields["x-request-id"], "id")
    assert line["cache"].startswith("fwd=miss;stored") and line["gateway"] == "gateway" and "client_body_us" not in line
    assert line["origin_first_byte_us"] >= 145000
    assert line["upstream_us"] >= line["origin_first_byte_us"] + line["queue_us"] + line["connect_us"] + 18000
    assert line["first_byte_seconds"] * 1e6 + 2 >= line["client_head_us"] + line["edge_us"] + line["upstream_us"] - 2
    assert line["link_rtt_us"] > 15000
    # From the store there is no way to the origin.
    fields = fields_of(road.curl("/slow?ms=150", "-i").stdout)
    assert "upstream" not in fields["server-timing"] and 'cache;desc="hit;ttl=' in fields["server-timing"]
    line = line_of(road, fields["x-request-id"], "id")
    assert line["cache"].startswith("hit;ttl=") and not {"upstream_us", "origin_us", "link_rtt_us", "gateway"} & set(line)
    # A body, and no wish for Server-Timing.
    assert "server-timing" not in fields_of(road.curl("/echo", "-i", "--data-binary", "x" * 100000).stdout)
    line = line_of(road, "/echo")
    assert line["client_body_us"] >= 0 and line["cache"] == "fwd=method"
    assert line["origin_us"] >= line["origin_first_byte_us"]  # not fetched for others too: its end is known


def test_S8_the_rules_that_decided_stand_in_the_log(road):
    snapshot = road.nodes["edge"].status()["configuration"]["hash"][:8]
    for path, code, decision in (("/", 200, snapshot), ("/status/404", 404, f"{snapshot}.1"), ("/no", 403, f"{snapshot}.3")):
        assert road.code(path) == code
        assert line_of(road, path)["decision"] == decision
    assert "edge_us" in line_of(road, "/no") and "gateway" not in line_of(road, "/no")


def test_a_trace_goes_through_as_it_came(road):
    given = ["-H", f"traceparent: {PARENT}", "-H", "tracestate: a=1,b@c=2", "-H", "tracestate: d=3"]
    for path in ("/echo", "/echo?stored"):
        seen = road.seen(path, *given)
        assert seen["by_name"]["traceparent"] == PARENT
        assert [value for name, value in seen["fields"] if name.lower() == "tracestate"] == ["a=1,b@c=2", "d=3"]
        assert line_of(road, path)["trace"] == TRACE
    # HTTP/2 likewise.
    seen = json.loads(road.curl("/echo?h2", "--http2-prior-knowledge", *given).stdout)
    assert ["traceparent", PARENT] in [[name.lower(), value] for name, value in seen["fields"]]
    # What is malformed is not passed on, and its state neither.
    bad = road.seen("/echo?bad", "-H", f"traceparent: {PARENT.upper()}".replace("TRACEPARENT", "traceparent") + "F", "-H", "tracestate: a=1")
    assert not {"traceparent", "tracestate"} & set(bad["by_name"]) and "trace" not in line_of(road, "/echo?bad")
    assert "traceparent" not in road.seen("/echo?none")["by_name"]
    # A trace begins here where the site wants it, and one of so many is sampled.
    node = road.nodes["edge"]
    text = open(node.file, encoding="utf-8").read()
    node.reload(text.replace("trace: pass", "trace: start\n    trace_every: 1"))
    wait_until(lambda: "traceparent" in road.seen("/echo?now")["by_name"], 10, "edges begin traces")
    begun = road.seen("/echo?begun", "-H", "tracestate: a=1")["by_name"]
    found = re.fullmatch(r"00-([0-9a-f]{32})-[0-9a-f]{16}-01", begun["traceparent"])
    assert found and line_of(road, "/echo?begun")["trace"] == found[1] and "tracestate" not in begun
    assert road.seen("/echo?kept", *given)["by_name"]["traceparent"] == PARENT
    node.reload(text.replace("trace: pass", "trace: drop"))
    wait_until(lambda: "traceparent" not in road.seen("/echo?then", *given)["by_name"], 10, "traces are taken out")
    assert "tracestate" not in road.seen("/echo?then2", *given)["by_name"]
    traces = road.part("traces", "edge")
    assert traces["passed"] == 4 and traces["malformed"] == 2 and traces["started"] >= 2 and traces["dropped"] >= 2, traces
