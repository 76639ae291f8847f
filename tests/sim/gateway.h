/* SPDX-License-Identifier: Apache-2.0
 *
 * A gateway in virtual time: visitors who come by chance and leave when they have waited long enough, the link with its delay
 * and rate, a balancer, model origins. The balancer is a table of functions, so that the real queue and the plain policies of
 * other proxies get the same requests, the same servers and the same repeats.
 *
 *   visitors -> up (link) -> balancer -> origins
 *      ^----- down (link) <-----------------'
 */
#ifndef SIM_GATEWAY_H
#define SIM_GATEWAY_H

#include "network.h"
#include "origins.h"

enum {
    SIM_ORIGINS_MAX = 16,
    SIM_KINDS_MAX = 8,
    SIM_CLASSES = 5,
    SIM_SECONDS_MAX = 600,
    SIM_TRIES_MOST = 3, /* of a request that an origin reset or refused */
};

/* One kind of request. */
struct sim_kind {
    double share;        /* of the requests of its class */
    uint64_t nominal_ns; /* mean time at a server of slowness 1 */
    double spread;       /* each takes the mean times 1 - spread to 1 + spread */
    uint32_t answer_bytes;
};

struct sim_gateway_config {
    const char *name;
    const struct sim_origin_config *origins;
    size_t origin_count;
    const struct sim_kind *kinds; /* a request's type is its kind's index */
    size_t kind_count;
    double
        loads[SIM_CLASSES]; /* offered work of each class as a share of what all origins can do */
    uint64_t patience_ns;   /* how long visitors wait */
    uint64_t link_delay_ns; /* each way */
    uint64_t link_bytes_per_s;
    bool has_limits;    /* the balancer is told how many requests each origin can work on */
    double limit_share; /* of the workers; 1 where 0 */
    uint64_t warm_ns, measured_ns;
    uint64_t seed;
};

struct sim_request {
    struct sim_job job;
    struct list patience; /* in order of coming */
    struct sim_request *next_free;
    uint64_t index, came_ns, arrived_ns /* at the gateway */, launched_ns;
    uint64_t estimate_ns; /* of its wait, when it arrived; 0: none was made */
    uint8_t class, kind, tries;
    uint8_t except; /* the origin that failed it last, or SIM_ORIGINS_MAX */
    enum { SIM_COMING, SIM_QUEUED, SIM_SERVED, SIM_ANSWERED } at;
    bool has_left; /* its visitor */
    void *ticket;  /* the balancer's */
};

struct sim_gateway;

/* Queue and choice. All functions of one that is told of every event. */
struct sim_balancer {
    const char *name;
    void *(*new)(struct sim_gateway *gateway);
    void (*free)(void *balancer);
    void (*push)(void *balancer, struct sim_request *request);
    void (*cancel)(void *balancer, struct sim_request *request); /* one that waits */
    /* Who goes where now; false: nobody. */
    bool (*next)(void *balancer, struct sim_request **request, size_t *origin);
    /* Who will not be served; false: nobody. NULL: it refuses nobody. */
    bool (*dropped)(void *balancer, struct sim_request **request);
    void (*finish)(void *balancer, struct sim_request *request, size_t origin, bool failed);
    void (*set_usable)(void *balancer, size_t origin, bool is_usable);
    uint64_t (*wake_ns)(const void *balancer); /* NULL: never */
    /* How long a request of this class would wait. NULL: it cannot tell. */
    uint64_t (*estimate_ns)(void *balancer, uint8_t class);
};

/* What became of the requests of one class that came while measuring. */
struct sim_outcome {
    uint64_t came, good, dropped, failed, left;
    double work_s;   /* nominal, of the good ones */
    float *ms;       /* of the good ones, from coming to answer, ascending */
    float *waits_ms; /* in the balancer, of those launched; ascending */
    uint64_t launched;
    uint64_t room, waits_room;
};

struct sim_result {
    struct sim_outcome classes[SIM_CLASSES];
    double capacity_s; /* nominal seconds of work that the origins could do meanwhile */
    uint32_t pending_most[SIM_ORIGINS_MAX];
    /* Sums over the requests launched that had come in each second of measuring: what was foretold, what it was. */
    double foretold_s[SIM_CLASSES][SIM_SECONDS_MAX], waited_s[SIM_CLASSES][SIM_SECONDS_MAX];
};

/* Runs it whole. */
void sim_gateway_run(const struct sim_gateway_config *config, const struct sim_balancer *balancer,
                     struct sim_result *result);
void sim_result_clear(struct sim_result *result);
double sim_result_quantile_ms(const struct sim_result *result, int class, double at);
double sim_result_wait_ms(const struct sim_result *result, int class, double at);
/* Of the seconds in which somebody waited: quantile of the relative error of what was foretold. */
double sim_result_estimate_error(const struct sim_result *result, int class, double at);
double sim_result_goodput(const struct sim_result *result); /* share of the capacity */
void sim_result_print(const struct sim_result *result, const char *name);

/* For balancers. */
struct sim_gateway {
    struct sim sim;
    const struct sim_gateway_config *config;
    const struct sim_balancer *balancer;
    void *state;
    struct sim_node visitors, near /* gateway */, far /* edge */;
    struct sim_link up, down;
    struct sim_origin origins[SIM_ORIGINS_MAX];
    uint64_t avoid_until_ns[SIM_ORIGINS_MAX]; /* after a failure */
    uint64_t launch_ns;                       /* to be done once more */
    struct random arrivals, balancing;        /* every balancer sees the same visitors */
    struct list waiting;                      /* visitors */
    struct sim_request **requests;            /* by index, which is a packet's number */
    uint64_t request_count, request_room;
    struct sim_request *free_requests;
    uint64_t next_arrival_ns[SIM_CLASSES];
    double rate_per_ns[SIM_CLASSES];
    struct sim_result *result;
};

uint32_t sim_gateway_limit(const struct sim_gateway *gateway, size_t origin); /* 0: not told */

/* gateway_plain.c: at once (`at_once`) or, where limits are told, from one queue, first come first served. */
extern const struct sim_balancer sim_round_robin, sim_least_pending, sim_power_of_two;

#endif
