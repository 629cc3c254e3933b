/* ft-eval - how good embeddings are: metrics of exact nearest-neighbour rankings, and of other tasks.
 *
 * Queries come as a stream of documents; the index is another one, or the queries themselves. Embeddings come
 * with the documents or are made on the way by -m. With --before a second model looks at the same documents. With
 * --judge there are no documents, but rankings that somebody made. */
#include "base/file.h"
#include "base/pool.h"
#include "base/tool.h"
#include "eval/report.h"
#include "eval/trec.h"
#include "eval/study.h"
#include "eval/tasks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *model_name, *index_path, *distance_name, *before_name, *qrels_path, *output;
static const char *modality, *task_name, *metric_names = "usual", *judged_run, *names_path, *run_path, *each_path, *dim_list;
static struct ft_list minima, prompts, templates;
static bool json, normalize, force;
static const char *precision_name = "fp32";
static enum ft_precision precision;
static long k = 20, threads, max_length, bootstrap, seed;

static const struct ft_option options[] = {
    {'m', "model", FT_TEXT, &model_name, "MODEL", "embed with it on the way (else the documents have embeddings)", NULL},
    {0, "before", FT_TEXT, &before_name, "MODEL|RESULT.json", "compare with this model, or this earlier --json result", NULL},
    {0, "task", FT_CHOICE, &task_name, NULL, "what to measure (default: by what the documents are)", FT_TASKS},
    {0, "index", FT_TEXT, &index_path, "FILE", "documents to find, or to learn from (default: the queries themselves)", NULL},
    {0, "modality", FT_TEXT, &modality, "M[:M]", "text, image, or what asks and what answers: text:image (default: all)", NULL},
    {0, "qrels", FT_TEXT, &qrels_path, "FILE", "what is relevant (default: equal labels, or pairs)", NULL},
    {0, "template", FT_LIST, &templates, "TEXT", "of zero-shot: what a label's name is put into, at {}; may repeat (default: {})", NULL},
    {0, "names", FT_TEXT, &names_path, "FILE", "of zero-shot: label, tab, name a line (default: labels are called as they are)", NULL},
    {0, "judge", FT_TEXT, &judged_run, "RUN", "judge this TREC run by --qrels, without documents", NULL},
    {'k', NULL, FT_COUNT, &k, "N", "neighbours that count for the metrics at k", NULL},
    {0, "metrics", FT_TEXT, &metric_names, "NAME,...", "what to print of rankings: names, or usual, finetuner, all", NULL},
    {0, "distance", FT_CHOICE, &distance_name, NULL, "how near (default: the model's, else cosine)", FT_DISTANCES},
    {0, "bootstrap", FT_COUNT, &bootstrap, "N", "95 % intervals, and p of changes, by N draws (try 1000)", NULL},
    {0, "seed", FT_COUNT, &seed, "S", "of the draws, and of clustering (default: 0)", NULL},
    {0, "min", FT_LIST, &minima, "METRIC=X", "exit 1 when METRIC is below X; may repeat", NULL},
    {0, "json", FT_FLAG, &json, NULL, "one line of JSON", NULL},
    {'o', "output", FT_TEXT, &output, "PATH", "write there instead of standard output", NULL},
    {0, "per-query", FT_TEXT, &each_path, "FILE", "write there the metrics of each query, one line of JSON each", NULL},
    {0, "run", FT_TEXT, &run_path, "FILE", "write there the k nearest of each query, as a TREC run", NULL},
    {0, "force", FT_FLAG, &force, NULL, "replace PATH and FILE if they exist", NULL},
    {0, "normalize", FT_FLAG, &normalize, NULL, "make embeddings unit length", NULL},
    {0, "precision", FT_TEXT, &precision_name, "P", "of matrix products: fp32 or bf16", NULL},
    {0, "truncate-dim", FT_TEXT, &dim_list, "N,...", "keep the first N dimensions; a result for each N", NULL},
    {0, "max-length", FT_COUNT, &max_length, "N", "tokens of a text at most (default: the model's)", NULL},
    {0, "prompt", FT_LIST, &prompts, "[ROLE=]TEXT", "put before texts: query= queries, document= the index; may repeat (default: the model's)", NULL},
    {0, "threads", FT_COUNT, &threads, "N", "threads (default: the CPUs allowed)", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {
    "ft-ingest test.csv | ft-eval -m tuned --before minilm --bootstrap 1000",
    "ft-ingest test.csv | ft-eval -m tuned --index train.ft --json --min map=.9 >result.json",
    "ft-eval -m tuned --metrics ndcg@10,recall@100 scifact",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-eval",
    .purpose = "measure how good embeddings are: retrieval and other tasks",
    .operands = "[FILE]",
    .options = options,
    .examples = examples,
    .see_also = "ft-ingest(1), ft-embed(1), ft-search(1), ft-train(1), ft(7)",
};

/* Everything of one run. */
struct world {
    struct ft_study study;
    struct ft_measures measures, cross;
    struct ft_modalities modalities;
    struct ft_arena arena;             /* of judged runs */
    size_t dim[FT_DIMS], dims;
    bool before_is_result;
    struct ft_report report[2];
    struct ft_buffer text;             /* the results */
    struct ft_buffer line, query_id, item_id;   /* of the run */
    int run_fd;
    char run_temporary[4200];
    int status;                        /* FT_NO where a minimum was not met */
};

static bool is_file(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* ---- options ---- */

/* METRIC in the words of the results, and X. */
static int read_minimum(const char *text, char name[64], double *least)
{
    const char *equals = strrchr(text, '=');
    struct ft_measure measure;
    struct ft_error_copy error;

    if (!equals || equals == text || equals - text >= 64)
        return ft_fail(FT_USAGE, "--min %s: expected METRIC=X", text);
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    if (ft_number_parse(equals + 1, least) < 0)
        return ft_error_prefix("--min %s: ", text);
    ft_error_save(&error);
    if (ft_measure_parse(name, (size_t)k, &measure) < 0)
        ft_error_restore(&error);
    else if (ft_measure_median(&measure))
        return ft_fail(FT_USAGE, "--min %s: of %s less is better", text, name);
    else
        ft_measure_name(&measure, name);
    return 0;
}

/* A metric that has a minimum is measured, asked for or not. */
static int read_minima(struct world *w)
{
    for (size_t i = 0; i < minima.count; i++) {
        char name[64];
        double least;

        if (read_minimum(minima.items[i], name, &least) < 0)
            return -1;
        if (!ft_task_has(task_name, name) &&
            (ft_measures_add(&w->measures, name, (size_t)k) < 0 || ft_measures_add(&w->cross, name, (size_t)k) < 0))
            return ft_error_prefix("--min %s: ", minima.items[i]);
    }
    return 0;
}

static int check_minima(struct world *w)
{
    for (size_t i = 0; i < minima.count; i++) {
        const struct ft_figure *figure;
        char name[64];
        double least;

        if (read_minimum(minima.items[i], name, &least) < 0)
            return -1;
        if (!(figure = ft_report_find(&w->report[0], name)))
            return ft_fail(FT_USAGE, "--min %s: the task %s has no such metric", minima.items[i],
                           w->report[0].task ? w->report[0].task : "retrieval");
        if (figure->value >= least)
            continue;
        if (isnan(figure->value))
            ft_tool_warn(&tool, "%s is not defined here, expected at least %g", name, least);
        else
            ft_tool_warn(&tool, "%s%s%s is %.6g, expected at least %g", w->report[0].modality ? w->report[0].modality : "",
                         w->report[0].modality ? " " : "", name, figure->value, least);
        w->status = FT_NO;
    }
    return 0;
}

static int read_dims(struct world *w)
{
    for (const char *at = dim_list; at; at = *at ? at + 1 : NULL) {
        char *end;
        long dim = strtol(at, &end, 10);

        if (*at < '0' || *at > '9' || (*end && *end != ',') || dim < 1 || dim > INT32_MAX)
            return ft_fail(FT_USAGE, "--truncate-dim %s: expected whole numbers above 0 with commas between", dim_list);
        if (w->dims == FT_DIMS)
            return ft_fail(FT_USAGE, "--truncate-dim %s: more than %d numbers", dim_list, FT_DIMS);
        w->dim[w->dims++] = (size_t)dim;
        at = end;
        if (!*at)
            break;
    }
    return 0;
}

static int check_output(const char *path)
{
    if (path && !force && ft_file_exists(path))
        return ft_fail(FT_USAGE, "%s exists: add --force to replace it", path);
    return 0;
}

static int check_judge(void)
{
    if (!qrels_path)
        return ft_fail(FT_USAGE, "--judge needs --qrels FILE: what is relevant");
    if (tool.argc || model_name || index_path || task_name || modality || templates.count || names_path || dim_list || distance_name || run_path || normalize || max_length || prompts.count)
        return ft_fail(FT_USAGE, "--judge takes rankings as they are: no FILE, and no option for documents or embeddings");
    return 0;
}

static int check_usage(struct world *w)
{
    bool from_input = !tool.argc || strcmp(tool.argv[0], "-") == 0;

    if (output && strcmp(output, "-") == 0)
        output = NULL;
    if (tool.argc > 1)
        return ft_fail(FT_USAGE, "one FILE at most, got %d", tool.argc);
    if (from_input && index_path && strcmp(index_path, "-") == 0)
        return ft_fail(FT_USAGE, "queries and --index cannot both be standard input");
    if (k < 1)
        return ft_fail(FT_USAGE, "-k 0: expected 1 or more");
    if (bootstrap > 100000)
        return ft_fail(FT_USAGE, "--bootstrap %ld: expected 100000 or less", bootstrap);
    if (read_dims(w) < 0 || ft_measures_add(&w->measures, metric_names, (size_t)k) < 0 ||
        ft_measures_add(&w->cross, ft_tool_given(&tool, &metric_names) ? metric_names : "cross-modal", (size_t)k) < 0 || read_minima(w) < 0 ||
        (modality && ft_modalities_parse(modality, &w->modalities) < 0) ||
        check_output(output) < 0 || check_output(each_path) < 0 || check_output(run_path) < 0 || (judged_run && check_judge() < 0))
        return -1;
    if (w->dims > 1 && (w->before_is_result || each_path || run_path))
        return ft_fail(FT_USAGE, "--truncate-dim %s: with --before RESULT.json, --per-query and --run expected one number", dim_list);
    if (!model_name && (!before_name || w->before_is_result) &&
        (normalize || max_length || prompts.count || ft_tool_given(&tool, &precision_name)))
        return ft_fail(FT_USAGE, "--normalize, --max-length, --prompt and --precision need -m MODEL");
    return ft_precision_parse(&precision, precision_name);
}

/* ---- results ---- */

static int add_result(struct world *w)
{
    struct ft_report *before = before_name ? &w->report[1] : NULL;

    if (w->before_is_result && ft_report_read(before_name, &w->report[0], before) < 0)
        return -1;
    if (w->before_is_result && before->units != w->report[0].units)
        ft_tool_warn(&tool, "%s: of %zu %s, now there are %zu", before_name, before->units, before->unit, w->report[0].units);
    if (!json && w->text.size && ft_buffer_print(&w->text, "\n") < 0)
        return -1;
    tool.out = w->report[0].units;
    return (json ? ft_report_json : ft_report_text)(&w->text, &w->report[0], before);
}

static int write_result(struct world *w)
{
    if (output)
        return ft_file_write(output, w->text.data, w->text.size);
    return ft_write_all(STDOUT_FILENO, w->text.data, w->text.size) < 0 ? ft_fail_errno("standard output") : 0;
}

static const double *row(const double *each, size_t unit, const struct world *w)
{
    return each ? each + unit * w->report[0].count : NULL;
}

/* A query that is left out has no figure that is a number. */
static bool counts(const double *value, size_t figures)
{
    for (size_t f = 0; f < figures; f++)
        if (!isnan(value[f]))
            return true;
    return false;
}

/* Queries that count, in their order. */
static int write_each(struct world *w)
{
    const struct ft_measured *m = w->study.measured;
    const double *before = w->study.queries->views == 2 ? m[1].each : NULL;
    struct ft_buffer out = {NULL, 0, 0};
    int result = 0;

    for (size_t q = 0; result == 0 && q < m->units; q++) {
        struct ft_string id;

        if (!counts(row(m->each, q, w), w->report[0].count))
            continue;
        result = ft_study_query_id(&w->study, q, &w->query_id, &id);
        if (result == 0)
            result = ft_report_unit(&out, &w->report[0], id, row(m->each, q, w), row(before, q, w));
    }
    if (result == 0)
        result = ft_file_write(each_path, out.data, out.size);
    ft_buffer_free(&out);
    return result;
}

static int flush_run(struct world *w, size_t above)
{
    if (w->line.size <= above)
        return 0;
    if (ft_write_all(w->run_fd, w->line.data, w->line.size) < 0)
        return ft_fail_errno("%s", run_path);
    w->line.size = 0;
    return 0;
}

static int add_to_run(void *argument, size_t query, const struct ft_match *match, size_t count)
{
    struct world *w = argument;
    struct ft_string query_id, id;

    if (ft_study_query_id(&w->study, query, &w->query_id, &query_id) < 0)
        return ft_error_prefix("--run: ");
    for (size_t i = 0; i < (size_t)k && i < count && match[i].item != FT_NO_ITEM; i++)
        if (ft_study_item_id(&w->study, match[i].item, &w->item_id, &id) < 0 || ft_run_line(&w->line, query_id, id, i + 1, match[i].score) < 0)
            return ft_error_prefix("--run: ");
    return flush_run(w, 1 << 20);
}

/* ---- documents ---- */

/* All numbers of dimensions. */
static int measure_way(struct world *w)
{
    size_t blocks = w->dims ? w->dims : 1;

    for (size_t i = 0; i < blocks; i++)
        if (ft_study_measure(&w->study, i, w->report) < 0 || add_result(w) < 0 || check_minima(w) < 0)
            return -1;
    return 0;
}

static int measure(struct world *w)
{
    if (run_path && (w->run_fd = ft_file_begin(run_path, w->run_temporary)) < 0)
        return -1;
    if (w->study.ways == 2)
        ft_tool_say(&tool, "pairs of a text and an image: text:image, then image:text");
    if (measure_way(w) < 0)
        return -1;
    if (w->study.ways == 2) {
        ft_tool_say(&tool, "%s", w->study.said);
        ft_study_turn(&w->study);
        if (measure_way(w) < 0)
            return -1;
    }
    for (size_t i = 0; i < w->study.warnings; i++)
        ft_tool_warn(&tool, "%s", w->study.warning[i]);
    ft_tool_say(&tool, "%s", w->study.said);
    if (each_path && write_each(w) < 0)
        return -1;
    if (run_path) {
        int fd = w->run_fd;

        if (flush_run(w, 0) < 0)
            return -1;
        w->run_fd = -1;
        return ft_file_commit(fd, w->run_temporary, run_path);
    }
    return 0;
}

static int study(struct world *w)
{
    struct ft_study_options how = {
        .input = tool.argc ? tool.argv[0] : NULL, .model = model_name, .before = w->before_is_result ? NULL : before_name,
        .index = index_path, .qrels = qrels_path, .distance = distance_name, .prompts = &prompts, .templates = &templates, .names = names_path,
        .embed = {.max_length = (size_t)max_length, .normalize = normalize, .precision = precision},
        .dims = w->dims, .k = (size_t)k, .measures = &w->measures, .each = each_path != NULL, .run = run_path != NULL,
        .bootstrap = (size_t)bootstrap, .seed = (uint64_t)seed, .cross = &w->cross, .modalities = w->modalities,
        .alone = w->before_is_result ? "--before RESULT.json" : each_path ? "--per-query" : run_path ? "--run" : NULL};

    memcpy(how.dim, w->dim, sizeof w->dim);
    if (task_name && !(how.task = ft_task_find(task_name)))
        return -1;
    if (ft_study_open(&w->study, &how) < 0)
        return -1;
    for (int v = 0; v < 2; v++)
        if (w->study.encoder[v].model && w->study.encoder[v].model->extra_text)
            ft_tool_say(&tool, "%s", w->study.encoder[v].model->extra_text);
    w->study.found = run_path ? add_to_run : NULL;
    w->study.found_argument = w;
    if (ft_study_read(&w->study, &tool.in) < 0)
        return -1;
    if (w->study.task->names && ft_tool_given(&tool, &metric_names))
        return ft_fail(FT_USAGE, "--metrics: the task %s prints all it has", w->study.task->name);
    return measure(w) < 0 ? -1 : write_result(w);
}

/* ---- rankings ---- */

static void report_judged(const struct world *w, const struct ft_judged *judged, const struct ft_means *means, struct ft_report *report)
{
    double value[FT_FIGURES];
    char name[40];

    *report = (struct ft_report){.unit = "queries", .units = judged->queries, .k = (size_t)k};
    ft_means_of(means, NULL, NULL, value);
    for (size_t m = 0; m < w->measures.count; m++) {
        ft_measure_name(&w->measures.item[m], name);
        ft_report_add(report, name, value[m]);
    }
}

static int judge_run(struct world *w, const char *path, struct ft_judged *judged, struct ft_means *means, struct ft_report *report)
{
    if (ft_run_judge(&w->arena, path, qrels_path, &w->measures, judged) < 0)
        return -1;
    if (judged->absent)
        ft_tool_warn(&tool, "%s: lacks %zu of %zu judged queries, which count as 0", path, judged->absent, judged->queries);
    if (judged->unjudged)
        ft_tool_warn(&tool, "%s: %zu queries are not judged", path, judged->unjudged);
    if (judged->left_out)
        ft_tool_warn(&tool, "%s: %zu queries have nothing relevant and are left out", qrels_path, judged->left_out);
    *means = (struct ft_means){.each = judged->each, .units = judged->queries, .figures = w->measures.count};
    for (size_t f = 0; f < means->figures; f++)
        if (ft_measure_median(&w->measures.item[f]) && ft_means_median(means, &w->arena, f) < 0)
            return -1;
    report_judged(w, judged, means, report);
    return 0;
}

static int write_judged(struct world *w, const struct ft_judged *judged, const struct ft_judged *before)
{
    struct ft_buffer out = {NULL, 0, 0};
    int result = 0;

    for (size_t q = 0; result == 0 && q < judged->queries; q++)
        result = ft_report_unit(&out, &w->report[0], judged->id[q], row(judged->each, q, w), row(before->each, q, w));
    if (result == 0)
        result = ft_file_write(each_path, out.data, out.size);
    ft_buffer_free(&out);
    return result;
}

/* --before is another run, or a result, which begins as JSON does. */
static int judge(struct world *w)
{
    struct ft_judged judged, before = {.each = NULL};
    struct ft_means means[2];
    struct ft_resampling how = {.figures = w->measures.count, .statistic = ft_means_of, .data = {&means[0], NULL},
                                .times = (size_t)bootstrap, .seed = (uint64_t)seed};

    if (judge_run(w, judged_run, &judged, &means[0], &w->report[0]) < 0)
        return -1;
    w->before_is_result = before_name && ft_report_is_json(before_name);
    if (before_name && !w->before_is_result) {
        if (judge_run(w, before_name, &before, &means[1], &w->report[1]) < 0)
            return -1;
        how.data[1] = &means[1];
    }
    how.units = judged.queries;
    if ((bootstrap && ft_resample(&how, &w->report[0], how.data[1] ? &w->report[1] : NULL) < 0) || add_result(w) < 0 || check_minima(w) < 0 ||
        (each_path && write_judged(w, &judged, &before) < 0))
        return -1;
    tool.in = judged.queries;
    return write_result(w);
}

static int run_tool(void)
{
    struct world w = {.run_fd = -1, .status = FT_DONE};
    int result;

    w.before_is_result = before_name && is_file(before_name);
    ft_pool_set_threads(threads);
    result = check_usage(&w);
    if (result == 0)
        result = judged_run ? judge(&w) : study(&w);
    if (w.run_fd >= 0)
        ft_file_abandon(w.run_fd, w.run_temporary);
    ft_study_close(&w.study);
    ft_arena_free(&w.arena);
    ft_buffer_free(&w.text);
    ft_buffer_free(&w.line);
    ft_buffer_free(&w.query_id);
    ft_buffer_free(&w.item_id);
    return result < 0 ? -1 : w.status;
}

int main(int argc, char **argv)
{
    int status = ft_tool_begin(&tool, argc, argv);

    return status >= 0 ? status : ft_tool_end(&tool, run_tool());
}
