#include "repo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "git.h"
#include "sweep.h"
#include "upstream.h"
#include "workdir.h"

#define CONFIG_MAX (64u << 10)
#define HEAD_MAX 4096
#define NOBODY_DIR OWN_DIR "/nobody" /* no authority is in it */
#define LINK_FILE OWN_DIR "/link"    /* where this repository is linked from, to undo it later */
/* https: no byte at all for so long is an upstream that stopped answering. A server that counts the
 * objects of a large repository says nothing for a minute; libcurl looks only once it is connected.
 */
#define SILENT_SECONDS 120
#define THREADS_MAX 8 /* of git's: each has a stack of 8 MB, which counts as memory (memory.h) */

/* A value of git's configuration language: quoted, so that only these two need care. */
static void add_quoted(struct buf *to, const char *value)
{
    buf_addc(to, '"');
    for (const char *p = value; *p; p++) {
        if (*p == '"' || *p == '\\')
            buf_addc(to, '\\');
        buf_addc(to, *p);
    }
    buf_addc(to, '"');
}

static void add_upstream(struct buf *to, const struct gate *gate, const struct upstream *upstream)
{
    const char *address = upstream_address(gate, upstream);

    buf_adds(to, "[remote \"origin\"]\n\turl = ");
    add_quoted(to, upstream->url_text);
    /* Canonical places, as `remote add --mirror=fetch` has it; not remote.origin.mirror, which
     * makes `git push` drop refs of our own first. */
    buf_adds(to,
             "\n\tfetch = +refs/*:refs/*\n\tfetch = ^" OWN_REFS "\n\tfetch = ^" OWN_REFS "/*\n");
    if (upstream->url.scheme == URL_SSH)
        return;
    /* An upstream is what the GitGate names: git would carry the credential (http.extraHeader is
     * bound to the URL that it began with) and the pushed commits wherever a redirect leads. */
    buf_addf(to, "[http]\n\tfollowRedirects = false\n\tlowSpeedLimit = 1\n\tlowSpeedTime = %d\n",
             SILENT_SECONDS);
    if (address)
        buf_addf(to, "\tcurloptResolve = %s:%u:%s\n", upstream->url.host, upstream->url.port,
                 address);
    /* And no other: libcurl goes on to trust the system's folder, unless it has another one. */
    if (upstream->ca_config_map)
        buf_adds(to, "\tsslCAInfo = " OWN_DIR "/ca.crt\n\tsslCAPath = " NOBODY_DIR "\n");
    if (upstream->auth == AUTH_HTTP)
        buf_adds(to, "[include]\n\tpath = " OWN_DIR "/gitconfig\n");
}

/* receive.fsckObjects stays off: real histories hold objects that today's fsck refuses (a zone of
 * +051800, a zero-padded mode), which the upstream has had for years or judges itself. The scan
 * parses what it reads and refuses what it can't. */
static void compose_config(const struct gate *gate, const struct upstream *upstream, struct buf *to)
{
    buf_adds(to, "# Written by gitgate-gate; changes are undone.\n"
                 "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
                 "\tlogAllRefUpdates = false\n\twarnAmbiguousRefs = false\n"
                 "\tsshCommand = " SSH_COMMAND "\n\thooksPath = ");
    add_quoted(to, gate->config_dir);
    buf_adds(to, "\n[protocol]\n\tallow = never\n"
                 "[protocol \"ssh\"]\n\tallow = always\n"
                 "[protocol \"https\"]\n\tallow = always\n"
                 "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
                 "[transfer]\n\thideRefs = " OWN_REFS "\n"
                 "[uploadpack]\n\tallowFilter = true\n\tallowAnySHA1InWant = true\n"
                 "[receive]\n\tprocReceiveRefs = refs\n\tdenyCurrentBranch = ignore\n"
                 "\tdenyDeleteCurrent = ignore\n\tadvertisePushOptions = true\n\tautogc = false\n");
    buf_addf(to, "\tmaxInputSize = %" PRIu64 "\n", gate->spec.scan.max_push_size);
    if (sysconf(_SC_NPROCESSORS_ONLN) > THREADS_MAX)
        buf_addf(to, "[pack]\n\tthreads = %d\n", THREADS_MAX);
    add_upstream(to, gate, upstream);
}

static int write_if_changed(const char *path, const struct buf *content, struct error *err)
{
    cleanup_buf struct buf there = BUF_INIT(CONFIG_MAX);

    if (buf_error(content))
        return error_errno(err, buf_error(content), "cannot write %s", path);
    if (file_read(path, &there, NULL) == 0 && there.len == content->len &&
        memcmp(there.data, content->data, content->len) == 0)
        return 0;
    return file_write(path, content->data, content->len, 0600, err);
}

static int init(const char *repo, struct error *err)
{
    char head[PATH_MAX];
    struct stat st;
    int r;

    if (path_make(head, err, "%s/HEAD", repo) < 0)
        return -ENAMETOOLONG;
    if (stat(head, &st) == 0)
        return 0;
    r = file_mkdirs(repo, 0700, err);
    if (r < 0)
        return r;
    return git_must(
        repo, GIT("init", "--quiet", "--bare", "--template=", "--initial-branch=main", "."), err);
}

/* ---- the link by host and path ---- */

/* Makes the folders above `path`, which lies below `base`. A link in the way is another upstream's
 * repository: nothing may be put into that. */
static int make_folders(const char *base, const char *path, struct error *err)
{
    char partial[PATH_MAX];
    size_t base_len = strlen(base);
    struct stat st;

    for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        if (path_make(partial, err, "%s/%.*s", base, (int)(p - path), path) < 0)
            return -ENAMETOOLONG;
        if (mkdir(partial, 0700) < 0 && errno != EEXIST)
            return error_errno(err, -errno, "cannot make folder %s", partial + base_len + 1);
        if (lstat(partial, &st) < 0 || !S_ISDIR(st.st_mode))
            return error_set(err, -ENOTDIR, "%s is the place of another repository",
                             partial + base_len + 1);
    }
    return 0;
}

static void add_link_target(struct buf *to, const char *link, const char *name)
{
    for (const char *p = strchr(link, '/'); p; p = strchr(p + 1, '/'))
        buf_adds(to, "../");
    buf_addf(to, "%s.git", name);
}

static bool links_to(const char *path, const char *target)
{
    char there[PATH_MAX];
    ssize_t n = readlink(path, there, sizeof there - 1);

    if (n < 0)
        return false;
    there[n] = '\0';
    return strcmp(there, target) == 0;
}

/* The folders above the link, as far as they are empty now. */
static void remove_folders(const char *base, const char *link)
{
    char path[PATH_MAX];

    for (size_t len = strlen(link); len > 0; len--)
        if (link[len] == '/' &&
            (path_make(path, NULL, "%s/%.*s", base, (int)len, link) < 0 || rmdir(path) < 0))
            return;
}

/* Unless it is `keep`. An upstream whose URL changed, or that is no longer one, must not be reached
 * by its old one; a link that leads to another repository by now is not ours. */
static void drop_link(const struct gate *gate, const char *repo, const char *name, const char *keep)
{
    cleanup_buf struct buf old = BUF_INIT(PATH_MAX), target = BUF_INIT(PATH_MAX);
    char path[PATH_MAX];

    if (path_make(path, NULL, "%s/" LINK_FILE, repo) < 0 || file_read(path, &old, NULL) < 0 ||
        strcmp(old.data, keep) == 0)
        return;
    add_link_target(&target, old.data, name);
    if (path_make(path, NULL, "%s/%s", gate->repos_dir, old.data) < 0 ||
        !links_to(path, target.data))
        return;
    unlink(path);
    remove_folders(gate->repos_dir, old.data);
}

static int make_link(const struct gate *gate, const struct upstream *upstream, const char *repo,
                     struct error *err)
{
    cleanup_buf struct buf link = BUF_INIT(PATH_MAX), target = BUF_INIT(PATH_MAX);
    char path[PATH_MAX], record[PATH_MAX];
    int r;

    buf_addf(&link, "%s/%s.git", upstream->url.host, upstream->url.path);
    add_link_target(&target, link.data, upstream->name);
    r = buf_error(&link) ? buf_error(&link) : buf_error(&target);
    if (r < 0)
        return error_errno(err, r, "cannot link the repository");
    if (path_make(path, err, "%s/%s", gate->repos_dir, link.data) < 0 ||
        path_make(record, err, "%s/" LINK_FILE, repo) < 0)
        return -ENAMETOOLONG;
    drop_link(gate, repo, upstream->name, link.data);
    if (!links_to(path, target.data)) {
        r = make_folders(gate->repos_dir, link.data, err);
        if (r < 0)
            return r;
        unlink(path); /* a folder stays, and is said to be in the way */
        if (symlink(target.data, path) < 0)
            return error_errno(err, -errno, "cannot link %s", link.data);
    }
    return write_if_changed(record, &link, err);
}

int repo_ensure(const struct gate *gate, const struct upstream *upstream, struct error *err)
{
    cleanup_buf struct buf config = BUF_INIT(CONFIG_MAX);
    char repo[PATH_MAX], path[PATH_MAX];
    int r = gate_repo_path(gate, upstream, repo, err);

    if (r == 0)
        r = init(repo, err);
    if (r == 0)
        r = path_make(path, err, "%s/" NOBODY_DIR, repo);
    if (r == 0)
        r = file_mkdirs(path, 0700, err);
    if (r == 0)
        r = path_make(path, err, "%s/config", repo);
    if (r < 0)
        return r;
    compose_config(gate, upstream, &config);
    r = write_if_changed(path, &config, err);
    return r < 0 ? r : make_link(gate, upstream, repo, err);
}

int repo_remove(const struct gate *gate, const char *name, struct error *err)
{
    char repo[PATH_MAX], trash[PATH_MAX], work[PATH_MAX];
    int r = path_make(repo, err, "%s/%s.git", gate->repos_dir, name);

    if (r == 0)
        r = path_make(work, err, "%s/" WORK_DIR, gate->repos_dir);
    if (r == 0)
        r = path_make(trash, err, "%s/removed-%s-%d", work, name, (int)getpid());
    if (r == 0)
        r = file_mkdirs(work, 0700, err);
    if (r < 0)
        return r;
    upstream_end_connections(repo);
    drop_link(gate, repo, name, "");
    if (rename(repo, trash) < 0)
        return error_errno(err, -errno, "cannot remove the repository %s", name);
    sweep_tree(trash);
    return 0;
}

static int read_head(const char *repo, struct buf *to)
{
    char path[PATH_MAX];
    int r = path_make(path, NULL, "%s/HEAD", repo);

    return r < 0 ? r : file_read(path, to, NULL);
}

int repo_head(const char *repo, char *ref, size_t size)
{
    cleanup_buf struct buf text = BUF_INIT(HEAD_MAX);
    int r = read_head(repo, &text), len;

    ref[0] = '\0';
    if (r < 0 || strncmp(text.data, "ref: refs/heads/", 16) != 0)
        return r;
    len = (int)strcspn(text.data + 5, "\r\n");
    if ((size_t)len < size)
        snprintf(ref, size, "%.*s", len, text.data + 5);
    return 0;
}

bool repo_head_is(const char *repo, const char *oid)
{
    cleanup_buf struct buf text = BUF_INIT(HEAD_MAX);
    size_t len = strlen(oid);

    return read_head(repo, &text) == 0 && strncmp(text.data, oid, len) == 0 &&
           text.data[len] == '\n';
}
