/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway doctor: looks at the machine for what usually bites, and says what to do. The checks of
 * sockets do what the program does, on loopback.
 */
#include "cli/doctor.h"

#include "conf/conf.h"

#include <stdio.h>

static const char *const level_words[] = {"ok", "warn", "fail"};

void doctor_add(struct doctor *doctor, enum finding_level level, const char *check,
                const char *sentence, const char *advice)
{
    doctor->counts[level]++;
    if (doctor->is_json) {
        text_add(&doctor->text, doctor->is_begun ? ",\n  {\"check\": " : "\n  {\"check\": ");
        text_add_json(&doctor->text, span_text(check));
        text_add_format(&doctor->text, ", \"result\": \"%s\", \"found\": ", level_words[level]);
        text_add_json(&doctor->text, span_text(sentence));
        if (level != FINDING_OK && advice) {
            text_add(&doctor->text, ", \"advice\": ");
            text_add_json(&doctor->text, span_text(advice));
        }
        text_add(&doctor->text, "}");
    } else {
        text_add_format(&doctor->text, "%-4s  %-18s %s\n", level_words[level], check, sentence);
        if (level != FINDING_OK && advice)
            text_add_format(&doctor->text, "%-25s-> %s\n", "", advice);
    }
    doctor->is_begun = true;
}

/* The node whose settings are looked at; NULL without a configuration, or with an ambiguous one. */
static const struct conf_node *load(struct doctor *doctor, const char *file, const char *name,
                                    struct conf **conf)
{
    struct text content = {.limit = CONF_FILE_BYTES}, why = {0}, findings = {0}, sentence = {0};
    if (conf_read_file(file, &content, &why) == 0) {
        struct conf_reader reader = conf_file_reader();
        *conf = conf_load(file, text_span(&content), name, &reader, &findings);
    }
    if (*conf) {
        text_add_format(&sentence, "%s is good, hash %s", file, (*conf)->hash);
        doctor_add(doctor, FINDING_OK, "configuration", sentence.data, NULL);
    } else {
        text_add_format(&sentence, "%s: %s", file, why.length ? why.data : "has errors");
        doctor_add(doctor, FINDING_FAIL, "configuration", sentence.data,
                   "causeway check tells more; the node's own checks are left out");
    }
    text_clear(&content);
    text_clear(&why);
    text_clear(&findings);
    text_clear(&sentence);
    return *conf ? (*conf)->self : NULL;
}

static int run(const struct cli_arguments *arguments)
{
    const char *file = cli_value(arguments, "config");
    struct doctor doctor = {.is_json = cli_value(arguments, "json") != NULL};
    struct conf *conf = NULL;
    const struct conf_node *node = NULL;
    if (doctor.is_json)
        text_add(&doctor.text, "[");
    if (file)
        node = load(&doctor, file, cli_value(arguments, "node"), &conf);
    doctor_check_kernel(&doctor, conf);
    doctor_check_sockets(&doctor);
    if (node)
        doctor_check_node(&doctor, conf, node);
    if (doctor.is_json)
        text_add(&doctor.text, "\n]\n");
    else
        text_add_format(&doctor.text, "%u ok, %u warnings, %u failures\n",
                        doctor.counts[FINDING_OK], doctor.counts[FINDING_WARN],
                        doctor.counts[FINDING_FAIL]);
    conf_free(conf);
    int status = cli_print(&doctor.text);
    return doctor.counts[FINDING_FAIL] ? CLI_FAILED : status;
}

static const struct cli_option options[] = {{"config", 'c', "FILE",
                                             "look also at what this configuration needs"},
                                            {"node", 'n', "NAME", "which node of the file"},
                                            {"json", 0, NULL, "a list of findings"},
                                            {0}};
const struct cli_verb verb_doctor = {
    .name = "doctor",
    .summary = "Check this machine for what usually bites",
    .help = "Limits, socket buffers, UDP offloads, clock, ports and key files; each finding with "
            "what to do about it. Exits\n"
            "with 1 when something will not work. Run it as the user that starts the node.",
    .example = "causeway doctor -c causeway.yaml",
    .options = options,
    .run = run,
};
