#include "pieces.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lock.h"
#include "objects_impl.h"

struct reader {
    piece_fn *take;
    void *data;
    char *window; /* PIECE_MAX */
    uint64_t deadline_ns;
};

static int fill(int fd, char *to, size_t *len, struct error *err)
{
    while (*len < PIECE_MAX) {
        ssize_t n = read(fd, to + *len, PIECE_MAX - *len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, -errno, "cannot read the scan's files");
        if (n == 0)
            break;
        *len += (size_t)n;
    }
    return 0;
}

static unsigned count_lines(const char *text, size_t len)
{
    unsigned n = 0;

    for (const char *end = text + len; (text = memchr(text, '\n', (size_t)(end - text))); text++)
        n++;
    return n;
}

static int read_file(const struct reader *in, int fd, const char *name, struct error *err)
{
    struct piece piece = {.place = PLACE_BLOB,
                          .object = name,
                          .path = name,
                          .member = "",
                          .form = "",
                          .data = in->window,
                          .line = 1};
    char lead[LEAD_LEN];
    int r = read(fd, lead, LEAD_LEN) == LEAD_LEN ? 0 : -EIO;

    if (r < 0)
        return error_set(err, r, "cannot read the scan's files");
    for (;;) {
        size_t kept = piece.len, stride;

        r = fill(fd, in->window, &piece.len, err);
        if (r < 0 || (kept > 0 && piece.len == kept))
            return r; /* nothing new behind the overlap */
        if (clock_now_ns() > in->deadline_ns)
            return error_set(err, -ETIMEDOUT, "the scan took too long (spec.scan.timeout)");
        r = in->take(in->data, &piece, err);
        if (r < 0 || piece.len < PIECE_MAX)
            return r;
        stride = PIECE_MAX - PIECE_OVERLAP;
        piece.offset += stride;
        piece.line += count_lines(in->window, stride);
        memmove(in->window, in->window + stride, PIECE_OVERLAP);
        piece.len = PIECE_OVERLAP;
    }
}

static int read_folder(const struct reader *in, DIR *folder, struct error *err)
{
    const struct dirent *entry;
    int r = 0;

    while (r == 0 && (entry = readdir(folder))) {
        cleanup_close int fd = -1;

        if (entry->d_name[0] == '.')
            continue;
        fd = openat(dirfd(folder), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            return error_errno(err, -errno, "cannot read the scan's files");
        r = read_file(in, fd, entry->d_name, err);
    }
    return r;
}

int pieces_of_files(const struct workdir *dir, const char *content, uint64_t deadline_ns,
                    piece_fn *take, void *data, struct error *err)
{
    struct reader in = {
        .take = take, .data = data, .window = malloc(PIECE_MAX), .deadline_ns = deadline_ns};
    char path[PATH_MAX];
    DIR *folder;
    int r;

    workdir_path(dir, content, path);
    folder = in.window ? opendir(path) : NULL;
    r = folder ? read_folder(&in, folder, err)
               : error_errno(err, -errno, "cannot read the scan's files");
    if (folder)
        closedir(folder);
    free(in.window);
    return r;
}
