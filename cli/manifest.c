#include "manifest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "output.h"

#define MESSAGE_MAX 4096
#define LINE_MAX_LEN 8192
#define OUTPUT_MAX (64u << 20) /* sixteen of the largest files */

/* ---- Files --------------------------------------------------------------------------------- */

void manifests_done(struct manifests *manifests)
{
    for (size_t i = 0; i < manifests->n; i++)
        yaml_file_done(&manifests->list[i].file);
    free(manifests->list);
    json_decref(manifests->names);
    *manifests = MANIFESTS_INIT;
}

static int complain(int r, const char *message)
{
    fprintf(stderr, "gitgate: %s\n", message);
    return r;
}

/* A file that is given twice would be printed twice. */
static int note_name(struct manifests *manifests, const char *path)
{
    if (!manifests->names)
        manifests->names = json_object();
    if (json_object_get(manifests->names, path)) {
        fprintf(stderr, "gitgate: -f %s is given twice\n", path);
        return -EINVAL;
    }
    return json_object_set_new(manifests->names, path, json_true()) < 0 ? -ENOMEM : 0;
}

static int add(struct manifests *manifests, const struct manifest *manifest)
{
    struct manifest *list = reallocarray(manifests->list, manifests->n + 1, sizeof *list);

    if (!list)
        return -ENOMEM;
    manifests->list = list;
    list[manifests->n++] = *manifest;
    return 0;
}

int manifests_read(struct manifests *manifests, const char *path)
{
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(YAML_BYTES_MAX);
    bool standard_input = strcmp(path, "-") == 0;
    struct manifest manifest = {.name = standard_input ? "standard input" : path};
    struct error err = ERROR_INIT;
    int r = note_name(manifests, path);

    if (r < 0)
        return r;
    r = file_read(standard_input ? "/dev/stdin" : path, &text, &err);
    if (r == 0)
        r = yaml_parse(text.data, text.len, manifest.name, &manifest.file, &err);
    if (r < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return r;
    }
    r = add(manifests, &manifest);
    if (r < 0)
        yaml_file_done(&manifest.file);
    return r;
}

/* ---- Objects ------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* Where the kinds of Kubernetes itself have their pods' template. */
static const struct {
    const char *group, *kind;
    const char *template[4]; /* ends with NULL */
} kinds[] = {
    {"", "Pod", {NULL}},
    {"", "PodTemplate", {"template", NULL}},
    {"", "ReplicationController", {"spec", "template", NULL}},
    {"apps", "Deployment", {"spec", "template", NULL}},
    {"apps", "ReplicaSet", {"spec", "template", NULL}},
    {"apps", "StatefulSet", {"spec", "template", NULL}},
    {"apps", "DaemonSet", {"spec", "template", NULL}},
    {"batch", "Job", {"spec", "template", NULL}},
    {"batch", "CronJob", {"spec", "jobTemplate", "spec", "template"}},
};

static bool group_is(const json_t *object, const char *group)
{
    const char *version = text_of(object, "apiVersion"), *slash = strchr(version, '/');
    size_t len = slash ? (size_t)(slash - version) : 0;

    return strlen(group) == len && strncmp(version, group, len) == 0;
}

static void append(struct place *place, const char *member)
{
    size_t len = strlen(place->path);

    snprintf(place->path + len, sizeof place->path - len, "%s%s", len ? "." : "", member);
}

static void find_pod(struct place *place)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(text_of(place->object, "kind"), kinds[i].kind) != 0 ||
            !group_is(place->object, kinds[i].group))
            continue;
        place->makes_pods = true;
        place->pod = place->object;
        for (size_t j = 0; j < 4 && kinds[i].template[j]; j++) {
            place->pod = json_object_get(place->pod, kinds[i].template[j]);
            append(place, kinds[i].template[j]);
        }
        place->manifest->has_pods = true;
    }
}

static int visit_object(struct place place, place_fn *visit, void *data);

static int visit_items(const struct place *list, const json_t *items, place_fn *visit, void *data)
{
    json_t *item;
    size_t i;
    int r, result = 0;

    json_array_foreach(items, i, item) {
        struct place place = *list;

        snprintf(place.path, sizeof place.path, "items[%zu]", i);
        place.object = item;
        r = visit_object(place, visit, data);
        result = r < 0 ? r : result;
    }
    return result;
}

/* `kubectl get -o yaml` gives kind List, the API server kinds like PodList. */
static bool is_list(const json_t *object)
{
    const char *kind = text_of(object, "kind");
    size_t len = strlen(kind);

    return len >= 4 && strcmp(kind + len - 4, "List") == 0 &&
           json_is_array(json_object_get(object, "items"));
}

static int visit_object(struct place place, place_fn *visit, void *data)
{
    if (!json_is_object(place.object)) {
        place_complain(&place, "", "must be a Kubernetes object");
        return -EINVAL;
    }
    if (is_list(place.object) && !*place.path)
        return visit_items(&place, json_object_get(place.object, "items"), visit, data);
    find_pod(&place);
    return visit(&place, data);
}

int manifests_each(struct manifests *manifests, place_fn *visit, void *data)
{
    int r, result = 0;

    for (size_t i = 0; i < manifests->n; i++) {
        struct manifest *manifest = &manifests->list[i];

        for (size_t j = 0; j < manifest->file.n; j++) {
            const struct yaml_document *document = &manifest->file.documents[j];

            r = visit_object((struct place){.manifest = manifest,
                                            .document = document,
                                            .object = document->root},
                             visit, data);
            result = r < 0 ? r : result;
        }
    }
    return result;
}

/* ---- Messages ------------------------------------------------------------------------------ */

void place_describe(const struct place *place, struct buf *to)
{
    const json_t *metadata = json_object_get(place->object, "metadata");
    const char *name = text_of(metadata, "name");

    buf_addf(to, "%.63s \"%.253s\"", text_of(place->object, "kind"),
             *name ? name : text_of(metadata, "generateName"));
}

void place_complain(const struct place *place, const char *field, const char *fmt, ...)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_buf struct buf path = BUF_INIT(MESSAGE_MAX), line = BUF_INIT(LINE_MAX_LEN);
    char message[MESSAGE_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    buf_addf(&path, "%s%s%s", place->path, *place->path && *field ? "." : "", field);
    problems_add(&problems, path.data, "%s", message);
    yaml_locate(place->document, &problems);
    problems_print(&problems, place->manifest->name, &line);
    fputs(line.data, stderr);
}

/* ---- The output ---------------------------------------------------------------------------- */

static int print_file(const struct manifest *manifest, struct buf *to, struct error *err)
{
    for (size_t i = 0; i < manifest->file.n; i++) {
        int r;

        if (to->len)
            buf_adds(to, "---\n");
        r = yaml_print(manifest->file.documents[i].root, to, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int manifests_print(const struct manifests *manifests)
{
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(OUTPUT_MAX);
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < manifests->n; i++)
        if (manifests->list[i].has_pods && print_file(&manifests->list[i], &text, &err) < 0)
            return complain(-EIO, err.msg);
    fwrite(text.data, 1, text.len, stdout);
    return output_end() == EXIT_SUCCESS ? 0 : -EIO;
}
