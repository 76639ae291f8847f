/* SPDX-License-Identifier: Apache-2.0
 *
 * A flow of datagrams, as the lane's files see it: what a stream holds of it, and what happens to it.
 */
#ifndef TRANSPORT_FLOW_H
#define TRANSPORT_FLOW_H

#include "transport/datagrams.h"
#include "transport/transport.h"

struct stream_flow;

enum {
    FLOW_FRAME_BYTES = 1 + 8 + 2, /* at most, before a datagram in its frame */
    FLOW_UNREAD_LIMIT = 16 << 20, /* memory of a lane's datagrams that wait to be read */
};

struct stream_flow *stream_flow_new(struct transport_stream *stream);
void flow_free(struct transport_stream *stream);   /* harmless where there is none */
void flow_update(struct transport_stream *stream); /* drops what is late; the blender's count */
uint32_t flow_most_bytes(const struct transport *transport); /* of a datagram */
/* 0, or ERROR_INVALID: the stream carries none. */
MUST_USE int flow_on_datagram(struct transport_stream *stream, struct span data);

#endif
