# SPDX-License-Identifier: Apache-2.0
"""causeway upgrade: another program file takes over a running node, and nobody notices."""
import http.client
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

from lab.causeway import Causeway, Keys, is_alive
from lab.process import wait_until
from lab.servers import start_nginx
from never_drop import Conversation

CLIENTS = 6


@pytest.fixture
def node(lab, causeway_program, start_websocket_echo):
    here = lab.here()
    origin, echo, port, names = (here.free_port() for _ in range(4))
    start_nginx(lab, here, [("127.0.0.1", origin)], server='location / { return 200 "0123456789"; }')
    start_websocket_echo(lab, here, "127.0.0.1", echo)
    program = lab.path("causeway")
    shutil.copy(causeway_program, program)
    node = Causeway(lab, program, f'''
nodes:
  one: {{run_dir: {lab.path("run")}, user: root, workers: 2, admin: off, addresses: [127.0.0.1], capacity: {{cpu: 0}}, edge: {{listen: ["127.0.0.1:{port}"]}},
        dns: {{listen: ["127.0.0.1:{names}"]}}, gateway: {{allow_local: true, allow: [{{edges: [one], sites: [shop, chat]}}]}}}}
sites:
  shop: {{hosts: [shop.example], origins: ["http://127.0.0.1:{origin}"]}}
  chat: {{hosts: [chat.example], origins: ["http://127.0.0.1:{echo}"]}}
zones:
  example: {{ns: [ns.example], records: ["ns A 127.0.0.1"]}}
''')
    node.port, node.names = port, names
    wait_until(lambda: visit(node) == 200, 10, "the site answers")
    wait_until(lambda: node.status()["ready"], 10, "the node says so")
    return node


def visit(node):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=10)
        connection.request("GET", "/", headers={"Host": "shop.example"})
        return connection.getresponse().status
    except OSError:
        return 0


def replace(node, program):
    """As a package manager does: the path leads to another file."""
    shutil.copy(program, node.program + ".new")
    os.rename(node.program + ".new", node.program)


class Visitors:
    """Clients that keep their connections as long as the server lets them. No request may fail."""

    def __init__(self, node):
        self.node, self.is_over, self.served, self.connections, self.failures = node, False, 0, 0, []
        self.threads = [threading.Thread(target=self.live, args=(i,)) for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def live(self, number):
        connection = None
        while not self.is_over:
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=20)
                    connection.connect()
                    self.connections += 1
                connection.request("GET", "/", headers={"Host": "shop.example"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200 or body != b"0123456789":
                    self.failures.append((answer.status, body))
                self.served += 1
                if answer.will_close:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                self.failures.append((type(error).__name__, str(error)))
                connection = None
            time.sleep(0.1 if number == 0 else 0.005)  # one that is idle most of the time

    def end(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()


class Resolvers(Visitors):
    """The same for names, over UDP and TCP."""

    def live(self, number):
        while not self.is_over:
            words = ["+tcp"] if number % 2 else []
            out = subprocess.run(["dig", "@127.0.0.1", "-p", str(self.node.names), "ns.example", "A", "+short", "+tries=1", "+time=5", *words],
                                 capture_output=True, text=True, check=False)
            if out.stdout.strip() != "127.0.0.1":
                self.failures.append(out.stdout + out.stderr)
            self.served += 1
            time.sleep(0.1)



def elders(node):
    return {elder["name"] for elder in node.status()["elders"]}


def test_L10_upgrades_drop_nothing(node, causeway_program):
    pid, children = node.pid, {child["pid"] for child in node.status()["children"]}
    talk = Conversation(node.port)
    wait_until(lambda: talk.said > 2 or talk.failure, 10, "the WebSocket stands")
    crowd, resolvers = Visitors(node), Resolvers(node)
    try:
        for i in range(10):
            wait_until(lambda: len(node.status()["elders"]) < 2, 20, "the processes before the last have ended")
            replace(node, causeway_program)
            told = node.run("upgrade").stdout
            assert "took over" in told
            said = talk.said
            wait_until(lambda s=said: talk.said > s + 2 or talk.failure, 10, "the WebSocket goes on")
    finally:
        crowd.end()
        resolvers.end()
        talk.end()
    print(f"{crowd.served} requests on {crowd.connections} connections, {resolvers.served} names, {talk.said} messages")
    assert crowd.failures == [] and resolvers.failures == [] and talk.failure is None
    assert crowd.served > 200 and crowd.connections > 10 * 3
    status = node.status()
    assert node.pid == pid == status["pid"] and status["upgrades"] == 10 and is_alive(pid)
    assert os.readlink(f"/proc/{pid}/exe") == node.program
    wait_until(lambda: not node.status()["elders"], 20, "with its last WebSocket the first process ends")
    assert not children & {child["pid"] for child in node.status()["children"]}
    assert not any(is_alive(child) for child in children)
    node.stop()


def test_L10_a_program_that_would_not_start_changes_nothing(node, causeway_program, lab):
    before = [child["pid"] for child in node.status()["children"]]

    def refused(complaint):
        result = node.run("upgrade", check=False) if os.access(node.program, os.X_OK) and complaint != "cannot be executed" else None
        if result:
            assert result.returncode == 1 and complaint in result.stderr, result.stderr
        assert visit(node) == 200 and [child["pid"] for child in node.status()["children"]] == before
    # Its configuration is wrong.
    good = open(node.file, encoding="utf-8").read()
    lab.write(f"{node.name}.yaml", good.replace("workers: 2", "workers: two"))
    os.kill(node.pid, signal.SIGUSR2)
    node.wait_for_log("no upgrade: .* would not start with")
    # The file is no program.
    lab.write(f"{node.name}.yaml", good)
    lab.write("no-program", "this is no program\n")
    replace(node, lab.path("no-program"))
    os.kill(node.pid, signal.SIGUSR2)
    node.wait_for_log("no upgrade: .* cannot be executed")
    replace(node, causeway_program)
    os.chmod(node.program, 0o755)
    refused_before = node.status()["failed_upgrades"]
    assert refused_before == 2 and visit(node) == 200
    # It is asked whether it would start, and says yes; but then a port is taken.
    taken = lab.here().free_port()
    start_nginx(lab, lab.here(), [("127.0.0.1", taken)], name="squatter")
    lab.write(f"{node.name}.yaml", good.replace("edge: {listen: [", f'edge: {{listen: ["127.0.0.1:{taken}", '))
    crowd = Visitors(node)
    try:
        result = node.run("upgrade", check=False)
    finally:
        crowd.end()
    assert result.returncode == 1 and "the program before goes on: the other program could not take over" in result.stderr
    assert crowd.failures == []
    wait_until(lambda: node.status()["ready"], 10, "it is ready")
    lab.write(f"{node.name}.yaml", good)
    assert "took over" in node.run("upgrade").stdout


def test_L10_an_upgrade_brings_a_new_configuration(node, lab):
    more = lab.here().free_port()
    good = open(node.file, encoding="utf-8").read()
    lab.write(f"{node.name}.yaml", good.replace("edge: {listen: [", f'edge: {{listen: ["127.0.0.1:{more}", ').replace("dns: {listen", "# dns: {listen")
              .replace("zones:", "# zones:").replace("  example: {ns", "#  example: {ns").replace(
                  "gateway: {allow_local", "\n        gateway: {allow_local"))
    assert "took over" in node.run("upgrade").stdout
    wait_until(lambda: "dns" not in elders(node), 20, "the role that is gone ends")
    connection = http.client.HTTPConnection("127.0.0.1", more, timeout=10)
    connection.request("GET", "/", headers={"Host": "shop.example"})
    assert connection.getresponse().status == 200 and visit(node) == 200



@pytest.fixture
def pair(lab, causeway_program, start_websocket_echo):
    """An edge that can be upgraded, and its gateway."""
    here = lab.here()
    origin, echo, port, link = (here.free_port() for _ in range(4))
    start_nginx(lab, here, [("127.0.0.1", origin)], server='location / { return 200 "0123456789"; }')
    start_websocket_echo(lab, here, "127.0.0.1", echo)
    keys = Keys(lab, causeway_program, "edge", "gw")
    program = lab.path("causeway")
    shutil.copy(causeway_program, program)

    def common(name):
        return f'public_key: "{keys.public[name]}", private_key: {keys.path(name)}, run_dir: {lab.path("run-" + name)}, user: root, workers: 2, admin: off'
    text = f'''
nodes:
  edge: {{{common("edge")}, edge: {{listen: ["127.0.0.1:{port}"]}}}}
  gw: {{{common("gw")}, link: {{listen: ["127.0.0.1:{link}"]}}, gateway: {{allow_local: true, allow: [{{edges: [edge], sites: [shop, chat]}}]}}}}
sites:
  shop: {{hosts: [shop.example], origins: ["http://127.0.0.1:{origin}"]}}
  chat: {{hosts: [chat.example], origins: ["http://127.0.0.1:{echo}"]}}
'''
    gateway = Causeway(lab, causeway_program, text, "gw")
    node = Causeway(lab, program, text, "edge")
    node.port = port
    wait_until(lambda: visit(node) == 200, 10, "the site answers")
    return node, gateway


def test_T1_an_edge_is_upgraded_while_its_gateway_stays(pair, causeway_program):
    """Both processes of the edge have a lane of the link while one takes over from the other."""
    node, gateway = pair
    talk = Conversation(node.port)
    wait_until(lambda: talk.said > 2 or talk.failure, 10, "the WebSocket stands")
    crowd = Visitors(node)
    most = 0
    try:
        for i in range(5):
            wait_until(lambda: len(node.status()["elders"]) < 2, 20, "the processes before the last have ended")
            replace(node, causeway_program)
            assert "took over" in node.run("upgrade").stdout
            most = max(most, len(gateway.status()["roles"]["front"]["links"]))
            said = talk.said
            wait_until(lambda s=said: talk.said > s + 2 or talk.failure, 10, "the WebSocket goes on")
    finally:
        crowd.end()
        talk.end()
    print(f"{crowd.served} requests on {crowd.connections} connections, {talk.said} messages, {most} lanes at once")
    assert crowd.failures == [] and talk.failure is None and crowd.served > 100 and most >= 2
    wait_until(lambda: not node.status()["elders"], 20, "all processes before have ended")
    wait_until(lambda: len(gateway.status()["roles"]["front"]["links"]) == 1, 20, "their lanes are gone")


def test_T1_a_process_that_stands_still_keeps_its_visitors(pair, causeway_program):
    """As on a machine whose processors others have: the gateway hears of the new process, and for some seconds not of the one before."""
    node, _ = pair
    before = next(child["pid"] for child in node.status()["children"] if child["name"] == "front")
    talk = Conversation(node.port)
    try:
        wait_until(lambda: talk.said > 2 or talk.failure, what="the WebSocket stands")
        replace(node, causeway_program)
        assert "took over" in node.run("upgrade").stdout
        os.kill(before, signal.SIGSTOP)
        try:
            time.sleep(6)  # the stand-still itself
        finally:
            os.kill(before, signal.SIGCONT)
        said = talk.said
        wait_until(lambda: talk.said > said + 2 or talk.failure, what="the WebSocket goes on")
    finally:
        talk.end()
    assert talk.failure is None
