/* SPDX-License-Identifier: Apache-2.0
 *
 * The agent's life, its sockets, and what comes back from the DNS nodes.
 */
#include "agent/private.h"

#include "base/memory.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

struct metric agent_sent = METRIC(COUNTER, "causeway_measure_sent_total", "",
                                  "Datagrams of measurements sent to DNS nodes.");
struct metric agent_sent_bytes = METRIC(COUNTER, "causeway_measure_sent_bytes_total", "",
                                        "Bytes of measurements sent to DNS nodes.");
struct metric agent_items_dropped =
    METRIC(COUNTER, "causeway_measure_items_dropped_total", "",
           "Measurements that were dropped because too many waited to be sent.");
struct metric agent_latencies_sent =
    METRIC(COUNTER, "causeway_measure_visitor_latencies_sent_total", "",
           "Round trips of client networks told.");
struct metric agent_requests_taken =
    METRIC(COUNTER, "causeway_measure_requests_total", "result=\"taken\"",
           "Requests of DNS nodes to measure something.");
struct metric agent_requests_refused =
    METRIC(COUNTER, "causeway_measure_requests_total", "result=\"refused\"",
           "Requests of DNS nodes to measure something.");
struct metric agent_gauges_taken = METRIC(COUNTER, "causeway_measure_gauges_total",
                                          "result=\"taken\"", "Datagrams at the gauges' socket.");
struct metric agent_gauges_refused =
    METRIC(COUNTER, "causeway_measure_gauges_total", "result=\"refused\"",
           "Datagrams at the gauges' socket.");

static void register_metrics(void)
{
    struct metric *const all[] = {&agent_sent,           &agent_sent_bytes,
                                  &agent_items_dropped,  &agent_latencies_sent,
                                  &agent_requests_taken, &agent_requests_refused,
                                  &agent_gauges_taken,   &agent_gauges_refused};
    // NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        metric_register(all[i]);
}

/* ---- what comes back */

static void take_request(struct agent *agent, struct receiver *receiver, struct span datagram)
{
    struct measure_message message;
    struct measure_item item;
    if (status_sender_request(&receiver->sender, datagram, &message) < 0) {
        metric_add(&agent_requests_refused, 1);
        return;
    }
    metric_add(&agent_requests_taken, 1);
    struct measure_reader reader = measure_reader_of(&message);
    while (agent->on_request && measure_next(&reader, &item))
        agent->on_request(agent->request_owner, &item);
}

/* Whose it is, its address says first, the keys say finally. */
static void take_datagram(struct agent *agent, struct span datagram, const struct address *from)
{
    for (size_t i = 0; i < agent->count; i++) {
        struct receiver *receiver = &agent->receivers[i];
        if (!address_equal(&receiver->address, from))
            continue;
        if (status_is_request(datagram)) {
            take_request(agent, receiver, datagram);
        } else if (status_sender_receive(&receiver->sender, clock_now_ns(), datagram) == 0) {
            agent->load.told_ns = 0; /* it has just begun to hear */
            agent_send_status(agent);
        }
    }
}

static void on_datagrams(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct agent_socket *socket = CONTAINER_OF(watch, struct agent_socket, watch);
    (void)loop;
    (void)events;
    for (int i = 0; i < AGENT_RECEIVERS_MOST; i++) {
        uint8_t datagram[MEASURE_DATAGRAM_MAX + 1];
        struct sockaddr_storage from;
        socklen_t length = sizeof from;
        ssize_t got = recvfrom(watch->fd, datagram, sizeof datagram, MSG_DONTWAIT,
                               (struct sockaddr *)&from, &length);
        if (got < 0)
            return;
        struct address address = address_from_sockaddr(&from);
        take_datagram(socket->agent, span_of(datagram, (size_t)got), &address);
    }
}

/* ---- timers */

static void on_status(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    agent_send_status(CONTAINER_OF(timer, struct agent, status));
}

static void on_measure(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    agent_send_measures(CONTAINER_OF(timer, struct agent, measure));
}

/* ---- the DNS nodes */

static int open_socket(struct agent *agent, const struct address *to)
{
    struct agent_socket *socket = &agent->sockets[to->family == 6];
    struct address any = {.family = to->family};
    if (socket->is_open)
        return 0;
    int result = socket_bind_udp(&any, 0, &socket->watch.fd);
    if (result < 0)
        return result;
    socket->is_open = true;
    socket->agent = agent;
    socket->watch.ready = on_datagrams;
    return loop_watch_set(agent->options.loop, &socket->watch, EPOLLIN);
}

static int add_receiver(struct agent *agent, const struct conf_node *node, bool is_self)
{
    struct receiver *receiver = &agent->receivers[agent->count];
    struct key key;
    memcpy(key.bytes, is_self ? agent->options.public_key.bytes : node->public_key,
           sizeof key.bytes);
    int result = open_socket(agent, &node->dns->reports);
    if (result == 0)
        result = status_sender_init(&receiver->sender, agent->options.crypto,
                                    &agent->options.private_key, &key, NULL, clock_now_ns());
    if (result < 0)
        return result;
    receiver->address = node->dns->reports;
    receiver->name = memory_text(node->name, strlen(node->name));
    agent->count++;
    return 0;
}

static void find_receivers(struct agent *agent)
{
    const struct conf *conf = agent_conf(agent);
    for (size_t i = 0; i < conf->node_count && agent->count < AGENT_RECEIVERS_MOST; i++) {
        const struct conf_node *node = &conf->nodes[i];
        if (!node->dns || !node->dns->reports.family)
            continue;
        int result = add_receiver(agent, node, node == conf->self);
        if (result < 0)
            log_error("agent", "cannot report to the DNS node node=%s reason=%s", node->name,
                      error_text(result));
    }
}

static void forget_receivers(struct agent *agent)
{
    while (agent->count) {
        struct receiver *receiver = &agent->receivers[--agent->count];
        status_sender_clear(&receiver->sender);
        memory_free((void *)(uintptr_t)receiver->name);
    }
}

/* ---- life */

struct agent *agent_start(const struct agent_options *options)
{
    struct agent *agent = NEW(struct agent);
    register_metrics();
    agent->options = *options;
    agent->status.fire = on_status;
    agent->measure.fire = on_measure;
    agent->items = memory_new(AGENT_ITEMS_MOST * sizeof *agent->items);
    agent->allowance_ns = clock_now_ns();
    load_open(&agent->load);
    if (gauges_start(&agent->gauges, agent, options->gauges) < 0)
        log_error("agent", "cannot watch the gauges' socket errno=%d", errno);
    find_receivers(agent);
    agent_send_status(agent);
    agent_send_measures(agent);
    return agent;
}

void agent_reload(struct agent *agent)
{
    forget_receivers(agent);
    find_receivers(agent);
    agent_send_status(agent);
}

void agent_hurry(struct agent *agent)
{
    uint64_t now_ns = clock_now_ns();
    for (size_t i = 0; i < agent->count; i++)
        agent->receivers[i].sender.next_ns = now_ns;
    agent_send_status(agent);
    agent_send_measures(agent);
}

void agent_fall_silent(struct agent *agent)
{
    agent->is_silent = true;
    loop_timer_stop(agent->options.loop, &agent->status);
    loop_timer_stop(agent->options.loop, &agent->measure);
    forget_receivers(agent);
}

void agent_stop(struct agent **stopped)
{
    struct agent *agent = *stopped;
    *stopped = NULL;
    if (!agent)
        return;
    agent->is_leaving = true;
    if (!agent->is_silent)
        agent_send_status(agent);
    loop_timer_stop(agent->options.loop, &agent->status);
    loop_timer_stop(agent->options.loop, &agent->measure);
    forget_receivers(agent);
    for (int i = 0; i < 2; i++)
        if (agent->sockets[i].is_open)
            loop_watch_close(agent->options.loop, &agent->sockets[i].watch);
    gauges_stop(&agent->gauges);
    load_close(&agent->load);
    memory_free(agent->items);
    bytes_wipe(&agent->options, sizeof agent->options);
    memory_free(agent);
}

/* ---- the rest of the process */

bool agent_tell(struct agent *agent, const struct measure_item *item)
{
    if (agent->is_silent)
        return true;
    if (agent->item_count == AGENT_ITEMS_MOST) {
        metric_add(&agent_items_dropped, 1);
        return false;
    }
    agent->items[(agent->first_item + agent->item_count++) % AGENT_ITEMS_MOST] = *item;
    return true;
}

void agent_on_request(struct agent *agent,
                      void (*take)(void *owner, const struct measure_item *item), void *owner)
{
    agent->on_request = take;
    agent->request_owner = owner;
}

/* ---- status */

static json_t *number_or_null(uint64_t number, uint64_t unknown)
{
    return number == unknown ? json_null() : json_integer((json_int_t)number);
}

static json_t *gauges_status(const struct agent *agent)
{
    const struct conf_agent *conf = agent_conf(agent)->self->agent;
    json_t *gauges = json_object();
    for (size_t i = 0; conf && i < conf->gauges.count; i++)
        json_object_set_new(gauges, conf->gauges.items[i],
                            number_or_null(agent->gauges.values[i], UINT32_MAX));
    return gauges;
}

static json_t *load_status(const struct director_load *load)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "load",
                     number_or_null(load->load, LOAD_UNKNOWN), "connections",
                     number_or_null(load->connections, UINT32_MAX), "requests_per_s",
                     number_or_null(load->requests_per_s, UINT32_MAX), "cpu_idle",
                     number_or_null(load->cpu_idle, LOAD_UNKNOWN), "free_ram",
                     number_or_null(load->free_ram_bytes, UINT64_MAX), "free_swap",
                     number_or_null(load->free_swap_bytes, UINT64_MAX));
}

json_t *agent_status(struct agent *agent)
{
    static const char *const roles[MEASURE_ROLES] = {"edge", "gateway", "server"};
    json_t *receivers = json_array(), *loads = json_object();
    for (size_t i = 0; i < agent->count; i++) {
        const struct receiver *receiver = &agent->receivers[i];
        const struct status_sender_counters *counters = &receiver->sender.counters;
        json_array_append_new(receivers,
                              json_pack("{s:s, s:b, s:I, s:I, s:I, s:I}", "name", receiver->name,
                                        "heard", receiver->sender.epoch != 0, "reports",
                                        (json_int_t)counters->reports_sent, "measures",
                                        (json_int_t)counters->measures_sent, "requests",
                                        (json_int_t)counters->requests_taken, "requests_refused",
                                        (json_int_t)counters->requests_refused));
    }
    for (size_t i = 0; i < MEASURE_ROLES; i++)
        if (agent->load.now[i].taken_ns)
            json_object_set_new(loads, roles[i], load_status(&agent->load.now[i]));
    return json_pack("{s:o, s:o, s:o}", "dns_nodes", receivers, "load", loads, "gauges",
                     gauges_status(agent));
}
