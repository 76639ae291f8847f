/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the schema table: the cache of an edge, and of a site (C1, C2).
 */
#include "conf/schema_rows.h"

static const struct word eviction_policies[] = {
    {"s3fifo", CONF_EVICT_S3FIFO}, {"lru", CONF_EVICT_LRU},       {"lfu", CONF_EVICT_LFU},
    {"fifo", CONF_EVICT_FIFO},     {"random", CONF_EVICT_RANDOM}, {0}};

static const struct setting cache_disk_settings[] = {
    {"path", &type_path, MEMBER(conf_cache_disk, path), REQUIRED, RESTART,
     .help =
         "A folder of its own for each node; it is made for the node's user alone. Use `causeway "
         "doctor` to see whether it will do."},
    {"size", &type_size, MEMBER(conf_cache_disk, bytes), RANGE("16M", "16384G"), .preset = "10G",
     RESTART, .help = "Bytes that it may take."},
};
static const struct section cache_disk_section = {
    "edge cache disk", "A folder where stored answers survive a restart; docs/cache.md.",
    ROWS(cache_disk_settings), sizeof(struct conf_cache_disk)};

static const struct setting edge_cache_settings[] = {
    {"memory", &type_size, MEMBER(conf_edge, cache_bytes), RANGE("0", "1024G"), .preset = "256M",
     RESTART, .help = "Memory for stored answers of all sites; 0: none are stored."},
    {"policy", &type_choice, MEMBER(conf_edge, cache_policy), .words = eviction_policies,
     .preset = "s3fifo", RESTART, .help = "Which answers make room for others."},
    {"disk", SECTION(cache_disk_section), MEMBER(conf_edge, cache_disk), RESTART,
     .help = "Answers are kept on disk, too."},
    {"prefetch", &type_path, MEMBER(conf_edge, prefetch_path),
     .help =
         "File of URLs that are fetched ahead, one in each line, # begins a remark; `causeway hot` "
         "of another edge writes one."},
    {"prefetch_rate", &type_integer, MEMBER(conf_edge, prefetch_rate), RANGE("1", "10000"),
     .preset = "10",
     .help = "URLs of this file and of sites' lists that are looked at in a second."},
};
const struct section edge_cache_section = {"edge cache", "Answers that the edge keeps.",
                                           ROWS(edge_cache_settings)};

static const struct word cookie_words[] = {{"refuse", CONF_SET_COOKIE_REFUSE},
                                           {"strip", CONF_SET_COOKIE_STRIP},
                                           {"keep", CONF_SET_COOKIE_KEEP},
                                           {0}};

static const struct setting site_cache_settings[] = {
    {"on", &type_boolean, MEMBER(conf_site, cache.is_on), .preset = "false",
     .help = "Edges answer from stored answers, as far as HTTP allows it (docs/cache.md)."},
    {"set_cookie", &type_choice, MEMBER(conf_site, cache.set_cookie), .words = cookie_words,
     .preset = "refuse",
     .help = "Answers with Set-Cookie: not stored, stored without it, or stored with it for "
             "everybody."},
    {"requests", &type_boolean, MEMBER(conf_site, cache.hears_requests), .preset = "true",
     .help = "Cache-Control and Pragma of clients count, who can so have answers validated."},
    {"heuristic", &type_seconds, MEMBER(conf_site, cache.heuristic_most_s), RANGE("0s", "8760h"),
     .preset = "24h",
     .help = "Where the origin says nothing: a tenth of the time since Last-Modified, but no "
             "longer than this."},
    {"lifetime", &type_seconds, MEMBER(conf_site, cache.lifetime_most_s), RANGE("0s", "87600h"),
     .preset = "8760h", .help = "No answer is fresh for longer, whatever the origin says."},
    {"stale_while_revalidate", &type_seconds, MEMBER(conf_site, cache.while_revalidate_s),
     RANGE("0s", "8760h"), .preset = "0s",
     .help = "How long a stale answer is used while a new one is fetched, where the origin says "
             "nothing of it."},
    {"stale_if_error", &type_seconds, MEMBER(conf_site, cache.if_error_s), RANGE("0s", "8760h"),
     .preset = "0s",
     .help = "How long a stale answer is used when the origin fails, where it says nothing of it."},
    {"slice", &type_size, MEMBER(conf_site, cache.slice_bytes), RANGE("0", "64M"), .preset = "0",
     .help =
         "What clients ask for by ranges is fetched and stored in pieces of this size, at least "
         "64k; 0: as clients ask for it."},
    {"refresh", &type_integer, MEMBER(conf_site, cache.refresh_hits), RANGE("0", "1000000"),
     .preset = "0",
     .help =
         "What was asked for at least so often since it was fetched is fetched anew shortly before "
         "it expires; 0: nothing is."},
    {"prefetch", &type_text, ONE_OR_LIST, TEXTS(conf_site, cache.prefetch),
     .help = "URLs, or paths on the site's first host, that edges fetch when they start, and again "
             "before they expire."},
};
const struct section site_cache_section = {"site cache", "What edges store of the site's answers.",
                                           ROWS(site_cache_settings)};

static const struct setting purges_settings[] = {
    {"folder", &type_path, MEMBER(conf_purges, folder), RESTART,
     .preset = "/var/lib/causeway-gateway",
     .help = "Folder of the log, which must last; it is made for the user alone who starts the "
             "node."},
    {"log", &type_size, MEMBER(conf_purges, log_bytes), RANGE("4K", "1G"), .preset = "4M", RESTART,
     .help = "Size of the log at which its older half is dropped. Edges that were away for longer "
             "take all that they have of the site for stale."},
};
const struct section purges_section = {
    "purges", "Purges of the sites whose first gateway this is (docs/cache.md).",
    ROWS(purges_settings), sizeof(struct conf_purges)};
