/* SPDX-License-Identifier: Apache-2.0
 *
 * Between fork and exec: only system calls, since other threads of the supervisor (the log's) may
 * hold locks.
 */
#include "supervisor/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

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

int folder_make(const char *path, const struct identity *identity, struct text *why)
{
    bool is_new = mkdir(path, 0700) == 0;
    int fd = is_new || errno == EEXIST ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                                       : -1;
    if (fd < 0 || (is_new && identity->is_changed && fchown(fd, identity->user, identity->group))) {
        text_add_format(why, "the folder %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return ERROR_IO;
    }
    close(fd);
    return 0;
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
