/* SPDX-License-Identifier: Apache-2.0
 *
 * What a response is stored under. The key is text, compared byte for byte: a hash alone could be made to collide by whoever
 * chooses the path. It reads like a URL behind the site's name, so that a purge by prefix is a prefix of keys.
 */
#include "cache/cache.h"

int cache_key_make(struct text *key, struct span site, bool is_https, struct span host,
                   uint16_t port, struct span target)
{
    const size_t most = CACHE_KEY_MOST;
    if (!host.length || !target.length || target.data[0] != '/')
        return ERROR_INVALID;
    if (site.length + host.length + target.length + sizeof " https://:65535" > most)
        return ERROR_LIMIT;
    text_add_span(key, site);
    text_add(key, is_https ? " https://" : " http://");
    text_add_span(key, host);
    if (port && port != (is_https ? 443 : 80))
        text_add_format(key, ":%u", port);
    text_add_span(key, target);
    return 0;
}

/* The scheme off the front of a URL. */
static bool take_scheme(struct span *url, bool *is_https)
{
    static const struct span schemes[] = {{(const uint8_t *)"http://", 7},
                                          {(const uint8_t *)"https://", 8}};
    for (size_t i = 0; i < 2; i++)
        if (url->length >= schemes[i].length &&
            span_equal_nocase(span_of(url->data, schemes[i].length), schemes[i])) {
            *url = span_from(*url, schemes[i].length);
            *is_https = i == 1;
            return true;
        }
    return false;
}

int cache_key_of_url(struct text *key, struct span site, struct span url)
{
    struct arena arena = {0};
    struct text target = {0};
    struct span host;
    uint16_t port = 0;
    bool is_https;
    size_t end = 0;
    url = span_of(url.data, span_find(url, '#'));
    for (size_t i = 0; i < url.length; i++)
        if (url.data[i] <= ' ' || url.data[i] == 0x7f)
            return ERROR_INVALID;
    if (!take_scheme(&url, &is_https))
        return ERROR_INVALID;
    while (end < url.length && url.data[end] != '/' && url.data[end] != '?')
        end++;
    int result = http_host_parse(span_of(url.data, end), &arena, &host, &port);
    url = span_from(url, end);
    if (!url.length || url.data[0] == '?')
        text_add(&target, "/");
    text_add_span(&target, url);
    if (!result)
        result = cache_key_make(key, site, is_https, host, port, text_span(&target));
    text_clear(&target);
    arena_clear(&arena);
    return result < 0 ? result : 0;
}
