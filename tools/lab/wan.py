# SPDX-License-Identifier: Apache-2.0
"""The WAN emulator (tools/wan) as a process with a control socket."""
import json
import os
import socket

from .network import Link, link_addresses
from .process import Process


class Wan:
    """One emulated wide-area link. Settings are the program's keys, with _ for - and . in names:
    Wan(..., rate="20M", rtt="100ms", ab_loss=1)."""

    def __init__(self, program, name, directory, arguments, settings):
        self.name = name
        self.control_path = os.path.join(directory, f"{name}.ctl")
        self.link = None
        self.process = Process(name, [program, f"name={name}", f"control={self.control_path}", "with-parent=1",
                                      *arguments, *words(settings)], directory)
        self.process.wait_for_output(r"^ready$")

    @classmethod
    def between(cls, program, name, directory, a, b, number, settings):
        """Two TUN devices, NAMEa in namespace a and NAMEb in b; root only."""
        addresses = link_addresses(number)
        wan = cls(program, name, directory,
                  [f"a={a.name}", f"b={b.name}", f"ipv4={network(addresses.a4)}", f"ipv6={network(addresses.a6)}"], settings)
        wan.link = addresses
        return wan

    @classmethod
    def relay(cls, program, name, directory, listen, to, settings):
        """A UDP relay; listen and to are ADDRESS:PORT."""
        return cls(program, name, directory, [f"listen={listen}", f"to={to}"], settings)

    def command(self, line):
        """Sends one command; the answer, or ValueError with its sentence."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(10)
            control.connect(self.control_path)
            control.sendall(line.encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                part = control.recv(65536)
                if not part:
                    raise ConnectionError(f"{self.name}: the control socket closed")
                answer += part
        text = answer.decode().strip()
        if text.startswith("error"):
            raise ValueError(text)
        return text

    def set(self, **settings):
        self.command("set " + " ".join(words(settings)))

    def down(self, direction=""):
        self.command(f"down {direction}")

    def up(self, direction=""):
        self.command(f"up {direction}")

    def reset(self):
        self.command("reset")

    def counters(self):
        return json.loads(self.command("counters"))

    def stop(self):
        return self.process.stop()


def network(address):
    return address[:-1] + ("0/24" if "." in address else "/64")


def words(settings):
    """{"ab_loss": 1, "reorder_delay": "5ms"} -> ["ab.loss=1", "reorder-delay=5ms"]"""
    for key, value in settings.items():
        for direction in ("ab_", "ba_"):
            if key.startswith(direction):
                key = direction[:2] + "." + key[3:]
        yield f"{key.replace('_', '-')}={value}"


__all__ = ["Link", "Wan"]
