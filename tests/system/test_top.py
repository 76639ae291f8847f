# SPDX-License-Identifier: Apache-2.0
"""causeway top: what it shows, and what it does to a terminal."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from lab.causeway import Causeway
from lab.process import wait_until
from lab.servers import start_nginx


@pytest.fixture
def node(lab, causeway_program):
    here = lab.here()
    origin, port = here.free_port(), here.free_port()
    start_nginx(lab, here, [("127.0.0.1", origin)], server='location /bad { return 500; } location / { return 200 "0123456789"; }')
    node = Causeway(lab, causeway_program, f'''
nodes:
  one: {{run_dir: {lab.path("run")}, user: root, workers: 2, admin: off, edge: {{listen: ["127.0.0.1:{port}"]}},
        gateway: {{allow_local: true, allow: [{{edges: [one], sites: [shop]}}]}}}}
sites:
  shop: {{hosts: [shop.example], origins: ["http://127.0.0.1:{origin}"]}}
''')
    node.port = port
    wait_until(lambda: visit(node, "/") == "200", 10, "the site answers")
    wait_until(lambda: node.status()["ready"], 10, "the node says so")
    return node


def visit(node, path):
    return node.namespace.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: shop.example",
                              f"http://127.0.0.1:{node.port}{path}", check=False).stdout


def number(word):
    return float(word[:-1]) * {"k": 1e3, "M": 1e6}[word[-1]] if word[-1].isalpha() else float(word)


def test_L10_top_shows_sites_and_links_without_a_terminal(node):
    for path in ("/", "/", "/bad"):
        visit(node, path)
    first = node.run("top").stdout
    assert "node one, causeway" in first and ", ready" in first and "gateway " in first and "one              edge     up" in first
    watcher = subprocess.Popen([node.program, "top", "-c", node.file, "--times", "2", "-i", "2"], stdout=subprocess.PIPE, text=True)
    while watcher.poll() is None:
        visit(node, "/bad?[1-50]")  # so many requests of one curl: the rate does not go by how quickly processes start
    out = watcher.communicate(timeout=20)[0]
    queue = [line.split() for line in first.split("queue of")[-1].splitlines() if line.startswith("shop ")][0]
    assert len(queue) == 7 and queue[1] == "0" and queue[3] == "1.0k", "nobody waits for one of 1024 slots"
    pages = [[line.split() for line in page.splitlines() if line.startswith("shop ")][-1] for page in out.split("queue of")[:-1]]
    line = max(pages, key=lambda line: number(line[1]))  # the page within which they came
    assert number(line[1]) > 1 and line[2] == "0.0" and number(line[3]) > 1 and float(line[5]) > 0  # requests and errors each second, hits, p99
    for words, complaint in ((("--interval", "0"), "--interval"), (("--times", "x"), "--times")):
        refused = node.run("top", *words, check=False)
        assert refused.returncode == 1 and complaint in refused.stderr


class Terminal:
    def __init__(self, node, rows, columns):
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.process = subprocess.Popen([node.program, "top", "-c", node.file, "-i", "1"], stdin=theirs, stdout=theirs, stderr=theirs,
                                        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.seen = b""

    def read_until(self, what, timeout=20):
        end = time.monotonic() + timeout
        while what not in self.seen:
            assert time.monotonic() < end, (what, self.seen[-2000:])
            if select.select([self.ours], [], [], 0.2)[0]:
                self.seen += os.read(self.ours, 65536)

    def end(self):
        self.process.wait(timeout=10)
        self.read_until(b"\x1b[?1049l")
        settings = termios.tcgetattr(self.theirs)
        os.close(self.ours)
        os.close(self.theirs)
        assert settings == self.before and self.seen.endswith(b"\x1b[?25h\x1b[?1049l")
        return self.process.returncode


def test_L10_top_gives_the_terminal_back(node):
    for leave in (lambda t: os.write(t.ours, b"q"), lambda t: t.process.send_signal(signal.SIGTERM), lambda t: os.write(t.ours, b"\x03")):
        terminal = Terminal(node, 24, 80)
        terminal.read_until(b"site, by req/s")
        os.write(terminal.ours, b"e")
        terminal.read_until(b"site, by errors")
        screen = terminal.seen.rsplit(b"\x1b[H", 1)[-1]
        assert all(len(line) <= 80 + len(b"\x1b[K\r") for line in screen.split(b"\n")[:-1])
        leave(terminal)
        assert terminal.end() == 0


def test_L10_top_ends_when_the_node_does(node):
    terminal = Terminal(node, 10, 60)
    terminal.read_until(b"[q]uit")
    node.stop()
    assert terminal.process.wait(timeout=15) == 1
    terminal.read_until(b"control.sock")
