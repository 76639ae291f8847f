# SPDX-License-Identifier: Apache-2.0
"""Certificates from an authority (pebble): ordered by proofs over HTTP and DNS, renewed under load, refused."""
import os
import re
import signal
import socket
import ssl
import stat
import threading

import pytest
from lab.process import wait_until
from pebble import SHOP, Orderer, Pebble
from tls_machine import ask


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


def test_R13_renewed_under_load_without_a_failed_request(orderer, local_lab):
    pebble = Pebble(local_lab, orderer.http, life_s=600)
    root = pebble.root()
    orderer.acme = "renew_before: 597s"
    orderer.start(pebble)
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
    wait_until(lambda: serials.add(orderer.serial()) or len(serials) >= 3, 40, what="two renewals")
    is_over.set()
    for thread in threads:
        thread.join()
    assert set(results) == {200} and len(results) > 20, [result for result in results if result != 200][:5]
    assert orderer.metric('causeway_acme_attempts_total{result="issued"}') >= 3


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


def test_R13_the_old_certificate_is_kept_when_renewal_fails(orderer, local_lab):
    pebble = Pebble(local_lab, orderer.http, life_s=600)
    root = pebble.root()
    orderer.start(pebble)
    orderer.wait_for_certificate()
    wait_until(lambda: orderer.is_trusted(root), what="visitors get the certificate")
    pebble.process.stop()
    orderer.node.reload(orderer.text(pebble, acme="renew_before: 597s"))
    wait_until(lambda: "Failed to connect" in (orderer.site().get("last_error") or ""), 20, what="it has failed")
    assert orderer.is_trusted(root) and orderer.site()["days_left"] > 0
    check = orderer.node.run("check", check=False)
    assert check.returncode == 0, check.stdout
