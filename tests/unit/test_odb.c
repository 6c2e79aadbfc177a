/* git's objects are read as git wrote them, and nothing that is damaged, made up or too large is:
 * each is an error, in bounded time and memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"
#include "odb.h"

#define FILE_MAX (32u << 20)
#define BLOB 0x30 /* a blob in a pack, shorter than 16 bytes */

static char folder[] = "/tmp/gitgate-odb-XXXXXX";

/* ---- a folder of objects ---- */

static void path_of(const char *name, char to[4096])
{
    snprintf(to, 4096, "%s/%s", folder, name);
}

static void write_file(const char *name, const void *data, size_t len)
{
    char path[4096];
    FILE *file;

    path_of(name, path);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static int make_folder(void **state)
{
    char path[4096];

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    for (const char *const *name = (const char *[]){"pack", "info", "00", NULL}; *name; name++) {
        path_of(*name, path);
        if (mkdir(path, 0700) < 0)
            return -1;
    }
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"pack/a.pack", "pack/a.idx", "info/alternates"};
    char path[4096];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        path_of(names[i], path);
        unlink(path);
    }
    return 0;
}

static int remove_all(void **state)
{
    char command[4096];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void id_of(const char *kind, const char *data, size_t len, uint8_t id[ODB_ID_LEN])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    char head[64];
    int n = snprintf(head, sizeof head, "%s %zu", kind, len) + 1;

    assert_true(EVP_DigestInit_ex(context, EVP_sha1(), NULL) == 1 &&
                EVP_DigestUpdate(context, head, (size_t)n) == 1 &&
                EVP_DigestUpdate(context, data, len) == 1 &&
                EVP_DigestFinal_ex(context, id, NULL) == 1);
    EVP_MD_CTX_free(context);
}

static void add_stream(struct buf *to, const void *data, size_t len)
{
    uLongf n = compressBound(len);
    Bytef *out = malloc(n);

    assert_int_equal(compress(out, &n, data, len), Z_OK);
    buf_add(to, out, n);
    free(out);
}

static void add_be32(struct buf *to, uint32_t n)
{
    buf_add(to, (uint8_t[]){(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n},
            4);
}

static void begin_pack(struct buf *pack)
{
    buf_add(pack, "PACK\0\0\0\2\0\0\0\1", 12);
}

static void add_trailer(struct buf *to, size_t len)
{
    static const char zeros[40];

    buf_add(to, zeros, len);
}

/* One object, wherever it is said to lie. */
static void write_idx(const uint8_t id[ODB_ID_LEN], uint32_t offset)
{
    cleanup_buf struct buf idx = BUF_INIT(FILE_MAX);

    buf_add(&idx, "\377tOc\0\0\0\2", 8);
    for (unsigned i = 0; i < 256; i++)
        add_be32(&idx, i >= id[0]);
    buf_add(&idx, id, ODB_ID_LEN);
    add_be32(&idx, 0);
    add_be32(&idx, offset);
    add_trailer(&idx, 40);
    write_file("pack/a.idx", idx.data, idx.len);
}

static void write_pack(struct buf *pack)
{
    add_trailer(pack, 20);
    assert_int_equal(buf_error(pack), 0);
    write_file("pack/a.pack", pack->data, pack->len);
}

static int read_one(const uint8_t id[ODB_ID_LEN], struct odb_object *ret)
{
    struct odb *odb = NULL;
    int r = odb_open(folder, &odb);

    *ret = (struct odb_object){0};
    if (r == 0)
        r = odb_read(odb, id, ret);
    odb_free(odb);
    return r;
}

static void expect_failure(const uint8_t id[ODB_ID_LEN])
{
    struct odb_object object;

    assert_true(read_one(id, &object) < 0);
    assert_null(object.data);
}

static void expect_blob(const uint8_t id[ODB_ID_LEN], const char *text)
{
    struct odb_object object;

    assert_int_equal(read_one(id, &object), 0);
    assert_int_equal(object.kind, ODB_BLOB);
    assert_int_equal(object.len, strlen(text));
    assert_string_equal(object.data, text);
    free(object.data);
}

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
    cleanup_buf struct buf pack = BUF_INIT(FILE_MAX);
    uint8_t id[ODB_ID_LEN];

    (void)state;
    begin_pack(&pack);
    buf_addc(&pack, BLOB | 5);
    add_stream(&pack, "there", 5);
    write_pack(&pack);
    id_of("blob", "there", 5, id);
    write_idx(id, 12);
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
        cleanup_buf struct buf pack = BUF_INIT(FILE_MAX);

        begin_pack(&pack);
        buf_add(&pack, cases[i].head, cases[i].len);
        add_stream(&pack, "size", 4);
        write_pack(&pack);
        expect_failure(id);
    }
}

static void an_index_that_lies_about_itself_is_an_error(void **state)
{
    cleanup_buf struct buf pack = BUF_INIT(FILE_MAX), idx = BUF_INIT(FILE_MAX);
    uint8_t id[ODB_ID_LEN];
    char path[4096];
    char whole[2000];
    FILE *file;
    size_t len;

    (void)state;
    begin_pack(&pack);
    buf_addc(&pack, BLOB | 3);
    add_stream(&pack, "idx", 3);
    write_pack(&pack);
    id_of("blob", "idx", 3, id);
    write_idx(id, 12);
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

/* ---- deltas ---- */

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
        cleanup_buf struct buf pack = BUF_INIT(FILE_MAX);

        begin_pack(&pack);
        buf_add(&pack, cases[i].head, cases[i].len);
        add_stream(&pack, "\x05\x05\x90\x05", 4);
        write_pack(&pack);
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
        cmocka_unit_test_teardown(deltas_are_read_as_deep_as_git_makes_them, remove_folder),
        cmocka_unit_test_teardown(a_delta_on_itself_is_an_error, remove_folder),
        cmocka_unit_test_teardown(a_base_that_is_nowhere_is_an_error, remove_folder),
        cmocka_unit_test_teardown(a_delta_does_what_it_says_within_its_base_and_its_result,
                                  remove_folder),
        cmocka_unit_test_teardown(a_delta_bomb_ends_at_the_cap, remove_folder),
        cmocka_unit_test_teardown(a_folder_with_alternates_is_not_read, remove_folder),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_all);
}
