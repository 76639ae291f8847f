/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a node that is its own gateway dials itself. One machine in front of one site needs no `link` in its
 * configuration: then the sockets are on loopback, at a port that the kernel chooses, one for each worker.
 */
#include "base/memory.h"
#include "link/driver.h"

#include <unistd.h>

static const struct address loopback4 = {.bytes = {127, 0, 0, 1}, .family = 4};
static const struct address loopback6 = {.bytes = {[15] = 1}, .family = 6};

int local_open(struct link_set *set, const struct conf_node *self)
{
    if (!self->edge || !self->gateway || self->link_address.family)
        return 0;
    if (set->options.listen_count) { /* at a wildcard */
        int result = socket_local(set->options.listeners[0], &set->local_address);
        uint16_t port = set->local_address.port;
        set->local_address = set->local_address.family == 6 ? loopback6 : loopback4;
        set->local_address.port = port;
        return result;
    }
    set->local_address = loopback4;
    set->local_sockets = memory_new(set->options.workers * sizeof *set->local_sockets);
    for (uint32_t i = 0; i < set->options.workers; i++) {
        int result = socket_bind_udp(&set->local_address, SOCKET_REUSEPORT, &set->local_sockets[i]);
        if (result < 0)
            return result;
        set->local_count++;
        if (i == 0 && (result = socket_local(set->local_sockets[0], &set->local_address)) < 0)
            return result;
    }
    set->options.listeners = set->local_sockets;
    set->options.listen_count = 1;
    return 0;
}

void local_close(struct link_set *set)
{
    for (uint32_t i = 0; i < set->local_count; i++)
        close(set->local_sockets[i]);
    memory_free(set->local_sockets);
    set->local_sockets = NULL;
    set->local_count = 0;
}
