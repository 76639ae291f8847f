/* SPDX-License-Identifier: Apache-2.0
 *
 * A request as conditions see it. A path that is written in another way is the same path to them: percent-encoding is undone once,
 * slashes are merged and dot segments resolved, so that nobody passes a rule for /admin/ as //%61dmin/. The
 * request itself goes on as it came.
 */
#include "rules/private.h"

static int hex_digit(uint8_t byte)
{
    if ((uint8_t)(byte - '0') < 10)
        return byte - '0';
    byte = ascii_lower(byte);
    return (uint8_t)(byte - 'a') < 6 ? byte - 'a' + 10 : -1;
}

/* The byte at `*at`, which moves behind it. */
static uint8_t decode(struct span text, size_t *at)
{
    uint8_t byte = text.data[(*at)++];
    if (byte != '%' || text.length - *at < 2)
        return byte;
    int high = hex_digit(text.data[*at]), low = hex_digit(text.data[*at + 1]);
    if (high < 0 || low < 0)
        return byte;
    *at += 2;
    return (uint8_t)(high << 4 | low);
}

static bool is_canonical(struct span path)
{
    for (size_t i = 0; i < path.length; i++) {
        uint8_t byte = path.data[i];
        if (byte == '%')
            return false;
        if (byte == '/' && i + 1 < path.length &&
            (path.data[i + 1] == '/' || path.data[i + 1] == '.'))
            return false;
    }
    return true;
}

/* `out` ends behind the slash of the segment before. */
static size_t drop_segment(const uint8_t *out, size_t length)
{
    if (length > 1)
        length--; /* its slash */
    while (length > 1 && out[length - 1] != '/')
        length--;
    return length;
}

static struct span canonical_path(struct span path, struct arena *arena, bool *had_dots)
{
    *had_dots = false;
    if (is_canonical(path) || !path.length || path.data[0] != '/')
        return path;
    uint8_t *out = arena_take(arena, path.length + 1);
    size_t length = 0;
    size_t segment = 1; /* where the present one begins in `out` */
    for (size_t at = 0; at <= path.length;) {
        bool is_end = at == path.length;
        uint8_t byte = is_end ? '/' : decode(path, &at);
        if (byte != '/') {
            out[length++] = byte;
            continue;
        }
        size_t name = length > segment ? length - segment : 0;
        bool is_here = length && name == 1 && out[segment] == '.';
        bool is_above = length && name == 2 && out[segment] == '.' && out[segment + 1] == '.';
        *had_dots |= is_here || is_above;
        if (is_here)
            length = segment;
        else if (is_above)
            length = drop_segment(out, segment);
        else if (!is_end && (!length || out[length - 1] != '/'))
            out[length++] = '/';
        segment = length;
        if (is_end)
            break;
    }
    return span_of(out, length);
}

void subject_init(struct subject *subject, const struct rules_facts *facts, struct arena *arena)
{
    struct span target = facts->head->target;
    size_t length = span_find(target, '?');
    *subject = (struct subject){.facts = facts, .arena = arena};
    subject->query = span_from(target, length + 1);
    subject->path = canonical_path(span_of(target.data, length), arena, &subject->had_dots);
}

static struct span decoded(const struct subject *subject, struct span text)
{
    if (span_find(text, '%') == text.length && span_find(text, '+') == text.length)
        return text;
    uint8_t *out = arena_take(subject->arena, text.length);
    size_t length = 0;
    for (size_t at = 0; at < text.length;) {
        bool is_blank = text.data[at] == '+';
        uint8_t byte = decode(text, &at);
        out[length++] = is_blank ? ' ' : byte;
    }
    return span_of(out, length);
}

static bool next_pair(struct span *rest, uint8_t separator, struct span *name, struct span *value)
{
    if (!rest->length)
        return false;
    size_t end = span_find(*rest, separator);
    struct span pair = span_of(rest->data, end);
    size_t equals = span_find(pair, '=');
    *rest = span_from(*rest, end + 1);
    *name = span_of(pair.data, equals);
    *value = span_from(pair, equals + 1);
    return true;
}

bool subject_next_parameter(const struct subject *subject, struct span *rest, struct span *name,
                            struct span *value)
{
    if (!next_pair(rest, '&', name, value))
        return false;
    *name = decoded(subject, *name);
    *value = decoded(subject, *value);
    return true;
}

bool subject_next_cookie(struct span *rest, struct span *name, struct span *value)
{
    if (!next_pair(rest, ';', name, value))
        return false;
    *name = span_trim(*name);
    *value = span_trim(*value);
    return true;
}
