/* SPDX-License-Identifier: Apache-2.0
 *
 * An edge as a vantage point: it checks other edges of which the plan makes it a witness, and measures round trips to client
 * networks when a DNS node asks (R8, H3). What it finds goes to the DNS nodes through the agent. On the agent's thread.
 */
#ifndef VANTAGE_VANTAGE_H
#define VANTAGE_VANTAGE_H

#include "agent/agent.h"
#include "conf/conf.h"
#include "crypto/crypto.h"
#include "loop/loop.h"

#include <jansson.h>

struct vantage;

struct vantage_options {
    struct conf_source conf;
    struct loop *loop;
    const struct crypto *crypto;
    struct agent *agent; /* outlives it */
    int echo_fds[2];     /* ICMP, ICMPv6; -1: none was handed over */
};

struct vantage *vantage_start(const struct vantage_options *options);
/* The snapshot was swapped; other sockets: those before may be closed when this has returned. */
void vantage_reload(struct vantage *vantage, const int echo_fds[2]);
void vantage_stop(struct vantage **stopped);
json_t *vantage_status(struct vantage *vantage); /* a new reference */

#endif
