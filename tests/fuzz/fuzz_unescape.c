/* Any bytes are decoded within bounds, and each place in a view leads back into the text. */
#include <stdint.h>
#include <stdlib.h>

#include "scan/transcode.h"
#include "scan/unescape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text {
    size_t len;
};

static int check_view(void *data, const struct buf *view, const struct spans *spans,
                      struct error *err)
{
    const struct text *text = data;
    size_t before = 0;

    (void)err;
    if (!spans->n || spans->list[0].at != 0)
        abort();
    for (size_t i = 0; i <= view->len; i += view->len / 16 + 1) {
        size_t origin = spans_origin(spans, i);

        if (origin > text->len || origin < before)
            abort();
        before = origin;
    }
    return 0;
}

static int check_container(void *data, const char *bytes, size_t len, size_t from,
                           struct error *err)
{
    const struct text *text = data;

    (void)bytes;
    (void)err;
    if (len == 0 || from >= text->len)
        abort();
    return 0;
}

static void read_wide(const char *data, size_t len)
{
    struct encoding guessed[ENCODINGS_MAX];
    size_t n = encodings_guess(data, len, guessed);

    for (size_t i = 0; i < n; i++) {
        cleanup_buf struct buf text = BUF_INIT(64u << 20);

        transcode(&guessed[i], data, len, &text);
        if (buf_error(&text))
            abort();
    }
}

/* gitleaks' reading finds nothing where the wide one finds nothing. */
static void compare_readings(const char *data, size_t len)
{
    cleanup_segments struct segments wide = SEGMENTS_INIT, theirs = SEGMENTS_INIT;

    if (segments_find(data, len, READ_WIDELY, &wide) < 0 ||
        segments_find(data, len, READ_AS_GITLEAKS, &theirs) < 0 || (theirs.n && !wide.n))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text text = {.len = size};
    struct unescaper to = {.view = check_view, .container = check_container, .data = &text};
    struct error err = ERROR_INIT;

    compare_readings((const char *)data, size);
    read_wide((const char *)data, size);
    if (unescape((const char *)data, size, size % 2 == 1, &to, &err) < 0)
        abort();
    return 0;
}
