/* SPDX-License-Identifier: Apache-2.0
 *
 * Where something is: "51 30 12.748 N 0 7 39.611 W 0.00m 0.00m 0.00m 0.00m" (RFC 1876 section 3).
 */
#include "base/bytes.h"
#include "dns/types.h"

enum {
    EQUATOR = 1u << 31, /* both coordinates count thousandths of a second of arc from here */
    BELOW_SEA_CM = 10000000,
};

/* "12.748" in units of 10^-`places`, at most `most` of these. */
static bool decimal(struct span text, unsigned places, uint64_t most, uint64_t *value)
{
    size_t dot = span_find(text, '.');
    struct span fraction = span_from(text, dot + 1);
    uint64_t whole, part = 0;
    if (span_number(span_of(text.data, dot), &whole) < 0 || fraction.length > places ||
        whole > most || (fraction.length && span_number(fraction, &part) < 0))
        return false;
    for (size_t i = fraction.length; i < places; i++)
        part *= 10;
    for (unsigned i = 0; i < places; i++)
        whole *= 10;
    *value = whole + part;
    return *value <= most;
}

struct cursor {
    const struct dns_word *words;
    size_t count, at;
};

static bool next(struct cursor *cursor, struct span *word)
{
    if (cursor->at == cursor->count)
        return false;
    *word = cursor->words[cursor->at++].text;
    return true;
}

/* Degrees, perhaps minutes, perhaps seconds, and the hemisphere. */
static bool take_angle(struct cursor *cursor, uint64_t degrees_most, const char *hemispheres,
                       uint32_t *angle)
{
    uint64_t value = 0, part;
    struct span word;
    for (unsigned i = 0; i < 4 && next(cursor, &word); i++) {
        uint8_t letter = word.length == 1 ? (uint8_t)(ascii_lower(word.data[0]) - 32) : 0;
        if (i && letter && strchr(hemispheres, letter)) {
            if (value > degrees_most * 3600000)
                return false;
            *angle = EQUATOR + (uint32_t)(letter == (uint8_t)hemispheres[0] ? value : -value);
            return true;
        }
        if (i == 3 || !decimal(word, i == 2 ? 3 : 0,
                               i == 0   ? degrees_most
                               : i == 1 ? 59
                                        : 59999,
                               &part))
            return false;
        value += part * (i == 0 ? 3600000 : i == 1 ? 60000 : 1);
    }
    return false;
}

static struct span without_unit(struct span word)
{
    if (word.length > 1 && ascii_lower(word.data[word.length - 1]) == 'm')
        word.length--;
    return word;
}

static bool take_altitude(struct cursor *cursor, uint32_t *altitude)
{
    struct span word;
    uint64_t value;
    if (!next(cursor, &word))
        return false;
    word = without_unit(word);
    bool is_below = word.length && word.data[0] == '-';
    if (!decimal(span_from(word, is_below), 2, is_below ? BELOW_SEA_CM : UINT32_MAX - BELOW_SEA_CM,
                 &value))
        return false;
    *altitude = (uint32_t)(is_below ? BELOW_SEA_CM - value : BELOW_SEA_CM + value);
    return true;
}

/* Centimetres as a digit and a power of ten, rounded down as others do. */
static bool take_size(struct cursor *cursor, uint8_t *size)
{
    struct span word;
    uint64_t value;
    if (cursor->at == cursor->count)
        return true; /* its default stays */
    if (!next(cursor, &word) || !decimal(without_unit(word), 2, 9000000000, &value))
        return false;
    uint8_t power = 0;
    for (; value >= 10; value /= 10)
        power++;
    *size = (uint8_t)(value << 4 | power);
    return true;
}

int dns_rdata_put_location(struct dns_rdata_writer *writer, const struct dns_word *words,
                           size_t count, size_t *wrong)
{
    struct cursor cursor = {words, count, 0};
    uint8_t head[4] = {0, 0x12, 0x16, 0x13}; /* version, 1 m, 10 km, 10 m */
    uint32_t latitude, longitude, altitude;
    bool is_good = take_angle(&cursor, 90, "NS", &latitude) &&
                   take_angle(&cursor, 180, "EW", &longitude) && take_altitude(&cursor, &altitude);
    for (unsigned i = 1; i < 4 && is_good; i++)
        is_good = take_size(&cursor, &head[i]);
    if (!is_good || cursor.at < count) {
        *wrong += cursor.at && !is_good ? cursor.at - 1 : cursor.at;
        return ERROR_INVALID;
    }
    uint8_t wire[12];
    store_u32(store_u32(store_u32(wire, latitude), longitude), altitude);
    int error = dns_rdata_put(writer, head, sizeof head);
    return error < 0 ? error : dns_rdata_put(writer, wire, sizeof wire);
}
