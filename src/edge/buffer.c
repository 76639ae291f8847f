/* SPDX-License-Identifier: Apache-2.0
 *
 * The edge's own buffer: a queue of src/queue whose servers are channels. Launches happen behind the turn in which a slot became free: a front must
 * not be woken from within another's call.
 */
#include "edge/buffer.h"

#include "base/memory.h"
#include "edge/line.h"

_Static_assert((int)LOADS_PASS_OPEN == (int)QUEUE_SLOTS_MOST, "everything is let through");

enum {
    CREDIT_WHOLE = 100, /* for one request of a class that is held back */
    CREDIT_MOST = 4 * CREDIT_WHOLE,
};

struct edge_buffer {
    struct edge_worker *worker;
    struct edge_site_route *of; /* NULL: gone, what is there ends */
    bool is_new;                /* it has counted nothing yet of what is under way */
    struct queue *queue;
    struct queue_settings settings; /* of the queue */
    struct random random;
    struct list tickets;     /* of those that wait */
    struct loop_timer timer; /* while there are any */
    struct loop_task launch;
    bool is_launching;
    uint32_t under_way; /* tickets with a slot */
    uint32_t waiting[QUEUE_CLASSES];
    struct edge_line *line; /* with the site's buffers of other workers */
    uint32_t credit; /* a class that is held back has its share of what comes free, all the same */
    /* By place in the route. */
    uint32_t count;
    uint64_t identities[ROUTE_CHANNELS_MOST];
    uint32_t slots[ROUTE_CHANNELS_MOST];
    uint64_t stepped_ns;
};

struct edge_ticket {
    struct queue_item item;
    struct list link; /* in `tickets` */
    struct edge_buffer *buffer;
    struct edge_exchange *exchange;
    bool has_slot;
    uint16_t server;
    uint8_t class;
    uint64_t launched_ns;
};

static struct metric buffer_waiting =
    METRIC(GAUGE, "causeway_edge_buffer_waiting", "",
           "Requests that wait at this edge because the queues of their gateways stand.");
static struct metric buffer_held = METRIC(COUNTER, "causeway_edge_buffer_total", "",
                                          "Requests that went through the edge's own buffer.");
static struct metric buffer_refused =
    METRIC(COUNTER, "causeway_edge_buffer_refused_total", "",
           "Requests that were refused there, or waited for as long as they may.");

void edge_buffer_register_metrics(void)
{
    metric_register(&buffer_waiting);
    metric_register(&buffer_held);
    metric_register(&buffer_refused);
}

static struct loop *loop_of(const struct edge_buffer *buffer)
{
    return buffer->worker->loop;
}

uint32_t edge_buffer_waiting(const struct edge_buffer *buffer)
{
    struct queue_report report;
    if (!buffer)
        return 0;
    queue_report(buffer->queue, 0, &report);
    return report.waiting;
}

/* ---- beside other workers */

static uint32_t place_of(const struct edge_buffer *buffer)
{
    return (uint32_t)(buffer->worker - buffer->worker->edge->workers);
}

static uint8_t first_waiting(const struct edge_buffer *buffer)
{
    uint8_t first = 0;
    while (first < QUEUE_CLASSES && !buffer->waiting[first])
        first++;
    return first;
}

static void tell_others(struct edge_buffer *buffer)
{
    edge_line_tell(buffer->line, place_of(buffer), first_waiting(buffer));
}

/* All that waits here is of a lower class than what waits at another worker: what is free is left for that, whose worker will be let through
 * more as soon as the gateway's queue is shorter. Not where nothing stands as far as is seen here. */
static bool is_behind(const struct edge_buffer *buffer)
{
    for (uint32_t i = 0; i < buffer->count; i++)
        if (buffer->slots[i] == LOADS_PASS_OPEN)
            return false;
    uint8_t first = first_waiting(buffer);
    return first < QUEUE_CLASSES &&
           first > edge_line_first_elsewhere(buffer->line, place_of(buffer));
}

static void add_credit(struct edge_buffer *buffer)
{
    if (!is_behind(buffer))
        return;
    buffer->credit += buffer->settings.share_percent[first_waiting(buffer)];
    if (buffer->credit > CREDIT_MOST)
        buffer->credit = CREDIT_MOST;
}

/* ---- tickets */

static void free_if_done(struct edge_buffer *buffer)
{
    if (buffer->of || buffer->under_way || buffer->is_launching || !list_is_empty(&buffer->tickets))
        return;
    loop_task_cancel(loop_of(buffer), &buffer->launch);
    loop_timer_stop(loop_of(buffer), &buffer->timer);
    edge_line_leave(&buffer->line, place_of(buffer));
    queue_free(&buffer->queue);
    memory_free(buffer);
}

static void stop_waiting(struct edge_ticket *ticket)
{
    list_remove(&ticket->link);
    ticket->buffer->waiting[ticket->class]--;
    metric_add(&buffer_waiting, (uint64_t)-1);
}

static void drop_ticket(struct edge_ticket *ticket)
{
    ticket->exchange->ticket = NULL;
    memory_free(ticket);
}

void edge_buffer_leave(struct edge_exchange *exchange)
{
    struct edge_ticket *ticket = exchange->ticket;
    if (!ticket)
        return;
    struct edge_buffer *buffer = ticket->buffer;
    uint64_t now_ns = loop_now_ns(loop_of(buffer));
    if (ticket->has_slot) {
        const struct queue_outcome outcome = {.service_ns = now_ns - ticket->launched_ns,
                                              .is_local_drop = !exchange->answer_ended};
        queue_finish(buffer->queue, ticket->server, ticket->class, 0, &outcome, now_ns);
        buffer->under_way--;
        loop_task_queue(loop_of(buffer), &buffer->launch);
    } else {
        queue_cancel(buffer->queue, &ticket->item);
        stop_waiting(ticket);
        tell_others(buffer);
    }
    drop_ticket(ticket);
    free_if_done(buffer);
}

void edge_buffer_hand_over(struct edge_exchange *from, struct edge_exchange *to)
{
    to->ticket = from->ticket;
    from->ticket = NULL;
    if (to->ticket)
        to->ticket->exchange = to;
}

void edge_buffer_reclass(struct edge_exchange *exchange, uint8_t class)
{
    struct edge_ticket *ticket = exchange->ticket;
    if (!ticket || ticket->has_slot || ticket->class == class)
        return;
    struct edge_buffer *buffer = ticket->buffer;
    buffer->waiting[ticket->class]--;
    buffer->waiting[class]++;
    ticket->class = class;
    queue_reclass(buffer->queue, &ticket->item, class, loop_now_ns(loop_of(buffer)));
    loop_task_queue(loop_of(buffer), &buffer->launch);
}

static void refuse(struct edge_buffer *buffer, struct edge_exchange *exchange, const char *cause)
{
    struct queue_report report;
    queue_report(buffer->queue, loop_now_ns(loop_of(buffer)), &report);
    metric_add(&buffer_refused, 1);
    edge_exchange_page_later(exchange, 503, cause, report.drain_ns);
}

bool edge_buffer_take(struct edge_buffer *buffer, struct edge_exchange *exchange)
{
    enum queue_reason reason;
    if (!buffer)
        return false;
    struct edge_ticket *ticket = NEW(struct edge_ticket);
    ticket->item.pinned = ticket->item.except = QUEUE_NO_SERVER;
    ticket->item.class = ticket->class = exchange->opening.priority;
    ticket->buffer = buffer;
    ticket->exchange = exchange;
    metric_add(&buffer_held, 1);
    if (queue_push(buffer->queue, &ticket->item, loop_now_ns(loop_of(buffer)), &reason) < 0) {
        memory_free(ticket);
        refuse(buffer, exchange, queue_reason_text(reason));
        return true;
    }
    exchange->ticket = ticket;
    list_push_back(&buffer->tickets, &ticket->link);
    buffer->waiting[ticket->class]++;
    metric_add(&buffer_waiting, 1);
    loop_task_queue(loop_of(buffer), &buffer->launch);
    return true;
}

/* ---- launches */

/* They wait no more, for nothing. The front may free the exchange. */
static void give_up(struct edge_ticket *ticket, const char *cause)
{
    struct edge_exchange *exchange = ticket->exchange;
    struct edge_buffer *buffer = ticket->buffer;
    stop_waiting(ticket);
    drop_ticket(ticket);
    refuse(buffer, exchange, cause);
    exchange->front->wake(exchange);
}

static void give_up_all(struct edge_buffer *buffer)
{
    while (!list_is_empty(&buffer->tickets)) {
        struct edge_ticket *ticket = CONTAINER_OF(buffer->tickets.next, struct edge_ticket, link);
        queue_cancel(buffer->queue, &ticket->item);
        give_up(ticket, "the site is not served here any more");
    }
}

static struct edge_channel *channel_of(const struct edge_buffer *buffer, uint16_t server)
{
    uint64_t identity = queue_server_identity(buffer->queue, server);
    for (uint32_t i = 0; i < buffer->count; i++)
        if (buffer->identities[i] == identity && i < buffer->of->channel_count)
            return buffer->of->channels[i];
    return NULL;
}

static void launch_one(struct edge_buffer *buffer, const struct queue_launch *launch)
{
    struct edge_ticket *ticket = CONTAINER_OF(launch->item, struct edge_ticket, item);
    stop_waiting(ticket);
    ticket->has_slot = true;
    ticket->server = launch->server;
    ticket->class = launch->item->class;
    ticket->launched_ns = loop_now_ns(loop_of(buffer));
    buffer->under_way++;
    edge_exchange_launch(ticket->exchange, channel_of(buffer, launch->server));
}

static bool launch_next(struct edge_buffer *buffer, uint64_t now_ns)
{
    struct queue_launch launch;
    bool is_held = is_behind(buffer);
    if ((is_held && buffer->credit < CREDIT_WHOLE) || !queue_next(buffer->queue, now_ns, &launch))
        return false;
    if (is_held)
        buffer->credit -= CREDIT_WHOLE;
    launch_one(buffer, &launch);
    return true;
}

static void on_launch(struct loop *loop, struct loop_task *task)
{
    struct edge_buffer *buffer = CONTAINER_OF(task, struct edge_buffer, launch);
    struct queue_item *item;
    enum queue_reason reason;
    uint64_t now_ns = loop_now_ns(loop);
    buffer->is_launching = true;
    while (buffer->of && launch_next(buffer, now_ns))
        continue;
    while (buffer->of && (item = queue_dropped(buffer->queue, now_ns, &reason)) != NULL)
        give_up(CONTAINER_OF(item, struct edge_ticket, item), queue_reason_text(reason));
    if (!buffer->of)
        give_up_all(buffer);
    buffer->is_launching = false;
    tell_others(buffer);
    if (!list_is_empty(&buffer->tickets) && !loop_timer_is_running(&buffer->timer))
        loop_timer_start(loop, &buffer->timer, now_ns + ROUTE_PERIOD_NS);
    free_if_done(buffer);
}

/* While some wait no request may come that would look at the facts. */
static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    struct edge_buffer *buffer = CONTAINER_OF(timer, struct edge_buffer, timer);
    if (buffer->of)
        edge_route_refresh(buffer->worker, buffer->of);
    loop_task_queue(loop, &buffer->launch);
}

/* ---- what is let through */

static uint32_t pending_at(const struct edge_buffer *buffer, uint32_t place)
{
    struct queue_server_report report = {0};
    uint16_t server = queue_server_find(buffer->queue, buffer->identities[place]);
    return server != QUEUE_NO_SERVER && queue_server_report(buffer->queue, server, &report)
               ? report.pending
               : 0;
}

static void set_servers(struct edge_buffer *buffer, const struct route *route, uint8_t class,
                        uint64_t now_ns)
{
    struct queue_server_spec specs[ROUTE_CHANNELS_MOST];
    for (uint32_t i = 0; i < buffer->count; i++) {
        float weight = route->channels[i].share[class] * 1000;
        specs[i] = (struct queue_server_spec){.identity = buffer->identities[i],
                                              .weight = (uint16_t)(weight + 0.999f),
                                              .slots = buffer->slots[i]};
    }
    if (queue_servers_set(buffer->queue, specs, buffer->count, now_ns) < 0)
        log_error("edge", "the buffer cannot follow the channels of a site");
}

/* What is let through to a channel stays with it where their places change. */
static void name_servers(struct edge_buffer *buffer, const struct route *route)
{
    uint32_t slots[ROUTE_CHANNELS_MOST];
    for (uint32_t i = 0; i < route->count; i++) {
        slots[i] = LOADS_PASS_OPEN;
        for (uint32_t j = 0; j < buffer->count; j++)
            if (buffer->identities[j] == route->channels[i].identity)
                slots[i] = buffer->slots[j];
    }
    buffer->count = route->count;
    for (uint32_t i = 0; i < route->count; i++) {
        buffer->identities[i] = route->channels[i].identity;
        buffer->slots[i] = slots[i];
    }
}

/* The site's own, as far as they are one worker's. */
static struct queue_settings settings_of(const struct edge_worker *worker,
                                         const struct conf_site *site)
{
    struct queue_settings settings = conf_queue(site);
    uint32_t workers = worker->edge->options.workers;
    settings.slow_start.duration_ns = 0; /* shares do that */
    settings.length = (settings.length + workers - 1) / workers;
    return settings;
}

/* In what a buffer goes by. */
static bool are_same(const struct queue_settings *a, const struct queue_settings *b)
{
    return a->length == b->length && a->patience_ns == b->patience_ns &&
           a->target_ns == b->target_ns && a->interval_ns == b->interval_ns &&
           a->is_newest_first == b->is_newest_first && a->reserve_percent == b->reserve_percent &&
           memcmp(a->share_percent, b->share_percent, sizeof a->share_percent) == 0;
}

/* After a reload, or when the shares of classes were changed while running (L10). */
static void follow_settings(struct edge_buffer *buffer, const struct conf_site *site,
                            uint64_t now_ns)
{
    struct queue_settings settings = settings_of(buffer->worker, site);
    if (are_same(&settings, &buffer->settings))
        return;
    buffer->settings = settings;
    queue_configure(buffer->queue, &settings, &balance_weighted, now_ns);
}

static struct edge_buffer *new_buffer(struct edge_worker *worker, struct edge_site_route *of,
                                      const struct conf_site *site)
{
    struct edge_buffer *buffer = NEW(struct edge_buffer);
    buffer->settings = settings_of(worker, site);
    buffer->worker = worker;
    buffer->of = of;
    buffer->is_new = true;
    buffer->timer.fire = on_timer;
    buffer->launch.run = on_launch;
    list_init(&buffer->tickets);
    buffer->line = edge_line_join(worker->edge->lines, of->site);
    random_seed(&buffer->random, random_u64(&worker->random));
    buffer->queue = queue_new(&buffer->settings, &balance_weighted, &buffer->random, NULL);
    return buffer;
}

static bool any_stands(const struct edge_site_route *of,
                       const struct loads_report *const reports[ROUTE_CHANNELS_MOST])
{
    for (uint32_t i = 0; i < of->route.count; i++)
        if (loads_stands(reports[i]))
            return true;
    return false;
}

void edge_buffer_follow(struct edge_worker *worker, struct edge_site_route *of,
                        const struct conf_site *site,
                        const struct loads_report *const reports[ROUTE_CHANNELS_MOST],
                        uint64_t now_ns)
{
    if (!of->buffer && any_stands(of, reports))
        of->buffer = new_buffer(worker, of, site);
    struct edge_buffer *buffer = of->buffer;
    if (!buffer)
        return;
    follow_settings(buffer, site, now_ns);
    name_servers(buffer, &of->route);
    if (now_ns - buffer->stepped_ns >= ROUTE_PERIOD_NS) {
        buffer->stepped_ns = now_ns;
        bool is_held = is_behind(buffer);
        add_credit(buffer);
        for (uint32_t i = 0; i < buffer->count; i++) {
            if (is_held && !loads_stands(reports[i]))
                continue; /* what it does not use shall not grow */
            uint32_t pending = buffer->is_new ? loads_there(reports[i]) : pending_at(buffer, i);
            buffer->slots[i] = loads_pass(buffer->slots[i], pending, reports[i]);
        }
        buffer->is_new = false;
    }
    set_servers(buffer, &of->route, site->ring, now_ns);
    if (!list_is_empty(&buffer->tickets))
        loop_task_queue(loop_of(buffer), &buffer->launch);
}

void edge_buffer_retire(struct edge_buffer **retired)
{
    struct edge_buffer *buffer = *retired;
    *retired = NULL;
    if (!buffer)
        return;
    buffer->of = NULL;
    if (!list_is_empty(&buffer->tickets))
        loop_task_queue(loop_of(buffer), &buffer->launch);
    free_if_done(buffer);
}
