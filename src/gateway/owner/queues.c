/* SPDX-License-Identifier: Apache-2.0
 *
 * The queues before origins as data, for `causeway queue`: who waits, how long a request that comes now would, and what each origin has
 * pending of how many slots (L3, L5).
 */
#include "gateway/private.h"

#include <string.h>

static json_t *milliseconds(uint64_t ns)
{
    return json_real((double)ns / 1e6);
}

static json_t *classes_of(const struct queue_report *report)
{
    json_t *classes = json_array();
    for (int i = 0; i < QUEUE_CLASSES; i++) {
        const struct queue_class_report *class = &report->classes[i];
        json_array_append_new(
            classes, json_pack("{s:I, s:o, s:I, s:i, s:b}", "waiting", (json_int_t) class->waiting,
                               "wait_ms", milliseconds(class->wait_ns), "launched",
                               (json_int_t) class->launched, "share", (int)class->share_percent,
                               "stands", (int)class->is_standing));
    }
    return classes;
}

static json_t *servers_of(const struct gateway_queue_facts *facts)
{
    json_t *servers = json_array();
    for (size_t i = 0; i < facts->server_count; i++) {
        const struct queue_server_report *report = &facts->servers[i].report;
        char text[ADDRESS_TEXT_BYTES];
        json_array_append_new(
            servers, json_pack("{s:s, s:I, s:I, s:i, s:b, s:b, s:b, s:o, s:I, s:I}", "address",
                               address_text(&facts->servers[i].address, true, text), "pending",
                               (json_int_t)report->pending, "slots", (json_int_t)report->slots,
                               "weight", (int)report->weight, "usable", (int)report->is_usable,
                               "found", (int)report->is_found, "leaving", (int)report->is_leaving,
                               "service_ms", milliseconds(report->service_ns), "finished",
                               (json_int_t)report->finished, "failed", (json_int_t)report->failed));
    }
    return servers;
}

static json_t *dropped_of(const struct queue_report *report)
{
    json_t *dropped = json_object();
    for (int i = 0; i < QUEUE_REASONS; i++)
        json_object_set_new(dropped, queue_reason_word((enum queue_reason)i),
                            json_integer((json_int_t)report->dropped[i]));
    return dropped;
}

static json_t *queue_of(const char *site, const struct gateway_queue_facts *facts)
{
    const struct queue_report *report = &facts->queue;
    return json_pack("{s:s, s:I, s:I, s:I, s:f, s:I, s:o, s:I, s:I, s:I, s:o, s:o, s:o}", "site",
                     site, "waiting", (json_int_t)report->waiting, "pending",
                     (json_int_t)report->pending, "slots", (json_int_t)report->slots, "per_second",
                     report->rate_milli / 1000.0, "load_permille",
                     (json_int_t)report->load_permille, "drain_ms", milliseconds(report->drain_ns),
                     "pushed", (json_int_t)report->pushed, "finished", (json_int_t)report->finished,
                     "cancelled", (json_int_t)report->cancelled, "dropped", dropped_of(report),
                     "classes", classes_of(report), "servers", servers_of(facts));
}

json_t *gateway_queue_inquire(struct gateway *gateway, const struct conf *conf,
                              const json_t *question)
{
    const char *wanted = json_string_value(json_object_get(question, "site"));
    json_t *queues = json_array();
    bool is_known = false;
    if (!conf->self->gateway) {
        json_decref(queues);
        return NULL;
    }
    for (size_t i = 0; i < conf->site_count; i++) {
        const char *site = conf->sites[i].name;
        if (wanted && strcmp(wanted, site) != 0)
            continue;
        is_known = true;
        const struct gateway_queue_facts *facts = gateway_queue_read(gateway, site);
        if (facts)
            json_array_append_new(queues, queue_of(site, facts));
    }
    if (wanted && !is_known) {
        json_decref(queues);
        return json_pack("{s:s}", "error", "no such site");
    }
    return json_pack("{s:o}", "queues", queues);
}
