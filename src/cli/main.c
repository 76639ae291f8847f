/* SPDX-License-Identifier: Apache-2.0
 *
 * The program: finds the verb and runs it.
 */
#include "cli/cli.h"
#include "cli/roles.h"

#include <signal.h>
#include <stdio.h>

extern const struct cli_verb verb_check, verb_config, verb_demo, verb_doctor, verb_edge,
    verb_dnssec, verb_explain, verb_weights, verb_origin, verb_help, verb_hot, verb_keygen,
    verb_latency, verb_link, verb_purge, verb_queue, verb_replay, verb_rules, verb_run, verb_stats,
    verb_status, verb_top, verb_upgrade, verb_version;

const struct cli_verb *const cli_verbs[] = {
    &verb_run,     &verb_status,  &verb_top,     &verb_upgrade, &verb_stats,
    &verb_link,    &verb_latency, &verb_edge,    &verb_explain, &verb_replay,
    &verb_weights, &verb_origin,  &verb_purge,   &verb_queue,   &verb_hot,
    &verb_rules,   &verb_check,   &verb_dnssec,  &verb_keygen,  &verb_config,
    &verb_doctor,  &verb_demo,    &verb_version, &verb_help,    NULL,
};

static const struct cli_verb *find_verb(const char *name)
{
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return &verb_help;
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        return &verb_version;
    for (size_t i = 0; cli_verbs[i]; i++)
        if (strcmp(cli_verbs[i]->name, name) == 0)
            return cli_verbs[i];
    return NULL;
}

static int unknown_verb(const char *name)
{
    const char *names[64];
    size_t count = 0;
    for (; cli_verbs[count] && count < 64; count++)
        names[count] = cli_verbs[count]->name;
    const char *nearest = nearest_word(name, names, count);
    fprintf(stderr, "causeway: there is no verb '%s'", name);
    if (nearest)
        fprintf(stderr, "; did you mean '%s'?", nearest);
    fprintf(stderr, " (causeway help lists them)\n");
    return CLI_USAGE;
}

int main(int count, char **words)
{
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an error of the write */
    if (count == 3 && strcmp(words[1], "child") == 0)
        return cli_run_child(words[2]);
    const struct cli_verb *verb = count > 1 ? find_verb(words[1]) : &verb_help;
    if (!verb)
        return unknown_verb(words[1]);
    struct cli_arguments arguments;
    int status = cli_parse(verb, count > 2 ? count - 2 : 0, words + 2, &arguments);
    if (status != CLI_GO)
        return status;
    status = verb->run(&arguments);
    return count > 1 ? status : CLI_USAGE;
}
