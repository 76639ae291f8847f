# SPDX-License-Identifier: Apache-2.0
"""A flood: crowd.py ADDRESS HTTP_PORT TLS_PORT HOST. 4,000 connections, every other one silent in clear, the rest to the TLS port, half of
them with a hello; then 100 handshakes that are thrown away; then the line `held`, and it holds what is left until it is ended."""
import resource
import signal
import socket
import ssl
import sys

CONNECTIONS = 4000
HANDSHAKES = 100


def hello(context, host):
    says = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), says, server_hostname=host).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return says.read()


def main():
    address, clear, tls, host = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    greeting = hello(context, host)
    held = []
    for i in range(CONNECTIONS):
        connection = socket.create_connection((address, clear if i % 2 else tls), 20)
        if i % 4 == 2:
            connection.sendall(greeting)
        held.append(connection)
    for _ in range(HANDSHAKES):
        with socket.create_connection((address, tls), 20) as connection, context.wrap_socket(connection, server_hostname=host):
            pass
    print("held", flush=True)
    signal.pause()


main()
