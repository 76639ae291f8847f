/* SPDX-License-Identifier: Apache-2.0
 *
 * Fills from the side of those who wait: readers stand in an outpost for each worker, which one message wakes, and pull what is there at
 * their own pace. A slow one holds nobody up, unless the answer is not kept.
 */
#include "store/private.h"

/* ---- waking */

static void deliver(struct worker *receiver, struct message *message)
{
    struct outpost *outpost = CONTAINER_OF(message, struct outpost, message);
    struct store_fill *fill = outpost->fill;
    struct list due;
    (void)receiver;
    atomic_store(&outpost->is_woken, false);
    list_init(&due);
    pthread_mutex_lock(&fill->lock);
    while (!list_is_empty(&outpost->readers))
        list_push_back(&due, list_pop_front(&outpost->readers));
    /* One at a time: any of them may close itself or others. */
    for (struct list *item; (item = list_pop_front(&due)) != NULL;) {
        struct store_reader *reader = CONTAINER_OF(item, struct store_reader, link);
        list_push_back(&outpost->readers, item);
        pthread_mutex_unlock(&fill->lock);
        reader->wake(reader);
        pthread_mutex_lock(&fill->lock);
    }
    pthread_mutex_unlock(&fill->lock);
    fill_release(fill);
}

static void discard(struct message *message)
{
    fill_release(CONTAINER_OF(message, struct outpost, message)->fill);
}

void fill_wake(struct store_fill *fill)
{
    for (struct outpost *outpost = fill->outposts; outpost; outpost = outpost->next) {
        if (!outpost->worker || list_is_empty(&outpost->readers) ||
            atomic_exchange(&outpost->is_woken, true))
            continue;
        fill_retain(fill);
        worker_post(outpost->worker, &outpost->message);
    }
}

static struct outpost *outpost_of(struct store_fill *fill, struct worker *worker)
{
    struct outpost *outpost = fill->outposts;
    while (outpost && outpost->worker != worker)
        outpost = outpost->next;
    if (outpost)
        return outpost;
    outpost = NEW(struct outpost);
    outpost->message.deliver = deliver;
    outpost->message.discard = discard;
    outpost->fill = fill;
    outpost->worker = worker;
    list_init(&outpost->readers);
    outpost->next = fill->outposts;
    fill->outposts = outpost;
    return outpost;
}

/* ---- what the filler is told */

static void tell_filler(struct store_fill *fill)
{
    if (!fill->filler || atomic_exchange(&fill->is_change_posted, true))
        return;
    fill_retain(fill);
    worker_post(fill->filler, &fill->change_message);
}

/* Readers have taken something, or one of them left. */
static void tell_of_room(struct store_fill *fill)
{
    bool has_room = atomic_load(&fill->is_room_wanted) && !fill->first &&
                    fill->buffered <= STORE_WINDOW_BYTES / 2;
    if (!has_room && (fill->reader_count || !atomic_load(&fill->is_watched)))
        return;
    atomic_store(&fill->is_room_wanted, false);
    tell_filler(fill);
}

/* They have come, gone or changed. Written before `is_watched` is read, as the filler sets that before it reads this: one of the two sees
 * the other's. */
static void settle_urgency(struct store_fill *fill)
{
    uint8_t urgency = STORE_URGENCY_MOST;
    while (urgency && !fill->waiting[urgency])
        urgency--;
    if (urgency == atomic_load(&fill->urgency))
        return;
    atomic_store(&fill->urgency, urgency);
    if (atomic_load(&fill->is_watched))
        tell_filler(fill);
}

/* ---- coming */

void fill_attach(struct store_fill *fill, struct store_reader *reader)
{
    INVARIANT(!reader->fill);
    fill_retain(fill);
    reader->fill = fill;
    reader->piece = fill->first;
    reader->piece->references++;
    reader->offset = 0;
    reader->has_begun = false;
    fill->reader_count++;
    fill->waiting[reader->urgency]++;
    list_push_back(&outpost_of(fill, worker_current())->readers, &reader->link);
    settle_urgency(fill);
}

void store_reader_set_urgency(struct store_reader *reader, uint8_t urgency)
{
    struct store_fill *fill = reader->fill;
    INVARIANT(urgency <= STORE_URGENCY_MOST);
    if (fill) {
        pthread_mutex_lock(&fill->lock);
        fill->waiting[reader->urgency]--;
        fill->waiting[urgency]++;
        settle_urgency(fill);
        pthread_mutex_unlock(&fill->lock);
    }
    reader->urgency = urgency;
}

/* ---- looking and pulling */

static bool is_mine(const struct store_reader *reader, const struct store_object *object)
{
    uint8_t selector[STORE_SELECTOR_MOST];
    if (!object->rule_length || reader->is_own)
        return true;
    if (!reader->select)
        return false;
    uint32_t length = reader->select(reader->context, store_object_rule(object), selector);
    return length <= STORE_SELECTOR_MOST &&
           span_equal(object_selector(object), span_of(selector, length));
}

static enum store_reader_state begin(struct store_reader *reader, enum store_reader_state state)
{
    if (!reader->has_begun && !is_mine(reader, reader->fill->making))
        return STORE_READER_AGAIN;
    reader->has_begun = true;
    return state;
}

enum store_reader_state store_reader_look(struct store_reader *reader)
{
    struct store_fill *fill = reader->fill;
    if (!fill)
        return STORE_READER_NONE;
    pthread_mutex_lock(&fill->lock);
    enum fill_state state = fill->state;
    bool is_dismissed = fill->is_dismissed && !reader->is_own && !reader->has_begun;
    bool is_cut = fill->is_cut;
    pthread_mutex_unlock(&fill->lock);
    if (is_dismissed)
        return STORE_READER_ALONE;
    if (is_cut)
        return STORE_READER_FAILED;
    switch (state) {
    case FILL_WAITING:
        return STORE_READER_WAITING;
    case FILL_FLOWING: /* from here on `making` stays */
        return begin(reader, STORE_READER_FLOWING);
    case FILL_WHOLE:
        return begin(reader, STORE_READER_WHOLE);
    case FILL_PASSED:
        return STORE_READER_ALONE;
    case FILL_FAILED:
        return STORE_READER_FAILED;
    case FILL_LEFT:
        return reader->has_begun ? STORE_READER_FAILED : STORE_READER_AGAIN;
    }
    return STORE_READER_FAILED;
}

const struct store_object *store_reader_object(const struct store_reader *reader)
{
    return reader->has_begun ? reader->fill->making : NULL;
}

/* Under the lock. */
static bool step(struct store_fill *fill, struct store_reader *reader)
{
    struct fill_piece *piece = reader->piece, *next = piece->next;
    if (!next)
        return false;
    next->references++;
    reader->piece = next;
    reader->offset = 0;
    piece_release(fill, piece);
    return true;
}

uint64_t store_reader_pull(struct store_reader *reader, struct slice_queue *out, uint64_t limit)
{
    struct store_fill *fill = reader->fill;
    uint64_t pulled = 0;
    if (!fill || !reader->has_begun)
        return 0;
    pthread_mutex_lock(&fill->lock);
    while (pulled < limit) {
        const struct fill_piece *piece = reader->piece;
        uint32_t ready = piece->filled - reader->offset;
        if (!ready) {
            if (!step(fill, reader))
                break;
            continue;
        }
        uint32_t part = ready < limit - pulled ? ready : (uint32_t)(limit - pulled);
        struct slice slice = slice_retain(piece->slice);
        slice.offset += reader->offset;
        slice.length = part;
        slice_queue_push(out, slice);
        reader->offset += part;
        pulled += part;
    }
    tell_of_room(fill);
    pthread_mutex_unlock(&fill->lock);
    return pulled;
}

bool store_reader_is_at_end(const struct store_reader *reader)
{
    struct store_fill *fill = reader->fill;
    if (!fill)
        return false;
    pthread_mutex_lock(&fill->lock);
    bool is_at_end = fill->state == FILL_WHOLE && reader->offset == reader->piece->filled &&
                     !reader->piece->next;
    pthread_mutex_unlock(&fill->lock);
    return is_at_end;
}

void store_reader_close(struct store_reader *reader)
{
    struct store_fill *fill = reader->fill;
    if (!fill)
        return;
    pthread_mutex_lock(&fill->lock);
    list_remove(&reader->link);
    fill->reader_count--;
    fill->waiting[reader->urgency]--;
    struct fill_piece *piece = reader->piece;
    reader->piece = NULL;
    piece_release(fill, piece);
    settle_urgency(fill);
    tell_of_room(fill);
    pthread_mutex_unlock(&fill->lock);
    reader->fill = NULL;
    reader->has_begun = false;
    fill_release(fill);
}
