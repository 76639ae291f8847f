/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates that ACME brings (docs/acme.md): who orders, what lies in the node's folder already, the secrets of the process that
 * orders, relations. What is in the folder is the program's own: it never keeps a node from starting.
 */
#include "conf/load.h"

#include "crypto/crypto.h"
#include "tls/tls.h"

enum { PEM_FILE_BYTES = 1 << 20, SECRET_FILE_BYTES = 4096, NAMES_LIMIT = 100 };

typedef int read_function(void *argument, const char *path, bool is_secret, struct text *content,
                          struct text *why);

/* ---- who takes part */

static void take_part(struct loader *loader, const struct conf_node *node)
{
    if (node)
        loader->conf->nodes[node->index].has_acme = true;
}

void derive_acme(struct loader *loader)
{
    for (size_t i = 0; i < loader->conf->site_count; i++) {
        const struct conf_site *site = &loader->conf->sites[i];
        struct conf_acme *acme = site->tls ? site->tls->acme : NULL;
        if (!acme)
            continue;
        if (site->tls->certificate_count || site->tls->is_self_signed)
            report_error(&loader->report, place_of(loader, &site->tls->acme),
                         "acme: '%s' cannot have certificates or self_signed: true as well",
                         site->name);
        if (!acme->node && site->edge_count)
            acme->node = site->edges[0];
        if (!acme->names.count)
            acme->names = site->hosts;
        take_part(loader, acme->node);
        for (size_t k = 0; k < site->edge_count; k++)
            take_part(loader, site->edges[k]);
    }
}

/* ---- what is in the folder */

static bool takes_part(const struct conf_site *site, const struct conf_node *node)
{
    bool is_edge = false;
    for (size_t i = 0; i < site->edge_count; i++)
        is_edge |= site->edges[i] == node;
    return is_edge || site->tls->acme->node == node;
}

/* Empty: it is not there, or cannot be read. */
static struct span read_own(struct loader *loader, read_function *read,
                            const struct conf_site *site, const char *suffix, bool is_secret)
{
    struct text content = {.limit = PEM_FILE_BYTES}, why = {0};
    struct span out = {0};
    const char *path = arena_format(&loader->scratch, "%s/acme-%s.%s",
                                    loader->conf->self->acme_folder, site->name, suffix);
    int result = read(loader->reader->argument, path, is_secret, &content, &why);
    if (result == 0)
        out = arena_copy(&loader->conf->arena, text_span(&content));
    else if (result != ERROR_NOT_FOUND)
        report_warning(&loader->report, place_of(loader, &site->tls->acme), "acme: %s: %s", path,
                       why.data ? why.data : "it cannot be read");
    if (content.data)
        bytes_wipe(content.data, content.capacity);
    text_clear(&content);
    text_clear(&why);
    return out;
}

/* Renewal is due when a third of its life is left; half of that time has passed in vain. */
static void take_life(struct loader *loader, const struct conf_site *site,
                      const struct tls_certificate *certificate)
{
    uint64_t now_s = loader->reader->now_s, ends_s = tls_certificate_ends_s(certificate);
    uint64_t life_s = ends_s - tls_certificate_begins_s(certificate);
    struct place place = place_of(loader, &site->tls->acme);
    site->tls->acme->begins_s = ends_s - life_s;
    site->tls->acme->ends_s = ends_s;
    if (now_s && now_s >= ends_s)
        report_warning(&loader->report, place,
                       "acme: the certificate of '%s' has expired, and no other came: causeway "
                       "status tells why",
                       site->name);
    else if (now_s && ends_s - now_s < life_s / 6)
        report_warning(&loader->report, place,
                       "acme: the certificate of '%s' ends in %llu hours, and no other came: "
                       "causeway status tells why",
                       site->name, (unsigned long long)((ends_s - now_s) / 3600));
}

/* The certificate as one of the site's; without one the site has one that nobody vouches for. */
void read_acme_site(struct loader *loader, struct conf_site *site)
{
    struct conf_site_tls *tls = site->tls;
    struct text why = {0};
    struct span pem = read_own(loader, loader->reader->read_site_key, site, "pem", true);
    struct tls_certificate *certificate = pem.length ? tls_certificate_read(pem, pem, &why) : NULL;
    if (why.length)
        report_warning(&loader->report, place_of(loader, &tls->acme), "acme: acme-%s.pem: %s",
                       site->name, why.data);
    tls->is_self_signed = certificate == NULL;
    if (certificate) {
        take_life(loader, site, certificate);
        tls->certificates = ARENA_NEW(&loader->conf->arena, struct conf_site_certificate);
        tls->certificates->certificate = tls->certificates->key = pem;
        tls->certificate_count = 1;
    }
    tls_certificate_release(&certificate);
    text_clear(&why);
}

/* ---- files that the settings name */

static void read_named(struct loader *loader, read_function *read, const char *setting,
                       const char *const *path, bool is_secret, struct span *out)
{
    struct text content = {.limit = is_secret ? SECRET_FILE_BYTES : PEM_FILE_BYTES}, why = {0};
    if (!*path || !read)
        return;
    if (read(loader->reader->argument, *path, is_secret, &content, &why) < 0)
        report_error(&loader->report, place_of(loader, path), "%s: %s: %s", setting, *path,
                     why.data ? why.data : "it cannot be read");
    else
        *out = arena_copy(&loader->conf->arena, text_span(&content));
    if (content.data)
        bytes_wipe(content.data, content.capacity);
    text_clear(&content);
    text_clear(&why);
}

static struct span without_newline(struct span text)
{
    while (text.length && strchr("\r\n \t", text.data[text.length - 1]))
        text.length--;
    return text;
}

static void read_secrets(struct loader *loader, struct conf_acme *acme)
{
    read_function *read = loader->reader->read_order_key;
    struct key secret;
    struct span text = {0};
    read_named(loader, read, "secret", &acme->secret_path, true, &text);
    if (text.length && key_parse(without_newline(text), &secret) < 0)
        report_error(&loader->report, place_of(loader, &acme->secret_path),
                     "secret: %s: not 32 bytes in base64, as `openssl rand -base64 32` prints them",
                     acme->secret_path);
    else if (text.length)
        acme->secret = arena_copy(&loader->conf->arena, span_of(secret.bytes, KEY_BYTES));
    bytes_wipe(&secret, sizeof secret);
    if (text.length)
        bytes_wipe((void *)(uintptr_t)text.data, text.length);
    read_named(loader, read, "binding.key", &acme->binding_path, true, &acme->binding);
    acme->binding = without_newline(acme->binding);
}

static void read_authorities(struct loader *loader, struct conf_acme *acme)
{
    struct text why = {0};
    read_named(loader, loader->reader->read, "authorities", &acme->authorities_path, false,
               &acme->authorities);
    if (acme->authorities.length && tls_authorities_check(acme->authorities, &why) < 0)
        report_error(&loader->report, place_of(loader, &acme->authorities_path),
                     "authorities: %s: %s", acme->authorities_path, why.data);
    text_clear(&why);
}

void read_acme_files(struct loader *loader)
{
    const struct conf_node *self = loader->conf->self;
    for (size_t i = 0; i < loader->conf->site_count; i++) {
        const struct conf_site *site = &loader->conf->sites[i];
        struct conf_acme *acme = site->tls ? site->tls->acme : NULL;
        if (!acme || (self && !takes_part(site, self)))
            continue;
        read_authorities(loader, acme);
        read_secrets(loader, acme);
        if (!self || !self->edge)
            continue;
        acme->share = read_own(loader, loader->reader->read, site, "share", false);
        acme->thumbprint = read_own(loader, loader->reader->read, site, "thumbprint", false);
        if (acme->thumbprint.length != CONF_ACME_THUMBPRINT_BYTES)
            acme->thumbprint.length = 0;
    }
}

static void wipe(struct span secret)
{
    if (secret.length)
        bytes_wipe((void *)(uintptr_t)secret.data, secret.length);
}

void wipe_acme_keys(struct conf_acme *acme)
{
    wipe(acme->secret);
    wipe(acme->binding);
}

/* ---- relations */

static bool is_in_our_zones(const struct conf *conf, const char *host)
{
    size_t length = strlen(host);
    for (size_t i = 0; i < conf->zone_count; i++) {
        struct span zone = span_text(conf->zones[i].name);
        zone.length--; /* its final dot */
        if (length >= zone.length &&
            span_equal(span_of(host + length - zone.length, zone.length), zone) &&
            (length == zone.length || host[length - zone.length - 1] == '.'))
            return true;
    }
    return false;
}

static void check_names(struct loader *loader, const struct conf_site *site)
{
    const struct conf_acme *acme = site->tls->acme;
    struct report *report = &loader->report;
    struct place place = place_or(loader, &acme->names, &site->tls->acme);
    if (acme->names.count > NAMES_LIMIT)
        report_error(report, place, "acme: more than %d names for one certificate", NAMES_LIMIT);
    for (size_t i = 0; i < acme->names.count; i++) {
        const char *name = acme->names.items[i];
        if (name[0] == '*' && acme->challenge == CONF_ACME_HTTP)
            report_error(report, place, "acme: '%s' can only be proved with challenge: dns", name);
        if (acme->challenge == CONF_ACME_DNS && !acme->zone && !is_in_our_zones(loader->conf, name))
            report_error(report, place,
                         "acme: '%s' lies in none of our zones: give acme.zone, and an alias "
                         "there (docs/acme.md)",
                         name);
    }
}

static void check_edges(struct loader *loader, const struct conf_site *site)
{
    const struct conf_acme *acme = site->tls->acme;
    bool is_alone = site->edge_count == 1 && site->edges[0] == acme->node;
    if (!is_alone && !acme->secret_path)
        report_warning(&loader->report, place_of(loader, &site->tls->acme),
                       "acme: other edges of '%s' than '%s' get no certificate: give acme.secret",
                       site->name, acme->node ? acme->node->name : "?");
    if (acme->secret_path && acme->key == CONF_ACME_RSA)
        report_error(&loader->report, place_of(loader, &acme->key),
                     "acme: keys that edges derive from a secret are ECDSA");
}

void check_acme(struct loader *loader, const struct conf_site *site)
{
    const struct conf_acme *acme = site->tls->acme;
    struct report *report = &loader->report;
    struct place place = place_of(loader, &site->tls->acme);
    if (acme->directory && strncmp(acme->directory, "https://", 8) != 0)
        report_error(report, place_of(loader, &acme->directory),
                     "acme: the directory's URL must begin with https://");
    if (!acme->agrees)
        report_error(report, place,
                     "acme: agree_terms: true is needed: the authority takes nobody else");
    if (!acme->node)
        report_error(report, place, "acme: '%s' has no edge that could order", site->name);
    for (size_t i = 0; i < acme->contacts.count; i++)
        if (!strchr(acme->contacts.items[i], '@') || strpbrk(acme->contacts.items[i], " ,?<>"))
            report_error(report, place_of(loader, &acme->contacts.items[i]),
                         "acme: '%s' is no mail address", acme->contacts.items[i]);
    if (!acme->binding_id != !acme->binding_path)
        report_error(report, place, "acme: a binding needs both id and key");
    check_names(loader, site);
    if (acme->node)
        check_edges(loader, site);
}
