/* SPDX-License-Identifier: Apache-2.0
 *
 * The link: the transport over UDP sockets (T1). A link joins this node and one other; it has one lane, owned by one worker, so that
 * the blender sees all its streams; streams can be used from any worker of the process. Edge and gateway program against streams only.
 *
 * Threads: links are made and looked up before workers run and on reload; a stream belongs to the worker that opened it (or, for a
 * stream that the peer opened, to the lane's worker), and every call and callback of it happens there.
 */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include "conf/conf.h"
#include "loop/loop.h"
#include "transport/transport.h"

#include <jansson.h>

struct link_set; /* all links of a process */
struct link;     /* one of them; lives as long as the set */
struct link_stream;

/* A stream that the peer opened, on the lane's worker: attach to it, or reset and release it. */
typedef void link_accept_function(void *argument, struct link *link, struct link_stream *stream,
                                  const struct transport_open *open);

struct link_options {
    const struct conf *conf;
    uint8_t private_key[CONF_KEY_BYTES]; /* of this node: from the configuration, or fresh */
    uint8_t public_key[CONF_KEY_BYTES];
    uint8_t generation; /* of the process, 0 .. 3: part of every receiver index */
    uint32_t workers;
    /* Bound UDP sockets of `conf->self->link_listen`: listeners[address * workers + worker]; not closed here. */
    const int *listeners;
    size_t listen_count;
    link_accept_function *accept;
    void *accept_argument;
};

/* Which links there are follows from the configuration: an edge dials its gateways; a gateway dials the edges of its `dial` list and is dialled by
 * all others; a node that is both has a link to itself. 0 or a negative error. */
MUST_USE int link_set_new(struct link_set **set, const struct link_options *options);
void link_set_free(struct link_set **set); /* after the workers have stopped */
MUST_USE int
link_set_start(struct link_set *set,
               struct worker *worker); /* on each worker's thread; opens its sockets and lanes */
void link_set_stop(struct link_set *set,
                   struct worker *worker);     /* closes its lanes; their streams are reset */
json_t *link_set_status(struct link_set *set); /* any thread; a new reference */

/* The link by which this edge reaches that gateway; NULL: there is none. */
struct link *link_to_gateway(struct link_set *set, const struct conf_node *gateway);
const char *link_peer_name(const struct link *link);   /* any thread */
const uint8_t *link_peer_key(const struct link *link); /* any thread; CONF_KEY_BYTES */
bool link_is_up(const struct link *link);              /* any thread */
struct link_quality {
    bool is_up;
    uint32_t srtt_us, loss_ppm;
};
struct link_quality
link_read_quality(const struct link *link); /* any thread; as of the last second */

/* ---- streams */
struct link_stream_events {
    void (*readable)(void *owner,
                     struct link_stream *stream); /* link_stream_read() has bytes or the end */
    void (*writable)(void *owner,
                     struct link_stream *stream); /* link_stream_room() is positive again */
    void (*reset)(void *owner, struct link_stream *stream,
                  uint32_t code); /* over, both ways; release it */
};

/* ERROR_UNREACHABLE: the link is down. A refusal by the far end comes as a reset. */
MUST_USE int link_stream_open(struct link *link, const struct transport_open *open,
                              const struct link_stream_events *events, void *owner,
                              struct link_stream **stream);
void link_stream_attach(struct link_stream *stream, const struct link_stream_events *events,
                        void *owner);

void link_stream_write(struct link_stream *stream,
                       struct slice_queue *bytes); /* takes all; sent at the end of this turn */
void link_stream_finish(struct link_stream *stream);
uint64_t
link_stream_room(const struct link_stream *stream); /* stop writing at 0, wait for writable */
void link_stream_read(struct link_stream *stream, struct slice_queue *bytes, uint64_t limit,
                      bool *ended);
void link_stream_consume(struct link_stream *stream,
                         uint64_t bytes); /* of those read: the sender gets credit for as many */
void link_stream_set_ring(struct link_stream *stream, uint8_t ring, uint8_t weight);
void link_stream_reset(struct link_stream *stream,
                       uint32_t code); /* no callback follows; release it */
void link_stream_release(
    struct link_stream *
        *stream); /* nulls; unfinished directions are reset, finished ones still delivered */

#endif
