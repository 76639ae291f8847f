/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages to text.
 */
#include "message_text.h"

#include "base/bytes.h"
#include "dns/types.h"

static const char *rcode_name(unsigned rcode)
{
    static const char *const names[DNS_RCODES] = {
        [DNS_NOERROR] = "NOERROR",   [DNS_FORMERR] = "FORMERR", [DNS_SERVFAIL] = "SERVFAIL",
        [DNS_NXDOMAIN] = "NXDOMAIN", [DNS_NOTIMP] = "NOTIMP",   [DNS_REFUSED] = "REFUSED",
        [DNS_YXDOMAIN] = "YXDOMAIN", [DNS_BADVERS] = "BADVERS", [DNS_BADCOOKIE] = "BADCOOKIE"};
    return rcode < DNS_RCODES && names[rcode] ? names[rcode] : "?";
}

static bool name_text(struct span message, size_t *at, struct text *text)
{
    struct dns_name name;
    char out[DNS_NAME_TEXT_BYTES];
    if (dns_name_read(message, at, &name) < 0)
        return false;
    text_add_format(text, " %s", dns_name_text(&name, out));
    return true;
}

static bool field_text(struct span message, size_t *at, size_t end, char field, struct text *text)
{
    if (field == 'n' || field == 'N')
        return name_text(message, at, text) && *at <= end;
    struct span rest = span_of(message.data + *at, end - *at);
    int length = dns_field_length(field, rest);
    if (length < 0)
        return false;
    struct address address = {.family = field == 'a' ? 4 : 6};
    char out[ADDRESS_TEXT_BYTES];
    switch (field) {
    case 'a':
    case 'q':
        memcpy(address.bytes, rest.data, (size_t)length);
        text_add_format(text, " %s", address_text(&address, false, out));
        break;
    case '1':
    case 'g':
        text_add_format(text, " %u", rest.data[0]);
        break;
    case '2':
    case 't':
    case 'C':
        text_add_format(text, " %u", load_u16(rest.data));
        break;
    case '4':
    case 'd':
    case 'T':
        text_add_format(text, " %u", load_u32(rest.data));
        break;
    case 's':
    case 'c':
        for (int i = 0; i < length; i += rest.data[i] + 1) {
            text_add(text, " ");
            text_add_json(text, span_of(rest.data + i + 1, rest.data[i]));
        }
        break;
    default:
        text_add(text, " ");
        text_add_json(text, span_of(rest.data, (size_t)length));
    }
    *at += (size_t)length;
    return true;
}

static bool rdata_text(struct span message, size_t at, size_t end, uint16_t number,
                       struct text *text)
{
    const struct dns_type *type = dns_type_find(number);
    if (!type) {
        text_add_format(text, " TYPE%u", number);
        return true;
    }
    text_add_format(text, " %s", type->name);
    for (const char *field = type->layout; *field; field++)
        if (!field_text(message, &at, end, *field, text))
            return false;
    return at == end;
}

/* " 8:0001180018c00002" for each. */
static bool options_text(struct span data, struct text *text)
{
    struct reader reader = reader_of(data);
    while (reader_left(&reader)) {
        text_add_format(text, " %u:", read_u16(&reader));
        struct span value = read_span(&reader, read_u16(&reader));
        for (size_t i = 0; i < value.length; i++)
            text_add_format(text, "%02x", value.data[i]);
    }
    return !reader.failed;
}

static bool record_text(struct span message, size_t *at, const char *section, unsigned *rcode,
                        struct text *text)
{
    size_t before = text->length;
    text_add(text, section);
    if (!name_text(message, at, text))
        return false;
    struct reader reader = reader_of(span_from(message, *at));
    uint16_t type = read_u16(&reader), class = read_u16(&reader);
    uint32_t ttl = read_u32(&reader);
    uint16_t length = read_u16(&reader);
    size_t from = *at + 10;
    if (reader.failed || reader_left(&reader) < length)
        return false;
    *at = from + length;
    if (type == DNS_OPT) {
        *rcode |= ttl >> 24 << 4;
        text->length = before;
        text_add_format(text, "OPT %u%s", class, ttl & 0x8000 ? " do" : "");
        if (!options_text(span_of(message.data + from, length), text))
            return false;
        text_add(text, "\n");
        return (ttl & 0xff7fff) == 0 && section[1] == 'D';
    }
    if (class != 1 && class != 3)
        return false;
    text_add_format(text, class == 3 ? " CH %u" : " %u", ttl);
    if (!rdata_text(message, from, *at, type, text))
        return false;
    text_add(text, "\n");
    return true;
}

bool message_text(struct span message, struct text *text)
{
    if (message.length < DNS_HEADER_BYTES)
        return false;
    uint16_t flags = load_u16(message.data + 2);
    unsigned rcode = flags & 0xf, questions = load_u16(message.data + 4);
    size_t at = DNS_HEADER_BYTES;
    struct text body = {0};
    bool is_sound = (flags & 0x8000) && questions <= 1;
    if (is_sound && questions) {
        struct dns_name name;
        is_sound = dns_name_read(message, &at, &name) == 0 && at + 4 <= message.length;
        at += 4;
    }
    static const char *const sections[] = {"AN", "AU", "AD"};
    for (unsigned i = 0; is_sound && i < 3; i++)
        for (unsigned n = load_u16(message.data + 6 + 2 * i); is_sound && n; n--)
            is_sound = record_text(message, &at, sections[i], &rcode, &body);
    if (is_sound) {
        text_add_format(text, "%s%s%s\n", rcode_name(rcode), flags & 0x400 ? " aa" : "",
                        flags & 0x200 ? " tc" : "");
        text_add_span(text, text_span(&body));
    }
    text_clear(&body);
    return is_sound && at == message.length;
}

size_t query_write(const struct query_form *form, uint8_t out[512])
{
    struct dns_name name;
    INVARIANT(dns_name_parse(span_text(form->name), NULL, &name) == 0);
    uint8_t *to = store_u16(out, 0x1234);
    to = store_u16(to, form->flags);
    to = store_u16(to, 1);
    to = store_u32(to, 0);
    to = store_u16(to, form->udp_bytes != 0);
    memcpy(to, name.wire, name.length);
    to = store_u16(to + name.length, form->type);
    to = store_u16(to, form->class ? form->class : 1);
    if (form->udp_bytes) {
        *to++ = 0;
        to = store_u16(store_u16(to, DNS_OPT), form->udp_bytes);
        to =
            store_u32(to, (uint32_t)form->edns_version << 16 | (form->is_dnssec_ok ? 0x8000u : 0u));
        to = store_u16(to, (uint16_t)form->options.length);
        if (form->options.length)
            memcpy(to, form->options.data, form->options.length);
        to += form->options.length;
    }
    return (size_t)(to - out);
}
