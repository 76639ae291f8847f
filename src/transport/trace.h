/* SPDX-License-Identifier: Apache-2.0
 *
 * What a lane did, packet by packet, for a look from outside: records of fixed size in a ring that
 * the caller gives. The core writes, one other thread may read; a full ring drops records and
 * counts them. Nothing is formatted here, and a lane without a trace pays one branch that is
 * predicted. Reached through transport/transport.h.
 */
#ifndef TRANSPORT_TRACE_H
#define TRANSPORT_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* X-macro: kind, the event's name in the written trace, names of `number`, `a`, `b`, `c` there (""
 * for unused). Times are in us, sizes in bytes. */
#define TRACE_KIND_LIST(X)                                                                    \
    X(PACKET_SENT, "transport:packet_sent", "packet_number", "length", "flow", "ecn")         \
    X(PACKET_RECEIVED, "transport:packet_received", "packet_number", "length", "", "ecn")     \
    X(PACKET_ACKED, "recovery:packet_acked", "packet_number", "length", "flow", "rtt_us")     \
    X(PACKET_LOST, "recovery:packet_lost", "packet_number", "length", "flow", "age_us")       \
    X(PACKET_SPURIOUS, "recovery:spurious_loss", "packet_number", "length", "flow", "age_us") \
    X(PACKET_CE, "recovery:ecn_mark", "packet_number", "length", "flow", "")                  \
    X(ACK_RECEIVED, "transport:ack_received", "largest", "ranges", "delay_us", "newly_acked") \
    X(METRICS, "recovery:metrics_updated", "congestion_window", "bytes_in_flight",            \
      "smoothed_rtt_us", "pacing_rate")                                                       \
    X(HOSTED, "recovery:hosted_updated", "hosted", "virtual_flows", "", "")                   \
    X(PROBE_TIMEOUT, "recovery:probe_timeout", "in_a_row", "", "", "")                        \
    X(ECN_STATE, "recovery:ecn_state_updated", "state", "", "", "")                           \
    X(MODE, "recovery:congestion_state_updated", "mode", "", "", "") /* address of a text */  \
    X(PATH, "connectivity:path_updated", "state", "port", "", "")                             \
    X(STATE, "connectivity:connection_state_updated", "state", "code", "", "")                \
    X(KEYS, "security:key_updated", "phase", "session", "", "")                               \
    X(STREAM_OPENED, "transport:stream_opened", "stream_id", "ring", "port", "is_own")        \
    X(STREAM_CLOSED, "transport:stream_closed", "stream_id", "code", "bytes_sent", "bytes_received")

enum trace_kind {
#define X(name, event, number, a, b, c) TRACE_##name,
    TRACE_KIND_LIST(X)
#undef X
        TRACE_KINDS
};

struct trace_record {
    uint64_t at_ns, number, b, c;
    uint32_t a;
    uint8_t kind; /* enum trace_kind */
    uint8_t path;
};

/* Zeroed but for `records` and `capacity`, a power of two. */
struct transport_trace {
    struct trace_record *records;
    uint32_t capacity;
    _Atomic uint32_t head, tail; /* running: written up to head, read up to tail */
    _Atomic uint64_t dropped;
};

void trace_write(struct transport_trace *trace, const struct trace_record *record);
/* The reader's side: the next record; false: none. */
bool trace_read(struct transport_trace *trace, struct trace_record *record);

/* Where something happens that is worth a record. */
static inline void trace_event(struct transport_trace *trace, uint64_t now_ns, enum trace_kind kind,
                               uint8_t path, uint64_t number, uint32_t a, uint64_t b, uint64_t c)
{
    if (__builtin_expect(!trace, 1))
        return;
    const struct trace_record record = {.at_ns = now_ns,
                                        .number = number,
                                        .a = a,
                                        .b = b,
                                        .c = c,
                                        .kind = (uint8_t)kind,
                                        .path = path};
    trace_write(trace, &record);
}

/* The names of the list above, by kind: the event, then number, a, b, c. */
enum { TRACE_FIELDS = 4 };
struct trace_names {
    const char *event, *fields[TRACE_FIELDS];
};
const struct trace_names *trace_kind_names(enum trace_kind kind);

#endif
