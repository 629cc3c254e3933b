/* test-rows.c - what a row is: headers, guesses, --columns, --where, JSON lines; and the document it becomes. */
#include "data/rows.h"
#include "base/error.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

static char path[64] = "/tmp/ft-test-rows-XXXXXX";

struct out {
    char text[1 << 15];
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void add(struct out *out, const char *format, ...)
{
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(out->text + out->used, sizeof out->text - out->used, format, args);
    va_end(args);
    out->used += (size_t)size < sizeof out->text - out->used ? (size_t)size : 0;
}

static void add_row(struct out *out, const struct ft_row *row)
{
    static const char letters[] = "apn";

    add(out, "%lu", row->line);
    if (row->part)
        add(out, ".%lu", row->part);
    if (row->id.size)
        add(out, "#%.*s", (int)row->id.size, row->id.data);
    for (size_t i = 0; i < row->item_count; i++) {
        const struct ft_row_item *item = &row->items[i];

        if (item->content.data)
            add(out, " %.1s%s%.*s", item->role == FT_NO_ROLE ? "t" : &letters[item->role], item->uri ? "@" : "=", (int)item->content.size,
                item->content.data);
        for (size_t j = 0; j < item->width; j++)
            add(out, "%s%g", j ? "," : " v=", item->vector[j]);
        if (item->scored)
            add(out, "(%g)", item->score);
    }
    if (row->label.data)
        add(out, " L=%.*s", (int)row->label.size, row->label.data);
    if (row->scored)
        add(out, " S=%g", row->score);
    for (size_t i = 0; i < row->tag_count; i++)
        add(out, " %.*s=%.*s", (int)row->tags[i].name.size, row->tags[i].name.data, (int)row->tags[i].text.size, row->tags[i].text.data);
    add(out, ";");
}

/* "kind: row; row; !error;" of a file that holds `text`. */
static const char *read_rows(const char *text, size_t size, const struct ft_rows_options *options)
{
    static struct out out;
    FILE *f = fopen(path, "w");
    struct ft_rows *rows;
    struct ft_row row;
    int got;

    out.used = 0;
    out.text[0] = '\0';
    if (!f || fwrite(text, 1, size, f) != size || fclose(f) != 0)
        return "cannot write";
    rows = ft_rows_open(path, options);
    if (!rows) {
        add(&out, "!%d %s", ft_error_status(), ft_error() + strlen(path) + 2);
        return out.text;
    }
    while ((got = ft_rows_next(rows, &row)) != 0 && out.used < sizeof out.text / 2) {
        if (got < 0)
            add(&out, "!%s;", ft_error() + strlen(path) + 1);
        else
            add_row(&out, &row);
    }
    add(&out, " %s%s", ft_row_kind_name(ft_rows_kind(rows)), *ft_rows_question(rows) ? "?" : "");
    ft_rows_close(rows);
    return out.text;
}

static struct ft_rows_options plain(void)
{
    return (struct ft_rows_options){.format = "auto", .dialect = "auto", .output = -1};
}

static const char *rows_of(const char *text)
{
    struct ft_rows_options o = plain();

    return read_rows(text, strlen(text), &o);
}

static const char *rows_as(enum ft_row_kind kind, const char *columns, const char *text)
{
    struct ft_rows_options o = plain();

    o.kind = kind;
    if (columns && ft_selection_parse(&o.selection, columns) < 0)
        return ft_error();
    return read_rows(text, strlen(text), &o);
}

static void test_counts(void)
{
    is_text(rows_of("a\nb\n"), "1 t=a;2 t=b; unlabelled rows", "1 column");
    is_text(rows_of("a, b\nc, d\na, e\n"), "1 a=a p=b;2 a=c p=d;3 a=a p=e; pairs", "2 columns are pairs");
    is_text(rows_of("a,x\nb,x\nc,y\n"), "1 t=a L=x;2 t=b L=x;3 t=c L=y; labelled rows", "2 columns, the second repeats: labels");
    is_text(rows_of("a,x\nb,x\n"), "1 a=a p=x;2 a=b p=x; pairs", "too few rows to say: pairs");
    is_text(rows_of("a,x\na,x\na,y\na,x\n"), "1 a=a p=x;2 a=a p=x;3 a=a p=y;4 a=a p=x; pairs?", "both repeat: pairs, and a question");
    is_text(rows_of("a,1\nb,2\n"), "1 a=a p=1;2 a=b p=2; pairs?", "numbers in column 2: pairs, and a question");
    is_text(rows_as(FT_ROW_PAIRS, NULL, "a,x\nb,x\nc,x\n"), "1 a=a p=x;2 a=b p=x;3 a=c p=x; pairs", "--pairs: no question");
    is_text(rows_of("a,b,0.5\nc,d,-1e-1\n"), "1 a=a p=b S=0.5;2 a=c p=d S=-0.1; scored pairs", "3 columns, numbers in the third: scored");
    is_text(rows_of("a,b,c\n"), "1 a=a p=b n=c; triplets", "3 columns: triplets");
    is_text(rows_as(FT_ROW_TRIPLETS, NULL, "a,b,c,d\n"), "1 a=a p=b n=c n=d; triplets", "--triplets with several negatives");
    is_text(rows_as(FT_ROW_UNLABELED, NULL, "a,b\nc,d\n"), "1.1 t=a;1.2 t=b;2.1 t=c;2.2 t=d; unlabelled rows", "--unlabeled: each cell");
    is_text(rows_as(FT_ROW_LABELED, NULL, "a,b\n"), "1 t=a L=b; labelled rows", "--labeled");
    ok(strncmp(rows_of("a,b,c,d\n"), "!2 4 columns", 12) == 0, "4 columns: what are they?");
    ok(strncmp(rows_as(FT_ROW_LABELED, NULL, "a,b,c\n"), "!2 --labeled: 3 columns, expected 2", 35) == 0, "--labeled with 3 columns");
    ok(strncmp(rows_as(FT_ROW_SCORED, NULL, "a,b\n"), "!2 --scored: 2 columns, expected 3", 34) == 0, "--scored with 2 columns");
    ok(strncmp(rows_of("\n \n"), "!3 no rows", 10) == 0, "an empty file: %s", ft_error());
    is_text(rows_of("a,b\nc\nd,e,f\n"), "1 a=a p=b;!2: 1 field, expected 2 as in the first row;!3: 3 fields, expected 2 as in the first row; pairs",
            "another number of fields");
    is_text(rows_of("a,b,1\nc,d,high\ne,f,0\n"), "1 a=a p=b S=1;!2: column 3 is 'high', expected a number as the score;3 a=e p=f S=0; scored pairs",
            "a score that is none");
    is_text(rows_of("a,b\n,d\n"), "1 a=a p=b;!2: column 1 is empty, expected a text; pairs", "an empty text");
}

static void test_headers(void)
{
    is_text(rows_of("text,label\na,x\n"), "2 t=a L=x; labelled rows", "text,label");
    is_text(rows_of("Label,Text\nx,a\n"), "2 t=a L=x; labelled rows", "in any order and case");
    is_text(rows_of("id,text,label,lang\n7,a,x,en\n,b,y,de\n"), "2#7 t=a L=x lang=en;3 t=b L=y lang=de; labelled rows", "id and tags");
    is_text(rows_of("anchor,positive,negative\na,b,c\n"), "2 a=a p=b n=c; triplets", "anchor,positive,negative");
    is_text(rows_of("negative_1,query,negative_2,positive\nc,a,d,b\n"), "2 a=a p=b n=c n=d; triplets", "several negatives");
    is_text(rows_of("question,answer\na,b\n"), "2 a=a p=b; pairs", "question,answer");
    is_text(rows_of("question,answer,wrong_answer\na,b,c\n"), "2 a=a p=b n=c; triplets", "CovidQA");
    is_text(rows_of("anchor,positive,negative,score\na,b,c,-2.5\n"), "2 a=a p=b n=c S=-2.5; triplets", "a triplet with its margin");
    is_text(rows_as(FT_ROW_TRIPLETS, "anchor=1,positive=2,negative=3,score=4", "a,b,c,7\n"), "1 a=a p=b n=c S=7; triplets", "by --columns");
    is_text(rows_of("query,positive,negative,score\na,b,c,\n"), "!2: column 4 is '', expected a number as the score; triplets", "an empty margin");
    ok(strstr(rows_of("query,positive,neg_1,neg_2,score\na,b,c,d,1\n"), "a score and 2 negatives"), "one score of two negatives");
    is_text(rows_of("sentence1,sentence2,score\na,b,.5\n"), "2 a=a p=b S=0.5; scored pairs", "sentence1,sentence2,score");
    is_text(rows_of("sentence1,sentence2,label\na,b,1\n"), "2 a=a p=b S=1; scored pairs", "a label that is a number, of two sentences");
    is_text(rows_of("sentence1,sentence2,label\na,b,entailment\n"), "2 a=a p=b label=entailment; pairs", "a label that is none");
    is_text(rows_of("image,text\nx.jpg,a\n"), "2 a=a p@x.jpg; texts with images", "image,text");
    is_text(rows_of("image,label\nx.jpg,a\n"), "2 t@x.jpg L=a; labelled rows", "image,label");
    is_text(rows_of("text\na\n"), "2 t=a; unlabelled rows", "text alone");
    is_text(rows_of("text,text\na,b\n"), "1 a=text p=text;2 a=a p=b; pairs", "a name twice is no header");
    is_text(rows_of("my text,topic\na,x\n"), "1 a=my text p=topic;2 a=a p=x; pairs", "unknown names are data");
    is_text(rows_of("text,label\n"), " labelled rows", "a header alone");
    ok(strcmp(rows_of("text,label\na,\n"), "!2: column 2 is empty, expected a label; labelled rows") == 0, "an empty label");
    is_text(rows_of("text,label\na\n"), "!2: 1 field, expected 2 as in the header; labelled rows", "as in the header");
}

static void test_columns(void)
{
    struct ft_rows_options o = plain();

    is_text(rows_as(FT_ROW_GUESS, "text=synopsis,label=section", "package,synopsis,section\np,a,x\n"), "2 t=a L=x package=p; labelled rows",
            "roles by name make the first row a header");
    is_text(rows_as(FT_ROW_GUESS, "text=3,label=1", "x,y,a\n"), "1 t=a L=x column2=y; labelled rows", "roles by number");
    is_text(rows_as(FT_ROW_PAIRS, "3,1", "x,y,a\n"), "1 a=a p=x column2=y; pairs", "an order by number");
    is_text(rows_as(FT_ROW_TRIPLETS, "negative=1", "x,y,a\n"), "1 a=y p=a n=x; triplets", "one role, the others in order");
    is_text(rows_as(FT_ROW_GUESS, "label=topic", "text,label,topic\na,x,u\n"), "2 t=a L=u label=x; labelled rows", "a role away from its name");
    is_text(rows_as(FT_ROW_LABELED, "body,topic", "topic,body\nx,a\n"), "2 t=a L=x; labelled rows", "an order by name");
    is_text(rows_as(FT_ROW_GUESS, "colour=1", "a\n"), "--columns: role 'colour' is not known: one of id text image label score anchor positive negative",
            "an unknown role");
    ok(strncmp(rows_as(FT_ROW_GUESS, "text=body", "a,b\n"), "!2 --columns: no column 'body'", 30) == 0, "an unknown column");
    ok(strncmp(rows_as(FT_ROW_GUESS, "text=1,label=1", "a,b\n"), "!2 --columns: column '1' is named twice", 39) == 0, "a column twice");
    o.header = true;
    is_text(read_rows("my text,topic\na,x\nb,x\nc,x\n", 26, &o), "2 t=a L=x;3 t=b L=x;4 t=c L=x; labelled rows", "--header, names unknown");
    ok(strncmp(read_rows("a,a\nb,c\n", 8, &o), "!3 the header names 'a' twice", 29) == 0, "--header, a name twice");
}

static void test_where(void)
{
    struct ft_where where[2];
    struct ft_rows_options o = plain();

    o.where = where;
    o.where_count = 1;
    ok(ft_where_parse(&where[0], "lang=en") == 0 && ft_where_parse(&where[1], "label!=y") == 0, "conditions");
    is_text(read_rows("text,label,lang\na,x,en\nb,y,en\nc,x,de\n", 37, &o), "2 t=a L=x lang=en;3 t=b L=y lang=en; labelled rows", "=");
    o.where_count = 2;
    is_text(read_rows("text,label,lang\na,x,en\nb,y,en\nc,x,de\n", 37, &o), "2 t=a L=x lang=en; labelled rows", "= and !=");
    is_text(read_rows("{\"text\":\"a\",\"lang\":\"en\"}\n{\"text\":\"b\",\"lang\":1}\n", 47, &o), "1 t=a lang=; unlabelled rows", "JSON");
    ok(strncmp(read_rows("text,label\na,x\n", 15, &o), "!2 --where: no column 'lang'", 28) == 0, "no such column");
    ok(ft_where_parse(&where[0], "lang") < 0 && ft_where_parse(&where[0], "=x") < 0 && ft_error_status() == FT_USAGE, "no condition");
}

static void test_json(void)
{
    is_text(rows_of("{\"text\":\"a\",\"label\":\"x\"}\n\n{\"label\":3,\"text\":\"b\"}"), "1 t=a L=x;3 t=b L=3; labelled rows", "text, label");
    is_text(rows_of("{\"anchor\":\"a\",\"positive\":\"b\",\"negative\":\"c\"}"), "1 a=a p=b n=c; triplets", "anchor, positive, negative");
    is_text(rows_of("{\"query\":\"a\",\"pos\":[\"b\",\"c\"],\"neg\":[\"d\",\"e\"]}"), "1.1 a=a p=b n=d n=e;1.2 a=a p=c n=d n=e; triplets",
            "query, pos, neg");
    is_text(rows_of("{\"anchor\":\"a\",\"positive\":\"b\",\"negative\":\"c\",\"score\":3.5}"), "1 a=a p=b n=c S=3.5; triplets", "a margin");
    is_text(rows_of("{\"query\":\"a\",\"pos\":\"b\",\"neg\":[\"c\",\"d\"],\"score\":[3,-1]}"), "1 a=a p=b(0) n=c(-3) n=d(1); triplets", "two margins");
    is_text(rows_of("{\"score\":[9,3,-1],\"query\":\"a\",\"pos\":[\"b\"],\"neg\":[\"c\",\"d\"]}"), "1 a=a p=b(9) n=c(3) n=d(-1); triplets",
            "three scores");
    is_text(rows_of("{\"chunks\":[{\"text\":\"a\"},{\"text\":\"b\"},{\"text\":\"n\"}],\"tags\":{\"finetuner_score\":2}}"), "1 a=a p=b n=n S=2; triplets",
            "chunks with a margin");
    is_text(rows_of("{\"sentence1\":\"a\",\"sentence2\":\"b\",\"score\":\".5\"}"), "1 a=a p=b S=0.5; scored pairs", "sentence1, sentence2, score");
    is_text(rows_of("{\"id\":\"i\",\"text\":\"a\",\"tags\":{\"finetuner_label\":\"x\",\"k\":1},\"lang\":\"en\"}"), "1#i t=a L=x lang= k=; labelled rows",
            "a DocArray document");
    is_text(rows_of("{\"uri\":\"a.png\",\"tags\":{\"finetuner_label\":\"x\"}}"), "1 t@a.png L=x; labelled rows", "uri");
    is_text(rows_of("{\"text\":\"a\",\"uri\":\"a.txt\"}"), "1 t=a; unlabelled rows", "text that came from a uri");
    is_text(rows_of("{\"chunks\":[{\"text\":\"a\"},{\"uri\":\"b.png\"}]}"), "1 a=a p@b.png; pairs", "chunks");
    is_text(rows_of("{\"chunks\":[{\"text\":\"a\"},{\"text\":\"b\"}],\"tags\":{\"finetuner_score\":0.9}}"), "1 a=a p=b S=0.9; scored pairs", "scored chunks");
    is_text(rows_of("{\"chunks\":[{\"text\":\"n\",\"tags\":{\"role\":\"negative\"}},{\"text\":\"b\",\"tags\":{\"role\":\"positive\"}},"
                    "{\"text\":\"a\",\"tags\":{\"role\":\"anchor\"}}]}"), "1 a=a p=b n=n; triplets", "roles in any order");
    is_text(rows_of("{\"text\":\"a\",\"matches\":[{\"text\":\"n\",\"tags\":{\"finetuner_label\":-1}},{\"text\":\"p\",\"tags\":{\"finetuner_label\":1}}]}"),
            "1 a=a p=p n=n; triplets", "a session");
    is_text(rows_as(FT_ROW_GUESS, "text=body,label=topic", "{\"body\":\"a\",\"topic\":\"x\",\"text\":\"t\"}"), "1 t=a L=x text=; labelled rows",
            "--columns are keys");
    is_text(rows_as(FT_ROW_PAIRS, "q,d", "{\"d\":\"b\",\"q\":\"a\"}"), "1 a=a p=b; pairs", "--columns in order");
    is_text(rows_of("{\"text\":\"\\ud83d\\ude00\"}"), "1 t=\xf0\x9f\x98\x80; unlabelled rows", "a surrogate pair");
}

static void test_bad_json(void)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"{\"text\":\"a\",\"text\":\"b\"}", "duplicate"},
        {"{\"text\":\"\\x\"}", "escape"},
        {"{\"text\":\"\\ud800\"}", "Unicode"},
        {"{\"text\":\"\\u0000\"}", "\\u0000"},
        {"{\"text\":\"a\"", "'}' expected"},
        {"{\"text\":\"a\"} x", "end of file"},
        {"{\"text\":\"\xff\"}", "not UTF-8"},
        {"{\"text\":1e999}", "overflow"},
        {"{\"text\":5}", "expected a string"},
        {"{\"text\":\"\"}", "is empty"},
        {"{\"foo\":\"a\"}", "no known key"},
        {"{\"text\":\"a\",\"label\":null}", "label"},
        {"{\"text\":\"a\",\"label\":\"\"}", "label is empty"},
        {"{\"id\":[],\"text\":\"a\"}", "id is no"},
        {"{\"anchor\":\"a\",\"positive\":\"b\",\"score\":\"x\"}", "score"},
        {"{\"anchor\":\"a\",\"positive\":\"b\",\"score\":[1]}", "a list of 1 scores"},
        {"{\"query\":\"a\",\"pos\":[\"b\"],\"neg\":[\"c\",\"d\"],\"score\":[1]}", "a list of 1 scores with 1 positive and 2 negatives"},
        {"{\"query\":\"a\",\"pos\":[\"b\"],\"neg\":[\"c\",\"d\"],\"score\":[1,2,3,4]}", "a list of 4 scores"},
        {"{\"query\":\"a\",\"pos\":[\"b\"],\"neg\":[\"c\",\"d\"],\"score\":[]}", "a list of 0 scores"},
        {"{\"query\":\"a\",\"pos\":[\"b\",\"x\"],\"neg\":[\"c\"],\"score\":[1]}", "2 positives"},
        {"{\"query\":\"a\",\"pos\":[\"b\"],\"neg\":[\"c\"],\"score\":[1,\"x\"]}", "score 2 is no number"},
        {"{\"query\":\"a\",\"pos\":[\"b\"],\"neg\":[\"c\",\"d\"],\"score\":1}", "one score with 1 positives and 2 negatives"},
        {"{\"query\":\"a\",\"pos\":[]}", "no positive"},
        {"{\"query\":\"a\",\"pos\":[\"b\"],\"neg\":[]}", "no negative"},
        {"{\"query\":\"a\",\"pos\":[\"b\",3]}", "member 2"},
        {"{\"query\":[\"a\"],\"pos\":[\"b\"]}", "expected a string"},
        {"{\"chunks\":[{\"text\":\"a\"}]}", "no positive: expected what goes with the first"},
        {"{\"chunks\":[{\"text\":\"a\"},7]}", "chunk 2"},
        {"{\"chunks\":[{\"text\":\"a\",\"id\":5},{\"text\":\"b\"}]}", "chunk 1"},
        {"{\"chunks\":[{\"text\":\"a\"},{\"text\":\"b\",\"tags\":{\"finetuner_score\":\"x\"}}]}", "chunk 2"},
        {"{\"chunks\":[{\"text\":\"a\",\"tags\":{\"role\":\"anchor\"}},{\"text\":\"a\",\"tags\":{\"role\":\"anchor\"}}]}", "one anchor"},
        {"{\"matches\":[{\"text\":\"a\",\"tags\":{\"finetuner_label\":1}}]}", "matches without"},
        {"{\"text\":\"a\",\"matches\":[{\"text\":\"b\",\"tags\":{\"finetuner_label\":-1}}]}", "no positive"},
        {"{}", "no known key"},
    };
    char deep[700] = "{\"text\":\"a\",\"x\":";

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = rows_of(cases[i].text);

        ok(strncmp(got, "!1: ", 4) == 0 && strstr(got, cases[i].want), "%s", got);
    }
    for (int i = 0; i < 300; i++)
        strcat(deep, "[");
    for (int i = 0; i < 300; i++)
        strcat(deep, "]");
    strcat(deep, "}");
    ok(strstr(rows_of(deep), "nested deeper") != NULL, "nesting");
    is_text(rows_of("{\"text\":\"a\"}\n[]\n{\"text\":\"b\",\"label\":\"x\"}\n{\"text\":\"c\"}\n"),
            "1 t=a;!2: expected an object, {\"text\": ...}, got an array;!3: labelled rows, expected unlabelled rows as in the lines before;"
            "4 t=c; unlabelled rows", "one kind a file, and on behind a bad line");
}

/* A file whose first 1,000 rows are bad, good, bad ...: errors come in their places. */
static void test_sample(void)
{
    struct out *text = calloc(1, sizeof *text);
    unsigned long errors = 0, rows = 0;
    const char *got;

    for (int i = 0; i < 60; i++)
        add(text, i % 3 ? "t%d,x%d\n" : i % 2 ? "bad%d\n" : "b\xff,%d\n", i, i);
    text->text[1] = 'b';                /* the first row counts the columns */
    got = rows_of(text->text);
    for (const char *p = got; *p; p++) {
        errors += *p == '!';
        rows += *p == ';';
    }
    ok(errors == 19 && rows == 60 && strstr(got, ";3 a=t2 p=x2;!4: 1 field") && strstr(got, "a=t5 p=x5;!7: byte 2"), "errors within the sample, in order");
    free(text);
}

/* The document of a row, byte by byte where it counts: decoded again by ft_document_read. */
static void test_document(void)
{
    struct ft_row_item items[] = {{.role = FT_ANCHOR, .content = FT_STRING("a")},
                                  {.role = FT_POSITIVE, .content = FT_STRING("b.png"), .uri = true}};
    struct ft_row_tag tags[] = {{FT_STRING("lang"), FT_STRING("en"), NULL}, {FT_STRING("role"), FT_STRING("engineer"), NULL}};
    struct ft_row row = {.kind = FT_ROW_SCORED, .line = 7, .items = items, .item_count = 2, .scored = true, .score = .25, .tags = tags,
                         .tag_count = 2};
    msgpack_sbuffer buffer;
    msgpack_packer pk;
    msgpack_unpacked unpacked;
    struct ft_arena arena = {0};
    struct ft_document d;
    size_t offset = 0;

    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&pk, &buffer, msgpack_sbuffer_write);
    ft_row_write(&pk, &row, "x.csv");
    ok(ft_msgpack_scan(buffer.data, buffer.size) == (long)buffer.size, "one msgpack object");
    msgpack_unpacked_init(&unpacked);
    ok(msgpack_unpack_next(&unpacked, buffer.data, buffer.size, &offset) == MSGPACK_UNPACK_SUCCESS &&
       ft_document_read(&arena, &unpacked.data, &d) == 0, "it is a document: %s", ft_error());
    ok(ft_string_is(d.id, "x.csv:7") && d.scored && d.score == .25 && !d.label.data, "id, score");
    ok(d.chunk_count == 2 && d.chunks[0].role == FT_ANCHOR && ft_string_is(d.chunks[0].content.text, "a") &&
       ft_string_is(d.chunks[0].modality, "text"), "anchor");
    ok(d.chunk_count == 2 && d.chunks[1].role == FT_POSITIVE && ft_string_is(d.chunks[1].content.uri, "b.png") &&
       ft_string_is(d.chunks[1].modality, "image"), "positive");
    msgpack_unpacked_destroy(&unpacked);
    msgpack_sbuffer_destroy(&buffer);
    ft_arena_free(&arena);
}

static void test_uris(void)
{
    ok(ft_content_is_uri(FT_STRING("https://x/y")) && ft_content_is_uri(FT_STRING("data:image/png;base64,AA")), "addresses");
    ok(ft_content_is_uri(FT_STRING("file:///a/b")) && !ft_content_is_uri(FT_STRING("file: a note")), "file:");
    ok(ft_content_is_uri(FT_STRING("a.JPG")) && ft_content_is_uri(FT_STRING("/my files/a.png")), "paths");
    ok(!ft_content_is_uri(FT_STRING("see https://x/y")) && !ft_content_is_uri(FT_STRING("look at my photo.jpg")) &&
       !ft_content_is_uri(FT_STRING(".jpg")) && !ft_content_is_uri(FT_STRING("")), "texts");
    is_text(rows_of("http://x/1,http://x/2\nnone,http://x/3\nhttp://x/4,http://x/5\n"),
            "1 a=http://x/1 p@http://x/2;2 a=none p@http://x/3;3 a=http://x/4 p@http://x/5; texts with images", "a column is of addresses or it is not");
}

static void test_vectors(void)
{
    struct ft_rows_options o = plain();

    is_text(rows_as(FT_ROW_VECTORS, NULL, "1,2.5,-3e2\n4,5,6\n"), "1 v=1,2.5,-300;2 v=4,5,6; vectors", "numbers alone");
    is_text(rows_as(FT_ROW_VECTORS, NULL, "1\t2\n3\t4\n"), "1 v=1,2;2 v=3,4; vectors", "tabs");
    is_text(rows_as(FT_ROW_VECTORS, NULL, "x1,x2,label\n1,2,a\n3,4,b\n"), "2 v=1,2 L=a;3 v=3,4 L=b; vectors", "a header");
    is_text(rows_as(FT_ROW_VECTORS, NULL, "id,0,1,class\nq,1,2,7\n"), "2#q v=1,2 L=7; vectors", "a header with numbers in it, as pandas writes it");
    is_text(rows_as(FT_ROW_VECTORS, "label=3", "1,2,a\n3,4,b\n"), "1 v=1,2 L=a;2 v=3,4 L=b; vectors", "--columns label=3");
    is_text(rows_as(FT_ROW_VECTORS, "label=kind,x,y", "kind,x,note,y\na,1,n,2\n"), "2 v=1,2 L=a note=n; vectors", "--columns gives the numbers");
    is_text(rows_as(FT_ROW_VECTORS, NULL, "1,2\n3\n4,x\n5,\n6,nan\n7,1e39\n8,0x1\n9,10\n"),
            "1 v=1,2;!2: 1 field, expected 2 as in the first row;!3: column 2 is 'x', expected a number, or --columns label=COLUMN;"
            "!4: column 2 is '', expected a number, or --columns label=COLUMN;!5: column 2 is 'nan', expected a number, or --columns label=COLUMN;"
            "!6: column 2 is 1e+39, too large for a 32-bit number;!7: column 2 is '0x1', expected a number, or --columns label=COLUMN;"
            "8 v=9,10; vectors", "what is no number");
    is_text(rows_as(FT_ROW_VECTORS, NULL, "[1,2]\n[3,4.5]\n[5]\n[]\n[1,\"2\"]\n[1,1e39]\n"),
            "1 v=1,2;2 v=3,4.5;!3: 1 number, expected 2 as in the rows before;!4: an empty list, expected numbers;"
            "!5: member 2 of the list is no number;!6: number 2 is 1e+39, too large for a 32-bit number; vectors", "JSON lists");
    is_text(rows_as(FT_ROW_VECTORS, NULL, "{\"id\":\"i\",\"x\":[1,2],\"label\":\"a\",\"lang\":\"en\"}\n{\"tensor\":[3,4],\"x\":[5]}\n"),
            "1#i v=1,2 L=a lang=;2 v=3,4 x=; vectors", "JSON objects: the only list, or tensor");
    is_text(rows_as(FT_ROW_VECTORS, "b", "{\"a\":[1],\"b\":[2,3]}\n{\"a\":[1]}\n"), "1 v=2,3 a=;!2: \"b\": expected a list of numbers; vectors", "--columns KEY");
    is_text(rows_as(FT_ROW_VECTORS, NULL, "{\"a\":[1],\"b\":[2,3]}\n{\"a\":1}\n"),
            "!1: 2 lists, expected one of numbers, a \"tensor\", or --columns KEY;!2: 0 lists, expected one of numbers, a \"tensor\", or --columns KEY;"
            " rows", "none, or too many");
    ok(strncmp(rows_as(FT_ROW_VECTORS, "label=1", "a\nb\n"), "!2 --vectors: 1 column, expected columns of numbers", 51) == 0, "a label alone");
    o.kind = FT_ROW_VECTORS;
    o.width = 3;
    is_text(read_rows("1,2\n", 4, &o), "!1: 2 numbers, expected 3 as in the rows before; vectors", "as in the files before");
}

int main(void)
{
    int fd = mkstemp(path);

    if (fd < 0 || close(fd) != 0)
        return 1;
    test_counts();
    test_headers();
    test_columns();
    test_where();
    test_json();
    test_bad_json();
    test_sample();
    test_document();
    test_uris();
    test_vectors();
    unlink(path);
    return done();
}
