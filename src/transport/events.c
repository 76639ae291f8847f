/* SPDX-License-Identifier: Apache-2.0
 *
 * What the caller is told. A stream with news stands in the lane's list once, whatever its news;
 * they are told in a fixed order, and what a later event makes moot is dropped.
 */
#include "transport/lane.h"

/* Bits that are told at most once, and after which nothing but release is expected. */
enum { LAST_EVENTS = STREAM_EVENT_RESET | STREAM_EVENT_DONE };

void event_stream(struct transport_stream *stream, enum stream_event event)
{
    if (stream->is_released || stream->events_told & LAST_EVENTS)
        return;
    if (event == STREAM_EVENT_RESET) {
        /* The caller has never heard of it: then there is nothing to tell. */
        if (!stream->is_own && !(stream->events_told & STREAM_EVENT_OPENED)) {
            stream->is_released = true;
            event_stream_leave(stream);
            return;
        }
        stream->events = 0;
    } else if (stream->events & LAST_EVENTS) {
        return;
    }
    stream->events |= (uint8_t)event;
    if (stream->event_link.next == &stream->event_link)
        list_push_back(&stream->transport->events, &stream->event_link);
}

void event_stream_leave(struct transport_stream *stream)
{
    stream->events = 0;
    list_remove(&stream->event_link);
}

void event_up(struct transport *transport)
{
    list_remove(&transport->up.link);
    list_push_back(&transport->events, &transport->up.link);
}

void event_down(struct transport *transport, uint32_t code)
{
    /* A session that came and went untold needs no word. */
    if (!list_is_empty(&transport->up.link)) {
        list_remove(&transport->up.link);
        return;
    }
    transport->down.code = code;
    list_remove(&transport->down.link);
    list_push_back(&transport->events, &transport->down.link);
}

static enum transport_event_kind take_first(struct transport_stream *stream)
{
    static const struct {
        enum stream_event bit;
        enum transport_event_kind kind;
    } order[] = {
        {STREAM_EVENT_OPENED, TRANSPORT_EVENT_OPENED},
        {STREAM_EVENT_RING, TRANSPORT_EVENT_RING},
        {STREAM_EVENT_READABLE, TRANSPORT_EVENT_READABLE},
        {STREAM_EVENT_WRITABLE, TRANSPORT_EVENT_WRITABLE},
        {STREAM_EVENT_RESET, TRANSPORT_EVENT_RESET},
        {STREAM_EVENT_DONE, TRANSPORT_EVENT_DONE},
    };
    size_t i = 0;
    while (!(stream->events & order[i].bit))
        i++;
    stream->events &= (uint8_t)~order[i].bit;
    stream->events_told |= (uint8_t)order[i].bit;
    return order[i].kind;
}

bool transport_next_event(struct transport *transport, struct transport_event *event)
{
    struct list *first = list_pop_front(&transport->events);
    if (!first)
        return false;
    *event = (struct transport_event){0};
    if (first == &transport->up.link) {
        event->kind = TRANSPORT_EVENT_UP;
        return true;
    }
    if (first == &transport->down.link) {
        event->kind = TRANSPORT_EVENT_DOWN;
        event->code = transport->down.code;
        return true;
    }
    struct transport_stream *stream = CONTAINER_OF(first, struct transport_stream, event_link);
    event->kind = take_first(stream);
    event->stream = stream;
    event->owner = stream->owner;
    if (event->kind == TRANSPORT_EVENT_RESET)
        event->code = stream->code;
    if (event->kind == TRANSPORT_EVENT_OPENED || event->kind == TRANSPORT_EVENT_RING) {
        transport->event_open = stream->open;
        event->open = &transport->event_open;
    }
    if (stream->events)
        list_push_front(&transport->events, &stream->event_link);
    return true;
}
