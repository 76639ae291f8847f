/* SPDX-License-Identifier: Apache-2.0
 *
 * From the configuration to what clients may ask (docs/edge-limits.md).
 */
#include "edge/private.h"

static struct metric timeouts[EDGE_TIMEOUTS] = {
#define X(name, word, text)                                                     \
    [EDGE_TIMEOUT_##name] =                                                     \
        METRIC(COUNTER, "causeway_edge_timeouts_total", "timeout=\"" word "\"", \
               "Connections and requests that took too long, by what for."),
    EDGE_TIMEOUT_LIST(X)
#undef X
};

void edge_limits_register_metrics(void)
{
    for (size_t i = 0; i < EDGE_TIMEOUTS; i++)
        metric_register(&timeouts[i]);
}

json_t *edge_timeouts_status(void)
{
    static const char *const words[] = {
#define X(name, word, text) word,
        EDGE_TIMEOUT_LIST(X)
#undef X
    };
    json_t *status = json_object();
    for (size_t i = 0; i < EDGE_TIMEOUTS; i++)
        json_object_set_new(status, words[i], json_integer((json_int_t)metric_read(&timeouts[i])));
    return status;
}

const char *edge_timed_out(enum edge_timeout timeout)
{
    static const char *const texts[] = {
#define X(name, word, text) text,
        EDGE_TIMEOUT_LIST(X)
#undef X
    };
    metric_add(&timeouts[timeout], 1);
    return texts[timeout];
}

void edge_limits_take(struct edge_worker *worker)
{
    const struct conf_edge *conf = edge_conf(worker)->self->edge;
    worker->limits = http_limits_default;
    if (!conf)
        return;
    worker->limits.line_bytes = conf->request_line_bytes;
    worker->limits.head_bytes = conf->header_bytes;
    worker->limits.fields = conf->fields_limit;
    worker->limits.body_bytes = conf->body_bytes ? conf->body_bytes : UINT64_MAX;
}

/* What may come at once stays in proportion. */
static struct h2_rate scale(struct h2_rate rate, uint32_t per_second)
{
    uint64_t burst = (uint64_t)rate.burst * per_second / rate.per_second;
    return (struct h2_rate){.burst = burst ? (uint32_t)burst : 1, .per_second = per_second};
}

void edge_limits_h2(const struct edge_worker *worker, struct h2_settings *settings)
{
    const struct conf_edge *edge = edge_conf(worker)->self->edge;
    h2_settings_init(settings, &worker->limits);
    if (!edge)
        return;
    const struct conf_http2 *conf = &edge->http2;
    settings->streams = conf->streams;
    settings->stream_window_bytes = conf->window_bytes;
    settings->connection_window_bytes = conf->connection_window_bytes;
    settings->stream_held_bytes = conf->unread_bytes;
    settings->connection_held_bytes = conf->connection_unread_bytes;
    settings->memory_bytes = conf->memory_bytes;
    settings->resets = scale(settings->resets, conf->resets_per_s);
    settings->errors = scale(settings->errors, conf->errors_per_s);
    settings->settings = scale(settings->settings, conf->settings_per_s);
    settings->pings = scale(settings->pings, conf->pings_per_s);
    settings->empty_data = scale(settings->empty_data, conf->small_data_per_s);
    settings->window_updates = scale(settings->window_updates, conf->window_updates_per_s);
    settings->priorities = scale(settings->priorities, conf->priorities_per_s);
    settings->unknown = scale(settings->unknown, conf->unknown_per_s);
}
