/* gitgate inject: manifests with the gate in their pods, as the webhook puts it there; and gitgate
 * uninject, which takes it out again. */
#include "inject.h" /* the webhook's */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "api/gitgate.h"
#include "cli.h"
#include "manifest.h"
#include "undo.h"

#define NAMESPACE_DEFAULT "default"
#define TEXT_MAX 1024

struct run {
    struct inject_options options;
    const char *namespace_; /* of objects that name none */
    struct manifests manifests;
    struct gate **gates;
    size_t n;
};

static void run_done(struct run *run)
{
    for (size_t i = 0; i < run->n; i++)
        gate_free(run->gates[i]);
    free((void *)run->gates);
    manifests_done(&run->manifests);
}

static int no_memory(const struct place *place)
{
    place_complain(place, "", "out of memory");
    return -ENOMEM;
}

/* ---- GitGates ------------------------------------------------------------------------------ */

static const char *namespace_of(const struct run *run, const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *own = json_string_value(json_object_get(metadata, "namespace"));

    return own && *own ? own : run->namespace_;
}

static struct gate *find_gate(const struct run *run, const char *namespace_, const char *name)
{
    for (size_t i = 0; i < run->n; i++)
        if (strcmp(run->gates[i]->namespace_, namespace_) == 0 &&
            strcmp(run->gates[i]->name, name) == 0)
            return run->gates[i];
    return NULL;
}

static int add_gate(struct run *run, struct gate *gate)
{
    struct gate **gates =
        gate ? reallocarray((void *)run->gates, run->n + 1, sizeof(struct gate *)) : NULL;

    if (!gates) {
        gate_free(gate);
        return -ENOMEM;
    }
    run->gates = gates;
    gates[run->n++] = gate;
    return 0;
}

/* Decoded as the webhook does it: what `kubectl get` prints may have fields of a newer version. */
static int check_gate(const struct place *place, const struct inject_options *options)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_gitgate struct gitgate gate = {0};
    int r = gitgate_decode(place->object, false, &gate, &problems);

    for (size_t i = 0; i < problems.n; i++)
        place_complain(place, problems.list[i].path, "%s", problems.list[i].message);
    if (r == 0 && !*gate.image && !options->parts.image) {
        place_complain(place, "spec.gate.image",
                       "names no image: set it, or give --gate-image as the webhook has it");
        return -EINVAL;
    }
    return r;
}

static int read_gate(const struct place *place, void *data)
{
    struct run *run = data;
    const char *kind = json_string_value(json_object_get(place->object, "kind"));
    json_auto_t *copy = NULL;
    json_t *metadata;
    const char *name;

    if (!kind || strcmp(kind, GITGATE_KIND) != 0)
        return 0;
    if (check_gate(place, &run->options) < 0)
        return -EINVAL;
    copy = json_deep_copy(place->object);
    metadata = json_object_get(copy, "metadata");
    name = json_string_value(json_object_get(metadata, "name"));
    if (name && find_gate(run, namespace_of(run, copy), name)) {
        place_complain(place, "metadata.name", "a GitGate of this name stands before");
        return -EINVAL;
    }
    if (json_object_set_new(metadata, "namespace", json_string(namespace_of(run, copy))) < 0 ||
        add_gate(run, gate_new(copy)) < 0)
        return no_memory(place);
    return 0;
}

/* The gates of one namespace, to be freed. */
static int gates_of(const struct run *run, const char *namespace_, struct gate_list *ret)
{
    struct gate **list = calloc(run->n + 1, sizeof(struct gate *));
    size_t n = 0;

    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < run->n; i++)
        if (strcmp(run->gates[i]->namespace_, namespace_) == 0)
            list[n++] = run->gates[i];
    *ret = (struct gate_list){list, n};
    return 0;
}

/* ---- Pods ---------------------------------------------------------------------------------- */

/* The webhook's question and its answer. */
struct attempt {
    char *text; /* of the pod */
    struct review review;
    struct decision decision;
};

#define ATTEMPT_INIT                                                                               \
    ((struct attempt){                                                                             \
        .review =                                                                                  \
            {.uid = "", .operation = "CREATE", .sub_resource = "", .kind = "Pod", .name = ""},     \
        .decision = DECISION_INIT})

static void attempt_done(struct attempt *attempt)
{
    decision_done(&attempt->decision);
    review_done(&attempt->review);
    free(attempt->text);
}

static bool is_or_missing(const json_t *object, const char *key, json_type type)
{
    const json_t *value = json_object_get(object, key);

    return !value || json_is_null(value) || json_typeof(value) == type;
}

static int check_members(const struct place *place, const char *path, const json_t *object,
                         const char *const *lists, const char *const *maps)
{
    char field[128];

    for (; *lists; lists++)
        if (!is_or_missing(object, *lists, JSON_ARRAY)) {
            snprintf(field, sizeof field, "%s.%s", path, *lists);
            place_complain(place, field, "must be a list");
            return -EINVAL;
        }
    for (; *maps; maps++)
        if (!is_or_missing(object, *maps, JSON_OBJECT)) {
            snprintf(field, sizeof field, "%s.%s", path, *maps);
            place_complain(place, field, "must be an object");
            return -EINVAL;
        }
    return 0;
}

static int check_containers(const struct place *place, const char *list)
{
    static const char *const lists[] = {"env", "envFrom", "volumeMounts", NULL};
    static const char *const maps[] = {"securityContext", NULL};
    const json_t *containers = json_object_get(json_object_get(place->pod, "spec"), list);
    char path[96];
    json_t *container;
    size_t i;

    json_array_foreach(containers, i, container) {
        snprintf(path, sizeof path, "spec.%s[%zu]", list, i);
        if (!json_is_object(container)) {
            place_complain(place, path, "must be an object");
            return -EINVAL;
        }
        if (check_members(place, path, container, lists, maps) < 0)
            return -EINVAL;
    }
    return 0;
}

/* The API server has checked what the webhook gets: of what a file holds, nothing must be written
 * over because it is of another form. */
static int check_pod(const struct place *place)
{
    static const char *const lists[] = {"containers",  "initContainers",   "volumes",
                                        "hostAliases", "imagePullSecrets", NULL};
    static const char *const maps[] = {"labels", "annotations", NULL}, *const none[] = {NULL};
    const json_t *spec = json_object_get(place->pod, "spec");

    if (!json_is_object(spec)) {
        place_complain(place, "spec", "there must be a pod's spec here");
        return -EINVAL;
    }
    if (!is_or_missing(place->pod, "metadata", JSON_OBJECT)) {
        place_complain(place, "metadata", "must be an object");
        return -EINVAL;
    }
    if (check_members(place, "spec", spec, lists, none) < 0 ||
        check_members(place, "metadata", json_object_get(place->pod, "metadata"), none, maps) < 0 ||
        check_containers(place, "containers") < 0)
        return -EINVAL;
    return check_containers(place, "initContainers");
}

static int print_refusal(const struct run *run, const struct place *place,
                         const struct decision *decision)
{
    if (decision->err)
        return no_memory(place);
    for (size_t i = 0; i < decision->problems.n; i++)
        place_complain(place, decision->problems.list[i].path, "%s",
                       decision->problems.list[i].message);
    if (decision->problems.n == 0)
        place_complain(place, "metadata.labels", "%s", decision->reason.data);
    if (decision->missing && run->n == 0)
        fputs("gitgate: no file holds a GitGate: give the one that does with another -f, or what "
              "`kubectl get gitgates -o yaml` prints\n",
              stderr);
    return -EINVAL;
}

static int patch_pod(const struct place *place, const struct decision *decision)
{
    json_auto_t *patch = json_loadb(decision->patch.ops.data, decision->patch.ops.len, 0, NULL);
    struct error err = ERROR_INIT;

    if (!patch)
        return no_memory(place);
    if (undo_patch(place->pod, patch, &err) < 0) {
        place_complain(place, "", "%s", err.msg);
        return err.code;
    }
    return 0;
}

static int carry_out(const struct run *run, const struct place *place,
                     const struct decision *decision)
{
    cleanup_buf struct buf text = BUF_INIT(TEXT_MAX);

    for (size_t i = 0; i < decision->warnings.n; i++)
        place_complain(place, "", "warning: %s: %s", decision->warnings.list[i].path,
                       decision->warnings.list[i].message);
    if (decision->err || !decision->allowed)
        return print_refusal(run, place, decision);
    if (decision->patch.n > 0)
        return patch_pod(place, decision);
    place_describe(place, &text);
    if (!*decision->gate)
        place_complain(place, "",
                       "%s asks for no gate (label " GITGATE_LABEL_GATE "): left as it is",
                       text.data);
    return 0;
}

/* The pod is read as the webhook reads it: from its text. */
static int inject_text(const struct run *run, const struct place *place, char *text,
                       struct gate_list gates, struct attempt *ret)
{
    struct inject_options options = run->options;
    struct error err = ERROR_INIT;

    ret->review.namespace_ = namespace_of(run, place->object);
    if (document_parse(text, strlen(text), &ret->review.document, &err) < 0) {
        place_complain(place, "", "the pod %s", err.msg);
        return err.code;
    }
    if (getrandom(&options.random, sizeof options.random, 0) != sizeof options.random) {
        place_complain(place, "", "no random bytes: try again");
        return -EIO;
    }
    ret->review.object = document_root(&ret->review.document);
    inject(&ret->review, gates, &options, &ret->decision);
    return 0;
}

static int try(const struct run *run, const struct place *place, struct attempt *ret)
{
    struct gate_list gates;
    int r;

    ret->text = json_dumps(place->pod, JSON_COMPACT);
    if (!ret->text || gates_of(run, namespace_of(run, place->object), &gates) < 0)
        return no_memory(place);
    r = inject_text(run, place, ret->text, gates, ret);
    free((void *)gates.gates);
    return r;
}

static int take_back(const struct place *place)
{
    struct error err = ERROR_INIT;
    int r = undo_pod(place->pod, &err);

    if (r < 0)
        place_complain(place, "",
                       "was changed after `gitgate inject`, so what that did can't be taken back "
                       "(%s): take the file that was injected",
                       err.msg);
    return r;
}

/* Where an earlier injection no longer holds, it is taken back first: the gate may have lost what
 * it brought then. */
static int inject_place(const struct place *place, void *data)
{
    const struct run *run = data;
    CLEANUP(attempt_done) struct attempt first = ATTEMPT_INIT, second = ATTEMPT_INIT;
    int r;

    if (!place->makes_pods)
        return 0;
    r = check_pod(place) < 0 ? -EINVAL : try(run, place, &first);
    if (r < 0)
        return r;
    if ((first.decision.allowed && first.decision.patch.n == 0) || !undo_is_noted(place->pod))
        return carry_out(run, place, &first.decision);
    r = take_back(place);
    if (r == 0)
        r = check_pod(place); /* the note may have been anything */
    if (r == 0)
        r = try(run, place, &second);
    return r < 0 ? r : carry_out(run, place, &second.decision);
}

/* ---- Taking it out ------------------------------------------------------------------------- */

static bool has_gate(const json_t *pod)
{
    static const char *const lists[] = {"initContainers", "containers"};
    json_t *container;
    size_t i;

    for (size_t list = 0; list < sizeof lists / sizeof *lists; list++)
        json_array_foreach(json_object_get(json_object_get(pod, "spec"), lists[list]), i,
                           container) {
            const char *name = json_string_value(json_object_get(container, "name"));

            if (name && strcmp(name, CONTAINER_GATE) == 0)
                return true;
        }
    return false;
}

static int uninject_place(const struct place *place, void *data)
{
    (void)data;
    if (!place->pod)
        return 0;
    if (take_back(place) < 0)
        return -EINVAL;
    if (!has_gate(place->pod))
        return 0;
    place_complain(place, "",
                   "has a gate that `gitgate inject` did not put there: take the manifest "
                   "that the pod was made of");
    return -EINVAL;
}

/* ---- The commands -------------------------------------------------------------------------- */

static int set_mode(struct run *run, const char *text)
{
    run->options.parts.plain_container = strcmp(text, "container") == 0;
    if (!run->options.parts.plain_container && strcmp(text, "native") != 0)
        return usage_error("--sidecar-mode must be native or container");
    return 0;
}

static int read_file(struct run *run, const char *path)
{
    return manifests_read(&run->manifests, path) < 0 ? EXIT_FAILURE : 0;
}

enum { GATE_IMAGE = 256, SIDECAR_MODE, NAMESPACE_ENABLED };

static int take_option(struct run *run, int option, const char *value)
{
    switch (option) {
    case 'f':
        return read_file(run, value);
    case 'n':
        run->namespace_ = value;
        return 0;
    case GATE_IMAGE:
        run->options.parts.image = value;
        return 0;
    case NAMESPACE_ENABLED:
        run->options.namespace_enabled = true;
        return 0;
    case SIDECAR_MODE:
        return set_mode(run, value);
    default:
        return EXIT_USAGE; /* getopt has said why */
    }
}

/* Files are read as they come: what is wrong with them is told in their order. */
static int parse_options(int argc, char **argv, const struct option *longs, const char *shorts,
                         struct run *ret)
{
    int c, r = 0;

    while (r == 0 && (c = getopt_long(argc, argv, shorts, longs, NULL)) != -1)
        r = take_option(ret, c, optarg);
    if (r != 0)
        return r;
    if (optind < argc)
        return usage_error("unexpected argument \"%s\"", argv[optind]);
    if (ret->manifests.n == 0)
        return usage_error("%s needs -f FILE", argv[0]);
    return 0;
}

static bool has_pods(const struct run *run)
{
    for (size_t i = 0; i < run->manifests.n; i++)
        if (run->manifests.list[i].has_pods)
            return true;
    fputs(
        "gitgate: no file holds a pod, or a Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or "
        "CronJob that makes some\n",
        stderr);
    return false;
}

/* All or nothing: what is printed may go straight to a cluster. */
static int change_and_print(struct run *run, place_fn *change)
{
    if (manifests_each(&run->manifests, change, run) < 0 || !has_pods(run))
        return EXIT_FAILURE;
    return manifests_print(&run->manifests) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int command_inject(int argc, char **argv)
{
    static const struct option longs[] = {
        {"file", required_argument, NULL, 'f'},
        {"namespace", required_argument, NULL, 'n'},
        {"gate-image", required_argument, NULL, GATE_IMAGE},
        {"sidecar-mode", required_argument, NULL, SIDECAR_MODE},
        {"namespace-enabled", no_argument, NULL, NAMESPACE_ENABLED},
        {NULL, 0, NULL, 0},
    };
    CLEANUP(run_done) struct run run = {.namespace_ = NAMESPACE_DEFAULT};
    int r = parse_options(argc, argv, longs, "f:n:", &run);

    if (r != 0)
        return r;
    if (manifests_each(&run.manifests, read_gate, &run) < 0)
        return EXIT_FAILURE;
    return change_and_print(&run, inject_place);
}

int command_uninject(int argc, char **argv)
{
    static const struct option longs[] = {
        {"file", required_argument, NULL, 'f'},
        {NULL, 0, NULL, 0},
    };
    CLEANUP(run_done) struct run run = {.namespace_ = NAMESPACE_DEFAULT};
    int r = parse_options(argc, argv, longs, "f:", &run);

    return r != 0 ? r : change_and_print(&run, uninject_place);
}
