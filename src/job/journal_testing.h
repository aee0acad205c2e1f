/* journal_testing.h: a journal in the test's folder, of numbered items and two outputs. */
#ifndef WI_JOURNAL_TESTING_H
#define WI_JOURNAL_TESTING_H

#include "folder.h"
#include "journal.h"
#include "test.h"

static const char *const outputs[] = {"rows", "errors"};
static char fetch[] = "fetch", url[] = "http://a/{id}", ndjson[] = "ndjson";
static wi_fact facts_list[] = {{"kind", fetch}, {"URL", url}, {"format", ndjson}, {"method", NULL}};
static const wi_facts facts = {facts_list, 4, false};

static inline weir_status open_with(const char *name, wi_journal_mode mode, const wi_facts *list,
                                    wi_journal **out, weir_error *err)
{
    wi_journal_options o = {
        .path = in_folder(name), .mode = mode, .facts = list, .outputs = outputs, .outputs_len = 2};
    return wi_journal_open(&o, out, err);
}

static inline weir_status open_as(wi_journal_mode mode, wi_journal **out, weir_error *err)
{
    return open_with("o.weir", mode, &facts, out, err);
}

static inline wi_journal *opened(wi_journal_mode mode)
{
    weir_error err = {0};
    wi_journal *journal = NULL;
    EXPECT(open_as(mode, &journal, &err) == WEIR_OK);
    if (!journal)
        printf("# %s\n", err.text);
    return journal;
}

static inline wi_key key_of(const wi_journal *journal, int n)
{
    wi_key key;
    wi_journal_key(journal, &n, sizeof n, &key);
    return key;
}

static inline void add(wi_journal *journal, int n, bool failed)
{
    wi_key key = key_of(journal, n);
    EXPECT(wi_journal_add(journal, &key, failed, NULL) == WEIR_OK);
}

static inline void commit(wi_journal *journal, int64_t rows, int64_t errors)
{
    int64_t lengths[] = {rows, errors};
    EXPECT(wi_journal_commit(journal, lengths, NULL) == WEIR_OK);
}

static inline void end(wi_journal *journal, int64_t rows)
{
    int64_t lengths[] = {rows, 0};
    EXPECT(wi_journal_end(journal, lengths, NULL) == WEIR_OK);
    EXPECT(wi_journal_finish(journal, NULL) == WEIR_OK);
}

static inline wi_committed_as claim(wi_journal *journal, int n)
{
    wi_key key = key_of(journal, n);
    return wi_journal_claim(journal, &key);
}

static inline void expect_refused(const char *name, wi_journal_mode mode, weir_status want,
                                  const char *text)
{
    weir_error err = {0};
    wi_journal *journal = NULL;
    EXPECT_INT(open_with(name, mode, &facts, &journal, &err), want);
    EXPECT(journal == NULL);
    if (!EXPECT(strstr(err.text, text) != NULL))
        printf("# it says: %s\n", err.text);
    wi_journal_free(journal);
}

#endif
