/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's metrics. Answering threads count a batch in plain memory and add it once.
 */
#include "dnsd/private.h"

#define ANSWERS(rcode) \
    METRIC(COUNTER, "causeway_dns_answers_total", "rcode=\"" rcode "\"", "DNS answers by rcode.")

static struct metric answers[DNS_RCODES] = {
    [DNS_NOERROR] = ANSWERS("NOERROR"),     [DNS_FORMERR] = ANSWERS("FORMERR"),
    [DNS_SERVFAIL] = ANSWERS("SERVFAIL"),   [DNS_NXDOMAIN] = ANSWERS("NXDOMAIN"),
    [DNS_NOTIMP] = ANSWERS("NOTIMP"),       [DNS_REFUSED] = ANSWERS("REFUSED"),
    [DNS_YXDOMAIN] = ANSWERS("YXDOMAIN"),   [DNS_BADVERS] = ANSWERS("BADVERS"),
    [DNS_BADCOOKIE] = ANSWERS("BADCOOKIE"),
};
static struct metric tcp =
    METRIC(COUNTER, "causeway_dns_tcp_answers_total", "",
           "DNS answers over TCP; they are in causeway_dns_answers_total too.");
static struct metric truncated = METRIC(COUNTER, "causeway_dns_truncated_total", "",
                                        "DNS answers cut short: the client asks again over TCP.");
static struct metric malformed =
    METRIC(COUNTER, "causeway_dns_malformed_total", "", "DNS messages that are no sound queries.");
static struct metric dropped =
    METRIC(COUNTER, "causeway_dns_dropped_total", "", "DNS messages that got no answer at all.");
static struct metric unsent =
    METRIC(COUNTER, "causeway_dns_unsent_total", "", "DNS answers that the kernel did not take.");
static struct metric connections = METRIC(GAUGE, "causeway_dns_tcp_connections", "",
                                          "TCP connections of DNS clients that are open.");
static struct metric refused = METRIC(COUNTER, "causeway_dns_tcp_refused_total", "",
                                      "TCP connections closed at once, the limit being reached.");
static struct metric tls_connections =
    METRIC(COUNTER, "causeway_dns_tls_connections_total", "",
           "DNS over TLS connections that were taken, whatever became of their handshake.");
static struct metric levels = METRIC(COUNTER, "causeway_dns_levels_total", "",
                                     "Answers with an alias into a zone of the next level.");
static struct metric map_figures[] = {
    METRIC(GAUGE, "causeway_dns_map_networks", "", "Networks that the compiled maps tell apart."),
    METRIC(GAUGE, "causeway_dns_map_places", "", "Distinct places of the compiled maps."),
    METRIC(GAUGE, "causeway_dns_map_bytes", "", "Memory of the compiled maps."),
};
static struct metric subnets = METRIC(COUNTER, "causeway_dns_ecs_total", "",
                                      "DNS queries whose EDNS Client Subnet stood for the client.");

#define COOKIES(result)                                                                          \
    METRIC(COUNTER, "causeway_dns_cookies_total", "result=\"" result "\"",                       \
           "DNS queries with a cookie: the client's alone (new), with a good one of ours, with " \
           "another.")
static struct metric cookies[DNS_COOKIE_RESULTS] = {
    [DNS_COOKIE_NEW] = COOKIES("new"),
    [DNS_COOKIE_GOOD] = COOKIES("good"),
    [DNS_COOKIE_BAD] = COOKIES("bad"),
};

#define LIMITS(action)                                                                           \
    METRIC(COUNTER, "causeway_dns_rate_limited_total", "action=\"" action "\"",                  \
           "DNS answers withheld from networks that ask too much; of these slipped: small ones " \
           "instead.")
static struct metric limits[DNS_LIMITS] = {
    [DNS_LIMIT_SLIPPED] = LIMITS("slipped"),
    [DNS_LIMIT_DROPPED] = LIMITS("dropped"),
};

#define FIGURES(name)                                        \
    METRIC(COUNTER, "causeway_director_" #name "_total", "", \
           "What the director did; docs/director.md tells more."),
static struct metric figures[] = {DIRECTOR_FIGURE_LIST(FIGURES)};
enum { FIGURES_COUNT = sizeof figures / sizeof *figures };
static struct metric networks = METRIC(GAUGE, "causeway_director_networks", "",
                                       "Client networks that have rankings of their own.");
static struct metric forsaken =
    METRIC(GAUGE, "causeway_director_forsaken_sites", "", "Sites without a good edge.");
static struct metric round_us = METRIC(GAUGE, "causeway_director_round_us", "",
                                       "Time in which the director last ranked everything once.");

static struct metric latencies =
    METRIC(GAUGE, "causeway_measure_latency_rows", "",
           "Round trips between client networks and nodes that are known at present.");
static struct metric items = METRIC(COUNTER, "causeway_measure_items_total", "",
                                    "Measurements of nodes that were taken into the tables.");

#define MEASURES(name)                                                         \
    METRIC(COUNTER, "causeway_measure_received_total", "result=\"" #name "\"", \
           "Datagrams of measurements by what became of them."),
static struct metric measures[] = {MEASURE_RECEIVER_COUNTER_LIST(MEASURES)};
enum { MEASURE_KINDS = sizeof measures / sizeof *measures };
#define TRANSFERS(labels) \
    METRIC(COUNTER, "causeway_dns_transfers_total", labels, "Requests for copies of zones.")
static struct metric transfers[] = {
    TRANSFERS("result=\"refused\""),
    TRANSFERS("result=\"axfr\""),
    TRANSFERS("result=\"ixfr\""),
};
static struct metric transferred =
    METRIC(COUNTER, "causeway_dns_transfer_records_total", "", "Records sent in copies of zones.");
#define TSIG(result)                                                    \
    METRIC(COUNTER, "causeway_dns_tsig_total", "result=\"" result "\"", \
           "Signed requests by what the signature was.")
static struct metric tsig[] = {TSIG("bad"), TSIG("good")};
#define NOTIFIES(event)                                                   \
    METRIC(COUNTER, "causeway_dns_notifies_total", "event=\"" event "\"", \
           "NOTIFY messages: to secondaries, and refused from strangers.")
static struct metric notifies[DNSD_NOTIFY_EVENTS] = {
    [DNSD_NOTIFY_SENT] = NOTIFIES("sent"),
    [DNSD_NOTIFY_ANSWERED] = NOTIFIES("answered"),
    [DNSD_NOTIFY_GIVEN_UP] = NOTIFIES("given_up"),
    [DNSD_NOTIFY_REFUSED] = NOTIFIES("refused"),
};
static struct metric aliases[] = {
    METRIC(COUNTER, "causeway_dns_alias_lookups_total", "result=\"failed\"",
           "Look-ups of the targets of ALIAS records."),
    METRIC(COUNTER, "causeway_dns_alias_lookups_total", "result=\"resolved\"",
           "Look-ups of the targets of ALIAS records."),
};

#define SIGNATURES(result)                                                                  \
    METRIC(COUNTER, "causeway_dns_signatures_total", "result=\"" result "\"",               \
           "Signatures of answers: made, found among those that are kept, or refused to a " \
           "client network beyond its budget.")
static struct metric signatures[] = {SIGNATURES("made"), SIGNATURES("kept"), SIGNATURES("refused")};
enum { SIGNATURE_RESULTS = sizeof signatures / sizeof *signatures };

#define REPORTS(name)                                                     \
    METRIC(COUNTER, "causeway_dns_reports_total", "result=\"" #name "\"", \
           "Status datagrams of edges by what became of them."),
static struct metric reports[] = {STATUS_RECEIVER_COUNTER_LIST(REPORTS)};
enum { REPORT_KINDS = sizeof reports / sizeof *reports };

void dnsd_metrics_register(void)
{
    dnsd_health_metrics_register();
    dnsd_probe_metrics_register();
    for (size_t i = 0; i < DNS_RCODES; i++)
        if (answers[i].name)
            metric_register(&answers[i]);
    for (size_t i = 1; i < DNS_COOKIE_RESULTS; i++)
        metric_register(&cookies[i]);
    for (size_t i = 1; i < DNS_LIMITS; i++)
        metric_register(&limits[i]);
    struct metric *const others[] = {&tcp,      &truncated,      &malformed,       &dropped,
                                     &unsent,   &connections,    &refused,         &networks,
                                     &forsaken, &round_us,       &tls_connections, &subnets,
                                     &levels,   &map_figures[0], &map_figures[1],  &map_figures[2]};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        metric_register(others[i]);
    for (size_t i = 0; i < FIGURES_COUNT; i++)
        metric_register(&figures[i]);
    for (size_t i = 0; i < MEASURE_KINDS; i++)
        metric_register(&measures[i]);
    metric_register(&latencies);
    metric_register(&items);
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        metric_register(&aliases[i]);
    for (size_t i = 0; i < SIGNATURE_RESULTS; i++)
        metric_register(&signatures[i]);
    for (size_t i = 0; i < sizeof transfers / sizeof *transfers; i++)
        metric_register(&transfers[i]);
    metric_register(&transferred);
    for (size_t i = 0; i < sizeof tsig / sizeof *tsig; i++)
        metric_register(&tsig[i]);
    for (size_t i = 0; i < DNSD_NOTIFY_EVENTS; i++)
        metric_register(&notifies[i]);
    for (size_t i = 0; i < REPORT_KINDS; i++)
        metric_register(&reports[i]);
}

void dnsd_tally_outcome(struct dnsd_tally *tally, const struct dns_outcome *outcome, size_t length)
{
    tally->malformed += outcome->is_malformed;
    if (outcome->is_notify)
        dnsd_count_notify(DNSD_NOTIFY_REFUSED);
    tally->truncated += outcome->is_truncated;
    tally->subnets += outcome->has_subnet;
    tally->levels += outcome->has_alias;
    tally->cookies[outcome->cookie]++;
    tally->limits[outcome->limit]++;
    if (length)
        tally->rcodes[outcome->rcode]++;
    else
        tally->dropped++;
}

void dnsd_tally_signer(struct dnsd_tally *tally, struct dns_signer *signer)
{
    tally->signatures[0] += signer->made;
    tally->signatures[1] += signer->kept;
    tally->signatures[2] += signer->refused;
    signer->made = signer->kept = signer->refused = 0;
}

static void add(struct metric *metric, uint64_t count)
{
    if (count)
        metric_add(metric, count);
}

void dnsd_tally_flush(struct dnsd_tally *tally)
{
    for (size_t i = 0; i < DNS_RCODES; i++) {
        add(&answers[i], tally->rcodes[i]);
        if (tally->is_tcp)
            add(&tcp, tally->rcodes[i]);
    }
    add(&truncated, tally->truncated);
    add(&malformed, tally->malformed);
    add(&dropped, tally->dropped);
    add(&unsent, tally->unsent);
    add(&subnets, tally->subnets);
    add(&levels, tally->levels);
    for (size_t i = 1; i < DNS_COOKIE_RESULTS; i++)
        add(&cookies[i], tally->cookies[i]);
    for (size_t i = 1; i < DNS_LIMITS; i++)
        add(&limits[i], tally->limits[i]);
    for (size_t i = 0; i < SIGNATURE_RESULTS; i++)
        add(&signatures[i], tally->signatures[i]);
    *tally = (struct dnsd_tally){.is_tcp = tally->is_tcp};
}

void dnsd_count_connections(uint64_t open)
{
    metric_set(&connections, open);
}

uint64_t dnsd_counted_connections(void)
{
    return metric_read(&connections);
}

uint64_t dnsd_counted_answers(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (answers[i].name)
            sum += metric_read(&answers[i]);
    return sum;
}

void dnsd_count_refused_connection(void)
{
    metric_add(&refused, 1);
}

void dnsd_count_tls_connection(void)
{
    metric_add(&tls_connections, 1);
}

void dnsd_count_transfer(bool is_begun, bool is_incremental)
{
    metric_add(&transfers[is_begun ? 1 + is_incremental : 0], 1);
}

void dnsd_count_transferred(uint64_t records)
{
    metric_add(&transferred, records);
}

void dnsd_count_tsig(bool is_good)
{
    metric_add(&tsig[is_good], 1);
}

void dnsd_count_notify(enum dnsd_notify_event event)
{
    metric_add(&notifies[event], 1);
}

void dnsd_count_alias(bool is_resolved)
{
    metric_add(&aliases[is_resolved], 1);
}

void dnsd_count_director(const struct director_figures *now, struct director_figures *before)
{
    size_t i = 0;
#define X(name) add(&figures[i++], now->name - before->name);
    DIRECTOR_FIGURE_LIST(X)
#undef X
    metric_set(&networks, now->networks);
    metric_set(&forsaken, now->forsaken);
    metric_set(&round_us, now->round_ns / 1000);
    *before = *now;
}

void dnsd_count_reports(const struct status_receiver_counters *now,
                        struct status_receiver_counters *before)
{
    size_t i = 0;
#define X(name) add(&reports[i++], now->name - before->name);
    STATUS_RECEIVER_COUNTER_LIST(X)
#undef X
    *before = *now;
}

void dnsd_count_measures(const struct measure_receiver_counters *now,
                         struct measure_receiver_counters *before)
{
    size_t i = 0;
#define X(name) add(&measures[i++], now->name - before->name);
    MEASURE_RECEIVER_COUNTER_LIST(X)
#undef X
    *before = *now;
}

void dnsd_count_maps(const struct maps *maps)
{
    struct maps_figures now = maps_figures(maps);
    metric_set(&map_figures[0], now.networks);
    metric_set(&map_figures[1], now.places);
    metric_set(&map_figures[2], now.bytes);
}

void dnsd_count_facts(struct dnsd_facts *facts)
{
    metric_set(&latencies, latency_table_count(facts->latencies));
    add(&items, facts->items);
    facts->items = 0;
}