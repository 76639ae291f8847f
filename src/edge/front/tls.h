/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: which certificates visitors get, over reloads, and how their handshakes end.
 */
#ifndef EDGE_TLS_H
#define EDGE_TLS_H

#include "conf/conf.h"
#include "tls/tls.h"

#include <jansson.h>

struct edge_tls;

/* Without TLS in the configuration there is no context, until a reload brings it. */
struct edge_tls *edge_tls_new(const struct conf *conf);
void edge_tls_free(struct edge_tls **freed); /* after the workers */
/* A fresh context for connections to come; where it cannot be made the old one stays, and the log says why. Main thread. */
void edge_tls_reload(struct edge_tls *tls, const struct conf *conf);
/* [{"site": NAME, "not_after": since 1970, "days_left": N}]: the first of each site's certificates to end. Main thread. */
json_t *edge_tls_status(const struct edge_tls *tls);
/* Each second, on one worker. */
void edge_tls_second(struct edge_tls *tls);
/* Valid until the worker's turn ends; sessions retain it. NULL: there is none. */
struct tls_context *edge_tls_context(const struct edge_tls *tls);

/* Some site of this edge keeps its keys at the origin; any thread. */
bool edge_tls_passes(const struct edge_tls *tls);

void edge_tls_count_failure(enum tls_failure failure);
void edge_tls_count(const struct tls_session *session); /* its handshake is over, or it is */

void edge_tls_register_metrics(void);

#endif
