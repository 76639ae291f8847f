# SPDX-License-Identifier: Apache-2.0
"""Purges (C2): two edges and a gateway that numbers them, nginx behind it, each edge's network to be cut."""
import concurrent.futures
import glob
import http.client
import json
import os
import re
import shutil
import time

import pytest
from lab.causeway import TAKEN, Causeway, Keys
from lab.process import wait_until
from lab.servers import at, start_nginx
from road import find

SITE = "www.shop.example"
HTTP, LINK, ADMIN, ORIGIN = 80, 4500, 9180, 8080
EDGES = ("e1", "e2")
FIELDS = {
    "plain": "max-age=3600",
    "tags": "max-age=3600",
    "covered": "max-age=3600, stale-if-error=3600",
}


class Shop:
    def __init__(self, lab, program, version, log="1M", disk=False):
        self.lab, self.program, self.version, self.log = lab, program, version, log
        self.disk = disk
        self.core = lab.namespace("core")
        self.core.forward()
        self.spaces, self.addresses, self.nodes = {}, {}, {}
        for name in ("gw", *EDGES, "client"):
            space = self.spaces[name] = lab.namespace(name)
            link = lab.connect(self.core, space)
            space.route("default", link.a(version))
            self.addresses[name] = link.b(version)
        self.keys = Keys(lab, program, "gw", *EDGES)
        self.root = lab.path("www")
        for folder in FIELDS:
            os.makedirs(f"{self.root}/{folder}")
        self.write("plain/a", "plain/b", "plain/c", "tags/a", "covered/a")
        server = "\n".join(f'location /{folder} {{ add_header Cache-Control "{value}"; add_header Vary X-Kind; '
                           + ('add_header Surrogate-Key "red $arg_tag"; ' if folder == "tags" else "") + "}"
                           for folder, value in FIELDS.items())
        self.nginx = start_nginx(lab, self.spaces["gw"], [(self.addresses["gw"], ORIGIN)], root=self.root, server=server)
        for name in ("gw", *EDGES):
            self.start(name)
        self.wait_until_current(*EDGES)

    def write(self, *paths, text="old"):
        for path in paths:
            with open(f"{self.root}/{path}.new", "w", encoding="ascii") as file:
                file.write(text)
            os.replace(f"{self.root}/{path}.new", f"{self.root}/{path}")

    def cache(self, name):
        return f", cache: {{disk: {{path: {self.lab.path(f'disk-{name}')}, size: 16M}}}}" if self.disk else ""

    def text(self):
        edges = "".join(f'''
  {name}:
    public_key: "{self.keys.public[name]}"
    private_key: {self.keys.path(name)}
    run_dir: {self.lab.path(f"run-{name}")}
    workers: 2
    capacity: {{cpu: 0}}
    edge: {{listen: ["{at(self.addresses[name], HTTP)}"]{self.cache(name)}}}
    admin: {{listen: ["127.0.0.1:{ADMIN}"]}}
''' for name in EDGES)
        return f'''
link: {{resume: 2s, keep_alive: 500ms}}
nodes:
{edges}
  gw:
    public_key: "{self.keys.public["gw"]}"
    private_key: {self.keys.path("gw")}
    run_dir: {self.lab.path("run-gw")}
    workers: 2
    link: {{listen: ["{at(self.addresses["gw"], LINK)}"]}}
    gateway:
      allow: [{{edges: [{", ".join(EDGES)}], sites: [shop, plain]}}]
      purges: {{folder: {self.lab.path("state")}, log: {self.log}}}
    admin: {{listen: ["127.0.0.1:{ADMIN}"]}}
sites:
  shop:
    hosts: [{SITE}]
    origins: ["http://{at(self.addresses["gw"], ORIGIN)}"]
    cache: {{on: true}}
  plain:
    hosts: [plain.example]
    origins: ["http://{at(self.addresses["gw"], ORIGIN)}"]
'''

    def start(self, name):
        self.nodes[name] = Causeway(self.lab, self.program, self.text(), name, self.spaces[name])

    def get(self, edge, path, *words):
        """Cache-Status and body."""
        answer = self.spaces["client"].run("curl", "-sS", "-i", "--max-time", "20", "-H", f"Host: {SITE}", *words,
                                           f"http://{at(self.addresses[edge], HTTP)}/{path}").stdout
        head, body = re.split(r"\r?\n\r?\n", answer, maxsplit=1)
        found = re.search(r"(?im)^cache-status: (.*?)\r?$", head)
        return (found[1] if found else head), body

    def fill(self, *paths, edges=EDGES, words=()):
        """Each edge has them, and gives them from its store."""
        for edge in edges:
            for path in paths:
                wait_until(lambda e=edge, p=path: "hit" in self.get(e, p, *words)[0], 10, f"{edge} has {path}")

    def purge(self, *words, node="gw", check=True):
        """Its exit status, and what it says."""
        result = self.nodes[node].run("purge", "shop", *words, check=False)
        assert not check or result.returncode == 0, result.stdout + result.stderr
        return result.returncode, result.stdout + result.stderr

    def purged(self, *words, check=True):
        """What it says to programs."""
        status, text = self.purge(*words, "--json", check=check)
        answer = json.loads(text)
        return status, answer, {edge["name"]: edge["state"] for edge in answer["edges"]}

    def site(self, edge):
        """What an edge says of the site's purges."""
        return next(row for row in find(self.nodes[edge].status(), "purges")["sites"] if row["name"] == "shop")

    def wait_until_current(self, *edges):
        def is_current(edge):
            heard = [row for row in find(self.nodes["gw"].status(), "purges")["edges"] if row["name"] == edge and row["up"]]
            return heard and not any(row["behind"] for row in heard) and self.site(edge)["state"] == "current"
        for edge in edges:
            wait_until(lambda e=edge: is_current(e), 20, f"{edge} is current", every=0.05)

    def cut(self, name):
        """Nothing passes between the node and the gateway any more."""
        family = "ip6" if self.version == 6 else "ip"
        gateway = self.addresses["gw"]
        path = self.lab.write(f"{name}.nft", f"""table inet cut {{
 chain in {{ type filter hook input priority 0; {family} saddr {gateway} drop; }}
 chain out {{ type filter hook output priority 0; {family} daddr {gateway} drop; }}
}}
""")
        self.spaces[name].run("nft", "-f", path)
        wait_until(lambda: self.site(name)["state"] == "away", 20, f"{name} knows that it is cut off", every=0.05)

    def join(self, name):
        self.spaces[name].run("nft", "flush", "ruleset")


@pytest.fixture
def shop(lab, causeway_program):
    return Shop(lab, causeway_program, 4)


def test_C2_purges_of_each_kind_are_acknowledged_by_every_edge(lab, causeway_program, version):
    shop = Shop(lab, causeway_program, version)
    shop.write("tags/b")
    everything = ("plain/a", "plain/a?x", "plain/b", "tags/a?tag=blue", "tags/b?tag=green")
    shop.fill(*everything)
    shop.fill("plain/a", words=("-H", "X-Kind: other"))
    shop.write("plain/a", "plain/b", "tags/a", "tags/b", text="new")

    def check(gone):
        for edge in EDGES:
            for path in everything:
                assert shop.get(edge, path)[1] == ("new" if path in gone else "old"), (edge, path, gone)

    def purge(*words):
        before = {edge: shop.site(edge)["number"] for edge in EDGES}
        _, answer, edges = shop.purged(*words)
        assert edges == dict.fromkeys(EDGES, "done")
        for edge in EDGES:
            assert shop.site(edge)["number"] == answer["last"] > before[edge]
        return answer["last"] - answer["first"] + 1

    assert purge("--url", f"{SITE}/plain/a") == 2, "http and https"
    check(["plain/a"])
    for edge in EDGES:
        assert shop.get(edge, "plain/a", "-H", "X-Kind: other")[1] == "new", "all variants"
    assert purge("--url", f"http://WWW.shop.example./plain/a?x") == 1
    check(["plain/a", "plain/a?x"])
    assert purge("--tag", "blue") == 1
    check(["plain/a", "plain/a?x", "tags/a?tag=blue"])
    assert purge("--prefix", f"{SITE}/pl", "--tag", "none") == 3
    check(["plain/a", "plain/a?x", "plain/b", "tags/a?tag=blue"])
    assert purge("--all") == 1
    check(everything)
    text = shop.purge("--tag", "red")[1]
    assert all(re.search(f"(?m)^edge {edge} +done$", text) for edge in EDGES), text
    assert "causeway_edge_purges_total" in shop.spaces["e1"].run("curl", "-sS", f"http://127.0.0.1:{ADMIN}/metrics").stdout


def test_C2_a_soft_purge_makes_stale_and_a_hard_one_empties(shop):
    shop.fill("plain/a", "covered/a", "plain/b")
    shop.purge("--all", "--soft")
    status, body = shop.get("e1", "plain/a")
    assert "fwd=stale" in status and "fwd-status=304" in status and body == "old", status
    shop.nginx.stop()
    assert shop.get("e1", "covered/a")[1] == "old", "stale-if-error"
    shop.purge("--all")
    assert shop.get("e1", "covered/a")[1] != "old"


def test_C2_an_edge_that_was_cut_off_replays_before_it_serves(shop):
    shop.fill("plain/a", "plain/b", "covered/a")
    number = shop.site("e2")["number"]
    shop.cut("e2")
    shop.write("plain/a", text="new")
    status, _, edges = shop.purged("--url", f"{SITE}/plain/a", check=False)
    assert (status, edges) == (3, {"e1": "done", "e2": "away"})
    for _ in range(5):
        shop.purge("--tag", "none", check=False)
    assert shop.get("e1", "plain/a")[1] == "new"
    assert shop.get("e2", "plain/a")[1] == "old", "its gateway is away: it goes on serving"
    assert "hit" in shop.get("e2", "plain/b")[0]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        shop.join("e2")
        answers = pool.submit(lambda: [(shop.site("e2")["state"], shop.get("e2", "plain/a")[1]) for _ in range(20)])
        shop.wait_until_current("e2")
        for state, body in answers.result():
            assert state == "away" or body == "new", answers.result()
    assert shop.get("e2", "plain/a")[1] == "new"
    assert "hit" in shop.get("e2", "plain/b")[0], "nothing was missing: the others stay"
    assert shop.site("e2")["number"] == number + 7
    assert shop.purged("--tag", "none")[2] == dict.fromkeys(EDGES, "done")


def test_C2_an_edge_that_was_stopped_begins_with_the_present_number(shop):
    shop.fill("plain/a")
    shop.nodes["e2"].kill()
    shop.write("plain/a", text="new")
    wait_until(lambda: shop.purged("--url", f"{SITE}/plain/a", check=False)[2]["e2"] == "away", 20, "e2 is away", every=0.2)
    last = shop.purged("--tag", "none", check=False)[1]["last"]
    shop.start("e2")
    shop.wait_until_current("e2")
    assert shop.site("e2")["number"] == last
    assert shop.get("e2", "plain/a")[1] == "new"
    shop.fill("plain/a", "plain/b")
    assert shop.purged("--all")[2] == dict.fromkeys(EDGES, "done")


def test_C2_an_edge_with_a_disk_replays_what_it_missed(lab, causeway_program):
    shop = Shop(lab, causeway_program, 4, disk=True)
    shop.purge("--tag", "first")
    shop.fill("plain/a", "plain/b", edges=["e2"])
    number = shop.site("e2")["number"]
    wait_until(lambda: find(shop.nodes["e2"].status(), "disk_objects") >= 2, 20, "they are on its disk", every=0.1)
    shop.nodes["e2"].stop()
    shop.write("plain/a", text="new")
    assert shop.purged("--url", f"{SITE}/plain/a", check=False)[2]["e2"] == "away"
    shop.start("e2")
    seen = []
    while shop.site("e2")["state"] != "current" or not seen:
        seen.append(shop.get("e2", "plain/a")[1])
    assert set(seen) == {"new"}, "not even before it had heard of the purge"
    assert shop.site("e2")["number"] == number + 2
    shop.wait_until_current("e2")
    assert shop.get("e2", "plain/a")[1] == "new"
    assert "hit" in shop.get("e2", "plain/b")[0], "from the disk: nothing else was missing"
    # The gateway is away: what it has is all there is.
    shop.nodes["e2"].stop()
    shop.nodes["gw"].kill()
    shop.start("e2")
    wait_until(lambda: "hit" in shop.get("e2", "plain/b")[0], 20, "it serves from its disk", every=0.2)


def test_C2_while_a_node_is_upgraded_the_process_before_hears_of_purges_too(lab, causeway_program):
    here = lab.here()
    origin, port = here.free_port(), here.free_port()
    root = lab.path("www")
    os.makedirs(root)

    def write(text):
        with open(f"{root}/a", "w", encoding="ascii") as file:
            file.write(text)

    write("old")
    start_nginx(lab, here, [("127.0.0.1", origin)], root=root, server='location / { add_header Cache-Control "max-age=3600"; }')
    program = lab.path("causeway")
    shutil.copy(causeway_program, program)
    node = Causeway(lab, program, f"""
nodes:
  one: {{run_dir: {lab.path("run")}, workers: 2, user: root, admin: off, addresses: [127.0.0.1], capacity: {{cpu: 0}},
        edge: {{listen: ["127.0.0.1:{port}"]}},
        gateway: {{allow_local: true, allow: [{{edges: [one], sites: [shop]}}], purges: {{folder: {lab.path("state")}}}}}}}
sites:
  shop: {{hosts: [shop.example], origins: ["http://127.0.0.1:{origin}"], cache: {{on: true}}}}
""")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def get():
        connection.request("GET", "/a", headers={"Host": "shop.example"})
        answer = connection.getresponse()
        return answer.getheader("Cache-Status", ""), answer.read().decode()

    wait_until(lambda: "hit" in get()[0], 10, "it is stored")
    first = json.loads(node.run("purge", "shop", "--tag", "x", "--json").stdout)["last"]
    assert "hit" in get()[0]
    # An upgrade replaces the process; this connection has yet to get its last answer.
    assert "took over" in node.run("upgrade").stdout
    write("new")
    answer = json.loads(node.run("purge", "shop", "--url", "shop.example/a", "--json").stdout)
    assert answer["first"] == first + 1, "the numbers go on"
    time.sleep(0.5)
    assert get()[1] == "new", "the process before, which has a store of its own"
    connection.close()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    assert get()[1] == "new"


def test_C2_numbers_go_on_behind_a_crash_of_the_gateway(shop):
    shop.fill("plain/a", "plain/b")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        def many():
            given = []
            for i in range(1000):
                status, text = shop.purge("--tag", f"t{i}", "--json", check=False)
                if status == 1:
                    return given
                given.append(json.loads(text)["last"])
            return given
        running = pool.submit(many)
        wait_until(lambda: shop.site("e1")["number"] > 0 and find(shop.nodes["e1"].status(), "purges")["done"] > 5, 20, "some were done")
        shop.nodes["gw"].kill()
        given = running.result()
    assert given == list(range(given[0], given[0] + len(given)))
    wait_until(lambda: shop.site("e1")["state"] == "away", 20, "e1 knows that the gateway is away", every=0.05)
    assert "hit" in shop.get("e1", "plain/a")[0], "an edge serves while the gateway is away"
    assert shop.site("e1")["number"] >= given[-1] - 1
    shop.start("gw")
    shop.wait_until_current(*EDGES)
    last = shop.purged("--tag", "after")[1]["last"]
    assert given[-1] < last <= given[-1] + 2, "the one that nobody heard of may have been written down"
    for edge in EDGES:
        assert shop.site(edge)["number"] == last
        assert "hit" in shop.get(edge, "plain/a")[0], "nothing was missing"
    shop.write("plain/a", text="new")
    shop.purge("--url", f"{SITE}/plain/a")
    assert {shop.get(edge, "plain/a")[1] for edge in EDGES} == {"new"}
    # Torn: half a record at the end of the present file.
    shop.nodes["gw"].kill()
    files = glob.glob(shop.lab.path("state/purges-gw.*"))
    assert len(files) == 2
    present = max(files, key=os.path.getsize)
    with open(present, "r+b") as file:
        file.truncate(os.path.getsize(present) - 5)
    shop.start("gw")
    shop.wait_until_current(*EDGES)
    assert shop.purged("--tag", "torn")[1]["last"] > last + 1, "the edges had heard of it: the site goes on above them"
    # Lost: both files are gone.
    shop.nodes["gw"].kill()
    for file in files:
        os.unlink(file)
    shop.start("gw")
    shop.wait_until_current(*EDGES)
    _, answer, edges = shop.purged("--all")
    assert answer["last"] > last + 1000 and edges == dict.fromkeys(EDGES, "done")


def test_C2_what_the_log_dropped_makes_the_whole_site_stale(lab, causeway_program):
    shop = Shop(lab, causeway_program, 4, log="4K")
    shop.fill("plain/a", "plain/b")
    shop.cut("e2")
    shop.nodes["e2"].wait_for_log("down peer=gw", 20)
    for i in range(4):
        words = [word for k in range(40) for word in ("--tag", f"a-rather-long-tag-{i}-{k}")]
        shop.purge(*words, check=False)
    shop.write("plain/a", text="new")
    shop.purge("--url", f"{SITE}/plain/a", check=False)
    assert find(shop.nodes["gw"].status(), "purges")["compactions"] > 0
    assert find(shop.nodes["gw"].status(), "purges")["log_bytes"] <= 4096
    assert "hit" in shop.get("e1", "plain/b")[0]
    shop.join("e2")
    shop.wait_until_current("e2")
    status, body = shop.get("e2", "plain/b")
    assert "fwd=stale" in status and body == "old", status
    assert shop.get("e2", "plain/a")[1] == "new"
    assert shop.purged("--all")[2] == dict.fromkeys(EDGES, "done")


def test_C2_sites_come_and_go_with_reloads(shop):
    shop.fill("plain/a")
    number = shop.purged("--tag", "none")[1]["last"]

    def reload(plain):
        text = shop.text().replace("    hosts: [plain.example]\n", f"    hosts: [plain.example]\n    cache: {{on: {plain}}}\n")
        for node in shop.nodes.values():
            taken = node.process.output().count(TAKEN)
            node.reload(text)
            node.process.wait_until(lambda n=node, t=taken: n.process.output().count(TAKEN) > t, 20, "it has taken the configuration")

    def purge_plain():
        result = shop.nodes["gw"].run("purge", "plain", "--all", "--json", check=False)
        return json.loads(result.stdout)["last"] if result.returncode == 0 else 0

    reload("true")
    wait_until(purge_plain, 20, "the new site is purged everywhere", every=0.2)
    plain = purge_plain()
    shop.wait_until_current(*EDGES)
    assert "hit" in shop.get("e1", "plain/a")[0] and shop.site("e1")["number"] == number, "the other one is as it was"
    reload("false")
    assert "has no cache" in shop.nodes["gw"].run("purge", "plain", "--all", check=False).stderr
    reload("true")
    wait_until(purge_plain, 20, "it is purged again", every=0.2)
    assert purge_plain() > plain + 1000, "it began anew: nobody knows what came between"
    assert shop.purged("--tag", "none")[1]["last"] == number + 1


def test_C2_bad_purges_are_refused_in_a_sentence(shop):
    for words, sentence in (
            ((), "of what"),
            (("--url", "other.example/a"), "host 'other.example' is none of site 'shop'"),
            (("--url", "http://plain.example/a"), "belongs to site 'plain'"),
            (("--url", f"ftp://{SITE}/a"), "neither http:// nor https://"),
            (("--url", f"{SITE}/a b"), "encode them"),
            (("--prefix", f"{SITE}/a#b"), "encode them"),
            (("--url", "/a"), "does not begin with a host"),
            (("--url", f"{SITE}/" + "a" * 11000), "longer than"),
            (("--tag", "a b"), "is no tag"),
            (("--tag", ""), "a tag has 1 to"),
            (("--wait", "x", "--all"), "--wait is a number"),
            (tuple(word for i in range(64) for word in ("--tag", str(i))) + ("--all",), "1 to 64 items")):
        status, text = shop.purge(*words, check=False)
        assert status in (1, 2) and sentence in text, (words[:2], text)
    result = shop.nodes["gw"].run("purge", "shpo", "--all", check=False)
    assert result.returncode == 1 and "did you mean 'shop'" in result.stderr
    result = shop.nodes["gw"].run("purge", "plain", "--all", check=False)
    assert result.returncode == 1 and "has no cache" in result.stderr
    status, text = shop.purge("--all", node="e1", check=False)
    assert status == 1 and "run it at 'gw'" in text
    number = shop.site("e1")["number"]
    time.sleep(0.05)
    assert shop.site("e1")["number"] == number, "nothing was numbered"
