/* system_load.c: see system_load.h. */
#include "system_load.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

#define LOOK_EVERY (100 * WI_MILLISECOND)

static int64_t read_available(void)
{
    char text[4096];
    int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *line = strstr(text, "MemAvailable:");
    return line ? strtoll(line + strlen("MemAvailable:"), NULL, 10) * 1024 : INT64_MAX;
}

void wi_system_load_look(wi_system_load *load, int64_t now)
{
    if (load->looked_at && now - load->looked_at < LOOK_EVERY)
        return;
    load->looked_at = now;
    if (getloadavg(&load->average, 1) != 1)
        load->average = 0;
    load->available = read_available();
}
