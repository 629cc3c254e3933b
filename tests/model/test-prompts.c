/* test-prompts.c - prompts by role: options, what a model's configuration says, and what is written back. */
#include "base/error.h"
#include "base/file.h"
#include "model/model.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

static struct ft_arena arena;

static bool is(const struct ft_prompts *p, const char *anchor, const char *positive, const char *negative, const char *none)
{
    const char *const want[] = {anchor, positive, negative, none};

    for (int role = 0; role <= FT_NO_ROLE; role++)
        if (!want[role] != !p->text[role] || !ft_prompts_same(want[role], p->text[role]))
            return false;
    return true;
}

static struct ft_prompts parse(const char *a, const char *b, const char *c)
{
    const char *items[] = {a, b, c};
    const struct ft_list list = {items, (size_t)((a != NULL) + (b != NULL) + (c != NULL))};
    struct ft_prompts prompts;

    ft_prompts_parse(&prompts, &list);
    return prompts;
}

static void test_options(void)
{
    struct ft_prompts p = parse(NULL, NULL, NULL), other;

    ok(is(&p, NULL, NULL, NULL, NULL) && !ft_prompts_any(&p), "no options: nothing was said");
    p = parse("to: ", NULL, NULL);
    ok(is(&p, "to: ", "to: ", "to: ", "to: ") && ft_prompts_any(&p), "TEXT alone is for all");
    p = parse("query=q ", "document=d ", NULL);
    ok(is(&p, "q ", "d ", "d ", NULL), "query and document: negatives are documents");
    p = parse("anchor=q ", "negative=n ", "positive=d ");
    ok(is(&p, "q ", "d ", "n ", NULL), "a negative's own stays, whatever the order");
    p = parse("negative=n ", "x", "positive=d ");
    ok(is(&p, "x", "d ", "d ", "x"), "a later one replaces an earlier one");
    p = parse("anchor=", "querying=x", NULL);
    ok(is(&p, "querying=x", "querying=x", "querying=x", "querying=x"), "what no role begins is text");
    p = parse("anchor=", NULL, NULL);
    other = parse("all: ", NULL, NULL);
    ft_prompts_complete(&p, &other);
    ok(is(&p, "", "all: ", "all: ", "all: "), "an empty one is said, and not filled in");
}

static void test_text(void)
{
    struct ft_prompts p = parse("x: ", NULL, NULL), q = parse("query=a", "document=b", NULL), empty = parse("", NULL, NULL);

    is_text(ft_prompts_text(&arena, &p), "x: ", "one prompt is its text");
    is_text(ft_prompts_text(&arena, &q), "anchor=a\npositive=b\nnegative=b\nnone=\n", "several are a line each");
    is_text(ft_prompts_text(&arena, &empty), "", "none are nothing");
}

static int read_config(const char *text, struct ft_prompts *prompts)
{
    json_t *json = json_loads(text, 0, NULL);
    int result = ft_prompts_read(&arena, prompts, json, "config");

    json_decref(json);
    return result;
}

static void test_config(void)
{
    struct ft_prompts p;

    ok(read_config("{}", &p) == 0 && is(&p, NULL, NULL, NULL, NULL), "a configuration without prompts");
    ok(read_config("{\"prompts\": null, \"default_prompt_name\": null}", &p) == 0 && is(&p, NULL, NULL, NULL, NULL), "null is nothing");
    ok(read_config("{\"prompts\": {\"query\": \"q\", \"document\": \"d\", \"passage\": \"p\", \"sts\": \"s\"}, \"default_prompt_name\": \"sts\"}", &p) == 0 &&
       is(&p, "q", "d", "d", "s"), "query, document, and the default");
    ok(read_config("{\"prompts\": {\"corpus\": \"c\", \"passage\": \"p\"}}", &p) == 0 && is(&p, NULL, "p", "p", NULL), "passage where there is no document");
    ok(read_config("{\"prompts\": {}, \"default_prompt_name\": \"query\"}", &p) == 0 && is(&p, NULL, NULL, NULL, NULL), "query is always there, as nothing");
    ok(read_config("{\"prompts\": [], \"default_prompt_name\": null}", &p) < 0 && ft_error_status() == FT_BAD, "a list: %s", ft_error());
    ok(read_config("{\"prompts\": {\"query\": 1}}", &p) < 0 && ft_error_status() == FT_BAD, "a number: %s", ft_error());
    ok(read_config("{\"prompts\": {\"a\": {}}, \"default_prompt_name\": \"a\"}", &p) < 0 && ft_error_status() == FT_BAD, "an object: %s", ft_error());
    ok(read_config("{\"prompts\": {\"a\": \"x\"}, \"default_prompt_name\": \"b\"}", &p) < 0 && ft_error_status() == FT_BAD, "a default of no name: %s", ft_error());
    ok(read_config("{\"default_prompt_name\": 3}", &p) < 0 && ft_error_status() == FT_BAD, "a default that is no text: %s", ft_error());
}

static bool round_trip(const char *from, const struct ft_prompts *prompts)
{
    char directory[] = "/tmp/ft-test-prompts-XXXXXX";
    struct ft_model *model = ft_model_open(from, NULL), *again = NULL;
    bool good = false;

    if (!model || !mkdtemp(directory))
        return false;
    model->prompts = *prompts;
    if (ft_model_save(model, directory) == 0 && (again = ft_model_open(directory, NULL)))
        good = is(&again->prompts, prompts->text[0], prompts->text[1], prompts->text[2], prompts->text[3]);
    ft_model_close(again);
    ft_model_close(model);
    ft_directory_remove(directory);
    return good;
}

static void test_save(void)
{
    const struct ft_prompts two = {{"ask ", "answer ", "answer ", NULL}}, all = {{"x ", "x ", "x ", "x "}};

    ok(round_trip("tests/golden/model/plain", &two), "a directory without configuration gets one: %s", ft_error());
    ok(round_trip("tests/golden/prompts/model", &two), "prompts in the place of others, the default gone: %s", ft_error());
    ok(round_trip("tests/golden/prompts/model", &all), "one for all: %s", ft_error());
}

static void test_left_out(void)
{
    const struct ft_prompts some = {{NULL, "x", NULL, NULL}}, none = {{"", NULL, NULL, NULL}};
    struct ft_model *model = ft_model_open("tests/golden/model/mean", NULL);

    if (!ok(model && ft_model_prompts_check(model, &some) == 0, "include_prompt true: any prompt"))
        return;
    model->prompt_left_out = true;
    ok(ft_model_prompts_check(model, &none) == 0, "include_prompt false: none");
    ok(ft_model_prompts_check(model, &some) < 0 && strstr(ft_error(), "include_prompt false"), "and one is refused: %s", ft_error());
    ft_model_close(model);
}

int main(void)
{
    test_options();
    test_text();
    test_config();
    test_save();
    test_left_out();
    ft_arena_free(&arena);
    return done();
}
