/* SPDX-License-Identifier: Apache-2.0
 *
 * ACME (R13): certificates that a node orders and renews for its sites, and those that it fetches from the node that orders. In a
 * process of its own, because it speaks to strangers and waits for them and for disks: it has no key of the node or of a link, and
 * writes in one folder only. docs/acme.md.
 */
#ifndef ACME_ACME_H
#define ACME_ACME_H

#include "conf/conf.h"
#include "loop/loop.h"

#include <jansson.h>

struct acme;

struct acme_options {
    const struct conf *conf; /* during the call only */
    const char *node;        /* whose process it is; outlives it */
    const char *agent;       /* what authorities are told who asks: "causeway/0.1"; likewise */
    struct loop *loop;
    /* What lies in the folder is another: the node's processes should take it. */
    void (*changed)(void *owner);
    /* To the roles of the other processes: {"verb": "acme", "proofs": [{"name", "digest"}]}, all that are to be seen in DNS now, again
     * each second while there are any. Stolen. */
    void (*tell)(void *owner, json_t *command);
    void *owner;
};

struct acme *acme_start(const struct acme_options *options);
/* What is under way goes on, but for sites whose settings are others. */
void acme_reload(struct acme *acme, const struct conf *conf);
void acme_leave(struct acme *acme); /* another process takes over: nothing is begun any more */
void acme_stop(struct acme **stopped);
/* {"writes", "sites": [{"name", "state", "days_left", "last_error", ...}]}; a new reference. */
json_t *acme_status(const struct acme *acme);

#endif
