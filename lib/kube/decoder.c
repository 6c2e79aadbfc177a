#include "kube/decoder.h"

#include <errno.h>
#include <string.h>

void kube_decoder_done(struct kube_decoder *decoder)
{
    buf_done(&decoder->line);
}

void kube_decoder_reset(struct kube_decoder *decoder)
{
    buf_reset(&decoder->line);
}

/* One whole line. Empty ones are allowed between documents (keepalives of proxies). */
static int decode_line(struct kube_decoder *decoder, const char *line, size_t len,
                       struct error *err)
{
    json_auto_t *document = NULL;
    json_error_t why;

    while (len && (line[len - 1] == '\r' || line[len - 1] == ' '))
        len--;
    if (!len)
        return 0;
    document = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(document))
        return error_set(err, -EBADMSG, "the stream holds a line that is not a JSON object: %s",
                         document ? "another value" : why.text);
    return decoder->emit(decoder->data, document, err);
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
        int r;

        if (!end)
            return gather(decoder, bytes, n, err);
        if (decoder->line.len) {
            r = gather(decoder, bytes, n, err);
            if (r == 0)
                r = decode_line(decoder, decoder->line.data, decoder->line.len, err);
            buf_reset(&decoder->line);
        } else if (n > decoder->line.max) {
            r = gather(decoder, bytes, n, err);
        } else {
            r = decode_line(decoder, bytes, n, err);
        }
        if (r < 0)
            return r;
        bytes = end + 1;
        len -= n + 1;
    }
    return 0;
}
