/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to an authority or another node, by libcurl: one at a time on a thread of its own, within stated times and sizes. The
 * answers come on the loop.
 */
#ifndef ACME_FETCH_H
#define ACME_FETCH_H

#include "acme/order.h"
#include "loop/loop.h"

enum {
    ACME_CONNECT_S = 10, /* longest */
    ACME_FETCH_S = 30,   /* longest request */
};

struct acme_fetcher;
struct acme_fetcher *acme_fetcher_new(struct loop *loop, const char *agent);
void acme_fetcher_free(struct acme_fetcher **freed); /* breaks off what is under way */

struct acme_fetch {
    const char *method, *url;
    struct span body;        /* application/jose+json */
    struct span authorities; /* PEM, for https; empty: the system's */
    const char *connect_to;  /* a node of ours, "192.0.2.1:80": by http, without any proxy; NULL */
    void (*done)(void *owner, const struct acme_answer *answer);
    void *owner;
};
/* Copies what it needs. `done` comes unless acme_fetch_forget() comes first. */
void acme_fetch(struct acme_fetcher *fetcher, const struct acme_fetch *fetch);
void acme_fetch_forget(struct acme_fetcher *fetcher, const void *owner);

#endif
