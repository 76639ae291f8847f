# SPDX-License-Identifier: Apache-2.0
"""What `causeway status` says first: what is wrong now and what to do about it, and what went wrong since the start."""
import http.server
import re
import threading
import time

import pytest
from lab import wait_until
from lab.network import run
from node import Node


class Origin(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def node(local_lab, causeway_program):
    local_lab.origin = local_lab.here().free_port("127.0.0.1")
    made = Node(local_lab, causeway_program, "capacity: {cpu: 0}")
    made.text_before = made.text
    made.text = lambda **words: made.text_before(**words).replace(
        'origins: ["http://127.0.0.1:1"]',
        f'origins: ["http://127.0.0.1:{local_lab.origin}"]\n    health: {{interval: 100ms, fast: 20ms}}')
    made.causeway.reload(made.text())
    made.causeway.wait_for_log("every process has taken the configuration")
    return made


def said(node, *words):
    return node.causeway.run("status", *words).stdout


def wait_until_said(node, pattern):
    wait_until(lambda: re.search(pattern, said(node, "--run-dir", node.run_dir), re.M), 20, pattern, every=0.1)


def test_L7_an_origin_that_is_down_is_told_with_its_cause(node):
    node.ask_edge()
    wait_until_said(node, r"^  ! origin http://127\.0\.0\.1:\d+ of site shop is down: connection refused\n"
                          r"      -> causeway origin show shop$")
    assert re.search(r"since the start\n +\d+ requests reached no origin \(causeway origin show\)", said(node))
    assert re.search(r"0 of \d+ connection refused$", node.causeway.run("origin", "show").stdout, re.M)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", node.lab.origin), Origin)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        wait_until_said(node, "^nothing is wrong now$")
    finally:
        server.shutdown()
        server.server_close()


def test_a_refused_reload_is_told_with_its_line(node):
    node.causeway.reload(node.text().replace("interval", "intervall"))
    refused = node.causeway.run("status", check=False)
    assert refused.returncode == 1 and "has mistakes: --run-dir DIR asks the running node without it" in refused.stderr
    wait_until_said(node, r"  ! the last reload was refused: .*yaml:\d+:\d+: unknown setting 'intervall' in .*did you mean 'interval'\?\n"
                          r"      -> causeway check")
    node.causeway.reload(node.text())
    wait_until(lambda: "was refused" not in said(node), 20, "the good one is taken", every=0.1)


def test_C_a_certificate_that_ends_soon_is_told(node):
    lab = node.lab
    key, certificate = lab.path("site.key"), lab.path("site.pem")
    for days, words in (("3", r"  ! the certificate of site shop expires in [23]\.\d days$"), ("90", None)):
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
            "-days", days, "-subj", "/CN=www.shop.example", "-addext", "subjectAltName=DNS:www.shop.example")
        lab.here().run("chmod", "600", key)
        tls = lab.here().free_port("127.0.0.1")
        node.causeway.reload(node.text().replace("edge: {listen", f'edge: {{tls: {{listen: ["127.0.0.1:{tls}"]}}, listen').replace(
            "    health:", f"    tls: {{certificates: [{{certificate: {certificate}, key: {key}}}]}}\n    health:"))
        if words:
            wait_until_said(node, words)
        else:
            wait_until(lambda: "expires in" not in said(node), 20, "the new one is served", every=0.1)
    ends = float(re.search(r"^causeway_edge_certificate_not_after_seconds (\S+)$", node.get("/metrics")[2], re.M)[1])
    assert 89 < (ends - time.time()) / 86400 < 91


def test_the_short_form_fits_a_screen_and_all_has_every_figure(node):
    short, everything = said(node), said(node, "--all")
    assert len(short.splitlines()) <= 24 and "--all shows every figure" in short
    for word in ("srtt_us", "p99_ms", "origins_out", "forsaken_sites"):
        assert word not in short and word in everything, word
