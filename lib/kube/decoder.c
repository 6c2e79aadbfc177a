#include "kube/decoder.h"

#include <errno.h>
#include <string.h>

#include "kube/object.h"

#define LINE_KEPT 16384 /* an object's metadata, or a small object */

void kube_decoder_done(struct kube_decoder *decoder)
{
    buf_done(&decoder->line);
}

void kube_decoder_reset(struct kube_decoder *decoder)
{
    buf_reset(&decoder->line);
    decoder->cut = false;
}

static int fail_long(const struct kube_decoder *decoder, struct error *err)
{
    return error_set(err, -E2BIG, "the stream holds a line of more than %zu bytes",
                     decoder->line.max);
}

/* A copy is read: what can't be is told as it came. */
static int read_line(const struct kube_decoder *decoder, size_t len, struct buf *copy,
                     struct document *ret, struct error *err)
{
    struct error why = ERROR_INIT;
    int r;

    if (decoder->cut)
        return fail_long(decoder, err);
    buf_add(copy, decoder->line.data, len);
    if (buf_error(copy))
        return error_set(err, -ENOMEM, "memory is short");
    r = object_parse(copy->data, len, ret, &why);
    if (r == -EBADMSG)
        return error_set(err, r, "a line of the stream %s", why.msg);
    return r < 0 ? error_set(err, r, "%s", why.msg) : 0;
}

/* The line that was gathered. Empty ones are allowed between documents (keepalives of proxies). */
static int decode_line(const struct kube_decoder *decoder, struct error *err)
{
    cleanup_document struct document document = DOCUMENT_INIT;
    cleanup_buf struct buf copy = BUF_INIT(decoder->line.max);
    struct error why = ERROR_INIT;
    char *line = decoder->line.data;
    size_t len = decoder->line.len;
    int r;

    while (len && (line[len - 1] == '\r' || line[len - 1] == ' '))
        len--;
    if (!len)
        return 0;
    r = read_line(decoder, len, &copy, &document, &why);
    if (r == 0)
        return decoder->emit(decoder->data, document_root(&document), err);
    if (r != -ENOMEM && decoder->broken)
        return decoder->broken(decoder->data, line, len, &why, err);
    return error_set(err, r, "%s", why.msg);
}

static int gather(struct kube_decoder *decoder, const char *bytes, size_t len, struct error *err)
{
    size_t room = decoder->line.max - decoder->line.len;

    decoder->cut |= len > room;
    if (decoder->cut && !decoder->broken)
        return fail_long(decoder, err);
    buf_add(&decoder->line, bytes, len > room ? room : len);
    return buf_error(&decoder->line) ? error_set(err, -ENOMEM, "memory is short") : 0;
}

int kube_decoder_feed(struct kube_decoder *decoder, const char *bytes, size_t len,
                      struct error *err)
{
    while (len) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end ? (size_t)(end - bytes) : len;
        int r = gather(decoder, bytes, n, err);

        if (r < 0 || !end)
            return r;
        r = decode_line(decoder, err);
        if (decoder->line.len > LINE_KEPT)
            buf_done(&decoder->line); /* few are: their memory is not kept for the watch's life */
        else
            buf_reset(&decoder->line);
        decoder->cut = false;
        if (r < 0)
            return r;
        bytes = end + 1;
        len -= n + 1;
    }
    return 0;
}
