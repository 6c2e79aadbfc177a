#include "mirror/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parse.h"
#include "git.h"
#include "mirror/damage.h"
#include "mirror/fetch.h"
#include "mirror/presence.h"
#include "sweep.h"

#define SOURCE_FILE OWN_DIR "/source"
#define FORMER_DIR OWN_DIR "/former" /* on its way out */
#define NUMBER_DIGITS 20
#define RECORD_MAX (NUMBER_DIGITS + 1 + URL_MAX)

struct source {
    uint64_t number;
    char url[URL_MAX + 1];
};

/* "<number> <url>" */
static bool read_source(const char *repo, struct source *source)
{
    cleanup_buf struct buf text = BUF_INIT(RECORD_MAX);
    char path[PATH_MAX], *space;

    if (path_make(path, NULL, "%s/" SOURCE_FILE, repo) < 0 || file_read(path, &text, NULL) < 0)
        return false;
    space = strchr(text.data, ' ');
    if (!space)
        return false;
    *space = '\0';
    snprintf(source->url, sizeof source->url, "%s", space + 1);
    return parse_u64(text.data, PRESENCE_NOTE_MAX, &source->number) == 0 && source->number > 0;
}

bool source_is(const char *repo, const struct upstream *upstream)
{
    struct source source;

    return read_source(repo, &source) && strcmp(source.url, upstream->url_text) == 0;
}

uint64_t source_number(const char *repo)
{
    struct source source;

    return read_source(repo, &source) ? source.number : 0;
}

static void sweep_own(const char *repo, const char *what)
{
    char path[PATH_MAX];

    if (path_make(path, NULL, "%s/%s", repo, what) == 0)
        sweep_tree(path);
}

void source_forget(const char *repo)
{
    sweep_own(repo, SOURCE_FILE);
}

int source_record(const struct upstream *upstream, const char *repo, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(RECORD_MAX);
    char path[PATH_MAX];
    uint64_t number;
    int r = path_make(path, err, "%s/" SOURCE_FILE, repo);

    if (r < 0)
        return r;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return error_errno(err, -errno, "the gate can't begin a mirror");
    buf_addf(&text, "%" PRIu64 " %s", number % PRESENCE_NOTE_MAX + 1, upstream->url_text);
    r = buf_error(&text);
    if (r == 0)
        r = file_write(path, text.data, text.len, 0600, NULL);
    return r < 0 ? error_errno(err, r, "the gate can't write to its mirror") : 0;
}

/* ---- another one ---- */

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* What is named so in the repository and in FORMER_DIR, one in place of the other; not every file
 * system can do that at once. */
static int exchange(const char *repo, const char *name)
{
    char here[PATH_MAX], there[PATH_MAX], away[PATH_MAX];
    int r = path_make(here, NULL, "%s/%s", repo, name);

    if (r == 0)
        r = path_make(there, NULL, "%s/" FORMER_DIR "/%s", repo, name);
    if (r == 0)
        r = path_make(away, NULL, "%s.away", there);
    if (r < 0)
        return r;
    if (renameat2(AT_FDCWD, here, AT_FDCWD, there, RENAME_EXCHANGE) == 0)
        return 0;
    if (errno != ENOENT && errno != EINVAL)
        return -errno;
    if (rename(here, away) < 0 && errno != ENOENT)
        return -errno;
    return rename(there, here) < 0 ? -errno : 0;
}

static const char *const kept[] = {".", "..", OWN_DIR, "config", "refs", "HEAD", "objects"};

static bool is_kept(const char *name)
{
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (strcmp(name, kept[i]) == 0)
            return true;
    return false;
}

/* packed-refs, above all. */
static int move_others(const char *repo)
{
    DIR *dir CLEANUP(close_dir) = opendir(repo);
    char from[PATH_MAX], to[PATH_MAX];
    const struct dirent *entry;
    int r = dir ? 0 : -errno;

    while (r == 0 && (entry = dir_next(dir, &r))) {
        if (is_kept(entry->d_name))
            continue;
        r = path_make(from, NULL, "%s/%s", repo, entry->d_name);
        if (r == 0)
            r = path_make(to, NULL, "%s/" FORMER_DIR "/%s.away", repo, entry->d_name);
        if (r == 0 && rename(from, to) < 0 && errno != ENOENT)
            r = -errno;
    }
    return r;
}

/* An empty repository is made beside, and changes places with the one that is there. */
static int empty(const char *repo, struct error *err)
{
    char former[PATH_MAX];
    int r;

    sweep_own(repo, FORMER_DIR);
    if (path_make(former, err, "%s/" FORMER_DIR, repo) < 0)
        return -ENAMETOOLONG;
    if (access(former, F_OK) == 0 || errno != ENOENT) /* it would change places with what is here */
        return error_set(err, -EIO, "the gate can't take away what it has of the former upstream");
    r = git_must(
        repo, GIT("init", "--quiet", "--bare", "--template=", "--initial-branch=main", FORMER_DIR),
        err);
    if (r < 0)
        return r;
    r = move_others(repo);
    if (r == 0)
        r = exchange(repo, "refs");
    if (r == 0)
        r = exchange(repo, "HEAD");
    if (r == 0)
        r = exchange(repo, "objects");
    return r < 0 ? error_errno(err, r, "the gate can't begin a mirror") : 0;
}

/* The record goes first and comes last: killed in between, we begin again. */
int source_begin(const struct upstream *upstream, const char *repo, struct error *err)
{
    static const char *const former[] = {FORMER_DIR, DAMAGE_DIR, STEP_FILE};
    int r;

    source_forget(repo);
    r = empty(repo, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof former / sizeof *former; i++)
        sweep_own(repo, former[i]);
    return source_record(upstream, repo, err);
}

/* ---- whose it is ---- */

int source_join(const struct gate *gate, const char *repo, struct error *err)
{
    uint64_t number = source_number(repo);

    if (number == 0)
        return error_set(err, -EIO, "the gate can't read its mirror");
    return presence_note(gate, number, err);
}

int source_check(const struct gate *gate, const struct upstream *upstream, const char *repo,
                 struct error *err)
{
    uint64_t noted;
    struct source now;

    if (!read_source(repo, &now) || strcmp(now.url, upstream->url_text) != 0)
        return error_set(err, -ESTALE,
                         "the upstream's URL (spec.upstreams[%zu].url) was changed since this push "
                         "began; fetch, then push again",
                         gate_upstream_index(gate, upstream));
    if (presence_noted(gate, &noted) && noted != now.number)
        return error_set(err, -ESTALE,
                         "the gate's copy of the upstream was made anew since this push began, for "
                         "another URL or because it was damaged; fetch, then push again");
    return 0;
}
