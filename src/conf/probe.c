/* SPDX-License-Identifier: Apache-2.0
 *
 * Health checks and probes: what they take from other settings, the files that they name, and relations between their settings.
 */
#include "conf/load.h"

static const char authorities_preset[] = "/etc/ssl/certs/ca-certificates.crt";
enum { AUTHORITIES_BYTES = 4 * 1024 * 1024 };

/* ---- what they take from other settings */

void derive_probes(struct loader *loader)
{
    struct conf *conf = loader->conf;
    for (size_t i = 0; i < conf->site_count; i++) {
        struct conf_site *site = &conf->sites[i];
        if (site->health)
            /* which is no first member: the place of that is the section's */
            site->origin.are_checked_alike = !is_set(loader, &site->health->kind);
        if (!site->health || site->health->host)
            continue;
        site->health->host = site->origin_host;
        for (size_t k = 0; !site->health->host && k < site->hosts.count; k++)
            if (site->hosts.items[k][0] != '*')
                site->health->host = site->hosts.items[k];
    }
}

/* ---- files */

static bool read_file(struct loader *loader, const char *name, const void *member, const char *path,
                      size_t limit, struct text *content)
{
    struct text why = {0};
    content->limit = limit;
    int result = loader->reader->read(loader->reader->argument, path, false, content, &why);
    if (result < 0)
        report_error(&loader->report, place_of(loader, member), "%s: %s: %s", name, path,
                     why.data ? why.data : "it cannot be read");
    text_clear(&why);
    return result == 0;
}

static void read_authorities(struct loader *loader, struct conf_health *health)
{
    if (!health || health->kind != CONF_HEALTH_HTTPS ||
        health->certificate != CONF_CERTIFICATE_FULL)
        return;
    struct text content = {0};
    if (!health->authorities_path)
        health->authorities_path = authorities_preset;
    const void *member = is_set(loader, &health->authorities_path) ? &health->authorities_path
                                                                   : (const void *)&health->kind;
    if (read_file(loader, "authorities", member, health->authorities_path, AUTHORITIES_BYTES,
                  &content))
        health->authorities = arena_copy(&loader->conf->arena, text_span(&content));
    text_clear(&content);
}

/* One line of the opt-out list. */
static void read_network(struct loader *loader, struct conf_probe *probe, struct span line,
                         unsigned number)
{
    line = span_trim(span_of(line.data, span_find(line, '#')));
    while (line.length && strchr("\r\t ", line.data[line.length - 1]))
        line.length--;
    if (!line.length)
        return;
    if (network_parse(line, &probe->opt_out.items[probe->opt_out.count]) == 0)
        probe->opt_out.count++;
    else
        report_error(&loader->report, place_of(loader, &probe->opt_out_path),
                     "opt_out: %s:%u: %s is not a network like 192.0.2.0/24 or 2001:db8::/32 with "
                     "zero bits behind its prefix",
                     probe->opt_out_path, number, report_quote(&loader->report, line));
}

static void read_opt_out(struct loader *loader, struct conf_probe *probe)
{
    struct text content = {0};
    if (!read_file(loader, "opt_out", &probe->opt_out_path, probe->opt_out_path, CONF_FILE_BYTES,
                   &content))
        return;
    struct span rest = text_span(&content);
    size_t lines = 1;
    for (size_t i = 0; i < rest.length; i++)
        lines += rest.data[i] == '\n';
    probe->opt_out.items = ARENA_ARRAY(&loader->conf->arena, struct network, lines);
    for (unsigned number = 1; rest.length; number++) {
        size_t end = span_find(rest, '\n');
        read_network(loader, probe, span_of(rest.data, end), number);
        rest = span_from(rest, end < rest.length ? end + 1 : end);
    }
    text_clear(&content);
}

void read_probe_files(struct loader *loader)
{
    struct conf *conf = loader->conf;
    read_authorities(loader, conf->health);
    for (size_t i = 0; i < conf->site_count; i++)
        read_authorities(loader, conf->sites[i].health);
    if (conf->probe && conf->probe->opt_out_path)
        read_opt_out(loader, conf->probe);
}

/* ---- relations */

static void check_one(struct loader *loader, const struct conf_health *health)
{
    struct report *report = &loader->report;
    bool is_http = health->kind == CONF_HEALTH_HTTP || health->kind == CONF_HEALTH_HTTPS;
    if (health->path[0] != '/')
        report_error(report, place_of(loader, &health->path),
                     "health: the path must begin with a slash");
    if (health->host && health->host[0] == '*')
        report_error(report, place_of(loader, &health->host),
                     "health: a Host field cannot be a pattern");
    if (health->status[0] > health->status[1])
        report_error(report, place_of(loader, &health->status[0]),
                     "health: the least status is above the greatest");
    if (health->body && !is_http)
        report_error(report, place_of(loader, &health->body),
                     "health: only the answers of kind http and https have a body");
    if (health->kind == CONF_HEALTH_DNS && !health->name)
        report_error(report, place_of(loader, &health->kind),
                     "health: kind dns needs the name that is asked for");
}

void check_health(struct loader *loader)
{
    struct conf *conf = loader->conf;
    if (conf->health) {
        check_one(loader, conf->health);
        if (conf->health->quorum > conf->health->vantages + 1)
            report_warning(&loader->report, place_of(loader, &conf->health->quorum),
                           "health: quorum %u is more than one DNS node and %u edges: with fewer "
                           "vantage points all of them must agree",
                           conf->health->quorum, conf->health->vantages);
    }
    for (size_t i = 0; i < conf->site_count; i++)
        if (conf->sites[i].health)
            check_one(loader, conf->sites[i].health);
}

void check_probe(struct loader *loader)
{
    const struct conf_probe *probe = loader->conf->probe;
    if (probe && probe->refresh_ns < probe->interval_ns)
        report_error(&loader->report, place_or(loader, &probe->refresh_ns, &probe->interval_ns),
                     "probe: refresh is shorter than interval");
    if (probe && !probe->opt_out_path)
        report_warning(&loader->report, place_of(loader, &loader->conf->probe),
                       "probe: there is no opt_out list of networks that are to be left alone");
}
