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
