#include "judge.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/file.h"
#include "base/parse.h"
#include "git.h"
#include "lock.h"
#include "policy.h"

#define CONFIG_FILE "gitleaks.toml"
#define REPORT_FILE "report.json"
#define CANARY_FILE "canary"
#define CANARY_RULE "gitgate-canary"
#define CANARY_DEFAULT_RULE "github-pat" /* of gitleaks' own: they are loaded, too */
#define CANARY_LEN 36                    /* what a GitHub token has behind its prefix */

#define CONFIG_MAX (4u << 20)
#define REPORT_MAX (64u << 20) /* 100,000 findings; more is no verdict either */
#define SAID_MAX (256u << 10)
#define SAID_SHOWN 400
#define CODE_FOUND 77 /* what we make gitleaks exit with: 1 is also its general failure */
#define CODE_TEXT "77"
#define DECODE_DEPTH "5" /* base64 in hex in base64 ...: gitleaks' own default */

void verdicts_done(struct verdicts *verdicts)
{
    free(verdicts->list);
    *verdicts = (struct verdicts){0};
}

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

int judge_canary(const struct workdir *dir, const char *content, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(1024);
    char path[PATH_MAX], name[NAME_MAX], ours[CANARY_LEN + 1], theirs[CANARY_LEN + 1];
    int r;

    if (random_word(ours) < 0 || random_word(theirs) < 0)
        return error_set(err, -EIO, "no random numbers");
    buf_addf(&text, CANARY_RULE "-%s\n%s_%s\n", ours, "ghp", theirs);
    snprintf(name, sizeof name, "%s/" CANARY_FILE, content);
    workdir_path(dir, name, path);
    r = file_write(path, text.data, text.len, 0600, err);
    return r < 0 ? r : (int)text.len;
}

/* ---- the configuration ---- */

/* A JSON string is a TOML basic string, except that TOML wants DEL escaped. */
static void add_string(struct buf *to, const char *text)
{
    json_auto_t *value = json_string(text);
    cleanup_free char *quoted = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;

    if (!quoted || strchr(quoted, 0x7f))
        to->err = to->err ? to->err : -EINVAL;
    else
        buf_adds(to, quoted);
}

static void add_rule(struct buf *to, const json_t *rule)
{
    const char *description = json_string_value(json_object_get(rule, "description"));
    json_t *keywords = json_object_get(rule, "keywords"), *keyword;
    size_t i;

    buf_adds(to, "\n[[rules]]\nid = ");
    add_string(to, json_string_value(json_object_get(rule, "id")));
    buf_adds(to, "\ndescription = ");
    add_string(to, description ? description : "a rule of this GitGate");
    buf_adds(to, "\nregex = ");
    add_string(to, json_string_value(json_object_get(rule, "regex")));
    buf_adds(to, "\nkeywords = [");
    json_array_foreach(keywords, i, keyword)
    {
        buf_adds(to, i ? ", " : "");
        add_string(to, json_string_value(keyword));
    }
    buf_adds(to, "]\n");
}

static int write_config(const struct workdir *dir, const struct scan_policy *policy,
                        struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(CONFIG_MAX);
    char path[PATH_MAX];
    json_t *rule;
    size_t i;

    buf_adds(&text, "title = \"gitgate\"\n[extend]\nuseDefault = true\n"
                    "\n[[rules]]\nid = \"" CANARY_RULE "\"\ndescription = \"canary\"\n"
                    "regex = '''" CANARY_RULE "-[0-9a-zA-Z]{36}'''\n"
                    "keywords = [\"" CANARY_RULE "\"]\n");
    json_array_foreach(policy->rules, i, rule) add_rule(&text, rule);
    if (buf_error(&text))
        return error_errno(err, buf_error(&text), "cannot write gitleaks' configuration");
    workdir_path(dir, CONFIG_FILE, path);
    return file_write(path, text.data, text.len, 0600, err);
}

/* ---- the run ---- */

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

static int run_gitleaks(const struct workdir *dir, const char *content, uint64_t bytes,
                        uint64_t deadline_ns, struct error *err)
{
    static const char *const argv[] = {"gitleaks",
                                       "dir",
                                       "--no-banner",
                                       "--no-color",
                                       "--log-level=info",
                                       "--config=../" CONFIG_FILE,
                                       "--report-format=json",
                                       "--report-path=../" REPORT_FILE,
                                       "--redact=100",
                                       "--exit-code=" CODE_TEXT,
                                       "--ignore-gitleaks-allow",
                                       "--max-decode-depth=" DECODE_DEPTH,
                                       ".",
                                       NULL};
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(SAID_MAX, SAID_MAX);
    cleanup_child_env struct child_env env = CHILD_ENV_INIT;
    struct proc_spec spec = {.argv = argv, .timeout_ms = ms_until(deadline_ns)};
    char cwd[PATH_MAX];
    int r = child_env_base(&env);

    if (r < 0)
        return error_errno(err, r, "cannot run gitleaks");
    workdir_path(dir, content, cwd);
    spec.cwd = cwd;
    spec.env = (const char *const *)env.list;
    r = proc_run(&spec, &result, err);
    if (r == 0)
        r = check_end(&spec, &result, err);
    return r < 0 ? r : check_bytes(&result, bytes, err);
}

/* ---- the report ---- */

static bool take(const json_t *finding, struct verdict *to)
{
    const char *rule = json_string_value(json_object_get(finding, "RuleID"));
    const char *file = json_string_value(json_object_get(finding, "File"));
    json_int_t line = json_integer_value(json_object_get(finding, "StartLine"));

    if (!rule || !file || line < 0 || line > INT_MAX)
        return false;
    to->line = (unsigned)line;
    return snprintf(to->rule, sizeof to->rule, "%s", rule) < (int)sizeof to->rule &&
           snprintf(to->file, sizeof to->file, "%s", file) < (int)sizeof to->file;
}

/* Fills in what is not the canary's; says whether both rules have found that. */
static int take_findings(const json_t *report, struct verdicts *ret, struct error *err)
{
    bool ours = false, theirs = false;
    json_t *finding;
    size_t i;

    json_array_foreach(report, i, finding)
    {
        struct verdict *to = &ret->list[ret->n];

        if (!take(finding, to))
            return error_set(err, -EIO, "gitleaks' report can't be understood");
        if (strcmp(to->file, CANARY_FILE) == 0) {
            ours = ours || strcmp(to->rule, CANARY_RULE) == 0;
            theirs = theirs || strcmp(to->rule, CANARY_DEFAULT_RULE) == 0;
        } else if (strcmp(to->rule, CANARY_RULE) != 0) {
            ret->n++;
        }
    }
    return ours && theirs ? 0 : error_set(err, -EIO, "gitleaks did not find its canary");
}

static int read_report(const struct workdir *dir, struct verdicts *ret, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(REPORT_MAX);
    cleanup_verdicts struct verdicts verdicts = {0};
    json_auto_t *report = NULL;
    char path[PATH_MAX];
    int r;

    workdir_path(dir, REPORT_FILE, path);
    r = file_read(path, &text, NULL);
    if (r == 0)
        report = json_loadb(text.data, text.len, 0, NULL);
    if (!json_is_array(report))
        return error_set(err, -EIO, "gitleaks wrote no report that can be read");
    verdicts.list = calloc(json_array_size(report) + 1, sizeof *verdicts.list);
    if (!verdicts.list)
        return error_errno(err, -ENOMEM, "cannot read gitleaks' report");
    r = take_findings(report, &verdicts, err);
    if (r == 0) {
        *ret = verdicts;
        verdicts = (struct verdicts){0};
    }
    return r;
}

int judge_run(const struct workdir *dir, const char *content, const struct scan_policy *policy,
              uint64_t bytes, uint64_t deadline_ns, struct verdicts *ret, struct error *err)
{
    int r = write_config(dir, policy, err);

    if (r == 0)
        r = run_gitleaks(dir, content, bytes, deadline_ns, err);
    return r < 0 ? r : read_report(dir, ret, err);
}
