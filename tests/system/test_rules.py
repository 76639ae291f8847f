# SPDX-License-Identifier: Apache-2.0
"""Rules (L10, S8, S2) in a running edge, with nginx as origin and curl as visitor; and the examples of docs/rules.md."""
import getpass
import json
import os
import pathlib
import re
import shlex
import subprocess
import threading

import pytest
from lab import wait_until
from lab.causeway import Causeway
from lab.servers import start_nginx

DOCS = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "rules.md"
ECHO = 'location / { default_type text/plain; add_header Server-Mark of-nginx; ' \
       'return 200 "$request_method $request_uri x=$http_x_a gone=$http_x_gone"; }'
RULES = """
      - match: {path: /old/*}
        redirect: {to: '/new/$1', status: 301}
      - match: {path: /admin/*}
        block: {status: 403, page: "<h1>no</h1>"}
      - match: {path: /plain-block}
        block: 451
      - match: {path: /robots.txt}
        answer: |
          User-agent: *
          Disallow: /
      - request: {set: {X-A: 'one of $client'}, remove: X-Gone}
        response: {set: {X-Rule: '$host'}, remove: Server-Mark}
      - match: {path: '~ ^/shop/(\\w+)/(\\d+)$'}
        rewrite: /item?id=$2&kind=$1
        priority: urgent
      - match: {path: /api/*}
        origins: api
      - match: {path: /login}
        limit: {requests: 3, per: 1h}
      - match: {path: /files/*}
        files: {root: ROOT, strip: /files}
"""


class Site:
    def __init__(self, lab, program, rules):
        self.here = lab.here()
        self.lab = lab
        self.http, self.origin, self.api, self.admin = (self.here.free_port("127.0.0.1") for _ in range(4))
        start_nginx(lab, self.here, [("127.0.0.1", self.origin)], server=ECHO)
        start_nginx(lab, self.here, [("127.0.0.1", self.api)], server=ECHO.replace("$request_method", "api $request_method"), name="api")
        self.node = Causeway(lab, program, self.text(rules))

    def text(self, rules):
        return f"""
nodes:
  all:
    run_dir: {self.lab.path('run')}
    user: {getpass.getuser()}
    edge: {{listen: ["127.0.0.1:{self.http}"]}}
    gateway: {{allow_local: true, allow: [{{edges: [all], sites: [shop]}}]}}
    admin: {{listen: ["127.0.0.1:{self.admin}"]}}
sites:
  shop:
    hosts: [www.shop.example]
    origins: ["http://127.0.0.1:{self.origin}"]
    groups: [{{name: api, origins: ["http://127.0.0.1:{self.api}"]}}]
    rules:{rules}
"""

    def curl(self, path, *words, check=True):
        return self.here.run("curl", "-sS", "--path-as-is", "-H", "Host: www.shop.example", *words,
                             f"http://127.0.0.1:{self.http}{path}", check=check).stdout

    def head(self, path, *words):
        """Status, fields in lower case, body."""
        text = self.curl(path, "-i", *words).replace("\r\n", "\n")
        head, _, body = text.partition("\n\n")
        lines = head.split("\n")
        return int(lines[0].split()[1]), {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}, body

    def status(self, path, *words):
        return int(self.curl(path, "-o", os.devnull, "-w", "%{http_code}", *words))


@pytest.fixture
def site(local_lab, causeway_program):
    root = pathlib.Path(local_lab.path("www"))
    (root / "sub").mkdir(parents=True)
    (root / "index.html").write_text("<p>index</p>")
    (root / "sub" / "index.html").write_text("<p>sub</p>")
    (root / "ten.txt").write_text("0123456789")
    (root / "big.bin").write_bytes(os.urandom(3 << 20))
    (root / ".secret").write_text("secret")
    os.symlink("/etc/passwd", root / "escape")
    os.symlink("../../etc", root / "up")
    os.symlink("ten.txt", root / "within")
    made = Site(local_lab, causeway_program, RULES.replace("ROOT", str(root)))
    wait_until(lambda: made.status("/") == 200, what="the site is served")
    made.root = root
    return made


def test_S8_answers_of_rules(site):
    status, fields, _ = site.head("/old/a%0d%0ab?x=1")
    assert (status, fields["location"]) == (301, "/new/a%0D%0Ab?x=1")
    for path in ("/admin/x", "//admin/x", "/%61dmin/", "/a/../admin/"):
        status, fields, body = site.head(path)
        assert (status, body, fields["content-type"]) == (403, "<h1>no</h1>", "text/html; charset=utf-8"), path
    assert site.status("/plain-block") == 451
    status, fields, body = site.head("/robots.txt")
    assert (status, body, fields["content-length"]) == (200, "User-agent: *\nDisallow: /\n", "26")
    assert site.head("/robots.txt", "-I")[2] == ""
    assert site.status("/admin/x", "-d", "a body that nobody reads") == 403


def test_S8_what_goes_on_is_changed(site):
    status, fields, body = site.head("/a?b", "-H", "X-Gone: 1", "-H", "X-A: mine")
    assert (status, body) == (200, "GET /a?b x=one of 127.0.0.1 gone=")
    assert fields["x-rule"] == "www.shop.example" and "server-mark" not in fields
    assert site.head("/shop/book/17")[2] == "GET /item?id=17&kind=book x=one of 127.0.0.1 gone="


def test_S8_a_group_of_origins_is_chosen(site):
    assert site.head("/api/7")[2].startswith("api GET /api/7") and site.head("/other")[2].startswith("GET /other")
    text = pathlib.Path(site.node.file).read_text()
    site.node.reload(text.replace("{name: api", "{name: other").replace("origins: api", "origins: other"))
    assert site.head("/api/7")[2].startswith("api GET /api/7")
    site.node.reload(text.replace("origins: api", "origins: nowhere"))
    site.node.wait_for_log("site 'shop' has no group of origins 'nowhere'")
    assert site.head("/api/7")[2].startswith("api GET /api/7"), "the configuration of before holds"


def test_S8_a_map_says_where_visitors_are(site):
    text = pathlib.Path(site.node.file).read_text()
    countries = pathlib.Path(site.lab.path("countries.txt"))
    countries.write_text("127.0.0.1/32 - country=DE\n127.0.0.2/32 - country=FR\n")
    rule = "\n      - match: {country: [de, at]}\n        response: {set: {X-Country: 'it is $country'}}"
    site.node.reload(text.replace("    rules:", f"    rules:{rule}") + f"maps: [{{file: {countries}}}]\n")
    assert site.head("/a")[1]["x-country"] == "it is DE"
    assert "x-country" not in site.head("/a", "--interface", "127.0.0.2")[1]
    countries.write_text("127.0.0.2/32 - country=AT\n")
    site.node.reload(pathlib.Path(site.node.file).read_text())
    assert "x-country" not in site.head("/a")[1]
    assert site.head("/a", "--interface", "127.0.0.2")[1]["x-country"] == "it is AT"


def test_L10_a_limit_holds_over_workers_and_reloads(site):
    statuses = [site.status("/login") for _ in range(6)]
    assert statuses == [200, 200, 200, 429, 429, 429]
    status, fields, _ = site.head("/login")
    assert status == 429 and 1100 < int(fields["retry-after"]) <= 1201
    text = pathlib.Path(site.node.file).read_text()
    site.node.reload(text.replace("block: 451", "block: 410"))
    wait_until(lambda: site.status("/plain-block") == 410, what="the new rules are in use")
    assert site.status("/login") == 429, "the bucket of a rule that did not change stays"
    site.node.reload(text.replace("/old/*", "'~ ^/old/('"))
    site.node.wait_for_log("rule: missing closing parenthesis")
    assert site.status("/plain-block") == 410, "what is wrong changes nothing"


def test_S2_files(site):
    status, fields, body = site.head("/files/ten.txt")
    assert (status, body, fields["content-type"]) == (200, "0123456789", "text/plain; charset=utf-8")
    assert fields["accept-ranges"] == "bytes" and fields["x-rule"] == "www.shop.example"
    assert site.head("/files/")[2] == "<p>index</p>" and site.head("/files/sub/")[2] == "<p>sub</p>"
    status, moved, _ = site.head("/files/sub?a=b")
    assert (status, moved["location"]) == (301, "/files/sub/?a=b")
    assert site.head("/\\x.example/..%2ffiles/sub")[1]["location"] == "/x.example/..%2ffiles/sub/", "another host to browsers"
    assert site.head("/files/within")[2] == "0123456789"
    assert site.status("/files/ten.txt", "-d", "x") == 405
    status, ranged, body = site.head("/files/ten.txt", "-H", "Range: bytes=2-4")
    assert (status, body, ranged["content-range"]) == (206, "234", "bytes 2-4/10")
    assert site.head("/files/ten.txt", "-H", "Range: bytes=-3")[2] == "789"
    status, ranged, _ = site.head("/files/ten.txt", "-H", "Range: bytes=20-")
    assert (status, ranged["content-range"]) == (416, "bytes */10")
    assert site.status("/files/ten.txt", "-H", f"If-None-Match: {fields['etag']}") == 304
    assert site.status("/files/ten.txt", "-H", f"If-Modified-Since: {fields['last-modified']}") == 304
    assert site.status("/files/ten.txt", "-H", 'If-Match: "other"') == 412
    assert site.status("/files/ten.txt", "-H", f"If-Match: {fields['etag']}") == 200
    big = site.here.run("sh", "-c", f"curl -sS -H 'Host: www.shop.example' http://127.0.0.1:{site.http}/files/big.bin | sha256sum").stdout
    assert big == site.here.run("sh", "-c", f"sha256sum < {site.root}/big.bin").stdout
    status, fields, body = site.head("/files/big.bin", "-I")
    assert (status, fields["content-length"], body) == (200, str(3 << 20), "")


def test_S2_nothing_outside_the_tree_is_served(site):
    for path in ("/files/../../etc/passwd", "/files/..%2f..%2fetc/passwd", "/files/%2e%2e/%2e%2e/etc/passwd", "/files/escape",
                 "/files/up/passwd", "/files/.secret", "/files//etc/passwd", "/files/ten.txt/", "/files/ten.txt%00.html",
                 "/files/sub/../.secret", "/files/missing"):
        status, _, body = site.head(path)
        # what leaves /files/ by dot segments is not the rule's, and nginx answers it from nowhere
        assert status in (404, 403, 400) or (status == 200 and body.startswith("GET /files/..")), (path, status, body)
        assert "root:" not in body and "secret" != body, path


def test_S8_rules_are_counted(site):
    site.status("/robots.txt")
    metrics = site.here.run("curl", "-sS", f"http://127.0.0.1:{site.admin}/metrics").stdout
    assert re.search(r'causeway_edge_rules_total\{outcome="answer"[^}]*\} [1-9]', metrics), metrics[:500]
    assert re.search(r'causeway_edge_rules_total\{outcome="pass"[^}]*\} [1-9]', metrics)


def test_S8_many_reloads_lose_no_request(site):
    text = pathlib.Path(site.node.file).read_text()
    failures, done = [], threading.Event()

    def visit():
        while not done.is_set():
            answer = site.curl("/robots.txt", check=False)
            if not answer.startswith("User-agent"):
                failures.append(answer)

    visitor = threading.Thread(target=visit)
    visitor.start()
    for number in range(10):
        site.node.reload(text.replace("Disallow: /", f"Disallow: /{number}"))
        wait_until(lambda: f"Disallow: /{number}" in site.curl("/robots.txt"), what="the new answer is there")
    done.set()
    visitor.join()
    assert not failures


def test_S8_the_examples_of_the_documentation(causeway_program, tmp_path):
    blocks = re.findall(r"```yaml\n(.*?)```\n```console\n(.*?)```", DOCS.read_text(), re.S)
    assert len(blocks) == 10
    for rules, session in blocks:
        file = tmp_path / "shop.yaml"
        file.write_text("nodes:\n  me: {edge: {listen: [\"127.0.0.1:80\"]}, gateway: {}}\nsites:\n  shop:\n"
                        "    hosts: [www.shop.example, shop.example]\n    origins: [\"http://192.0.2.80\"]\n"
                        "    groups: [{name: api, origins: [\"http://192.0.2.81\"]}]\n    rules:\n" +
                        "".join(f"      {line}\n" for line in rules.splitlines()))
        for command, expected in re.findall(r"^\$ causeway (.*)\n(.*)$", session, re.M):
            words = shlex.split(command)
            told = subprocess.run([causeway_program, *words, "-c", file], capture_output=True, text=True, check=False)
            assert told.returncode == 0 and told.stdout.splitlines()[0] == expected, (command, told.stdout, told.stderr)
            told = subprocess.run([causeway_program, *words, "-c", file, "--json"], capture_output=True, text=True, check=True)
            assert json.loads(told.stdout)["site"] == "shop"
