/* SPDX-License-Identifier: Apache-2.0
 *
 * Who checks whom (R8): every node comes to the same plan, vantage points are spread, and few of them change with the network; and
 * what a configuration's questions come to.
 */
#include "probe/private.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { EDGES = 40 };

static int read_none(void *argument, const char *path, bool is_secret, struct text *content,
                     struct text *why)
{
    (void)argument;
    (void)path;
    (void)is_secret;
    (void)content;
    (void)why;
    return ERROR_NOT_FOUND;
}

static void add_edge(struct text *yaml, unsigned number, const char *listen)
{
    uint8_t key[CONF_KEY_BYTES] = {(uint8_t)(number + 1), 7};
    text_add_format(yaml,
                    "  e%u: { addresses: [192.0.2.%u, \"2001:db8::%x\"], edge: { listen: [%s] }, "
                    "private_key: none, public_key: \"",
                    number, number + 1, number + 1, listen);
    text_add_base64(yaml, span_of(key, sizeof key));
    text_add(yaml, "\" }\n");
}

static struct conf *load(unsigned edges, const char *listen, const char *health)
{
    struct text yaml = {0}, errors = {0};
    text_add(&yaml, "nodes:\n");
    for (unsigned i = 0; i < edges; i++)
        add_edge(&yaml, i, listen);
    text_add(&yaml, "  gw: { gateway: {}, link: { listen: [\"192.0.2.200:4500\"] }, private_key: "
                    "none, public_key: \"h0wLTLpCGwMybHilTgo5NNbn6ta4mDsumHuQsjHc2mQ=\" }\n"
                    "sites: { s: { hosts: [s.example], origins: [\"http://192.0.2.1\"] } }\n");
    text_add_format(&yaml, "health: %s\n", health);
    const struct conf_reader reader = {.read = read_none};
    struct conf *conf = conf_load("c.yaml", text_span(&yaml), CONF_NO_NODE, &reader, &errors);
    if (!conf)
        fail_msg("%s", errors.data);
    text_clear(&yaml);
    text_clear(&errors);
    return conf;
}

static void R8_every_edge_has_its_vantage_points_and_they_are_spread(void **state)
{
    (void)state;
    struct conf *conf = load(EDGES, "\":80\"", "{ vantages: 3 }");
    struct edge_plan *plan = edge_plan_new(conf, crypto_openssl());
    unsigned duties[EDGES] = {0}, most = 0;
    assert_int_equal(plan->count, EDGES);
    for (size_t i = 0; i < EDGES; i++) {
        const struct edge_target *edge = &plan->edges[i];
        assert_int_equal(edge->vantage_count, 3);
        for (uint32_t k = 0; k < 3; k++) {
            assert_true(edge->vantages[k] != edge->id);
            for (uint32_t n = 0; n < k; n++)
                assert_true(edge->vantages[k] != edge->vantages[n]);
            for (size_t n = 0; n < EDGES; n++)
                duties[n] += plan->edges[n].id == edge->vantages[k];
        }
    }
    for (size_t i = 0; i < EDGES; i++)
        most = duties[i] > most ? duties[i] : most;
    assert_in_range(most, 3, 10);
    edge_plan_free(&plan);
    conf_free(conf);
}

static void R8_few_vantage_points_change_when_an_edge_goes(void **state)
{
    (void)state;
    struct conf *confs[2] = {load(EDGES, "\":80\"", "{}"), load(EDGES - 1, "\":80\"", "{}")};
    struct edge_plan *plans[2];
    unsigned changed = 0;
    for (int i = 0; i < 2; i++)
        plans[i] = edge_plan_new(confs[i], crypto_openssl());
    uint64_t gone = plans[0]->edges[EDGES - 1].id;
    for (size_t i = 0; i < EDGES - 1; i++)
        for (uint32_t k = 0; k < 2; k++) {
            uint64_t before = plans[0]->edges[i].vantages[k];
            if (before != gone)
                assert_true(edge_target_has_vantage(&plans[1]->edges[i], before));
            changed += before == gone;
        }
    assert_in_range(changed, 0, 10);
    for (int i = 0; i < 2; i++) {
        edge_plan_free(&plans[i]);
        conf_free(confs[i]);
    }
}

static void R8_addresses_are_checked_where_the_edge_listens(void **state)
{
    (void)state;
    static const struct {
        const char *listen, *health;
        uint16_t ports[2]; /* of the edge's IPv4 and IPv6 address; 0: not checked */
    } rows[] = {
        {"\":80\", \"[::]:81\"", "{}", {80, 81}},         {"\":80\"", "{}", {80, 0}},
        {"\"192.0.2.1:8080\", \":80\"", "{}", {8080, 0}}, {"\"192.0.2.99:8080\"", "{}", {0, 0}},
        {"\"[2001:db8::1]:443\"", "{}", {0, 443}},        {"\":80\"", "{ port: 7 }", {7, 7}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct conf *conf = load(1, rows[i].listen, rows[i].health);
        struct edge_plan *plan = edge_plan_new(conf, crypto_openssl());
        uint16_t ports[2] = {0};
        for (size_t k = 0; k < plan->edges[0].address_count; k++) {
            const struct address *address = &plan->edges[0].addresses[k];
            ports[address->family == 6] = address->port;
        }
        assert_memory_equal(ports, rows[i].ports, sizeof ports);
        assert_int_equal(plan->edges[0].vantage_count, 0); /* there is nobody else */
        edge_plan_free(&plan);
        conf_free(conf);
    }
}

static void R8_questions_outlive_the_configuration(void **state)
{
    (void)state;
    struct conf *conf = load(2, "\":80\"",
                             "{ kind: https, certificate: date, host: www.shop.example, path: /x, "
                             "body: ok, status: [201, 204], fall: 5, timeout: 300ms }");
    struct edge_plan *plan = edge_plan_new(conf, crypto_openssl());
    conf_free(conf);
    const struct check_question *question = &plan->check.question;
    assert_int_equal(question->kind, CHECK_HTTPS);
    assert_int_equal(question->certificate, CHECK_CERTIFICATE_DATE);
    assert_string_equal(question->host, "www.shop.example");
    assert_string_equal(question->path, "/x");
    assert_string_equal(question->body, "ok");
    assert_int_equal(question->status_least, 201);
    assert_int_equal(question->status_most, 204);
    assert_non_null(question->trust);
    assert_int_equal(plan->check.settings.fall, 5);
    assert_int_equal(plan->check.settings.timeout_ns, 300000000);
    edge_plan_free(&plan);
}

static void R8_without_a_health_section_nobody_is_checked(void **state)
{
    (void)state;
    struct conf *conf = load(2, "\":80\"", "{}");
    conf->health = NULL;
    assert_null(edge_plan_new(conf, crypto_openssl()));
    conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R8_every_edge_has_its_vantage_points_and_they_are_spread),
        cmocka_unit_test(R8_few_vantage_points_change_when_an_edge_goes),
        cmocka_unit_test(R8_addresses_are_checked_where_the_edge_listens),
        cmocka_unit_test(R8_questions_outlive_the_configuration),
        cmocka_unit_test(R8_without_a_health_section_nobody_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
