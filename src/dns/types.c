/* SPDX-License-Identifier: Apache-2.0
 *
 * Record types: the table, their names, and whether data fits its layout.
 */
#include "dns/types.h"

#include "base/bytes.h"

#include <stdio.h>

/* The common ones first. */
static const struct dns_type types[] = {
    {DNS_A, "A", "a"},
    {DNS_AAAA, "AAAA", "q"},
    {DNS_NS, "NS", "n"},
    {DNS_CNAME, "CNAME", "n"},
    {DNS_TXT, "TXT", "s"},
    {DNS_MX, "MX", "2n"},
    {DNS_PTR, "PTR", "n"},
    {DNS_DS, "DS", "2g1x"},
    {DNS_RRSIG, "RRSIG", "tg1dTT2Nb"},
    {DNS_NSEC, "NSEC", "Nm"},
    {DNS_NSEC3, "NSEC3", "112hkm"},
    {DNS_DNSKEY, "DNSKEY", "21gb"},
    {DNS_SRV, "SRV", "222N"},
    {DNS_SOA, "SOA", "nn4dddd"},
    {DNS_CAA, "CAA", "1cr"},
    {DNS_SVCB, "SVCB", "2Np"},
    {DNS_HTTPS, "HTTPS", "2Np"},
    {DNS_DNAME, "DNAME", "N"},
    {DNS_TLSA, "TLSA", "111x"},
    {DNS_SSHFP, "SSHFP", "11x"},
    {DNS_NAPTR, "NAPTR", "22cccN"},
    {DNS_SPF, "SPF", "s"},
    {DNS_HINFO, "HINFO", "cc"},
    {DNS_LOC, "LOC", "L"},
    {DNS_RP, "RP", "NN"},
    {DNS_URI, "URI", "22r"},
    {DNS_NSEC3PARAM, "NSEC3PARAM", "112h"},
    {DNS_CDS, "CDS", "2g1x"},
    {DNS_CDNSKEY, "CDNSKEY", "21gb"},
    {DNS_OPENPGPKEY, "OPENPGPKEY", "b"},
    {DNS_SMIMEA, "SMIMEA", "111x"},
    {3, "MD", "n"},
    {4, "MF", "n"},
    {7, "MB", "n"},
    {8, "MG", "n"},
    {9, "MR", "n"},
    {14, "MINFO", "nn"},
    {18, "AFSDB", "2N"},
    {19, "X25", "c"},
    {20, "ISDN", "s"},
    {21, "RT", "2N"},
    {25, "KEY", "21gb"},
    {26, "PX", "2NN"},
    {27, "GPOS", "ccc"},
    {36, "KX", "2N"},
    {37, "CERT", "C2gb"},
    {49, "DHCID", "b"},
    {56, "NINFO", "s"},
    {58, "TALINK", "NN"},
    {62, "CSYNC", "42m"},
    {63, "ZONEMD", "411x"},
    {104, "NID", "2i"},
    {105, "L32", "2a"},
    {106, "L64", "2i"},
    {107, "LP", "2N"},
    {108, "EUI48", "e"},
    {109, "EUI64", "E"},
    {258, "AVC", "s"},
    {261, "RESINFO", "s"},
    {32769, "DLV", "2g1x"},
    {DNS_ALIAS, "ALIAS", "N"},
};

enum { TYPES = sizeof types / sizeof *types };

const struct dns_type *dns_type_find(uint16_t number)
{
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].number == number)
            return &types[i];
    return NULL;
}

/* Those of queries and messages, RFC 6895 section 3.1: no zone holds them. */
static bool is_meta(uint64_t number)
{
    return number == 0 || number == DNS_OPT || (number >= 128 && number <= 255);
}

uint16_t dns_type_number(struct span name)
{
    for (size_t i = 0; i < TYPES; i++)
        if (span_equal_nocase(name, span_text(types[i].name)))
            return types[i].number;
    uint64_t number;
    if (name.length < 5 || name.length > 9 ||
        !span_equal_nocase(span_of(name.data, 4), SPAN("TYPE")) ||
        span_number(span_from(name, 4), &number) < 0 || number > UINT16_MAX || is_meta(number))
        return 0;
    return (uint16_t)number;
}

const char *dns_type_name(uint16_t number)
{
    const struct dns_type *type = dns_type_find(number);
    return type ? type->name : NULL;
}

const char *dns_type_text(uint16_t number, char out[DNS_TYPE_TEXT_BYTES])
{
    const char *name = dns_type_name(number);
    if (name)
        snprintf(out, DNS_TYPE_TEXT_BYTES, "%s", name);
    else
        snprintf(out, DNS_TYPE_TEXT_BYTES, "TYPE%u", number);
    return out;
}

static int fixed(size_t length, struct span rdata)
{
    return rdata.length < length ? ERROR_INVALID : (int)length;
}

static int strings_length(struct span rdata)
{
    size_t at = 0;
    while (at < rdata.length)
        at += (size_t)rdata.data[at] + 1;
    return at && at == rdata.length ? (int)at : ERROR_INVALID;
}

static int name_length(struct span rdata)
{
    size_t at = 0;
    while (at < rdata.length && at < DNS_NAME_LIMIT) {
        uint8_t label = rdata.data[at];
        if (label > DNS_LABEL_LIMIT)
            return ERROR_INVALID;
        at += (size_t)label + 1;
        if (!label)
            return at <= DNS_NAME_LIMIT ? (int)at : ERROR_INVALID;
    }
    return ERROR_INVALID;
}

/* Windows of {number, length, bits}, numbers ascending, no zero byte at a window's end (RFC 4034 section 4.1.2). An
 * empty one is right for NSEC3 (RFC 5155 section 3.2.1). */
static int bitmap_length(struct span rdata)
{
    int before = -1;
    for (size_t at = 0; at < rdata.length;) {
        if (rdata.length - at < 2)
            return ERROR_INVALID;
        int window = rdata.data[at];
        size_t length = rdata.data[at + 1];
        if (window <= before || length < 1 || length > 32 || rdata.length - at - 2 < length ||
            !rdata.data[at + 1 + length])
            return ERROR_INVALID;
        before = window;
        at += 2 + length;
    }
    return (int)rdata.length;
}

int dns_field_length(char field, struct span rdata)
{
    switch (field) {
    case 'a':
    case 'd':
    case 'T':
        return fixed(4, rdata);
    case 'q':
        return fixed(16, rdata);
    case '1':
    case '2':
    case '4':
        return fixed((size_t)(field - '0'), rdata);
    case 't':
    case 'C':
        return fixed(2, rdata);
    case 'g':
        return fixed(1, rdata);
    case 'i':
    case 'E':
        return fixed(8, rdata);
    case 'e':
        return fixed(6, rdata);
    case 'n':
    case 'N':
        return name_length(rdata);
    case 'c':
    case 'h':
    case 'k':
        return rdata.length ? fixed((size_t)rdata.data[0] + 1, rdata) : ERROR_INVALID;
    case 's':
        return strings_length(rdata);
    case 'm':
        return bitmap_length(rdata);
    case 'p':
        return dns_service_is_valid(rdata) ? (int)rdata.length : ERROR_INVALID;
    case 'L':
        return rdata.length == 16 && rdata.data[0] == 0 ? 16 : ERROR_INVALID;
    case 'x':
    case 'b':
        return rdata.length ? (int)rdata.length : ERROR_INVALID;
    case 'r':
        return (int)rdata.length;
    }
    return ERROR_UNSUPPORTED;
}

bool dns_rdata_is_valid(uint16_t number, struct span rdata)
{
    const struct dns_type *type = dns_type_find(number);
    if (!type)
        return rdata.length <= DNS_RDATA_LIMIT;
    size_t at = 0;
    for (const char *field = type->layout; *field; field++) {
        int length = dns_field_length(*field, span_from(rdata, at));
        if (length < 0)
            return false;
        at += (size_t)length;
    }
    return at == rdata.length && at <= DNS_RDATA_LIMIT;
}
