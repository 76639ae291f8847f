# SPDX-License-Identifier: Apache-2.0
"""A real browser before the edge: Chromium loads the demo's shop over HTTPS and HTTP/2, reloads it, and still has it when the origin is off."""
import shutil
import sys

import pytest
from browser import Browser
from conftest import ARTEFACTS, TOP
from lab.causeway import TAKEN
from lab.process import NotReady, wait_until
from lab.servers import at, start_nginx
from road import ORIGIN, SITE, Road

sys.path.append(str(TOP / "demo"))
import shop_site  # noqa: E402  (needs the path above)

HTTPS = 443
URL = f"https://{SITE}/"
WHOLE = """[...document.images].filter(image => image.complete && image.naturalWidth == 320).length
           + (getComputedStyle(document.querySelector("nav a")).textDecorationLine == "none" ? 100 : 0)"""

pytestmark = pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed (tools/install-deps)")


@pytest.fixture
def road(lab, causeway_program, version):
    made = Road(lab, causeway_program, version, wan={"rate": "0", "rtt": "20ms", "queue": "100ms"})
    shop_site.write(lab.path("shop"))
    made.nginx = start_nginx(lab, made.origin, [(made.origin_at, ORIGIN)], root=lab.path("shop"),
                             server="add_header Cache-Control 'max-age=1, stale-if-error=600';")
    return made.start(edge=f'tls: {{listen: ["{at(made.edge_at, HTTPS)}"]}}',
                      site="tls: {self_signed: true}\n    cache: {on: true}\n    rules: [{server_timing: true}]")


def is_whole(browser):
    """Every picture is there and drawn, and the style sheet holds; what is broken stays so."""
    try:
        return wait_until(lambda: browser.ask(WHOLE) == 100 + len(shop_site.PRODUCTS), 5)
    except NotReady:
        return False


def words_of(answer):
    return {name.lower(): value for name, value in answer["headers"].items()}


@pytest.fixture
def browser(road, lab, version):
    # Chromium gives up what it loads (ERR_NETWORK_CHANGED) when an address of its machine changes, as IPv6's do in their first seconds.
    wait_until(lambda: not road.client.run("ip", "-6", "address", "show", "tentative").stdout.strip(), 20, "all addresses are settled", every=0.1)
    made = Browser(lab, road.client, f"MAP {SITE} " + (f"[{road.edge_at}]" if version == 6 else road.edge_at))
    yield made
    made.close()


def test_C1_S8_chromium_loads_the_shop(road, browser, version):
    browser.visit(URL)
    assert is_whole(browser), (browser.ask(WHOLE), browser.ask("document.body.outerHTML")[:300], browser.answers)
    paths = [URL.rstrip("/") + path for path in shop_site.page_paths()]
    assert {(browser.answers[path]["status"], browser.answers[path]["protocol"]) for path in paths} == {(200, "h2")}
    assert all("stored" in words_of(browser.answers[path])["cache-status"] for path in paths)
    legs = browser.ask("performance.getEntriesByType('navigation')[0].serverTiming.map(leg => leg.name)")
    assert {"edge", "upstream", "link", "origin", "cache"} <= set(legs)
    assert "over h2 from the origin" in browser.ask("document.getElementById('way').textContent")
    image = browser.screenshot(ARTEFACTS / "browser" / f"shop-ipv{version}.png")
    assert image.startswith(b"\x89PNG") and len(image) > 100000  # not a blank page
    # Soft, then hard: the second asks for everything anew.
    browser.reload()
    assert is_whole(browser) and browser.answers[URL]["status"] in (200, 304)
    browser.reload(hard=True)
    assert is_whole(browser) and not any(browser.answers[path].get("fromDiskCache") for path in paths)
    assert {browser.answers[path]["status"] for path in paths} == {200}
    # The origin is off, and what is stored is stale.
    wait_until(lambda: int(words_of_stored(road)["age"]) > 1, 10, "the stored page is stale")
    road.nginx.stop()
    browser.reload()
    assert is_whole(browser) and "fwd=stale;fwd-status=502" in words_of(browser.answers[URL])["cache-status"]
    # A hard reload wants nothing that the origin has not confirmed; the site's owner may know better.
    browser.reload(hard=True)
    assert browser.answers[URL]["status"] == 502 and "origin cannot be reached" in browser.ask("document.body.textContent")
    node = road.nodes["edge"]
    node.reload(open(node.file, encoding="utf-8").read().replace("cache: {on: true}", "cache: {on: true, requests: false}"))
    node.wait_for_log(TAKEN)
    browser.reload(hard=True)
    assert is_whole(browser) and {browser.answers[path]["status"] for path in paths} == {200}
    browser.screenshot(ARTEFACTS / "browser" / f"shop-without-origin-ipv{version}.png")


def words_of_stored(road):
    """The fields of the stored page, for whoever takes what is stored, however old."""
    lines = road.client.run("curl", "-skI", "--resolve", f"{SITE}:{HTTPS}:{road.edge_at}", "-H", "Cache-Control: only-if-cached, max-stale", URL).stdout
    fields = dict(line.split(": ", 1) for line in lines.splitlines() if ": " in line)
    return {"age": "0", **{name.lower(): value for name, value in fields.items()}}
