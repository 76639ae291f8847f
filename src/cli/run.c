/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway run: the supervisor and its children. `causeway child` is what the supervisor executes,
 * and no verb of its own.
 */
#include "cli/cli.h"
#include "cli/roles.h"
#include "cli/version.h"
#include "conf/conf.h"

#include <stdio.h>

/* As `run` would, and no further. */
static int check(const char *file, const char *node)
{
    struct text content = {.limit = CONF_FILE_BYTES}, why = {0}, findings = {0};
    struct conf *conf = NULL;
    if (conf_read_file(file, &content, &why)) {
        cli_fail("%s: %s", file, why.data);
    } else {
        struct conf_reader reader = conf_file_reader();
        reader.takes_expired = true;
        conf = conf_load(file, text_span(&content), node, &reader, &findings);
    }
    if (findings.length)
        fputs(findings.data, stderr);
    int status = conf ? CLI_DONE : CLI_FAILED;
    conf_free(conf);
    text_clear(&content);
    text_clear(&why);
    text_clear(&findings);
    return status;
}

static int run(const struct cli_arguments *arguments)
{
    const char *file = cli_value(arguments, "config");
    const char *node = cli_value(arguments, "node");
    if (!file)
        file = CLI_CONFIG_FILE;
    if (cli_value(arguments, "check"))
        return check(file, node);
    struct supervisor_options options = {
        .file = file, .node = node, .roles = roles, .version = CAUSEWAY_VERSION};
    return supervisor_run(&options) ? CLI_FAILED : CLI_DONE;
}

static const struct cli_option options[] = {
    {"config", 'c', "FILE", "the configuration; default " CLI_CONFIG_FILE},
    {"node", 'n', "NAME", "which node of the file this is; default the one whose key can be read"},
    {"check", 0, NULL, "only say whether it would start with this configuration"},
    {0}};
const struct cli_verb verb_run = {
    .name = "run",
    .summary = "Run a node",
    .help = "Starts the roles that the file gives the node, in the foreground. Started by root, it "
            "opens ports\n"
            "and then works as an unprivileged user. SIGHUP reloads the configuration, SIGUSR1 "
            "reopens the\n"
            "logs, SIGTERM ends it when requests under way are done (at most 5 s).",
    .example = "causeway run -c causeway.yaml --node fra",
    .options = options,
    .run = run,
};

int cli_run_child(const char *name)
{
    return child_run(name, roles);
}
