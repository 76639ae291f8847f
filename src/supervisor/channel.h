/* SPDX-License-Identifier: Apache-2.0
 *
 * The socket pair between the supervisor and a child: JSON messages that may carry descriptors.
 * Bulk goes in a memfd.
 */
#ifndef SUPERVISOR_CHANNEL_H
#define SUPERVISOR_CHANNEL_H

#include "base/text.h"
#include "loop/loop.h"

#include <jansson.h>

enum {
    CHANNEL_DESCRIPTORS = 32,      /* of one message */
    CHANNEL_MESSAGE_BYTES = 65536, /* of one message */
    CHANNEL_QUEUE_LIMIT = 1024,    /* messages waiting for a reader that is slow */
    CHANNEL_BULK_BYTES = 64 << 20, /* of a memfd */
};

/* Embed it; zeroed with `on_message` and `on_closed` set. */
struct channel {
    struct loop *loop;
    struct loop_watch watch;
    struct list queue;
    size_t queued;
    /* Descriptors that are not taken (set to -1) are closed behind the call. */
    void (*on_message)(struct channel *channel, const json_t *message, int *fds, size_t fd_count);
    void (*on_closed)(struct channel *channel); /* by the other end; stop it there */
};

MUST_USE int channel_pair(int fds[2]);                                  /* close-on-exec */
void channel_start(struct channel *channel, struct loop *loop, int fd); /* owns the descriptor */
/* Harmless when not started; nothing that waits is sent. */
void channel_stop(struct channel *channel);

/* Never blocks. Steals the message; descriptors stay the caller's. False: the queue is full, the
 * message is lost. */
bool channel_send(struct channel *channel, json_t *message, const int *fds, size_t fd_count);

/* "type" of a message; "" for none. */
const char *channel_message_type(const json_t *message);

MUST_USE int bulk_new(struct span content, const char *name, int *fd); /* a sealed memfd */
MUST_USE int bulk_read(int fd, struct text *content); /* from a process that is not trusted */

#endif
