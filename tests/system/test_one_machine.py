# SPDX-License-Identifier: Apache-2.0
"""The README's configuration at work: one machine, DNS and edge and gateway in one node, no keys and no link in the file."""
import getpass
import os
import pathlib

import pytest

from lab import wait_until
from lab.causeway import Causeway

EXAMPLE = (pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "examples" / "one-machine.yaml").read_text()
HOST = {4: "127.0.0.1", 6: "[::1]"}


class Machine:
    def __init__(self, lab, program, start_origin, more=""):
        self.here = lab.here()
        self.http, self.dns, self.origin = (self.here.free_port("127.0.0.1") for _ in range(3))
        start_origin(lab, self.here, ("127.0.0.1", self.origin))
        self.node = Causeway(lab, program, self.config(f"    run_dir: {lab.path('run')}\n    user: {getpass.getuser()}\n{more}"))

    def config(self, more):
        """The example, at ports that anybody may take."""
        text = EXAMPLE.replace('[":80", "[::]:80"]', f'["127.0.0.1:{self.http}", "[::1]:{self.http}"]')
        text = text.replace('["203.0.113.10:53", "[2001:db8::10]:53"]', f'["127.0.0.1:{self.dns}", "[::1]:{self.dns}"]')
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{self.origin}")
        return text.replace("    edge:\n", f"{more}    admin: off\n    edge:\n")

    def status_of(self, version, host):
        return self.here.run("curl", "-sS", "-H", f"Host: {host}", "-o", os.devnull, "-w", "%{http_code}",
                             f"http://{HOST[version]}:{self.http}/").stdout

    def resolve(self, version, kind):
        server = {4: "127.0.0.1", 6: "::1"}[version]
        return self.here.run("dig", f"@{server}", "-p", str(self.dns), "+short", "www.shop.example", kind).stdout.split()


@pytest.mark.parametrize("link", ["", '    link: { listen: [":PORT"] }\n', '    link: { listen: ["[::]:PORT"] }\n'],
                         ids=["no_link", "ipv4_wildcard", "ipv6_wildcard"])
def test_R1_R5_T1_one_machine_serves_a_site(local_lab, causeway_program, start_origin, version, link):
    link = link.replace("PORT", str(local_lab.here().free_port("127.0.0.1")))
    machine = Machine(local_lab, causeway_program, start_origin, link)
    assert machine.resolve(version, "A") == ["203.0.113.10"]
    assert machine.resolve(version, "AAAA") == ["2001:db8::10"]
    for _ in range(8):  # both workers, whichever owns the link
        assert machine.status_of(version, "www.shop.example") == "200"


def test_one_machine_reloads(local_lab, causeway_program, start_origin, version):
    machine = Machine(local_lab, causeway_program, start_origin)
    text = pathlib.Path(machine.node.file).read_text()
    machine.node.reload(text.replace("www.shop.example", "new.shop.example"))
    wait_until(lambda: machine.status_of(version, "new.shop.example") == "200", what="the new host is served")
    machine.node.reload(text.replace("hosts:", "host:"))
    machine.node.wait_for_log("unknown setting 'host' in site; did you mean 'hosts'?")
    assert machine.status_of(version, "new.shop.example") == "200"
