# SPDX-License-Identifier: Apache-2.0
"""A node with every role on free loopback ports, for tests of the processes themselves."""
import http.client
import json
import os
import pathlib

from lab.causeway import Causeway, descendants

CHILDREN = ("front", "dns", "admin")


class Node:
    """One `causeway run`; .http, .dns and .admin are its ports. `settings` are more lines of the node."""

    def __init__(self, lab, program, settings="", host="127.0.0.1", **options):
        self.lab = lab
        self.host = host
        here = lab.here()
        self.http, self.admin = here.free_port(host), here.free_port(host)
        self.dns, self.link = here.free_port(host), here.free_port(host)
        self.run_dir = lab.path("run")
        self.settings = settings
        self.causeway = Causeway(lab, program, self.text(), **options)

    def at(self, port):
        return f'"[{self.host}]:{port}"' if ":" in self.host else f'"{self.host}:{port}"'

    def text(self, http=(), settings=None):
        listen = ", ".join(self.at(port) for port in http or [self.http])
        return f"""
nodes:
  all:
    run_dir: {self.run_dir}
    addresses: ["192.0.2.1"]
    link: {{listen: [{self.at(self.link)}]}}
    edge: {{listen: [{listen}]}}
    gateway:
      allow_local: true
      allow: [{{edges: [all], sites: [shop]}}]
    dns: {{listen: [{self.at(self.dns)}]}}
    admin: {{listen: [{self.at(self.admin)}]}}
    {self.settings if settings is None else settings}
sites:
  shop:
    hosts: [www.shop.example]
    origins: ["http://{self.at(1).strip('"')}"]
zones:
  shop.example:
    ns: [ns.shop.example]
"""

    @property
    def pid(self):
        return self.causeway.pid

    def pids(self):
        """Process ids of the children by name."""
        found = {}
        for pid in descendants(self.pid):
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except FileNotFoundError:
                continue  # it has just ended
            if words[1:2] == [b"child"]:
                found[words[2].decode()] = pid
        return found

    def get(self, path, method="GET", host=None, port=None):
        """An answer of the admin listener: status, fields, body."""
        connection = http.client.HTTPConnection(self.host, port or self.admin, timeout=10)
        try:
            connection.request(method, path, headers={"Host": host} if host else {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def ask_edge(self, port=None):
        """The status of an answer of the edge; the origin is nobody, so 502 or the like proves that it works."""
        connection = http.client.HTTPConnection(self.host, port or self.http, timeout=20)
        try:
            connection.request("GET", "/", headers={"Host": "www.shop.example"})
            return connection.getresponse().status
        finally:
            connection.close()

    def status(self):
        return json.loads(self.get("/status")[2])

    def child(self, name):
        """What /status says of a child."""
        return next(child for child in self.status()["children"] if child["name"] == name)


def is_gone(pid):
    return not os.path.exists(f"/proc/{pid}")
