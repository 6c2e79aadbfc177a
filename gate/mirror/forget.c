/* forget: removes the repositories of upstreams that the GitGate no longer names, each as soon as
 * nobody is at work in it. serve runs it in the background, at start and when the configuration has
 * changed. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/names.h"
#include "base/file.h"
#include "gate.h"
#include "lock.h"
#include "mirror/presence.h"
#include "repo.h"
#include "verbs.h"

#define NAMES_MAX 256 /* in one run; there are at most 64 upstreams at a time */
/* Only those wait for the lock meanwhile who have no business here any more. */
#define ALONE_TIMEOUT_MS 200
#define LOCK_TIMEOUT_MS 1000
#define AGAIN_S 1
/* A client's fetch has ended by then; the next start tries again. */
#define GIVE_UP_NS 3600000000000u

struct leftovers {
    char *names[NAMES_MAX]; /* NULL: done with */
    size_t n;
};

static void leftovers_done(struct leftovers *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->names[i]);
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* A repository that this gate made: a folder, not the link to one, and with our own folder in it.
 */
static bool is_ours(const struct gate *gate, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    return upstream_name_valid(name) &&
           path_make(path, NULL, "%s/%s.git", gate->repos_dir, name) == 0 &&
           lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
           path_make(path, NULL, "%s/%s.git/" OWN_DIR, gate->repos_dir, name) == 0 &&
           lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int find_leftovers(const struct gate *gate, struct leftovers *l, struct error *err)
{
    DIR *dir CLEANUP(close_dir) = opendir(gate->repos_dir);
    struct dirent *entry;

    if (!dir)
        return error_errno(err, -errno, "cannot list the repositories");
    while (l->n < NAMES_MAX && (entry = readdir(dir))) {
        cleanup_free char *name = NULL;
        size_t len = strlen(entry->d_name);

        if (len < 5 || strcmp(entry->d_name + len - 4, ".git") != 0)
            continue;
        name = strndup(entry->d_name, len - 4);
        if (!name)
            return error_errno(err, -ENOMEM, "cannot list the repositories");
        if (is_ours(gate, name) && !gitgate_upstream(&gate->spec, name))
            l->names[l->n++] = TAKE_PTR(name);
    }
    return 0;
}

/* -EBUSY while somebody is there. */
static int forget(struct gate *gate, const char *name, struct error *err)
{
    cleanup_close int presence = presence_open(gate->repos_dir, err);
    cleanup_close int lock = -1;
    char repo[PATH_MAX];
    int r = presence < 0 ? presence : path_make(repo, err, "%s/%s.git", gate->repos_dir, name);

    if (r == 0)
        r = lock_take(repo, LOCK_TIMEOUT_MS, &lock, err);
    if (r < 0)
        return r == -ETIMEDOUT ? -EBUSY : r;
    if (!presence_none(presence, name, ALONE_TIMEOUT_MS))
        return error_set(err, -EBUSY, "a client is at work in it");
    r = gate_load(gate, err); /* it may be an upstream again */
    if (r < 0 || gitgate_upstream(&gate->spec, name))
        return r;
    return repo_remove(gate, name, err);
}

static void tell(const struct gate *gate, const char *name, int r, const struct error *err)
{
    if (gitgate_upstream(&gate->spec, name))
        return;
    if (r < 0)
        log_warn(&gate->log, "a repository that is no upstream's stays",
                 json_pack("{s:s, s:s}", "repo", name, "error", err->msg));
    else
        log_info(&gate->log, "a repository that is no upstream's was removed",
                 json_pack("{s:s}", "repo", name));
}

/* How many are still in use. */
static size_t forget_all(struct gate *gate, struct leftovers *l, bool last)
{
    size_t busy = 0;

    for (size_t i = 0; i < l->n; i++) {
        struct error err = ERROR_INIT;
        int r;

        if (!l->names[i])
            continue;
        r = forget(gate, l->names[i], &err);
        if (r == -EBUSY && !last) {
            busy++;
            continue;
        }
        tell(gate, l->names[i], r, &err);
        free(l->names[i]);
        l->names[i] = NULL;
    }
    return busy;
}

int verb_forget(int argc, char **argv)
{
    struct leftovers leftovers CLEANUP(leftovers_done) = {.n = 0};
    uint64_t deadline_ns = clock_now_ns() + GIVE_UP_NS;
    cleanup_gate struct gate gate = {0};
    struct error err = ERROR_INIT;

    (void)argc;
    (void)argv;
    if (gate_open(&gate, &err) < 0 || gate_load(&gate, &err) < 0 ||
        find_leftovers(&gate, &leftovers, &err) < 0) {
        log_error(&gate.log, "cannot remove repositories", json_pack("{s:s}", "error", err.msg));
        return 1;
    }
    while (forget_all(&gate, &leftovers, clock_now_ns() > deadline_ns) > 0)
        sleep(AGAIN_S);
    return 0;
}
