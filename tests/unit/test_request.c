/* What a client wants is read as git daemon reads it, or left to git daemon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "serve/request.h"

/* The state of a request with that payload. */
static enum request_state read_text(const char *payload, size_t len, struct git_request *request)
{
    char packet[2 * REQUEST_MAX];
    int digits = snprintf(packet, sizeof packet, "%04x", (unsigned)len + 4);

    memcpy(packet + digits, payload, len);
    return request_read(packet, len + 4, request);
}

#define READ(text, request) read_text(text, sizeof(text) - 1, request)

static void a_request_is_read(void **state)
{
    struct git_request request;

    (void)state;
    assert_int_equal(READ("git-upload-pack /app.git\0host=x\0\0version=2\0", &request),
                     REQUEST_WHOLE);
    assert_string_equal(request.service, "upload-pack");
    assert_string_equal(request.path, "/app.git");
    assert_int_equal(READ("git-receive-pack /git.example.com/a b.git\n", &request), REQUEST_WHOLE);
    assert_string_equal(request.service, "receive-pack");
    assert_string_equal(request.path, "/git.example.com/a b.git");
}

static void a_part_of_one_asks_for_more(void **state)
{
    static const char whole[] = "0022git-upload-pack /app.git\0h=xy\0";
    struct git_request request;

    (void)state;
    for (size_t len = 0; len < sizeof whole - 1; len++)
        assert_int_equal(request_read(whole, len, &request), REQUEST_MORE);
    assert_int_equal(request_read(whole, sizeof whole - 1, &request), REQUEST_WHOLE);
}

static void what_git_does_not_send_is_strange(void **state)
{
    char path[PATH_MAX + 64] = "git-upload-pack /";
    struct git_request request;

    (void)state;
    assert_int_equal(READ("git-upload-archive /app.git", &request), REQUEST_STRANGE);
    assert_int_equal(READ("git-upload-pack app.git", &request), REQUEST_STRANGE);
    assert_int_equal(READ("git-upload-pack ", &request), REQUEST_STRANGE);
    assert_int_equal(READ("git-upload-pack", &request), REQUEST_STRANGE);
    assert_int_equal(READ("git- /app.git", &request), REQUEST_STRANGE);
    assert_int_equal(READ(" /app.git", &request), REQUEST_STRANGE);
    assert_int_equal(READ("", &request), REQUEST_STRANGE);
    assert_int_equal(READ("git-upload-pack\0 /app.git", &request), REQUEST_STRANGE);
    assert_int_equal(request_read("0000", 4, &request), REQUEST_STRANGE);
    assert_int_equal(request_read("GET / HTTP/1.1", 14, &request), REQUEST_STRANGE);
    memset(path + strlen(path), 'a', PATH_MAX);
    assert_int_equal(read_text(path, PATH_MAX + 17, &request), REQUEST_STRANGE);
}

static void what_is_longer_than_any_request_is_not_waited_for(void **state)
{
    char text[REQUEST_MAX] = "fff0";
    struct git_request request;

    (void)state;
    assert_int_equal(request_read(text, sizeof text - 1, &request), REQUEST_MORE);
    assert_int_equal(request_read(text, sizeof text, &request), REQUEST_STRANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read),
        cmocka_unit_test(a_part_of_one_asks_for_more),
        cmocka_unit_test(what_git_does_not_send_is_strange),
        cmocka_unit_test(what_is_longer_than_any_request_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
