/* test-csv.c - physical lines and CSV records: everything accepted, everything refused, the line it is said of. */
#include "data/csv.h"
#include "base/error.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

static char path[] = "/tmp/ft-test-csv-XXXXXX";

static void put(const void *bytes, size_t size)
{
    FILE *f = fopen(path, "w");

    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f) != 0)
        ok(false, "cannot write %s", path);
}

/* All records as "line:a|b;" and errors as "!what at line;". */
static const char *read_all(const void *bytes, size_t size, const char *encoding, char delimiter)
{
    static char text[1 << 16];
    size_t used = 0;
    struct ft_lines *lines;
    struct ft_csv *csv;
    struct ft_cells cells;
    int got;

    put(bytes, size);
    text[0] = '\0';
    lines = ft_lines_open(path, encoding);
    csv = lines ? ft_csv_open(lines, delimiter) : NULL;
    while (csv && used < sizeof text - 4096 && (got = ft_csv_next(csv, &cells)) != 0) {
        if (got < 0) {
            used += (size_t)snprintf(text + used, sizeof text - used, "!%s;", ft_error() + strlen(path) + 1);
            continue;
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "%lu:", cells.line);
        for (size_t i = 0; i < cells.count; i++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s", i ? "|" : "",
                                     cells.cell[i].size > 1000 ? 1000 : (int)cells.cell[i].size, cells.cell[i].data);
        used += (size_t)snprintf(text + used, sizeof text - used, ";");
    }
    ft_csv_close(csv);
    ft_lines_close(lines);
    return text;
}

#define CSV(literal) read_all(literal, sizeof(literal) - 1, NULL, ',')

static void test_accepted(void)
{
    is_text(CSV("a,b\nc,d\n"), "1:a|b;2:c|d;", "plain");
    is_text(CSV("a,b\nc,d"), "1:a|b;2:c|d;", "no final newline");
    is_text(CSV("a,b\r\nc,d\r\n"), "1:a|b;2:c|d;", "CRLF");
    is_text(CSV("a,b\rc,d\r"), "1:a|b;2:c|d;", "CR");
    is_text(CSV("a,b\rc,d"), "1:a|b;2:c|d;", "CR, no final one");
    is_text(CSV("\xef\xbb\xbf" "a,b\n"), "1:a|b;", "byte-order mark");
    is_text(CSV("\xef\xbb\xbf\"a\",b\n"), "1:a|b;", "byte-order mark before a quote");
    is_text(CSV("a\n\xef\xbb\xbf" "b\n"), "1:a;2:\xef\xbb\xbf" "b;", "a mark later on is text");
    is_text(CSV("a, \"b, c\"\nd, e\n"), "1:a|b, c;2:d|e;", "blank after the delimiter");
    is_text(CSV("a,\t \"b\" ,c \n"), "1:a|b|c;", "blanks around fields");
    is_text(CSV("\"say \"\"hi\"\"\",\"\"\"\"\n"), "1:say \"hi\"|\";", "doubled quotes");
    is_text(CSV("say \"hi\",5\" disk\n"), "1:say \"hi\"|5\" disk;", "quotes in unquoted fields");
    is_text(CSV("\"a\nb\",c\nd,e\n"), "1:a\nb|c;3:d|e;", "newline in quotes, lines counted");
    is_text(CSV("\"a\r\nb\",c\r\nd,e\r\n"), "1:a\r\nb|c;3:d|e;", "CRLF in quotes stays");
    is_text(CSV("\"a\rb\",c\nd,e\n"), "1:a\rb|c;2:d|e;", "CR in quotes is no line of an editor");
    is_text(CSV("a,b\n\n  \n\nc,d\n"), "1:a|b;5:c|d;", "blank lines counted, not read");
    is_text(CSV("a,\n,b\n,\n\"\"\n"), "1:a|;2:|b;3:|;4:;", "empty fields");
    is_text(CSV(""), "", "nothing");
    is_text(CSV("\n"), "", "a newline");
    is_text(CSV("\"a\"\"\n\"\"b\",c\n"), "1:a\"\n\"b|c;", "doubled quotes at a line's end");
    is_text(CSV("h\xc3\xa9,\xe4\xb8\xad\xf0\x9f\x98\x80\n"), "1:h\xc3\xa9|\xe4\xb8\xad\xf0\x9f\x98\x80;", "UTF-8");
    is_text(read_all("a\tb, c\n", 7, NULL, '\t'), "1:a|b, c;", "tabs");
    is_text(read_all("a\t\tc\n", 5, NULL, '\t'), "1:a||c;", "an empty field between tabs");
}

static void test_refused(void)
{
    is_text(CSV("a,b\n\"c,d\ne,f\n"), "1:a|b;!2: a quote is opened here and never closed;", "unclosed quote");
    is_text(CSV("a,\"b\nc\",\"d\ne\n"), "!2: a quote is opened here and never closed;", "the line where the quote opened, not the record");
    is_text(CSV("a,\"b"), "!1: a quote is opened here and never closed;", "unclosed, no newline");
    is_text(CSV("\"a\"b,c\nd,e\n"), "!1: text after a closing quote, expected the delimiter or the end of the line;2:d|e;",
            "text after a closing quote");
    is_text(CSV("a,b\nc,\xff\nd,e\n"),
            "1:a|b;!2: byte 3 of the line (0xff) is not UTF-8: name the encoding with --encoding;3:d|e;", "not UTF-8");
    is_text(CSV("\"a\nb\xc3\",c\nd,e\n"), "!2: byte 2 of the line (0xc3) is not UTF-8: name the encoding with --encoding;3:d|e;",
            "not UTF-8 inside quotes: its own line");
    is_text(CSV("a,\xed\xa0\x80\n"), "!1: byte 3 of the line (0xed) is not UTF-8: name the encoding with --encoding;", "a surrogate");
    is_text(CSV("a,\xc0\xaf\n"), "!1: byte 3 of the line (0xc0) is not UTF-8: name the encoding with --encoding;", "overlong");
    is_text(CSV("a,b\0c\nd,e\n"), "!1: byte 4 of the line is null, expected text;2:d|e;", "null byte");
}

static void test_encodings(void)
{
    is_text(read_all("h\xe9,b\n", 5, "latin1", ','), "1:h\xc3\xa9|b;", "latin-1");
    is_text(read_all("\xff\xfe" "a\0,\0b\0\n\0", 10, "utf-16", ','), "1:a|b;", "UTF-16 with its mark");
    is_text(read_all("a,b\n\x81,c\nd,e\n", 12, "cp1252", ','), "1:a|b;!2: not valid cp1252 at byte 1 of the line;3:d|e;",
            "undecodable, on its line");
    ok(!ft_lines_open(path, "klingon") && ft_error_status() == FT_USAGE, "unknown encoding: %s", ft_error());
    ok(!ft_lines_open("/nonexistent", NULL) && ft_error_status() == FT_SYSTEM, "no file: %s", ft_error());
}

static void test_large(void)
{
    size_t size = (size_t)FT_LIMIT_LINE + 100;
    char *text = malloc(size + 16);

    memset(text, 'x', size + 16);
    memcpy(text + size, "\na,b\n", 5);
    is_text(read_all(text, size + 5, NULL, ','), "!1: a line of more than 16 MiB;2:a|b;", "a line past the limit");
    for (size_t i = 0; i < size; i += 1000)
        text[i] = '\n';
    text[0] = '"';
    ok(strncmp(read_all(text, size + 5, NULL, ','), "!1: a record of more than 16 MiB: is a quote not closed?;", 55) == 0,
       "a record past the limit, at the line of its quote");
    free(text);
}

/* No prefix of a file may crash, and all of its whole records come out. */
static void test_cuts(void)
{
    static const char whole[] = "text,label\r\n\"a \"\"b\"\", c\",1\n d , \"e\nf\" \n\n\xc3\xa9,\xf0\x9f\x98\x80\n\"g\",h";
    size_t least = 0;
    bool grows = true;

    for (size_t cut = 0; cut < sizeof whole; cut++) {
        size_t records = 0;

        for (const char *p = read_all(whole, cut, NULL, ','); *p; p++)
            records += *p == ';';
        grows &= records >= least;
        least = records > least ? records : least;
    }
    ok(grows && least == 5, "cut at every byte: %zu records at last", least);
}

/* Block borders: lines of every length around a block's size. */
static void test_borders(void)
{
    const size_t block = 1 << 18;
    char *text = malloc(2 * block);
    bool good = true;

    for (size_t first = block - 6; first < block + 3; first++) {
        memset(text, 'x', first);
        memcpy(text + first, "\r\nb,\"c\"\r\nd,e\r\n", 14);
        const char *got = read_all(text, first + 14, NULL, ',');

        got = strchr(got, ';');
        good &= got && strcmp(got, ";2:b|c;3:d|e;") == 0;
    }
    ok(good, "line ends across blocks");
    free(text);
}

static void test_sniff(void)
{
#define SNIFF(literal) ft_csv_sniff(FT_STRING(literal), true)
    ok(SNIFF("a,b\nc,d\n") == ',', "comma");
    ok(SNIFF("a\tb, c\n") == '\t', "tab before comma");
    ok(SNIFF("a;b\nc,x;d\n") == ';', "semicolon");
    ok(SNIFF("a;b\n") == ',', "one line with a semicolon is text");
    ok(SNIFF("\"a\tb\",c\nd,\"e;f\"\n") == ',', "quoted ones do not count");
    ok(SNIFF("a, \"b, c\"\nd, e\n") == ',', "blank before a quote");
    ok(SNIFF("a,b\nc\n") == ',', "nothing fits: comma");
}

/* Short texts are looked at byte by byte, longer ones by vectors of 16 bytes where there are such. */
static bool same_in_long(void)
{
    static const char third[] = {'\0', 'a', '\x7f', '\x80', '\x8f', '\x90', '\x9f', '\xa0', '\xbf', '\xc2', '\xff'};
    char text[40], *p = text + 14;
    size_t got, bad = 0;

    memset(text, 'a', sizeof text);
    for (int first = 0; first < 256; first++)
        for (int second = 0; second < 256; second++)
            for (size_t i = 0; i < sizeof third; i++)
                for (size_t size = 15; size < 19; size++) {
                    p[0] = (char)first, p[1] = (char)second, p[2] = third[i], p[3] = '\x80';
                    got = ft_utf8_check(p, size - 14);
                    bad += ft_utf8_check(text, size) != 14 + got;
                    p[3] = 'a';
                    got = ft_utf8_check(p, 5);
                    bad += ft_utf8_check(text, sizeof text) != (got == 5 ? sizeof text : 14 + got);
                }
    return bad == 0;
}

static void test_utf8(void)
{
    char long_text[200];
    bool found = true;

    memset(long_text, 'a', sizeof long_text);
    for (size_t i = 0; i < sizeof long_text; i++) {
        long_text[i] = '\0';
        found &= ft_utf8_check(long_text, sizeof long_text) == i;
        long_text[i] = (char)0x80;
        found &= ft_utf8_check(long_text, sizeof long_text) == i;
        long_text[i] = (char)0xc3;
        found &= ft_utf8_check(long_text, sizeof long_text) == i;
        long_text[i] = 'a';
    }
    ok(found, "a bad byte at every place of a long line");
    ok(same_in_long(), "three bytes of any kind across a vector's border, as in a short text");
    ok(ft_utf8_check("\x01\x7f\xc2\x80", 4) == 4 && ft_utf8_check("\xf4\x8f\xbf\xbf", 4) == 4, "limits inside");
    ok(ft_utf8_check("\xf4\x90\x80\x80", 4) == 0 && ft_utf8_check("\xe0\x9f\xbf", 3) == 0, "limits outside");
}

int main(void)
{
    int fd = mkstemp(path);

    if (fd < 0 || close(fd) != 0)
        return 1;
    test_accepted();
    test_refused();
    test_encodings();
    test_large();
    test_cuts();
    test_borders();
    test_sniff();
    test_utf8();
    unlink(path);
    return done();
}
