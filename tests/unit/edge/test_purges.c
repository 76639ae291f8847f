/* SPDX-License-Identifier: Apache-2.0
 *
 * When an edge may use its store (C2), and what it does with purges, where the test is the gateway.
 */
#include "edge/cache/purges.h"
#include "stage.h"

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

static const char network[] =
    "nodes:\n"
    "  edge: { " NETWORK_A ", edge: { listen: [\":80\"] } }\n"
    "  near: { " NETWORK_B ", link: { listen: [\"127.0.0.1:2\"] }, gateway: {} }\n"
    "sites:\n"
    "  shop: { hosts: [www.shop.example], origins: [\"http://192.0.2.9\"], cache: { on: true } }\n"
    "  bare: { hosts: [bare.example], origins: [\"http://192.0.2.9\"] }\n";

static struct {
    struct conf *conf;
    struct link_set links;
    struct edge *edge;
    struct edge_worker *worker;
} stage;
static uint64_t shop;

static void start(bool is_up)
{
    stage.conf = network_load(network, "edge");
    fake_clear();
    struct link *link = &stage.links.links[0];
    *link = (struct link){
        .name = "near", .is_up = is_up, .is_to_gateway = true, .has_purges = true, .ups = is_up};
    memcpy(link->key, conf_find_node(stage.conf, "near")->public_key, sizeof link->key);
    stage.links.count = 1;
    struct edge_options options = {.conf = {network_current, &stage.conf},
                                   .links = &stage.links,
                                   .workers = 1};
    metrics_thread_start();
    stage.edge = edge_new(&options);
    stage.worker = &stage.edge->workers[0];
    stage.worker->edge = stage.edge;
    stage.worker->loop = loop_new();
    shop = purge_site(SPAN("shop"));
    edge_purges_start(stage.worker);
}

static void stop(void)
{
    edge_purges_stop(stage.worker);
    loop_free(&stage.worker->loop);
    edge_free(&stage.edge);
    snapshot_settle();
    metrics_thread_stop();
    conf_free(stage.conf);
    fake_clear();
}

static bool may(void)
{
    return edge_purges_allow(stage.edge, 0, shop);
}

static bool has_passed(void *argument)
{
    return clock_now_ns() >= *(uint64_t *)argument;
}

/* Its look at the link, which comes every 10 ms. */
static void let_it_look(void)
{
    uint64_t until_ns = clock_now_ns() + 25000000;
    assert_true(turn_until(stage.worker->loop, has_passed, &until_ns));
}

static void deliver(struct link_stream *stream, const struct purge_message *message)
{
    struct text text = {0};
    purge_message_write(&text, message);
    fake_deliver(stream, text_span(&text), false);
    text_clear(&text);
}

static void deliver_purge(struct link_stream *stream, uint64_t number, enum purge_kind kind)
{
    deliver(stream,
            &(struct purge_message){.type = PURGE_MESSAGE_PURGE,
                                    .purge = {shop, number, kind, false,
                                              kind == PURGE_SITE ? (struct span){0} : SPAN("x")}});
}

static void deliver_current(struct link_stream *stream, uint64_t mark)
{
    deliver(stream, &(struct purge_message){.type = PURGE_MESSAGE_CURRENT, .number = mark});
}

/* The last message of that type; its number. */
static uint64_t last_said(const struct link_stream *stream, enum purge_message_type type)
{
    uint64_t number = UINT64_MAX;
    struct purge_message message;
    for (size_t at = 0;;) {
        int bytes = purge_message_read(span_from(text_span(&stream->written), at), &message);
        if (bytes < 0)
            return number;
        at += (size_t)bytes;
        if (message.type == type)
            number = message.number;
    }
}

static void C2_the_store_waits_for_the_gateways_word(void **state)
{
    (void)state;
    start(true);
    let_it_look();
    assert_int_equal(fake_stream_count(), 1);
    struct link_stream *stream = fake_stream(0);
    assert_int_equal(stream->open.flags, TRANSPORT_OPEN_PURGES);
    assert_int_equal(last_said(stream, PURGE_MESSAGE_SITE), 0);
    assert_int_equal(last_said(stream, PURGE_MESSAGE_ASK), 1);
    assert_false(may());
    deliver_purge(stream, 50, PURGE_SITE);
    assert_int_equal(store_purge_sequence(stage.edge->store, shop), 50);
    assert_int_equal(last_said(stream, PURGE_MESSAGE_DONE), 50);
    assert_false(may());
    deliver_current(stream, 1);
    assert_true(may());
    assert_false(edge_purges_allow(stage.edge, 0, shop + 1)); /* another configuration meanwhile */
    assert_true(edge_purges_allow(stage.edge, 1, purge_site(SPAN("bare"))));
    deliver_purge(stream, 51, PURGE_TAG);
    assert_int_equal(last_said(stream, PURGE_MESSAGE_DONE), 51);
    assert_true(may());
    stop();
}

static void C2_after_an_outage_it_waits_again(void **state)
{
    (void)state;
    start(true);
    let_it_look();
    struct link_stream *stream = fake_stream(0);
    struct link *link = &stage.links.links[0];
    deliver_current(stream, 1);
    link->is_up = false; /* its streams wait */
    assert_true(may());
    link->ups++;
    link->is_up = true;
    assert_false(may()); /* at once: before anybody has looked */
    let_it_look();
    assert_int_equal(fake_stream_count(), 1);
    assert_int_equal(last_said(stream, PURGE_MESSAGE_ASK), 2);
    deliver_current(stream, 1); /* of the time before */
    assert_false(may());
    deliver_current(stream, 2);
    assert_true(may());
    fake_reset(stream, TRANSPORT_CODE_SHUTDOWN); /* the gateway's configuration changed */
    assert_false(may());
    let_it_look();
    assert_int_equal(fake_stream_count(), 2);
    deliver_current(fake_stream(1), 2);
    assert_true(may());
    stop();
}

static void C2_a_gateway_without_a_log_or_of_an_older_release_hinders_nothing(void **state)
{
    (void)state;
    start(true);
    let_it_look();
    fake_reset(fake_stream(0), TRANSPORT_CODE_REFUSED);
    assert_true(may());
    stop();
    start(true);
    stage.links.links[0].has_purges = false;
    assert_true(may());
    let_it_look();
    assert_true(may());
    stop();
}

static void C2_after_a_start_the_link_is_waited_for(void **state)
{
    (void)state;
    start(false);
    let_it_look();
    assert_false(may());
    uint64_t until_ns = clock_now_ns() + EDGE_PURGES_GRACE_NS;
    assert_true(turn_until(stage.worker->loop, has_passed, &until_ns));
    assert_true(may()); /* it is away: serving is what the store is for */
    stop();
}

static void C2_a_gap_makes_the_site_stale(void **state)
{
    (void)state;
    start(true);
    let_it_look();
    struct link_stream *stream = fake_stream(0);
    struct store_counts counts;
    deliver_purge(stream, 50, PURGE_SITE);
    store_count(stage.edge->store, &counts);
    uint64_t before = counts.purges_pending;
    deliver_purge(stream, 60, PURGE_TAG); /* which this gateway does not do */
    assert_int_equal(store_purge_sequence(stage.edge->store, shop), 60);
    store_count(stage.edge->store, &counts);
    assert_int_equal(counts.purges_pending, before + 2); /* the whole site, and the tag */
    deliver_purge(stream, 55, PURGE_TAG);                /* known: only told again */
    assert_int_equal(store_purge_sequence(stage.edge->store, shop), 60);
    assert_int_equal(last_said(stream, PURGE_MESSAGE_DONE), 55);
    stop();
}

/* What the store cannot take yet waits, and nothing behind it is done before. */
static void C2_too_many_at_once_wait_for_the_store(void **state)
{
    (void)state;
    start(true);
    let_it_look();
    struct link_stream *stream = fake_stream(0);
    deliver_purge(stream, 1, PURGE_SITE);
    for (uint64_t i = 2; i <= STORE_PURGES_PENDING + 3; i++)
        deliver_purge(stream, i, PURGE_TAG);
    deliver_current(stream, 1);
    assert_int_equal(last_said(stream, PURGE_MESSAGE_DONE), STORE_PURGES_PENDING);
    assert_false(may());
    for (int i = 0; i < 1000 && !may(); i++) {
        store_tick(stage.edge->store, clock_now_ns());
        let_it_look();
    }
    assert_true(may());
    assert_int_equal(last_said(stream, PURGE_MESSAGE_DONE), STORE_PURGES_PENDING + 3);
    stop();
}

static void C2_what_only_an_edge_says_ends_the_stream(void **state)
{
    (void)state;
    start(true);
    let_it_look();
    struct link_stream *stream = fake_stream(0);
    deliver(stream, &(struct purge_message){.type = PURGE_MESSAGE_ASK, .number = 1});
    assert_int_equal(stream->reset_code, TRANSPORT_CODE_PROTOCOL);
    assert_false(may());
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C2_the_store_waits_for_the_gateways_word),
        cmocka_unit_test(C2_after_an_outage_it_waits_again),
        cmocka_unit_test(C2_a_gateway_without_a_log_or_of_an_older_release_hinders_nothing),
        cmocka_unit_test(C2_after_a_start_the_link_is_waited_for),
        cmocka_unit_test(C2_a_gap_makes_the_site_stale),
        cmocka_unit_test(C2_too_many_at_once_wait_for_the_store),
        cmocka_unit_test(C2_what_only_an_edge_says_ends_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
