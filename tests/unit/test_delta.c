/* Objects that lie in a pack as deltas on others: what they make, and that none makes more than it
 * may. */
#include "packs.h"

/* A blob, and `depth` deltas on it by offset, each of which makes the same of the one before. */
static void write_chain(unsigned depth, uint8_t id[ODB_ID_LEN])
{
    static const char copy[] = "\x05\x05\x90\x05"; /* 5 bytes, of 5: the first 5 */
    cleanup_buf struct buf pack = BUF_INIT(FILE_MAX);
    size_t last = 12, here;

    begin_pack(&pack);
    buf_addc(&pack, BLOB | 5);
    add_stream(&pack, "chain", 5);
    for (unsigned i = 0; i < depth; i++) {
        here = pack.len;
        buf_addc(&pack, 0x64);
        buf_addc(&pack, (char)(here - last));
        add_stream(&pack, copy, 4);
        last = here;
    }
    write_pack(&pack);
    id_of("blob", "chain", 5, id);
    write_idx(id, (uint32_t)last);
}

static void deltas_are_read_as_deep_as_git_makes_them(void **state)
{
    uint8_t id[ODB_ID_LEN];

    (void)state;
    write_chain(1, id);
    expect_blob(id, "chain");
    write_chain(50, id);
    expect_blob(id, "chain");
    write_chain(1000, id);
    expect_failure(id);
}

/* By its id a delta can say of itself that it is its base. */
static void a_delta_on_itself_is_an_error(void **state)
{
    cleanup_buf struct buf pack = BUF_INIT(FILE_MAX);
    uint8_t id[ODB_ID_LEN];

    (void)state;
    id_of("blob", "self!", 5, id);
    begin_pack(&pack);
    buf_addc(&pack, 0x74);
    buf_add(&pack, id, sizeof id);
    add_stream(&pack, "\x05\x05\x90\x05", 4);
    write_pack(&pack);
    write_idx(id, 12);
    expect_failure(id);
}

static void a_base_that_is_nowhere_is_an_error(void **state)
{
    static const struct {
        const char *head;
        size_t len;
    } cases[] = {
        {"\x64\x00", 2},                     /* itself */
        {"\x64\x0c", 2},                     /* the pack's own header */
        {"\x64\x7f", 2},                     /* before the pack */
        {"\x64\xff\xff\xff\xff\xff\xff", 7}, /* no end */
        {"\x64\xfe\xfe\xfe\xfe\xfe\x7e", 7},
        {"\x74nothing has this id!", 21},
        {"\x54\x01", 2}, /* a type that there is not */
        {"\x04\x01", 2},
    };
    uint8_t id[ODB_ID_LEN];

    (void)state;
    id_of("blob", "base!", 5, id);
    write_idx(id, 12);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_entry(cases[i].head, cases[i].len, "\x05\x05\x90\x05", 4);
        expect_failure(id);
    }
}

static void a_delta_does_what_it_says_within_its_base_and_its_result(void **state)
{
    static const struct {
        const char *delta;
        size_t len;
        const char *made; /* NULL: an error */
    } cases[] = {
        {"\x06\x06\x90\x06", 4, "base.\n"},
        {"\x06\x04\x91\x02\x04", 5, "se.\n"},
        {"\x06\x03\x03"
         "new",
         6, "new"},
        {"\x06\x05\x90\x04\x01!", 6, "base!"},
        {"\x06\x00", 2, ""},
        {"", 0, NULL},
        {"\x06", 1, NULL},
        {"\x05\x05\x90\x05", 4, NULL},     /* another base */
        {"\x06\x07\x90\x06", 4, NULL},     /* makes less than it says */
        {"\x06\x05\x90\x06", 4, NULL},     /* makes more */
        {"\x06\x06\x91\x01\x06", 5, NULL}, /* behind the base's end */
        {"\x06\x06\x91\x07\x01", 5, NULL},
        {"\x06\x04\x9f\xff\xff\xff\xff\x04", 8, NULL},
        {"\x06\x06\x80", 3, NULL},                     /* 64 KiB */
        {"\x06\x06\x91", 3, NULL},                     /* no offset */
        {"\x06\x03\x04new", 6, NULL},                  /* cut off */
        {"\x06\x06\x90\x06\x00", 5, NULL},             /* an operation that there is not */
        {"\x06\xff\xff\xff\xff\x7f\x90\x06", 8, NULL}, /* gigabytes */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *made = NULL;
        size_t len = 0;
        int r = odb_apply_delta("base.\n", 6, cases[i].delta, cases[i].len, &made, &len);

        assert_int_equal(r, cases[i].made ? 0 : -EINVAL);
        if (r == 0)
            assert_string_equal(made, cases[i].made);
        free(made);
    }
}

/* Each delta of a chain copies its base sixteen times. */
static void a_delta_bomb_ends_at_the_cap(void **state)
{
    cleanup_buf struct buf pack = BUF_INIT(FILE_MAX);
    uint8_t id[ODB_ID_LEN];
    struct odb_object object;
    size_t last = 12, len = 16;

    (void)state;
    begin_pack(&pack);
    buf_addc(&pack, (char)(BLOB | 0x80));
    buf_addc(&pack, 1);
    add_stream(&pack, "0123456789abcdef", 16);
    for (unsigned i = 0; i < 6; i++) {
        cleanup_buf struct buf delta = BUF_INIT(FILE_MAX);
        size_t here = pack.len, sizes[] = {len, len * 16};

        for (size_t k = 0; k < 2; k++) {
            size_t n = sizes[k];

            for (; n > 127; n >>= 7)
                buf_addc(&delta, (char)(0x80 | (n & 127)));
            buf_addc(&delta, (char)n);
        }
        for (unsigned k = 0; k < 16; k++) {
            buf_addc(&delta, (char)0xf0);
            buf_add(&delta, (uint8_t[]){(uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16)},
                    3);
        }
        buf_addc(&pack, (char)(0x60 | 0x80 | (delta.len & 15)));
        buf_addc(&pack, (char)(delta.len >> 4));
        buf_addc(&pack, (char)(here - last));
        add_stream(&pack, delta.data, delta.len);
        last = here;
        len *= 16;
    }
    write_pack(&pack);
    memset(id, 7, sizeof id);
    write_idx(id, (uint32_t)last);
    assert_int_equal(read_one(id, &object), -EINVAL); /* not by its hash */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(deltas_are_read_as_deep_as_git_makes_them, remove_folder),
        cmocka_unit_test_teardown(a_delta_on_itself_is_an_error, remove_folder),
        cmocka_unit_test_teardown(a_base_that_is_nowhere_is_an_error, remove_folder),
        cmocka_unit_test_teardown(a_delta_does_what_it_says_within_its_base_and_its_result,
                                  remove_folder),
        cmocka_unit_test_teardown(a_delta_bomb_ends_at_the_cap, remove_folder),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_all);
}
