/* fuzz-jsonl.c - any bytes as JSON lines, by the target of fuzz-csv.c. */
#define FUZZ_JSON "jsonl"
#include "fuzz-csv.c"

static const char *const seeds[] = {
    "{\"text\":\"a\",\"label\":\"x\"}\n{\"text\":\"b\",\"label\":3}\n",
    "{\"id\":\"i\",\"query\":\"q\",\"pos\":[\"p1\",\"p2\"],\"neg\":[\"n\"],\"lang\":{\"code\":\"en\",\"n\":[1,2.5,true,null]}}",
    "{\"anchor\":\"a\",\"positive\":\"b\",\"negative\":\"c\",\"score\":\"0.5\"}",
    "{\"query\":\"q\",\"pos\":\"p\",\"neg\":[\"n\",\"m\"],\"score\":[3,-1.5]}\n{\"query\":\"q\",\"pos\":\"p\",\"neg\":\"n\",\"score\":[3,1]}",
    "{\"text\":\"a\",\"uri\":\"a.txt\",\"weight\":2,\"modality\":\"text\",\"embedding\":[1,2],\"tags\":{\"finetuner_label\":1,\"role\":\"x\"}}",
    "{\"chunks\":[{\"text\":\"a\",\"tags\":{\"role\":\"anchor\"}},{\"uri\":\"b.png\",\"id\":\"c\"}],\"tags\":{\"finetuner_score\":0.9}}",
    "{\"text\":\"a\",\"matches\":[{\"text\":\"n\",\"tags\":{\"finetuner_label\":-1}},{\"text\":\"p\",\"tags\":{\"finetuner_label\":1}}]}",
    "[1,2.5,-3e2]\n[4,5,6]\n{\"tensor\":[1,2,3],\"label\":\"a\",\"embedding\":[1]}\n{\"x\":[1,2,3]}",
    "{\"text\":\"\\ud83d\\ude00 \\u0041\",\"x\":[[[[[[]]]]]]}",
};
FUZZ_MAIN(seeds, "{}[]\":,\\u09-.eE\n")
