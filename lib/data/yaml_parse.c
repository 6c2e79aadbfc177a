#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "data/yaml.h"
#include "data/yaml_positions.h"
#include "data/yaml_scalar.h"

struct reader {
    yaml_parser_t parser;
    const char *name; /* of the file, for messages */
    size_t nodes;
    struct error *err;
};

static inline void event_done(yaml_event_t *event)
{
    yaml_event_delete(event);
}
#define cleanup_event CLEANUP(event_done)

/* ---- errors ---- */

static int refuse(struct reader *r, const yaml_mark_t *mark, const char *what)
{
    return error_set(r->err, -EINVAL, "%s:%zu:%zu: %s", r->name, mark->line + 1, mark->column + 1,
                     what);
}

static int no_memory(struct reader *r)
{
    return error_errno(r->err, -ENOMEM, "cannot read %s", r->name);
}

static int next_event(struct reader *r, yaml_event_t *event)
{
    const char *problem;

    if (yaml_parser_parse(&r->parser, event))
        return 0;
    if (r->parser.error == YAML_MEMORY_ERROR)
        return no_memory(r);
    problem = r->parser.problem ? r->parser.problem : "is not YAML";
    if (r->parser.error == YAML_READER_ERROR)
        return error_set(r->err, -EINVAL, "%s: byte %zu: %s", r->name, r->parser.problem_offset,
                         problem);
    return refuse(r, &r->parser.problem_mark, problem);
}

/* ---- values ---- */

static int read_value(struct reader *r, yaml_event_t *event, int depth,
                      struct yaml_positions *position, json_t **ret);

static int check_plain_node(struct reader *r, const yaml_event_t *event, const yaml_char_t *anchor,
                            const yaml_char_t *tag)
{
    if (anchor)
        return refuse(r, &event->start_mark, "anchors (&name) are not allowed");
    if (tag)
        return refuse(r, &event->start_mark,
                      "tags (!name) are not allowed; quote a string instead");
    if (++r->nodes > YAML_NODES_MAX)
        return refuse(r, &event->start_mark, "too many values in one file");
    return 0;
}

/* The scalar's text as a string without NUL; also for keys. */
static int check_scalar(struct reader *r, const yaml_event_t *event)
{
    int err = check_plain_node(r, event, event->data.scalar.anchor, event->data.scalar.tag);

    if (err == 0 && strlen((char *)event->data.scalar.value) != event->data.scalar.length)
        return refuse(r, &event->start_mark, "a NUL character is not allowed");
    return err;
}

static int read_scalar(struct reader *r, const yaml_event_t *event, json_t **ret)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    int err = check_scalar(r, event);

    if (err < 0)
        return err;
    *ret = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? yaml_plain_value(text, len)
                                                               : json_stringn(text, len);
    return *ret ? 0 : no_memory(r);
}

static int read_sequence(struct reader *r, int depth, struct yaml_positions *position, json_t **ret)
{
    json_auto_t *list = json_array();

    if (!list)
        return no_memory(r);
    for (;;) {
        cleanup_event yaml_event_t event = {0};
        struct yaml_positions *child;
        json_t *value = NULL;
        int err = next_event(r, &event);

        if (err < 0)
            return err;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            break;
        child = positions_add(position, NULL);
        if (!child)
            return no_memory(r);
        child->line = (int)event.start_mark.line + 1;
        child->column = (int)event.start_mark.column + 1;
        err = read_value(r, &event, depth + 1, child, &value);
        if (err < 0)
            return err;
        if (json_array_append_new(list, value) < 0)
            return no_memory(r);
    }
    *ret = TAKE_PTR(list);
    return 0;
}

static int check_key(struct reader *r, const yaml_event_t *event, const json_t *object)
{
    const char *key = (const char *)event->data.scalar.value;
    bool plain;
    int err;

    if (event->type == YAML_ALIAS_EVENT)
        return refuse(r, &event->start_mark, "aliases (*name) are not allowed");
    if (event->type != YAML_SCALAR_EVENT)
        return refuse(r, &event->start_mark, "a key must be a plain or quoted text");
    err = check_scalar(r, event);
    if (err < 0)
        return err;
    plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && strcmp(key, "<<") == 0)
        return refuse(r, &event->start_mark, "merge keys (<<) are not allowed");
    if (plain && *key == '\0')
        return refuse(r, &event->start_mark, "a key is missing");
    if (json_object_get(object, key))
        return refuse(r, &event->start_mark, "this key stands here a second time");
    return 0;
}

static int read_entry(struct reader *r, const yaml_event_t *key, int depth,
                      struct yaml_positions *position, json_t *object)
{
    const char *text = (const char *)key->data.scalar.value;
    cleanup_event yaml_event_t event = {0};
    struct yaml_positions *child;
    json_t *value = NULL;
    int err = check_key(r, key, object);

    if (err < 0)
        return err;
    child = positions_add(position, text);
    if (!child)
        return no_memory(r);
    child->line = (int)key->start_mark.line + 1;
    child->column = (int)key->start_mark.column + 1;
    err = next_event(r, &event);
    if (err == 0)
        err = read_value(r, &event, depth + 1, child, &value);
    if (err < 0)
        return err;
    return json_object_set_new(object, text, value) < 0 ? no_memory(r) : 0;
}

static int read_mapping(struct reader *r, int depth, struct yaml_positions *position, json_t **ret)
{
    json_auto_t *object = json_object();

    if (!object)
        return no_memory(r);
    for (;;) {
        cleanup_event yaml_event_t key = {0};
        int err = next_event(r, &key);

        if (err < 0)
            return err;
        if (key.type == YAML_MAPPING_END_EVENT)
            break;
        err = read_entry(r, &key, depth, position, object);
        if (err < 0)
            return err;
    }
    *ret = TAKE_PTR(object);
    return 0;
}

static int read_value(struct reader *r, yaml_event_t *event, int depth,
                      struct yaml_positions *position, json_t **ret)
{
    int err;

    if (depth > YAML_DEPTH_MAX)
        return refuse(r, &event->start_mark, "too deeply nested");
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return refuse(r, &event->start_mark, "aliases (*name) are not allowed");
    case YAML_SCALAR_EVENT:
        return read_scalar(r, event, ret);
    case YAML_SEQUENCE_START_EVENT:
        err = check_plain_node(r, event, event->data.sequence_start.anchor,
                               event->data.sequence_start.tag);
        return err < 0 ? err : read_sequence(r, depth, position, ret);
    case YAML_MAPPING_START_EVENT:
        err = check_plain_node(r, event, event->data.mapping_start.anchor,
                               event->data.mapping_start.tag);
        return err < 0 ? err : read_mapping(r, depth, position, ret);
    default:
        return refuse(r, &event->start_mark, "a value is missing");
    }
}

/* ---- documents ---- */

static int append_document(struct reader *r, struct yaml_file *file, json_t *root,
                           struct yaml_positions *positions)
{
    struct yaml_document *documents = reallocarray(file->documents, file->n + 1, sizeof *documents);

    if (!documents)
        return no_memory(r);
    file->documents = documents;
    documents[file->n++] = (struct yaml_document){.root = root, .positions = positions};
    return 0;
}

static void free_positions(struct yaml_positions **positions)
{
    if (*positions)
        positions_done(*positions);
    free(*positions);
}

static int read_document(struct reader *r, struct yaml_file *file)
{
    struct yaml_positions *positions CLEANUP(free_positions) = calloc(1, sizeof *positions);
    cleanup_event yaml_event_t start = {0}, end = {0};
    json_auto_t *root = NULL;
    int err;

    if (!positions)
        return no_memory(r);
    err = next_event(r, &start);
    if (err < 0)
        return err;
    positions->line = (int)start.start_mark.line + 1;
    positions->column = (int)start.start_mark.column + 1;
    err = read_value(r, &start, 0, positions, &root);
    if (err == 0)
        err = next_event(r, &end);
    if (err < 0 || json_is_null(root))
        return err;
    if (file->n == YAML_DOCUMENTS_MAX)
        return refuse(r, &start.start_mark, "too many documents in one file");
    err = append_document(r, file, root, positions);
    if (err == 0) {
        root = NULL;
        positions = NULL;
    }
    return err;
}

static int read_file(struct reader *r, struct yaml_file *file)
{
    for (;;) {
        cleanup_event yaml_event_t event = {0};
        int err = next_event(r, &event);

        if (err < 0 || event.type == YAML_STREAM_END_EVENT)
            return err;
        if (event.type != YAML_DOCUMENT_START_EVENT)
            continue; /* the stream's start */
        if (event.data.document_start.tag_directives.start !=
            event.data.document_start.tag_directives.end)
            return refuse(r, &event.start_mark, "%TAG directives are not allowed");
        err = read_document(r, file);
        if (err < 0)
            return err;
    }
}

int yaml_parse(const char *text, size_t len, const char *name, struct yaml_file *ret,
               struct error *err)
{
    cleanup_yaml struct yaml_file file = YAML_FILE_INIT;
    struct reader r = {.name = name, .err = err};
    int result;

    if (len > YAML_BYTES_MAX)
        return error_set(err, -E2BIG, "%s is larger than %u bytes", name, YAML_BYTES_MAX);
    if (!yaml_parser_initialize(&r.parser))
        return no_memory(&r);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    result = read_file(&r, &file);
    yaml_parser_delete(&r.parser);
    if (result < 0)
        return result;
    *ret = file;
    file = YAML_FILE_INIT;
    return 0;
}

void yaml_file_done(struct yaml_file *file)
{
    for (size_t i = 0; i < file->n; i++) {
        json_decref(file->documents[i].root);
        free_positions(&file->documents[i].positions);
    }
    free(file->documents);
    *file = YAML_FILE_INIT;
}

void yaml_locate(const struct yaml_document *document, struct problems *problems)
{
    for (size_t i = 0; i < problems->n; i++) {
        struct problem *problem = &problems->list[i];
        const struct yaml_positions *at = positions_find(document->positions, problem->path);

        problem->line = at->line;
        problem->column = at->column;
    }
}
