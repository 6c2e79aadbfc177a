#include "scan/rulebook.h"

#include <dirent.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "data/gitleaks.h"
#include "git.h"

/* embedded.S */
extern const unsigned char gitgate_rules[];
extern const uint64_t gitgate_rules_len;

/* gitleaks' own take a second; EXPRESSIONS_SIZE_MAX bounds it. */
#define COMPILE_TIMEOUT_MS 120000
#define SAID_MAX (16u << 10)
#define KEPT_MAX 16 /* sets of rules that are kept: a GitGate's of today, and of before */

void rulebook_done(struct rulebook *book)
{
    for (size_t i = 0; i < RULEBOOK_SETS; i++) {
        rules_done(&book->sets[i]);
        if (book->blocks[i].data)
            buf_done(&book->blocks[i]);
    }
    book->n = 0;
}

/* ---- compiling ---- */

static int compile(const char *source, struct buf *block, struct error *err)
{
    static const char *const argv[] = {"gitgate-rules", "compile", NULL};
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(RULES_BYTES_MAX, SAID_MAX);
    cleanup_child_env struct child_env env = CHILD_ENV_INIT;
    struct proc_spec spec = {.argv = argv,
                             .input = source,
                             .input_len = strlen(source),
                             .timeout_ms = COMPILE_TIMEOUT_MS};
    cleanup_buf struct buf how = BUF_INIT(256);
    int r = child_env_base(&env);

    if (r < 0)
        return error_errno(err, r, "cannot compile the rules");
    spec.env = (const char *const *)env.list;
    r = proc_run(&spec, &result, err);
    if (r < 0)
        return r;
    if (result.exit_code != 0 || result.timed_out || buf_error(&result.out)) {
        proc_describe(&spec, &result, &how);
        return error_set(err, -EIO, "the rules can't be compiled: gitgate-rules: %s: %.300s",
                         how.data, result.err.data);
    }
    buf_done(block);
    *block = result.out;
    result.out = BUF_INIT(0);
    return 0;
}

/* ---- the kept ones ---- */

/* By what it is made of: the source, and the rules that this extends, if any. */
static int name_block(const struct gate *gate, const char *source, const struct rules *base,
                      char to[PATH_MAX], struct error *err)
{
    static const uint8_t none[RULES_KEY_LEN] = {0};
    static const char engine[] = GITGATE_VERSION; /* and what the block says of Vectorscan's own */
    uint8_t hash[RULES_KEY_LEN];
    char hex[2 * RULES_KEY_LEN + 1];
    struct sha256_ctx context;

    sha256_init(&context);
    sha256_update(&context, sizeof engine, (const uint8_t *)engine);
    sha256_update(&context, strlen(hs_version()), (const uint8_t *)hs_version());
    sha256_update(&context, RULES_KEY_LEN, base ? base->key : none);
    sha256_update(&context, strlen(source), (const uint8_t *)source);
    sha256_digest(&context, sizeof hash, hash);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    return path_make(to, err, "%s/" RULES_DIR "/%s", gate->repos_dir, hex);
}

/* Compiled rules are small and change seldom; when there are too many of them all go. */
static void make_room(const char *path)
{
    char dir[PATH_MAX];
    struct dirent **names = NULL;
    int n;

    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
    n = scandir(dir, &names, NULL, NULL);
    for (int i = 0; i < n; i++) {
        char file[PATH_MAX];

        if (n > KEPT_MAX + 2 && names[i]->d_name[0] != '.' &&
            snprintf(file, sizeof file, "%s/%s", dir, names[i]->d_name) < (int)sizeof file)
            unlink(file);
        free(names[i]);
    }
    free(names);
}

static int open_kept(const char *path, struct buf *block, struct rules *ret)
{
    int r = file_read(path, block, NULL);

    if (r == 0)
        r = rules_open(block->data, block->len, ret, NULL);
    if (r < 0)
        rules_done(ret);
    return r;
}

/* What is compiled: the source, or the rules that it extends changed by it. */
static json_t *resolve(const json_t *source, struct rules *base, struct error *err)
{
    json_t *resolved;

    if (!base)
        return json_incref((json_t *)source);
    if (rules_detail(base, err) < 0)
        return NULL;
    resolved = gitleaks_config_extend(source, json_object_get(rules_source(base), "rules"));
    if (!resolved)
        error_errno(err, -ENOMEM, "cannot compile the rules");
    return resolved;
}

static char *print(const json_t *source, struct error *err)
{
    char *text = json_dumps(source, JSON_COMPACT);

    if (!text)
        error_errno(err, -ENOMEM, "cannot compile the rules");
    return text;
}

static int compile_and_keep(const char *path, const json_t *source, struct rules *base,
                            struct buf *block, struct rules *ret, struct error *err)
{
    json_auto_t *resolved = resolve(source, base, err);
    cleanup_free char *text = resolved ? print(resolved, err) : NULL;
    int r = text ? compile(text, block, err) : -ENOMEM;

    if (r == 0)
        r = rules_open(block->data, block->len, ret, err);
    if (r < 0)
        return r;
    make_room(path);
    file_write(path, block->data, block->len, 0600, NULL); /* only a matter of speed */
    return 0;
}

/* ---- the sets ---- */

static struct rules *add_set(struct rulebook *book)
{
    book->blocks[book->n] = BUF_INIT(RULES_BYTES_MAX);
    return &book->sets[book->n++];
}

/* `base`: the rules that the source extends, or NULL. */
static int open_source(const struct gate *gate, const json_t *source, struct rules *base,
                       struct rulebook *book, struct rules *set, struct error *err)
{
    cleanup_free char *text = print(source, err);
    struct buf *block = &book->blocks[set - book->sets];
    char path[PATH_MAX];
    int r = text ? name_block(gate, text, base, path, err) : -ENOMEM;

    if (r < 0 || open_kept(path, block, set) == 0)
        return r;
    return compile_and_keep(path, source, base, block, set, err);
}

static int open_own(const struct gate *gate, struct rulebook *book, struct error *err)
{
    struct rules *set = add_set(book);
    int r = rules_open(gitgate_rules, gitgate_rules_len, set, err);

    if (r != -ENOTSUP)
        return r;
    /* Not what this program was built for: slower once, the same after. */
    r = rules_detail(set, err);
    if (r == 0) {
        json_auto_t *source = json_incref((json_t *)rules_source(set));

        rules_done(set);
        r = open_source(gate, source, NULL, book, set, err);
    }
    return r;
}

static int read_config(const struct gate *gate, json_t **ret, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(GITLEAKS_CONFIG_MAX + 1);
    char path[PATH_MAX];
    int r = path_make(path, err, "%s/" GITGATE_SCAN_CONFIG, gate->creds_dir);

    if (r < 0)
        return r;
    r = file_read(path, &text, NULL);
    if (r < 0)
        return error_errno(err, r,
                           "spec.scan.configMapRef: the configuration is not here (the GitGate's "
                           "condition CredentialsResolved says why)");
    r = gitleaks_config_read(text.data, text.len, ret, err);
    return r < 0 ? error_wrap(err, r, "spec.scan.configMapRef") : 0;
}

static int open_config(const struct gate *gate, const json_t *config, struct rulebook *book,
                       struct error *err)
{
    struct rules *set = add_set(book);
    cleanup_rules struct rules base = {0};
    bool extends = gitleaks_config_extends(config);
    int r = extends ? rules_open(gitgate_rules, gitgate_rules_len, &base, err) : 0;

    book->config = set;
    if (r < 0 && r != -ENOTSUP) /* what is wanted of them is what they were made of */
        return r;
    return open_source(gate, config, extends ? &base : NULL, book, set, err);
}

static int open_gitgates(const struct gate *gate, struct rulebook *book, struct error *err)
{
    json_t *rules = gate->spec.scan.rules;
    json_auto_t *source = NULL;

    if (json_array_size(rules) == 0)
        return 0;
    source = json_pack("{s:s, s:O}", "marker", "q", "rules", rules);
    if (!source)
        return error_errno(err, -ENOMEM, "cannot compile the rules");
    return open_source(gate, source, NULL, book, add_set(book), err);
}

int rulebook_open(const struct gate *gate, struct rulebook *ret, struct error *err)
{
    static const uint8_t none[RULES_KEY_LEN] = {0};
    struct sha256_ctx all;
    json_auto_t *config = NULL;
    int r = gate->spec.scan.config_map ? read_config(gate, &config, err) : 0;

    /* "marker" is ours to choose, however it is spelt there. */
    if (r == 0 && config && gitleaks_config_set_new(config, "marker", json_string("r")) < 0)
        r = error_errno(err, -ENOMEM, "cannot compile the rules");
    if (r == 0)
        r = config ? open_config(gate, config, ret, err) : open_own(gate, ret, err);
    ret->own_canary = !config || (gitleaks_config_extends(config) &&
                                  !gitleaks_config_changes(config, CANARY_OWN_RULE));
    if (r == 0)
        r = open_gitgates(gate, ret, err);
    sha256_init(&all);
    for (size_t i = 0; i < RULEBOOK_SETS; i++)
        sha256_update(&all, RULES_KEY_LEN, i < ret->n ? ret->sets[i].key : none);
    sha256_digest(&all, RULES_KEY_LEN, ret->key);
    return r;
}
