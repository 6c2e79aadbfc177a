#include "input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "data/base64.h"
#include "data/decode.h"

#define MESSAGES_MAX (256u << 10) /* a hundred problems of 1.5 kB each fit */
#define VALUE_MAX (2u << 20)      /* base64 of FIELD_FILE_MAX */

/* A document's place among the kinds. */
struct head {
    const char *kind, *name, *namespace_;
    json_t *data, *string_data;
};

static const struct field metadata_fields[] = {
    FIELD("name", STRING, FIELD_AT(struct head, name), .flags = FIELD_REQUIRED),
    FIELD("namespace", STRING, FIELD_AT(struct head, namespace_), .value = "\"\"",
          .flags = FIELD_MAY_BE_EMPTY),
    FIELD_END,
};

#define OBJECT_FIELDS                                                                              \
    FIELD("apiVersion", STRING, FIELD_NOWHERE, .flags = FIELD_REQUIRED),                           \
        FIELD("kind", STRING, FIELD_AT(struct head, kind), .flags = FIELD_REQUIRED),               \
        FIELD("metadata", OBJECT, FIELD_NOWHERE, .flags = FIELD_REQUIRED | FIELD_OPEN,             \
              .fields = metadata_fields),                                                          \
        FIELD("immutable", BOOL, FIELD_NOWHERE)

#define CONTENT (FIELD_FILE | FIELD_MAY_BE_EMPTY)

static const struct field secret_fields[] = {
    OBJECT_FIELDS,
    FIELD("type", STRING, FIELD_NOWHERE, .value = "\"Opaque\""),
    FIELD("data", MAP, FIELD_AT(struct head, data), .value = "{}", .flags = CONTENT),
    FIELD("stringData", MAP, FIELD_AT(struct head, string_data), .flags = CONTENT),
    FIELD_END,
};

static const struct field config_map_fields[] = {
    OBJECT_FIELDS,
    FIELD("data", MAP, FIELD_AT(struct head, data), .flags = CONTENT),
    FIELD("binaryData", MAP, FIELD_NOWHERE, .flags = CONTENT),
    FIELD_END,
};

/* ---- messages ---- */

static void print_problems(const struct input *input, const struct yaml_document *document,
                           struct problems *problems, const char *prefix)
{
    cleanup_buf struct buf text = BUF_INIT(MESSAGES_MAX);

    if (!problems->total)
        return;
    yaml_locate(document, problems);
    problems_print(problems, input->name, &text);
    for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n"))
        fprintf(stderr, "%s%s\n", prefix, line);
}

static int refuse(const struct input *input, const struct yaml_document *document, const char *path,
                  const char *message)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;

    problems_add(&problems, path, "%s", message);
    print_problems(input, document, &problems, "");
    return -EINVAL;
}

/* ---- Secrets and ConfigMaps ---- */

/* The API server does the same with stringData. */
static int merge_string_data(const struct head *head)
{
    const char *key;
    json_t *value;

    json_object_foreach(head->string_data, key, value) {
        struct buf text CLEANUP(buf_wipe) = BUF_INIT(VALUE_MAX);

        base64_encode(json_string_value(value), json_string_length(value), &text);
        if (buf_error(&text) || json_object_set_new(head->data, key, json_string(text.data)) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int read_source(struct input *input, const struct yaml_document *document,
                       const struct field *fields, json_t *into)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct head head = {0};
    int r = decode_object(document->root, fields, true, &head, &problems);

    if (r == 0)
        r = merge_string_data(&head);
    print_problems(input, document, &problems, "");
    if (r < 0)
        return r;
    /* A gate sees its own namespace alone. */
    if (!input->gate.namespace_) /* nor is it known which, when the GitGate is wrong */
        return 0;
    if (*head.namespace_ && *input->gate.namespace_ &&
        strcmp(head.namespace_, input->gate.namespace_) != 0)
        return 0;
    if (json_object_get(into, head.name))
        return refuse(input, document, "metadata.name", "an object of this name stands before");
    return json_object_set(into, head.name, document->root) < 0 ? -ENOMEM : 0;
}

/* ---- the file ---- */

static const char *kind_of(const struct yaml_document *document)
{
    const char *kind = json_string_value(json_object_get(document->root, "kind"));

    return kind ? kind : "";
}

/* A gate has one address, one scan and one folder of repositories, whose names would clash. */
#define SECOND_GATE                                                                                \
    "a second GitGate; give each a file of its own, and run it with a --listen and a --state-dir " \
    "of its own"

static int find_gate(struct input *input)
{
    int r = 0;

    for (size_t i = 0; i < input->file.n; i++) {
        const struct yaml_document *document = &input->file.documents[i];

        if (!json_is_object(document->root))
            r = refuse(input, document, "", "must be a Kubernetes object");
        else if (strcmp(kind_of(document), GITGATE_KIND) != 0)
            continue;
        else if (input->gate_document)
            r = refuse(input, document, "", SECOND_GATE);
        else
            input->gate_document = document;
    }
    return r;
}

static int read_gate(struct input *input)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    int r = gitgate_decode(input->gate_document->root, true, &input->gate, &problems);

    print_problems(input, input->gate_document, &problems, "");
    return r;
}

/* Other kinds may stand in the file too: they are somebody else's. */
static int read_sources(struct input *input)
{
    int result = 0;

    input->sources =
        (struct render_sources){.secrets = json_object(), .config_maps = json_object()};
    for (size_t i = 0; i < input->file.n; i++) {
        const struct yaml_document *document = &input->file.documents[i];
        int r = 0;

        if (strcmp(kind_of(document), "Secret") == 0)
            r = read_source(input, document, secret_fields, input->sources.secrets);
        else if (strcmp(kind_of(document), "ConfigMap") == 0)
            r = read_source(input, document, config_map_fields, input->sources.config_maps);
        result = r < 0 ? r : result;
    }
    return result;
}

static int read_documents(const char *path, struct input *input)
{
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(YAML_BYTES_MAX);
    cleanup_buf struct buf faults = BUF_INIT(MESSAGES_MAX);
    bool standard_input = strcmp(path, "-") == 0;
    struct error err = ERROR_INIT;
    int r = file_read(standard_input ? "/dev/stdin" : path, &text, &err);

    input->name = standard_input ? "standard input" : path;
    if (r < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return r;
    }
    r = yaml_read(text.data, text.len, input->name, &input->file, &faults);
    fputs(faults.data, stderr);
    return r;
}

/* All that is wrong with the file at once, of what could be read of it. */
int input_read(const char *path, struct input *ret)
{
    cleanup_input struct input input = {0};
    int r = read_documents(path, &input), result = r;

    r = find_gate(&input);
    result = result < 0 ? result : r;
    if (input.gate_document) {
        r = read_gate(&input);
        result = result < 0 ? result : r;
    } else if (result == 0) { /* else it may be what could not be read */
        fprintf(stderr, "%s: holds no object of kind GitGate\n", input.name);
        result = -EINVAL;
    }
    r = read_sources(&input);
    result = result < 0 ? result : r;
    if (result < 0)
        return result;
    *ret = input;
    input = (struct input){0};
    return 0;
}

void input_done(struct input *input)
{
    json_decref(input->sources.secrets);
    json_decref(input->sources.config_maps);
    gitgate_done(&input->gate);
    yaml_file_done(&input->file);
    *input = (struct input){0};
}

json_t *input_render_creds(const struct input *input)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_t *creds = render_creds(&input->gate, &input->sources, &problems);

    print_problems(input, input->gate_document, &problems, "warning: ");
    return creds;
}
