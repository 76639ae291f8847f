/* SPDX-License-Identifier: Apache-2.0
 *
 * Liveness (R8, R9): every 250 ms an edge sends each DNS node an authenticated STATUS datagram,
 * outside congestion control. A node that misses three is dead. Reports are encrypted between
 * keys that both configurations list; a forged, replayed, reordered or duplicated one changes
 * nothing, across restarts of either end and without trusting clocks:
 *
 *     edge                                             DNS node
 *     STATUS epoch 0, turn 0, sequence 1     ------->   not my epoch: nothing changes
 *                                            <-------   EPOCH e, turn t+1 (echoes the STATUS)
 *     STATUS epoch e, turn t+1, sequence 2   ------->   believed: the turn is t+1 now
 *     STATUS epoch e, turn t+1, sequence 3   ------->   believed; each sequence once, ascending
 *
 * The receiver draws its epoch when it starts, so what was recorded before that start is
 * worthless. Each process of an edge that comes to be believed gets a turn of its own, so what
 * another process of it sent, and somebody withheld, is worthless too. docs/protocol/status.md
 * is the specification.
 *
 * Measurements (R6, S9, H2, H3) go the same way in MEASURE datagrams of typed sections: they are
 * believed of whoever is believed to live. What a DNS node wants a node to measure, it asks in
 * REQUEST datagrams. docs/protocol/measure.md.
 *
 * Pure: `now_ns` is the monotonic clock, randomness comes through struct crypto. A receiver
 * keeps state for configured nodes only. Gateways and agents report as edges do; what is said of
 * edges here holds for them, but for failing open.
 */
#ifndef MEASURE_MEASURE_H
#define MEASURE_MEASURE_H

#include "base/heap.h"
#include "crypto/crypto.h"
#include "director/director.h"
#include "measure/health.h"
#include "measure/probe_schedule.h"
#include "measure/visitors.h"

enum {
    STATUS_VERSION = 1,
    STATUS_WORKERS_MAX = 64,    /* in a report; further ones are left out */
    STATUS_GATEWAYS_MAX = 48,   /* likewise */
    STATUS_DATAGRAM_MAX = 1024, /* bytes; fits the least IPv6 MTU */
    STATUS_EPOCH_BYTES = 68,    /* of an EPOCH datagram; no STATUS is shorter */
    STATUS_EDGES_MAX = 4096,    /* nodes of a receiver */
    STATUS_MISSES = 3,          /* then an edge is dead */
    STATUS_STALL_MS = 1000, /* a worker that did not come round for longer makes its edge unwell */
    STATUS_EPOCHS_PER_S = 20, /* EPOCH datagrams that a receiver sends to one edge */
};
#define STATUS_PERIOD_NS (250ull * 1000000)
#define STATUS_SLACK_NS  (100ull * 1000000) /* for the last one's delay on the way */
#define STATUS_DEAD_NS   (STATUS_MISSES * STATUS_PERIOD_NS + STATUS_SLACK_NS)
/* Edges that die within so long of each other vanished together. */
#define STATUS_VANISH_NS (2000ull * 1000000)
/* After its start a receiver gives edges that it has not heard yet so long before it calls them
 * dead. If it has heard none at all by then, it fails open: more likely this node is cut off. */
#define STATUS_GRACE_NS (3000ull * 1000000)

enum status_flag {
    STATUS_DRAINING = 1,   /* serves what it has, wants nothing new */
    STATUS_ADMIN_DOWN = 2, /* taken out by its administrator */
    STATUS_LEAVING = 4,    /* the process ends now: do not wait for silence */
};

/* A gateway's link as its edge sees it. */
struct status_gateway {
    uint64_t id; /* status_node_id() of the gateway's key */
    uint32_t srtt_us;
    uint32_t loss_ppm;
    bool is_up;
};

/* What an edge says of itself. */
struct status_report {
    uint8_t flags;        /* enum status_flag */
    uint32_t connections; /* open client connections */
    uint32_t requests_per_s;
    uint64_t config_hash; /* of the network file, so that differences show */
    uint16_t worker_count, gateway_count;
    uint16_t worker_age_ms[STATUS_WORKERS_MAX]; /* since each worker's loop last came round */
    struct status_gateway gateways[STATUS_GATEWAYS_MAX];
};

/* A short name of a node: the first 8 bytes of SHA-256 of its public key. */
uint64_t status_node_id(const struct crypto *crypto, const struct key *public_key);

/* --- measurements --- */

enum {
    MEASURE_DATAGRAM_MAX = 1200, /* bytes; fits the least IPv6 MTU */
    MEASURE_SECTIONS_MAX = 1140, /* of these for sections; a REQUEST has no more */
    MEASURE_PER_S = 32,          /* of one node; what comes beyond is not looked at */
    MEASURE_GAUGES = sizeof((struct director_load *)NULL)->gauges / sizeof(uint32_t),
};

/* What an item is, and its section's number on the wire; numbers are never used again. */
enum measure_kind {
    MEASURE_LOAD = 1, /* of the sender, in one of its roles */
    MEASURE_LINK = 2, /* of an edge to a gateway: those for which STATUS has no room */
    MEASURE_LATENCY =
        3,              /* between the sender and a client network; on the wire 3 is IPv4, 4 IPv6 */
    MEASURE_HEALTH = 5, /* of somebody else, as the sender sees it */
    MEASURE_HELD = 6,   /* what an edge holds of a site */
    MEASURE_PROOF = 7,  /* what an authority for certificates is to see in DNS */
    MEASURE_PROBE = 16, /* in a REQUEST: an address to probe; on the wire 16 is IPv4, 17 IPv6 */
};

enum measure_role { MEASURE_EDGE, MEASURE_GATEWAY, MEASURE_SERVER, MEASURE_ROLES };

struct measure_load {
    enum measure_role role;
    struct director_load load; /* but for taken_ns: it is now */
};

struct measure_latency {
    struct address
        client; /* a host of the network (latency_network()) that spoke to the sender; port 0 */
    enum latency_source source;
    bool is_silent; /* no answer came: rtt_us is a large value */
    uint16_t samples;
    uint16_t age_s; /* since it was taken */
    uint32_t rtt_us;
};

/* A check that was decided by rise and fall, again from time to time and at once when it changed. */
struct measure_health {
    uint64_t subject; /* status_node_id() of a node; of an origin measure_name_id() */
    uint8_t kind;     /* enum measure_subject */
    uint8_t check;    /* what was checked, numbers of the checker */
    uint8_t cause;    /* of its failure, likewise; 0: none */
    bool is_up;
    uint16_t age_s;  /* since the last check */
    uint16_t streak; /* checks with the same result in a row */
    uint32_t rtt_us; /* 0: not known */
};
enum measure_subject { MEASURE_SUBJECT_NODE, MEASURE_SUBJECT_ORIGIN };

/* How much of what a site's visitors ask an edge for lies there. */
struct measure_held {
    uint64_t site;  /* measure_name_id() of its name */
    uint16_t share; /* thousandths */
};

/* The first 8 bytes of SHA-256: a short name of whatever both configurations name alike. */
uint64_t measure_name_id(const struct crypto *crypto, struct span name);

/* Of a name that a node orders a certificate for; believed of that node alone. */
struct measure_proof {
    uint64_t name; /* measure_name_id() of the name, without its wildcard */
    uint8_t digest[HASH_BYTES];
};

struct measure_item {
    enum measure_kind kind;
    union {
        struct measure_load load;
        struct status_gateway link;
        struct measure_latency latency;
        struct measure_health health;
        struct measure_held held;
        struct measure_proof proof;
        struct address probe; /* a host that had spoken to an edge; port 0 */
    };
};

/* Sections under way. A zeroed one is empty. */
struct measure_message {
    uint16_t length;
    uint16_t section; /* where the last one begins */
    uint8_t bytes[MEASURE_SECTIONS_MAX];
};

/* Appends an item. false: there is no room for it; send the message, and begin another one. */
bool measure_put(struct measure_message *message, const struct measure_item *item);

struct measure_reader {
    struct span left;    /* behind this section */
    struct span records; /* of this section */
    uint8_t type, record_bytes;
    bool is_malformed;
    uint32_t unknown; /* sections of later releases, passed over */
};
struct measure_reader measure_reader_of(const struct measure_message *message);
/* The next item; false at the end, or where the rest does not parse. */
bool measure_next(struct measure_reader *reader, struct measure_item *item);

/* --- keys of a pair --- */

/* What an edge and a DNS node have in common, from both static keys and the optional pre-shared
 * key. */
struct status_pair {
    struct key report,
        answer;   /* keys of datagrams are drawn from these, by incarnation and epoch */
    uint64_t tag; /* names the pair on the wire; means nothing to others */
};

/* `pre_shared_key` may be NULL. One curve operation. ERROR_INVALID: a key of small order. */
MUST_USE int status_pair_init(struct status_pair *pair, const struct crypto *crypto, bool is_edge,
                              const struct key *own_private, const struct key *peer_public,
                              const struct key *pre_shared_key);
void status_pair_clear(struct status_pair *pair);

/* --- sender: an edge, one for each DNS node --- */

#define STATUS_SENDER_COUNTER_LIST(X)                              \
    X(reports_sent)                                                \
    X(epochs_taken)                                                \
    X(epochs_malformed)                                            \
    X(epochs_foreign) /* do not echo a report of ours just sent */ \
    X(epochs_forged)                                               \
    X(measures_sent)                                               \
    X(requests_taken)                                              \
    X(requests_refused) /* malformed, forged, foreign or replayed */

struct status_sender_counters {
#define X(name) uint64_t name;
    STATUS_SENDER_COUNTER_LIST(X)
#undef X
};

/* Which numbers were seen: each counts once, in any order within 64. */
struct status_window {
    uint64_t greatest, seen; /* bit n of `seen`: greatest - n */
};

struct status_sender {
    const struct crypto *crypto;
    struct status_pair pair;
    struct aead *aead, *measure_aead;
    uint64_t
        incarnation; /* random; a key of its own, so that no nonce is used twice across restarts */
    uint64_t sequence;             /* of the last report */
    uint64_t echo_floor;           /* EPOCHs must echo a later report than this */
    uint64_t epoch, turn;          /* as the receiver said; 0: not known yet */
    uint64_t measures;             /* sent */
    struct status_window requests; /* of the present epoch */
    uint64_t next_ns;
    struct status_sender_counters counters;
};

MUST_USE int status_sender_init(struct status_sender *sender, const struct crypto *crypto,
                                const struct key *own_private, const struct key *receiver_public,
                                const struct key *pre_shared_key, uint64_t now_ns);
void status_sender_clear(struct status_sender *sender); /* wipes */

/* Writes a STATUS and returns its length. Due at status_sender_wake(); earlier is allowed, when
 * something changed. */
size_t status_sender_write(struct status_sender *sender, uint64_t now_ns,
                           const struct status_report *report, uint8_t out[STATUS_DATAGRAM_MAX]);

/* An EPOCH from the receiver. 0: taken, and the next report is due at once. Other results change
 * nothing. */
MUST_USE int status_sender_receive(struct status_sender *sender, uint64_t now_ns,
                                   struct span datagram);
uint64_t status_sender_wake(const struct status_sender *sender);

/* Writes a MEASURE and returns its length; 0: the receiver was not heard yet, and nothing would be
 * believed. */
size_t status_sender_measure(struct status_sender *sender, const struct measure_message *message,
                             uint8_t out[MEASURE_DATAGRAM_MAX]);
/* What comes back is an EPOCH or, when this says so, a REQUEST. */
bool status_is_request(struct span datagram);
/* A REQUEST of the receiver to this very process. 0: taken, each once. Other results change
 * nothing. */
MUST_USE int status_sender_request(struct status_sender *sender, struct span datagram,
                                   struct measure_message *message);

/* --- receiver: a DNS node --- */

#define STATUS_EDGE_STATE_LIST(X)                                                              \
    X(UNHEARD, "unheard") /* since this receiver started; presumed live for STATUS_GRACE_NS */ \
    X(LIVE, "live")                                                                            \
    X(UNWELL, "unwell") /* reports, but a worker of it stalls */                               \
    X(DEAD, "dead")     /* three reports missed, or it said that it leaves, or never heard */

enum status_edge_state {
#define X(name, text) STATUS_EDGE_##name,
    STATUS_EDGE_STATE_LIST(X)
#undef X
};
const char *status_edge_state_text(enum status_edge_state state);

/* A row of the table that the director reads. Read-only for callers; valid until the edge is
 * dropped. */
struct status_edge {
    struct key public_key;
    uint32_t label; /* the caller's own number for it */
    bool is_edge;   /* else a gateway or agent */
    enum status_edge_state state;
    bool is_kept;          /* dead, but its answers stay: it vanished together with most others */
    uint64_t since_ns;     /* in this state */
    uint64_t heard_ns;     /* last believed report; 0: none */
    uint64_t believed;     /* reports */
    uint64_t incarnations; /* how often it (re)started, as heard here */
    struct status_report report; /* the last believed one */
};

/* Whether clients may be sent there: live or presumed so or kept, and neither draining, down nor
 * leaving. */
bool status_edge_is_usable(const struct status_edge *edge);

enum status_event_kind {
    STATUS_EVENT_LIVE, /* first report, or back again, or well again */
    STATUS_EVENT_UNWELL,
    STATUS_EVENT_DEAD,
    STATUS_EVENT_FLAGS, /* draining, down or leaving changed */
    /* Over half of the live edges vanished together: say it loudly. `edge` is NULL. */
    STATUS_EVENT_FAIL_OPEN,
    /* Enough of them are back: answers follow the reports again. `edge` is NULL. */
    STATUS_EVENT_FAIL_CLOSED,
};

#define STATUS_RECEIVER_COUNTER_LIST(X)                                              \
    X(believed)                                                                      \
    X(malformed)   /* not a STATUS of this version, or its contents do not parse */  \
    X(strangers)   /* a tag of no configured edge */                                 \
    X(forged)      /* failed authentication */                                       \
    X(stale_epoch) /* authentic, of another epoch or process: answered with EPOCH */ \
    X(replayed)    /* authentic, of the process that is believed, but not later */   \
    X(superseded)  /* authentic, of a process that another one has followed */       \
    X(epochs_sent)                                                                   \
    X(epochs_limited) /* not answered: too many for this edge in this second */

struct status_receiver_counters {
#define X(name) uint64_t name;
    STATUS_RECEIVER_COUNTER_LIST(X)
#undef X
};

#define MEASURE_RECEIVER_COUNTER_LIST(X)                                             \
    X(believed)                                                                      \
    X(malformed)  /* not a MEASURE of this version */                                \
    X(strangers)  /* a tag of no configured node */                                  \
    X(unexpected) /* of a process, epoch or turn that no STATUS has made believed */ \
    X(forged)                                                                        \
    X(replayed)                                                                      \
    X(limited) /* authentic, too many in this second */                              \
    X(requests_sent)

struct measure_receiver_counters {
#define X(name) uint64_t name;
    MEASURE_RECEIVER_COUNTER_LIST(X)
#undef X
};

struct status_receiver;

/* `on_event` is called from within receive, run and drop; it must not change the receiver. */
struct status_receiver *status_receiver_new(
    const struct crypto *crypto, const struct key *own_private, uint64_t now_ns,
    void (*on_event)(void *owner, enum status_event_kind kind, const struct status_edge *edge),
    void *owner);
void status_receiver_free(struct status_receiver **receiver);

/* Adds a configured node, or gives a known one a new label. ERROR_LIMIT, ERROR_INVALID (small
 * order). The others keep their state: a reload is puts and drops. Failing open is about edges
 * alone. */
MUST_USE int status_receiver_put(struct status_receiver *receiver, const struct key *node_public,
                                 const struct key *pre_shared_key, bool is_edge, uint32_t label,
                                 uint64_t now_ns);
void status_receiver_drop(struct status_receiver *receiver, const struct key *edge_public);

/* A STATUS. 0: believed, of *from (may be NULL). ERROR_AGAIN: send `reply` (STATUS_EPOCH_BYTES, never longer than the
 * datagram) back to where it came from. Other errors: silence; each has a counter. */
MUST_USE int status_receiver_receive(struct status_receiver *receiver, uint64_t now_ns,
                                     struct span datagram, uint8_t reply[STATUS_EPOCH_BYTES],
                                     const struct status_edge **from);

/* What came is a STATUS or, when this says so, a MEASURE. */
bool status_is_measure(struct span datagram);
/* A MEASURE. 0: believed, its sections are in `message`, and *from says whose they are. Other
 * results change nothing; each has a counter. */
MUST_USE int status_receiver_measure(struct status_receiver *receiver, uint64_t now_ns,
                                     struct span datagram, struct measure_message *message,
                                     const struct status_edge **from);
/* Writes a REQUEST to the process of that node that is believed, and returns its length; 0: none
 * is. The caller bounds the rate, and sends it where the node's last believed STATUS came from. */
size_t status_receiver_request(struct status_receiver *receiver, const struct key *node_public,
                               const struct measure_message *message,
                               uint8_t out[MEASURE_DATAGRAM_MAX]);

/* Notices silence. Call it at status_receiver_wake() or later, when all datagrams that wait have
 * been received. When it comes late by more than a period, this node itself stood still: every
 * edge gets another period. */
void status_receiver_run(struct status_receiver *receiver, uint64_t now_ns);
uint64_t status_receiver_wake(const struct status_receiver *receiver); /* UINT64_MAX: never */

/* The table. */
size_t status_receiver_count(const struct status_receiver *receiver);
const struct status_edge *status_receiver_edge(const struct status_receiver *receiver,
                                               size_t index);
const struct status_edge *status_receiver_find(const struct status_receiver *receiver,
                                               const struct key *edge_public); /* or NULL */
bool status_receiver_is_fail_open(const struct status_receiver *receiver);
const struct status_receiver_counters *
status_receiver_counters(const struct status_receiver *receiver);
const struct measure_receiver_counters *
status_receiver_measure_counters(const struct status_receiver *receiver);

#endif
