#include "certs.h"

#include <errno.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

/* Certificate and key are written one after the other. */
#define SETTLE_MS 200

/* What tells a file from the one before. */
struct file_state {
    ino_t inode;
    off_t size;
    struct timespec modified;
};

struct certs {
    const char *files[2]; /* certificate, key */
    struct file_state seen[2];
    uv_fs_event_t folders[2]; /* of each, as they may lie apart */
    uv_timer_t settle;
    int open; /* handles */
    void (*changed)(void *data);
    void *data;
};

static void on_closed(uv_handle_t *handle)
{
    struct certs *certs = handle->data;

    if (--certs->open == 0)
        free(certs);
}

void certs_free(struct certs *certs)
{
    if (!certs)
        return;
    for (size_t i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&certs->folders[i], on_closed);
    uv_close((uv_handle_t *)&certs->settle, on_closed);
}

static struct file_state state_of(const char *path)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return (struct file_state){0};
    return (struct file_state){status.st_ino, status.st_size, status.st_mtim};
}

static bool is_same(const struct file_state *a, const struct file_state *b)
{
    return a->inode == b->inode && a->size == b->size && a->modified.tv_sec == b->modified.tv_sec &&
           a->modified.tv_nsec == b->modified.tv_nsec;
}

/* Also other files may lie in the folder. */
static bool take_changes(struct certs *certs)
{
    bool changed = false;

    for (size_t i = 0; i < 2; i++) {
        struct file_state now = state_of(certs->files[i]);

        changed = changed || !is_same(&now, &certs->seen[i]);
        certs->seen[i] = now;
    }
    return changed;
}

static void on_settled(uv_timer_t *handle)
{
    struct certs *certs = handle->data;

    if (take_changes(certs))
        certs->changed(certs->data);
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
    struct certs *certs = handle->data;

    (void)name;
    (void)events;
    if (status == 0)
        uv_timer_start(&certs->settle, on_settled, SETTLE_MS, 0);
}

static int watch_folder(struct certs *certs, size_t file, struct error *err)
{
    cleanup_free char *path = strdup(certs->files[file]);
    int r = path ? uv_fs_event_start(&certs->folders[file], on_event, dirname(path), 0) : -ENOMEM;

    return r < 0 ? error_errno(err, r, "cannot watch the folder of %s", certs->files[file]) : 0;
}

int certs_new(uv_loop_t *loop, const char *cert_file, const char *key_file,
              void (*changed)(void *data), void *data, struct certs **ret, struct error *err)
{
    struct certs *certs = calloc(1, sizeof *certs);
    int r = 0;

    if (!certs)
        return error_set(err, -ENOMEM, "out of memory");
    *certs =
        (struct certs){.files = {cert_file, key_file}, .open = 3, .changed = changed, .data = data};
    take_changes(certs);
    uv_timer_init(loop, &certs->settle);
    certs->settle.data = certs;
    for (size_t i = 0; i < 2; i++) {
        uv_fs_event_init(loop, &certs->folders[i]);
        certs->folders[i].data = certs;
    }
    for (size_t i = 0; r == 0 && i < 2; i++)
        r = watch_folder(certs, i, err);
    if (r < 0) {
        certs_free(certs);
        return r;
    }
    *ret = certs;
    return 0;
}
