/* SPDX-License-Identifier: Apache-2.0
 *
 * The supervisor's parts that need no processes: bundles, channels, tables of descriptors.
 */
#include "base/memory.h"
#include "supervisor/bundle.h"
#include "supervisor/channel.h"
#include "supervisor/listeners.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

/* ---- bundles */

static void make_bundle(struct bundle *bundle)
{
    bundle_add(bundle, "node.yaml", false, SPAN("nodes:\n"));
    bundle_add(bundle, "node.key", true, SPAN("a secret\0 with a NUL"));
    bundle_add(bundle, "regions", false, SPAN(""));
}

static int ask(const struct bundle *bundle, const char *path, struct text *content)
{
    struct text why = {0};
    struct conf_reader reader = bundle_reader(bundle, BUNDLE_WITH_ZONE_KEYS);
    int result = reader.read(reader.argument, path, true, content, &why);
    assert_true((result == 0) == (why.length == 0));
    text_clear(&why);
    return result;
}

static void a_bundle_crosses_with_and_without_secrets(void **state)
{
    (void)state;
    for (int with_secrets = 0; with_secrets < 2; with_secrets++) {
        struct bundle sent = {0}, got = {0};
        struct text bytes = {0}, content = {0};
        make_bundle(&sent);
        bundle_write(&sent, with_secrets ? BUNDLE_WITH_SITE_KEYS : BUNDLE_PUBLIC, &bytes);
        assert_int_equal(bundle_parse(&got, text_span(&bytes), -1), 0);
        assert_string_equal(got.files[0].path, "node.yaml");
        assert_int_equal(ask(&got, "regions", &content), 0);
        assert_int_equal(content.length, 0);
        assert_int_equal(ask(&got, "node.key", &content), with_secrets ? 0 : ERROR_NOT_FOUND);
        if (with_secrets)
            assert_true(span_equal(text_span(&content), SPAN("a secret\0 with a NUL")));
        assert_int_equal(ask(&got, "/etc/shadow", &content), ERROR_NOT_FOUND);
        bundle_clear(&sent);
        bundle_clear(&got);
        text_clear(&bytes);
        text_clear(&content);
    }
}

static void a_bundle_that_is_cut_is_refused(void **state)
{
    (void)state;
    struct bundle sent = {0};
    struct text bytes = {0};
    bundle_add(&sent, "node.yaml", false, SPAN("nodes:\n"));
    bundle_write(&sent, BUNDLE_WITH_SITE_KEYS, &bytes);
    for (size_t length = 0; length < bytes.length; length++) {
        struct bundle got = {0};
        assert_int_equal(bundle_parse(&got, span_of(bytes.data, length), -1), ERROR_INVALID);
        bundle_clear(&got);
    }
    bundle_clear(&sent);
    text_clear(&bytes);
}

static void write_file(const char *path, const char *content, size_t repeat)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < repeat; i++)
        fputs(content, file);
    assert_int_equal(fclose(file), 0);
}

static void expect_large(const struct conf_reader *reader, const char *path, const char *content,
                         size_t repeat)
{
    struct span found;
    struct text why = {0};
    assert_int_equal(reader->map(reader->argument, path, &found, &why), 0);
    assert_int_equal(found.length, strlen(content) * repeat);
    for (size_t i = 0; *content && i < repeat; i++)
        assert_memory_equal(found.data + i * strlen(content), content, strlen(content));
    conf_unmap_memory(found);
}

/* What a process put into its folder is read anew; everything else is as it was when the configuration was read. */
static void R13_a_folder_alone_is_read_anew(void **state)
{
    (void)state;
    char folder[] = "/tmp/causeway-anew-XXXXXX", inside[64], outside[64];
    assert_non_null(mkdtemp(folder));
    snprintf(inside, sizeof inside, "%s/inside", folder);
    snprintf(outside, sizeof outside, "%s.outside", folder);
    write_file(inside, "old", 1);
    write_file(outside, "old", 1);
    struct bundle sent = {0}, copy = {0};
    struct text content = {0}, why = {0};
    struct conf_reader recorder = bundle_recorder(&sent);
    assert_int_equal(recorder.read(&sent, inside, false, &content, &why), 0);
    assert_int_equal(recorder.read(&sent, outside, false, &content, &why), 0);
    write_file(inside, "new", 1);
    write_file(outside, "new", 1);
    bundle_copy_without(&sent, folder, &copy);
    assert_int_equal(copy.count, 1);
    recorder = bundle_recorder(&copy);
    text_reset(&content);
    assert_int_equal(recorder.read(&copy, inside, false, &content, &why), 0);
    assert_int_equal(recorder.read(&copy, outside, false, &content, &why), 0);
    assert_string_equal(content.data, "newold");
    text_clear(&content);
    text_clear(&why);
    bundle_clear(&sent);
    bundle_clear(&copy);
    unlink(inside);
    unlink(outside);
    rmdir(folder);
}

/* Keys of sites go to those that serve visitors, those of zones to the DNS server, neither to anybody else. */
static void R13_keys_go_where_they_are_used(void **state)
{
    (void)state;
    char folder[] = "/tmp/causeway-keys-XXXXXX", site[64], zone[64], node[64], order[64];
    assert_non_null(mkdtemp(folder));
    snprintf(order, sizeof order, "%s/order", folder);
    write_file(order, "o", 1);
    chmod(order, 0600);
    snprintf(site, sizeof site, "%s/site", folder);
    snprintf(zone, sizeof zone, "%s/zone", folder);
    snprintf(node, sizeof node, "%s/node", folder);
    write_file(site, "s", 1);
    write_file(zone, "z", 1);
    write_file(node, "n", 1);
    chmod(site, 0600);
    chmod(zone, 0600);
    chmod(node, 0600);
    struct bundle sent = {0};
    struct text content = {0}, why = {0};
    struct conf_reader recorder = bundle_recorder(&sent);
    bundle_add(&sent, "node.yaml", false, SPAN("nodes:\n"));
    assert_true(recorder.now_s > 0);
    assert_int_equal(recorder.read(&sent, node, true, &content, &why), 0);
    assert_int_equal(recorder.read_site_key(&sent, site, true, &content, &why), 0);
    assert_int_equal(recorder.read_zone_key(&sent, zone, true, &content, &why), 0);
    assert_int_equal(recorder.read_order_key(&sent, order, true, &content, &why), 0);
    for (enum bundle_part part = BUNDLE_PUBLIC; part <= BUNDLE_WHOLE; part++) {
        struct bundle got = {0};
        struct text bytes = {0};
        bundle_write(&sent, part, &bytes);
        assert_int_equal(bundle_parse(&got, text_span(&bytes), -1), 0);
        bool is_kept_back = part == BUNDLE_PUBLIC || part == BUNDLE_WITH_ORDER_KEYS;
        assert_int_equal(ask(&got, node, &content), is_kept_back ? ERROR_NOT_FOUND : 0);
        assert_int_equal(ask(&got, order, &content),
                         part == BUNDLE_WITH_ORDER_KEYS || part == BUNDLE_WHOLE ? 0
                                                                                : ERROR_NOT_FOUND);
        assert_int_equal(ask(&got, site, &content),
                         part == BUNDLE_WITH_SITE_KEYS || part == BUNDLE_WHOLE ? 0
                                                                               : ERROR_NOT_FOUND);
        assert_int_equal(ask(&got, zone, &content),
                         part == BUNDLE_WITH_ZONE_KEYS || part == BUNDLE_WHOLE ? 0
                                                                               : ERROR_NOT_FOUND);
        assert_int_equal(bundle_reader(&got, part).read_site_key != NULL,
                         part == BUNDLE_WITH_SITE_KEYS);
        text_clear(&bytes); /* what crosses stays what it is */
        if (part == BUNDLE_WHOLE) {
            bundle_write(&got, BUNDLE_WITH_ZONE_KEYS, &bytes);
            bundle_clear(&got);
            assert_int_equal(bundle_parse(&got, text_span(&bytes), -1), 0);
            assert_int_equal(ask(&got, site, &content), ERROR_NOT_FOUND);
            assert_int_equal(ask(&got, zone, &content), 0);
            assert_int_equal(ask(&got, order, &content), ERROR_NOT_FOUND);
            text_clear(&bytes);
        }
        bundle_clear(&got);
    }
    text_clear(&content);
    text_clear(&why);
    bundle_clear(&sent);
    unlink(site);
    unlink(zone);
    unlink(node);
    unlink(order);
    rmdir(folder);
}

/* Large files exist once in memory, and are what they were when they were read. */
static void large_files_cross_in_sealed_memory(void **state)
{
    (void)state;
    char folder[] = "/tmp/causeway-bundle-XXXXXX", large[64], other[64], empty[64];
    assert_non_null(mkdtemp(folder));
    snprintf(large, sizeof large, "%s/large", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    snprintf(empty, sizeof empty, "%s/empty", folder);
    write_file(large, "0123456789", 300000);
    write_file(other, "abc", 1);
    write_file(empty, "", 1);
    struct bundle sent = {0}, got = {0};
    struct conf_reader recorder = bundle_recorder(&sent);
    expect_large(&recorder, large, "0123456789", 300000);
    expect_large(&recorder, empty, "", 1);
    expect_large(&recorder, other, "abc", 1);
    write_file(other, "changed", 1);
    expect_large(&recorder, other, "abc", 1); /* read once */
    bundle_seal(&sent);
    assert_int_equal(write(sent.memory, "x", 1), -1);
    assert_int_equal(ftruncate(sent.memory, 0), -1);

    struct text bytes = {0}, why = {0};
    bundle_write(&sent, BUNDLE_PUBLIC, &bytes);
    assert_true(bytes.length < 1000);
    assert_int_equal(bundle_parse(&got, text_span(&bytes), sent.memory), 0);
    bundle_clear(&sent);
    struct conf_reader reader = bundle_reader(&got, BUNDLE_WITH_ZONE_KEYS);
    expect_large(&reader, large, "0123456789", 300000);
    expect_large(&reader, other, "abc", 1);
    expect_large(&reader, empty, "", 1);
    struct span none;
    assert_int_equal(reader.map(reader.argument, "/etc/shadow", &none, &why), ERROR_NOT_FOUND);
    text_clear(&why);
    text_clear(&bytes);
    bundle_clear(&got);
    unlink(large);
    unlink(other);
    unlink(empty);
    rmdir(folder);
}

/* ---- channels */

struct end {
    struct channel channel;
    struct loop *loop;
    int received, expected, closed;
    size_t descriptors;
    bool is_wrong, keeps;
    int kept;
};

static void on_message(struct channel *channel, const json_t *message, int *fds, size_t fd_count)
{
    struct end *end = CONTAINER_OF(channel, struct end, channel);
    if (json_integer_value(json_object_get(message, "number")) != end->received)
        end->is_wrong = true;
    end->descriptors += fd_count;
    if (end->keeps && fd_count) {
        end->kept = fds[0];
        fds[0] = -1;
    }
    if (++end->received == end->expected)
        loop_stop(end->loop);
}

static void on_closed(struct channel *channel)
{
    struct end *end = CONTAINER_OF(channel, struct end, channel);
    end->closed++;
    channel_stop(channel);
    loop_stop(end->loop);
}

static void open_ends(struct end ends[2])
{
    int pair[2];
    struct loop *loop = loop_new();
    assert_int_equal(channel_pair(pair), 0);
    for (int i = 0; i < 2; i++) {
        ends[i] = (struct end){.loop = loop,
                               .kept = -1,
                               .channel = {.on_message = on_message, .on_closed = on_closed}};
        channel_start(&ends[i].channel, loop, pair[i]);
    }
}

static void close_ends(struct end ends[2])
{
    channel_stop(&ends[0].channel);
    channel_stop(&ends[1].channel);
    loop_free(&ends[0].loop);
}

static int count_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* More than the socket takes at once: the rest waits, in order, with its descriptors. */
static void messages_wait_for_a_slow_reader(void **state)
{
    (void)state;
    enum { MESSAGES = 600 };
    struct end ends[2];
    open_ends(ends);
    int before = count_descriptors();
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char *filler = memory_new(2001);
    memset(filler, 'x', 2000);
    for (int i = 0; i < MESSAGES; i++)
        assert_true(channel_send(&ends[0].channel,
                                 json_pack("{s:i, s:s}", "number", i, "filler", filler), &fd,
                                 i % 10 == 0));
    assert_true(ends[0].channel.queued > 0);
    close(fd);
    ends[1].expected = MESSAGES;
    loop_run(ends[0].loop);
    assert_int_equal(ends[1].received, MESSAGES);
    assert_int_equal(ends[1].descriptors, MESSAGES / 10);
    assert_false(ends[1].is_wrong);
    assert_int_equal(ends[0].channel.queued, 0);
    assert_int_equal(count_descriptors(), before); /* nobody kept any */
    memory_free(filler);
    close_ends(ends);
}

static void a_full_queue_refuses(void **state)
{
    (void)state;
    struct end ends[2];
    open_ends(ends);
    bool is_sent = true;
    for (int i = 0; i < 100000 && is_sent; i++)
        is_sent = channel_send(&ends[0].channel, json_pack("{s:i}", "number", i), NULL, 0);
    assert_false(is_sent);
    assert_int_equal(ends[0].channel.queued, CHANNEL_QUEUE_LIMIT);
    char *filler = memory_new(CHANNEL_MESSAGE_BYTES + 1);
    memset(filler, 'x', CHANNEL_MESSAGE_BYTES);
    assert_false(channel_send(&ends[1].channel, json_pack("{s:s}", "filler", filler), NULL, 0));
    memory_free(filler);
    close_ends(ends);
}

static void a_taken_descriptor_stays_open_and_an_end_is_told(void **state)
{
    (void)state;
    struct end ends[2];
    open_ends(ends);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ends[1].keeps = true;
    ends[1].expected = 1;
    assert_true(channel_send(&ends[0].channel, json_pack("{s:i}", "number", 0), &fd, 1));
    close(fd);
    loop_run(ends[0].loop);
    assert_true(ends[1].kept >= 0);
    assert_int_equal(fcntl(ends[1].kept, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(ends[1].kept);
    channel_stop(&ends[0].channel);
    loop_run(ends[1].loop);
    assert_int_equal(ends[1].closed, 1);
    close_ends(ends);
}

/* What is no JSON object, or no JSON, is skipped. */
static void nonsense_is_skipped(void **state)
{
    (void)state;
    struct end ends[2];
    open_ends(ends);
    const char *nonsense[] = {"x", "[]", "{", "{\"number\":0", "\xff\xfe", "12"};
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++)
        assert_true(send(ends[0].channel.watch.fd, nonsense[i], strlen(nonsense[i]), 0) > 0);
    assert_true(channel_send(&ends[0].channel, json_pack("{s:i}", "number", 0), NULL, 0));
    ends[1].expected = 1;
    loop_run(ends[0].loop);
    assert_int_equal(ends[1].received, 1);
    close_ends(ends);
}

static void bulk_is_read_from_regular_files_only(void **state)
{
    (void)state;
    struct text content = {0};
    int fd, pipe_fds[2];
    assert_int_equal(bulk_new(SPAN("some bytes"), "test", &fd), 0);
    assert_int_equal(write(fd, "x", 1), -1); /* sealed */
    assert_int_equal(bulk_read(fd, &content), 0);
    assert_true(span_equal(text_span(&content), SPAN("some bytes")));
    close(fd);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(bulk_read(pipe_fds[0], &content), ERROR_INVALID); /* and does not block */
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    fd = memfd_create("huge", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)CHANNEL_BULK_BYTES + 1), 0);
    assert_int_equal(bulk_read(fd, &content), ERROR_LIMIT);
    close(fd);
    text_clear(&content);
}

/* ---- descriptors */

static struct address parse(const char *text)
{
    struct address address;
    assert_int_equal(address_parse_port(span_text(text), false, &address), 0);
    return address;
}

static void descriptors_have_names(void **state)
{
    (void)state;
    char name[DESCRIPTOR_NAME_BYTES];
    struct address v4 = parse("192.0.2.1:80"), v6 = parse("[2001:db8::1]:53");
    listener_name(LISTENER_HTTP, &v4, 3, name);
    assert_string_equal(name, "http:192.0.2.1:80/3");
    listener_name(LISTENER_DNS_UDP, &v6, 0, name);
    assert_string_equal(name, "dns-udp:[2001:db8::1]:53/0");
    listener_name(LISTENER_CONTROL, NULL, 0, name);
    assert_string_equal(name, "control");
    log_name("/var/log/x", name);
    assert_string_equal(name, "log:/var/log/x");
}

static struct conf *load(const char *listen)
{
    struct text text = {0}, errors = {0};
    text_add_format(&text,
                    "nodes:\n  me:\n    admin: off\n    edge: {listen: [%s]}\n"
                    "    gateway: {allow: [{edges: [me], sites: [shop]}]}\n"
                    "sites: {shop: {hosts: [shop.example], origins: [\"http://192.0.2.1\"]}}\n",
                    listen);
    struct conf_reader reader = conf_file_reader();
    struct conf *conf = conf_load("test.yaml", text_span(&text), NULL, &reader, &errors);
    if (!conf)
        fail_msg("%s", errors.data);
    text_clear(&text);
    text_clear(&errors);
    return conf;
}

static size_t count_named(const struct descriptors *table, const char *prefix)
{
    size_t count = 0;
    for (size_t i = 0; i < table->count; i++)
        count += strncmp(table->items[i].name, prefix, strlen(prefix)) == 0;
    return count;
}

/* A TCP port that was free a moment ago; none that the kernel gives to connections, which would take it in between. */
static int free_port(void)
{
    static int next;
    char text[32];
    int fd;
    for (int tries = 0; tries < 1000; tries++) {
        int port = 10000 + (getpid() * 17 + next++) % 20000;
        snprintf(text, sizeof text, "127.0.0.1:%d", port);
        struct address address = parse(text);
        if (socket_listen_tcp(&address, 0, &fd) < 0)
            continue;
        close(fd);
        return port;
    }
    fail_msg("no port is free");
    return 0;
}

static void listeners_follow_a_configuration(void **state)
{
    (void)state;
    struct descriptors table = {0};
    struct text errors = {0};
    char first[64], both[128], name[DESCRIPTOR_NAME_BYTES];
    int port = free_port(), other = free_port();
    snprintf(first, sizeof first, "\"127.0.0.1:%d\"", port);
    snprintf(both, sizeof both, "\"127.0.0.1:%d\", \"127.0.0.1:%d\"", port, other);
    struct conf *conf = load(first);
    assert_int_equal(descriptors_open(&table, conf, 2, &errors), 0);
    assert_int_equal(count_named(&table, "http:"), 2);
    listener_name(LISTENER_HTTP, &conf->self->edge->listen.items[0], 1, name);
    int kept = descriptors_find(&table, name)->fd;
    descriptors_find(&table, name)->sent = 1;

    struct conf *more = load(both);
    assert_int_equal(descriptors_open(&table, more, 2, &errors), 0);
    assert_int_equal(count_named(&table, "http:"), 4);
    assert_int_equal(descriptors_find(&table, name)->fd, kept); /* never closed and opened again */

    /* a child still has one of the other address */
    char left[DESCRIPTOR_NAME_BYTES];
    listener_name(LISTENER_HTTP, &more->self->edge->listen.items[1], 0, left);
    descriptors_find(&table, left)->leaving = 1;
    assert_int_equal(descriptors_open(&table, conf, 2, &errors), 0);
    descriptors_close_unwanted(&table);
    assert_int_equal(count_named(&table, "http:"), 3);
    descriptors_left(&table, 1, false);
    assert_int_equal(count_named(&table, "http:"), 2);

    /* an address that another has: nothing changes */
    struct address taken = parse("127.0.0.1:0"), local;
    int fd;
    assert_int_equal(socket_listen_tcp(&taken, SOCKET_REUSEPORT, &fd), 0);
    assert_int_equal(socket_local(fd, &local), 0);
    snprintf(both, sizeof both, "\"127.0.0.1:%d\", \"127.0.0.1:%d\"", other, local.port);
    struct conf *bad = load(both);
    assert_int_equal(errors.length, 0);
    assert_int_equal(descriptors_open(&table, bad, 2, &errors), ERROR_IO);
    assert_non_null(strstr(errors.data, "Address already in use"));
    assert_int_equal(count_named(&table, "http:"), 2);
    assert_true(descriptors_find(&table, name)->is_wanted);
    close(fd);

    descriptors_clear(&table);
    conf_free(conf);
    conf_free(more);
    conf_free(bad);
    text_clear(&errors);
}

static void a_control_socket_is_taken_once(void **state)
{
    (void)state;
    char folder[] = "/tmp/causeway-run-XXXXXX", path[128];
    assert_non_null(mkdtemp(folder));
    struct text why = {0};
    int fd, again;
    assert_int_equal(control_listen(folder, &fd, &why), 0);
    assert_int_equal(control_listen(folder, &again, &why), ERROR_CONFIG);
    assert_non_null(strstr(why.data, "another instance answers"));
    close(fd); /* as if it had been killed: the socket's name stays */
    text_reset(&why);
    assert_int_equal(control_listen(folder, &fd, &why), 0);
    close(fd);
    control_path(folder, path, sizeof path);
    unlink(path);
    rmdir(folder);
    text_clear(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_crosses_with_and_without_secrets),
        cmocka_unit_test(a_bundle_that_is_cut_is_refused),
        cmocka_unit_test(R13_keys_go_where_they_are_used),
        cmocka_unit_test(R13_a_folder_alone_is_read_anew),
        cmocka_unit_test(large_files_cross_in_sealed_memory),
        cmocka_unit_test(messages_wait_for_a_slow_reader),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(a_taken_descriptor_stays_open_and_an_end_is_told),
        cmocka_unit_test(nonsense_is_skipped),
        cmocka_unit_test(bulk_is_read_from_regular_files_only),
        cmocka_unit_test(descriptors_have_names),
        cmocka_unit_test(listeners_follow_a_configuration),
        cmocka_unit_test(a_control_socket_is_taken_once),
    };
    return cmocka_run_group_tests_name("supervisor/parts", tests, NULL, NULL);
}
