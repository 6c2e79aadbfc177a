/* The controller's decisions: each folder of cases/reconcile is one.
 *
 *   in.json   what is seen: `gitgate`; `addresses` and `errors` of hosts; `owned` objects, each as
 *             {version, owner: "this" | a uid, applied: "wanted" | a digest, foreign, unlabelled,
 *             lacking: a key of its data};
 * `accepted` versions; `secrets` and `configMaps` when they were read ("$key" in one stands for a
 *             private key, a string for one that can't be read), `made`, data of the credentials
 *             that are there, which may be kept or not; `known` problems of the credentials;
 * `failed`, a step that fails; `pods`: {gated, outdated, missing}, the first a number, the others
 * names out.json  what is to be done: steps, the status, whether the sources must be read; and the
 * news that the status is
 *
 * With GITGATE_WRITE_CASES=1 in the environment out.json is written instead: review it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/base64.h"
#include "news.h"
#include "private_key.h"
#include "reconcile.h"

#define NOW 1767225600 /* 2026-01-01T00:00:00Z */
#define CASE_MAX (1u << 20)
#define IPS_MAX 8
#define APPLIED_MAX 64 /* of the annotation */

static const char *const owned_words[OWNED_N] = {
    [OWNED_INTERNAL] = "internal", [OWNED_EGRESS] = "egress", [OWNED_CREDS] = "creds",
    [OWNED_HOOKS] = "hooks",       [OWNED_CLIENT] = "client",
};
static const char *const verb_words[] = {
    [STEP_CREATE] = "create", [STEP_UPDATE] = "update", [STEP_DELETE] = "delete"};

/* ---- What is seen -------------------------------------------------------------------------- */

struct fixture {
    json_t *in;
    struct gitgate gate;
    struct problems problems;
    struct seen seen[OWNED_N];
    const char *ips[GITGATE_UPSTREAMS_MAX][IPS_MAX + 1];
    struct resolved resolved[GITGATE_UPSTREAMS_MAX];
    struct render_sources sources;
    struct census census;
    struct observed observed;
};

static json_t *get(const json_t *object, const char *key)
{
    return json_object_get(object, key);
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(get(object, key));
}

/* No file of the project holds a private key, also no false one. */
static json_t *private_key(void)
{
    cleanup_buf struct buf pem = BUF_INIT(1000), base64 = BUF_INIT(2000);

    add_private_key(&pem, &KEY_FORM);
    base64_encode(pem.data, pem.len, &base64);
    return json_string(base64.data);
}

static void put_keys_in(json_t *secrets)
{
    const char *name, *key;
    json_t *secret, *value;

    json_object_foreach(secrets, name, secret) {
        json_object_foreach(get(secret, "data"), key, value) {
            if (json_is_string(value) && strcmp(json_string_value(value), "$key") == 0)
                json_object_set_new(get(secret, "data"), key, private_key());
        }
    }
}

static void see_addresses(struct fixture *f)
{
    for (size_t i = 0; i < f->gate.n_upstreams; i++) {
        const char *host = f->gate.upstreams[i].url.host;
        const char *error = text(get(f->in, "errors"), host);
        json_t *list = get(get(f->in, "addresses"), host), *ip;
        size_t j;

        json_array_foreach(list, j, ip) {
            f->ips[i][j] = json_string_value(ip);
        }
        f->resolved[i] = (struct resolved){.ips = f->ips[i], .error = error ? error : ""};
    }
}

static void count_names(const json_t *names, struct pod_group *group)
{
    size_t i;
    json_t *name;

    json_array_foreach(names, i, name) {
        census_add(group, json_string_value(name));
    }
}

static void see_pods(struct fixture *f)
{
    const json_t *pods = get(f->in, "pods");

    if (!pods)
        return;
    f->census.selector_idle = json_is_true(get(pods, "selectorIdle"));
    f->census.gated = (size_t)json_integer_value(get(pods, "gated"));
    count_names(get(pods, "outdated"), &f->census.outdated);
    count_names(get(pods, "missing"), &f->census.missing);
    f->observed.census = &f->census;
}

static void load(const char *folder, struct fixture *f)
{
    char path[512];
    json_error_t where;

    memset(f, 0, sizeof *f);
    snprintf(path, sizeof path, "%s/in.json", folder);
    f->in = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    if (!f->in)
        fail_msg("%s:%d: %s", path, where.line, where.text);
    f->observed.object = get(f->in, "gitgate");
    f->observed.status = get(f->observed.object, "status");
    if (gitgate_decode(f->observed.object, false, &f->gate, &f->problems) == 0)
        f->observed.gate = &f->gate;
    f->observed.invalid = &f->problems;
    f->observed.resolved = f->resolved;
    f->observed.made_from = digest_of("sources", 7);
    f->observed.creds_problems = get(f->in, "known");
    f->observed.creds_known = f->observed.creds_problems;
    see_addresses(f);
    see_pods(f);
    put_keys_in(get(f->in, "secrets"));
    f->sources = (struct render_sources){.secrets = get(f->in, "secrets"),
                                         .config_maps = get(f->in, "configMaps")};
    if (f->sources.secrets)
        f->observed.sources = &f->sources;
}

/* The digest that is applied when nothing of that kind is there. */
static void wanted_digest(const struct fixture *f, enum owned which, char to[APPLIED_MAX])
{
    struct observed observed = f->observed;
    cleanup_plan struct plan plan;
    json_auto_t *nothing = json_object();
    struct render_sources empty = {nothing, nothing, NULL};

    memset(observed.owned, 0, sizeof observed.owned);
    observed.sources = &empty;
    assert_int_equal(reconcile(&observed, NOW, &plan), 0);
    for (size_t i = 0; i < plan.n_steps; i++)
        if (plan.steps[i].which == which)
            strcpy(to, text(get(get(plan.steps[i].object, "metadata"), "annotations"),
                            ANNOTATION_APPLIED));
}

/* Of as many keys as the annotation tells of, or of one less. */
static json_t *managed_keys(const char *applied, bool lacking)
{
    const char *dot = strchr(applied, '.');
    json_t *keys = json_object();
    char key[16];

    for (int i = lacking; dot && i < atoi(dot + 1); i++) {
        snprintf(key, sizeof key, "f:%d", i);
        json_object_set_new(keys, key, json_object());
    }
    return keys;
}

static json_t *metadata_of(const struct fixture *f, enum owned which, const json_t *short_form)
{
    const char *owner = text(short_form, "owner"), *applied = text(short_form, "applied");
    const char *uid = text(get(f->observed.object, "metadata"), "uid");
    char own[UID_TEXT_SIZE], digest[APPLIED_MAX] = "";
    json_t *object;

    if (applied && strcmp(applied, "wanted") == 0)
        wanted_digest(f, which, digest);
    else if (applied)
        snprintf(digest, sizeof digest, "%s", applied);
    uid_print(&(struct uid){{[15] = (unsigned char)(which + 1)}}, own);
    object = json_pack("{s:{s:s, s:s, s:{s:s}, s:[{s:{s:o}, s:s, s:s}]}}", "metadata", "uid", own,
                       "resourceVersion", text(short_form, "version"), "annotations",
                       ANNOTATION_APPLIED, digest, "managedFields", "fieldsV1", "f:data",
                       managed_keys(digest, json_is_true(get(short_form, "lacking"))), "manager",
                       json_is_true(get(short_form, "foreign")) ? "kubectl" : "gitgate-controller",
                       "operation", "Apply");
    if (!json_is_true(get(short_form, "unlabelled")))
        json_object_set_new(get(object, "metadata"), "labels",
                            json_pack("{s:s, s:s}", GITGATE_LABEL_MANAGED_BY, GITGATE_MANAGER,
                                      GITGATE_LABEL_GATE, "agents"));
    if (owner)
        json_object_set_new(get(object, "metadata"), "ownerReferences",
                            json_pack("[{s:s, s:s, s:s, s:s, s:b}]", "apiVersion",
                                      "gitgate.dev/v1alpha1", "kind", "GitGate", "name", "agents",
                                      "uid", strcmp(owner, "this") == 0 ? uid : owner, "controller",
                                      1));
    return object;
}

/* As the watch tells of it. */
static struct seen see(const json_t *object)
{
    cleanup_free char *text = json_dumps(object, 0);
    cleanup_document struct document document = DOCUMENT_INIT;

    assert_int_equal(document_parse(text, strlen(text), &document, NULL), 0);
    return seen_of(document_root(&document));
}

static void see_owned(struct fixture *f)
{
    for (enum owned i = 0; i < OWNED_N; i++) {
        json_t *short_form = get(get(f->in, "owned"), owned_words[i]);
        json_auto_t *object = short_form ? metadata_of(f, i, short_form) : NULL;

        if (object) {
            f->seen[i] = see(object);
            f->observed.owned[i] = &f->seen[i];
        }
        f->observed.accepted[i] = version_parse(text(get(f->in, "accepted"), owned_words[i]));
    }
    if (f->observed.gate && observed_may_keep_creds(&f->observed))
        f->sources.made = get(f->in, "made");
}

static void unload(struct fixture *f)
{
    problems_done(&f->problems);
    gitgate_done(&f->gate);
    json_decref(f->in);
}

/* ---- What is to be done -------------------------------------------------------------------- */

static json_t *step_json(const struct step *step)
{
    struct name name = gitgate_owned_name("agents", owned_types[step->which].name);
    const char *key;
    json_t *value, *keys, *line;

    line = json_pack("{s:o}", verb_words[step->verb],
                     json_sprintf("%s %s", owned_types[step->which].resource->kind, name.text));
    if (step->which != OWNED_CREDS)
        return line;
    keys = json_array();
    json_object_foreach(get(step->object, "data"), key, value) {
        json_array_append_new(keys, json_string(key));
    }
    json_object_set_new(line, "keys", keys);
    return line;
}

/* Every write says what must be there: nothing, or the object that was seen. */
static void check_precondition(const struct fixture *f, const struct step *step)
{
    const json_t *metadata = get(step->object, "metadata");

    if (step->verb == STEP_CREATE) {
        assert_null(f->observed.owned[step->which]);
        assert_null(text(metadata, "resourceVersion"));
        assert_null(text(metadata, "uid"));
    } else {
        struct uid uid = uid_parse(text(metadata, "uid"));
        struct uid gate = uid_parse(text(get(f->observed.object, "metadata"), "uid"));

        assert_true(uid_equal(&uid, &f->seen[step->which].uid));
        assert_true(uid_equal(&gate, &f->seen[step->which].owner));
    }
}

static json_t *outcome(const struct fixture *f)
{
    const char *failed = text(f->in, "failed");
    json_t *out = json_object(), *steps = json_array();
    cleanup_plan struct plan plan;

    assert_int_equal(reconcile(&f->observed, NOW, &plan), 0);
    json_object_set_new(out, "needSources", json_boolean(plan.need_sources));
    json_object_set_new(out, "steps", steps);
    for (size_t i = 0; i < plan.n_steps; i++) {
        check_precondition(f, &plan.steps[i]);
        json_array_append_new(steps, step_json(&plan.steps[i]));
        if (failed && strcmp(failed, owned_words[plan.steps[i].which]) == 0) {
            json_decref(plan.status);
            plan.status = reconcile_failed(&f->observed, &plan, &plan.steps[i],
                                           "the API server's words", NOW);
        }
    }
    json_object_set_new(out, "status", plan.status ? json_incref(plan.status) : json_null());
    if (plan.status)
        json_object_set_new(out, "news",
                            news_of(f->observed.status, plan.status, f->observed.census));
    return out;
}

static int append(const char *bytes, size_t len, void *to)
{
    buf_add(to, bytes, len);
    return buf_error(to) ? -1 : 0;
}

static void run_case(const char *folder)
{
    cleanup_buf struct buf got = BUF_INIT(CASE_MAX), want = BUF_INIT(CASE_MAX);
    struct error err = ERROR_INIT;
    json_auto_t *out = NULL;
    struct fixture f;
    char path[512];

    load(folder, &f);
    see_owned(&f);
    out = outcome(&f);
    unload(&f);
    json_dump_callback(out, append, &got, JSON_INDENT(2));
    buf_addc(&got, '\n');
    snprintf(path, sizeof path, "%s/out.json", folder);
    if (getenv("GITGATE_WRITE_CASES")) {
        assert_int_equal(file_write(path, got.data, got.len, 0644, &err), 0);
        return;
    }
    if (file_read(path, &want, &err) < 0)
        fail_msg("%s", err.msg);
    if (strcmp(got.data, want.data) != 0)
        fail_msg("%s: not as in out.json, but:\n%s", folder, got.data);
}

static void every_case_gets_its_plan(void **state)
{
    glob_t found;

    (void)state;
    assert_int_equal(glob("reconcile/*", GLOB_ONLYDIR, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        run_case(found.gl_pathv[i]);
    globfree(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_gets_its_plan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
