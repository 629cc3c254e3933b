/* fuzz-tokenizer-general.c - byte-pair and unigram tokenizers: bytes as a text, and bytes as tokenizer.json.
 *
 * What begins with { is a file, which must be refused or give a tokenizer that works. All else is a text for four tokenizers: ids must be below the size,
 * and those under a limit the first of those without one. */
#include "base/error.h"
#include "base/file.h"
#include "data/tokenizer.h"
#include "mutate.h"

#include <unistd.h>

/* A map from a to e with acute, and one whose value lies within that letter, so that what comes out is no UTF-8. */
#define MAP "\"DAAAAACAAQBhDQAAAAAAgMOpAA==\""
#define TORN_MAP "\"DAAAAACAAQBhDQAAAQAAgMOpAA==\""
#define BPE "{\"type\":\"BPE\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1,\"b\":2,\"ab\":3,\"\\u0120\":4,\"\\u0120ab\":5,\"\\u00c3\":6,\"\\u2581\":7," \
            "\"\\u2581ab\":8,\"b##\":9},\"merges\":[\"a b\",\"\\u0120 ab\",[\"\\u2581\",\"ab\"]]"
#define UNIGRAM "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"u\",0],[\"\\u2581\",-2],[\"ab\",-3.5],[\"\\u2581ab\",-1],[\"\\u00e9\",-4],[\"b\",-5]]"
#define SPLIT(pattern, behavior) "{\"type\":\"Split\",\"pattern\":{" pattern "},\"behavior\":\"" behavior "\",\"invert\":false}"

static const char *const files[] = {
    "{\"model\":" BPE "},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true},\"added_tokens\":[{\"id\":20,\"content\":\"[x]\",\"lstrip\":true}],"
    "\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":[\"s\",2],\"cls\":[\"c\",1]}}",
    "{\"model\":" BPE ",\"fuse_unk\":true,\"end_of_word_suffix\":\"##\"},\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"},{\"type\":"
    "\"Lowercase\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"[ab]+\\\\s\"},\"content\":\"ab\"},{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}]},"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true}," SPLIT("\"String\":\"b\"", "MergedWithPrevious") ","
    SPLIT("\"Regex\":\"\\\\s+|a\"", "Contiguous") "]}}",
    "{\"model\":" UNIGRAM "},\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":" MAP "},\"pre_tokenizer\":{\"type\":\"Metaspace\","
    "\"replacement\":\"\\u2581\",\"prepend_scheme\":\"first\"},\"added_tokens\":[{\"id\":21,\"content\":\"<m>\",\"normalized\":true,\"rstrip\":true}]}",
    "{\"model\":" UNIGRAM "},\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Precompiled\",\"precompiled_charsmap\":" TORN_MAP "},{\"type\":\"NFD\"},"
    "{\"type\":\"StripAccents\"},{\"type\":\"Prepend\",\"prepend\":\" \"}]},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},"
    SPLIT("\"Regex\":\"\\\\p{L}|[^b]b\"", "MergedWithNext") ",{\"type\":\"ByteLevel\",\"use_regex\":false}]}}",
};
enum { FILES = sizeof files / sizeof *files };

static char directory[] = "/tmp/ft-fuzz-general-XXXXXX", path[64];

static struct ft_tokenizer *open_text(const void *text, size_t size)
{
    FILE *file = fopen(path, "wb");

    if (!file || fwrite(text, 1, size, file) != size || fclose(file) != 0)
        abort();
    return ft_tokenizer_open(directory);
}

static void clean_up(void)
{
    ft_directory_remove(directory);
}

static void check_text(const struct ft_tokenizer *tokenizer, struct ft_string text)
{
    struct ft_tokens all = {0}, few = {0};
    size_t limit = text.size % 7 + 3;

    if (ft_tokenizer_encode(tokenizer, text, 0, &all) < 0 || ft_tokenizer_encode(tokenizer, text, limit, &few) < 0)
        abort();
    for (size_t i = 0; i < all.count; i++)
        if (all.id[i] < 0 || (size_t)all.id[i] >= ft_tokenizer_size(tokenizer))
            abort();
    if (few.count != (all.count < limit ? all.count : limit) || (few.count > 1 && memcmp(all.id, few.id, (few.count - 1) * sizeof *all.id) != 0))
        abort();
    ft_tokens_free(&all);
    ft_tokens_free(&few);
}

static void begin(struct ft_tokenizer **tokenizers)
{
    if (!mkdtemp(directory))
        abort();
    atexit(clean_up);
    snprintf(path, sizeof path, "%s/tokenizer.json", directory);
    for (size_t i = 0; i < FILES; i++)
        if (!(tokenizers[i] = open_text(files[i], strlen(files[i])))) {
            fprintf(stderr, "%s\n", ft_error());
            abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ft_tokenizer *tokenizers[FILES];
    struct ft_tokenizer *own;

    if (!tokenizers[0])
        begin(tokenizers);
    if (size == 0)
        return 0;
    for (size_t i = 0; i < FILES && data[0] != '{'; i++)
        check_text(tokenizers[i], (struct ft_string){(const char *)data, size});
    if (data[0] == '{' && (own = open_text(data, size))) {
        struct ft_tokens tokens = {0};

        if (ft_tokenizer_encode(own, FT_STRING("ab \xc3\xa9" "12 \xe4\xb8\xad\xf0\x9f\x98\x80 [x] Ab  b!<m> "), 0, &tokens) < 0 && ft_error_status() == FT_SYSTEM)
            abort();
        ft_tokens_free(&tokens);
        ft_tokenizer_close(own);
    }
    return 0;
}

/* The last file's expression ends a match before it begins: \K in a group that a lookahead calls. */
static const char *const seeds[] = {
    "ab [x] ab\xc3\xa9 <m> a1b22 \xe4\xb8\xad  bb",
    "a\xcc\x81 \xef\xac\x81\xc2\xa0[x]\xe3\x80\x80\xff\xc3 aaaabbbb\t\n Ab",
    files[0], files[1], files[2], files[3],
    "{\"model\":" BPE "},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT("\"Regex\":\"(?(DEFINE)(ab\\\\K))(?=(?1))\"", "Isolated") ","
    "{\"type\":\"WhitespaceSplit\"}]}}",
};
FUZZ_MAIN(seeds, "{}[]\":,\\u0129-.e ab\xc3\xa9\xe2\x96\x81\xcc\x81()?*+^K")
