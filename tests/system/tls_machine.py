# SPDX-License-Identifier: Apache-2.0
"""Certificates, and one machine that serves sites over TLS on loopback."""
import getpass
import json
import os
import pathlib
import socket
import ssl
import subprocess

from lab.causeway import Causeway

HOST = {4: "127.0.0.1", 6: "::1"}


def openssl(*words, check=True, **options):
    return subprocess.run(["openssl", *map(str, words)], check=check, capture_output=True, timeout=60, **options)


class Authority:
    """Makes certificates with `openssl`; all files lie in the laboratory's folder."""

    def __init__(self, lab, name="ca"):
        self.lab = lab
        self.path, self.key = lab.path(f"{name}.pem"), lab.path(f"{name}-key.pem")
        openssl("req", "-x509", *self.curve(), "-nodes", "-keyout", self.key, "-out", self.path, "-days", "90", "-subj", f"/CN={name}",
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign,cRLSign,digitalSignature")
        self.serial = 100
        self.index = lab.path(f"{name}-index.txt")

    @staticmethod
    def curve():
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"

    def make(self, file, *names, rsa=False, days=60, begins=None):
        """Paths of a certificate with its chain, and of its key."""
        certificate, key, request, extensions = (self.lab.path(f"{file}{end}") for end in (".pem", "-key.pem", ".csr", ".ext"))
        kind = ("-newkey", "rsa:2048") if rsa else self.curve()
        openssl("req", "-new", *kind, "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={file}")
        pathlib.Path(extensions).write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names) + "\n")
        self.serial += 1
        if begins:  # `openssl x509` of version 3.0 cannot; `ca` can
            pathlib.Path(self.index).touch()
            pathlib.Path(self.index + ".serial").write_text(f"{self.serial:04X}\n")
            settings = self.lab.path("ca.cnf")
            pathlib.Path(settings).write_text(
                f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.index}\nserial={self.index}.serial\nnew_certs_dir={self.lab.path('.')}\n"
                "default_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n")
            openssl("ca", "-batch", "-notext", "-config", settings, "-cert", self.path, "-keyfile", self.key, "-in", request, "-out",
                    certificate, "-extfile", extensions, "-startdate", begins[0], "-enddate", begins[1])
        else:
            openssl("x509", "-req", "-in", request, "-CA", self.path, "-CAkey", self.key, "-set_serial", self.serial, "-days", days,
                    "-extfile", extensions, "-out", certificate)
        with open(certificate, "a", encoding="ascii") as file_:
            file_.write(pathlib.Path(self.path).read_text())
        os.chmod(key, 0o600)
        return certificate, key

    def staple(self, certificate, days=3):
        """An OCSP answer about a certificate of ours; its path."""
        number = openssl("x509", "-in", certificate, "-noout", "-serial").stdout.decode().strip().split("=")[1]
        index, answer = self.lab.path("ocsp-index.txt"), certificate + ".ocsp"
        pathlib.Path(index).write_text(f"V\t401231235959Z\t\t{number}\tunknown\t/CN=x\n")
        openssl("ocsp", "-index", index, "-rsigner", self.path, "-rkey", self.key, "-CA", self.path, "-issuer", self.path, "-cert",
                certificate, "-respout", answer, "-ndays", days)
        return answer


class TlsMachine:
    """`sites`: lines of the site `tls:` settings by name; each has the hosts that are given."""

    def __init__(self, lab, program, start_origin, sites, edge="", passed=None):
        self.lab, self.here = lab, lab.here()
        self.http, self.https, self.origin, self.admin = (self.here.free_port("127.0.0.1") for _ in range(4))
        self.passed = passed
        start_origin(lab, self.here, ("127.0.0.1", self.origin))
        self.log = lab.path("access.log")
        self.node = Causeway(lab, program, self.text(sites, edge))

    def text(self, sites, edge=""):
        ports = f", ports: [{self.passed}]" if self.passed else ""
        text = f"""
nodes:
  all:
    run_dir: {self.lab.path("run")}
    user: {getpass.getuser()}
    workers: 2
    capacity: {{cpu: 0}}
    admin: {{listen: ["127.0.0.1:{self.admin}"]}}
    edge:
      listen: ["127.0.0.1:{self.http}"]
      access_log: {{path: {self.log}, format: json}}
      tls:
        listen: ["127.0.0.1:{self.https}", "[::1]:{self.https}"]
        {edge}
    gateway:
      allow_local: true
      allow: [{{edges: [all], sites: [{", ".join(sites)}]{ports}}}]
sites:
"""
        for name, (hosts, tls) in sites.items():
            text += f"  {name}:\n    hosts: [{hosts}]\n    origins: [\"http://127.0.0.1:{self.origin}\"]\n"
            text += f"    tls: {tls}\n" if tls else ""
        return text

    def reload(self, sites, edge=""):
        self.node.reload(self.text(sites, edge))

    def curl(self, host, path="/", *words, authority=None, check=True, version=4):
        """The answer to a request by name, with the authority's certificate checked."""
        address = HOST[version]
        trust = ("--cacert", authority.path) if authority else ("-k",)
        return self.here.run("curl", "-sS", "--max-time", "20", "--connect-to", f"{host}:443:[{address}]:{self.https}" if version == 6
                             else f"{host}:443:{address}:{self.https}", *trust, *words, f"https://{host}{path}", check=check, timeout=30)

    def code(self, host, *words, **options):
        result = self.curl(host, "/", "-o", "/dev/null", "-w", "%{http_code}", *words, check=False, **options)
        return int(result.stdout or 0) if result.returncode == 0 else -result.returncode

    def connect(self, name="www.shop.example", context=None, session=None, version=4):
        if context is None:
            context = untrusting()
        connection = socket.create_connection((HOST[version], self.https), timeout=20)
        return context.wrap_socket(connection, server_hostname=name, session=session, suppress_ragged_eofs=False)

    def s_client(self, *words, name="www.shop.example", data=b""):
        server = ("-servername", name) if name else ("-noservername",)
        return openssl("s_client", "-connect", f"127.0.0.1:{self.https}", *server, *words, check=False, input=data).stdout.decode(
            errors="replace")

    def metric(self, name):
        text = self.here.run("curl", "-sS", f"http://127.0.0.1:{self.admin}/metrics").stdout
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    def lines(self):
        return [json.loads(line) for line in pathlib.Path(self.log).read_text().splitlines()]


def untrusting():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def ask(connection, host="www.shop.example", path="/", more=""):
    """One request on a kept connection: status and body."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
    stream = connection.makefile("rb")
    status = int(stream.readline().split()[1])
    length = 0
    while (line := stream.readline()) not in (b"\r\n", b""):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status, stream.read(length)
