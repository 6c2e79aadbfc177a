/* maintain [--collect|--check] REPOSITORY: keeps a repository quick and small. serve runs it in the
 * background after so many fetches and pushes; upkeep.h says what is due when. Clients go on
 * meanwhile, but for moments. */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"
#include "event.h"
#include "gate.h"
#include "git.h"
#include "lock.h"
#include "mirror/backup.h"
#include "mirror/collect.h"
#include "mirror/damage.h"
#include "mirror/mirror.h"
#include "mirror/presence.h"
#include "mirror/source.h"
#include "mirror/space.h"
#include "mirror/upkeep.h"
#include "sweep.h"
#include "verbs.h"

#define NICENESS 10
#define ROLL_TIMEOUT_MS (3600ull * 1000)
#define LOCK_TIMEOUT_MS 600000
#define ALONE_TIMEOUT_MS 200 /* new clients wait meanwhile */
#define OPEN_MAX_DIRS 16
#define RECORD_FILE OWN_DIR "/collected" /* "<bytes> <seconds of CLOCK_REALTIME>" */
#define RECORD_MAX 64

enum task { UPKEEP, COLLECT, CHECK };

struct maintenance {
    struct gate gate;
    const struct upstream *upstream;
    char repo[PATH_MAX];
    struct upkeep_seen seen;
    int swept;
    bool anew; /* it was damaged */
};

/* ---- what is there ---- */

/* nftw has no argument for its callback. */
static struct upkeep_seen counted;

static int count_object_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    const char *name = path + at->base;
    size_t len = strlen(name);

    if (strncmp(name, "tmp_", 4) == 0 || strncmp(name, ".tmp-", 5) == 0 ||
        text_ends(name, ".keep") || text_ends(name, ".lock"))
        counted.debris++;
    if (type != FTW_F)
        return 0;
    counted.bytes += (uint64_t)st->st_blocks * 512;
    if (text_ends(name, ".pack"))
        counted.packs++;
    else if (len >= 38 && strspn(name, "0123456789abcdef") == len)
        counted.loose_objects++;
    return 0;
}

static int count_ref_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)at;
    counted.loose_refs += type == FTW_F;
    counted.debris += type == FTW_F && text_ends(path, ".lock");
    return 0;
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static void count_root_debris(const char *repo)
{
    DIR *dir CLEANUP(close_dir) = opendir(repo);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        counted.debris +=
            text_ends(entry->d_name, ".lock") || strncmp(entry->d_name, "shallow_", 8) == 0;
}

static void read_record(struct maintenance *m)
{
    cleanup_buf struct buf text = BUF_INIT(RECORD_MAX);
    uint64_t now = (uint64_t)time(NULL), then;
    char path[PATH_MAX], *space;

    m->seen.collected_s = UINT64_MAX;
    if (path_make(path, NULL, "%s/" RECORD_FILE, m->repo) < 0 || file_read(path, &text, NULL) < 0)
        return;
    space = strchr(text.data, ' ');
    if (!space)
        return;
    *space = '\0';
    if (parse_u64(space + 1, now, &then) == 0 &&
        parse_u64(text.data, UINT64_MAX, &m->seen.collected_bytes) == 0)
        m->seen.collected_s = now - then;
}

static void write_record(struct maintenance *m)
{
    char path[PATH_MAX], text[RECORD_MAX];
    int len =
        snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64, m->seen.bytes, (uint64_t)time(NULL));

    if (path_make(path, NULL, "%s/" RECORD_FILE, m->repo) == 0)
        file_write(path, text, (size_t)len, 0600, NULL);
}

static void look(struct maintenance *m)
{
    char path[PATH_MAX];

    counted = (struct upkeep_seen){0};
    if (path_make(path, NULL, "%s/objects", m->repo) == 0)
        nftw(path, count_object_file, OPEN_MAX_DIRS, FTW_PHYS);
    if (path_make(path, NULL, "%s/refs", m->repo) == 0)
        nftw(path, count_ref_file, OPEN_MAX_DIRS, FTW_PHYS);
    count_root_debris(m->repo);
    m->seen = counted;
    m->seen.room_short = space_is_short(m->repo, m->seen.bytes);
    read_record(m);
    if (m->seen.collected_s == UINT64_MAX) { /* new: its day begins now */
        write_record(m);
        read_record(m);
    }
}

/* ---- what is done ---- */

/* What is left to sweep can wait for a quieter moment. */
static int sweep(struct maintenance *m, struct error *err)
{
    cleanup_close int lock = -1;
    cleanup_close int presence = presence_open(m->gate.repos_dir, err);
    int r = presence < 0 ? presence : lock_take(m->repo, LOCK_TIMEOUT_MS, &lock, err);

    if (r == 0 && presence_none(presence, m->upstream->name, ALONE_TIMEOUT_MS))
        m->swept = sweep_debris(m->repo);
    return r;
}

static int trim_backups(const struct maintenance *m, struct error *err)
{
    cleanup_close int lock = -1;
    int r = lock_take(m->repo, LOCK_TIMEOUT_MS, &lock, err);

    return r < 0 ? r : backup_trim(m->repo, (uint64_t)time(NULL), m->seen.room_short, err);
}

static int pack_refs(const struct maintenance *m, struct error *err)
{
    cleanup_close int lock = -1;
    int r = lock_take(m->repo, LOCK_TIMEOUT_MS, &lock, err);

    return r < 0 ? r : git_must(m->repo, GIT("pack-refs", "--all"), err);
}

/* Each pack at least twice as large as all smaller ones together: an object is copied a logarithmic
 * number of times, and some ten packs are all there ever are. Clients that look for an object in a
 * pack that has gone look again. */
static int roll(const struct maintenance *m, struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);
    int r = git_run(m->repo, NULL,
                    GIT("-c", "pack.threads=1", "-c", "pack.windowMemory=64m", "repack",
                        "--geometric=2", "-d", "-l", "-n", "-q"),
                    NULL, 0, ROLL_TIMEOUT_MS, &result, err);

    if (r == 0 && result.exit_code != 0)
        r = error_set(err, -EIO, "git repack failed: %.300s", result.err.data);
    return r;
}

static int keep_up(struct maintenance *m, bool collect_now, struct error *err)
{
    struct upkeep_need need;
    int r = 0;

    look(m);
    need = upkeep_judge(&m->seen);
    need.collect = need.collect || collect_now;
    damage_forget(m->repo, m->seen.room_short);
    if (need.sweep)
        r = sweep(m, err);
    if (r == 0)
        r = trim_backups(m, err);
    if (r == 0 && need.pack_refs)
        r = pack_refs(m, err);
    /* Loose objects are collected as packed ones. What a client has sent besides its push may be
     * such as can't be rolled up; what is reachable can be packed anew, and the rest goes. */
    if (r == 0 && (need.roll || need.collect) && roll(m, err) < 0)
        need.collect = true;
    if (r == 0 && need.collect)
        r = collect(&m->gate, m->upstream, m->repo, err);
    if (need.collect) { /* also where it failed: not again and again */
        look(m);
        write_record(m);
    }
    return r;
}

static bool is_busy(int r)
{
    return r == -EBUSY || r == -EAGAIN;
}

static int work(struct maintenance *m, enum task task, struct error *err)
{
    uint64_t made = source_number(m->repo), now;
    struct error why = ERROR_INIT;
    int r = task == CHECK ? mirror_check(&m->gate, &m->upstream, m->repo, &m->anew, err) : 0;

    if (r == 0)
        r = keep_up(m, task == COLLECT, err);
    /* What it stumbled over may be damage. */
    if (r < 0 && !is_busy(r) && task != CHECK &&
        mirror_check(&m->gate, &m->upstream, m->repo, &m->anew, &why) == 0 && m->anew)
        r = 0;
    /* A git that had begun to pack what another upstream had has put it among what this one has. */
    now = source_number(m->repo);
    if (made != 0 && now != made)
        r = collect(&m->gate, m->upstream, m->repo, err);
    look(m);
    return r;
}

static void report(const struct maintenance *m, uint64_t started_ns, int r, const struct error *err)
{
    json_t *fields =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:i}", "repo", m->upstream->name, "result",
                  is_busy(r) ? "busy"
                  : r < 0    ? "failed"
                  : m->anew  ? "anew"
                             : "ok",
                  "bytes", (json_int_t)m->seen.bytes, "packs", (json_int_t)m->seen.packs,
                  "loose_objects", (json_int_t)m->seen.loose_objects, "loose_refs",
                  (json_int_t)m->seen.loose_refs, "swept", m->swept);

    if (r < 0)
        json_object_set_new(fields, "reason", json_string(err->msg));
    event_send(&m->gate, "maintain", started_ns, fields);
}

/* ---- the verb ---- */

static int prepare(struct maintenance *m, const char *dir, struct error *err)
{
    int r = gate_open(&m->gate, err);

    if (r == 0)
        r = gate_load(&m->gate, err);
    if (r == 0 && !(m->upstream = gate_upstream_at(&m->gate, dir, m->repo, err)))
        r = -ENOENT;
    return r;
}

static void maintenance_done(struct maintenance *m)
{
    gate_done(&m->gate);
}

static int find_task(int argc, char **argv)
{
    static const char *const options[] = {[COLLECT] = "--collect", [CHECK] = "--check"};

    for (int i = COLLECT; argc == 3 && i <= CHECK; i++)
        if (strcmp(argv[1], options[i]) == 0)
            return i;
    return argc == 2 ? UPKEEP : -1;
}

int verb_maintain(int argc, char **argv)
{
    struct maintenance m CLEANUP(maintenance_done) = {.repo = ""};
    uint64_t started_ns = clock_now_ns();
    struct error err = ERROR_INIT;
    int task = find_task(argc, argv), r;

    if (task < 0) {
        fputs("usage: gitgate-gate maintain [--collect|--check] REPOSITORY\n", stderr);
        return 2;
    }
    r = prepare(&m, argv[argc - 1], &err);
    if (r < 0) {
        log_error(&m.gate.log, "cannot maintain", json_pack("{s:s}", "error", err.msg));
        return 1;
    }
    umask(077);
    setpriority(PRIO_PROCESS, 0, NICENESS);
    r = work(&m, (enum task)task, &err);
    report(&m, started_ns, r, &err);
    return r < 0 && !is_busy(r);
}
