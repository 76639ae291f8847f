/* SPDX-License-Identifier: Apache-2.0
 *
 * What is sent: liveness reports when they are due to each DNS node, measurements to all of them at once. Round trips of visitors
 * come last and have a byte rate; nothing is kept for a DNS node that does not hear.
 */
#include "agent/private.h"

#include <errno.h>
#include <sys/socket.h>

enum { MESSAGES_AT_ONCE = 4 }; /* four times a second: half of what a DNS node looks at */

void agent_send(struct agent *agent, const struct receiver *receiver, struct span datagram)
{
    struct sockaddr_storage to;
    unsigned length;
    address_to_sockaddr(&receiver->address, &to, &length);
    int fd = agent->sockets[receiver->address.family == 6].watch.fd;
    if (sendto(fd, datagram.data, datagram.length, MSG_DONTWAIT | MSG_NOSIGNAL,
               (struct sockaddr *)&to, length) < 0)
        log_debug("agent", "a report was not sent errno=%d", errno);
}

/* ---- liveness */

static bool is_gateway_link(const struct link *link)
{
    return link_is_to_gateway(link);
}

static struct status_gateway gateway_of(const struct agent *agent, const struct link *link)
{
    struct key key;
    memcpy(key.bytes, link_peer_key(link), sizeof key.bytes);
    struct link_quality quality = link_read_quality(link);
    return (struct status_gateway){.id = status_node_id(agent->options.crypto, &key),
                                   .srtt_us = quality.srtt_us,
                                   .loss_ppm = quality.loss_ppm,
                                   .is_up = quality.is_up};
}

static void fill_workers(const struct agent *agent, struct status_report *report)
{
    const struct agent_host *host = &agent->options.host;
    const struct worker_set *workers = host->workers ? host->workers(host->owner) : NULL;
    if (!workers)
        return;
    for (uint32_t i = 0; i < workers_count(workers) && i < STATUS_WORKERS_MAX; i++) {
        uint64_t now_ns = clock_now_ns(), turn_ns = worker_last_turn_ns(workers_get(workers, i));
        uint64_t age_ms = turn_ns < now_ns ? (now_ns - turn_ns) / 1000000 : 0;
        report->worker_age_ms[report->worker_count++] =
            age_ms < UINT16_MAX ? (uint16_t)age_ms : UINT16_MAX;
    }
}

static void fill(struct agent *agent, struct status_report *report)
{
    struct link_set *links = agent->options.host.links;
    report->flags =
        (uint8_t)(agent->view.flags | (agent->is_leaving ? (unsigned)STATUS_LEAVING : 0u));
    report->connections = agent->view.edge.connections;
    report->requests_per_s = agent->load.rates[MEASURE_EDGE].requests_per_s;
    report->config_hash = strtoull(agent_conf(agent)->hash, NULL, 16);
    fill_workers(agent, report);
    for (size_t i = 0; links && i < link_set_count(links); i++) {
        const struct link *link = link_set_get(links, i);
        if (is_gateway_link(link) && link_is_shown(link) &&
            report->gateway_count < STATUS_GATEWAYS_MAX)
            report->gateways[report->gateway_count++] = gateway_of(agent, link);
    }
}

static void look(struct agent *agent)
{
    const struct agent_host *host = &agent->options.host;
    agent->view = (struct agent_view){0};
    if (host->look)
        host->look(host->owner, &agent->view);
}

void agent_send_status(struct agent *agent)
{
    uint64_t now_ns = clock_now_ns(), wake_ns = UINT64_MAX;
    struct status_report report = {0};
    look(agent);
    fill(agent, &report);
    for (size_t i = 0; i < agent->count; i++) {
        struct receiver *receiver = &agent->receivers[i];
        if (agent->is_leaving || status_sender_wake(&receiver->sender) <= now_ns) {
            uint8_t datagram[STATUS_DATAGRAM_MAX];
            size_t bytes = status_sender_write(&receiver->sender, now_ns, &report, datagram);
            agent_send(agent, receiver, span_of(datagram, bytes));
        }
        if (status_sender_wake(&receiver->sender) < wake_ns)
            wake_ns = status_sender_wake(&receiver->sender);
    }
    loop_timer_start(agent->options.loop, &agent->status, wake_ns);
}

/* ---- measurements */

/* The messages of one period. */
struct outbox {
    struct agent *agent;
    struct measure_message message;
    unsigned sent;
};

static void flush(struct outbox *outbox)
{
    struct agent *agent = outbox->agent;
    uint8_t datagram[MEASURE_DATAGRAM_MAX];
    if (!outbox->message.length)
        return;
    for (size_t i = 0; i < agent->count; i++) {
        struct receiver *receiver = &agent->receivers[i];
        size_t bytes = status_sender_measure(&receiver->sender, &outbox->message, datagram);
        if (!bytes)
            continue;
        agent_send(agent, receiver, span_of(datagram, bytes));
        metric_add(&agent_sent, 1);
        metric_add(&agent_sent_bytes, bytes);
    }
    outbox->sent++;
    outbox->message = (struct measure_message){0};
}

/* false: no more in this period. */
static bool put(struct outbox *outbox, const struct measure_item *item)
{
    if (outbox->sent == MESSAGES_AT_ONCE)
        return false;
    if (measure_put(&outbox->message, item))
        return true;
    flush(outbox);
    return outbox->sent < MESSAGES_AT_ONCE && measure_put(&outbox->message, item);
}

/* STATUS has told the first ones. */
static void put_further_links(struct outbox *outbox)
{
    struct link_set *links = outbox->agent->options.host.links;
    size_t gateways = 0;
    for (size_t i = 0; links && i < link_set_count(links); i++) {
        const struct link *link = link_set_get(links, i);
        if (!is_gateway_link(link) || !link_is_shown(link) || ++gateways <= STATUS_GATEWAYS_MAX)
            continue;
        const struct measure_item item = {.kind = MEASURE_LINK,
                                          .link = gateway_of(outbox->agent, link)};
        if (!put(outbox, &item))
            return;
    }
}

/* One datagram's at a time; the next ones follow. */
static void put_held(struct outbox *outbox)
{
    enum { RECORDS_AT_ONCE = 90 };
    struct agent *agent = outbox->agent;
    const struct agent_host *host = &agent->options.host;
    struct measure_item item = {.kind = MEASURE_HELD};
    int count = 0;
    while (host->next_held && count < RECORDS_AT_ONCE &&
           host->next_held(host->owner, &agent->next_held, &item.held) && put(outbox, &item))
        count++;
    if (count < RECORDS_AT_ONCE)
        agent->next_held = 0;
}

static void put_load(struct outbox *outbox, uint64_t now_ns)
{
    struct load *load = &outbox->agent->load;
    for (size_t i = 0; i < MEASURE_ROLES; i++) {
        struct measure_item item = {.kind = MEASURE_LOAD,
                                    .load = {(enum measure_role)i, load->now[i]}};
        if (load->now[i].taken_ns)
            put(outbox, &item);
    }
    put_further_links(outbox);
    put_held(outbox);
    load_told(load, now_ns);
}

static void put_items(struct outbox *outbox)
{
    struct agent *agent = outbox->agent;
    while (agent->item_count && put(outbox, &agent->items[agent->first_item])) {
        agent->first_item = (agent->first_item + 1) % AGENT_ITEMS_MOST;
        agent->item_count--;
    }
}

/* What was not sent within a second is not caught up with: there will be newer ones. */
static void fill_allowance(struct agent *agent, uint64_t now_ns)
{
    uint64_t passed_ns = now_ns - agent->allowance_ns;
    agent->allowance_ns = now_ns;
    if (passed_ns > 1000000000)
        passed_ns = 1000000000;
    agent->allowance_bytes += passed_ns * AGENT_LATENCY_BYTES_PER_S / 1000000000;
    if (agent->allowance_bytes > AGENT_LATENCY_BYTES_PER_S)
        agent->allowance_bytes = AGENT_LATENCY_BYTES_PER_S;
}

static void put_latencies(struct outbox *outbox)
{
    enum { RECORD_BYTES = 25 }; /* of the greater kind */
    struct agent *agent = outbox->agent;
    const struct agent_host *host = &agent->options.host;
    while (host->next_latency && agent->allowance_bytes >= RECORD_BYTES &&
           outbox->sent < MESSAGES_AT_ONCE) {
        struct measure_item item = {.kind = MEASURE_LATENCY};
        if (!host->next_latency(host->owner, &item.latency) || !put(outbox, &item))
            return;
        agent->allowance_bytes -= RECORD_BYTES;
        metric_add(&agent_latencies_sent, 1);
    }
}

static bool is_heard(const struct agent *agent)
{
    for (size_t i = 0; i < agent->count; i++)
        if (agent->receivers[i].sender.epoch)
            return true;
    return false;
}

void agent_send_measures(struct agent *agent)
{
    uint64_t now_ns = clock_now_ns();
    struct outbox outbox = {.agent = agent};
    loop_timer_start(agent->options.loop, &agent->measure, now_ns + STATUS_PERIOD_NS);
    if (load_look(&agent->load, agent_conf(agent)->self, &agent->view, agent->gauges.values,
                  now_ns))
        put_load(&outbox, now_ns);
    if (!is_heard(agent))
        return; /* what was measured waits */
    put_items(&outbox);
    fill_allowance(agent, now_ns);
    put_latencies(&outbox);
    flush(&outbox);
}
