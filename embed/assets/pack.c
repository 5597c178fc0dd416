// stoa-pack-assets OUT FILE…: writes files as C (asset.h), each as it is, with gzip and with Brotli,
// and its SHA-384. A program of the build's; nothing of it is shipped.
#include <brotli/encode.h>
#include <libdeflate.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 4 << 20, GZIP_LEVEL = 12, SHA384_BYTES = 48, LINE_BYTES = 24 };

struct bytes {
    uint8_t *p;
    size_t n;
};

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "stoa-pack-assets: %s: %s\n", name, what);
    exit(1);
}

static struct bytes allot(size_t n)
{
    struct bytes b = {malloc(n), n};
    if (b.p == NULL)
        abort();
    return b;
}

static struct bytes read_file(const char *name)
{
    struct bytes b = allot(FILE_MAX);
    FILE *f = fopen(name, "rb");
    if (f == NULL)
        fail("cannot be read", name);
    b.n = fread(b.p, 1, FILE_MAX, f);
    if (b.n == FILE_MAX || ferror(f))
        fail("is too large, or cannot be read", name);
    fclose(f);
    return b;
}

static struct bytes as_brotli(struct bytes from, const char *name)
{
    struct bytes to = allot(BrotliEncoderMaxCompressedSize(from.n));
    if (!BrotliEncoderCompress(BROTLI_MAX_QUALITY, BROTLI_MAX_WINDOW_BITS, BROTLI_MODE_TEXT, from.n,
                               from.p, &to.n, to.p))
        fail("cannot be compressed", name);
    return to;
}

static struct bytes as_gzip(struct bytes from, const char *name)
{
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(GZIP_LEVEL);
    if (c == NULL)
        abort();
    struct bytes to = allot(libdeflate_gzip_compress_bound(c, from.n));
    to.n = libdeflate_gzip_compress(c, from.p, from.n, to.p, to.n);
    libdeflate_free_compressor(c);
    if (to.n == 0)
        fail("cannot be compressed", name);
    return to;
}

static void write_bytes(FILE *out, size_t file, const char *kind, struct bytes b)
{
    fprintf(out, "static const unsigned char %s_%zu[] = {", kind, file);
    for (size_t i = 0; i != b.n; ++i)
        fprintf(out, "%s%u,", i % LINE_BYTES == 0 ? "\n" : "", b.p[i]);
    fprintf(out, "\n};\n");
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static const char *type_of(const char *name)
{
    static const char *const types[][2] = {
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
    };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i != sizeof types / sizeof types[0]; ++i)
        if (strcmp(types[i][0], dot) == 0)
            return types[i][1];
    fail("has no type that is known", name);
    return NULL;
}

static void write_entry(FILE *out, size_t file, const char *name, struct bytes b)
{
    uint8_t digest[SHA384_BYTES];
    char base64[SHA384_BYTES * 2];
    if (!EVP_Digest(b.p, b.n, digest, NULL, EVP_sha384(), NULL))
        fail("cannot be digested", name);
    EVP_EncodeBlock((unsigned char *)base64, digest, sizeof digest);
    fprintf(out, "    {\"%s\", \"%s\", \"sha384-%s\", \"", name, type_of(name), base64);
    for (size_t i = 0; i != 8; ++i)
        fprintf(out, "%02x", digest[i]);
    fprintf(out, "\",\n     {");
    static const char *const kinds[] = {"plain", "gzip", "brotli"};
    for (size_t k = 0; k != 3; ++k)
        fprintf(out, "{(const char *)%s_%zu, sizeof %s_%zu}, ", kinds[k], file, kinds[k], file);
    fprintf(out, "}},\n");
}

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("say OUT FILE…", "usage");
    FILE *out = fopen(argv[1], "w");
    struct bytes *files = calloc((size_t)argc, sizeof *files);
    if (out == NULL || files == NULL)
        fail("cannot be written", argv[1]);
    fprintf(out, "// Made by stoa-pack-assets.\n#include \"embed/assets/asset.h\"\n");
    for (int i = 2; i != argc; ++i) {
        files[i] = read_file(argv[i]);
        struct bytes gzip = as_gzip(files[i], argv[i]), brotli = as_brotli(files[i], argv[i]);
        write_bytes(out, (size_t)i, "plain", files[i]);
        write_bytes(out, (size_t)i, "gzip", gzip);
        write_bytes(out, (size_t)i, "brotli", brotli);
        free(gzip.p);
        free(brotli.p);
    }
    fprintf(out, "const struct embed_asset embed_assets[] = {\n");
    for (int i = 2; i != argc; ++i) {
        write_entry(out, (size_t)i, base_name(argv[i]), files[i]);
        free(files[i].p);
    }
    fprintf(out, "    {0}};\n");
    free(files);
    if (ferror(out) || fclose(out) != 0)
        fail("cannot be written", argv[1]);
    return 0;
}
