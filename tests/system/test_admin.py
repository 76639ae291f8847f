# SPDX-License-Identifier: Apache-2.0
"""The admin listener and the control socket: what they show, and to whom."""
import json
import os
import re
import signal
import socket
import stat
import time

import pytest
from lab import wait_until
from node import CHILDREN, Node


@pytest.fixture
def node(local_lab, causeway_program):
    made = Node(local_lab, causeway_program)
    wait_until(lambda: made.status()["ready"])
    return made


SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*"(?:,[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*")*\})?'
                    r' (-?[0-9.]+(?:e[+-]?[0-9]+)?|\+Inf|NaN)')


def parse_metrics(text):
    """Checks the exposition format's rules; returns {sample: value}."""
    types, helped, samples, last = {}, set(), {}, None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in helped, f"HELP twice: {name}"
            helped.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"TYPE twice: {name}"
            types[name] = kind
            last = name
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            name, labels, value = found.groups()
            base = name if name in types else re.sub(r"_(bucket|sum|count)$", "", name)
            assert base == last, f"{name} does not stand below its TYPE"
            if types[base] == "counter":
                assert name.endswith("_total"), name
            assert name + (labels or "") not in samples, line
            samples[name + (labels or "")] = float(value)
    assert helped == set(types)
    return samples


def test_metrics_follow_the_exposition_format(node):
    status, fields, body = node.get("/metrics")
    assert status == 200
    assert fields["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    before = parse_metrics(body)
    assert before["causeway_children_silent"] == 0
    node.ask_edge()
    after = parse_metrics(node.get("/metrics")[2])
    assert after["causeway_edge_requests_total"] == before["causeway_edge_requests_total"] + 1
    assert any(name.startswith("causeway_dns_") for name in after)  # of another process
    assert all(after[f'causeway_child_ready{{child="{name}"}}'] == 1 for name in CHILDREN)
    assert after["causeway_log_lines_dropped_total"] == 0


def test_metrics_count_deaths_and_reloads(node):
    node.causeway.reload(node.text() + "nodez: {}\n")
    node.causeway.wait_for_log("reload failed")
    os.kill(node.pids()["front"], signal.SIGKILL)
    wait_until(lambda: node.child("front")["respawns"] == 1 and node.child("front")["state"] == "ready")
    metrics = parse_metrics(node.get("/metrics")[2])
    assert metrics['causeway_child_respawns_total{child="front"}'] == 1
    assert metrics['causeway_child_respawns_total{child="dns"}'] == 0
    assert metrics['causeway_configuration_reloads_total{result="refused"}'] == 1
    assert metrics['causeway_configuration_reloads_total{result="good"}'] == 0
    assert abs(metrics["causeway_configuration_loaded_seconds"] - time.time()) < 60


def test_status_tells_of_all_processes(node):
    status = node.status()
    assert status["node"] == "all" and status["ready"] is True and status["missing"] == []
    assert re.fullmatch(r"[0-9a-f]{16}", status["configuration"]["hash"])
    assert [child["name"] for child in status["children"]] == list(CHILDREN)
    assert {child["name"]: child["pid"] for child in status["children"]} == node.pids()
    assert all(child["state"] == "ready" and child["respawns"] == 0 for child in status["children"])
    assert set(status["roles"]) >= {"front", "dns"}
    assert json.loads(node.causeway.run("status", "--json").stdout)["node"] == "all"
    readable = node.causeway.run("status").stdout
    assert "node all" in readable and "front" in readable


def test_readyz_says_why_not(node):
    assert node.get("/readyz")[0] == 200
    for _ in range(2):
        os.kill(node.pids()["dns"], signal.SIGKILL)
        answer = wait_until(lambda: (answer := node.get("/readyz"))[0] == 503 and answer)
        reasons = json.loads(answer[2])["reasons"]
        assert len(reasons) == 1 and reasons[0] in ("dns is waiting", "dns is starting")
        wait_until(lambda: node.get("/readyz")[0] == 200)


def test_a_child_that_does_not_answer_is_named(node):
    pid = node.pids()["dns"]
    os.kill(pid, signal.SIGSTOP)
    try:
        assert node.get("/readyz")[0] == 200  # it was well a moment ago
        status = node.status()
        assert status["missing"] == ["dns"] and "front" in status["roles"] and "dns" not in status["roles"]
        assert parse_metrics(node.get("/metrics")[2])["causeway_children_silent"] == 1
    finally:
        os.kill(pid, signal.SIGCONT)
    assert node.status()["missing"] == []


@pytest.mark.parametrize("host, expected", [
    ("localhost", 200), ("LOCALHOST:1", 200), ("127.0.0.1", 200), ("127.0.0.2", 403), ("rebound.example", 403),
    ("localhost.rebound.example", 403), ("[::1]", 403), ("127.0.0.1.rebound.example", 403)])
def test_only_own_hosts_are_answered(node, host, expected):
    for path in ("/status", "/metrics", "/readyz"):
        assert node.get(path, host=host)[0] == expected


def test_configured_hosts_are_answered(local_lab, causeway_program):
    node = Node(local_lab, causeway_program, host="::1")
    assert node.get("/readyz", host=f"[::1]:{node.admin}")[0] in (200, 503)
    assert node.get("/status", host="metrics.shop.example")[0] == 403
    node.causeway.reload(node.text().replace("admin: {", "admin: {hosts: [metrics.shop.example], "))
    wait_until(lambda: node.get("/status", host="metrics.shop.example")[0] == 200)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_only_reads(node, method):
    status, fields, _ = node.get("/status", method=method)
    assert status == 405 and fields["Allow"] == "GET, HEAD"


def test_head_has_no_body_and_unknown_paths_are_404(node):
    status, fields, body = node.get("/status", method="HEAD")
    assert status == 200 and body == "" and int(fields["Content-Length"]) > 0
    assert node.get("/")[0] == 404
    assert node.get("/status/../metrics")[0] == 404
    assert node.get("/status?pretty")[0] == 200


@pytest.mark.parametrize("request_bytes, expected", [
    (b"GET /status HTTP/1.1\r\n\r\n", b"400"),
    (b"GET /status HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", b"400"),
    (b"GET /status HTTP/1.1\nHost: localhost\n\n", b"400"),
    (b"GET /status HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100000, b"431"),
    (b"GET /" + b"x" * 100000, b"414"),
    (b"\x00\x01\x02\r\n\r\n", b"400"),
], ids=["no Host", "two Hosts", "bare LF", "long head", "long line", "no HTTP"])
def test_malformed_requests_are_refused(node, request_bytes, expected):
    with socket.create_connection((node.host, node.admin), timeout=10) as connection:
        try:
            connection.sendall(request_bytes)
            answer = connection.recv(65536)
        except ConnectionResetError:
            answer = b""  # it closed while we were still sending
        assert answer == b"" or answer.split(b" ")[1] == expected
    assert node.get("/status")[0] == 200


def test_the_control_socket_is_its_owners_alone(node):
    path = os.path.join(node.run_dir, "control.sock")
    status = os.stat(path)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_uid == os.geteuid()


def talk(node, line):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.settimeout(10)
        control.connect(os.path.join(node.run_dir, "control.sock"))
        control.sendall(line)
        answer = b""
        while got := control.recv(65536):
            answer += got
        return json.loads(answer) if answer else None


def test_the_control_socket_speaks_lines_of_json(node):
    assert talk(node, b'{"verb": "status"}\n')["node"] == "all"
    assert talk(node, b'{"verb": "no such"}\n') == {"answers": [], "missing": []}
    for line in (b"{}\n", b"[]\n", b"nonsense\n", b'{"verb": 1}\n'):
        assert "error" in talk(node, line)
    with pytest.raises(ConnectionError):  # it says so and closes, whatever is still on its way
        for _ in range(2):
            talk(node, b"x" * 200000)
    assert node.get("/status")[0] == 200


def test_R8_an_edge_is_taken_out_and_back_in(node):
    def states():
        roles = node.status()["roles"]
        return roles["front"]["edge"]["admin"], roles["dns"]["edges"][0]["admin"]

    for action in ("drain", "down", "up"):
        result = node.causeway.run("edge", action, "all")
        assert result.stdout.count("\n") == 2
        assert states() == (action, action)
    unknown = node.causeway.run("edge", "down", "nowhere", check=False)
    assert unknown.returncode == 1 and "knows no edge 'nowhere'" in unknown.stderr
    misspelt = node.causeway.run("edge", "dwon", "all", check=False)
    assert misspelt.returncode == 2 and "did you mean down" in misspelt.stderr


def test_verbs_say_when_no_node_runs(node):
    node.causeway.stop()
    result = node.causeway.run("status", check=False)
    assert result.returncode == 1 and "is the node running?" in result.stderr
