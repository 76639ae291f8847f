/* SPDX-License-Identifier: Apache-2.0
 *
 * How rows of the table of settings are written, for the files that hold a part of it.
 */
#ifndef CONF_SCHEMA_ROWS_H
#define CONF_SCHEMA_ROWS_H

#include "conf/schema.h"

enum { LIST_LIMIT = 4096 };

#define ROWS(array) .settings = (array), .count = sizeof(array) / sizeof *(array)
#define MEMBER(type, member) \
    .offset = offsetof(struct type, member), .size = sizeof(((struct type *)NULL)->member)
#define ITEMS(type, items, number)                                                         \
    .offset = offsetof(struct type, items), .count_offset = offsetof(struct type, number), \
    .size = sizeof *((struct type *)NULL)->items
#define TEXTS(type, member) ITEMS(type, member.items, member.count)
#define LIST                .shape = SHAPE_LIST, .limit = LIST_LIMIT
#define ONE_OR_LIST         LIST, .can_be_one = true
#define RANGE(low, high)    .least = (low), .most = (high)
#define RESTART             .needs_restart = true
#define REQUIRED            .is_required = true
#define SECTION(name)       .type = &type_section, .section = &(name)
#define GROUP(name)         SECTION(name), .shape = SHAPE_IN_PLACE

/* schema_balance.c */
extern const struct section origin_section, site_balance_section, site_mark_section;
/* schema_cache.c */
extern const struct section edge_cache_section, site_cache_section, purges_section;
/* schema_channels.c */
extern const struct section site_channels_section;
/* schema_edge.c */
extern const struct section edge_limits_section, edge_timeouts_section, edge_http2_section,
    edge_clients_section, edge_proxy_section;
/* schema_encode.c */
extern const struct section site_encode_section;
/* schema_origin.c */
extern const struct section site_origin_section;
/* schema_failure.c */
extern const struct section site_types_section, site_failure_section;
/* schema_queue.c */
extern const struct section site_queue_section;
/* schema_probe.c */
extern const struct section edge_health_section, site_health_section, probe_section;
/* schema_rules.c */
extern const struct section rule_section, match_section;
/* schema_tls.c */
extern const struct section edge_tls_section, site_tls_section;
/* schema_exits.c */
extern const struct section director_section, server_section, redirect_section, border_section;

#endif
