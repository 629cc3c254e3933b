/* test-torchfile.c - files of torch.save against what torch.load makes of them (tests/golden/torchfile/make.py), and files that lie. */
#include "base/error.h"
#include "base/file.h"
#include "model/embed.h"
#include "model/weights/tensors.h"
#include "model/weights/torchfile.h"
#include "../tap.h"
#include "../torch-zip.h"

#include <unistd.h>

#define GOLDEN "tests/golden/torchfile/"

static struct ft_arena arena;

/* ---- equal to torch.load ------------------------------------------------------------------------------------------------------ */

static bool same_shape(const struct ft_safetensor *t, const char *want)
{
    char text[256] = "";

    for (int i = 0; i < t->rank; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%llu", i ? "x" : "", (unsigned long long)t->shape[i]);
    return strcmp(t->rank ? text : "scalar", want) == 0;
}

static bool same_data(const struct ft_safetensor *t, const char *hex)
{
    const unsigned char *data = t->data;
    size_t size = *hex == '-' ? 0 : strlen(hex) / 2;

    for (size_t i = 0; i < size && i < t->size; i++) {
        unsigned byte;

        if (sscanf(hex + 2 * i, "%2x", &byte) != 1 || byte != data[i])
            return false;
    }
    return size == t->size;
}

/* Each file of expected.txt: all its tensors, no others, equal. */
static void test_golden(void)
{
    size_t size, of_file = 0;
    char *all = ft_file_read(&arena, GOLDEN "expected.txt", 1 << 20, &size), *line, *next, open_name[64] = "";
    struct ft_safetensors files = {0};

    for (line = all; line && *line; line = next) {
        char file[64], name[64], type[16], shape[64], *hex = ft_arena_take(&arena, 4096);
        const struct ft_safetensor *t;

        next = strchr(line, '\n') + 1;
        if (!ok(sscanf(line, "%63s %63s %15s %63s %4095s", file, name, type, shape, hex) == 5, "a line"))
            break;
        if (strcmp(file, open_name) != 0) {
            ok(files.count == of_file, "%s: no more tensors", open_name);
            ft_safetensors_close(&files);
            if (!ok(ft_tensors_open(&files, ft_arena_print(&arena, GOLDEN "%s", file)) == 0, "%s opens", file))
                printf("# %s\n", ft_error());
            snprintf(open_name, sizeof open_name, "%s", file);
            of_file = 0;
        }
        of_file++;
        t = ft_safetensors_find(&files, name);
        ok(t && strcmp(t->dtype, type) == 0 && same_shape(t, shape) && same_data(t, hex), "%s: %s is equal", file, name);
    }
    ok(files.count == of_file && of_file > 0, "%s: no more tensors", open_name);
    ft_safetensors_close(&files);
}

/* Views share their storage's bytes; only what lies in another order is copied. */
static void test_views(void)
{
    struct ft_safetensors files;
    const char *whole, *data;
    static const char *const in_place[] = {"again", "matrix", "middle", "row"}, *const copied[] = {"turned", "corner", "second", "cube", "expanded"};
    bool good = true;

    if (!ok(ft_tensors_open(&files, GOLDEN "views.pth") == 0, "views"))
        return;
    whole = ft_safetensors_find(&files, "whole")->data;
    for (int i = 0; i < 4; i++) {
        data = ft_safetensors_find(&files, in_place[i])->data;
        good &= data >= whole && data < whole + 48;
    }
    for (int i = 0; i < 5; i++) {
        data = ft_safetensors_find(&files, copied[i])->data;
        good &= data < whole || data >= whole + 48;
    }
    ok(good, "what is in order is not copied");
    ft_safetensors_close(&files);
}

/* ---- refused ------------------------------------------------------------------------------------------------------------------- */

static void test_refused_files(void)
{
    static const struct { const char *file, *says; } bad[] = {
        {"evil-system.pth", "pickle asks for posix.system: only tensors are read"},
        {"evil-eval-p4.pth", "pickle asks for builtins.eval: only tensors are read"},
        {"evil-legacy.pth", "pickle asks for __builtin__.exec"},
        {"module.pth", "pickle asks for torch.nn.modules.container.Sequential"},
        {"sparse.pth", "pickle asks for torch._utils._rebuild_sparse_tensor"},
        {"rank.pth", "a: its shape and strides"},
        {"list.pth", "no tensors in it"},
        {"nothing.pth", "no tensors in it: expected a state dict"},
        {"script.pth", "a TorchScript program"},
        {"make.py", "not a safetensors file"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = ft_arena_print(&arena, GOLDEN "%s", bad[i].file);
        struct ft_safetensors files;

        if (!ok(ft_tensors_open(&files, path) < 0 && ft_error_status() == FT_BAD && strstr(ft_error(), path) &&
                strstr(ft_error(), bad[i].says), "refused: %s", bad[i].file))
            printf("# got \"%s\"\n", ft_error());
    }
    ok(access("owned", F_OK) < 0, "and nothing was run");
}

/* What is said of this pickle in an archive with storages 0 (48 bytes) and 1 (none); "" when it is accepted. */
static const char *verdict(struct ft_string pickle)
{
    char *file = malloc(pickle.size + TORCH_ZIP_MORE);
    size_t size = torch_zip_write(file, pickle);
    struct ft_safetensors files = {0};
    const char *message = "";

    file = realloc(file, size);
    ft_error_clear();
    if (ft_torchfile_add(&files, "f", file, size) < 0)
        message = ft_error_status() == FT_BAD ? ft_error() : "not FT_BAD";
    ft_safetensors_close(&files);
    free(file);
    return message;
}

#define V2 "ctorch._utils\n_rebuild_tensor_v2\n"
#define TEXT(size, text) "X" size "\0\0\0" text
#define STORAGE(key, count) "(" TEXT("\7", "storage") "ctorch\nFloatStorage\n" TEXT("\1", key) TEXT("\3", "cpu") count "tQ"
#define TENSOR(storage, offset, shape, strides) V2 "(" storage offset "(" shape "t(" strides "t\x89" "}tR"
#define DICT(tensor) "\x80\2}" TEXT("\1", "a") tensor "s."
#define FLOATS STORAGE("0", "K\14")

static void test_pickles(void)
{
#define P(text, says) {{text, sizeof text - 1}, says}
    static const struct { struct ft_string pickle; const char *says; } cases[] = {
        P(DICT(TENSOR(FLOATS, "K\0", "K\14", "K\1")), ""), P(DICT(TENSOR(FLOATS, "K\0", "K\3K\4", "K\1K\3")), ""),
        P(DICT(TENSOR(FLOATS, "K\13", "", "")), ""), P(DICT(TENSOR(STORAGE("1", "K\0"), "K\0", "K\0", "K\1")), ""),
        P(DICT(TENSOR(FLOATS, "K\0", "K\0K\7", "K\7K\1")), ""),

        /* names */
        P("cos\nsystem\n(X\2\0\0\0lstR.", "pickle asks for os.system: only tensors are read"),
        P("cos\nsystem\n.", "os.system"), P("\x80\4\x8c\2os\x94\x8c\6system\x94h\0h\1\x93.", "os.system"),
        P("\x80\4\x8c\10builtins\x8c\4eval\x93\x8c\1" "1\x85R.", "builtins.eval"), P("c__builtin__\neval\n.", "__builtin__.eval"),
        P("ctorch\nload\n.", "torch.load"), P("cbuiltins\ngetattr\n.", "builtins.getattr"), P("ctorch.hub\nload\n.", "torch.hub.load"),
        P("cos\nsystem", "the middle of a line"), P("c\n\n.", "no name"), P("cos\33[2J\nx\n.", "no name"), P("\x80\4K\1K\2\x93.", "no text"),
        P("ios\nsystem\n.", "operation 0x69"), P("(cos\nsystem\no.", "os.system"), P("\x82\1.", "operation 0x82"), P("P1\n.", "operation 0x50"),
        P("ctorch\nTensor.__init__\n.", "torch.Tensor.__init__"), P("ctorch._utils\n_rebuild_qtensor\n.", "_rebuild_qtensor"),

        /* calls */
        P("K\1)R.", "calls what is no name"), P("ccollections\nOrderedDict\nK\1R.", "calls what is no name"),
        P("ctorch\nFloatStorage\n)R.", "calls a type"), P("ctorch._utils\n_rebuild_parameter\n)R.", "a parameter that is no tensor"),
        P("ctorch._utils\n_rebuild_parameter\nK\1\x85R.", "a parameter that is no tensor"), P("ccollections\nOrderedDict\nK\1\x85R.", "than a list"),
        P("ccollections\nOrderedDict\n]K\1a\x85R.", "than pairs"), P("ctorch._tensor\n_rebuild_from_type_v2\n)R.", "not known"),
        P("ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._tensor\n_rebuild_from_type_v2\nN)NtR.", "not known"),
        P(DICT(V2 ")R"), "a: not made of storage"), P(DICT(V2 "(K\1K\1))tR"), "a: not made of storage"),
        P("K\1}b.", "attributes for what has none"), P("K\1Q.", "no storage"), P(")Q.", "no storage"), P("(X\6\0\0\0moduletQ.", "no storage"),
        P("(X\7\0\0\0storagecos\nsystem\ntQ.", "os.system"), P("(X\7\0\0\0storageK\1X\1\0\0\0" "0NK\1tQ.", "without class"),
        P(DICT(TENSOR(STORAGE("0", "J\377\377\377\377"), "K\0", "", "")), "without class, key or size"),

        /* tensors that reach out */
        P(DICT(TENSOR(FLOATS, "K\0", "K\15", "K\1")), "a: reaches past its storage of 12 numbers"),
        P(DICT(TENSOR(FLOATS, "K\1", "K\14", "K\1")), "reaches past"), P(DICT(TENSOR(FLOATS, "K\14", "", "")), "reaches past"),
        P(DICT(TENSOR(FLOATS, "J\377\377\377\377", "", "")), "not made of"), P(DICT(TENSOR(FLOATS, "K\0", "K\2", "K\14")), "reaches past"),
        P(DICT(TENSOR(FLOATS, "K\0", "K\2", "J\377\377\377\377")), "whole numbers"),
        P(DICT(TENSOR(FLOATS, "K\0", "J\377\377\377\377", "K\1")), "whole numbers"),
        P(DICT(TENSOR(FLOATS, "K\0", "K\2", "")), "two tuples"), P(DICT(TENSOR(FLOATS, "K\0", "N", "K\1")), "whole numbers"),
        P(DICT(TENSOR(FLOATS, "K\0", "\x8a\10\0\0\0\0\0\0\0\100\x8a\10\0\0\0\0\0\0\0\100", "K\1K\1")), "shape overflows"),
        P(DICT(TENSOR(FLOATS, "K\0", "\x8a\10\0\0\0\0\0\0\0\100K\1", "\x8a\10\0\0\0\0\0\0\0\100K\1")), "strides overflow"),
        P(DICT(TENSOR(FLOATS, "\x8a\10\377\377\377\377\377\377\377\177", "K\2", "\x8a\10\377\377\377\377\377\377\377\177")), "reaches past"),
        P(DICT(TENSOR(FLOATS, "K\0", "\x8a\11\0\0\0\0\0\0\0\0\1", "K\1")), "whole numbers"),
        P(DICT(TENSOR(FLOATS, "K\0", "J\0\0\0\100", "K\0")), "not contiguous, and larger than the file"),
        P(DICT(TENSOR(STORAGE("0", "K\15"), "K\0", "K\15", "K\1")), "storage has 48 bytes, expected 13 numbers"),
        P(DICT(TENSOR(STORAGE("0", "\x8a\10\0\0\0\0\0\0\0\100"), "K\0", "K\1", "K\1")), "overflows"),
        P(DICT(TENSOR(STORAGE("1", "K\1"), "K\0", "K\1", "K\1")), "storage has 0 bytes"),
        P(DICT(TENSOR(STORAGE("2", "K\1"), "K\0", "K\1", "K\1")), "not in the file"),
        P(DICT(TENSOR(STORAGE("/", "K\1"), "K\0", "", "")), "not in the file"),

        /* the machine */
        P(".", "takes a value"), P("", "ends in the middle"), P("K", "ends in the middle"), P("X\377\377\377\377", "ends in the middle"),
        P("\x8d\377\377\377\377\377\377\377\377", "ends in the middle"), P("\x8b\377\377\377\177", "ends in the middle"),
        P("\x95\1", "ends in the middle"),
        P("K\1K\1.", "values left over"), P("(.", "takes a value"), P("t.", "no mark"), P("u.", "no mark"), P("e.", "no mark"), P("1.", "no mark"),
        P("0.", "takes"),
        P("\x86.", "takes a value"), P("K\1(K\2\x86.", "takes a value"), P("}K\1s.", "sets an item"), P("K\1K\1K\1s.", "sets an item"),
        P("s.", "sets an item"),
        P("}(K\1u.", "a key without"), P("K\1(K\1K\1u.", "sets an item"), P("K\1a.", "adds to"), P("}K\1a.", "adds to"), P("(K\1a.", "adds to"),
        P("(e.", "adds to"),
        P("}(K\1s.", "takes a value"), P("h\0.", "remembered"), P("K\1q\0h\1.", "remembered"), P("j\377\377\377\377.", "remembered"),
        P("q\0.", "remembers"),
        P("K\1r\377\377\377\377.", "too large"), P("K\1q\20.", "too large"), P("(q\0.", "remembers"), P("R.", "takes"), P("b.", "takes"),
        P("\x81.", "takes"), P("\x93.", "takes"),
        P("I\n.", "a number that is none"), P("I 1\n.", "a number that is none"), P("I1x\n.", "a number that is none"),
        P("I1", "middle of a line"), P("I-\n.", "none"),

        /* what is no state dict, and what refers to itself: a list, a dictionary, a tuple in a list in it */
        P("K\1.", "no tensors"), P("].", "no tensors"), P("}q\0h\0h\0s.", "no tensors"), P("]q\0h\0a.", "no tensors"),
        P("}q\0X\12\0\0\0state_dicth\0s.", "no tensors"), P("]q\0h\0\x85q\1a0h\1.", "no tensors"),
        P("}X\1\0\0\0a" TENSOR(FLOATS, "K\0", "", "") "q\0sX\1\0\0\0ah\0s.", "a: twice"),
        P("}X\1\0\0\0\377" TENSOR(FLOATS, "K\0", "", "") "s.", "UTF-8"),
        P("}X\1\0\0\0\0" TENSOR(FLOATS, "K\0", "", "") "s.", "UTF-8"),
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = verdict(cases[i].pickle);

        if (!ok(*cases[i].says ? strstr(got, cases[i].says) != NULL : *got == '\0', "pickle %zu: %s", i, *cases[i].says ? cases[i].says : "accepted"))
            printf("# got \"%s\"\n", got);
    }
}

/* Pickles that would grow: deep tuples, doubling by the memo, more values than the budget. */
static void test_growth(void)
{
    struct ft_buffer b = {0};
    const char *got;

    ft_buffer_add(&b, ")", 1);
    for (int i = 0; i < 1000000; i++)
        ft_buffer_add(&b, "\x85", 1);
    ft_buffer_add(&b, ".", 1);
    ok(strstr(verdict((struct ft_string){b.data, b.size}), "no tensors"), "a million tuples in one another");
    b.size = 0;
    ft_buffer_add(&b, ")q\0", 3);
    for (int i = 0; i < 1000000; i++)
        ft_buffer_add(&b, "h\0h\0\x86q\0000", 8);
    ft_buffer_add(&b, ".", 1);
    ok(strstr(verdict((struct ft_string){b.data, b.size}), "no tensors"), "2^1000000 leaves");
    b.size = 0;
    for (int i = 0; i < 9000000; i++)
        ft_buffer_add(&b, "N", 1);
    got = verdict((struct ft_string){b.data, b.size});
    ok(strstr(got, "more than 8388608 values"), "nine million values");
    for (int key = 0; key < 2; key++) {   /* a text of 2000 letters as a tensor's name, as a storage's key */
        static const char tensor[] = TENSOR(FLOATS, "K\0", "", ""), begin[] = "}X\320\7\0\0";
        static const char storage[] = "(" TEXT("\7", "storage") "ctorch\nFloatStorage\nX\320\7\0\0";

        b.size = 0;
        ft_buffer_add(&b, key ? storage : begin, key ? sizeof storage - 1 : sizeof begin - 1);
        for (int i = 0; i < 2000; i++)
            ft_buffer_add(&b, "n", 1);
        ft_buffer_add(&b, key ? "NK\1tQ." : tensor, key ? 7 : sizeof tensor - 1);
        ft_buffer_add(&b, "s.", 2);
        got = verdict((struct ft_string){b.data, b.size});
        ok(strstr(got, key ? "without class, key or size" : "name of 2000 bytes"), "a long %s", key ? "key" : "name");
    }
    ft_buffer_free(&b);
}

/* Every beginning of a file is refused, and no changed byte of what is not data makes a crash (with a sanitizer: no read outside). */
static void test_cut(const char *name)
{
    struct ft_safetensors files = {0};
    size_t size, accepted = 0;
    char *all = ft_file_read(&arena, ft_arena_print(&arena, GOLDEN "%s", name), 1 << 20, &size);

    for (size_t cut = 0; all && cut < size; cut++) {
        char *part = malloc(cut + !cut);

        memcpy(part, all, cut);
        accepted += ft_torchfile_add(&files, "f", part, cut) == 0;
        ft_safetensors_close(&files);
        free(part);
    }
    ok(all && accepted == 0, "%s: no cut of it is accepted", name);
    for (size_t at = 0; all && at < size; at++) {
        char *part = malloc(size);

        memcpy(part, all, size);
        part[at] ^= (char)(1 + at % 255);
        if (ft_torchfile_add(&files, "f", part, size) < 0 && ft_error_status() != FT_BAD)
            accepted++;
        ft_safetensors_close(&files);
        free(part);
    }
    ok(accepted == 0, "%s: a changed byte is another file or FT_BAD", name);
}

/* An archive with one number of it changed; `at` counts from the end where negative. */
static const char *changed(long at, const char *bytes, size_t count)
{
    struct ft_string pickle = {DICT(TENSOR(FLOATS, "K\0", "K\14", "K\1")), sizeof DICT(TENSOR(FLOATS, "K\0", "K\14", "K\1")) - 1};
    char *file = malloc(pickle.size + TORCH_ZIP_MORE);
    size_t size = torch_zip_write(file, pickle);
    struct ft_safetensors files = {0};
    const char *message = "";

    memcpy(at < 0 ? file + size + at : file + at, bytes, count);
    ft_error_clear();
    if (ft_torchfile_add(&files, "f", file, size) < 0)
        message = ft_error();
    ft_safetensors_close(&files);
    free(file);
    return message;
}

static void test_archives(void)
{
    enum { END = -22, DATA1 = END - 54, DATA0 = DATA1 - 54, PICKLE = DATA0 - 56 };   /* records of the directory: 46 bytes and the name */
    static const struct { long at; const char *bytes; size_t count; const char *says; } cases[] = {
        {END, "P", 1, ""}, {END + 10, "\4", 1, "several parts"}, {END + 8, "\4\0\4", 3, "4 entries in"}, {END + 8, "\2\0\2", 3, ""},
        {END + 8, "\0\0\0", 3, "an empty zip"}, {END + 12, "\377\377\377", 3, "directory: 3 entries"},
        {END + 16, "\377\377\377", 3, "directory: 3 entries"},
        {END + 16, "\377\377\377\377", 4, "zip64"}, {END + 20, "\1", 1, "no end of a zip"}, {END + 12, "\1", 1, "directory: 3 entries"},
        {PICKLE, "x", 1, "entry 1 of"}, {DATA0, "x", 1, "entry 2 of"}, {DATA0 + 8, "\1", 1, "t/data/0: encrypted"},
        {DATA0 + 10, "\10", 1, "data/0: compressed"}, {DATA0 + 24, "\61", 1, "stored as 48"}, {DATA0 + 20, "\61\0\0\0\61", 5, ""},
        {DATA0 + 20, "\377\377\377\177\377\377\377\177", 8, "and the directory begins"}, {DATA0 + 20, "\377\377\377\377", 4, "no zip64 field"},
        {DATA0 + 28, "\0", 1, "entry 2 of"}, {DATA0 + 28, "\377\377", 2, "entry 2 of"}, {DATA0 + 30, "\377\377", 2, "entry 2 of"},
        {DATA0 + 42, "\377\377\377", 3, "nothing of it"}, {DATA0 + 42, "\1", 1, "nothing of it"}, {DATA0 + 42, "\0\0", 2, "another name at 0"},
        {26, "\11", 1, "another name"}, {28, "\377\377", 2, "another name"}, {0, "PK\3\5", 4, "neither of the two formats"},
        {PICKLE + 46, "t/data.pk_", 10, "another name"}, {DATA1 + 53, "0", 1, "another name"}, {DATA0 + 46, "t\0", 2, "entry 2 of"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = changed(cases[i].at, cases[i].bytes, cases[i].count);

        if (!ok((!*cases[i].says && !*got) || (*cases[i].says && strstr(got, cases[i].says) && ft_error_status() == FT_BAD), "archive %zu: %s", i,
                *cases[i].says ? cases[i].says : "accepted"))
            printf("# got \"%s\"\n", got);
    }
}

/* ---- models --------------------------------------------------------------------------------------------------------------------- */

static bool same_model(const struct ft_model *a, const struct ft_model *b)
{
    return a && b && a->block_count == b->block_count && memcmp(a->block, b->block, a->block_count * sizeof *a->block) == 0;
}

static const char *texts[] = {"the cat sat on the mat", "zebra", ""};

static bool same_embeddings(const struct ft_model *a, const struct ft_model *b)
{
    struct ft_string text[3] = {ft_string_of(texts[0]), ft_string_of(texts[1]), ft_string_of(texts[2])};
    struct ft_embed_options options = {0};
    float one[3 * 20], two[3 * 20];

    return ft_embed_dim(a, &options) == 20 && ft_embed_texts(a, &options, text, 3, one) == 0 && ft_embed_texts(b, &options, text, 3, two) == 0 &&
           one[0] != 0 && memcmp(one, two, sizeof one) == 0;
}

/* The same model from a .bin: the same block; saved, it is safetensors with all that the file had. */
static void test_model(void)
{
    char scratch[] = "/tmp/ft-test-XXXXXX";
    struct ft_model *safe = ft_model_open("tests/golden/model/mean", NULL), *bin = ft_model_open(GOLDEN "bert", NULL), *back = NULL;
    struct ft_safetensors files = {0};
    const struct ft_safetensor *t;

    if (!ok(same_model(safe, bin), "pytorch_model.bin gives the same parameters, bit for bit"))
        printf("# %s\n", ft_error());
    ok(safe && bin && same_embeddings(safe, bin), "and the same embeddings");
    if (ok(mkdtemp(scratch) && bin && ft_model_save(bin, scratch) == 0, "saved"))
        back = ft_model_open(scratch, NULL);
    ok(same_model(safe, back), "and opened again");
    ok(ft_file_exists(ft_arena_print(&arena, "%s/model.safetensors", scratch)) &&
       !ft_file_exists(ft_arena_print(&arena, "%s/pytorch_model.bin", scratch)), "as safetensors");
    if (ok(ft_tensors_open(&files, scratch) == 0, "its file")) {
        t = ft_safetensors_find(&files, "embeddings.position_ids");
        ok(t && strcmp(t->dtype, "I64") == 0 && t->rank == 2 && t->shape[1] == 32 && ((const int64_t *)t->data)[31] == 31, "position_ids are kept");
        ok(ft_safetensors_find(&files, "pooler.dense.weight") && ft_safetensors_find(&files, "pooler.dense.bias"), "and the pooler");
        ft_safetensors_close(&files);
    }
    ft_model_close(safe);
    ft_model_close(bin);
    ft_model_close(back);
    ft_directory_remove(scratch);
}

int main(void)
{
    test_golden();
    test_views();
    test_refused_files();
    test_pickles();
    test_growth();
    test_archives();
    test_cut("types.pth");
    test_cut("views-legacy.pth");
    test_cut("zip64.pth");
    test_cut("checkpoint-legacy-p4.pth");
    test_model();
    ft_arena_free(&arena);
    return done();
}
