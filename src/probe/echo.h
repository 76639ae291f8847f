/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/probe: ICMP and ICMPv6 echo on one socket for each family (RFC 792, RFC 4443). An unprivileged datagram socket
 * where net.ipv4.ping_group_range allows, else a raw one that the supervisor opened. Requests carry a random token: what does not
 * bring one back that is under way is somebody else's, late or made up, and ignored.
 */
#ifndef PROBE_ECHO_H
#define PROBE_ECHO_H

#include "base/address.h"
#include "loop/loop.h"

enum { ECHO_BYTES = 8 + 16 }; /* of a request, behind the IP header */

struct echo_answer {
    struct address from; /* port 0 */
    uint64_t token;
    uint16_t sequence;
    uint64_t arrived_wall_ns; /* as the kernel stamped it; 0: it did not */
};

struct echo_socket {
    struct loop_watch watch;
    struct loop *loop;
    uint8_t family;
    bool is_open, is_own, is_raw; /* own: opened, and to be closed, here */
    uint16_t id;
    void (*on_answer)(void *owner, const struct echo_answer *answer);
    void *owner;
};

/* `fd` as handed over, or -1: opened here if this process may. `id` is random. Where there is no socket echo_send() fails. */
void echo_open(struct echo_socket *echo, struct loop *loop, uint8_t family, int fd, uint16_t id);
void echo_close(struct echo_socket *echo);
MUST_USE int echo_send(const struct echo_socket *echo, const struct address *to, uint64_t token,
                       uint16_t sequence);

/* Reading what came, for tests and fuzzers: `raw` IPv4 sockets give the IP header too. ERROR_INVALID: not an answer of that id. */
MUST_USE int echo_read(struct span datagram, uint8_t family, bool is_raw, uint16_t id,
                       struct echo_answer *answer);

#endif
