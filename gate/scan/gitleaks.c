/* One run of gitleaks over a part, and whether it has looked at all of it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/parse.h"
#include "base/proc.h"
#include "git.h"
#include "lock.h"
#include "policy.h"
#include "scan/judge_impl.h"

#define CONFIG_FILE "gitleaks.toml"
#define TEMPLATE_FILE "report.template"
#define CANARY_LEN 36 /* what a GitHub token has behind its prefix */
#define CONFIG_MAX (16u << 20)
#define SAID_MAX (256u << 10)
#define SAID_SHOWN 400
#define CODE_FOUND 77 /* what we make gitleaks exit with: 1 is also its general failure */
#define CODE_TEXT "77"
#define DECODE_DEPTH "5" /* base64 in hex in base64 ...: gitleaks' own default */

/* Soft: gitleaks has 36 MB before it reads anything, and the collector works no more than half of
 * the time when it can't be kept. With a part's bytes all of them tokens it has 58. */
#define MEMORY_LIMIT "GOMEMLIMIT", "40MiB"

/* ---- the canary ---- */

/* Consonants and digits: no word that gitleaks allows ("false", "example") comes out of it. */
static int random_word(char to[CANARY_LEN + 1])
{
    static const char alphabet[] = "0123456789bcdfghjkmnpqrstvwxzBCD"; /* 32: no bias */
    unsigned char bytes[CANARY_LEN];

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return -EIO;
    for (size_t i = 0; i < CANARY_LEN; i++)
        to[i] = alphabet[bytes[i] % 32];
    to[CANARY_LEN] = '\0';
    return 0;
}

/* The file's length, or a negative errno. */
static ssize_t write_canary(const struct judge *j, size_t part, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(1024);
    char ours[CANARY_LEN + 1], theirs[CANARY_LEN + 1], name[NAME_MAX + 1];
    int r;

    if (random_word(ours) < 0 || random_word(theirs) < 0)
        return error_set(err, -EIO, "no random numbers");
    buf_addf(&text, CANARY_RULE "-%s\n%s_%s\n", ours, "ghp", theirs);
    snprintf(name, sizeof name, JUDGED_PART "/" CANARY_FILE, part);
    r = workdir_write(j->dir, name, text.data, text.len, err);
    return r < 0 ? r : (ssize_t)text.len;
}

/* ---- the run ---- */

/* As JSON what a verdict needs. Neither the match nor its line are in it, so no secret is; and none
 * has to be redacted, for which gitleaks makes a copy of the whole line for each finding in it:
 * 2.4 GB for tokens of one megabyte. */
static const char template[] =
    "[{{range $i, $f := .}}{{if $i}},{{end}}{\"RuleID\":{{toJson $f.RuleID}},"
    "\"File\":{{toJson $f.File}},\"StartLine\":{{$f.StartLine}},\"EndLine\":{{$f.EndLine}},"
    "\"StartColumn\":{{$f.StartColumn}},\"EndColumn\":{{$f.EndColumn}}}\n{{end}}]\n";

static int write_config(const struct judge *j, struct rulebook *book, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(CONFIG_MAX);
    int r = 0;

    buf_adds(&text, "title = \"gitgate\"\n\n[[rules]]\nid = \"" CANARY_RULE "\"\n"
                    "regex = '''" CANARY_RULE "-[0-9a-zA-Z]{36}'''\n"
                    "keywords = [\"" CANARY_RULE "\"]\n");
    for (size_t i = 0; r == 0 && i < book->n; i++) {
        r = rules_detail(&book->sets[i], err);
        buf_adds(&text, rules_judge(&book->sets[i]));
        if (r == 0 && &book->sets[i] == book->config)
            buf_adds(&text, rules_allowlists(&book->sets[i]));
    }
    if (r < 0)
        return r;
    if (buf_error(&text))
        return error_errno(err, buf_error(&text), "cannot write gitleaks' configuration");
    r = workdir_write(j->dir, TEMPLATE_FILE, template, strlen(template), err);
    return r < 0 ? r : workdir_write(j->dir, CONFIG_FILE, text.data, text.len, err);
}

static int check_end(const struct proc_spec *spec, const struct proc_result *result,
                     struct error *err)
{
    cleanup_buf struct buf said = BUF_INIT(SAID_SHOWN), how = BUF_INIT(256);
    size_t len = result->err.len < SAID_SHOWN ? result->err.len : SAID_SHOWN;

    if (!result->timed_out && result->exit_code == CODE_FOUND)
        return 0; /* nothing else will do: the canary is there to be found */
    if (!result->timed_out && result->exit_code == 0)
        return error_set(err, -EIO, "gitleaks did not find its canary");
    if (result->timed_out)
        return error_set(err, -ETIMEDOUT, "gitleaks took too long (spec.scan.timeout)");
    proc_describe(spec, result, &how);
    printable(&said, result->err.data, len);
    return error_set(err, -EIO, "gitleaks: %s: %s", how.data, said.data);
}

/* "scanned ~1234 bytes": what was skipped, for whatever reason, is not in that number. */
static int check_bytes(const struct proc_result *result, uint64_t bytes, struct error *err)
{
    static const char mark[] = "scanned ~";
    const char *at = strstr(result->err.data, mark);
    char digits[24];
    uint64_t read = 0;
    size_t len;

    at = at ? at + sizeof mark - 1 : "";
    len = strspn(at, "0123456789");
    if (len == 0 || len >= sizeof digits)
        return error_set(err, -EIO, "gitleaks does not say how much it has read");
    memcpy(digits, at, len);
    digits[len] = '\0';
    if (parse_u64(digits, UINT64_MAX, &read) < 0 || read != bytes)
        return error_set(err, -EIO, "gitleaks has read %s bytes of %" PRIu64, digits, bytes);
    return 0;
}

static uint64_t ms_until(uint64_t deadline_ns)
{
    uint64_t now = clock_now_ns();

    return deadline_ns > now ? (deadline_ns - now) / 1000000u + 1 : 1;
}

static int run(const struct judge *j, size_t part, uint64_t deadline_ns, struct proc_result *result,
               struct error *err)
{
    cleanup_child_env struct child_env env = CHILD_ENV_INIT;
    char cwd[PATH_MAX], report[NAME_MAX + 1];
    const char *const argv[] = {"gitleaks",
                                "dir",
                                "--no-banner",
                                "--no-color",
                                "--log-level=info",
                                "--config=../" CONFIG_FILE,
                                "--report-format=template",
                                "--report-template=../" TEMPLATE_FILE,
                                "--report-path",
                                report,
                                "--exit-code=" CODE_TEXT,
                                "--ignore-gitleaks-allow",
                                "--max-decode-depth=" DECODE_DEPTH,
                                ".",
                                NULL};
    struct proc_spec spec = {.argv = argv, .cwd = cwd, .timeout_ms = ms_until(deadline_ns)};
    int r = child_env_base(&env);

    if (r == 0)
        r = child_env_set(&env, MEMORY_LIMIT);
    if (r < 0)
        return error_errno(err, r, "cannot run gitleaks");
    judge_part_path(j, part, cwd);
    snprintf(report, sizeof report, "../" JUDGED_PART ".json", part);
    spec.env = (const char *const *)env.list;
    r = proc_run(&spec, result, err);
    return r < 0 ? r : check_end(&spec, result, err);
}

int judge_run_gitleaks(struct judge *j, size_t part, struct rulebook *book, uint64_t deadline_ns,
                       struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(SAID_MAX, SAID_MAX);
    ssize_t canary = write_canary(j, part, err);
    int r = canary < 0 ? (int)canary : 0;

    if (r == 0 && part == 0)
        r = write_config(j, book, err);
    if (r == 0)
        r = run(j, part, deadline_ns, &result, err);
    return r < 0 ? r : check_bytes(&result, j->parts[part].bytes + (uint64_t)canary, err);
}
