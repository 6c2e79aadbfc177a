/* Packets are read as git writes them, and nothing else passes for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pktline.h"

static void assert_pkt(const char *text, size_t len, enum pkt_kind kind, size_t used)
{
    struct pkt pkt = pkt_parse(text, len);

    if (pkt.kind != kind || pkt.used != used)
        fail_msg("\"%.*s\": kind %d, used %zu", (int)len, text, pkt.kind, pkt.used);
}

static void packets_are_read(void **state)
{
    struct pkt pkt = pkt_parse("000ahello\nrest", 14);

    (void)state;
    assert_int_equal(pkt.kind, PKT_DATA);
    assert_int_equal(pkt.len, 5);
    assert_memory_equal(pkt.data, "hello", 5);
    assert_int_equal(pkt.used, 10);
    assert_pkt("0004", 4, PKT_DATA, 4);
    assert_pkt("0005\n", 5, PKT_DATA, 5);
    assert_pkt("0000", 4, PKT_FLUSH, 4);
    assert_pkt("000Aabcdef", 10, PKT_DATA, 10);
}

static void a_part_of_a_packet_asks_for_more(void **state)
{
    (void)state;
    for (size_t len = 0; len < 9; len++)
        assert_pkt("0009hello", len, PKT_MORE, 0);
}

static void what_is_no_packet_is_refused(void **state)
{
    static const char *const bad[] = {"0001", "0002", "0003", "zzzz", "00g0", "-001",
                                      " 004", "0x10", "ffff", "fff1", "+00a"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_pkt(bad[i], 4, PKT_INVALID, 0);
    assert_pkt("z", 1, PKT_INVALID, 0);
    assert_pkt("fff0", 4, PKT_MORE, 0); /* the longest there is */
}

static void nul_bytes_are_data(void **state)
{
    struct pkt pkt = pkt_parse("000ba\0b\0c\n", 11);

    (void)state;
    assert_int_equal(pkt.kind, PKT_DATA);
    assert_memory_equal(pkt.data, "a\0b\0c\n", 6);
}

static void packets_are_written(void **state)
{
    cleanup_buf struct buf out = BUF_INIT(1024);

    (void)state;
    pkt_addf(&out, "ok %s", "refs/heads/main");
    pkt_add(&out, "", 0);
    pkt_flush(&out);
    assert_string_equal(out.data, "0016ok refs/heads/main00040000");
    assert_int_equal(buf_error(&out), 0);
}

static void the_longest_packet_is_written_and_a_longer_one_is_not(void **state)
{
    cleanup_buf struct buf out = BUF_INIT(2 * PKT_PAYLOAD_MAX);
    char *text = calloc(1, PKT_PAYLOAD_MAX + 1);

    (void)state;
    pkt_add(&out, text, PKT_PAYLOAD_MAX);
    assert_int_equal(buf_error(&out), 0);
    assert_memory_equal(out.data, "fff0", 4);
    pkt_add(&out, text, PKT_PAYLOAD_MAX + 1);
    assert_int_equal(buf_error(&out), -EMSGSIZE);
    free(text);
}

static void a_packet_is_written_whole_or_not_at_all(void **state)
{
    cleanup_buf struct buf out = BUF_INIT(8);

    (void)state;
    pkt_add(&out, "hello", 5);
    assert_int_equal(buf_error(&out), -E2BIG);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_read),
        cmocka_unit_test(a_part_of_a_packet_asks_for_more),
        cmocka_unit_test(what_is_no_packet_is_refused),
        cmocka_unit_test(nul_bytes_are_data),
        cmocka_unit_test(packets_are_written),
        cmocka_unit_test(the_longest_packet_is_written_and_a_longer_one_is_not),
        cmocka_unit_test(a_packet_is_written_whole_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
