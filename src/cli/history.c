/* SPDX-License-Identifier: Apache-2.0
 *
 * The role of the `history` child: looks at the whole node again and again, keeps what it saw, and answers `causeway stats`.
 * A process of its own, because a database waits for disks; without keys, and no stranger's byte comes here.
 */
#include "archive/archive.h"

#include "base/memory.h"
#include "cli/roles.h"
#include "observe/observe.h"

#include <string.h>
#include <time.h>

enum { PRUNES = 10 }; /* after one look */

struct history_role {
    struct child *child;
    struct archive *history;
    struct report *look; /* under way */
    struct loop_timer timer;
    bool was_refused; /* the last look could not be kept: told once */
};

static bool is_wanted(const struct conf_node *node)
{
    return node->history != NULL;
}

static uint64_t now_s(void)
{
    return (uint64_t)time(NULL); /* the history is told in people's time */
}

static void on_seen(void *owner, const json_t *status)
{
    struct history_role *role = owner;
    struct text why = {0};
    bool is_refused =
        archive_take(role->history, json_object_get(status, "roles"), now_s(), &why) != 0;
    if (is_refused && !role->was_refused)
        log_error("history", "nothing is kept: %s", why.data ? why.data : "?");
    else if (!is_refused && role->was_refused)
        log_notice("history", "looks are kept again");
    role->was_refused = is_refused;
    text_clear(&why);
    for (int i = 0; i < PRUNES && archive_prune(role->history, now_s()); i++)
        ;
}

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    struct history_role *role = CONTAINER_OF(timer, struct history_role, timer);
    loop_timer_start(loop, timer, loop_now_ns(loop) + child_node(role->child)->history->every_ns);
    if (!role->look && child_look(role->child, &role->look, on_seen, role))
        log_warning("history", "too many questions at once: a look is left out");
}

static int start(struct child *child, void **state, struct text *why)
{
    const struct conf_history *conf = child_node(child)->history;
    const struct archive_options options = {.folder = conf->folder,
                                            .keep_s = conf->keep_ns / 1000000000,
                                            .keep_coarse_s = conf->keep_coarse_ns / 1000000000};
    struct history_role *role = NEW(struct history_role);
    role->child = child;
    role->timer.fire = on_timer;
    int result = archive_open(&role->history, &options, why);
    if (result) {
        memory_free(role);
        return result;
    }
    loop_timer_start(child_loop(child), &role->timer,
                     loop_now_ns(child_loop(child)) + conf->every_ns);
    *state = role;
    return 0;
}

static void stop(void *state)
{
    struct history_role *role = state;
    loop_timer_stop(child_loop(role->child), &role->timer);
    child_look_forget(&role->look);
    archive_close(&role->history);
    memory_free(role);
}

static json_t *status(void *state)
{
    const struct archive_counters *counters =
        archive_counters(((struct history_role *)state)->history);
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "looks", (json_int_t)counters->looks, "samples",
                     (json_int_t)counters->samples, "events", (json_int_t)counters->events,
                     "series_refused", (json_int_t)counters->series_refused, "errors",
                     (json_int_t)counters->errors);
}

static uint64_t seconds_of(const json_t *question, const char *key, uint64_t otherwise)
{
    const json_t *value = json_object_get(question, key);
    return json_is_integer(value) && json_integer_value(value) >= 0
               ? (uint64_t)json_integer_value(value)
               : otherwise;
}

/* {"verb": "stats", "what": "values" | "events", "series": PATTERN, "since": s ago, "step": s} */
static json_t *inquire(void *state, const json_t *question)
{
    struct history_role *role = state;
    const char *verb = json_string_value(json_object_get(question, "verb"));
    const char *what = json_string_value(json_object_get(question, "what"));
    const char *series = json_string_value(json_object_get(question, "series"));
    if (!verb || strcmp(verb, "stats") != 0 || !what)
        return NULL;
    uint64_t now = now_s(), ago = seconds_of(question, "since", 3600);
    const struct archive_query query = {.series = series ? series : "*",
                                        .since_s = now > ago ? now - ago : 0,
                                        .until_s = now + 1,
                                        .step_s = seconds_of(question, "step", 0)};
    struct text why = {0};
    json_t *answer = strcmp(what, "events") == 0 ? archive_events(role->history, &query, &why)
                                                 : archive_values(role->history, &query, &why);
    if (!answer)
        answer = json_pack("{s:s}", "error", why.data ? why.data : "the history does not answer");
    text_clear(&why);
    return answer;
}

const struct role history_role = {
    .name = "history",
    .child = "history",
    .is_wanted = is_wanted,
    .start = start,
    .stop = stop,
    .status = status,
    .inquire = inquire,
};
