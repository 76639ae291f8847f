/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/link: receiver indexes, which bring a packet to the lane that it is for. The first bits name the worker, so
 * that the kernel can deliver the packet there; the generation tells a restarted process from the one before.
 *
 *   worker (10 bits) | generation (2) | slot of the link (14) | session of the lane (6)
 */
#ifndef LINK_STEERING_H
#define LINK_STEERING_H

#include "base/error.h"

#include <stdint.h>

enum {
    INDEX_SESSION_BITS = 6,
    INDEX_SLOT_BITS = 14,
    INDEX_GENERATION_BITS = 2,
};

/* Of the lane's first session; the transport counts on from there. */
static inline uint32_t index_pack(uint32_t worker, uint32_t generation, uint32_t slot)
{
    return worker << (INDEX_GENERATION_BITS + INDEX_SLOT_BITS + INDEX_SESSION_BITS) |
           generation << (INDEX_SLOT_BITS + INDEX_SESSION_BITS) | slot << INDEX_SESSION_BITS;
}

static inline uint32_t index_slot(uint32_t index)
{
    return index >> INDEX_SESSION_BITS & ((1u << INDEX_SLOT_BITS) - 1);
}

static inline uint32_t index_generation(uint32_t index)
{
    return index >> (INDEX_SLOT_BITS + INDEX_SESSION_BITS) & ((1u << INDEX_GENERATION_BITS) - 1);
}

/* Has the kernel deliver DATA packets to the socket of the worker that their receiver index names, the others wherever its
 * hash says. `fd` is any of `workers` sockets that share a port, bound in the order of the workers. 0 or ERROR_UNSUPPORTED, with errno. */
MUST_USE int steering_attach(int fd, uint32_t workers);

#endif
