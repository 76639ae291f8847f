/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits and settings of the kernel and of this process.
 */
#include "cli/doctor.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
    LINK_BUFFER_BYTES = 8 << 20, /* the default of link.socket_buffer */
    FILES_ENOUGH = 65536,
    FILES_LEAST = 4096,
    SOMAXCONN_ENOUGH = 4096,
    CLOCK_ERROR_US = 500000,
};

/* The file's first line, without its end; false: there is none. */
static bool read_line(const char *path, char *line, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, line, size - 1);
    if (fd >= 0)
        close(fd);
    if (length < 0)
        return false;
    line[length] = 0;
    line[strcspn(line, "\n")] = 0;
    return true;
}

static bool read_number(const char *path, uint64_t *number)
{
    char line[64];
    return read_line(path, line, sizeof line) && span_number(span_text(line), number) == 0;
}

static void check_buffer(struct doctor *doctor, const char *name, const char *path, uint64_t wanted)
{
    uint64_t most;
    char sentence[128], advice[160];
    if (!read_number(path, &most)) {
        doctor_add(doctor, FINDING_WARN, name, "not visible here", "look at it on the host");
        return;
    }
    snprintf(sentence, sizeof sentence, "at most %llu KiB for a socket, the link asks for %llu KiB",
             (unsigned long long)most / 1024, (unsigned long long)wanted / 1024);
    snprintf(advice, sizeof advice,
             "sysctl -w net.core.%s=%llu; started by root, only sockets that listen have more",
             name, (unsigned long long)wanted);
    doctor_add(doctor, most >= wanted ? FINDING_OK : FINDING_WARN, name, sentence, advice);
}

static void check_files(struct doctor *doctor)
{
    struct rlimit limit;
    char sentence[128];
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    enum finding_level level = limit.rlim_max >= FILES_ENOUGH  ? FINDING_OK
                               : limit.rlim_max >= FILES_LEAST ? FINDING_WARN
                                                               : FINDING_FAIL;
    snprintf(sentence, sizeof sentence, "%llu for a process; a client connection takes one",
             (unsigned long long)limit.rlim_max);
    doctor_add(doctor, level, "open files", sentence,
               "LimitNOFILE=1048576 in the service, or ulimit -Hn 1048576");
}

static void check_system_files(struct doctor *doctor)
{
    char line[128], sentence[128];
    char *end;
    if (!read_line("/proc/sys/fs/file-nr", line, sizeof line))
        return;
    unsigned long long used = strtoull(line, &end, 10);
    unsigned long long unused = strtoull(end, &end, 10), most = strtoull(end, NULL, 10);
    (void)unused;
    snprintf(sentence, sizeof sentence, "%llu of %llu descriptors of the system are in use", used,
             most);
    doctor_add(doctor, used < most / 10 * 9 ? FINDING_OK : FINDING_WARN, "free descriptors",
               sentence, "sysctl -w fs.file-max=...; find who holds them (lsof)");
}

static void check_backlog(struct doctor *doctor)
{
    uint64_t most;
    char sentence[128];
    if (!read_number("/proc/sys/net/core/somaxconn", &most))
        return;
    snprintf(sentence, sizeof sentence, "%llu connections wait at most to be accepted",
             (unsigned long long)most);
    doctor_add(doctor, most >= SOMAXCONN_ENOUGH ? FINDING_OK : FINDING_WARN, "somaxconn", sentence,
               "sysctl -w net.core.somaxconn=4096: bursts of clients are refused before");
}

static void check_congestion(struct doctor *doctor)
{
    char name[64], sentence[160];
    if (!read_line("/proc/sys/net/ipv4/tcp_congestion_control", name, sizeof name))
        return;
    snprintf(sentence, sizeof sentence, "visitors' TCP is sent with %s", name);
    doctor_add(doctor, FINDING_OK, "congestion control", sentence, NULL);
}

/* Reports carry no wall time, but logs, certificates and people do. */
static void check_clock(struct doctor *doctor)
{
    struct timex state = {0};
    char sentence[128];
    int result = adjtimex(&state);
    if (result < 0)
        return;
    bool is_synchronised = result != TIME_ERROR && !(state.status & STA_UNSYNC);
    snprintf(sentence, sizeof sentence, "%s, estimated error %ld ms",
             is_synchronised ? "synchronised" : "not synchronised", state.esterror / 1000);
    doctor_add(doctor,
               is_synchronised && state.esterror < CLOCK_ERROR_US ? FINDING_OK : FINDING_WARN,
               "clock", sentence,
               "run chrony or systemd-timesyncd: logs of nodes are compared by time");
}

static void check_release(struct doctor *doctor)
{
    struct utsname name;
    if (uname(&name))
        return;
    char *end;
    unsigned long major = strtoul(name.release, &end, 10);
    unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    bool is_new = major > 5 || (major == 5 && minor >= 11);
    char sentence[160];
    snprintf(sentence, sizeof sentence, "%s %s", name.sysname, name.release);
    doctor_add(doctor, is_new ? FINDING_OK : FINDING_WARN, "kernel", sentence,
               "before 5.11 timers are coarse: pacing of the link suffers");
}

void doctor_check_kernel(struct doctor *doctor, const struct conf *conf)
{
    uint64_t buffer = conf ? conf->link.socket_buffer_bytes : LINK_BUFFER_BYTES;
    check_release(doctor);
    check_buffer(doctor, "rmem_max", "/proc/sys/net/core/rmem_max", buffer);
    check_buffer(doctor, "wmem_max", "/proc/sys/net/core/wmem_max", buffer);
    check_files(doctor);
    check_system_files(doctor);
    check_backlog(doctor);
    check_congestion(doctor);
    check_clock(doctor);
}
