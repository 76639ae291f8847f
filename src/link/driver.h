/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/link: what a link, a lane, a worker's UDP side and a stream are.
 *
 *   link_set ── link (one for each peer) ── lane (transport core, on its owner's worker)
 *      └─ driver (one for each worker): UDP sockets, buffers, listener for INITs
 */
#ifndef LINK_DRIVER_H
#define LINK_DRIVER_H

#include "base/hash.h"
#include "compress/compress.h"
#include "crypto/crypto.h"
#include "link/history.h"
#include "link/link.h"
#include "link/steering.h"
#include "link/trial.h"

#include <pthread.h>
#include <sys/socket.h>

enum {
    LINKS_LIMIT = 16384, /* 14 bits of a receiver index */
    LANES = 4,           /* of a link: generations of a process */
    RECEIVE_BATCH = 16,  /* datagrams or GRO batches for each recvmmsg() */
    RECEIVE_BUFFER_BYTES = 65536,
    SEND_BATCH = 16, /* GSO batches for each round of transport_send() */
    SEND_BUFFER_BYTES = 65000,
    RECEIVE_ROUNDS = 8, /* full batches taken from a socket before others get their turn */
    SOCKETS_LIMIT = 26, /* of a driver: 16 listening, 8 to dial from, one more for each family */
    SOCKETS_LISTENING_LIMIT = 16,
    SOCKET_NONE = 255,
    CARRIAGE_LISTENERS = 16,
    QUALITY_PERIOD_NS = 1000000000,
    SITES_SHOWN = 32, /* in a link's status */
};

struct driver;

struct udp_socket {
    struct loop_watch watch;
    struct driver *driver;
    uint8_t family;
    bool is_ours;           /* opened here, closed here */
    enum offload_cut cut;   /* UDP_SEGMENT; NONE when the kernel or a device refuses it */
    bool is_blocked;        /* its buffer is full: `waiting` goes first */
    uint16_t refused_bytes; /* packets of that size are too large for the interface; 0: none was */
    struct list waiting;    /* struct held_datagram */
    size_t waiting_count;
};

/* Of a lane that dials: when it uses TCP (fallback.c). */
struct fallback {
    struct loop_timer timer;
    uint64_t worked_ns, failed_ns;     /* when UDP was last seen to do so */
    uint64_t retry_at_ns, close_at_ns; /* connections over TCP */
    uint32_t failures;
    bool is_on; /* the core has a route over TCP */
};

struct carriage_listener {
    struct loop_watch watch;
    struct driver *driver;
};

struct lane {
    struct link *link;
    struct driver *driver;
    struct transport *transport;
    struct udp_socket
        *blocked_by; /* the socket that took no more; NULL: none since the last flush */
    struct loop_timer wake, measure;
    uint64_t measured_ns; /* all facts were published */
    uint64_t made_ns;
    uint64_t out_since_ns; /* as last told; 0: it passes */
    struct loop_task flush;
    struct list streams;
    uint32_t node_streams; /* of these, such as belong to no client */
    uint16_t packet_bytes; /* of a full packet, as set */
    bool allows_test;      /* peers may measure the link */
    struct list carriages; /* struct carriage: over TCP */
    struct fallback fallback;
};

/* An address of a peer that we dial. */
struct link_way {
    struct address to;
    bool is_standby;
};

/* What the configuration says of a link's peer and a reload may change: an immutable snapshot. */
struct link_peer {
    char *name;
    size_t host_count;
    struct address hosts[]; /* where it is */
};

/* A look at a lane's packets. Asked for on the main thread, set and unset on the lane's worker; what
 * it has is read under the link's lock. */
struct tracing {
    struct message message;
    _Atomic bool is_wanted;
    _Atomic uint64_t ends_ns;      /* nobody has asked for so long: off */
    struct transport_trace *trace; /* set by the worker, under the lock */
    uint64_t begun_ns;
};

/* What a measurement has found so far; `error` is a constant text. */
struct trial_result {
    bool is_running, was_run;
    const char *error;
    struct trial_report reports[TRIAL_WAYS];
    uint64_t rtt_before_us, rtt_mean_us, rtt_most_us;
    uint64_t packets, lost, loss_ppm_in;
};

struct link {
    struct link_set *set;
    uint8_t key[CONF_KEY_BYTES];           /* of the peer */
    struct address dial;                   /* family 0: the peer dials us */
    struct address dial_tcp;               /* family 0: not over TCP */
    struct link_way ways[TRANSPORT_PATHS]; /* the same and the peer's further addresses */
    size_t way_count;
    void *_Atomic peer; /* struct link_peer */
    bool is_self;       /* edge and gateway are this node */
    bool is_edge_side;  /* we are the edge of it, the peer is the gateway */
    bool is_dialler;
    bool is_named;               /* by the configuration being read; the reloading thread's own */
    _Atomic bool is_wanted;      /* by the present configuration */
    uint8_t weights[CONF_RINGS]; /* written while workers wait, or before they run */
    uint32_t slot;
    uint32_t owner;    /* worker */
    struct lane *lane; /* made and freed on the owner's thread */
    /* The lane's number is the generation of the process that dials: while one process of the peer takes over from the other, it
     * has a lane for each. The head is the first of a peer's, and keeps its history. */
    uint8_t number;
    struct link *head;
    struct link *_Atomic recent; /* the head's: which was up last */
    _Atomic bool has_session;
    _Atomic bool is_up;
    _Atomic uint32_t features; /* TRANSPORT_FEATURE_*, of both ends */
    _Atomic uint64_t ups;
    _Atomic uint32_t srtt_us, loss_ppm, peer_loss_ppm;
    _Atomic uint64_t packets_known, packets_lost, spare_bytes; /* ten times a second */
    _Atomic bool is_doubted;
    pthread_mutex_t facts_lock; /* once a second, and by status */
    struct transport_facts facts;
    struct transport_site_facts sites[SITES_SHOWN]; /* those that sent most, under the same lock */
    size_t site_count;
    struct history *history;    /* under the same lock */
    struct link_gauges *gauges; /* NULL: too many links */
    struct tracing tracing;
    struct trial_result trial_result; /* under the lock */
    struct message trial_message;
    uint32_t trial_milliseconds;
    struct trial *trial;               /* the lane's worker's, while it is measured from here */
    struct trial_server *trial_server; /* likewise, from there */
};

/* One worker's part. */
struct driver {
    struct link_set *set;
    struct worker *worker;
    struct loop *loop;
    struct transport_listener *listener;
    struct udp_socket sockets[SOCKETS_LIMIT];
    size_t socket_count;                   /* an index means the same on every worker */
    uint8_t from_sockets[TRANSPORT_PATHS]; /* by place in set->from; SOCKET_NONE: not opened */
    struct carriage_listener tcp_listeners[CARRIAGE_LISTENERS];
    size_t tcp_listener_count;
    struct list carriages; /* of which nobody knows yet whose they are */
    uint32_t strangers;    /* those, and others that have shown nothing */
    uint32_t accepts;      /* in this second */
    uint64_t accept_second;
    struct compressor *compressor;
    uint8_t *receive_buffers; /* RECEIVE_BATCH of RECEIVE_BUFFER_BYTES */
    uint8_t *send_buffers;    /* SEND_BATCH of SEND_BUFFER_BYTES */
};

struct link_set {
    struct link_options options; /* without its snapshot */
    struct conf_link settings;
    struct address from[TRANSPORT_PATHS]; /* of our own to dial from */
    size_t from_count;
    struct offload offload_v4, offload_v6;      /* what the kernel does rightly */
    struct transport_site_weight *site_weights; /* those that are not ordinary */
    size_t site_weight_count;
    struct link_tls *tls; /* NULL: nothing is carried over TCP */
    /* The edge of a node that is its own gateway dials with a key of its own: nobody shakes hands with himself. */
    struct key self_private_key, self_public_key;
    struct address local_address; /* where it dials itself when link.address says nothing */
    int *local_sockets;           /* on loopback, where link.listen says nothing */
    uint32_t local_count;
    struct link **links; /* LINKS_LIMIT places; a link keeps its own until the set is freed */
    _Atomic uint32_t link_count;
    _Atomic bool has_warned_of_buffers;
    struct driver *_Atomic *drivers; /* by worker; NULL before it starts and after it stops */
};

/* ---- local.c */
MUST_USE int local_open(struct link_set *set, const struct conf_node *self);
void local_close(struct link_set *set);

/* ---- udp.c */
MUST_USE int driver_open_sockets(struct driver *driver);
void driver_close_sockets(struct driver *driver);
void driver_leave_sockets(struct driver *driver); /* reads those no more that are not its own */
void driver_add_socket(struct driver *driver, int fd, uint8_t family, bool is_ours);
/* The one to dial by that is bound to no address; SOCKET_NONE: the family has none. */
uint8_t driver_socket_for(const struct driver *driver, const struct address *to);
/* Sends, or holds what the kernel does not take now. False: held; send no more until lane_flush() runs again. */
bool udp_send(struct udp_socket *socket, const struct transport_transmit *transmits, size_t count);

/* ---- ancillary.c: what travels beside a datagram */
union ancillary { /* room for segment size and ECN bits, either way */
    char bytes[2 * CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};
/* GRO (`joins`), and ECN bits of what arrives. */
void ancillary_enable(int fd, uint8_t family, bool joins);
/* Sets the header's control data; `segment` 0: one packet. Nothing to say: leaves it alone. */
void ancillary_write(struct msghdr *header, union ancillary *space, uint8_t family,
                     uint16_t segment, uint8_t ecn);
void ancillary_read(struct msghdr *header, struct transport_datagram *datagram);

/* ---- rings.c */
void rings_register(void);
/* What has changed between two looks at a lane. */
void rings_count(const struct transport_facts *before, const struct transport_facts *now);

/* ---- weights.c */
enum { LINK_SITE_WEIGHT = 16 }; /* an ordinary one's */
void weights_follow_sites(struct link_set *set, const struct conf *conf);

/* ---- ways.c */
void ways_open_sockets(struct driver *driver); /* one for each address that we dial from */
/* All ways to the link's peer, best first. */
size_t ways_routes(const struct driver *driver, const struct link *link,
                   struct transport_route routes[TRANSPORT_PATHS]);
size_t ways_read(const struct conf_node *peer, const struct address *dial,
                 struct link_way ways[TRANSPORT_PATHS]);
bool ways_equal(const struct link *link, const struct link_way *ways, size_t count);

/* ---- lane.c */
void lane_new(struct driver *driver, struct link *link);
void lane_configure(struct lane *lane); /* as the settings are now */
void lane_free(struct lane **freed);
void lane_receive(struct lane *lane, const struct transport_datagram *datagrams, size_t count);
/* `datagram`: how the hello came. */
void lane_accept(struct lane *lane, struct transport_hello **hello,
                 const struct transport_datagram *datagram);
struct lane *lane_get(struct driver *driver, struct link *link); /* made where there is none */
void lane_wants_flush(struct lane *lane);
void lane_unblock(struct driver *driver); /* a socket takes datagrams again */

/* ---- link.c */
struct link *link_by_slot(struct link_set *set, uint32_t slot);
bool link_has_host(const struct link *link, const struct address *address); /* whatever the port */
struct link *link_by_key(struct link_set *set, const uint8_t key[CONF_KEY_BYTES],
                         uint16_t number); /* one that the peer dials; that lane of it */

/* ---- status.c */
json_t *status_of_link(struct link *link);

/* ---- gauges.c: what /metrics shows of each link */
struct link_gauges;
struct link_gauges *gauges_new(const struct link *link); /* NULL: there are too many; never freed */
void gauges_set(struct link_gauges *gauges, const struct transport_facts *facts);

/* ---- tracing.c */
json_t *tracing_inquire(struct link *link, const json_t *question); /* main thread */
void tracing_run(struct link *link, uint64_t now_ns); /* each second, on the lane's worker */
void tracing_stop(struct link *link);                 /* likewise; before the lane goes */

/* ---- trial.c */
json_t *trial_inquire(struct link *link, const json_t *question); /* main thread */
void trial_accept(struct lane *lane, struct link_stream **stream);

/* ---- stream.c */
void stream_opened(struct lane *lane, const struct transport_event *event);
void stream_event(struct lane *lane, const struct transport_event *event);
void stream_lane_lost(struct lane *lane); /* the lane goes away: every stream of it is reset */
struct link *stream_link(const struct link_stream *stream);

/* ---- compress.c */
void compress_register_metrics(void);
void compress_start(struct driver *driver);

/* ---- metrics */
extern struct metric link_packets_foreign, link_hello_refused, link_hello_asked,
    link_datagrams_sent, link_datagrams_received, link_send_held, link_send_failed, link_forwarded,
    link_streams_opened, link_streams_accepted, link_streams_reset, link_datagrams_dropped,
    link_sessions, link_outages;

#endif
