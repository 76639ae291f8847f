/* SPDX-License-Identifier: Apache-2.0
 *
 * W3C trace context: what clients send of a trace goes on as it came, or not at all; where the site wants it, a trace begins
 * here. That is before the rules, which have the last word on what reaches the origin.
 */
#include "edge/exchange.h"

static struct metric traces[] = {
    METRIC(COUNTER, "causeway_edge_traces_total", "result=\"passed\"",
           "Requests with a trace context, by what became of it."),
    METRIC(COUNTER, "causeway_edge_traces_total", "result=\"started\"",
           "Requests with a trace context, by what became of it."),
    METRIC(COUNTER, "causeway_edge_traces_total", "result=\"malformed\"",
           "Requests with a trace context, by what became of it."),
    METRIC(COUNTER, "causeway_edge_traces_total", "result=\"dropped\"",
           "Requests with a trace context, by what became of it."),
};
enum { PASSED, STARTED, MALFORMED, DROPPED };

void edge_trace_register_metrics(void)
{
    for (size_t i = 0; i < sizeof traces / sizeof *traces; i++)
        metric_register(&traces[i]);
}

json_t *edge_trace_status(void)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "passed", (json_int_t)metric_read(&traces[PASSED]),
                     "started", (json_int_t)metric_read(&traces[STARTED]), "malformed",
                     (json_int_t)metric_read(&traces[MALFORMED]), "dropped",
                     (json_int_t)metric_read(&traces[DROPPED]));
}

static void start(struct edge_exchange *exchange, const struct conf_site *site,
                  struct http_trace *trace)
{
    char text[HTTP_TRACE_BYTES];
    struct random *random = &exchange->worker->random;
    bool is_sampled = random_below(random, site->trace_every) == 0;
    struct span value = http_trace_begin(trace, is_sampled, random, text);
    if (http_fields_add(&exchange->head.fields, HTTP_NAME_TRACEPARENT, value) < 0)
        return; /* there is no room for it: it goes without */
    metric_add(&traces[STARTED], 1);
    memcpy(exchange->trace_id, trace->id, sizeof exchange->trace_id);
}

void edge_trace_settle(struct edge_exchange *exchange, const struct conf_site *site)
{
    struct http_fields *fields = &exchange->head.fields;
    struct http_trace trace;
    enum http_trace_found found = http_trace_settle(fields, &trace);
    if (found == HTTP_TRACE_MALFORMED)
        metric_add(&traces[MALFORMED], 1);
    if (found == HTTP_TRACE_VALID && site->trace == CONF_TRACE_DROP) {
        http_trace_remove(fields);
        metric_add(&traces[DROPPED], 1);
    } else if (found == HTTP_TRACE_VALID) {
        memcpy(exchange->trace_id, trace.id, sizeof exchange->trace_id);
        metric_add(&traces[PASSED], 1);
    } else if (site->trace == CONF_TRACE_START) {
        start(exchange, site, &trace);
    }
}
