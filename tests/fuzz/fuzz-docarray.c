/* fuzz-docarray.c - any bytes as DocArray's JSON, by the target of fuzz-csv.c. */
#define FUZZ_JSON "docarray"
#include "fuzz-csv.c"

static const char *const seeds[] = {
    "[{\"id\": \"a\", \"text\": \"x\", \"blob\": null, \"tags\": {\"finetuner_label\": true, \"n\": 1}, \"weight\": 0.5}, {\"text\": \"y\", \"uri\": \"y.txt\"}]",
    "[{\"chunks\": [{\"text\": \"a\", \"modality\": \"text\"}, {\"uri\": \"http://a/b\", \"modality\": \"image\"}]}]\n",
    "[\n {\"blob\": \"AAAA\", \"uri\": \"b.png\", \"tags\": {\"finetuner_score\": 0.5}},\n {\"text\": \"t\", \"blob\": \"AA==\"}\n]",
    "[{\"tensor\": [[1, 2.5], [3, true]], \"embedding\": [[1, 2]]}, {\"tensor\": [[1, 2], [3, 4]]}]",
    "[{\"text\": \"q\", \"matches\": [{\"id\": \"m\", \"embedding\": [1], \"scores\": {\"cosine\": {\"value\": 0.5, \"ref_id\": null}}}], \"location\": [1, 2], \"offset\": 3}]",
    "[{\"text\": \"q\", \"matches\": [{\"text\": \"p\", \"tags\": {\"finetuner_label\": 1}}, {\"text\": \"n\", \"tags\": {\"finetuner_label\": -1.0}}]}]",
    "[{\"text\": \"a\", \"chunks\": [{\"text\": \"b\", \"chunks\": [{\"blob\": \"AA==\", \"tensor\": [1]}]}]}, {\"anchor\": \"a\", \"positive\": [\"b\", \"c\"]}]",
    "[{\"text\": NaN}, {\"text\": \"\\\\\\\"]}\"}, {\"embedding\": [1]}, {}]",
    "\x01\0\0\0\0\0\0\0\x02\0\0\0\x0a\x80\x04",
};
FUZZ_MAIN(seeds, "{}[]\":,\\09-.eEnN\n")
