/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the DNS server know of each other.
 */
#ifndef DNSD_PRIVATE_H
#define DNSD_PRIVATE_H

#include "base/list.h"
#include "director/director.h"
#include "dns/dns.h"
#include "dnsd/dnsd.h"
#include "dnsd/keys.h"
#include "dnsd/stream.h"
#include "loop/loop.h"
#include "maps/maps.h"
#include "measure/measure.h"
#include "observe/observe.h"
#include "probe/probe.h"

#include <pthread.h>

/* ---- settings.c: what is set of answers and connections */

struct dnsd_settings {
    struct dns_settings answers; /* but for derived secrets */
    char identity[DNS_IDENTITY_LIMIT], version[DNS_IDENTITY_LIMIT];
    struct prefix_tree *subnet_senders; /* NULL: everybody */
    uint8_t cookie_root[HASH_BYTES];
    bool is_derived;      /* secrets of cookies, from the root and the time */
    struct dnsd_tls *tls; /* NULL: none */
};

/* `node` NULL: nothing is set. False: sentences in `why`. */
bool dnsd_settings_init(struct dnsd_settings *settings, const struct conf_node *node, uint64_t seed,
                        struct text *why);
void dnsd_settings_clear(struct dnsd_settings *settings);
/* For answers of now, and until the period of cookies is another. */
void dnsd_settings_now(const struct dnsd_settings *settings, uint64_t wall_ns,
                       struct dns_settings *out);
uint64_t dnsd_cookie_period(uint64_t wall_ns);

/* ---- levels.c */

struct dnsd_levels;

/* Complaints go to `why`. */
struct dnsd_levels *dnsd_levels_new(const struct conf *conf, struct conf_maps *maps,
                                    struct text *why);
void dnsd_levels_free(struct dnsd_levels *levels);
/* The host, and its names in the levels below its zone, as far as the builder has their zones. */
void dnsd_levels_add(struct dnsd_levels *levels, const struct conf *conf,
                     struct dns_builder *builder, const struct dns_name *host, uint32_t site,
                     struct text *why);
/* A zone that this node does not serve: a delegation where it serves the one that it lies in. */
void dnsd_levels_delegate(const struct conf *conf, const struct conf_zone *zone,
                          struct dns_builder *builder, struct text *why);
/* The site of a number that a name has in the zones; a client of a level's region gets an alias. */
uint32_t dnsd_levels_find(const struct dnsd_levels *levels, uint32_t number,
                          const struct dns_client *client, struct dns_choice *choice);

/* ---- assigned.c: which gateways a site has */

struct dnsd_assigned;
struct dnsd_assigned *dnsd_assigned_new(const struct conf *conf);
void dnsd_assigned_free(struct dnsd_assigned *assigned);
/* `_gateway` below the host, where the site wants it and the builder has the zone. */
void dnsd_assigned_add(struct dnsd_assigned *assigned, const struct conf *conf,
                       const struct conf_site *site, struct dns_builder *builder,
                       const struct dns_name *host);
/* On the first worker: the answers of the moment. */
void dnsd_assigned_rank(struct dnsd_assigned *assigned, const struct director_node_facts *gateways);
/* False: the number is of no such name. */
bool dnsd_assigned_find(const struct dnsd_assigned *assigned, uint32_t number,
                        struct dns_choice *choice);

/* ---- proofs.c: names that certificates are ordered for */

struct dnsd_proofs;
struct dnsd_proofs *dnsd_proofs_new(void);
void dnsd_proofs_free(struct dnsd_proofs *proofs);
/* The site's names, as far as the builder has their zones. */
void dnsd_proofs_add(struct dnsd_proofs *proofs, const struct conf_site *site,
                     struct dns_builder *builder);
/* False: the number is of no such name. */
bool dnsd_proofs_find(const struct dnsd_proofs *proofs, uint32_t number, struct dns_choice *choice);

enum { DNSD_SHOWN_MOST = 64 }; /* at once */

/* What is to be seen now, over reloads. */
struct dnsd_shown {
    size_t count;
    struct {
        struct measure_proof proof;
        uint64_t until_ns;
    } items[DNSD_SHOWN_MOST];
};
/* `from` 0: the node's own process. True: something changed, and dnsd_proofs_show() is due. */
bool dnsd_shown_take(struct dnsd_shown *shown, const struct dnsd_proofs *proofs, uint64_t from,
                     const struct measure_proof *proof, uint64_t now_ns);
bool dnsd_shown_age(struct dnsd_shown *shown, uint64_t now_ns);
/* On the first worker. */
void dnsd_proofs_show(struct dnsd_proofs *proofs, const struct dnsd_shown *shown);

/* ---- data.c: what a configuration comes to */

struct dnsd_edge {
    char *name;
    uint32_t reporter; /* UINT32_MAX: without a key it cannot report, and is taken to be up */
};

/* A node that reports: an edge, a gateway, a content server with an agent, or several of these. */
struct dnsd_reporter {
    char *name;
    struct key public_key;
    uint64_t id;                     /* status_node_id() */
    uint32_t numbers[MEASURE_ROLES]; /* as edge, gateway, server; UINT32_MAX: is none */
};

/* The number of a gateway, or a site, that nodes name by an id. */
struct dnsd_id {
    uint64_t id;
    uint32_t number;
};

/* Probes of client networks: what the configuration comes to. */
struct dnsd_probe_node {
    uint64_t id;
    struct address address; /* where it answers DNS */
};

struct dnsd_probe_plan {
    bool is_on;
    uint64_t own;                  /* status_node_id() of this node */
    struct dnsd_probe_node *nodes; /* the other DNS nodes */
    size_t node_count;
    struct dns_name name; /* that they are asked for; empty: they are taken to live */
    struct probe_settings settings;
    struct prefix_tree *opt_out;
    uint32_t *edge_regions;
};

/* Immutable but for the count of references: the views that use it, and the reporter. */
struct dnsd_data {
    _Atomic uint32_t references;
    char conf_hash[sizeof((struct conf *)NULL)->hash];
    struct dns_zones *zones;
    struct dnsd_aliases *aliases;
    struct dnsd_assigned *assigned;
    struct dnsd_proofs *proofs;
    struct dnsd_transfers *transfers;
    struct conf_maps *maps;
    struct dnsd_levels *levels;
    struct director *director;
    struct dnsd_edge *edges;
    size_t edge_count;
    struct edge_plan *health; /* NULL: edges are not checked */
    struct dnsd_probe_plan probe;
    struct dnsd_reporter *reporters;
    size_t reporter_count;
    char **hosts; /* of each site the first one */
    size_t site_count;
    struct dnsd_id *gateways; /* by id */
    size_t gateway_count;
    struct dnsd_id *inventories; /* likewise: sites whose policies ask what edges hold of them */
    size_t inventory_count;
    size_t role_counts[MEASURE_ROLES]; /* edges, gateways, servers: with and without keys */
    struct dnsd_settings settings;
    struct dnsd_keys *keys; /* of signed zones */
};

/* NULL: sentences in `why`. */
struct dnsd_data *dnsd_data_new(const struct conf *conf, struct conf_maps *old, uint64_t seed,
                                struct text *why);
void dnsd_data_release(struct dnsd_data *data);
/* The number of the gateway that has this id; UINT32_MAX: none has. */
uint32_t dnsd_data_gateway(const struct dnsd_data *data, uint64_t id);
/* Likewise of the site with an inventory that has this measure_name_id(). */
uint32_t dnsd_data_inventory(const struct dnsd_data *data, uint64_t id);

/* ---- decisions.c */

struct dnsd_decisions {
    struct log_file *file; /* NULL: no log */
    uint32_t every;
};

void dnsd_decisions_open(struct dnsd_decisions *decisions, const struct conf_dns *conf);
void dnsd_decisions_close(struct dnsd_decisions *decisions);
/* Any thread. `host` stands for the site. */
void dnsd_decisions_note(const struct dnsd_decisions *decisions, const char *host,
                         const struct dns_client *client, const struct dns_addresses *answer);

/* What a query reads. Under RCU; a view never changes, but for the rows of its director. */
struct dnsd_view {
    struct dnsd_data *data;
    const struct dnsd_decisions *decisions;
    struct dns_settings settings; /* of the data, and of the time */
    struct dns_source source;     /* reads this very view */
};

/* Takes a reference of the data. */
struct dnsd_view *dnsd_view_new(struct dnsd_data *data, const struct dnsd_decisions *decisions);
void dnsd_view_release(void *view);

/* ---- facts.c: the director's tables, as the nodes tell them; on the first worker */

enum {
    DNSD_LATENCY_ROWS = 1 << 20, /* round trips that are kept */
};
#define DNSD_LOAD_AGE_NS    (10ull * 1000000000)   /* a load that was not told again is not known */
#define DNSD_LATENCY_AGE_NS (3600ull * 1000000000) /* likewise */

struct dnsd_facts {
    const struct dnsd_data *data;                     /* whose numbers these are */
    struct director_node_facts *nodes[MEASURE_ROLES]; /* edges, gateways, servers */
    struct director_link_facts *links;                /* [edge][gateway] */
    uint16_t *held; /* [edge][site]; NULL: no site has an inventory */
    struct latency_table *latencies;
    /* What others make of measurements; NULL: nobody. */
    void (*on_health)(void *owner, const struct dnsd_reporter *vantage,
                      const struct measure_health *health);
    void (*on_proof)(void *owner, const struct dnsd_reporter *from,
                     const struct measure_proof *proof);
    void (*on_latency)(void *owner, const struct dnsd_reporter *vantage,
                       const struct measure_latency *latency);
    void *owner;
    uint64_t items; /* since they were counted last */
};

void dnsd_facts_init(struct dnsd_facts *facts, uint64_t seed);
void dnsd_facts_clear(struct dnsd_facts *facts);
/* Other numbers: what is known of nodes that stay stays. `facts->data` is read for the last time. */
void dnsd_facts_take(struct dnsd_facts *facts, const struct dnsd_data *data);
/* What a node said that measured something. */
void dnsd_facts_measured(struct dnsd_facts *facts, const struct dnsd_reporter *from,
                         const struct measure_message *message, uint64_t now_ns);
/* What a node's last report says of its links and its work. */
void dnsd_facts_reported(struct dnsd_facts *facts, const struct dnsd_reporter *from,
                         const struct status_edge *status);
/* Once a second: what is too old is not known any more. */
void dnsd_facts_age(struct dnsd_facts *facts, uint64_t now_ns);
struct director_facts dnsd_facts_view(const struct dnsd_facts *facts, uint64_t now_ns);
/* A list of what is known between the client's network and the edges: [{"edge":"fra","source":"visitors",...}] */
void dnsd_facts_write_latencies(const struct dnsd_facts *facts, const struct address *client,
                                uint64_t now_ns, struct text *json);
void dnsd_facts_write_load(const struct director_load *load, uint64_t now_ns, struct text *json);
/* ---- zones.c, alias.c */

/* NULL: sentences in `why`. Levels and aliases are the caller's either way. */
struct dns_zones *dnsd_zones_new(const struct conf *conf, struct conf_maps *maps,
                                 const struct dnsd_keys *keys, uint64_t seed,
                                 struct dnsd_levels **levels, struct dnsd_aliases **aliases,
                                 struct dnsd_assigned *assigned, struct dnsd_proofs *proofs,
                                 struct text *why);

/* Names that stand for another name's addresses. Sites are numbered below `first_site`. */
struct dnsd_aliases *dnsd_aliases_new(uint32_t first_site);
void dnsd_aliases_free(struct dnsd_aliases **aliases);
void dnsd_aliases_add(struct dnsd_aliases *aliases, const struct dns_name *owner, uint32_t ttl_s,
                      struct span target, struct text *why);
/* The host of a site: true when it is an alias too, and the site moves in there. */
bool dnsd_aliases_join(struct dnsd_aliases *aliases, const struct dns_name *owner, uint32_t site,
                       uint32_t move_in);
void dnsd_aliases_finish(const struct dnsd_aliases *aliases, struct dns_builder *builder);
/* True: the choice is made. False: `*site` is a site, whose edges are the answer. */
bool dnsd_aliases_find(struct dnsd_aliases *aliases, uint32_t *site,
                       const struct dns_client *client, struct dns_choice *choice);

/* Resolves the aliases' targets. It holds a reference of the data. */
struct dnsd_resolver;
MUST_USE int dnsd_resolver_start(struct dnsd_resolver **resolver, struct dnsd_data *data);
void dnsd_resolver_follow(struct dnsd_resolver *resolver, struct dnsd_data *data);
void dnsd_resolver_stop(struct dnsd_resolver **stopped);

/* ---- signer.c: what a thread signs with */

enum { DNSD_SIGNERS = 64 };
struct dnsd_signer {
    struct dns_signer signer;
    uint64_t numbers[DNSD_SIGNERS]; /* of the keys */
    struct signature_signer *signers[DNSD_SIGNERS];
};
void dnsd_signer_init(struct dnsd_signer *signer);
void dnsd_signer_clear(struct dnsd_signer *signer);
/* ---- transfers.c, transfer.c: copies of zones */

struct dnsd_transfers;
/* NULL: a sentence in `why`. */
struct dnsd_transfers *dnsd_transfers_new(const struct conf *conf, const struct dns_zones *zones,
                                          struct text *why);
void dnsd_transfers_free(struct dnsd_transfers **transfers);
/* What differs from the zones of before, which are the older data's. */
void dnsd_transfers_follow(struct dnsd_transfers *transfers, const struct dns_zones *zones,
                           const struct dnsd_transfers *old, const struct dns_zones *old_zones);

/* A query with a signature, which dns_answer() left alone. Returns the answer's length. */
size_t dnsd_answer_signed(const struct dnsd_view *view, const struct dns_request *request,
                          uint8_t *out, size_t capacity, struct dns_outcome *outcome);

/* False: the message asks for no transfer. Else there is a transfer, or an answer of `*length` bytes that refuses it.
 * `capacity` is DNS_TCP_BYTES here and below. */
struct dnsd_transfer;
bool dnsd_transfer_open(struct dnsd *dnsd, struct span message, const struct address *client,
                        uint8_t *out, size_t capacity, size_t *length,
                        struct dnsd_transfer **transfer);
/* The next message's length; 0 behind the last one, or a negative error: the connection is to be closed. */
int dnsd_transfer_next(struct dnsd_transfer *transfer, struct dnsd_signer *signer, uint8_t *out,
                       size_t capacity);
void dnsd_transfer_close(struct dnsd_transfer **transfer); /* NULL inside is fine */

/* ---- notify.c: on the first worker */

struct dnsd_notify;
struct dnsd_notify *dnsd_notify_new(struct dnsd *dnsd, struct loop *loop);
void dnsd_notify_take(struct dnsd_notify *notify, struct dnsd_data *data);
void dnsd_notify_renewed(struct dnsd_notify *notify); /* signed zones have new serials */
void dnsd_notify_free(struct dnsd_notify **notify);

/* ---- count.c */

/* Counts of one batch, added to this thread's slots at its end. */
struct dnsd_tally {
    uint64_t rcodes[DNS_RCODES];
    uint64_t truncated, malformed, dropped, unsent;
    uint64_t subnets, levels, cookies[DNS_COOKIE_RESULTS], limits[DNS_LIMITS];
    uint64_t signatures[3]; /* made, kept, refused */
    bool is_tcp;
};

void dnsd_metrics_register(void);
void dnsd_tally_outcome(struct dnsd_tally *tally, const struct dns_outcome *outcome, size_t length);
void dnsd_tally_signer(struct dnsd_tally *tally,
                       struct dns_signer *signer); /* and zeroes its counts */
void dnsd_tally_flush(struct dnsd_tally *tally);   /* and zeroes it, but for is_tcp */
void dnsd_count_connections(uint64_t open);        /* TCP, of this worker */
void dnsd_count_refused_connection(void);
uint64_t dnsd_counted_answers(void);     /* any thread */
uint64_t dnsd_counted_connections(void); /* likewise: TCP, open */
void dnsd_count_maps(const struct maps *maps);
void dnsd_count_tls_connection(void);
/* Adds what came since `before`, and sets that. */
void dnsd_count_director(const struct director_figures *now, struct director_figures *before);
void dnsd_count_alias(bool is_resolved);
void dnsd_count_transfer(bool is_begun, bool is_incremental);
void dnsd_count_transferred(uint64_t records);
void dnsd_count_tsig(bool is_good);
enum dnsd_notify_event {
    DNSD_NOTIFY_SENT,
    DNSD_NOTIFY_ANSWERED,
    DNSD_NOTIFY_GIVEN_UP,
    DNSD_NOTIFY_REFUSED, /* of others, to us */
    DNSD_NOTIFY_EVENTS,
};
void dnsd_count_notify(enum dnsd_notify_event event);
/* Adds what came since `before`, and sets that. */
void dnsd_count_reports(const struct status_receiver_counters *now,
                        struct status_receiver_counters *before);
void dnsd_count_measures(const struct measure_receiver_counters *now,
                         struct measure_receiver_counters *before);
void dnsd_count_facts(struct dnsd_facts *facts); /* since the call before */

/* ---- udp.c */

struct dnsd_udp;
MUST_USE int dnsd_udp_start(struct dnsd_udp **udp, struct dnsd *dnsd, int fd, size_t index);
void dnsd_udp_stop(struct dnsd_udp **udp);

/* ---- tcp.c: one for each worker */

struct dnsd_tcp;
MUST_USE int dnsd_tcp_start(struct dnsd_tcp **tcp, struct dnsd *dnsd, struct loop *loop,
                            uint32_t worker, uint32_t workers);
void dnsd_tcp_leave(struct dnsd_tcp *tcp); /* accepts no more; connections go on */
void dnsd_tcp_stop(struct dnsd_tcp **owned);

/* ---- health.c: on the first worker */

struct dnsd_health;
/* `changed`: an edge came up or went down by health checks; the state is there already. */
struct dnsd_health *dnsd_health_new(struct loop *loop, uint64_t seed, void (*changed)(void *owner),
                                    void *owner);
void dnsd_health_free(struct dnsd_health **health);
void dnsd_health_take(struct dnsd_health *health, struct dnsd_data *data); /* its own reference */
/* What a vantage point (status_node_id()) found. */
void dnsd_health_hear(struct dnsd_health *health, uint64_t vantage,
                      const struct measure_health *found);
void dnsd_health_tick(struct dnsd_health *health); /* once a second */
/* UNKNOWN: nobody checks it, or nobody could yet. */
enum health_state dnsd_health_state(const struct dnsd_health *health, uint32_t edge);
void dnsd_health_write(const struct dnsd_health *health, uint32_t edge, struct text *json);
void dnsd_health_metrics_register(void);

/* ---- probe.c: on the first worker */

void dnsd_probe_plan_init(struct dnsd_probe_plan *plan, const struct conf *conf,
                          const struct maps *maps);
void dnsd_probe_plan_clear(struct dnsd_probe_plan *plan);

struct dnsd_probe;
struct dnsd_reports;
struct dnsd_probe *dnsd_probe_new(struct dnsd_reports *reports, struct loop *loop, uint64_t seed);
void dnsd_probe_free(struct dnsd_probe **probe);
void dnsd_probe_take(struct dnsd_probe *probe, struct dnsd_data *data);     /* its own reference */
void dnsd_probe_seen(struct dnsd_probe *probe, const struct address *host); /* at an edge */
void dnsd_probe_write(const struct dnsd_probe *probe, struct text *json);
void dnsd_probe_metrics_register(void);

/* ---- reports.c: on the first worker */

struct dnsd_reports;
MUST_USE int dnsd_reports_start(struct dnsd_reports **reports, struct dnsd *dnsd,
                                struct loop *loop);
void dnsd_reports_stop(struct dnsd_reports **reports);
void dnsd_reports_take(struct dnsd_reports *reports,
                       struct dnsd_data *data); /* takes the reference */
/* The node's own process orders a certificate. */
void dnsd_reports_prove(struct dnsd_reports *reports, const struct measure_proof *proof);
MUST_USE int dnsd_reports_set(struct dnsd_reports *reports, const char *edge,
                              enum dnsd_admin admin);
void dnsd_reports_write(const struct dnsd_reports *reports, struct text *json);
void dnsd_reports_write_latencies(const struct dnsd_reports *reports, const struct address *client,
                                  struct text *json);
void dnsd_reports_explain(const struct dnsd_reports *reports, const struct dnsd_question *question,
                          struct text *json);

/* ---- explain.c */

/* As dnsd_write_explanation(). */
void dnsd_explain(const struct dnsd_data *data, const struct director_facts *facts,
                  const struct dnsd_question *question, struct text *json);
/* Asks that node to measure; false: it is not heard, or the kernel did not take the datagram. */
bool dnsd_reports_request(struct dnsd_reports *reports, const struct dnsd_reporter *reporter,
                          const struct measure_message *message);
struct dnsd_facts *dnsd_reports_facts(struct dnsd_reports *reports);
void dnsd_reports_tell(struct dnsd_reports *reports, dnsd_listen *listen, void *owner);
/* Clients may be sent to that edge at present. */
bool dnsd_reports_is_usable(const struct dnsd_reports *reports, uint32_t edge);

/* ---- the server */

/* A TCP descriptor. */
struct dnsd_listener {
    int fd;
    uint32_t turn; /* its worker, modulo their number */
    bool is_tls;
};

struct dnsd {
    void *_Atomic view; /* struct dnsd_view */
    _Atomic bool is_stopping;
    bool is_leaving; /* another process serves */
    const struct crypto *crypto;
    struct key private_key; /* of this node */
    uint64_t seed;
    _Atomic uint32_t tcp_connections_limit; /* of all workers together */
    _Atomic uint64_t tcp_idle_timeout_ns;
    struct dnsd_sockets sockets; /* UDP ones are copies; TCP ones are in `listeners` */
    struct dnsd_listener *listeners;
    size_t listener_count;
    struct dnsd_data *first; /* until the reporter takes it */
    struct dns_signatures *signatures;
    struct dns_budget *budget;
    struct dnsd_data *prepared; /* for the reload that follows */
    struct conf_maps *maps;     /* of the newest configuration; for whoever loads the next one */
    struct dnsd_udp **udp;
    struct dnsd_tcp **tcp; /* one for each worker */
    struct dnsd_reports *reports;
    struct dnsd_resolver *resolver;
    struct dnsd_notify *notify;
    struct dnsd_data *latest; /* a reference, of whoever reloads */
    _Atomic uint32_t transfer_count;
    struct worker_set *workers;
    struct dnsd_decisions decisions;
};

static inline const struct dnsd_view *dnsd_view(struct dnsd *dnsd)
{
    return snapshot_read(&dnsd->view);
}

static inline const struct dns_source *dnsd_source(struct dnsd *dnsd)
{
    return &dnsd_view(dnsd)->source;
}

#endif
