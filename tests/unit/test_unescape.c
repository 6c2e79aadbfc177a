/* What is encoded in a text is read, as gitleaks reads it and further; and each byte knows whence
 * it came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "scan/transcode.h"
#include "scan/unescape.h"

#define SEEN_MAX (64u << 20)

/* ---- one reading of one text ---- */

static void decode(const char *text, size_t len, enum reading reading, struct buf *to)
{
    cleanup_segments struct segments found = SEGMENTS_INIT;
    size_t at = 0;

    assert_int_equal(segments_find(text, len, reading, &found), 0);
    for (size_t i = 0; i < found.n; i++) {
        const struct segment *s = &found.list[i];

        assert_true(s->from >= at && s->to > s->from && s->to <= len);
        buf_add(to, text + at, s->from - at);
        buf_add(to, found.bytes.data + s->at, s->len);
        at = s->to;
    }
    buf_add(to, text + at, len - at);
}

static void assert_reads(enum reading reading, const char *text, const char *expected)
{
    cleanup_buf struct buf out = BUF_INIT(SEEN_MAX);

    decode(text, strlen(text), reading, &out);
    if (strcmp(out.data, expected) != 0)
        fail_msg("\"%s\": \"%s\", not \"%s\"", text, out.data, expected);
}

/* Escapes that chance makes in what is binary; a secret is a longer row of text. */
static void an_escape_in_less_text_than_a_secret_has_stands_as_it_is(void **state)
{
    static const char *const binary[] = {"\x80%41\x80", "\x80y%41y\x80\x81%42", "\x80\\x41\xff",
                                         "\x80\\u0041\xff", "\xff&#65;\xff"};

    (void)state;
    for (size_t i = 0; i < sizeof binary / sizeof *binary; i++) {
        assert_reads(READ_WIDELY, binary[i], binary[i]);
        assert_reads(READ_AS_GITLEAKS, binary[i], binary[i]);
    }
    assert_reads(READ_WIDELY, "\x80%67hp_01\x80%41",
                 "\x80"
                 "ghp_01\x80%41");
    assert_reads(READ_AS_GITLEAKS, "\x80%41\x80%67hp_01\x80",
                 "\x80%41\x80"
                 "ghp_01\x80");
}

static void both_readings_decode_what_gitleaks_decodes(void **state)
{
    static const char *const pairs[][2] = {
        {"token: dGhlIHF1aWNrIGJyb3duIGZveA==", "token: the quick brown fox"},
        {"token=dGhlIHF1aWNrIGJyb3duIGZveA", "token=the quick brown fox"},
        {"x PD8+Pz4_Pj8-PD8 x", "x PD8+Pz4_Pj8-PD8 x"}, /* neither alphabet */
        {"\"74686520717569636b2062726f776e20666f78\"", "\"the quick brown fox\""},
        {"a%3D%22b%22", "a=\"b\""},
        {"\\u0061\\U0062\\\\u0063d", "abcd"},
        {"U+0061 U+0062 U+00e9 x", "ab\xc3\xa9x"},
        {"no word that is longer", "no word that is longer"},
        {"a3d3fa7c2bb99e469ba55e5834ce79ee4853a8a3", "a3d3fa7c2bb99e469ba55e5834ce79ee4853a8a3"},
        {"", ""},
        {"+", "+"},
        {"U", "U"},
        {"%", "%"},
        {"\\", "\\"},
        {"%4", "%4"},
        {"\\u004", "\\u004"},
        {"x=\\ud800", "x=\xef\xbf\xbd"},
        /* Letters beyond ASCII are text, too: this one is a k where case does not count. */
        {"%54o\xe2\x84\xaan", "To\xe2\x84\xaan"},
        {"\xc5\xbfy\xf0\x9f\x94\x91%54", "\xc5\xbfy\xf0\x9f\x94\x91T"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_reads(READ_AS_GITLEAKS, pairs[i][0], pairs[i][1]);
        assert_reads(READ_WIDELY, pairs[i][0], pairs[i][1]);
    }
}

static void gitleaks_reading_leaves_what_gitleaks_leaves(void **state)
{
    (void)state;
    /* One escape that is no ASCII spoils its line; what lies between two waits for the next pass.
     */
    assert_reads(READ_AS_GITLEAKS, "%C3%A9 and %41", "%C3%A9 and %41");
    assert_reads(READ_AS_GITLEAKS, "%41 dGhlIHF1aWNrIGJyb3duIGZveA %42",
                 "A dGhlIHF1aWNrIGJyb3duIGZveA B");
    assert_reads(READ_AS_GITLEAKS, "\\x41\\102&#67;", "\\x41\\102&#67;");
}

static void the_wide_reading_decodes_more(void **state)
{
    (void)state;
    assert_reads(READ_WIDELY, "%C3%A9 and %41", "\xc3\xa9 and A");
    assert_reads(READ_WIDELY, "%41 dGhlIHF1aWNrIGJyb3duIGZveA %42", "A the quick brown fox B");
    assert_reads(READ_WIDELY, "\\x41\\102&#67;&#x44;\\u{45}", "ABCDE");
    assert_reads(READ_WIDELY, "&#x;&#;\\u{}\\x4\\08&#12", "&#x;&#;\\u{}\\x4\\08&#12");
    /* A binary byte before or behind. */
    assert_reads(READ_WIDELY, "\"/3RoZSBxdWljayBicm93biBmb3g\"", "\"\xffthe quick brown fox\"");
}

static void blocks_that_are_broken_over_lines_are_read_whole(void **state)
{
    (void)state;
    assert_reads(READ_WIDELY,
                 "key: |\n"
                 "  dGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVy\n"
                 "  IHRoZSBsYXp5IGRvZywgYWdhaW4gYW5kIGFnYWlu\r\n"
                 "  ISE=\nend",
                 "key: |\n  the quick brown fox jumps over the lazy dog, again and again!!\nend");
    assert_reads(READ_WIDELY,
                 "74686520717569636b2062726f776e20666f7820\n"
                 "6a756d7073\n",
                 "the quick brown fox jumps\n");
}

/* ---- views ---- */

struct seen {
    struct buf all; /* views, a line end behind each */
    size_t views, containers, from;
    const char *text;
};

static int see_view(void *data, const struct buf *view, const struct spans *spans,
                    struct error *err)
{
    struct seen *seen = data;
    const char *mark = memmem(view->data, view->len, "quick", 5);

    (void)err;
    assert_true(spans->n > 0 && spans->list[0].at == 0);
    if (mark)
        seen->from = spans_origin(spans, (size_t)(mark - view->data));
    seen->views++;
    buf_add(&seen->all, view->data, view->len);
    buf_addc(&seen->all, '\n');
    return 0;
}

static int see_container(void *data, const char *bytes, size_t len, size_t from, struct error *err)
{
    struct seen *seen = data;

    (void)err;
    assert_true(len > 3 && memcmp(bytes, "\x1f\x8b\x08", 3) == 0);
    seen->containers++;
    seen->from = from;
    return 0;
}

static void see_part(const char *text, size_t len, bool cut, struct seen *seen)
{
    struct unescaper to = {.view = see_view, .container = see_container, .data = seen};
    struct error err = ERROR_INIT;

    *seen = (struct seen){.all = BUF_INIT(4 * SEEN_MAX), .text = text};
    if (unescape(text, len, cut, &to, &err) < 0)
        fail_msg("%s", err.msg);
}

static void see(const char *text, size_t len, struct seen *seen)
{
    see_part(text, len, false, seen);
}

static void add_base64(struct buf *to, const char *data, size_t len)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i += 3) {
        unsigned n = (unsigned char)data[i] << 16;

        n |= i + 1 < len ? (unsigned)(unsigned char)data[i + 1] << 8 : 0;
        n |= i + 2 < len ? (unsigned char)data[i + 2] : 0;
        buf_addc(to, alphabet[n >> 18]);
        buf_addc(to, alphabet[n >> 12 & 63]);
        buf_addc(to, i + 1 < len ? alphabet[n >> 6 & 63] : '=');
        buf_addc(to, i + 2 < len ? alphabet[n & 63] : '=');
    }
}

/* Where base64 or hex is cut, what is left of it is read; also of base64 in base64, and where lines
 * are broken. */
static void what_is_cut_at_its_start_is_read(void **state)
{
    static const char text[] = "some words, and then the word that is looked for, and some more";
    cleanup_buf struct buf once = BUF_INIT(SEEN_MAX), twice = BUF_INIT(SEEN_MAX),
                           hex = BUF_INIT(SEEN_MAX), lines = BUF_INIT(SEEN_MAX);
    struct buf *const all[] = {&once, &twice, &hex, &lines};

    (void)state;
    add_base64(&once, text, sizeof text - 1);
    add_base64(&twice, once.data, once.len);
    for (size_t i = 0; i < sizeof text - 1; i++)
        buf_addf(&hex, "%02x", (unsigned)text[i]);
    for (size_t i = 0; i < once.len; i += 33) /* no whole number of groups */
        buf_addf(&lines, "%.33s\n", once.data + i);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (size_t at = 0; at < 8; at++) {
            struct seen seen;

            see_part(all[i]->data + at, all[i]->len - at, true, &seen);
            if (!strstr(seen.all.data, "the word that is"))
                fail_msg("form %zu is not read when %zu characters are cut off", i, at);
            buf_done(&seen.all);
        }
}

static void a_plain_text_is_shown_no_second_time(void **state)
{
    const char *text = "int main(void) { return printf(\"%d a_name_that_is_long\\n\", 1 + 1); }\n";
    struct seen seen;

    (void)state;
    see(text, strlen(text), &seen);
    assert_int_equal(seen.views, 0);
    buf_done(&seen.all);
}

static void five_layers_are_taken_off_and_no_sixth(void **state)
{
    (void)state;
    for (unsigned depth = 1; depth <= UNESCAPE_DEPTH + 1; depth++) {
        cleanup_buf struct buf text = BUF_INIT(SEEN_MAX), next = BUF_INIT(SEEN_MAX);
        struct seen seen;

        buf_adds(&text, "the quick brown fox");
        for (unsigned i = 0; i < depth; i++) {
            buf_reset(&next);
            add_base64(&next, text.data, text.len);
            buf_reset(&text);
            buf_add(&text, next.data, next.len);
        }
        see(text.data, text.len, &seen);
        assert_int_equal(!!memmem(seen.all.data, seen.all.len, "quick brown", 11),
                         depth <= UNESCAPE_DEPTH);
        buf_done(&seen.all);
    }
}

static void utf16_inside_of_base64_is_read(void **state)
{
    static const char wide[] = "t\0h\0e\0 \0q\0u\0i\0c\0k\0 \0b\0r\0o\0w\0n\0 \0f\0o\0x\0";
    cleanup_buf struct buf text = BUF_INIT(SEEN_MAX);
    struct seen seen;

    (void)state;
    add_base64(&text, wide, sizeof wide - 1);
    see(text.data, text.len, &seen);
    assert_string_equal(seen.all.data, "the quick brown fox\n");
    buf_done(&seen.all);
}

static void a_container_inside_of_base64_is_handed_over(void **state)
{
    const char *text = "data:;base64,H4sIAAAAAAAAA8tIzcnJBwCGphA2BQAAAA==";
    struct seen seen;

    (void)state;
    see(text, strlen(text), &seen);
    assert_int_equal(seen.containers, 1);
    assert_int_equal(seen.from, 13);
    buf_done(&seen.all);
}

static void a_place_in_a_view_leads_back_to_the_text(void **state)
{
    const char *text = "one\n%41%42%43\nkey = dGhlIHF1aWNrIGJyb3duIGZveA==\nlast";
    struct seen seen;

    (void)state;
    see(text, strlen(text), &seen);
    assert_in_range(seen.from, 20, 44);
    buf_done(&seen.all);
}

static void far_apart_parts_are_shown_with_their_surroundings_only(void **state)
{
    cleanup_buf struct buf text = BUF_INIT(SEEN_MAX);
    struct seen seen;

    (void)state;
    for (int i = 0; i < 3; i++) {
        for (size_t n = 0; n < 1u << 20; n += 10)
            buf_adds(&text, "some word ");
        buf_adds(&text, "dGhlIHF1aWNrIGJyb3duIGZveA== ");
    }
    see(text.data, text.len, &seen);
    assert_int_equal(seen.views, 3);
    assert_true(seen.all.len < 6 * UNESCAPE_CONTEXT);
    buf_done(&seen.all);
}

/* Each of these made a careless scanner look at everything again from each place. */
static void hostile_texts_take_linear_time(void **state)
{
    static const char *const units[] = {
        "%",
        "%4",
        "%41",
        "%41\xff",
        "\\",
        "\\u",
        "\\u0041",
        "U+",
        "U+0041 ",
        "&#",
        "&#65;",
        "A",
        "a0",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
        "dGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVy\n",
        "0123456789abcdef0123456789abcdef0\n",
        "AAAAAAAAAAAAAAAA=",
        "% ",
        "U+004 ",
        "\\0",
        "\\x4",
    };

    (void)state;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        cleanup_buf struct buf text = BUF_INIT(SEEN_MAX);
        struct seen seen;
        clock_t from = clock();
        double seconds;

        while (text.len < 1u << 20)
            buf_adds(&text, units[i]);
        see(text.data, text.len, &seen);
        seconds = (double)(clock() - from) / CLOCKS_PER_SEC;
        /* Quadratic would be minutes; a sanitizer's tenfold is no matter. */
        if (seconds > 20)
            fail_msg("\"%s\": %.1f s", units[i], seconds);
        buf_done(&seen.all);
    }
}

/* ---- wide encodings ---- */

static void put_wide(struct buf *to, const char *text, unsigned width, bool big)
{
    for (; *text; text++)
        for (unsigned i = 0; i < width; i++)
            buf_addc(to, i == (big ? width - 1 : 0) ? *text : '\0');
}

static void utf16_and_utf32_are_told_at_any_offset(void **state)
{
    (void)state;
    for (unsigned width = 2; width <= 4; width += 2) {
        for (unsigned big = 0; big < 2; big++) {
            for (unsigned offset = 0; offset < 4; offset++) {
                cleanup_buf struct buf data = BUF_INIT(4096);
                struct encoding guessed[ENCODINGS_MAX];
                bool read = false;
                size_t n;

                buf_add(&data, "\xfe\xfe\xfe\xfe", offset);
                put_wide(&data, "the quick brown fox", width, big);
                n = encodings_guess(data.data, data.len, guessed);
                for (size_t i = 0; i < n; i++) {
                    cleanup_buf struct buf text = BUF_INIT(4096);

                    transcode(&guessed[i], data.data, data.len, &text);
                    read = read || memmem(text.data, text.len, "the quick brown fox", 19);
                }
                assert_true(read);
            }
        }
    }
}

static void what_is_not_ascii_is_read_in_its_own_order(void **state)
{
    static const char big[] = "\x04\x3f\0t\0h\0e\0 \0q\0u\0i\0c\0k\0 \0f\0o\0x\x04\x3f";
    struct encoding guessed[ENCODINGS_MAX];
    size_t n = encodings_guess(big, sizeof big - 1, guessed);
    bool read = false;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        cleanup_buf struct buf text = BUF_INIT(4096);

        transcode(&guessed[i], big, sizeof big - 1, &text);
        read = read || strcmp(text.data, "\xd0\xbfthe quick fox\xd0\xbf") == 0;
    }
    assert_true(read);
}

static void other_bytes_are_no_wide_text(void **state)
{
    static const char numbers[] = "\1\0\0\0A\0\0\0B\0\0\0\3\0\0\0C\0D\0\1\0E";
    struct encoding guessed[ENCODINGS_MAX];

    (void)state;
    assert_int_equal(encodings_guess("", 0, guessed), 0);
    assert_int_equal(encodings_guess("\0", 1, guessed), 0);
    assert_int_equal(encodings_guess("plain text", 10, guessed), 0);
    assert_int_equal(encodings_guess(numbers, sizeof numbers - 1, guessed), 0);
}

static void nul_bytes_are_left_out(void **state)
{
    cleanup_buf struct buf text = BUF_INIT(64);

    (void)state;
    strip_nuls("\0the\0\0 qu\0ick\0", 14, &text);
    assert_string_equal(text.data, "the quick");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_cut_at_its_start_is_read),
        cmocka_unit_test(an_escape_in_less_text_than_a_secret_has_stands_as_it_is),
        cmocka_unit_test(both_readings_decode_what_gitleaks_decodes),
        cmocka_unit_test(gitleaks_reading_leaves_what_gitleaks_leaves),
        cmocka_unit_test(the_wide_reading_decodes_more),
        cmocka_unit_test(blocks_that_are_broken_over_lines_are_read_whole),
        cmocka_unit_test(a_plain_text_is_shown_no_second_time),
        cmocka_unit_test(five_layers_are_taken_off_and_no_sixth),
        cmocka_unit_test(utf16_inside_of_base64_is_read),
        cmocka_unit_test(a_container_inside_of_base64_is_handed_over),
        cmocka_unit_test(a_place_in_a_view_leads_back_to_the_text),
        cmocka_unit_test(far_apart_parts_are_shown_with_their_surroundings_only),
        cmocka_unit_test(hostile_texts_take_linear_time),
        cmocka_unit_test(utf16_and_utf32_are_told_at_any_offset),
        cmocka_unit_test(what_is_not_ascii_is_read_in_its_own_order),
        cmocka_unit_test(other_bytes_are_no_wide_text),
        cmocka_unit_test(nul_bytes_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
