/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node's configuration needs of the machine: ports, addresses, key file, folders, MTU, user.
 */
#include "cli/doctor.h"
#include "loop/loop.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINK_OVERHEAD_BYTES = 48 }; /* IPv6 and UDP headers */

/* ---- listeners */

static uint32_t first_free_port(void)
{
    FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
    unsigned start = 1024;
    if (file && fscanf(file, "%u", &start) != 1)
        start = 1024;
    if (file)
        fclose(file);
    return start;
}

static void check_address(struct doctor *doctor, const char *what, const struct address *address,
                          bool is_datagram)
{
    char text[ADDRESS_TEXT_BYTES], sentence[160];
    int fd;
    int result =
        is_datagram ? socket_bind_udp(address, 0, &fd) : socket_listen_tcp(address, 0, &fd);
    address_text(address, true, text);
    if (result == 0) {
        close(fd);
        snprintf(sentence, sizeof sentence, "%s %s can be opened", what, text);
        doctor_add(doctor, FINDING_OK, "listen", sentence, NULL);
        return;
    }
    int code = errno;
    bool is_taken = code == EADDRINUSE;
    snprintf(sentence, sizeof sentence, "%s %s: %s", what, text, strerror(code));
    doctor_add(doctor, is_taken ? FINDING_WARN : FINDING_FAIL, "listen", sentence,
               is_taken ? "fine when it is this node that runs; else another program has the port"
               : code == EACCES && address->port < first_free_port()
                   ? "start it as root (it gives root up), or with "
                     "AmbientCapabilities=CAP_NET_BIND_SERVICE"
               : code == EADDRNOTAVAIL ? "no interface of this machine has the address"
                                       : "see the error");
}

static void check_all(struct doctor *doctor, const char *what,
                      const struct conf_addresses *addresses, bool is_datagram)
{
    for (size_t i = 0; i < addresses->count; i++)
        check_address(doctor, what, &addresses->items[i], is_datagram);
}

static void check_listeners(struct doctor *doctor, const struct conf_node *node)
{
    if (node->edge) {
        check_all(doctor, "http", &node->edge->listen, false);
        if (node->edge->tls)
            check_all(doctor, "tls", &node->edge->tls->listen, false);
        for (size_t i = 0; i < node->edge->port_count; i++)
            check_address(doctor, "port", &node->edge->ports[i].listen, false);
    }
    check_all(doctor, "link", &node->link_listen, true);
    check_all(doctor, "link (TCP)", &node->link_tcp_listen, false);
    if (node->director)
        check_all(doctor, "redirect", &node->director->listen, false);
    if (node->dns) {
        check_all(doctor, "dns (UDP)", &node->dns->listen, true);
        check_all(doctor, "dns (TCP)", &node->dns->listen, false);
        if (node->dns->tls)
            check_all(doctor, "dns (TLS)", &node->dns->tls->listen, false);
        if (node->dns->reports.family)
            check_address(doctor, "reports", &node->dns->reports, true);
    }
    if (node->admin)
        check_all(doctor, "admin", &node->admin->listen, false);
}

/* ---- MTU of the interfaces that hold the link's addresses */

static bool holds(const struct ifaddrs *interface, const struct conf_addresses *addresses)
{
    if (!interface->ifa_addr ||
        (interface->ifa_addr->sa_family != AF_INET && interface->ifa_addr->sa_family != AF_INET6))
        return false;
    struct address own = address_from_sockaddr(interface->ifa_addr);
    for (size_t i = 0; i < addresses->count; i++)
        if (address_is_any(&addresses->items[i]) || address_same_host(&own, &addresses->items[i]))
            return true;
    return false;
}

static int mtu_of(const char *name)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result = fd < 0 ? -1 : ioctl(fd, SIOCGIFMTU, &request);
    if (fd >= 0)
        close(fd);
    return result ? -1 : request.ifr_mtu;
}

static void check_mtu(struct doctor *doctor, const struct conf *conf, const struct conf_node *node)
{
    struct ifaddrs *all;
    char seen[1024] = " ", key[IFNAMSIZ + 3], sentence[128];
    if (getifaddrs(&all))
        return;
    for (const struct ifaddrs *interface = all; interface; interface = interface->ifa_next) {
        snprintf(key, sizeof key, " %s ", interface->ifa_name);
        if (!holds(interface, &node->link_listen) || strstr(seen, key))
            continue;
        strncat(seen, key + 1, sizeof seen - strlen(seen) - 1);
        int mtu = mtu_of(interface->ifa_name),
            needed = conf->link.packet_bytes + LINK_OVERHEAD_BYTES;
        snprintf(sentence, sizeof sentence, "%s carries %d bytes, a packet of the link needs %d",
                 interface->ifa_name, mtu, needed);
        doctor_add(doctor, mtu >= needed ? FINDING_OK : FINDING_FAIL, "MTU", sentence,
                   "lower link.packet in the configuration of all nodes");
    }
    freeifaddrs(all);
}

/* ---- files and user */

static void check_key(struct doctor *doctor, const struct conf_node *node)
{
    struct stat status;
    char sentence[512];
    if (!node->private_key_path)
        return;
    if (stat(node->private_key_path, &status)) {
        snprintf(sentence, sizeof sentence, "%s: %s", node->private_key_path, strerror(errno));
        doctor_add(doctor, FINDING_FAIL, "key file", sentence, "causeway keygen makes one");
        return;
    }
    bool is_closed = (status.st_mode & 077) == 0, is_ours = status.st_uid == geteuid();
    snprintf(sentence, sizeof sentence, "%s has mode %04o, owner %u", node->private_key_path,
             status.st_mode & 07777, (unsigned)status.st_uid);
    doctor_add(doctor,
               !is_closed ? FINDING_FAIL
               : is_ours  ? FINDING_OK
                          : FINDING_WARN,
               "key file", sentence,
               is_closed ? "give it to the user that starts the node" : "chmod 600");
}

static void check_user(struct doctor *doctor, const struct conf_node *node)
{
    const char *name = node->user ? node->user : "causeway";
    char sentence[160];
    if (geteuid() != 0) {
        doctor_add(doctor, FINDING_WARN, "user", "not root: this shows what this user may do",
                   "the service starts as root and gives it up; run doctor as root too");
        return;
    }
    bool is_there = getpwnam(name) != NULL;
    snprintf(sentence, sizeof sentence, "children run as %s%s", is_there ? name : "nobody",
             is_there ? "" : ", for there is no user causeway");
    doctor_add(doctor,
               is_there     ? FINDING_OK
               : node->user ? FINDING_FAIL
                            : FINDING_WARN,
               "user", sentence, "useradd --system --no-create-home causeway");
}

static void check_run_dir(struct doctor *doctor, const struct conf_node *node)
{
    char sentence[512];
    bool is_there = access(node->run_dir, W_OK | X_OK) == 0;
    bool can_be = is_there || errno == ENOENT; /* it is made at the start */
    snprintf(sentence, sizeof sentence, "%s%s", node->run_dir,
             is_there ? ""
             : can_be ? " is made at the start"
                      : " cannot be written");
    doctor_add(doctor, can_be ? FINDING_OK : FINDING_FAIL, "run_dir", sentence,
               "name a folder of its own in run_dir");
}

/* What ACME has brought, where the configuration was read as this node. */
static void check_acme(struct doctor *doctor, const struct conf *conf, const struct conf_node *node)
{
    uint64_t now_s = clock_wall_ns() / 1000000000;
    for (size_t i = 0; i < conf->site_count && conf->self == node && node->edge && node->edge->tls;
         i++) {
        const struct conf_site *site = &conf->sites[i];
        const struct conf_site_tls *tls = site->tls;
        char sentence[256];
        if (!tls || !tls->acme || (!tls->certificate_count && !tls->is_self_signed))
            continue; /* not served here */
        uint64_t ends_s = tls->acme->ends_s, life_s = ends_s - tls->acme->begins_s;
        if (tls->certificate_count)
            snprintf(sentence, sizeof sentence, "of %s ends in %.1f days", site->name,
                     ((double)ends_s - (double)now_s) / 86400);
        else
            snprintf(sentence, sizeof sentence, "of %s: there is none yet", site->name);
        doctor_add(doctor, ends_s > now_s + life_s / 6 ? FINDING_OK : FINDING_WARN, "certificate",
                   sentence, "causeway status tells why no other came, below acme");
    }
}

static void check_cache(struct doctor *doctor, const struct conf_node *node)
{
    struct text sentence = {0};
    const char *advice;
    if (!node->edge || !node->edge->cache_disk)
        return;
    enum finding_level level = doctor_judge_cache(node, &sentence, &advice);
    doctor_add(doctor, level, "cache folder", sentence.data, advice);
    text_clear(&sentence);
}

void doctor_check_node(struct doctor *doctor, const struct conf *conf, const struct conf_node *node)
{
    check_user(doctor, node);
    check_key(doctor, node);
    check_run_dir(doctor, node);
    check_acme(doctor, conf, node);
    check_cache(doctor, node);
    check_listeners(doctor, node);
    check_mtu(doctor, conf, node);
}
