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
}

/* The line that was gathered: read where it stands. Empty ones are allowed between documents
 * (keepalives of proxies). */
static int decode_line(struct kube_decoder *decoder, struct error *err)
{
    cleanup_document struct document document = DOCUMENT_INIT;
    struct error why = ERROR_INIT;
    char *line = decoder->line.data;
    size_t len = decoder->line.len;
    int r;

    while (len && (line[len - 1] == '\r' || line[len - 1] == ' '))
        len--;
    if (!len)
        return 0;
    object_mend(line, len);
    r = document_parse(line, len, &document, &why);
    if (r == -ENOMEM)
        return error_set(err, r, "memory is short");
    if (r < 0)
        return error_set(err, -EBADMSG, "a line of the stream %s", why.msg);
    if (!node_is(document_root(&document), NODE_OBJECT))
        return error_set(err, -EBADMSG, "a line of the stream is not a JSON object");
    return decoder->emit(decoder->data, document_root(&document), err);
}

static int gather(struct kube_decoder *decoder, const char *bytes, size_t len, struct error *err)
{
    buf_add(&decoder->line, bytes, len);
    if (buf_error(&decoder->line))
        return error_set(err, buf_error(&decoder->line),
                         "the stream holds a line of more than %zu bytes", decoder->line.max);
    return 0;
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
        if (r < 0)
            return r;
        bytes = end + 1;
        len -= n + 1;
    }
    return 0;
}
