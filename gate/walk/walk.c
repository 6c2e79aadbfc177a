#include "walk/walk.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "gate.h"
#include "walk/tips.h"

#define HEX_LEN (2 * ODB_ID_LEN)
#define TIP_STEPS 20000u /* what a look at the refs counts for */

struct id {
    uint8_t bytes[ODB_ID_LEN];
};

struct walking {
    struct walk *walk;
    const struct push *push;
    struct odb *fresh, *known;
    struct tips tips;
    unsigned steps, commits;
};

/* Everything below is 0 while the walk is certain, or negative: ask git. */
#define UNSURE (-ENOTSUP)

/* ---- ids ---- */

static void to_hex(const uint8_t *id, char to[HEX_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < ODB_ID_LEN; i++) {
        *to++ = digits[id[i] >> 4];
        *to++ = digits[id[i] & 15];
    }
    *to = '\0';
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 40 digits in lower case; false for less. */
static bool from_hex(const char *hex, struct id *ret)
{
    for (size_t i = 0; i < ODB_ID_LEN; i++) {
        int high = digit(hex[2 * i]), low = high < 0 ? -1 : digit(hex[2 * i + 1]);

        if (low < 0)
            return false;
        ret->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* ---- the list ---- */

void walk_done(struct walk *walk)
{
    for (size_t i = 0; i < walk->n; i++) {
        free(walk->list[i].object.data);
        free(walk->list[i].path);
    }
    free(walk->list);
    *walk = WALK_INIT;
}

void walk_line(const struct walk_object *object, struct buf *to)
{
    char hex[HEX_LEN + 1];

    to_hex(object->id, hex);
    buf_adds(to, hex);
    if (object->path)
        buf_addf(to, " %s", object->path);
}

static int spend(struct walking *w, unsigned steps)
{
    w->steps += steps;
    return w->steps > WALK_STEPS_MAX ? UNSURE : 0;
}

/* 1 when it is in the list, as what it is wanted to be. */
static int is_listed(struct walking *w, const uint8_t *id, enum odb_kind kind)
{
    const struct walk *walk = w->walk;

    if (spend(w, (unsigned)walk->n / 8) < 0)
        return UNSURE;
    for (size_t i = 0; i < walk->n; i++)
        if (memcmp(walk->list[i].id, id, ODB_ID_LEN) == 0)
            return walk->list[i].object.kind == kind ? 1 : UNSURE;
    return 0;
}

/* Lists an object that is new, or it isn't certain that it is. */
static int list_new(struct walking *w, const uint8_t *id, enum odb_kind kind, const char *path,
                    struct odb_object *ret)
{
    struct walk *walk = w->walk;
    struct walk_object *to = &walk->list[walk->n];

    if (walk->n == WALK_OBJECTS_MAX || odb_has(w->known, id) != 0 ||
        odb_read(w->fresh, id, &to->object) < 0)
        return UNSURE;
    memcpy(to->id, id, ODB_ID_LEN);
    to->path = path ? strdup(path) : NULL;
    walk->n++;
    walk->bytes += to->object.len;
    *ret = to->object;
    return to->object.kind == kind && walk->bytes <= WALK_BYTES_MAX && !to->path == !path ? 0
                                                                                          : UNSURE;
}

/* ---- trees ---- */

struct name {
    const char *mode, *name;
    const uint8_t *id;
    bool folder, link;
};

/* One entry off [*at, end), which has a NUL behind it; 1, 0 at the end. Modes that git itself
 * doesn't write are for git to understand. */
static int next_name(struct walking *w, const char **at, const char *end, struct name *ret)
{
    static const char *const modes[] = {"40000 ", "100644 ", "100755 ", "120000 ", "160000 "};
    size_t i = 0, len;

    if (*at == end)
        return 0;
    while (i < 5 && strncmp(*at, modes[i], strlen(modes[i])) != 0)
        i++;
    if (i == 5 || spend(w, 1) < 0)
        return UNSURE;
    *ret = (struct name){
        .mode = modes[i], .name = *at + strlen(modes[i]), .folder = i == 0, .link = i == 4};
    len = strlen(ret->name);
    if (len == 0 || (size_t)(end - ret->name) < len + 1 + ODB_ID_LEN)
        return UNSURE;
    ret->id = (const uint8_t *)ret->name + len + 1;
    *at = ret->name + len + 1 + ODB_ID_LEN;
    return 1;
}

/* The same folder in a parent. */
struct beside {
    struct odb_object tree;
    const char *at; /* where the next name is looked for first: both are in one order */
};

struct besides {
    struct beside list[WALK_PARENTS_MAX];
    size_t n;
};

static void besides_done(struct besides *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->list[i].tree.data);
}

static int add_beside(struct walking *w, struct besides *b, const uint8_t *id)
{
    struct odb_object *tree = &b->list[b->n].tree;

    if (b->n == WALK_PARENTS_MAX ||
        (odb_read(w->known, id, tree) < 0 && odb_read(w->fresh, id, tree) < 0))
        return UNSURE;
    b->list[b->n++].at = tree->data;
    return tree->kind == ODB_TREE ? 0 : UNSURE;
}

/* 1 when the folder has an entry that fits, which is `ret`; from where the last one was to the end,
 * and then from the start. */
static int look_beside(struct walking *w, struct beside *b, const struct name *wanted,
                       bool (*fits)(const struct name *, const struct name *), struct name *ret)
{
    const char *start = b->tree.data, *end = start + b->tree.len, *last = b->at, *at = last;
    bool again = last != start;
    int r;

    for (;;) {
        r = next_name(w, &at, end, ret);
        if (r < 0)
            return r;
        if (r == 1 && fits(ret, wanted)) {
            b->at = at;
            return 1;
        }
        if (r == 0 && !again)
            return 0;
        if (r == 0) {
            at = start;
            end = last;
            again = false;
        }
    }
}

static bool same_object(const struct name *a, const struct name *b)
{
    return memcmp(a->id, b->id, ODB_ID_LEN) == 0;
}

static bool same_folder(const struct name *a, const struct name *b)
{
    return a->folder && strcmp(a->name, b->name) == 0;
}

/* 1 when a parent has it; what is a file there and a folder here is for git to judge. */
static int is_beside(struct walking *w, struct besides *b, const struct name *name)
{
    for (size_t i = 0; i < b->n; i++) {
        struct name there;
        int r = look_beside(w, &b->list[i], name, same_object, &there);

        if (r != 0)
            return r < 0 || there.folder != name->folder || there.link ? UNSURE : 1;
    }
    return 0;
}

static int take_tree(struct walking *w, const uint8_t *id, const char *path, struct besides *b,
                     unsigned depth);

/* A folder that no parent has just so, beside those of its name. */
static int take_folder(struct walking *w, const struct name *name, const char *path,
                       struct besides *above, unsigned depth)
{
    struct besides below CLEANUP(besides_done) = {0};

    for (size_t i = 0; i < above->n; i++) {
        struct name there;
        int r = look_beside(w, &above->list[i], name, same_folder, &there);

        if (r == 1)
            r = add_beside(w, &below, there.id);
        if (r < 0)
            return r;
    }
    return take_tree(w, name->id, path, &below, depth + 1);
}

static int take_name(struct walking *w, const struct name *name, const char *above,
                     struct besides *b, unsigned depth)
{
    cleanup_free char *path = NULL;
    struct odb_object blob;
    int r;

    if (name->link)
        return 0; /* a submodule's commit is no object of this repository */
    r = is_beside(w, b, name);
    if (r != 0)
        return r < 0 ? r : 0;
    r = is_listed(w, name->id, name->folder ? ODB_TREE : ODB_BLOB);
    if (r != 0)
        return r < 0 ? r : 0;
    if (strchr(name->name, '\n') ||
        asprintf(&path, "%s%s%s", above, *above ? "/" : "", name->name) < 0) {
        return UNSURE;
    }
    if (strlen(path) > WALK_PATH_MAX)
        return UNSURE;
    return name->folder ? take_folder(w, name, path, b, depth)
                        : list_new(w, name->id, ODB_BLOB, path, &blob);
}

/* What is listed already was looked at where it stood first. */
static int take_tree(struct walking *w, const uint8_t *id, const char *path, struct besides *b,
                     unsigned depth)
{
    struct odb_object tree;
    struct name name;
    const char *at;
    int r = depth > WALK_DEPTH_MAX ? UNSURE : list_new(w, id, ODB_TREE, path, &tree);

    if (r < 0)
        return r;
    at = tree.data;
    while ((r = next_name(w, &at, tree.data + tree.len, &name)) > 0) {
        r = take_name(w, &name, path, b, depth);
        if (r < 0)
            return r;
    }
    return r;
}

/* ---- commits ---- */

struct commit {
    struct id tree, parents[WALK_PARENTS_MAX];
    size_t n;
};

/* "tree <id>", then "parent <id>"s, a line each. */
static int parse_commit(const struct odb_object *object, struct commit *ret)
{
    const char *at = object->data;

    ret->n = 0;
    if (object->kind != ODB_COMMIT || strncmp(at, "tree ", 5) != 0 ||
        !from_hex(at + 5, &ret->tree) || at[5 + HEX_LEN] != '\n')
        return UNSURE;
    for (at += 6 + HEX_LEN; strncmp(at, "parent ", 7) == 0; at += 8 + HEX_LEN)
        if (ret->n == WALK_PARENTS_MAX || !from_hex(at + 7, &ret->parents[ret->n++]) ||
            at[7 + HEX_LEN] != '\n')
            return UNSURE;
    /* git takes a parent's line for one wherever it stands among the first; so does nobody who
     * writes commits. */
    return strncmp(at, "author ", 7) == 0 ? 0 : UNSURE;
}

static int read_commit(struct odb *odb, const struct id *id, struct commit *ret)
{
    struct odb_object object;
    int r = odb_read(odb, id->bytes, &object);

    if (r == 0)
        r = parse_commit(&object, ret);
    free(object.data);
    return r;
}

/* The quarantine has it and the gate has not: 1; the reverse: 0. */
static int is_new(const struct walking *w, const struct id *id)
{
    int known = odb_has(w->known, id->bytes);

    return known != 0 ? (known < 0 ? UNSURE : 0) : odb_has(w->fresh, id->bytes) == 1 ? 1 : UNSURE;
}

static int expect_tip(struct walking *w, const struct id *id)
{
    char hex[HEX_LEN + 1];

    to_hex(id->bytes, hex);
    if (spend(w, TIP_STEPS) < 0 || !tips_have(&w->tips, hex))
        return UNSURE;
    w->walk->ahead = w->walk->ahead || strcmp(w->push->commands[0].old_oid, hex) == 0;
    return 0;
}

static int take_commit(struct walking *w, const struct id *id, const struct commit *commit);

/* A parent, or what a ref is to be. */
static int take_tip(struct walking *w, const struct id *id, struct commit *ret)
{
    int new = is_new(w, id), listed = new == 1 ? is_listed(w, id->bytes, ODB_COMMIT) : 0, r;

    if (new < 0 || listed < 0)
        return UNSURE;
    r = read_commit(new ? w->fresh : w->known, id, ret);
    if (r < 0 || listed)
        return r;
    return new ? take_commit(w, id, ret) : expect_tip(w, id);
}

/* Its parents first; the objects of a commit come behind it. */
static int take_commit(struct walking *w, const struct id *id, const struct commit *commit)
{
    struct besides besides CLEANUP(besides_done) = {0};
    struct odb_object object;
    int r = w->commits++ == WALK_COMMITS_MAX ? UNSURE : 0;
    bool same = false;

    for (size_t i = 0; r == 0 && i < commit->n; i++) {
        struct commit parent;

        r = take_tip(w, &commit->parents[i], &parent);
        same = same || (r == 0 && memcmp(&parent.tree, &commit->tree, sizeof parent.tree) == 0);
        if (r == 0)
            r = add_beside(w, &besides, parent.tree.bytes);
    }
    if (r == 0)
        r = list_new(w, id->bytes, ODB_COMMIT, NULL, &object);
    if (r == 0)
        r = same ? 1 : is_listed(w, commit->tree.bytes, ODB_TREE);
    if (r != 0)
        return r < 0 ? r : 0;
    return take_tree(w, commit->tree.bytes, "", &besides, 0);
}

/* ---- a push ---- */

static bool has_file(const char *repo, const char *name)
{
    char path[PATH_MAX];

    return path_make(path, NULL, "%s/%s", repo, name) < 0 || access(path, F_OK) == 0 ||
           errno != ENOENT;
}

/* The gate's own objects are the quarantine's one alternate (receive-pack's tmp-objdir.c). */
static int open_folders(struct walking *w, const char *repo)
{
    const char *quarantine = getenv("GIT_QUARANTINE_PATH");
    const char *objects = getenv("GIT_OBJECT_DIRECTORY");
    const char *alternates = getenv("GIT_ALTERNATE_OBJECT_DIRECTORIES");
    char path[PATH_MAX];
    struct stat own, theirs;

    if (!quarantine || !objects || !alternates || strcmp(quarantine, objects) != 0 ||
        has_file(repo, "shallow") || has_file(repo, "info/grafts") ||
        path_make(path, NULL, "%s/objects", repo) < 0 || stat(path, &own) < 0 ||
        stat(alternates, &theirs) < 0 || own.st_dev != theirs.st_dev || own.st_ino != theirs.st_ino)
        return UNSURE;
    return odb_open(quarantine, &w->fresh) < 0 || odb_packed(w->fresh) > WALK_OBJECTS_MAX ||
                   odb_open(path, &w->known) < 0
               ? UNSURE
               : 0;
}

static int take_push(struct walking *w)
{
    size_t refs = 0;
    int r = w->push->n > WALK_REFS_MAX ? UNSURE : 0;

    for (size_t i = 0; r == 0 && i < w->push->n; i++) {
        const struct push_command *command = &w->push->commands[i];
        struct commit commit;
        struct id id;

        if (command->change == CHANGE_DELETE)
            continue;
        refs++;
        if (strlen(command->new_oid) != HEX_LEN || !from_hex(command->new_oid, &id))
            return UNSURE;
        r = take_tip(w, &id, &commit);
    }
    w->walk->ahead = w->walk->ahead && w->push->n == 1;
    return r < 0 || refs == 0 ? UNSURE : 0;
}

static void walking_done(struct walking *w)
{
    odb_free(w->fresh);
    odb_free(w->known);
    tips_done(&w->tips);
}

bool walk_push(const char *repo, const struct push *push, struct walk *ret)
{
    struct walking w CLEANUP(walking_done) = {
        .walk = ret, .push = push, .tips = TIPS_INIT(repo, push)};

    *ret = (struct walk){.list = calloc(WALK_OBJECTS_MAX, sizeof *ret->list)};
    if (ret->list && open_folders(&w, repo) == 0 && take_push(&w) == 0)
        return true;
    walk_done(ret);
    return false;
}
