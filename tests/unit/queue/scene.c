/* SPDX-License-Identifier: Apache-2.0
 *
 * Queues in tests.
 */
#include "scene.h"

#include <string.h>

void scene_begin(struct scene *scene)
{
    memset(scene, 0, sizeof *scene);
    random_seed(&scene->random, 1);
    queue_settings_default(&scene->settings);
    scene->now_ns = 1000 * SECOND_NS;
}

void scene_start(struct scene *scene)
{
    scene->queue =
        queue_new(&scene->settings, balance_policy_of(BALANCE_LEAST_PENDING), &scene->random, NULL);
}

void scene_servers(struct scene *scene, size_t count, uint32_t slots)
{
    struct queue_server_spec specs[QUEUE_SERVERS_MOST] = {0};
    for (size_t i = 0; i < count; i++)
        specs[i] = (struct queue_server_spec){.identity = i + 1, .weight = 100, .slots = slots};
    assert_int_equal(queue_servers_set(scene->queue, specs, count, scene->now_ns), 0);
}

void scene_end(struct scene *scene)
{
    for (size_t i = 0; i < scene->used; i++)
        queue_cancel(scene->queue, &scene->items[i]);
    queue_free(&scene->queue);
}

struct queue_item *scene_push_item(struct scene *scene, struct queue_item made)
{
    enum queue_reason reason;
    assert_true(scene->used < SCENE_ITEMS);
    struct queue_item *item = &scene->items[scene->used++];
    *item = made;
    assert_int_equal(queue_push(scene->queue, item, scene->now_ns, &reason), 0);
    return item;
}

struct queue_item *scene_push(struct scene *scene, uint8_t class)
{
    return scene_push_item(scene, SCENE_ITEM(.class = class));
}

struct queue_launch scene_next(struct scene *scene)
{
    struct queue_launch launch = {.item = NULL, .server = QUEUE_NO_SERVER};
    if (!queue_next(scene->queue, scene->now_ns, &launch))
        launch.item = NULL;
    return launch;
}

size_t scene_launch_all(struct scene *scene)
{
    size_t count = 0;
    while (scene_next(scene).item)
        count++;
    return count;
}

void scene_finish(struct scene *scene, uint16_t server, uint8_t class, uint8_t type,
                  uint64_t service_ns)
{
    const struct queue_outcome outcome = {.service_ns = service_ns, .held_ns = service_ns};
    queue_finish(scene->queue, server, class, type, &outcome, scene->now_ns);
}

size_t scene_drop_all(struct scene *scene, enum queue_reason *reason)
{
    size_t count = 0;
    while (queue_dropped(scene->queue, scene->now_ns, reason))
        count++;
    return count;
}
