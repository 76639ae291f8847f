/* SPDX-License-Identifier: Apache-2.0
 *
 * Who goes before whom: classes, shares, reserve, standing queues, and requests that are tied to a server.
 */
#include "scene.h"

static struct scene scene;

static void L10_higher_classes_go_first(void **state)
{
    (void)state;
    scene_begin(&scene);
    scene_start(&scene);
    for (uint8_t class = QUEUE_CLASSES; class -- > 0;)
        scene_push(&scene, class);
    scene_servers(&scene, 1, 3);
    for (uint8_t class = 0; class < 3; class ++)
        assert_int_equal(scene_next(&scene).item->class, class);
    scene_end(&scene);
}

/* All classes always have somebody waiting: how many of 1,000 launches each gets. */
static void launches_of_flood(unsigned counts[QUEUE_CLASSES])
{
    for (uint8_t class = 0; class < QUEUE_CLASSES; class ++)
        for (int i = 0; i < 5; i++)
            scene_push(&scene, class);
    for (int i = 0; i < 1000; i++) {
        struct queue_launch launch = scene_next(&scene);
        assert_non_null(launch.item);
        counts[launch.item->class]++;
        scene.now_ns += MS_NS;
        scene_finish(&scene, launch.server, launch.item->class, 0, MS_NS);
        scene_push(&scene, launch.item->class);
    }
}

static void L10_the_lowest_class_is_never_starved(void **state)
{
    (void)state;
    unsigned counts[QUEUE_CLASSES] = {0};
    scene_begin(&scene);
    scene_start(&scene);
    scene_servers(&scene, 1, 1);
    launches_of_flood(counts);
    for (int class = 1; class < QUEUE_CLASSES; class ++)
        assert_in_range(counts[class], scene.settings.share_percent[class] * 10u - 8,
                        scene.settings.share_percent[class] * 10u + 8);
    assert_in_range(counts[0], 740, 760);
    scene_end(&scene);
}

static void L10_without_shares_the_first_class_takes_all(void **state)
{
    (void)state;
    unsigned counts[QUEUE_CLASSES] = {0};
    scene_begin(&scene);
    for (int class = 0; class < QUEUE_CLASSES; class ++)
        scene.settings.share_percent[class] = 0;
    scene_start(&scene);
    scene_servers(&scene, 1, 1);
    launches_of_flood(counts);
    assert_int_equal(counts[0], 1000);
    scene_end(&scene);
}

static void L10_slots_are_kept_for_a_higher_class_that_comes(void **state)
{
    (void)state;
    scene_begin(&scene);
    scene_start(&scene);
    scene_servers(&scene, 1, 20);
    for (int i = 0; i < 40; i++)
        scene_push(&scene, 4);
    assert_int_equal(scene_launch_all(&scene), 20); /* nobody else was there: all of them */
    scene_push(&scene, 0);
    scene_finish(&scene, 0, 4, 0, MS_NS);
    assert_int_equal(scene_next(&scene).item->class, 0);
    scene_finish(&scene, 0, 0, 0, MS_NS);
    assert_null(scene_next(&scene).item); /* 5 % of 20: one slot is free */
    scene_push(&scene, 0);
    assert_int_equal(scene_next(&scene).item->class, 0);
    scene_finish(&scene, 0, 0, 0, MS_NS);
    assert_null(scene_next(&scene).item);
    assert_true(queue_wake_ns(scene.queue) < scene.now_ns + SECOND_NS); /* by time alone */
    scene.now_ns += 60 * SECOND_NS; /* the class has not been seen for long; all here are overdue */
    scene_push(&scene, 4);
    assert_non_null(scene_next(&scene).item);
    scene_end(&scene);
}

static void L4_a_busy_server_blocks_nobody_else(void **state)
{
    (void)state;
    scene_begin(&scene);
    scene_start(&scene);
    scene_servers(&scene, 2, 1);
    scene_push_item(&scene, SCENE_TIED(0, QUEUE_NO_SERVER, .class = 2));
    assert_int_equal(scene_next(&scene).server, 0);
    for (int i = 0; i < 3; i++)
        scene_push_item(&scene, SCENE_TIED(0, QUEUE_NO_SERVER, .class = 2));
    struct queue_item *free = scene_push(&scene, 2);
    struct queue_launch launch = scene_next(&scene);
    assert_ptr_equal(launch.item, free);
    assert_int_equal(launch.server, 1);
    assert_null(scene_next(&scene).item);
    scene_finish(&scene, 0, 2, 0, MS_NS);
    assert_ptr_equal(scene_next(&scene).item, &scene.items[1]);
    scene_end(&scene);
}

static void L7_a_type_waits_for_servers_that_serve_it(void **state)
{
    (void)state;
    scene_begin(&scene);
    scene_start(&scene);
    const struct queue_server_spec specs[] = {
        {.identity = 1, .weight = 100, .slots = 1, .types = 1u << 0},
        {.identity = 2, .weight = 100, .slots = 1, .types = 1u << 3},
    };
    assert_int_equal(queue_servers_set(scene.queue, specs, 2, scene.now_ns), 0);
    scene_push_item(&scene, SCENE_ITEM(.class = 2, .type = 3));
    scene_push_item(&scene, SCENE_ITEM(.class = 2, .type = 3));
    scene.now_ns++;
    scene_push_item(&scene, SCENE_ITEM(.class = 2, .type = 0));
    struct queue_launch first = scene_next(&scene), second = scene_next(&scene);
    assert_int_equal(first.server, 1);
    assert_ptr_equal(second.item, &scene.items[2]);
    assert_int_equal(second.server, 0);
    assert_null(scene_next(&scene).item);
    scene_finish(&scene, 0, 2, 0, MS_NS);
    assert_null(scene_next(&scene).item); /* the idle one does not serve it */
    scene_push_item(&scene,
                    SCENE_ITEM(.class = 2, .type = 5)); /* which nobody says to serve: anybody */
    assert_int_equal(scene_next(&scene).server, 0);
    scene_end(&scene);
}

static void L4_a_second_try_goes_elsewhere_if_there_is_an_elsewhere(void **state)
{
    (void)state;
    scene_begin(&scene);
    scene_start(&scene);
    scene_servers(&scene, 2, 1);
    scene_push_item(&scene, SCENE_TIED(1, QUEUE_NO_SERVER, .class = 2));
    assert_int_equal(scene_next(&scene).server, 1);
    scene_push_item(&scene, SCENE_TIED(QUEUE_NO_SERVER, 0, .class = 2));
    assert_null(scene_next(&scene).item); /* server 0 has room, but failed it */
    struct queue_item *other = scene_push(&scene, 2);
    assert_ptr_equal(scene_next(&scene).item, other);
    scene_finish(&scene, 0, 2, 0, MS_NS);
    queue_server_set_usable(scene.queue, 1, false, scene.now_ns);
    assert_int_equal(scene_next(&scene).server, 0); /* there is no other left */
    scene_end(&scene);
}

static void L6_a_standing_queue_serves_the_newest(void **state)
{
    (void)state;
    enum queue_reason reason = QUEUE_REASON_FULL;
    scene_begin(&scene);
    scene.settings.target_ns = 100 * MS_NS;
    scene.settings.interval_ns = 200 * MS_NS;
    scene_start(&scene);
    scene_servers(&scene, 1, 1);
    for (int i = 0; i < 100; i++)
        scene_push(&scene, 2);
    /* 20 ms each: from the sixth on launches have waited over the target, for an interval until the sixteenth or so. */
    int fifo = 0;
    struct queue_item *newest = &scene.items[99];
    for (; fifo < 50; fifo++) {
        struct queue_launch launch = scene_next(&scene);
        if (launch.item == newest)
            break;
        assert_ptr_equal(launch.item, &scene.items[fifo]);
        scene.now_ns += 20 * MS_NS;
        scene_finish(&scene, 0, 2, 0, 20 * MS_NS);
    }
    assert_in_range(fifo, 14, 18);
    struct queue_report report;
    queue_report(scene.queue, scene.now_ns, &report);
    assert_true(report.classes[2].is_standing);
    /* The old are given up after target and interval, not after their patience. */
    scene.now_ns = scene.items[0].arrived_ns + 300 * MS_NS;
    struct queue_item *fresh = scene_push(&scene, 2);
    assert_int_equal(scene_drop_all(&scene, &reason), 100 - fifo - 1);
    assert_int_equal(reason, QUEUE_REASON_STANDING);
    scene_finish(&scene, 0, 2, 0, 20 * MS_NS);
    assert_ptr_equal(scene_next(&scene).item, fresh);
    queue_report(scene.queue, scene.now_ns, &report);
    assert_false(report.classes[2].is_standing);
    scene_end(&scene);
}

static void L6_a_short_burst_is_not_a_standing_queue(void **state)
{
    (void)state;
    enum queue_reason reason;
    scene_begin(&scene);
    scene_start(&scene);
    scene_servers(&scene, 1, 1);
    for (int i = 0; i < 100; i++)
        scene_push(&scene, 2);
    for (int i = 0; i < 100; i++) { /* 2.5 s: over the target for half a second */
        assert_ptr_equal(scene_next(&scene).item, &scene.items[i]);
        scene.now_ns += 25 * MS_NS;
        scene_finish(&scene, 0, 2, 0, 25 * MS_NS);
    }
    assert_int_equal(scene_drop_all(&scene, &reason), 0);
    scene_end(&scene);
}

/* A slot becomes free each millisecond or so, a request takes 40: a slot that waits for the first class would be wasted. */
static void L10_no_slot_is_kept_where_they_are_free_soon(void **state)
{
    (void)state;
    scene_begin(&scene);
    scene_start(&scene);
    scene_servers(&scene, 1, 40);
    for (int i = 0; i < 3000; i++) {
        scene_push(&scene, i % 10 ? 3 : 0);
        struct queue_launch launch = scene_next(&scene);
        assert_non_null(launch.item);
        scene.now_ns += MS_NS;
        scene_finish(&scene, launch.server, launch.item->class, 0, 40 * MS_NS);
    }
    scene_push(&scene, 0);
    for (int i = 0; i < 60; i++)
        scene_push(&scene, 3);
    assert_int_equal(scene_launch_all(&scene), 40);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L10_higher_classes_go_first),
        cmocka_unit_test(L10_the_lowest_class_is_never_starved),
        cmocka_unit_test(L10_without_shares_the_first_class_takes_all),
        cmocka_unit_test(L10_slots_are_kept_for_a_higher_class_that_comes),
        cmocka_unit_test(L4_a_busy_server_blocks_nobody_else),
        cmocka_unit_test(L7_a_type_waits_for_servers_that_serve_it),
        cmocka_unit_test(L4_a_second_try_goes_elsewhere_if_there_is_an_elsewhere),
        cmocka_unit_test(L6_a_standing_queue_serves_the_newest),
        cmocka_unit_test(L6_a_short_burst_is_not_a_standing_queue),
        cmocka_unit_test(L10_no_slot_is_kept_where_they_are_free_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
