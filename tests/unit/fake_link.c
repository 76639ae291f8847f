/* SPDX-License-Identifier: Apache-2.0
 *
 * Links and streams without a network.
 */
#include "fake_link.h"

#include "base/memory.h"
#include "compress/compress.h"

enum { FAKE_ROOM = 1 << 20 };

static struct list all = {&all, &all};
static struct compressor *compressor; /* NULL: none was needed yet */

size_t fake_stream_count(void)
{
    size_t count = 0;
    LIST_EACH (item, after, &all)
        count++;
    return count;
}

struct link_stream *fake_stream(size_t index)
{
    LIST_EACH (item, after, &all)
        if (!index--)
            return CONTAINER_OF(item, struct link_stream, in_all);
    return NULL;
}

void fake_clear(void)
{
    LIST_EACH (item, after, &all) {
        struct link_stream *stream = CONTAINER_OF(item, struct link_stream, in_all);
        list_remove(item);
        slice_queue_clear(&stream->inbound);
        slice_queue_clear(&stream->datagrams_in);
        slice_queue_clear(&stream->datagrams_out);
        text_clear(&stream->written);
        memory_free(stream);
    }
    compressor_free(&compressor);
}

struct link_stream *fake_stream_new(struct link *link)
{
    struct link_stream *stream = NEW(struct link_stream);
    stream->link = link;
    stream->room = FAKE_ROOM;
    list_push_back(&all, &stream->in_all);
    return stream;
}

void fake_deliver(struct link_stream *stream, struct span bytes, bool is_end)
{
    slice_queue_append(&stream->inbound, bytes);
    stream->is_ended |= is_end;
    if (stream->events && !stream->is_dead)
        stream->events->readable(stream->owner, stream);
}

void fake_set_room(struct link_stream *stream, uint64_t room)
{
    bool was_full = !stream->room;
    stream->room = room;
    if (was_full && room && stream->events && !stream->is_dead)
        stream->events->writable(stream->owner, stream);
}

void fake_set_ring(struct link_stream *stream, uint8_t ring)
{
    if (stream->events && stream->events->ring_changed && !stream->is_dead)
        stream->events->ring_changed(stream->owner, stream, ring);
}

void fake_reset(struct link_stream *stream, uint32_t code)
{
    stream->is_dead = true;
    if (stream->events)
        stream->events->reset(stream->owner, stream, code);
}

/* ---- link/link.h */

size_t link_set_count(const struct link_set *set)
{
    return set->count;
}

struct link *link_set_get(struct link_set *set, size_t index)
{
    return &set->links[index];
}

struct link *link_to_gateway(struct link_set *set, const uint8_t key[CONF_KEY_BYTES])
{
    for (size_t i = 0; i < set->count; i++)
        if (set->links[i].is_to_gateway && memcmp(set->links[i].key, key, CONF_KEY_BYTES) == 0)
            return &set->links[i];
    return NULL;
}

bool link_is_shown(const struct link *link)
{
    return link->name != NULL;
}

bool link_is_self(const struct link *link)
{
    return link->is_self;
}

bool link_is_to_gateway(const struct link *link)
{
    return link->is_to_gateway;
}

const char *link_peer_name(const struct link *link)
{
    return link->name;
}

const uint8_t *link_peer_key(const struct link *link)
{
    return link->key;
}

bool link_is_up(const struct link *link)
{
    return link->is_up;
}

struct link_quality link_read_quality(const struct link *link)
{
    return (struct link_quality){.is_up = link->is_up,
                                 .is_doubted = link->is_doubted,
                                 .srtt_us = link->srtt_us,
                                 .loss_ppm = link->loss_ppm,
                                 .packets_known = link->packets_known,
                                 .packets_lost = link->packets_lost,
                                 .spare_bytes = link->has_no_window ? 0 : FAKE_ROOM};
}

bool link_hears_times(const struct link *link)
{
    return link->hears_times;
}

bool link_hears_later(const struct link *link)
{
    return link->hears_later;
}

bool link_knows_groups(const struct link *link)
{
    return !link->knows_no_groups;
}

bool link_has_purges(const struct link *link)
{
    return link->has_purges;
}

bool link_has_loads(const struct link *link)
{
    return link->has_loads;
}

uint64_t link_ups(const struct link *link)
{
    return link->ups;
}

bool link_packs(const struct link *link)
{
    (void)link;
    return false;
}

struct compressor *link_stream_compressor(const struct link_stream *stream)
{
    static const struct compress_hooks nothing_is_counted = {0};
    (void)stream;
    if (!compressor)
        compressor = compressor_new(compress_zstd(), 1, &nothing_is_counted);
    return compressor;
}

int link_stream_open(struct link *link, const struct transport_open *open,
                     const struct link_stream_events *events, void *owner,
                     struct link_stream **stream)
{
    if (!link->is_up || link->refuses)
        return ERROR_UNREACHABLE;
    *stream = fake_stream_new(link);
    (*stream)->open = *open;
    link_stream_attach(*stream, events, owner);
    return 0;
}

void link_stream_attach(struct link_stream *stream, const struct link_stream_events *events,
                        void *owner)
{
    stream->events = events;
    stream->owner = owner;
}

void link_stream_write(struct link_stream *stream, struct slice_queue *bytes)
{
    INVARIANT(!stream->is_released && !stream->is_finished);
    if (stream->is_dead)
        slice_queue_clear(bytes);
    stream->room -= bytes->bytes < stream->room ? bytes->bytes : stream->room;
    while (bytes->count) {
        struct slice slice = slice_queue_pop(bytes, UINT32_MAX);
        text_add_span(&stream->written, span_of(slice_data(&slice), slice.length));
        slice_release(&slice);
    }
}

void link_stream_finish(struct link_stream *stream)
{
    INVARIANT(!stream->is_released);
    stream->is_finished = true;
}

uint64_t link_stream_room(const struct link_stream *stream)
{
    INVARIANT(!stream->is_released);
    return stream->is_dead ? 0 : stream->room;
}

void link_stream_read(struct link_stream *stream, struct slice_queue *bytes, uint64_t limit,
                      bool *ended)
{
    INVARIANT(!stream->is_released);
    *ended = false;
    if (stream->is_dead)
        return;
    while (stream->inbound.count && limit) {
        struct slice slice =
            slice_queue_pop(&stream->inbound, limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX);
        limit -= slice.length;
        slice_queue_push(bytes, slice);
    }
    *ended = stream->is_ended && !stream->inbound.count;
}

void link_stream_consume(struct link_stream *stream, uint64_t bytes)
{
    INVARIANT(!stream->is_released);
    stream->consumed += bytes;
}

void link_datagram_write(struct link_stream *stream, struct slice *datagram)
{
    INVARIANT(!stream->is_released);
    slice_queue_push(&stream->datagrams_out, *datagram);
    *datagram = (struct slice){0};
}

bool link_datagram_read(struct link_stream *stream, struct slice *datagram)
{
    INVARIANT(!stream->is_released);
    if (!stream->datagrams_in.count)
        return false;
    *datagram = slice_queue_pop(&stream->datagrams_in, UINT32_MAX);
    return true;
}

void link_stream_set_ring(struct link_stream *stream, uint8_t ring, uint8_t weight)
{
    INVARIANT(!stream->is_released);
    stream->open.ring = ring;
    stream->open.weight = weight;
}

void link_stream_reset(struct link_stream *stream, uint32_t code)
{
    INVARIANT(!stream->is_released);
    if (stream->is_dead)
        return;
    stream->is_dead = stream->was_reset = true;
    stream->reset_code = code;
    stream->events = NULL;
}

bool link_stream_withdraw(struct link_stream *stream)
{
    INVARIANT(!stream->is_released && !stream->is_dead);
    stream->is_dead = stream->never_left;
    return stream->never_left;
}

bool link_stream_take_back(struct link_stream *stream, struct slice_queue *bytes)
{
    INVARIANT(!stream->is_released);
    if (!stream->is_dead || !stream->never_left)
        return false;
    slice_queue_append(bytes, text_span(&stream->written));
    return true;
}

void link_stream_release(struct link_stream **released)
{
    struct link_stream *stream = *released;
    if (!stream)
        return;
    *released = NULL;
    INVARIANT(!stream->is_released);
    stream->is_released = true;
    stream->events = NULL;
}
