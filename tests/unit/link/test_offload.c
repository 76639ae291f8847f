/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels that cut batches wrongly, played by a trial of the test's own; and the kernel that is here.
 */
#include "link/driver.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

/* What a kernel does rightly. */
struct kernel {
    const char *what;
    bool cuts_equal, cuts_odd, joins;
    struct offload judged;
};

static bool trial(void *argument, uint32_t length, bool joins)
{
    const struct kernel *kernel = argument;
    bool is_equal = length % OFFLOAD_SEGMENT_BYTES == 0;
    return (is_equal ? kernel->cuts_equal : kernel->cuts_odd) && (!joins || kernel->joins);
}

static void T11_what_the_kernel_corrupts_is_not_used(void **state)
{
    static struct kernel kernels[] = {
        {"all is well", true, true, true, {OFFLOAD_CUT_ALL, true}},
        {"equal segments are corrupted", false, true, true, {OFFLOAD_CUT_ODD_TAIL, true}},
        {"and joined wrongly", false, true, false, {OFFLOAD_CUT_ODD_TAIL, false}},
        {"joined wrongly", true, true, false, {OFFLOAD_CUT_ALL, false}},
        {"nothing is cut", false, false, true, {OFFLOAD_CUT_NONE, true}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        struct offload judged = offload_judge(trial, &kernels[i]);
        if (judged.cut != kernels[i].judged.cut || judged.joins != kernels[i].judged.joins)
            fail_msg("%s: %s, %d", kernels[i].what, offload_text(judged.cut), judged.joins);
    }
}

static void a_tail_goes_behind_even_batches_only(void **state)
{
    (void)state;
    assert_int_equal(offload_tail(OFFLOAD_CUT_ODD_TAIL, 4800, 1200), OFFLOAD_TAIL_BYTES);
    assert_int_equal(offload_tail(OFFLOAD_CUT_ODD_TAIL, 4799, 1200), 0);
    assert_int_equal(offload_tail(OFFLOAD_CUT_ODD_TAIL, 1200, 1200), 0);
    assert_int_equal(offload_tail(OFFLOAD_CUT_ODD_TAIL, 1200, 0), 0);
    assert_int_equal(offload_tail(OFFLOAD_CUT_ALL, 4800, 1200), 0);
    assert_int_equal(offload_tail(OFFLOAD_CUT_NONE, 4800, 1200), 0);
}

/* Only that it comes to an end with an answer: what this kernel can is not ours to say. */
static void the_kernel_here_is_tried(void **state)
{
    (void)state;
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct offload offload = offload_probe(family);
        print_message("IPv%u: %s, %s\n", family, offload_text(offload.cut),
                      offload.joins ? "joined" : "one by one");
        assert_true(offload.cut <= OFFLOAD_CUT_ALL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T11_what_the_kernel_corrupts_is_not_used),
        cmocka_unit_test(a_tail_goes_behind_even_batches_only),
        cmocka_unit_test(the_kernel_here_is_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
