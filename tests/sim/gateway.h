/* SPDX-License-Identifier: Apache-2.0
 *
 * An edge and its gateways in virtual time: visitors who come by chance and leave when they have waited long enough, a link to
 * each gateway with its delay, rate and loss, a balancer and model origins behind it. The balancer is a table of functions, so
 * that the real queue and the plain policies of other proxies get the same requests, the same servers and the same repeats. Which
 * of several links a request takes is src/route's choice, from what gateways report and what the links lose. While gateways report that their
 * queues stand, requests wait in the edge's own buffer, driven as src/edge/buffer.c drives it.
 *
 *   visitors -> edge (buffer) -> link up -> balancer -> origins
 *      ^--------------- link down <-------------------'
 */
#ifndef SIM_GATEWAY_H
#define SIM_GATEWAY_H

#include "loads/loads.h"
#include "network.h"
#include "origins.h"
#include "queue/queue.h"
#include "route/route.h"

enum {
    SIM_GATEWAYS_MAX = 4,
    SIM_ORIGINS_MAX = 16, /* of a gateway */
    SIM_CLASSES = 5,
    SIM_SECONDS_MAX = 600,
    SIM_TENTHS_MAX = 10 * SIM_SECONDS_MAX,
    SIM_ERRORS = 50,
    SIM_ERROR_PERCENT = 2,
    SIM_TRIES_MOST = 3, /* of a request that an origin reset or refused */
};

/* A proxy of today sends nothing to a server that refused, reset or lost a connection for so long. */
#define SIM_AVOID_NS SIM_SECOND

/* ---- what there is */

/* One kind of request; its number is the request's type. */
struct sim_kind {
    double share;        /* of the requests of its class */
    uint64_t nominal_ns; /* mean time at a server of slowness 1 */
    double spread;       /* each takes the mean times 1 - spread to 1 + spread */
    uint32_t answer_bytes;
};

/* A gateway with the link to it. */
struct sim_gateway_config {
    const struct sim_origin_config *origins;
    size_t origin_count;
    uint64_t delay_ns; /* each way */
    uint64_t bytes_per_s;
    double loss;           /* of packets, each way, */
    uint64_t loss_from_ns; /* from then on */
};

/* What the balancer is told of how many requests each origin can work on. */
enum sim_limits {
    SIM_LIMITS_NONE,  /* nothing */
    SIM_LIMITS_EXACT, /* as many as it has workers */
    SIM_LIMITS_LOOSE, /* a thousand, as whoever does not know it says */
};

struct sim_world_config {
    const struct sim_gateway_config *gateways;
    size_t gateway_count;
    const struct sim_kind *kinds;
    size_t kind_count;
    /* Offered work of each class, as a share of what all origins can do. */
    double loads[SIM_CLASSES];
    uint64_t patience_ns; /* how long visitors wait */
    enum sim_limits limits;
    const char *policy; /* of the real queue */
    struct route_settings route;
    bool has_buffer; /* the edge may keep requests back */
    uint64_t warm_ns, measured_ns;
    uint64_t seed;
};

struct sim_request {
    struct sim_job job;
    struct list patience; /* among the visitors, in order of coming */
    struct sim_request *next_free;
    void *ticket;               /* the balancer's */
    struct queue_item buffered; /* at the edge */
    uint64_t index;             /* a packet's number */
    uint64_t came_ns, sent_ns /* by the edge */, arrived_ns /* at its gateway */, launched_ns;
    uint64_t estimate_ns; /* of its wait, when it arrived */
    uint8_t class, kind, tries;
    uint8_t except; /* the origin that failed it last, or SIM_ORIGINS_MAX */
    uint8_t gateway;
    bool is_queued;   /* at its gateway */
    bool is_buffered; /* at the edge */
    bool has_pass;    /* the edge's buffer let it through, and counts it */
    bool has_left;    /* its visitor waits no more */
};

/* ---- balancers: queue and choice of one gateway */

struct sim_gateway;

struct sim_balancer {
    const char *name;
    void *(*new)(struct sim_gateway *gateway);
    void (*free)(void *balancer);
    void (*push)(void *balancer, struct sim_request *request);
    void (*cancel)(void *balancer, struct sim_request *request); /* one that waits */
    /* Who goes where now; false: nobody. */
    bool (*next)(void *balancer, struct sim_request **request, size_t *origin);
    void (*finish)(void *balancer, struct sim_request *request, size_t origin, bool failed);
    void (*set_usable)(void *balancer, size_t origin, bool is_usable);
    /* The others may be NULL. Who will not be served; false: nobody. */
    bool (*dropped)(void *balancer, struct sim_request **request);
    uint64_t (*wake_ns)(const void *balancer);
    uint64_t (*estimate_ns)(void *balancer, uint8_t class);  /* of a wait that begins now */
    void (*tell)(void *balancer, struct route_facts *facts); /* what the gateway reports */
};

/* gateway_plain.c: to a server at once or, where limits are told, from one queue, first come first served. */
extern const struct sim_balancer sim_round_robin, sim_least_pending, sim_power_of_two;
/* gateway_queue.c */
extern const struct sim_balancer sim_queue;

/* ---- a run */

/* What became of the requests of one class that came while measuring. */
struct sim_outcome {
    uint64_t came, good, dropped, failed, left, launched;
    double work_s; /* nominal, of good answers that came while measuring */
    float *ms,
        *waits_ms; /* ascending: of the good until their answer; of the launched at edge and balancer */
    uint64_t buffered; /* waited at the edge */
    uint64_t room, waits_room;
};

struct sim_result {
    struct sim_outcome classes[SIM_CLASSES];
    double service_s;  /* that requests take on average, nominal */
    double capacity_s; /* nominal seconds of work that the origins could do meanwhile */
    uint32_t pending_most[SIM_GATEWAYS_MAX][SIM_ORIGINS_MAX];
    uint64_t taken[SIM_GATEWAYS_MAX][SIM_ORIGINS_MAX]; /* requests, while measuring */
    double held_s[SIM_GATEWAYS_MAX][SIM_ORIGINS_MAX];  /* that they had their slots */
    /* Of the requests launched that had come in each second of measuring. */
    struct sim_foretold {
        /* The second without those whose wait nobody could foresee, because an origin came or went in it or less than SIM_AVOID_NS before. */
        struct sim_waits {
            uint32_t count;
            double foretold_s, waited_s; /* sums: what was foretold, what it was */
        } all, foreseeable;
        /* Of these, how many were off by 0-2 %, 2-4 % ...; the last: by more. */
        uint16_t errors[SIM_ERRORS + 1];
    } seconds[SIM_CLASSES][SIM_SECONDS_MAX];
    uint32_t sent[SIM_GATEWAYS_MAX][SIM_TENTHS_MAX]; /* requests, in each tenth of a second */
    float slowest_ms[SIM_SECONDS_MAX];               /* of the good that came in that second */
};

void sim_world_run(const struct sim_world_config *config, const struct sim_balancer *balancer,
                   struct sim_result *result);
void sim_result_clear(struct sim_result *result);
double sim_result_quantile_ms(const struct sim_result *result, int class, double at);
double sim_result_wait_ms(const struct sim_result *result, int class, double at);
/* Of the seconds in which somebody waited: quantile of the relative error of all that was foretold, together. */
double sim_result_estimate_error(const struct sim_result *result, int class, double at);
/* Of the seconds of which at least half of the requests could be foreseen: quantile of how far off the estimate was, in percent of the wait or, if that
 * is longer, of the time that requests take themselves: for all of the second together, and for its median request. */
double sim_result_mean_error(const struct sim_result *result, int class, double at);
double sim_result_median_error(const struct sim_result *result, int class, double at);
double sim_result_goodput(const struct sim_result *result); /* share of the capacity */
void sim_result_print(const struct sim_result *result, const char *name);

/* ---- inside, for balancers too */

struct sim_world;

/* A direction of a link. What is lost comes a round trip later, again and again. */
struct sim_way {
    struct sim_node entry;
    struct sim_link link, repair;
    const struct sim_gateway_config *config;
    uint64_t known, lost; /* packets */
};

struct sim_gateway {
    struct sim_node node;
    struct sim_world *world;
    const struct sim_gateway_config *config;
    void *balancer;
    struct sim_way up, down;
    struct sim_origin origins[SIM_ORIGINS_MAX];
    uint64_t avoid_until_ns[SIM_ORIGINS_MAX]; /* after a failure */
    uint64_t launch_ns;                       /* to be done once more */
    uint64_t arrived, arrived_at_beat;
    struct random random;
};

/* The edge's buffer: there is none until a queue stood for the first time. */
struct sim_buffer {
    struct sim_node node;
    struct queue *queue; /* servers are gateways: i has identity i + 1 */
    struct random random;
    uint32_t passes[SIM_GATEWAYS_MAX]; /* what is let through */
    uint32_t waiting;
};

enum { SIM_BEATS = 64 }; /* reports under way */

struct sim_world {
    struct sim sim;
    const struct sim_world_config *config;
    const struct sim_balancer *balancer;
    struct sim_result *result;
    struct sim_gateway gateways[SIM_GATEWAYS_MAX];
    struct sim_node visitors, edge, beat;
    struct sim_buffer buffer;
    struct list waiting; /* visitors */
    struct sim_request **requests;
    uint64_t request_count, request_room;
    struct sim_request *free_requests;
    struct random arrivals; /* every balancer sees the same visitors */
    uint64_t next_arrival_ns[SIM_CLASSES];
    double rate_per_ns[SIM_CLASSES];
    /* Choice of the gateway: facts as they are known at the edge, and reports on their way. */
    struct route route;
    struct route_meter meters[SIM_GATEWAYS_MAX];
    struct route_facts facts[SIM_GATEWAYS_MAX];
    struct {
        struct route_facts facts;
        uint64_t due_ns;
        size_t gateway;
    } beats[SIM_BEATS];
    uint64_t beats_sent, beats_heard, next_beat_ns;
};

uint32_t sim_gateway_limit(const struct sim_gateway *gateway, size_t origin); /* 0: not told */

/* gateway.c */
void sim_gateway_start(struct sim_gateway *gateway, struct sim_world *world, size_t index);
void sim_gateway_clear(struct sim_gateway *gateway);
void sim_gateway_cancel(struct sim_gateway *gateway, struct sim_request *request);
void sim_gateway_tell(struct sim_gateway *gateway, struct route_facts *facts);

/* gateway_ways.c */
void sim_way_init(struct sim_way *way, struct sim *sim, const struct sim_gateway_config *config,
                  struct sim_node *to);
void sim_way_clear(struct sim_way *way);
void sim_way_send(struct sim_way *way, const struct sim_request *request, uint32_t bytes);

/* gateway_world.c */
struct sim_request *sim_world_receive(struct sim_world *world, struct sim_packet *packet);
void sim_world_forget(struct sim_world *world, struct sim_request *request);
void sim_world_send(struct sim_world *world, struct sim_request *request, uint8_t gateway);
void sim_world_look(struct sim_world *world); /* at what gateways report, where it is time */

/* gateway_edge.c */
void sim_buffer_start(struct sim_world *world);
void sim_buffer_clear(struct sim_world *world);
void sim_buffer_follow(struct sim_world *world); /* with each update of the route */
/* False: there is none, the request goes at once. */
bool sim_buffer_take(struct sim_world *world, struct sim_request *request);
void sim_buffer_leave(struct sim_world *world, struct sim_request *request); /* harmless */

/* gateway_result.c */
bool sim_is_measured(const struct sim_world *world, uint64_t at_ns);
void sim_result_add_good(struct sim_world *world, const struct sim_request *request);
void sim_result_add_launch(struct sim_world *world, const struct sim_request *request);
void sim_result_add_refusal(struct sim_world *world, const struct sim_request *request,
                            bool by_the_queue);
void sim_result_finish(struct sim_result *result);

#endif
