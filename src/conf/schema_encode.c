/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the schema table: content encodings towards clients (C3).
 */
#include "conf/load.h"
#include "conf/schema_rows.h"

/* Without parameters: these make no difference. */
static const char *parse_media(const struct value *value, void *out)
{
    struct span text = value->text;
    bool has_star = false, has_slash = false;
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.data[i];
        bool is_end = i == 0 || i + 1 == text.length;
        if (byte <= ' ' || byte >= 0x7f || byte == ';' || byte == ',' ||
            (byte == '*' && (has_star || !is_end)))
            return "";
        has_star |= byte == '*';
        has_slash |= byte == '/';
    }
    if (!has_star && !has_slash)
        return "";
    *(const char **)out = arena_text(&value->loader->conf->arena, (const char *)text.data);
    return NULL;
}

static const struct type type_media = {.name = "media type",
                                       .noun = "a media type",
                                       .form = "like text/css, text/* or *+json",
                                       .parse = parse_media,
                                       .is_text = true};

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
    {"types", &type_media, LIST, TEXTS(conf_site, encode.types),
     .preset_note = "text, JSON, XML, JavaScript, WebAssembly, plain fonts",
     .help = "What is compressed, instead; one `*` at the beginning or the end stands for "
             "anything, as in `text/*` and `*+json`."},
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
