/* SPDX-License-Identifier: Apache-2.0
 *
 * The path's model: rates of rounds are exact however acks are batched; what counts, what does not, and what is forgotten.
 */
#include "base/random.h"
#include "transport/model.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#define MS 1000000ull

enum { PACKET = 1000, RTT_MS = 50 };

static void near(double value, double expected, double share)
{
    if (value < expected * (1 - share) || value > expected * (1 + share))
        fail_msg("%f is not near %f", value, expected);
}

/* Packets arrive every `gap_ns`, and are acknowledged in batches of any size, an RTT after they were sent. */
static void rates_are_exact_however_acks_are_batched(void **state)
{
    (void)state;
    static const uint32_t batches[] = {1, 2, 17, 60};
    struct random random;
    random_seed(&random, 1);
    for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++) {
        struct model model;
        struct model_round round;
        uint64_t gap_ns = 100000, number = 0, start_ns = 1000 * MS;
        int rounds = 0;
        model_init(&model, start_ns);
        while (rounds < 200) {
            uint64_t count = 1 + random_below(&random, batches[b]);
            uint64_t now_ns = start_ns + (number + count) * gap_ns;
            for (uint64_t i = 0; i < count; i++, number++) {
                struct congestion_packet packet = {.bytes = PACKET, .number = number};
                /* 500 packets in a round trip */
                if (!model_on_acked(&model, &packet, number + 500, RTT_MS * MS, now_ns, &round))
                    continue;
                if (rounds++ > 0)
                    near(round.bytes_per_s, PACKET * 1e9 / (double)gap_ns, 0.001);
            }
        }
    }
}

static void learn(struct model *model, double bytes_per_s, uint32_t lost, bool is_app_limited)
{
    struct model_round round = {.bytes_per_s = bytes_per_s,
                                .settled_bytes_per_s = bytes_per_s * (1000 + lost) / 1000,
                                .acked = 1000,
                                .lost = lost,
                                .is_app_limited = is_app_limited};
    model->rounds++;
    model_learn(model, &round);
}

static void the_greatest_rate_of_ten_rounds_counts(void **state)
{
    (void)state;
    struct model model;
    model_init(&model, 0);
    learn(&model, 9e9, 0, false); /* the first has no beginning */
    assert_true(model.rate == 0);
    learn(&model, 2e6, 0, false);
    for (int i = 0; i < MODEL_RATE_ROUNDS - 1; i++)
        learn(&model, 1e6, 0, false);
    assert_true(model.rate == 2e6);
    learn(&model, 1e6, 0, false);
    assert_true(model.rate == 1e6);
    /* A quiet application says nothing of the path, unless it was faster. */
    for (int i = 0; i < 100; i++)
        learn(&model, 1e3, 0, true);
    assert_true(model.rate == 1e6);
    learn(&model, 3e6, 0, true);
    assert_true(model.rate == 3e6);
    learn(&model, 1e6, 0, false);
    learn(&model, 2e6, 0, false);
    model_forget_rates(&model);
    assert_true(model.rate == 2e6);
}

static void losses_by_chance_are_made_up_for(void **state)
{
    (void)state;
    struct model model;
    model_init(&model, 0);
    for (int i = 0; i < 100; i++)
        learn(&model, 1e6, 111, false); /* a tenth of what was sent */
    near(model_loss(&model), 0.1, 0.01);
    near(model.rate, 1e6 / 0.9, 0.01);
    /* A round that lost nothing has not found a faster path. */
    learn(&model, 1.1e6, 0, false);
    near(model.rate, 1e6 / 0.9, 0.01);
    struct model_round round = {.acked = 1000, .lost = 111};
    assert_false(model_is_loss_risen(&model, &round));
    round.lost = 170;
    assert_true(model_is_loss_risen(&model, &round));
}

static void rtt(struct model *model, uint64_t *number, uint64_t rtt_ns, uint64_t now_ns)
{
    struct model_round round;
    struct congestion_packet packet = {.bytes = PACKET, .number = (*number)++};
    model_on_acked(model, &packet, *number, rtt_ns, now_ns, &round);
}

static void the_least_round_trip_is_forgotten_in_time(void **state)
{
    (void)state;
    struct model model;
    uint64_t number = 0;
    model_init(&model, 0);
    assert_int_equal(model_least_rtt_ns(&model), 0);
    rtt(&model, &number, 50 * MS, 1000 * MS);
    for (uint64_t s = 2; s <= 20; s++) {
        rtt(&model, &number, 80 * MS, s * 1000 * MS);
        assert_int_equal(model_least_rtt_ns(&model), 50 * MS);
    }
    for (uint64_t s = 21; s <= 45; s++)
        rtt(&model, &number, 80 * MS, s * 1000 * MS);
    assert_int_equal(model_least_rtt_ns(&model), 80 * MS);
    assert_true(model.queue_ns == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_exact_however_acks_are_batched),
        cmocka_unit_test(the_greatest_rate_of_ten_rounds_counts),
        cmocka_unit_test(losses_by_chance_are_made_up_for),
        cmocka_unit_test(the_least_round_trip_is_forgotten_in_time),
    };
    return cmocka_run_group_tests_name("transport/model", tests, NULL, NULL);
}
