/* Containers, as a test makes them, and what is unpacked of them. */
#ifndef GITGATE_TESTS_UNIT_CONTAINERS_H
#define GITGATE_TESTS_UNIT_CONTAINERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "scan/unpack.h"

#define OUT_MAX (256u << 20)
#define TEXT "the quick brown fox"

/* ---- making containers ---- */

typedef struct archive writer;
typedef int choice(writer *);

static inline la_ssize_t collect(writer *a, void *data, const void *bytes, size_t len)
{
    (void)a;
    buf_add(data, bytes, len);
    return (la_ssize_t)len;
}

static inline void add_entry(writer *a, const char *name, const char *data, size_t len)
{
    struct archive_entry *entry = archive_entry_new();

    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (la_int64_t)len);
    assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, data, len), (la_ssize_t)len);
    archive_entry_free(entry);
}

static inline writer *start(choice *format, choice *filter, struct buf *to)
{
    writer *a = archive_write_new();

    assert_int_equal(format(a), ARCHIVE_OK);
    assert_int_equal(filter(a), ARCHIVE_OK);
    archive_write_set_bytes_in_last_block(a, 1);
    assert_int_equal(archive_write_open(a, to, NULL, collect, NULL), ARCHIVE_OK);
    return a;
}

static inline void finish(writer *a)
{
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

static inline void make(choice *format, choice *filter, const char *data, size_t len,
                        struct buf *to)
{
    writer *a = start(format, filter, to);

    add_entry(a, "a.txt", data, len);
    finish(a);
}

/* ---- unpacking them ---- */

struct seen {
    struct buf all;
    size_t begun, ended;
    char name[64];
    size_t stop_at; /* members; 0: none */
};

static inline int see_begin(void *data, const char *name, size_t len, struct error *err)
{
    struct seen *seen = data;

    snprintf(seen->name, sizeof seen->name, "%.*s", (int)len, len ? name : "");
    return ++seen->begun == seen->stop_at ? error_set(err, -ECANCELED, "enough") : 0;
}

static inline int see_data(void *data, const char *bytes, size_t len, struct error *err)
{
    struct seen *seen = data;

    (void)err;
    buf_add(&seen->all, bytes, len);
    return 0;
}

static inline int see_end(void *data, struct error *err)
{
    struct seen *seen = data;

    (void)err;
    seen->ended++;
    return 0;
}

static inline int see(const struct buf *b, struct seen *seen, struct unpack_budget *budget,
                      struct error *err)
{
    struct unpack_sink sink = {
        .begin = see_begin, .data_in = see_data, .end = see_end, .data = seen};

    seen->all = BUF_INIT(OUT_MAX);
    return unpack(b->data, b->len, budget, &sink, err);
}

static inline void assert_holds(const struct buf *b, const char *text)
{
    struct unpack_budget budget = {.members = 1000, .bytes = OUT_MAX};
    struct error err = ERROR_INIT;
    struct seen seen = {0};

    assert_true(unpack_may(b->data, b->len));
    if (see(b, &seen, &budget, &err) < 0)
        fail_msg("%s", err.msg);
    assert_true(seen.begun > 0 && seen.begun == seen.ended);
    assert_true(budget.members < 1000 && budget.bytes < OUT_MAX);
    assert_non_null(memmem(seen.all.data, seen.all.len, text, strlen(text)));
    buf_done(&seen.all);
}

#endif
