/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway upgrade: has a running node go on with the program file that lies where it was started from.
 */
#include "cli/node.h"
#include "loop/loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { POLL_MS = 100, WAIT_S = 90 };

struct seen {
    long pid, upgrades, failures;
    size_t elders;
    char version[64], error[512];
    bool is_ready;
};

static void copy(const json_t *status, const char *name, char *out, size_t room)
{
    const char *value = json_string_value(json_object_get(status, name));
    snprintf(out, room, "%s", value ? value : "?");
}

/* False: it does not answer. */
static bool look(const struct cli_arguments *arguments, struct seen *seen, struct text *why)
{
    text_reset(why);
    json_t *status = node_try(arguments, json_pack("{s:s}", "verb", "status"), why);
    if (!status || !json_object_get(status, "pid")) {
        json_decref(status);
        return false;
    }
    seen->pid = (long)json_integer_value(json_object_get(status, "pid"));
    seen->upgrades = (long)json_integer_value(json_object_get(status, "upgrades"));
    seen->failures = (long)json_integer_value(json_object_get(status, "failed_upgrades"));
    seen->elders = json_array_size(json_object_get(status, "elders"));
    seen->is_ready = json_is_true(json_object_get(status, "ready"));
    copy(status, "version", seen->version, sizeof seen->version);
    copy(status, "upgrade_error", seen->error, sizeof seen->error);
    json_decref(status);
    return true;
}

/* While one process hands over to the other nobody may answer for a moment. */
static int wait_for(const struct cli_arguments *arguments, const struct seen *before,
                    struct text *why)
{
    struct seen now = {0};
    for (int left = WAIT_S * 1000 / POLL_MS; left > 0; left--) {
        poll(NULL, 0, POLL_MS);
        if (!look(arguments, &now, why))
            continue;
        if (now.failures != before->failures)
            return cli_fail("the program before goes on: %s", now.error);
        if (now.upgrades != before->upgrades && now.is_ready) {
            printf("causeway %s took over from %s; %zu processes finish what is under way\n",
                   now.version, before->version, now.elders);
            return CLI_DONE;
        }
    }
    return cli_fail("not ready after %d s%s%s: causeway status tells how it is", WAIT_S,
                    why->length ? ": " : "", why->length ? why->data : "");
}

static int run(const struct cli_arguments *arguments)
{
    struct seen before;
    struct text why = {0};
    int status = CLI_FAILED;
    if (!look(arguments, &before, &why))
        cli_fail("%s", why.length ? why.data : "the node does not tell its status");
    else if (before.pid <= 1 || kill((pid_t)before.pid, SIGUSR2) < 0)
        cli_fail("process %ld cannot be told: %s", before.pid, strerror(errno));
    else
        status = wait_for(arguments, &before, &why);
    text_clear(&why);
    return status;
}

static const struct cli_option options[] = {NODE_OPTIONS, {0}};
const struct cli_verb verb_upgrade = {
    .name = "upgrade",
    .summary = "Have a running node go on with a new program file",
    .help = "Install the new file where the old one was, then call this (or send SIGUSR2): the new "
            "one is asked\n"
            "whether it would start with the configuration, takes over process id, sockets and "
            "configuration,\n"
            "and the old processes finish what is under way (nodes.NAME.upgrade_drain). No "
            "connection is refused.\n"
            "Whatever fails on the way, the old program goes on.",
    .example = "causeway upgrade -c causeway.yaml --node fra",
    .options = options,
    .run = run,
};
