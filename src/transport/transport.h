/* SPDX-License-Identifier: Apache-2.0
 *
 * The transport: one end of one lane of the link between an edge and a gateway (T1-T8, T10, T11). A
 * lane carries very many streams over encrypted UDP datagrams, blends them by priority, and shares
 * the path like as many TCP connections as it hosts. It outlives its sessions: when the network
 * breaks, it dials anew.
 *
 * Pure: bytes, facts and `now_ns` go in; datagrams, events and the next wake time come out. No
 * socket, clock, thread or random source inside; same inputs and seed, same packets.
 * docs/protocol/transport.md is the wire.
 *
 * Use, in this order whenever anything happened: transport_receive() and stream calls; then
 * transport_next_event() until it says false; then transport_send() until it returns 0; then sleep
 * until transport_next_wake(). No call re-enters the caller.
 */
#ifndef TRANSPORT_TRANSPORT_H
#define TRANSPORT_TRANSPORT_H

#include "base/address.h"
#include "base/random.h"
#include "base/slice.h"
#include "transport/ecn.h"
#include "transport/trace.h"

struct crypto;    /* crypto/crypto.h */
struct transport; /* opaque: one end of one lane */
struct transport_stream;

enum {
    TRANSPORT_RINGS = 5,      /* priorities 0 (most urgent) to 4 (T2) */
    TRANSPORT_KEY_BYTES = 32, /* X25519 keys and the pre-shared key */
    TRANSPORT_SESSIONS_PER_LANE =
        64, /* receiver indexes that a lane may use: index_base .. index_base + 63 */
    TRANSPORT_DATAGRAM_MAX = 65535,  /* largest datagram (or GRO batch) in */
    TRANSPORT_STREAMS_LIMIT = 65536, /* open streams of a lane, both ends together */
    TRANSPORT_PATHS = 8,             /* of a lane, open at the same time */
};

/* Why a stream or a session ended. Carried on the wire; 0 is "no reason". */
#define TRANSPORT_CODE_LIST(X)                    \
    X(NONE, 0, "none")                            \
    X(CANCELLED, 1, "cancelled by the other end") \
    X(REFUSED, 2, "refused")                      \
    X(UNREACHABLE, 3, "origin unreachable")       \
    X(TIMEOUT, 4, "timed out")                    \
    X(PROTOCOL, 5, "protocol error")              \
    X(LINK_LOST, 6, "link lost")                  \
    X(SHUTDOWN, 7, "shut down")                   \
    X(LIMIT, 8, "limit reached")                  \
    X(INTERNAL, 9, "internal error")

enum transport_code {
#define X(name, value, text) TRANSPORT_CODE_##name = (value),
    TRANSPORT_CODE_LIST(X)
#undef X
};
const char *transport_code_text(uint32_t code);
/* LIMIT, and after how many seconds another try may do: from TRANSPORT_CODE_LATER + 1 on. Only for ends that said TRANSPORT_FEATURE_LATER. */
enum { TRANSPORT_CODE_LATER = 0x100, TRANSPORT_LATER_MOST_S = 3600 };
uint32_t transport_code_later(uint64_t wait_ns);
uint32_t transport_code_seconds(uint32_t code); /* 0: it is another code */

/* X-macro: the states of a lane. */
#define TRANSPORT_STATE_LIST(X)                                                                 \
    X(IDLE, "idle") /* nothing to do yet: a responder waiting, an initiator not told to dial */ \
    X(DIALLING, "dialling") /* INIT sent, with backoff */                                       \
    X(UP, "up")             /* keys confirmed both ways */                                      \
    X(CLOSED, "closed")     /* by transport_close(); final */

enum transport_state {
#define X(name, text) TRANSPORT_STATE_##name,
    TRANSPORT_STATE_LIST(X)
#undef X
};

/* X-macro: the states of a path. */
#define TRANSPORT_PATH_STATE_LIST(X)                                           \
    X(NEW, "new") /* its address has not proven itself: probed only */         \
    X(ACTIVE, "active")                                                        \
    X(STANDBY, "standby")   /* works; carries data while no active one does */ \
    X(DOUBTED, "doubted")   /* one probe timeout */                            \
    X(DEGRADED, "degraded") /* two or more: probed only */

enum transport_path_state {
#define X(name, text) TRANSPORT_PATH_STATE_##name,
    TRANSPORT_PATH_STATE_LIST(X)
#undef X
};

struct transport_config {
    bool is_initiator;
    const struct crypto *crypto;
    uint8_t private_key[TRANSPORT_KEY_BYTES];
    uint8_t public_key[TRANSPORT_KEY_BYTES];
    uint8_t peer_key[TRANSPORT_KEY_BYTES];
    uint8_t pre_shared_key[TRANSPORT_KEY_BYTES]; /* zero: none */
    uint64_t random_seed;                        /* for jitter and choices that need no secrecy */
    uint32_t features;       /* TRANSPORT_FEATURE_*: what this end understands */
    uint64_t wall_offset_ns; /* wall clock (ns since 1970) minus now_ns, for the handshake */

    /* Receiver indexes: worker (10 bits) | generation (2) | lane slot (14) | session (6, zero). */
    uint32_t index_base;
    uint16_t lane, lanes; /* this lane's number and how many the link has */
    /* UDP payload of a full packet where the path takes it, 1200 .. 65000; default 1400 (T5); and what
     * is sent before that is proven, default 1200. */
    uint16_t packet_bytes, packet_bytes_least;
    uint8_t weights[TRANSPORT_RINGS]; /* default 16, 8, 4, 2, 1 (T3) */
    uint32_t sub_packet_bytes;        /* blending quantum, default 512 (T4) */

    /* Most connections that congestion control counts; default 256 (T7). */
    uint32_t hosted_cap;
    /* Most bytes of receive credit given out over all streams; default 256 MiB. */
    uint64_t window_budget;
    uint32_t stream_window;     /* first credit of a stream; default and least 16 KiB */
    uint32_t stream_window_max; /* most credit of a stream; default 16 MiB */
    /* Credit of a stream that opens while much of the budget is left; default 0: the first. */
    uint32_t stream_window_lent;
    uint64_t keep_alive_ns; /* a packet at least so often; default 5 s */
    /* An outage of up to so long costs no stream; then they are reset with LINK_LOST. Default 30 s. */
    uint64_t resume_ns;
    /* Default 8 s; the first retry comes after 250 ms, then doubled, with jitter. */
    uint64_t dial_backoff_max_ns;
    bool no_tail_repair;         /* never send the last bytes of the top rings twice; for tests */
    uint64_t handshake_every_ns; /* fresh Diffie-Hellman; default 1 h; 0: never */
    /* What packets are marked with: ECN_ECT_0 (default), ECN_ECT_1 (L4S), or ECN_NOT_ECT. */
    enum ecn_codepoint ecn;
};
void transport_config_defaults(struct transport_config *config);

/* What carries a path's packets. */
enum transport_carriage {
    TRANSPORT_CARRIAGE_UDP,
    TRANSPORT_CARRIAGE_TCP, /* in order, without loss, under TCP's own congestion control */
};

/* A way to the peer. What `local` names (a socket, an interface, a carriage) is the driver's
 * business: the core tells apart, and hands back, what it was given. */
struct transport_route {
    struct address to;
    uint8_t local;
    uint8_t carriage; /* enum transport_carriage */
    bool is_standby;  /* only while no other way works */
};

/* A received datagram or GRO batch: `length` bytes of which each `segment_bytes` (the last may
 * be shorter) are one packet; 0 means a single one. The bytes are decrypted in place. */
struct transport_datagram {
    struct address from;
    uint8_t *data;
    uint32_t length;
    uint16_t segment_bytes;
    uint8_t ecn;             /* the two ECN bits as received */
    uint8_t local, carriage; /* how it came, as in struct transport_route */
};

/* A batch to be sent in one call to one address (GSO): `data` has room for `capacity` bytes,
 * given by the caller; the core sets the rest. All segments have `segment_bytes` bytes but the
 * last, which may be shorter. */
struct transport_transmit {
    uint8_t *data;
    uint32_t capacity;
    struct address to;
    uint8_t local, carriage; /* how it goes, as in struct transport_route */
    uint32_t length;
    uint16_t segment_bytes;
    uint8_t ecn; /* the two ECN bits to be sent */
};

/* What travels with the opening of a stream (T10). */
struct transport_open {
    uint16_t port;  /* the one at which the client's traffic arrived; delivered to the same one */
    uint8_t flags;  /* TRANSPORT_OPEN_* */
    uint8_t ring;   /* 0 .. 4 */
    uint8_t weight; /* within the ring, 1 .. 255; 0: the default, 16 */
    struct address client; /* family 0: none */
    /* The site, as a number that both ends take from the same configuration (0: none). It decides with whom the stream shares its
     * ring, not what it may do. */
    uint16_t site;
    /* With TRANSPORT_OPEN_DATAGRAMS: how long a datagram may wait to be sent, either way; 0: for ever. */
    uint16_t lifetime_ms;
    /* Streams that its client has now, this one among them; 0: not known. The more, the less it is lent of `window_budget`. Not sent. */
    uint32_t sharers;
};
enum {
    TRANSPORT_OPEN_HTTP = 1,      /* the bytes are the message form of docs/protocol/message.md */
    TRANSPORT_OPEN_SECURE = 2,    /* carried undecrypted, never compressed */
    TRANSPORT_OPEN_DATAGRAMS = 8, /* a flow: a stream that datagrams go with (T12) */
    TRANSPORT_OPEN_TEST = 16,     /* a measurement by the ends of the link themselves */
    TRANSPORT_OPEN_PURGES = 32,   /* docs/protocol/purge.md; only where both ends offer it */
    TRANSPORT_OPEN_LOADS = 64,    /* docs/protocol/loads.md; likewise */
    TRANSPORT_OPEN_FLAGS = TRANSPORT_OPEN_HTTP | TRANSPORT_OPEN_SECURE | TRANSPORT_OPEN_DATAGRAMS |
                           TRANSPORT_OPEN_TEST | TRANSPORT_OPEN_PURGES | TRANSPORT_OPEN_LOADS,
};

/* What ends tell each other in the handshake; a session has those of both. */
enum {
    /* Packed frames of the message form, with the dictionary of docs/protocol/message.md. Another dictionary is another feature. */
    TRANSPORT_FEATURE_PACKED = 1,
    TRANSPORT_FEATURE_TIMES = 2,  /* TIMES frames of the message form */
    TRANSPORT_FEATURE_PURGES = 4, /* of an edge with a cache, of a gateway with a log of purges */
    TRANSPORT_FEATURE_GROUPS = 8, /* groups of origins in the message form */
    TRANSPORT_FEATURE_LOADS = 16, /* gateways tell edges of their queues */
    TRANSPORT_FEATURE_LATER = 32, /* codes that say when another try may do */
};

enum transport_event_kind {
    TRANSPORT_EVENT_UP,   /* session established */
    TRANSPORT_EVENT_DOWN, /* session lost: every stream ended with a RESET event before this one */
    TRANSPORT_EVENT_OPENED,   /* the peer opened `stream`; `open` says with what */
    TRANSPORT_EVENT_RING,     /* the peer gave it another ring or weight; `open` says which */
    TRANSPORT_EVENT_READABLE, /* bytes, the end or datagrams can be read */
    TRANSPORT_EVENT_WRITABLE, /* transport_stream_room() is positive again after it was 0 */
    TRANSPORT_EVENT_RESET,    /* ended abnormally, both directions; `code` says why; release it */
    TRANSPORT_EVENT_DONE,     /* ended well both ways, all acknowledged; release it */
};

struct transport_event {
    enum transport_event_kind kind;
    struct transport_stream *stream;
    void *owner; /* of the stream, as set by transport_stream_set_owner() */
    const struct transport_open *open;
    uint32_t code;
};

/* Life cycle. */
struct transport *transport_new(const struct transport_config *config, uint64_t now_ns);
void transport_free(struct transport **transport); /* streams and all; no events any more */

/* Initiator: connect, and again whenever lost. `count` 0: there is no way. */
void transport_dial(struct transport *transport, const struct transport_route *routes, size_t count,
                    uint64_t now_ns);
/* Initiator: all ways to the peer, at most TRANSPORT_PATHS; each is a path of its own, and
 * dialling takes them in turn. May change while the lane is up: new ones are tried, missing ones
 * are given up. Ignored when there are none. */
void transport_set_routes(struct transport *transport, const struct transport_route *routes,
                          size_t count, uint64_t now_ns);
/* Streams are reset; CLOSE goes out with the next send. */
void transport_close(struct transport *transport, uint32_t code, uint64_t now_ns);

/* A responder's INIT, authenticated as far as the initiator's static key
 * (src/transport/handshake.h has the crypto). */
struct transport_hello;
struct transport_hello_facts {
    uint8_t peer_key[TRANSPORT_KEY_BYTES];
    uint16_t lane, lanes;
};

/* What a listening socket shares: keys, cookies, load. One for each worker. */
struct transport_listener;
struct transport_listener *transport_listener_new(const struct crypto *crypto,
                                                  const uint8_t private_key[TRANSPORT_KEY_BYTES],
                                                  uint64_t now_ns);
void transport_listener_free(struct transport_listener **listener);

/* Examines an INIT. 0: *hello is set, `facts` say who; look the key up, then transport_accept()
 * or transport_hello_free(). ERROR_AGAIN: the listener is busy and wrote a COOKIE into `reply`
 * (length set) to be sent back. Other errors: silence. Strangers leave no state. */
MUST_USE int transport_listener_hello(struct transport_listener *listener,
                                      const struct transport_datagram *datagram, uint64_t now_ns,
                                      struct transport_transmit *reply,
                                      struct transport_hello **hello,
                                      struct transport_hello_facts *facts);
/* A packet for an index that this process knows nothing of (it has restarted): writes a
 * stateless close into `reply`, on which the peer dials anew at once. False: answer nothing; the
 * rate is limited. */
bool transport_listener_stray(struct transport_listener *listener,
                              const struct transport_datagram *datagram, uint64_t now_ns,
                              struct transport_transmit *reply);
void transport_hello_free(struct transport_hello **hello);

/* The lane answers with RESP (through transport_send()). A replay is refused: ERROR_REPLAY. The
 * running session, if any, stays until the first authenticated packet of the new one arrives.
 * Takes the hello in any case. `datagram`: how it came; its bytes are not looked at. */
MUST_USE int transport_accept(struct transport *transport, struct transport_hello **hello,
                              const struct transport_datagram *datagram, uint64_t now_ns);

/* What a driver needs to know of a datagram before it knows the lane. */
enum transport_packet_kind {
    TRANSPORT_PACKET_HELLO,   /* an INIT: for transport_listener_hello() */
    TRANSPORT_PACKET_INDEXED, /* *receiver_index names worker, generation, lane slot and session */
    /* By a peer that has forgotten us. It names none of our indexes: for every lane whose peer
     * has its address. */
    TRANSPORT_PACKET_CLOSE,
    TRANSPORT_PACKET_FOREIGN, /* none of ours: drop it */
};
enum transport_packet_kind transport_packet_kind(struct span datagram, uint32_t *receiver_index);

/* Packets in and out. */
void transport_receive(struct transport *transport, uint64_t now_ns,
                       const struct transport_datagram *datagrams, size_t count);
/* How many transmits were filled; call again while it is all of them. */
size_t transport_send(struct transport *transport, uint64_t now_ns,
                      struct transport_transmit *transmits, size_t count);
uint64_t transport_next_wake(const struct transport *transport); /* UINT64_MAX: never */
bool transport_next_event(struct transport *transport, struct transport_event *event);

/* Since when nothing passes on any path, though the connection is still kept; 0: it passes, or the
 * lane is not up. Streams wait meanwhile, new ones too: a caller with another way to go may prefer
 * that. */
uint64_t transport_out_since(const struct transport *transport);

/* Streams. A stream pointer is valid until transport_stream_release(). */
MUST_USE int transport_stream_open(struct transport *transport, const struct transport_open *open,
                                   struct transport_stream **stream);
void transport_stream_set_owner(struct transport_stream *stream, void *owner);

/* Takes all of `bytes` (the queue is left empty); references are held until acknowledged.
 * Writing more than transport_stream_room() is allowed but queues without bound of its own: stop
 * at 0 and wait for WRITABLE. */
void transport_stream_write(struct transport_stream *stream, struct slice_queue *bytes);
void transport_stream_finish(struct transport_stream *stream); /* no more bytes from here */
/* How much more is useful now: about two times its share of the path, at least 16 KiB. */
uint64_t transport_stream_room(const struct transport_stream *stream);
uint64_t transport_stream_unsent(const struct transport_stream *stream);

/* Moves what has arrived in order to `bytes`, up to `limit`. *ended: everything up to the
 * sender's end has been read. */
void transport_stream_read(struct transport_stream *stream, struct slice_queue *bytes,
                           uint64_t limit, bool *ended);
/* So many of the bytes read are done with: credit for the sender. */
void transport_stream_consume(struct transport_stream *stream, uint64_t bytes);

/* Ends both directions and tells the peer why. No event follows; release it. */
void transport_stream_reset(struct transport_stream *stream, uint32_t code);
/* Whether it is sure that the peer got nothing of what was written: no byte of it, nor its end, was ever in a packet. Then it comes back
 * into `bytes` and the stream is over, as by a reset. False: something may have arrived, and nothing has changed. May also be asked,
 * once, of a stream of our own that ended with its connection, behind the RESET event. */
bool transport_stream_take_back(struct transport_stream *stream, struct slice_queue *bytes);
/* Tells the peer too. */
void transport_stream_set_ring(struct transport_stream *stream, uint8_t ring, uint8_t weight);
/* The caller will not use it again. One that was finished from here still delivers what was
 * written and throws away what comes; an unfinished one is reset with CANCELLED. */
void transport_stream_release(struct transport_stream *stream);

/* Datagrams of a flow (T12): in the blender and under congestion control like a stream's bytes, but never sent again, not ordered, and
 * dropped when they have waited for the flow's lifetime or when 64 wait (the oldest goes), or 16 MiB
 * over all flows. A flow's bytes arrive reliably beside them; a flow ends by reset or release only. */
uint32_t transport_datagram_most(const struct transport *transport); /* bytes of the largest one */
/* Takes the datagram in any case. 0; ERROR_LIMIT: too large; ERROR_CLOSED: the stream is over, or not a flow. */
int transport_datagram_write(struct transport_stream *stream, struct slice *datagram,
                             uint64_t now_ns);
bool transport_datagram_read(struct transport_stream *stream,
                             struct slice *datagram); /* false: none waits */

/* A site's weight within a ring; 0 is the default, 16. */
struct transport_site_weight {
    uint16_t number;
    uint8_t weight;
};

/* Settings that may change while running (R12). */
/* Of the sites named; all others have the default. The array is copied. */
void transport_set_site_weights(struct transport *transport,
                                const struct transport_site_weight *weights, size_t count);
void transport_set_weights(struct transport *transport, const uint8_t weights[TRANSPORT_RINGS]);
void transport_set_packet_bytes(struct transport *transport, uint16_t packet_bytes);
/* The driver could not send a packet of so many bytes of `transmit`: the interface takes less. */
void transport_packet_refused(struct transport *transport,
                              const struct transport_transmit *transmit, uint32_t bytes);

/* What happens is written into `trace` from now on; NULL: no more. It must live as long. */
void transport_set_trace(struct transport *transport, struct transport_trace *trace);

/* Queries. */
struct transport_ring_facts {         /* T2, T3 */
    uint64_t sockets, ready, bytes;   /* now: nSockets, nReady, nBytes */
    uint64_t sent_bytes, sub_packets; /* so far */
};
/* One direction of a path or a link, as the sender of its packets knows it (T8). */
struct transport_quality {
    uint32_t loss_ppm_1s, loss_ppm_10s; /* of packets */
    uint32_t ce_ppm_10s;                /* marked by the network instead of lost */
    uint32_t srtt_us, min_rtt_us, rtt_variance_us;
    uint32_t queue_us;            /* waiting in this direction alone */
    int32_t delay_trend_us_per_s; /* how the one-way delay grew over the last second */
    uint32_t hosted;              /* connections counted as the share of the network */
    uint32_t spurious, reconnects;
    uint32_t ecn_state; /* enum ecn_state */
    uint64_t delivery_bytes_per_s, spare_window_bytes;
};
struct transport_path_facts {
    uint8_t id;
    uint8_t local, carriage;
    enum transport_path_state state;
    bool is_primary;
    struct address peer;
    uint64_t window_bytes, in_flight_bytes, pacing_bytes_per_s;
    uint64_t packets_sent, bytes_sent, packets_lost;
    uint32_t hosted, virtual_flows, probe_timeouts;
    const char *mode; /* of congestion control, for people; a constant; NULL: it has not begun */
    uint32_t packet_bytes, mtu_fallbacks;
    struct transport_quality quality, peer_quality;
};
struct transport_facts {
    enum transport_state state;
    uint32_t features;   /* of the session; 0: none */
    struct address peer; /* of the path that is best now, as are the round trips */
    uint64_t up_since_ns, sessions, streams_open, streams_opened, streams_reset;
    uint64_t srtt_ns, min_rtt_ns, rtt_variance_ns;
    uint64_t window_bytes, in_flight_bytes, pacing_bytes_per_s, delivery_bytes_per_s;
    uint32_t hosted, virtual_flows;
    uint64_t packets_sent, packets_received, packets_lost, packets_spurious, bytes_sent,
        bytes_received, datagrams_refused, packets_replayed;
    uint64_t packets_early; /* before the peer had said who it is: they come again */
    uint64_t stream_bytes_sent, stream_bytes_resent, acks_sent, probe_timeouts;
    /* Datagrams of flows: sent, received; dropped because they were late, too many or too large. */
    uint64_t flow_sent, flow_received, flow_late, flow_overflowed, flow_too_large;
    uint64_t tail_repairs, tail_repair_bytes; /* packets of the top rings sent once more, unasked */
    uint64_t packets_ce, ecn_failures; /* marks reported of our packets; paths that mangle marks */
    /* Of our packets, and of the peer's as it reports them; over all paths, round trips and delays
     * of the primary one. */
    struct transport_quality quality, peer_quality;
    uint64_t peer_quality_ns; /* when it last reported; 0: never */
    struct transport_ring_facts rings[TRANSPORT_RINGS];
    struct transport_path_facts paths[TRANSPORT_PATHS];
    uint32_t path_count;
};
void transport_read_facts(const struct transport *transport, struct transport_facts *facts);
/* What changes from moment to moment, without the cost of all facts. */
struct transport_brief {
    uint64_t packets_known,
        packets_lost; /* of ours whose fate is known, over all paths that there are; those that were lost */
    uint64_t srtt_ns;
    uint64_t spare_window_bytes;
    bool is_doubted; /* no path has answered lately what it should have answered by now */
};
void transport_read_brief(const struct transport *transport, struct transport_brief *brief);
struct transport_site_facts {
    uint16_t number; /* 0: streams of no site, or of more sites than are told apart */
    uint8_t weight;
    uint64_t buffers, sent_bytes;
};
/* The sites that sent most, most first: at most `count`. How many were written. */
size_t transport_read_sites(const struct transport *transport, struct transport_site_facts *sites,
                            size_t count);
const char *transport_state_text(enum transport_state state);
const char *transport_path_state_text(enum transport_path_state state);

#endif
