# SPDX-License-Identifier: Apache-2.0
"""Certificates from an authority (pebble): ordered by proofs over HTTP and DNS, renewed under load, refused."""
import base64
import getpass
import os
import re
import signal
import socket
import ssl
import stat
import threading

import pytest
from lab.causeway import Causeway, Keys
from lab.process import wait_until
from pebble import SHOP, Orderer, Pebble
from tls_machine import ask, openssl


@pytest.fixture
def orderer(local_lab, causeway_program, start_origin):
    return Orderer(local_lab, causeway_program, start_origin)


def test_R13_the_first_certificate_by_http(orderer, local_lab):
    pebble = Pebble(local_lab, orderer.http)
    root = pebble.root()
    # a rule that takes every request does not take the proof
    orderer.start(pebble, rules="rules: [{redirect: {to: \"https://{host}{path}\"}}]")
    orderer.wait_for_certificate()
    wait_until(lambda: orderer.is_trusted(root), what="visitors get the certificate")
    site = orderer.site()
    assert site["state"] == "has a certificate" and site["failures"] == 0 and site["last_error"] is None, site
    assert 80 < site["days_left"] < 91 and 5000000 < site["next_try_in_s"] < 5300000, site
    assert orderer.metric('causeway_certificate_not_after_seconds{site="shop"}') == site["not_after"]
    assert orderer.metric('causeway_acme_attempts_total{result="issued"}') == 1
    files = orderer.files()
    assert {"acme-shop.pem", "acme-shop.state", "acme-shop.thumbprint"} <= set(files), files
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files.values()), files
    assert stat.S_IMODE(files["acme-shop.pem"].parent.stat().st_mode) == 0o700
    # another life of the node orders nothing, and has it from its first request on
    serial = orderer.serial()
    orderer.node.stop()
    orderer.node.start()
    assert orderer.serial() == serial and orderer.is_trusted(root)
    assert orderer.site()["days_left"] > 80
    assert orderer.metric("causeway_acme_attempts_total") == 0


def test_R13_renewed_under_load_and_kept_when_that_fails(orderer, local_lab):
    pebble = Pebble(local_lab, orderer.http, life_s=600)
    root = pebble.root()
    orderer.start(pebble, acme="key: rsa\n        renew_before: 597s")
    orderer.wait_for_certificate()
    wait_until(lambda: orderer.is_trusted(root), what="visitors get the certificate")
    results, is_over = [], threading.Event()
    context = ssl.create_default_context(cafile=root)

    def load():
        while not is_over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", orderer.https), 10) as plain, \
                        context.wrap_socket(plain, server_hostname=SHOP) as connection:
                    results.extend(ask(connection)[0] for _ in range(3))
            except (OSError, IndexError, ValueError) as error:
                results.append(repr(error))

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    serials = set()
    wait_until(lambda: serials.add(orderer.serial()) or len(serials) >= 2, 40, what="a renewal")
    pebble.process.stop()
    orderer.node.reload(orderer.text(pebble, acme="renew_before: 598s"))  # other settings: at once
    wait_until(lambda: "Failed to connect" in (orderer.site().get("last_error") or ""), 20, what="the next one fails")
    is_over.set()
    for thread in threads:
        thread.join()
    assert set(results) == {200} and len(results) > 20, [result for result in results if result != 200][:5]
    assert orderer.metric('causeway_acme_attempts_total{result="issued"}') >= 2
    assert orderer.is_trusted(root) and orderer.site()["days_left"] > 0
    pem = ssl.get_server_certificate(("127.0.0.1", orderer.https))
    assert "rsaEncryption" in openssl("x509", "-noout", "-text", input=pem.encode()).stdout.decode()
    assert orderer.node.run("check", check=False).returncode == 0
    assert "of shop ends in 0.0 days" in orderer.node.run("doctor", check=False).stdout


def asked(pebble):
    """How often it was asked for an order."""
    return pebble.process.output().count("POST /order-plz -> calling")


def test_R13_a_refusal_is_told_and_not_tried_again_at_once(orderer, local_lab):
    pebble = Pebble(local_lab, orderer.http, bad_nonces=0, blocked=[SHOP])
    orderer.start(pebble)
    wait_until(lambda: orderer.site().get("last_error"), 20, what="it is refused")
    site = orderer.site()
    assert "rejectedIdentifier" in site["last_error"] and site["failures"] == 1 and site["days_left"] is None, site
    assert 20 < site["next_try_in_s"] <= 72 and site["state"] == "waits to try again", site
    assert orderer.curl("-o", "/dev/null", "-w", "%{http_code}").stdout == "200", "with a certificate of our own"
    assert orderer.metric('causeway_acme_attempts_total{result="refused"}') == 1
    assert orderer.metric('causeway_acme_failures{site="shop"}') == 1
    # a process that dies, and dies again, remembers
    for turn in range(1, 3):
        child = next(child for child in orderer.node.status()["children"] if child["name"] == "acme")
        os.kill(child["pid"], signal.SIGKILL)
        wait_until(lambda turn=turn: next(child for child in orderer.node.status()["children"] if child["name"] == "acme")["respawns"] == turn
                   and orderer.site().get("failures") == 1, 20, what="it is there again")
    assert asked(pebble) == 1
    # other settings are tried at once: an authority that nobody vouches for, one that is not there, one that is none
    for settings, words in ((f"directory: {pebble.directory}", ("SSL certificate", )),
                            ("directory: https://127.0.0.1:1/dir", ("Failed to connect", )),
                            (f"directory: https://localhost:{pebble.port}/x\n        authorities: {pebble.trust.path}", ("404", ))):
        text = re.sub(r"directory: .*\n +authorities: .*", settings, orderer.text(pebble))
        orderer.node.reload(text)
        wait_until(lambda words=words: all(word in (orderer.site().get("last_error") or "") for word in words), 20, what=settings)
        assert orderer.site()["failures"] == 1


def dig(here, port, name):
    return here.run("dig", "+short", "@127.0.0.1", "-p", str(port), name, "TXT", check=False, timeout=20).stdout.split()


def test_R13_a_wildcard_by_dns_for_a_known_account(local_lab, causeway_program, start_origin):
    secret = base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
    key = local_lab.write("binding.key", secret + "\n")
    os.chmod(key, 0o600)
    zones = "zones:\n  shop.example:\n    ns: [ns.shop.example]\n    records: [\"ns A 127.0.0.1\"]\n"
    orderer = Orderer(local_lab, causeway_program, start_origin, zones=zones,
                      acme=f"challenge: dns\n        names: [\"*.shop.example\"]\n        binding: {{id: customer-7, key: {key}}}")
    pebble = Pebble(local_lab, orderer.http, dns=("127.0.0.1", orderer.dns), life_s=600, bindings={"customer-7": secret})
    root = pebble.root()
    orderer.start(pebble)
    shown = []
    wait_until(lambda: shown.extend(dig(orderer.here, orderer.dns, "_acme-challenge.shop.example")) or orderer.site().get("days_left"), 40,
               what="it has a certificate")
    assert shown and all(re.fullmatch(r'"[A-Za-z0-9_-]{43}"', text) for text in shown), shown
    wait_until(lambda: orderer.is_trusted(root), what="visitors get the certificate")
    answer = orderer.here.run("dig", "@127.0.0.1", "-p", str(orderer.dns), "_acme-challenge.shop.example", "A", timeout=20).stdout
    assert "status: NOERROR" in answer and "ANSWER: 0" in answer, answer
    explained = orderer.node.run("explain", "_acme-challenge.shop.example", "--client", "192.0.2.1", check=False)
    assert "is no host of a site" in explained.stdout + explained.stderr
    wait_until(lambda: not dig(orderer.here, orderer.dns, "_acme-challenge.shop.example"), 30, what="what was proved is gone")


NETWORK = """
nodes:
  one:
    run_dir: {lab}/run-one
    user: {user}
    workers: 1
    capacity: {{cpu: 0}}
    acme_folder: {lab}/folder-one
    public_key: {keys.public[one]}
    private_key: {one_key}
    addresses: [127.0.0.1]
    admin: {{listen: ["127.0.0.1:{admin_one}"]}}
    link: {{listen: ["127.0.0.1:{link}"]}}
    edge: {{listen: ["127.0.0.1:{http_one}"], tls: {{listen: ["127.0.0.1:{https_one}"]}}}}
    gateway:
      allow_local: true
      allow: [{{edges: [one, two], sites: [shop]}}]
  two:
    run_dir: {lab}/run-two
    user: {user}
    workers: 1
    capacity: {{cpu: 0}}
    acme_folder: {lab}/folder-two
    public_key: {keys.public[two]}
    private_key: {two_key}
    addresses: [127.0.0.1]
    admin: {{listen: ["127.0.0.1:{admin_two}"]}}
    edge: {{listen: ["127.0.0.1:{http_two}"], tls: {{listen: ["127.0.0.1:{https_two}"]}}}}
    dns: {{listen: ["127.0.0.1:{dns}"], reports: "127.0.0.1:{reports}"}}
sites:
  shop:
    hosts: [www.shop.example]
    origins: ["http://127.0.0.1:{origin}"]
    tls:
      acme: {{directory: "{directory}", authorities: {trust}, agree_terms: true, node: one, challenge: dns, secret: {secret}}}
zones:
  shop.example:
    ns: [ns.shop.example]
    records: ["ns A 127.0.0.1"]
"""


def test_R13_several_edges_have_one_certificate(local_lab, causeway_program, start_origin):
    """Edge one orders; DNS is at node two, an edge too, which gets the certificate without its key crossing the network."""
    lab, here = local_lab, local_lab.here()
    names = ("admin_one", "admin_two", "link", "http_one", "http_two", "https_one", "https_two", "dns", "reports", "origin")
    ports = {name: here.free_port("127.0.0.1") for name in names}
    keys = Keys(lab, causeway_program, "one", "two")
    secret = lab.write("shop.secret", base64.b64encode(os.urandom(32)).decode() + "\n")
    os.chmod(secret, 0o600)
    start_origin(lab, here, ("127.0.0.1", ports["origin"]))
    pebble = Pebble(lab, ports["http_one"], dns=("127.0.0.1", ports["dns"]), life_s=600)
    text = NETWORK.format(lab=lab.path("."), user=getpass.getuser(), keys=keys, one_key=keys.path("one"), two_key=keys.path("two"),
                          directory=pebble.directory, trust=pebble.trust.path, secret=secret, **ports)
    two = Causeway(lab, causeway_program, text, node="two")
    one = Causeway(lab, causeway_program, text, node="one")
    root = pebble.root()

    def is_trusted(port):
        return here.run("curl", "-sS", "-o", os.devnull, "--max-time", "10", "--cacert", root, "--connect-to", f"{SHOP}:443:127.0.0.1:{port}",
                        f"https://{SHOP}/", check=False, timeout=30).returncode == 0

    wait_until(lambda: is_trusted(ports["https_one"]), 40, what="the edge that orders has the certificate")
    wait_until(lambda: is_trusted(ports["https_two"]), 40, what="the other one too")
    certificates = {ssl.get_server_certificate(("127.0.0.1", ports[name])) for name in ("https_one", "https_two")}
    assert len(certificates) == 1
    site = two.status()["roles"]["acme"]["sites"][0]
    assert not site["orders_here"] and site["days_left"] and one.status()["roles"]["acme"]["sites"][0]["orders_here"]
    shared = here.run("curl", "-sS", "-H", f"Host: {SHOP}", f"http://127.0.0.1:{ports['http_one']}/.well-known/causeway/certificate").stdout
    assert "BEGIN CERTIFICATE" in shared and "PRIVATE" not in shared
    # either of them answers a proof over HTTP, for the account that they have in common
    proofs = {here.run("curl", "-sS", "-H", f"Host: {SHOP}",
                       f"http://127.0.0.1:{ports[name]}/.well-known/acme-challenge/token-1").stdout for name in ("http_one", "http_two")}
    assert len(proofs) == 1 and re.fullmatch(r"token-1\.[A-Za-z0-9_-]{43}", proofs.pop())
