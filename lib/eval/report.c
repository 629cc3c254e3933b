/* report.c - figures to text and JSON, and back. */
#include "eval/report.h"
#include "base/error.h"
#include "data/json.h"
#include "eval/matches.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void ft_report_add(struct ft_report *report, const char *name, double value)
{
    struct ft_figure *figure = &report->figure[report->count];

    if (report->count == FT_FIGURES)
        return;
    *figure = (struct ft_figure){.value = value, .low = NAN, .high = NAN, .change_low = NAN, .change_high = NAN, .p = NAN};
    snprintf(figure->name, sizeof figure->name, "%s", name);
    report->count++;
}

const struct ft_figure *ft_report_find(const struct ft_report *report, const char *name)
{
    for (size_t i = 0; i < report->count; i++)
        if (strcmp(report->figure[i].name, name) == 0)
            return &report->figure[i];
    return NULL;
}

/* ---- JSON ---- */

static int add_number(struct ft_buffer *out, double value)
{
    return isfinite(value) ? ft_buffer_print(out, "%.10g", value) : ft_buffer_print(out, "null");
}

/* An object of one number or two for each figure, those at the offsets. */
static int add_object(struct ft_buffer *out, const char *key, const struct ft_report *report, size_t first, size_t second)
{
    int status = ft_buffer_print(out, ", \"%s\": {", key);

    for (size_t i = 0; i < report->count && status == 0; i++) {
        const char *figure = (const char *)&report->figure[i];

        status = ft_buffer_print(out, "%s\"%s\": %s", i ? ", " : "", report->figure[i].name, second ? "[" : "");
        if (status == 0)
            status = add_number(out, *(const double *)(figure + first));
        if (status == 0 && second && ft_buffer_print(out, ", ") == 0)
            status = add_number(out, *(const double *)(figure + second)) < 0 ? -1 : ft_buffer_print(out, "]");
    }
    return status < 0 ? -1 : ft_buffer_print(out, "}");
}

static int add_intervals(struct ft_buffer *out, const struct ft_report *report, const struct ft_report *before)
{
    const size_t low = offsetof(struct ft_figure, low), high = offsetof(struct ft_figure, high);

    if (report->intervals && add_object(out, "intervals", report, low, high) < 0)
        return -1;
    if (!before || !report->changes)
        return 0;
    if (add_object(out, "before_intervals", before, low, high) < 0 ||
        add_object(out, "changes", report, offsetof(struct ft_figure, change_low), offsetof(struct ft_figure, change_high)) < 0)
        return -1;
    return add_object(out, "p", report, offsetof(struct ft_figure, p), 0);
}

int ft_report_json(struct ft_buffer *out, const struct ft_report *report, const struct ft_report *before)
{
    const size_t value = offsetof(struct ft_figure, value);

    if (ft_buffer_print(out, "{") < 0 || (report->modality && ft_buffer_print(out, "\"modality\": \"%s\", ", report->modality) < 0) ||
        (report->task && ft_buffer_print(out, "\"task\": \"%s\", ", report->task) < 0) ||
        ft_buffer_print(out, "\"%s\": %zu", report->unit, report->units) < 0 ||
        (report->k && ft_buffer_print(out, ", \"k\": %zu", report->k) < 0) ||
        (report->dim && ft_buffer_print(out, ", \"dim\": %zu", report->dim) < 0) ||
        add_object(out, "metrics", report, value, 0) < 0 || (before && add_object(out, "before", before, value, 0) < 0) ||
        add_intervals(out, report, before) < 0)
        return -1;
    return ft_buffer_print(out, "}\n");
}

static int add_values(struct ft_buffer *out, const char *key, const struct ft_report *report, const double *value)
{
    int status = ft_buffer_print(out, ", \"%s\": {", key);

    for (size_t i = 0; i < report->count && status == 0; i++) {
        status = ft_buffer_print(out, "%s\"%s\": ", i ? ", " : "", report->figure[i].name);
        if (status == 0)
            status = add_number(out, value[i]);
    }
    return status < 0 ? -1 : ft_buffer_print(out, "}");
}

int ft_report_unit(struct ft_buffer *out, const struct ft_report *report, struct ft_string id, const double *value, const double *before)
{
    if (ft_buffer_print(out, "{\"id\": ") < 0 || ft_text_json(out, id) < 0 || add_values(out, "metrics", report, value) < 0 ||
        (before && add_values(out, "before", report, before) < 0))
        return -1;
    return ft_buffer_print(out, "}\n");
}

/* ---- text ---- */

static const char *shown(char text[32], double value, bool sign)
{
    if (!isfinite(value))
        return "-";
    snprintf(text, 32, sign ? "%+.4f" : "%.4f", value);
    return text;
}

static int width_of(const struct ft_report *report)
{
    int width = 16;

    for (size_t i = 0; i < report->count; i++)
        if ((int)strlen(report->figure[i].name) > width)
            width = (int)strlen(report->figure[i].name);
    return width;
}

static int add_table(struct ft_buffer *out, const struct ft_report *report, const struct ft_report *before)
{
    int width = width_of(report), status;
    char a[32], b[32], c[32];

    status = ft_buffer_print(out, "%-*s %8s %8s %8s", width, "metric", "before", "after", "change");
    if (status == 0 && report->changes)
        status = ft_buffer_print(out, " %8s %8s %8s", "low", "high", "p");
    for (size_t i = 0; i < report->count && status == 0; i++) {
        const struct ft_figure *f = &report->figure[i];
        double was = before->figure[i].value;

        status = ft_buffer_print(out, "\n%-*s %8s %8s %8s", width, f->name, shown(a, was, false), shown(b, f->value, false),
                                 shown(c, f->value - was, true));
        if (status == 0 && report->changes)
            status = ft_buffer_print(out, " %8s %8s %8s", shown(a, f->change_low, true), shown(b, f->change_high, true),
                                     shown(c, f->p, false));
    }
    return status < 0 ? -1 : ft_buffer_print(out, "\n");
}

int ft_report_text(struct ft_buffer *out, const struct ft_report *report, const struct ft_report *before)
{
    char a[32], b[32];
    int status = report->modality ? ft_buffer_print(out, "modality\t%s\n", report->modality) : 0;

    if (status == 0 && report->dim)
        status = ft_buffer_print(out, "dim\t%zu\n", report->dim);
    if (before)
        return status < 0 ? -1 : add_table(out, report, before);
    for (size_t i = 0; i < report->count && status == 0; i++) {
        const struct ft_figure *f = &report->figure[i];

        status = ft_buffer_print(out, "%s\t%s", f->name, shown(a, f->value, false));
        if (status == 0 && report->intervals)
            status = ft_buffer_print(out, "\t%s\t%s", shown(a, f->low, false), shown(b, f->high, false));
        if (status == 0)
            status = ft_buffer_print(out, "\n");
    }
    return status;
}

/* ---- back ---- */

static int read_figures(const char *path, const json_t *metrics, const struct ft_report *report, struct ft_report *before)
{
    for (size_t i = 0; i < report->count; i++) {
        const char *name = report->figure[i].name;
        const json_t *value = json_object_get(metrics, name);

        if (!value || !(json_is_number(value) || json_is_null(value)))
            return ft_fail(FT_BAD, "%s: no number \"%s\" under \"metrics\", expected a result of ft-eval --json", path, name);
        ft_report_add(before, name, json_is_null(value) ? NAN : json_number_value(value));
    }
    return 0;
}

int ft_report_read(const char *path, const struct ft_report *report, struct ft_report *before)
{
    json_t *json = ft_json_read(path);
    const char *task, *modality;
    int status = -1;

    *before = (struct ft_report){.task = report->task, .unit = report->unit};
    if (!json)
        return -1;
    task = ft_json_text(json, "task");
    modality = ft_json_text(json, "modality");
    if (strcmp(modality ? modality : "", report->modality ? report->modality : "") != 0)
        ft_fail(FT_USAGE, "%s: is of %s, now it is %s", path, modality ? modality : "one modality", report->modality ? report->modality : "one modality");
    else if (strcmp(task ? task : "retrieval", report->task ? report->task : "retrieval") != 0)
        ft_fail(FT_USAGE, "%s: is of the task %s, now it is %s", path, task ? task : "retrieval", report->task ? report->task : "retrieval");
    else if (ft_json_size(json, path, report->unit, 0, (size_t)1 << 40, false, &before->units) < 0 ||
             ft_json_size(json, path, "k", 1, (size_t)1 << 40, !report->k, &before->k) < 0)
        status = -1;
    else if (before->k != report->k)
        ft_fail(FT_USAGE, "%s: made with -k %zu, now it is -k %zu", path, before->k, report->k);
    else
        status = read_figures(path, json_object_get(json, "metrics"), report, before);
    json_decref(json);
    return status;
}

bool ft_report_is_json(const char *path)
{
    FILE *file = fopen(path, "rb");
    int first = file ? getc(file) : EOF;

    if (file)
        fclose(file);
    return first == '{';
}
