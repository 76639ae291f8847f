# SPDX-License-Identifier: Apache-2.0
"""Pebble, the authority for tests of ACME, and a machine of ours that orders from it; all on loopback."""
import getpass
import json
import os
import pathlib
import ssl
import urllib.request

from lab.causeway import Causeway
from lab.process import wait_until
from tls_machine import Authority, openssl

SHOP = "www.shop.example"


class Pebble:
    """`bindings`: keys of accounts that it knows by other means, by name; None: anybody may come. `http`: the port at which it asks for proofs over HTTP; `dns`: the address and port of the DNS that it asks, None: names are 127.0.0.1."""

    def __init__(self, lab, http, dns=None, life_s=7776000, bad_nonces=15, blocked=(), bindings=None):
        self.lab, here = lab, lab.here()
        self.port, self.management = here.free_port("127.0.0.1"), here.free_port("127.0.0.1")
        self.trust = Authority(lab, "directory-ca")
        certificate, key = self.trust.make("directory", "localhost")
        settings = {"pebble": {"listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{self.management}",
                               "certificate": certificate, "privateKey": key, "httpPort": http, "tlsPort": here.free_port("127.0.0.1"),
                               "domainBlocklist": list(blocked), "certificateValidityPeriod": life_s,
                               "externalAccountBindingRequired": bindings is not None, "externalAccountMACKeys": bindings or {}}}
        file = lab.write("pebble.json", json.dumps(settings))
        if dns is None:
            dns = ("127.0.0.1", here.free_port("127.0.0.1"))
            lab.start("challtestsrv", ["pebble-challtestsrv", "-defaultIPv6", "", "-dns01", f"{dns[0]}:{dns[1]}", "-http01", "",
                                       "-https01", "", "-tlsalpn01", "", "-management",
                                       f"127.0.0.1:{here.free_port('127.0.0.1')}"], here)
        self.process = lab.start("pebble", ["pebble", "-config", file, "-dnsserver", f"{dns[0]}:{dns[1]}"], here,
                                 {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": str(bad_nonces)})
        self.directory = f"https://localhost:{self.port}/dir"
        self.process.wait_until(lambda: here.accepts("127.0.0.1", self.port), what="it listens")

    def root(self):
        """A file of what vouches for its certificates."""
        context = ssl.create_default_context(cafile=self.trust.path)
        with urllib.request.urlopen(f"https://localhost:{self.management}/roots/0", context=context, timeout=10) as answer:
            return self.lab.write("pebble-root.pem", answer.read().decode())


class Orderer:
    """One node with every role. `acme`: lines of the site's settings besides directory, terms and trust."""

    def __init__(self, lab, program, start_origin, acme="", zones="", sites="", ports=None):
        self.lab, self.here = lab, lab.here()
        self.http, self.https, self.origin, self.admin, self.dns = ports or (self.here.free_port("127.0.0.1") for _ in range(5))
        self.acme, self.zones, self.sites, self.program = acme, zones, sites, program
        start_origin(lab, self.here, ("127.0.0.1", self.origin))
        self.folder = lab.path("certificates")
        self.node = None

    def text(self, pebble, acme=None, rules=""):
        return f"""
nodes:
  all:
    run_dir: {self.lab.path("run")}
    user: {getpass.getuser()}
    workers: 2
    capacity: {{cpu: 0}}
    acme_folder: {self.folder}
    addresses: [127.0.0.1]
    admin: {{listen: ["127.0.0.1:{self.admin}"]}}
    edge:
      listen: ["127.0.0.1:{self.http}"]
      tls: {{listen: ["127.0.0.1:{self.https}"]}}
    gateway:
      allow_local: true
      allow: [{{edges: [all], sites: [shop]}}]
    {f'dns: {{listen: ["127.0.0.1:{self.dns}"]}}' if self.zones else ""}
sites:
  shop:
    hosts: [{SHOP}]
    origins: ["http://127.0.0.1:{self.origin}"]
    {rules}
    tls:
      acme:
        directory: {pebble.directory}
        authorities: {pebble.trust.path}
        agree_terms: true
        contact: ops@shop.example
        {self.acme if acme is None else acme}
{self.zones}
"""

    def start(self, pebble, **options):
        self.node = Causeway(self.lab, self.program, self.text(pebble, **options))
        return self

    def site(self):
        """What `causeway status` says of the site's certificate."""
        sites = self.node.status()["roles"].get("acme", {}).get("sites", [])
        return sites[0] if sites else {}

    def wait_for_certificate(self, timeout=30):
        wait_until(lambda: self.site().get("days_left") is not None, timeout, what="it has a certificate")

    def curl(self, *words, root=None, host=SHOP, check=True):
        trust = ("--cacert", root) if root else ("-k",)
        return self.here.run("curl", "-sS", "--max-time", "20", "--connect-to", f"{host}:443:127.0.0.1:{self.https}", *trust, *words,
                             f"https://{host}/", check=check, timeout=30)

    def is_trusted(self, root, host=SHOP):
        return self.curl("-o", os.devnull, root=root, host=host, check=False).returncode == 0

    def serial(self):
        pem = ssl.get_server_certificate(("127.0.0.1", self.https))
        return openssl("x509", "-noout", "-serial", input=pem.encode()).stdout.decode().strip()

    def metric(self, name):
        text = self.here.run("curl", "-sS", f"http://127.0.0.1:{self.admin}/metrics").stdout
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    def files(self):
        return {path.name: path for path in pathlib.Path(self.folder).iterdir()}
