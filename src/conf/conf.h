/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration: one YAML file describes all nodes and sites; a schema table turns it into this immutable snapshot,
 * and into the checker, the JSON schema and the reference page. Every string and array lives in the snapshot's arena.
 * Pure but for what the caller's reader does: files that the configuration names (keys, region maps) come through it.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/arena.h"
#include "base/text.h"
#include "conf/bounds.h"
#include "conf/director.h"
#include "conf/dns.h"
#include "conf/link.h"
#include "conf/measure.h"
#include "conf/node.h"
#include "conf/site.h"
#include "conf/values.h"
#include "conf/zone.h"

struct conf {
    struct arena arena;
    const char *file;
    char hash[17]; /* of the text: 16 hexadecimal digits; in every node's status */
    struct conf_link link;
    struct conf_health *health; /* of the edges; NULL: they are not checked */
    struct conf_probe *probe;   /* NULL: nobody is probed */
    struct conf_node *nodes;
    size_t node_count;
    struct conf_site *sites;
    size_t site_count;
    struct conf_zone *zones;
    size_t zone_count;
    struct conf_tsig *tsig;
    size_t tsig_count;
    struct conf_map *maps; /* laid over one another in this order, `regions` over all of them */
    size_t map_count;
    struct conf_policy *policies;
    size_t policy_count;
    uint32_t director_networks;       /* 16384 */
    uint32_t director_spread_percent; /* 80 */
    uint32_t director_margin_percent; /* 10 */
    uint64_t director_margin_ns;      /* 2 ms */
    uint64_t director_patience_ns;    /* 10 s */
    struct conf_border *borders;
    size_t border_count;
    struct span regions; /* text of the region file (docs/dns.md); empty: none */
    const char *regions_path;
    const struct conf_node *self; /* the node that this process is */
    struct conf_index *index;     /* private: look-up tables */
    struct conf_memory *mapped;   /* private: contents of large files */
};

/* Where the present snapshot is found. What `current` returns holds until the caller's turn of its loop ends. */
struct conf_source {
    const struct conf *(*current)(const void *owner);
    const void *owner;
};
static inline const struct conf *conf_current(const struct conf_source *source)
{
    return source->current(source->owner);
}

/* Reads a file that the configuration names; appends to `content`. `is_secret`: the mode must be 0600 or stricter. 0, or a negative error with a
 * sentence in `why`. */
struct conf_reader {
    int (*read)(void *argument, const char *path, bool is_secret, struct text *content,
                struct text *why);
    void *argument;
    /* The same of a file that may be large and is no secret, as memory that nobody changes: conf_free() unmaps it. NULL: `read` serves. */
    int (*map)(void *argument, const char *path, struct span *content, struct text *why);
    /* As `read`, for keys of zones and other secrets of the DNS server; NULL: this process is not it, and passes them over. */
    int (*read_zone_key)(void *argument, const char *path, bool is_secret, struct text *content,
                         struct text *why);
    /* The same for keys of sites and the edge. */
    int (*read_site_key)(void *argument, const char *path, bool is_secret, struct text *content,
                         struct text *why);
    /* The same for secrets of ordering certificates. */
    int (*read_order_key)(void *argument, const char *path, bool is_secret, struct text *content,
                          struct text *why);
    uint64_t now_s; /* since 1970, for dates of certificates; 0: they are not looked at */
    /* One that has ended is a warning: where there is no state before that could be kept, every other site is worth more than its error. */
    bool takes_expired;
};

/* For readers: appends the file's content to a memfd; and maps a part of a memfd. 0, or a negative error with a sentence in `why`. */
MUST_USE int conf_copy_file(const char *path, int memfd, uint64_t *bytes, struct text *why);
MUST_USE int conf_map_memory(int memfd, uint64_t offset, uint64_t bytes, struct span *content,
                             struct text *why);
void conf_unmap_memory(struct span content);
/* Nobody can change or cut what is in it any more. */
void conf_seal_memory(int memfd);

/* As `node` of conf_load(): none, `self` stays NULL and no private key is read; for checking. */
#define CONF_NO_NODE ""

/* The snapshot, or NULL with one line for each error in `errors` ("file:line:column: sentence; did you mean X?"). Warnings come there too, beginning with
 * "warning: " behind the position; a snapshot may come with warnings. `node` selects the node; NULL: the only one, or the one whose private key file can be read. */
struct conf *conf_load(const char *file, struct span text, const char *node,
                       const struct conf_reader *reader, struct text *errors);
void conf_free(struct conf *conf);
struct conf_reader conf_file_reader(void); /* reads real files, checks modes of secrets */
int conf_read_file(const char *file, struct text *content, struct text *why)
    __attribute__((warn_unused_result));

/* Settings of this node and of the link that differ and that a reload does not change, as names for a sentence
 * ("link.packet, me.workers"); nothing where there are none. */
void conf_write_unchangeable(const struct conf *running, const struct conf *loaded,
                             struct text *names);

const struct conf_site *conf_find_host(
    const struct conf *conf,
    struct span host); /* normalised host; exact before wildcard; NULL: none. O(1) for exact. */
const struct conf_node *conf_find_node(const struct conf *conf, const char *name);
/* The name of a node that is like it; NULL: none is. */
const char *conf_nearest_node(const struct conf *conf, const char *name);
const struct conf_node *conf_find_key(const struct conf *conf, const uint8_t key[CONF_KEY_BYTES]);
const struct conf_site *conf_find_site(const struct conf *conf, struct span name);
/* False: the site has no such group of origins. `name` NULL: those that are in none. */
bool conf_find_group(const struct conf_site *site, const char *name, struct conf_group *group);
/* The shares of its classes as told while running, until the next snapshot; percent, 100 together at most. Any thread. */
void conf_set_shares(const struct conf_site *site, const uint8_t percent[QUEUE_CLASSES]);
/* How requests wait for its origins: as the file says, with such shares. Any thread that reads snapshots. */
struct queue_settings conf_queue(const struct conf_site *site);
/* All origins of a site by number, whatever group they are in; NULL behind the last. */
const struct conf_origin *conf_site_origin(const struct conf_site *site, size_t index);
/* Whether the DNS role of this process's node answers for the zone; true where there is no node. */
bool conf_serves(const struct conf *conf, const struct conf_zone *zone);
bool conf_allows(const struct conf_gateway *gateway, const struct conf_node *edge,
                 const struct conf_site *site, uint16_t port); /* port 0: HTTP */

/* Immutable but for the count of references. */
struct conf_maps {
    _Atomic uint32_t references;
    uint64_t hash; /* of the files */
    struct maps *maps;
};

/* With a reference for the caller; `old` (or NULL) once more where the files are the same. NULL: sentences in `why`. */
struct conf_maps *conf_maps_new(const struct conf *conf, struct conf_maps *old, struct text *why);
struct conf_maps *conf_maps_retain(struct conf_maps *maps);
void conf_maps_release(struct conf_maps *maps);

void conf_write_schema(struct text *text);    /* JSON Schema (draft 2020-12) */
void conf_write_reference(struct text *text); /* Markdown: docs/configuration.md */
void conf_write_manual(struct text *text);    /* roff: causeway.yaml(5) */

#endif
