# SPDX-License-Identifier: Apache-2.0
"""Network namespaces and the short links between them."""
import ctypes
import os
import random
import socket
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass

from .process import LIBC
from .surroundings import CLONE_NEWNET, set_defaults

PORTS = (10000, 32768)  # below those that kernels give to connections
CLAIMS = []  # sockets that hold names of ports until this process ends


def run(*command, check=True, timeout=30.0, **options):
    """Runs a command to its end; the result has .stdout and .stderr as text."""
    result = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            errors="replace", timeout=timeout, check=False, **options)
    if check and result.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: status {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def _setns(descriptor):
    if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@dataclass(frozen=True)
class Link:
    """The addresses of a link's two ends."""
    a4: str
    a6: str
    b4: str
    b6: str

    def a(self, version):
        return self.a4 if version == 4 else self.a6

    def b(self, version):
        return self.b4 if version == 4 else self.b6


class Namespace:
    """A network namespace of our own; with name=None the one we are in, for work without root."""

    def __init__(self, name):
        self.name = name
        if name:
            run("ip", "netns", "add", name)
            with self.entered():
                set_defaults()
            run("ip", "-n", name, "link", "set", "lo", "up")

    @property
    def prefix(self):
        return ("ip", "netns", "exec", self.name) if self.name else ()

    def run(self, *command, **options):
        return run(*self.prefix, *command, **options)

    def ip(self, *words):
        """`ip` with its objects in this namespace."""
        return run("ip", "-n", self.name, *words)

    def sysctl(self, **settings):
        """net.* settings; a double underscore stands for a dot."""
        for name, value in settings.items():
            path = "/proc/sys/net/" + name.replace("__", "/")
            with self.entered(), open(path, "w", encoding="ascii") as setting:
                setting.write(str(value))

    def forward(self):
        """Lets this namespace route between its links."""
        self.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)

    def route(self, network, via, *more):
        self.ip("-6" if ":" in via else "-4", "route", "replace", network, "via", via, *more)

    @contextmanager
    def entered(self):
        """This thread is in the namespace; sockets made here stay in it for good."""
        if not self.name:
            yield
            return
        home = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(there)
            yield
        finally:
            _setns(home)
            os.close(there)
            os.close(home)

    def open_socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        with self.entered():
            return socket.socket(family, kind)

    def connect(self, address, port, timeout=10.0):
        """A TCP connection from inside the namespace."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = self.open_socket(family)
        connection.settimeout(timeout)
        try:
            connection.connect((address, port))
        except OSError:
            connection.close()
            raise
        return connection

    def accepts(self, address, port):
        """True when somebody listens there."""
        try:
            self.connect(address, port, timeout=1.0).close()
            return True
        except OSError:
            return False

    def free_port(self, address="127.0.0.1"):
        """A port that nobody uses, neither over TCP nor over UDP: names and links want both. It is none that the kernel gives to
        connections, and as long as we live no other laboratory gets it."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for _ in range(100):
            port = random.randrange(*PORTS)
            claim = self.open_socket(socket.AF_UNIX)
            with self.open_socket(family) as first, self.open_socket(family, socket.SOCK_DGRAM) as second:
                try:
                    claim.bind(f"\0causeway-lab-port-{port}")
                    first.bind((address, port))
                    second.bind((address, port))
                except OSError:
                    claim.close()
                    continue
            CLAIMS.append(claim)
            return port
        raise OSError(f"no port of {address} is free for TCP and UDP")

    def remove(self):
        if self.name:
            run("ip", "netns", "delete", self.name, check=False)


def connect_pair(a, b, number, device):
    """A pair of virtual Ethernet devices between two namespaces, with an IPv4 and an IPv6 network."""
    link = link_addresses(number)
    run("ip", "link", "add", f"{device}a", "netns", a.name, "type", "veth", "peer", "name", f"{device}b", "netns", b.name)
    for namespace, end, ipv4, ipv6 in ((a, "a", link.a4, link.a6), (b, "b", link.b4, link.b6)):
        namespace.ip("address", "add", f"{ipv4}/24", "dev", device + end)
        namespace.ip("address", "add", f"{ipv6}/64", "dev", device + end, "nodad")
        namespace.ip("link", "set", device + end, "up")
    return link


def link_addresses(number):
    if not 0 <= number < 250:
        raise ValueError("a laboratory has at most 250 links")
    return Link(f"10.77.{number}.1", f"fd77:0:0:{number:x}::1", f"10.77.{number}.2", f"fd77:0:0:{number:x}::2")
