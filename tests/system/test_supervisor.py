# SPDX-License-Identifier: Apache-2.0
"""The processes of a node: deaths, reloads, signals, privileges, the service manager's protocol."""
import os
import pathlib
import re
import signal
import socket
import threading
import time

import pytest
from lab import wait_until
from lab.causeway import Causeway, descendants, is_alive
from node import CHILDREN, Node, is_gone


@pytest.fixture
def node(local_lab, causeway_program):
    return Node(local_lab, causeway_program)


class Knocking:
    """Connects to a port over and over in a thread; what was refused is in .refused."""

    def __init__(self, host, port):
        self.address, self.connected, self.refused = (host, port), 0, []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._is_over.is_set():
            try:
                socket.create_connection(self.address, timeout=5).close()
                self.connected += 1
            except OSError as error:
                self.refused.append(error)
            time.sleep(0.002)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()


def test_a_killed_child_comes_back_and_no_connection_is_refused(local_lab, causeway_program, version):
    node = Node(local_lab, causeway_program, host="127.0.0.1" if version == 4 else "::1")
    before = node.pids()
    assert set(before) == set(CHILDREN)
    with Knocking(node.host, node.http) as knocking:
        wait_until(lambda: knocking.connected > 20)
        for killed in range(3):
            pid = node.pids()["front"]
            os.kill(pid, signal.SIGKILL)
            assert node.ask_edge() >= 500  # waits in the queue for the successor
            wait_until(lambda: node.child("front")["state"] == "ready" and node.pids().get("front") != pid)
        seen = knocking.connected
        wait_until(lambda: knocking.connected > seen + 20)
    assert not knocking.refused
    child = node.child("front")
    assert child["respawns"] == 3
    assert "signal 9" in child["last_end"]
    assert {name: pid for name, pid in node.pids().items() if name != "front"} == \
        {name: pid for name, pid in before.items() if name != "front"}
    assert re.search(r"front \(pid \d+\) was killed by signal 9 \(Killed\); it is started again in 100 ms",
                     node.causeway.process.output())


def test_backoff_grows_with_each_early_death(node):
    for _ in range(3):
        pid = wait_until(lambda: node.pids().get("dns"))
        wait_until(lambda: node.child("dns")["state"] == "ready")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: is_gone(pid))
    wait_until(lambda: node.child("dns")["state"] == "ready")
    assert re.findall(r"dns .* again in (\d+) ms", node.causeway.process.output()) == ["100", "200", "400"]


def test_a_broken_file_keeps_the_old_configuration(node):
    before = node.status()["configuration"]
    node.causeway.reload(node.text() + "nodez: {}\n")
    node.causeway.wait_for_log(r"reload failed: the old configuration stays")
    assert re.search(r"error supervisor supervisor: .*\.yaml:\d+:\d+: .*nodez", node.causeway.process.output())
    after = node.status()["configuration"]
    assert after["hash"] == before["hash"]
    assert "nodez" in after["last_error"]
    assert node.ask_edge() >= 500

    node.causeway.reload(node.text() + "# better\n")
    node.causeway.wait_for_log(r"reloaded hash=")
    wait_until(lambda: node.status()["configuration"]["hash"] != before["hash"])
    assert node.status()["configuration"]["last_error"] is None
    wait_until(lambda: node.status()["ready"])


def test_a_reload_adds_and_removes_listeners(node):
    pids = node.pids()
    another = node.lab.here().free_port()
    with Knocking(node.host, node.http) as knocking:
        node.causeway.reload(node.text(http=[node.http, another]))
        node.causeway.wait_for_log(r"reloaded hash=")
        assert wait_until(lambda: node.ask_edge(another)) >= 500
        seen = knocking.connected
        wait_until(lambda: knocking.connected > seen + 20)
    assert not knocking.refused
    assert node.pids() == pids  # nobody was started anew

    node.causeway.reload(node.text(http=[another]))

    def is_refused():
        try:
            socket.create_connection((node.host, node.http), timeout=5).close()
        except ConnectionRefusedError:
            return True
        return False

    wait_until(is_refused)
    assert node.ask_edge(another) >= 500


def test_a_listener_that_cannot_be_opened_keeps_the_old_configuration(node):
    before = node.status()["configuration"]["hash"]
    with socket.create_server((node.host, 0)) as taken:
        port = taken.getsockname()[1]
        node.causeway.reload(node.text(http=[node.http, port]))
        node.causeway.wait_for_log(rf"cannot listen on http {node.host}:{port}: Address already in use")
    assert node.status()["configuration"]["hash"] == before
    assert node.ask_edge() >= 500


def test_a_reload_may_add_and_take_away_a_role(node):
    without_dns = re.sub(r"    dns: .*\n", "", re.sub(r"(?s)zones:.*", "", node.text()))
    front = node.pids()["front"]
    node.causeway.reload(without_dns)
    wait_until(lambda: "dns" not in node.pids())
    node.causeway.reload(node.text())
    wait_until(lambda: "dns" in node.pids() and node.status()["ready"])
    assert node.pids()["front"] == front


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_and_leaves_nothing(node, number):
    children = descendants(node.pid)
    assert len(children) == 3
    node.causeway.process.signal(number)
    assert node.causeway.process.wait() == 0
    assert all(is_gone(pid) for pid in children)
    assert os.listdir(node.run_dir) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((node.host, node.http))


def test_children_die_with_a_killed_supervisor(node):
    children = descendants(node.pid)
    os.kill(node.pid, signal.SIGKILL)
    node.causeway.process.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in children))
    node.causeway.start()  # over the control socket that was left behind
    wait_until(lambda: node.status()["ready"])


def test_a_second_instance_is_refused(node, causeway_program):
    assert node.causeway.run("run", check=False).returncode == 1
    result = node.causeway.run("run", check=False)
    assert "another instance answers at" in result.stderr
    wait_until(lambda: node.status()["ready"])


def test_a_second_instance_on_the_same_ports_is_refused(node, local_lab, causeway_program):
    other = local_lab.write("other.yaml", node.text().replace(node.run_dir, local_lab.path("run2")))
    result = local_lab.here().run(causeway_program, "run", "-c", other, check=False)
    assert result.returncode == 1
    assert f"cannot listen on http {node.host}:{node.http}: Address already in use" in result.stderr


@pytest.mark.needs_root
def test_children_have_no_privileges(local_lab, causeway_program):
    node = Node(local_lab, causeway_program, settings="user: nobody")
    for name, pid in node.pids().items():
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                      if ":\t" in line)
        nobody = ["65534"] * 4
        assert status["Uid"].split() == nobody, name
        assert status["Gid"].split() == nobody, name
        assert status["Groups"].split() == [], name
        assert status["NoNewPrivs"] == "1", name
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0, name
        descriptors = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        files = [path for path in descriptors if path.startswith("/") and not path.startswith(("/memfd", "/dev/null"))]
        kernel = ["/proc/stat", "/proc/meminfo", f"/proc/{pid}/net/snmp"] if name == "front" else []  # for the load
        assert set(files) <= {node.causeway.process.log_path, *kernel}, name
    wait_until(lambda: node.status()["ready"])


@pytest.mark.needs_root
def test_listeners_keep_the_buffers_that_root_gave_them(local_lab, causeway_program):
    node = Node(local_lab, causeway_program, settings="user: nobody")
    wait_until(lambda: node.status()["ready"])
    sockets = local_lab.here().run("ss", "-Huanm", f"sport = :{node.link}").stdout
    buffers = re.findall(r"skmem:\(r\d+,rb(\d+),t\d+,tb(\d+)", sockets)
    assert buffers and set(buffers) == {(str(2 * (8 << 20)),) * 2}, sockets  # the kernel doubles link.socket_buffer
    warnings = re.findall(r"UDP buffers are .*", node.causeway.process.output())
    assert len(warnings) <= 1
    assert "root" not in "".join(warnings)


def test_logs_are_reopened_after_rotation(local_lab, causeway_program):
    log, access = local_lab.path("node.txt"), local_lab.path("access.txt")
    node = Node(local_lab, causeway_program, settings=f"log: {{path: {log}, level: info}}")
    text = node.text().replace("edge: {", f"edge: {{access_log: {{path: {access}}}, ")
    node.causeway.reload(text)
    wait_until(lambda: os.path.exists(log) and "reloaded" in pathlib.Path(log).read_text())
    os.rename(log, log + ".1")
    node.causeway.process.signal(signal.SIGUSR1)
    wait_until(lambda: os.path.exists(log))

    def is_in_use():
        """The file is there a moment before anything goes into it."""
        node.causeway.process.signal(signal.SIGHUP)
        return "reloaded" in pathlib.Path(log).read_text()
    wait_until(is_in_use, every=0.2)
    os.kill(node.pids()["dns"], signal.SIGKILL)
    wait_until(lambda: "dns (pid" in pathlib.Path(log).read_text())
    assert "dns (pid" not in pathlib.Path(log + ".1").read_text()
    # a child writes into the new file too
    node.causeway.run("edge", "drain", "all")
    wait_until(lambda: "admin admin: command edge" in pathlib.Path(log).read_text())


class Manager:
    """A service manager's notification socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o666)

    def wait_for(self, word, timeout):
        deadline = time.monotonic() + timeout
        while True:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            message = self.socket.recv(4096).decode()
            if word in message.split("\n"):
                return

    def is_silent_for(self, seconds):
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(4096)
        except TimeoutError:
            return True
        return False


def test_the_watchdog_is_fed_only_while_children_live(local_lab, causeway_program):
    """A child that stands still starves the watchdog, is aborted, killed and replaced."""
    node = Node(local_lab, causeway_program)
    node.causeway.stop()
    manager = Manager(local_lab.path("manager"))
    process = local_lab.start("watched", [causeway_program, "run", "-c", node.causeway.file],
                              environment={"NOTIFY_SOCKET": local_lab.path("manager"), "WATCHDOG_USEC": "1000000"})
    manager.wait_for("READY=1", 20)
    for _ in range(3):
        manager.wait_for("WATCHDOG=1", 3)
    process.signal(signal.SIGHUP)
    manager.wait_for("RELOADING=1", 5)
    manager.wait_for("READY=1", 5)
    node.causeway.process = process
    stopped = node.pids()["front"]
    os.kill(stopped, signal.SIGSTOP)
    assert wait_until(lambda: manager.is_silent_for(1.5), 15)
    process.wait_for_output(r"front \(pid \d+\) has not been heard of for 10 s: it is aborted", 20)
    wait_until(lambda: is_gone(stopped), 10)
    wait_until(lambda: node.child("front")["state"] == "ready", 10)
    manager.wait_for("WATCHDOG=1", 5)
    process.signal(signal.SIGTERM)
    manager.wait_for("STOPPING=1", 5)
    assert process.wait() == 0


def test_a_start_that_is_refused_says_why(local_lab, causeway_program):
    here = local_lab.here()
    missing = here.run(causeway_program, "run", "-c", local_lab.path("none.yaml"), check=False)
    assert missing.returncode == 1 and "none.yaml: No such file" in missing.stderr
    broken = local_lab.write("broken.yaml", "nodes:\n  a: {edge: {lissten: [\"127.0.0.1:1\"]}}\n")
    result = here.run(causeway_program, "run", "-c", broken, check=False)
    assert result.returncode == 1
    assert re.search(r"broken\.yaml:2:\d+: .*lissten.*listen", result.stderr)
    checked = here.run(causeway_program, "run", "--check", "-c", broken, check=False)
    assert checked.returncode == 1


def test_a_terminated_node_does_not_wait_for_idle_clients(node):
    with socket.create_connection((node.host, node.http)) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: www.shop.example\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 5")
        node.causeway.process.signal(signal.SIGTERM)
        begin = time.monotonic()
        assert node.causeway.process.wait() == 0
        assert time.monotonic() - begin < 4
