# SPDX-License-Identifier: Apache-2.0
"""Probes of client networks (H3): who is probed, how often, by what, and what comes of it. Two DNS nodes share the networks."""
import re
import time

from lab import wait_until
from lab.causeway import TAKEN
from lab.servers import at

from star import HTTP, SITE, Star

ECHOES, VANTAGES = 3, 2
DELAY = "30ms"


def visit(star, client, edge, version):
    star.spaces[client].run("curl", "-sS", "-o", "/dev/null", "-m", "20", "-H", f"Host: {SITE}",
                            f"http://{at(star.addresses[edge][version], HTTP)}/")


def count(star, client):
    """Packets of probes that reached a client: {"echo", "echo6", "syn"}."""
    listing = star.spaces[client].run("nft", "list", "ruleset").stdout
    return {name: int(re.search(rf'counter packets (\d+) bytes \d+[^\n]*comment "{name}"', listing)[1])
            for name in ("echo", "echo6", "syn")}


def listen_in(star, client, verdict=""):
    star.filter(client, f'in icmp type echo-request counter {verdict} comment "echo"',
                f'in icmpv6 type echo-request counter {verdict} comment "echo6"',
                'in tcp flags & (syn | ack) == syn counter comment "syn"')


def measured(star, client, version):
    """(edge, by, answered, ms) of every measurement of that client."""
    address = re.escape(star.addresses[client][version])
    found = []
    for edge in star.edges:
        for by, answered, ms in re.findall(rf"round trip host={address} by=(\w+) answered=(\d+) sent=\d+ ms=([\d.]+)",
                                           star.nodes[edge].process.output()):
            found.append((edge, by, int(answered), float(ms)))
    return found


def test_H3_visitors_networks_are_probed_once_a_minute_and_nobody_else(lab, causeway_program):
    clients = ("near", "out", "mute", "stranger")
    star = Star(lab, causeway_program, servers=("ns1", "ns2"), clients=clients, delays={"near": DELAY})
    networks = [star.addresses["out"][4].rsplit(".", 1)[0] + ".0/24", star.addresses["out"][6] + "/128"]
    opt_out = lab.write("opt-out.txt", "# asked to be left alone\n" + "\n".join(networks) + "\n")
    star.start()
    star.top = f"probe: {{echoes: {ECHOES}, vantages: {VANTAGES}, gap: 50ms, timeout: 2s, opt_out: {opt_out}}}"
    for node in star.nodes.values():  # probes are switched on while running: ICMP sockets come from the supervisor then
        node.reload(star.text())
        node.wait_for_log(TAKEN)
    for client in clients:
        listen_in(star, client, "drop" if client == "mute" else "")
    # of a network the host that came last is probed, and for IPv6 all clients here are of one /48
    for client, version in (("out", 4), ("out", 6), ("near", 4), ("near", 6), ("mute", 4)):
        visit(star, client, "e1", version)

    # a DNS node waits a whole interval at its start: it may have probed before
    wait_until(lambda: all(len(measured(star, *who)) >= VANTAGES for who in (("near", 4), ("near", 6), ("mute", 4))), 120,
               "the networks are probed", every=0.5)
    time.sleep(8)  # whatever a second DNS node would ask for comes in this time

    for version in (4, 6):
        rows = measured(star, "near", version)
        assert {row[1] for row in rows} == {"icmp"} and len({row[0] for row in rows}) == len(rows) == VANTAGES
        assert all(answered == ECHOES and 28 <= ms <= 200 for _, _, answered, ms in rows), rows
    seen = count(star, "near")
    assert (seen["echo"], seen["echo6"], seen["syn"]) == (VANTAGES * ECHOES, VANTAGES * ECHOES, 0)

    rows = measured(star, "mute", 4)  # its ports refuse: that is an answer
    assert len(rows) == VANTAGES and all(by == "tcp" and answered == ECHOES and ms < 100 for _, by, answered, ms in rows), rows
    assert count(star, "mute")["echo"] == VANTAGES * ECHOES
    assert count(star, "mute")["syn"] == VANTAGES * ECHOES

    for client in ("out", "stranger"):  # the one asked not to be, the other never came
        assert count(star, client) == {"echo": 0, "echo6": 0, "syn": 0}, client
