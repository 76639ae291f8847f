/* SPDX-License-Identifier: Apache-2.0
 *
 * Points on the globe, taken as a sphere: half a percent off at worst.
 */
#include "maps/maps.h"

#include <math.h>

enum {
    UNITS = 10000, /* of a degree */
    DIGITS = 4,
};

/* "-8.6821" in units; further digits are cut off. */
static bool read_degrees(struct span text, int32_t most, int32_t *out)
{
    bool is_negative = text.length && text.data[0] == '-';
    if (is_negative)
        text = span_from(text, 1);
    size_t point = span_find(text, '.');
    uint64_t whole;
    if (span_number(span_of(text.data, point), &whole) < 0 || whole > (uint64_t)most)
        return false;
    struct span digits = span_from(text, point + 1);
    if (point < text.length && !digits.length)
        return false;
    int32_t value = (int32_t)whole * UNITS;
    for (int32_t i = 0, unit = UNITS; i < (int32_t)digits.length; i++) {
        uint8_t digit = (uint8_t)(digits.data[i] - '0');
        if (digit > 9 || i > 3 * DIGITS)
            return false;
        unit /= 10;
        value += digit * unit;
    }
    *out = is_negative ? -value : value;
    return value <= most * UNITS;
}

int maps_point_parse(struct span text, struct maps_point *point)
{
    size_t comma = span_find(text, ',');
    return read_degrees(span_trim(span_of(text.data, comma)), 90, &point->latitude) &&
                   read_degrees(span_trim(span_from(text, comma + 1)), 180, &point->longitude)
               ? 0
               : ERROR_INVALID;
}

/* The haversine form, which keeps its precision for near points. */
uint32_t maps_point_km(struct maps_point a, struct maps_point b)
{
    static const double radians = 3.14159265358979323846 / 180 / UNITS, radius_km = 6371.0;
    double latitude_a = a.latitude * radians, latitude_b = b.latitude * radians;
    double north = sin((latitude_b - latitude_a) / 2);
    double east = sin((double)((int64_t)b.longitude - a.longitude) * radians / 2);
    double half = north * north + cos(latitude_a) * cos(latitude_b) * east * east;
    return (uint32_t)(2 * radius_km * asin(sqrt(half < 1 ? half : 1)) + 0.5);
}
