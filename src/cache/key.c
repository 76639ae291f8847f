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

int cache_url_read(struct cache_url *url, struct arena *arena, struct span text)
{
    size_t end = 0;
    text = span_of(text.data, span_find(text, '#'));
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
            return ERROR_INVALID;
    if (!take_scheme(&text, &url->is_https))
        return ERROR_INVALID;
    while (end < text.length && text.data[end] != '/' && text.data[end] != '?')
        end++;
    if (http_host_parse(span_of(text.data, end), arena, &url->host, &url->port) < 0)
        return ERROR_INVALID;
    url->target = span_from(text, end);
    if (url->target.length && url->target.data[0] == '/')
        return 0;
    uint8_t *target = arena_take(arena, url->target.length + 1);
    target[0] = '/';
    memcpy(target + 1, url->target.data, url->target.length);
    url->target = span_of(target, url->target.length + 1);
    return 0;
}
