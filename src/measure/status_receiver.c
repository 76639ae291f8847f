/* SPDX-License-Identifier: Apache-2.0
 *
 * A DNS node's side: which reports are believed, who is alive, and when not to trust the silence
 * (fail open).
 */
#include "measure/status_wire.h"

#include "base/list.h"
#include "base/memory.h"

#define SECOND_NS 1000000000ull

enum {
    SLOTS = 2 * STATUS_EDGES_MAX, /* of the table of tags; a power of two, at most half full */
    NO_EDGE = UINT16_MAX,
};

struct edge {
    struct status_edge seen; /* what callers see */
    struct status_pair pair;
    struct aead *report_aead;      /* of the believed incarnation; NULL: none yet */
    struct aead *answer_aead;      /* of our epoch */
    struct aead *measure_aead;     /* of the believed incarnation; NULL: it sent none yet */
    struct status_window measures; /* seen of it in its turn */
    unsigned measures_in_second;
    uint64_t measure_second_ns; /* when that second began */
    uint64_t incarnation;       /* the process that is believed */
    uint64_t turn;              /* its turn: how many came before it in our epoch; 0: none is */
    uint64_t sequence;          /* greatest believed of it */
    uint64_t answers;           /* EPOCHs sent: the nonce */
    uint64_t second_started_ns;
    unsigned answers_in_second;
    bool has_vanished; /* died of silence while clients could be sent there */
    uint64_t died_ns;
    struct heap_node timer;
};

struct status_receiver {
    const struct crypto *crypto;
    struct key own_private;
    uint64_t epoch;
    uint64_t started_ns;
    bool has_heard; /* anyone, in this epoch */
    bool is_fail_open;
    void (*on_event)(void *owner, enum status_event_kind kind, const struct status_edge *edge);
    void *owner;
    struct heap timers; /* when an edge is dead unless heard */
    struct status_receiver_counters counters;
    struct measure_receiver_counters measure_counters;
    size_t count;
    struct edge *edges[STATUS_EDGES_MAX];
    uint16_t slots[SLOTS]; /* indexes into edges, by tag; open addressing */
};

const char *status_edge_state_text(enum status_edge_state state)
{
    switch (state) {
#define X(name, text)        \
    case STATUS_EDGE_##name: \
        return (text);
        STATUS_EDGE_STATE_LIST(X)
#undef X
    }
    return "unknown";
}

static bool is_taken_out(const struct status_report *report)
{
    return report->flags & (STATUS_DRAINING | STATUS_ADMIN_DOWN | STATUS_LEAVING);
}

bool status_edge_is_usable(const struct status_edge *edge)
{
    if (is_taken_out(&edge->report))
        return false;
    return edge->state == STATUS_EDGE_LIVE || edge->state == STATUS_EDGE_UNHEARD || edge->is_kept;
}

/* --- life --- */

struct status_receiver *status_receiver_new(
    const struct crypto *crypto, const struct key *own_private, uint64_t now_ns,
    void (*on_event)(void *owner, enum status_event_kind kind, const struct status_edge *edge),
    void *owner)
{
    struct status_receiver *receiver = NEW(struct status_receiver);
    receiver->crypto = crypto;
    receiver->own_private = *own_private;
    receiver->started_ns = now_ns;
    receiver->on_event = on_event;
    receiver->owner = owner;
    while (receiver->epoch == 0)
        crypto->random(crypto->random_state, &receiver->epoch, sizeof receiver->epoch);
    memset(receiver->slots, 0xff, sizeof receiver->slots);
    return receiver;
}

static void edge_free(struct status_receiver *receiver, struct edge *edge)
{
    heap_remove(&receiver->timers, &edge->timer);
    aead_free(&edge->report_aead);
    aead_free(&edge->answer_aead);
    aead_free(&edge->measure_aead);
    status_pair_clear(&edge->pair);
    memory_free(edge);
}

void status_receiver_free(struct status_receiver **receiver)
{
    struct status_receiver *own = *receiver;
    *receiver = NULL;
    if (!own)
        return;
    for (size_t i = 0; i < own->count; i++)
        edge_free(own, own->edges[i]);
    heap_clear(&own->timers);
    bytes_wipe(&own->own_private, sizeof own->own_private);
    memory_free(own);
}

/* --- the table of edges --- */

/* Tags of configured edges come from HKDF, so they spread by themselves. */
static struct edge *find_tag(const struct status_receiver *receiver, uint64_t tag)
{
    for (size_t slot = tag % SLOTS; receiver->slots[slot] != NO_EDGE; slot = (slot + 1) % SLOTS) {
        struct edge *edge = receiver->edges[receiver->slots[slot]];
        if (edge->pair.tag == tag)
            return edge;
    }
    return NULL;
}

static void fill_slots(struct status_receiver *receiver)
{
    memset(receiver->slots, 0xff, sizeof receiver->slots);
    for (size_t i = 0; i < receiver->count; i++) {
        size_t slot = receiver->edges[i]->pair.tag % SLOTS;
        while (receiver->slots[slot] != NO_EDGE)
            slot = (slot + 1) % SLOTS;
        receiver->slots[slot] = (uint16_t)i;
    }
}

static size_t find_key(const struct status_receiver *receiver, const struct key *edge_public)
{
    size_t i = 0;
    while (i < receiver->count && !key_equal(&receiver->edges[i]->seen.public_key, edge_public))
        i++;
    return i;
}

int status_receiver_put(struct status_receiver *receiver, const struct key *edge_public,
                        const struct key *pre_shared_key, bool is_edge, uint32_t label,
                        uint64_t now_ns)
{
    size_t at = find_key(receiver, edge_public);
    if (at < receiver->count) {
        receiver->edges[at]->seen.label = label;
        receiver->edges[at]->seen.is_edge = is_edge;
        return 0;
    }
    if (receiver->count == STATUS_EDGES_MAX)
        return ERROR_LIMIT;
    struct status_pair pair;
    int result = status_pair_init(&pair, receiver->crypto, false, &receiver->own_private,
                                  edge_public, pre_shared_key);
    if (result < 0)
        return result;

    struct edge *edge = NEW(struct edge);
    edge->seen.public_key = *edge_public;
    edge->seen.label = label;
    edge->seen.is_edge = is_edge;
    edge->seen.since_ns = now_ns;
    edge->seen.state = STATUS_EDGE_DEAD;
    edge->pair = pair;
    edge->answer_aead = status_answer_aead(receiver->crypto, &pair, receiver->epoch);
    uint64_t grace_ends_ns = receiver->started_ns + STATUS_GRACE_NS;
    if (now_ns < grace_ends_ns) {
        edge->seen.state = STATUS_EDGE_UNHEARD;
        heap_put(&receiver->timers, &edge->timer, grace_ends_ns);
    }
    receiver->edges[receiver->count++] = edge;
    fill_slots(receiver);
    status_pair_clear(&pair);
    return 0;
}

/* --- who is alive --- */

static void tell(struct status_receiver *receiver, enum status_event_kind kind,
                 const struct edge *edge)
{
    if (receiver->on_event)
        receiver->on_event(receiver->owner, kind, edge ? &edge->seen : NULL);
}

static void set_state(struct status_receiver *receiver, struct edge *edge,
                      enum status_edge_state state, uint64_t now_ns)
{
    if (edge->seen.state == state)
        return;
    edge->seen.state = state;
    edge->seen.since_ns = now_ns;
    switch (state) {
    case STATUS_EDGE_UNHEARD:
        break;
    case STATUS_EDGE_LIVE:
        tell(receiver, STATUS_EVENT_LIVE, edge);
        break;
    case STATUS_EDGE_UNWELL:
        tell(receiver, STATUS_EVENT_UNWELL, edge);
        break;
    case STATUS_EDGE_DEAD:
        heap_remove(&receiver->timers, &edge->timer);
        tell(receiver, STATUS_EVENT_DEAD, edge);
        break;
    }
}

static size_t count_present(const struct status_receiver *receiver)
{
    size_t present = 0;
    for (size_t i = 0; i < receiver->count; i++)
        present +=
            receiver->edges[i]->seen.is_edge && receiver->edges[i]->seen.state != STATUS_EDGE_DEAD;
    return present;
}

/* Over half of the edges that were there a moment ago are gone: more likely the network between
 * them and us broke than they. Their answers stay. */
static void consider_fail_open(struct status_receiver *receiver, struct edge *dead, uint64_t now_ns)
{
    if (receiver->is_fail_open) {
        dead->seen.is_kept = true;
        return;
    }
    size_t vanished = 0;
    for (size_t i = 0; i < receiver->count; i++) {
        const struct edge *edge = receiver->edges[i];
        vanished += edge->has_vanished && now_ns - edge->died_ns < STATUS_VANISH_NS;
    }
    if (vanished <= count_present(receiver))
        return;
    for (size_t i = 0; i < receiver->count; i++) {
        struct edge *edge = receiver->edges[i];
        edge->seen.is_kept = edge->has_vanished && now_ns - edge->died_ns < STATUS_VANISH_NS;
    }
    receiver->is_fail_open = true;
    tell(receiver, STATUS_EVENT_FAIL_OPEN, NULL);
}

static void consider_fail_closed(struct status_receiver *receiver)
{
    if (!receiver->is_fail_open)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < receiver->count; i++)
        kept += receiver->edges[i]->seen.is_kept;
    if (kept > count_present(receiver))
        return;
    for (size_t i = 0; i < receiver->count; i++)
        receiver->edges[i]->seen.is_kept = false;
    receiver->is_fail_open = false;
    tell(receiver, STATUS_EVENT_FAIL_CLOSED, NULL);
}

/* Silence for too long. */
static void edge_die(struct status_receiver *receiver, struct edge *edge, uint64_t now_ns)
{
    /* One that was taken out is not missed. One that was never heard says something about us only
     * when nobody was. */
    bool counts = edge->seen.is_edge && !is_taken_out(&edge->seen.report);
    if (edge->seen.state == STATUS_EDGE_UNHEARD && receiver->has_heard)
        counts = false;
    edge->has_vanished = counts;
    edge->died_ns = now_ns;
    set_state(receiver, edge, STATUS_EDGE_DEAD, now_ns);
    if (counts)
        consider_fail_open(receiver, edge, now_ns);
}

void status_receiver_run(struct status_receiver *receiver, uint64_t now_ns)
{
    struct heap_node *first = heap_first(&receiver->timers);
    if (!first || first->key > now_ns)
        return;
    if (now_ns - first->key > STATUS_PERIOD_NS) {
        while ((first = heap_first(&receiver->timers)) && first->key <= now_ns)
            heap_put(&receiver->timers, first, now_ns + STATUS_PERIOD_NS);
        return;
    }
    while ((first = heap_first(&receiver->timers)) && first->key <= now_ns)
        edge_die(receiver, CONTAINER_OF(first, struct edge, timer), now_ns);
}

uint64_t status_receiver_wake(const struct status_receiver *receiver)
{
    const struct heap_node *first = heap_first(&receiver->timers);
    return first ? first->key : UINT64_MAX;
}

void status_receiver_drop(struct status_receiver *receiver, const struct key *edge_public)
{
    size_t at = find_key(receiver, edge_public);
    if (at == receiver->count)
        return;
    edge_free(receiver, receiver->edges[at]);
    receiver->edges[at] = receiver->edges[--receiver->count];
    fill_slots(receiver);
    consider_fail_closed(receiver);
}

/* --- reports --- */

/* The first report that this receiver believes: it is not cut off, so edges that it had given up
 * unheard get their time again. */
static void begin_hearing(struct status_receiver *receiver, uint64_t now_ns)
{
    receiver->has_heard = true;
    for (size_t i = 0; i < receiver->count; i++) {
        struct edge *edge = receiver->edges[i];
        if (edge->seen.state == STATUS_EDGE_DEAD && edge->seen.is_kept) {
            edge->seen.is_kept = edge->has_vanished = false;
            set_state(receiver, edge, STATUS_EDGE_UNHEARD, now_ns);
            heap_put(&receiver->timers, &edge->timer, now_ns + STATUS_GRACE_NS);
        }
    }
}

static enum status_edge_state state_of_report(const struct status_report *report)
{
    if (report->flags & STATUS_LEAVING)
        return STATUS_EDGE_DEAD;
    for (size_t i = 0; i < report->worker_count; i++)
        if (report->worker_age_ms[i] > STATUS_STALL_MS)
            return STATUS_EDGE_UNWELL;
    return STATUS_EDGE_LIVE;
}

static void edge_believe(struct status_receiver *receiver, struct edge *edge,
                         const struct status_report *report, uint64_t now_ns)
{
    receiver->counters.believed++;
    edge->seen.believed++;
    edge->seen.heard_ns = now_ns;
    uint8_t flags_before = edge->seen.report.flags;
    edge->seen.report = *report;
    edge->seen.is_kept = edge->has_vanished = false;
    if (!receiver->has_heard)
        begin_hearing(receiver, now_ns);

    heap_put(&receiver->timers, &edge->timer, now_ns + STATUS_DEAD_NS);
    enum status_edge_state state = state_of_report(report);
    if (state == STATUS_EDGE_DEAD)
        heap_remove(&receiver->timers, &edge->timer);
    set_state(receiver, edge, state, now_ns);
    if (report->flags != flags_before)
        tell(receiver, STATUS_EVENT_FLAGS, edge);
    consider_fail_closed(receiver);
}

/* Authentic, but of another epoch or another process: the edge or we have restarted, or it is a
 * replay. The answer offers the next turn, which only the process that sent the report can take. */
static int edge_answer(struct status_receiver *receiver, struct edge *edge,
                       const struct status_header *report, uint64_t now_ns,
                       uint8_t reply[STATUS_EPOCH_BYTES])
{
    receiver->counters.stale_epoch++;
    if (now_ns - edge->second_started_ns >= SECOND_NS) {
        edge->second_started_ns = now_ns;
        edge->answers_in_second = 0;
    }
    if (edge->answers_in_second == STATUS_EPOCHS_PER_S) {
        receiver->counters.epochs_limited++;
        return ERROR_LIMIT;
    }
    edge->answers_in_second++;
    receiver->counters.epochs_sent++;
    struct epoch_header header = {edge->pair.tag, receiver->epoch, ++edge->answers,
                                  report->incarnation, report->sequence};
    epoch_write(edge->answer_aead, &header, edge->turn + 1, reply);
    return ERROR_AGAIN;
}

int status_receiver_receive(struct status_receiver *receiver, uint64_t now_ns, struct span datagram,
                            uint8_t reply[STATUS_EPOCH_BYTES], const struct status_edge **from)
{
    struct status_header header;
    int result = status_read_header(datagram, &header);
    if (result < 0) {
        receiver->counters.malformed++;
        return result;
    }
    struct edge *edge = find_tag(receiver, header.tag);
    if (!edge) {
        receiver->counters.strangers++;
        return ERROR_NOT_FOUND;
    }

    bool is_known = edge->report_aead && edge->incarnation == header.incarnation;
    struct aead *aead = is_known
                            ? edge->report_aead
                            : status_report_aead(receiver->crypto, &edge->pair, header.incarnation);
    struct status_standing standing = {0};
    struct status_report report;
    result = status_read(aead, datagram, &standing, &report);
    bool follows = is_known && standing.turn == edge->turn && header.sequence > edge->sequence;
    bool takes_over = standing.turn == edge->turn + 1;
    bool had_turn = standing.epoch == receiver->epoch && standing.turn != 0 && !takes_over;
    if (result == ERROR_AUTH) {
        receiver->counters.forged++;
    } else if (result < 0) {
        receiver->counters.malformed++;
    } else if (!is_known && had_turn && edge->seen.state != STATUS_EDGE_DEAD) {
        receiver->counters.superseded++;
        result = ERROR_REPLAY;
    } else if (standing.epoch != receiver->epoch || (!is_known && !takes_over)) {
        result = edge_answer(receiver, edge, &header, now_ns, reply);
    } else if (!follows && !takes_over) {
        receiver->counters.replayed++;
        result = ERROR_REPLAY;
    } else {
        if (takes_over)
            edge->measures = (struct status_window){0};
        edge->turn = standing.turn;
        edge->sequence = header.sequence;
        if (!is_known) {
            aead_free(&edge->report_aead);
            aead_free(&edge->measure_aead);
            edge->report_aead = aead;
            edge->incarnation = header.incarnation;
            edge->seen.incarnations++;
            is_known = true;
        }
        edge_believe(receiver, edge, &report, now_ns);
        if (from)
            *from = &edge->seen;
    }
    if (!is_known)
        aead_free(&aead);
    return result;
}

/* --- measurements --- */

bool status_is_measure(struct span datagram)
{
    return datagram.length && datagram.data[0] == STATUS_TYPE_MEASURE;
}

/* Authentic ones only are counted: strangers cannot use up a node's share. */
static bool is_too_often(struct edge *edge, uint64_t now_ns)
{
    if (now_ns - edge->measure_second_ns >= SECOND_NS) {
        edge->measure_second_ns = now_ns;
        edge->measures_in_second = 0;
    }
    return ++edge->measures_in_second > MEASURE_PER_S;
}

int status_receiver_measure(struct status_receiver *receiver, uint64_t now_ns, struct span datagram,
                            struct measure_message *message, const struct status_edge **from)
{
    struct measure_receiver_counters *counters = &receiver->measure_counters;
    struct status_header header;
    struct status_standing standing;
    int result = measure_read_header(datagram, &header);
    if (result < 0) {
        counters->malformed++;
        return result;
    }
    struct edge *edge = find_tag(receiver, header.tag);
    if (!edge) {
        counters->strangers++;
        return ERROR_NOT_FOUND;
    }
    if (edge->turn == 0 || edge->incarnation != header.incarnation) {
        counters->unexpected++;
        return ERROR_REPLAY;
    }
    if (window_has(&edge->measures, header.sequence)) {
        counters->replayed++;
        return ERROR_REPLAY;
    }
    if (!edge->measure_aead)
        edge->measure_aead = status_measure_aead(receiver->crypto, &edge->pair, header.incarnation);
    result = measure_read(edge->measure_aead, datagram, &standing, message);
    if (result < 0) {
        counters->forged++;
        return result;
    }
    if (standing.epoch != receiver->epoch || standing.turn != edge->turn) {
        counters->unexpected++;
        return ERROR_REPLAY;
    }
    window_take(&edge->measures, header.sequence);
    if (is_too_often(edge, now_ns)) {
        counters->limited++;
        return ERROR_LIMIT;
    }
    counters->believed++;
    *from = &edge->seen;
    return 0;
}

size_t status_receiver_request(struct status_receiver *receiver, const struct key *node_public,
                               const struct measure_message *message,
                               uint8_t out[MEASURE_DATAGRAM_MAX])
{
    size_t at = find_key(receiver, node_public);
    if (at == receiver->count)
        return 0;
    struct edge *edge = receiver->edges[at];
    if (edge->turn == 0 || edge->seen.state == STATUS_EDGE_DEAD)
        return 0;
    receiver->measure_counters.requests_sent++;
    struct request_header header = {edge->pair.tag, receiver->epoch, ++edge->answers,
                                    edge->incarnation};
    return request_write(edge->answer_aead, &header, message, out);
}

/* --- queries --- */

size_t status_receiver_count(const struct status_receiver *receiver)
{
    return receiver->count;
}

const struct status_edge *status_receiver_edge(const struct status_receiver *receiver, size_t index)
{
    INVARIANT(index < receiver->count);
    return &receiver->edges[index]->seen;
}

const struct status_edge *status_receiver_find(const struct status_receiver *receiver,
                                               const struct key *edge_public)
{
    size_t at = find_key(receiver, edge_public);
    return at < receiver->count ? &receiver->edges[at]->seen : NULL;
}

bool status_receiver_is_fail_open(const struct status_receiver *receiver)
{
    return receiver->is_fail_open;
}

const struct status_receiver_counters *
status_receiver_counters(const struct status_receiver *receiver)
{
    return &receiver->counters;
}

const struct measure_receiver_counters *
status_receiver_measure_counters(const struct status_receiver *receiver)
{
    return &receiver->measure_counters;
}
