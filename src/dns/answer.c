/* SPDX-License-Identifier: Apache-2.0
 *
 * The answer to a query: RFC 1034 section 4.3.2 for one message, with what later documents made of it: negative
 * answers with their SOA (2308), EDNS (6891), minimal ANY (8482), whole record sets or TC (2181 section 9).
 */
#include "dns/answer.h"

#include "base/bytes.h"
#include "dns/identity.h"

enum {
    ANY_TTL_S = 3600, /* of the record that stands for all of them, RFC 8482 section 4.2 */
};

static void refuse(struct answer *answer, enum dns_rcode rcode, enum dns_extended_error error)
{
    answer->rcode = rcode;
    answer->error = error;
}

/* All answers that are made of one node, or that one zone or delegation gives in its place, are of one kind. */
static void classify(struct answer *answer, enum dns_kind kind, const struct dns_node *node)
{
    answer->kind = kind;
    answer->about = span_of(node->name, node->name_length);
}

void answer_add_rrset(struct answer *answer, enum section section, struct dns_owner owner,
                      const struct dns_rrset *rrset, uint32_t ttl_most_s)
{
    if (dns_write_rrset(answer->writer, owner, rrset, ttl_most_s))
        answer->counts[section] = (uint16_t)(answer->counts[section] + rrset->count);
    else
        answer->is_truncated = true;
}

static void add_record(struct answer *answer, struct dns_owner owner, uint16_t type, uint32_t ttl_s,
                       struct span rdata)
{
    if (dns_write_record(answer->writer, owner, type, ttl_s, rdata))
        answer->counts[SECTION_ANSWER]++;
    else
        answer->is_truncated = true;
}

/* The zone's apex is a suffix of the question's name: chains stay within the zone. */
void answer_add_negative(struct answer *answer, const struct dns_match *match, uint32_t ttl_most_s)
{
    const struct dns_zone *zone = match->zone;
    uint32_t ttl_s = zone->negative_ttl_s < ttl_most_s ? zone->negative_ttl_s : ttl_most_s;
    classify(answer, DNS_KIND_NEGATIVE, zone->apex);
    struct dns_owner owner = dns_owner_suffix(answer->writer, zone->apex->name_length);
    const struct dns_rrset *soa = dns_seal_soa(&answer->seal, zone);
    answer_add_rrset(answer, SECTION_AUTHORITY, owner, soa, ttl_s);
    answer_sign(answer, SECTION_AUTHORITY, owner, dns_node_name(zone->apex), soa, ttl_s);
    answer_deny(answer, match, ttl_s);
}

/* A name in a record's data is never compressed in memory. */
static void copy_lower(const uint8_t *from, struct dns_name *name)
{
    size_t length = 0;
    name->labels = 0;
    for (; from[length]; length += (size_t)from[length] + 1)
        name->labels++;
    name->length = (uint8_t)(length + 1);
    memcpy(name->wire, from, length + 1);
    dns_name_lower(name);
}

static void add_glue(struct answer *answer, const uint8_t *target, const struct dns_node *node,
                     uint16_t type, bool is_needed)
{
    const struct dns_rrset *rrset = dns_node_rrset(node, type);
    if (!rrset)
        return;
    bool was_truncated = answer->is_truncated;
    answer_add_rrset(answer, SECTION_ADDITIONAL, (struct dns_owner){.name = target}, rrset,
                     UINT32_MAX);
    if (!is_needed)
        answer->is_truncated = was_truncated;
}

/* The addresses of the name servers of `ns`, as far as the zone knows them. Those at or below the cut are part of
 * a referral (RFC 9471); others are a courtesy and may be left out. */
static void add_glue_of(struct answer *answer, const struct dns_zone *zone,
                        const struct dns_rrset *ns, const struct dns_node *cut)
{
    const uint8_t *from = ns->wire;
    for (unsigned i = 0; i < ns->count; i++) {
        const uint8_t *target = from + DNS_RR_FIXED_BYTES;
        from = target + load_u16(from + 10);
        struct dns_name name;
        copy_lower(target, &name);
        const struct dns_node *node = dns_zones_exact(answer->source->zones, &name);
        if (!node || node->zone != zone)
            continue;
        bool is_needed = cut && node->cut == cut;
        add_glue(answer, target, node, DNS_A, is_needed);
        add_glue(answer, target, node, DNS_AAAA, is_needed);
    }
}

static void add_referral(struct answer *answer, const struct dns_match *match)
{
    const struct dns_rrset *ns = dns_node_rrset(match->cut, DNS_NS);
    classify(answer, DNS_KIND_REFERRAL, match->cut);
    struct dns_owner owner = dns_owner_suffix(answer->writer, match->cut->name_length);
    answer_add_rrset(answer, SECTION_AUTHORITY, owner, ns, UINT32_MAX);
    answer_add_delegation(answer, owner, match);
    add_glue_of(answer, match->zone, ns, match->cut);
}

static bool is_address(uint16_t type)
{
    return type == DNS_A || type == DNS_AAAA;
}

static struct dns_client sender_of(const struct dns_request *request)
{
    const struct address *sender = request->client;
    struct dns_client client = {*sender, .bits = (uint8_t)address_bits(sender)};
    client.address.port = 0;
    client.address.scope = 0;
    return client;
}

static struct dns_client subnet_of(const struct dns_subnet *subnet)
{
    struct dns_client client = {.address.family = subnet->family == 1 ? 4 : 6,
                                .bits = subnet->bits,
                                .is_subnet = true};
    memcpy(client.address.bytes, subnet->address, (subnet->bits + 7u) / 8);
    return client;
}

static void choose(struct answer *answer, uint32_t site, struct dns_choice *choice)
{
    const struct dns_source *source = answer->source;
    source->find(source->context, site, answer->client, choice);
    bool is_tailored = is_address(answer->query->type) || choice->alias || choice->alias_varies;
    if (is_tailored && choice->scope_bits > answer->scope_bits)
        answer->scope_bits = choice->scope_bits;
}

static void add_computed(struct answer *answer, struct dns_owner owner,
                         const struct dns_match *match, const struct dns_choice *choice)
{
    const struct dns_addresses *addresses = choice->addresses;
    if (!addresses) {
        refuse(answer, DNS_SERVFAIL, DNS_EXTENDED_NOT_READY);
        answer->is_authoritative = false;
        return;
    }
    bool is_ipv4 = answer->query->type == DNS_A;
    unsigned count = is_ipv4 ? addresses->ipv4_count : addresses->ipv6_count;
    if (!count) /* of this family; it may be there again when an edge comes back */
        answer_add_negative(answer, match, addresses->ttl_s);
    for (unsigned i = 0; i < count; i++)
        add_record(answer, owner, answer->query->type, addresses->ttl_s,
                   is_ipv4 ? span_of(addresses->ipv4[i], 4) : span_of(addresses->ipv6[i], 16));
    if (count)
        answer_sign_addresses(answer, owner, match, addresses);
}

enum { TEXT_TTL_S = 1 }; /* they are there for moments */

static void add_texts(struct answer *answer, struct dns_owner owner, const struct dns_match *match,
                      const struct dns_texts *texts)
{
    for (unsigned i = 0; i < texts->count; i++)
        add_record(answer, owner, DNS_TXT, TEXT_TTL_S, span_of(texts->items[i], DNS_TEXT_BYTES));
    answer_sign_texts(answer, owner, match, texts, TEXT_TTL_S);
}

/* The data of a name that is ours and not an alias. */
static void add_data(struct answer *answer, struct dns_owner owner, const struct dns_match *match,
                     const struct dns_choice *choice)
{
    const struct dns_node *node = match->node;
    uint16_t type = answer->query->type;
    if (node->site != DNS_NO_SITE && is_address(type)) {
        add_computed(answer, owner, match, choice);
        return;
    }
    if (node->site != DNS_NO_SITE && type == DNS_TXT && choice->texts) {
        add_texts(answer, owner, match, choice->texts);
        return;
    }
    if (type == DNS_ANY && (node->rrset_count || node->site != DNS_NO_SITE)) {
        answer_add_single(answer, owner, match, DNS_HINFO, ANY_TTL_S, SPAN("\7RFC8482\0"));
        return;
    }
    if (answer->seal.keyset && (type == DNS_NSEC || type == DNS_RRSIG)) {
        answer_add_proof_set(answer, match);
        return;
    }
    const struct dns_rrset *rrset = answer_find_set(answer, match, type);
    if (!rrset) {
        answer_add_negative(answer, match, UINT32_MAX);
        return;
    }
    answer_add_data(answer, owner, match, rrset);
    if (type == DNS_NS) {
        answer_add_proofs(answer);
        add_glue_of(answer, match->zone, rrset, NULL);
    }
}

/* The alias at a name goes into the answer; NULL: it has none, and `choice` says what a computed name has. Beside
 * records of its own a name cannot be an alias (RFC 1034 section 3.6.2). */
static const uint8_t *add_alias(struct answer *answer, struct dns_owner owner,
                                const struct dns_match *match, struct dns_choice *choice)
{
    const struct dns_node *node = match->node;
    const struct dns_rrset *rrset = dns_node_rrset(node, DNS_CNAME);
    if (rrset) {
        answer_add_data(answer, owner, match, rrset);
        return rrset->wire + DNS_RR_FIXED_BYTES;
    }
    if (node->site == DNS_NO_SITE)
        return NULL;
    choice->alias = NULL;
    choice->alias_ttl_s = 0;
    choice->scope_bits = 0;
    choice->alias_varies = false;
    choose(answer, (uint32_t)node->site, choice);
    if (!choice->alias || node->rrset_count)
        return NULL;
    answer->has_alias = true;
    if (dns_write_alias(answer->writer, owner, choice->alias_ttl_s, choice->alias))
        answer->counts[SECTION_ANSWER]++;
    else
        answer->is_truncated = true;
    answer_sign_alias(answer, owner, match, choice);
    return choice->alias->wire;
}

/* At the delegation itself DS is the parent's (RFC 4035 section 3.1.4.1). */
static bool is_delegated(const struct dns_match *match, uint16_t type)
{
    return match->cut && !(type == DNS_DS && match->node == match->cut);
}

static void answer_ds(struct answer *answer, const struct dns_match *match)
{
    const struct dns_rrset *ds = dns_node_rrset(match->node, DNS_DS);
    answer->is_authoritative = true;
    if (ds)
        answer_add_data(answer, (struct dns_owner){.pointer = DNS_OWNER_POINTER}, match, ds);
    else
        answer_add_negative(answer, match, UINT32_MAX);
}

static void answer_question(struct answer *answer)
{
    const struct dns_zones *zones = answer->source->zones;
    uint16_t type = answer->query->type;
    struct dns_match match = dns_zones_find(zones, &answer->query->name);
    if (!match.zone) {
        refuse(answer, DNS_REFUSED, DNS_EXTENDED_NOT_AUTHORITATIVE);
        return;
    }
    bool is_ds = answer_is_parents(&match, type);
    dns_seal_zone(&answer->seal, zones, match.zone);
    if (is_ds) {
        answer_ds(answer, &match);
        return;
    }
    if (is_delegated(&match, type)) {
        add_referral(answer, &match);
        return;
    }
    answer->is_authoritative = true;
    if (match.node)
        classify(answer, DNS_KIND_DATA, match.node);
    struct dns_owner owner = {.pointer = DNS_OWNER_POINTER};
    struct dns_name names[2]; /* the alias that led here, and the next one */
    const struct dns_rrset *dname;
    for (unsigned i = 0; (dname = answer_find_dname(&match)) || match.node; i++) {
        struct dns_choice choice;
        choice.addresses = NULL;
        choice.texts = NULL; /* the rest is only read where it was chosen */
        struct dns_name *name = &names[i % 2];
        const uint8_t *target = NULL;
        if (dname && !answer_add_dname(answer, owner, &match, dname, name))
            return;
        if (!dname)
            target = add_alias(answer, owner, &match, &choice);
        if (!dname && !target) {
            add_data(answer, owner, &match, &choice);
            return;
        }
        if (i == ANSWER_CHAIN_LIMIT || type == DNS_CNAME || type == DNS_ANY)
            return;
        const struct dns_zone *zone = match.zone;
        if (target)
            copy_lower(target, name);
        owner = (struct dns_owner){.name = dname ? name->wire : target};
        if (dname)
            dns_name_lower(name);
        match = dns_zones_find(zones, name);
        if (match.zone != zone || is_delegated(&match, type))
            return; /* the client asks whoever has it */
    }
    if (!answer_is_signed(answer) || !answer->seal.keyset->is_compact) /* RFC 9824 section 3.2 */
        answer->rcode = DNS_NXDOMAIN; /* of the last name in the chain (RFC 6604) */
    answer_add_negative(answer, &match, UINT32_MAX);
}

static void answer_identity(struct answer *answer)
{
    struct span text = dns_identity_find(answer->settings, answer->query);
    if (!text.length) {
        refuse(answer, DNS_REFUSED, DNS_EXTENDED_NOT_AUTHORITATIVE);
        return;
    }
    answer->is_authoritative = true;
    if (dns_write_identity(answer->writer, text))
        answer->counts[SECTION_ANSWER]++;
    else
        answer->is_truncated = true;
}

static void answer_query(struct answer *answer)
{
    const struct dns_query *query = answer->query;
    if (query->class == DNS_CLASS_CH)
        answer_identity(answer);
    else if (query->class != DNS_CLASS_IN)
        refuse(answer, DNS_REFUSED, DNS_EXTENDED_NOT_AUTHORITATIVE);
    else if (query->type == DNS_AXFR || query->type == DNS_IXFR)
        refuse(answer, DNS_REFUSED, DNS_EXTENDED_PROHIBITED);
    else
        answer_question(answer);
    answer_add_proofs(answer);
}

/* A client that knows cookies proves with one that it sent the query itself; TCP does too (RFC 7873 section 5.2). */
static bool is_proven(const struct answer *answer, const struct dns_outcome *outcome)
{
    return answer->request->is_tcp || outcome->cookie == DNS_COOKIE_GOOD;
}

static void answer_reading(struct answer *answer, enum dns_reading reading,
                           const struct dns_outcome *outcome)
{
    answer->kind = DNS_KIND_ERROR;
    switch (reading) {
    case DNS_DROP:
    case DNS_MALFORMED:
        answer->rcode = DNS_FORMERR;
        return;
    case DNS_UNKNOWN:
        answer->rcode = outcome->is_notify ? DNS_REFUSED : DNS_NOTIMP;
        return;
    case DNS_READ:
    case DNS_COOKIE_ALONE:
        break;
    }
    if (answer->query->has_edns && answer->query->edns_version != 0)
        answer->rcode = DNS_BADVERS;
    else if (outcome->cookie && answer->settings->is_cookie_required && !is_proven(answer, outcome))
        answer->rcode = DNS_BADCOOKIE;
    else if (reading == DNS_READ)
        answer_query(answer);
}

/* Nothing but the question stays. */
static void empty(struct answer *answer)
{
    answer->writer->at = answer->writer->start + DNS_HEADER_BYTES + answer->query->question_bytes;
    memset(answer->counts, 0, sizeof answer->counts);
}

static void refuse_unsigned(struct answer *answer)
{
    refuse(answer, DNS_SERVFAIL, DNS_EXTENDED_OTHER);
    answer->is_authoritative = answer->is_truncated = false;
    empty(answer);
}

/* What is withheld from a network that asks too much may give way to a small answer, after which a true client comes over TCP or with
 * the cookie that it just got. */
static void limit(struct answer *answer, struct dns_outcome *outcome)
{
    struct dns_limiter *limiter = answer->settings->limiter;
    outcome->limit = (uint8_t)dns_limiter_take(limiter, answer->request->client, answer->kind,
                                               answer->about, answer->request->now_ns);
    if (outcome->limit != DNS_LIMIT_SLIPPED)
        return;
    if (outcome->cookie) {
        refuse(answer, DNS_BADCOOKIE, DNS_EXTENDED_OTHER);
        answer->is_authoritative = false;
    } else {
        answer->is_truncated = true;
    }
    empty(answer);
}

static void write_header(const struct answer *answer, uint8_t *out)
{
    const struct dns_query *query = answer->query;
    uint16_t flags =
        (uint16_t)(DNS_FLAG_QR | (query->flags & (DNS_OPCODE_MASK | DNS_FLAG_RD | DNS_FLAG_CD)) |
                   (answer->is_authoritative ? DNS_FLAG_AA : 0) |
                   (answer->is_truncated ? DNS_FLAG_TC : 0) | (answer->rcode & 0xf));
    uint8_t *to = store_u16(out, query->id);
    to = store_u16(to, flags);
    to = store_u16(to, query->question_bytes != 0);
    to = store_u16(to, answer->counts[SECTION_ANSWER]);
    to = store_u16(to, answer->counts[SECTION_AUTHORITY]);
    store_u16(to, (uint16_t)(answer->counts[SECTION_ADDITIONAL] + query->has_edns));
}

static size_t limit_of(const struct dns_request *request, const struct dns_query *query,
                       size_t capacity)
{
    size_t limit = request->is_tcp                    ? DNS_TCP_BYTES
                   : query->udp_bytes < DNS_UDP_BYTES ? query->udp_bytes
                                                      : DNS_UDP_BYTES;
    return limit < capacity ? limit : capacity;
}

/* One by one: for a struct of this size an initialiser becomes a string instruction, which takes a fifth of the whole answer's time. */
static void init(struct answer *answer, const struct dns_source *source,
                 const struct dns_request *request, const struct dns_query *query,
                 struct dns_writer *writer)
{
    answer->source = source;
    answer->request = request;
    answer->query = query;
    answer->writer = writer;
    for (unsigned i = 0; i < SECTIONS; i++)
        answer->counts[i] = 0;
    answer->rcode = DNS_NOERROR;
    answer->error = DNS_EXTENDED_OTHER;
    answer->scope_bits = 0;
    answer->is_authoritative = answer->is_truncated = answer->is_refused = false;
    answer->has_alias = false;
    answer->kind = DNS_KIND_DATA;
    answer->about = SPAN("");
    answer->seal.signing = source->signing;
    answer->seal.keyset = NULL;
    answer->seal.zone = NULL;
    answer->seal.request = request;
    answer->proof_count = 0;
}

static const struct dns_settings no_settings;

size_t dns_answer(const struct dns_source *source, const struct dns_request *request, uint8_t *out,
                  size_t capacity, struct dns_outcome *outcome)
{
    INVARIANT(capacity >= DNS_UDP_PLAIN_BYTES);
    struct dns_query query;
    enum dns_reading reading = dns_query_read(request->message, &query);
    *outcome =
        (struct dns_outcome){.is_malformed = reading == DNS_DROP || reading == DNS_MALFORMED};
    outcome->is_notify =
        reading == DNS_UNKNOWN && (query.flags & DNS_OPCODE_MASK) == DNS_OPCODE_NOTIFY;
    outcome->has_tsig = reading == DNS_READ && query.has_tsig;
    if (reading == DNS_DROP || outcome->has_tsig)
        return 0;

    const struct dns_settings *settings = source->settings ? source->settings : &no_settings;
    if (reading == DNS_MALFORMED)
        dns_options_init(&query.options); /* nobody knows what they are worth */
    struct dns_opt opt;
    opt.bytes = 0;
    if (query.has_edns)
        dns_opt_prepare(&opt, settings, request, &query, outcome);
    memcpy(out + DNS_HEADER_BYTES, request->message.data + DNS_HEADER_BYTES, query.question_bytes);
    uint8_t *end = out + limit_of(request, &query, capacity);
    struct dns_writer writer;
    writer.start = out;
    writer.at = out + DNS_HEADER_BYTES + query.question_bytes;
    writer.end = end - opt.bytes;
    writer.asked = &query.name;
    writer.suffix_count = 0;
    uint32_t proofs[ANSWER_CHAIN_LIMIT + 1];
    struct answer answer;
    init(&answer, source, request, &query, &writer);
    answer.settings = settings;
    const struct dns_client client =
        outcome->has_subnet ? subnet_of(&query.options.subnet) : sender_of(request);
    if (source->expect)
        source->expect(source->context, &client);
    answer.client = &client;
    answer.proofs = proofs;
    answer_reading(&answer, reading, outcome);
    if (settings->limiter && !is_proven(&answer, outcome))
        limit(&answer, outcome);
    if (outcome->limit == DNS_LIMIT_DROPPED)
        return 0;
    if (answer.is_refused)
        refuse_unsigned(&answer);
    if (answer.is_truncated)
        empty(&answer);
    write_header(&answer, out);
    if (query.has_edns)
        writer.at = dns_opt_write(&opt, (unsigned)answer.rcode, answer.scope_bits, answer.error,
                                  writer.at, end);
    outcome->rcode = (uint8_t)answer.rcode;
    outcome->is_truncated = answer.is_truncated;
    outcome->has_alias = answer.has_alias;
    return (size_t)(writer.at - out);
}
