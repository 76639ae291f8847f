/* SPDX-License-Identifier: Apache-2.0
 *
 * Ways to a peer (L2): by which of our sockets to which of its addresses. The addresses of both ends are
 * taken in pairs, in the order of the configuration, the shorter list again from its beginning: two uplinks
 * here and two there make two paths that share nothing.
 *
 *     from: [a1, a2]   address, paths: [b1, b2]   ->   a1 - b1, a2 - b2
 *     from: [a1, a2]   address: b1                ->   a1 - b1, a2 - b1
 */
#include "link/driver.h"
#include "observe/observe.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* What leaves by an address should leave by its interface, too, whatever the routing table prefers. */
static void bind_to_interface(int fd, const struct address *from)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) < 0)
        return;
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        if (!one->ifa_addr ||
            (one->ifa_addr->sa_family != AF_INET && one->ifa_addr->sa_family != AF_INET6))
            continue;
        struct sockaddr_storage storage = {0};
        memcpy(&storage, one->ifa_addr,
               one->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                                   : sizeof(struct sockaddr_in6));
        struct address address = address_from_sockaddr(&storage);
        if (!address_same_host(&address, from) || one->ifa_flags & IFF_LOOPBACK)
            continue;
        if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, one->ifa_name,
                       (socklen_t)strlen(one->ifa_name)) < 0)
            log_notice("link", "packets from %s may leave by another interface than %s: %s",
                       address_text(from, false, (char[ADDRESS_TEXT_BYTES]){0}), one->ifa_name,
                       strerror(errno));
        break;
    }
    freeifaddrs(all);
}

void ways_open_sockets(struct driver *driver)
{
    const struct link_set *set = driver->set;
    for (size_t i = 0; i < set->from_count; i++) {
        int fd, result = socket_bind_udp(&set->from[i], 0, &fd);
        driver->from_sockets[i] = SOCKET_NONE;
        if (result < 0) {
            log_warning("link", "cannot dial from %s: %s",
                        address_text(&set->from[i], false, (char[ADDRESS_TEXT_BYTES]){0}),
                        error_text(result));
            continue;
        }
        bind_to_interface(fd, &set->from[i]);
        driver->from_sockets[i] = (uint8_t)driver->socket_count;
        driver_add_socket(driver, fd, set->from[i].family, true);
    }
}

/* The `turn`-th of our addresses, or the next one of the family; else the socket that is bound to none. */
static uint8_t socket_to(const struct driver *driver, const struct address *to, size_t turn)
{
    const struct link_set *set = driver->set;
    for (size_t i = 0; i < set->from_count; i++) {
        size_t at = (turn + i) % set->from_count;
        if (set->from[at].family == to->family && driver->from_sockets[at] != SOCKET_NONE)
            return driver->from_sockets[at];
    }
    return driver_socket_for(driver, to);
}

size_t ways_routes(const struct driver *driver, const struct link *link,
                   struct transport_route routes[TRANSPORT_PATHS])
{
    size_t from_count = link->is_self ? 0 : driver->set->from_count, count = 0;
    size_t wanted = link->way_count > from_count ? link->way_count : from_count;
    for (size_t i = 0; i < wanted && count < TRANSPORT_PATHS; i++) {
        const struct link_way *way = &link->ways[i % link->way_count];
        uint8_t local = socket_to(driver, &way->to, i);
        if (local != SOCKET_NONE)
            routes[count++] = (struct transport_route){.to = way->to,
                                                       .local = local,
                                                       .is_standby = way->is_standby};
    }
    return count;
}

static void add_ways(struct link_way ways[TRANSPORT_PATHS], size_t *count,
                     const struct conf_addresses *addresses, bool is_standby)
{
    for (size_t i = 0; i < addresses->count && *count < TRANSPORT_PATHS; i++)
        ways[(*count)++] = (struct link_way){.to = addresses->items[i], .is_standby = is_standby};
}

size_t ways_read(const struct conf_node *peer, const struct address *dial,
                 struct link_way ways[TRANSPORT_PATHS])
{
    size_t count = 0;
    ways[count++] = (struct link_way){.to = *dial};
    add_ways(ways, &count, &peer->link_paths, false);
    add_ways(ways, &count, &peer->link_standby, true);
    return count;
}

bool ways_equal(const struct link *link, const struct link_way *ways, size_t count)
{
    if (link->way_count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!address_equal(&link->ways[i].to, &ways[i].to) ||
            link->ways[i].is_standby != ways[i].is_standby)
            return false;
    return true;
}
