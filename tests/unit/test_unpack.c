/* Containers are known by their content, unpacked one level, and bounded. */
#include "containers.h"

#include <zlib.h>

static void each_kind_is_known_and_unpacked(void **state)
{
    static const struct {
        choice *format, *filter;
    } kinds[] = {
        {archive_write_set_format_zip, archive_write_add_filter_none},
        {archive_write_set_format_ustar, archive_write_add_filter_none},
        {archive_write_set_format_v7tar, archive_write_add_filter_none},
        {archive_write_set_format_pax, archive_write_add_filter_none},
        {archive_write_set_format_gnutar, archive_write_add_filter_none},
        {archive_write_set_format_raw, archive_write_add_filter_gzip},
        {archive_write_set_format_raw, archive_write_add_filter_bzip2},
        {archive_write_set_format_raw, archive_write_add_filter_xz},
        {archive_write_set_format_raw, archive_write_add_filter_zstd},
    };

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        cleanup_buf struct buf b = BUF_INIT(OUT_MAX);

        make(kinds[i].format, kinds[i].filter, TEXT, strlen(TEXT), &b);
        assert_true(unpack_recognises(b.data, b.len));
        assert_holds(&b, TEXT);
    }
}

static void what_is_no_container_is_not_taken_for_one(void **state)
{
    static const char *const texts[] = {
        "", "PK", "PK\3", "text", "\x1f\x8b", "BZh9 is a word", "0000000000000"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(unpack_may(texts[i], strlen(texts[i])));
}

static void a_magic_with_nothing_behind_is_no_error(void **state)
{
    static const char *const texts[] = {"PK\3\4 and nothing else that would be a zip file",
                                        "\x1f\x8b\x08 and nothing else",
                                        "\x28\xb5\x2f\xfd and nothing else",
                                        "\x50\x2a\x4d\x18\xff\xff\xff\xff",
                                        "BZh91AY&SY and nothing else",
                                        "PK\5\6 PK\5\6 and no more at all"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct unpack_budget budget = {.members = 10, .bytes = 1000};
        struct buf b = {.data = (char *)(uintptr_t)texts[i], .len = strlen(texts[i])};
        struct error err = ERROR_INIT;
        struct seen seen = {0};

        assert_true(unpack_may(b.data, b.len));
        assert_int_equal(see(&b, &seen, &budget, &err), 0);
        assert_int_equal(seen.all.len, 0);
        buf_done(&seen.all);
    }
}

static void a_zstd_file_with_a_skippable_frame_first_is_unpacked(void **state)
{
    cleanup_buf struct buf zst = BUF_INIT(OUT_MAX), b = BUF_INIT(OUT_MAX);

    (void)state;
    make(archive_write_set_format_raw, archive_write_add_filter_zstd, TEXT, strlen(TEXT), &zst);
    buf_add(&b, "\x5a\x2a\x4d\x18\x03\0\0\0abc", 11);
    buf_add(&b, zst.data, zst.len);
    assert_holds(&b, TEXT);
}

static void a_damaged_file_is_read_as_far_as_it_goes(void **state)
{
    cleanup_buf struct buf b = BUF_INIT(OUT_MAX), text = BUF_INIT(OUT_MAX);

    (void)state;
    buf_adds(&text, TEXT);
    for (int i = 0; i < 200000; i++)
        buf_addf(&text, "%d\n", i * 7919);
    make(archive_write_set_format_raw, archive_write_add_filter_gzip, text.data, text.len, &b);
    b.len = b.len / 2;
    assert_holds(&b, TEXT);
}

/* By bytes as signed numbers, as some old programs have it. */
static void a_tar_file_whose_sum_is_of_signed_bytes_is_unpacked(void **state)
{
    cleanup_buf struct buf b = BUF_INIT(OUT_MAX);
    int sum = 0;

    (void)state;
    make(archive_write_set_format_ustar, archive_write_add_filter_none, TEXT, strlen(TEXT), &b);
    memset(b.data, 0xe4, 3);
    memset(b.data + 148, ' ', 8);
    for (size_t i = 0; i < 512; i++)
        sum += (signed char)b.data[i];
    snprintf(b.data + 148, 8, "%06o", sum);
    assert_holds(&b, TEXT);
}

static void the_target_of_a_link_is_content(void **state)
{
    cleanup_buf struct buf b = BUF_INIT(OUT_MAX);
    writer *a = start(archive_write_set_format_zip, archive_write_add_filter_none, &b);
    struct archive_entry *entry = archive_entry_new();

    (void)state;
    archive_entry_set_pathname(entry, "link");
    archive_entry_set_filetype(entry, AE_IFLNK);
    archive_entry_set_symlink(entry, TEXT);
    archive_entry_set_size(entry, 0);
    assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
    archive_entry_free(entry);
    finish(a);
    assert_holds(&b, TEXT);
}

/* ---- gzip files that some program shows ---- */

#define GZIP_HEADER 10 /* as libarchive makes it; at 3 its flags */
#define GZIP_TRAILER 8

static void make_gzip(struct buf *to)
{
    make(archive_write_set_format_raw, archive_write_add_filter_gzip, TEXT, strlen(TEXT), to);
    assert_int_equal(to->data[3], 0);
}

static void a_gzip_file_is_read_whatever_its_header_says(void **state)
{
    static const struct {
        char flags;
        const char *more;
        size_t len;
    } headers[] = {
        {2, "\0\0", 2},
        {4, "\3\0abc", 5},
        {8, "name", 5},
        {16, "a comment", 10},
        {30, "\0\0n\0c\0\xff\xff", 8},
        {(char)0xe0, "", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        cleanup_buf struct buf gz = BUF_INIT(OUT_MAX), b = BUF_INIT(OUT_MAX);

        make_gzip(&gz);
        gz.data[3] = headers[i].flags;
        buf_add(&b, gz.data, GZIP_HEADER);
        buf_add(&b, headers[i].more, headers[i].len);
        buf_add(&b, gz.data + GZIP_HEADER, gz.len - GZIP_HEADER);
        assert_holds(&b, TEXT);
    }
}

static void a_gzip_file_with_a_wrong_sum_or_none_is_read(void **state)
{
    cleanup_buf struct buf b = BUF_INIT(OUT_MAX);

    (void)state;
    make_gzip(&b);
    b.data[b.len - GZIP_TRAILER] ^= 1;
    assert_holds(&b, TEXT);
    for (size_t cut = 1; cut < GZIP_TRAILER; cut++) {
        b.len--;
        assert_holds(&b, TEXT);
    }
}

static void what_a_gzip_file_shows_before_it_ends_early_is_seen(void **state)
{
    cleanup_buf struct buf b = BUF_INIT(OUT_MAX), text = BUF_INIT(OUT_MAX);

    (void)state;
    buf_adds(&text, TEXT);
    for (int i = 0; i < 100; i++)
        buf_addf(&text, "%d\n", i * 7919);
    make(archive_write_set_format_raw, archive_write_add_filter_gzip, text.data, text.len, &b);
    b.len = b.len / 2;
    assert_holds(&b, TEXT);
}

static void members_of_a_gzip_file_with_zeros_between_them_are_read(void **state)
{
    cleanup_buf struct buf gz = BUF_INIT(OUT_MAX), b = BUF_INIT(OUT_MAX);

    (void)state;
    make(archive_write_set_format_raw, archive_write_add_filter_gzip, "nothing", 7, &b);
    make_gzip(&gz);
    for (int i = 0; i < 100; i++)
        buf_addc(&b, '\0');
    buf_add(&b, gz.data, gz.len);
    assert_holds(&b, TEXT);
}

/* ---- bounds ---- */

static void assert_refused(const struct buf *b, uint64_t members, uint64_t bytes, const char *why)
{
    struct unpack_budget budget = {.members = members, .bytes = bytes};
    struct error err = ERROR_INIT;
    struct seen seen = {0};

    assert_int_equal(see(b, &seen, &budget, &err), -EFBIG);
    assert_non_null(strstr(err.msg, why));
    assert_true(seen.begun <= members && seen.all.len <= bytes);
    buf_done(&seen.all);
}

static void more_bytes_or_members_than_allowed_are_refused(void **state)
{
    cleanup_buf struct buf b = BUF_INIT(OUT_MAX);
    writer *a = start(archive_write_set_format_ustar, archive_write_add_filter_none, &b);

    (void)state;
    for (int i = 0; i < 11; i++)
        add_entry(a, "x", TEXT, strlen(TEXT));
    finish(a);
    assert_refused(&b, 10, OUT_MAX, "more members");
    assert_refused(&b, 100, 10 * strlen(TEXT), "unpack to more than");
}

static void a_bomb_is_refused_by_its_ratio(void **state)
{
    cleanup_buf struct buf b = BUF_INIT(OUT_MAX);
    size_t len = UNPACK_RATIO_FROM + (1u << 20);
    cleanup_free char *zeros = calloc(1, len);

    (void)state;
    assert_non_null(zeros);
    make(archive_write_set_format_raw, archive_write_add_filter_xz, zeros, len, &b);
    assert_true(b.len * UNPACK_RATIO_MAX < len);
    assert_refused(&b, 10, OUT_MAX, "times its size");
    buf_reset(&b);
    make(archive_write_set_format_raw, archive_write_add_filter_gzip, zeros, len, &b);
    assert_true(b.len * UNPACK_RATIO_MAX < len);
    assert_refused(&b, 10, OUT_MAX, "times its size");
}

/* ustar's (tar(5)). */
static void add_tar_header(struct buf *b, char type, size_t size)
{
    unsigned char header[512] = "name";
    unsigned sum = 0;

    snprintf((char *)header + 124, 12, "%011zo", size);
    memset(header + 148, ' ', 8);
    header[156] = (unsigned char)type;
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof header; i++)
        sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
    buf_add(b, header, sizeof header);
}

static void pad(struct buf *b)
{
    while (b->len % 512)
        buf_addc(b, '\0');
}

/* GNU's sparse format 1.0 (the manual of GNU tar, appendix D): the list stands before the content.
 */
static void add_sparse_file(struct buf *b, size_t parts)
{
    static const char attributes[] = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
                                     "22 GNU.sparse.name=x\n25 GNU.sparse.realsize=0\n";
    cleanup_buf struct buf list = BUF_INIT(OUT_MAX);

    buf_addf(&list, "%zu\n", parts);
    for (size_t i = 0; i < parts; i++)
        buf_adds(&list, "0\n0\n");
    pad(&list);
    add_tar_header(b, 'x', sizeof attributes - 1);
    buf_adds(b, attributes);
    pad(b);
    add_tar_header(b, '0', list.len);
    buf_add(b, list.data, list.len);
}

static void a_file_of_more_holes_than_memory_holds_is_refused(void **state)
{
    cleanup_buf struct buf few = BUF_INIT(OUT_MAX), many = BUF_INIT(OUT_MAX);

    (void)state;
    add_sparse_file(&few, 1000);
    add_tar_header(&few, '0', strlen(TEXT));
    buf_adds(&few, TEXT);
    pad(&few);
    assert_holds(&few, TEXT);
#ifdef __SANITIZE_ADDRESS__
    buf_done(&few); /* skip() doesn't come back */
    skip();         /* nothing is capped */
#endif
    add_sparse_file(&many, 5000000);
    assert_refused(&many, 10, OUT_MAX, "takes more memory to unpack");
}

/* ---- containers that say how much memory their reader is to take ---- */

/* A zip file's header of a member (APPNOTE.TXT 4.3.7). */
static void add_zip_header(struct buf *b, int method, size_t packed)
{
    char header[30] = {'P', 'K', 3, 4, 20};

    header[8] = (char)method;
    header[18] = (char)(packed & 0xff);
    header[19] = (char)(packed >> 8);
    header[22] = sizeof TEXT - 1;
    header[26] = 1;
    buf_add(b, header, sizeof header);
    buf_addc(b, 'a');
}

/* By LZMA (5.8.8): its version, the length of its properties, and these, of which four bytes are
 * the dictionary's size; then what stands behind the header of a file of its own. */
static void make_zipped_lzma(const char *dictionary, struct buf *to)
{
    cleanup_buf struct buf alone = BUF_INIT(OUT_MAX);

    make(archive_write_set_format_raw, archive_write_add_filter_lzma, TEXT, strlen(TEXT), &alone);
    memcpy(alone.data + 1, dictionary, 4);
    add_zip_header(to, 14, 4 + alone.len - 8);
    buf_add(to, "\11\24\5\0", 4);
    buf_add(to, alone.data, 5);
    buf_add(to, alone.data + 13, alone.len - 13);
}

/* Two to the power of `log` bytes (RFC 8878, 3.1.1.1.2). */
static void make_zstd(int log, struct buf *to)
{
    make(archive_write_set_format_raw, archive_write_add_filter_zstd, TEXT, strlen(TEXT), to);
    assert_int_equal(to->data[4] & 0x20, 0); /* it has a window */
    to->data[5] = (char)((log - 10) << 3);
}

/* The code of the dictionary's size stands in the block's header (5.3.1 of the format), whose sum
 * is its last four bytes. */
static void make_xz(int dictionary, struct buf *to)
{
    unsigned char *block;
    size_t len;
    uLong sum;

    make(archive_write_set_format_raw, archive_write_add_filter_xz, TEXT, strlen(TEXT), to);
    block = (unsigned char *)to->data + 12;
    assert_int_equal(block[1], 0);
    assert_memory_equal(block + 2, "\x21\1", 2);
    len = 4 * (size_t)block[0];
    block[4] = (unsigned char)dictionary;
    sum = crc32(0, block, (uInt)len);
    for (size_t i = 0; i < 4; i++)
        block[len + i] = (unsigned char)(sum >> 8 * i);
}

static void put_in_zip(int method, const struct buf *file, struct buf *to)
{
    add_zip_header(to, method, file->len);
    buf_add(to, file->data, file->len);
}

static void windows_as_their_programs_make_them_are_read(void **state)
{
    cleanup_buf struct buf lzma = BUF_INIT(OUT_MAX), zstd = BUF_INIT(OUT_MAX);
    cleanup_buf struct buf xz = BUF_INIT(OUT_MAX), zipped = BUF_INIT(OUT_MAX);

    (void)state;
    make_zipped_lzma("\0\0\0\4", &lzma);
    assert_holds(&lzma, TEXT);
    make_zstd(27, &zstd);
    assert_holds(&zstd, TEXT);
    make_xz(28, &xz);
    assert_holds(&xz, TEXT);
    put_in_zip(95, &xz, &zipped);
    assert_holds(&zipped, TEXT);
}

static void a_window_that_is_larger_is_refused(void **state)
{
    cleanup_buf struct buf lzma = BUF_INIT(OUT_MAX), zstd = BUF_INIT(OUT_MAX);
    cleanup_buf struct buf xz = BUF_INIT(OUT_MAX), zipped = BUF_INIT(OUT_MAX);

    (void)state;
    make_zstd(31, &zstd);
    assert_refused(&zstd, 10, OUT_MAX, "takes more memory to unpack");
    put_in_zip(93, &zstd, &zipped);
    assert_refused(&zipped, 10, OUT_MAX, "takes more memory to unpack");
#ifdef __SANITIZE_ADDRESS__
    buf_done(&zstd); /* skip() doesn't come back */
    buf_done(&zipped);
    skip(); /* nothing is capped */
#endif
    make_zipped_lzma("\xff\xff\xff\xff", &lzma);
    assert_refused(&lzma, 10, OUT_MAX, "takes more memory to unpack");
    make_xz(40, &xz);
    assert_refused(&xz, 10, OUT_MAX, "takes more memory to unpack");
    buf_reset(&zipped);
    put_in_zip(95, &xz, &zipped);
    assert_refused(&zipped, 10, OUT_MAX, "takes more memory to unpack");
}

static void who_takes_the_members_can_end_it(void **state)
{
    cleanup_buf struct buf b = BUF_INIT(OUT_MAX);
    struct unpack_budget budget = {.members = 1000, .bytes = OUT_MAX};
    struct error err = ERROR_INIT;
    struct seen seen = {.stop_at = 1};

    (void)state;
    make(archive_write_set_format_zip, archive_write_add_filter_none, TEXT, strlen(TEXT), &b);
    assert_int_equal(see(&b, &seen, &budget, &err), -ECANCELED);
    assert_string_equal(err.msg, "enough");
    buf_done(&seen.all);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_known_and_unpacked),
        cmocka_unit_test(what_is_no_container_is_not_taken_for_one),
        cmocka_unit_test(a_magic_with_nothing_behind_is_no_error),
        cmocka_unit_test(a_zstd_file_with_a_skippable_frame_first_is_unpacked),
        cmocka_unit_test(a_damaged_file_is_read_as_far_as_it_goes),
        cmocka_unit_test(a_tar_file_whose_sum_is_of_signed_bytes_is_unpacked),
        cmocka_unit_test(the_target_of_a_link_is_content),
        cmocka_unit_test(a_gzip_file_is_read_whatever_its_header_says),
        cmocka_unit_test(a_gzip_file_with_a_wrong_sum_or_none_is_read),
        cmocka_unit_test(what_a_gzip_file_shows_before_it_ends_early_is_seen),
        cmocka_unit_test(members_of_a_gzip_file_with_zeros_between_them_are_read),
        cmocka_unit_test(more_bytes_or_members_than_allowed_are_refused),
        cmocka_unit_test(a_bomb_is_refused_by_its_ratio),
        cmocka_unit_test(a_file_of_more_holes_than_memory_holds_is_refused),
        cmocka_unit_test(windows_as_their_programs_make_them_are_read),
        cmocka_unit_test(a_window_that_is_larger_is_refused),
        cmocka_unit_test(who_takes_the_members_can_end_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
