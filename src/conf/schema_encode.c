/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the schema table: content encodings towards clients (C3).
 */
#include "conf/schema_rows.h"

static const struct word encodings[] = {
    {"zstd", CONF_ENCODING_ZSTD}, {"br", CONF_ENCODING_BROTLI}, {"gzip", CONF_ENCODING_GZIP}, {0}};
static const struct word answers[] = {{"all", CONF_ENCODE_ALL},
                                      {"public", CONF_ENCODE_PUBLIC},
                                      {0}};
static const struct word origins[] = {{"identity", CONF_ENCODE_ASK_IDENTITY},
                                      {"client", CONF_ENCODE_ASK_AS_CLIENT},
                                      {0}};

static const struct setting site_encode_settings[] = {
    {"on", &type_boolean, MEMBER(conf_site, encode.is_on), .preset = "false",
     .help = "Edges compress answers for clients that want it so (docs/encode.md)."},
    {"encodings", &type_choice, .shape = SHAPE_LIST, .limit = CONF_ENCODINGS,
     ITEMS(conf_site, encode.encodings, encode.encoding_count), .words = encodings,
     .preset = "zstd, br, gzip",
     .help = "What is offered; of those that a client likes as well, the first."},
    {"types", &type_text, LIST, TEXTS(conf_site, encode.types),
     .preset_note = "text, JSON, XML, JavaScript, WebAssembly, plain fonts",
     .help = "Media types; one `*` at the beginning or the end stands for anything, as in `text/*` "
             "and `*+json`."},
    {"least", &type_size, MEMBER(conf_site, encode.least_bytes), RANGE("0", "1G"), .preset = "512",
     .help = "Shorter answers are left as they are."},
    {"answers", &type_choice, MEMBER(conf_site, encode.answers), .words = answers, .preset = "all",
     .help = "`public`: not those that may hold a visitor's secret: to requests with Cookie or "
             "Authorization, with Set-Cookie, private or no-store."},
    {"origin", &type_choice, MEMBER(conf_site, encode.origin), .words = origins,
     .preset = "identity",
     .help = "What the origin is asked for: plain content, which the edge encodes, or what the "
             "client asked for."},
    {"stored", &type_boolean, MEMBER(conf_site, encode.is_kept), .preset = "true",
     .help = "Answers in the cache that are popular are encoded once, better, and kept so."},
    {"gzip", &type_integer, MEMBER(conf_site, encode.levels[CONF_ENCODING_GZIP]), RANGE("1", "9"),
     .preset = "5", .help = "Level of gzip on the fly: more is smaller and slower."},
    {"br", &type_integer, MEMBER(conf_site, encode.levels[CONF_ENCODING_BROTLI]), RANGE("0", "6"),
     .preset = "5", .help = "Level of brotli on the fly."},
    {"zstd", &type_integer, MEMBER(conf_site, encode.levels[CONF_ENCODING_ZSTD]), RANGE("1", "9"),
     .preset = "3", .help = "Level of Zstandard on the fly."},
};
const struct section site_encode_section = {"site encode",
                                            "Content encodings: what clients get compressed.",
                                            ROWS(site_encode_settings)};
