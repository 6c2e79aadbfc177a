#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "data/yaml.h"
#include "data/yaml_positions.h"
#include "data/yaml_scalar.h"

#define FAULTS_MAX 100 /* a file with more is reported with its first hundred */
#define FAULTS_BYTES_MAX (64u << 10)

/* One run of libyaml: from the file's start, or from the document behind one that broke off. */
struct reader {
    yaml_parser_t parser;
    const char *name;  /* of the file, for messages */
    const char *text;  /* all of it */
    size_t len, start; /* where this run began in it */
    size_t line;       /* the same, counted from 0 */
    size_t broke_at;   /* the line, in this run, of what broke the document off */
    size_t nodes;
    size_t n_faults;
    struct buf *faults; /* a line each */
};

static inline void event_done(yaml_event_t *event)
{
    yaml_event_delete(event);
}
#define cleanup_event CLEANUP(event_done)

/* ---- errors ---- */

static void note_text(struct reader *r, const char *text)
{
    if (r->n_faults++ < FAULTS_MAX)
        buf_addf(r->faults, "%s\n", text);
}

/* A fault that does not keep the rest of the document from being read. */
static void note(struct reader *r, const yaml_mark_t *mark, const char *what)
{
    char text[ERROR_MSG_MAX];

    snprintf(text, sizeof text, "%s:%zu:%zu: %s", r->name, r->line + mark->line + 1,
             mark->column + 1, what);
    note_text(r, text);
}

/* One that does; -EINVAL: the next document may be well. */
static int refuse(struct reader *r, const yaml_mark_t *mark, const char *what)
{
    note(r, mark, what);
    r->broke_at = mark->line;
    return -EINVAL;
}

/* -E2BIG: enough of this file. */
static int refuse_all(struct reader *r, const yaml_mark_t *mark, const char *what)
{
    note(r, mark, what);
    return -E2BIG;
}

static int no_memory(struct reader *r)
{
    char text[ERROR_MSG_MAX];

    snprintf(text, sizeof text, "cannot read %s: %s", r->name, strerror(ENOMEM));
    note_text(r, text);
    return -ENOMEM;
}

static int refuse_byte(struct reader *r, const char *problem)
{
    size_t at = r->start + r->parser.problem_offset;
    char text[ERROR_MSG_MAX];

    snprintf(text, sizeof text, "%s: byte %zu: %s", r->name, at, problem);
    note_text(r, text);
    r->broke_at = 0;
    for (size_t i = r->start; i < at && i < r->len; i++)
        r->broke_at += r->text[i] == '\n';
    return -EINVAL;
}

static int next_event(struct reader *r, yaml_event_t *event)
{
    const char *problem;

    if (yaml_parser_parse(&r->parser, event))
        return 0;
    if (r->parser.error == YAML_MEMORY_ERROR)
        return no_memory(r);
    problem = r->parser.problem ? r->parser.problem : "is not YAML";
    return r->parser.error == YAML_READER_ERROR ? refuse_byte(r, problem)
                                                : refuse(r, &r->parser.problem_mark, problem);
}

/* ---- values ---- */

static int read_value(struct reader *r, yaml_event_t *event, int depth,
                      struct yaml_positions *position, json_t **ret);

static int check_plain_node(struct reader *r, const yaml_event_t *event, const yaml_char_t *anchor,
                            const yaml_char_t *tag)
{
    if (anchor)
        note(r, &event->start_mark, "anchors (&name) are not allowed");
    if (tag)
        note(r, &event->start_mark, "tags (!name) are not allowed; quote a string instead");
    if (++r->nodes > YAML_NODES_MAX)
        return refuse_all(r, &event->start_mark, "too many values in one file");
    return 0;
}

/* The scalar's text as a string without NUL; also for keys. */
static int check_scalar(struct reader *r, const yaml_event_t *event)
{
    if (strlen((char *)event->data.scalar.value) != event->data.scalar.length)
        note(r, &event->start_mark, "a NUL character is not allowed");
    return check_plain_node(r, event, event->data.scalar.anchor, event->data.scalar.tag);
}

static int read_scalar(struct reader *r, const yaml_event_t *event, json_t **ret)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = strlen(text);
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
        child->line = (int)(r->line + event.start_mark.line) + 1;
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

/* `*keep` is false for a key whose value is to be read and forgotten. */
static int check_key(struct reader *r, const yaml_event_t *event, const json_t *object, bool *keep)
{
    const yaml_mark_t *mark = &event->start_mark;
    const char *key = (const char *)event->data.scalar.value;
    bool plain;
    int err;

    *keep = false;
    if (event->type == YAML_ALIAS_EVENT) {
        note(r, mark, "aliases (*name) are not allowed");
        return 0;
    }
    if (event->type != YAML_SCALAR_EVENT)
        return refuse(r, mark, "a key must be a plain or quoted text");
    err = check_scalar(r, event);
    plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (err == 0 && plain && strcmp(key, "<<") == 0)
        note(r, mark, "merge keys (<<) are not allowed");
    else if (err == 0 && plain && *key == '\0')
        note(r, mark, "a key is missing");
    else if (err == 0 && json_object_get(object, key))
        note(r, mark, "this key stands here a second time");
    else
        *keep = true;
    return err;
}

static int read_entry(struct reader *r, const yaml_event_t *key, int depth,
                      struct yaml_positions *position, json_t *object)
{
    cleanup_event yaml_event_t event = {0};
    struct yaml_positions *child;
    json_auto_t *value = NULL;
    const char *text;
    bool keep;
    int err = check_key(r, key, object, &keep);

    if (err < 0)
        return err;
    text = keep ? (const char *)key->data.scalar.value : "";
    child = positions_add(position, text);
    if (!child)
        return no_memory(r);
    child->line = (int)(r->line + key->start_mark.line) + 1;
    child->column = (int)key->start_mark.column + 1;
    err = next_event(r, &event);
    if (err == 0)
        err = read_value(r, &event, depth + 1, child, &value);
    if (err < 0 || !keep)
        return err;
    return json_object_set(object, text, value) < 0 ? no_memory(r) : 0;
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
        return refuse_all(r, &event->start_mark, "too deeply nested");
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        note(r, &event->start_mark, "aliases (*name) are not allowed");
        *ret = json_null();
        return 0;
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
    positions->line = (int)(r->line + start.start_mark.line) + 1;
    positions->column = (int)start.start_mark.column + 1;
    err = read_value(r, &start, 0, positions, &root);
    if (err == 0)
        err = next_event(r, &end);
    if (err < 0 || json_is_null(root))
        return err;
    if (file->n == YAML_DOCUMENTS_MAX)
        return refuse_all(r, &start.start_mark, "too many documents in one file");
    err = append_document(r, file, root, positions);
    if (err == 0) {
        root = NULL;
        positions = NULL;
    }
    return err;
}

static int read_documents(struct reader *r, struct yaml_file *file)
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
            note(r, &event.start_mark, "%TAG directives are not allowed");
        err = read_document(r, file);
        if (err < 0)
            return err;
    }
}

/* "---" in the first column, by itself or before a blank, begins a document wherever it stands. */
static bool begins_document(const char *line, size_t len)
{
    return len >= 3 && memcmp(line, "---", 3) == 0 &&
           (len == 3 || line[3] == ' ' || line[3] == '\t' || line[3] == '\r' || line[3] == '\n');
}

/* Moves the reader to the first document that begins where the last one broke off or later; false
 * when there is none. */
static bool skip_to_next(struct reader *r)
{
    size_t line = r->line, least = r->line + (r->broke_at > 0 ? r->broke_at : 1);
    size_t at = r->start;

    while (at < r->len && (line < least || !begins_document(r->text + at, r->len - at))) {
        const char *end = memchr(r->text + at, '\n', r->len - at);

        at = end ? (size_t)(end - r->text) + 1 : r->len;
        line++;
    }
    r->start = at;
    r->line = line;
    return at < r->len;
}

static int read_from(struct reader *r, struct yaml_file *file)
{
    int err;

    r->broke_at = 0;
    if (!yaml_parser_initialize(&r->parser))
        return no_memory(r);
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->text + r->start,
                                 r->len - r->start);
    err = read_documents(r, file);
    yaml_parser_delete(&r->parser);
    return err;
}

int yaml_read(const char *text, size_t len, const char *name, struct yaml_file *ret,
              struct buf *faults)
{
    struct reader r = {.name = name, .text = text, .len = len, .faults = faults};
    int err;

    *ret = YAML_FILE_INIT;
    if (len > YAML_BYTES_MAX) {
        buf_addf(faults, "%s is larger than %u bytes\n", name, YAML_BYTES_MAX);
        return -E2BIG;
    }
    do
        err = read_from(&r, ret);
    while (err == -EINVAL && r.n_faults < FAULTS_MAX && skip_to_next(&r));
    return err == 0 && r.n_faults > 0 ? -EINVAL : err;
}

int yaml_parse(const char *text, size_t len, const char *name, struct yaml_file *ret,
               struct error *err)
{
    cleanup_yaml struct yaml_file file = YAML_FILE_INIT;
    cleanup_buf struct buf faults = BUF_INIT(FAULTS_BYTES_MAX);
    int r = yaml_read(text, len, name, &file, &faults);

    if (r < 0)
        return error_set(err, r, "%.*s", (int)strcspn(faults.data, "\n"), faults.data);
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
