/* SPDX-License-Identifier: Apache-2.0
 *
 * The access log: one line for each request, as JSON or in the combined format. What a client sent is escaped: its bytes can
 * neither end a line nor a string.
 */
#include "edge/private.h"

#include <time.h>

/* Of what a client sent at any length, as written. Together less than a line may have, so that a line is always whole. */
enum {
    LINE_MOST = 8000,
    HOST_MOST = 300,
    TARGET_MOST = 3500, /* with method and version in the combined format */
    FIELD_MOST = 1000,  /* Referer, User-Agent */
};

static struct span field(const struct http_head *head, enum http_name name)
{
    const struct http_field *found =
        head->method_text.length ? http_fields_find(&head->fields, name) : NULL;
    return found ? found->value : (struct span){0};
}

/* A value as `add` writes it, or as much of its beginning as takes no more than `most` bytes. */
static void add_at_most(struct text *line, struct span value, size_t most,
                        void (*add)(struct text *line, struct span value))
{
    size_t start = line->length;
    value.length = value.length < most ? value.length : most;
    for (add(line, value); line->length - start > most + 2; add(line, value)) { /* its quotes */
        line->length = start;
        value.length = value.length * 3 / 4;
    }
}

/* Combined format has no escapes of its own: what could end the quoted string becomes \xHH, as nginx writes it. */
static void add_quoted(struct text *line, struct span span)
{
    text_add(line, "\"");
    if (!span.length)
        text_add(line, "-");
    for (size_t i = 0; i < span.length; i++) {
        uint8_t byte = span.data[i];
        if (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\')
            text_add_format(line, "\\x%02X", byte);
        else
            text_add_span(line, span_of(&byte, 1));
    }
    text_add(line, "\"");
}

/* Behind what every log analyser knows: name=value, as many as there are. */
static void add_pair(struct text *line, const char *name, struct span value)
{
    if (value.length)
        text_add_format(line, " %s=%.*s", name, SPAN_ARGS(value));
}

static void add_pairs(struct text *line, const struct access_facts *facts)
{
    add_pair(line, "id", span_text(facts->request_id));
    if (facts->cache.length) {
        text_add(line, " cache=");
        add_quoted(line, facts->cache);
    }
    add_pair(line, "decision", span_text(facts->decision));
    add_pair(line, "trace", span_text(facts->trace_id));
    for (unsigned leg = 0; leg < EDGE_LEG_COUNT; leg++)
        if (facts->legs.known & 1u << leg)
            text_add_format(line, " %s=%lu", edge_leg_name(leg), facts->legs.us[leg]);
    text_add_format(line, " first_byte_us=%lu total_us=%lu", facts->first_byte_ns / 1000,
                    facts->total_ns / 1000);
}

static void add_combined(struct text *line, const struct access_facts *facts)
{
    char client[ADDRESS_TEXT_BYTES], date[64];
    time_t seconds = (time_t)(facts->began_wall_ns / 1000000000);
    struct tm broken;
    gmtime_r(&seconds, &broken);
    strftime(date, sizeof date, "%d/%b/%Y:%H:%M:%S +0000", &broken);
    text_add_format(line, "%s - - [%s] ", address_text(facts->client, false, client), date);
    struct text request = {0};
    if (facts->request->method_text.length)
        text_add_format(&request, "%.*s %.*s %s", SPAN_ARGS(facts->request->method_text),
                        SPAN_ARGS(facts->request->target_received), facts->protocol);
    add_at_most(line, text_span(&request), TARGET_MOST, add_quoted);
    text_clear(&request);
    text_add_format(line, " %u %lu ", facts->status, facts->bytes_out);
    add_at_most(line, field(facts->request, HTTP_NAME_REFERER), FIELD_MOST, add_quoted);
    text_add(line, " ");
    add_at_most(line, field(facts->request, HTTP_NAME_USER_AGENT), FIELD_MOST, add_quoted);
    add_pairs(line, facts);
}

static void add_member(struct text *line, const char *name, struct span value, size_t most)
{
    text_add_format(line, ",\"%s\":", name);
    add_at_most(line, value, most, text_add_json);
}

static void add_given(struct text *line, const char *name, struct span value)
{
    if (value.length)
        add_member(line, name, value, HOST_MOST);
}

static void add_legs(struct text *line, const struct edge_legs *legs)
{
    for (unsigned leg = 0; leg < EDGE_LEG_COUNT; leg++)
        if (legs->known & 1u << leg)
            text_add_format(line, ",\"%s\":%lu", edge_leg_name(leg), legs->us[leg]);
}

static void add_json(struct text *line, const struct access_facts *facts)
{
    char client[ADDRESS_TEXT_BYTES];
    const struct http_head *request = facts->request;
    text_add_format(line, "{\"time\":%lu.%06lu", facts->began_wall_ns / 1000000000,
                    facts->began_wall_ns / 1000 % 1000000);
    add_member(line, "client", span_text(address_text(facts->client, false, client)), HOST_MOST);
    add_member(line, "id", span_text(facts->request_id), HOST_MOST);
    if (request->method_text.length) {
        add_member(line, "method", request->method_text, HOST_MOST);
        add_member(line, "host", request->host, HOST_MOST);
        add_member(line, "target", request->target_received, TARGET_MOST);
        add_member(line, "protocol", span_text(facts->protocol), HOST_MOST);
    }
    text_add_format(line,
                    ",\"status\":%u,\"bytes_in\":%lu,\"bytes_out\":%lu,\"seconds\":%.6f,\"first_"
                    "byte_seconds\":%.6f",
                    facts->status, facts->bytes_in, facts->bytes_out, (double)facts->total_ns / 1e9,
                    (double)facts->first_byte_ns / 1e9);
    if (facts->tls) {
        add_member(line, "tls", span_text(facts->tls->version), HOST_MOST);
        add_member(line, "cipher", span_text(facts->tls->cipher), HOST_MOST);
        if (*facts->tls->name)
            add_member(line, "sni", span_text(facts->tls->name), HOST_MOST);
    }
    add_given(line, "site", span_text(facts->site));
    add_given(line, "gateway", span_text(facts->gateway));
    add_given(line, "cache", facts->cache);
    add_given(line, "decision", span_text(facts->decision));
    add_given(line, "trace", span_text(facts->trace_id));
    add_given(line, "cause", span_text(facts->cause));
    add_legs(line, &facts->legs);
    if (field(request, HTTP_NAME_USER_AGENT).length)
        add_member(line, "user_agent", field(request, HTTP_NAME_USER_AGENT), FIELD_MOST);
    if (field(request, HTTP_NAME_REFERER).length)
        add_member(line, "referer", field(request, HTTP_NAME_REFERER), FIELD_MOST);
    text_add(line, "}");
}

void edge_access_line(struct text *line, bool is_json, const struct access_facts *facts)
{
    text_reset(line);
    if (is_json)
        add_json(line, facts);
    else
        add_combined(line, facts);
    text_add(line, "\n");
    INVARIANT(line->length <= LINE_MOST);
}

void edge_access_log_write(struct edge_worker *worker, const struct access_facts *facts)
{
    edge_access_line(&worker->log_line, worker->edge->access_log_is_json, facts);
    log_file_write(worker->edge->access_log, text_span(&worker->log_line));
}
