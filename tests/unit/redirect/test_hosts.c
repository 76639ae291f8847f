/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/private.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static void H1_hosts_of_sites(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        uint32_t site;
    } rows[] = {
        {"www.shop.example", 0},
        {"redir.shop.example", 0},
        {"a.shop.example", 1},
        {"b.a.shop.example", 1},
        {"a.x.shop.example", 2},
        {"x.shop.example", 1},
        {"shop.example", UINT32_MAX},
        {"example", UINT32_MAX},
        {"", UINT32_MAX},
        {"[2001:db8::1]", UINT32_MAX},
        {"www.shop.example.org", UINT32_MAX},
    };
    const char *first[] = {"www.shop.example"}, *redir[] = {"redir.shop.example"},
               *second[] = {"*.shop.example"}, *third[] = {"*.x.shop.example"};
    struct conf_site sites[] = {{.hosts = {first, 1}, .redirect.hosts = {redir, 1}},
                                {.hosts = {second, 1}},
                                {.hosts = {third, 1}}};
    struct conf conf = {.sites = sites, .site_count = 3};
    struct redirect_hosts hosts;
    struct arena arena = {0};
    redirect_hosts_init(&hosts, &conf, &arena, 5);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(redirect_hosts_find(&hosts, span_text(rows[i].host)), rows[i].site);
    redirect_hosts_clear(&hosts);
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(H1_hosts_of_sites)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
