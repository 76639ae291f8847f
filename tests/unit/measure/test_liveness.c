/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is alive (R8): times of detection, stalls, flags, restarts of either end, and when silence
 * is not believed.
 */
#include "world.h"

static void R8_edges_are_live_after_one_round_trip(void **state)
{
    (void)state;
    struct world *world = world_new(1, 3);
    world->edges[1].report.requests_per_s = 777;
    world_run_ms(world, 250 + 3 * 20 + 2);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(world_edge(world, i)->state, STATUS_EDGE_LIVE);
        assert_int_equal(world_edge(world, i)->report.connections, i);
    }
    assert_int_equal(world_edge(world, 1)->report.requests_per_s, 777);
    assert_int_equal(world->events[STATUS_EVENT_LIVE], 3);
    world_run_ms(world, 10000);
    assert_int_equal(world->events[STATUS_EVENT_LIVE], 3);
    assert_int_equal(world->events[STATUS_EVENT_DEAD], 0);
    assert_in_range(world_edge(world, 0)->believed, 40, 44);
    assert_int_equal(status_receiver_counters(world->receiver)->stale_epoch, 3);
    world_free(world);
}

static void R8_dead_after_three_missed(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct world *world = world_new(seed, 3);
        world_run_ms(world, 3000 + seed * 13);
        world_stop_edge(world, 1);
        uint64_t stopped_ns = world->now_ns;
        while (world_edge(world, 1)->state == STATUS_EDGE_LIVE)
            world_run_ms(world, 1);
        uint64_t took_ms = (world->now_ns - stopped_ns) / MS_NS;
        assert_in_range(took_ms, 850 - 250 + 20 - 2, 850 + 20 + 2);
        assert_false(status_edge_is_usable(world_edge(world, 1)));
        assert_true(status_edge_is_usable(world_edge(world, 0)));
        assert_int_equal(world->events[STATUS_EVENT_DEAD], 1);
        assert_int_equal(world->last_label[STATUS_EVENT_DEAD], 1);
        assert_false(status_receiver_is_fail_open(world->receiver));

        /* And back: a new process, at once (R8: a new edge is used at once). */
        world_start_edge(world, 1);
        world_run_ms(world, 3 * 20 + 3);
        assert_int_equal(world_edge(world, 1)->state, STATUS_EDGE_LIVE);
        assert_int_equal(world_edge(world, 1)->incarnations, 2);
        world_free(world);
    }
}

static void R8_two_lost_reports_do_not_kill(void **state)
{
    (void)state;
    struct world *world = world_new(3, 2);
    world_run_ms(world, 2000);
    world->edges[0].is_cut = true;
    uint64_t sent = world->edges[0].sender.sequence;
    while (world->edges[0].sender.sequence < sent + 2)
        world_run_ms(world, 1);
    world->edges[0].is_cut = false;
    world_run_ms(world, 2000);
    assert_int_equal(world->events[STATUS_EVENT_DEAD], 0);
    world_free(world);
}

static void R8_stalled_worker_makes_unwell(void **state)
{
    (void)state;
    struct world *world = world_new(4, 2);
    struct status_report *report = &world->edges[0].report;
    report->worker_count = 4;
    world_run_ms(world, 1000);
    report->worker_age_ms[2] = STATUS_STALL_MS;
    world_run_ms(world, 500);
    assert_int_equal(world_edge(world, 0)->state, STATUS_EDGE_LIVE);
    report->worker_age_ms[2] = STATUS_STALL_MS + 1;
    world_run_ms(world, 500);
    assert_int_equal(world_edge(world, 0)->state, STATUS_EDGE_UNWELL);
    assert_false(status_edge_is_usable(world_edge(world, 0)));
    assert_int_equal(world->events[STATUS_EVENT_UNWELL], 1);
    report->worker_age_ms[2] = 3;
    world_run_ms(world, 500);
    assert_int_equal(world_edge(world, 0)->state, STATUS_EDGE_LIVE);
    world_free(world);
}

static void R8_flags_take_an_edge_out(void **state)
{
    (void)state;
    static const uint8_t flags[] = {STATUS_DRAINING, STATUS_ADMIN_DOWN};
    for (size_t i = 0; i < 2; i++) {
        struct world *world = world_new(5, 2);
        world_run_ms(world, 1000);
        world->edges[1].report.flags = flags[i];
        world_run_ms(world, 300);
        assert_int_equal(world_edge(world, 1)->state, STATUS_EDGE_LIVE);
        assert_false(status_edge_is_usable(world_edge(world, 1)));
        assert_int_equal(world->events[STATUS_EVENT_FLAGS], 1);
        world->edges[1].report.flags = 0;
        world_run_ms(world, 300);
        assert_true(status_edge_is_usable(world_edge(world, 1)));
        world_free(world);
    }
}

static void R8_leaving_edge_is_dead_at_once_and_does_not_count(void **state)
{
    (void)state;
    struct world *world = world_new(6, 2);
    world_run_ms(world, 1000);
    for (size_t i = 0; i < 2; i++) {
        world->edges[i].report.flags = STATUS_LEAVING;
        world->edges[i].sender.next_ns = world->now_ns;
        world_run_ms(world, 22);
        world_stop_edge(world, i);
        assert_int_equal(world_edge(world, i)->state, STATUS_EDGE_DEAD);
    }
    world_run_ms(world, 3000);
    assert_int_equal(world->events[STATUS_EVENT_DEAD], 2);
    assert_false(status_receiver_is_fail_open(world->receiver));
    assert_int_equal(world_usable(world), 0);
    assert_int_equal(status_receiver_wake(world->receiver), UINT64_MAX);
    world_free(world);
}

static void R8_most_vanish_together_and_answers_stay(void **state)
{
    (void)state;
    struct world *world = world_new(7, 10);
    world_run_ms(world, 5000);
    for (size_t i = 0; i < 6; i++)
        world->edges[i].is_cut = true;
    world_run_ms(world, 1200);
    assert_true(status_receiver_is_fail_open(world->receiver));
    assert_int_equal(world->events[STATUS_EVENT_FAIL_OPEN], 1);
    assert_int_equal(world->events[STATUS_EVENT_DEAD], 6);
    assert_int_equal(world_usable(world), 10);

    /* While it lasts, more that fall silent are kept too. */
    world->edges[6].is_cut = true;
    world_run_ms(world, 5000);
    assert_int_equal(world_edge(world, 6)->state, STATUS_EDGE_DEAD);
    assert_int_equal(world_usable(world), 10);

    /* Half are back: the rest is believed dead. */
    world->edges[0].is_cut = false;
    world_run_ms(world, 1000);
    assert_true(status_receiver_is_fail_open(world->receiver));
    world->edges[1].is_cut = false;
    world_run_ms(world, 1000);
    assert_false(status_receiver_is_fail_open(world->receiver));
    assert_int_equal(world->events[STATUS_EVENT_FAIL_CLOSED], 1);
    assert_int_equal(world_usable(world), 5);
    world_free(world);
}

static void R8_half_is_not_over_half(void **state)
{
    (void)state;
    struct world *world = world_new(8, 10);
    world_run_ms(world, 5000);
    for (size_t i = 0; i < 5; i++)
        world->edges[i].is_cut = true;
    world_run_ms(world, 3000);
    assert_false(status_receiver_is_fail_open(world->receiver));
    assert_int_equal(world_usable(world), 5);
    world_free(world);
}

static void R8_one_after_another_is_not_together(void **state)
{
    (void)state;
    struct world *world = world_new(9, 10);
    world_run_ms(world, 5000);
    for (size_t i = 0; i < 9; i++) {
        world->edges[i].is_cut = true;
        world_run_ms(world, 2500);
        assert_int_equal(world_usable(world), 9 - i);
    }
    assert_int_equal(world->events[STATUS_EVENT_FAIL_OPEN], 0);
    /* The last one alone is all there is: there is nothing else to answer. */
    world->edges[9].is_cut = true;
    world_run_ms(world, 2500);
    assert_int_equal(world->events[STATUS_EVENT_FAIL_OPEN], 1);
    assert_int_equal(world_usable(world), 1);
    world_free(world);
}

static void R8_restarted_receiver_knows_within_a_period(void **state)
{
    (void)state;
    struct world *world = world_new(10, 5);
    world_run_ms(world, 3000);
    world_start_receiver(world);
    assert_int_equal(world_usable(world), 5); /* presumed */
    world_run_ms(world, 250 + 3 * 20 + 2);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(world_edge(world, i)->state, STATUS_EDGE_LIVE);
    world_free(world);
}

static void R8_never_heard_edges_are_dead_after_the_grace(void **state)
{
    (void)state;
    struct world *world = world_new(11, 5);
    for (size_t i = 1; i < 5; i++)
        world_stop_edge(world, i);
    world_run_ms(world, 2900);
    assert_int_equal(world_usable(world), 5);
    world_run_ms(world, 200);
    assert_int_equal(world_usable(world), 1);
    assert_false(status_receiver_is_fail_open(world->receiver));
    world_free(world);
}

static void R8_receiver_that_starts_cut_off_fails_open_until_it_hears(void **state)
{
    (void)state;
    struct world *world = world_new(12, 5);
    for (size_t i = 0; i < 5; i++)
        world->edges[i].is_cut = true;
    world_run_ms(world, 4000);
    assert_true(status_receiver_is_fail_open(world->receiver));
    assert_int_equal(world_usable(world), 5);
    /* The network comes back, but three of the edges are down. */
    world->edges[0].is_cut = world->edges[1].is_cut = false;
    world_run_ms(world, 500);
    assert_false(status_receiver_is_fail_open(world->receiver));
    assert_int_equal(world_usable(world), 5);
    world_run_ms(world, 3000);
    assert_int_equal(world_usable(world), 2);
    assert_int_equal(world->events[STATUS_EVENT_FAIL_OPEN], 1);
    world_free(world);
}

/* This node itself stood still for ten seconds: nobody dies of that. */
static void R8_own_pause_kills_nobody(void **state)
{
    (void)state;
    struct world *world = world_new(13, 5);
    world_run_ms(world, 3000);
    world->now_ns += 10000 * MS_NS;
    status_receiver_run(world->receiver, world->now_ns);
    assert_int_equal(world->events[STATUS_EVENT_DEAD], 0);
    world_run_ms(world, 2000);
    assert_int_equal(world->events[STATUS_EVENT_DEAD], 0);
    world_stop_edge(world, 0);
    world_run_ms(world, 1000);
    assert_int_equal(world->events[STATUS_EVENT_DEAD], 1);
    world_free(world);
}

static void reload_keeps_what_is_known(void **state)
{
    (void)state;
    struct world *world = world_new(14, 4);
    world_run_ms(world, 3500);
    assert_int_equal(status_receiver_put(world->receiver, &world->edges[2].public_key, &world->psk,
                                         true, 99, world->now_ns),
                     0);
    assert_int_equal(status_receiver_count(world->receiver), 4);
    assert_int_equal(world_edge(world, 2)->label, 99);
    assert_int_equal(world_edge(world, 2)->state, STATUS_EDGE_LIVE);

    status_receiver_drop(world->receiver, &world->edges[0].public_key);
    status_receiver_drop(world->receiver, &world->edges[0].public_key);
    assert_int_equal(status_receiver_count(world->receiver), 3);
    assert_null(world_edge(world, 0));
    uint64_t strangers = status_receiver_counters(world->receiver)->strangers;
    world_run_ms(world, 1000);
    assert_in_range(status_receiver_counters(world->receiver)->strangers - strangers, 3, 5);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(world_edge(world, i)->state, STATUS_EDGE_LIVE);

    /* Back again, long after the start: dead until heard, which is at once. */
    assert_int_equal(status_receiver_put(world->receiver, &world->edges[0].public_key, &world->psk,
                                         true, 0, world->now_ns),
                     0);
    assert_int_equal(world_edge(world, 0)->state, STATUS_EDGE_DEAD);
    world_run_ms(world, 400);
    assert_int_equal(world_edge(world, 0)->state, STATUS_EDGE_LIVE);
    for (size_t i = 0; i < 4; i++) {
        const struct status_edge *edge = status_receiver_edge(world->receiver, i);
        assert_int_equal(edge->state, STATUS_EDGE_LIVE);
        assert_non_null(status_edge_state_text(edge->state));
    }
    world_free(world);
}

static void table_has_a_limit(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 15);
    struct crypto crypto = crypto_seeded(crypto_null(), &random);
    struct key own, key;
    key_generate(&crypto, &own);
    struct status_receiver *receiver = status_receiver_new(&crypto, &own, 0, NULL, NULL);
    for (int i = 0; i < STATUS_EDGES_MAX; i++) {
        key_random(&crypto, &key);
        assert_int_equal(status_receiver_put(receiver, &key, NULL, true, 0, 0), 0);
    }
    key_random(&crypto, &key);
    assert_int_equal(status_receiver_put(receiver, &key, NULL, true, 0, 0), ERROR_LIMIT);
    assert_int_equal(status_receiver_count(receiver), STATUS_EDGES_MAX);
    status_receiver_run(receiver, STATUS_GRACE_NS);
    assert_true(status_receiver_is_fail_open(receiver));
    status_receiver_free(&receiver);
    assert_null(receiver);
    status_receiver_free(&receiver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R8_edges_are_live_after_one_round_trip),
        cmocka_unit_test(R8_dead_after_three_missed),
        cmocka_unit_test(R8_two_lost_reports_do_not_kill),
        cmocka_unit_test(R8_stalled_worker_makes_unwell),
        cmocka_unit_test(R8_flags_take_an_edge_out),
        cmocka_unit_test(R8_leaving_edge_is_dead_at_once_and_does_not_count),
        cmocka_unit_test(R8_most_vanish_together_and_answers_stay),
        cmocka_unit_test(R8_half_is_not_over_half),
        cmocka_unit_test(R8_one_after_another_is_not_together),
        cmocka_unit_test(R8_restarted_receiver_knows_within_a_period),
        cmocka_unit_test(R8_never_heard_edges_are_dead_after_the_grace),
        cmocka_unit_test(R8_receiver_that_starts_cut_off_fails_open_until_it_hears),
        cmocka_unit_test(R8_own_pause_kills_nobody),
        cmocka_unit_test(reload_keeps_what_is_known),
        cmocka_unit_test(table_has_a_limit),
    };
    return cmocka_run_group_tests_name("liveness", tests, NULL, NULL);
}
