/* gitgate-rules: rules to what the gate finds by. A program of its own, because Vectorscan's
 * compiler is large and slow to start, and the gate's verbs start for every fetch and push.
 *
 *   gitgate-rules compile-toml < gitleaks.toml > block
 *   gitgate-rules compile      < rules.json    > block    {"rules": [...], "allowlists": [...]}
 *   gitgate-rules check        < rules.json               one JSON array of problems */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "compile.h"
#include "data/toml.h"
#include "scan/rules.h"
#include "source.h"

#define INPUT_MAX (8u << 20)

static int read_all(struct buf *to, struct error *err)
{
    for (;;) {
        char *at = buf_reserve(to, 65536);
        ssize_t n = at ? read(STDIN_FILENO, at, 65536) : -1;

        if (!at)
            return error_set(err, -E2BIG, "the rules are larger than %u MiB", INPUT_MAX >> 20);
        if (n < 0)
            return error_errno(err, -errno, "cannot read the rules");
        if (n == 0)
            return 0;
        to->len += (size_t)n;
    }
}

static int write_block(const struct buf *from, struct error *err)
{
    int r = file_write_all(STDOUT_FILENO, from->data, from->len);

    return r < 0 ? error_errno(err, r, "cannot write the rules") : 0;
}

static int read_config(bool toml, json_t **ret, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(INPUT_MAX);
    json_auto_t *config = NULL;
    json_error_t at;
    int r = read_all(&text, err);

    if (r < 0)
        return r;
    if (toml) {
        r = toml_parse(text.data, text.len, "gitleaks.toml", &config, err);
        return r < 0 ? r : source_read(config, ret, err);
    }
    config = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &at);
    if (!json_is_object(config))
        return error_set(err, -EINVAL, "the rules are no JSON object: %s", at.text);
    return source_read(config, ret, err);
}

static int print_problems(const json_t *problems)
{
    return json_dumpf(problems, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF &&
                   fflush(stdout) == 0
               ? 0
               : -EIO;
}

static int run(const char *verb, struct error *err)
{
    json_auto_t *source = NULL, *problems = NULL;
    cleanup_buf struct buf block = BUF_INIT(RULES_BYTES_MAX);
    int r = read_config(strcmp(verb, "compile-toml") == 0, &source, err);

    if (r == 0)
        r = compile_rules(source, &block, &problems, err);
    if (r < 0)
        return r;
    return strcmp(verb, "check") == 0 ? print_problems(problems) : write_block(&block, err);
}

/* A rule, or a keyword of one, that there was no memory for would be missing in what is kept. */
static void *must_allocate(size_t size)
{
    void *at = malloc(size);

    if (!at)
        _exit(1);
    return at;
}

int main(int argc, char **argv)
{
    struct error err = ERROR_INIT;

    json_set_alloc_funcs(must_allocate, free);

    if (argc != 2 || (strcmp(argv[1], "compile") != 0 && strcmp(argv[1], "compile-toml") != 0 &&
                      strcmp(argv[1], "check") != 0)) {
        fputs("usage: gitgate-rules compile | compile-toml | check\n", stderr);
        return 2;
    }
    if (run(argv[1], &err) < 0) {
        fprintf(stderr, "gitgate-rules: %s\n", err.msg);
        return 1;
    }
    return 0;
}
