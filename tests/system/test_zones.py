# SPDX-License-Identifier: Apache-2.0
"""Zone files and copies of zones: read as BIND reads them, copied by NSD and BIND, refused to strangers."""
import base64
import os
import random
import re
import shutil
import socket
import struct
import time

import pytest

from lab import wait_until
from lab.causeway import Causeway, Keys

SECRET = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
KEY = f"hmac-sha256:xfr:{SECRET}"
HEAD = "$TTL 300\n@ SOA ns hostmaster {serial} 1h 10m 1w 60\n@ NS ns\nns A 127.0.0.1\n"

# What named-checkzone takes, in the forms that are seldom seen. The first line is the zone's name.
TRICKY = {
    "syntax": r'''
@ 1d IN SOA ns.other. host\.master ( 2024010101 ; serial
   1h 15m   ; refresh, retry
   1w 1d1h ) ; the rest
  NS ns
  IN NS ns.other.
ns 5 IN A 192.0.2.1
IN 7 A 192.0.2.2
   IN 8 A 192.0.2.3
A IN 9 A 192.0.2.4
( multi 10 IN
   A 192.0.2.5 )
a\.dot 1 TXT "semi;colon" bare\;word "q\"uote" \"
\097bc TXT "\065\066" "" x
\* A 192.0.2.77
* A 192.0.2.78
$ORIGIN sub
@ A 192.0.2.6
x	A	192.0.2.7
$ORIGIN example.
tricky A 192.0.2.9
outside.other. A 192.0.2.8
$TTL 2h30m
tricky TXT default
nottl.tricky TXT "two hours" and a half
$ORIGIN tricky.example.
$GENERATE 1-9/4 gen$ A 10.0.0.$
$GENERATE 10-11 g${0,4,x}.h CNAME target$
late 3 A 1.2.3.4
late 9 A 1.2.3.5
''',
    "types": r'''
$TTL 1h
@ SOA ns hostmaster 1 2 3 4 5
@ NS ns
ns A 192.0.2.1
ns AAAA 2001:db8::1
@ MX 10 mail.example.net.
@ CAA 0 issue "ca.example; account=1"
@ TXT "v=spf1 -all"
@ SPF "v=spf1 -all"
@ HINFO PC Linux
@ RP admin.example. text.example.
@ LOC 51 30 12.748 N 0 7 39.611 W 0.00m 0.00m 0.00m 0.00m
l2 LOC 42 21 54 S 71 06 18 E -24m 30m
_sip._tcp SRV 1 2 5060 sip
sip NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .
_443._tcp TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b9 7983a1d16e8a410e4561cb106618e971
ssh SSHFP 4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789
uri URI 10 1 "ftp://ftp1.example.com/public"
key OPENPGPKEY AAECAwQFBgcICQ==
smime SMIMEA 3 0 0 00ff
www HTTPS 1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1
svc SVCB 16 foo.example.org. mandatory=alpn,ipv4hint alpn=h2,h3-19 ipv4hint=192.0.2.1
svc2 SVCB 1 . key667="hello\210qoo" ech=AEj+DQ==
svc3 SVCB 0 foo.example.com.
d DNAME other.example.
child NS ns.child
ns.child A 192.0.2.9
child DS 60485 5 1 ( 2BB183AF5F22588179A53B0A 98631FAD1A292118 )
cds CDS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118
cdnskey CDNSKEY 257 3 RSASHA256 AwEAAQ==
cert CERT PKIX 1 RSASHA256 AQID
eui EUI48 00-00-5e-00-53-2a
eui EUI64 00-00-5e-ef-10-00-00-2a
nid NID 10 0014:4fff:ff20:ee64
l32 L32 10 10.1.2.0
l64 L64 10 2001:0db8:1140:1000
lp LP 10 l64
afs AFSDB 1 afs.example.
kx KX 10 kx
minfo MINFO a b
unknown TYPE65280 \# 4 0a 00 00 01
known TYPE1 \# 4 0a000002
empty TYPE65281 \# 0
dhcid DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=
csync CSYNC 66 3 A NS AAAA
''',
}


def read_only(text):
    """Records that do not depend on the order of the zone or the look of its text."""
    lines = []
    for line in text.splitlines():
        line = line.strip()
        if line and not line.startswith(";"):
            lines.append(re.sub(r"\s+", " ", line).lower())
    return sorted(set(lines))


class Primary:
    """A DNS node with zone files, on loopback."""

    def __init__(self, lab, program, zones, transfer="{keys: [xfr]}", more=""):
        self.lab, self.here = lab, lab.here()
        self.port = self.here.free_port()
        self.admin = self.here.free_port()
        self.keys = Keys(lab, program, "ns", "fra")
        self.link = self.here.free_port()
        os.makedirs(lab.path("zones"), exist_ok=True)
        lab.write("xfr.key", SECRET, mode=0o600)
        for name, text in zones.items():
            lab.write(f"zones/{name}", text)
        self.zones, self.transfer, self.more = list(zones), transfer, more
        self.node = Causeway(lab, program, self.config(), node="ns")

    def config(self):
        zones = "".join(f"  {name}: {{file: zones/{name}, transfer: {self.transfer}}}\n" for name in self.zones)
        return f'''
nodes:
  ns:
    public_key: {self.keys.public["ns"]}
    private_key: {self.keys.path("ns")}
    run_dir: {self.lab.path("run-ns")}
    user: root
    workers: 1
    admin: {{listen: ["127.0.0.1:{self.admin}"]}}
    link: {{listen: ["127.0.0.1:{self.link}"]}}
    gateway: {"{allow: [{edges: [fra], sites: [shop]}]}" if "shop" in self.more else "{}"}
    dns: {{listen: ["127.0.0.1:{self.port}"]}}
  fra:
    addresses: [198.51.100.1]
    public_key: {self.keys.public["fra"]}
    private_key: {self.keys.path("fra")}
    edge: {{listen: ["127.0.0.1:2"]}}
tsig: {{xfr: {{secret: xfr.key}}}}
zones:
{zones}{self.more}'''

    def write(self, name, text):
        self.lab.write(f"zones/{name}", text)
        self.node.reload(self.config())

    def dig(self, *words):
        return self.here.run("dig", "@127.0.0.1", "-p", str(self.port), "+tries=1", "+time=5", *words, check=False).stdout

    def serial(self, zone):
        words = self.dig(zone, "SOA", "+short").split()
        return int(words[2]) if len(words) > 2 else None

    def metric(self, name):
        text = self.here.run("curl", "-s", f"http://127.0.0.1:{self.admin}/metrics").stdout
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


@pytest.fixture
def start_primary(local_lab, causeway_program):
    return lambda zones, **settings: Primary(local_lab, causeway_program, zones, **settings)


@pytest.mark.parametrize("name", sorted(TRICKY))
def test_R1_zone_files_load_as_bind_loads_them(start_primary, local_lab, name):
    primary = start_primary({"tricky.example": TRICKY[name]}, transfer="{allow: [127.0.0.0/8]}")
    path = local_lab.path("zones/tricky.example")
    compiled = local_lab.path("compiled")
    primary.here.run("named-compilezone", "-q", "-i", "none", "-k", "ignore", "-s", "full", "-o", compiled,
                     "tricky.example", path)
    copied = local_lab.write("copied", primary.dig("tricky.example", "AXFR", "+noall", "+answer", "+onesoa"))
    again = local_lab.path("again")
    primary.here.run("named-compilezone", "-q", "-i", "none", "-k", "ignore", "-s", "full", "-o", again,
                     "tricky.example", copied)
    with open(compiled, encoding="utf-8") as expected, open(again, encoding="utf-8") as got:
        assert read_only(got.read()) == read_only(expected.read())


def test_R1_a_wrong_zone_file_keeps_the_old_zone(start_primary):
    primary = start_primary({"a.example": HEAD.format(serial=1) + "www A 192.0.2.1\n"})
    primary.write("a.example", HEAD.format(serial=2) + "www A 192.0.2.300\n")
    primary.node.wait_for_log(r"zones/a\.example:5:7: '192\.0\.2\.300' does not fit here in the data of a record of type A")
    assert primary.serial("a.example") == 1
    primary.write("a.example", HEAD.format(serial=3) + "$INCLUDE ../outside\n")
    primary.node.wait_for_log(r"'\.\./outside' is not below the zone file's folder")
    primary.lab.write("zones/rest", "www A 192.0.2.3\n")
    primary.write("a.example", HEAD.format(serial=4) + "$INCLUDE rest\n")
    wait_until(lambda: primary.serial("a.example") == 4, what="the new zone")
    assert primary.dig("www.a.example", "+short").strip() == "192.0.2.3"


def test_R1_aliases_below_a_dname_are_made(start_primary):
    primary = start_primary({"a.example": HEAD.format(serial=1) + "old DNAME new\nx.new A 192.0.2.5\n"})
    answer = primary.dig("x.old.a.example", "A")
    assert re.search(r"^old\.a\.example\.\s+300\s+IN\s+DNAME\s+new\.a\.example\.", answer, re.M)
    assert re.search(r"^x\.old\.a\.example\.\s+300\s+IN\s+CNAME\s+x\.new\.a\.example\.", answer, re.M)
    assert re.search(r"^x\.new\.a\.example\.\s+300\s+IN\s+A\s+192\.0\.2\.5", answer, re.M)
    assert "status: NXDOMAIN" in primary.dig("y.old.a.example", "A")
    primary.write("a.example", HEAD.format(serial=2) + "old DNAME new-and-much-longer-than-before\n")
    wait_until(lambda: primary.serial("a.example") == 2, what="the new zone")
    assert "status: YXDOMAIN" in primary.dig(".".join(["x" * 59] * 3 + ["x" * 47]) + ".old.a.example", "A")
    assert "ANSWER: 0" in primary.dig("old.a.example", "A")


def start_named(primary, port, keyed=True):
    lab, folder = primary.lab, primary.lab.path("named")
    os.makedirs(folder, exist_ok=True)
    zones = "".join(f'zone "{zone}" {{ type secondary; file "{folder}/{zone}"; masterfile-format text; '
                    f'primaries {{ 127.0.0.1 port {primary.port} {"key xfr" if keyed else ""}; }}; }};\n'
                    for zone in primary.zones)
    lab.write("named/named.conf", f'''
key xfr {{ algorithm hmac-sha256; secret "{SECRET}"; }};
options {{ directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none;
  session-keyfile "{folder}/session.key"; recursion no; dnssec-validation no; min-refresh-time 1; notify no;
  allow-query {{ any; }}; }};
controls {{ }};
{zones}''')
    return lab.start("named", ["named", "-g", "-n", "1", "-c", f"{folder}/named.conf"], primary.here)


def start_nsd(primary, port):
    lab, folder = primary.lab, primary.lab.path("nsd")
    os.makedirs(folder, exist_ok=True)
    zones = "".join(f'zone:\n  name: "{zone}"\n  zonefile: "{folder}/{zone}"\n'
                    f'  request-xfr: 127.0.0.1@{primary.port} xfr\n  allow-notify: 127.0.0.1 xfr\n'
                    for zone in primary.zones)
    lab.write("nsd/nsd.conf", f'''
server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: ""
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  xfrdir: "{folder}"
  verbosity: 2
remote-control:
  control-enable: no
key:
  name: xfr
  algorithm: hmac-sha256
  secret: "{SECRET}"
{zones}''')
    return lab.start("nsd", ["nsd", "-d", "-c", f"{folder}/nsd.conf"], primary.here)


def asked(primary, port, *words):
    return primary.here.run("dig", "@127.0.0.1", "-p", str(port), "+tries=1", "+time=2", *words, check=False).stdout


@pytest.mark.parametrize("secondary", ["named", "nsd"])
def test_R1_secondaries_copy_with_keys_and_follow_notifies(start_primary, local_lab, secondary):
    if not shutil.which(secondary):
        pytest.skip(f"{secondary} is not installed")
    names = "".join(f"h{i} A 10.0.{i // 256}.{i % 256}\n" for i in range(3000))
    port = local_lab.here().free_port()
    primary = start_primary({"a.example": HEAD.format(serial=1) + names},
                            transfer=f'{{keys: [xfr], notify: ["127.0.0.1:{port}"]}}')
    server = start_named(primary, port) if secondary == "named" else start_nsd(primary, port)
    server.wait_until(lambda: asked(primary, port, "h2999.a.example", "+short").strip() == "10.0.11.183", 20,
                      "the whole zone is copied")
    assert primary.metric('causeway_dns_transfers_total{result="axfr"}') >= 1
    for serial in (2, 3):
        primary.write("a.example", HEAD.format(serial=serial) + names + f"new{serial} TXT there\n")
        server.wait_until(lambda s=serial: asked(primary, port, f"new{s}.a.example", "TXT", "+short").strip() == '"there"',
                          20, f"version {serial} is copied after a NOTIFY")
    assert asked(primary, port, "new2.a.example", "TXT", "+short").strip() == ""
    assert primary.metric('causeway_dns_transfers_total{result="ixfr"}') >= 2
    assert primary.metric("causeway_dns_transfer_records_total") < 2 * 3005
    assert primary.metric('causeway_dns_notifies_total{event="answered"}') >= 2
    ours = read_only(primary.dig("a.example", "AXFR", "-y", KEY, "+noall", "+answer"))
    theirs = read_only(asked(primary, port, "a.example", "AXFR", "+noall", "+answer"))
    if theirs: # NSD gives copies to those only that it lists
        assert ours == theirs


SIGNED = """*.wild TXT any
deep.in.ent A 192.0.2.3
alias CNAME deep.in.ent
sub NS ns.sub
ns.sub A 192.0.2.77
sec NS ns.sec
ns.sec A 192.0.2.78
sec DS 12345 13 2 0011223344556677889900112233445566778899001122334455667788990011
"""


@pytest.mark.parametrize("secondary", ["named", "nsd"])
def test_R1_copies_of_signed_zones_validate(start_primary, local_lab, secondary):
    if not shutil.which(secondary):
        pytest.skip(f"{secondary} is not installed")
    local_lab.write("zone.secret", base64.b64encode(bytes(range(32))).decode() + "\n", mode=0o600)
    names = "".join(f"h{i} A 10.0.{i // 256}.{i % 256}\n" for i in range(500))
    port = local_lab.here().free_port()
    below = """  low.a.example: {ns: [ns.a.example], dnssec: {secret: zone.secret}, records: ["x A 192.0.2.1"]}
"""
    transfer = f'{{keys: [xfr], notify: ["127.0.0.1:{port}"]}}, dnssec: {{secret: zone.secret}}'
    primary = start_primary({"a.example": HEAD.format(serial=1) + names + SIGNED}, transfer=transfer, more=below)
    started = time.time() // 21600
    assert primary.serial("a.example") - 1 in (started, started + 1)
    server = start_named(primary, port) if secondary == "named" else start_nsd(primary, port)
    for serial in (1, 2): # the second one by IXFR, which is a whole zone here
        if serial > 1:
            primary.write("a.example", HEAD.format(serial=serial) + names + SIGNED + "new TXT there\n")
        server.wait_until(lambda: asked(primary, port, "a.example", "SOA", "+short") ==
                          primary.dig("a.example", "SOA", "+short") != "", 30, f"version {serial} is copied")
        for words in (["h7.a.example", "A"], ["nope.a.example", "A"], ["x.wild.a.example", "TXT"], ["x.sub.a.example", "A"],
                      ["x.sec.a.example", "A"], ["a.example", "DNSKEY"], ["ent.a.example", "A"], ["low.a.example", "DS"]):
            theirs, ours = (set(re.findall(r"^[^;].*\tRRSIG\t(\S+ \S+ \S+ \S+ \S+ \S+)", text, re.M)) for text in
                            (asked(primary, port, *words, "+dnssec", "+norec"), primary.dig(*words, "+dnssec", "+norec")))
            assert ours and ours <= theirs, words # the very signatures; BIND adds those of NS and addresses
    copied = local_lab.write("signed", primary.dig("a.example", "AXFR", "-y", KEY, "+noall", "+answer", "+onesoa"))
    checked = primary.here.run("dnssec-verify", "-o", "a.example", copied, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    if shutil.which("ldns-verify-zone"):
        assert "is verified and complete" in primary.here.run("ldns-verify-zone", copied, check=False).stdout


def test_R1_what_no_signed_copy_can_have_is_refused(start_primary, local_lab):
    local_lab.write("zone.secret", base64.b64encode(bytes(range(32))).decode() + "\n", mode=0o600)
    primary = start_primary({"a.example": HEAD.format(serial=1)}, transfer="{keys: [xfr]}, dnssec: {secret: zone.secret}")
    good = primary.config()
    for change, why in ((("secret: zone.secret", "secret: zone.secret, denial: compact"), "compact denials, which are made as somebody asks"),
                        (("secret: zone.secret", "secret: zone.secret, validity: 24h"), "validity must be at least 48h"),
                        (("tsig:", "sites: {shop: {hosts: [www.a.example], origins: [http://192.0.2.1:80]}}\ntsig:"),
                         "'www.a.example' answers depends on the client")):
        primary.node.reload(good.replace(*change))
        primary.node.wait_for_log(why)
    assert "XFR size" in primary.dig("a.example", "AXFR", "-y", KEY)


def test_R1_a_journal_that_does_not_reach_back_sends_the_whole_zone(start_primary):
    primary = start_primary({"a.example": HEAD.format(serial=1)}, transfer="{keys: [xfr], journal: 200}")
    primary.write("a.example", HEAD.format(serial=2) + "x A 192.0.2.1\n")
    wait_until(lambda: primary.serial("a.example") == 2, what="the second version")
    primary.write("a.example", HEAD.format(serial=3) + "y A 192.0.2.1\n")
    wait_until(lambda: primary.serial("a.example") == 3, what="the third version")
    assert "ns.a.example." in primary.dig("a.example", "IXFR=1", "-y", KEY)
    small = primary.dig("a.example", "IXFR=3", "-y", KEY)
    assert len(re.findall(r"\tSOA\t", small)) == 1


def test_R1_strangers_get_no_copy_and_their_notifies_are_refused(start_primary):
    primary = start_primary({"a.example": HEAD.format(serial=1)}, transfer="{allow: [127.0.0.2/32], keys: [xfr]}")
    assert "Transfer failed" in primary.dig("a.example", "AXFR")
    assert "Transfer failed" in primary.dig("a.example", "AXFR", "-y", KEY) # the key, from the wrong place
    assert "Transfer failed" in primary.dig("a.example", "AXFR", "-b", "127.0.0.2") # the place, without the key
    assert "BADKEY" in primary.dig("a.example", "SOA", "-y", f"hmac-sha256:other:{SECRET}")
    assert "BADKEY" in primary.dig("a.example", "SOA", "-y", f"hmac-sha512:xfr:{SECRET}")
    assert "BADSIG" in primary.dig("a.example", "SOA", "-y", "hmac-sha256:xfr:" + SECRET.replace("M", "N"))
    assert "Transfer failed" in primary.dig("nothing.example", "AXFR", "-y", KEY, "-b", "127.0.0.2")
    good = primary.dig("a.example", "AXFR", "-y", KEY, "-b", "127.0.0.2")
    assert "XFR size: 4 records" in good
    assert primary.metric('causeway_dns_transfers_total{result="refused"}') >= 3
    assert primary.metric('causeway_dns_tsig_total{result="bad"}') == 3
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(struct.pack(">HHHHHH", 7, 0x2400, 1, 0, 0, 0) + b"\1a\7example\0\0\6\0\1", ("127.0.0.1", primary.port))
        assert struct.unpack(">HH", client.recv(512)[:4]) == (7, 0xa005)
    wait_until(lambda: primary.metric('causeway_dns_notifies_total{event="refused"}') == 1, what="it is counted")


def test_R1_hostile_transfers_are_bounded(start_primary):
    names = "".join(f"h{i} TXT {'x' * 200}\n" for i in range(20000))
    primary = start_primary({"a.example": HEAD.format(serial=1) + names}, transfer="{allow: [127.0.0.0/8]}")
    request = struct.pack(">HHHHHH", 7, 0, 1, 0, 0, 0) + b"\1a\7example\0\0\xfc\0\1"
    framed = struct.pack(">H", len(request)) + request
    idle = []
    for _ in range(70): # they ask, and do not read
        client = socket.create_connection(("127.0.0.1", primary.port))
        client.sendall(framed * 3)
        idle.append(client)
    chance = random.Random(5)
    for _ in range(300): # and broken ones
        with socket.create_connection(("127.0.0.1", primary.port)) as client:
            broken = bytearray(request + b"\0\0\xfa\0\xff\0\0\0\0\0\3abc")
            for _ in range(chance.randrange(6)):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            client.sendall(struct.pack(">H", len(broken)) + bytes(broken))
    assert "XFR size" not in primary.dig("a.example", "AXFR")
    assert primary.dig("ns.a.example", "+short").strip() == "127.0.0.1"
    for client in idle:
        client.close()
    wait_until(lambda: "XFR size: 20004 records" in primary.dig("a.example", "AXFR"), what="copies again")


def test_R2_a_site_moves_in_network_by_network(start_primary):
    site = 'sites: {shop: {hosts: [a.example], origins: ["http://192.0.2.80"], dns: {move_in: 0}}}\n'
    primary = start_primary({"a.example": HEAD.format(serial=1) + "@ ALIAS localhost.\n"}, more=site)

    def answer(source):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.bind((source, 0))
            client.sendto(struct.pack(">HHHHHH", 7, 0, 1, 0, 0, 0) + b"\1a\7example\0\0\1\0\1", ("127.0.0.1", primary.port))
            message = client.recv(512)
            return socket.inet_ntoa(message[-4:]) if message[7] == 1 else ""

    def answers():
        return [answer(f"127.0.{i}.1") for i in range(1, 41)]

    def share(percent):
        primary.node.reload(primary.config().replace("move_in: 0", f"move_in: {percent}"))

    wait_until(lambda: set(answers()) == {"127.0.0.1"}, what="the alias is resolved")
    share(40)
    wait_until(lambda: len(set(answers())) == 2, what="some networks get the edge")
    first = answers()
    assert 5 <= first.count("198.51.100.1") <= 27
    assert answers() == first
    share(80)
    wait_until(lambda: answers() != first, what="more networks get the edge")
    assert all(after == "198.51.100.1" for before, after in zip(first, answers()) if before == "198.51.100.1")
    share(100)
    wait_until(lambda: set(answers()) == {"198.51.100.1"}, what="the site has moved in")
