/* SPDX-License-Identifier: Apache-2.0
 *
 * What an administrator said of single origins, while the node runs: drained (nothing new goes there, what is under way ends by itself), in
 * maintenance (nor are connections kept, nor is it checked), or neither. Orders are kept in a file without a name that the
 * supervisor holds: so they outlast reloads, upgrades, and a process that died; not the node itself.
 */
#ifndef GATEWAY_ORDERS_H
#define GATEWAY_ORDERS_H

#include "conf/conf.h"

struct gateway;
struct gateway_orders;

// clang-format off
#define GATEWAY_ORDER_LIST(X)           \
    X(NONE, "return", "in service")     \
    X(DRAIN, "drain", "drained")        \
    X(MAINTAIN, "maintain", "in maintenance")
// clang-format on

enum gateway_order {
#define X(name, verb, text) GATEWAY_ORDER_##name,
    GATEWAY_ORDER_LIST(X)
#undef X
};

enum {
    GATEWAY_ORDERS_MOST = 1024, /* origins that are not simply in service */
    GATEWAY_ORDERS_BYTES = 1 << 18,
};

/* `file`: a descriptor that stays the caller's; -1: orders last as long as this process. */
struct gateway_orders *gateway_orders_new(int file);
void gateway_orders_free(struct gateway_orders **freed);
/* Any thread that reads snapshots. The order that this site has given: another site that names the origin may have given another one. */
enum gateway_order gateway_orders_find(const struct gateway_orders *orders, const char *site,
                                       const struct conf_origin *origin);
/* On one thread. 0, or ERROR_LIMIT: there are too many; ERROR_IO: it holds, but could not be written down. */
MUST_USE int gateway_orders_give(struct gateway_orders *orders, const char *site,
                                 const struct conf_origin *origin, enum gateway_order order);
const char *gateway_order_text(enum gateway_order order);

#endif
