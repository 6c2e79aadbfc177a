/* gitgate check, a program of its own: says of each upstream what is wrong, before a gate is
 * started. It makes the gate's files in a folder of its own, which nobody else can look into and
 * which is gone afterwards. */
#include <curl/curl.h>
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "cli.h"
#include "examine.h"
#include "guard.h"
#include "input.h"
#include "output.h"
#include "state.h"

#define TOGETHER "16" /* upstreams at a time: libuv's own threads, four unless told otherwise */
#define OUT_MAX (4u << 20)
#define TREE_FDS 16
#define AUTHORITY "127.0.0.1" /* nothing will listen there: the client's part is not used */

struct options {
    const char *file;
    bool json;
};

/* One upstream, in a thread. */
struct task {
    uv_work_t work;
    const struct gate *gate;
    struct finding finding;
};

struct check {
    struct options options;
    struct input input;
    struct gate gate;
    struct problems problems; /* of the credentials, with their places */
    struct task tasks[GITGATE_UPSTREAMS_MAX];
    char dir[PATH_MAX];
};

static int parse_options(int argc, char **argv, struct options *ret)
{
    static const struct option longs[] = {
        {"file", required_argument, NULL, 'f'},
        {"output", required_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "f:o:", longs, NULL)) != -1) {
        if (c == 'f')
            ret->file = optarg;
        else if (c == 'o' && strcmp(optarg, "json") == 0)
            ret->json = true;
        else if (c == 'o')
            return usage_error("-o takes json, not \"%s\"", optarg);
        else
            return EXIT_USAGE; /* getopt has said why */
    }
    if (optind < argc)
        return usage_error("unexpected argument \"%s\"", argv[optind]);
    if (!ret->file)
        return usage_error("check needs -f FILE");
    return 0;
}

/* ---- the folder ---- */

/* In memory where the session has a place for that: credentials are in it. */
static int make_folder(char dir[PATH_MAX], struct error *err)
{
    static const char *const variables[] = {"XDG_RUNTIME_DIR", "TMPDIR"};
    const char *base = "/tmp";
    struct error ignored = ERROR_INIT;

    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);

        if (value && value[0] == '/' && access(value, W_OK | X_OK) == 0) {
            base = value;
            break;
        }
    }
    if (path_make(dir, &ignored, "%s/gitgate-check.XXXXXX", base) < 0 || !mkdtemp(dir)) {
        dir[0] = '\0';
        return error_errno(err, -errno, "cannot make a folder in %s", base);
    }
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_folder(const char *dir)
{
    if (*dir && nftw(dir, remove_entry, TREE_FDS, FTW_DEPTH | FTW_PHYS) != 0)
        fprintf(stderr, "gitgate: cannot remove %s, in which credentials are: %s\n", dir,
                strerror(errno));
}

/* ---- the gate that is not started ---- */

/* The object is the input's, which stays its owner. */
static int fill_gate(struct check *check, struct error *err)
{
    struct gate *gate = &check->gate;
    int r = path_make(gate->config_dir, err, "%s/config", check->dir);

    gate->spec = check->input.gate;
    if (r == 0)
        r = path_make(gate->creds_dir, err, "%s/creds", check->dir);
    if (r == 0)
        r = path_make(gate->repos_dir, err, "%s/git", check->dir);
    return r;
}

/* What render_creds found wrong with an upstream's Secrets and ConfigMaps. */
static void take_problems(const struct check *check, struct finding *finding)
{
    char prefix[64];

    snprintf(prefix, sizeof prefix, "spec.upstreams[%zu].", finding->index);
    for (size_t i = 0; i < check->problems.n; i++) {
        const struct problem *problem = &check->problems.list[i];

        if (strncmp(problem->path, prefix, strlen(prefix)) == 0)
            finding_problem(finding, check->input.name, problem);
    }
}

static void on_work(uv_work_t *work)
{
    struct task *task = work->data;

    examine(task->gate, task->finding.upstream, &task->finding);
}

static void on_worked(uv_work_t *work, int status)
{
    struct task *task = work->data;

    if (status < 0)
        finding_fail(&task->finding, FAULT_GATE, "it was not looked at");
}

static void examine_all(struct check *check, uv_loop_t *loop)
{
    for (size_t i = 0; i < check->gate.spec.n_upstreams; i++) {
        struct task *task = &check->tasks[i];

        task->gate = &check->gate;
        task->work.data = task;
        finding_init(&task->finding, &check->gate.spec.upstreams[i], i);
        take_problems(check, &task->finding);
        if (uv_queue_work(loop, &task->work, on_work, on_worked) < 0)
            finding_fail(&task->finding, FAULT_GATE, "it can't be looked at");
    }
    uv_run(loop, UV_RUN_DEFAULT);
}

/* ---- what came of it ---- */

static void print_people(const struct check *check)
{
    for (size_t i = 0; i < check->gate.spec.n_upstreams; i++) {
        cleanup_buf struct buf out = BUF_INIT(OUT_MAX);

        finding_print(&check->tasks[i].finding, &out);
        fputs(out.data, stdout);
    }
}

static void print_json(const struct check *check)
{
    json_auto_t *object = json_pack("{s:s, s:[]}", "gate", check->gate.spec.name, "upstreams");

    for (size_t i = 0; i < check->gate.spec.n_upstreams; i++)
        json_array_append_new(json_object_get(object, "upstreams"),
                              finding_json(&check->tasks[i].finding));
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
}

/* What is wrong with the scan's configuration: of no upstream, and pushes to all are refused. */
static bool scan_is_fine(const struct check *check)
{
    static const char prefix[] = "spec.scan.";
    bool fine = true;

    for (size_t i = 0; i < check->problems.n; i++) {
        struct problem *problem = &check->problems.list[i];
        struct problems one = {.list = problem, .n = 1, .total = 1};
        cleanup_buf struct buf text = BUF_INIT(OUT_MAX);

        if (strncmp(problem->path, prefix, strlen(prefix)) != 0)
            continue;
        fine = false;
        problems_print(&one, check->input.name, &text);
        fputs(text.data, stderr);
    }
    return fine;
}

static int exit_code(const struct check *check)
{
    if (!scan_is_fine(check))
        return EXIT_FAILURE;
    for (size_t i = 0; i < check->gate.spec.n_upstreams; i++)
        if (check->tasks[i].finding.fault != FAULT_NONE)
            return EXIT_FAILURE;
    return EXIT_SUCCESS;
}

/* In a process of its own: what git and ssh leave behind ends with it. */
static int check_all(void *data)
{
    struct check *check = data;
    uv_loop_t loop;
    int code;

    setenv("UV_THREADPOOL_SIZE", TOGETHER, 1);
    if (uv_loop_init(&loop) < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        fputs("gitgate: cannot begin\n", stderr);
        return EXIT_FAILURE;
    }
    examine_all(check, &loop);
    uv_loop_close(&loop);
    curl_global_cleanup();
    if (check->options.json)
        print_json(check);
    else
        print_people(check);
    code = exit_code(check);
    if (output_end() != EXIT_SUCCESS)
        code = EXIT_FAILURE;
    for (size_t i = 0; i < check->gate.spec.n_upstreams; i++)
        finding_done(&check->tasks[i].finding);
    return code;
}

static int run_check(struct check *check, int *code, struct error *err)
{
    json_auto_t *creds = render_creds(&check->input.gate, &check->input.sources, &check->problems);
    int r = make_folder(check->dir, err);

    yaml_locate(check->input.gate_document, &check->problems);
    if (r == 0)
        r = state_write(check->dir, &check->input, creds, AUTHORITY, err);
    if (r == 0)
        r = fill_gate(check, err);
    return r < 0 ? r : guard_run(check_all, check, code, err);
}

int main(int argc, char **argv)
{
    static struct check check; /* large, and as long as the process */
    struct error err = ERROR_INIT;
    int code = EXIT_FAILURE, r;

    output_begin();
    r = parse_options(argc, argv, &check.options);
    if (r != 0)
        return r;
    if (input_read(check.options.file, &check.input) < 0)
        return EXIT_FAILURE;
    r = run_check(&check, &code, &err);
    remove_folder(check.dir);
    problems_done(&check.problems);
    input_done(&check.input);
    if (r < 0)
        fprintf(stderr, "gitgate: %s\n", err.msg);
    return r < 0 ? EXIT_FAILURE : code;
}
