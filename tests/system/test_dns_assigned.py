# SPDX-License-Identifier: Apache-2.0
"""`_gateway` names tell which gateways a site has (R10): the ones that live, by reports."""
import re

from lab import wait_until
from lab.causeway import Causeway, Keys

DNS, REPORTS, LINK = 5300, 8053, 4500


def test_R10_gateway_names_follow_the_gateways(lab, causeway_program):
    core = lab.namespace("core")
    places = {name: lab.namespace(name) for name in ("gw1", "gw2")}
    links = {name: lab.connect(core, place) for name, place in places.items()}
    keys = Keys(lab, causeway_program, "ns", "edge", *places)
    reports = links["gw1"].a4
    places["gw2"].route(f"{reports}/32", links["gw2"].a4)

    def node(name, more):
        return f"""
  {name}:
    public_key: {keys.public[name]}
    private_key: {keys.path(name)}
    run_dir: {lab.path(f"run-{name}")}
    user: root
    admin: off
    {more}
"""
    gateways = "".join(node(name, f"""link: {{listen: ["{links[name].b4}:{LINK}"]}}
    addresses: [{links[name].b4}, "2001:db8::{name[-1]}"]
    gateway: {{allow: [{{edges: [edge], sites: [shop]}}]}}""") for name in places)
    config = f"""
nodes:
{node("ns", f'dns: {{listen: ["127.0.0.1:{DNS}"], reports: "{reports}:{REPORTS}"}}')}
{node("edge", 'edge: {listen: ["127.0.0.1:8080"]}' + chr(10) + '    addresses: ["192.0.2.1"]')}
{gateways}
sites:
  shop: {{hosts: [www.shop.example], origins: ["http://192.0.2.80"], dns: {{gateway: true}}}}
  quiet: {{hosts: [quiet.shop.example], origins: ["http://192.0.2.80"]}}
zones:
  shop.example: {{ns: [ns.shop.example], records: ["ns A 192.0.2.53"]}}
"""

    def ask(kind, name="_gateway.www.shop.example"):
        text = core.run("dig", "@127.0.0.1", "-p", str(DNS), "+short", "+tries=1", kind, name).stdout
        return sorted(text.split("\n")[:-1])

    dns = Causeway(lab, causeway_program, config, node="ns", namespace=core)
    both = sorted(link.b4 for link in links.values())
    assert ask("A") == both and ask("AAAA") == ["2001:db8::1", "2001:db8::2"]  # nobody has reported yet
    assert ask("SRV") == [f"0 0 {LINK} {name}._gateway.www.shop.example." for name in places]
    assert ask("A", "gw2._gateway.www.shop.example") == [links["gw2"].b4]
    assert ask("A", "_gateway.quiet.shop.example") == []
    nodes = {name: Causeway(lab, causeway_program, config, node=name, namespace=place) for name, place in places.items()}
    for name in nodes:
        dns.wait_for_log(f"reports (edge|node)={name}")
    nodes["gw1"].kill()
    wait_until(lambda: ask("A") == [links["gw2"].b4] and ask("AAAA") == ["2001:db8::2"], 5, "the dead one is not named")
    assert len(ask("SRV")) == 2
    nodes["gw1"].start()
    wait_until(lambda: ask("A") == both, 10, "it is back")
    nodes["gw1"].kill()
    nodes["gw2"].kill()
    wait_until(lambda: ask("A") == both, 8, "with all of them dead, answers may fail but are there")
    dns.reload(re.sub("gateway: true", "gateway: false", config))
    wait_until(lambda: ask("A") == [] and ask("SRV") == [], what="the site asks for it no more")
