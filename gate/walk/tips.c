#include "walk/tips.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "repo.h"

#define HEX_LEN 40   /* of SHA-1 */
#define ALIKE_MAX 16 /* packed refs at one commit, of which each may have moved on */

void tips_done(struct tips *tips)
{
    buf_done(&tips->packed);
}

/* 1 when the ref's own file has the id, 0 for another, -ENOENT when it has no file. */
static int loose_is(const char *repo, const char *ref, const char *id)
{
    char path[PATH_MAX], text[HEX_LEN + 2];
    cleanup_close int fd = -1;

    if (strncmp(ref, "refs/", 5) != 0 || strstr(ref, "..") ||
        path_make(path, NULL, "%s/%s", repo, ref) < 0)
        return 0;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? -ENOENT : 0;
    return read(fd, text, sizeof text) == HEX_LEN + 1 && memcmp(text, id, HEX_LEN) == 0 &&
           text[HEX_LEN] == '\n';
}

static void read_packed(struct tips *tips)
{
    char path[PATH_MAX];

    if (tips->read)
        return;
    tips->read = true;
    buf_addc(&tips->packed, '\n');
    if (path_make(path, NULL, "%s/packed-refs", tips->repo) < 0 ||
        file_read(path, &tips->packed, NULL) < 0)
        buf_reset(&tips->packed);
}

/* Behind a line end comes "<id> <ref>" and a line end. */
static bool packed_is(const struct tips *tips, const char *ref, const char *id)
{
    cleanup_buf struct buf line = BUF_INIT(PUSH_REF_MAX + HEX_LEN + 8);

    buf_addf(&line, "\n%s %s\n", id, ref);
    return !buf_error(&line) && memmem(tips->packed.data, tips->packed.len, line.data, line.len);
}

static bool is_own(const char *ref)
{
    return strncmp(ref, OWN_REFS "/", strlen(OWN_REFS "/")) == 0;
}

/* Of the upstream's refs: ours are at what it may never have had (mirror/backup.h). */
static bool ref_is(const struct tips *tips, const char *ref, const char *id)
{
    int r = is_own(ref) ? 0 : loose_is(tips->repo, ref, id);

    return r == -ENOENT ? packed_is(tips, ref, id) : r == 1;
}

static bool any_packed_is(const struct tips *tips, const char *id)
{
    const char *at = tips->packed.data, *end = at + tips->packed.len;
    char start[HEX_LEN + 3], ref[PUSH_REF_MAX + 1];

    snprintf(start, sizeof start, "\n%s ", id);
    for (int i = 0; i < ALIKE_MAX; i++) {
        int len;

        at = memmem(at, (size_t)(end - at), start, sizeof start - 1);
        if (!at)
            return false;
        at += sizeof start - 1;
        len = (int)strcspn(at, "\n");
        if (snprintf(ref, sizeof ref, "%.*s", len, at) == len && ref_is(tips, ref, id))
            return true;
    }
    return false;
}

bool tips_have(struct tips *tips, const char *id)
{
    char head[PUSH_REF_MAX + 1];

    if (strlen(id) != HEX_LEN)
        return false;
    read_packed(tips);
    for (size_t i = 0; i < tips->push->n; i++)
        if (ref_is(tips, tips->push->commands[i].ref, id))
            return true;
    repo_head(tips->repo, head, sizeof head);
    return (*head && ref_is(tips, head, id)) || any_packed_is(tips, id);
}
