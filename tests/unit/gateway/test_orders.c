/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders to origins: given, taken back, and read again by another process.
 */
#include "gateway/owner/orders.h"

#include "loop/loop.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
// clang-format on

#include <sys/mman.h>
#include <unistd.h>

static const struct conf_origin a = {.url = "http://192.0.2.1:8080"},
                                b = {.url = "http://192.0.2.2:8080"};

static void orders_outlast_the_process(void **state)
{
    (void)state;
    int file = memfd_create("orders", MFD_CLOEXEC);
    struct gateway_orders *orders = gateway_orders_new(file);
    assert_int_equal(gateway_orders_find(orders, "shop", &a), GATEWAY_ORDER_NONE);
    assert_int_equal(gateway_orders_give(orders, "shop", &a, GATEWAY_ORDER_DRAIN), 0);
    assert_int_equal(gateway_orders_give(orders, "shop", &b, GATEWAY_ORDER_DRAIN), 0);
    assert_int_equal(gateway_orders_give(orders, "shop", &b, GATEWAY_ORDER_MAINTAIN), 0);
    assert_int_equal(gateway_orders_find(orders, "shop", &a), GATEWAY_ORDER_DRAIN);
    assert_int_equal(gateway_orders_find(orders, "docs", &a), GATEWAY_ORDER_NONE);
    gateway_orders_free(&orders);
    orders = gateway_orders_new(file);
    assert_int_equal(gateway_orders_find(orders, "shop", &a), GATEWAY_ORDER_DRAIN);
    assert_int_equal(gateway_orders_find(orders, "shop", &b), GATEWAY_ORDER_MAINTAIN);
    assert_int_equal(gateway_orders_give(orders, "shop", &a, GATEWAY_ORDER_NONE), 0);
    gateway_orders_free(&orders);
    orders = gateway_orders_new(file); /* a shorter list than what the file has behind it */
    assert_int_equal(gateway_orders_find(orders, "shop", &a), GATEWAY_ORDER_NONE);
    assert_int_equal(gateway_orders_find(orders, "shop", &b), GATEWAY_ORDER_MAINTAIN);
    gateway_orders_free(&orders);
    snapshot_settle();
    close(file);
}

static void strange_files_do_no_harm(void **state)
{
    (void)state;
    static const char *const contents[] = {"",
                                           "end\n",
                                           "drain",
                                           "drain \n",
                                           "drain shop\n",
                                           "drain  http://192.0.2.1:8080\n",
                                           "return shop http://192.0.2.1:8080\n",
                                           "end\ndrain shop http://192.0.2.1:8080\n",
                                           "\n\n\n"};
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        int file = memfd_create("orders", MFD_CLOEXEC);
        assert_int_equal(write(file, contents[i], strlen(contents[i])), strlen(contents[i]));
        struct gateway_orders *orders = gateway_orders_new(file);
        assert_int_equal(gateway_orders_find(orders, "shop", &a), GATEWAY_ORDER_NONE);
        gateway_orders_free(&orders);
        close(file);
    }
}

static void there_is_an_end_to_them(void **state)
{
    (void)state;
    struct gateway_orders *orders = gateway_orders_new(-1);
    char url[64];
    const struct conf_origin origin = {.url = url};
    for (int i = 0; i < GATEWAY_ORDERS_MOST; i++) {
        snprintf(url, sizeof url, "http://192.0.2.1:%d", i + 1);
        assert_int_equal(gateway_orders_give(orders, "shop", &origin, GATEWAY_ORDER_DRAIN), 0);
    }
    assert_int_equal(gateway_orders_give(orders, "docs", &origin, GATEWAY_ORDER_DRAIN),
                     ERROR_LIMIT);
    assert_int_equal(gateway_orders_give(orders, "shop", &origin, GATEWAY_ORDER_MAINTAIN), 0);
    assert_int_equal(gateway_orders_give(orders, "docs", &origin, GATEWAY_ORDER_NONE), 0);
    gateway_orders_free(&orders);
    snapshot_settle();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_outlast_the_process),
        cmocka_unit_test(strange_files_do_no_harm),
        cmocka_unit_test(there_is_an_end_to_them),
    };
    return cmocka_run_group_tests_name("gateway_orders", tests, NULL, NULL);
}
