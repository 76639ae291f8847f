/* SPDX-License-Identifier: Apache-2.0
 *
 * The judging half of the cache over any heads: a request, its answer, another request, a 304. Each part of the input ends at a byte
 * 0xff. Whatever they say: what may not be stored is not used, an Age is never less than it was nor more than the most, a range lies
 * within what is stored, a 304 changes nothing of the framing, and stored fields are the same behind packing.
 */
#include "cache/cache.h"
#include "fuzz.h"

#define must(condition) INVARIANT(condition)

enum { NOW_S = 1000000000 };

struct input {
    struct span rest;
};

static struct span next_part(struct input *input)
{
    size_t end = span_find(input->rest, 0xff);
    struct span part = span_of(input->rest.data, end);
    input->rest = span_from(input->rest, end + 1);
    return part;
}

static uint8_t next_byte(struct input *input)
{
    uint8_t byte = input->rest.length ? input->rest.data[0] : 0;
    input->rest = span_from(input->rest, 1);
    return byte;
}

/* Field lines, "Name: value\n"; what is no field is left out, as no parser would let it through. */
static void read_fields(struct http_fields *fields, struct span text)
{
    while (text.length && fields->count < 100) {
        size_t end = span_find(text, '\n'), colon = span_find(text, ':');
        if (colon < end &&
            http_fields_add_text(fields, span_of(text.data, colon),
                                 span_trim(span_of(text.data + colon + 1, end - colon - 1))))
            must(fields->count < 100);
        text = span_from(text, end + 1);
    }
}

static void read_request(struct http_head *head, struct arena *arena, uint8_t choice,
                         struct span text)
{
    static const enum http_method methods[] = {HTTP_METHOD_GET,  HTTP_METHOD_GET,
                                               HTTP_METHOD_GET,  HTTP_METHOD_HEAD,
                                               HTTP_METHOD_POST, HTTP_METHOD_OTHER};
    http_head_init(head, arena);
    head->method = methods[choice % (sizeof methods / sizeof *methods)];
    head->target = SPAN("/a/b?c");
    head->host = SPAN("www.example");
    head->minor = 1;
    read_fields(&head->fields, text);
}

static void read_answer(struct http_head *head, struct arena *arena, uint16_t status,
                        struct span text)
{
    http_head_init(head, arena);
    head->status = status;
    head->body = HTTP_BODY_LENGTH;
    head->has_length = true;
    head->content_length = 1000;
    read_fields(&head->fields, text);
}

static void must_be_packed_well(const struct http_fields *fields, struct arena *arena)
{
    struct text packed = {0};
    struct http_fields again;
    must(cache_head_pack(&packed, fields) == 0);
    must(cache_head_unpack(&again, arena, text_span(&packed)) == 0 && again.count == fields->count);
    for (uint32_t i = 0; i < again.count; i++)
        must(span_equal(again.list[i].name, fields->list[i].name) &&
             span_equal(again.list[i].value, fields->list[i].value));
    text_clear(&packed);
}

static void must_answer_well(const struct cache_facts *facts, const struct http_fields *stored,
                             const struct cache_ask *ask, const struct http_head *request,
                             const struct cache_judgement *judgement, struct arena *arena)
{
    struct cache_answer answer;
    struct http_head head;
    char text[CACHE_PART_HEAD_MOST];
    if (cache_answer_choose(&answer, ask, request, facts, stored, 1))
        return;
    must(answer.status == facts->status || answer.status == 206 || answer.status == 304 ||
         answer.status == 416);
    must(!answer.has_content || !ask->is_head);
    for (uint32_t i = 0; i < answer.count; i++) {
        must(answer.ranges[i].first <= answer.ranges[i].last &&
             answer.ranges[i].last < facts->length);
        if (facts->flags & CACHE_PARTIAL)
            must(answer.ranges[i].first >= facts->first && answer.ranges[i].last <= facts->last);
    }
    for (uint32_t i = 0; answer.is_multipart && i <= answer.count; i++)
        must(cache_answer_part_head(&answer, i, facts, stored, text).length < sizeof text);
    http_head_init(&head, arena);
    must(cache_answer_head(&head, &answer, judgement, facts, stored) == 0);
    must(http_fields_has(&head.fields, HTTP_NAME_AGE) &&
         http_fields_has(&head.fields, HTTP_NAME_DATE));
    must(!http_fields_has(&head.fields, HTTP_NAME_CONTENT_LENGTH) &&
         !http_fields_has(&head.fields, HTTP_NAME_TRANSFER_ENCODING));
}

static void must_be_used_well(const struct cache_facts *facts, const struct http_fields *stored,
                              const struct cache_ask *ask, const struct http_head *request,
                              struct arena *arena)
{
    uint32_t age_s = 0;
    for (uint64_t after_s = 0; after_s < 1ull << 34; after_s = after_s * 3 + 1) {
        struct cache_judgement judgement = cache_judge(facts, ask, NOW_S + after_s);
        must(judgement.age_s >= age_s && judgement.age_s <= CACHE_SECONDS_MOST);
        must(judgement.is_stale == (judgement.ttl_s <= 0));
        age_s = judgement.age_s;
        bool is_used = judgement.use == CACHE_USE_ANSWER || judgement.use == CACHE_USE_REFRESH;
        if (is_used) {
            must(!(facts->flags & (CACHE_NO_CACHE | CACHE_INVALID)) && !ask->no_cache &&
                 !ask->is_for_origin);
            must(!judgement.is_stale || !(facts->flags & CACHE_MUST_REVALIDATE));
            must_answer_well(facts, stored, ask, request, &judgement, arena);
        } else {
            must(!ask->only_if_cached == (judgement.use != CACHE_USE_REFUSE));
        }
    }
}

static void must_freshen_well(const struct cache_facts *facts, const struct http_fields *stored,
                              const struct http_head *request, const struct http_head *answer,
                              struct arena *arena)
{
    struct http_fields updated = {.arena = arena};
    struct cache_facts after = *facts;
    if (!cache_validation_matches(answer, facts, stored))
        return;
    if (cache_validation_freshen(&after, &updated, &cache_policy_default, request, answer, stored,
                                 NOW_S, NOW_S) != CACHE_REFUSAL_NONE)
        return;
    must(after.length == facts->length && after.first == facts->first &&
         after.last == facts->last && after.status == facts->status);
    must((after.flags & CACHE_PARTIAL) == (facts->flags & CACHE_PARTIAL));
    must(http_fields_has(&updated, HTTP_NAME_CONTENT_ENCODING) ==
         http_fields_has(stored, HTTP_NAME_CONTENT_ENCODING));
    must(!http_fields_has(&updated, HTTP_NAME_CONTENT_LENGTH) &&
         !http_fields_has(&updated, HTTP_NAME_TRANSFER_ENCODING) &&
         !http_fields_has(&updated, HTTP_NAME_CONTENT_RANGE));
}

static void must_select_alike(const struct http_fields *response, const struct http_fields *request)
{
    struct text names = {0}, one = {0}, two = {0};
    if (cache_vary_names(&names, response) == 0) {
        int first = cache_vary_variant(&one, text_span(&names), request);
        must(first == cache_vary_variant(&two, text_span(&names), request));
        must(first < 0 || span_equal(text_span(&one), text_span(&two)));
        must(first < 0 || one.length <= CACHE_VARY_MOST);
    }
    text_clear(&names);
    text_clear(&one);
    text_clear(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {span_of(data, size)};
    struct arena arena = {0};
    struct http_head first, answer, second, third;
    struct http_fields stored = {.arena = &arena};
    struct cache_facts facts;
    struct cache_ask ask;
    struct cache_invalid invalid;
    uint8_t choice = next_byte(&input);
    uint16_t status = (uint16_t)(100 + (next_byte(&input) * 2 + choice % 2) % 500);
    if (choice & 0x80)
        status = choice & 0x40 ? 206 : 200;
    read_request(&first, &arena, choice & 0x80 ? 0 : choice, next_part(&input));
    read_answer(&answer, &arena, status, next_part(&input));
    read_request(&second, &arena, choice >> 3, next_part(&input));
    read_answer(&third, &arena, 304, next_part(&input));

    must_select_alike(&answer.fields, &second.fields);
    cache_invalid_find(&invalid, SPAN("s"), true, &first, &answer);
    must(invalid.count <= CACHE_INVALID_MOST);
    cache_invalid_clear(&invalid);
    if (cache_response_judge(&facts, &cache_policy_default, &first, &answer, NOW_S, NOW_S) ==
            CACHE_REFUSAL_NONE &&
        cache_response_fields(&stored, &cache_policy_default, &answer.fields, NOW_S) == 0) {
        must(first.method == HTTP_METHOD_GET && facts.status >= 200 && facts.status != 304);
        must(!http_fields_has(&stored, HTTP_NAME_SET_COOKIE));
        must_be_packed_well(&stored, &arena);
        cache_ask_read(&ask, &cache_policy_default, &second);
        must_be_used_well(&facts, &stored, &ask, &second, &arena);
        must_freshen_well(&facts, &stored, &first, &third, &arena);
        cache_validation_ask(&second.fields, &stored);
    }
    struct http_fields unpacked;
    if (cache_head_unpack(&unpacked, &arena, span_of(data, size)) == 0)
        must(unpacked.count <= HTTP_FIELDS_MOST);
    arena_clear(&arena);
    return 0;
}
