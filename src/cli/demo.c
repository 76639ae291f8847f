/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway demo: becomes the demonstration's script, in the source tree or where `make install` puts it.
 */
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Relative to the folder of the program: build/src/cli in the source tree, or PREFIX/bin. */
static const char *const scripts[] = {"../../../demo/demo", "../share/causeway/demo/demo"};

static int run_demo(const struct cli_arguments *arguments)
{
    char self[PATH_MAX], script[PATH_MAX + 64];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return cli_fail("/proc/self/exe: %s", strerror(errno));
    self[length] = 0;
    setenv("CAUSEWAY", self, 1);
    char *slash = strrchr(self, '/');
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        snprintf(script, sizeof script, "%.*s/%s", (int)(slash - self), self, scripts[i]);
        if (access(script, X_OK) == 0) {
            const char *once = cli_value(arguments, "once") ? "--once" : NULL;
            execl(script, script, once, (char *)NULL);
            return cli_fail("%s: %s", script, strerror(errno));
        }
    }
    return cli_fail("the demonstration is not installed beside %s", self);
}

static const struct cli_option options[] = {
    {"once", 0, NULL, "tell the story once and end; 0 only if every step held"}, {0}};
const struct cli_verb verb_demo = {
    .name = "demo",
    .summary = "Show a whole network on this machine",
    .help = "As root in network namespaces behind emulated wide-area links, else on loopback "
            "addresses.\n"
            "Stays up until Ctrl-C, and leaves nothing behind.",
    .example = "causeway demo --once",
    .options = options,
    .run = run_demo,
};
