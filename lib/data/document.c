#include "data/document.h"

#include <errno.h>
#include <string.h>

#include "data/json_text.h"

#define NODES_AT_FIRST 256 /* a pod of one container has 150 */

/* Objects of up to this many members are compared pair by pair, and these only when a cheap mark of
 * theirs is the same; larger ones are sorted. */
#define PAIRWISE_MAX 32

void document_done(struct document *document)
{
    free(document->nodes);
    *document = DOCUMENT_INIT;
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* An array or object that is open. */
struct open {
    uint32_t node;
    uint64_t marks; /* of its members' names */
};

struct reader {
    struct json_text text;
    struct document *document;
    struct open open[DOCUMENT_DEPTH_MAX];
    size_t depth;
};

static struct node *top(const struct reader *reader)
{
    return &reader->document->nodes[reader->open[reader->depth - 1].node];
}

static int grow(struct document *document)
{
    size_t size = document->size ? 2 * document->size : NODES_AT_FIRST;
    struct node *nodes;

    if (size > DOCUMENT_NODES_MAX)
        size = DOCUMENT_NODES_MAX;
    if (size == document->size)
        return -E2BIG;
    nodes = reallocarray(document->nodes, size, sizeof *nodes);
    if (!nodes)
        return -ENOMEM;
    document->nodes = nodes;
    document->size = size;
    return 0;
}

static int add(struct reader *reader, struct node node)
{
    struct document *document = reader->document;
    int r = document->n == document->size ? grow(document) : 0;

    if (r == -E2BIG)
        json_text_fail(&reader->text, "has more values than gitgate reads");
    if (r < 0)
        return r;
    if (reader->depth > 0)
        top(reader)->count++;
    node.span = 1;
    document->nodes[document->n++] = node;
    return 0;
}

/* ---- Members that stand twice */

static uint64_t mark_of(const char *key, uint32_t len)
{
    unsigned first = len ? (unsigned char)key[0] : 0;
    unsigned last = len ? (unsigned char)key[len - 1] : 0;
    unsigned middle = len ? (unsigned char)key[len / 2] : 0;

    return UINT64_C(1) << ((first + 7 * last + 31 * middle + 11 * len) % 64);
}

static bool same_key(const struct node *a, const struct node *b)
{
    return a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0;
}

static int by_key(const void *a, const void *b)
{
    const struct node *left = *(const struct node *const *)a;
    const struct node *right = *(const struct node *const *)b;

    if (left->key_len != right->key_len)
        return left->key_len < right->key_len ? -1 : 1;
    return memcmp(left->key, right->key, left->key_len);
}

static int fail_twice(struct reader *reader)
{
    return json_text_fail(&reader->text, "has a member that stands twice in its object");
}

/* The member that is to be added, among those that are there. */
static int check_new_key(struct reader *reader, const struct node *member)
{
    struct open *open = &reader->open[reader->depth - 1];
    const struct node *object = top(reader), *node;
    uint64_t mark = mark_of(member->key, member->key_len);

    if (object->count >= PAIRWISE_MAX)
        return 0; /* when it is closed */
    if (open->marks & mark)
        for (uint32_t i = open->node + 1; i < reader->document->n; i += node->span) {
            node = &reader->document->nodes[i];
            if (same_key(node, member))
                return fail_twice(reader);
        }
    open->marks |= mark;
    return 0;
}

static int check_all_keys(struct reader *reader)
{
    const struct node *object = top(reader), *member;
    cleanup_free const struct node **sorted = NULL;
    size_t n = 0;

    if (object->count <= PAIRWISE_MAX)
        return 0;
    sorted = calloc(object->count, sizeof *sorted);
    if (!sorted)
        return -ENOMEM;
    node_each(object, member) sorted[n++] = member;
    qsort((void *)sorted, n, sizeof *sorted, by_key);
    for (size_t i = 1; i < n; i++)
        if (same_key(sorted[i - 1], sorted[i]))
            return fail_twice(reader);
    return 0;
}

/* ---- Values */

static int open_container(struct reader *reader, struct node node)
{
    uint32_t at = (uint32_t)reader->document->n;
    int r = add(reader, node);

    if (r < 0)
        return r;
    if (reader->depth == DOCUMENT_DEPTH_MAX)
        return json_text_fail(&reader->text, "is nested deeper than gitgate reads");
    reader->open[reader->depth++] = (struct open){.node = at};
    return 0;
}

static int read_value(struct reader *reader, struct node node)
{
    struct json_text *text = &reader->text;
    int r;

    switch (json_text_peek(text)) {
    case '{':
        node.type = NODE_OBJECT;
        text->at++;
        return open_container(reader, node);
    case '[':
        node.type = NODE_ARRAY;
        text->at++;
        return open_container(reader, node);
    case '"':
        node.type = NODE_STRING;
        r = json_text_string(text, &node.text, &node.len);
        break;
    case 't':
        node.type = NODE_TRUE;
        r = json_text_word(text, "true");
        break;
    case 'f':
        node.type = NODE_FALSE;
        r = json_text_word(text, "false");
        break;
    case 'n':
        node.type = NODE_NULL;
        r = json_text_word(text, "null");
        break;
    default:
        node.type = NODE_NUMBER;
        r = json_text_number(text, &node.text, &node.len);
        break;
    }
    return r < 0 ? r : add(reader, node);
}

static int read_member(struct reader *reader)
{
    struct node node = {0};
    int r;

    if (json_text_peek(&reader->text) != '"')
        return json_text_fail(&reader->text, JSON_TEXT_NOT_JSON);
    r = json_text_string(&reader->text, &node.key, &node.key_len);
    if (r == 0)
        r = check_new_key(reader, &node);
    if (r == 0)
        r = json_text_expect(&reader->text, ':');
    return r < 0 ? r : read_value(reader, node);
}

static int read_item(struct reader *reader)
{
    return top(reader)->type == NODE_OBJECT ? read_member(reader)
                                            : read_value(reader, (struct node){0});
}

static int close_container(struct reader *reader)
{
    struct node *node = top(reader);
    int r;

    reader->text.at++;
    node->span = (uint32_t)reader->document->n - reader->open[reader->depth - 1].node;
    r = node->type == NODE_OBJECT ? check_all_keys(reader) : 0;
    reader->depth--;
    return r;
}

/* What may stand at this place of the innermost container: its end, or a value, behind a comma
 * unless it is the first. */
static int read_next(struct reader *reader)
{
    struct json_text *text = &reader->text;
    const struct node *node = top(reader);
    int r;

    if (json_text_peek(text) == (node->type == NODE_OBJECT ? '}' : ']'))
        return close_container(reader);
    if (node->count > 0) {
        r = json_text_expect(text, ',');
        if (r < 0)
            return r;
    }
    return read_item(reader);
}

int document_parse(char *text, size_t len, struct document *ret, struct error *err)
{
    struct reader reader = {.text = {.start = text, .at = text, .end = text + len},
                            .document = ret};
    int r;

    *ret = DOCUMENT_INIT;
    if (len > UINT32_MAX)
        return error_set(err, -EINVAL, "is larger than 4 GiB");
    r = read_value(&reader, (struct node){0});
    while (r == 0 && reader.depth > 0)
        r = read_next(&reader);
    if (r == 0 && json_text_peek(&reader.text) != JSON_TEXT_END)
        r = json_text_fail(&reader.text, JSON_TEXT_NOT_JSON);
    if (r == 0)
        return 0;
    document_done(ret);
    if (r == -ENOMEM)
        return error_set(err, r, "is too large: out of memory");
    return error_set(err, r, "%s: byte %zu", reader.text.problem,
                     (size_t)(reader.text.at - reader.text.start));
}

/* ---- Asking -------------------------------------------------------------------------------- */

#define VALUE_WEIGHT 64 /* of jansson's, with its place in a list or by a name */

size_t node_weight(const struct node *node)
{
    size_t weight = 0;

    for (uint32_t i = 0; node && i < node->span; i++)
        weight += VALUE_WEIGHT + node[i].key_len + node[i].len;
    return weight;
}

bool node_is(const struct node *node, enum node_type type)
{
    return node && node->type == type;
}

size_t node_count(const struct node *node)
{
    return node ? node->count : 0;
}

const struct node *node_first(const struct node *parent)
{
    return node_count(parent) > 0 ? parent + 1 : NULL;
}

const struct node *node_next(const struct node *parent, const struct node *node)
{
    const struct node *next = node + node->span;

    return next < parent + parent->span ? next : NULL;
}

const struct node *node_get(const struct node *object, const char *key)
{
    size_t len = strlen(key);
    const struct node *member;

    if (!node_is(object, NODE_OBJECT))
        return NULL;
    node_each(object, member)
    {
        if (member->key_len == len && memcmp(member->key, key, len) == 0)
            return member;
    }
    return NULL;
}

const struct node *node_at(const struct node *array, size_t index)
{
    const struct node *node;

    if (!node_is(array, NODE_ARRAY))
        return NULL;
    node_each(array, node)
    {
        if (index-- == 0)
            return node;
    }
    return NULL;
}

const char *node_string(const struct node *node)
{
    return node_is(node, NODE_STRING) ? node->text : NULL;
}

bool node_is_text(const struct node *node, const char *text)
{
    return node_is(node, NODE_STRING) && text && strcmp(node->text, text) == 0;
}

bool node_is_number(const struct node *node, long long number)
{
    char text[64];

    if (!node_is(node, NODE_NUMBER))
        return false;
    if (node->len >= sizeof text) /* whoever writes it like that hides something */
        return true;
    memcpy(text, node->text, node->len);
    text[node->len] = '\0';
    return strtod(text, NULL) == (double)number;
}

static bool equal_members(const struct node *a, const struct node *b)
{
    const struct node *member;

    node_each(a, member)
    {
        if (!node_equal(member, node_get(b, member->key)))
            return false;
    }
    return true;
}

static bool equal_elements(const struct node *a, const struct node *b)
{
    const struct node *left = node_first(a), *right = node_first(b);

    for (; left && right; left = node_next(a, left), right = node_next(b, right))
        if (!node_equal(left, right))
            return false;
    return true;
}

bool node_equal(const struct node *a, const struct node *b)
{
    if (!a || !b)
        return a == b;
    if (a->type != b->type || a->count != b->count || a->len != b->len)
        return false;
    if (a->type == NODE_OBJECT)
        return equal_members(a, b);
    if (a->type == NODE_ARRAY)
        return equal_elements(a, b);
    return a->len == 0 || memcmp(a->text, b->text, a->len) == 0;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static json_t *number_to_json(const struct node *node)
{
    return json_loadb(node->text, node->len, JSON_DECODE_ANY, NULL);
}

static json_t *array_to_json(const struct node *node)
{
    json_auto_t *array = json_array();
    const struct node *element;

    node_each(node, element)
    {
        if (json_array_append_new(array, node_to_json(element)) < 0)
            return NULL;
    }
    return json_incref(array);
}

static json_t *object_to_json(const struct node *node)
{
    json_auto_t *object = json_object();
    const struct node *member;

    node_each(node, member)
    {
        if (json_object_set_new_nocheck(object, member->key, node_to_json(member)) < 0)
            return NULL;
    }
    return json_incref(object);
}

json_t *node_to_json(const struct node *node)
{
    if (!node)
        return NULL;
    switch (node->type) {
    case NODE_NULL:
        return json_null();
    case NODE_FALSE:
        return json_false();
    case NODE_TRUE:
        return json_true();
    case NODE_NUMBER:
        return number_to_json(node);
    case NODE_STRING:
        return json_stringn_nocheck(node->text, node->len);
    case NODE_ARRAY:
        return array_to_json(node);
    case NODE_OBJECT:
        return object_to_json(node);
    }
    return NULL;
}
