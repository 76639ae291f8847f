/* SPDX-License-Identifier: Apache-2.0
 *
 * When attempts are made, what is remembered of them on disk, what edges have in common.
 */
#include "acme/folder.h"
#include "acme/share.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

static void R13_pauses_grow_and_are_bounded(void **state)
{
    (void)state;
    static const struct {
        uint32_t failures;
        bool is_refusal;
        uint64_t retry_after_s, least_s, most_s;
    } rows[] = {
        {1, true, 0, 48, 72},
        {2, true, 0, 96, 144},
        {3, true, 0, 192, 288},
        {1, false, 0, 8, 12},
        {4, false, 0, 64, 96},
        {50, true, 0, ACME_REFUSED_MOST_S * 8 / 10, ACME_REFUSED_MOST_S * 12 / 10},
        {UINT32_MAX, false, 0, ACME_AWAY_MOST_S * 8 / 10, ACME_AWAY_MOST_S * 12 / 10},
        {1, true, 5, 48, 72},
        {1, true, 3600, 3600, 3600},
        {1, true, UINT64_MAX, ACME_RETRY_AFTER_MOST_S, ACME_RETRY_AFTER_MOST_S},
    };
    struct random random;
    random_seed(&random, 7);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int turn = 0; turn < 100; turn++) {
            uint64_t pause_s =
                acme_pause_s(rows[i].failures, rows[i].is_refusal, rows[i].retry_after_s, &random);
            assert_in_range(pause_s, rows[i].least_s, rows[i].most_s);
        }
    assert_int_not_equal(acme_pause_s(9, true, 0, &random), acme_pause_s(9, true, 0, &random));
}

static void R13_renewal_at_two_thirds_of_a_life(void **state)
{
    (void)state;
    assert_int_equal(acme_renewal_s(1000, 1000 + 90 * 86400, 0), 1000 + 60 * 86400);
    assert_int_equal(acme_renewal_s(1000, 1000 + 90 * 86400, 86400), 1000 + 89 * 86400);
    assert_int_equal(acme_renewal_s(1000, 1030, 3600), 1020); /* longer than the life */
    assert_int_equal(acme_renewal_s(1000, 900, 0), 1000);
}

static void rfc9773_times(void **state)
{
    (void)state;
    const struct acme_window window = {1000, 1010};
    struct random random;
    random_seed(&random, 7);
    for (int turn = 0; turn < 100; turn++)
        assert_in_range(acme_window_pick(&window, &random), 1000, 1009);
    assert_int_equal(acme_ask_pause_s(0), ACME_ASK_AGAIN_S);
    assert_int_equal(acme_ask_pause_s(1), ACME_ASK_LEAST_S);
    assert_int_equal(acme_ask_pause_s(7200), 7200);
    assert_int_equal(acme_ask_pause_s(UINT64_MAX), ACME_ASK_MOST_S);
}

/* ---- the folder */

static char path[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/acme-test-XXXXXX");
    return mkdtemp(path) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char file[400];
    DIR *folder = opendir(path);
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        unlink(file);
    }
    closedir(folder);
    return rmdir(path);
}

static void R13_records_outlive_the_process(void **state)
{
    (void)state;
    struct acme_folder folder = {.path = path, .lock = -1};
    struct acme_record record, back;
    struct text why = {0};
    acme_record_read(&folder, "shop", &record);
    assert_int_equal(record.failures, 0);
    record = (struct acme_record){.next_try_s = 1800000000,
                                  .failures = 3,
                                  .error = "the order: refused: \"no\"",
                                  .number = 9,
                                  .renew_s = 1800000001,
                                  .ask_s = 5};
    assert_int_equal(acme_record_write(&folder, "shop", &record, &why), 0);
    acme_record_read(&folder, "shop", &back);
    assert_int_equal(back.next_try_s, record.next_try_s);
    assert_int_equal(back.failures, 3);
    assert_string_equal(back.error, record.error);
    assert_int_equal(back.number, 9);
    assert_int_equal(back.renew_s, record.renew_s);
    assert_int_equal(back.ask_s, 5);
    assert_int_equal(acme_folder_write(&folder, "acme-shop.state", SPAN("{torn"), &why), 0);
    acme_record_read(&folder, "shop", &back);
    assert_int_equal(back.failures, 0);
    struct acme_folder none = {.path = "/nowhere", .lock = -1};
    assert_true(acme_record_write(&none, "shop", &record, &why) < 0);
    assert_non_null(strstr(why.data, "/nowhere"));
    text_clear(&why);
}

static void R13_files_are_whole_and_nobody_elses(void **state)
{
    (void)state;
    struct acme_folder folder = {.path = path, .lock = -1};
    struct text why = {0}, content = {0};
    struct stat status;
    char file[128];
    bool has_changed = false;
    snprintf(file, sizeof file, "%s/x", path);
    umask(0);
    assert_int_equal(acme_folder_read(&folder, "x", &content, &why), ERROR_NOT_FOUND);
    assert_int_equal(acme_folder_update(&folder, "x", SPAN("one"), &has_changed, &why), 0);
    assert_true(has_changed);
    has_changed = false;
    assert_int_equal(acme_folder_update(&folder, "x", SPAN("one"), &has_changed, &why), 0);
    assert_false(has_changed);
    assert_int_equal(stat(file, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    text_clear(&why);
    assert_int_equal(acme_folder_read(&folder, "x", &content, &why), 0);
    assert_string_equal(content.data, "one");
    text_clear(&content);
    text_clear(&why);
}

static void R13_one_process_writes(void **state)
{
    (void)state;
    struct acme_folder one = {.path = path, .lock = -1}, two = {.path = path, .lock = -1};
    assert_true(acme_folder_enter(&one));
    assert_true(acme_folder_enter(&one));
    assert_false(acme_folder_enter(&two));
    acme_folder_leave(&one);
    assert_true(acme_folder_enter(&two));
    acme_folder_leave(&two);
}

/* ---- several edges */

static void R13_edges_with_a_secret_have_the_same_keys(void **state)
{
    (void)state;
    uint8_t seeds[6][SIGNATURE_SEED_BYTES];
    acme_account_seed(SPAN("secret"), "https://ca.example/", seeds[0]);
    acme_account_seed(SPAN("secret"), "https://other.example/", seeds[1]);
    acme_certificate_seed(SPAN("secret"), "shop", 1, seeds[2]);
    acme_certificate_seed(SPAN("secret"), "shop", 2, seeds[3]);
    acme_certificate_seed(SPAN("secret"), "blog", 1, seeds[4]);
    acme_certificate_seed(SPAN("Secret"), "shop", 1, seeds[5]);
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(seeds[i], seeds[k], SIGNATURE_SEED_BYTES);
    acme_certificate_seed(SPAN("secret"), "shop", 1, seeds[0]);
    assert_memory_equal(seeds[0], seeds[2], SIGNATURE_SEED_BYTES);
}

static void R13_chains_of_strangers_are_not_taken(void **state)
{
    (void)state;
    struct text json = {0}, chain = {0};
    uint64_t number;
    acme_share_write(SPAN("secret"), "shop", 7, SPAN("a\nchain"), &json);
    assert_int_equal(acme_share_read(text_span(&json), SPAN("secret"), "shop", &number, &chain), 0);
    assert_int_equal(number, 7);
    assert_string_equal(chain.data, "a\nchain");
    assert_int_equal(acme_share_read(text_span(&json), SPAN("other"), "shop", &number, &chain),
                     ERROR_AUTH);
    assert_int_equal(acme_share_read(text_span(&json), SPAN("secret"), "blog", &number, &chain),
                     ERROR_AUTH);
    char *at = strchr(json.data, '7');
    *at = '8';
    assert_int_equal(acme_share_read(text_span(&json), SPAN("secret"), "shop", &number, &chain),
                     ERROR_AUTH);
    assert_int_equal(acme_share_read(SPAN("{}"), SPAN("secret"), "shop", &number, &chain),
                     ERROR_INVALID);
    text_clear(&json);
    text_clear(&chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R13_pauses_grow_and_are_bounded),
        cmocka_unit_test(R13_renewal_at_two_thirds_of_a_life),
        cmocka_unit_test(rfc9773_times),
        cmocka_unit_test_setup_teardown(R13_records_outlive_the_process, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(R13_files_are_whole_and_nobody_elses, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(R13_one_process_writes, make_folder, remove_folder),
        cmocka_unit_test(R13_edges_with_a_secret_have_the_same_keys),
        cmocka_unit_test(R13_chains_of_strangers_are_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
