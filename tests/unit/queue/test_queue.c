/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of requests: in, launched, finished; or cancelled, dropped, refused.
 */
#include "scene.h"

static struct scene scene;

static void L3_slots_are_exact(void **state)
{
    (void)state;
    scene_begin(&scene);
    scene_start(&scene);
    scene_servers(&scene, 2, 3);
    for (int i = 0; i < 10; i++)
        scene_push(&scene, 2);
    assert_int_equal(scene_launch_all(&scene), 6);
    struct queue_report report;
    queue_report(scene.queue, scene.now_ns, &report);
    assert_int_equal(report.pending, 6);
    assert_int_equal(report.waiting, 4);
    assert_int_equal(report.slots, 6);
    scene_finish(&scene, 0, 2, 0, MS_NS);
    struct queue_launch launch = scene_next(&scene);
    assert_non_null(launch.item);
    assert_int_equal(launch.server, 0);
    assert_null(scene_next(&scene).item);
    scene_end(&scene);
}

static void L6_first_come_first_served_while_short(void **state)
{
    (void)state;
    scene_begin(&scene);
    scene_start(&scene);
    scene_servers(&scene, 1, 1);
    for (int i = 0; i < 20; i++) {
        scene_push(&scene, 2);
        scene.now_ns += MS_NS;
    }
    for (int i = 0; i < 20; i++) {
        struct queue_launch launch = scene_next(&scene);
        assert_ptr_equal(launch.item, &scene.items[i]);
        assert_int_equal(launch.waited_ns, scene.now_ns - launch.item->arrived_ns);
        scene_finish(&scene, 0, 2, 0, MS_NS);
    }
    scene_end(&scene);
}

static void L6_sooner_deadlines_go_first(void **state)
{
    (void)state;
    scene_begin(&scene);
    scene_start(&scene);
    scene_servers(&scene, 1, 1);
    scene_push(&scene, 2);
    struct queue_item *hurried =
        scene_push_item(&scene, SCENE_ITEM(.class = 2, .deadline_ns = scene.now_ns + SECOND_NS));
    assert_ptr_equal(scene_next(&scene).item, hurried);
    scene_end(&scene);
}

static void L6_a_request_leaves_at_its_deadline(void **state)
{
    (void)state;
    enum queue_reason reason;
    scene_begin(&scene);
    scene_start(&scene);
    assert_true(queue_wake_ns(scene.queue) == UINT64_MAX);
    scene_push(&scene, 2);
    scene_push_item(&scene, SCENE_ITEM(.class = 1, .deadline_ns = scene.now_ns + SECOND_NS));
    assert_true(queue_wake_ns(scene.queue) <= scene.now_ns + SECOND_NS);
    assert_int_equal(scene_drop_all(&scene, &reason), 0);
    scene.now_ns += SECOND_NS;
    assert_int_equal(scene_drop_all(&scene, &reason), 1);
    assert_int_equal(reason, QUEUE_REASON_DEADLINE);
    assert_int_equal(queue_wake_ns(scene.queue),
                     scene.now_ns - SECOND_NS + scene.settings.patience_ns);
    scene.now_ns += scene.settings.patience_ns;
    assert_int_equal(scene_drop_all(&scene, &reason), 1);
    scene_end(&scene);
}

static void L6_a_client_that_goes_leaves_the_queue(void **state)
{
    (void)state;
    scene_begin(&scene);
    scene_start(&scene);
    struct queue_item *first = scene_push(&scene, 2), *second = scene_push(&scene, 2);
    queue_cancel(scene.queue, first);
    queue_cancel(scene.queue, first); /* harmless */
    scene_servers(&scene, 1, 5);
    assert_ptr_equal(scene_next(&scene).item, second);
    queue_cancel(scene.queue, second); /* it does not wait any more */
    assert_null(scene_next(&scene).item);
    struct queue_report report;
    queue_report(scene.queue, scene.now_ns, &report);
    assert_int_equal(report.cancelled, 1);
    assert_int_equal(report.waiting, 0);
    assert_int_equal(report.pending, 1);
    scene_end(&scene);
}

static void L10_a_full_queue_makes_way_for_higher_classes(void **state)
{
    (void)state;
    enum queue_reason reason;
    scene_begin(&scene);
    scene.settings.length = 3;
    scene_start(&scene);
    scene_push(&scene, 4);
    scene_push(&scene, 2);
    struct queue_item *late = scene_push(&scene, 4);
    struct queue_item refused = SCENE_ITEM(.class = 4);
    assert_int_equal(queue_push(scene.queue, &refused, scene.now_ns, &reason), ERROR_LIMIT);
    assert_int_equal(reason, QUEUE_REASON_FULL);
    scene_push(&scene, 1); /* takes the place of the lowest that came last */
    assert_ptr_equal(queue_dropped(scene.queue, scene.now_ns, &reason), late);
    assert_int_equal(reason, QUEUE_REASON_FULL);
    scene_push(&scene, 1);
    queue_cancel(scene.queue, &scene.items[0]); /* before the caller has heard that it was to go */
    assert_int_equal(scene_drop_all(&scene, &reason), 0);
    struct queue_item equal = SCENE_ITEM(.class = 2);
    assert_int_equal(queue_push(scene.queue, &equal, scene.now_ns, &reason), ERROR_LIMIT);
    scene_end(&scene);
}

static void L6_a_wait_longer_than_patience_is_refused_at_once(void **state)
{
    (void)state;
    enum queue_reason reason = QUEUE_REASON_FULL;
    scene_begin(&scene);
    scene.settings.is_newest_first = false;
    scene_start(&scene);
    scene_servers(&scene, 1, 1);
    scene_push(&scene, 2);
    assert_int_equal(scene_launch_all(&scene), 1);
    scene.now_ns += SECOND_NS;
    scene_finish(&scene, 0, 2, 0, SECOND_NS); /* requests take a second */
    int waiting = 0;
    struct queue_item items[30];
    for (; waiting < 30; waiting++) {
        items[waiting] = SCENE_ITEM(.class = 2);
        if (queue_push(scene.queue, &items[waiting], scene.now_ns, &reason) < 0)
            break;
    }
    assert_int_equal(reason, QUEUE_REASON_HOPELESS);
    assert_in_range(waiting, 10, 13); /* patience of ten seconds, and the doubt of 25 % */
    for (int i = 0; i < waiting; i++)
        queue_cancel(scene.queue, &items[i]);
    scene_end(&scene);
}

static void L10_a_waiting_request_changes_its_class(void **state)
{
    (void)state;
    scene_begin(&scene);
    scene_start(&scene);
    for (int i = 0; i < 5; i++)
        scene_push(&scene, 3);
    queue_reclass(scene.queue, &scene.items[4], 0, scene.now_ns);
    scene_servers(&scene, 1, 1);
    assert_ptr_equal(scene_next(&scene).item, &scene.items[4]);
    queue_reclass(scene.queue, &scene.items[4], 1, scene.now_ns); /* too late, and harmless */
    scene_finish(&scene, 0, 0, 0, MS_NS);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L3_slots_are_exact),
        cmocka_unit_test(L6_first_come_first_served_while_short),
        cmocka_unit_test(L6_sooner_deadlines_go_first),
        cmocka_unit_test(L6_a_request_leaves_at_its_deadline),
        cmocka_unit_test(L6_a_client_that_goes_leaves_the_queue),
        cmocka_unit_test(L10_a_full_queue_makes_way_for_higher_classes),
        cmocka_unit_test(L6_a_wait_longer_than_patience_is_refused_at_once),
        cmocka_unit_test(L10_a_waiting_request_changes_its_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
