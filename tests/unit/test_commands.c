/* What comes before a push's pack is counted, however it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "serve/commands.h"

static void whole_packets_are_handed_on(void **state)
{
    static const char text[] = "0009abcde00000008opts0000PACK\0\0";
    struct commands commands = {0};

    (void)state;
    for (size_t len = 0; len < 9; len++)
        assert_int_equal(commands_take(&commands, text, len), 0);
    assert_int_equal(commands_take(&commands, text, 12), 9);
    assert_int_equal(commands_take(&commands, text + 9, sizeof text - 10), 16);
    assert_true(commands.pack);
    assert_int_equal(commands.bytes, 25);
}

static void what_git_takes_as_an_end_is_counted_on(void **state)
{
    struct commands commands = {0};

    (void)state;
    assert_int_equal(commands_take(&commands, "0001000200030005x", 17), 17);
    assert_false(commands.pack);
}

static void what_is_no_packet_is_refused(void **state)
{
    static const char *const strange[] = {"yes\n", "fffffff", "00 4", "PaCK", "+004"};
    struct commands commands = {0};

    (void)state;
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++)
        assert_int_equal(commands_take(&commands, strange[i], strlen(strange[i])), -EPROTO);
}

static void a_certificate_is_refused_in_place_of_commands(void **state)
{
    static const char *const certificates[] = {"000dpush-cert", "000epush-cert\n",
                                               "0012push-cert\0abcd"};
    static const size_t lengths[] = {13, 14, 18};
    struct commands commands = {0};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        assert_int_equal(commands_take(&commands, certificates[i], lengths[i]), -EPROTO);
    assert_int_equal(commands_take(&commands, "000epush-certs", 14), 14);
    assert_int_equal(commands_take(&commands, "0000000dpush-cert", 17), 17); /* a push option */
}

static void more_than_the_cap_is_refused(void **state)
{
    static char packet[COMMANDS_CHUNK];
    struct commands commands = {0};
    size_t n = 0;

    (void)state;
    memset(packet, 'x', sizeof packet);
    memcpy(packet, "fff0", 4);
    while (commands_take(&commands, packet, sizeof packet) == sizeof packet)
        n++;
    assert_int_equal(n, COMMANDS_BYTES_MAX / sizeof packet);
    assert_int_equal(commands_take(&commands, "0000", 4), -E2BIG);
}

static void the_objects_of_a_pack_are_in_its_header(void **state)
{
    (void)state;
    assert_int_equal(commands_objects("PACK\0\0\0\2\0\0\0\3"), 3);
    assert_int_equal(commands_objects("PACK\0\0\0\2\xff\1\2\x80"), 0xff010280u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_packets_are_handed_on),
        cmocka_unit_test(what_git_takes_as_an_end_is_counted_on),
        cmocka_unit_test(what_is_no_packet_is_refused),
        cmocka_unit_test(a_certificate_is_refused_in_place_of_commands),
        cmocka_unit_test(the_objects_of_a_pack_are_in_its_header),
        cmocka_unit_test(more_than_the_cap_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
