/* SPDX-License-Identifier: Apache-2.0
 *
 * How gateways speak to origins: the files of TLS that this gateway needs, judged while file and line are known, and relations
 * between the settings.
 */
#include "conf/load.h"

#include "crypto/crypto.h"
#include "tls/tls.h"

static const char authorities_preset[] = "/etc/ssl/certs/ca-certificates.crt";
enum { AUTHORITIES_BYTES = 4 * 1024 * 1024 };

static bool has_origin(const struct conf_site *site, bool (*is)(const struct conf_origin *))
{
    for (size_t i = 0; conf_site_origin(site, i); i++)
        if (is(conf_site_origin(site, i)))
            return true;
    return false;
}

static bool is_secure(const struct conf_origin *origin)
{
    return origin->is_tls;
}

static bool has_port(const struct conf_origin *origin)
{
    return !origin->path;
}

/* ---- files */

/* Most sites trust the same ones: their text is kept once. */
static bool find_authorities(const struct conf *conf, const struct conf_site *until,
                             const char *path, struct span *authorities)
{
    for (const struct conf_site *site = conf->sites; site < until; site++)
        if (site->origin.tls.authorities.length &&
            strcmp(site->origin.tls.authorities_path, path) == 0) {
            *authorities = site->origin.tls.authorities;
            return true;
        }
    return false;
}

static void read_authorities(struct loader *loader, struct conf_site *site)
{
    struct conf_origin_tls *tls = &site->origin.tls;
    struct text why = {0};
    if (!tls->authorities_path) {
        tls->authorities_path = authorities_preset;
        place_set(loader, &tls->authorities_path, place_of(loader, site));
    }
    if (find_authorities(loader->conf, site, tls->authorities_path, &tls->authorities))
        return;
    if (read_tls_file(loader, "origin.tls.authorities", &tls->authorities_path, false,
                      AUTHORITIES_BYTES, &tls->authorities) &&
        tls_authorities_check(tls->authorities, &why) < 0)
        report_error(&loader->report, place_of(loader, &tls->authorities_path),
                     "origin.tls.authorities: %s: %s", tls->authorities_path, why.data);
    text_clear(&why);
}

static void read_certificate(struct loader *loader, struct conf_origin_tls *tls)
{
    bool is_read = read_tls_file(loader, "certificate", &tls->certificate_path, false,
                                 TLS_FILE_BYTES, &tls->certificate);
    is_read &= read_tls_file(loader, "key", &tls->key_path, true, TLS_FILE_BYTES, &tls->key);
    if (!is_read)
        return;
    struct tls_certificate *certificate =
        judge_tls_pair(loader, &tls->certificate_path, &tls->key_path, tls->certificate, tls->key);
    tls_certificate_release(&certificate);
}

static bool may_ask(const struct conf_gateway *gateway, const struct conf_site *site)
{
    for (size_t i = 0; i < gateway->allow_count; i++)
        if (gateway->allow[i].site_set[site->index / 64] >> (site->index % 64) & 1)
            return true;
    return false;
}

void read_origin_files(struct loader *loader)
{
    struct conf *conf = loader->conf;
    if (!loader->reader->read_site_key || !conf->self || !conf->self->gateway)
        return;
    for (size_t i = 0; i < conf->site_count; i++) {
        struct conf_site *site = &conf->sites[i];
        struct conf_origin_tls *tls = &site->origin.tls;
        if (!may_ask(conf->self->gateway, site) || !has_origin(site, is_secure))
            continue;
        if (tls->is_verified)
            read_authorities(loader, site);
        if (tls->certificate_path && tls->key_path)
            read_certificate(loader, tls);
    }
}

void wipe_origin_keys(struct conf_site *site)
{
    if (site->origin.tls.key.length)
        bytes_wipe((void *)(uintptr_t)site->origin.tls.key.data, site->origin.tls.key.length);
}

/* ---- relations */

static void check_tls_settings(struct loader *loader, const struct conf_site *site)
{
    const struct conf_origin_tls *tls = &site->origin.tls;
    struct report *report = &loader->report;
    if (tls->name && tls->name[0] == '*')
        report_error(report, place_of(loader, &tls->name),
                     "origin.tls.name: a pattern cannot be asked for");
    if (!tls->is_verified && is_set(loader, &tls->authorities_path))
        report_error(report, place_of(loader, &tls->authorities_path),
                     "origin.tls.authorities: with verify: false nobody asks them");
    if (!tls->certificate_path != !tls->key_path)
        report_error(report,
                     place_of(loader, tls->key_path ? &tls->key_path : &tls->certificate_path),
                     "origin.tls: a certificate needs its key, and a key its certificate");
    const void *members[] = {&tls->name, &tls->is_verified, &tls->authorities_path,
                             &tls->certificate_path, &tls->profile};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (is_set(loader, members[i]) && !has_origin(site, is_secure)) {
            report_warning(report, place_of(loader, members[i]),
                           "origin.tls: no origin of '%s' has a URL that begins with https://",
                           site->name);
            break;
        }
}

/* A port that is passed through goes to the same one of an origin. */
static void check_ports(struct loader *loader, const struct conf_node *node)
{
    for (size_t i = 0; node->edge && i < node->edge->port_count; i++) {
        const struct conf_port *port = &node->edge->ports[i];
        if (port->site->origin_count && !has_origin(port->site, has_port))
            report_error(&loader->report, place_of(loader, &port->site),
                         "ports: the origins of '%s' are Unix sockets, which have no ports",
                         port->site->name);
    }
}

void check_origin_settings(struct loader *loader)
{
    struct conf *conf = loader->conf;
    for (size_t i = 0; i < conf->site_count; i++)
        check_tls_settings(loader, &conf->sites[i]);
    for (size_t i = 0; i < conf->node_count; i++)
        check_ports(loader, &conf->nodes[i]);
}
