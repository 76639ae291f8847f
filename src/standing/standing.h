/* SPDX-License-Identifier: Apache-2.0
 *
 * A standing stream: what two nodes tell each other for as long as the link between them is up, as messages in order, both ways, over one stream
 * of that link. One end opens it and opens it again when it was lost; the other end accepts it. Purges (C2) and loads (L5) go over
 * such streams. What their messages are is in src/purge and src/loads, what they mean is their users'.
 *
 * All of it happens on the worker on which the stream was opened or accepted.
 */
#ifndef STANDING_STANDING_H
#define STANDING_STANDING_H

#include "base/list.h"
#include "base/text.h"
#include "link/link.h"
#include "observe/observe.h"

struct standing;

/* One for each kind of stream and end. */
struct standing_kind {
    /* Takes the first message of standing->in, and writes what there is to say to it. Positive: done; 0: not now, standing_read_on() tries
     * again; ERROR_INCOMPLETE: there is none yet; ERROR_INVALID: none of this protocol, which ends the stream. */
    int (*take)(struct standing *standing, struct text *out);
    /* All that was there has been taken, or there is room again: what is there to say? NULL: nothing is said of itself. */
    void (*speak)(struct standing *standing);
    /* There is no stream any more, whoever ended it; the user may free what it is in. */
    void (*ended)(struct standing *standing, uint32_t code);
    struct metric *malformed; /* counts what was none of this protocol */
    uint64_t again_ns;        /* between attempts to open it */
};

/* A part of the user's; zeroed, and standing_init(). */
struct standing {
    const struct standing_kind *kind;
    struct link *link;
    struct link_stream *stream; /* NULL: none */
    struct list in_accepted;
    struct slice_queue in;
    uint64_t retry_ns; /* to open it not before */
    bool is_held;      /* by a message that cannot be taken now: nothing more is read */
};

void standing_init(struct standing *standing, const struct standing_kind *kind);

/* Whether there is none and it is time for the next attempt. */
bool standing_is_due(const struct standing *standing);
/* False: it did not succeed, and is due later. */
bool standing_open(struct standing *standing, struct link *link, uint8_t flags);
/* A link has one of the kind, which are in `accepted`: a further one is of a peer that has given the former up. */
void standing_accept(struct standing *standing, struct list *accepted, struct link *link,
                     struct link_stream *stream);
/* No harm where there is none. */
void standing_end(struct standing *standing, uint32_t code);

/* Sends and clears it; lost where there is no stream. */
void standing_say(struct standing *standing, struct text *out);
uint64_t standing_room(const struct standing *standing);
void standing_read_on(struct standing *standing);

#endif
