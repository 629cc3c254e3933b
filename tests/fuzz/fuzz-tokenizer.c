/* fuzz-tokenizer.c - bytes as a text, and bytes as tokenizer.json.
 *
 * The first byte says which. A text goes through four tokenizers; its ids must be below the size, and the ids under a
 * limit must be the first of the ids without one. A file must be refused or give a tokenizer that works. */
#include "base/error.h"
#include "base/file.h"
#include "data/tokenizer.h"
#include "mutate.h"

#include <unistd.h>

static const char model[] = "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","
    "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":9,\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"a\":3,\"##a\":4,"
    "\"ab\":5,\"##\\u00e9\":6,\"i\":7,\"\\u4e2d\":8,\"!\":9}}";
static const char frame[] = "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2],\"cls\":[\"[CLS]\",1]}";
static const char *const settings[] = {
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true}",
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":false,\"handle_chinese_chars\":false,\"strip_accents\":true,\"lowercase\":false},"
    "\"added_tokens\":[{\"id\":20,\"content\":\"[x]\",\"lstrip\":true,\"rstrip\":true},{\"id\":21,\"content\":\"a\",\"single_word\":true}]",
    "\"normalizer\":null,\"added_tokens\":[{\"id\":22,\"content\":\" \",\"lstrip\":true,\"rstrip\":true,\"single_word\":true},{\"id\":2,\"content\":\"[SEP]\"}]",
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":false,\"lowercase\":true},"
    "\"added_tokens\":[{\"id\":20,\"content\":\"\\u00c9\",\"normalized\":true,\"rstrip\":true},{\"id\":21,\"content\":\"A b\",\"normalized\":true,\"lstrip\":true}]",
};

static char directory[] = "/tmp/ft-fuzz-tokenizer-XXXXXX", path[64];

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
    size_t i, limit = text.size % 7 + 3;

    if (ft_tokenizer_encode(tokenizer, text, 0, &all) < 0 || ft_tokenizer_encode(tokenizer, text, limit, &few) < 0)
        abort();
    for (i = 0; i < all.count; i++)
        if (all.id[i] < 0 || (size_t)all.id[i] >= ft_tokenizer_size(tokenizer))
            abort();
    if (few.count != (all.count < limit ? all.count : limit) ||
        (few.count > 1 && memcmp(all.id, few.id, (few.count - 1) * sizeof *all.id) != 0))
        abort();
    ft_tokens_free(&all);
    ft_tokens_free(&few);
}

/* Halves of the text as a pair: as long as it may be, the second where it should be. */
static void check_pair(const struct ft_tokenizer *tokenizer, struct ft_string text)
{
    const struct ft_string a = {text.data, text.size / 2}, b = {text.data + text.size / 2, text.size - text.size / 2};
    struct ft_tokens all = {0}, few = {0};
    size_t limit = text.size % 9 + 3, second, second_few;

    if (ft_tokenizer_encode_pair(tokenizer, a, b, 0, &all, &second) < 0) {
        if (all.count || ft_error_status() != FT_BAD)
            abort();
        return;
    }
    if (ft_tokenizer_encode_pair(tokenizer, a, b, limit, &few, &second_few) < 0)
        abort();
    if (few.count != (all.count < limit ? all.count : limit) || second >= all.count || second_few >= few.count || second_few > second)
        abort();
    ft_tokens_free(&all);
    ft_tokens_free(&few);
}

static void begin(struct ft_tokenizer **tokenizers)
{
    size_t i;

    if (!mkdtemp(directory))
        abort();
    atexit(clean_up);
    snprintf(path, sizeof path, "%s/tokenizer.json", directory);
    for (i = 0; i < 4; i++) {
        char text[2048];
        int size = snprintf(text, sizeof text, "{%s,%s,%s}", settings[i], frame, model);

        if (!(tokenizers[i] = open_text(text, (size_t)size))) {
            fprintf(stderr, "%s\n", ft_error());
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ft_tokenizer *tokenizers[4];
    struct ft_tokenizer *own;
    size_t i;

    if (!tokenizers[0])
        begin(tokenizers);
    if (size == 0)
        return 0;
    if (data[0] != '{' && data[0] % 8) {
        for (i = 0; i < 4; i++) {
            check_text(tokenizers[i], (struct ft_string){(const char *)data + 1, size - 1});
            check_pair(tokenizers[i], (struct ft_string){(const char *)data + 1, size - 1});
        }
        return 0;
    }
    own = open_text(data + (data[0] != '{'), size - (data[0] != '{'));
    if (own) {
        struct ft_tokens tokens = {0};

        if (ft_tokenizer_encode(own, FT_STRING("ab \xc3\xa9 \xe4\xb8\xad [SEP] a!"), 0, &tokens) < 0)
            abort();
        if (ft_tokenizer_encode_pair(own, FT_STRING("ab \xc3\xa9"), FT_STRING("a [SEP] b!"), 0, &tokens, &i) < 0 && ft_error_status() != FT_BAD)
            abort();
        ft_tokens_free(&tokens);
    }
    ft_tokenizer_close(own);
    return 0;
}

static const char *const seeds[] = {
    "\1a ab [x] [SEP] A b \xc3\x89\xc3\xa9 \xe3\x80\xae\xe1\xae\xaa\xcc\x81 \xe4\xb8\xad!",
    "\1\xf0\x9d\x85\x9e\xf0\x9d\x85\xad\xe3\x80\xaf \xea\xb0\x81 \xc4\xb0 \xef\xac\x81\xc2\xa0[x]\xe3\x80\x80[x]",
    "{\"added_tokens\":[{\"id\":9,\"content\":\"<x>\",\"normalized\":true,\"lstrip\":true}],\"normalizer\":{\"type\":\"BertNormalizer\","
    "\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":"
    "\"BertPreTokenizer\"},\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"c\"}},{\"Sequence\":{}}],"
    "\"pair\":[{\"SpecialToken\":{\"id\":\"c\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],"
    "\"special_tokens\":{\"c\":{\"ids\":[1]}}},\"model\":{\"type\":\"WordPiece\",\"max_input_chars_per_word\":100,\"vocab\":{\"[UNK]\":0,"
    "\"a\\u00e9\\ud83d\\ude00\\\"\":3,\"b\":5}}}",
    "{\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"s\",2],\"cls\":[\"c\",1]},"
    "\"model\":{\"vocab\":{\"[UNK]\":0,\"a\":1},\"max_input_chars_per_word\":3}}",
};
FUZZ_MAIN(seeds, "{}[]\":,\\u0129-.e ax\xc3\x89\xe3\x80\xae\xcc\x81")
