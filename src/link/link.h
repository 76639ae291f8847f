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
#include "link/offload.h"
#include "loop/loop.h"
#include "transport/transport.h"

#include <jansson.h>

struct compressor; /* compress/compress.h */

struct link_set; /* all links of a process */
struct link;     /* one of them; lives as long as the set */
struct link_stream;

/* A stream that the peer opened, on the lane's worker: attach to it, or reset and release it. */
typedef void link_accept_function(void *argument, struct link *link, struct link_stream *stream,
                                  const struct transport_open *open);

struct link_options {
    const struct conf *conf;             /* needed only during link_set_new() */
    uint8_t private_key[CONF_KEY_BYTES]; /* of this node: from the configuration, or fresh */
    uint8_t public_key[CONF_KEY_BYTES];
    uint8_t generation; /* of the process, 0 .. 3: part of every receiver index */
    uint32_t workers;
    /* Bound UDP sockets of `conf->self->link_listen`: listeners[address * workers + worker]; not closed here. */
    const int *listeners;
    size_t listen_count;
    const int *tcp_listeners; /* likewise, of `link_tcp_listen` */
    size_t tcp_count;
    bool has_purges; /* this node tells, or wants to hear, of purges */
    link_accept_function *accept;
    void *accept_argument;
};

/* Which links there are follows from the configuration: an edge dials its gateways; a gateway dials the edges of its `dial` list and is dialled by
 * all others; a node that is both has a link to itself. 0 or a negative error. */
MUST_USE int link_set_new(struct link_set **set, const struct link_options *options);
/* Another snapshot: new links are made, those whose peers are gone are closed at once. Called on no worker. 0, or ERROR_LIMIT: the old ones stay. */
MUST_USE int link_set_reload(struct link_set *set, struct worker_set *workers,
                             const struct conf *conf);
/* How what is sent on the links to a peer is divided among priorities; how sites share them, by their number and weight. Both hold
 * until the next reload. Called on no worker. False: no link to such a peer. */
bool link_set_weigh(struct link_set *set, struct worker_set *workers, const char *peer,
                    const uint8_t weights[CONF_RINGS]);
void link_set_weigh_site(struct link_set *set, struct worker_set *workers, uint16_t number,
                         uint8_t weight);
void link_set_free(struct link_set **freed); /* after the workers have stopped */
MUST_USE int
link_set_start(struct link_set *set,
               struct worker *worker); /* on each worker's thread; opens its sockets and lanes */
void link_set_stop(struct link_set *set,
                   struct worker *worker);     /* closes its lanes; their streams are reset */
json_t *link_set_status(struct link_set *set); /* any thread; a new reference */
/* Answers {"verb": "link", "action": "show", ...} (docs/operation.md); a new reference. On no
 * worker. What cannot be done is told by a member "error". */
json_t *link_set_inquire(struct link_set *set, const json_t *question);

/* The link by which this edge reaches the gateway with that key; NULL: there is none. */
struct link *link_to_gateway(struct link_set *set, const uint8_t key[CONF_KEY_BYTES]);
size_t link_set_count(const struct link_set *set);
struct link *link_set_get(struct link_set *set, size_t index);
/* One to tell people of: while a process of the peer takes over from another there are several to it, else one. Any thread. */
bool link_is_shown(const struct link *link);
/* Another process of this node has the listening sockets now: what came by them goes on there. Called on no worker. */
void link_set_leave(struct link_set *set, struct worker_set *workers);
bool link_is_self(const struct link *link); /* this node is its own gateway */
bool link_is_to_gateway(const struct link *link);
const char *
link_peer_name(const struct link *link); /* any thread that reads snapshots; for this turn */
const uint8_t *link_peer_key(const struct link *link); /* any thread; CONF_KEY_BYTES */
bool link_is_up(const struct link *link);              /* any thread */
bool link_packs(const struct link *link);       /* any thread: the peer understands packed frames */
bool link_hears_times(const struct link *link); /* likewise, TIMES frames */
/* Any thread: both ends have something to do with purges. */
bool link_has_purges(const struct link *link);
bool link_has_loads(const struct link *link);    /* any thread: gateways tell loads on it */
bool link_knows_groups(const struct link *link); /* any thread: of origins, in requests */
bool link_hears_later(const struct link *link);  /* any thread: transport_code_later() */
/* Any thread: how often it came up, from nothing or from an outage; counted before link_is_up() says so. */
uint64_t link_ups(const struct link *link);
json_t *link_compress_status(void); /* any thread; a new reference */
struct link_quality {
    bool is_up;
    bool is_doubted; /* what should have been answered by now was not */
    uint32_t srtt_us;
    uint32_t loss_ppm,
        peer_loss_ppm; /* over 10 s, as of the last second: our packets, the peer's as it told */
    uint64_t packets_known, packets_lost; /* ours whose fate is known; those that were lost */
    uint64_t spare_bytes;                 /* that congestion control would let go at once */
};
struct link_quality
link_read_quality(const struct link *link); /* any thread; as of the last tenth of a second */

/* ---- streams */
struct link_stream_events {
    void (*readable)(void *owner,
                     struct link_stream *stream); /* link_stream_read() has bytes or the end */
    void (*writable)(void *owner,
                     struct link_stream *stream); /* link_stream_room() is positive again */
    void (*reset)(void *owner, struct link_stream *stream,
                  uint32_t code); /* over, both ways; release it */
    /* The peer gave it another ring. NULL: not wanted. */
    void (*ring_changed)(void *owner, struct link_stream *stream, uint8_t ring);
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
/* Asks for a stream back of whose bytes, and end, none was ever put into a packet: on a link that is out. True: it is over, and
 * link_stream_take_back() has what was written. False: something may have arrived; or the answer comes from another worker, as a reset if
 * it is yes. Until then what is written waits here. */
bool link_stream_withdraw(struct link_stream *stream);
/* Of a stream opened here that was withdrawn, or reset: whether it is sure that the peer got nothing of what was written, if perhaps its opening.
 * Then that is appended. */
bool link_stream_take_back(struct link_stream *stream, struct slice_queue *bytes);
void link_stream_release(
    struct link_stream *
        *released); /* nulls; unfinished directions are reset, finished ones still delivered */

/* Datagrams of a stream opened with TRANSPORT_OPEN_DATAGRAMS (T12): see transport.h. What cannot go is dropped and counted. */
void link_datagram_write(struct link_stream *stream, struct slice *datagram); /* takes it */
bool link_datagram_read(struct link_stream *stream,
                        struct slice *datagram); /* false: none waits; `readable` tells of more */
/* The present worker's, for the message on that stream. */
struct compressor *link_stream_compressor(const struct link_stream *stream);

/* ---- raw TCP over a stream (T10, T12): ports that are passed through */

/* The first bytes of a stream that is not HTTP: which site's port it wants. The port itself is in struct transport_open. */
enum { LINK_SERVICE_BYTES = 2 + 255 };
void link_service_write(struct slice_queue *out, struct span site);
/* Takes the record off `in`. 0, ERROR_INCOMPLETE, or ERROR_INVALID; *site is valid as long as `buffer`. */
MUST_USE int link_service_read(struct slice_queue *in, uint8_t buffer[LINK_SERVICE_BYTES],
                               struct span *site);

/* Joins a socket and a stream, each way until its end; the ends are passed on one by one (half-close). Holds at most 64 KiB for the
 * socket; for the stream no more than its room. Belongs to the worker on which it was started. */
struct link_splice;
struct link_splice_options {
    int fd;                     /* taken: closed at the end */
    bool is_connecting;         /* nothing is read from the stream before the socket is connected */
    struct link_stream *stream; /* taken */
    struct slice_queue
        *first;         /* read from the stream already, for the socket; emptied. NULL: nothing */
    uint64_t own_bytes; /* of `first`, in front: they did not come from the stream */
    uint64_t connect_timeout_ns, idle_timeout_ns; /* 0: none */
    /* Over; the splice is gone when it returns. `code`: TRANSPORT_CODE_NONE for a good end. */
    void (*done)(void *owner, struct link_splice *splice, uint32_t code, uint64_t to_socket,
                 uint64_t from_socket);
    void *owner;
};
struct link_splice *link_splice_start(struct loop *loop, const struct link_splice_options *options);
void link_splice_abort(struct link_splice *splice, uint32_t code); /* calls done */

#endif
