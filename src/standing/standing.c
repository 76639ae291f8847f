/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening, reading, saying and ending; the same for both ends.
 */
#include "standing/standing.h"

#include "loop/loop.h"

/* Bytes that wait for take(), beside a message that has not come in full. */
enum { READ_MOST = 65536 };
/* The peer does not want it: perhaps after its next reload. */
#define REFUSED_NS (5000ull * 1000000)

void standing_init(struct standing *standing, const struct standing_kind *kind)
{
    standing->kind = kind;
    list_init(&standing->in_accepted);
}

/* ---- its end */

static uint64_t pause_ns(const struct standing *standing, uint32_t code)
{
    if (code == TRANSPORT_CODE_SHUTDOWN) /* its configuration is another one */
        return 0;
    return code == TRANSPORT_CODE_REFUSED ? REFUSED_NS : standing->kind->again_ns;
}

static void lose(struct standing *standing, uint32_t code)
{
    link_stream_release(&standing->stream);
    list_remove(&standing->in_accepted);
    slice_queue_clear(&standing->in);
    standing->is_held = false;
    standing->retry_ns = clock_now_ns() + pause_ns(standing, code);
    standing->kind->ended(standing, code);
}

void standing_end(struct standing *standing, uint32_t code)
{
    if (!standing->stream)
        return;
    link_stream_reset(standing->stream, code);
    lose(standing, code);
}

/* ---- messages */

void standing_say(struct standing *standing, struct text *out)
{
    struct slice_queue bytes = {0};
    if (out->length && standing->stream) {
        slice_queue_append(&bytes, text_span(out));
        link_stream_write(standing->stream, &bytes);
    }
    text_clear(out);
}

uint64_t standing_room(const struct standing *standing)
{
    return standing->stream ? link_stream_room(standing->stream) : 0;
}

static int take_all(struct standing *standing, struct text *out)
{
    int result;
    do {
        result = standing->kind->take(standing, out);
        standing->is_held = result == 0;
    } while (result > 0);
    return result;
}

/* How many bytes came. */
static uint64_t read_more(struct standing *standing, bool *has_ended)
{
    uint64_t before = standing->in.bytes;
    link_stream_read(standing->stream, &standing->in, READ_MOST, has_ended);
    link_stream_consume(standing->stream, standing->in.bytes - before);
    return standing->in.bytes - before;
}

void standing_read_on(struct standing *standing)
{
    struct text out = {0};
    bool has_ended = false;
    int result = take_all(standing, &out);
    while (result == ERROR_INCOMPLETE && read_more(standing, &has_ended))
        result = take_all(standing, &out);
    standing_say(standing, &out);
    if (result == ERROR_INVALID) {
        metric_add(standing->kind->malformed, 1);
        standing_end(standing, TRANSPORT_CODE_PROTOCOL);
    } else if (has_ended && result == ERROR_INCOMPLETE) {
        standing_end(standing, TRANSPORT_CODE_CANCELLED);
    } else if (standing->kind->speak) {
        standing->kind->speak(standing);
    }
}

/* ---- its beginning */

static void on_readable(void *owner, struct link_stream *stream)
{
    struct standing *standing = owner;
    (void)stream;
    if (!standing->is_held)
        standing_read_on(standing);
}

static void on_writable(void *owner, struct link_stream *stream)
{
    struct standing *standing = owner;
    (void)stream;
    if (standing->kind->speak)
        standing->kind->speak(standing);
}

static void on_reset(void *owner, struct link_stream *stream, uint32_t code)
{
    (void)stream;
    lose(owner, code);
}

static const struct link_stream_events events = {.readable = on_readable,
                                                 .writable = on_writable,
                                                 .reset = on_reset};

bool standing_is_due(const struct standing *standing)
{
    return !standing->stream && clock_now_ns() >= standing->retry_ns;
}

bool standing_open(struct standing *standing, struct link *link, uint8_t flags)
{
    const struct transport_open open = {.flags = flags};
    standing->retry_ns = clock_now_ns() + standing->kind->again_ns;
    if (link_stream_open(link, &open, &events, standing, &standing->stream) < 0)
        return false;
    standing->link = link;
    return true;
}

void standing_accept(struct standing *standing, struct list *accepted, struct link *link,
                     struct link_stream *stream)
{
    LIST_EACH (item, after, accepted) {
        struct standing *former = CONTAINER_OF(item, struct standing, in_accepted);
        if (former->link == link)
            standing_end(former, TRANSPORT_CODE_CANCELLED);
    }
    standing->link = link;
    standing->stream = stream;
    list_push_back(accepted, &standing->in_accepted);
    link_stream_attach(stream, &events, standing);
}
