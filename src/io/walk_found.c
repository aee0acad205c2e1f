/*
 * walk_found.c: what a thread finds while it reads a folder, and the chunks that it is handed out
 * in.
 */
#include <dirent.h>
#include <stdlib.h>

#include "walk_state.h"

/* ---- the reader ---- */

wi_walk_reader *wi_walk_reader_new(void)
{
    wi_walk_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return NULL;
    reader->entries = malloc(WI_WALK_PIECE);
    if (!reader->entries) {
        free(reader);
        return NULL;
    }
    return reader;
}

void wi_walk_reader_free(wi_walk_reader *reader)
{
    if (!reader)
        return;
    wi_buf_fini(&reader->path);
    wi_buf_fini(&reader->absolute);
    wi_buf_fini(&reader->names);
    free(reader->entries);
    free(reader->found);
    free(reader->errors);
    free(reader);
}

void wi_walk_work_drop(wi_walk_work *first)
{
    for (wi_walk_work *work = first, *next; work; work = next) {
        next = work->next;
        if (work->is_chunk)
            wi_walk_chunk_unref((wi_walk_chunk *)work);
        else
            wi_walk_folder_drop((wi_walk_folder *)work);
    }
}

/* Forgets all that was found, and drops what nobody took. */
void wi_walk_reader_reset(wi_walk_reader *reader)
{
    wi_walk_work_drop(reader->first);
    for (size_t i = 0; i < reader->n_found; i++)
        if (reader->found[i].sub)
            wi_walk_folder_drop(reader->found[i].sub);
    if (reader->chunk)
        wi_walk_chunk_unref(reader->chunk);
    reader->first = reader->last = NULL;
    reader->chunk = NULL;
    reader->n_work = reader->n_folders = reader->n_found = reader->n_errors = 0;
    reader->more = reader->no_memory = false;
    wi_buf_clear(&reader->names);
}

static void *grown(void *array, size_t *cap, size_t size)
{
    size_t new_cap = *cap ? *cap * 2 : 64;
    void *new = realloc(array, new_cap * size);
    if (new)
        *cap = new_cap;
    return new;
}

static bool room_for_found(wi_walk_reader *reader)
{
    if (reader->n_found < reader->found_cap)
        return true;
    void *found = grown(reader->found, &reader->found_cap, sizeof *reader->found);
    if (!found)
        reader->no_memory = true;
    else
        reader->found = found;
    return found != NULL;
}

static bool add_error(wi_walk_reader *reader, const weir_error *error)
{
    if (reader->n_errors == reader->errors_cap) {
        void *errors = grown(reader->errors, &reader->errors_cap, sizeof *reader->errors);
        if (!errors)
            return false;
        reader->errors = errors;
    }
    reader->errors[reader->n_errors++] = *error;
    return true;
}

void wi_walk_reader_add(wi_walk_reader *reader, const wi_walk_found *what, const char *name,
                        size_t len, const weir_error *error)
{
    size_t at = reader->names.len;
    wi_buf_append(&reader->names, name, len);
    wi_buf_putc(&reader->names, '\0');
    if (reader->names.failed || !room_for_found(reader) || (error && !add_error(reader, error))) {
        reader->no_memory = true;
        return;
    }
    wi_walk_found *found = &reader->found[reader->n_found++];
    *found = *what;
    found->name = at;
    found->name_len = (uint32_t)len;
    found->error = error ? reader->n_errors : 0;
}

void wi_walk_reader_note(void *reader, const weir_error *fault)
{
    wi_walk_found what = {.kind = WI_WALK_NOTE, .type = DT_REG};
    wi_walk_reader_add(reader, &what, "", 0, fault);
}

void wi_walk_reader_add_work(wi_walk_reader *reader, wi_walk_work *work)
{
    work->next = NULL;
    if (reader->last)
        reader->last->next = work;
    else
        reader->first = work;
    reader->last = work;
    reader->n_work++;
    reader->n_folders += !work->is_chunk;
}

/* ---- chunks ---- */

typedef struct chunk_size {
    size_t items;
    size_t errors;
    size_t names;
} chunk_size;

static chunk_size measure(const wi_walk_reader *reader, size_t from, size_t to)
{
    chunk_size size = {0};
    for (size_t i = from; i < to; i++) {
        size.items++;
        size.errors += reader->found[i].error != 0;
        size.names += reader->found[i].name_len + 1;
    }
    return size;
}

/* One block: the chunk, its items, its errors, its path and its names. */
wi_walk_chunk *wi_walk_chunk_new(const wi_walk_reader *reader, wi_walk_folder *folder, size_t from,
                                 size_t to, const char *path, size_t path_len)
{
    chunk_size size = measure(reader, from, to);
    wi_walk_chunk *chunk = malloc(sizeof *chunk + size.items * sizeof(wi_walk_item) +
                                  size.errors * sizeof(weir_error) + path_len + 1 + size.names);
    if (!chunk)
        return NULL;
    wi_walk_item *item = (wi_walk_item *)(chunk + 1);
    weir_error *error = (weir_error *)(item + size.items);
    char *text = (char *)(error + size.errors);
    *chunk = (wi_walk_chunk){
        .work.is_chunk = true,
        .folder = folder,
        .items = item,
        .n = size.items,
        .path = text,
        .path_len = path_len,
    };
    atomic_init(&chunk->refs, 1);
    memcpy(text, path, path_len);
    text[path_len] = '\0';
    text += path_len + 1;
    for (size_t i = from; i < to; i++, item++) {
        const wi_walk_found *found = &reader->found[i];
        *item = (wi_walk_item){
            .name = text,
            .name_len = found->name_len,
            .kind = found->kind,
            .type = found->type,
        };
        memcpy(text, reader->names.data + found->name, found->name_len + 1);
        text += found->name_len + 1;
        if (found->error) {
            *error = reader->errors[found->error - 1];
            item->error = error++;
        }
    }
    if (folder) {
        wi_walk_folder_ref(folder);
        wi_walk_fd_use(folder);
    }
    return chunk;
}

void wi_walk_chunk_unref(wi_walk_chunk *chunk)
{
    if (atomic_fetch_sub_explicit(&chunk->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (chunk->folder) {
        wi_walk_fd_unuse(chunk->folder);
        wi_walk_folder_unref(chunk->folder);
    }
    free(chunk);
}
