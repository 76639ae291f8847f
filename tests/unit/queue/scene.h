/* SPDX-License-Identifier: Apache-2.0
 *
 * A queue with its requests, servers and clock, for the tests in this folder: what is pending is counted a second time here, and
 * compared after every step.
 */
#ifndef TEST_QUEUE_SCENE_H
#define TEST_QUEUE_SCENE_H

#include "queue/queue.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define MS_NS     1000000ull
#define SECOND_NS 1000000000ull

enum { SCENE_ITEMS = 4096 };

struct scene {
    struct random random;
    struct queue_settings settings;
    struct queue *queue;
    uint64_t now_ns;
    struct queue_item items[SCENE_ITEMS];
    size_t used;
};

void scene_begin(struct scene *scene); /* default settings, nobody there yet */
void scene_start(struct scene *scene); /* makes the queue of what the settings now are */
void scene_servers(struct scene *scene, size_t count, uint32_t slots); /* identities 1, 2 ... */
void scene_end(struct scene *scene);                                   /* what waits is cancelled */
/* A request that waits from now on. */
struct queue_item *scene_push(struct scene *scene, uint8_t class);
struct queue_item *scene_push_item(struct scene *scene, struct queue_item made);
/* The next launch; .item NULL: nobody can go. */
struct queue_launch scene_next(struct scene *scene);
size_t scene_launch_all(struct scene *scene);
void scene_finish(struct scene *scene, uint16_t server, uint8_t class, uint8_t type,
                  uint64_t service_ns);
/* How many are dropped now; the last one's reason. */
size_t scene_drop_all(struct scene *scene, enum queue_reason *reason);

#define SCENE_TIED(pinned_, except_, ...) \
    ((struct queue_item){.pinned = (pinned_), .except = (except_), __VA_ARGS__})
#define SCENE_ITEM(...) SCENE_TIED(QUEUE_NO_SERVER, QUEUE_NO_SERVER, __VA_ARGS__)

#endif
