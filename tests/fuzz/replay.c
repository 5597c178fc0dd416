// Runs a fuzz target once over every file of the corpus folders named on the command line: what the
// other presets do with tests/fuzz/.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return 0;
    size_t size = 0, room = 1 << 20;
    uint8_t *data = malloc(room);
    for (size_t n; data != NULL && (n = fread(data + size, 1, room - size, f)) != 0;) {
        size += n;
        if (size == room)
            data = realloc(data, room *= 2);
    }
    fclose(f);
    if (data == NULL)
        return 0;
    uint8_t *exact = malloc(
        size ? size : 1); // an own allocation of the very size, so that a read past the end is seen
    for (size_t i = 0; exact != NULL && i != size; ++i)
        exact[i] = data[i];
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    free(data);
    return 1;
}

int main(int argc, char **argv)
{
    int n = 0;
    for (int i = 1; i < argc; ++i) {
        DIR *dir = opendir(argv[i]);
        if (dir == NULL)
            continue;
        for (struct dirent *e; (e = readdir(dir)) != NULL;) {
            char path[4096];
            if (e->d_name[0] != '.' &&
                snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name) < (int)sizeof path)
                n += replay(path);
        }
        closedir(dir);
    }
    printf("%d corpus files\n", n);
    return n == 0; // an empty corpus tests nothing
}
