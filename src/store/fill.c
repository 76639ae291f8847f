/* SPDX-License-Identifier: Apache-2.0
 *
 * Fills from the side of who fetches: the body is copied into pieces, a list along which readers go at their own pace; the fill holds the first
 * piece for as long as the answer is to be kept, and lets go of it where it is not: then a piece is freed when the last reader has passed it, and
 * the source is held up while too much is behind (STORE_WINDOW_BYTES).
 */
#include "store/disk.h"

enum {
    PIECE_FIRST = 4096, /* where the length is not known, pieces grow */
    PIECE_MOST = 65536,
};
#define PASS_LARGE_NS (60ull * 1000000000) /* what was too large likely is so again */

/* ---- pieces, under the fill's lock */

static struct fill_piece *piece_new(struct store_fill *fill, uint32_t bytes)
{
    struct fill_piece *piece = NEW(struct fill_piece);
    piece->references = 1;
    piece->charge = heap_bytes(sizeof *piece);
    if (bytes) {
        struct chunk *chunk = chunk_new_sized(bytes);
        chunk->filled = bytes; /* nobody appends: what is behind `filled` of the piece is ours */
        piece->slice = (struct slice){chunk, 0, bytes};
        piece->charge += heap_bytes(sizeof *chunk + bytes);
    }
    fill->buffered += bytes;
    store_charge(fill->store, piece->charge);
    atomic_fetch_add_explicit(&fill->store->fill_bytes, piece->charge, memory_order_relaxed);
    return piece;
}

static void piece_discharge(struct store_fill *fill, struct fill_piece *piece)
{
    store_discharge(fill->store, piece->charge);
    atomic_fetch_sub_explicit(&fill->store->fill_bytes, piece->charge, memory_order_relaxed);
    piece->charge = 0;
}

void piece_release(struct store_fill *fill, struct fill_piece *piece)
{
    while (piece && !--piece->references) {
        struct fill_piece *next = piece->next;
        fill->buffered -= piece->slice.length;
        piece_discharge(fill, piece);
        slice_release(&piece->slice);
        memory_free(piece);
        piece = next;
    }
}

static void append_piece(struct store_fill *fill, struct fill_piece *piece)
{
    struct fill_piece *last = fill->last;
    last->next = piece; /* takes the first reference */
    piece->references++;
    fill->last = piece;
    piece_release(fill, last);
}

static uint32_t piece_size(const struct store_fill *fill)
{
    if (fill->length >= 0 && (uint64_t)fill->length > fill->received) {
        uint64_t rest = (uint64_t)fill->length - fill->received;
        return rest < PIECE_MOST ? (uint32_t)rest : PIECE_MOST;
    }
    uint64_t size = fill->received < PIECE_FIRST ? PIECE_FIRST : fill->received;
    return size < PIECE_MOST ? (uint32_t)size : PIECE_MOST;
}

/* From now on pieces go as readers pass them. */
static void let_pieces_go(struct store_fill *fill)
{
    struct fill_piece *first = fill->first;
    fill->first = NULL;
    fill->cut_at = fill->buffered + STORE_BEHIND_MOST;
    piece_release(fill, first);
}

/* For the store as a whole. */
static bool is_too_much(const struct store_fill *fill)
{
    const struct store *store = fill->store;
    return fill->received > store->options.object_bytes_most ||
           atomic_load_explicit(&store->fill_bytes, memory_order_relaxed) >
               store->options.memory_bytes / 4 * FILLS_PART;
}

/* ---- life */

static void deliver_change(struct worker *receiver, struct message *message)
{
    struct store_fill *fill = CONTAINER_OF(message, struct store_fill, change_message);
    (void)receiver;
    atomic_store(&fill->is_change_posted, false);
    if (fill->changed)
        fill->changed(fill->change_context);
    fill_release(fill);
}

static void discard_change(struct message *message)
{
    fill_release(CONTAINER_OF(message, struct store_fill, change_message));
}

static struct store_fill *fill_new(struct store *store, struct shard *shard, uint64_t hash,
                                   const struct store_query *query, const struct choice *choice)
{
    struct store_fill *fill = NEW(struct store_fill);
    fill->node.hash = hash;
    fill->store = store;
    fill->shard = shard;
    fill->site = query->site;
    fill->order = atomic_load_explicit(&store->newest, memory_order_acquire);
    fill->key = memory_raw(query->key.length + choice->rule_length + choice->selector_length + 1);
    memcpy(fill->key, query->key.data, query->key.length);
    fill->key_span = span_of(fill->key, query->key.length);
    uint8_t *rule = fill->key + query->key.length;
    memcpy(rule, choice->rule, choice->rule_length);
    fill->rule = span_of(rule, choice->rule_length);
    memcpy(rule + choice->rule_length, choice->selector, choice->selector_length);
    fill->selector = span_of(rule + choice->rule_length, choice->selector_length);
    atomic_init(&fill->is_linked, true);
    atomic_init(&fill->references, 2); /* the table's and the filler's */
    pthread_mutex_init(&fill->lock, NULL);
    fill->first = fill->last = piece_new(fill, 0);
    fill->last->references++;
    fill->length = STORE_LENGTH_UNKNOWN;
    fill->last_byte_ns = query->now_ns;
    fill->filler = worker_current();
    fill->change_message.deliver = deliver_change;
    fill->change_message.discard = discard_change;
    atomic_fetch_add_explicit(&store->fills, 1, memory_order_relaxed);
    return fill;
}

void fill_retain(struct store_fill *fill)
{
    atomic_fetch_add_explicit(&fill->references, 1, memory_order_relaxed);
}

void fill_release(struct store_fill *fill)
{
    if (atomic_fetch_sub_explicit(&fill->references, 1, memory_order_acq_rel) != 1)
        return;
    for (struct outpost *outpost = fill->outposts, *next; outpost; outpost = next) {
        next = outpost->next;
        INVARIANT(list_is_empty(&outpost->readers));
        memory_free(outpost);
    }
    piece_release(fill, fill->first);
    piece_release(fill, fill->last);
    store_object_release(fill->store, &fill->making);
    pthread_mutex_destroy(&fill->lock);
    atomic_fetch_sub_explicit(&fill->store->fills, 1, memory_order_relaxed);
    memory_free(fill->key);
    memory_free(fill);
}

/* The filler and whoever unlinks it hold references: this is never the last one. */
void fill_unlink(struct store_fill *fill)
{
    if (!atomic_load(&fill->is_linked))
        return;
    table_remove(&fill->shard->fills, &fill->node);
    atomic_store(&fill->is_linked, false);
    atomic_fetch_sub_explicit(&fill->references, 1, memory_order_relaxed);
}

/* ---- joining */

static bool is_same(const struct store_fill *fill, const struct store_query *query,
                    const struct choice *choice)
{
    return fill->site == query->site && span_equal(fill->key_span, query->key) &&
           span_equal(fill->rule, span_of(choice->rule, choice->rule_length)) &&
           span_equal(fill->selector, span_of(choice->selector, choice->selector_length));
}

/* False: it cannot be waited for. */
static bool attach(struct store_fill *fill, const struct store_query *query,
                   struct store_reader *reader)
{
    bool is_open;
    pthread_mutex_lock(&fill->lock);
    is_open = fill->first && fill->reader_count < fill->store->options.waiters_most &&
              query->now_ns < fill->last_byte_ns + fill->store->options.stall_ns;
    if (is_open) {
        reader->select = query->select;
        reader->context = query->context;
        reader->is_own = false;
        fill_attach(fill, reader);
        if (fill->state != FILL_WAITING)
            fill_wake(fill); /* there is something to look at */
    }
    pthread_mutex_unlock(&fill->lock);
    return is_open;
}

static struct store_fill *find_fill(const struct shard *shard, uint64_t hash,
                                    const struct store_query *query, const struct choice *choice)
{
    for (struct table_node *node = NULL; (node = table_next(&shard->fills, hash, node)) != NULL;) {
        struct store_fill *fill = CONTAINER_OF(node, struct store_fill, node);
        if (is_same(fill, query, choice))
            return fill;
    }
    return NULL;
}

/* Under the shard's lock: whether a mark says that answers are not for keeping. */
static bool is_passed(struct store *store, struct shard *shard, uint64_t hash,
                      const struct store_query *query, struct store_object **gone)
{
    struct store_object *mark = shard_object(shard, hash, query, NULL);
    while (mark && !mark->is_pass)
        mark = shard_object(shard, hash, query, mark);
    if (!mark)
        return false;
    if (query->now_ns < mark->pass_until_ns && purge_spares(store, shard, mark))
        return true;
    shard_unlink(store, shard, mark);
    mark->node.next = *gone ? &(*gone)->node : NULL;
    *gone = mark;
    return false;
}

static bool load_locked(struct store *store, struct shard *shard, uint64_t hash,
                        const struct store_query *query, const struct choice *choice,
                        struct store_fill *fill, struct store_reader *reader)
{
    uint64_t place;
    if (fill || !disk_find(store->disk, query->key, choice, &place))
        return fill && fill->is_load && attach(fill, query, reader);
    fill = fill_new(store, shard, hash, query, choice);
    table_add(&shard->fills, &fill->node);
    fill->is_load = true;
    (void)attach(fill, query, reader);
    disk_load(store->disk, fill, place);
    return true;
}

static enum store_role join_locked(struct store *store, struct shard *shard, uint64_t hash,
                                   const struct store_query *query, const struct choice *choice,
                                   const struct store_object *seen, struct store_reader *reader,
                                   struct store_joined *joined, struct store_object **gone)
{
    struct store_object *object = shard_find(store, shard, hash, query, choice, gone);
    if (object && object != seen && !store_object_is_purged(object)) {
        joined->object = store_object_retain(object);
        store->policy->touch(shard->policy, &object->policy);
        return STORE_FOUND;
    }
    if (choice->is_none || is_passed(store, shard, hash, query, gone))
        return STORE_ALONE;
    struct store_fill *fill = find_fill(shard, hash, query, choice);
    if (fill)
        return attach(fill, query, reader) ? STORE_WAIT : STORE_ALONE;
    if (atomic_load_explicit(&store->fill_bytes, memory_order_relaxed) >
        store->options.memory_bytes / FILLS_SHARE)
        return STORE_ALONE;
    if (!object && store->disk && load_locked(store, shard, hash, query, choice, NULL, reader))
        return STORE_WAIT;
    fill = fill_new(store, shard, hash, query, choice);
    table_add(&shard->fills, &fill->node);
    joined->fill = fill;
    return STORE_FILL;
}

enum store_role store_recall(struct store *store, const struct store_query *query,
                             struct store_reader *reader)
{
    if (!store->disk || query->key.length > STORE_KEY_MOST)
        return STORE_ALONE;
    uint64_t hash = store_hash(store, query->key);
    struct shard *shard = store_shard(store, hash);
    struct choice choice;
    shard_choose(shard, hash, query, &choice);
    bool is_there = !choice.is_none && load_locked(store, shard, hash, query, &choice,
                                                   find_fill(shard, hash, query, &choice), reader);
    shard->counts.waits += is_there;
    pthread_mutex_unlock(&shard->lock);
    return is_there ? STORE_WAIT : STORE_ALONE;
}

enum store_role store_join(struct store *store, const struct store_query *query,
                           const struct store_object *seen, struct store_reader *reader,
                           struct store_joined *joined)
{
    *joined = (struct store_joined){0};
    if (query->key.length > STORE_KEY_MOST)
        return STORE_ALONE;
    uint64_t hash = store_hash(store, query->key);
    struct shard *shard = store_shard(store, hash);
    struct store_object *gone = NULL;
    struct choice choice;
    shard_choose(shard, hash, query, &choice);
    enum store_role role =
        join_locked(store, shard, hash, query, &choice, seen, reader, joined, &gone);
    shard->counts.waits += role == STORE_WAIT;
    shard->counts.alone += role == STORE_ALONE;
    pthread_mutex_unlock(&shard->lock);
    store_release_chain(store, gone);
    return role;
}

/* ---- the end of a fill */

static void unlink_it(struct store_fill *fill)
{
    pthread_mutex_lock(&fill->shard->lock);
    fill_unlink(fill);
    pthread_mutex_unlock(&fill->shard->lock);
}

/* It is unlinked: nobody joins any more. Releases the filler's reference. */
static void conclude(struct store_fill **pointer, enum fill_state state)
{
    struct store_fill *fill = *pointer;
    struct store *store = fill->store;
    *pointer = NULL;
    fill->changed = NULL;
    atomic_store(&fill->is_watched, false);
    pthread_mutex_lock(&fill->lock);
    fill->state = state;
    fill_wake(fill);
    pthread_mutex_unlock(&fill->lock);
    if (state == FILL_FAILED || (state == FILL_LEFT && !fill->is_load))
        atomic_fetch_add_explicit(&store->failed_fills, 1, memory_order_relaxed);
    if (state == FILL_PASSED)
        atomic_fetch_add_explicit(&store->passed_fills, 1, memory_order_relaxed);
    fill_release(fill);
    store_make_room(store);
}

void store_fill_fail(struct store_fill **pointer)
{
    if (!*pointer)
        return;
    unlink_it(*pointer);
    conclude(pointer, FILL_FAILED);
}

void store_fill_leave(struct store_fill **pointer)
{
    if (!*pointer)
        return;
    unlink_it(*pointer);
    conclude(pointer, FILL_LEFT);
}

void store_fill_pass(struct store_fill **pointer, uint64_t now_ns, uint64_t pass_ns)
{
    struct store_fill *fill = *pointer;
    struct store_object *mark = NULL, *gone = NULL;
    if (!fill)
        return;
    if (pass_ns) {
        mark = object_new(fill->store, fill->site, fill->node.hash, fill->key_span, NULL);
        mark->is_pass = true;
        mark->pass_until_ns = now_ns + pass_ns;
        mark->order = fill->order;
    }
    pthread_mutex_lock(&fill->shard->lock);
    if (mark && atomic_load(&fill->is_linked)) {
        gone = shard_keep(fill->store, fill->shard, mark);
        mark = NULL;
    }
    fill_unlink(fill);
    pthread_mutex_unlock(&fill->shard->lock);
    store_release_chain(fill->store, gone);
    store_object_release(fill->store, &mark);
    conclude(pointer, FILL_PASSED);
}

/* Takes the reference; kept unless a purge, or a stall, unlinked the fill. */
static void keep(struct store_fill *fill, struct store_object *object)
{
    struct store_object *gone = NULL;
    object->order = fill->order;
    pthread_mutex_lock(&fill->shard->lock);
    if (atomic_load(&fill->is_linked)) {
        gone = shard_keep(fill->store, fill->shard, object);
        object = NULL;
    }
    fill_unlink(fill);
    pthread_mutex_unlock(&fill->shard->lock);
    store_release_chain(fill->store, gone);
    store_object_release(fill->store, &object);
}

/* The same, and written to disk. */
static void keep_and_write(struct store_fill *fill, struct store_object *object)
{
    if (!fill->store->disk) {
        keep(fill, object);
        return;
    }
    keep(fill, store_object_retain(object));
    disk_write(fill->store->disk, object);
    store_object_release(fill->store, &object);
}

void fill_loaded(struct store_fill **pointer, struct store_object *object)
{
    if (object)
        keep(*pointer, object);
    else
        unlink_it(*pointer);
    conclude(pointer, FILL_LEFT);
}

/* ---- what comes in */

int store_fill_answer(struct store_fill **pointer, const struct store_answer *answer,
                      int64_t length, uint64_t now_ns)
{
    struct store_fill *fill = *pointer;
    INVARIANT(fill->state == FILL_WAITING);
    if (!object_answer_fits(answer) ||
        (length > 0 && (uint64_t)length > fill->store->options.object_bytes_most)) {
        store_fill_pass(pointer, now_ns, PASS_LARGE_NS);
        return ERROR_LIMIT;
    }
    struct store_object *making =
        object_new(fill->store, fill->site, fill->node.hash, fill->key_span, answer);
    object_set_small(fill->store, making, answer->head, NULL, 0, 0);
    pthread_mutex_lock(&fill->shard->lock);
    pthread_mutex_lock(&fill->lock);
    fill->making = making;
    fill->rule = store_object_rule(making);
    fill->selector = object_selector(making);
    fill->length = length;
    fill->last_byte_ns = now_ns;
    fill->state = FILL_FLOWING;
    fill_wake(fill);
    pthread_mutex_unlock(&fill->lock);
    pthread_mutex_unlock(&fill->shard->lock);
    return 0;
}

void store_fill_data(struct store_fill *fill, struct span data, uint64_t now_ns)
{
    INVARIANT(fill->state == FILL_FLOWING);
    pthread_mutex_lock(&fill->lock);
    fill->last_byte_ns = now_ns;
    while (data.length) {
        struct fill_piece *last = fill->last;
        uint32_t room = last->slice.length - last->filled;
        if (!room) {
            append_piece(fill, piece_new(fill, piece_size(fill)));
            continue;
        }
        uint32_t part = data.length < room ? (uint32_t)data.length : room;
        memcpy(last->slice.chunk->data + last->filled, data.data, part);
        last->filled += part;
        fill->received += part;
        data = span_from(data, part);
    }
    bool is_too_large = is_too_much(fill);
    if (fill->first && (is_too_large || !atomic_load(&fill->is_linked)))
        let_pieces_go(fill);
    fill->is_cut |= !fill->first && fill->buffered > fill->cut_at;
    fill_wake(fill);
    pthread_mutex_unlock(&fill->lock);
    if (is_too_large)
        unlink_it(fill);
    store_make_room(fill->store);
}

uint64_t store_fill_room(struct store_fill *fill)
{
    uint64_t room = STORE_WINDOW_BYTES;
    pthread_mutex_lock(&fill->lock);
    if (!fill->first)
        room = fill->buffered < STORE_WINDOW_BYTES ? STORE_WINDOW_BYTES - fill->buffered : 0;
    atomic_store(&fill->is_room_wanted, !room);
    pthread_mutex_unlock(&fill->lock);
    return room;
}

uint8_t store_fill_urgency(const struct store_fill *fill)
{
    return atomic_load(&fill->urgency);
}

void store_fill_watch(struct store_fill *fill, void (*changed)(void *context), void *context)
{
    fill->changed = changed;
    fill->change_context = context;
    atomic_store(&fill->is_watched, true);
}

bool store_fill_is_read(struct store_fill *fill)
{
    pthread_mutex_lock(&fill->lock);
    bool is_read = fill->reader_count > 0;
    pthread_mutex_unlock(&fill->lock);
    return is_read;
}

bool store_fill_is_kept(struct store_fill *fill)
{
    return fill->first && atomic_load(&fill->is_linked);
}

void store_fill_read(struct store_fill *fill, struct store_reader *reader)
{
    pthread_mutex_lock(&fill->lock);
    INVARIANT(!fill->received && fill->first);
    reader->select = NULL;
    reader->is_own = true;
    fill_attach(fill, reader);
    pthread_mutex_unlock(&fill->lock);
}

/* The filled parts; *count of them. To be freed. Pieces no longer pay for chunks that an object takes over. */
static struct slice *collect(struct store_fill *fill, uint32_t *count)
{
    struct slice *slices = NULL;
    *count = 0;
    for (struct fill_piece *piece = fill->first; piece; piece = piece->next)
        *count += piece->filled > 0;
    if (!*count)
        return NULL;
    slices = memory_resize(NULL, *count, sizeof *slices);
    uint32_t filled = 0;
    for (struct fill_piece *piece = fill->first; piece; piece = piece->next)
        if (piece->filled)
            slices[filled++] = (struct slice){piece->slice.chunk, 0, piece->filled};
    return slices;
}

/* A last chunk with much room left gives way to one of the right size. */
static struct slice trim(struct slice *last)
{
    if (last->chunk->capacity - last->length <= last->chunk->capacity / 8)
        return slice_retain(*last);
    struct chunk *chunk = chunk_new_sized(last->length);
    memcpy(chunk->data, slice_data(last), last->length);
    chunk->filled = last->length;
    return (struct slice){chunk, 0, last->length};
}

static struct store_object *make_object(struct store_fill *fill)
{
    const struct store_object *making = fill->making;
    struct store_object *object = object_again(fill->store, making);
    uint32_t count;
    struct slice *slices = collect(fill, &count);
    struct slice last = {0};
    if (count)
        last = slices[count - 1] = trim(&slices[count - 1]);
    object_set_body(fill->store, object, store_object_head(making), slices, count, fill->received);
    slice_release(&last);
    memory_free(slices);
    return object;
}

void store_fill_end(struct store_fill **pointer)
{
    struct store_fill *fill = *pointer;
    INVARIANT(fill->state == FILL_FLOWING);
    if (fill->length >= 0 && fill->received != (uint64_t)fill->length) {
        store_fill_fail(pointer);
        return;
    }
    if (fill->first && atomic_load(&fill->is_linked)) {
        struct store_object *object = make_object(fill);
        if (object->slice_count > 1 || object->body_bytes > SMALL_BYTES) {
            pthread_mutex_lock(&fill->lock);
            for (struct fill_piece *piece = fill->first; piece; piece = piece->next)
                piece_discharge(fill, piece);
            pthread_mutex_unlock(&fill->lock);
        }
        keep_and_write(fill, object);
    } else {
        unlink_it(fill);
    }
    conclude(pointer, FILL_WHOLE);
}

void store_fill_refresh(struct store_fill **pointer, const struct store_object *old,
                        const struct store_answer *answer)
{
    struct store_fill *fill = *pointer;
    struct store *store = fill->store;
    INVARIANT(fill->state == FILL_WAITING);
    if (!object_answer_fits(answer)) {
        store_fill_fail(pointer);
        return;
    }
    struct store_object *object =
        object_new(store, fill->site, fill->node.hash, fill->key_span, answer);
    object_set_body(store, object, answer->head, object_slices(old), old->slice_count,
                    old->body_bytes);
    object->is_renewed = true;
    keep_and_write(fill, store_object_retain(object));
    pthread_mutex_lock(&fill->lock);
    fill->making = object;
    for (uint32_t i = 0; i < object->slice_count; i++) {
        struct fill_piece *piece = piece_new(fill, 0);
        piece->slice = slice_retain(object_slices(object)[i]);
        piece->filled = piece->slice.length;
        fill->buffered += piece->slice.length;
        append_piece(fill, piece);
    }
    pthread_mutex_unlock(&fill->lock);
    conclude(pointer, FILL_WHOLE);
}

/* ---- those that stall */

void fills_look(struct store *store, uint64_t now_ns)
{
    struct shard *shard = &store->shards[store->stall_shard];
    store->stall_shard = (store->stall_shard + 1) & (store->shard_count - 1);
    pthread_mutex_lock(&shard->lock);
    for (uint64_t i = 0; shard->fills.count && i < shard->fills.chains; i++)
        for (struct table_node *node = table_chain(&shard->fills, i), *next; node; node = next) {
            struct store_fill *fill = CONTAINER_OF(node, struct store_fill, node);
            next = node->next;
            pthread_mutex_lock(&fill->lock);
            bool is_stalled = fill->state == FILL_WAITING &&
                              now_ns >= fill->last_byte_ns + store->options.stall_ns;
            if (is_stalled) {
                fill->is_dismissed = true;
                atomic_fetch_add_explicit(&store->dismissed, fill->reader_count,
                                          memory_order_relaxed);
                fill_wake(fill);
            }
            pthread_mutex_unlock(&fill->lock);
            if (is_stalled)
                fill_unlink(fill);
        }
    pthread_mutex_unlock(&shard->lock);
}
