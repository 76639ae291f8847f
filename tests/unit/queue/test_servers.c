/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of servers through reloads, failures, drains and returns.
 */
#include "scene.h"

static struct scene scene;

static void begin(size_t servers, uint32_t slots)
{
    scene_begin(&scene);
    scene_start(&scene);
    scene_servers(&scene, servers, slots);
}

static void L3_a_reload_forgets_nothing(void **state)
{
    (void)state;
    begin(3, 2);
    for (int i = 0; i < 6; i++)
        scene_push(&scene, 2);
    assert_int_equal(scene_launch_all(&scene), 6);
    /* Server 2 goes, 4 and 5 come, in another order. */
    const struct queue_server_spec specs[] = {
        {.identity = 5, .weight = 100, .slots = 2},
        {.identity = 3, .weight = 100, .slots = 2},
        {.identity = 1, .weight = 100, .slots = 2},
    };
    assert_int_equal(queue_servers_set(scene.queue, specs, 3, scene.now_ns), 0);
    assert_int_equal(queue_server_find(scene.queue, 1), 0);
    assert_int_equal(queue_server_find(scene.queue, 3), 2);
    assert_int_equal(queue_server_find(scene.queue, 5), 3);
    struct queue_server_report report;
    assert_true(queue_server_report(scene.queue, 1, &report));
    assert_true(report.is_leaving);
    assert_int_equal(report.pending, 2);
    for (int i = 0; i < 3; i++)
        scene_push(&scene, 2);
    assert_int_equal(scene_next(&scene).server, 3);
    scene_finish(&scene, 1, 2, 0, MS_NS);
    scene_finish(&scene, 1, 2, 0, MS_NS);
    assert_false(queue_server_report(scene.queue, 1, &report)); /* its number is free */
    scene_end(&scene);
}

static void L3_tables_that_cannot_be_are_refused(void **state)
{
    (void)state;
    begin(1, 1);
    struct queue_server_spec specs[QUEUE_SERVERS_MOST + 1] = {0};
    for (size_t i = 0; i <= QUEUE_SERVERS_MOST; i++)
        specs[i] = (struct queue_server_spec){.identity = i + 1, .weight = 100};
    assert_int_equal(queue_servers_set(scene.queue, specs, QUEUE_SERVERS_MOST + 1, 1), ERROR_LIMIT);
    specs[5].identity = 1;
    assert_int_equal(queue_servers_set(scene.queue, specs, 8, 1), ERROR_INVALID);
    specs[5].identity = 6;
    specs[5].weight = BALANCE_WEIGHT_MOST + 1;
    assert_int_equal(queue_servers_set(scene.queue, specs, 8, 1), ERROR_INVALID);
    assert_int_equal(queue_server_find(scene.queue, 2), QUEUE_NO_SERVER);
    /* One that still finishes counts. */
    specs[5].weight = 100;
    scene_push(&scene, 2);
    assert_int_equal(scene_next(&scene).server, 0);
    assert_int_equal(queue_servers_set(scene.queue, specs + 1, QUEUE_SERVERS_MOST, 1), ERROR_LIMIT);
    assert_int_equal(queue_servers_set(scene.queue, specs + 1, QUEUE_SERVERS_MOST - 1, 1), 0);
    scene_finish(&scene, 0, 2, 0, MS_NS);
    assert_int_equal(queue_servers_set(scene.queue, specs + 1, QUEUE_SERVERS_MOST, 1), 0);
    scene_end(&scene);
}

static void L9_a_session_moves_only_when_its_server_dies_or_drains(void **state)
{
    (void)state;
    for (int drained = 0; drained < 2; drained++) {
        begin(2, 1);
        scene_push_item(&scene, SCENE_TIED(0, QUEUE_NO_SERVER, .class = 2));
        assert_int_equal(scene_next(&scene).server, 0);
        scene_push(&scene, 2);
        assert_int_equal(scene_next(&scene).server, 1);
        for (int i = 0; i < 3; i++)
            scene_push_item(&scene, SCENE_TIED(0, QUEUE_NO_SERVER, .class = 2));
        struct queue_item *between = scene_push(&scene, 2);
        scene_finish(&scene, 1, 2, 0, MS_NS);
        assert_ptr_equal(scene_next(&scene).item, between);
        if (drained) {
            queue_server_set_weight(scene.queue, 0, 0, scene.now_ns);
            assert_null(scene_next(&scene).item); /* weight 0 alone: sessions stay */
        }
        queue_server_set_usable(scene.queue, 0, false, scene.now_ns);
        for (int i = 0; i < 3; i++) { /* in the order in which they came */
            scene_finish(&scene, 1, 2, 0, MS_NS);
            struct queue_launch launch = scene_next(&scene);
            assert_ptr_equal(launch.item, &scene.items[2 + i]);
            assert_int_equal(launch.server, 1);
        }
        scene_end(&scene);
    }
}

static void L1_down_servers_are_the_last_choice(void **state)
{
    (void)state;
    begin(2, 1);
    queue_server_set_usable(scene.queue, 0, false, scene.now_ns);
    scene_push(&scene, 2);
    scene_push(&scene, 2);
    assert_int_equal(scene_next(&scene).server, 1);
    assert_null(scene_next(&scene).item); /* waits for the one that is up */
    queue_server_set_usable(scene.queue, 1, false, scene.now_ns);
    assert_int_equal(scene_next(&scene).server, 0);
    scene_end(&scene);
}

static void L3_a_server_that_comes_back_starts_slowly(void **state)
{
    (void)state;
    begin(2, 100);
    queue_server_set_usable(scene.queue, 0, false, scene.now_ns);
    scene.now_ns += SECOND_NS;
    queue_server_set_usable(scene.queue, 0, true, scene.now_ns);
    struct queue_server_report report;
    assert_true(queue_server_report(scene.queue, 0, &report));
    assert_in_range(report.slots, 1, 20);
    for (int i = 0; i < 400; i++)
        scene_push(&scene, 2);
    scene_launch_all(&scene);
    assert_true(queue_wake_ns(scene.queue) <
                scene.now_ns + SECOND_NS); /* there will be more slots */
    scene.now_ns += 9 * SECOND_NS;
    scene_launch_all(&scene);
    assert_true(queue_server_report(scene.queue, 0, &report));
    assert_in_range(report.pending, 80, 99);
    scene.now_ns += SECOND_NS / 2;
    scene_launch_all(&scene);
    scene.now_ns += SECOND_NS / 2 - 1;
    scene_launch_all(&scene);
    assert_true(queue_server_report(scene.queue, 0, &report));
    assert_int_equal(report.pending, 100);
    scene_end(&scene);
}

static void L3_other_gateways_bound_the_slots_here(void **state)
{
    (void)state;
    begin(1, 10);
    queue_server_set_most(scene.queue, 0, 4);
    for (int i = 0; i < 20; i++)
        scene_push(&scene, 2);
    assert_int_equal(scene_launch_all(&scene), 4);
    queue_server_set_most(scene.queue, 0, UINT32_MAX);
    assert_int_equal(scene_launch_all(&scene), 6);
    queue_server_set_slots(scene.queue, 0, 12);
    assert_int_equal(scene_launch_all(&scene), 2);
    scene_end(&scene);
}

static void L1_sets_are_parts_of_the_servers(void **state)
{
    (void)state;
    scene_begin(&scene);
    scene_start(&scene);
    const struct queue_server_spec specs[] = {
        {.identity = 1, .weight = 100, .slots = 1, .sets = 1u << 0 | 1u << 1},
        {.identity = 2, .weight = 100, .slots = 1, .sets = 1u << 1},
    };
    assert_int_equal(queue_servers_set(scene.queue, specs, 2, scene.now_ns), 0);
    scene_push_item(&scene, SCENE_ITEM(.class = 2, .set = 0));
    scene_push_item(&scene, SCENE_ITEM(.class = 2, .set = 0));
    scene_push_item(&scene, SCENE_ITEM(.class = 2, .set = 1));
    assert_int_equal(scene_next(&scene).server, 0);
    assert_int_equal(scene_next(&scene).server, 1);
    assert_null(scene_next(&scene).item);
    scene_end(&scene);
}

static void L8_unsafe_requests_wait_for_the_original(void **state)
{
    (void)state;
    scene_begin(&scene);
    scene_start(&scene);
    const struct queue_server_spec specs[] = {
        {.identity = 1, .weight = 100, .slots = 1, .role = BALANCE_ORIGINAL},
        {.identity = 2, .weight = 100, .slots = 1, .role = BALANCE_MIRROR},
    };
    assert_int_equal(queue_servers_set(scene.queue, specs, 2, scene.now_ns), 0);
    scene_push(&scene, 2);
    assert_int_equal(scene_next(&scene).server, 0);
    scene_push_item(&scene, SCENE_ITEM(.class = 2, .need = BALANCE_NEEDS_ORIGINAL));
    struct queue_item *any = scene_push(&scene, 2);
    struct queue_launch launch = scene_next(&scene); /* not behind the one that must wait */
    assert_ptr_equal(launch.item, any);
    assert_int_equal(launch.server, 1);
    assert_null(scene_next(&scene).item);
    scene_finish(&scene, 0, 2, 0, MS_NS);
    assert_int_equal(scene_next(&scene).server, 0);
    scene_end(&scene);
}

static void L8_mirrors_are_no_reason_to_wait_for_an_original_that_is_down(void **state)
{
    (void)state;
    scene_begin(&scene);
    scene_start(&scene);
    const struct queue_server_spec specs[] = {
        {.identity = 1, .weight = 100, .slots = 1, .role = BALANCE_ORIGINAL},
        {.identity = 2, .weight = 100, .slots = 1, .role = BALANCE_ORIGINAL},
        {.identity = 3, .weight = 100, .slots = 1, .role = BALANCE_MIRROR},
    };
    assert_int_equal(queue_servers_set(scene.queue, specs, 3, scene.now_ns), 0);
    /* Not the one that failed this request; then the one that is left. */
    scene_push_item(&scene,
                    SCENE_TIED(QUEUE_NO_SERVER, 0, .class = 2, .need = BALANCE_NEEDS_ORIGINAL));
    assert_int_equal(scene_next(&scene).server, 1);
    scene_finish(&scene, 1, 2, 0, MS_NS);
    queue_server_set_usable(scene.queue, 0, false, scene.now_ns);
    scene_push_item(&scene, SCENE_ITEM(.class = 2, .need = BALANCE_NEEDS_ORIGINAL));
    assert_int_equal(scene_next(&scene).server, 1);
    scene_finish(&scene, 1, 2, 0, MS_NS);
    /* None: tried at once, to be refused. */
    queue_server_set_usable(scene.queue, 1, false, scene.now_ns);
    scene_push_item(&scene, SCENE_ITEM(.class = 2, .need = BALANCE_NEEDS_ORIGINAL));
    struct queue_launch launch = scene_next(&scene);
    assert_non_null(launch.item);
    assert_true(launch.server < 2);
    scene_finish(&scene, launch.server, 2, 0, MS_NS);
    /* Who reads what it wrote may have it of a mirror. */
    scene_push_item(&scene, SCENE_ITEM(.class = 2, .need = BALANCE_NEEDS_FRESH));
    assert_int_equal(scene_next(&scene).server, 2);
    scene_end(&scene);
}

/* ---- expected completion */

static void ten_or_fifty(void *context, uint8_t type, const struct queue_load *load, size_t count,
                         double expected_ns[QUEUE_SERVERS_MOST])
{
    (void)context, (void)type, (void)load;
    for (size_t i = 0; i < count; i++)
        expected_ns[i] = i == 0 ? 10 * MS_NS : 50 * MS_NS;
}

static void L7_a_request_waits_for_a_quick_server_while_few_do(void **state)
{
    (void)state;
    static const struct queue_costs costs = {.expected_ns = ten_or_fifty};
    scene_begin(&scene);
    scene.queue =
        queue_new(&scene.settings, balance_policy_of(BALANCE_EXPECTED), &scene.random, &costs);
    scene_servers(&scene, 2, 1);
    scene_push(&scene, 2);
    assert_int_equal(scene_next(&scene).server, 0);
    scene_finish(&scene, 0, 2, 0, 10 * MS_NS);
    for (int i = 0; i < 2; i++) {
        scene_push(&scene, 2);
        assert_true(i > 0 || scene_next(&scene).server == 0);
    }
    /* Beside one that it has, the quick server takes 20. One and two that wait make it 30 and 40; the third as long as the slow one takes. */
    for (int i = 0; i < 2; i++) {
        assert_null(scene_next(&scene).item);
        scene_push(&scene, 2);
    }
    assert_int_equal(scene_next(&scene).server, 1);
    assert_null(scene_next(&scene).item);
    scene_finish(&scene, 0, 2, 0, 10 * MS_NS);
    assert_int_equal(scene_next(&scene).server, 0);
    scene_end(&scene);
}

static void L7_a_quick_server_that_is_down_is_not_waited_for(void **state)
{
    (void)state;
    static const struct queue_costs costs = {.expected_ns = ten_or_fifty};
    scene_begin(&scene);
    scene.queue =
        queue_new(&scene.settings, balance_policy_of(BALANCE_EXPECTED), &scene.random, &costs);
    scene_servers(&scene, 2, 1);
    queue_server_set_usable(scene.queue, 0, false, scene.now_ns);
    scene_push(&scene, 2);
    assert_int_equal(scene_next(&scene).server, 1);
    scene_end(&scene);
}

static void L3_gateways_that_see_the_same_needs_never_give_too_much(void **state)
{
    (void)state;
    static const struct {
        uint32_t slots, others;
        uint64_t own, rest;
        uint32_t part;
    } cases[] = {
        {10, 0, 5, 0, 10}, {10, 1, 5, 5, 5}, {10, 1, 0, 0, 5}, {10, 1, 0, 9, 1}, {10, 1, 9, 0, 9},
        {10, 3, 1, 3, 2},  {1, 3, 1, 1, 1},  {0, 1, 1, 1, 0},  {2, 1, 99, 1, 1}, {100, 1, 3, 1, 74},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(queue_divide(cases[i].slots, cases[i].others, cases[i].own, cases[i].rest),
                         cases[i].part);
    struct random random;
    random_seed(&random, 3);
    for (int i = 0; i < 10000; i++) {
        uint32_t count = 2 + (uint32_t)random_below(&random, 6), sum = 0;
        uint32_t slots = count + (uint32_t)random_below(&random, 1000);
        uint64_t needs[8], all = 0;
        for (uint32_t k = 0; k < count; k++)
            all += needs[k] = random_below(&random, 3) ? random_below(&random, 1u << 30) : 0;
        for (uint32_t k = 0; k < count; k++)
            sum += queue_divide(slots, count - 1, needs[k], all - needs[k]);
        assert_in_range(sum, slots - count, slots);
    }
}

static void L3_a_part_shrinks_at_once_and_grows_when_others_know(void **state)
{
    (void)state;
    static const uint32_t due[] = {10, 4, 8, 8, 8, 9, 8, 9, 9, 9};
    static const uint32_t given[] = {10, 4, 4, 4, 8, 8, 8, 8, 8, 9};
    struct queue_part part = {0};
    for (size_t i = 0; i < sizeof due / sizeof *due; i++)
        assert_int_equal(queue_part_follow(&part, due[i]), given[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L3_a_reload_forgets_nothing),
        cmocka_unit_test(L3_tables_that_cannot_be_are_refused),
        cmocka_unit_test(L9_a_session_moves_only_when_its_server_dies_or_drains),
        cmocka_unit_test(L1_down_servers_are_the_last_choice),
        cmocka_unit_test(L3_a_server_that_comes_back_starts_slowly),
        cmocka_unit_test(L3_other_gateways_bound_the_slots_here),
        cmocka_unit_test(L3_gateways_that_see_the_same_needs_never_give_too_much),
        cmocka_unit_test(L3_a_part_shrinks_at_once_and_grows_when_others_know),
        cmocka_unit_test(L1_sets_are_parts_of_the_servers),
        cmocka_unit_test(L8_unsafe_requests_wait_for_the_original),
        cmocka_unit_test(L8_mirrors_are_no_reason_to_wait_for_an_original_that_is_down),
        cmocka_unit_test(L7_a_request_waits_for_a_quick_server_while_few_do),
        cmocka_unit_test(L7_a_quick_server_that_is_down_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
