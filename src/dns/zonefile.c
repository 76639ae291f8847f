/* SPDX-License-Identifier: Apache-2.0
 *
 * Zone files: RFC 1035 section 5 with $TTL (RFC 2308 section 4) and unknown types (RFC 3597), read as BIND reads them. One
 * pass over the text, nothing is copied but the words' places; a mistake is a sentence with file, line and column,
 * and the reading goes on behind it, so that all of them are told at once.
 */
#include "dns/types.h"

#include "base/memory.h"

#include <stdio.h>

enum {
    DEPTH_LIMIT = 8,        /* of $INCLUDE */
    MISTAKES_LIMIT = 20,    /* told of one zone */
    QUOTE_LIMIT = 60,       /* characters of a word that a sentence repeats */
    GENERATE_LIMIT = 65536, /* records of one $GENERATE */
};

struct file {
    const char *path;
    const uint8_t *at, *end, *line_start;
    struct dns_name origin, owner;
    uint32_t line;
    bool has_owner;
};

struct parser {
    const struct dns_zonefile *zonefile;
    struct text *complaints;
    struct file *file;
    unsigned depth, mistakes;
    uint32_t ttl_s, last_ttl_s; /* $TTL, and of the last record that said one */
    bool has_ttl, has_last_ttl;
    bool owner_is_given; /* the entry began at the line's first column */
    bool joins_quotes;   /* key="value" is one word */
    uint32_t start_line; /* of the entry */
    size_t word_count;
    struct dns_word words[DNS_WORDS_LIMIT];
    uint8_t rdata[DNS_RDATA_LIMIT];
};

/* ---- mistakes */

static int wrong(struct parser *parser, uint32_t line, uint32_t column, const char *sentence,
                 struct span quote)
{
    if (++parser->mistakes <= MISTAKES_LIMIT) {
        text_add_format(parser->complaints, "%s:%u:%u: ", parser->file->path, line, column);
        if (quote.data) {
            if (quote.length > QUOTE_LIMIT)
                quote.length = QUOTE_LIMIT;
            text_add(parser->complaints, "'");
            for (size_t i = 0; i < quote.length; i++) {
                bool is_plain = quote.data[i] >= ' ' && quote.data[i] < 127;
                text_add_span(parser->complaints,
                              is_plain ? span_of(quote.data + i, 1) : SPAN("?"));
            }
            text_add(parser->complaints, "' ");
        }
        text_add_format(parser->complaints, "%s\n", sentence);
    }
    return ERROR_INVALID;
}

static int wrong_word(struct parser *parser, size_t index, const char *sentence)
{
    const struct dns_word *word = &parser->words[index];
    return wrong(parser, word->line, word->column, sentence, word->text);
}

/* ---- words */

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static bool ends_word(uint8_t byte)
{
    return is_blank(byte) || byte == '\n' || byte == ';' || byte == '(' || byte == ')' ||
           byte == '"';
}

static uint32_t column_of(const struct file *file, const uint8_t *at)
{
    return (uint32_t)(at - file->line_start) + 1;
}

/* Behind the quoted text that begins at `at`; NULL: it does not end in its line. */
static const uint8_t *find_quote(const struct file *file, const uint8_t *at)
{
    while (at < file->end && *at != '"' && *at != '\n')
        at += *at == '\\' && file->end - at > 1 && at[1] != '\n' ? 2 : 1;
    return at < file->end && *at == '"' ? at : NULL;
}

static const uint8_t *find_word_end(const struct parser *parser, const uint8_t *at)
{
    const struct file *file = parser->file;
    const uint8_t *start = at;
    while (at < file->end) {
        if (*at == '\\' && file->end - at > 1 && at[1] != '\n') {
            at += 2;
        } else if (*at == '"' && parser->joins_quotes && at > start && at[-1] == '=') {
            const uint8_t *quote = find_quote(file, at + 1);
            if (!quote)
                return at;
            at = quote + 1;
        } else if (ends_word(*at)) {
            break;
        } else {
            at++;
        }
    }
    return at;
}

/* Values of service parameters may be quoted (RFC 9460 section 2.1). */
static bool is_service(struct span word)
{
    return (word.length == 4 && span_equal_nocase(word, SPAN("SVCB"))) ||
           (word.length == 5 && span_equal_nocase(word, SPAN("HTTPS"))) ||
           (word.length == 6 &&
            (span_equal_nocase(word, SPAN("TYPE64")) || span_equal_nocase(word, SPAN("TYPE65"))));
}

static int take_word(struct parser *parser)
{
    struct file *file = parser->file;
    if (parser->word_count == DNS_WORDS_LIMIT)
        return wrong(parser, file->line, column_of(file, file->at), "the record is too long",
                     (struct span){0});
    struct dns_word *word = &parser->words[parser->word_count];
    word->line = file->line;
    word->column = column_of(file, file->at);
    word->is_quoted = *file->at == '"';
    const uint8_t *start = file->at + word->is_quoted;
    const uint8_t *end = word->is_quoted ? find_quote(file, start) : find_word_end(parser, start);
    if (!end)
        return wrong(parser, file->line, word->column, "the quotes do not end in this line",
                     (struct span){0});
    word->text = span_of(start, (size_t)(end - start));
    file->at = end + word->is_quoted;
    if (!word->is_quoted && (parser->word_count || !parser->owner_is_given) &&
        is_service(word->text))
        parser->joins_quotes = true;
    parser->word_count++;
    return 0;
}

static void skip_remark(struct file *file)
{
    const uint8_t *newline = memchr(file->at, '\n', (size_t)(file->end - file->at));
    file->at = newline ? newline : file->end;
}

static void end_line(struct file *file)
{
    file->at++;
    file->line++;
    file->line_start = file->at;
}

/* The words of the next entry, over several lines where parentheses say so. */
static int take_words(struct parser *parser)
{
    struct file *file = parser->file;
    unsigned depth = 0;
    int error = 0;
    parser->word_count = 0;
    parser->joins_quotes = false;
    parser->start_line = file->line;
    parser->owner_is_given = !is_blank(*file->at);
    while (file->at < file->end) {
        uint8_t byte = *file->at;
        if (byte == '\n') {
            end_line(file);
            if (!depth || error < 0)
                return error;
        } else if (is_blank(byte)) {
            file->at++;
        } else if (byte == ';') {
            skip_remark(file);
        } else if (error < 0) {
            file->at++; /* to the end of the line */
        } else if (byte == '(' || byte == ')') {
            if (byte == ')' && !depth)
                error = wrong(parser, file->line, column_of(file, file->at),
                              "a parenthesis is closed that was never opened", (struct span){0});
            depth += byte == '(' ? 1u : -1u;
            file->at++;
        } else {
            error = take_word(parser);
        }
    }
    if (depth && error == 0)
        error =
            wrong(parser, parser->start_line, 1, "a parenthesis is never closed", (struct span){0});
    return error;
}

/* ---- records */

static int take_name(struct parser *parser, size_t index, struct dns_name *name)
{
    struct span text = parser->words[index].text;
    if (dns_name_parse(text, &parser->file->origin, name) < 0)
        return wrong_word(parser, index, "is not a domain name");
    return 0;
}

static bool is_other_class(struct span word)
{
    return span_equal_nocase(word, SPAN("CH")) || span_equal_nocase(word, SPAN("HS")) ||
           span_equal_nocase(word, SPAN("CS")) || span_equal_nocase(word, SPAN("CHAOS"));
}

/* [TTL] [class] in either order, from word `*at` on. `*has_ttl` tells whether there was one. */
static int take_ttl_and_class(struct parser *parser, size_t *at, uint32_t *ttl_s, bool *has_ttl)
{
    bool has_class = false;
    *has_ttl = false;
    for (; *at < parser->word_count; ++*at) {
        struct span word = parser->words[*at].text;
        if (!has_class && word.length == 2 && span_equal_nocase(word, SPAN("IN"))) {
            has_class = true;
        } else if (!has_class && is_other_class(word)) {
            return wrong_word(parser, *at, "is a class that is not served: only IN is");
        } else if (!*has_ttl && word.length && (uint8_t)(word.data[0] - '0') < 10) {
            if (!dns_seconds_parse(word, ttl_s) || *ttl_s > INT32_MAX)
                return wrong_word(parser, *at, "is not a TTL (like 300, 5m or 1h30m)");
            *has_ttl = true;
        } else {
            break;
        }
    }
    return 0;
}

/* The last of an SOA record's numbers, or 0 when it has no such form; its own mistakes are told later. */
static uint32_t soa_minimum(const struct parser *parser, size_t at)
{
    uint32_t seconds = 0;
    if (at + 7 != parser->word_count || !dns_seconds_parse(parser->words[at + 6].text, &seconds))
        return 0;
    return seconds;
}

/* Said, else of $TTL, else of the record before (RFC 1035), else the SOA record's own minimum. */
static int choose_ttl(struct parser *parser, size_t type_at, uint16_t type, bool has_ttl,
                      uint32_t *ttl_s)
{
    if (has_ttl) {
        parser->last_ttl_s = *ttl_s;
        parser->has_last_ttl = true;
    } else if (parser->has_ttl) {
        *ttl_s = parser->ttl_s;
    } else if (parser->has_last_ttl) {
        *ttl_s = parser->last_ttl_s;
    } else if (type == DNS_SOA) {
        *ttl_s = parser->last_ttl_s = soa_minimum(parser, type_at + 1);
        parser->has_last_ttl = true;
    } else {
        return wrong_word(parser, type_at, "has no TTL: begin the file with $TTL");
    }
    return 0;
}

static int wrong_data(struct parser *parser, size_t data_at, size_t index, const char *type)
{
    char sentence[120];
    snprintf(sentence, sizeof sentence, "does not fit here in the data of a record of type %s",
             type);
    if (data_at + index < parser->word_count)
        return wrong_word(parser, data_at + index, sentence);
    snprintf(sentence, sizeof sentence, "the data of this %s record is incomplete", type);
    return wrong(parser, parser->words[data_at - 1].line, parser->words[data_at - 1].column,
                 sentence, (struct span){0});
}

static int wrong_type(struct parser *parser, size_t at)
{
    if (at == parser->word_count)
        return wrong(parser, parser->start_line, 1, "the record has no type", (struct span){0});
    return wrong_word(parser, at, "is no record type that a zone can hold");
}

/* Words from `at` on: [TTL] [class] type data. The owner is the file's. */
static int take_record(struct parser *parser, size_t at)
{
    struct file *file = parser->file;
    char type_text[DNS_TYPE_TEXT_BYTES];
    uint32_t ttl_s = 0;
    bool has_ttl;
    if (!file->has_owner)
        return wrong(parser, parser->start_line, 1, "the first record needs a name",
                     (struct span){0});
    int error = take_ttl_and_class(parser, &at, &ttl_s, &has_ttl);
    if (error < 0)
        return error;
    uint16_t type = at < parser->word_count ? dns_type_number(parser->words[at].text) : 0;
    if (!type)
        return wrong_type(parser, at);
    error = choose_ttl(parser, at, type, has_ttl, &ttl_s);
    if (error < 0)
        return error;
    size_t length, index;
    error = dns_rdata_parse_words(type, parser->words + at + 1, parser->word_count - at - 1,
                                  &file->origin, parser->rdata, &length, &index);
    if (error == ERROR_UNSUPPORTED)
        return wrong_word(parser, at, "is a type whose data can only be given as \\# LENGTH HEX");
    if (error < 0)
        return wrong_data(parser, at + 1, index, dns_type_text(type, type_text));
    if (!dns_name_is_within(&file->owner, parser->zonefile->apex)) {
        parser->zonefile->on_stray(parser->zonefile->context, &file->owner, file->path,
                                   parser->start_line);
        return 0;
    }
    parser->zonefile->on_record(parser->zonefile->context, &file->owner, type, ttl_s,
                                span_of(parser->rdata, length));
    return 0;
}

/* ---- directives */

static void parse_file(struct parser *parser, const char *path, struct span text,
                       const struct dns_name *origin);

/* The path beside the zone file that `name` means; false when it leads out of the zone file's folder. */
static bool place_include(const char *top, struct span name, char path[DNS_PATH_BYTES])
{
    const char *slash = strrchr(top, '/');
    struct span folder = span_of(top, slash ? (size_t)(slash - top) + 1 : 0);
    if (span_starts(name, folder) && folder.length)
        name = span_from(name, folder.length);
    else if (name.length && name.data[0] == '/')
        return false;
    for (struct span rest = name; rest.length;) {
        size_t length = span_find(rest, '/');
        if (span_equal(span_of(rest.data, length), SPAN("..")))
            return false;
        rest = span_from(rest, length + 1);
    }
    if (!name.length || memchr(name.data, 0, name.length) ||
        folder.length + name.length >= DNS_PATH_BYTES)
        return false;
    snprintf(path, DNS_PATH_BYTES, "%.*s%.*s", SPAN_ARGS(folder), SPAN_ARGS(name));
    return true;
}

bool dns_zonefile_find_include(struct span text, size_t *at, const char *top,
                               char path[DNS_PATH_BYTES])
{
    static const struct span directive = SPAN("$INCLUDE");
    for (struct span rest = span_from(text, *at); rest.length; rest = span_from(text, *at)) {
        struct span line = span_of(rest.data, span_find(rest, '\n'));
        *at += line.length + 1;
        if (line.length <= directive.length || line.data[0] != '$' ||
            !span_equal_nocase(span_of(line.data, directive.length), directive))
            continue;
        struct span name = span_trim(span_from(line, directive.length));
        bool is_quoted = name.length && name.data[0] == '"';
        size_t length = 0;
        name = span_from(name, is_quoted);
        while (length < name.length &&
               (is_quoted ? name.data[length] != '"' : !ends_word(name.data[length])))
            length++;
        if (place_include(top, span_of(name.data, length), path))
            return true;
    }
    return false;
}

static int take_include(struct parser *parser)
{
    struct file *file = parser->file;
    struct dns_name origin = file->origin;
    char path[DNS_PATH_BYTES];
    if (parser->word_count < 2 || parser->word_count > 3)
        return wrong_word(parser, 0, "needs a file, and perhaps an origin");
    if (parser->word_count == 3 && take_name(parser, 2, &origin) < 0)
        return ERROR_INVALID;
    if (!place_include(parser->zonefile->path, parser->words[1].text, path))
        return wrong_word(parser, 1, "is not below the zone file's folder");
    if (parser->depth == DEPTH_LIMIT)
        return wrong_word(parser, 1, "is included too deep");
    struct span content;
    struct text why = {.limit = 256};
    int error = parser->zonefile->include(parser->zonefile->context, path, &content, &why);
    if (error < 0) {
        char sentence[300];
        snprintf(sentence, sizeof sentence, "cannot be included: %s",
                 why.data ? why.data : error_text(error));
        wrong_word(parser, 1, sentence);
    } else {
        parse_file(parser, path, content, &origin);
    }
    text_clear(&why);
    return error;
}

static int take_ttl(struct parser *parser)
{
    if (parser->word_count != 2 || !dns_seconds_parse(parser->words[1].text, &parser->ttl_s) ||
        parser->ttl_s > INT32_MAX)
        return wrong_word(parser, 0, "needs a TTL (like 300, 5m or 1h30m)");
    parser->has_ttl = true;
    return 0;
}

static int take_origin(struct parser *parser)
{
    struct dns_name origin;
    if (parser->word_count != 2)
        return wrong_word(parser, 0, "needs a domain name");
    int error = take_name(parser, 1, &origin);
    if (error == 0)
        parser->file->origin = origin;
    return error;
}

/* ---- $GENERATE first-last[/step] owner [TTL] [class] type data: BIND's short form of many like records */

struct range {
    uint64_t first, last, step;
};

static bool parse_range(struct span text, struct range *range)
{
    size_t dash = span_find(text, '-'), slash = span_find(text, '/');
    range->step = 1;
    if (dash >= slash || span_number(span_of(text.data, dash), &range->first) < 0 ||
        span_number(span_of(text.data + dash + 1, slash - dash - 1), &range->last) < 0)
        return false;
    if (slash < text.length && span_number(span_from(text, slash + 1), &range->step) < 0)
        return false;
    return range->step && range->first <= range->last && range->last <= INT32_MAX &&
           (range->last - range->first) / range->step < GENERATE_LIMIT;
}

/* ${offset[,width[,base]]} behind the dollar sign; `text` is then behind it. */
static bool parse_modifier(struct span *text, int64_t *offset, unsigned *width, char *base)
{
    size_t end = span_find(*text, '}');
    if (end == text->length)
        return false;
    struct span rest = span_of(text->data + 1, end - 1), fields[3] = {{0}};
    *text = span_from(*text, end + 1);
    size_t count = 0;
    for (bool is_last = false; !is_last; count++) {
        size_t length = span_find(rest, ',');
        if (count == 3)
            return false;
        is_last = length == rest.length;
        fields[count] = span_of(rest.data, length);
        rest = span_from(rest, length + 1);
    }
    bool is_negative = fields[0].length && fields[0].data[0] == '-';
    uint64_t number, given = 0;
    if (span_number(span_from(fields[0], is_negative), &number) < 0 || number > INT32_MAX ||
        (count > 1 && (span_number(fields[1], &given) < 0 || given > 64)) ||
        (count > 2 && (fields[2].length != 1 || !memchr("doxX", fields[2].data[0], 4))))
        return false;
    *offset = is_negative ? -(int64_t)number : (int64_t)number;
    *width = (unsigned)given;
    if (count > 2)
        *base = (char)fields[2].data[0];
    return true;
}

static bool expand(struct span text, uint64_t value, struct text *out)
{
    while (text.length) {
        uint8_t byte = text.data[0];
        if (byte == '\\' && text.length > 1) {
            bool is_dollar = text.data[1] == '$';
            text_add_span(out, is_dollar ? SPAN("$") : span_of(text.data, 2));
            text = span_from(text, 2);
            continue;
        }
        text = span_from(text, 1);
        if (byte != '$') {
            text_add_span(out, span_of(&byte, 1));
            continue;
        }
        if (text.length && text.data[0] == '$') {
            text_add(out, "$");
            text = span_from(text, 1);
            continue;
        }
        int64_t offset = 0;
        unsigned width = 0;
        char base = 'd';
        if (text.length && text.data[0] == '{' && !parse_modifier(&text, &offset, &width, &base))
            return false;
        int64_t number = (int64_t)value + offset;
        if (number < 0)
            return false;
        if (base == 'd')
            text_add_format(out, "%0*lld", (int)width, (long long)number);
        else
            text_add_format(out,
                            base == 'o'   ? "%0*llo"
                            : base == 'x' ? "%0*llx"
                                          : "%0*llX",
                            (int)width, (unsigned long long)number);
    }
    return !out->is_cut;
}

/* The template's words with the number in them, put through as a record. */
static int generate_one(struct parser *parser, const struct dns_word *template, size_t count,
                        uint64_t value)
{
    struct text texts[8] = {0};
    struct file *file = parser->file;
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++) {
        texts[i].limit = 1024;
        parser->words[i] = template[i];
        if (!expand(template[i].text, value, &texts[i])) {
            wrong_word(parser, i, "does not make sense as a template");
            error = ERROR_INVALID;
        }
        parser->words[i].text = text_span(&texts[i]);
    }
    parser->word_count = count;
    struct dns_name owner;
    if (error == 0)
        error = take_name(parser, 0, &owner);
    if (error == 0) {
        file->owner = owner;
        file->has_owner = true;
        error = take_record(parser, 1);
    }
    for (size_t i = 0; i < count; i++)
        text_clear(&texts[i]);
    return error;
}

static int take_generate(struct parser *parser)
{
    struct dns_word template[8];
    struct range range;
    size_t count = parser->word_count - 2;
    if (parser->word_count < 5 || count > sizeof template / sizeof *template ||
        !parse_range(parser->words[1].text, &range))
        return wrong_word(parser, 0, "needs first-last, a name, a type and data");
    memcpy(template, parser->words + 2, count * sizeof *template);
    for (uint64_t value = range.first; value <= range.last; value += range.step) {
        int error = generate_one(parser, template, count, value);
        if (error < 0)
            return error;
    }
    return 0;
}

/* ---- entries */

static const struct {
    const char *name;
    int (*take)(struct parser *parser);
} directives[] = {
    {"$TTL", take_ttl},
    {"$ORIGIN", take_origin},
    {"$INCLUDE", take_include},
    {"$GENERATE", take_generate},
};

static int take_entry(struct parser *parser)
{
    struct file *file = parser->file;
    if (!parser->owner_is_given)
        return take_record(parser, 0);
    struct span first = parser->words[0].text;
    if (first.length && first.data[0] == '$' && !parser->words[0].is_quoted) {
        for (size_t i = 0; i < sizeof directives / sizeof *directives; i++)
            if (span_equal_nocase(first, span_text(directives[i].name)))
                return directives[i].take(parser);
        return wrong_word(parser, 0,
                          "is no directive: there are $TTL, $ORIGIN, $INCLUDE, $GENERATE");
    }
    int error = take_name(parser, 0, &file->owner);
    file->has_owner = true; /* also a wrong one: its records are not told of again */
    return error < 0 ? error : take_record(parser, 1);
}

static void parse_file(struct parser *parser, const char *path, struct span text,
                       const struct dns_name *origin)
{
    struct file file = {.path = path,
                        .at = text.data,
                        .end = text.length ? text.data + text.length : text.data,
                        .line_start = text.data,
                        .line = 1,
                        .origin = *origin};
    struct file *outer = parser->file;
    if (outer) { /* RFC 1035 section 5.1: the present owner goes on into the included file, and is kept outside */
        file.owner = outer->owner;
        file.has_owner = outer->has_owner;
    }
    parser->file = &file;
    parser->depth++;
    while (file.at < file.end && parser->mistakes < MISTAKES_LIMIT)
        if (take_words(parser) == 0 && parser->word_count)
            (void)take_entry(parser); /* told, counted */
    parser->depth--;
    parser->file = outer;
}

int dns_zonefile_parse(const struct dns_zonefile *zonefile, struct span text,
                       struct text *complaints)
{
    struct parser *parser = memory_raw(sizeof *parser);
    memset(parser, 0, offsetof(struct parser, words));
    parser->zonefile = zonefile;
    parser->complaints = complaints;
    parse_file(parser, zonefile->path, text, zonefile->apex);
    bool is_good = parser->mistakes == 0;
    memory_free(parser);
    return is_good ? 0 : ERROR_INVALID;
}
