#include "rulebook.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
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

static int name_block(const struct gate *gate, const char *source, char to[PATH_MAX],
                      struct error *err)
{
    static const char engine[] = GITGATE_VERSION; /* and what the block says of Vectorscan's own */
    unsigned char hash[RULES_KEY_LEN];
    char hex[2 * RULES_KEY_LEN + 1];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool hashed = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                  EVP_DigestUpdate(context, engine, sizeof engine) == 1 &&
                  EVP_DigestUpdate(context, hs_version(), strlen(hs_version())) == 1 &&
                  EVP_DigestUpdate(context, source, strlen(source)) == 1 &&
                  EVP_DigestFinal_ex(context, hash, NULL) == 1;

    EVP_MD_CTX_free(context);
    if (!hashed)
        return error_set(err, -EIO, "cannot hash the rules");
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

static int open_compiled(const struct gate *gate, const char *source, struct buf *block,
                         struct rules *ret, struct error *err)
{
    char path[PATH_MAX];
    int r = name_block(gate, source, path, err);

    if (r < 0)
        return r;
    if (file_read(path, block, NULL) == 0 && rules_open(block->data, block->len, ret, NULL) == 0)
        return 0;
    rules_done(ret);
    r = compile(source, block, err);
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

static int open_source(const struct gate *gate, const json_t *source, struct rulebook *book,
                       struct rules *set, struct error *err)
{
    char *text = json_dumps(source, JSON_COMPACT);
    int r = text ? open_compiled(gate, text, &book->blocks[set - book->sets], set, err)
                 : error_errno(err, -ENOMEM, "cannot compile the rules");

    free(text);
    return r;
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
        r = open_source(gate, source, book, set, err);
    }
    return r;
}

/* "marker" is ours to choose, however it is spelt there. */
static int set_marker(json_t *config, const char *letter)
{
    const char *name;
    json_t *value;
    void *next;

    json_object_foreach_safe(config, next, name, value) {
        if (strcasecmp(name, "marker") == 0)
            json_object_del(config, name);
    }
    return json_object_set_new(config, "marker", json_string(letter));
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

    book->config = set;
    return open_source(gate, config, book, set, err);
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
    return open_source(gate, source, book, add_set(book), err);
}

int rulebook_open(const struct gate *gate, struct rulebook *ret, struct error *err)
{
    unsigned char all[RULEBOOK_SETS * RULES_KEY_LEN] = {0};
    json_auto_t *config = NULL;
    int r = gate->spec.scan.config_map ? read_config(gate, &config, err) : 0;

    if (r == 0 && config && set_marker(config, "r") < 0)
        r = error_errno(err, -ENOMEM, "cannot compile the rules");
    ret->own = !config || gitleaks_config_extends(config);
    if (r == 0 && ret->own)
        r = open_own(gate, ret, err);
    if (r == 0 && config)
        r = open_config(gate, config, ret, err);
    if (r == 0)
        r = open_gitgates(gate, ret, err);
    for (size_t i = 0; i < ret->n; i++)
        memcpy(all + i * RULES_KEY_LEN, ret->sets[i].key, RULES_KEY_LEN);
    if (r == 0 && EVP_Digest(all, sizeof all, ret->key, NULL, EVP_sha256(), NULL) != 1)
        r = error_set(err, -EIO, "cannot hash the rules");
    return r;
}
