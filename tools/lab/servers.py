# SPDX-License-Identifier: Apache-2.0
"""Real servers from Debian, started from a folder of the laboratory with nothing of the system's own setup."""
import os


def at(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def start_nginx(lab, namespace, listen, root=None, server="", name="nginx", events="worker_connections 4096;",
                listen_words=""):
    """nginx on every (address, port) of `listen`, serving files from `root`; `server` is put into its server block."""
    folder = lab.path(name)
    os.makedirs(f"{folder}/temp", exist_ok=True)
    if root is None:
        root = f"{folder}/www"
        os.makedirs(root, exist_ok=True)
    listens = "\n".join(f"        listen {at(address, port)} reuseport {listen_words};" for address, port in listen)
    temporary = "\n".join(f"    {kind}_temp_path {folder}/temp/{kind};"
                          for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if os.geteuid() == 0 else ""
    lab.write(f"{name}/nginx.conf", f"""
{user}
worker_processes 2;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ {events} }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_max_body_size 0;
    default_type application/octet-stream;
    types {{ text/html html; text/css css; image/png png; image/svg+xml svg; text/plain txt; }}
{temporary}
    server {{
{listens}
        root {root};
        {server}
    }}
}}
""")
    process = lab.start(name, ["nginx", "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"], namespace)
    for address, port in listen:
        process.wait_until(lambda a=address, p=port: namespace.accepts(a, p), what=f"it accepts on {at(address, port)}")
    return process


def start_unbound(lab, namespace, listen, stubs, name="unbound", server="", modules="validator iterator", anchors=()):
    """A caching resolver on (address, port) `listen`; stubs: zone -> (address, port) of its authoritative server; `server` is put into its
    server clause. `anchors`: DS records in the form of zone files, by which it validates; without any it does not."""
    folder = lab.path(name)
    os.makedirs(folder, exist_ok=True)
    zones = "\n".join(f'stub-zone:\n  name: "{zone}"\n  stub-addr: {address}@{port}\n  stub-no-cache: no'
                      for zone, (address, port) in stubs.items())
    insecure = "\n".join(f'  domain-insecure: "{zone}"' for zone in stubs if not anchors)
    insecure += "\n".join(f'  trust-anchor: "{anchor}"' for anchor in anchors)
    lab.write(f"{name}/unbound.conf", f"""
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: {listen[0]}@{listen[1]}
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  do-not-query-localhost: no
  num-threads: 1
  module-config: "{modules}"
{insecure}
{server}
remote-control:
  control-enable: no
{zones}
""")
    process = lab.start(name, ["unbound", "-d", "-c", f"{folder}/unbound.conf"], namespace)
    process.wait_until(lambda: namespace.accepts(*listen), what=f"it accepts on {at(*listen)}")
    return process


def start_recursor(lab, namespace, listen, settings="", name="recursor"):
    """PowerDNS Recursor on (address, port) `listen`; `settings` are lines of its configuration."""
    folder = lab.path(name)
    os.makedirs(folder, exist_ok=True)
    lab.write(f"{name}/recursor.conf", f"""
local-address={at(*listen)}
allow-from=0.0.0.0/0, ::/0
dont-query=
socket-dir={folder}
daemon=no
threads=1
security-poll-suffix=
{settings}
""")
    process = lab.start(name, ["pdns_recursor", f"--config-dir={folder}"], namespace)
    process.wait_until(lambda: namespace.accepts(*listen), what=f"it accepts on {at(*listen)}")
    return process


def start_nsd(lab, namespace, listen, zones, name="nsd"):
    """An authoritative server on (address, port) `listen`; zones: name -> text of its zone file."""
    folder = lab.path(name)
    os.makedirs(folder, exist_ok=True)
    clauses = []
    for number, (zone, text) in enumerate(zones.items()):
        lab.write(f"{name}/zone{number}", text)
        clauses.append(f'zone:\n  name: "{zone}"\n  zonefile: "zone{number}"')
    lab.write(f"{name}/nsd.conf", f"""
server:
  ip-address: {listen[0]}@{listen[1]}
  zonesdir: "{folder}"
  database: ""
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  pidfile: ""
  username: ""
  server-count: 1
remote-control:
  control-enable: no
""" + "\n".join(clauses) + "\n")
    process = lab.start(name, ["nsd", "-d", "-c", f"{folder}/nsd.conf"], namespace)
    process.wait_until(lambda: namespace.accepts(*listen), what=f"it accepts on {at(*listen)}")
    return process
