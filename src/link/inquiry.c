/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions about links from the control socket and the admin listener: what `causeway link` shows
 * and does. On the child's main thread; links are read under their locks.
 */
#include "base/memory.h"
#include "link/driver.h"

static const char *const tier_names[HISTORY_TIERS] = {
    [HISTORY_SECONDS] = "seconds", [HISTORY_TENS] = "tens", [HISTORY_MINUTES] = "minutes"};

static json_t *tier_json(struct link *link, enum history_tier tier)
{
    struct history_sample *samples =
        memory_new(history_tier_limit(tier) * sizeof(struct history_sample));
    pthread_mutex_lock(&link->head->facts_lock);
    uint32_t count = history_read(link->head->history, tier, samples);
    pthread_mutex_unlock(&link->head->facts_lock);
    uint64_t now_ns = clock_now_ns();
    json_t *rows = json_array();
    for (uint32_t i = 0; i < count; i++) {
        json_t *row = json_array();
        json_array_append_new(row, json_integer(
                                       (json_int_t)((now_ns - samples[i].end_ns) / 1000000000)));
        for (const struct history_member *member = history_members; member->name; member++)
            json_array_append_new(row, json_integer(history_value(&samples[i], member)));
        json_array_append_new(rows, row);
    }
    memory_free(samples);
    return json_pack("{s:i, s:o}", "seconds", (int)history_tier_seconds(tier), "rows", rows);
}

/* Rows of numbers under one list of names: a day of a link is thirty thousand of them. */
static json_t *history_json(struct link *link)
{
    json_t *columns = json_array(), *history = json_object();
    json_array_append_new(columns, json_string("age_s"));
    for (const struct history_member *member = history_members; member->name; member++)
        json_array_append_new(columns, json_string(member->name));
    json_object_set_new(history, "columns", columns);
    for (int tier = 0; tier < HISTORY_TIERS; tier++)
        json_object_set_new(history, tier_names[tier], tier_json(link, (enum history_tier)tier));
    return history;
}

static json_t *unknown_peer(struct link_set *set, const char *peer)
{
    json_t *peers = json_array();
    for (uint32_t i = 0; i < set->link_count; i++)
        if (link_is_shown(set->links[i]))
            json_array_append_new(peers, json_string(link_peer_name(set->links[i])));
    return json_pack("{s:o, s:s, s:o}", "error",
                     json_sprintf("this node has no link to '%.100s'", peer), "asked", peer,
                     "peers", peers);
}

static json_t *show(struct link_set *set, const char *peer, bool has_history)
{
    json_t *links = json_array();
    for (uint32_t i = 0; i < set->link_count; i++) {
        struct link *link = set->links[i];
        if (!link_is_shown(link) || (peer && strcmp(peer, link_peer_name(link)) != 0))
            continue;
        json_t *one = status_of_link(link);
        if (has_history)
            json_object_set_new(one, "history", history_json(link));
        json_array_append_new(links, one);
    }
    if (!peer || json_array_size(links))
        return json_pack("{s:o}", "links", links);
    json_decref(links);
    return unknown_peer(set, peer);
}

/* `end`: which of ours, where a node is its own peer; NULL: any. */
static struct link *find(struct link_set *set, const char *peer, const char *end)
{
    for (uint32_t i = 0; i < set->link_count; i++) {
        struct link *link = set->links[i];
        if (link_is_shown(link) && strcmp(peer, link_peer_name(link)) == 0 &&
            (!end || strcmp(end, link->is_edge_side ? "edge" : "gateway") == 0))
            return link;
    }
    return NULL;
}

json_t *link_set_inquire(struct link_set *set, const json_t *question)
{
    const char *action = json_string_value(json_object_get(question, "action"));
    const char *peer = json_string_value(json_object_get(question, "peer"));
    if (!action || strcmp(action, "show") == 0)
        return show(set, peer, json_is_true(json_object_get(question, "history")));
    const char *end = json_string_value(json_object_get(question, "end"));
    struct link *link = peer ? find(set, peer, end) : NULL;
    if (peer && !link)
        return unknown_peer(set, peer);
    if (link && strcmp(action, "trace") == 0)
        return tracing_inquire(link, question);
    if (link && strcmp(action, "test") == 0)
        return trial_inquire(link, question);
    return json_pack("{s:s}", "error", "a link is shown, measured or traced");
}
