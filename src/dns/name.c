/* SPDX-License-Identifier: Apache-2.0
 *
 * Names: text to wire form and back, reading from messages (RFC 1035 sections 2.3.4, 3.1, 4.1.4, 5.1).
 */
#include "dns/dns.h"

#include <stdio.h>

/* One character of a name's text, with its escapes; tells whether it is a separating dot. */
static int take_character(struct span *text, uint8_t *byte, bool *is_dot)
{
    *is_dot = false;
    *byte = text->data[0];
    size_t used = 1;
    if (*byte == '.') {
        *is_dot = true;
    } else if (*byte == '\\') {
        if (text->length < 2)
            return ERROR_INVALID;
        const uint8_t *digits = text->data + 1;
        if (digits[0] < '0' || digits[0] > '9') {
            *byte = digits[0];
            used = 2;
        } else {
            uint64_t value;
            if (text->length < 4 || span_number(span_of(digits, 3), &value) < 0 || value > 255)
                return ERROR_INVALID;
            *byte = (uint8_t)value;
            used = 4;
        }
    }
    *text = span_from(*text, used);
    return 0;
}

static int append(struct dns_name *name, const struct dns_name *tail)
{
    size_t kept = (size_t)name->length - 1; /* the root label gives way */
    if (kept + tail->length > DNS_NAME_LIMIT)
        return ERROR_LIMIT;
    memcpy(name->wire + kept, tail->wire, tail->length);
    name->length = (uint8_t)(kept + tail->length);
    name->labels = (uint8_t)(name->labels + tail->labels);
    return 0;
}

int dns_name_parse(struct span text, const struct dns_name *origin, struct dns_name *name)
{
    if (!text.length)
        return ERROR_INVALID;
    if (origin && span_equal(text, SPAN("@"))) {
        *name = *origin;
        return 0;
    }
    name->labels = 0;
    size_t length = 1, label = 0; /* `label`: where the current length byte is */
    bool is_absolute = span_equal(text, SPAN("."));
    if (is_absolute)
        text.length = 0;
    while (text.length) {
        uint8_t byte;
        bool is_dot;
        int error = take_character(&text, &byte, &is_dot);
        if (error < 0)
            return error;
        if (is_dot) {
            if (length - label == 1)
                return ERROR_INVALID; /* an empty label */
            is_absolute = !text.length;
        } else {
            if (length - label > DNS_LABEL_LIMIT || length >= DNS_NAME_LIMIT - 1)
                return ERROR_LIMIT;
            name->wire[length++] = byte;
        }
        if (is_dot || !text.length) {
            name->wire[label] = (uint8_t)(length - label - 1);
            name->labels++;
            label = length++;
        }
    }
    name->wire[label] = 0;
    name->length = (uint8_t)(label + 1);
    return origin && !is_absolute ? append(name, origin) : 0;
}

int dns_name_read(struct span message, size_t *offset, struct dns_name *name)
{
    size_t at = *offset, length = 0, behind = 0;
    size_t earliest = at; /* each pointer must lead to before all that was read: no loop can pass */
    name->labels = 0;
    for (;;) {
        if (at >= message.length)
            return ERROR_INCOMPLETE;
        uint8_t byte = message.data[at];
        if (byte >= 0xc0) {
            if (at + 1 >= message.length)
                return ERROR_INCOMPLETE;
            size_t target = (size_t)(byte & 0x3f) << 8 | message.data[at + 1];
            if (target >= earliest)
                return ERROR_INVALID;
            if (!behind)
                behind = at + 2;
            earliest = at = target;
            continue;
        }
        if (byte > DNS_LABEL_LIMIT)
            return ERROR_INVALID; /* 0x40 and 0x80: extended labels, obsolete (RFC 6891 section 5) */
        if (at + 1 + byte > message.length)
            return ERROR_INCOMPLETE;
        if (length + 1 + byte + (byte ? 1u : 0u) > DNS_NAME_LIMIT)
            return ERROR_LIMIT;
        memcpy(name->wire + length, message.data + at, (size_t)byte + 1);
        length += (size_t)byte + 1;
        at += (size_t)byte + 1;
        if (!byte)
            break;
        name->labels++;
    }
    name->length = (uint8_t)length;
    *offset = behind ? behind : at;
    return 0;
}

const char *dns_name_text(const struct dns_name *name, char out[DNS_NAME_TEXT_BYTES])
{
    char *to = out;
    for (const uint8_t *at = name->wire; *at; at += *at + 1) {
        if (to != out)
            *to++ = '.';
        for (unsigned i = 1; i <= *at; i++) {
            uint8_t byte = at[i];
            if (byte <= ' ' || byte >= 0x7f)
                to += snprintf(to, 5, "\\%03u", byte);
            else {
                if (byte == '.' || byte == '\\' || byte == '"' || byte == ';' || byte == '@')
                    *to++ = '\\';
                *to++ = (char)byte;
            }
        }
    }
    if (to == out)
        *to++ = '.';
    *to = 0;
    return out;
}

void dns_name_lower(struct dns_name *name)
{
    /* Length bytes are below 'A', so the whole wire form can be folded at once. */
    for (unsigned i = 0; i < name->length; i++)
        name->wire[i] = ascii_lower(name->wire[i]);
}

bool dns_name_equal(const struct dns_name *a, const struct dns_name *b)
{
    return span_equal_nocase(span_of(a->wire, a->length), span_of(b->wire, b->length));
}

bool dns_name_is_within(const struct dns_name *name, const struct dns_name *of)
{
    if (name->labels < of->labels)
        return false;
    const uint8_t *at = name->wire;
    for (unsigned skip = name->labels - of->labels; skip; skip--)
        at += *at + 1;
    size_t left = name->length - (size_t)(at - name->wire);
    return span_equal_nocase(span_of(at, left), span_of(of->wire, of->length));
}
