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
struct identity {
    ino_t inode;
    off_t size;
    struct timespec modified;
};

struct certs {
    const char *files[2]; /* certificate, key */
    struct identity seen[2];
    uv_fs_event_t event;
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
    uv_close((uv_handle_t *)&certs->event, on_closed);
    uv_close((uv_handle_t *)&certs->settle, on_closed);
}

static struct identity identify(const char *path)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return (struct identity){0};
    return (struct identity){status.st_ino, status.st_size, status.st_mtim};
}

static bool is_same(const struct identity *a, const struct identity *b)
{
    return a->inode == b->inode && a->size == b->size && a->modified.tv_sec == b->modified.tv_sec &&
           a->modified.tv_nsec == b->modified.tv_nsec;
}

/* Also other files may lie in the folder. */
static bool take_changes(struct certs *certs)
{
    bool changed = false;

    for (size_t i = 0; i < 2; i++) {
        struct identity now = identify(certs->files[i]);

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

int certs_new(uv_loop_t *loop, const char *cert_file, const char *key_file,
              void (*changed)(void *data), void *data, struct certs **ret, struct error *err)
{
    cleanup_free char *path = strdup(cert_file);
    struct certs *certs = calloc(1, sizeof *certs);
    int r;

    if (!path || !certs) {
        free(certs);
        return error_set(err, -ENOMEM, "out of memory");
    }
    *certs =
        (struct certs){.files = {cert_file, key_file}, .open = 2, .changed = changed, .data = data};
    take_changes(certs);
    certs->event.data = certs->settle.data = certs;
    uv_fs_event_init(loop, &certs->event);
    uv_timer_init(loop, &certs->settle);
    r = uv_fs_event_start(&certs->event, on_event, dirname(path), 0);
    if (r < 0) {
        certs_free(certs);
        return error_errno(err, r, "cannot watch the folder of %s", cert_file);
    }
    *ret = certs;
    return 0;
}
