/* SPDX-License-Identifier: Apache-2.0
 *
 * Dictionaries of structured fields, after the algorithms of RFC 8941 section 4.2.
 */
#include "cache/structured.h"

static bool is_digit(uint8_t byte)
{
    return (uint8_t)(byte - '0') <= 9;
}

static bool is_lower(uint8_t byte)
{
    return (uint8_t)(byte - 'a') < 26;
}

static bool is_alpha(uint8_t byte)
{
    return is_lower(ascii_lower(byte));
}

static bool is_key(uint8_t byte)
{
    return is_lower(byte) || is_digit(byte) || byte == '_' || byte == '-' || byte == '.' ||
           byte == '*';
}

static bool is_token(uint8_t byte)
{
    return is_alpha(byte) || is_digit(byte) ||
           (byte && memchr("!#$%&'*+-.^_`|~:/", byte, sizeof "!#$%&'*+-.^_`|~:/" - 1));
}

static bool is_base64(uint8_t byte)
{
    return is_alpha(byte) || is_digit(byte) || byte == '+' || byte == '/' || byte == '=';
}

static bool at(const struct span *rest, uint8_t byte)
{
    return rest->length && rest->data[0] == byte;
}

static bool take(struct span *rest, uint8_t byte)
{
    if (!at(rest, byte))
        return false;
    *rest = span_from(*rest, 1);
    return true;
}

static struct span take_while(struct span *rest, bool (*fits)(uint8_t byte))
{
    size_t length = 0;
    while (length < rest->length && fits(rest->data[length]))
        length++;
    struct span taken = span_of(rest->data, length);
    *rest = span_from(*rest, length);
    return taken;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ';
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static int take_key(struct span *rest, struct span *key)
{
    if (!rest->length || (!is_lower(rest->data[0]) && rest->data[0] != '*'))
        return ERROR_INVALID;
    *key = take_while(rest, is_key);
    return 0;
}

/* Integers of 15 digits, decimals of 12 and 3. */
static int take_number(struct span *rest, struct structured_member *item)
{
    bool is_negative = take(rest, '-');
    struct span whole = take_while(rest, is_digit);
    if (!whole.length || whole.length > 15)
        return ERROR_INVALID;
    item->type = STRUCTURED_INTEGER;
    item->integer = 0;
    for (size_t i = 0; i < whole.length; i++)
        item->integer = item->integer * 10 + (whole.data[i] - '0');
    if (is_negative)
        item->integer = -item->integer;
    if (!take(rest, '.'))
        return 0;
    struct span fraction = take_while(rest, is_digit);
    item->type = STRUCTURED_DECIMAL;
    return whole.length > 12 || !fraction.length || fraction.length > 3 ? ERROR_INVALID : 0;
}

static int take_string(struct span *rest, struct structured_member *item)
{
    item->type = STRUCTURED_STRING;
    for (size_t i = 0; i < rest->length; i++) {
        uint8_t byte = rest->data[i];
        if (byte == '"') {
            item->text = span_of(rest->data, i);
            *rest = span_from(*rest, i + 1);
            return 0;
        }
        if (byte == '\\' &&
            (++i == rest->length || (rest->data[i] != '"' && rest->data[i] != '\\')))
            return ERROR_INVALID;
        if (byte < 0x20 || byte > 0x7e)
            return ERROR_INVALID;
    }
    return ERROR_INVALID;
}

static int take_item(struct span *rest, struct structured_member *item)
{
    if (!rest->length)
        return ERROR_INVALID;
    uint8_t first = rest->data[0];
    if (first == '-' || is_digit(first))
        return take_number(rest, item);
    if (take(rest, '"'))
        return take_string(rest, item);
    if (first == '*' || is_alpha(first)) {
        item->type = STRUCTURED_TOKEN;
        item->text = take_while(rest, is_token);
        return 0;
    }
    if (take(rest, ':')) {
        item->type = STRUCTURED_BYTES;
        item->text = take_while(rest, is_base64);
        return take(rest, ':') ? 0 : ERROR_INVALID;
    }
    if (take(rest, '?')) {
        item->type = STRUCTURED_BOOLEAN;
        item->boolean = at(rest, '1');
        return take(rest, '0') || take(rest, '1') ? 0 : ERROR_INVALID;
    }
    return ERROR_INVALID;
}

static int skip_parameters(struct span *rest)
{
    while (take(rest, ';')) {
        struct structured_member ignored;
        take_while(rest, is_space);
        int result = take_key(rest, &ignored.key);
        if (!result && take(rest, '='))
            result = take_item(rest, &ignored);
        if (result)
            return result;
    }
    return 0;
}

static int take_inner_list(struct span *rest, struct structured_member *list)
{
    list->type = STRUCTURED_LIST;
    for (;;) {
        struct structured_member ignored;
        take_while(rest, is_space);
        if (take(rest, ')'))
            return 0;
        int result = take_item(rest, &ignored);
        if (!result)
            result = skip_parameters(rest);
        if (result)
            return result;
        if (!at(rest, ' ') && !at(rest, ')'))
            return ERROR_INVALID;
    }
}

int structured_dictionary_next(struct span *rest, struct structured_member *member)
{
    if (!rest->length)
        return 0;
    *member = (struct structured_member){.type = STRUCTURED_BOOLEAN, .boolean = true};
    int result = take_key(rest, &member->key);
    if (!result && take(rest, '='))
        result = take(rest, '(') ? take_inner_list(rest, member) : take_item(rest, member);
    if (!result)
        result = skip_parameters(rest);
    if (result)
        return result;
    take_while(rest, is_blank);
    if (!rest->length)
        return 1;
    if (!take(rest, ','))
        return ERROR_INVALID;
    take_while(rest, is_blank);
    return rest->length ? 1 : ERROR_INVALID; /* a comma at the end */
}
