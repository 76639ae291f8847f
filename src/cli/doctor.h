/* SPDX-License-Identifier: Apache-2.0
 *
 * The checks of `causeway doctor`, by what they look at.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "cli/cli.h"
#include "conf/conf.h"

enum finding_level { FINDING_OK, FINDING_WARN, FINDING_FAIL };

struct doctor {
    struct text text;
    bool is_json, is_begun;
    unsigned counts[3];
};

/* `advice` is shown unless all is well. */
void doctor_add(struct doctor *doctor, enum finding_level level, const char *check,
                const char *sentence, const char *advice);

void doctor_check_kernel(struct doctor *doctor, const struct conf *conf); /* conf may be NULL */
void doctor_check_sockets(struct doctor *doctor);
/* Of a node whose edge has a disk tier: a sentence, and what to do unless all is well. */
enum finding_level doctor_judge_cache(const struct conf_node *node, struct text *sentence,
                                      const char **advice);
void doctor_check_node(struct doctor *doctor, const struct conf *conf,
                       const struct conf_node *node);

#endif
