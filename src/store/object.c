/* SPDX-License-Identifier: Apache-2.0
 *
 * An object's memory: one block for what it is found by and judged by, and its bytes. Head and body of a small one share a chunk of
 * exactly their size, so that an object costs two blocks of the heap.
 */
#include "store/private.h"

#include "base/hash.h"

uint64_t tag_hash(uint64_t site, struct span tag)
{
    return hash_span(tag, site);
}

bool object_answer_fits(const struct store_answer *answer)
{
    return answer->facts.length <= STORE_FACTS_MOST && answer->rule.length <= STORE_RULE_MOST &&
           answer->selector.length <= STORE_SELECTOR_MOST && answer->tag_count <= STORE_TAGS_MOST &&
           answer->head.length <= UINT32_MAX / 2;
}

static void charge_more(struct store *store, struct store_object *object, uint64_t bytes)
{
    object->charge += bytes;
    object->policy.bytes = object->charge < UINT32_MAX ? (uint32_t)object->charge : UINT32_MAX;
    store_charge(store, bytes);
}

/* Its tags are for the caller to fill in. */
static struct store_object *make(struct store *store, uint64_t site, uint64_t hash, struct span key,
                                 const struct store_answer *answer, size_t tag_count)
{
    size_t bytes = sizeof(struct store_object) + tag_count * sizeof(uint64_t) +
                   answer->facts.length + key.length + answer->rule.length +
                   answer->selector.length;
    struct store_object *object = memory_raw(bytes);
    memset(object, 0, sizeof *object);
    object->node.hash = hash;
    struct span part = span_from(key, span_find(key, 0));
    object->policy.hash = (part.length ? hash_span(part, hash) : hash) ^
                          (answer->rule.length ? hash_span(answer->selector, 0) : 0);
    object->site = site;
    atomic_init(&object->references, 1);
    object->key_length = (uint16_t)key.length;
    object->rule_length = (uint16_t)answer->rule.length;
    object->selector_length = (uint16_t)answer->selector.length;
    object->facts_length = (uint16_t)answer->facts.length;
    object->tag_count = (uint16_t)tag_count;
    uint8_t *to = (uint8_t *)&object->tail[tag_count];
    const struct span parts[] = {answer->facts, key, answer->rule, answer->selector};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].length)
            memcpy(to, parts[i].data, parts[i].length);
        to += parts[i].length;
    }
    charge_more(store, object, heap_bytes(bytes) + OBJECT_TABLE_BYTES);
    return object;
}

struct store_object *object_new(struct store *store, uint64_t site, uint64_t hash, struct span key,
                                const struct store_answer *answer)
{
    static const struct store_answer nothing;
    size_t tag_count = answer ? answer->tag_count : 0;
    struct store_object *object =
        make(store, site, hash, key, answer ? answer : &nothing, tag_count);
    for (size_t i = 0; i < tag_count; i++)
        object->tail[i] = tag_hash(site, answer->tags[i]);
    return object;
}

struct store_object *object_with_tags(struct store *store, uint64_t site, uint64_t hash,
                                      struct span key, const struct store_answer *answer,
                                      const void *tags, uint16_t tag_count)
{
    struct store_object *object = make(store, site, hash, key, answer, tag_count);
    if (tag_count)
        memcpy(object->tail, tags, tag_count * sizeof object->tail[0]);
    return object;
}

struct store_object *object_again(struct store *store, const struct store_object *object)
{
    const struct store_answer answer = {
        .facts = store_object_facts(object),
        .rule = store_object_rule(object),
        .selector = object_selector(object),
    };
    return object_with_tags(store, object->site, object->node.hash, store_object_key(object),
                            &answer, object->tail, object->tag_count);
}

static uint64_t chunk_charge(const struct chunk *chunk)
{
    return heap_bytes(sizeof *chunk + chunk->capacity);
}

void object_set_small(struct store *store, struct store_object *object, struct span head,
                      const struct slice *slices, uint32_t count, uint64_t bytes)
{
    uint32_t filled = (uint32_t)head.length;
    struct chunk *chunk = chunk_new_sized((uint32_t)(head.length + bytes));
    if (head.length)
        memcpy(chunk->data, head.data, head.length);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(chunk->data + filled, slice_data(&slices[i]), slices[i].length);
        filled += slices[i].length;
    }
    chunk->filled = filled;
    object->head = (struct slice){chunk, 0, (uint32_t)head.length};
    object->body_bytes = bytes;
    if (bytes) {
        chunk_retain(chunk);
        object->body.one = (struct slice){chunk, (uint32_t)head.length, (uint32_t)bytes};
        object->slice_count = 1;
    }
    charge_more(store, object, chunk_charge(chunk));
}

void object_set_large(struct store *store, struct store_object *object, struct span head,
                      const struct slice *slices, uint32_t count, uint64_t bytes)
{
    object_set_small(store, object, head, NULL, 0, 0);
    struct slice *to = &object->body.one;
    if (count > 1) {
        to = object->body.many = memory_resize(NULL, count, sizeof *to);
        charge_more(store, object, heap_bytes(count * sizeof *to));
    }
    for (uint32_t i = 0; i < count; i++) {
        to[i] = slice_retain(slices[i]);
        charge_more(store, object, chunk_charge(slices[i].chunk));
    }
    object->slice_count = count;
    object->body_bytes = bytes;
}

void object_set_body(struct store *store, struct store_object *object, struct span head,
                     const struct slice *slices, uint32_t count, uint64_t bytes)
{
    if (head.length + bytes <= SMALL_BYTES)
        object_set_small(store, object, head, slices, count, bytes);
    else
        object_set_large(store, object, head, slices, count, bytes);
}

const struct slice *object_slices(const struct store_object *object)
{
    return object->slice_count > 1 ? object->body.many : &object->body.one;
}

struct store_object *store_object_retain(struct store_object *object)
{
    atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
    return object;
}

void store_object_release(struct store *store, struct store_object **pointer)
{
    struct store_object *object = *pointer;
    *pointer = NULL;
    if (!object || atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) != 1)
        return;
    store_discharge(store, object->charge);
    slice_release(&object->head);
    if (object->slice_count) {
        struct slice *slices = object->slice_count > 1 ? object->body.many : &object->body.one;
        for (uint32_t i = 0; i < object->slice_count; i++)
            slice_release(&slices[i]);
        if (object->slice_count > 1)
            memory_free(slices);
    }
    memory_free(object);
}

/* ---- what is in it */

static struct span tail_part(const struct store_object *object, size_t offset, size_t length)
{
    return span_of((const uint8_t *)&object->tail[object->tag_count] + offset, length);
}

struct span store_object_facts(const struct store_object *object)
{
    return tail_part(object, 0, object->facts_length);
}

struct span store_object_key(const struct store_object *object)
{
    return tail_part(object, object->facts_length, object->key_length);
}

struct span store_object_rule(const struct store_object *object)
{
    return tail_part(object, (size_t)object->facts_length + object->key_length,
                     object->rule_length);
}

struct span object_selector(const struct store_object *object)
{
    return tail_part(object,
                     (size_t)object->facts_length + object->key_length + object->rule_length,
                     object->selector_length);
}

bool object_has_tag(const struct store_object *object, uint64_t tag)
{
    for (uint16_t i = 0; i < object->tag_count; i++)
        if (object->tail[i] == tag)
            return true;
    return false;
}

struct span store_object_head(const struct store_object *object)
{
    return object->head.chunk ? span_of(slice_data(&object->head), object->head.length)
                              : (struct span){0};
}

uint64_t store_object_body_bytes(const struct store_object *object)
{
    return object->body_bytes;
}

void store_object_body(const struct store_object *object, uint64_t offset, uint64_t length,
                       struct slice_queue *out)
{
    const struct slice *slices = object_slices(object);
    INVARIANT(offset <= object->body_bytes && length <= object->body_bytes - offset);
    for (uint32_t i = 0; length; i++) {
        if (offset >= slices[i].length) {
            offset -= slices[i].length;
            continue;
        }
        struct slice part = slice_retain(slices[i]);
        part.offset += (uint32_t)offset;
        part.length -= (uint32_t)offset;
        if (part.length > length)
            part.length = (uint32_t)length;
        length -= part.length;
        offset = 0;
        slice_queue_push(out, part);
    }
}

bool store_object_is_purged(const struct store_object *object)
{
    return atomic_load_explicit(&object->is_purged, memory_order_relaxed);
}
