# SPDX-License-Identifier: Apache-2.0
"""The program itself in a laboratory: keys, a configuration file, start, readiness, reload, end."""
import json
import os
import signal
import socket

from .network import run
from .process import PATIENCE_S, wait_until


class Keys:
    """A key pair for each node: .public[name] for the configuration, .path(name) of the private key's file."""

    def __init__(self, lab, program, *names):
        self.public = {}
        self._lab = lab
        for name in names:
            result = run(program, "keygen", "-o", self.path(name))
            self.public[name] = result.stdout.split()[-1]

    def path(self, name):
        return self._lab.path(f"{name}.key")


TAKEN = "every process has taken the configuration"  # said some time after "reloaded"


class Causeway:
    """`causeway run` for one node of a configuration. The text is kept in .file; ready when it says READY=1."""

    def __init__(self, lab, program, config, node=None, namespace=None, name=None, timeout=PATIENCE_S):
        self.lab, self.program, self.node = lab, str(program), node
        self.name = name or f"causeway-{node or 'all'}"
        self.namespace = namespace or lab.here()
        self.file = lab.write(f"{self.name}.yaml", config)
        self._notify = lab.path(f"{self.name}.notify")
        self.start(timeout)

    def start(self, timeout=PATIENCE_S):
        command = [self.program, "run", "-c", self.file]
        if self.node:
            command += ["--node", self.node]
        if os.path.exists(self._notify):
            os.unlink(self._notify)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(self._notify)
            os.chmod(self._notify, 0o666)
            notify.setblocking(False)
            self.process = self.lab.start(self.name, command, self.namespace, {"NOTIFY_SOCKET": self._notify})
            self.process.wait_until(lambda: "READY=1" in received(notify), timeout, "it says that it is ready")
        return self

    @property
    def pid(self):
        return self.process.pid

    def run(self, *words, **options):
        """Another verb on the same configuration, in the same namespace."""
        node = ["--node", self.node] if self.node else []
        return self.namespace.run(self.program, *words, "-c", self.file, *node, **options)

    def status(self):
        """`causeway status --json` as a Python value."""
        return json.loads(self.run("status", "--json").stdout)

    def reload(self, config):
        self.lab.write(os.path.basename(self.file), config)
        self.process.signal(signal.SIGHUP)

    def wait_for_log(self, pattern, timeout=PATIENCE_S):
        return self.process.wait_for_output(pattern, timeout)

    def kill(self):
        """All of its processes at once, as if the machine were gone."""
        self.process.signal(signal.SIGSTOP)  # else it starts others; and children whose supervisor is gone end in good order
        children = descendants(self.pid)
        for child in children:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has just ended
        self.process.signal(signal.SIGKILL)
        self.process.wait()
        wait_until(lambda: not any(is_alive(child) for child in children), what=f"{self.name}'s children are gone")

    def stop(self):
        return self.process.stop()


def received(notify):
    try:
        return notify.recv(4096).decode()
    except BlockingIOError:
        return ""


def is_alive(pid):
    """A process whose first thread has ended keeps its descriptors until the others have."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            has_ended = stat.read().rpartition(")")[2].split()[0] in "ZX"
        return not has_ended or len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


def descendants(pid):
    """Process ids of all children, and theirs."""
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as children:
                for child in map(int, children.read().split()):
                    found += [child, *descendants(child)]
    except OSError:
        pass  # it has just ended
    return found
