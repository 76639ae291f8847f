# SPDX-License-Identifier: Apache-2.0
"""The laboratory itself: it names, numbers and remembers what it makes, and takes all of it away again."""
import os
import re
import shutil
import tempfile

from . import network
from .process import Process
from .surroundings import folder_for_sockets
from .wan import Wan


LIVE = set()  # prefixes of this process's laboratories


def sweep(prefix):
    """Removes namespaces that a killed laboratory of this prefix left behind, also one whose process had our number."""
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else ():
        found = re.fullmatch(rf"{re.escape(prefix)}(\d+)-.+", name)
        if found and (not os.path.exists(f"/proc/{found[1]}") or int(found[1]) == os.getpid() and prefix not in LIVE):
            network.run("ip", "netns", "delete", name, check=False)


class Lab:
    def __init__(self, wan_program, prefix="cw"):
        self.wan_program = str(wan_program)
        if os.geteuid() == 0:
            sweep(prefix)
        self.directory = tempfile.mkdtemp(prefix=f"{prefix}-", dir=folder_for_sockets())
        os.chmod(self.directory, 0o755)  # servers that give up root read their files here
        self.prefix = f"{prefix}{os.getpid()}"
        LIVE.add(prefix)
        self.processes = []
        self.namespaces = []
        self._links = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, content, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
        return path

    def namespace(self, label):
        """A network namespace whose name is unique on this machine; root only."""
        namespace = network.Namespace(f"{self.prefix}-{label}")
        self.namespaces.append(namespace)
        return namespace

    def here(self):
        """The namespace that we are in."""
        return network.Namespace(None)

    def _next_link(self):
        self._links += 1
        return self._links - 1

    def connect(self, a, b):
        """A short, unimpaired link; returns its addresses."""
        number = self._next_link()
        return network.connect_pair(a, b, number, f"s{number}")

    def wan(self, a, b, **settings):
        """An emulated wide-area link between two namespaces; its addresses are in .link."""
        number = self._next_link()
        return self._remember_wan(Wan.between(self.wan_program, f"w{number}", self.directory, a, b, number, settings))

    def relay(self, listen, to, **settings):
        """The same as a UDP relay, without root."""
        number = self._next_link()
        return self._remember_wan(Wan.relay(self.wan_program, f"w{number}", self.directory, listen, to, settings))

    def _remember_wan(self, wan):
        self.processes.append(wan.process)
        return wan

    def start(self, name, command, namespace=None, environment=None):
        """Starts a program in a namespace; it ends with the laboratory at the latest."""
        prefix = namespace.prefix if namespace else ()
        process = Process(name, command, self.directory, prefix, environment)
        self.processes.append(process)
        return process

    def logs(self):
        """(name, text) of everything that processes wrote."""
        for name in sorted(os.listdir(self.directory)):
            if name.endswith(".log"):
                with open(self.path(name), encoding="utf-8", errors="replace") as log:
                    yield name, log.read()

    def close(self):
        for process in reversed(self.processes):
            process.stop()
        for namespace in reversed(self.namespaces):
            namespace.remove()
        self.processes, self.namespaces = [], []
        shutil.rmtree(self.directory, ignore_errors=True)
