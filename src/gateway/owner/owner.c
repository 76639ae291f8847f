/* SPDX-License-Identifier: Apache-2.0
 *
 * The owner of a farm: its queue, on one worker. Requests come and slots come back during a turn of the loop; at its end the queue is asked
 * once who goes where (pump()), however many there were.
 */
#include "gateway/owner/owner_private.h"

#include "base/memory.h"

static const char *const reason_labels[QUEUE_REASONS] = {
#define X(name, word, text) "reason=\"" word "\"",
    QUEUE_REASON_LIST(X)
#undef X
};

static struct metric refusals[QUEUE_REASONS];
struct metric gateway_waiting =
    METRIC(GAUGE, "causeway_gateway_queue_waiting", "", "Requests that wait for an origin's slot.");
struct metric gateway_pending =
    METRIC(GAUGE, "causeway_gateway_queue_pending", "",
           "Slots of origins in use: requests, passed-through connections and flows.");
struct metric gateway_wait = METRIC(HISTOGRAM, "causeway_gateway_queue_wait_seconds", "",
                                    "How long requests waited for a slot.");
struct metric gateway_cancelled = METRIC(COUNTER, "causeway_gateway_queue_cancelled_total", "",
                                         "Requests whose clients went while they waited.");
static struct metric gateway_reclassed =
    METRIC(COUNTER, "causeway_gateway_queue_reclassed_total", "",
           "Requests that got another class while they waited.");

void gateway_owner_metrics_register(void)
{
    gateway_judge_metrics_register();
    metric_register(&gateway_waiting);
    metric_register(&gateway_pending);
    metric_register(&gateway_wait);
    metric_register(&gateway_cancelled);
    metric_register(&gateway_reclassed);
    gateway_owner_sessions_metrics_register();
    for (int i = 0; i < QUEUE_REASONS; i++) {
        if (!refusals[i].name)
            refusals[i] =
                (struct metric)METRIC(COUNTER, "causeway_gateway_queue_refused_total",
                                      reason_labels[i], "Requests that got no slot, by reason.");
        metric_register(&refusals[i]);
    }
}

/* ---- who goes where */

void gateway_owner_has_news(struct gateway_owner *owner)
{
    struct loop *loop = owner->worker->loop;
    loop_task_queue(loop, &owner->pump);
    if (!loop_timer_is_running(&owner->report))
        loop_timer_start(loop, &owner->report, loop_now_ns(loop) + GATEWAY_OWNER_REPORT_NS);
}

static void leave(struct gateway_ticket *ticket)
{
    list_remove(&ticket->link);
    ticket->place = TICKET_AWAY;
    metric_add(&gateway_waiting, (uint64_t)-1);
}

/* It goes without a slot. */
static void settle_without(struct gateway_owner *owner, struct gateway_ticket *ticket)
{
    gateway_judge_settle(owner->judge, &ticket->judged, QUEUE_NO_SERVER, NULL,
                         gateway_owner_now_ns(owner));
}

static void refuse(struct gateway_owner *owner, struct gateway_ticket *ticket,
                   enum queue_reason reason)
{
    struct queue_report report;
    queue_report(owner->queue, gateway_owner_now_ns(owner), &report);
    metric_add(&refusals[reason], 1);
    settle_without(owner, ticket);
    ticket->answer = (struct gateway_answer){.result = ERROR_LIMIT,
                                             .reason = reason,
                                             .retry_ns = report.drain_ns ? report.drain_ns : 1};
    gateway_ticket_return(owner->worker, ticket);
}

static void grant(struct gateway_owner *owner, const struct queue_launch *launch)
{
    struct gateway_ticket *ticket = CONTAINER_OF(launch->item, struct gateway_ticket, item);
    const struct owner_server *server = &owner->servers[launch->server];
    leave(ticket);
    metric_add(&gateway_pending, 1);
    metric_observe_ns(&gateway_wait, launch->waited_ns);
    ticket->place = TICKET_HAS_SLOT;
    ticket->server = launch->server;
    ticket->granted_ns = gateway_owner_now_ns(owner);
    ticket->answer =
        (struct gateway_answer){.identity = server->identity,
                                .address = server->address,
                                .role = server->role,
                                .hedge_ns = gateway_judge_hedge_ns(owner->judge, ticket->item.type,
                                                                   ticket->granted_ns)};
    gateway_owner_settle_session(owner, ticket);
    gateway_ticket_return(owner->worker, ticket);
}

static void set_wake(struct gateway_owner *owner)
{
    uint64_t wake_ns = queue_wake_ns(owner->queue);
    if (wake_ns > owner->judge_ns)
        wake_ns = owner->judge_ns;
    if (wake_ns == UINT64_MAX)
        loop_timer_stop(owner->worker->loop, &owner->wake);
    else
        loop_timer_start(owner->worker->loop, &owner->wake, wake_ns);
}

static void pump(struct loop *loop, struct loop_task *task)
{
    struct gateway_owner *owner = CONTAINER_OF(task, struct gateway_owner, pump);
    uint64_t now_ns = loop_now_ns(loop);
    struct queue_item *item;
    struct queue_launch launch;
    enum queue_reason reason;
    while (queue_next(owner->queue, now_ns, &launch))
        grant(owner, &launch);
    while ((item = queue_dropped(owner->queue, now_ns, &reason)) != NULL) {
        struct gateway_ticket *ticket = CONTAINER_OF(item, struct gateway_ticket, item);
        leave(ticket);
        refuse(owner, ticket, reason);
    }
    set_wake(owner);
}

/* ---- requests come and go */

/* False: its type's circuit is open, or there are too many tries of its kind; it is answered. */
static bool admit(struct gateway_owner *owner, struct gateway_ticket *ticket)
{
    uint64_t retry_ns = 0;
    int result = gateway_judge_admit(owner->judge, &ticket->judged, ticket->wish.as,
                                     ticket->item.type, gateway_owner_now_ns(owner), &retry_ns);
    if (result == 0)
        return true;
    ticket->answer = (struct gateway_answer){.result = result,
                                             .reason = QUEUE_REASON_HOPELESS,
                                             .retry_ns = retry_ns};
    gateway_ticket_return(owner->worker, ticket);
    return false;
}

/* As it is wanted last. */
static uint8_t class_of(const struct gateway_ticket *ticket)
{
    uint8_t class = atomic_load(&ticket->class);
    return class < QUEUE_CLASSES ? class : QUEUE_CLASSES - 1;
}

static void push(struct gateway_owner *owner, uint8_t set, struct gateway_ticket *ticket)
{
    struct gateway_wish *wish = &ticket->wish;
    enum queue_reason reason;
    ticket->owner = owner;
    uint16_t pinned = gateway_owner_find_session(owner, &wish->session);
    ticket->item =
        (struct queue_item){.deadline_ns = ticket->item.deadline_ns, /* of an earlier place */
                            .key = wish->session.key,
                            .has_key = wish->session.has_key,
                            .need = wish->session.need,
                            .pinned = pinned,
                            .except = gateway_owner_server_to_avoid(owner, wish),
                            .class = class_of(ticket),
                            .type = wish->type < QUEUE_TYPES ? wish->type : 0,
                            .set = set};
    if (!admit(owner, ticket))
        return;
    if (queue_push(owner->queue, &ticket->item, gateway_owner_now_ns(owner), &reason) < 0) {
        refuse(owner, ticket, reason);
        return;
    }
    ticket->place = TICKET_WAITS;
    ticket->hops = 0; /* it has arrived; later maps may send it on anew */
    list_push_back(&owner->waiting, &ticket->link);
    metric_add(&gateway_waiting, 1);
    gateway_owner_has_news(owner);
}

static void begin(struct gateway_owner *owner, const struct gateway_farm *farm)
{
    owner->judge = gateway_judge_new();
    owner->queue = queue_new(&farm->settings, farm->policy, &owner->worker->random,
                             gateway_judge_costs(owner->judge));
    owner->servers = memory_new(QUEUE_SERVERS_MOST * sizeof *owner->servers);
    owner->judge_ns = UINT64_MAX;
    list_push_back(&owner->worker->owners, &owner->link);
}

void gateway_owner_push(struct gateway_owner *owner, const struct gateway_map *map,
                        const struct gateway_part *part, struct gateway_ticket *ticket)
{
    const struct gateway_farm *farm = &map->farms[part->farm];
    if (!owner->queue)
        begin(owner, farm);
    gateway_owner_follow(owner, map, farm);
    push(owner, part->set, ticket);
}

/* It waits no more. */
static void take_out(struct gateway_ticket *ticket)
{
    queue_cancel(ticket->owner->queue, &ticket->item);
    leave(ticket);
    settle_without(ticket->owner, ticket);
}

void gateway_owner_cancel(struct gateway_ticket *ticket)
{
    take_out(ticket);
    metric_add(&gateway_cancelled, 1);
    gateway_owner_has_news(ticket->owner);
}

void gateway_owner_reclass(struct gateway_ticket *ticket)
{
    struct gateway_owner *owner = ticket->owner;
    queue_reclass(owner->queue, &ticket->item, class_of(ticket), gateway_owner_now_ns(owner));
    metric_add(&gateway_reclassed, 1);
    gateway_owner_has_news(owner);
}

static enum failure_outcome outcome_of(const struct gateway_outcome *outcome)
{
    switch (outcome->end) {
    case GATEWAY_END_DROPPED:
        return FAILURE_LEFT;
    case GATEWAY_END_DONE:
        return failure_outcome_of(outcome->status);
    case GATEWAY_END_FAILED:
        return FAILURE_FAILED;
    case GATEWAY_END_UNCONNECTED:
        return FAILURE_REFUSED;
    }
    return FAILURE_LEFT;
}

void gateway_owner_finish(struct gateway_ticket *ticket, const struct gateway_outcome *outcome)
{
    struct gateway_owner *owner = ticket->owner;
    const struct owner_server *server = &owner->servers[ticket->server];
    uint64_t now_ns = gateway_owner_now_ns(owner);
    const struct gateway_verdict verdict = {.outcome = outcome_of(outcome),
                                            .service_ns = outcome->service_ns,
                                            .bytes = outcome->bytes};
    const struct queue_outcome told = {.service_ns = outcome->service_ns,
                                       .held_ns = now_ns - ticket->granted_ns,
                                       .bytes = outcome->bytes,
                                       .is_failed = verdict.outcome != FAILURE_ANSWERED &&
                                                    verdict.outcome != FAILURE_LEFT,
                                       .is_local_drop = verdict.outcome == FAILURE_LEFT};
    ticket->place = TICKET_AWAY;
    gateway_owner_learn_freshness(owner, ticket, outcome);
    metric_add(&gateway_pending, (uint64_t)-1);
    queue_finish(owner->queue, ticket->server, ticket->item.class, ticket->item.type, &told,
                 now_ns);
    if (outcome->end == GATEWAY_END_UNCONNECTED &&
        queue_server_find(owner->queue, server->identity) == ticket->server)
        gateway_owner_avoid(owner, ticket->server, now_ns);
    if (gateway_judge_settle(owner->judge, &ticket->judged, ticket->server, &verdict, now_ns))
        gateway_owner_judge_servers(owner);
    gateway_owner_has_news(owner);
}

static struct gateway_ticket *take_first(struct gateway_owner *owner)
{
    struct gateway_ticket *ticket = CONTAINER_OF(owner->waiting.next, struct gateway_ticket, link);
    take_out(ticket);
    return ticket;
}

void gateway_owner_send_on(struct gateway_owner *owner)
{
    struct list moved;
    list_init(&moved);
    while (!list_is_empty(&owner->waiting))
        list_push_back(&moved, &take_first(owner)->link);
    for (struct list *item; (item = list_pop_front(&moved)) != NULL;)
        gateway_ticket_route(owner->worker, CONTAINER_OF(item, struct gateway_ticket, link));
}

/* ---- life */

struct gateway_owner *gateway_owner_new(struct gateway *gateway, uint32_t number)
{
    struct gateway_owner *owner = NEW(struct gateway_owner);
    owner->gateway = gateway;
    owner->number = number;
    owner->worker = &gateway->workers[number % gateway->options.workers];
    owner->pump.run = pump;
    owner->wake.fire = gateway_owner_on_wake;
    owner->report.fire = gateway_owner_on_report;
    list_init(&owner->waiting);
    return owner;
}

void gateway_owner_free(struct gateway_owner **freed)
{
    struct gateway_owner *owner = *freed;
    *freed = NULL;
    memory_free(atomic_load(&owner->published));
    memory_free(owner);
}

uint32_t gateway_owner_number(const struct gateway_owner *owner)
{
    return owner->number;
}

struct gateway_worker *gateway_owner_worker(const struct gateway_owner *owner)
{
    return owner->worker;
}

static void stop(struct gateway_owner *owner)
{
    struct loop *loop = owner->worker->loop;
    while (!list_is_empty(&owner->waiting))
        gateway_ticket_drop(take_first(owner));
    loop_task_cancel(loop, &owner->pump);
    loop_timer_stop(loop, &owner->wake);
    loop_timer_stop(loop, &owner->report);
    list_remove(&owner->link);
    queue_free(&owner->queue);
    gateway_owner_forget(owner);
    gateway_judge_free(&owner->judge);
    memory_free(owner->servers);
}

void gateway_owners_stop(struct gateway_worker *worker)
{
    LIST_EACH (item, after, &worker->owners)
        stop(CONTAINER_OF(item, struct gateway_owner, link));
}
