/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates and keys of the sites that this edge serves over TLS: read, and judged while the file and line are known, so that a
 * reload with a bad one keeps the old state. Then relations between the settings of TLS.
 */
#include "conf/load.h"

#include "crypto/crypto.h"
#include "tls/tls.h"

#include <time.h>

enum { OCSP_FILE_BYTES = 65536, DAY_S = 86400, WARN_DAYS = 14 };

/* ---- files */

bool read_tls_file(struct loader *loader, const char *setting, const char *const *path,
                   bool is_secret, size_t limit, struct span *out)
{
    const struct conf_reader *reader = loader->reader;
    struct text content = {.limit = limit}, why = {0};
    int result = is_secret ? reader->read_site_key(reader->argument, *path, true, &content, &why)
                           : reader->read(reader->argument, *path, false, &content, &why);
    if (result < 0)
        report_error(&loader->report, place_of(loader, path), "%s: %s: %s", setting, *path,
                     why.data ? why.data : "it cannot be read");
    else
        *out = arena_copy(&loader->conf->arena, text_span(&content));
    if (content.data)
        bytes_wipe(content.data, content.capacity);
    text_clear(&content);
    text_clear(&why);
    return result == 0;
}

static const char *date_of(uint64_t seconds, char out[sizeof "0000-00-00"])
{
    time_t at = (time_t)seconds;
    struct tm broken;
    gmtime_r(&at, &broken);
    strftime(out, sizeof "0000-00-00", "%F", &broken);
    return out;
}

static void check_dates(struct loader *loader, const char *const *path,
                        const struct tls_certificate *certificate)
{
    uint64_t now_s = loader->reader->now_s, ends_s = tls_certificate_ends_s(certificate);
    uint64_t begins_s = tls_certificate_begins_s(certificate);
    struct place place = place_of(loader, path);
    char date[sizeof "0000-00-00"];
    if (!now_s)
        return;
    if (now_s >= ends_s && loader->reader->takes_expired)
        report_warning(&loader->report, place, "certificate: %s: it expired on %s", *path,
                       date_of(ends_s, date));
    else if (now_s >= ends_s)
        report_error(&loader->report, place, "certificate: %s: it expired on %s", *path,
                     date_of(ends_s, date));
    else if (now_s < begins_s)
        report_error(&loader->report, place, "certificate: %s: it is not valid before %s", *path,
                     date_of(begins_s, date));
    else if (ends_s - now_s < WARN_DAYS * DAY_S)
        report_warning(&loader->report, place, "certificate: %s: it expires on %s", *path,
                       date_of(ends_s, date));
}

static void check_staple(struct loader *loader, const struct conf_site_certificate *row,
                         struct tls_certificate *certificate)
{
    struct text why = {0};
    struct place place = place_of(loader, &row->ocsp_path);
    int result = tls_certificate_staple(certificate, row->ocsp, loader->reader->now_s, &why);
    if (result == ERROR_TIMEOUT)
        report_warning(&loader->report, place, "ocsp: %s: %s", row->ocsp_path, why.data);
    else if (result < 0)
        report_error(&loader->report, place, "ocsp: %s: %s", row->ocsp_path, why.data);
    text_clear(&why);
}

struct tls_certificate *judge_tls_pair(struct loader *loader, const char *const *certificate_path,
                                       const char *const *key_path, struct span chain,
                                       struct span key)
{
    struct text why = {0};
    struct tls_certificate *certificate = tls_certificate_read(chain, key, &why);
    if (certificate) {
        check_dates(loader, certificate_path, certificate);
    } else {
        bool is_key = span_starts(text_span(&why), SPAN("key: "));
        const char *const *path = is_key ? key_path : certificate_path;
        const char *colon = strstr(why.data, ": ");
        report_error(&loader->report, place_of(loader, path), "%s: %s: %s",
                     is_key ? "key" : "certificate", *path, colon ? colon + 2 : why.data);
    }
    text_clear(&why);
    return certificate;
}

/* NULL: told, or nothing was read. */
static struct tls_certificate *read_certificate(struct loader *loader,
                                                struct conf_site_certificate *row)
{
    bool is_read = read_tls_file(loader, "certificate", &row->certificate_path, false,
                                 TLS_FILE_BYTES, &row->certificate);
    is_read &= read_tls_file(loader, "key", &row->key_path, true, TLS_FILE_BYTES, &row->key);
    if (row->ocsp_path)
        is_read &=
            read_tls_file(loader, "ocsp", &row->ocsp_path, false, OCSP_FILE_BYTES, &row->ocsp);
    if (!is_read)
        return NULL;
    struct tls_certificate *certificate =
        judge_tls_pair(loader, &row->certificate_path, &row->key_path, row->certificate, row->key);
    if (certificate && row->ocsp_path)
        check_staple(loader, row, certificate);
    return certificate;
}

static void read_authorities(struct loader *loader, struct conf_site_tls *tls)
{
    struct text why = {0};
    if (read_tls_file(loader, "authorities", &tls->authorities_path, false, TLS_FILE_BYTES,
                      &tls->authorities) &&
        tls_authorities_check(tls->authorities, &why) < 0)
        report_error(&loader->report, place_of(loader, &tls->authorities_path),
                     "authorities: %s: %s", tls->authorities_path, why.data);
    text_clear(&why);
}

static void warn_of_hosts(struct loader *loader, const struct conf_site *site, const bool *covered)
{
    for (size_t i = 0; i < site->hosts.count; i++)
        if (!covered[i])
            report_warning(&loader->report, place_of(loader, &site->hosts.items[i]),
                           "no certificate of '%s' has the name '%s': over TLS it is refused (421)",
                           site->name, site->hosts.items[i]);
}

static void read_site(struct loader *loader, const struct conf_site *site)
{
    struct conf_site_tls *tls = site->tls;
    bool *covered = ARENA_ARRAY(&loader->scratch, bool, site->hosts.count + 1);
    size_t read = 0;
    for (size_t i = 0; i < tls->certificate_count; i++) {
        struct tls_certificate *certificate = read_certificate(loader, &tls->certificates[i]);
        if (!certificate)
            continue;
        read++;
        for (size_t k = 0; k < site->hosts.count; k++)
            covered[k] |= tls_certificate_covers(certificate, span_text(site->hosts.items[k]));
        tls_certificate_release(&certificate);
    }
    if (tls->certificate_count && read == tls->certificate_count)
        warn_of_hosts(loader, site, covered);
    if (tls->authorities_path)
        read_authorities(loader, tls);
}

static bool is_served_by(const struct conf_site *site, const struct conf_node *edge)
{
    for (size_t i = 0; i < site->edge_count; i++)
        if (site->edges[i] == edge)
            return true;
    return false;
}

void read_tls_files(struct loader *loader)
{
    struct conf *conf = loader->conf;
    if (!loader->reader->read_site_key || !conf->self || !conf->self->edge ||
        !conf->self->edge->tls)
        return;
    for (size_t i = 0; i < conf->site_count; i++)
        if (conf->sites[i].tls && is_served_by(&conf->sites[i], conf->self)) {
            if (conf->sites[i].tls->acme)
                read_acme_site(loader, &conf->sites[i]);
            else
                read_site(loader, &conf->sites[i]);
        }
}

void wipe_tls_keys(struct conf_site *site)
{
    for (size_t i = 0; site->tls && i < site->tls->certificate_count; i++)
        if (site->tls->certificates[i].key.length)
            bytes_wipe((void *)(uintptr_t)site->tls->certificates[i].key.data,
                       site->tls->certificates[i].key.length);
    if (site->tls && site->tls->acme)
        wipe_acme_keys(site->tls->acme);
}

/* ---- relations */

static bool has_certificate(const struct conf_site *site)
{
    return site->tls && (site->tls->certificate_count || site->tls->is_self_signed);
}

static void check_site(struct loader *loader, const struct conf_site *site)
{
    const struct conf_site_tls *tls = site->tls;
    struct report *report = &loader->report;
    struct place place = place_of(loader, &site->tls);
    int ways =
        tls->passes_through + (tls->acme ? 1 : (tls->certificate_count != 0) + tls->is_self_signed);
    if (!ways)
        report_error(report, place,
                     "tls: '%s' needs certificates, acme, self_signed: true, or passthrough: true",
                     site->name);
    else if (ways > 1)
        report_error(
            report, place,
            "tls: only one of certificates, acme, self_signed and passthrough can be for '%s'",
            site->name);
    if (tls->acme)
        check_acme(loader, site);
    if (tls->client != CONF_TLS_CLIENT_OFF && !tls->authorities_path)
        report_error(report, place_of(loader, &tls->client),
                     "client_certificates: needs authorities, which vouch for them");
    if (tls->client != CONF_TLS_CLIENT_OFF && tls->passes_through)
        report_error(report, place_of(loader, &tls->client),
                     "client_certificates: with passthrough the origin asks for them");
}

static bool can_pass_through(const struct conf_node *edge, const struct conf_site *site)
{
    for (size_t i = 0; i < edge->edge->gateway_count; i++) {
        const struct conf_gateway *gateway = edge->edge->gateways[i]->gateway;
        if (gateway && conf_allows(gateway, edge, site, site->tls->origin_port))
            return true;
    }
    return false;
}

static void check_edge(struct loader *loader, const struct conf_node *node)
{
    const struct conf_edge_tls *tls = node->edge->tls;
    bool has_any = false;
    for (size_t i = 0; i < loader->conf->site_count; i++) {
        const struct conf_site *site = &loader->conf->sites[i];
        if (!site->tls || !is_served_by(site, node))
            continue;
        has_any = true;
        if (site->tls->passes_through && !can_pass_through(node, site))
            report_warning(&loader->report, place_of(loader, &site->tls),
                           "passthrough: no gateway of '%s' allows port %u of '%s'", node->name,
                           site->tls->origin_port, site->name);
    }
    if (!has_any)
        report_warning(&loader->report, place_of(loader, &node->edge->tls),
                       "tls: no site that '%s' serves has settings for TLS: every handshake fails",
                       node->name);
    if (tls->default_site &&
        (!has_certificate(tls->default_site) || !is_served_by(tls->default_site, node)))
        report_error(&loader->report, place_of(loader, &tls->default_site),
                     "default_site: '%s' has no certificate here", tls->default_site->name);
}

void check_tls(struct loader *loader)
{
    struct conf *conf = loader->conf;
    for (size_t i = 0; i < conf->site_count; i++)
        if (conf->sites[i].tls)
            check_site(loader, &conf->sites[i]);
    for (size_t i = 0; i < conf->node_count; i++)
        if (conf->nodes[i].edge && conf->nodes[i].edge->tls)
            check_edge(loader, &conf->nodes[i]);
}
