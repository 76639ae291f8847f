/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys over a connection's whole life (T9): a nonce never comes twice under a key, whatever becomes of sessions, phases, paths and
 * addresses; phases follow each other on several paths without a stall. Virtual time, real ciphers.
 */
#include "workload.h"

#include "base/hash.h"
#include "base/memory.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { STEP_MS = 20, SEEN_LIMIT = 1 << 21 };

static struct sim_pair pair;
static struct sim_second_way second;
static struct workload workload;

/* ---- a table that remembers what was sealed */

struct watched {
    struct aead aead;
    struct aead *inner;
    uint64_t key;
};

static uint64_t *seen; /* hashes of key and nonce, open addressing */
static uint64_t sealed, repeated, keys;

static void remember(const struct watched *watched, const uint8_t nonce[AEAD_NONCE_BYTES])
{
    uint64_t hash = hash_span(span_of(nonce, AEAD_NONCE_BYTES), watched->key) | 1;
    uint64_t at = hash / 2 % SEEN_LIMIT;
    while (seen[at] && seen[at] != hash)
        at = (at + 1) % SEEN_LIMIT;
    repeated += seen[at] == hash;
    seen[at] = hash;
    assert_true(++sealed < SEEN_LIMIT / 2);
}

static void watched_seal(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES],
                         struct span associated, struct span plain, uint8_t *out)
{
    struct watched *watched = (struct watched *)(void *)aead;
    remember(watched, nonce);
    aead_seal(watched->inner, nonce, associated, plain, out);
}

static int watched_open(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES],
                        struct span associated, struct span bytes, uint8_t *out)
{
    return aead_open(((struct watched *)(void *)aead)->inner, nonce, associated, bytes, out);
}

static void watched_free(struct aead *aead)
{
    aead_free(&((struct watched *)(void *)aead)->inner);
    memory_free(aead);
}

static struct aead *watched_new(const struct crypto *crypto, enum aead_kind kind,
                                const uint8_t *key)
{
    (void)crypto;
    static const struct aead_functions functions = {watched_seal, watched_open, watched_free};
    struct watched *watched = NEW(struct watched);
    watched->aead.functions = &functions;
    watched->inner = crypto_openssl()->aead_new(crypto_openssl(), kind, key);
    watched->key = hash_span(span_of(key, aead_key_bytes(kind)), 1);
    keys++;
    return &watched->aead;
}

/* ---- a link with two ways */

static void begin(uint64_t seed)
{
    static const struct sim_link_config link = {.bytes_per_s = 250000,
                                                .queue_bytes = 25000,
                                                .delay_ns = 20 * SIM_MS};
    static const struct sim_impairment_config lossy = {.loss = 0.005};
    sim_pair_init(&pair, crypto_openssl(), seed, &link, &lossy);
    sim_pair_add_way(&pair, &second, &link, &lossy, false);
    pair.crypto.aead_new = watched_new;
    seen = memory_new(SEEN_LIMIT * sizeof *seen);
    sealed = repeated = keys = 0;
    workload_init(&workload, &pair);
}

static void end(void)
{
    sim_second_way_clear(&second);
    sim_pair_clear(&pair);
    memory_free(seen);
}

static void run_ms(uint64_t ms)
{
    sim_end_touch(&pair.edge);
    sim_end_touch(&pair.gateway);
    sim_run(&pair.sim, pair.sim.now_ns + ms * SIM_MS, NULL, NULL);
}

static void come_up(void)
{
    sim_pair_start(&pair);
    run_ms(400);
    assert_true(pair.edge.ups == 1 && pair.gateway.ups == 1);
    workload.start_ns = pair.sim.now_ns;
}

static uint32_t path_count(const struct sim_end *end)
{
    return sim_end_facts(end).path_count;
}

static void set_routes(uint32_t mask)
{
    const struct transport_route both[] = {{.to = pair.edge.peer},
                                           {.to = pair.edge.more[0].peer, .local = 1}};
    struct transport_route routes[2];
    size_t count = 0;
    for (uint32_t i = 0; i < 2; i++)
        if (mask >> i & 1)
            routes[count++] = both[i];
    transport_set_routes(pair.edge.transport, routes, count, pair.sim.now_ns);
}

static void change_address(void)
{
    pair.edge.address.port ^= 1;
    pair.gateway.peer = pair.edge.address;
}

static void lose_nothing(void)
{
    pair.up_impairment.config.loss = pair.down_impairment.config.loss = 0;
    second.up_impairment.config.loss = second.down_impairment.config.loss = 0;
}

static void T9_no_nonce_comes_twice(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        begin(seed);
        pair.edge.config.handshake_every_ns = 3 * SIM_SECOND;
        for (int s = 0; s < 4; s++)
            workload_add(&workload, s & 1, 20000000, 20000000);
        workload.expects_loss = true;
        come_up();
        struct random random;
        random_seed(&random, seed);
        for (int turn = 0; turn < 60; turn++) {
            switch (random_below(&random, 4)) {
            case 0:
                set_routes(1 + (uint32_t)random_below(&random, 3));
                break;
            case 1:
                change_address();
                break;
            default:
                break;
            }
            run_ms(100 + random_below(&random, 400));
        }
        assert_int_equal(pair.edge.downs + pair.gateway.downs, 0);
        /* The last word goes by the path that is best, which here is not the first one. */
        set_routes(2);
        run_ms(2000);
        assert_int_equal(path_count(&pair.edge), 1);
        set_routes(3);
        run_ms(2000);
        lose_nothing(); /* it is said once */
        struct sim_end *closing = seed & 1 ? &pair.edge : &pair.gateway;
        transport_close(closing->transport, TRANSPORT_CODE_SHUTDOWN, pair.sim.now_ns);
        run_ms(1000);
        assert_int_equal((seed & 1 ? &pair.gateway : &pair.edge)->downs, 1);
        print_message("  %llu packets under %llu keys\n", (unsigned long long)sealed,
                      (unsigned long long)keys);
        assert_int_equal(repeated, 0);
        assert_true(keys > 60); /* of packets, handshakes and cookies */
        end();
    }
}

/* The last word of a lane whose best path is not the first, while the first has sent more. */
static void T9_the_last_word_has_a_number_of_its_own(void **state)
{
    (void)state;
    begin(7);
    workload_add(&workload, EDGE_SIDE, 300000, 300000);
    come_up();
    run_ms(3000); /* both paths have numbers now */
    assert_int_equal(path_count(&pair.edge), 2);
    pair.up_link.config.delay_ns = pair.down_link.config.delay_ns = 80 * SIM_MS;
    workload_add(&workload, GATEWAY_SIDE, 200000, 200000)->open_ns =
        pair.sim.now_ns - workload.start_ns;
    workload.expects_loss = true;
    run_ms(3000);
    struct transport_facts facts = sim_end_facts(&pair.edge);
    assert_true(facts.paths[1].is_primary);
    assert_true(facts.paths[0].packets_sent > 0);
    transport_close(pair.edge.transport, TRANSPORT_CODE_SHUTDOWN, pair.sim.now_ns);
    run_ms(300);
    assert_int_equal(repeated, 0);
    assert_int_equal(pair.gateway.downs, 1); /* it was believed, too */
    end();
}

/* T9: the sender moves on once any of its paths has acknowledged the phase; nobody waits. */
static void T9_phases_turn_on_two_paths_without_a_stall(void **state)
{
    (void)state;
    begin(8);
    for (int s = 0; s < 6; s++)
        workload_add(&workload, s & 1, 1000000000, 0);
    come_up();
    uint64_t longest_ms = 0, still_ms = 0, before = 0, was_keys = keys;
    for (uint64_t ms = 0; ms < 260000; ms += STEP_MS) {
        run_ms(STEP_MS);
        still_ms = workload.bytes_checked == before ? still_ms + STEP_MS : 0;
        before = workload.bytes_checked;
        longest_ms = still_ms > longest_ms ? still_ms : longest_ms;
    }
    print_message("  two turns: longest time without a byte %llu ms\n",
                  (unsigned long long)longest_ms);
    assert_true(longest_ms <= 200);
    assert_true(keys - was_keys >= 8); /* two turns, two directions, two ends */
    assert_int_equal(sim_end_facts(&pair.edge).datagrams_refused, 0);
    assert_int_equal(sim_end_facts(&pair.gateway).datagrams_refused, 0);
    assert_int_equal(path_count(&pair.gateway), 2);
    assert_int_equal(repeated, 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T9_no_nonce_comes_twice),
        cmocka_unit_test(T9_the_last_word_has_a_number_of_its_own),
        cmocka_unit_test(T9_phases_turn_on_two_paths_without_a_stall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
