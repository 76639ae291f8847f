# SPDX-License-Identifier: Apache-2.0
"""causeway doctor: findings about the machine and about what a configuration needs of it."""
import json
import os
import socket

import pytest

CONFIG = """
nodes:
  all:
    run_dir: {directory}/run
    private_key: {key}
    public_key: {public}
    link: {{listen: ["127.0.0.1:{link}"]}}
    edge: {{listen: [{listen}]}}
    gateway:
      allow: [{{edges: [all], sites: [shop]}}]
sites:
  shop:
    hosts: [www.shop.example]
    origins: ["http://192.0.2.1:80"]
"""


class Patient:
    def __init__(self, lab, program):
        self.lab, self.program, self.here = lab, program, lab.here()
        self.key = lab.path("node.key")
        self.public = self.here.run(program, "keygen", "-o", self.key).stdout.strip()

    def examine(self, *words, listen=None):
        """Findings by (check, result), from the JSON form."""
        config = CONFIG.format(directory=self.lab.directory, key=self.key, public=self.public,
                               link=self.here.free_port("127.0.0.1"),
                               listen=listen or f'"127.0.0.1:{self.here.free_port()}"')
        file = self.lab.write("node.yaml", config)
        self.result = self.here.run(self.program, "doctor", "--json", "-c", file, *words, check=False)
        self.findings = json.loads(self.result.stdout)
        return {(finding["check"], finding["result"]) for finding in self.findings}


@pytest.fixture
def patient(local_lab, causeway_program):
    return Patient(local_lab, causeway_program)


def test_a_good_node_has_no_failures(patient):
    found = patient.examine()
    assert patient.result.returncode == 0
    assert not [check for check, result in found if result == "fail"]
    for check in ("configuration", "UDP GSO IPv4", "UDP GRO IPv4", "SO_REUSEPORT", "key file", "listen", "MTU", "kernel"):
        assert (check, "ok") in found, check
    assert {check for check, _ in found} >= {"rmem_max", "wmem_max", "open files", "free descriptors", "somaxconn",
                                             "congestion control", "clock", "user", "run_dir"}
    assert all("advice" in finding for finding in patient.findings if finding["result"] != "ok")


def test_a_key_that_others_can_read_is_a_failure(patient):
    os.chmod(patient.key, 0o644)
    found = patient.examine()
    # the configuration is refused with it, and says so
    assert ("configuration", "fail") in found
    assert patient.result.returncode == 1


def test_ports_that_are_taken_and_addresses_of_others(patient):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = patient.examine(listen=f'"127.0.0.1:{port}", "192.0.2.1:80"')
    assert patient.result.returncode == 1
    sentences = {finding["found"]: finding["result"] for finding in patient.findings if finding["check"] == "listen"}
    assert sentences[f"http 127.0.0.1:{port}: Address already in use"] == "warn"
    assert sentences["http 192.0.2.1:80: Cannot assign requested address"] == "fail"


def test_it_is_readable_without_a_configuration(local_lab, causeway_program):
    result = local_lab.here().run(causeway_program, "doctor", check=False)
    assert "UDP GSO IPv4" in result.stdout
    assert result.stdout.splitlines()[-1].endswith("failures")
