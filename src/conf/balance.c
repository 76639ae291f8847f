/* SPDX-License-Identifier: Apache-2.0
 *
 * Origins and which of them gets a request: what follows from other settings, secrets of sessions' cookies, and whether it all
 * fits together.
 */
#include "conf/load.h"

#include "crypto/crypto.h"

enum { SECRETS_FILE_BYTES = 4096, SECRET_LEAST = 16 };

static const char cookie_name[] = "causeway-server";

void derive_balance(struct loader *loader)
{
    struct conf *conf = loader->conf;
    for (size_t i = 0; i < conf->site_count; i++) {
        struct balance_session_settings *session = &conf->sites[i].balance.session;
        if (session->kind == BALANCE_SESSION_COOKIE && !session->name)
            session->name = cookie_name;
    }
}

/* ---- secrets */

/* NULL, or a sentence. */
static const char *take_secrets(struct arena *arena, struct span text,
                                struct span secrets[BALANCE_SECRETS], size_t *count)
{
    while (text.length) {
        size_t end = span_find(text, '\n');
        struct span line = span_of(text.data, end);
        text = span_from(text, end + 1);
        if (line.length && line.data[line.length - 1] == '\r')
            line.length--;
        line = span_trim(line);
        if (!line.length)
            continue;
        if (line.length < SECRET_LEAST)
            return "a secret has 16 characters or more";
        if (*count == BALANCE_SECRETS)
            return "four secrets are the most";
        secrets[(*count)++] = arena_copy(arena, line);
    }
    return *count ? NULL : "it holds no secret";
}

static void read_secrets(struct loader *loader, const char *const *path,
                         struct span secrets[BALANCE_SECRETS], size_t *count)
{
    struct text why = {0}, content = {.limit = SECRETS_FILE_BYTES};
    const char *reason = NULL;
    if (loader->reader->read_site_key(loader->reader->argument, *path, true, &content, &why) < 0)
        reason = why.data ? why.data : "it cannot be read";
    else
        reason = take_secrets(&loader->conf->arena, text_span(&content), secrets, count);
    if (reason)
        report_error(&loader->report, place_of(loader, path), "secret: %s: %s", *path, reason);
    if (content.data)
        bytes_wipe(content.data, content.capacity);
    text_clear(&content);
    text_clear(&why);
}

void read_session_secrets(struct loader *loader)
{
    struct conf *conf = loader->conf;
    if (!loader->reader->read_site_key || !conf->self)
        return;
    for (size_t i = 0; i < conf->site_count; i++) {
        struct balance_session_settings *session = &conf->sites[i].balance.session;
        struct balance_mark_settings *mark = &conf->sites[i].balance.mark;
        if (conf->self->gateway && session->secret_path)
            read_secrets(loader, &session->secret_path, session->secrets, &session->secret_count);
        if (conf->self->edge && mark->secret_path)
            read_secrets(loader, &mark->secret_path, mark->secrets, &mark->secret_count);
    }
}

void wipe_session_secrets(struct conf_site *site)
{
    const struct balance_session_settings *session = &site->balance.session;
    const struct balance_mark_settings *mark = &site->balance.mark;
    for (size_t i = 0; i < session->secret_count; i++)
        bytes_wipe((void *)(uintptr_t)session->secrets[i].data, session->secrets[i].length);
    for (size_t i = 0; i < mark->secret_count; i++)
        bytes_wipe((void *)(uintptr_t)mark->secrets[i].data, mark->secrets[i].length);
}

/* ---- relations */

static bool is_token(const char *text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (const char *at = text; *at; at++) {
        uint8_t byte = ascii_lower((uint8_t)*at);
        if ((uint8_t)(byte - 'a') >= 26 && (uint8_t)(byte - '0') >= 10 && !strchr(others, byte))
            return false;
    }
    return *text != 0;
}

static bool is_plain(const char *text)
{
    return text && !text[strcspn(text, "=&;?/#% ")];
}

static void check_session(struct loader *loader, const struct conf_site *site)
{
    const struct balance_session_settings *session = &site->balance.session;
    struct report *report = &loader->report;
    struct place name = place_or(loader, &session->name, &session->kind);
    if (session->secret_path && session->kind != BALANCE_SESSION_COOKIE)
        report_error(report, place_of(loader, &session->secret_path),
                     "session: only cookies are signed; `by` is not cookie");
    switch (session->kind) {
    case BALANCE_SESSION_OFF:
    case BALANCE_SESSION_CLIENT:
        if (session->name)
            report_error(report, name, "session: a name is of a cookie, header or parameter");
        break;
    case BALANCE_SESSION_COOKIE:
        if (!is_token(session->name))
            report_error(report, name, "session: '%s' cannot be the name of a cookie",
                         session->name);
        break;
    case BALANCE_SESSION_HEADER:
        if (!session->name)
            report_error(report, name, "session: by header needs the field's name");
        else if (!is_token(session->name))
            report_error(report, name, "session: '%s' cannot be the name of a field",
                         session->name);
        break;
    case BALANCE_SESSION_PARAMETER:
        if (!session->name)
            report_error(report, name, "session: by parameter needs its name");
        else if (!is_plain(session->name))
            report_error(report, name, "session: '%s' cannot be the name of a parameter",
                         session->name);
        break;
    }
    if (site->balance.after_write_ns && session->kind == BALANCE_SESSION_OFF)
        report_error(report, place_of(loader, &site->balance.after_write_ns),
                     "mirrors.after_write: nobody is known again without a session");
}

static void check_policy(struct loader *loader, const struct conf_site *site,
                         const struct conf_group *group)
{
    const struct balance_policy *policy = balance_policy_of(site->balance.policy);
    for (size_t i = 0; !policy->has_weights && i < group->origin_count; i++) {
        const struct conf_origin *origin = &group->origins[i];
        if (origin->weight != BALANCE_WEIGHT_USUAL && origin->weight)
            report_error(&loader->report, place_of(loader, &origin->weight),
                         "weight: policy %s knows no weights; `weighted` does", policy->name);
    }
}

static void check_mark(struct loader *loader, const struct conf_site *site)
{
    const struct balance_mark_settings *mark = &site->balance.mark;
    struct report *report = &loader->report;
    if (!is_token(mark->cookie))
        report_error(report, place_of(loader, &mark->cookie),
                     "session_class: '%s' cannot be the name of a cookie", mark->cookie);
    if (mark->header && !is_token(mark->header))
        report_error(report, place_of(loader, &mark->header),
                     "session_class: '%s' cannot be the name of a field", mark->header);
    if (mark->secret_path)
        return;
    if (mark->header)
        report_error(report, place_of(loader, &mark->header),
                     "session_class: what origins say is told to clients by a signed cookie: give "
                     "session_class.secret");
    for (size_t i = 0; i < site->rule_count; i++)
        if (site->rule_list[i].session_class)
            report_error(report, place_of(loader, &site->rule_list[i].session_class),
                         "rule: sessions are marked by a signed cookie: give '%s' a "
                         "session_class.secret",
                         site->name);
}

static bool is_same_server(const struct conf_origin *a, const struct conf_origin *b)
{
    return a->port == b->port && !a->host == !b->host &&
           (a->host ? strcmp(a->host, b->host) == 0 : address_equal(&a->address, &b->address));
}

static void check_group(struct loader *loader, const struct conf_site *site,
                        const struct conf_group *group)
{
    struct report *report = &loader->report;
    size_t of_role[BALANCE_MIRROR + 1] = {0}, weights = 0;
    for (size_t i = 0; i < group->origin_count; i++) {
        of_role[group->origins[i].role]++;
        weights += group->origins[i].weight;
    }
    for (size_t i = 0; i < group->origin_count; i++) {
        const struct conf_origin *origin = &group->origins[i];
        if (!origin->url)
            continue; /* told */
        for (size_t k = 0; k < i; k++)
            if (group->origins[k].url && is_same_server(origin, &group->origins[k]))
                report_error(report, place_of(loader, origin),
                             "origins: %s is there twice; give it a weight instead", origin->url);
        if (origin->role == BALANCE_MIRROR && !of_role[BALANCE_ORIGINAL])
            report_error(report, place_of(loader, &origin->role),
                         "role: %s mirrors nobody: none of these origins is the original",
                         origin->url);
        if (origin->role == BALANCE_EQUAL && of_role[BALANCE_ORIGINAL])
            report_error(report, place_of(loader, origin),
                         "role: %s is neither original nor mirror, and another one is",
                         origin->url);
        if (origin->role != BALANCE_MIRROR && origin->behind_ns)
            report_error(report, place_of(loader, &origin->behind_ns), "behind: %s is no mirror",
                         origin->url);
    }
    if (group->origin_count && !weights)
        report_warning(report, place_of(loader, group->origins),
                       "all origins of '%s'%s%s have weight 0: nothing new is served", site->name,
                       group->name ? ", group " : "", group->name ? group->name : "");
    check_policy(loader, site, group);
}

void check_balance(struct loader *loader)
{
    const struct conf *conf = loader->conf;
    for (size_t i = 0; i < conf->site_count; i++) {
        const struct conf_site *site = &conf->sites[i];
        struct conf_group group;
        check_session(loader, site);
        check_mark(loader, site);
        if (conf_find_group(site, NULL, &group))
            check_group(loader, site, &group);
        for (size_t k = 0; k < site->group_count; k++)
            check_group(loader, site, &site->groups[k]);
    }
}
