# SPDX-License-Identifier: Apache-2.0
"""Answers to a corpus of queries on ordinary zones, compared with those of NSD, Knot and BIND from the same zone file.

Compared are rcode, the flags AA and TC, and the sections as sets of records with their TTLs. Where servers may choose, or one of
them is known to choose otherwise, a row of ALLOWED says so; every other difference fails the test."""
import os

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from lab.causeway import Causeway

ZONE = """\
$ORIGIN agree.example.
$TTL 3600
@               IN SOA   ns1 hostmaster 2026112101 7200 900 1209600 300
                   NS    ns1
                   NS    ns2.elsewhere.example.
                   MX    10 mail
                   MX    20 mail.elsewhere.example.
                   TXT   "v=spf1 mx -all"
                   CAA   0 issue "ca.example"
                   A     192.0.2.1
                   AAAA  2001:db8::1
ns1                A     192.0.2.53
                   AAAA  2001:db8::53
mail               A     192.0.2.25
www         300    A     192.0.2.80
            300    A     192.0.2.81
            300    AAAA  2001:db8::80
MiXed              A     192.0.2.4
text               TXT   "one" "two; three" "quote \\" end"
_sip._tcp          SRV   10 60 5060 sip
sip                A     192.0.2.5
ptr                PTR   host.elsewhere.example.
alias              CNAME www
chain              CNAME chain2
chain2             CNAME alias
broken             CNAME nothing
outside            CNAME www.elsewhere.example.
cutcname           CNAME host.child
loop               CNAME loop2
loop2              CNAME loop
*.wild             A     192.0.2.99
*.wild             TXT   "any"
*.wildalias        CNAME www
exact.wild         AAAA  2001:db8::99
a.b.c.ent          A     192.0.2.6
child              NS    ns.child
child              NS    ns2.elsewhere.example.
ns.child           A     192.0.2.77
                   AAAA  2001:db8::77
secure             NS    ns.secure
secure             DS    12345 13 2 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF
ns.secure          A     192.0.2.78
lame               NS    ns.elsewhere.example.
unknown            TYPE65400 \\# 4 01020304
unknown            A     192.0.2.7
svc                HTTPS 1 . alpn="h2,h3" ipv4hint=192.0.2.80
svc                SSHFP 1 1 0123456789abcdef0123456789abcdef01234567
tlsa._443          TLSA  3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
under_score        A     192.0.2.8
esc\\.aped          A     192.0.2.9
""" + "".join(f"many               A     198.51.100.{i}\n" for i in range(60)) \
    + "".join(f"large              TXT   \"{i:0200}\"\n" for i in range(20))

NAMES = ("", "www", "WWW", "mixed", "ns1", "mail", "text", "_sip._tcp", "_tcp", "ptr", "alias", "chain", "broken", "outside", "cutcname",
         "nothing", "x.nothing", "x.www", "wild", "x.wild", "y.x.wild", "*.wild", "exact.wild", "x.exact.wild",
         "x.wildalias", "wildalias", "ent", "c.ent", "b.c.ent", "a.b.c.ent", "x.ent", "x.c.ent", "child", "x.child", "ns.child",
         "y.x.child", "secure", "x.secure", "ns.secure", "lame", "x.lame", "unknown", "svc", "tlsa._443", "under_score",
         "esc\\.aped", "many", "large", "*", "x.*.wild", "a" * 63, ".".join(["b" * 60] * 3))
TYPES = ("A", "AAAA", "NS", "SOA", "MX", "TXT", "CNAME", "SRV", "PTR", "CAA", "DS", "HTTPS", "TYPE65400", "TYPE1234")


class Corpus:
    """Queries: [(label, message)]."""

    def __init__(self):
        self.queries = []
        for name in NAMES:
            for kind in TYPES:
                self.add(name, kind)
        for name in ("www", "nothing", "child", "many", "large", ""):
            self.add(name, "A", edns=False)
            self.add(name, "TXT", edns=False)
            self.add(name, "A", payload=512)
            self.add(name, "TXT", payload=4096)
            self.add(name, "A", rd=True)
            self.add(name, "A", cd=True)
            self.add(name, "A", dnssec=True)
        self.add("www.elsewhere.example.", "A")
        self.add("example.", "NS")
        self.add(".", "NS")
        self.add("www", "A", rdclass="HS")
        self.add("agree.example.", "A", opcode=2)
        self.add("agree.example.", "A", opcode=1)
        self.add("www", "A", version=1)

    def add(self, name, kind, edns=True, payload=1232, rd=False, cd=False, dnssec=False, rdclass="IN", opcode=0, version=0):
        full = name if name.endswith(".") else f"{name}.agree.example." if name else "agree.example."
        message = dns.message.make_query(full, kind, rdclass)
        message.flags = dns.flags.RD * rd | dns.flags.CD * cd
        message.set_opcode(opcode)
        if edns:
            message.use_edns(version, dns.flags.DO * dnssec, payload)
        options = [word for word, is_set in (("noedns", not edns), (f"payload={payload}", payload != 1232), ("rd", rd), ("cd", cd),
                                             ("do", dnssec), (rdclass, rdclass != "IN"), (f"opcode={opcode}", opcode),
                                             (f"version={version}", version)) if is_set]
        self.queries.append((" ".join([full, kind, *options]), message))


# ---- what is compared

def records(section):
    return sorted({f"{rrset.name.to_text().lower()} {rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {rdata.to_text().lower()}"
                   for rrset in section for rdata in rrset})


def summary(answer):
    flags = dns.flags.to_text(answer.flags & (dns.flags.AA | dns.flags.TC | dns.flags.RA | dns.flags.AD | dns.flags.RD))
    return {"rcode": dns.rcode.to_text(answer.rcode()), "flags": flags, "answer": records(answer.answer),
            "authority": records(answer.authority), "additional": records(answer.additional)}


def is_referral(ours):
    return not ours["answer"] and any(" NS " in record for record in ours["authority"])


# (peers, what differs, when, why)
ALLOWED = [
    ("nsd knot bind", "additional", lambda label, ours, theirs: not is_referral(ours),
     "beside a referral the additional section is a courtesy (RFC 9471 is about referrals)"),
    ("nsd knot bind", "authority", lambda label, ours, theirs: ours["answer"] and not ours["authority"]
     and all(" NS " in record for record in theirs["authority"]),
     "the zone's own NS set in an answer is a courtesy, which minimal answers leave out"),
    ("bind", "answer", lambda label, ours, theirs: "TC" in ours["flags"] and not ours["answer"],
     "BIND sends what fits of a truncated set, which a client must not use anyway (RFC 2181 section 9)"),
]


def explained(peer, part, label, ours, theirs):
    return next((why for peers, what, when, why in ALLOWED
                 if peer in peers.split() and what == part and when(label, ours, theirs)), None)


# ---- the peers

def start_nsd(lab, here, port, zone):
    folder = lab.path("nsd")
    os.makedirs(folder, exist_ok=True)
    config = lab.write("nsd/nsd.conf", f"""
server:
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  xfrdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
  minimal-responses: yes
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: agree.example
  zonefile: {zone}
""")
    return lab.start("nsd-server", ["nsd", "-d", "-c", config], here)


def start_knot(lab, here, port, zone):
    folder = lab.path("knot")
    os.makedirs(folder, exist_ok=True)
    config = lab.write("knot/knot.conf", f"""
server:
  rundir: {folder}
  listen: 127.0.0.1@{port}
database:
  storage: {folder}
zone:
  - domain: agree.example
    file: {zone}
    zonefile-sync: -1
""")
    return lab.start("knot-server", ["knotd", "-c", config], here)


def start_bind(lab, here, port, zone):
    folder = lab.path("bind")
    os.makedirs(folder, exist_ok=True)
    config = lab.write("bind/named.conf", f"""
options {{
  directory "{folder}";
  pid-file "{folder}/named.pid";
  session-keyfile "{folder}/session.key";
  listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  recursion no;
  minimal-responses yes;
  allow-transfer {{ none; }};
  notify no;
  dnssec-validation no;
  check-names primary ignore;
  zero-no-soa-ttl no;
}};
controls {{ }};
zone "agree.example" {{ type primary; file "{zone}"; }};
""")
    return lab.start("bind-server", ["named", "-g", "-c", config], here)


def start_causeway(lab, program, port, zone):
    return Causeway(lab, program, f"""
nodes:
  ns:
    run_dir: {lab.path("run-ns")}
    user: root
    workers: 1
    admin: off
    dns: {{listen: ["127.0.0.1:{port}"]}}
zones:
  agree.example: {{file: {zone}}}
""")


@pytest.fixture
def servers(local_lab, causeway_program):
    """Ports of all four by name."""
    here, zone = local_lab.here(), local_lab.write("agree.zone", ZONE)
    ports = {name: here.free_port("127.0.0.1") for name in ("causeway", "nsd", "knot", "bind")}
    start_causeway(local_lab, causeway_program, ports["causeway"], zone)
    for name, start in (("nsd", start_nsd), ("knot", start_knot), ("bind", start_bind)):
        process = start(local_lab, here, ports[name], zone)
        process.wait_until(lambda p=ports[name]: answers_soa(p), what="it answers for the zone")
    return ports


def answers_soa(port):
    try:
        return bool(ask(port, dns.message.make_query("agree.example.", "SOA"), timeout=1).answer)
    except (OSError, dns.exception.Timeout):
        return False


def ask(port, query, timeout=5):
    return dns.query.udp(query, "127.0.0.1", port=port, timeout=timeout, raise_on_truncation=False)


# ---- the test

def test_answers_agree_with_nsd_knot_and_bind(servers):
    differences, seen = [], set()
    corpus = Corpus().queries
    for label, query in corpus:
        ours = summary(ask(servers["causeway"], query))
        for peer in ("nsd", "knot", "bind"):
            theirs = summary(ask(servers[peer], query))
            for part, value in ours.items():
                if value == theirs[part]:
                    continue
                why = explained(peer, part, label, ours, theirs)
                seen.add(why)
                if not why:
                    differences.append(f"{label}: {part}: ours {value}, {peer}'s {theirs[part]}")
    assert not differences, f"{len(differences)} of {3 * len(corpus)} comparisons\n" + "\n".join(differences)
    unused = [row[3] for row in ALLOWED if row[3] not in seen]
    assert not unused, f"rows that allow what does not happen: {unused}"


def test_truncated_answers_agree_over_tcp(servers):
    for name, kind in (("many", "A"), ("large", "TXT")):
        query = dns.message.make_query(f"{name}.agree.example.", kind)
        wholes = {server: summary(dns.query.tcp(query, "127.0.0.1", port=port, timeout=5)) for server, port in servers.items()}
        for peer in ("nsd", "knot", "bind"):
            assert wholes["causeway"]["answer"] == wholes[peer]["answer"]
            assert wholes["causeway"]["rcode"] == wholes[peer]["rcode"]
