/* test-options.c - option tables and settings: what parses, what is refused and with which words. */
#include "base/memory.h"
#include "base/options.h"
#include "base/tool.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

static bool flag;
static long count = 5;
static double number = .5;
static const char *text = "here", *choice = "red";
static size_t size;
static struct ft_list list;

static const struct ft_option options[] = {
    {'f', "flag", FT_FLAG, &flag, NULL, "a flag", NULL},
    {'n', "count", FT_COUNT, &count, "N", "a count", NULL},
    {0, "number", FT_NUMBER, &number, "X", "a number", NULL},
    {'t', "text", FT_TEXT, &text, "TEXT", "a text", NULL},
    {0, "size", FT_SIZE, &size, "SIZE", "a size", NULL},
    {0, "color", FT_CHOICE, &choice, NULL, "one of them", "red green blue"},
    {'l', "list", FT_LIST, &list, "ITEM", "may be repeated", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {"ft-x a | ft-y", NULL};

static struct ft_tool tool = {.name = "ft-x", .purpose = "tries", .operands = "[FILE...]", .options = options, .examples = examples};

/* ft_tool_begin with standard error in a file; its status, and what it said in `said`. */
static char said[4096];

static int begin(const char *const *words)
{
    char *argv[16] = {(char *)"ft-x"}, path[] = "/tmp/ft-test-options-XXXXXX";
    int argc = 1, saved[2] = {dup(1), dup(2)}, file = mkstemp(path), status;
    ssize_t got;

    while (words[argc - 1]) {
        argv[argc] = (char *)words[argc - 1];
        argc++;
    }
    fflush(NULL);
    dup2(file, 1);
    dup2(file, 2);
    free(tool.argv);
    tool.argv = NULL;
    status = ft_tool_begin(&tool, argc, argv);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        dup2(saved[i], i + 1);
        close(saved[i]);
    }
    got = pread(file, said, sizeof said - 1, 0);
    said[got < 0 ? 0 : got] = '\0';
    close(file);
    unlink(path);
    return status;
}

#define BEGIN(...) begin((const char *const[]){__VA_ARGS__, NULL})

static void refused(int status, const char *message)
{
    bool good = status == FT_USAGE && strstr(said, message);

    ok(good, "refused: %s", message);
    if (!good)
        printf("# status %d, said: %s\n", status, said);
}

static void check_good(void)
{
    ok(BEGIN("--count", "12", "-f", "a", "--number=-2.5e3", "--", "-t") == -1 && count == 12 && flag && number == -2500, "long and short");
    ok(tool.argc == 2 && strcmp(tool.argv[0], "a") == 0 && strcmp(tool.argv[1], "-t") == 0, "operands, -- ends the options");
    ok(ft_tool_given(&tool, &count) && !ft_tool_given(&tool, &text), "which options were given is known");
    ok(BEGIN("-tx", "--text", "y=z", "-n7", "-") == -1 && strcmp(text, "y=z") == 0 && count == 7, "a value may touch its letter; the last one counts");
    ok(tool.argc == 1 && strcmp(tool.argv[0], "-") == 0, "- is an operand");
    ok(BEGIN("--text=", "--text=a=b") == -1 && strcmp(text, "a=b") == 0, "a value may hold =");
    ok(BEGIN("--size", "3k") == -1 && size == 3072 && BEGIN("--size=2M") == -1 && size == 2 << 20 && BEGIN("--size=1G") == -1 &&
       size == 1 << 30 && BEGIN("--size=7") == -1 && size == 7, "sizes");
    ok(BEGIN("--color", "blue") == -1 && strcmp(choice, "blue") == 0, "a choice");
    ok(BEGIN("-l", "a", "--list=b") == -1 && list.count == 2 && strcmp(list.items[1], "b") == 0, "a list");
}

static void check_bad(void)
{
    refused(BEGIN("--nonsense"), "unknown option '--nonsense': known are --flag --count --number --text --size --color --list -q -v --help --version");
    refused(BEGIN("-x"), "unknown option '-x'");
    refused(BEGIN("--coun", "3"), "unknown option '--coun'");
    refused(BEGIN("--flag=yes"), "--flag=yes: takes no value");
    refused(BEGIN("-fn"), "-fn: takes no value");
    refused(BEGIN("--count"), "--count: a value is missing");
    refused(BEGIN("-n"), "-n: a value is missing");
    refused(BEGIN("--count", "-1"), "--count: '-1' is not a whole number");
    refused(BEGIN("--count", "1.5"), "'1.5' is not a whole number");
    refused(BEGIN("--count", ""), "'' is not a whole number");
    refused(BEGIN("--count", " 1"), "' 1' is not a whole number");
    refused(BEGIN("--count", "99999999999999999999"), "is not a whole number");
    refused(BEGIN("--number", "x"), "--number: 'x' is not a number");
    refused(BEGIN("--number", "1x"), "'1x' is not a number");
    refused(BEGIN("--number", ""), "'' is not a number");
    refused(BEGIN("--number", "1e999"), "'1e999' is not a number");
    refused(BEGIN("--size", "3q"), "'3q' is not a size");
    refused(BEGIN("--size", "3kk"), "'3kk' is not a size");
    refused(BEGIN("--size", "-3"), "'-3' is not a size");
    refused(BEGIN("--size", "18446744073709551615G"), "is not a size");
    refused(BEGIN("--color", "re"), "--color: 're' is not known: one of red green blue");
    refused(BEGIN("--color", "red green"), "'red green' is not known");
    refused(BEGIN("--color", ""), "'' is not known");
}

static void check_help(void)
{
    ok(BEGIN("--help") == FT_DONE && strstr(said, "ft-x - tries") && strstr(said, "usage: ft-x [OPTION...] [FILE...]"), "--help says what it is");
    ok(strstr(said, "-n, --count N") && strstr(said, "--color red|green|blue") && strstr(said, "-h, --help") && strstr(said, "ft-x a | ft-y"),
       "and its options, the standard ones included, and an example");
}

static void check_version(void)
{
    ok(BEGIN("--version") == FT_DONE && strcmp(said, "ft-x " FT_VERSION "\n") == 0, "--version");
}

static void setting_bad(const char *string)
{
    struct ft_setting setting;

    ok(ft_setting_parse(&setting, string) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), "is no setting"), "no setting: %.60s", string);
}

static void check_settings(void)
{
    struct ft_setting s;
    char longer[300];
    int failed = 0;

    ok(ft_setting_parse(&s, "adamw") == 0 && strcmp(s.name, "adamw") == 0 && s.count == 0, "a name alone");
    ok(ft_setting_parse(&s, "triplet:margin=.5,distance=cosine,x=a=b") == 0 && s.count == 3, "with values");
    is_close(ft_setting_number(&s, "margin", 9, &failed), .5, 0, "a number");
    is_close(ft_setting_number(&s, "other", 9, &failed), 9, 0, "one that is not there");
    is_text(ft_setting_text(&s, "x", ""), "a=b", "a value may hold =");
    ok(!failed && ft_setting_number(&s, "distance", 1, &failed) == 1 ? failed < 0 : failed < 0, "text is no number");
    is_text(ft_error(), "triplet:distance: 'cosine' is not a number", "and it is said where");
    ok(ft_setting_check(&s, "margin distance x") == 0, "keys that are known");
    ok(ft_setting_check(&s, "margin distance") < 0 && strstr(ft_error(), "triplet has no key 'x': it has margin distance"), "one that is not");
    ok(ft_setting_check(&s, "") < 0 && strstr(ft_error(), "it has none"), "none are known");
    ok(ft_setting_check(&s, "marginx distance x") < 0, "a longer key is another one");
    ok(ft_setting_parse(&s, "loss:pos_margin=2,neg-margin=3") == 0 && ft_setting_check(&s, "pos-margin neg_margin") == 0 &&
           ft_setting_number(&s, "pos-margin", 9, &failed) == 2 && ft_setting_number(&s, "neg_margin", 9, &failed) == 3, "- and _ are one in a key");
    ok(ft_setting_check(&s, "pos-margin negmargin") < 0, "but both are something");
    setting_bad("");
    setting_bad(":a=1");
    setting_bad("x:a");
    setting_bad("x:=1");
    setting_bad("x:a=1,,b=2");
    setting_bad("x:a=1,b");
    memset(longer, 'y', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    setting_bad(longer);
    longer[5] = ':';
    setting_bad(longer);
    longer[10] = '=';
    setting_bad(longer);
    setting_bad("x:a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1,k=1,l=1,m=1,n=1,o=1,p=1,q=1");
}

int main(void)
{
    check_good();
    check_bad();
    check_help();
    check_version();
    check_settings();
    free(tool.argv);
    free(list.items);
    return done();
}
