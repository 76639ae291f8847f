/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the owner of a farm and the pure cores: outcomes go to failures and costs, changes are logged and counted.
 */
#include "gateway/owner/judge.h"

#include "base/hash.h"
#include "base/memory.h"

#define HEDGE_FRESH_NS (100ull * 1000000) /* a quantile is looked up so often */

struct gateway_judge {
    struct failure *failure;
    struct types_costs *costs;
    struct queue_costs queue_costs;
    char *site; /* the farm's first, for people */
    struct gateway_judge_settings settings;
    struct gateway_judge_server servers[QUEUE_SERVERS_MOST];
    uint64_t ejected; /* a bit for each server, as it was told of last */
    struct failure_report counted;
    struct {
        uint64_t delay_ns, known_ns;
    } hedges[TYPES_MOST];
};

static const uint16_t numbers = QUEUE_SERVERS_MOST; /* of servers are below that */

_Static_assert(QUEUE_SERVERS_MOST <= 64, "a bit for each server");

static struct metric ejections = METRIC(COUNTER, "causeway_gateway_ejections_total", "",
                                        "Origins ejected because their requests failed.");
struct metric gateway_origins_ejected =
    METRIC(GAUGE, "causeway_gateway_origins_ejected", "", "Origins that are ejected.");
static struct metric retries_refused =
    METRIC(COUNTER, "causeway_gateway_retries_refused_total", "",
           "Requests that were not sent again because the budget of retries was used up.");
static struct metric hedges_refused =
    METRIC(COUNTER, "causeway_gateway_hedges_refused_total", "",
           "Requests that were not sent to a second origin because the budget was used up.");
static struct metric circuits_opened =
    METRIC(COUNTER, "causeway_gateway_circuits_opened_total", "",
           "Types of requests that failed everywhere and were refused for a while.");
static struct metric circuit_refused = METRIC(COUNTER, "causeway_gateway_circuit_refused_total", "",
                                              "Requests refused by an open circuit.");

void gateway_judge_metrics_register(void)
{
    struct metric *all[] = {&ejections,      &gateway_origins_ejected, &retries_refused,
                            &hedges_refused, &circuits_opened,         &circuit_refused};
    // NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        metric_register(all[i]);
}

/* ---- settings */

void gateway_judge_settings_read(struct gateway_judge_settings *settings,
                                 const struct conf_site *site)
{
    memset(settings, 0, sizeof *settings); /* compared as bytes */
    settings->failure = site->failure;
    for (size_t i = 0; i < types_count(site->types); i++)
        settings->types[i] = hash_span(span_text(types_name(site->types, (uint8_t)i)), 0) | 1;
}

static void expect(void *context, uint8_t type, const struct queue_load *load, size_t count,
                   double times_ns[QUEUE_SERVERS_MOST])
{
    const struct gateway_judge *judge = context;
    struct types_load asked = {.all = load->pending, .parallel = load->slots};
    for (size_t i = 0; i < QUEUE_TYPES; i++)
        asked.pending[i] = load->types[i] ? load->type_pending[i] : NULL;
    types_costs_expected_ns(judge->costs, type, &asked, count, times_ns);
}

struct gateway_judge *gateway_judge_new(void)
{
    static const struct failure_settings nothing;
    struct gateway_judge *judge = NEW(struct gateway_judge);
    judge->failure = failure_new(&nothing);
    judge->costs = types_costs_new();
    judge->queue_costs = (struct queue_costs){expect, judge};
    return judge;
}

void gateway_judge_free(struct gateway_judge **freed)
{
    struct gateway_judge *judge = *freed;
    if (!judge)
        return;
    *freed = NULL;
    metric_add(&gateway_origins_ejected, -(uint64_t)__builtin_popcountll(judge->ejected));
    failure_free(&judge->failure);
    types_costs_free(&judge->costs);
    memory_free(judge->site);
    memory_free(judge);
}

const struct queue_costs *gateway_judge_costs(struct gateway_judge *judge)
{
    return &judge->queue_costs;
}

static void renumber(struct gateway_judge *judge, const uint64_t types[TYPES_MOST])
{
    uint8_t to[TYPES_MOST];
    const uint64_t *former = judge->settings.types;
    if (memcmp(former, types, sizeof judge->settings.types) == 0)
        return;
    for (size_t i = 0; i < TYPES_MOST; i++) {
        to[i] = TYPES_MOST;
        for (uint8_t k = 0; former[i] && k < TYPES_MOST; k++)
            if (types[k] == former[i])
                to[i] = k;
    }
    types_costs_renumber(judge->costs, to);
    memset(judge->hedges, 0, sizeof judge->hedges);
}

void gateway_judge_configure(struct gateway_judge *judge, const char *site,
                             const struct gateway_judge_settings *settings)
{
    memory_free(judge->site);
    judge->site = memory_text(site, strlen(site));
    failure_set_settings(judge->failure, &settings->failure);
    renumber(judge, settings->types);
    judge->settings = *settings;
}

/* ---- servers */

static void tell_change(struct gateway_judge *judge, uint16_t server, uint64_t now_ns)
{
    char address[ADDRESS_TEXT_BYTES];
    struct failure_server_report report;
    failure_report_server(judge->failure, server, &report);
    address_text(&judge->servers[server].address, true, address);
    if (report.is_ejected)
        log_warning("gateway", "an origin is ejected: %s site=%s origin=%s seconds=%.1f",
                    failure_cause_text(report.cause), judge->site, address,
                    (double)(report.until_ns - now_ns) / 1e9);
    else
        log_notice("gateway", "an origin may be used again site=%s origin=%s", judge->site,
                   address);
}

/* What has changed is told and counted. */
static void look(struct gateway_judge *judge, uint64_t now_ns)
{
    uint64_t now_ejected = 0;
    for (uint16_t i = 0; i < numbers; i++) {
        if (!judge->servers[i].identity)
            continue;
        now_ejected |= (uint64_t)failure_is_ejected(judge->failure, i) << i;
        if ((now_ejected ^ judge->ejected) >> i & 1)
            tell_change(judge, i, now_ns);
    }
    metric_add(&gateway_origins_ejected, (uint64_t)__builtin_popcountll(now_ejected) -
                                             (uint64_t)__builtin_popcountll(judge->ejected));
    judge->ejected = now_ejected;
}

static void count(struct gateway_judge *judge)
{
    struct failure_report now;
    failure_read_report(judge->failure, &now);
    metric_add(&ejections, now.ejections - judge->counted.ejections);
    metric_add(&retries_refused, now.retries_refused - judge->counted.retries_refused);
    metric_add(&hedges_refused, now.hedges_refused - judge->counted.hedges_refused);
    metric_add(&circuits_opened, now.circuits_opened - judge->counted.circuits_opened);
    metric_add(&circuit_refused, now.circuit_refused - judge->counted.circuit_refused);
    judge->counted = now;
}

void gateway_judge_set_servers(struct gateway_judge *judge,
                               const struct gateway_judge_server servers[QUEUE_SERVERS_MOST])
{
    uint64_t identities[QUEUE_SERVERS_MOST];
    for (size_t i = 0; i < numbers; i++)
        identities[i] = servers[i].identity;
    memcpy(judge->servers, servers, sizeof judge->servers);
    failure_set_servers(judge->failure, identities, QUEUE_SERVERS_MOST);
    types_costs_set_servers(judge->costs, identities, QUEUE_SERVERS_MOST);
    /* They may have other numbers: nothing has become of them, and nothing is told. */
    metric_add(&gateway_origins_ejected, -(uint64_t)__builtin_popcountll(judge->ejected));
    judge->ejected = 0;
    for (uint16_t i = 0; i < numbers; i++)
        if (identities[i])
            judge->ejected |= (uint64_t)failure_is_ejected(judge->failure, i) << i;
    metric_add(&gateway_origins_ejected, (uint64_t)__builtin_popcountll(judge->ejected));
}

void gateway_judge_set_available(struct gateway_judge *judge, uint16_t server, bool is_available)
{
    failure_set_available(judge->failure, server, is_available);
}

bool gateway_judge_ejects(const struct gateway_judge *judge, uint16_t server)
{
    return failure_is_ejected(judge->failure, server);
}

bool gateway_judge_tick(struct gateway_judge *judge, uint64_t now_ns)
{
    bool has_changed = failure_tick(judge->failure, now_ns);
    if (has_changed) {
        look(judge, now_ns);
        count(judge);
    }
    return has_changed;
}

uint64_t gateway_judge_wake_ns(const struct gateway_judge *judge)
{
    return failure_wake_ns(judge->failure);
}

void gateway_judge_report_server(const struct gateway_judge *judge, uint16_t server,
                                 struct failure_server_report *report)
{
    failure_report_server(judge->failure, server, report);
}

/* ---- tickets */

static bool take(struct gateway_judge *judge, enum gateway_try as)
{
    switch (as) {
    case GATEWAY_TRY_FIRST:
        failure_begin(judge->failure);
        return true;
    case GATEWAY_TRY_RETRY:
        return failure_retry_take(judge->failure);
    case GATEWAY_TRY_HEDGE:
        return failure_hedge_take(judge->failure);
    }
    return false;
}

static void give(struct gateway_judge *judge, enum gateway_try as)
{
    switch (as) {
    case GATEWAY_TRY_FIRST:
        failure_end(judge->failure);
        return;
    case GATEWAY_TRY_RETRY:
        failure_retry_give(judge->failure);
        return;
    case GATEWAY_TRY_HEDGE:
        failure_hedge_give(judge->failure);
        return;
    }
}

int gateway_judge_admit(struct gateway_judge *judge, struct gateway_judged *judged,
                        enum gateway_try as, uint8_t type, uint64_t now_ns, uint64_t *retry_ns)
{
    int result = 0;
    if (!take(judge, as)) {
        result = ERROR_DENIED;
    } else {
        judged->as = as;
        judged->pass = failure_circuit_pass(judge->failure, type, now_ns);
        judged->is_counted = judged->pass.may;
        if (!judged->pass.may) {
            give(judge, as);
            *retry_ns = judged->pass.wait_ns;
            result = ERROR_LIMIT;
        }
    }
    if (result < 0)
        count(judge);
    return result;
}

bool gateway_judge_settle(struct gateway_judge *judge, struct gateway_judged *judged,
                          uint16_t server, const struct gateway_verdict *verdict, uint64_t now_ns)
{
    enum failure_outcome outcome = server == QUEUE_NO_SERVER ? FAILURE_LEFT : verdict->outcome;
    bool has_changed = false;
    if (judged->is_counted) {
        judged->is_counted = false;
        give(judge, judged->as);
        failure_circuit_result(judge->failure, &judged->pass, outcome, now_ns);
    }
    if (outcome == FAILURE_LEFT)
        return false;
    has_changed = failure_result(judge->failure, server, outcome, verdict->service_ns, now_ns);
    if (outcome == FAILURE_ANSWERED && verdict->service_ns)
        types_costs_add(judge->costs, server, judged->pass.type, verdict->service_ns,
                        verdict->bytes, now_ns);
    if (has_changed || outcome != FAILURE_ANSWERED) {
        look(judge, now_ns);
        count(judge);
    }
    return has_changed;
}

uint64_t gateway_judge_hedge_ns(struct gateway_judge *judge, uint8_t type, uint64_t now_ns)
{
    const struct failure_hedging *settings = &judge->settings.failure.hedging;
    uint32_t samples;
    if (!settings->is_on)
        return 0;
    if (now_ns - judge->hedges[type].known_ns >= HEDGE_FRESH_NS) {
        uint64_t quantile_ns = types_costs_quantile_ns(judge->costs, TYPES_SERVER_ALL, type,
                                                       settings->quantile_percent * 10, &samples);
        judge->hedges[type].delay_ns = failure_hedge_delay_ns(judge->failure, quantile_ns, samples);
        judge->hedges[type].known_ns = now_ns;
    }
    return judge->hedges[type].delay_ns;
}
