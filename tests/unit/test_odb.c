/* git's objects are read as git wrote them, and nothing that is damaged, made up or too large is:
 * each is an error, in bounded time and memory. Deltas: test_delta.c. */
#include "packs.h"

/* ---- loose ---- */

static void write_loose(const uint8_t id[ODB_ID_LEN], const char *data, size_t len)
{
    char name[64];
    size_t n = (size_t)snprintf(name, sizeof name, "%02x", id[0]);
    char path[4096];

    path_of(name, path);
    mkdir(path, 0700);
    n += (size_t)snprintf(name + n, sizeof name - n, "/");
    for (size_t i = 1; i < ODB_ID_LEN; i++)
        n += (size_t)snprintf(name + n, sizeof name - n, "%02x", id[i]);
    write_file(name, data, len);
}

static void write_loose_as(const uint8_t id[ODB_ID_LEN], const char *content, size_t len)
{
    cleanup_buf struct buf file = BUF_INIT(FILE_MAX);

    add_stream(&file, content, len);
    write_loose(id, file.data, file.len);
}

static void a_loose_object_is_read(void **state)
{
    uint8_t id[ODB_ID_LEN];
    char large[300000];
    cleanup_buf struct buf content = BUF_INIT(FILE_MAX);

    (void)state;
    id_of("blob", "hello\n", 6, id);
    write_loose_as(id, "blob 6\0hello\n", 13);
    expect_blob(id, "hello\n");
    id_of("blob", "", 0, id);
    write_loose_as(id, "blob 0\0", 7);
    expect_blob(id, "");
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    buf_addf(&content, "blob %zu", sizeof large - 1);
    buf_addc(&content, '\0');
    buf_adds(&content, large);
    id_of("blob", large, sizeof large - 1, id);
    write_loose_as(id, content.data, content.len);
    expect_blob(id, large);
}

static void a_loose_object_that_is_not_what_it_says_is_an_error(void **state)
{
    static const struct {
        const char *content;
        size_t len;
    } cases[] = {
        {"blob 7\0hello\n", 13},
        {"blob 5\0hello\n", 13},
        {"blob -6\0hello\n", 14},
        {"blob 6 \0hello\n", 14},
        {"blob\0hello\n", 11},
        {"blob 6hello\n", 12},
        {"tree 6\0hello\n", 13},
        {"bolb 6\0hello\n", 13},
        {" 6\0hello\n", 9},
        {"blob 99999999999\0hello", 22},
        {"blob 9000000\0hello\n", 19},
        {"blob 6\0hellO\n", 13},
        {"", 0},
    };
    uint8_t id[ODB_ID_LEN];
    cleanup_buf struct buf whole = BUF_INIT(FILE_MAX);

    (void)state;
    id_of("blob", "hello\n", 6, id);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_loose_as(id, cases[i].content, cases[i].len);
        expect_failure(id);
    }
    add_stream(&whole, "blob 6\0hello\n", 13);
    for (size_t len = 0; len < whole.len; len++) {
        write_loose(id, whole.data, len);
        expect_failure(id);
    }
}

/* ---- packs ---- */

static void a_packed_object_is_read(void **state)
{
    uint8_t id[ODB_ID_LEN];

    (void)state;
    write_packed_blob("there", id);
    expect_blob(id, "there");
    for (uint32_t offset = 0; offset < 100; offset++) {
        if (offset == 12)
            continue;
        write_idx(id, offset);
        expect_failure(id);
    }
    for (uint32_t i = 0; i < 40; i++) { /* in a table of long offsets, that is not there */
        write_idx(id, 0x80000000u | i);
        expect_failure(id);
    }
    write_idx(id, 0xffffffffu);
    expect_failure(id);
    id[19] ^= 1;
    write_idx(id, 12);
    expect_failure(id);
}

static void a_pack_that_is_cut_off_is_an_error(void **state)
{
    cleanup_buf struct buf pack = BUF_INIT(FILE_MAX);
    uint8_t id[ODB_ID_LEN];

    (void)state;
    begin_pack(&pack);
    buf_addc(&pack, BLOB | 3);
    add_stream(&pack, "cut", 3);
    id_of("blob", "cut", 3, id);
    write_idx(id, 12);
    for (size_t len = 0; len < pack.len; len++) {
        write_file("pack/a.pack", pack.data, len);
        expect_failure(id);
    }
}

static void a_size_that_lies_is_an_error(void **state)
{
    static const struct {
        const char *head;
        size_t len;
    } cases[] = {{"\x33", 1},
                 {"\x35", 1},
                 {"\xb4\x01", 2},
                 {"\xbf\xff\xff\xff\xff\x7f", 6},
                 {"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11}};
    uint8_t id[ODB_ID_LEN];

    (void)state;
    id_of("blob", "size", 4, id);
    write_idx(id, 12);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_entry(cases[i].head, cases[i].len, "size", 4);
        expect_failure(id);
    }
}

static void an_index_that_lies_about_itself_is_an_error(void **state)
{
    uint8_t id[ODB_ID_LEN];
    char path[4096];
    char whole[2000];
    FILE *file;
    size_t len;

    (void)state;
    write_packed_blob("idx", id);
    expect_blob(id, "idx");
    path_of("pack/a.idx", path);
    file = fopen(path, "r");
    len = fread(whole, 1, sizeof whole, file);
    fclose(file);
    for (size_t i = 0; i < len; i += i < 1030 ? 101 : 7) { /* cut off */
        write_file("pack/a.idx", whole, i);
        expect_failure(id);
    }
    memset(whole + 8 + 4 * id[0], 0xff, 4); /* so many objects up to here */
    write_file("pack/a.idx", whole, len);
    expect_failure(id);
    memset(whole + 8 + 4 * 255, 0x7f, 4); /* and in all */
    write_file("pack/a.idx", whole, len);
    expect_failure(id);
}

static void a_folder_with_alternates_is_not_read(void **state)
{
    struct odb *odb = NULL;

    (void)state;
    write_file("info/alternates", "/elsewhere\n", 11);
    assert_int_equal(odb_open(folder, &odb), -ENOTSUP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_loose_object_is_read, remove_folder),
        cmocka_unit_test_teardown(a_loose_object_that_is_not_what_it_says_is_an_error,
                                  remove_folder),
        cmocka_unit_test_teardown(a_packed_object_is_read, remove_folder),
        cmocka_unit_test_teardown(a_pack_that_is_cut_off_is_an_error, remove_folder),
        cmocka_unit_test_teardown(a_size_that_lies_is_an_error, remove_folder),
        cmocka_unit_test_teardown(an_index_that_lies_about_itself_is_an_error, remove_folder),
        cmocka_unit_test_teardown(a_folder_with_alternates_is_not_read, remove_folder),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_all);
}
