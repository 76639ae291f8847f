/* SPDX-License-Identifier: Apache-2.0
 *
 * The record at the head of a stream that is passed through: which site's port it wants, and whether the allow-list has
 * (edge, site, port). One place decides for TCP and UDP (T10, T12).
 */
#include "gateway/private.h"

int gateway_service_read(struct gateway_worker *worker, const struct gateway_service *service,
                         struct slice_queue *in, const struct conf_site **site)
{
    uint8_t buffer[LINK_SERVICE_BYTES];
    struct span name;
    bool ended;
    link_stream_read(service->stream, in, LINK_SERVICE_BYTES, &ended);
    uint64_t before = in->bytes;
    int result = link_service_read(in, buffer, &name);
    if (result == ERROR_INCOMPLETE && !ended)
        return ERROR_INCOMPLETE;
    if (result < 0) {
        metric_add(&gateway_bad_requests, 1);
        return ERROR_INVALID;
    }
    link_stream_consume(service->stream, before - in->bytes);
    const struct conf *conf = gateway_conf(worker);
    const struct conf_node *edge = gateway_edge(conf, service->from);
    *site = conf_find_site(conf, name);
    if (*site && edge && conf->self->gateway &&
        conf_allows(conf->self->gateway, edge, *site, service->port))
        return 0;
    metric_add(&gateway_refused, 1);
    log_notice("gateway", "refused %s %u of site %.*s to edge %s: no allow row has it",
               service->is_udp ? "UDP port" : "port", service->port, SPAN_ARGS(name),
               edge ? edge->name : "unknown");
    return ERROR_DENIED;
}

uint32_t gateway_service_code(int result)
{
    return result == ERROR_DENIED ? TRANSPORT_CODE_REFUSED : TRANSPORT_CODE_PROTOCOL;
}
