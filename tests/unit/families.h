/* SPDX-License-Identifier: Apache-2.0
 *
 * How many address families this machine's loopback has. Tables have IPv4 first: loops over both stop before what is not there.
 */
#ifndef TESTS_UNIT_FAMILIES_H
#define TESTS_UNIT_FAMILIES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

static inline size_t families(void)
{
    const struct sockaddr_in6 loopback = {.sin6_family = AF_INET6,
                                          .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 1;
    bool has_ipv6 = bind(fd, (const struct sockaddr *)&loopback, sizeof loopback) == 0;
    close(fd);
    return has_ipv6 ? 2 : 1;
}

#endif
