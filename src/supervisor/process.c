/* SPDX-License-Identifier: Apache-2.0
 *
 * Between fork and exec: only system calls, since other threads of the supervisor (the log's) may
 * hold locks.
 */
#include "supervisor/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DESCRIPTORS_AT_ONCE = 1 << 17 }; /* with more than these the table grows as it must */

int identity_find(const char *name, struct identity *identity, struct text *why)
{
    *identity = (struct identity){.user = geteuid(), .group = getegid()};
    if (geteuid() != 0) {
        snprintf(identity->name, sizeof identity->name, "uid %u", (unsigned)geteuid());
        return 0;
    }
    const struct passwd *entry = getpwnam(name ? name : "causeway");
    if (!entry && !name)
        entry = getpwnam("nobody");
    if (!entry) {
        text_add_format(why, "there is no user '%s' on this machine", name ? name : "causeway");
        return ERROR_NOT_FOUND;
    }
    identity->is_changed = entry->pw_uid != 0; /* "user: root" is allowed, and stays root */
    identity->user = entry->pw_uid;
    identity->group = entry->pw_gid;
    snprintf(identity->name, sizeof identity->name, "%s", entry->pw_name);
    return 0;
}

static bool may_write(const struct stat *status, const struct identity *identity)
{
    mode_t needed = S_IRUSR | S_IWUSR | S_IXUSR;
    if (identity->user == 0)
        return true;
    if (status->st_uid != identity->user)
        needed >>= status->st_gid == identity->group ? 3 : 6;
    return (status->st_mode & needed) == needed;
}

static int judge_status(const char *path, const struct stat *status,
                        const struct identity *identity, struct text *why)
{
    if (!S_ISDIR(status->st_mode))
        text_add_format(why, "%s is no folder", path);
    else if (!may_write(status, identity))
        text_add_format(
            why,
            "%s belongs to uid %u and has mode %04o, %s may not write to it: give it to "
            "that user, or name a folder in it that is made then",
            path, (unsigned)status->st_uid, (unsigned)(status->st_mode & 07777), identity->name);
    else
        return 0;
    return ERROR_DENIED;
}

static bool is_empty(const char *path)
{
    DIR *folder = opendir(path);
    int names = 0;
    while (folder && names < 3 && readdir(folder))
        names++; /* "." and ".." are two */
    if (folder)
        closedir(folder);
    return folder && names == 2;
}

/* Made by whoever prepares this machine, as a service manager does: as good as made by us. */
static bool is_as_new(const char *path, const struct identity *identity)
{
    struct stat status;
    return identity->is_changed && geteuid() == 0 && lstat(path, &status) == 0 &&
           S_ISDIR(status.st_mode) && status.st_uid == 0 && is_empty(path);
}

int folder_judge(const char *path, const struct identity *identity, struct text *why)
{
    struct stat status;
    const char *slash = strrchr(path, '/');
    char *parent = slash > path ? strndup(path, (size_t)(slash - path)) : strdup(slash ? "/" : ".");
    int result = ERROR_NOT_FOUND;
    if (is_as_new(path, identity)) {
        result = 0;
    } else if (stat(path, &status) == 0) {
        result = judge_status(path, &status, identity, why);
    } else if (errno != ENOENT || !parent || stat(parent, &status)) {
        text_add_format(why, "%s cannot be made: %s", path, strerror(errno));
        result = ERROR_IO;
    }
    free(parent);
    return result;
}

int folder_open(const char *path, const struct identity *identity, int *out, struct text *why)
{
    struct stat status;
    bool is_new = mkdir(path, 0700) == 0 || is_as_new(path, identity);
    int fd = is_new || errno == EEXIST ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    bool is_open = fd >= 0 &&
                   (!is_new || !identity->is_changed ||
                    fchownat(fd, "", identity->user, identity->group, AT_EMPTY_PATH) == 0) &&
                   fstat(fd, &status) == 0;
    if (!is_open)
        text_add_format(why, "the folder %s: %s", path, strerror(errno));
    int result = is_open ? judge_status(path, &status, identity, why) : ERROR_IO;
    *out = fd;
    if (result && fd >= 0)
        close(fd);
    return result;
}

int folder_make(const char *path, const struct identity *identity, struct text *why)
{
    int fd, result = folder_open(path, identity, &fd, why);
    if (result == 0)
        close(fd);
    return result;
}

static void give_up_privileges(const struct identity *identity)
{
    if (!identity->is_changed)
        return;
    if (setgroups(0, NULL) || setresgid(identity->group, identity->group, identity->group) ||
        setresuid(identity->user, identity->user, identity->user))
        _exit(126);
}

static _Noreturn void become_child(const char *name, int socket, const struct identity *identity,
                                   pid_t supervisor)
{
    char *words[] = {"causeway", "child", (char *)name, NULL};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0); /* a Ctrl-C at the terminal is the supervisor's to handle */
    if (socket == PROCESS_CHILD_SOCKET)
        fcntl(socket, F_SETFD, 0);
    else if (dup2(socket, PROCESS_CHILD_SOCKET) < 0)
        _exit(126);
    give_up_privileges(identity);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* behind the change of user, which clears it */
    if (getppid() != supervisor)
        _exit(126);
    execv("/proc/self/exe",
          words); /* by the kernel's own link: the path may be closed to this user */
    _exit(127);
}

pid_t process_start(const char *name, int socket, const struct identity *identity)
{
    pid_t supervisor = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become_child(name, socket, identity, supervisor);
    return pid;
}

/* The kernel doubles the table of descriptors as they become more, and where threads share it each time they all wait for a grace period
 * of RCU, some 15 ms, amidst a flood of connections. So it has its size before there are threads: 8 bytes for each descriptor. */
static void size_descriptors(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return;
    rlim_t last = files.rlim_cur < DESCRIPTORS_AT_ONCE ? files.rlim_cur : DESCRIPTORS_AT_ONCE;
    int fd = fcntl(PROCESS_CHILD_SOCKET, F_DUPFD_CLOEXEC, (int)last - 1);
    if (fd >= 0)
        close(fd);
}

void process_begin(const char *name)
{
    /* SIGTERM and SIGINT of a service manager that signals all: the supervisor tells when to end */
    static const int numbers[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
    char thread_name[16];
    snprintf(thread_name, sizeof thread_name, "causeway-%.6s", name);
    prctl(PR_SET_NAME, thread_name);
#if !defined(__SANITIZE_ADDRESS__) /* whose leak check traces the process */
    prctl(PR_SET_DUMPABLE, 0);     /* it holds keys */
#endif
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        signal(numbers[i], SIG_IGN);
    fcntl(PROCESS_CHILD_SOCKET, F_SETFD, FD_CLOEXEC);
    size_descriptors();
}
