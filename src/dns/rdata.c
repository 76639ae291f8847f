/* SPDX-License-Identifier: Apache-2.0
 *
 * Record data from text, field by field along the type's layout (RFC 1035 section 5.1, 3597, 4034, 5155, 7043).
 */
#include "dns/types.h"

#include "base/bytes.h"

enum {
    TEXT_WORDS = 256, /* of a record that is given as one text */
    TYPES_BYTES = 65536 / 8,
};

int dns_rdata_put(struct dns_rdata_writer *writer, const void *bytes, size_t length)
{
    if (length > DNS_RDATA_LIMIT - writer->length)
        return ERROR_LIMIT;
    if (length) /* nothing may be nowhere */
        memcpy(writer->out + writer->length, bytes, length);
    writer->length += length;
    return 0;
}

/* The character at `*at`, behind which `*at` is then; with its escape resolved (RFC 1035 section 5.1). */
static int take_character(struct span word, size_t *at, uint8_t *byte)
{
    uint64_t value;
    *byte = word.data[(*at)++];
    if (*byte != '\\')
        return 0;
    if (*at == word.length)
        return ERROR_INVALID;
    *byte = word.data[*at];
    if ((uint8_t)(*byte - '0') >= 10) {
        ++*at;
        return 0;
    }
    if (word.length - *at < 3 || span_number(span_of(word.data + *at, 3), &value) < 0 ||
        value > 255)
        return ERROR_INVALID;
    *byte = (uint8_t)value;
    *at += 3;
    return 0;
}

int dns_rdata_put_characters(struct dns_rdata_writer *writer, struct span word, size_t most)
{
    if (span_find(word, '\\') == word.length)
        return word.length > most ? ERROR_LIMIT : dns_rdata_put(writer, word.data, word.length);
    size_t count = 0;
    for (size_t at = 0; at < word.length; count++) {
        uint8_t byte;
        int error = take_character(word, &at, &byte);
        if (error == 0)
            error = count == most ? ERROR_LIMIT : dns_rdata_put(writer, &byte, 1);
        if (error < 0)
            return error;
    }
    return 0;
}

static int put_string(struct dns_rdata_writer *writer, struct span word)
{
    size_t at = writer->length;
    int error = dns_rdata_put(writer, "", 1);
    if (error == 0)
        error = dns_rdata_put_characters(writer, word, 255);
    if (error == 0)
        writer->out[at] = (uint8_t)(writer->length - at - 1);
    return error;
}

/* What people write without quotes ("v=spf1 include:example.net -all") is one text, spaces and all, in as many
 * strings as it needs. */
static int put_free_text(struct dns_rdata_writer *writer, struct span text)
{
    while (text.length) {
        size_t length = text.length < 255 ? text.length : 255;
        uint8_t count = (uint8_t)length;
        int error = dns_rdata_put(writer, &count, 1);
        if (error == 0)
            error = dns_rdata_put(writer, text.data, length);
        if (error < 0)
            return error;
        text = span_from(text, length);
    }
    return 0;
}

/* ---- digits */

static int hex_digit(uint8_t byte)
{
    if ((uint8_t)(byte - '0') < 10)
        return byte - '0';
    byte = ascii_lower(byte);
    return (uint8_t)(byte - 'a') < 6 ? byte - 'a' + 10 : -1;
}

static int base64_digit(uint8_t byte)
{
    if ((uint8_t)(byte - 'A') < 26)
        return byte - 'A';
    if ((uint8_t)(byte - 'a') < 26)
        return byte - 'a' + 26;
    if ((uint8_t)(byte - '0') < 10)
        return byte - '0' + 52;
    return byte == '+' ? 62 : byte == '/' ? 63 : -1;
}

static int base32hex_digit(uint8_t byte)
{
    if ((uint8_t)(byte - '0') < 10)
        return byte - '0';
    byte = ascii_lower(byte);
    return (uint8_t)(byte - 'a') < 22 ? byte - 'a' + 10 : -1;
}

static int digit(uint8_t byte, unsigned bits)
{
    return bits == 6 ? base64_digit(byte) : bits == 5 ? base32hex_digit(byte) : hex_digit(byte);
}

int dns_rdata_put_digits(struct dns_rdata_writer *writer, const struct dns_word *words,
                         size_t count, unsigned bits)
{
    uint32_t held = 0;
    unsigned held_bits = 0, padding = 0;
    size_t digits = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < words[i].text.length; k++) {
            uint8_t byte = words[i].text.data[k];
            if (bits == 6 && byte == '=') {
                padding++;
                continue;
            }
            int value = digit(byte, bits);
            if (value < 0 || padding)
                return ERROR_INVALID;
            digits++;
            held = held << bits | (uint32_t)value;
            held_bits += bits;
            if (held_bits < 8)
                continue;
            held_bits -= 8;
            byte = (uint8_t)(held >> held_bits);
            held &= (1u << held_bits) - 1;
            if (dns_rdata_put(writer, &byte, 1) < 0)
                return ERROR_LIMIT;
        }
    bool is_whole = bits == 6 ? (digits + padding) % 4 == 0 && padding < 3 : held_bits < bits;
    return is_whole && !held ? 0 : ERROR_INVALID; /* what is left over is zero, RFC 4648 */
}

/* Hexadecimal or base32hex in one word, behind its length. */
static int put_counted(struct dns_rdata_writer *writer, const struct dns_word *word, unsigned bits)
{
    size_t at = writer->length;
    int error = dns_rdata_put(writer, "", 1);
    bool is_empty = bits == 4 && span_equal(word->text, SPAN("-"));
    if (error == 0 && !is_empty)
        error = dns_rdata_put_digits(writer, word, 1, bits);
    size_t length = writer->length - at - 1;
    if (error == 0 && (length > 255 || (length == 0 && !is_empty)))
        error = ERROR_INVALID;
    if (error == 0)
        writer->out[at] = (uint8_t)length;
    return error;
}

/* "00-1a-..." (RFC 7043), and the colons and groups of four of a locator (RFC 6742). */
static int put_groups(struct dns_rdata_writer *writer, struct span word, size_t bytes,
                      size_t group_digits, uint8_t separator)
{
    uint64_t value = 0;
    for (size_t done = 0; done < bytes * 2; done += group_digits) {
        size_t digits = 0;
        for (; digits < group_digits && word.length && hex_digit(word.data[0]) >= 0; digits++) {
            value = value << 4 | (uint64_t)hex_digit(word.data[0]);
            word = span_from(word, 1);
        }
        if (separator == ':' && digits && digits < group_digits) {
            /* leading zeros of a group may be left out; the value is right already */
            uint64_t group = value & ((1ull << (4 * digits)) - 1);
            value = (value >> (4 * digits)) << (4 * group_digits) | group;
            digits = group_digits;
        }
        bool is_last = done + group_digits == bytes * 2;
        if (digits != group_digits || (is_last ? word.length != 0 : !word.length) ||
            (!is_last && word.data[0] != separator))
            return ERROR_INVALID;
        if (!is_last)
            word = span_from(word, 1);
    }
    uint8_t wire[8];
    store_u64(wire, value);
    return dns_rdata_put(writer, wire + 8 - bytes, bytes);
}

/* ---- numbers */

static int put_number(struct dns_rdata_writer *writer, uint64_t value, unsigned bytes)
{
    uint8_t wire[8];
    if (value >> (8 * bytes))
        return ERROR_INVALID;
    store_u64(wire, value);
    return dns_rdata_put(writer, wire + 8 - bytes, bytes);
}

static int put_integer(struct dns_rdata_writer *writer, struct span word, unsigned bytes)
{
    uint64_t value;
    if (span_number(word, &value) < 0)
        return ERROR_INVALID;
    return put_number(writer, value, bytes);
}

bool dns_seconds_parse(struct span text, uint32_t *seconds)
{
    static const char units[] = "smhdw";
    static const uint32_t each[] = {1, 60, 3600, 86400, 604800};
    uint64_t sum = 0, value = 0;
    size_t digits = 0;
    bool has_units = false;
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = ascii_lower(text.data[i]);
        if ((uint8_t)(byte - '0') < 10) {
            value = value * 10 + (uint64_t)(byte - '0');
            if (++digits > 10)
                return false;
            continue;
        }
        const char *unit = memchr(units, byte, sizeof units - 1);
        if (!unit || !digits)
            return false;
        sum += value * each[unit - units];
        if (sum > UINT32_MAX)
            return false;
        value = digits = 0;
        has_units = true;
    }
    sum += value;
    if ((!digits && !has_units) || sum > UINT32_MAX)
        return false;
    *seconds = (uint32_t)sum;
    return true;
}

static int put_seconds(struct dns_rdata_writer *writer, struct span word)
{
    uint32_t seconds;
    return dns_seconds_parse(word, &seconds) ? put_number(writer, seconds, 4) : ERROR_INVALID;
}

static int64_t days_since_1970(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* RFC 4034 section 3.2: 14 digits are a date; all counts modulo 2^32. */
static int put_moment(struct dns_rdata_writer *writer, struct span word)
{
    static const uint8_t digits[] = {4, 2, 2, 2, 2, 2};
    static const uint64_t most[] = {9999, 12, 31, 23, 59, 60};
    uint64_t parts[6];
    if (word.length != 14)
        return put_integer(writer, word, 4);
    for (size_t i = 0; i < 6; i++) {
        if (span_number(span_of(word.data, digits[i]), &parts[i]) < 0 || parts[i] > most[i])
            return ERROR_INVALID;
        word = span_from(word, digits[i]);
    }
    if (parts[0] < 1970 || !parts[1] || !parts[2])
        return ERROR_INVALID;
    int64_t days = days_since_1970((int64_t)parts[0], (int64_t)parts[1], (int64_t)parts[2]);
    uint64_t seconds = (uint64_t)days * 86400 + parts[3] * 3600 + parts[4] * 60 + parts[5];
    return put_number(writer, seconds & UINT32_MAX, 4);
}

/* ---- names of numbers */

struct mnemonic {
    const char *name;
    uint16_t number;
};

static const struct mnemonic algorithms[] = {
    {"RSAMD5", 1},
    {"DH", 2},
    {"DSA", 3},
    {"RSASHA1", 5},
    {"NSEC3DSA", 6},
    {"DSA-NSEC3-SHA1", 6},
    {"NSEC3RSASHA1", 7},
    {"RSASHA1-NSEC3-SHA1", 7},
    {"RSASHA256", 8},
    {"RSASHA512", 10},
    {"ECCGOST", 12},
    {"ECC-GOST", 12},
    {"ECDSAP256SHA256", 13},
    {"ECDSAP384SHA384", 14},
    {"ED25519", 15},
    {"ED448", 16},
    {"INDIRECT", 252},
    {"PRIVATEDNS", 253},
    {"PRIVATEOID", 254},
};
static const struct mnemonic certificates[] = {
    {"PKIX", 1}, {"SPKI", 2},   {"PGP", 3},     {"IPKIX", 4}, {"ISPKI", 5},
    {"IPGP", 6}, {"ACPKIX", 7}, {"IACPKIX", 8}, {"URI", 253}, {"OID", 254},
};

static int put_mnemonic(struct dns_rdata_writer *writer, struct span word, unsigned bytes,
                        const struct mnemonic *mnemonics, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_equal_nocase(word, span_text(mnemonics[i].name)))
            return put_number(writer, mnemonics[i].number, bytes);
    return put_integer(writer, word, bytes);
}

/* Also those that no zone holds: they may stand in a bitmap. */
static int put_type(struct dns_rdata_writer *writer, struct span word)
{
    uint16_t type = dns_type_number(word);
    return type ? put_number(writer, type, 2) : ERROR_INVALID;
}

static int put_bitmap(struct dns_rdata_writer *writer, const struct dns_word *words, size_t count,
                      size_t *wrong)
{
    uint8_t bits[TYPES_BYTES] = {0};
    for (size_t i = 0; i < count; i++) {
        uint16_t type = dns_type_number(words[i].text);
        if (!type) {
            *wrong += i;
            return ERROR_INVALID;
        }
        bits[type / 8] |= (uint8_t)(0x80 >> type % 8);
    }
    for (unsigned window = 0; window < 256; window++) {
        const uint8_t *from = bits + window * 32;
        uint8_t length = 32;
        while (length && !from[length - 1])
            length--;
        uint8_t head[2] = {(uint8_t)window, length};
        if (!length)
            continue;
        if (dns_rdata_put(writer, head, 2) < 0 || dns_rdata_put(writer, from, length) < 0)
            return ERROR_LIMIT;
    }
    return 0;
}

/* ---- fields */

static int put_address(struct dns_rdata_writer *writer, struct span word, unsigned family)
{
    struct address address;
    if (address_parse(word, &address) < 0 || address.family != family || address.scope)
        return ERROR_INVALID;
    return dns_rdata_put(writer, address.bytes, family == 4 ? 4 : 16);
}

static int put_name(struct dns_rdata_writer *writer, struct span word,
                    const struct dns_name *origin)
{
    struct dns_name name;
    int error = dns_name_parse(word, origin, &name);
    return error < 0 ? error : dns_rdata_put(writer, name.wire, name.length);
}

/* A field that is one word. */
static int put_field(struct dns_rdata_writer *writer, char field, const struct dns_word *word,
                     const struct dns_name *origin)
{
    switch (field) {
    case 'a':
        return put_address(writer, word->text, 4);
    case 'q':
        return put_address(writer, word->text, 6);
    case '1':
    case '2':
    case '4':
        return put_integer(writer, word->text, (unsigned)(field - '0'));
    case 'd':
        return put_seconds(writer, word->text);
    case 'T':
        return put_moment(writer, word->text);
    case 'i':
        return put_groups(writer, word->text, 8, 4, ':');
    case 'e':
        return put_groups(writer, word->text, 6, 2, '-');
    case 'E':
        return put_groups(writer, word->text, 8, 2, '-');
    case 'n':
    case 'N':
        return put_name(writer, word->text, origin);
    case 'c':
        return put_string(writer, word->text);
    case 't':
        return put_type(writer, word->text);
    case 'g':
        return put_mnemonic(writer, word->text, 1, algorithms,
                            sizeof algorithms / sizeof *algorithms);
    case 'C':
        return put_mnemonic(writer, word->text, 2, certificates,
                            sizeof certificates / sizeof *certificates);
    case 'h':
        return put_counted(writer, word, 4);
    case 'k':
        return put_counted(writer, word, 5);
    case 'r':
        return dns_rdata_put_characters(writer, word->text, DNS_RDATA_LIMIT);
    }
    return ERROR_UNSUPPORTED;
}

/* All the digits that are left; some there must be, and `""` is a word without any. */
static int put_some_digits(struct dns_rdata_writer *writer, const struct dns_word *words,
                           size_t count, unsigned bits)
{
    size_t before = writer->length;
    int error = dns_rdata_put_digits(writer, words, count, bits);
    return error == 0 && writer->length == before ? ERROR_INVALID : error;
}

/* A field that takes all the words that are left. `*wrong` is their first one's index. */
static int put_rest(struct dns_rdata_writer *writer, char field, const struct dns_word *words,
                    size_t count, size_t *wrong)
{
    int error = 0;
    switch (field) {
    case 's':
        for (size_t i = 0; i < count && error == 0; i++, *wrong += error == 0)
            error = put_string(writer, words[i].text);
        return count ? error : ERROR_INVALID;
    case 'm':
        return put_bitmap(writer, words, count, wrong);
    case 'p':
        return dns_rdata_put_service(writer, words, count, wrong);
    case 'L':
        return dns_rdata_put_location(writer, words, count, wrong);
    case 'x':
        return put_some_digits(writer, words, count, 4);
    case 'b':
        return put_some_digits(writer, words, count, 6);
    }
    return ERROR_UNSUPPORTED;
}

static bool takes_rest(char field)
{
    return strchr("smpLxb", field) != NULL;
}

/* RFC 3597 section 5: \# LENGTH HEX... */
static int parse_plain(uint16_t type, const struct dns_word *words, size_t count,
                       struct dns_rdata_writer *writer, size_t *wrong)
{
    uint64_t length;
    *wrong = 1;
    if (count < 2 || span_number(words[1].text, &length) < 0)
        return ERROR_INVALID;
    *wrong = 2;
    int error = dns_rdata_put_digits(writer, words + 2, count - 2, 4);
    if (error == 0 && (writer->length != length ||
                       !dns_rdata_is_valid(type, span_of(writer->out, writer->length))))
        error = ERROR_INVALID;
    return error;
}

int dns_rdata_parse_words(uint16_t number, const struct dns_word *words, size_t count,
                          const struct dns_name *origin, uint8_t *out, size_t *length,
                          size_t *wrong)
{
    const struct dns_type *type = dns_type_find(number);
    struct dns_rdata_writer writer = {.out = out};
    size_t at = 0;
    int error = 0;
    *wrong = 0;
    if (count && !words[0].is_quoted && span_equal(words[0].text, SPAN("\\#"))) {
        error = number ? parse_plain(number, words, count, &writer, wrong) : ERROR_UNSUPPORTED;
        *length = writer.length;
        return error;
    }
    if (!type)
        return ERROR_UNSUPPORTED;
    for (const char *field = type->layout; *field && error == 0; field++) {
        *wrong = at;
        if (takes_rest(*field)) {
            error = put_rest(&writer, *field, words + at, count - at, wrong);
            at = count;
        } else {
            error = at < count ? put_field(&writer, *field, &words[at], origin) : ERROR_INVALID;
            at++;
        }
    }
    if (error < 0)
        return error;
    *wrong = at;
    *length = writer.length;
    return at < count ? ERROR_INVALID : 0;
}

/* ---- a record that is given as one text */

/* The next word, or what stands between quotes; false at the end of the text. */
static bool take_word(struct span *text, struct dns_word *word)
{
    *text = span_trim(*text);
    if (!text->length)
        return false;
    *word = (struct dns_word){.is_quoted = text->data[0] == '"'};
    size_t from = word->is_quoted, at = from;
    bool is_inside = word->is_quoted;
    for (; at < text->length; at++) {
        uint8_t byte = text->data[at];
        if (byte == '\\' && at + 1 < text->length)
            at++;
        else if (byte == '"' && word->is_quoted)
            break;
        else if (byte == '"' && (is_inside || (at && text->data[at - 1] == '=')))
            is_inside = !is_inside;
        else if (!is_inside && (byte == ' ' || byte == '\t'))
            break;
    }
    word->text = span_of(text->data + from, at - from);
    *text = span_from(*text, at + (word->is_quoted ? 1 : 0));
    return true;
}

int dns_rdata_parse(uint16_t number, struct span text, const struct dns_name *origin,
                    uint8_t out[DNS_RDATA_LIMIT], size_t *length)
{
    struct dns_word words[TEXT_WORDS];
    size_t count = 0, wrong;
    const struct dns_type *type = dns_type_find(number);
    text = span_trim(text);
    if (type && strcmp(type->layout, "s") == 0 && text.length && text.data[0] != '\\' &&
        span_find(text, '"') == text.length) {
        struct dns_rdata_writer writer = {.out = out};
        int error = put_free_text(&writer, text);
        *length = writer.length;
        return error;
    }
    while (take_word(&text, &words[count]))
        if (++count == TEXT_WORDS)
            return ERROR_LIMIT;
    return dns_rdata_parse_words(number, words, count, origin, out, length, &wrong);
}
