/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node reports to a DNS node (R8, R9): sent by a real agent over loopback, believed by a receiver of the test's own.
 */
#include "agent/private.h"
#include "base/memory.h"
#include "fake_link.h"
#include "network.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
    struct conf *conf;
    struct link_set links;
    struct agent *agent;
    struct worker_set *workers;
    const struct worker_set *_Atomic seen; /* by the agent: those that run */
    _Atomic uint8_t flags;
    _Atomic uint32_t asked;       /* items of requests that the agent took */
    struct sockaddr_storage from; /* where its reports come from */
    int fd;                       /* of the DNS node */
    struct status_receiver *receiver;
    struct key edge_key;
};

static void look(void *owner, struct agent_view *view)
{
    struct fixture *fixture = owner;
    view->flags = fixture->flags;
    view->edge = (struct agent_work){.is_there = true, .connections = 12};
}

static const struct worker_set *workers(void *owner)
{
    return ((struct fixture *)owner)->seen;
}

static void on_request(void *owner, const struct measure_item *item)
{
    struct fixture *fixture = owner;
    struct measure_item found = {.kind = MEASURE_HEALTH,
                                 .health = {.subject = item->probe.bytes[3], .streak = 3}};
    assert_int_equal(item->kind, MEASURE_PROBE);
    assert_true(agent_tell(fixture->agent, &found));
    fixture->asked++;
}

/* It runs on any loop; here on that of a worker. */
static int start_worker(struct worker *worker, void *argument)
{
    struct fixture *fixture = argument;
    const struct conf_node *self = fixture->conf->self;
    struct agent_options options = {
        .conf = {network_current, &fixture->conf},
        .loop = worker_loop(worker),
        .crypto = crypto_openssl(),
        .gauges = -1,
        .host = {.owner = fixture, .look = look, .workers = workers, .links = &fixture->links}};
    memcpy(options.private_key.bytes, self->private_key, KEY_BYTES);
    memcpy(options.public_key.bytes, self->public_key, KEY_BYTES);
    fixture->seen = worker_peers(worker);
    fixture->agent = agent_start(&options);
    agent_on_request(fixture->agent, on_request, fixture);
    return 0;
}

static void stop_worker(struct worker *worker, void *argument)
{
    (void)worker;
    agent_stop(&((struct fixture *)argument)->agent);
}

static void ignore_event(void *owner, enum status_event_kind kind, const struct status_edge *edge)
{
    (void)owner;
    (void)kind;
    (void)edge;
}

static void start(struct fixture *fixture)
{
    static const struct address loopback = {.bytes = {127, 0, 0, 1}, .family = 4};
    const struct crypto *crypto = crypto_openssl();
    struct text text = {0};
    struct address at;
    struct key dns_key;
    *fixture = (struct fixture){.fd = -1};
    assert_int_equal(socket_bind_udp(&loopback, 0, &fixture->fd), 0);
    assert_int_equal(socket_local(fixture->fd, &at), 0);
    text_add_format(&text,
                    "nodes:\n"
                    "  edge: { " NETWORK_A ", edge: { listen: [\":80\"] } }\n"
                    "  gate: { " NETWORK_B ", link: { listen: [\"127.0.0.1:2\"] }, gateway: {} }\n"
                    "  names: { " NETWORK_C
                    ", dns: { listen: [\"127.0.0.1:53\"], reports: \"127.0.0.1:%u\" } }\n",
                    at.port);
    fixture->conf = network_load(text.data, "edge");
    text_clear(&text);
    memcpy(fixture->edge_key.bytes, fixture->conf->self->public_key, CONF_KEY_BYTES);
    assert_int_equal(base64_decode(SPAN(PRIVATE_KEY_C), dns_key.bytes, CONF_KEY_BYTES), 0);
    fixture->receiver =
        status_receiver_new(crypto, &dns_key, clock_now_ns(), ignore_event, fixture);
    assert_int_equal(status_receiver_put(fixture->receiver, &fixture->edge_key, NULL, true, 7,
                                         clock_now_ns()),
                     0);

    fixture->links.count = 2;
    fixture->links.links[0] = (struct link){
        .name = "gate", .is_to_gateway = true, .is_up = true, .srtt_us = 1234, .loss_ppm = 567};
    memcpy(fixture->links.links[0].key, conf_find_node(fixture->conf, "gate")->public_key,
           CONF_KEY_BYTES);
    fixture->links.links[1] = (struct link){.name = "other", .is_up = true}; /* to no gateway */

    struct worker_hooks hooks = {start_worker, stop_worker, fixture};
    assert_int_equal(workers_start(&fixture->workers, 1, "test", &hooks), 0);
}

static void finish(struct fixture *fixture)
{
    workers_stop(&fixture->workers);
    status_receiver_free(&fixture->receiver);
    close(fixture->fd);
    conf_free(fixture->conf);
    fake_clear();
}

/* Takes reports, and answers them, until one is believed; NULL: none within seconds. */
static const struct status_edge *believed(struct fixture *fixture)
{
    struct pollfd polled = {.fd = fixture->fd, .events = POLLIN};
    while (poll(&polled, 1, 5000) == 1) {
        uint8_t datagram[STATUS_DATAGRAM_MAX], reply[STATUS_EPOCH_BYTES];
        struct sockaddr_storage from;
        socklen_t length = sizeof from;
        ssize_t got =
            recvfrom(fixture->fd, datagram, sizeof datagram, 0, (struct sockaddr *)&from, &length);
        assert_true(got > 0);
        if (status_is_measure(span_of(datagram, (size_t)got)))
            continue;
        int result = status_receiver_receive(fixture->receiver, clock_now_ns(),
                                             span_of(datagram, (size_t)got), reply, NULL);
        if (result == 0)
            return status_receiver_find(fixture->receiver, &fixture->edge_key);
        assert_int_equal(result, ERROR_AGAIN);
        assert_int_equal(sendto(fixture->fd, reply, sizeof reply, 0, (struct sockaddr *)&from,
                                length),
                         sizeof reply);
    }
    return NULL;
}

/* The next item of that kind that is believed; false: none within seconds. */
static bool measured(struct fixture *fixture, enum measure_kind kind, struct measure_item *item)
{
    struct pollfd polled = {.fd = fixture->fd, .events = POLLIN};
    while (poll(&polled, 1, 5000) == 1) {
        uint8_t datagram[MEASURE_DATAGRAM_MAX];
        const struct status_edge *from;
        struct measure_message message;
        socklen_t length = sizeof fixture->from;
        ssize_t got = recvfrom(fixture->fd, datagram, sizeof datagram, 0,
                               (struct sockaddr *)&fixture->from, &length);
        assert_true(got > 0);
        struct span bytes = span_of(datagram, (size_t)got);
        if (!status_is_measure(bytes)) {
            uint8_t reply[STATUS_EPOCH_BYTES];
            (void)!status_receiver_receive(fixture->receiver, clock_now_ns(), bytes, reply, NULL);
            continue;
        }
        assert_int_equal(
            status_receiver_measure(fixture->receiver, clock_now_ns(), bytes, &message, &from), 0);
        struct measure_reader reader = measure_reader_of(&message);
        while (measure_next(&reader, item))
            if (item->kind == kind)
                return true;
    }
    return false;
}

/* The first that says so; some sent before may still be under way. */
static bool reports_flags(struct fixture *fixture, uint8_t flags)
{
    const struct status_edge *edge;
    for (int i = 0; i < 10; i++)
        if ((edge = believed(fixture)) && edge->report.flags == flags)
            return true;
    return false;
}

static void R8_a_report_tells_of_workers_links_and_configuration(void **state)
{
    struct fixture fixture;
    struct key gate;
    (void)state;
    start(&fixture);
    const struct status_edge *edge = believed(&fixture);
    assert_non_null(edge);
    assert_int_equal(edge->label, 7);
    assert_int_equal(edge->state, STATUS_EDGE_LIVE);
    const struct status_report *report = &edge->report;
    assert_int_equal(report->flags, 0);
    assert_int_equal(report->connections, 12);
    assert_int_equal(report->worker_count, 1);
    assert_true(report->worker_age_ms[0] < STATUS_STALL_MS);
    assert_int_equal(report->config_hash, strtoull(fixture.conf->hash, NULL, 16));
    assert_int_equal(report->gateway_count, 1); /* links to gateways only */
    memcpy(gate.bytes, fixture.links.links[0].key, sizeof gate.bytes);
    assert_int_equal(report->gateways[0].id, status_node_id(crypto_openssl(), &gate));
    assert_int_equal(report->gateways[0].srtt_us, 1234);
    assert_int_equal(report->gateways[0].loss_ppm, 567);
    assert_true(report->gateways[0].is_up);
    finish(&fixture);
}

static void R8_reports_come_four_times_a_second(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture);
    assert_non_null(believed(&fixture));
    uint64_t began_ns = clock_now_ns();
    for (int i = 0; i < 3; i++)
        assert_non_null(believed(&fixture));
    assert_true(clock_now_ns() - began_ns >= 2 * STATUS_PERIOD_NS); /* and no faster */
    finish(&fixture);
}

static void R8_the_administrators_word_is_reported(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture);
    assert_true(reports_flags(&fixture, 0));
    fixture.flags = STATUS_DRAINING;
    assert_true(reports_flags(&fixture, STATUS_DRAINING));
    assert_false(status_edge_is_usable(status_receiver_find(fixture.receiver, &fixture.edge_key)));
    fixture.flags = STATUS_ADMIN_DOWN;
    assert_true(reports_flags(&fixture, STATUS_ADMIN_DOWN));
    fixture.flags = 0;
    assert_true(reports_flags(&fixture, 0));
    finish(&fixture);
}

static void R8_an_edge_that_stops_says_goodbye(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture);
    assert_true(reports_flags(&fixture, 0));
    workers_stop(&fixture.workers);
    assert_true(reports_flags(&fixture, STATUS_LEAVING)); /* it waits in the socket */
    finish(&fixture);
}

static void H2_the_load_follows_the_first_report(void **state)
{
    struct fixture fixture;
    struct measure_item item;
    (void)state;
    start(&fixture);
    assert_non_null(believed(&fixture));
    uint64_t began_ns = clock_now_ns();
    assert_true(measured(&fixture, MEASURE_LOAD, &item));
    assert_true(clock_now_ns() - began_ns < 1500000000); /* it does not wait for its 2 s */
    assert_int_equal(item.load.role, MEASURE_EDGE);
    assert_int_equal(item.load.load.connections, 12);
    assert_true(item.load.load.free_ram_bytes > 0);
    finish(&fixture);
}

/* A request of the DNS node reaches whoever listens, and what is told goes with the next measurements. */
static void H3_requests_are_taken_and_findings_told(void **state)
{
    struct fixture fixture;
    struct measure_item item;
    struct measure_message message = {0};
    uint8_t datagram[MEASURE_DATAGRAM_MAX];
    (void)state;
    start(&fixture);
    assert_non_null(believed(&fixture));
    assert_true(measured(&fixture, MEASURE_LOAD, &item));
    const struct measure_item asked = {.kind = MEASURE_PROBE,
                                       .probe = {.family = 4, .bytes = {192, 0, 2, 99}}};
    assert_true(measure_put(&message, &asked));
    size_t length =
        status_receiver_request(fixture.receiver, &fixture.edge_key, &message, datagram);
    assert_true(length > 0);
    for (int i = 0; i < 2; i++) /* twice on its way, once taken */
        assert_int_equal(sendto(fixture.fd, datagram, length, 0, (struct sockaddr *)&fixture.from,
                                sizeof(struct sockaddr_in)),
                         length);
    assert_true(measured(&fixture, MEASURE_HEALTH, &item));
    assert_int_equal(item.health.subject, 99);
    assert_int_equal(item.health.streak, 3);
    assert_int_equal(fixture.asked, 1);
    finish(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R8_a_report_tells_of_workers_links_and_configuration),
        cmocka_unit_test(R8_reports_come_four_times_a_second),
        cmocka_unit_test(R8_the_administrators_word_is_reported),
        cmocka_unit_test(R8_an_edge_that_stops_says_goodbye),
        cmocka_unit_test(H2_the_load_follows_the_first_report),
        cmocka_unit_test(H3_requests_are_taken_and_findings_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
