/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of this node's DNS server, which its process alone gets: the secrets of its cookies, its certificate and key.
 */
#include "conf/load.h"

#include "crypto/crypto.h"

enum { PEM_FILE_BYTES = 65536, SECRETS_FILE_BYTES = 4096 };

/* False: told. */
static bool read_file(struct loader *loader, const char *setting, const char *const *path,
                      bool is_secret, size_t limit, struct text *content)
{
    const struct conf_reader *reader = loader->reader;
    struct text why = {0};
    content->limit = limit;
    int result = is_secret ? reader->read_zone_key(reader->argument, *path, true, content, &why)
                           : reader->read(reader->argument, *path, false, content, &why);
    if (result < 0)
        report_error(&loader->report, place_of(loader, path), "%s: %s: %s", setting, *path,
                     why.data ? why.data : "it cannot be read");
    text_clear(&why);
    return result == 0;
}

static void forget(struct text *content)
{
    if (content->data)
        bytes_wipe(content->data, content->capacity);
    text_clear(content);
}

static bool parse_secret(struct span text, uint8_t out[CONF_COOKIE_SECRET_BYTES])
{
    if (text.length != 2 * CONF_COOKIE_SECRET_BYTES)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *digit = strchr(digits, ascii_lower(text.data[i]));
        if (!digit || !*digit)
            return false;
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | (digit - digits));
    }
    return true;
}

/* NULL, or a sentence with the line. */
static const char *parse_secrets(struct loader *loader, struct span text, struct conf_dns *dns)
{
    for (unsigned line = 1; text.length; line++) {
        size_t end = span_find(text, '\n');
        struct span row = span_of(text.data, end);
        text = span_from(text, end + 1);
        if (row.length && row.data[row.length - 1] == '\r')
            row.length--;
        row = span_trim(row);
        if (!row.length || row.data[0] == '#')
            continue;
        if (dns->cookie_secret_count == CONF_COOKIE_SECRETS)
            return arena_format(&loader->scratch, "line %u: more than %d secrets", line,
                                CONF_COOKIE_SECRETS);
        if (!parse_secret(row, dns->cookie_secrets[dns->cookie_secret_count++]))
            return arena_format(&loader->scratch, "line %u: not 32 hexadecimal digits", line);
    }
    return dns->cookie_secret_count ? NULL : "it holds no secret";
}

static void read_secrets(struct loader *loader, struct conf_dns *dns)
{
    struct text content = {0};
    if (read_file(loader, "secrets", &dns->cookie_secrets_path, true, SECRETS_FILE_BYTES,
                  &content)) {
        const char *error = parse_secrets(loader, text_span(&content), dns);
        if (error)
            report_error(&loader->report, place_of(loader, &dns->cookie_secrets_path),
                         "secrets: %s: %s", dns->cookie_secrets_path, error);
    }
    forget(&content);
}

static void read_pem(struct loader *loader, const char *setting, const char *const *path,
                     bool is_secret, struct span *out)
{
    struct text content = {0};
    if (read_file(loader, setting, path, is_secret, PEM_FILE_BYTES, &content))
        *out = arena_copy(&loader->conf->arena, text_span(&content));
    forget(&content);
}

void read_dns_files(struct loader *loader, struct conf_dns *dns)
{
    if (!loader->reader->read_zone_key)
        return;
    if (dns->cookie_secrets_path)
        read_secrets(loader, dns);
    if (!dns->tls)
        return;
    if (dns->tls->certificate_path)
        read_pem(loader, "certificate", &dns->tls->certificate_path, false, &dns->tls->certificate);
    if (dns->tls->private_key_path)
        read_pem(loader, "private_key", &dns->tls->private_key_path, true, &dns->tls->private_key);
}
