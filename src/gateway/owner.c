/* SPDX-License-Identifier: Apache-2.0
 *
 * The owner of a farm: its queue, on one worker. Requests come and slots come back during a turn of the loop; at its end the queue is asked
 * once who goes where (pump()), however many there were. What health checks find, and which servers refused a connection just now,
 * is told to the queue here. Ten times a second the state of the queue is published for every thread (L5, S6).
 */
#include "gateway/owner.h"

#include "base/memory.h"
#include "purge/purge.h"

#define REPORT_NS (100ull * 1000000)
#define AGAIN_NS \
    (1000ull * 1000000) /* when servers that go must finish first to make room for new ones */

static const uint16_t numbers = QUEUE_SERVERS_MOST; /* of servers are below that */

/* A server by its number in the queue. */
struct owner_server {
    uint64_t identity;
    struct address address;
    struct queue_part part;  /* of its slots, that this gateway has */
    uint64_t avoid_until_ns; /* a connection failed lately */
    enum balance_role role;
    uint64_t behind_ns; /* as the configuration says; 0: it is learnt */
    bool drains;
    bool is_ordered_out;
};

struct gateway_owner {
    struct list link; /* in the worker's list; not before the first request */
    struct gateway *gateway;
    struct gateway_worker *worker;
    uint32_t number;
    struct queue *queue;                 /* NULL: nobody has asked for one of its servers yet */
    struct gateway_judge *judge;         /* likewise */
    struct list waiting;                 /* struct gateway_ticket, in the order of their arrival */
    struct owner_server *servers;        /* by number; as the queue */
    struct balance_sessions *sessions;   /* those without a cookie; NULL: none yet */
    struct balance_freshness *freshness; /* of mirrors; NULL: there are none */
    uint32_t sessions_most;
    uint64_t sessions_idle_ns;
    uint64_t judge_ns; /* when a server may be usable again; UINT64_MAX: all is judged */
    struct loop_task pump;
    struct loop_timer wake, report;
    uint64_t version; /* of the map that was followed last */
    struct queue_settings settings;
    uint64_t sets[QUEUE_SETS];
    bool is_quiet;           /* what was published last says that there is nothing */
    void *_Atomic published; /* struct gateway_queue_facts */
};

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

#define SESSIONS(event)                                                                  \
    METRIC(COUNTER, "causeway_gateway_sessions_total", "event=\"" event "\"",            \
           "Requests with a session: it had no server yet, stayed with its own, or got " \
           "another one.")
struct metric gateway_sessions_begun = SESSIONS("begun");
struct metric gateway_sessions_kept = SESSIONS("kept");
struct metric gateway_sessions_moved = SESSIONS("moved");
struct metric gateway_sessions_remembered =
    METRIC(GAUGE, "causeway_gateway_sessions_remembered", "",
           "Sessions in the gateway's tables: those that no cookie tells of.");

void gateway_owner_metrics_register(void)
{
    gateway_judge_metrics_register();
    metric_register(&gateway_waiting);
    metric_register(&gateway_pending);
    metric_register(&gateway_wait);
    metric_register(&gateway_cancelled);
    metric_register(&gateway_sessions_begun);
    metric_register(&gateway_sessions_kept);
    metric_register(&gateway_sessions_moved);
    metric_register(&gateway_sessions_remembered);
    for (int i = 0; i < QUEUE_REASONS; i++) {
        if (!refusals[i].name)
            refusals[i] =
                (struct metric)METRIC(COUNTER, "causeway_gateway_queue_refused_total",
                                      reason_labels[i], "Requests that got no slot, by reason.");
        metric_register(&refusals[i]);
    }
}

/* ---- what others may know */

static void fill_servers(const struct gateway_owner *owner, struct gateway_queue_facts *facts)
{
    for (uint16_t i = 0; i < numbers; i++) {
        struct gateway_queue_server *server = &facts->servers[facts->server_count];
        if (!queue_server_report(owner->queue, i, &server->report))
            continue;
        server->address = owner->servers[i].address;
        gateway_judge_report_server(owner->judge, i, &server->failure);
        facts->server_count++;
    }
}

static void publish(struct gateway_owner *owner)
{
    struct gateway_queue_facts *facts = NEW(struct gateway_queue_facts);
    facts->at_ns = loop_now_ns(owner->worker->loop);
    queue_report(owner->queue, facts->at_ns, &facts->queue);
    fill_servers(owner, facts);
    owner->is_quiet = !facts->queue.waiting && !facts->queue.pending && !facts->queue.rate_milli;
    snapshot_publish(&owner->published, facts, memory_free);
}

/* NULL: it has none any more. */
static const struct gateway_farm *farm_of(const struct gateway_map *map,
                                          const struct gateway_owner *owner)
{
    uint32_t farm = map->farm_of[owner->number];
    return farm == GATEWAY_NO_FARM ? NULL : &map->farms[farm];
}

/* Our part of the slots that the configuration gives origins; slots that are found are each gateway's own. */
static void divide(struct gateway_owner *owner)
{
    const struct gateway_farm *farm = farm_of(gateway_map_read(owner->gateway), owner);
    if (!farm)
        return;
    uint64_t site = purge_site(span_text(farm->site)), now_ns = clock_now_ns();
    for (size_t i = 0; i < farm->server_count; i++) {
        const struct queue_server_spec *spec = &farm->servers[i].spec;
        uint16_t number = queue_server_find(owner->queue, spec->identity);
        if (number == QUEUE_NO_SERVER || !spec->slots)
            continue;
        uint32_t due = gateway_peers_part(owner->gateway->peers, site, spec->slots, now_ns);
        struct queue_part *part = &owner->servers[number].part;
        uint32_t before = part->slots, given = queue_part_follow(part, due);
        if (given < spec->slots || given != before)
            queue_server_set_most(owner->queue, number, given < spec->slots ? given : UINT32_MAX);
        if (given > before)
            loop_task_queue(owner->worker->loop, &owner->pump);
    }
}

/* While there is anything to tell. */
static void on_report(struct loop *loop, struct loop_timer *timer)
{
    struct gateway_owner *owner = CONTAINER_OF(timer, struct gateway_owner, report);
    divide(owner);
    publish(owner);
    if (!owner->is_quiet)
        loop_timer_start(loop, timer, loop_now_ns(loop) + REPORT_NS);
}

static void has_news(struct gateway_owner *owner)
{
    struct loop *loop = owner->worker->loop;
    loop_task_queue(loop, &owner->pump);
    if (!loop_timer_is_running(&owner->report))
        loop_timer_start(loop, &owner->report, loop_now_ns(loop) + REPORT_NS);
}

const struct gateway_queue_facts *gateway_owner_facts(struct gateway_owner *owner)
{
    return snapshot_read(&owner->published);
}

/* ---- sessions */

static uint64_t now_s(void)
{
    return clock_wall_ns() / 1000000000;
}

static void find_session(struct gateway_owner *owner, struct gateway_session *session)
{
    if (!gateway_session_is_remembered(session))
        return;
    if (!owner->sessions && owner->sessions_most)
        owner->sessions = balance_sessions_new(owner->sessions_most, owner->sessions_idle_ns,
                                               random_u64(&owner->worker->random));
    gateway_session_find(session, owner->sessions, loop_now_ns(owner->worker->loop), now_s());
}

/* The server of its session; QUEUE_NO_SERVER: it has none, or one that gets nothing new or not this. The queue sees to the rest. */
static uint16_t server_of_session(const struct gateway_owner *owner,
                                  const struct gateway_session *session)
{
    uint64_t identity = session->known.identity;
    uint16_t number = identity ? queue_server_find(owner->queue, identity) : QUEUE_NO_SERVER;
    if (number == QUEUE_NO_SERVER || owner->servers[number].drains ||
        !gateway_session_may_use(session, owner->servers[number].role))
        return QUEUE_NO_SERVER;
    return number;
}

static bool is_own_usable(const struct gateway_owner *owner, const struct gateway_session *session)
{
    struct queue_server_report report;
    uint16_t number = queue_server_find(owner->queue, session->known.identity);
    return number != QUEUE_NO_SERVER && queue_server_report(owner->queue, number, &report) &&
           report.is_usable && !report.is_leaving && report.weight;
}

static void note_remembered(const struct gateway_owner *owner, uint32_t before)
{
    uint32_t now = owner->sessions ? balance_sessions_count(owner->sessions) : 0;
    metric_add(&gateway_sessions_remembered, (uint64_t)now - before);
}

/* It was given that server: it stays there. */
static void settle_session(struct gateway_owner *owner, struct gateway_ticket *ticket)
{
    const struct gateway_session *session = &ticket->wish.session;
    struct gateway_answer *answer = &ticket->answer;
    if (session->kind == BALANCE_SESSION_OFF)
        return;
    answer->session_identity =
        gateway_session_settle(session, answer->identity, answer->role,
                               session->known.identity && is_own_usable(owner, session));
    metric_add(!session->known.identity                              ? &gateway_sessions_begun
               : session->known.identity == answer->session_identity ? &gateway_sessions_kept
                                                                     : &gateway_sessions_moved,
               1);
    if (!owner->sessions || !gateway_session_is_remembered(session))
        return;
    uint32_t before = balance_sessions_count(owner->sessions);
    gateway_session_put(session, owner->sessions, answer->session_identity,
                        loop_now_ns(owner->worker->loop), now_s());
    note_remembered(owner, before);
}

/* ---- who goes where */

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
                         loop_now_ns(owner->worker->loop));
}

static void refuse(struct gateway_owner *owner, struct gateway_ticket *ticket,
                   enum queue_reason reason)
{
    struct queue_report report;
    queue_report(owner->queue, loop_now_ns(owner->worker->loop), &report);
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
    ticket->granted_ns = loop_now_ns(owner->worker->loop);
    ticket->answer =
        (struct gateway_answer){.identity = server->identity,
                                .address = server->address,
                                .role = server->role,
                                .hedge_ns = gateway_judge_hedge_ns(owner->judge, ticket->item.type,
                                                                   ticket->granted_ns)};
    settle_session(owner, ticket);
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

/* ---- which servers may be used */

static void judge_servers(struct gateway_owner *owner)
{
    uint64_t now_ns = loop_now_ns(owner->worker->loop);
    owner->judge_ns = UINT64_MAX;
    gateway_judge_tick(owner->judge, now_ns);
    for (uint16_t i = 0; i < numbers; i++) {
        struct owner_server *server = &owner->servers[i];
        gateway_judge_set_available(owner->judge, i, false);
        if (!server->identity || queue_server_find(owner->queue, server->identity) != i)
            continue;
        if (server->avoid_until_ns > now_ns && server->avoid_until_ns < owner->judge_ns)
            owner->judge_ns = server->avoid_until_ns;
        bool is_available = server->avoid_until_ns <= now_ns && !server->is_ordered_out &&
                            !gateway_health_finds_down(owner->gateway, &server->address);
        gateway_judge_set_available(owner->judge, i, is_available);
        queue_server_set_usable(owner->queue, i,
                                is_available && !gateway_judge_ejects(owner->judge, i), now_ns);
    }
    uint64_t return_ns = gateway_judge_wake_ns(owner->judge);
    if (return_ns < owner->judge_ns)
        owner->judge_ns = return_ns;
    has_news(owner);
}

/* ---- requests come and go */

/* The one that just failed it, unless there is no other that will do. */
static uint16_t server_to_avoid(const struct gateway_owner *owner, const struct gateway_wish *wish)
{
    uint16_t failed =
        wish->except ? queue_server_find(owner->queue, wish->except) : QUEUE_NO_SERVER;
    if (failed == QUEUE_NO_SERVER || wish->session.need == BALANCE_NEEDS_ANY ||
        owner->servers[failed].role != BALANCE_ORIGINAL)
        return failed;
    for (uint16_t i = 0; i < numbers; i++) {
        const struct owner_server *server = &owner->servers[i];
        if (i != failed && server->identity && server->role == BALANCE_ORIGINAL &&
            queue_server_find(owner->queue, server->identity) == i)
            return failed;
    }
    return QUEUE_NO_SERVER;
}

/* False: its type's circuit is open, or there are too many tries of its kind; it is answered. */
static bool admit(struct gateway_owner *owner, struct gateway_ticket *ticket)
{
    uint64_t retry_ns = 0;
    int result =
        gateway_judge_admit(owner->judge, &ticket->judged, ticket->wish.as, ticket->item.type,
                            loop_now_ns(owner->worker->loop), &retry_ns);
    if (result == 0)
        return true;
    ticket->answer = (struct gateway_answer){.result = result,
                                             .reason = QUEUE_REASON_HOPELESS,
                                             .retry_ns = retry_ns};
    gateway_ticket_return(owner->worker, ticket);
    return false;
}

static void push(struct gateway_owner *owner, uint8_t set, struct gateway_ticket *ticket)
{
    struct gateway_wish *wish = &ticket->wish;
    enum queue_reason reason;
    ticket->owner = owner;
    find_session(owner, &wish->session);
    ticket->item =
        (struct queue_item){.deadline_ns = ticket->item.deadline_ns, /* of an earlier place */
                            .key = wish->session.key,
                            .has_key = wish->session.has_key,
                            .need = wish->session.need,
                            .pinned = server_of_session(owner, &wish->session),
                            .except = server_to_avoid(owner, wish),
                            .class = wish->class < QUEUE_CLASSES ? wish->class : QUEUE_CLASSES - 1,
                            .type = wish->type < QUEUE_TYPES ? wish->type : 0,
                            .set = set};
    if (!admit(owner, ticket))
        return;
    if (queue_push(owner->queue, &ticket->item, loop_now_ns(owner->worker->loop), &reason) < 0) {
        refuse(owner, ticket, reason);
        return;
    }
    ticket->place = TICKET_WAITS;
    list_push_back(&owner->waiting, &ticket->link);
    metric_add(&gateway_waiting, 1);
    has_news(owner);
}

void gateway_owner_cancel(struct gateway_ticket *ticket)
{
    queue_cancel(ticket->owner->queue, &ticket->item);
    leave(ticket);
    settle_without(ticket->owner, ticket);
    metric_add(&gateway_cancelled, 1);
    has_news(ticket->owner);
}

/* How far mirrors are behind, by what this answer shows. */
static void learn_freshness(struct gateway_owner *owner, const struct gateway_ticket *ticket,
                            const struct gateway_outcome *outcome)
{
    const struct owner_server *server = &owner->servers[ticket->server];
    uint64_t now_ns = loop_now_ns(owner->worker->loop);
    if (!owner->freshness || !outcome->target || server->identity != ticket->answer.identity)
        return;
    if (server->role == BALANCE_ORIGINAL)
        balance_freshness_original(owner->freshness, outcome->target, &outcome->validator, now_ns);
    if (server->role != BALANCE_MIRROR || server->behind_ns)
        return;
    balance_freshness_mirror(owner->freshness, server->identity, outcome->target,
                             &outcome->validator, now_ns);
    queue_server_set_behind(owner->queue, ticket->server,
                            balance_freshness_behind(owner->freshness, server->identity));
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
    struct owner_server *server = &owner->servers[ticket->server];
    uint64_t now_ns = loop_now_ns(owner->worker->loop);
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
    learn_freshness(owner, ticket, outcome);
    metric_add(&gateway_pending, (uint64_t)-1);
    queue_finish(owner->queue, ticket->server, ticket->item.class, ticket->item.type, &told,
                 now_ns);
    if (outcome->end == GATEWAY_END_UNCONNECTED &&
        queue_server_find(owner->queue, server->identity) == ticket->server) {
        server->avoid_until_ns = now_ns + GATEWAY_AVOID_NS;
        if (owner->judge_ns > server->avoid_until_ns)
            owner->judge_ns = server->avoid_until_ns;
        gateway_judge_set_available(owner->judge, ticket->server, false);
        queue_server_set_usable(owner->queue, ticket->server, false, now_ns);
    }
    if (gateway_judge_settle(owner->judge, &ticket->judged, ticket->server, &verdict, now_ns))
        judge_servers(owner);
    has_news(owner);
}

/* ---- the map */

/* Those that wait find their places anew: the parts of the farm are others. */
static void send_on(struct gateway_owner *owner)
{
    struct list moved;
    list_init(&moved);
    for (struct list *item; (item = list_pop_front(&owner->waiting)) != NULL;) {
        struct gateway_ticket *ticket = CONTAINER_OF(item, struct gateway_ticket, link);
        queue_cancel(owner->queue, &ticket->item);
        ticket->place = TICKET_AWAY;
        settle_without(owner, ticket);
        metric_add(&gateway_waiting, (uint64_t)-1);
        list_push_back(&moved, item);
    }
    for (struct list *item; (item = list_pop_front(&moved)) != NULL;)
        gateway_ticket_route(owner->worker, CONTAINER_OF(item, struct gateway_ticket, link));
}

/* What was learnt of it outlasts a reload. */
static void follow_mirror(struct gateway_owner *owner, uint16_t number)
{
    if (!owner->freshness)
        owner->freshness = balance_freshness_new();
    queue_server_set_behind(owner->queue, number,
                            balance_freshness_behind(owner->freshness,
                                                     owner->servers[number].identity));
}

static int set_servers(struct gateway_owner *owner, const struct gateway_farm *farm)
{
    struct queue_server_spec specs[QUEUE_SERVERS_MOST];
    struct gateway_judge_server judged[QUEUE_SERVERS_MOST];
    size_t count = farm ? farm->server_count : 0;
    for (size_t i = 0; i < count; i++)
        specs[i] = farm->servers[i].spec;
    int result = queue_servers_set(owner->queue, specs, count, loop_now_ns(owner->worker->loop));
    if (result < 0)
        return result;
    for (size_t i = 0; i < count; i++) {
        uint16_t number = queue_server_find(owner->queue, specs[i].identity);
        struct owner_server *server = &owner->servers[number];
        if (server->identity != specs[i].identity)
            *server = (struct owner_server){.identity = specs[i].identity};
        server->address = farm->servers[i].address;
        server->role = specs[i].role;
        server->behind_ns = specs[i].behind_ns;
        server->drains = !specs[i].weight;
        if (server->role == BALANCE_MIRROR && !server->behind_ns)
            follow_mirror(owner, number);
        server->is_ordered_out = farm->servers[i].is_ordered_out;
    }
    for (size_t i = 0; i < QUEUE_SERVERS_MOST; i++)
        judged[i] =
            (struct gateway_judge_server){owner->servers[i].identity, owner->servers[i].address};
    gateway_judge_set_servers(owner->judge, judged);
    return 0;
}

static void configure_sessions(struct gateway_owner *owner)
{
    if (!owner->sessions || !owner->sessions_most)
        return;
    uint32_t before = balance_sessions_count(owner->sessions);
    balance_sessions_configure(&owner->sessions, owner->sessions_most, owner->sessions_idle_ns);
    note_remembered(owner, before);
}

/* `farm` NULL: none is left to this owner. */
static void follow(struct gateway_owner *owner, const struct gateway_map *map,
                   const struct gateway_farm *farm)
{
    static const uint64_t no_sets[QUEUE_SETS];
    const uint64_t *sets = farm ? farm->sets : no_sets;
    uint64_t now_ns = loop_now_ns(owner->worker->loop);
    if (owner->version == map->version)
        return;
    if (set_servers(owner, farm) < 0) {
        log_warning("gateway",
                    "too many servers at a time: new ones wait until others have finished site=%s",
                    farm ? farm->site : "");
        judge_servers(owner);
        owner->judge_ns = now_ns + AGAIN_NS;
        return;
    }
    owner->version = map->version;
    if (farm) {
        queue_configure(owner->queue, &farm->settings, farm->policy, now_ns);
        owner->sessions_most = farm->sessions_most;
        owner->sessions_idle_ns = farm->sessions_idle_ns;
        configure_sessions(owner);
        gateway_judge_configure(owner->judge, farm->site, &farm->judge);
    }
    bool has_moved = memcmp(owner->sets, sets, sizeof owner->sets) != 0;
    memcpy(owner->sets, sets, sizeof owner->sets);
    if (has_moved)
        send_on(owner);
    judge_servers(owner);
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

void gateway_owner_push(struct gateway_owner *owner, const struct gateway_farm *farm,
                        const struct gateway_part *part, struct gateway_ticket *ticket)
{
    if (!owner->queue)
        begin(owner, farm);
    follow(owner, gateway_map_read(owner->gateway), farm);
    push(owner, part->set, ticket);
}

void gateway_owners_follow(struct gateway_worker *worker)
{
    const struct gateway_map *map = gateway_map_read(worker->gateway);
    LIST_EACH (item, after, &worker->owners) {
        struct gateway_owner *owner = CONTAINER_OF(item, struct gateway_owner, link);
        if (owner->version == map->version)
            judge_servers(owner);
        else
            follow(owner, map, farm_of(map, owner));
    }
}

void gateway_owners_deliver(struct worker *receiver, struct message *message)
{
    struct gateway_worker *worker = CONTAINER_OF(message, struct gateway_worker, map_message);
    (void)receiver;
    if (worker->gateway)
        gateway_owners_follow(worker);
}

static void on_wake(struct loop *loop, struct loop_timer *timer)
{
    struct gateway_owner *owner = CONTAINER_OF(timer, struct gateway_owner, wake);
    const struct gateway_map *map = gateway_map_read(owner->gateway);
    if (owner->version != map->version)
        follow(owner, map, farm_of(map, owner));
    else if (owner->judge_ns <= loop_now_ns(loop))
        judge_servers(owner);
    has_news(owner);
}

/* ---- life */

struct gateway_owner *gateway_owner_new(struct gateway *gateway, uint32_t number)
{
    struct gateway_owner *owner = NEW(struct gateway_owner);
    owner->gateway = gateway;
    owner->number = number;
    owner->worker = &gateway->workers[number % gateway->options.workers];
    owner->pump.run = pump;
    owner->wake.fire = on_wake;
    owner->report.fire = on_report;
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
    for (struct list *item; (item = list_pop_front(&owner->waiting)) != NULL;) {
        struct gateway_ticket *ticket = CONTAINER_OF(item, struct gateway_ticket, link);
        queue_cancel(owner->queue, &ticket->item);
        ticket->place = TICKET_AWAY;
        metric_add(&gateway_waiting, (uint64_t)-1);
        settle_without(owner, ticket);
        gateway_ticket_drop(ticket);
    }
    loop_task_cancel(loop, &owner->pump);
    loop_timer_stop(loop, &owner->wake);
    loop_timer_stop(loop, &owner->report);
    list_remove(&owner->link);
    queue_free(&owner->queue);
    uint32_t remembered = owner->sessions ? balance_sessions_count(owner->sessions) : 0;
    balance_sessions_free(&owner->sessions);
    note_remembered(owner, remembered);
    balance_freshness_free(&owner->freshness);
    gateway_judge_free(&owner->judge);
    memory_free(owner->servers);
}

void gateway_owners_stop(struct gateway_worker *worker)
{
    LIST_EACH (item, after, &worker->owners)
        stop(CONTAINER_OF(item, struct gateway_owner, link));
}
