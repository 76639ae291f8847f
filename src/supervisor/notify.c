/* SPDX-License-Identifier: Apache-2.0
 *
 * One datagram for each state.
 */
#include "supervisor/notify.h"

#include "base/span.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un manager;
static socklen_t manager_length;
static uint64_t watchdog_ns;
static char variables[3][256]; /* as they were, for notify_export() */
static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};

void notify_init(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    if (name && (name[0] == '/' || name[0] == '@') && strlen(name) < sizeof manager.sun_path) {
        manager.sun_family = AF_UNIX;
        memcpy(manager.sun_path, name, strlen(name));
        if (name[0] == '@')
            manager.sun_path[0] = 0; /* abstract */
        manager_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    }
    const char *limit = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    uint64_t limit_us = 0, for_pid = 0;
    bool is_ours =
        !pid || (span_number(span_text(pid), &for_pid) == 0 && for_pid == (uint64_t)getpid());
    if (limit && is_ours && span_number(span_text(limit), &limit_us) == 0)
        watchdog_ns = limit_us * 1000 / 2;
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        snprintf(variables[i], sizeof variables[i], "%s", value ? value : "");
        unsetenv(names[i]);
    }
}

void notify_export(void)
{
    for (int i = 0; i < 3; i++)
        if (variables[i][0])
            setenv(names[i], variables[i], 1);
}

void notify_send(const char *state)
{
    if (!manager_length)
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    ssize_t ignored =
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&manager, manager_length);
    (void)ignored;
    close(fd);
}

uint64_t notify_watchdog_ns(void)
{
    return watchdog_ns;
}
