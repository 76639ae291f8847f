/* SPDX-License-Identifier: Apache-2.0
 *
 * Whatever happens in whatever order: no request is lost or comes out twice, no server has more than its slots, nobody waits while
 * somebody could serve him, nobody stays beyond his time. Random histories by seeds, with a second count of everything.
 */
#include "scene.h"

#include <string.h>

enum { HISTORIES = 60, STEPS = 4000, ITEMS = 600, SERVERS = 7 };

enum where { FREE, WAITING, PENDING };

struct request {
    struct queue_item item;
    enum where where;
    uint16_t server;
};

struct history {
    struct random random;
    struct queue_settings settings;
    struct queue *queue;
    uint64_t now_ns;
    struct request requests[ITEMS];
    uint32_t waiting, pending[QUEUE_SERVERS_MOST];
    uint32_t slots[SERVERS]; /* of identity i + 1; 0: it is not there */
    bool is_usable[SERVERS];
    uint64_t launched, dropped;
};

static struct history history;

static uint64_t draw(uint64_t limit)
{
    return random_below(&history.random, limit);
}

static struct request *of_item(struct queue_item *item)
{
    return CONTAINER_OF(item, struct request, item);
}

static struct request *find(enum where where)
{
    size_t from = draw(ITEMS);
    for (size_t i = 0; i < ITEMS; i++)
        if (history.requests[(from + i) % ITEMS].where == where)
            return &history.requests[(from + i) % ITEMS];
    return NULL;
}

static uint16_t any_server(unsigned one_in)
{
    return draw(one_in) ? QUEUE_NO_SERVER : queue_server_find(history.queue, draw(SERVERS) + 1);
}

static void push(void)
{
    struct request *request = find(FREE);
    enum queue_reason reason;
    if (!request)
        return;
    request->item = (struct queue_item){
        .class = (uint8_t)draw(QUEUE_CLASSES),
        .type = (uint8_t)draw(3),
        .set = (uint8_t)draw(2),
        .pinned = any_server(4),
        .except = any_server(8),
        .has_key = true,
        .key = draw(50),
        .deadline_ns = draw(3) ? 0 : history.now_ns + draw(2 * SECOND_NS),
    };
    uint32_t limit = history.settings.length;
    if (queue_push(history.queue, &request->item, history.now_ns, &reason) < 0) {
        assert_true(reason == QUEUE_REASON_DEADLINE || reason == QUEUE_REASON_HOPELESS ||
                    history.waiting >= limit);
        return;
    }
    request->where = WAITING;
    history.waiting++;
}

static void cancel(void)
{
    struct request *request = find(WAITING);
    if (!request)
        return;
    queue_cancel(history.queue, &request->item);
    request->where = FREE;
    history.waiting--;
}

static void finish(void)
{
    struct request *request = find(PENDING);
    if (!request)
        return;
    const struct queue_outcome outcome = {
        .service_ns = draw(9) ? 1 + draw(100 * MS_NS) : 0,
        .held_ns = draw(9) ? 1 + draw(100 * MS_NS) : 0,
        .is_failed = !draw(10),
        .is_local_drop = !draw(10),
    };
    queue_finish(history.queue, request->server, request->item.class, request->item.type, &outcome,
                 history.now_ns);
    request->where = FREE;
    history.pending[request->server]--;
}

static void set_servers(void)
{
    struct queue_server_spec specs[SERVERS] = {0};
    size_t count = 0;
    for (size_t i = 0; i < SERVERS; i++) {
        history.slots[i] = draw(4) ? (uint32_t)draw(6) + 1 : 0;
        if (!history.slots[i])
            continue;
        specs[count++] = (struct queue_server_spec){
            .identity = i + 1,
            .weight = draw(8) ? 100 : 0,
            .slots = history.slots[i],
            .types = draw(3) ? 0 : (uint32_t)draw(8),
            .sets = (uint16_t)draw(4),
            .role = (enum balance_role)draw(3),
        };
    }
    assert_int_equal(queue_servers_set(history.queue, specs, count, history.now_ns), 0);
}

static void set_usable(void)
{
    uint16_t server = queue_server_find(history.queue, draw(SERVERS) + 1);
    if (server != QUEUE_NO_SERVER)
        queue_server_set_usable(history.queue, server, draw(2), history.now_ns);
}

static void reclass(void)
{
    struct request *request = find(WAITING);
    if (request)
        queue_reclass(history.queue, &request->item, (uint8_t)draw(QUEUE_CLASSES), history.now_ns);
}

static void launch_all(void)
{
    struct queue_launch launch;
    while (queue_next(history.queue, history.now_ns, &launch)) {
        struct request *request = of_item(launch.item);
        struct queue_server_report report;
        assert_int_equal(request->where, WAITING);
        assert_true(queue_server_report(history.queue, launch.server, &report));
        assert_false(report.is_leaving);
        assert_int_equal(report.pending, ++history.pending[launch.server]);
        assert_true(report.pending <= history.slots[report.identity - 1]);
        assert_true(report.weight || request->item.pinned == launch.server);
        assert_int_equal(launch.waited_ns, history.now_ns - request->item.arrived_ns);
        request->where = PENDING;
        request->server = launch.server;
        history.waiting--;
        history.launched++;
    }
}

static void drop_all(void)
{
    enum queue_reason reason;
    for (struct queue_item *item; (item = queue_dropped(history.queue, history.now_ns, &reason));) {
        struct request *request = of_item(item);
        assert_int_equal(request->where, WAITING);
        if (reason == QUEUE_REASON_DEADLINE)
            assert_true(item->deadline_ns <= history.now_ns);
        request->where = FREE;
        history.waiting--;
        history.dropped++;
    }
    for (size_t i = 0; i < ITEMS; i++)
        if (history.requests[i].where == WAITING)
            assert_true(history.requests[i].item.deadline_ns > history.now_ns);
}

static void compare(void)
{
    struct queue_report report;
    uint32_t pending = 0;
    queue_report(history.queue, history.now_ns, &report);
    for (size_t i = 0; i < QUEUE_SERVERS_MOST; i++)
        pending += history.pending[i];
    assert_int_equal(report.pending, pending);
    assert_int_equal(report.waiting, history.waiting);
    assert_true(!history.waiting || queue_wake_ns(history.queue) != UINT64_MAX);
}

static void live(uint64_t seed)
{
    static void (*const events[])(void) = {push,   push,   push,   push,   push,
                                           finish, finish, finish, cancel, reclass};
    memset(&history, 0, sizeof history);
    random_seed(&history.random, seed);
    history.now_ns = SECOND_NS;
    queue_settings_default(&history.settings);
    history.settings.length = 50 + (uint32_t)draw(400);
    history.settings.target_ns = 50 * MS_NS;
    history.settings.interval_ns = 100 * MS_NS;
    history.settings.patience_ns = 3 * SECOND_NS;
    history.settings.is_newest_first = draw(2);
    history.settings.slow_start.duration_ns = draw(2) * 200 * MS_NS;
    history.queue =
        queue_new(&history.settings,
                  balance_policy_of((enum balance_policy_kind)(seed % BALANCE_POLICIES)),
                  &history.random, NULL);
    set_servers();
    for (int step = 0; step < STEPS; step++) {
        history.now_ns += draw(4) ? draw(MS_NS) : draw(20 * MS_NS);
        events[draw(sizeof events / sizeof *events)]();
        if (!draw(50))
            set_usable();
        if (!draw(200))
            set_servers();
        drop_all();
        launch_all();
        compare();
    }
    for (size_t i = 0; i < ITEMS; i++)
        if (history.requests[i].where == WAITING)
            queue_cancel(history.queue, &history.requests[i].item);
    queue_free(&history.queue);
}

static void L3_L6_nobody_is_lost_and_no_server_overfull(void **state)
{
    (void)state;
    uint64_t launched = 0, dropped = 0;
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        live(seed);
        launched += history.launched;
        dropped += history.dropped;
    }
    assert_true(launched > 20000 && dropped > 2000); /* they were histories worth the name */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L3_L6_nobody_is_lost_and_no_server_overfull),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
