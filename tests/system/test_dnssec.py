# SPDX-License-Identifier: Apache-2.0
"""Signed zones (R1): what real validators say, across a roll of keys under load, with keys from elsewhere, and with budgets."""
import base64
import os
import re
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

from lab import wait_until
from lab.causeway import Causeway
from lab.servers import start_unbound

RECORDS = '''
      - ns1 A 127.0.0.1
      - alias CNAME www
      - "@ TXT v=spf1 -all"
      - "*.wild TXT hello"
      - "*.wcname CNAME one.wild"
      - deep.in.ent A 192.0.2.3
      - "mx MX 10 MAIL.Shop.example."
      - sub NS ns.sub
      - ns.sub A 192.0.2.77
      - sec NS ns.sec
      - ns.sec A 192.0.2.78
      - sec DS 12345 13 2 0011223344556677889900112233445566778899001122334455667788990011
'''

# name, type, status; all of them validate
SECURE = [line.split() for line in '''
shop.example SOA NOERROR
shop.example DNSKEY NOERROR
shop.example CDS NOERROR
shop.example CDNSKEY NOERROR
shop.example MX NOERROR
shop.example TXT NOERROR
shop.example NSEC NOERROR
www.shop.example A NOERROR
www.shop.example AAAA NOERROR
www.shop.example TXT NOERROR
WWW.Shop.Example A NOERROR
x.cdn.shop.example A NOERROR
a.b.cdn.shop.example A NOERROR
x.cdn.shop.example MX NOERROR
alias.shop.example A NOERROR
alias.shop.example TXT NOERROR
nope.shop.example A NXDOMAIN
zzz.shop.example A NXDOMAIN
x.wild.shop.example TXT NOERROR
*.wild.shop.example TXT NOERROR
y.wild.shop.example A NOERROR
wild.shop.example A NOERROR
z.wcname.shop.example TXT NOERROR
in.ent.shop.example A NOERROR
ent.shop.example TXT NOERROR
x.ent.shop.example A NXDOMAIN
mx.shop.example MX NOERROR
mx.shop.example ANY NOERROR
sub.shop.example DS NOERROR
sec.shop.example DS NOERROR
eu.shop.example DS NOERROR
eu.shop.example NS NOERROR
www.eu.shop.example A NOERROR
no.eu.shop.example A NXDOMAIN
plain.shop.example DS NOERROR
b.shop.example A NOERROR
c.b.shop.example A NXDOMAIN
a.b.shop.example DS NOERROR
www.a.b.shop.example A NOERROR
www.a.b.shop.example TXT NOERROR
nope.a.b.shop.example A NOERROR
q.w.a.b.shop.example TXT NOERROR
q.w.a.b.shop.example A NOERROR
er.x.a.b.shop.example A NOERROR
'''.strip().splitlines()]


class Signed:
    """A DNS node with a signed zone, signed and plain ones below it, and one whose denials are compact."""

    def __init__(self, lab, program, dnssec="", dns="", **options):
        self.lab, self.program, self.here = lab, program, lab.here()
        self.port = self.here.free_port("127.0.0.1")
        self.secret = lab.path("zone.secret")
        if not os.path.exists(self.secret):
            self.here.run(program, "dnssec", "secret", "-o", self.secret)
        self.node = Causeway(lab, program, self.config(dnssec or f"secret: {self.secret}", dns), **options)

    def config(self, dnssec, dns=""):
        return f'''
nodes:
  ns:
    addresses: [192.0.2.101, 192.0.2.102]
    workers: 1
    user: root
    run_dir: {self.lab.path("run")}
    edge: {{listen: ["127.0.0.1:{self.here.free_port("127.0.0.1")}"]}}
    gateway: {{}}
    admin: off
    dns:
      listen: ["127.0.0.1:{self.port}"]
      {dns}
sites:
  shop:
    hosts: [www.shop.example, "*.cdn.shop.example"]
    origins: ["http://192.0.2.80"]
    dns: {{ttl: 2s}}
zones:
  shop.example:
    ns: [ns1.shop.example]
    ttl: 1s
    negative_ttl: 1s
    dnssec: {{{dnssec}}}
    records: {RECORDS}
  eu.shop.example:
    ns: [ns1.shop.example]
    dnssec: {{secret: {self.secret}, algorithm: ed25519}}
    records: ["www A 192.0.2.5"]
  plain.shop.example:
    ns: [ns1.shop.example]
    records: ["www A 192.0.2.6"]
  a.b.shop.example:
    ns: [ns1.shop.example]
    dnssec: {{secret: {self.secret}, denial: compact, single: true}}
    records: ["www A 192.0.2.6", "*.w TXT hello", "deep.er.x A 192.0.2.4"]
'''

    def ds(self):
        return self.node.run("dnssec", "ds", "shop.example").stdout.split("\n")[:-1]

    def dig(self, name, kind, *options, port=None):
        return self.here.run("dig", "@127.0.0.1", "-p", str(port or self.port), name, kind, "+dnssec", "+tries=1", "+time=10",
                             *options).stdout

    def validator(self, anchors, name="unbound"):
        port = self.here.free_port("127.0.0.1")
        stubs = {zone: ("127.0.0.1", self.port)
                 for zone in ("shop.example", "eu.shop.example", "plain.shop.example", "a.b.shop.example")}
        start_unbound(self.lab, self.here, ("127.0.0.1", port), stubs, name=name, anchors=anchors)
        return port

    def verdict(self, name, kind, port):
        """("NOERROR", True) when it validates."""
        text = self.dig(name, kind, port=port)
        status = re.search(r"status: (\w+)", text)
        return status and status[1], bool(re.search(r"flags:[a-z ]* ad[ ;]", text))


def question(name, kind=1):
    """With EDNS and DO."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return (struct.pack(">HHHHHH", 0x1234, 0, 1, 0, 0, 1) + labels + b"\0" + struct.pack(">HH", kind, 1) +
            b"\0" + struct.pack(">HHIH", 41, 1232, 0x8000, 0))


@pytest.fixture
def start_signed(local_lab, causeway_program):
    return lambda **settings: Signed(local_lab, causeway_program, **settings)


def test_R1_answers_validate_positive_and_negative(start_signed):
    network = start_signed()
    port = network.validator(network.ds())
    for name, kind, status in SECURE:
        assert network.verdict(name, kind, port) == (status, True), (name, kind)
    for name, kind, status in (("www.plain.shop.example", "A", "NOERROR"), ("nx.plain.shop.example", "A", "NXDOMAIN")):
        assert network.verdict(name, kind, port) == (status, False), (name, kind)
    wrong = network.validator([re.sub("[0-9A-F]{8}$", "00000000", network.ds()[0])], name="doubter")
    assert network.verdict("www.shop.example", "A", wrong) == ("SERVFAIL", False)


def test_R1_delv_validates(start_signed):
    network = start_signed()
    keys = network.dig("shop.example", "DNSKEY", "+short")
    flags, protocol, algorithm, *words = next(line for line in keys.splitlines() if line.startswith("257 ")).split()
    anchor = network.lab.write("anchor", f'trust-anchors {{ shop.example. static-key {flags} {protocol} {algorithm} '
                                         f'"{"".join(words)}"; }};\n')
    for name, kind, said in (("www.shop.example", "A", "fully validated"), ("alias.shop.example", "A", "fully validated"),
                             ("x.wild.shop.example", "TXT", "fully validated"),
                             ("nope.shop.example", "A", "negative response, fully validated"),
                             ("www.shop.example", "MX", "negative response, fully validated")):
        text = network.here.run("delv", "@127.0.0.1", "-p", str(network.port), "-a", anchor, "+root=shop.example", name, kind)
        assert f"; {said}" in text.stdout, text.stdout + text.stderr


# Debian's dnsviz looks for a version of pygraphviz where there is none, and draws nothing here.
GROK = '''
import dnsviz.commands.grok as grok
grok.test_pygraphviz = lambda: None
grok.main(["grok", "-t", "{anchor}", "-l", "warning"])
'''


@pytest.mark.skipif(not shutil.which("dnsviz"), reason="dnsviz is not installed")
def test_R1_dnsviz_finds_nothing_to_complain_of(start_signed):
    network = start_signed()
    server, ds = f"127.0.0.1:{network.port}", network.ds()[0].split(" DS ")[1]
    keys = network.dig("shop.example", "DNSKEY", "+noall", "+answer", "+nodnssec")
    anchor = network.lab.write("anchor", "".join(f"{line}\n" for line in keys.splitlines() if re.search(r"\s257 ", line)))

    def complaints(delegation, *names):
        probe = network.here.run("dnsviz", "probe", "-A", "-a", "shop.example", "-x", f"shop.example:{server}", "-N",
                                 f"shop.example:ns1.shop.example={server}", "-D", f"shop.example:{delegation}", "-R", "A,TXT",
                                 *names, timeout=120).stdout
        grok = subprocess.run(["/usr/bin/python3", "-c", GROK.format(anchor=anchor)], input=probe, capture_output=True,
                              text=True, timeout=120, check=True)
        return re.findall(r'"(?:errors|warnings)"', grok.stdout)

    assert not complaints(ds, "shop.example", "www.shop.example", "nope.shop.example", "x.wild.shop.example")
    assert complaints(re.sub("[0-9A-F]{8}$", "00000000", ds), "shop.example"), "it would complain"


def test_plain_clients_see_nothing_of_it(start_signed):
    network = start_signed()
    text = network.dig("www.shop.example", "A", "+nodnssec") + network.dig("nope.shop.example", "A", "+nodnssec")
    assert "RRSIG" not in text and "NSEC" not in text and "NXDOMAIN" in text


def test_R1_zone_keys_roll_under_load(start_signed):
    """A period of six seconds; every answer in between validates, and the load never stops."""
    network = start_signed()
    network.node.reload(network.config(f"secret: {network.secret}, period: 6s, overlap: 3s, validity: 3s"))
    port = network.validator(network.ds())
    tags, failed, asked, stop = set(), [], 0, time.monotonic() + 15

    def load():
        query = question("www.shop.example")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(2)
            while time.monotonic() < stop:
                sender.sendto(query, ("127.0.0.1", network.port))
                if not sender.recv(1500):
                    failed.append("load")
                time.sleep(0.0005)  # room for the validator on a small machine

    thread = threading.Thread(target=load)
    thread.start()
    while time.monotonic() < stop:
        asked += 1
        for name, kind, status in (("www.shop.example", "A", "NOERROR"), (f"x{asked}.shop.example", "A", "NXDOMAIN"),
                                   ("shop.example", "DNSKEY", "NOERROR")):
            if network.verdict(name, kind, port) != (status, True):
                failed.append((name, kind))
        tags |= set(re.findall(r"RRSIG\s+A \d+ \d+ \d+ \d+ \d+ (\d+)", network.dig("www.shop.example", "A")))
    thread.join()
    assert not failed and len(tags) >= 2 and asked > 3, (failed, tags, asked)
    zones = network.node.status()
    assert "signed_zones" in str(zones)


def test_two_servers_agree_without_a_word(start_signed, local_lab, causeway_program):
    network = start_signed()
    first = sorted(network.dig("shop.example", "DNSKEY", "+short").splitlines())
    network.node.stop()
    again = Signed(local_lab, causeway_program, name="another")
    assert [line for line in sorted(again.dig("shop.example", "DNSKEY", "+short").splitlines()) if "DNSKEY" not in line] == \
        [line for line in first if "DNSKEY" not in line]


def test_a_ksk_rolls_with_both_in_place(start_signed):
    network = start_signed()
    old = network.ds()
    assert len(old) == 1
    network.node.reload(network.config(f"secret: {network.secret}, ksk: [1, 2]"))
    wait_until(lambda: len(network.dig("shop.example", "CDS", "+short", "+nodnssec").splitlines()) == 2)
    network.node.file = network.lab.write("two.yaml", network.config(f"secret: {network.secret}, ksk: [1, 2]"))
    both = network.ds()
    assert len(both) == 2 and old[0] in both
    for i, anchor in enumerate(both):
        port = network.validator([anchor], name=f"unbound{i}")
        for name, kind, status in (("shop.example", "DNSKEY", "NOERROR"), ("www.shop.example", "A", "NOERROR"),
                                   ("shop.example", "CDS", "NOERROR")):
            assert network.verdict(name, kind, port) == (status, True), (anchor, name)


def make_key(network, *options):
    folder = network.lab.path("keys")
    os.makedirs(folder, exist_ok=True)
    name = network.here.run("dnssec-keygen", "-K", folder, "-a", "ECDSAP256SHA256", *options, "shop.example").stdout.strip()
    return f"{folder}/{name}"


def ds_of(network, key):
    return network.here.run("dnssec-dsfromkey", "-2", f"{key}.key").stdout.split("\n")[:-1]


def test_keys_of_bind_sign(start_signed):
    network = start_signed()
    entry, zone = make_key(network, "-f", "KSK"), make_key(network)
    network.node.reload(network.config(f'keys: ["{entry}", "{zone}.private"]'))
    port = network.validator(ds_of(network, entry))
    wait_until(lambda: network.verdict("nope.shop.example", "A", port) == ("NXDOMAIN", True))
    assert network.verdict("www.shop.example", "A", port) == ("NOERROR", True)


def test_an_offline_ksk_signs_in_advance(start_signed):
    network = start_signed()
    entry = make_key(network, "-f", "KSK")
    request, signed = network.lab.path("request"), network.lab.path("signed")
    network.node.run("dnssec", "keys", "shop.example", "-d", "300", "-o", request)
    network.here.run(network.program, "dnssec", "sign-keys", request, "-k", entry, "-o", signed)
    network.node.reload(network.config(f"secret: {network.secret}, signed_keys: {signed}"))
    port = network.validator(ds_of(network, entry))
    wait_until(lambda: network.verdict("nope.shop.example", "A", port) == ("NXDOMAIN", True))
    for name, kind in (("www.shop.example", "A"), ("shop.example", "DNSKEY"), ("shop.example", "CDS")):
        assert network.verdict(name, kind, port) == ("NOERROR", True), (name, kind)


def test_random_names_cannot_buy_signatures(start_signed):
    """Compact denials are as many as there are names: beyond the budget UDP is sent to TCP, and TCP gets nothing new."""
    network = start_signed(dns="signing: {rate: 1, burst: 20}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(10)

        def is_truncated(number):
            asker.sendto(question(f"x{number}.a.b.shop.example"), ("127.0.0.1", network.port))
            return bool(asker.recv(1500)[2] & 2)

        refused = [number for number in range(200) if is_truncated(number)]
        assert 100 < len(refused) < 190
        with socket.create_connection(("127.0.0.1", network.port)) as connection:
            message = question("y.a.b.shop.example")
            connection.sendall(struct.pack(">H", len(message)) + message)
            assert connection.recv(1500)[5] & 15 == 2  # SERVFAIL
        assert not is_truncated(0), "what is signed already is there for everybody"


def test_wrong_keys_are_told_and_the_old_ones_stay(start_signed):
    network = start_signed()
    mode = network.lab.write("open.secret", base64.b64encode(bytes(32)).decode() + "\n")
    os.chmod(mode, 0o644)
    short = network.lab.write("short.secret", "c2hvcnQ=\n")
    os.chmod(short, 0o600)
    entry, other = make_key(network, "-f", "KSK"), make_key(network)
    os.replace(f"{other}.private", f"{entry}.private")
    for dnssec, sentence in ((f"secret: {mode}", "others can read it"), (f"secret: {short}", "32 bytes in base64"),
                             (f'keys: ["{entry}"]', "is that of another .key file"),
                             (f"secret: {network.secret}, overlap: 2000h", "at most half of period"),
                             ("denial: compact", "neither a secret nor keys")):
        file = network.lab.write("wrong.yaml", network.config(dnssec))
        result = subprocess.run([str(network.program), "check", "-c", file, "--node", "ns"], capture_output=True, text=True)
        assert result.returncode != 0 and sentence in result.stdout + result.stderr, (dnssec, result)
    assert "RRSIG" in network.dig("www.shop.example", "A")
