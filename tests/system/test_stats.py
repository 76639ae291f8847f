# SPDX-License-Identifier: Apache-2.0
"""What a node was like: looks at it are kept in a database and told by `causeway stats` (R11)."""
import getpass
import json
import os
import sqlite3

from lab.causeway import Causeway
from lab.process import wait_until


def start(lab, program, start_origin):
    here = lab.here()
    http, dns, origin = (here.free_port("127.0.0.1") for _ in range(3))
    start_origin(lab, here, ("127.0.0.1", origin))
    folder = lab.path("history")
    node = Causeway(lab, program, f"""
nodes:
  me:
    addresses: [192.0.2.1]
    run_dir: {lab.path("run")}
    user: {getpass.getuser()}
    admin: off
    edge: {{listen: ["127.0.0.1:{http}"]}}
    gateway: {{allow_local: true, allow: [{{edges: [me], sites: [shop]}}]}}
    dns: {{listen: ["127.0.0.1:{dns}"]}}
    history: {{folder: {folder}, every: 1s, keep: 10m}}
sites:
  shop: {{hosts: [www.shop.example], origins: ["http://127.0.0.1:{origin}"]}}
zones:
  shop.example: {{ns: [ns1.shop.example], records: ["ns1 A 192.0.2.53"]}}
""")
    return node, folder


def rows(node, *words):
    result = node.run("stats", *words, "--json", check=False)
    return json.loads(result.stdout)["rows"] if result.returncode == 0 else []


def test_R11_a_node_tells_what_it_was_like(local_lab, causeway_program, start_origin):
    node, folder = start(local_lab, causeway_program, start_origin)
    wait_until(lambda: any(row["count"] >= 2 for row in rows(node, "dns.names")), 20, "two looks are kept", every=0.5)
    row = rows(node, "dns.names")[0]
    assert row["least"] == row["greatest"] == row["last"] > 0 and row["per_second"] == 0
    assert len(rows(node, "dns.names", "--since", "10m", "--step", "1s")) >= 2
    # The administrator's word, and that of the answers, are events.
    node.run("edge", "down", "me")
    events = wait_until(lambda: [row for row in rows(node, "dns.edges.me.a*", "--events") if row["from"]], 20, "the change is an event", every=0.5)
    assert {(row["series"], row["from"], row["to"]) for row in events} == {
        ("dns.edges.me.admin", "up", "down"), ("dns.edges.me.answers", "up", "down")}
    assert "up -> down" in node.run("stats", "dns.edges.*", "--events", "--since", "1h").stdout
    shown = node.run("stats", "dns.*").stdout
    assert shown.splitlines()[0].split() == ["series", "least", "mean", "greatest", "last", "per_second"] and "dns.names" in shown
    # Nobody but the node's user may read it; another program may, with any tool for SQLite.
    assert os.stat(folder).st_mode & 0o777 == 0o700
    with sqlite3.connect(f"file:{folder}/history.db?mode=ro", uri=True) as database:
        assert database.execute("SELECT count(*) FROM samples").fetchone()[0] > 10


def test_stats_tells_what_is_wrong(local_lab, causeway_program, start_origin):
    node, _ = start(local_lab, causeway_program, start_origin)
    result = node.run("stats", "--since", "soon", check=False)
    assert result.returncode == 2 and "--since soon: a number with s, m, h or d" in result.stderr
    result = node.run("stats", "no.such.*", check=False)
    assert result.returncode == 1 and "nothing of that kind" in result.stderr
    # A history that was killed goes on where it stood.
    wait_until(lambda: rows(node, "dns.names"), 20, "a look is kept", every=0.5)
    pid = next(child["pid"] for child in node.status()["children"] if child["name"] == "history")
    os.kill(pid, 9)
    wait_until(lambda: next(child for child in node.status()["children"] if child["name"] == "history")["pid"] not in (0, pid), 20,
               "the history is started again", every=0.2)
    before = rows(node, "dns.names")
    wait_until(lambda: (now := rows(node, "dns.names")) and now[0]["count"] > (before[0]["count"] if before else 1), 20, "it goes on", every=0.5)
