/* SPDX-License-Identifier: Apache-2.0
 *
 * The order in which streams' bytes come. Streams that have bytes take turns, so who came behind whom will probably do so again:
 * the follower is found without the table, and the one behind it is brought into the cache while the next packet is opened.
 * A stream has at most one leader and one follower; both links go when it goes.
 */
#include "transport/lane.h"
#include "transport/stream_prefetch.h"

static void part(struct transport_stream *leader, struct transport_stream *follower)
{
    if (leader && follower) {
        leader->follower = NULL;
        follower->leader = NULL;
    }
}

void stream_order_note(struct transport_stream *stream)
{
    struct transport *transport = stream->transport;
    struct transport_stream *last = transport->arrived;
    if (last == stream)
        return;
    transport->arrived = stream;
    if (last && last->follower != stream) {
        part(last, last->follower);
        part(stream->leader, stream);
        last->follower = stream;
        stream->leader = last;
    }
    if (stream->follower && stream->follower->follower)
        stream_prefetch_in(stream->follower->follower);
}

void stream_order_leave(struct transport_stream *stream)
{
    part(stream->leader, stream);
    part(stream, stream->follower);
    if (stream->transport->arrived == stream)
        stream->transport->arrived = NULL;
}
