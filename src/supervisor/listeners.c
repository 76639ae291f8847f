/* SPDX-License-Identifier: Apache-2.0
 *
 * From a node's configuration to bound sockets.
 */
#include "supervisor/listeners.h"

#include "base/memory.h"
#include "observe/observe.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const struct {
    const char *name, *child;
    bool is_datagram, is_per_worker;
} kinds[] = {
    [LISTENER_HTTP] = {"http", "front", false, true},
    [LISTENER_TLS] = {"tls", "front", false, true},
    [LISTENER_PORT] = {"port", "front", false, true},
    [LISTENER_FLOWS] = {"udp-port", "front", true, true},
    [LISTENER_REDIRECT] = {"redirect", "dns", false, true},
    [LISTENER_LINK] = {"link", "front", true, true},
    [LISTENER_LINK_TCP] = {"link-tcp", "front", false, true},
    [LISTENER_DNS_UDP] = {"dns-udp", "dns", true, true},
    [LISTENER_DNS_TCP] = {"dns-tcp", "dns", false, true},
    [LISTENER_DNS_TLS] = {"dns-tls", "dns", false, true},
    [LISTENER_REPORTS] = {"reports", "dns", true, false},
    [LISTENER_ADMIN] = {"admin", "admin", false, false},
    [LISTENER_CONTROL] = {"control", "admin", false, false},
    [LISTENER_ECHO] = {"echo", "front", true, false},
    [LISTENER_ECHO_6] = {"echo-6", "front", true, false},
    [LISTENER_GAUGES] = {"gauges", "front", true, false},
    [LISTENER_PURGES] = {"purges", "front", false, false},
    [LISTENER_PURGES_2] = {"purges-2", "front", false, false},
    [LISTENER_ORDERS] = {"orders", "front", false, false},
};

enum { DNS_BUFFER_BYTES = 4 << 20 };

/* ---- the table */

void listener_name(enum listener_kind kind, const struct address *address, uint32_t worker,
                   char name[DESCRIPTOR_NAME_BYTES])
{
    char text[ADDRESS_TEXT_BYTES];
    if (!address)
        snprintf(name, DESCRIPTOR_NAME_BYTES, "%s", kinds[kind].name);
    else
        snprintf(name, DESCRIPTOR_NAME_BYTES, "%s:%s/%u", kinds[kind].name,
                 address_text(address, true, text), worker);
}

struct descriptor *descriptors_find(const struct descriptors *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->items[i].name, name) == 0)
            return &table->items[i];
    return NULL;
}

struct descriptor *descriptors_add(struct descriptors *table, const char *name, const char *child,
                                   int fd)
{
    struct descriptor *found = descriptors_find(table, name);
    if (found) {
        close(found->fd);
        found->fd = fd;
        found->sent = 0;
        return found;
    }
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? table->capacity * 2 : 32;
        table->items = memory_resize(table->items, table->capacity, sizeof *table->items);
    }
    struct descriptor *added = &table->items[table->count++];
    *added = (struct descriptor){.name = memory_text(name, strlen(name)), .child = child, .fd = fd};
    return added;
}

static void remove_at(struct descriptors *table, size_t index)
{
    close(table->items[index].fd);
    memory_free(table->items[index].name);
    table->items[index] = table->items[--table->count];
}

void descriptors_drop(struct descriptors *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->items[i].name, name) == 0) {
            remove_at(table, i);
            return;
        }
}

void descriptors_drop_accepting(struct descriptors *table)
{
    static const enum listener_kind accepting[] = {LISTENER_HTTP, LISTENER_TLS, LISTENER_PORT};
    for (size_t i = table->count; i-- > 0;)
        for (size_t k = 0; k < sizeof accepting / sizeof *accepting; k++) {
            const char *kind = kinds[accepting[k]].name;
            size_t length = strlen(kind);
            if (i < table->count && strncmp(table->items[i].name, kind, length) == 0 &&
                table->items[i].name[length] == ':')
                remove_at(table, i);
        }
}

void descriptors_clear(struct descriptors *table)
{
    while (table->count)
        remove_at(table, table->count - 1);
    memory_free(table->items);
    *table = (struct descriptors){0};
}

/* ---- opening */

struct opening {
    struct descriptors *table;
    uint32_t workers;
    uint32_t buffer_bytes; /* of the link's sockets */
    bool is_probing;       /* edges measure round trips to client networks */
    size_t before;         /* table rows from here on are new */
    struct text *errors;
    int result;
};

/* Several sockets of one address are allowed to share it, those of another running instance too: so
 * look first whether the address is free at all. */
static int check_free(const struct address *address, bool is_datagram)
{
    struct sockaddr_storage storage;
    unsigned length;
    int fd = socket(address->family == 6 ? AF_INET6 : AF_INET,
                    (is_datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    if (!is_datagram)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->family == 6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    address_to_sockaddr(address, &storage, &length);
    int result = bind(fd, (struct sockaddr *)&storage, length);
    int saved = errno;
    close(fd);
    errno = saved;
    return result;
}

static void fail(struct opening *opening, enum listener_kind kind, const struct address *address)
{
    char text[ADDRESS_TEXT_BYTES];
    const char *hint =
        errno == EACCES ? " (ports below 1024 need root or CAP_NET_BIND_SERVICE)"
        : errno == EADDRINUSE
            ? " (another program, or another instance, has it: ss -tulnp tells which)"
        : errno == EADDRNOTAVAIL ? " (no interface of this machine has the address)"
                                 : "";
    text_add_format(opening->errors, "cannot listen on %s %s: %s%s\n", kinds[kind].name,
                    address_text(address, true, text), strerror(errno), hint);
    opening->result = ERROR_IO;
}

static void want(struct opening *opening, enum listener_kind kind, const struct address *address)
{
    char name[DESCRIPTOR_NAME_BYTES];
    uint32_t count = kinds[kind].is_per_worker ? opening->workers : 1;
    for (uint32_t worker = 0; worker < count; worker++) {
        listener_name(kind, address, worker, name);
        struct descriptor *open = descriptors_find(opening->table, name);
        if (open) {
            open->is_wanted = true;
            continue;
        }
        int fd;
        unsigned options = count > 1 ? SOCKET_REUSEPORT : 0;
        if ((worker == 0 && check_free(address, kinds[kind].is_datagram)) ||
            (kinds[kind].is_datagram ? socket_bind_udp(address, options, &fd)
                                     : socket_listen_tcp(address, options, &fd))) {
            fail(opening, kind, address);
            return;
        }
        if (kind == LISTENER_LINK)
            socket_force_buffers(fd, opening->buffer_bytes);
        else if (kinds[kind].is_datagram)
            socket_force_buffers(fd, DNS_BUFFER_BYTES);
        descriptors_add(opening->table, name, kinds[kind].child, fd)->is_wanted = true;
    }
}

static void want_all(struct opening *opening, enum listener_kind kind,
                     const struct conf_addresses *addresses)
{
    for (size_t i = 0; i < addresses->count; i++)
        want(opening, kind, &addresses->items[i]);
}

/* Log files are opened here too: children have no file access. */
static int open_log(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

static void want_log(struct opening *opening, const char *path, const char *child)
{
    char name[DESCRIPTOR_NAME_BYTES];
    if (!path)
        return;
    log_name(path, name);
    struct descriptor *open = descriptors_find(opening->table, name);
    if (!open) {
        int fd = open_log(path);
        if (fd < 0) {
            text_add_format(opening->errors, "cannot open the log %s: %s%s\n", path,
                            strerror(errno), errno == ENOENT ? " (make its folder first)" : "");
            opening->result = ERROR_IO;
            return;
        }
        open = descriptors_add(opening->table, name, child, fd);
    }
    open->is_wanted = true;
}

static bool leads_to(int fd, const char *path)
{
    struct stat open, named;
    return fstat(fd, &open) == 0 && stat(path, &named) == 0 && open.st_dev == named.st_dev &&
           open.st_ino == named.st_ino;
}

/* Not having it is no error: a disk that broke must not keep an edge from coming up. One that was mounted again since is another one. */
static void want_cache(struct opening *opening, const struct conf_cache_disk *disk)
{
    char name[DESCRIPTOR_NAME_BYTES];
    folder_name(disk->path, name);
    struct descriptor *open = descriptors_find(opening->table, name);
    if (!open || !leads_to(open->fd, disk->path)) {
        struct text why = {.limit = 2 * PATH_MAX};
        int fd;
        if (folder_open(disk->path, opening->table->owner, &fd, &why) == 0)
            open = descriptors_add(opening->table, name, "front", fd);
        else
            text_add_format(opening->errors,
                            "warning: answers are kept in memory only until the next reload: %s\n",
                            why.data);
        text_clear(&why);
    }
    if (open)
        open->is_wanted = true;
}

/* Who may write it decides whose numbers are told: its owner, and the configured group. */
static int bind_gauges(const struct conf_node *node, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *name = node->agent->gauge_group;
    const struct group *group = name ? getgrnam(name) : NULL;
    if ((name && !group) || strlen(path) >= sizeof address.sun_path) {
        errno = name && !group ? ESRCH : ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unlink(
        path); /* left behind by one that was killed: the control socket proves that we are alone */
    mode_t mask = umask(0177);
    bool is_bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    int saved = errno;
    umask(mask);
    if (is_bound &&
        (!group || (chown(path, (uid_t)-1, group->gr_gid) == 0 && chmod(path, 0660) == 0)))
        return fd;
    errno = is_bound ? errno : saved;
    saved = errno;
    if (fd >= 0)
        close(fd);
    errno = saved;
    return -1;
}

static void want_gauges(struct opening *opening, const struct conf_node *node)
{
    struct descriptor *open = descriptors_find(opening->table, kinds[LISTENER_GAUGES].name);
    if (!open) {
        struct text path = {.limit = PATH_MAX};
        text_add_format(&path, "%s/gauges.sock", node->run_dir);
        int fd = bind_gauges(node, path.data);
        if (fd < 0) {
            text_add_format(opening->errors, "cannot listen for gauges at %s: %s\n", path.data,
                            errno == ESRCH ? "there is no such group on this machine"
                                           : strerror(errno));
            opening->result = ERROR_IO;
        }
        text_clear(&path);
        if (fd < 0)
            return;
        open = descriptors_add(opening->table, kinds[LISTENER_GAUGES].name,
                               kinds[LISTENER_GAUGES].child, fd);
    }
    open->is_wanted = true;
}

/* For probes of client networks. Not having one is no error: then TCP is what is measured. A raw socket can read all ICMP, so it is
 * only opened where a datagram socket is not to be had. */
static void want_echo(struct opening *opening, enum listener_kind kind)
{
    const char *name = kinds[kind].name;
    struct descriptor *open = descriptors_find(opening->table, name);
    if (!open) {
        int family = kind == LISTENER_ECHO ? AF_INET : AF_INET6;
        int protocol = kind == LISTENER_ECHO ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6;
        int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
        if (fd < 0)
            fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
        if (fd < 0)
            return;
        open = descriptors_add(opening->table, name, kinds[kind].child, fd);
    }
    open->is_wanted = true;
}

/* What a crash must not lose: the file's name too. */
static int open_lasting(const char *folder, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    int place = fd < 0 ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (place >= 0 && fsync(place) == 0)) {
        if (place >= 0)
            close(place);
        return fd;
    }
    int saved = errno;
    if (place >= 0)
        close(place);
    close(fd);
    errno = saved;
    return -1;
}

static void want_purges(struct opening *opening, const struct conf_node *node)
{
    static const enum listener_kind files[] = {LISTENER_PURGES, LISTENER_PURGES_2};
    for (int i = 0; i < 2; i++) {
        struct descriptor *open = descriptors_find(opening->table, kinds[files[i]].name);
        if (!open) {
            const char *folder = node->gateway->purges->folder;
            struct text path = {.limit = PATH_MAX};
            text_add_format(&path, "%s/purges-%s.%d", folder, node->name, i + 1);
            int fd = open_lasting(folder, path.data);
            if (fd < 0) {
                text_add_format(opening->errors, "cannot open the log of purges %s: %s\n",
                                path.data, strerror(errno));
                opening->result = ERROR_IO;
            }
            text_clear(&path);
            if (fd < 0)
                return;
            open = descriptors_add(opening->table, kinds[files[i]].name, kinds[files[i]].child, fd);
        }
        open->is_wanted = true;
    }
}

/* Empty at first, and what children write there outlasts them, and the program file. Not having it is no error. */
static void want_orders(struct opening *opening)
{
    struct descriptor *open = descriptors_find(opening->table, kinds[LISTENER_ORDERS].name);
    if (!open) {
        int fd = memfd_create("causeway-orders", MFD_CLOEXEC);
        if (fd < 0)
            return;
        open = descriptors_add(opening->table, kinds[LISTENER_ORDERS].name,
                               kinds[LISTENER_ORDERS].child, fd);
    }
    open->is_wanted = true;
}

static void want_node(struct opening *opening, const struct conf_node *node)
{
    want_log(opening, node->log_path, NULL);
    if (node->edge) {
        want_log(opening, node->edge->access_log, "front");
        if (node->edge->cache_disk)
            want_cache(opening, node->edge->cache_disk);
        want_all(opening, LISTENER_HTTP, &node->edge->listen);
        if (node->edge->tls)
            want_all(opening, LISTENER_TLS, &node->edge->tls->listen);
        for (size_t i = 0; i < node->edge->port_count; i++)
            want(opening,
                 node->edge->ports[i].protocol == CONF_UDP ? LISTENER_FLOWS : LISTENER_PORT,
                 &node->edge->ports[i].listen);
    }
    if (node->edge || node->gateway) {
        want_all(opening, LISTENER_LINK, &node->link_listen);
        want_all(opening, LISTENER_LINK_TCP, &node->link_tcp_listen);
    }
    if (node->dns) {
        want_log(opening, node->dns->decisions, "dns");
        want_all(opening, LISTENER_DNS_UDP, &node->dns->listen);
        want_all(opening, LISTENER_DNS_TCP, &node->dns->listen);
        if (node->dns->tls)
            want_all(opening, LISTENER_DNS_TLS, &node->dns->tls->listen);
        if (node->dns->reports.family)
            want(opening, LISTENER_REPORTS, &node->dns->reports);
    }
    if (node->agent && node->agent->gauges.count)
        want_gauges(opening, node);
    if (node->gateway && node->gateway->purges)
        want_purges(opening, node);
    if (node->gateway)
        want_orders(opening);
    if (node->edge && opening->is_probing) {
        want_echo(opening, LISTENER_ECHO);
        want_echo(opening, LISTENER_ECHO_6);
    }
    if (node->director)
        want_all(opening, LISTENER_REDIRECT, &node->director->listen);
    if (node->admin)
        want_all(opening, LISTENER_ADMIN, &node->admin->listen);
}

int descriptors_open(struct descriptors *table, const struct conf *conf, uint32_t workers,
                     struct text *errors)
{
    struct opening opening = {.table = table,
                              .workers = workers,
                              .buffer_bytes = conf->link.socket_buffer_bytes,
                              .is_probing = conf->probe != NULL,
                              .before = table->count,
                              .errors = errors};
    bool *was_wanted = memory_new(table->count * sizeof *was_wanted);
    for (size_t i = 0; i < table->count; i++) {
        was_wanted[i] = table->items[i].is_wanted;
        table->items[i].is_wanted = strcmp(table->items[i].name, kinds[LISTENER_CONTROL].name) == 0;
    }
    want_node(&opening, conf->self);
    if (opening.result) {
        while (table->count > opening.before)
            remove_at(table, table->count - 1);
        for (size_t i = 0; i < table->count; i++)
            table->items[i].is_wanted = was_wanted[i];
    }
    memory_free(was_wanted);
    return opening.result;
}

void descriptors_close_unwanted(struct descriptors *table)
{
    for (size_t i = table->count; i-- > 0;)
        if (!table->items[i].is_wanted && !table->items[i].sent && !table->items[i].leaving)
            remove_at(table, i);
}

void descriptors_left(struct descriptors *table, uint8_t child_bit, bool is_gone)
{
    for (size_t i = 0; i < table->count; i++) {
        table->items[i].leaving &= (uint8_t)~child_bit;
        if (is_gone)
            table->items[i].sent &= (uint8_t)~child_bit;
    }
    descriptors_close_unwanted(table);
}

static const char log_prefix[] = "log:", folder_prefix[] = "folder:";

void log_name(const char *path, char name[DESCRIPTOR_NAME_BYTES])
{
    snprintf(name, DESCRIPTOR_NAME_BYTES, "%s%s", log_prefix, path);
}

void folder_name(const char *path, char name[DESCRIPTOR_NAME_BYTES])
{
    snprintf(name, DESCRIPTOR_NAME_BYTES, "%s%s", folder_prefix, path);
}

void logs_reopen(struct descriptors *table)
{
    for (size_t i = 0; i < table->count; i++) {
        struct descriptor *log = &table->items[i];
        if (strncmp(log->name, log_prefix, sizeof log_prefix - 1) != 0)
            continue;
        const char *path = log->name + sizeof log_prefix - 1;
        int fd = open_log(path);
        if (fd < 0) {
            log_error("supervisor", "cannot reopen the log %s: %s", path, strerror(errno));
            continue;
        }
        close(log->fd);
        log->fd = fd;
        log->sent = 0;
    }
}

int log_open_node(const struct conf_node *node, const char *process)
{
    static const char *const levels[] = {"error", "warning", "notice", "info", "debug"};
    enum log_level level = LOG_NOTICE;
    for (size_t i = 0; node->log_level && i < sizeof levels / sizeof *levels; i++)
        if (strcmp(node->log_level, levels[i]) == 0)
            level = (enum log_level)i;
    return log_open(node->log_path, level, node->log_format == CONF_LOG_JSON ? LOG_JSON : LOG_TEXT,
                    process);
}

/* ---- the control socket */

void control_path(const char *run_dir, char *path, size_t size)
{
    snprintf(path, size, "%s/control.sock", run_dir);
}

int control_listen(const char *run_dir, int *out, struct text *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(run_dir) + sizeof "/control.sock" > sizeof address.sun_path) {
        text_add_format(why, "run_dir %s is too long for a Unix socket's name", run_dir);
        return ERROR_CONFIG;
    }
    control_path(run_dir, address.sun_path, sizeof address.sun_path);
    if (mkdir(run_dir, 0755) && errno != EEXIST) {
        text_add_format(why, "cannot make run_dir %s: %s", run_dir, strerror(errno));
        return ERROR_IO;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERROR_IO;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN) {
        text_add_format(
            why, "another instance answers at %s: give each node of a machine its own run_dir",
            address.sun_path);
        close(fd);
        return ERROR_CONFIG;
    }
    unlink(address.sun_path); /* left behind by one that was killed */
    mode_t mask = umask(0177);
    int failed = bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 16);
    int saved = errno;
    umask(mask);
    if (failed) {
        text_add_format(why, "cannot listen at %s: %s%s", address.sun_path, strerror(saved),
                        saved == EADDRINUSE ? " (left behind by another user: remove it, or give "
                                              "this node its own run_dir)"
                                            : "");
        close(fd);
        return ERROR_IO;
    }
    *out = fd;
    return 0;
}
