/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan is followed by both ends from what the core tells them: no side looks at the other's state.
 */
#include "workload.h"

#include "base/error.h"
#include "base/memory.h"

#include <endian.h>
#include <string.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { RESET_CODE = TRANSPORT_CODE_TIMEOUT, BLOCK_BYTES = 65536 };

/* Eight bytes of the stream `key` as written by `side`, at `offset` / 8. */
static uint64_t pattern(uint32_t key, int side, uint64_t offset)
{
    uint64_t z = (2ull * key + (unsigned)side) * 0x9e3779b97f4a7c15ull + offset / 8 + 1;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    return z ^ z >> 27;
}

/* Whole words but for the ends: it is done for every byte, twice. */
static void fill(uint8_t *out, size_t length, uint32_t key, int side, uint64_t offset)
{
    enum { WORD = sizeof(uint64_t) };
    while (length > 0) {
        uint64_t word = htole64(pattern(key, side, offset));
        size_t skip = offset % WORD, part = WORD;
        if (skip == 0 && length >= WORD) {
            memcpy(out, &word, WORD);
        } else {
            part = length < WORD - skip ? length : WORD - skip;
            memcpy(out, (const uint8_t *)&word + skip, part);
        }
        out += part;
        offset += part;
        length -= part;
    }
}

static void compare(struct span bytes, uint32_t key, int side, uint64_t offset)
{
    static uint8_t right[BLOCK_BYTES];
    INVARIANT(bytes.length <= sizeof(right));
    fill(right, bytes.length, key, side, offset);
    if (memcmp(bytes.data, right, bytes.length) != 0)
        fail_msg("stream %u: a byte from %llu on is wrong", key, (unsigned long long)offset);
}

static int side_of(const struct sim_end *end)
{
    const struct workload *workload = end->application.context;
    return end == &workload->pair->edge ? EDGE_SIDE : GATEWAY_SIDE;
}

static uint64_t sim_now(const struct workload *workload)
{
    return workload->pair->edge.node.sim->now_ns;
}

static void finish_side(struct workload *workload, struct stream_side *at, bool is_reset,
                        uint32_t code)
{
    at->is_over = true;
    at->is_reset = is_reset;
    at->code = code;
    at->over_ns = sim_now(workload);
    transport_stream_release(at->stream);
    at->stream = NULL;
}

static void open_stream(struct workload *workload, struct sim_end *end, uint32_t key)
{
    const struct stream_plan *plan = &workload->plans[key];
    struct stream_side *at = &workload->sides[side_of(end)][key];
    struct transport_open open = {.port = 443,
                                  .ring = plan->ring,
                                  .weight = plan->weight,
                                  .site = plan->site,
                                  .client = {.family = 4, .port = (uint16_t)key}};
    if (transport_stream_open(end->transport, &open, &at->stream) != 0)
        return; /* not up (again) yet */
    transport_stream_set_owner(at->stream, at);
    at->can_write = true;
    at->opened_ns = sim_now(workload);
}

static void write_stream(struct workload *workload, int side, uint32_t key)
{
    const struct stream_plan *plan = &workload->plans[key];
    struct stream_side *at = &workload->sides[side][key];
    static uint8_t block[BLOCK_BYTES];
    uint64_t room;
    while (at->can_write && at->written < plan->bytes[side] &&
           (room = transport_stream_room(at->stream)) > 0) {
        uint64_t length = plan->bytes[side] - at->written;
        if (length > plan->chunk[side])
            length = plan->chunk[side];
        if (length > room)
            length = room;
        struct slice_queue bytes = {0};
        fill(block, (uint32_t)length, key, side, at->written);
        slice_queue_append(&bytes, span_of(block, length));
        transport_stream_write(at->stream, &bytes);
        slice_queue_clear(&bytes);
        at->written += length;
        if (plan->changes_ring && side == plan->opener && at->written >= plan->bytes[side] / 2 &&
            at->written - length < plan->bytes[side] / 2)
            transport_stream_set_ring(at->stream, plan->later_ring, plan->weight);
    }
    if (at->written < plan->bytes[side]) {
        at->can_write = false; /* until WRITABLE */
    } else if (!at->is_finished) {
        at->is_finished = true;
        transport_stream_finish(at->stream);
    }
}

static bool wants_to_read(const struct stream_side *at)
{
    return at->stream && (at->can_read || at->unconsumed > 0);
}

static void check_and_drop(struct workload *workload, struct slice_queue *bytes, int side,
                           uint32_t key)
{
    struct stream_side *at = &workload->sides[side][key];
    while (bytes->bytes > 0) {
        struct span front = slice_queue_front(bytes);
        compare(front, key, !side, at->read);
        at->read += front.length;
        workload->bytes_checked += front.length;
        slice_queue_consume(bytes, front.length);
    }
    slice_queue_clear(bytes);
}

static void read_stream(struct workload *workload, int side, uint32_t key)
{
    const struct stream_plan *plan = &workload->plans[key];
    struct stream_side *at = &workload->sides[side][key];
    uint64_t now_ns = sim_now(workload);
    if (!wants_to_read(at) || now_ns < at->next_read_ns)
        return;
    at->next_read_ns = now_ns + plan->read_pause_ns[side];
    if (at->unconsumed > 0)
        transport_stream_consume(at->stream, at->unconsumed);
    at->unconsumed = 0;
    if (!at->can_read)
        return;
    struct slice_queue bytes = {0};
    bool ended = false;
    transport_stream_read(at->stream, &bytes, plan->read_limit[side], &ended);
    uint64_t length = bytes.bytes;
    assert_true(length <= plan->read_limit[side]);
    check_and_drop(workload, &bytes, side, key);
    if (plan->consumes_late[side])
        at->unconsumed = length;
    else if (length > 0)
        transport_stream_consume(at->stream, length);
    if (ended && !at->is_ended) {
        at->is_ended = true;
        at->ended_ns = now_ns;
    }
    if (ended || length < plan->read_limit[side])
        at->can_read = false; /* until READABLE */
}

static void maybe_reset(struct workload *workload, int side, uint32_t key)
{
    const struct stream_plan *plan = &workload->plans[key];
    struct stream_side *at = &workload->sides[side][key];
    if (plan->resetter != side || at->written + at->read < plan->reset_after_bytes)
        return;
    transport_stream_reset(at->stream, RESET_CODE);
    finish_side(workload, at, true, RESET_CODE);
}

static void on_event(struct sim_end *end, const struct transport_event *event)
{
    struct workload *workload = end->application.context;
    int side = side_of(end);
    struct stream_side *at = event->owner;
    switch (event->kind) {
    case TRANSPORT_EVENT_UP:
    case TRANSPORT_EVENT_RING:
        break;
    case TRANSPORT_EVENT_DOWN:
        if (!workload->expects_loss)
            fail_msg("the link went down");
        break;
    case TRANSPORT_EVENT_OPENED: {
        uint32_t key = event->open->client.port;
        assert_true(key < workload->count);
        assert_int_equal(event->open->port, 443);
        assert_true(workload->plans[key].opener != side);
        at = &workload->sides[side][key];
        assert_null(at->stream);
        assert_false(at->is_over);
        at->stream = event->stream;
        at->can_write = at->can_read = true;
        at->opened_ns = sim_now(workload);
        transport_stream_set_owner(at->stream, at);
        break;
    }
    case TRANSPORT_EVENT_READABLE:
        at->can_read = true;
        break;
    case TRANSPORT_EVENT_WRITABLE:
        at->can_write = true;
        break;
    case TRANSPORT_EVENT_RESET:
        finish_side(workload, at, true, event->code);
        break;
    case TRANSPORT_EVENT_DONE:
        finish_side(workload, at, false, 0);
        break;
    }
}

/* One turn of a side's streams; when it wants the next. */
static uint64_t run_side(struct sim_end *end)
{
    struct workload *workload = end->application.context;
    int side = side_of(end);
    uint64_t now_ns = sim_now(workload), next_ns = SIM_NEVER;
    for (uint32_t key = workload->active_from; key < workload->count; key++) {
        const struct stream_plan *plan = &workload->plans[key];
        struct stream_side *at = &workload->sides[side][key];
        if (at->is_over)
            continue;
        if (!at->stream) {
            uint64_t open_ns = workload->start_ns + plan->open_ns;
            if (plan->opener != side)
                continue;
            if (now_ns < open_ns) {
                next_ns = open_ns < next_ns ? open_ns : next_ns;
                continue;
            }
            open_stream(workload, end, key);
            if (!at->stream)
                continue;
        }
        write_stream(workload, side, key);
        read_stream(workload, side, key);
        if (wants_to_read(at) && at->next_read_ns < next_ns)
            next_ns = at->next_read_ns;
        maybe_reset(workload, side, key);
    }
    return next_ns;
}

void workload_init(struct workload *workload, struct sim_pair *pair)
{
    *workload = (struct workload){.pair = pair, .start_ns = pair->edge.node.sim->now_ns};
    struct sim_application application = {.on_event = on_event,
                                          .run = run_side,
                                          .context = workload};
    pair->edge.application = pair->gateway.application = application;
}

struct stream_plan *workload_add(struct workload *workload, int opener, uint64_t bytes_up,
                                 uint64_t bytes_back)
{
    INVARIANT(workload->count < WORKLOAD_STREAMS_MAX);
    struct stream_plan *plan = &workload->plans[workload->count++];
    *plan = (struct stream_plan){
        .opener = opener,
        .chunk = {BLOCK_BYTES, BLOCK_BYTES},
        .read_limit = {UINT32_MAX, UINT32_MAX},
        .resetter = -1,
        .ring = 2,
        .weight = 16,
    };
    plan->bytes[opener] = bytes_up;
    plan->bytes[!opener] = bytes_back;
    return plan;
}

void workload_add_random(struct workload *workload, struct random *random, uint32_t streams)
{
    for (uint32_t i = 0; i < streams; i++) {
        static const uint32_t sizes[] = {0, 1, 600, 5000, 20000, 60000, 150000};
        uint64_t up = random_below(random, sizes[random_below(random, 7)] + 1ull);
        uint64_t back = random_below(random, sizes[random_below(random, 7)] + 1ull);
        struct stream_plan *plan = workload_add(workload, (int)random_below(random, 2), up, back);
        plan->open_ns = random_below(random, 2 * SIM_SECOND);
        plan->ring = (uint8_t)random_below(random, TRANSPORT_RINGS);
        plan->later_ring = (uint8_t)random_below(random, TRANSPORT_RINGS);
        plan->site = (uint16_t)random_below(random, 4);
        plan->changes_ring = random_below(random, 4) == 0;
        plan->weight = (uint8_t)(1 + random_below(random, 255));
        for (int side = 0; side < 2; side++) {
            if (random_below(random, 2))
                plan->chunk[side] = 1 + (uint32_t)random_below(random, 20000);
            if (random_below(random, 3) == 0) {
                plan->read_limit[side] = 500 + (uint32_t)random_below(random, 20000);
                plan->read_pause_ns[side] = random_below(random, 20 * SIM_MS) + 1;
                plan->consumes_late[side] = random_below(random, 2);
            }
        }
        if (random_below(random, 6) == 0) {
            plan->resetter = (int)random_below(random, 2);
            plan->reset_after_bytes = random_below(random, up + back + 1);
        }
    }
}

/* Over at both ends; an acceptor that has never heard of a stream that was reset is over, too. */
static bool is_stream_over(const struct workload *workload, uint32_t key)
{
    int opener = workload->plans[key].opener;
    const struct stream_side *own = &workload->sides[opener][key];
    const struct stream_side *other = &workload->sides[!opener][key];
    return own->is_over && (other->is_over || (!other->stream && own->is_reset));
}

static bool is_over(void *context)
{
    struct workload *workload = context;
    while (workload->active_from < workload->count &&
           is_stream_over(workload, workload->active_from))
        workload->active_from++;
    return workload->active_from == workload->count;
}

bool workload_run(struct workload *workload, uint64_t for_ns)
{
    struct sim *sim = workload->pair->edge.node.sim;
    return sim_run(sim, sim->now_ns + for_ns, is_over, workload);
}

static void check_side(const struct workload *workload, uint32_t key, int side)
{
    const struct stream_plan *plan = &workload->plans[key];
    const struct stream_side *at = &workload->sides[side][key];
    if (!at->is_over) {
        const struct stream_side *other = &workload->sides[!side][key];
        if (at->stream || !other->is_reset)
            fail_msg("stream %u, side %d: not over (written %llu of %llu, read %llu of %llu)", key,
                     side, (unsigned long long)at->written, (unsigned long long)plan->bytes[side],
                     (unsigned long long)at->read, (unsigned long long)plan->bytes[!side]);
        return;
    }
    if (!at->is_reset) {
        if (!at->is_ended || at->read != plan->bytes[!side] || at->written != plan->bytes[side])
            fail_msg("stream %u, side %d: done too early", key, side);
        return;
    }
    if (at->code == TRANSPORT_CODE_LINK_LOST && workload->expects_loss)
        return;
    if (plan->resetter < 0 || at->code != RESET_CODE)
        fail_msg("stream %u, side %d: reset with %u for no reason", key, side, at->code);
}

void workload_check(const struct workload *workload)
{
    for (uint32_t key = 0; key < workload->count; key++) {
        check_side(workload, key, EDGE_SIDE);
        check_side(workload, key, GATEWAY_SIDE);
    }
}

uint64_t workload_bytes_read(const struct workload *workload)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < workload->count; i++)
        sum += workload->sides[EDGE_SIDE][i].read + workload->sides[GATEWAY_SIDE][i].read;
    return sum;
}

uint64_t workload_longest_stall_ms(struct workload *workload, uint64_t for_ms)
{
    enum { STEP_MS = 10 };
    struct sim *sim = &workload->pair->sim;
    uint64_t longest = 0, since = 0, last = workload_bytes_read(workload);
    for (uint64_t i = 0; i < for_ms / STEP_MS; i++) {
        sim_run(sim, sim->now_ns + STEP_MS * SIM_MS, NULL, NULL);
        uint64_t bytes = workload_bytes_read(workload);
        since = bytes == last ? since + STEP_MS : 0;
        longest = since > longest ? since : longest;
        last = bytes;
    }
    return longest;
}
