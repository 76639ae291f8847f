/* SPDX-License-Identifier: Apache-2.0
 *
 * Host names to sites: one probe for an exact name, one for each label behind which a pattern may begin.
 */
#include "base/hash.h"
#include "base/memory.h"
#include "redirect/private.h"

static struct redirect_host *probe(const struct redirect_hosts *hosts, struct span name)
{
    uint32_t at = (uint32_t)hash_span(name, hosts->seed) & hosts->mask;
    while (hosts->slots[at].name &&
           !span_equal(span_of(hosts->slots[at].name, hosts->slots[at].length), name))
        at = (at + 1) & hosts->mask;
    return &hosts->slots[at];
}

static void put(struct redirect_hosts *hosts, const struct conf_texts *names, uint32_t site,
                struct arena *arena)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->items[i];
        struct span key = span_text(name[0] == '*' ? name + 1 : name);
        struct redirect_host *slot = probe(hosts, key);
        *slot = (struct redirect_host){(const char *)arena_copy(arena, key).data,
                                       (uint32_t)key.length, site};
    }
}

void redirect_hosts_init(struct redirect_hosts *hosts, const struct conf *conf, struct arena *arena,
                         uint64_t seed)
{
    size_t count = 0;
    for (size_t i = 0; i < conf->site_count; i++)
        count += conf->sites[i].hosts.count + conf->sites[i].redirect.hosts.count;
    hosts->seed = seed;
    hosts->mask = 15;
    while (hosts->mask < count * 2)
        hosts->mask = hosts->mask * 2 + 1;
    hosts->slots = memory_new(((size_t)hosts->mask + 1) * sizeof *hosts->slots);
    for (size_t i = 0; i < conf->site_count; i++) {
        put(hosts, &conf->sites[i].hosts, (uint32_t)i, arena);
        put(hosts, &conf->sites[i].redirect.hosts, (uint32_t)i, arena);
    }
}

void redirect_hosts_clear(struct redirect_hosts *hosts)
{
    memory_free(hosts->slots);
}

uint32_t redirect_hosts_find(const struct redirect_hosts *hosts, struct span host)
{
    const struct redirect_host *found = probe(hosts, host);
    for (size_t dot = 0; !found->name && dot < host.length; dot++) {
        dot += span_find(span_from(host, dot), '.');
        if (dot < host.length)
            found = probe(hosts, span_from(host, dot));
    }
    return found->name ? found->site : UINT32_MAX;
}
