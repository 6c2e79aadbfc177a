/* Any bytes are taken apart: pieces within their bounds, whose lines and places are in order, and
 * no other end than a cap's. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scan/dissect.h"
#include "workdir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMBERS_MAX 200u
#define BYTES_MAX (8u << 20) /* of archives in one input: it is to be quick */

static int check_piece(void *data, const struct piece *piece, struct error *err)
{
    (void)data;
    (void)err;
    if (piece->len > PIECE_MAX || piece->line == 0 || !piece->member || !piece->form)
        abort();
    if (piece->len > 0 && !memchr(piece->data, piece->data[piece->len - 1], piece->len))
        abort();
    for (size_t i = 0; i < piece->n_lines; i++)
        if (i == 0 ? piece->lines[i].at != 0 : piece->lines[i].at < piece->lines[i - 1].at)
            abort();
    return 0;
}

static struct workdir dir; /* for what is larger than memory is to be: files without a name */

static void remove_dir(void)
{
    rmdir(dir.path);
}

static void make_dir(void)
{
    strcpy(dir.path, "/tmp/gitgate-fuzz-XXXXXX");
    if (!mkdtemp(dir.path) || atexit(remove_dir) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct piece where = {
        .place = PLACE_BLOB, .object = "", .path = "", .member = "", .form = ""};
    struct error err = ERROR_INIT;
    struct dissection d = {
        .take = check_piece,
        .dir = &dir,
        .budget = {.members = MEMBERS_MAX, .bytes = BYTES_MAX, .deadline_ns = UINT64_MAX}};
    int r;

    if (!*dir.path)
        make_dir();
    r = dissect_bytes(&d, &where, (const char *)data, size, &err);
    if (r < 0 && r != -EFBIG)
        abort();
    return 0;
}
