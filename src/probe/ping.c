/* SPDX-License-Identifier: Apache-2.0
 *
 * Round trips to a host (H3): several successive ICMP echoes; where none of them is answered, TCP handshakes with the first port that
 * answers at all, a refusal too. The median counts. Where nothing answers the host is silent, and its round trip is PING_SILENT_US.
 */
#include "probe/echo.h"
#include "probe/private.h"

#include "base/memory.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

struct ping {
    struct pinger *pinger; /* NULL: the slot is free */
    struct address host;
    uint64_t token; /* its low bits are the slot's number */
    struct loop_timer timer;
    struct loop_watch watch; /* TCP; fd -1: none is under way */
    bool is_tcp;
    uint32_t sent, answered; /* of this method */
    uint32_t port;           /* index; behind the last: silent */
    uint64_t sent_ns, sent_wall_ns[PING_ECHOES_LIMIT], sent_at_ns[PING_ECHOES_LIMIT];
    uint32_t rtts_us[PING_ECHOES_LIMIT];
    bool has[PING_ECHOES_LIMIT];
};

struct pinger {
    struct loop *loop;
    struct random random;
    struct ping_settings settings;
    struct echo_socket echo[2]; /* IPv4, IPv6 */
    struct ping slots[PING_AT_ONCE];
    uint32_t running;
    void (*done)(void *owner, const struct ping_result *result);
    void *owner;
};

static struct metric pings[PING_METHODS + 1] = {
    METRIC(COUNTER, "causeway_probe_measurements_total", "answer=\"icmp\"",
           "Round trips to client networks that were measured, by what answered."),
    METRIC(COUNTER, "causeway_probe_measurements_total", "answer=\"tcp\"",
           "Round trips to client networks that were measured, by what answered."),
    METRIC(COUNTER, "causeway_probe_measurements_total", "answer=\"none\"",
           "Round trips to client networks that were measured, by what answered."),
};
static struct metric packets[PING_METHODS] = {
    METRIC(COUNTER, "causeway_probe_packets_total", "kind=\"icmp\"",
           "Echoes and handshakes sent to client networks."),
    METRIC(COUNTER, "causeway_probe_packets_total", "kind=\"tcp\"",
           "Echoes and handshakes sent to client networks."),
};
static struct metric foreign = METRIC(COUNTER, "causeway_probe_foreign_answers_total", "",
                                      "Echo replies to nothing that is under way: ignored.");

void ping_metrics_register(void)
{
    for (size_t i = 0; i < sizeof pings / sizeof *pings; i++)
        metric_register(&pings[i]);
    for (size_t i = 0; i < sizeof packets / sizeof *packets; i++)
        metric_register(&packets[i]);
    metric_register(&foreign);
}

/* ---- the end */

static int ascending(const void *a, const void *b)
{
    uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
    return (first > second) - (first < second);
}

static void close_tcp(struct ping *ping)
{
    if (ping->watch.fd < 0)
        return;
    socket_set_reset_on_close(ping->watch.fd);
    loop_watch_close(ping->pinger->loop, &ping->watch);
    ping->watch.fd = -1;
}

static void free_slot(struct ping *ping)
{
    close_tcp(ping);
    loop_timer_stop(ping->pinger->loop, &ping->timer);
    ping->pinger->running--;
    ping->pinger = NULL;
}

static void finish(struct ping *ping)
{
    struct pinger *pinger = ping->pinger;
    struct ping_result result = {.host = ping->host,
                                 .method = ping->is_tcp ? PING_TCP : PING_ICMP,
                                 .sent = ping->sent,
                                 .answered = ping->answered,
                                 .is_silent = !ping->answered,
                                 .rtt_us = PING_SILENT_US};
    if (ping->answered) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < ping->sent; i++)
            if (ping->has[i])
                ping->rtts_us[count++] = ping->rtts_us[i];
        qsort(ping->rtts_us, count, sizeof *ping->rtts_us, ascending);
        result.rtt_us = ping->rtts_us[(count - 1) / 2];
    }
    metric_add(&pings[result.is_silent ? PING_METHODS : result.method], 1);
    free_slot(ping);
    pinger->done(pinger->owner, &result);
}

static void answered(struct ping *ping, uint32_t at, uint64_t rtt_ns)
{
    uint64_t rtt_us = rtt_ns / 1000 + 1;
    ping->has[at] = true;
    ping->rtts_us[at] = rtt_us < PING_SILENT_US ? (uint32_t)rtt_us : PING_SILENT_US;
    ping->answered++;
}

static void start_timer(struct ping *ping, uint64_t after_ns)
{
    loop_timer_start(ping->pinger->loop, &ping->timer, ping->sent_ns + after_ns);
}

/* ---- TCP */

static void dial(struct ping *ping);

static void use_next_port(struct ping *ping)
{
    ping->sent = 0;
    ping->port++;
    dial(ping);
}

/* The kernel's own measurement of an accepted handshake is of the packets alone. */
static uint64_t handshake_ns(const struct ping *ping, uint64_t now_ns)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(ping->watch.fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_rtt)
        return (uint64_t)info.tcpi_rtt * 1000;
    return now_ns - ping->sent_ns;
}

static void on_tcp(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop;
    (void)events;
    struct ping *ping = CONTAINER_OF(watch, struct ping, watch);
    uint64_t now_ns = clock_now_ns();
    int error = socket_error(watch->fd);
    uint64_t rtt_ns = error ? now_ns - ping->sent_ns : handshake_ns(ping, now_ns);
    close_tcp(ping);
    if (error && error != ECONNREFUSED) {
        use_next_port(ping);
        return;
    }
    answered(ping, ping->sent - 1, rtt_ns);
    if (ping->sent >= ping->pinger->settings.echoes)
        finish(ping);
    else
        start_timer(ping, ping->pinger->settings.gap_ns);
}

static int open_tcp(struct ping *ping)
{
    struct address to = ping->host;
    int fd, tries = 1; /* a SYN that is sent again would blur the time */
    to.port = ping->pinger->settings.ports[ping->port];
    int result = socket_connect_tcp(&to, &fd);
    if (result < 0)
        return result;
    setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &tries, sizeof tries);
    ping->watch = (struct loop_watch){.fd = fd, .ready = on_tcp};
    if (loop_watch_set(ping->pinger->loop, &ping->watch, EPOLLOUT) == 0)
        return 0;
    close_tcp(ping);
    return ERROR_LIMIT;
}

static void dial(struct ping *ping)
{
    ping->sent_ns = clock_now_ns();
    while (ping->port < ping->pinger->settings.port_count && open_tcp(ping) < 0)
        ping->port++;
    if (ping->port >= ping->pinger->settings.port_count) {
        finish(ping);
        return;
    }
    ping->sent++;
    metric_add(&packets[PING_TCP], 1);
    start_timer(ping, ping->pinger->settings.timeout_ns);
}

/* Between two handshakes, or one was not answered. */
static void on_tcp_timer(struct ping *ping)
{
    bool was_waiting = ping->watch.fd >= 0;
    close_tcp(ping);
    if (was_waiting && !ping->answered)
        use_next_port(ping);
    else if (ping->sent >= ping->pinger->settings.echoes)
        finish(ping);
    else
        dial(ping);
}

/* ---- ICMP */

static void begin_tcp(struct ping *ping)
{
    ping->is_tcp = true;
    ping->sent = 0;
    dial(ping);
}

static void send_echo(struct ping *ping)
{
    struct pinger *pinger = ping->pinger;
    uint32_t at = ping->sent;
    ping->sent_ns = ping->sent_at_ns[at] = clock_now_ns();
    ping->sent_wall_ns[at] = clock_wall_ns();
    int error =
        echo_send(&pinger->echo[ping->host.family == 6], &ping->host, ping->token, (uint16_t)at);
    if (error < 0 && at == 0) {
        begin_tcp(ping);
        return;
    }
    ping->sent++;
    if (error == 0)
        metric_add(&packets[PING_ICMP], 1);
    start_timer(ping, ping->sent < pinger->settings.echoes ? pinger->settings.gap_ns
                                                           : pinger->settings.timeout_ns);
}

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    struct ping *ping = CONTAINER_OF(timer, struct ping, timer);
    if (ping->is_tcp)
        on_tcp_timer(ping);
    else if (ping->sent < ping->pinger->settings.echoes)
        send_echo(ping);
    else if (ping->answered)
        finish(ping);
    else
        begin_tcp(ping);
}

/* The time by the wall clock, which the kernel's stamp is of, unless somebody set it in between. */
static uint64_t echo_ns(const struct ping *ping, uint32_t at, uint64_t arrived_wall_ns)
{
    uint64_t most_ns = clock_now_ns() - ping->sent_at_ns[at];
    uint64_t sent_wall_ns = ping->sent_wall_ns[at];
    if (arrived_wall_ns < sent_wall_ns || arrived_wall_ns - sent_wall_ns > most_ns)
        return most_ns;
    return arrived_wall_ns - sent_wall_ns;
}

static void on_answer(void *owner, const struct echo_answer *answer)
{
    struct pinger *pinger = owner;
    struct ping *ping = &pinger->slots[answer->token % PING_AT_ONCE];
    uint32_t at = answer->sequence;
    if (!ping->pinger || ping->is_tcp || ping->token != answer->token || at >= ping->sent ||
        ping->has[at] || !address_same_host(&answer->from, &ping->host)) {
        metric_add(&foreign, 1);
        return;
    }
    answered(ping, at, echo_ns(ping, at, answer->arrived_wall_ns));
    if (ping->answered >= pinger->settings.echoes)
        finish(ping);
}

/* ---- all of them */

struct pinger *pinger_new(const struct pinger_options *options)
{
    struct pinger *pinger = NEW(struct pinger);
    pinger->loop = options->loop;
    pinger->done = options->done;
    pinger->owner = options->owner;
    random_seed(&pinger->random, options->seed);
    return pinger;
}

void pinger_configure(struct pinger *pinger, const struct ping_settings *settings)
{
    pinger->settings = *settings;
    if (!settings->echoes || settings->echoes > PING_ECHOES_LIMIT)
        pinger->settings.echoes = settings->echoes ? PING_ECHOES_LIMIT : 1;
}

bool pinger_has_icmp(const struct pinger *pinger, uint8_t family)
{
    return pinger->echo[family == 6].is_open;
}

void pinger_close_icmp(struct pinger *pinger)
{
    for (int i = 0; i < 2; i++)
        echo_close(&pinger->echo[i]);
}

void pinger_open_icmp(struct pinger *pinger, const int fds[2])
{
    pinger_close_icmp(pinger);
    for (int i = 0; i < 2; i++) {
        pinger->echo[i].on_answer = on_answer;
        pinger->echo[i].owner = pinger;
        echo_open(&pinger->echo[i], pinger->loop, i ? 6 : 4, fds[i],
                  (uint16_t)random_u64(&pinger->random));
    }
}

int pinger_measure(struct pinger *pinger, const struct address *host)
{
    if (pinger->running == PING_AT_ONCE)
        return ERROR_LIMIT;
    uint32_t slot = 0;
    while (pinger->slots[slot].pinger)
        slot++;
    struct ping *ping = &pinger->slots[slot];
    *ping = (struct ping){.pinger = pinger, .host = *host};
    ping->watch.fd = -1;
    ping->timer.fire = on_timer;
    ping->token = random_u64(&pinger->random) / PING_AT_ONCE * PING_AT_ONCE + slot;
    pinger->running++;
    ping->sent_ns = clock_now_ns();
    start_timer(ping, 0); /* results never come from within this call */
    return 0;
}

void pinger_free(struct pinger **freed)
{
    struct pinger *pinger = *freed;
    *freed = NULL;
    if (!pinger)
        return;
    for (size_t i = 0; i < PING_AT_ONCE; i++)
        if (pinger->slots[i].pinger)
            free_slot(&pinger->slots[i]);
    pinger_close_icmp(pinger);
    memory_free(pinger);
}
