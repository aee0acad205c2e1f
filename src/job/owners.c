/* owners.c: see owners.h. Its invariant: a place holds the answer for its id, whether the system
 * had a name for it or not. */
#include "owners.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A group's entry has all its members: some are long. */
enum { LEAST_ROOM = 1 << 10, MOST_ROOM = 1 << 20 };

/* A longer one is none that a system should have. */
static void take_name(char name[WI_OWNER_SIZE], const char *found)
{
    size_t len = strlen(found);
    if (len < WI_OWNER_SIZE)
        memcpy(name, found, len + 1);
}

/* 0: the name, if there is one, is in `name`; ERANGE: the room is too small. */
static int ask_user(uint32_t id, char *room, size_t size, char name[WI_OWNER_SIZE])
{
    struct passwd entry;
    struct passwd *found = NULL;
    int result = getpwuid_r(id, &entry, room, size, &found);
    if (!result && found)
        take_name(name, found->pw_name);
    return result;
}

static int ask_group(uint32_t id, char *room, size_t size, char name[WI_OWNER_SIZE])
{
    struct group entry;
    struct group *found = NULL;
    int result = getgrgid_r(id, &entry, room, size, &found);
    if (!result && found)
        take_name(name, found->gr_name);
    return result;
}

typedef int (*ask_fn)(uint32_t id, char *room, size_t size, char name[WI_OWNER_SIZE]);

static const char *name_of(wi_owner *places, ask_fn ask, uint32_t id)
{
    wi_owner *place = &places[id % WI_OWNERS_KEPT];
    if (*place->name && place->id == id)
        return place->name;
    *place = (wi_owner){.id = id};
    for (size_t size = LEAST_ROOM; size <= MOST_ROOM; size *= 4) {
        char *room = malloc(size);
        int result = room ? ask(id, room, size, place->name) : ENOMEM;
        free(room);
        if (result != ERANGE)
            break;
    }
    if (!*place->name)
        snprintf(place->name, sizeof place->name, "%u", id);
    return place->name;
}

const char *wi_owners_user(wi_owners *owners, uint32_t id)
{
    return name_of(owners->users, ask_user, id);
}

const char *wi_owners_group(wi_owners *owners, uint32_t id)
{
    return name_of(owners->groups, ask_group, id);
}
