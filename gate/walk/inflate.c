/* zlib streams out of files, bounded by what they are said to hold. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "walk/odb_impl.h"

static int refill(struct odb *odb, struct source *from)
{
    ssize_t n = pread(from->fd, from->chunk, sizeof from->chunk, (off_t)from->at);

    if (n <= 0)
        return -EIO; /* a stream that doesn't end */
    from->at += (uint64_t)n;
    odb->stream.next_in = from->chunk;
    odb->stream.avail_in = (unsigned)n;
    return 0;
}

int inflate_begin(struct odb *odb)
{
    odb->stream.avail_in = 0;
    return inflateReset(&odb->stream) == Z_OK ? 0 : -EIO;
}

int inflate_some(struct odb *odb, struct source *from, char *to, size_t len, size_t *got)
{
    int r = Z_OK;

    odb->stream.next_out = (Bytef *)to;
    odb->stream.avail_out = (unsigned)len;
    while (r == Z_OK && odb->stream.avail_out > 0) {
        if (odb->stream.avail_in == 0 && refill(odb, from) < 0)
            return -EIO;
        r = inflate(&odb->stream, Z_NO_FLUSH);
    }
    *got = len - odb->stream.avail_out;
    return r == Z_OK || r == Z_STREAM_END ? r : -EIO;
}

int inflate_rest(struct odb *odb, struct source *from, char *to, size_t len)
{
    char beyond[1];
    size_t got = 0, more = 0;
    int r;

    if (len > odb->left)
        return -EFBIG;
    odb->left -= len;
    r = len > 0 ? inflate_some(odb, from, to, len, &got) : Z_OK;
    if (r >= 0 && got == len && r != Z_STREAM_END)
        r = inflate_some(odb, from, beyond, 1, &more); /* the stream's own end */
    return r == Z_STREAM_END && got == len && more == 0 ? 0 : -EIO;
}

char *odb_room(size_t len)
{
    char *data = len <= ODB_OBJECT_MAX ? malloc(len + 1) : NULL;

    if (data)
        data[len] = '\0';
    return data;
}
