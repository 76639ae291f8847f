/* SPDX-License-Identifier: Apache-2.0
 *
 * The Priority field (RFC 9218 section 4): a dictionary of structured fields (RFC 8941 section 3.2) of which two keys mean
 * something, u=0..7 and i. Everything else in it is walked over.
 */
#include "http/chars.h"
#include "http/http.h"

/* A bare item or the start of a parameter ends here. */
static bool ends_item(uint8_t byte)
{
    return byte == ',' || byte == ';' || byte == ' ' || byte == '\t';
}

static bool is_key_byte(uint8_t byte, bool is_first)
{
    if (is_first)
        return (uint8_t)(byte - 'a') < 26 || byte == '*';
    return (uint8_t)(byte - 'a') < 26 || is_digit(byte) || byte == '_' || byte == '-' ||
           byte == '.' || byte == '*';
}

/* The value of a member, as far as telling its end needs: a string ends with its quote, an inner list with its parenthesis. */
static bool take_value(struct span *rest, struct span *value)
{
    size_t end = 0, depth = 0;
    bool is_quoted = false;
    for (; end < rest->length; end++) {
        uint8_t byte = rest->data[end];
        if (is_quoted) {
            if (byte == '\\')
                end++;
            else if (byte == '"')
                is_quoted = false;
        } else if (byte == '"') {
            is_quoted = true;
        } else if (byte == '(') {
            if (depth++)
                return false;
        } else if (byte == ')') {
            if (!depth--)
                return false;
        } else if (!depth && ends_item(byte)) {
            break;
        }
    }
    if (is_quoted || depth || end > rest->length)
        return false;
    *value = span_of(rest->data, end);
    *rest = span_from(*rest, end);
    return true;
}

static bool take_key(struct span *rest, struct span *key)
{
    size_t end = 0;
    while (end < rest->length && is_key_byte(rest->data[end], !end))
        end++;
    *key = span_of(rest->data, end);
    *rest = span_from(*rest, end);
    return end > 0;
}

/* key[=value], without value when it is "true". */
static bool take_pair(struct span *rest, struct span *key, struct span *value)
{
    *value = SPAN("?1");
    if (!take_key(rest, key))
        return false;
    if (!rest->length || rest->data[0] != '=')
        return true;
    *rest = span_from(*rest, 1);
    return take_value(rest, value) && value->length;
}

static void skip_white(struct span *rest, bool with_tab)
{
    while (rest->length && (rest->data[0] == ' ' || (with_tab && rest->data[0] == '\t')))
        *rest = span_from(*rest, 1);
}

static void heed(struct http_priority *priority, struct span key, struct span value)
{
    if (span_equal(key, SPAN("u"))) {
        if (value.length == 1 && value.data[0] >= '0' && value.data[0] <= '7')
            priority->urgency = (uint8_t)(value.data[0] - '0');
    } else if (span_equal(key, SPAN("i"))) {
        if (value.length == 2 && value.data[0] == '?' && (value.data[1] | 1) == '1')
            priority->incremental = value.data[1] == '1';
    }
}

struct http_priority http_priority_read(struct span value)
{
    struct http_priority priority = HTTP_PRIORITY_DEFAULT;
    struct span rest = span_trim(value), key, item;
    while (rest.length) {
        struct span parameter, ignored;
        if (!take_pair(&rest, &key, &item))
            return HTTP_PRIORITY_DEFAULT;
        while (rest.length && rest.data[0] == ';') {
            rest = span_from(rest, 1);
            skip_white(&rest, false);
            if (!take_pair(&rest, &parameter, &ignored))
                return HTTP_PRIORITY_DEFAULT;
        }
        heed(&priority, key, item);
        skip_white(&rest, true);
        if (!rest.length)
            break;
        if (rest.data[0] != ',')
            return HTTP_PRIORITY_DEFAULT;
        rest = span_from(rest, 1);
        skip_white(&rest, true);
        if (!rest.length)
            return HTTP_PRIORITY_DEFAULT; /* a comma at the end */
    }
    return priority;
}
