# SPDX-License-Identifier: Apache-2.0
"""Reloads and upgrades of a node under load (L10): nobody may notice. For test_never_drop.py and tests/never_drop."""
import asyncio
import json
import os
import re
import shutil
import sys
import threading
import time

from lab.causeway import TAKEN, Causeway, Keys
from lab.process import wait_until
from lab.servers import start_nginx

HERE = os.path.dirname(os.path.abspath(__file__))
HOST, CHAT = "shop.example", "chat.example"
ORIGIN = """
        location /kept { add_header Cache-Control max-age=1; return 200 "0123456789"; }
        location /large { alias LARGE; }
        location / { return 200 "0123456789"; }
"""


class Conversation:
    """A WebSocket that stands all the while."""

    def __init__(self, port):
        self.port, self.is_over, self.said, self.failure = port, False, 0, None
        self.thread = threading.Thread(target=lambda: asyncio.run(self.talk()))
        self.thread.start()

    async def talk(self):
        import websockets
        try:
            async with websockets.connect(f"ws://{CHAT}/", host="127.0.0.1", port=self.port) as connection:
                while not self.is_over:
                    await connection.send(str(self.said))
                    assert await asyncio.wait_for(connection.recv(), 20) == str(self.said)
                    self.said += 1
                    await asyncio.sleep(0.05)
        except Exception as error:  # whatever ends it early is the failure
            self.failure = f"{type(error).__name__}: {error}"

    def end(self):
        self.is_over = True
        self.thread.join()


class Stage:
    """A node of every role, or an edge and a gateway of its own, the origin behind, and those who visit."""

    def __init__(self, lab, program, start_websocket_echo, rate, is_split=False):
        here = lab.here()
        self.lab, self.given = lab, program
        self.port, self.secure, self.link, origin, echo = (here.free_port() for _ in range(5))
        lab.write("large", "x" * 200000)
        start_nginx(lab, here, [("127.0.0.1", origin)], server=ORIGIN.replace("LARGE", lab.path("large")))
        start_websocket_echo(lab, here, "127.0.0.1", echo)
        self.program = lab.path("causeway")
        shutil.copy(program, self.program)
        self.text = f"""
nodes:
{self.two_nodes() if is_split else self.one_node()}
sites:
  shop: {{hosts: [{HOST}], origins: ["http://127.0.0.1:{origin}"], tls: {{self_signed: true}}, cache: {{on: true}},
         rules: [{{response: {{set: {{X-Reload: "0"}}}}}}]}}
  chat: {{hosts: [{CHAT}], origins: ["http://127.0.0.1:{echo}"]}}
"""
        self.gateway = Causeway(lab, program, self.text, "gateway") if is_split else None
        self.node = Causeway(lab, self.program, self.text, "edge" if is_split else None)
        self.reloads = 0
        wait_until(lambda: self.node.status()["ready"], 10, "the node is ready")
        self.talk = Conversation(self.port)
        wait_until(lambda: self.talk.said > 2 or self.talk.failure, 10, "the WebSocket stands")
        self.loads = [self.visit("h1", self.port, rate * 0.5, 20), self.visit("h2", self.secure, rate * 0.5, 4)]

    def node_text(self, name, more):
        return f"  {name}: {{run_dir: {self.lab.path('run-' + name)}, user: root, workers: 2, admin: off, capacity: {{cpu: 0}}, {more}}}"

    def edge(self):
        return f"""addresses: [127.0.0.1], edge: {{listen: ["127.0.0.1:{self.port}"], tls: {{listen: ["127.0.0.1:{self.secure}"]}},
        access_log: {{path: {self.lab.path("access.log")}}}}}"""

    def one_node(self):
        return self.node_text("one", self.edge() + ", gateway: {allow_local: true, allow: [{edges: [one], sites: [shop, chat]}]}")

    def two_nodes(self):
        keys = Keys(self.lab, self.program, "edge", "gateway")
        own = {name: f'public_key: "{keys.public[name]}", private_key: {keys.path(name)}, ' for name in ("edge", "gateway")}
        return "\n".join((self.node_text("edge", own["edge"] + self.edge()),
                          self.node_text("gateway", own["gateway"] + f'link: {{listen: ["127.0.0.1:{self.link}"]}}, '
                                         "gateway: {allow_local: true, allow: [{edges: [edge], sites: [shop, chat]}]}")))

    def visit(self, kind, port, rate, clients):
        load = self.lab.start(f"load-{kind}", [sys.executable, os.path.join(HERE, "load.py"), kind, f"127.0.0.1:{port}", HOST, rate, clients],
                              self.lab.here())
        load.wait_for_output("^ready$")
        return load

    def reload(self):
        self.reloads += 1
        for node in filter(None, (self.gateway, self.node)):
            taken = len(re.findall(TAKEN, node.process.output()))
            node.reload(self.text.replace('X-Reload: "0"', f'X-Reload: "{self.reloads}"'))
            wait_until(lambda at=node, before=taken: len(re.findall(TAKEN, at.process.output())) > before, 20,
                       f"reload {self.reloads} is taken")

    def upgrade(self):
        wait_until(lambda: len([elder for elder in self.node.status()["elders"] if elder["name"] == "front"]) < 2, 40,
                   "the process before the last has ended")
        shutil.copy(self.given, self.program + ".new")
        os.rename(self.program + ".new", self.program)
        assert "took over" in self.node.run("upgrade").stdout
        said = self.talk.said
        wait_until(lambda: self.talk.said > said + 2 or self.talk.failure, 10, "the WebSocket goes on")

    def end(self):
        """What the visitors counted."""
        for load in self.loads:
            load.signal(15)
        told = {}
        for load in self.loads:
            load.wait_until(lambda at=load: '"asked"' in at.output(), 60, "it has counted")
            told[load.name] = json.loads(load.output().strip().splitlines()[-1])
        self.talk.end()
        told["websocket"] = {"messages": self.talk.said, "failure": self.talk.failure}
        status = self.node.status()
        told["node"] = {"upgrades": status["upgrades"], "reloads": self.reloads}
        return told


def never_drop(lab, program, start_websocket_echo, rate, reloads, upgrades, pause=0.0, is_split=False):
    """Reloads and upgrades evenly mixed, `pause` seconds between them; what became of it."""
    stage = Stage(lab, program, start_websocket_echo, rate, is_split)
    began = time.monotonic()
    done = 0
    for i in range(reloads):
        stage.reload()
        time.sleep(pause)
        while done < (i + 1) * upgrades // reloads:
            stage.upgrade()
            done += 1
            time.sleep(pause)
    told = stage.end()
    told["seconds"] = round(time.monotonic() - began, 1)
    for node in filter(None, (stage.node, stage.gateway)):
        node.stop()
    return told


def complaints(told):
    """What is wrong with it; empty: nothing."""
    wrong = []
    for name in ("load-h1", "load-h2"):
        load = told[name]
        if load["failures"] or load["repeated"] or load["served"] != load["asked"] or not load["served"]:
            wrong.append(f"{name}: {load}")
    if told["websocket"]["failure"]:
        wrong.append(f"websocket: {told['websocket']}")
    return wrong
