/* SPDX-License-Identifier: Apache-2.0
 *
 * From the configuration to the context of visitors' TLS, swapped at a reload; counters of handshakes.
 */
#include "edge/front/tls.h"

#include "base/memory.h"
#include "loop/loop.h"
#include "observe/observe.h"

enum { SELF_SIGNED_DAYS = 30 };

struct edge_tls {
    struct tls_shared *shared;
    void *_Atomic context; /* struct tls_context; NULL: none */
    _Atomic bool passes;
    json_t
        *ends; /* of the context's certificates, by site: seconds since 1970; of the main thread */
};

/* ---- counters */

#define HANDSHAKES(labels) \
    METRIC(COUNTER, "causeway_edge_tls_handshakes_total", labels, "Handshakes by version.")
static struct metric handshakes_1_3 = HANDSHAKES("version=\"1.3\"");
static struct metric handshakes_1_2 = HANDSHAKES("version=\"1.2\"");
static struct metric not_after =
    METRIC(GAUGE, "causeway_edge_certificate_not_after_seconds", "",
           "When the first of the certificates that visitors get ends, since 1970; 0: there is "
           "none.");
static struct metric resumed = METRIC(COUNTER, "causeway_edge_tls_resumed_total", "",
                                      "Handshakes that resumed an earlier session.");
static struct metric failures[TLS_FAILURES] = {
#define X(name, word, text)                                                    \
    [TLS_FAILURE_##name] = METRIC(COUNTER, "causeway_edge_tls_failures_total", \
                                  "cause=\"" word "\"", "Handshakes that failed, by cause."),
    TLS_FAILURE_LIST(X)
#undef X
};

void edge_tls_register_metrics(void)
{
    metric_register(&handshakes_1_3);
    metric_register(&handshakes_1_2);
    metric_register(&resumed);
    metric_register(&not_after);
    for (size_t i = TLS_FAILURE_NONE + 1; i < TLS_FAILURES_OF_SERVERS; i++)
        metric_register(&failures[i]);
}

void edge_tls_count_failure(enum tls_failure failure)
{
    metric_add(&failures[failure], 1);
}

void edge_tls_count(const struct tls_session *session)
{
    const struct tls_facts *facts = tls_session_facts(session);
    if (!tls_session_is_open(session)) {
        enum tls_failure failure = tls_session_failure(session);
        edge_tls_count_failure(failure ? failure : TLS_FAILURE_TIMEOUT);
        return;
    }
    metric_add(strcmp(facts->version, "TLSv1.3") == 0 ? &handshakes_1_3 : &handshakes_1_2, 1);
    if (facts->is_resumed)
        metric_add(&resumed, 1);
}

/* ---- from the configuration */

static bool is_served(const struct conf *conf, const struct conf_site *site)
{
    for (size_t i = 0; i < site->edge_count; i++)
        if (site->edges[i] == conf->self)
            return true;
    return false;
}

static struct tls_certificate *read_certificate(const struct conf_site_certificate *row,
                                                struct text *why)
{
    struct tls_certificate *certificate = tls_certificate_read(row->certificate, row->key, why);
    struct text staple = {0};
    /* What was judged at the reload; a child that is started later makes do with what there is. */
    if (certificate && row->ocsp.length &&
        tls_certificate_staple(certificate, row->ocsp, 0, &staple) < 0)
        log_warning("edge", "%s: %s", row->ocsp_path, staple.data);
    text_clear(&staple);
    return certificate;
}

/* False: `why` says why. The certificates are the caller's to release. */
static bool fill_site(const struct conf_site *site, struct tls_site *out, struct text *why)
{
    const struct conf_site_tls *tls = site->tls;
    struct tls_certificate **list =
        memory_new((tls->certificate_count + 1) * sizeof(struct tls_certificate *));
    *out = (struct tls_site){.name = site->name,
                             .hosts = site->hosts.items,
                             .host_count = site->hosts.count,
                             .certificates = list,
                             .client = (enum tls_client)tls->client,
                             .authorities = tls->authorities};
    if (tls->acme && tls->is_self_signed)
        log_warning("edge",
                    "site=%s has no certificate yet: until ACME brings one, visitors get one that "
                    "nobody vouches for",
                    site->name);
    if (tls->is_self_signed)
        list[out->certificate_count++] =
            tls_certificate_self_signed(site->hosts.items, site->hosts.count, SELF_SIGNED_DAYS);
    for (size_t i = 0; i < tls->certificate_count; i++) {
        list[out->certificate_count] = read_certificate(&tls->certificates[i], why);
        if (!list[out->certificate_count])
            return false;
        out->certificate_count++;
    }
    return true;
}

static uint64_t first_end_s(const struct tls_site *site)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < site->certificate_count; i++) {
        uint64_t ends_s = tls_certificate_ends_s(site->certificates[i]);
        first = ends_s < first ? ends_s : first;
    }
    return first;
}

static void note_ends(struct edge_tls *tls, const struct tls_settings *settings)
{
    uint64_t first = UINT64_MAX;
    json_decref(tls->ends);
    tls->ends = json_object();
    for (size_t i = 0; i < settings->site_count; i++) {
        const struct tls_site *site = &settings->sites[i];
        uint64_t ends_s = first_end_s(site);
        if (ends_s == UINT64_MAX)
            continue;
        json_object_set_new(tls->ends, site->name, json_integer((json_int_t)ends_s));
        first = ends_s < first ? ends_s : first;
    }
    metric_set(&not_after, first == UINT64_MAX ? 0 : first);
}

static void free_sites(struct tls_site *sites, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct tls_certificate **list = (struct tls_certificate **)(uintptr_t)sites[i].certificates;
        for (size_t k = 0; k < sites[i].certificate_count; k++)
            tls_certificate_release(&list[k]);
        memory_free(list);
    }
    memory_free(sites);
}

static struct tls_context *make_context(struct edge_tls *tls, const struct conf *conf,
                                        struct text *why)
{
    const struct conf_edge_tls *settings = conf->self->edge->tls;
    struct tls_site *sites = memory_new((conf->site_count + 1) * sizeof *sites);
    struct tls_settings wanted = {.profile = settings->profile == CONF_TLS_MODERN
                                                 ? TLS_MODERN
                                                 : TLS_INTERMEDIATE,
                                  .sites = sites,
                                  .default_site = SIZE_MAX};
    bool is_good = true;
    for (size_t i = 0; i < conf->site_count && is_good; i++) {
        const struct conf_site *site = &conf->sites[i];
        if (!site->tls || site->tls->passes_through || !is_served(conf, site))
            continue;
        bool is_default = settings->default_site ? settings->default_site == site
                                                 : wanted.default_site == SIZE_MAX;
        if (is_default && settings->unknown_names == CONF_UNKNOWN_SERVE)
            wanted.default_site = wanted.site_count;
        is_good = fill_site(site, &sites[wanted.site_count++], why);
    }
    struct tls_context *context = is_good ? tls_context_new(&wanted, tls->shared, why) : NULL;
    if (context)
        note_ends(tls, &wanted);
    free_sites(sites, wanted.site_count);
    return context;
}

/* ---- life */

static void release(void *old)
{
    struct tls_context *context = old;
    tls_context_release(&context);
}

void edge_tls_reload(struct edge_tls *tls, const struct conf *conf)
{
    struct text why = {0};
    bool passes = false;
    for (size_t i = 0; i < conf->site_count; i++)
        passes |= conf->sites[i].tls && conf->sites[i].tls->passes_through &&
                  is_served(conf, &conf->sites[i]);
    atomic_store_explicit(&tls->passes, passes, memory_order_relaxed);
    bool is_wanted = conf->self->edge && conf->self->edge->tls;
    struct tls_context *context = is_wanted ? make_context(tls, conf, &why) : NULL;
    if (is_wanted && !context)
        log_error("edge", "TLS stays as it was: %s", why.data);
    else
        snapshot_publish(&tls->context, context, release);
    if (!is_wanted)
        note_ends(tls, &(struct tls_settings){0});
    text_clear(&why);
}

bool edge_tls_passes(const struct edge_tls *tls)
{
    return atomic_load_explicit(&tls->passes, memory_order_relaxed);
}

struct edge_tls *edge_tls_new(const struct conf *conf)
{
    struct edge_tls *tls = NEW(struct edge_tls);
    tls->shared = tls_shared_new(clock_wall_ns() / 1000000000);
    edge_tls_reload(tls, conf);
    return tls;
}

void edge_tls_free(struct edge_tls **freed)
{
    struct edge_tls *tls = *freed;
    if (!tls)
        return;
    *freed = NULL;
    snapshot_publish(&tls->context, NULL, release);
    snapshot_settle(); /* contexts point to what they share */
    tls_shared_free(&tls->shared);
    json_decref(tls->ends);
    memory_free(tls);
}

json_t *edge_tls_status(const struct edge_tls *tls)
{
    json_t *list = json_array(), *ends_s;
    double now_s = (double)clock_wall_ns() / 1e9;
    const char *site;
    json_object_foreach(tls->ends, site, ends_s)
        json_array_append_new(list,
                              json_pack("{s:s, s:O, s:f}", "site", site, "not_after", ends_s,
                                        "days_left", (json_number_value(ends_s) - now_s) / 86400));
    return list;
}

void edge_tls_second(struct edge_tls *tls)
{
    tls_shared_tick(tls->shared, clock_wall_ns() / 1000000000);
}

struct tls_context *edge_tls_context(const struct edge_tls *tls)
{
    return snapshot_read(&((struct edge_tls *)(uintptr_t)tls)->context);
}
