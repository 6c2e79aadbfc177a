/* Zip files that two readers read differently: what either shows is seen. */
#include "containers.h"

#define FLAGS_AT 6 /* of what stands before a member; in the directory two further */
#define METHOD_AT 8
#define PACKED_AT 18

static char *find(const struct buf *b, const char *magic)
{
    char *at = memmem(b->data, b->len, magic, 4);

    assert_non_null(at);
    return at;
}

static void make_zip(struct buf *to)
{
    make(archive_write_set_format_zip, archive_write_add_filter_none, TEXT, strlen(TEXT), to);
}

static void put16(char *to, unsigned n)
{
    to[0] = (char)(n & 0xff);
    to[1] = (char)(n >> 8);
}

static void a_zip_file_with_something_before_it_is_unpacked(void **state)
{
    cleanup_buf struct buf zip = BUF_INIT(OUT_MAX), b = BUF_INIT(OUT_MAX);

    (void)state;
    make_zip(&zip);
    buf_adds(&b, "#!/bin/sh\nexec unzip $0\n");
    buf_add(&b, zip.data, zip.len);
    assert_false(unpack_recognises(b.data, b.len));
    assert_holds(&b, TEXT);
}

/* Its directory is cut short: unzip refuses such a file, a reader of streams does not. */
static void a_zip_file_without_its_directory_is_unpacked(void **state)
{
    cleanup_buf struct buf zip = BUF_INIT(OUT_MAX);

    (void)state;
    make_zip(&zip);
    zip.len = (size_t)(find(&zip, "PK\1\2") - zip.data) + 32;
    assert_holds(&zip, TEXT);
}

static void a_member_is_read_as_the_directory_has_it(void **state)
{
    static const struct {
        unsigned flags, method, packed;
    } lies[] = {
        {.method = 8, .packed = 5},               /* too little */
        {.method = 8, .packed = 60000},           /* too much */
        {.method = 0, .packed = 5},               /* not compressed */
        {.method = 99, .packed = 21},             /* by nobody knows what */
        {.method = 8, .packed = 21, .flags = 1},  /* encrypted */
        {.method = 8, .packed = 21, .flags = 65}, /* strongly */
    };

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        cleanup_buf struct buf b = BUF_INIT(OUT_MAX);

        make_zip(&b);
        put16(b.data + FLAGS_AT, lies[i].flags);
        put16(b.data + METHOD_AT, lies[i].method);
        put16(b.data + PACKED_AT, lies[i].packed);
        assert_holds(&b, TEXT);
    }
}

static void a_member_that_is_only_called_encrypted_is_read(void **state)
{
    cleanup_buf struct buf b = BUF_INIT(OUT_MAX);

    (void)state;
    make_zip(&b);
    put16(b.data + FLAGS_AT, 1);
    put16(find(&b, "PK\1\2") + FLAGS_AT + 2, 1);
    assert_holds(&b, TEXT);
}

static void a_damaged_member_hides_no_other(void **state)
{
    cleanup_buf struct buf b = BUF_INIT(OUT_MAX);
    writer *a = start(archive_write_set_format_zip, archive_write_add_filter_none, &b);

    (void)state;
    add_entry(a, "a", "what nobody can read any more", 29);
    add_entry(a, "b", TEXT, strlen(TEXT));
    finish(a);
    memset(b.data + 30 + b.data[26] + b.data[28], 0xff, 16); /* no block of deflate's begins so */
    assert_holds(&b, TEXT);
}

/* A reader of streams sees the end at once, and libarchive's other one looks for the directory's
 * end in the last 16 KiB. */
static void a_zip_file_behind_another_end_and_before_a_long_comment_is_unpacked(void **state)
{
    static const char nothing[26] = "";
    cleanup_buf struct buf zip = BUF_INIT(OUT_MAX), b = BUF_INIT(OUT_MAX);

    (void)state;
    make_zip(&zip);
    put16(find(&zip, "PK\5\6") + 20, 65535);
    buf_adds(&b, "PK\3\4");
    buf_add(&b, nothing, 26);
    buf_adds(&b, "PK\5\6");
    buf_add(&b, nothing, 18);
    buf_add(&b, zip.data, zip.len);
    for (size_t i = 0; i < 65535; i++)
        buf_addc(&b, ' ');
    assert_holds(&b, TEXT);
}

/* Whoever put something before it saw to the places, or to none. */
static void places_count_from_where_the_zip_file_begins_or_its_file(void **state)
{
    static const char before[] = "PK\3\4 a program that unpacks itself PK\5\6";

    (void)state;
    for (int seen_to = 0; seen_to < 2; seen_to++) {
        cleanup_buf struct buf zip = BUF_INIT(OUT_MAX), b = BUF_INIT(OUT_MAX);

        make_zip(&zip);
        if (seen_to) {
            char *directory = find(&zip, "PK\1\2");

            put16(find(&zip, "PK\5\6") + 16,
                  (unsigned)(directory - zip.data) + (unsigned)sizeof before);
            put16(directory + 42, sizeof before);
        }
        buf_add(&b, before, sizeof before);
        buf_add(&b, zip.data, zip.len);
        assert_holds(&b, TEXT);
    }
}

/* 4.3.14 of APPNOTE.TXT: its size and place stand in an end of its own, and so do a member's. */
static void a_directory_with_large_numbers_is_read(void **state)
{
    static const char none[8] = "", ones[8] = "\xff\xff\xff\xff\xff\xff\xff\xff";
    cleanup_buf struct buf zip = BUF_INIT(OUT_MAX), b = BUF_INIT(OUT_MAX);
    size_t directory, end, extra;
    char large[8] = "";

    (void)state;
    make_zip(&zip);
    directory = (size_t)(find(&zip, "PK\1\2") - zip.data);
    end = (size_t)(find(&zip, "PK\5\6") - zip.data);
    /* "encrypted", before the member: only who reads the directory reads it */
    put16(zip.data + FLAGS_AT, 1);
    buf_add(&b, zip.data, directory + 46 + strlen("a.txt"));
    extra = end - b.len;
    put16(b.data + directory + 30, (unsigned)extra + 12);
    memcpy(large, zip.data + directory + 20, 4);
    memcpy(b.data + directory + 20, ones, 4);
    buf_add(&b, zip.data + b.len, extra);
    buf_add(&b, "\1\0\10\0", 4);
    buf_add(&b, large, 8);
    end = b.len;
    buf_adds(&b, "PK\6\6");
    for (int i = 0; i < 36; i++)
        buf_addc(&b, '\0');
    memcpy(large, none, 8);
    put16(large, (unsigned)(end - directory));
    buf_add(&b, large, 8);
    put16(large, (unsigned)directory);
    buf_add(&b, large, 8);
    buf_add(&b, "PK\6\7\0\0\0", 8);
    put16(large, (unsigned)end);
    buf_add(&b, large, 8);
    buf_add(&b, "\1\0\0\0PK\5\6\0\0\0\0\1\0\1\0", 16);
    buf_add(&b, ones, 8);
    buf_add(&b, none, 2);
    assert_holds(&b, TEXT);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zip_file_with_something_before_it_is_unpacked),
        cmocka_unit_test(a_zip_file_without_its_directory_is_unpacked),
        cmocka_unit_test(a_member_is_read_as_the_directory_has_it),
        cmocka_unit_test(a_member_that_is_only_called_encrypted_is_read),
        cmocka_unit_test(a_damaged_member_hides_no_other),
        cmocka_unit_test(a_zip_file_behind_another_end_and_before_a_long_comment_is_unpacked),
        cmocka_unit_test(places_count_from_where_the_zip_file_begins_or_its_file),
        cmocka_unit_test(a_directory_with_large_numbers_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
