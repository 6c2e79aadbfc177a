#include "scan/gunzip.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "base/cleanup.h"

#define MAGIC "\x1f\x8b\x08"
#define MAGIC_LEN 3
#define HEADER_LEN 10
#define TRAILER_LEN 8
#define FLAG_SUM 0x02
#define FLAG_EXTRA 0x04
#define FLAG_NAME 0x08
#define FLAG_COMMENT 0x10
#define AT_ONCE (64u << 10)
#define INPUT_MAX (1u << 30) /* zlib counts in 32 bits */
#define NO_HEADER (-MAX_WBITS)

bool gunzip_begins(const char *data, size_t len)
{
    return len >= HEADER_LEN && memcmp(data, MAGIC, MAGIC_LEN) == 0;
}

/* Behind the NUL that ends a text of the header; `end` when none does. */
static const char *behind_text(const char *at, const char *end)
{
    const char *nul = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;

    return nul ? nul + 1 : end;
}

static const char *pass(const char *at, const char *end, size_t n)
{
    return (size_t)(end - at) < n ? end : at + n;
}

/* Behind the header that stands at `at`. */
static const char *behind_header(const char *at, const char *end)
{
    unsigned flags = (unsigned char)at[3];

    at += HEADER_LEN;
    if ((flags & FLAG_EXTRA) && end - at >= 2)
        at = pass(at, end, 2 + (size_t)((unsigned char)at[0] | (unsigned char)at[1] << 8));
    if (flags & FLAG_NAME)
        at = behind_text(at, end);
    if (flags & FLAG_COMMENT)
        at = behind_text(at, end);
    return flags & FLAG_SUM ? pass(at, end, 2) : at;
}

struct reading {
    z_stream stream;
    char out[AT_ONCE];
    gunzip_fn *take;
    void *to;
};

static void reading_done(struct reading *r)
{
    inflateEnd(&r->stream);
}

/* 1 with the end of the member, 0 where nothing more can be read. */
static int read_member(struct reading *reading, const char **at, const char *end, struct error *err)
{
    z_stream *stream = &reading->stream;
    size_t left = (size_t)(end - *at);
    int r = 0, status = Z_OK;

    stream->next_in = (Bytef *)*at;
    stream->avail_in = left < INPUT_MAX ? (uInt)left : INPUT_MAX;
    while (r == 0 && status == Z_OK) {
        stream->next_out = (Bytef *)reading->out;
        stream->avail_out = AT_ONCE;
        status = inflate(stream, Z_NO_FLUSH);
        if (stream->avail_out < AT_ONCE)
            r = reading->take(reading->to, reading->out, AT_ONCE - stream->avail_out, err);
    }
    *at = (const char *)stream->next_in;
    if (r == 0 && status == Z_MEM_ERROR)
        r = error_set(err, -ENOMEM, "cannot read a gzip file: out of memory");
    return r < 0 ? r : status == Z_STREAM_END;
}

int gunzip(const char *data, size_t len, gunzip_fn *take, void *to, struct error *err)
{
    struct reading reading CLEANUP(reading_done) = {.take = take, .to = to};
    const char *at = data, *end = data + len;
    int r = 1;

    if (inflateInit2(&reading.stream, NO_HEADER) != Z_OK)
        return error_errno(err, -ENOMEM, "cannot read a gzip file");
    while (r > 0 && gunzip_begins(at, (size_t)(end - at))) {
        at = behind_header(at, end);
        r = inflateReset(&reading.stream) == Z_OK ? read_member(&reading, &at, end, err) : 0;
        for (at = pass(at, end, TRAILER_LEN); at < end && !*at;)
            at++; /* some programs read on behind what a file was filled up with */
    }
    return r < 0 ? r : 0;
}
