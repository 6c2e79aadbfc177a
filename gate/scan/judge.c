#include "scan/judge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "scan/judge_impl.h"

/* Between a window and the keywords before it: wider than any rule reaches over white space. */
#define GAP "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"

/* ---- texts that are kept ---- */

static void strings_done(struct strings *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->list[i]);
    free(s->list);
}

bool judge_make_room(void *list, size_t n, size_t *size, size_t each)
{
    size_t wanted = *size ? 2 * *size : 64;
    void **at = list, *grown;

    if (n < *size)
        return true;
    grown = realloc(*at, wanted * each);
    if (!grown)
        return false;
    *at = grown;
    *size = wanted;
    return true;
}

const char *judge_keep(struct strings *s, const char *known, const char *text, size_t len)
{
    if (len == 0)
        return "";
    if (known && strncmp(known, text, len) == 0 && known[len] == '\0')
        return known;
    if (!judge_make_room(&s->list, s->n, &s->size, sizeof *s->list) ||
        !(s->list[s->n] = strndup(text, len)))
        return NULL;
    return s->list[s->n++];
}

/* ---- what is to be judged ---- */

int judge_new(struct workdir *dir, struct judge **ret, struct error *err)
{
    struct judge *j = calloc(1, sizeof *j);

    if (!j)
        return error_errno(err, -ENOMEM, "cannot scan the push");
    j->dir = dir;
    j->fd = -1;
    *ret = j;
    return 0;
}

void judge_free(struct judge *j)
{
    if (!j)
        return;
    for (size_t i = 0; i < j->n; i++)
        free(j->list[i].lines);
    free(j->list);
    free(j->parts);
    strings_done(&j->strings);
    strings_done(&j->rules);
    cleanup_close_(&j->fd);
    free(j);
}

size_t judge_files(const struct judge *j)
{
    return j->n;
}

uint64_t judge_bytes(const struct judge *j)
{
    return j->bytes;
}

void judge_part_path(const struct judge *j, size_t part, char to[PATH_MAX])
{
    char name[NAME_MAX + 1];

    snprintf(name, sizeof name, JUDGED_PART, part);
    workdir_path(j->dir, name, to);
}

void judge_report_path(const struct judge *j, size_t part, char to[PATH_MAX])
{
    char name[NAME_MAX + 1];

    snprintf(name, sizeof name, JUDGED_PART ".json", part);
    workdir_path(j->dir, name, to);
}

static int open_part(struct judge *j, struct error *err)
{
    char path[PATH_MAX];
    int r;

    if (!judge_make_room(&j->parts, j->n_parts, &j->parts_size, sizeof *j->parts))
        return error_errno(err, -ENOMEM, "cannot scan the push");
    cleanup_close_(&j->fd);
    r = workdir_make(j->dir, err);
    if (r < 0)
        return r;
    judge_part_path(j, j->n_parts, path);
    if (mkdir(path, 0700) < 0 || (j->fd = open(path, O_DIRECTORY | O_CLOEXEC)) < 0)
        return error_errno(err, -errno, "cannot make a folder for the scan");
    j->parts[j->n_parts++] = (struct part){0};
    return 0;
}

/* The last part takes `len` more bytes, or there is a new one. */
static int make_part(struct judge *j, size_t len, struct error *err)
{
    const struct part *last = j->n_parts > 0 ? &j->parts[j->n_parts - 1] : NULL;

    return !last || (last->bytes > 0 && last->bytes + len > PART_MAX) ? open_part(j, err) : 0;
}

static int write_file(struct judge *j, const char *name, struct iovec *parts, int n,
                      struct error *err)
{
    cleanup_close int fd =
        openat(j->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return error_errno(err, -errno, "cannot write the scan's files");
    while (n > 0) {
        ssize_t written = writev(fd, parts, n);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_errno(err, -errno, "cannot write the scan's files");
        for (; n > 0 && (size_t)written >= parts->iov_len; n--, parts++)
            written -= (ssize_t)parts->iov_len;
        if (n > 0) {
            parts->iov_base = (char *)parts->iov_base + written;
            parts->iov_len -= (size_t)written;
        }
    }
    return 0;
}

void judge_name_file(const struct judge *j, size_t index, char to[NAME_MAX + 1])
{
    snprintf(to, NAME_MAX + 1, "%zu%s.x", index, j->list[index].markers);
}

unsigned judge_count_lines(const char *text, size_t len)
{
    unsigned n = 0;

    for (const char *end = text + len; (text = memchr(text, '\n', (size_t)(end - text))); text++)
        n++;
    return n;
}

/* The decoder's lines that begin in the window, and the one that it begins in. */
static int copy_lines(const struct piece *piece, const struct window *window, struct origin *to)
{
    size_t first = 0, end;

    while (first + 1 < piece->n_lines && piece->lines[first + 1].at <= window->from)
        first++;
    for (end = first; end < piece->n_lines && piece->lines[end].at < window->to; end++)
        ;
    to->lines = calloc(end - first + 1, sizeof *to->lines);
    if (!to->lines)
        return -ENOMEM;
    for (size_t i = first; i < end; i++) {
        struct piece_line line = piece->lines[i];
        size_t before = window->from > line.at ? window->from - line.at : 0;

        line.offset += line.decoded ? 0 : before;
        line.at = before ? 0 : line.at - (uint32_t)window->from;
        to->lines[to->n_lines++] = line;
    }
    return 0;
}

static const char *keep_text(struct judge *j, const char *known, const char *text)
{
    return judge_keep(&j->strings, known, text, strlen(text));
}

/* The origin behind the last one: windows that follow one another have most in common. */
static int fill_in(struct judge *j, const struct piece *piece, const struct window *window)
{
    static const struct origin none = {0};
    struct origin *to = &j->list[j->n];
    const struct origin *last = j->n > 0 ? to - 1 : &none;

    *to = (struct origin){.place = piece->place,
                          .object = keep_text(j, last->object, piece->object),
                          .path = keep_text(j, last->path, piece->path),
                          .member = keep_text(j, last->member, piece->member),
                          .form = keep_text(j, last->form, piece->form),
                          .markers = keep_text(j, last->markers, window->markers),
                          .offset = piece->offset + window->from,
                          .recoded = piece->recoded,
                          .line = piece->line,
                          .len = window->to - window->from,
                          .lead = LEAD_LEN};
    if (*window->keywords)
        to->lead += strlen(window->keywords) + strlen(GAP);
    if (piece->place == PLACE_NAME)
        to->name = judge_keep(&j->strings, last->name, piece->data, piece->len);
    if (!to->object || !to->path || !to->member || !to->form || !to->markers ||
        (piece->place == PLACE_NAME && !to->name))
        return -ENOMEM;
    if (piece->lines)
        return copy_lines(piece, window, to);
    to->line += judge_count_lines(piece->data, window->from);
    return 0;
}

static int write_window(struct judge *j, const struct piece *piece, const struct window *window,
                        struct error *err)
{
    struct iovec parts[] = {
        {(char *)LEAD, LEAD_LEN},
        {(char *)window->keywords, strlen(window->keywords)},
        {(char *)GAP, *window->keywords ? strlen(GAP) : 0},
        /* Last: what ends the piece ends the file, as a rule's "$" and "\\z" want it. */
        {(char *)piece->data + window->from, window->to - window->from},
    };
    const int n = sizeof parts / sizeof *parts;
    char name[NAME_MAX + 1];
    size_t len = 0;
    int r;

    for (int i = 0; i < n; i++)
        len += parts[i].iov_len;
    r = make_part(j, len, err);
    if (r < 0)
        return r;
    j->list[j->n].part = j->n_parts - 1;
    j->parts[j->n_parts - 1].bytes += len;
    judge_name_file(j, j->n++, name);
    return write_file(j, name, parts, n, err);
}

int judge_take(void *data, const struct piece *piece, const struct window *window,
               struct error *err)
{
    struct judge *j = data;
    size_t len = window->to - window->from;
    int r;

    if (j->n == JUDGED_FILES_MAX || j->bytes + len > JUDGED_BYTES_MAX)
        return error_set(err, -EFBIG,
                         "the push holds too much that may be a secret for the gate to look at; "
                         "push it in parts");
    r = judge_make_room(&j->list, j->n, &j->size, sizeof *j->list) ? fill_in(j, piece, window)
                                                                   : -ENOMEM;
    if (r < 0)
        return error_errno(err, r, "cannot scan the push");
    j->bytes += len;
    return write_window(j, piece, window, err);
}

/* ---- judging ---- */

bool judge_done(const struct judge *j)
{
    return j->judged == j->n_parts;
}

int judge_next(struct judge *j, struct rulebook *book, uint64_t deadline_ns, struct verdicts *to,
               struct error *err)
{
    int r;

    if (judge_done(j))
        return 0;
    r = judge_run_gitleaks(j, j->judged, book, deadline_ns, err);
    if (r == 0)
        r = judge_read_report(j, j->judged, book, deadline_ns, to, err);
    j->judged += r == 0;
    return r < 0 ? r : 1;
}

bool origin_names(const struct origin *origin, const char *path)
{
    size_t len = origin->place == PLACE_NAME && origin->name ? strlen(origin->name) : 0;

    return len > 0 && strncmp(origin->name, path, len) == 0 &&
           (path[len] == '\0' || path[len] == '/');
}

bool judge_suspects(const struct judge *j, const char *path)
{
    for (size_t i = 0; i < j->n; i++)
        if (j->list[i].part >= j->judged && origin_names(&j->list[i], path))
            return true;
    return false;
}
