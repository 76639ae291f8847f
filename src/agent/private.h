/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the agent know of each other.
 */
#ifndef AGENT_PRIVATE_H
#define AGENT_PRIVATE_H

#include "agent/agent.h"
#include "observe/observe.h"

/* ---- kernel.c: what the kernel says of the machine */

/* Opened once, read again at will: the process may lose its view of the file system meanwhile. */
struct kernel {
    int stat, meminfo, snmp;      /* -1: not there */
    uint64_t cpu_total, cpu_idle; /* ticks, when read last; 0: never */
};

void kernel_open(struct kernel *kernel);
void kernel_close(struct kernel *kernel);
/* Thousandths of all processors idle since the call before; LOAD_UNKNOWN: cannot say. */
uint16_t kernel_cpu_idle(struct kernel *kernel);
void kernel_memory(const struct kernel *kernel, uint64_t *free_ram_bytes,
                   uint64_t *free_swap_bytes); /* UINT64_MAX: not known */
/* TCP connections that are established, in this network namespace; UINT32_MAX: not known. */
uint32_t kernel_connections(const struct kernel *kernel);

/* The texts of /proc. false: not as expected. */
MUST_USE bool kernel_parse_stat(struct span text, uint64_t *total, uint64_t *idle);
MUST_USE bool kernel_parse_meminfo(struct span text, uint64_t *available_bytes,
                                   uint64_t *swap_free_bytes);
MUST_USE bool kernel_parse_snmp(struct span text, uint32_t *established);

/* ---- gauges.c: numbers of the owner's own */

struct gauges {
    struct loop_watch watch;
    struct agent *agent;
    uint32_t values[MEASURE_GAUGES]; /* UINT32_MAX: not said yet */
};

MUST_USE int gauges_start(struct gauges *gauges, struct agent *agent, int fd);
void gauges_stop(struct gauges *gauges);
/* "name value", decimal, with or without a newline. 0 and the gauge's index; ERROR_NOT_FOUND: another name;
 * ERROR_INVALID. */
MUST_USE int gauges_parse(const struct conf_texts *names, struct span line, size_t *index,
                          uint32_t *value);

/* ---- load.c: how busy the node is */

/* Rates of a role, from its counters. */
struct load_rate {
    uint64_t requests, bytes; /* as counted at `since_ns` */
    uint64_t since_ns;        /* 0: never */
    uint32_t requests_per_s;
    uint64_t bits_per_s;
};

struct load {
    struct kernel kernel;
    struct director_load machine; /* what all roles have in common */
    struct load_rate rates[MEASURE_ROLES];
    struct director_load now[MEASURE_ROLES]; /* taken_ns 0: the node has not that role */
    struct director_load told[MEASURE_ROLES];
    uint64_t read_ns, told_ns; /* the slow numbers; when all were told */
};

void load_open(struct load *load);
void load_close(struct load *load);
/* Each period: takes a look, and says whether it is worth telling. */
bool load_look(struct load *load, const struct conf_node *self, const struct agent_view *view,
               const uint32_t gauges[MEASURE_GAUGES], uint64_t now_ns);
void load_told(struct load *load, uint64_t now_ns);
/* Thousandths of the capacity: the greatest share of anything that limits the node. */
uint16_t load_share(const struct director_load *load, const struct agent_work *work,
                    uint64_t bits_per_s, const struct conf_capacity *capacity);

/* ---- agent.c */

struct receiver {
    struct status_sender sender;
    struct address address;
    const char *name; /* of the configuration's snapshot at the last reload; copied */
};

struct agent_socket {
    struct loop_watch watch;
    struct agent *agent;
    bool is_open;
};

struct agent {
    struct agent_options options;
    struct agent_socket sockets[2]; /* IPv4, IPv6 */
    struct receiver receivers[AGENT_RECEIVERS_MOST];
    size_t count;
    struct loop_timer status, measure;
    struct agent_view view;
    struct load load;
    struct gauges gauges;
    struct measure_item *items; /* a ring */
    size_t first_item, item_count;
    uint64_t allowance_ns;    /* when the byte rate of latencies was filled up last */
    uint64_t allowance_bytes; /* of latencies that may go now */
    size_t next_held;         /* site to be told of */
    void (*on_request)(void *owner, const struct measure_item *item);
    void *request_owner;
    bool is_leaving;
    bool is_silent; /* another process reports for the node */
};

static inline const struct conf *agent_conf(const struct agent *agent)
{
    return conf_current(&agent->options.conf);
}

/* ---- tell.c: what is sent */
void agent_send_status(struct agent *agent);   /* to whom it is due; starts the timer again */
void agent_send_measures(struct agent *agent); /* likewise */
void agent_send(struct agent *agent, const struct receiver *receiver, struct span datagram);

/* ---- metrics */
extern struct metric agent_sent, agent_sent_bytes, agent_items_dropped, agent_latencies_sent,
    agent_requests_taken, agent_requests_refused, agent_gauges_taken, agent_gauges_refused;

#endif
