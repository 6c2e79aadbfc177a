/* The webhook's lookups against a server on loopback that says what the test tells it to: what
 * whoever may write GitGates in one namespace can have an API server say. */
#include "scripted_server.h"

#include "lookups.h"

#define GATE(name, fields)                                                                         \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"team-a\",\"uid\":\"u\","                 \
    "\"resourceVersion\":\"7\",\"managedFields\":[{\"fieldsV1\":" fields "}]},\"spec\":{"          \
    "\"upstreams\":[{\"name\":\"app\",\"url\":\"https://git.example.com/team/app.git\"}]}}"
#define FINE "{\"f:spec\":{}}"
#define BYTES "{\"f:\xff\xfe\":{}}"
#define LIST(items) JSON("200 OK", "{\"items\":[" items "]}")

/* What was told of one that asked: "new" when its gate is there and can be used, "new!" when it
 * can't, "-" when there is none, "?" when nobody knows. */
struct told {
    char text[64];
    size_t *left;
    const char *name;
};

static void take_told(void *data, struct gate_list found, bool told)
{
    struct told *to = data;

    --*to->left;
    snprintf(to->text, sizeof to->text, told ? "-" : "?");
    for (size_t i = 0; i < found.n; i++)
        if (strcmp(found.gates[i]->name, to->name) == 0)
            snprintf(to->text, sizeof to->text, "%s%s", to->name,
                     found.gates[i]->problem ? "!" : "");
}

/* Asks for those gates at once: the first by itself, the others a pause later by one request. */
static void look_up(const struct exchange *script, const char *const *names,
                    const char *const *expected)
{
    struct told told[4];
    struct lookups *lookups;
    struct world world;
    size_t n = 0, left = 0;

    world_init(&world, script);
    lookups = lookups_new(world.client);
    for (; names[n]; n++, left++) {
        told[n] = (struct told){.name = names[n], .left = &left};
        assert_true(lookups_ask(lookups, "team-a", names[n], take_told, &told[n]));
    }
    while (left)
        uv_run(&world.loop, UV_RUN_ONCE);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(told[i].text, expected[i]);
    lookups_free(lookups);
    world_done(&world);
}

static void fields_that_nobody_can_read_hide_no_gate(void **state)
{
    static const struct exchange script[] = {
        {"/gitgates/one ", JSON("200 OK", GATE("one", BYTES))},
        {"/gitgates ", LIST(GATE("two", FINE) "," GATE("x", BYTES) "," GATE("three", BYTES))},
        {0}};

    (void)state;
    look_up(script, (const char *[]){"one", "two", "three", NULL},
            (const char *[]){"one", "two", "three"});
}

static void one_that_cannot_be_read_is_told_and_spoils_no_other(void **state)
{
    static const struct exchange script[] = {
        {"/gitgates/one ", JSON("200 OK", GATE("one", "{},\"a\":1,\"a\":2"))},
        {"/gitgates ", LIST(GATE("x", "1,1,\"") "," GATE("two", FINE))},
        {0}};
    static const struct exchange twice[] = {
        {"/gitgates/one ", JSON("404 Not Found", "{}")},
        {"/gitgates ", LIST(GATE("two", "{},\"a\":1,\"a\":2") "," GATE("three", FINE))},
        {0}};

    (void)state;
    look_up(script, (const char *[]){"one", "two", "three", NULL},
            (const char *[]){"one!", "?", "?"}); /* the list itself is no JSON */
    look_up(twice, (const char *[]){"one", "two", "three", NULL},
            (const char *[]){"-", "two!", "three"});
}

static void a_list_that_is_cut_is_nobodys_word(void **state)
{
    static const struct exchange script[] = {
        {"/gitgates/one ", JSON("200 OK", "{\"metadata\":{\"name\":\"one\"")},
        {"/gitgates ", JSON("200 OK", "{\"items\":[" GATE("x", FINE) ",")},
        {0}};
    static const struct exchange empty[] = {{"/gitgates/one ", JSON("200 OK", "[]")},
                                            {"/gitgates ", JSON("200 OK", "{\"items\":null}")},
                                            {0}};

    (void)state;
    look_up(script, (const char *[]){"one", "two", "three", NULL}, (const char *[]){"?", "?", "?"});
    look_up(empty, (const char *[]){"one", "two", "three", NULL}, (const char *[]){"?", "-", "-"});
}

/* JSON white space, which costs nothing to read, is most of it. */
static char *padded(size_t size, const char *json)
{
    static const char head[] = HEAD("200 OK") "\r\n";
    char *text = malloc(sizeof head + size + strlen(json));

    assert_non_null(text);
    memcpy(text, head, sizeof head - 1);
    memset(text + sizeof head - 1, ' ', size);
    strcpy(text + sizeof head - 1 + size, json);
    return text;
}

static void answers_have_room_while_they_are_small(void **state)
{
    static const char list[] = "{\"items\":[" GATE("two", FINE) "]}";
    char *large = padded(KUBE_RESPONSE_MAX, list), *fair = padded(KUBE_RESPONSE_MAX / 2, list);
    const struct exchange script[] = {{"/gitgates/one ", large}, {"/gitgates ", fair}, {0}};

    (void)state;
    look_up(script, (const char *[]){"one", "two", "three", NULL},
            (const char *[]){"?", "two", "-"});
    free(large);
    free(fair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_that_nobody_can_read_hide_no_gate),
        cmocka_unit_test(one_that_cannot_be_read_is_told_and_spoils_no_other),
        cmocka_unit_test(a_list_that_is_cut_is_nobodys_word),
        cmocka_unit_test(answers_have_room_while_they_are_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
