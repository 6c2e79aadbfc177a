#include "mirror/source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parse.h"
#include "mirror/damage.h"
#include "mirror/fetch.h"
#include "mirror/presence.h"
#include "repo.h"
#include "sweep.h"

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

static void sweep_own(const char *repo, const char *what)
{
    char path[PATH_MAX];

    if (path_make(path, NULL, "%s/%s", repo, what) == 0)
        sweep_tree(path);
}

/* The record goes first and comes last: killed in between, we begin again. */
int source_begin(const struct gate *gate, const struct upstream *upstream, const char *repo,
                 struct error *err)
{
    static const char *const former[] = {FORMER_DIR, DAMAGE_DIR, STEP_FILE};
    int r = repo_set_aside(repo, FORMER_DIR, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof former / sizeof *former; i++)
        sweep_own(repo, former[i]);
    r = repo_ensure(gate, upstream, err);
    return r < 0 ? r : source_record(upstream, repo, err);
}

int source_join(const struct gate *gate, const char *repo, struct error *err)
{
    return presence_note(gate, source_number(repo), err);
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
