/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of servers. A server keeps its number and what is known of it through reloads, by its identity; one that is gone keeps
 * its number until its last request has finished.
 */
#include "queue/private.h"

#include <math.h>

#define SORT_INTERVAL_NS   100000000ull
#define FORGOTTEN_NS       10e9 /* a peak has fallen to a third of its height */
#define PART_OF_MEAN       32   /* a sample moves a mean by so much */
#define PART_OF_ALL        256  /* likewise, of all servers together */
#define USUAL_LENT         4    /* as so many samples */
#define FORGOTTEN_LAUNCHES 256  /* of a type: after so many to others a server is tried again */

/* ---- the table */

static bool is_taken(const struct queue *queue, size_t place)
{
    return place < queue->server_count && queue->servers[place].is_there;
}

uint16_t queue_server_find(const struct queue *queue, uint64_t identity)
{
    for (size_t i = 0; i < queue->server_count; i++)
        if (is_taken(queue, i) && queue->servers[i].spec.identity == identity)
            return (uint16_t)i;
    return QUEUE_NO_SERVER;
}

uint64_t queue_server_identity(const struct queue *queue, uint16_t server)
{
    INVARIANT(is_taken(queue, server));
    return queue->servers[server].spec.identity;
}

static bool is_valid(const struct queue_server_spec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (specs[i].weight > BALANCE_WEIGHT_MOST || specs[i].slots > QUEUE_SLOTS_MOST)
            return false;
        for (size_t k = 0; k < QUEUE_TYPES; k++)
            if (specs[i].type_weights[k] > BALANCE_WEIGHT_MOST)
                return false;
        for (size_t k = 0; k < i; k++)
            if (specs[k].identity == specs[i].identity)
                return false;
    }
    return true;
}

/* Where little was seen, it is what is usual elsewhere, as costs are borrowed from elsewhere: those were measured beside that. A little is always
 * borrowed, so that servers that are alike come to have alike much. */
static void note_usual(struct queue *queue, uint16_t number)
{
    const struct queue_server *server = &queue->servers[number];
    double usual = server->usual_pending * server->usual_seen + queue->usual_pending * USUAL_LENT;
    queue->usual_part[number] = 1 / (usual / (server->usual_seen + USUAL_LENT) + 1);
}

/* The part of a candidate that hardly changes. */
static void prepare(struct queue *queue, uint16_t number)
{
    const struct queue_server *server = &queue->servers[number];
    queue->candidates[number] = (struct balance_candidate){
        .identity = server->spec.identity,
        .latency_ns = (uint64_t)server->peak_ns,
        .behind_ns = server->spec.behind_ns,
        .weight = server->spec.weight,
        .role = server->spec.role,
        .is_usable = server->is_usable,
    };
    for (int type = 0; type < QUEUE_TYPES; type++)
        if (server->spec.type_weights[type])
            queue->weighs_types |= 1ull << number;
    note_usual(queue, number);
}

/* What follows from the table. */
static void follow(struct queue *queue, uint64_t now_ns)
{
    queue->there = queue->open = queue->usable = queue->weighs_types = 0;
    for (int type = 0; type < QUEUE_TYPES; type++)
        queue->serves[type] = 0;
    for (size_t i = 0; i < queue->server_count; i++) {
        const struct queue_server *server = &queue->servers[i];
        uint64_t bit = 1ull << i;
        if (server->is_there && !server->is_leaving)
            queue->there |= bit;
        if (queue->there & bit && server->spec.weight)
            queue->open |= bit;
        if (queue->open & bit && server->is_usable)
            queue->usable |= bit;
        for (int type = 0; type < QUEUE_TYPES; type++)
            if (server->is_there && (!server->spec.types || server->spec.types >> type & 1))
                queue->serves[type] |= bit;
        prepare(queue, (uint16_t)i);
    }
    queue_groups_follow(queue);
    for (size_t i = 0; i < queue->server_count; i++)
        if (!(queue->there >> i & 1) || !queue->servers[i].is_usable)
            queue_groups_untie(queue, (uint16_t)i);
    queue->sorted_at_ns = 0;
    queue_servers_sort(queue, now_ns);
}

static void start_slowly(struct queue *queue, uint16_t number, uint64_t now_ns)
{
    queue->servers[number].since_ns = now_ns ? now_ns : 1;
    queue->ramping |= 1ull << number;
}

static void set_spec(struct queue_server *server, const struct queue_server_spec *spec)
{
    server->spec = *spec;
    if (!server->spec.sets)
        server->spec.sets = 1;
}

static void add_server(struct queue *queue, const struct queue_server_spec *spec, uint64_t now_ns,
                       bool is_first)
{
    size_t place = 0;
    while (is_taken(queue, place))
        place++;
    INVARIANT(place < QUEUE_SERVERS_MOST);
    if (place == queue->server_count)
        queue->server_count++;
    struct queue_server *server = &queue->servers[place];
    *server = (struct queue_server){.is_there = true, .is_usable = true, .most = UINT32_MAX};
    queue->ramping &= ~(1ull << place);
    set_spec(server, spec);
    limit_init(&server->limit, queue->settings.slots_least, queue->settings.slots_most);
    if (!is_first)
        start_slowly(queue, (uint16_t)place, now_ns);
}

static size_t count_staying(const struct queue *queue, const struct queue_server_spec *specs,
                            size_t count)
{
    size_t staying = 0;
    for (size_t i = 0; i < queue->server_count; i++) {
        const struct queue_server *server = &queue->servers[i];
        bool is_named = false;
        for (size_t k = 0; k < count; k++)
            is_named |= specs[k].identity == server->spec.identity;
        staying += server->is_there && !is_named && queue->load_now.pending[i];
    }
    return staying + count;
}

int queue_servers_set(struct queue *queue, const struct queue_server_spec *specs, size_t count,
                      uint64_t now_ns)
{
    if (count > QUEUE_SERVERS_MOST || count_staying(queue, specs, count) > QUEUE_SERVERS_MOST)
        return ERROR_LIMIT;
    if (!is_valid(specs, count))
        return ERROR_INVALID;
    bool is_first = !queue->open;
    for (size_t i = 0; i < queue->server_count; i++)
        queue->servers[i].is_leaving = true;
    for (size_t i = 0; i < count; i++) {
        uint16_t number = queue_server_find(queue, specs[i].identity);
        if (number == QUEUE_NO_SERVER)
            continue;
        struct queue_server *server = &queue->servers[number];
        server->is_leaving = false;
        if (!server->spec.weight && specs[i].weight)
            start_slowly(queue, number, now_ns);
        set_spec(server, &specs[i]);
    }
    for (size_t i = 0; i < queue->server_count; i++)
        if (queue->servers[i].is_leaving && !queue->load_now.pending[i])
            queue->servers[i].is_there = false;
    for (size_t i = 0; i < count; i++)
        if (queue_server_find(queue, specs[i].identity) == QUEUE_NO_SERVER)
            add_server(queue, &specs[i], now_ns, is_first);
    follow(queue, now_ns);
    return 0;
}

void queue_server_set_usable(struct queue *queue, uint16_t number, bool is_usable, uint64_t now_ns)
{
    INVARIANT(is_taken(queue, number));
    struct queue_server *server = &queue->servers[number];
    if (server->is_usable == is_usable)
        return;
    server->is_usable = is_usable;
    if (is_usable)
        start_slowly(queue, number, now_ns);
    follow(queue, now_ns);
}

void queue_server_set_weight(struct queue *queue, uint16_t number, uint16_t weight, uint64_t now_ns)
{
    INVARIANT(is_taken(queue, number) && weight <= BALANCE_WEIGHT_MOST);
    struct queue_server *server = &queue->servers[number];
    bool returns = !server->spec.weight && weight;
    server->spec.weight = weight;
    if (returns)
        start_slowly(queue, number, now_ns);
    follow(queue, now_ns);
}

void queue_server_set_slots(struct queue *queue, uint16_t number, uint32_t slots)
{
    INVARIANT(is_taken(queue, number) && slots <= QUEUE_SLOTS_MOST);
    queue->servers[number].spec.slots = slots;
    queue->sorted_at_ns = 0;
}

void queue_server_set_most(struct queue *queue, uint16_t number, uint32_t most)
{
    INVARIANT(is_taken(queue, number));
    queue->servers[number].most = most;
    queue->sorted_at_ns = 0;
}

void queue_server_set_behind(struct queue *queue, uint16_t number, uint64_t behind_ns)
{
    INVARIANT(is_taken(queue, number));
    queue->servers[number].spec.behind_ns = queue->candidates[number].behind_ns = behind_ns;
}

void queue_server_left(struct queue *queue, uint16_t number)
{
    queue->servers[number].is_there = false;
    queue_groups_follow(queue);
}

/* ---- slots */

static void note_slots(struct queue *queue, uint16_t number, uint64_t now_ns)
{
    const struct queue_server *server = &queue->servers[number];
    uint32_t slots = server->spec.slots ? server->spec.slots : limit_slots(&server->limit);
    if (queue->ramping >> number & 1) {
        uint16_t ramp = balance_ramp(&queue->settings.slow_start, server->since_ns, now_ns);
        if (ramp && ramp < BALANCE_RAMP_WHOLE)
            slots = (slots * ramp + BALANCE_RAMP_WHOLE - 1) / BALANCE_RAMP_WHOLE;
    }
    queue->load_now.slots[number] = slots < server->most ? slots : server->most;
}

void queue_servers_ramp(struct queue *queue, uint64_t now_ns)
{
    for (uint64_t bits = queue->ramping & queue->there; bits; bits &= bits - 1)
        note_slots(queue, (uint16_t)__builtin_ctzll(bits), now_ns);
}

/* How long it takes for a request, beside what such requests take on the whole. */
static double slowness(const struct queue *queue, const struct queue_server *server)
{
    double sum = 0;
    int known = 0;
    for (int type = 0; type < QUEUE_TYPES; type++) {
        if (!(server->service_ns[type] > 0) || !(queue->held_ns[type] > 0))
            continue;
        sum += server->service_ns[type] / queue->held_ns[type];
        known++;
    }
    return known ? sum / known : 1;
}

/* Both are forgotten so slowly that ten steps a second are enough. */
static void forget_a_little(struct queue *queue, uint64_t now_ns)
{
    if (!queue->peaks_at_ns || now_ns <= queue->peaks_at_ns) {
        queue->peaks_at_ns = now_ns;
        return;
    }
    double left = exp(-(double)(now_ns - queue->peaks_at_ns) / FORGOTTEN_NS);
    queue->peaks_at_ns = now_ns;
    for (size_t i = 0; i < queue->server_count; i++) {
        queue->servers[i].peak_ns *= left;
        queue->candidates[i].latency_ns = (uint64_t)queue->servers[i].peak_ns;
        queue->servers[i].usual_seen *= left;
        note_usual(queue, (uint16_t)i);
    }
}

void queue_servers_sort(struct queue *queue, uint64_t now_ns)
{
    if (queue->sorted_at_ns && now_ns < queue->sorted_at_ns + SORT_INTERVAL_NS)
        return;
    double slow[QUEUE_SERVERS_MOST];
    uint32_t count = 0;
    forget_a_little(queue, now_ns);
    queue->slots = 0;
    queue->sorted_at_ns = now_ns ? now_ns : 1;
    for (size_t i = 0; i < queue->server_count; i++)
        note_slots(queue, (uint16_t)i, now_ns);
    for (uint64_t bits = queue->usable; bits; bits &= bits - 1) {
        uint8_t number = (uint8_t)__builtin_ctzll(bits);
        const struct queue_server *server = &queue->servers[number];
        if (now_ns >= server->since_ns + queue->settings.slow_start.duration_ns)
            queue->ramping &= ~(1ull << number);
        queue->slots += queue->load_now.slots[number];
        double own = slowness(queue, server);
        uint32_t place = count++;
        for (; place > 0 && slow[place - 1] > own; place--) {
            slow[place] = slow[place - 1];
            queue->by_speed[place] = queue->by_speed[place - 1];
        }
        slow[place] = own;
        queue->by_speed[place] = number;
    }
    queue->by_speed_count = count;
}

uint64_t queue_servers_room(const struct queue *queue, uint32_t reserve)
{
    const struct queue_load *load = &queue->load_now;
    uint64_t room = 0;
    for (uint64_t bits = queue->there; bits; bits &= bits - 1) {
        int number = __builtin_ctzll(bits);
        room |= load->pending[number] < load->slots[number] ? bits & -bits : 0;
    }
    /* The reserve is at the fastest: what is left for higher classes must not be what nobody wants. */
    uint32_t count = queue->by_speed_count;
    for (uint32_t i = 0; reserve && i < count; i++) {
        uint8_t number = queue->by_speed[i];
        uint32_t kept = reserve / count + (i < reserve % count);
        if (load->pending[number] + kept >= load->slots[number])
            room &= ~(1ull << number);
    }
    return room;
}

uint64_t queue_servers_for(const struct queue *queue, const struct queue_group *group, uint8_t type,
                           uint64_t room)
{
    if (group->pinned != QUEUE_NO_SERVER)
        return group->servers & queue->there & room;
    uint64_t servers = group->servers & queue->open;
    if (servers & queue->serves[type])
        servers &= queue->serves[type];
    if (servers & queue->usable)
        servers &= queue->usable;
    return servers & room;
}

/* ---- the choice */

/* What requests take is measured beside as many as are usual there, and in proportion: how many a server truly works on at a time is not
 * known, for slots may be more. */
static void expect(struct queue *queue, uint8_t type, double expected_ns[QUEUE_SERVERS_MOST])
{
    const struct queue_load *load = &queue->load_now;
    if (queue->costs)
        queue->costs->expected_ns(queue->costs->context, type, load, queue->server_count,
                                  expected_ns);
    for (size_t i = 0; i < queue->server_count; i++) {
        double mean = queue->costs ? expected_ns[i] : queue->servers[i].service_ns[type];
        expected_ns[i] = mean * (load->pending[i] + 1) * queue->usual_part[i];
    }
}

static void fill(const struct queue *queue, const struct queue_item *item, uint16_t number,
                 bool has_room, uint64_t now_ns, struct balance_candidate *candidate)
{
    uint32_t slots = queue->load_now.slots[number];
    *candidate = queue->candidates[number];
    candidate->pending = has_room ? queue->load_now.pending[number] : slots + 1;
    candidate->limit = slots ? slots : 1;
    if (queue->ramping >> number & 1)
        candidate->ramp_permille =
            balance_ramp(&queue->settings.slow_start, queue->servers[number].since_ns, now_ns);
    if (queue->weighs_types >> number & 1 && queue->servers[number].spec.type_weights[item->type])
        candidate->weight = queue->servers[number].spec.type_weights[item->type];
    if (number == item->except)
        candidate->is_usable = false;
}

/* Whether the request is done sooner if it waits for one of the quicker servers, which are full, than at `here` now. Whatever waits in its
 * class and above goes through their slots first, so that the slower servers are used the more the longer the queue is (a threshold as
 * in Lin and Kumar, "Optimal control of a queueing system with two heterogeneous servers", 1984). */
static bool is_worth_waiting(const struct queue *queue, const struct queue_item *item,
                             const struct balance_candidate *candidates,
                             const struct balance_candidate *here)
{
    double slots = 0, expected_ns = 0, backlog_ns = 0;
    for (size_t i = 0; i < queue->server_count; i++) {
        const struct balance_candidate *other = &candidates[i];
        if (!other->is_usable || !other->weight || !other->expected_ns ||
            other->pending < other->limit || other->expected_ns >= here->expected_ns)
            continue;
        slots += other->limit;
        expected_ns += (double)other->expected_ns * other->limit;
    }
    if (slots < 1)
        return false;
    for (uint8_t class = 0; class <= item->class; class ++)
        backlog_ns += queue_backlog_ns(queue, class);
    return (expected_ns + backlog_ns) / slots < (double)here->expected_ns;
}

/* One that has had nothing of the type for long, since it was slow when it had: it may have recovered, or what was learnt was learnt in a bad
 * moment. Whatever the number of such servers, few requests are spent on them. QUEUE_NO_SERVER: none is due. */
static uint16_t forgotten(const struct queue *queue, uint8_t type,
                          const struct balance_candidate *candidates)
{
    uint64_t begun = queue->begun[type], longest = FORGOTTEN_LAUNCHES;
    uint16_t found = QUEUE_NO_SERVER;
    if (begun - queue->tried[type] < FORGOTTEN_LAUNCHES)
        return found;
    for (uint16_t i = 0; i < queue->server_count; i++) {
        const struct balance_candidate *candidate = &candidates[i];
        if (!candidate->is_usable || !candidate->weight || candidate->role != BALANCE_EQUAL ||
            candidate->pending >= candidate->limit ||
            begun - queue->servers[i].begun[type] <= longest)
            continue;
        longest = begun - queue->servers[i].begun[type];
        found = i;
    }
    return found;
}

uint16_t queue_server_pick(struct queue *queue, const struct queue_item *item,
                           const struct queue_group *group, uint64_t room, uint64_t now_ns)
{
    if (item->pinned != QUEUE_NO_SERVER)
        return item->pinned;
    struct balance_candidate candidates[QUEUE_SERVERS_MOST];
    double expected_ns[QUEUE_SERVERS_MOST];
    bool waits_for_better = queue->policy->waits_for_better;
    uint64_t allowed = queue_servers_for(queue, group, item->type, UINT64_MAX);
    if (waits_for_better)
        expect(queue, item->type, expected_ns);
    for (uint16_t i = 0; i < (uint16_t)queue->server_count; i++) {
        if (!(allowed >> i & 1)) {
            candidates[i] = (struct balance_candidate){.limit = 1, .pending = 1};
            continue;
        }
        fill(queue, item, i, room >> i & 1, now_ns, &candidates[i]);
        if (waits_for_better)
            candidates[i].expected_ns = (uint64_t)expected_ns[i];
    }
    bool by_cost = waits_for_better && !item->has_key;
    uint16_t tried = by_cost ? forgotten(queue, item->type, candidates) : (uint16_t)QUEUE_NO_SERVER;
    if (tried != QUEUE_NO_SERVER) {
        queue->tried[item->type] = queue->begun[item->type];
        return tried;
    }
    const struct balance_question question = {
        .now_ns = now_ns,
        .key = item->key,
        .has_key = item->has_key,
        .need = item->need,
        .marks = &queue->settings.marks,
    };
    size_t picked = balance_pick(queue->policy, queue->policy_state, candidates,
                                 queue->server_count, &question, queue->random);
    if (picked == BALANCE_NONE ||
        (by_cost && is_worth_waiting(queue, item, candidates, &candidates[picked])))
        return QUEUE_NO_SERVER;
    return (uint16_t)picked;
}

/* ---- what answers tell */

static void note_met(struct queue *queue, uint16_t number, double met)
{
    struct queue_server *server = &queue->servers[number];
    server->usual_seen += server->usual_seen <= PART_OF_MEAN - 1;
    server->usual_pending += (met - server->usual_pending) / fmax(server->usual_seen, 1);
    queue->usual_pending += (met - queue->usual_pending) / PART_OF_ALL;
    note_usual(queue, number);
}

void queue_server_answered(struct queue *queue, uint16_t number, uint8_t type,
                           const struct queue_outcome *outcome, uint64_t now_ns)
{
    struct queue_server *server = &queue->servers[number];
    uint32_t pending = queue->load_now.pending[number];
    server->finished++;
    server->failed += outcome->is_failed;
    if (!outcome->service_ns || outcome->is_failed || outcome->is_local_drop)
        return;
    double sample = (double)outcome->service_ns, mean = server->service_ns[type];
    server->service_ns[type] = mean > 0 ? mean + (sample - mean) / PART_OF_MEAN : sample;
    note_met(queue, number, pending - 1);

    double peak = server->peak_ns;
    server->peak_ns = sample > peak ? sample : peak + (sample - peak) / PART_OF_MEAN;
    queue->candidates[number].latency_ns = (uint64_t)server->peak_ns;
    limit_sample(&server->limit, type, outcome->service_ns, pending, now_ns);
    if (!server->spec.slots)
        note_slots(queue, number, now_ns);
}

bool queue_server_report(const struct queue *queue, uint16_t number,
                         struct queue_server_report *report)
{
    if (!is_taken(queue, number))
        return false;
    const struct queue_server *server = &queue->servers[number];
    double sum = 0;
    uint32_t known = 0;
    for (int type = 0; type < QUEUE_TYPES; type++) {
        sum += server->service_ns[type];
        known += server->service_ns[type] > 0;
    }
    *report = (struct queue_server_report){
        .identity = server->spec.identity,
        .pending = queue->load_now.pending[number],
        .slots = queue->load_now.slots[number],
        .weight = server->spec.weight,
        .is_usable = server->is_usable,
        .is_found = !server->spec.slots,
        .is_leaving = server->is_leaving,
        .service_ns = known ? (uint64_t)(sum / known) : 0,
        .finished = server->finished,
        .failed = server->failed,
    };
    return true;
}
