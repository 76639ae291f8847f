/* SPDX-License-Identifier: Apache-2.0
 *
 * What a child's roles say, put together as JSON.
 */
#include "supervisor/answers.h"

#include "supervisor/counts.h"

#include <stdlib.h>
#include <string.h>

static void answer_status(const struct running_role *roles, size_t count, struct text *answer)
{
    json_t *all = json_object();
    for (size_t i = 0; i < count; i++) {
        const struct running_role *running = &roles[i];
        json_t *status = running->role->status ? running->role->status(running->state) : NULL;
        if (status)
            json_object_set_new(all, running->role->name, status);
    }
    char *text = json_dumps(all, JSON_COMPACT);
    text_add(answer, text ? text : "{}");
    free(text);
    json_decref(all);
}

/* A list of what each role that knows the verb has to say. */
static void answer_command(const struct running_role *roles, size_t count, const json_t *command,
                           struct text *answer)
{
    json_t *all = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct running_role *running = &roles[i];
        struct text said = {.limit = 4096};
        int result = running->role->command ? running->role->command(running->state, command, &said)
                                            : ERROR_NOT_FOUND;
        if (result != ERROR_NOT_FOUND)
            json_array_append_new(all, json_pack("{s:s, s:b, s:s}", "role", running->role->name,
                                                 "done", result == 0, "answer",
                                                 said.data ? said.data : error_text(result)));
        text_clear(&said);
    }
    char *text = json_dumps(all, JSON_COMPACT);
    text_add(answer, text ? text : "[]");
    free(text);
    json_decref(all);
}

static void answer_inquiry(const struct running_role *roles, size_t count, const json_t *question,
                           struct text *answer)
{
    json_t *all = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct running_role *running = &roles[i];
        json_t *said =
            running->role->inquire ? running->role->inquire(running->state, question) : NULL;
        if (said)
            json_array_append_new(all, said);
    }
    char *text = json_dumps(all, JSON_COMPACT);
    text_add(answer, text ? text : "[]");
    free(text);
    json_decref(all);
}

void answers_write(const struct running_role *roles, size_t count, const char *what,
                   const json_t *argument, struct text *answer)
{
    if (strcmp(what, "status") == 0)
        answer_status(roles, count, answer);
    else if (strcmp(what, "metrics") == 0)
        counts_export(answer);
    else if (strcmp(what, "command") == 0)
        answer_command(roles, count, argument, answer);
    else if (strcmp(what, "inquiry") == 0)
        answer_inquiry(roles, count, argument, answer);
}
