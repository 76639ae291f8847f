/* SPDX-License-Identifier: Apache-2.0
 *
 * A look at a lane's packets while it runs (causeway link trace). The core writes records into a
 * ring; the main thread turns them into lines when they are asked for, so that the worker formats
 * nothing and opens no file. Who asked and went away is forgotten after some seconds.
 */
#include "base/memory.h"
#include "link/driver.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    RECORDS = 1 << 16,       /* of the ring; 2.6 MB while a trace runs */
    RECORDS_AT_ONCE = 16384, /* in one answer: some 2 MB of text */
    PATIENCE_S = 10,         /* between two questions */
};
#define SECOND_NS 1000000000ull

static void stop(struct link *link)
{
    struct tracing *tracing = &link->tracing;
    if (!tracing->trace)
        return;
    transport_set_trace(link->lane->transport, NULL);
    pthread_mutex_lock(&link->facts_lock);
    struct transport_trace *trace = tracing->trace;
    tracing->trace = NULL;
    pthread_mutex_unlock(&link->facts_lock);
    memory_free(trace->records);
    memory_free(trace);
}

static void start(struct link *link)
{
    struct tracing *tracing = &link->tracing;
    if (tracing->trace || !link->lane)
        return;
    struct transport_trace *trace = NEW(struct transport_trace);
    trace->records = memory_new(RECORDS * sizeof *trace->records);
    trace->capacity = RECORDS;
    pthread_mutex_lock(&link->facts_lock);
    tracing->trace = trace;
    tracing->begun_ns = clock_now_ns();
    pthread_mutex_unlock(&link->facts_lock);
    transport_set_trace(link->lane->transport, trace);
}

static void deliver(struct worker *receiver, struct message *message)
{
    struct link *link = CONTAINER_OF(message, struct link, tracing.message);
    (void)receiver;
    if (link->tracing.is_wanted)
        start(link);
    else
        stop(link);
}

void tracing_run(struct link *link, uint64_t now_ns)
{
    if (link->tracing.trace && now_ns > link->tracing.ends_ns)
        tracing_stop(link);
}

void tracing_stop(struct link *link)
{
    link->tracing.is_wanted = false;
    stop(link);
}

/* ---- the main thread */

static void post(struct link *link, bool is_wanted)
{
    struct driver *owner = link->set->drivers[link->owner];
    link->tracing.is_wanted = is_wanted;
    link->tracing.message.deliver = deliver;
    if (owner)
        worker_post(owner->worker, &link->tracing.message);
}

static void add_number(struct text *text, const char *name, uint64_t value)
{
    if (*name)
        text_add_format(text, ",\"%s\":%llu", name, (unsigned long long)value);
}

/* A record of RFC 7464: the separator, an object, a line's end. */
static void add_record(struct text *text, const struct trace_record *record, uint64_t begun_ns)
{
    const struct trace_names *names = trace_kind_names((enum trace_kind)record->kind);
    uint64_t after_us = record->at_ns > begun_ns ? (record->at_ns - begun_ns) / 1000 : 0;
    text_add_format(text, "\x1e{\"time\":%llu.%03llu,\"name\":\"%s\",\"data\":{\"path_id\":%u",
                    (unsigned long long)(after_us / 1000), (unsigned long long)(after_us % 1000),
                    names->event, record->path);
    if (record->kind == TRACE_STATE) {
        text_add_format(text, ",\"state\":\"%s\"",
                        transport_state_text((enum transport_state)record->number));
    } else if (record->kind == TRACE_ECN_STATE) {
        text_add_format(text, ",\"state\":\"%s\"", ecn_state_text((enum ecn_state)record->number));
    } else if (record->kind == TRACE_MODE) {
        text_add_format(text, ",\"mode\":\"%s\"", (const char *)(uintptr_t)record->number);
    } else {
        add_number(text, names->fields[0], record->number);
        add_number(text, names->fields[1], record->a);
        add_number(text, names->fields[2], record->b);
        add_number(text, names->fields[3], record->c);
    }
    text_add(text, "}}\n");
}

/* Copies under the lock, formats outside of it. */
static json_t *read_records(struct link *link)
{
    struct tracing *tracing = &link->tracing;
    struct trace_record *records = memory_raw(RECORDS_AT_ONCE * sizeof *records);
    uint32_t count = 0;
    uint64_t begun_ns = 0, dropped = 0;
    pthread_mutex_lock(&link->facts_lock);
    struct transport_trace *trace = tracing->trace;
    bool is_running = trace;
    if (trace) {
        begun_ns = tracing->begun_ns;
        dropped = atomic_load_explicit(&trace->dropped, memory_order_relaxed);
        while (count < RECORDS_AT_ONCE && trace_read(trace, &records[count]))
            count++;
    }
    pthread_mutex_unlock(&link->facts_lock);
    struct text text = {0};
    text_add(&text, "");
    for (uint32_t i = 0; i < count; i++)
        add_record(&text, &records[i], begun_ns);
    memory_free(records);
    json_t *answer =
        json_pack("{s:b, s:i, s:b, s:I, s:s#}", "running", is_running, "records", (int)count,
                  "more", count == RECORDS_AT_ONCE, "dropped", (json_int_t)dropped, "lines",
                  text.data ? text.data : "", (int)text.length);
    text_clear(&text);
    return answer;
}

json_t *tracing_inquire(struct link *link, const json_t *question)
{
    const char *what = json_string_value(json_object_get(question, "do"));
    if (!what)
        return json_pack("{s:s}", "error", "a trace is started, read and stopped");
    link->tracing.ends_ns = clock_now_ns() + PATIENCE_S * SECOND_NS;
    if (strcmp(what, "stop") == 0) {
        post(link, false);
        return json_pack("{s:b}", "running", false);
    }
    if (strcmp(what, "start") != 0)
        return read_records(link);
    pthread_mutex_lock(&link->facts_lock);
    bool is_running = link->tracing.trace;
    pthread_mutex_unlock(&link->facts_lock);
    if (is_running)
        return json_pack("{s:s}", "error", "this link is being traced already");
    if (!link_is_up(link))
        return json_pack("{s:s}", "error", "the link is down: there is nothing to trace");
    post(link, true);
    return json_pack("{s:b, s:s, s:I}", "running", true, "vantage_point",
                     link->is_dialler ? "client" : "server", "reference_time",
                     (json_int_t)(clock_wall_ns() / 1000000));
}
