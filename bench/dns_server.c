/* SPDX-License-Identifier: Apache-2.0
 *
 * The DNS server alone, for measurements and tests: no supervisor, no other role. It binds what the node's `dns:`
 * section says, one UDP socket for each address and worker, and serves until SIGTERM.
 *
 *     dns_server FILE NODE [WORKERS]
 */
#include "base/memory.h"
#include "crypto/crypto.h"
#include "dnsd/dnsd.h"
#include "loop/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { SOCKETS = 64 };

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "dns_server: %s: %s\n", what, why);
    exit(1);
}

static struct conf *load(const char *file, const char *node)
{
    struct text content = {0}, errors = {0};
    struct conf_reader reader = conf_file_reader();
    if (conf_read_file(file, &content, &errors) < 0)
        fail(file, errors.data);
    struct conf *conf = conf_load(file, text_span(&content), node, &reader, &errors);
    if (!conf)
        fail(file, errors.data);
    text_clear(&content);
    text_clear(&errors);
    return conf;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("usage", "dns_server FILE NODE [WORKERS]");
    struct conf *conf = load(argv[1], argv[2]);
    uint32_t workers = argc > 3 ? (uint32_t)atoi(argv[3]) : 1;
    const struct conf_dns *dns = conf->self->dns;
    static int udp[SOCKETS], tcp[SOCKETS];
    size_t count = 0;
    int reports = -1;
    for (uint32_t worker = 0; worker < workers; worker++)
        for (size_t i = 0; dns && i < dns->listen.count && count < SOCKETS; i++, count++)
            if (socket_bind_udp(&dns->listen.items[i], SOCKET_REUSEPORT, &udp[count]) < 0 ||
                socket_listen_tcp(&dns->listen.items[i], SOCKET_REUSEPORT, &tcp[count]) < 0)
                fail("listen", "cannot bind");
    if (dns && dns->reports.family && socket_bind_udp(&dns->reports, 0, &reports) < 0)
        fail("reports", "cannot bind");

    struct dnsd_options options = {.conf = conf,
                                   .crypto = crypto_openssl(),
                                   .seed = clock_now_ns(),
                                   .workers = workers,
                                   .sockets = {udp, count, tcp, count, reports}};
    struct dnsd *server = NULL;
    struct text why = {0};
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGINT);
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    if (dnsd_start(&server, &options, &why) < 0)
        fail(argv[1], why.data);
    int signal;
    sigwait(&wanted, &signal);
    dnsd_stop(&server);
    conf_free(conf);
    return 0;
}
